//! Laws of [`Identity`](crate::Identity).

use bus_core::{ObjectId, ObjectKey, ObjectType};
use uuid::Uuid;

use super::Rig;
use super::bench::{Bench, at, binding, connector, task, user, user_key, user_type};
use crate::StoreErrorKind;
use crate::identity::{Binding, ExternalId, Missing};
use crate::objects::{Expected, ObjectWrite};
use crate::task_log::Commit;

/// A binding is found from both sides.
pub async fn a_binding_is_found_from_both_sides(rig: &dyn Rig) {
    let bench = Bench::open(rig).await;
    bench.save([user(17)]).await;
    assert_eq!(bench.external_id(&user_key(17)).await, None);
    bench.bind(binding(17, "003a")).await;
    assert_eq!(bench.external_id(&user_key(17)).await.as_deref(), Some("003a"));
    assert_eq!(bench.host_id("003a").await, Some(ObjectId::Number(17)));
}

/// What is bound to an object of the application's own tables is known, although the store has no such object.
pub async fn what_lives_elsewhere_is_bound_all_the_same(rig: &dyn Rig) {
    let bench = Bench::open(rig).await;
    bench.bind(binding(17, "003a")).await;
    assert_eq!(bench.host_id("003a").await, None, "as far as the store knows, it is gone");
    for _ in 0..2 {
        bench.store.live_elsewhere(&user_type()).await.expect("live elsewhere");
    }
    assert_eq!(bench.host_id("003a").await, Some(ObjectId::Number(17)));
    let other = Commit { bindings_if_free: vec![binding(18, "003a")], ..Commit::at(at(0)) };
    let refused = bench.store.commit(other).await.expect_err("it is 17's");
    assert_eq!(refused.kind(), StoreErrorKind::Conflict);
}

/// The newest word about an object counts: its former external id is nobody's.
pub async fn an_object_has_one_external_id_the_newest(rig: &dyn Rig) {
    let bench = Bench::open(rig).await;
    bench.save([user(17)]).await;
    bench.bind(binding(17, "003a")).await;
    bench.bind(binding(17, "003b")).await;
    assert_eq!(bench.external_id(&user_key(17)).await.as_deref(), Some("003b"));
    assert_eq!(bench.host_id("003b").await, Some(ObjectId::Number(17)));
    assert_eq!(bench.host_id("003a").await, None);
    assert_eq!(all_of(&bench).await, [binding(17, "003b")]);
}

/// The newest word about an external id counts: its former object is unknown to the external system.
pub async fn an_external_id_has_one_object_the_newest(rig: &dyn Rig) {
    let bench = Bench::open(rig).await;
    bench.save([user(17), user(18)]).await;
    bench.bind(binding(17, "003a")).await;
    bench.bind(binding(18, "003a")).await;
    assert_eq!(bench.host_id("003a").await, Some(ObjectId::Number(18)));
    assert_eq!(bench.external_id(&user_key(17)).await, None);
    assert_eq!(all_of(&bench).await, [binding(18, "003a")]);
}

/// A binding that contradicts two others takes the place of both; the last of one commit counts.
pub async fn a_binding_can_take_the_place_of_two(rig: &dyn Rig) {
    let bench = Bench::open(rig).await;
    let bindings = vec![binding(17, "003a"), binding(18, "003b"), binding(17, "003b")];
    bench.commit(Commit { bindings, ..Commit::at(at(0)) }).await;
    assert_eq!(all_of(&bench).await, [binding(17, "003b")]);
    bench.bind(binding(17, "003b")).await;
    assert_eq!(all_of(&bench).await, [binding(17, "003b")], "said again");
}

/// Connectors, and types, do not know of each other's external ids.
pub async fn bindings_belong_to_one_connector_and_type(rig: &dyn Rig) {
    let bench = Bench::open(rig).await;
    bench.save([user(17)]).await;
    let company =
        ObjectKey { object_type: ObjectType::parse("app.company").unwrap(), id: ObjectId::Number(17) };
    let of_company = Binding { object: company.clone(), ..binding(17, "003a") };
    let of_shop = Binding { connector: connector("shop"), ..binding(17, "003b") };
    for new in [binding(17, "003a"), of_company.clone(), of_shop] {
        bench.bind(new).await;
    }
    assert_eq!(bench.external_id(&user_key(17)).await.as_deref(), Some("003a"));
    assert_eq!(bench.external_id(&company).await.as_deref(), Some("003a"));
    assert_eq!(bench.host_id("003b").await, None);
    assert_eq!(all_of(&bench).await, [of_company, binding(17, "003a")]);
    let of_shop = bench.store.external_ids(&connector("shop"), &[user_key(17)]).await.unwrap();
    assert_eq!(of_shop, [Some(ExternalId { id: "003b".to_owned(), ended: None, since: None })]);
}

/// Answers come in the order asked, for each one asked, however often.
pub async fn answers_come_in_the_order_asked(rig: &dyn Rig) {
    let bench = Bench::open(rig).await;
    bench.save([user(17), user(18)]).await;
    bench.bind(binding(17, "003a")).await;
    bench.bind(binding(18, "003b")).await;
    let crm = connector("crm");
    let objects = [18, 99, 17, 18].map(user_key);
    let external = bench.store.external_ids(&crm, &objects).await.unwrap();
    let expected = [Some("003b"), None, Some("003a"), Some("003b")].map(|id| id.map(str::to_owned));
    let external = external.into_iter().map(|known| known.map(|known| known.id));
    assert_eq!(external.collect::<Vec<_>>(), expected);
    let external = ["003b", "nobody", "003a", "003b"].map(|id| (user_type(), id.to_owned()));
    let host = bench.store.host_ids(&crm, &external).await.unwrap();
    assert_eq!(host, [Some(18), None, Some(17), Some(18)].map(|id| id.map(ObjectId::Number)));
    assert_eq!(bench.store.external_ids(&crm, &[]).await.unwrap(), []);
    assert_eq!(bench.store.host_ids(&crm, &[]).await.unwrap(), []);
}

/// The binding of an object that is gone counts as none on the way in, and still serves its delete on the way out.
pub async fn a_gone_object_is_unknown_but_keeps_its_external_id(rig: &dyn Rig) {
    let bench = Bench::open(rig).await;
    bench.save([user(17)]).await;
    bench.bind(binding(17, "003a")).await;
    bench.delete(&user_key(17), 1).await;
    assert_eq!(bench.host_id("003a").await, None);
    assert_eq!(bench.external_id(&user_key(17)).await.as_deref(), Some("003a"));
    let unbound = vec![binding(17, "003a")];
    bench.commit(Commit { unbound, ..Commit::at(at(0)) }).await;
    assert_eq!(bench.external_id(&user_key(17)).await, None, "its delete was delivered");
}

/// Bindings that end in a commit end before its new ones begin; ending one that is not there is no error.
pub async fn bindings_end_before_new_ones_begin(rig: &dyn Rig) {
    let bench = Bench::open(rig).await;
    bench.bind(binding(17, "003a")).await;
    let unbound = vec![binding(17, "003a"), binding(99, "003x")];
    let bindings = vec![binding(17, "003b")];
    bench.commit(Commit { bindings, unbound, ..Commit::at(at(0)) }).await;
    assert_eq!(all_of(&bench).await, [binding(17, "003b")]);
}

/// Ending a binding spares what the object was called since.
pub async fn an_end_spares_a_newer_binding(rig: &dyn Rig) {
    let bench = Bench::open(rig).await;
    bench.bind(binding(17, "003b")).await;
    let unbound = vec![binding(17, "003a"), binding(18, "003b")];
    bench.commit(Commit { unbound, ..Commit::at(at(0)) }).await;
    assert_eq!(all_of(&bench).await, [binding(17, "003b")]);
}

/// A new object of a former one's id does not inherit what that was called: only the tasks that were logged until then
/// are about the former one.
pub async fn an_object_does_not_inherit_the_binding_of_a_former_one(rig: &dyn Rig) {
    let bench = Bench::open(rig).await;
    bench.save([user(17)]).await;
    bench.bind(binding(17, "003a")).await;
    let log = async |key: &str| {
        let tasks = vec![task(&bench.queue, key)];
        bench.commit(Commit { tasks, ..Commit::at(at(0)) }).await.tasks[0]
    };
    let before = log("17").await;
    assert!(bench.known_external_id(&user_key(17)).await.is_some_and(|known| known.is_of(before)));
    // The delete and its task are one commit: the task is about the former one, too.
    let objects = vec![ObjectWrite::Delete { key: user_key(17), expected: Expected::Version(1) }];
    let tasks = vec![task(&bench.queue, "17")];
    let delete = bench.commit(Commit { objects, tasks, ..Commit::at(at(0)) }).await.tasks[0];
    let after = log("17").await;
    bench.save([user(17)]).await;
    let known = bench.known_external_id(&user_key(17)).await.expect("its delete is not delivered");
    assert_eq!([before, delete, after].map(|task| known.is_of(task)), [true, true, false], "{known:?}");
    assert_eq!(bench.host_id("003a").await, None, "that was another one");

    // The newest word counts, whatever the object was called before; it is not about the former one.
    bench.bind(binding(17, "003b")).await;
    let known = bench.known_external_id(&user_key(17)).await.unwrap();
    assert!(known.is_of(after) && known.id == "003b", "{known:?}");
    assert_eq!([before, delete].map(|task| known.is_of(task)), [false, false], "{known:?}");
    bench.bind(binding(17, "003a")).await;
    assert_eq!(bench.host_id("003a").await, Some(ObjectId::Number(17)));
}

/// The delete of an object that is gone, asked for once more, is still about the one that had the binding.
pub async fn a_delete_that_is_repeated_is_about_the_former_object(rig: &dyn Rig) {
    let bench = Bench::open(rig).await;
    bench.save([user(17)]).await;
    bench.bind(binding(17, "003a")).await;
    bench.delete(&user_key(17), 1).await;
    let objects = vec![ObjectWrite::Delete { key: user_key(17), expected: Expected::Absent }];
    let tasks = vec![task(&bench.queue, "17")];
    let again = bench.commit(Commit { objects, tasks, ..Commit::at(at(0)) }).await.tasks[0];
    let known = bench.known_external_id(&user_key(17)).await.unwrap();
    assert!(known.is_of(again), "{known:?}");
}

/// A binding of an object that is not there contradicts nothing.
pub async fn a_binding_of_nothing_is_in_nobodys_way(rig: &dyn Rig) {
    let bench = Bench::open(rig).await;
    bench.save([user(18)]).await;
    bench.bind(binding(17, "003a")).await;
    let bindings_if_free = vec![binding(18, "003a")];
    bench.commit(Commit { bindings_if_free, ..Commit::at(at(0)) }).await;
    assert_eq!(all_of(&bench).await, [binding(18, "003a")]);
}

/// A binding that is to contradict nothing is refused with its whole commit where it does, from either side, and says
/// what is in its way.
pub async fn a_binding_if_free_contradicts_nothing(rig: &dyn Rig) {
    let bench = Bench::open(rig).await;
    bench.save([user(17), user(18)]).await;
    let bind_if_free = async |bindings_if_free: Vec<Binding>| {
        let commit = Commit { bindings_if_free, ..Commit::at(at(0)) };
        bench.store.commit(commit).await.map(|_| ())
    };
    bind_if_free(vec![binding(17, "003a")]).await.unwrap();
    bind_if_free(vec![binding(17, "003a")]).await.expect("it says the same");
    for contradicting in [binding(17, "003b"), binding(18, "003a")] {
        let refused = bind_if_free(vec![binding(99, "003x"), contradicting]).await.unwrap_err();
        assert_eq!(refused.kind(), StoreErrorKind::Conflict);
        assert!(refused.to_string().contains("app.user 17 is `003a` already"), "{refused}");
    }
    let both = vec![binding(18, "003c"), binding(18, "003d")];
    assert_eq!(bind_if_free(both).await.unwrap_err().kind(), StoreErrorKind::Conflict, "with each other");
    assert_eq!(all_of(&bench).await, [binding(17, "003a")], "refused whole");
    bind_if_free(vec![Binding { connector: connector("shop"), ..binding(17, "003b") }]).await.unwrap();
    // What ends in the same commit is not in the way, nor is what belongs to an object that is gone.
    let (unbound, bindings_if_free) = (vec![binding(17, "003a")], vec![binding(18, "003a")]);
    bench.commit(Commit { bindings_if_free, unbound, ..Commit::at(at(0)) }).await;
    bench.delete(&user_key(18), 1).await;
    bind_if_free(vec![binding(17, "003a")]).await.unwrap();
    assert_eq!(all_of(&bench).await, [binding(17, "003a")]);
}

/// Pages of bindings are in the order of type and external id, and stable while others are written.
pub async fn pages_of_bindings_are_stable_under_writes(rig: &dyn Rig) {
    let bench = Bench::open(rig).await;
    let crm = connector("crm");
    let bindings = (0..10).map(|number| binding(number, &format!("ext {number}"))).collect();
    bench.commit(Commit { bindings, ..Commit::at(at(0)) }).await;
    let mut seen: Vec<Binding> = Vec::new();
    for page in 0.. {
        let after = seen.last().map(|last| (last.object.object_type.clone(), last.external_id.clone()));
        let rows = bench.store.bindings(&crm, after, 3).await.unwrap();
        assert!(rows.len() <= 3);
        if rows.is_empty() {
            break;
        }
        seen.extend(rows);
        // One before everything, and the last one seen is gone, or is still there.
        bench.bind(binding(100 + page, &format!("earlier {page}"))).await;
        if page % 2 == 0 {
            bench.unbind(seen[seen.len() - 1].clone()).await;
        }
    }
    let external: Vec<&str> = seen.iter().map(|binding| binding.external_id.as_str()).collect();
    assert!(external.is_sorted());
    for number in 0..10 {
        let external_id = format!("ext {number}");
        let times = external.iter().filter(|seen| **seen == external_id).count();
        assert_eq!(times, 1, "{external_id}: {external:?}");
    }
}

/// Ids come back as what they are: numbers, GUIDs, and texts with whatever is in them.
pub async fn ids_of_every_kind_can_be_bound(rig: &dyn Rig) {
    let bench = Bench::open(rig).await;
    let ids = [
        ObjectId::Number(-5),
        ObjectId::Number(i64::MAX),
        ObjectId::Guid(Uuid::from_u128(77)),
        ObjectId::Text("Ünter den Linden 'x' \"y\" %_\\".to_owned()),
    ];
    for (number, id) in ids.into_iter().enumerate() {
        let key = ObjectKey { object_type: user_type(), id };
        bench.save([crate::ObjectRecord { key: key.clone(), ..user(0) }]).await;
        let external_id = format!("ext 'ü' {number}");
        bench.bind(Binding { object: key.clone(), ..binding(0, &external_id) }).await;
        let host = bench.host_id(&external_id).await;
        assert_eq!(host.as_ref().map(std::mem::discriminant), Some(std::mem::discriminant(&key.id)));
        assert_eq!(host, Some(key.id.clone()));
        assert_eq!(bench.external_id(&key).await, Some(external_id));
        let stored = bench.store.object(&key).await.unwrap().expect("it was saved");
        assert_eq!(std::mem::discriminant(&stored.key.id), std::mem::discriminant(&key.id));
        assert_eq!(stored.key, key);
    }
}

async fn all_of(bench: &Bench) -> Vec<Binding> {
    bench.store.bindings(&connector("crm"), None, 1_000).await.unwrap()
}

/// Of the objects of a type that are there, those that were bound before a list was made are missing from it if they are
/// not on it. What says again what was known is as old as that; what says something else is new.
pub async fn what_a_whole_list_lacks_was_bound_before_it(rig: &dyn Rig) {
    let bench = Bench::open(rig).await;
    bench.save([user(1), user(2), user(3), user(4), user(5), user(6)]).await;
    let bind = async |binding: Binding, seconds: i64| {
        bench.commit(Commit { bindings: vec![binding], ..Commit::at(at(seconds)) }).await;
    };
    let lacks = async |present: &[&str], seconds: i64| {
        let present = present.iter().map(|id| (*id).to_owned()).collect();
        bench.store.missing(&connector("crm"), &user_type(), present, at(seconds)).await.unwrap()
    };
    let found = |bound: u64, missing: &[&str]| Missing {
        bound,
        missing: missing.iter().map(|id| (*id).to_owned()).collect(),
    };
    assert_eq!(lacks(&["a"], 0).await, Missing::default());
    for (number, external_id, seconds) in [(1, "b", 1), (2, "a", 2), (3, "c", 3), (4, "d", 9), (5, "gone", 1)]
    {
        bind(binding(number, external_id), seconds).await;
    }
    bind(Binding { connector: connector("shop"), ..binding(6, "other") }, 1).await;
    bench.delete(&user_key(5), 1).await;
    assert_eq!(lacks(&[], 9).await, found(3, &["a", "b", "c"]));
    assert_eq!(lacks(&["c", "a", "x", "d"], 9).await, found(3, &["b"]));
    assert_eq!(lacks(&["a", "b", "c"], 9).await, found(3, &[]));
    assert_eq!(lacks(&[], 10).await, found(4, &["a", "b", "c", "d"]));
    assert_eq!(lacks(&[], 1).await, Missing::default(), "at that time is not before it");
    bind(binding(1, "b"), 9).await;
    bind(binding(2, "A"), 9).await;
    bind(binding(6, "c"), 9).await;
    assert_eq!(lacks(&[], 9).await, found(1, &["b"]), "b is as old as it was");
    assert_eq!(lacks(&[], 10).await, found(4, &["A", "b", "c", "d"]));
}

/// Of an object that is gone it is known what it was called, until its delete is delivered or the external id is another's.
pub async fn an_external_id_says_whose_it_was(rig: &dyn Rig) {
    let bench = Bench::open(rig).await;
    let whose = async || {
        let known = bench.store.gone_host_id(&connector("crm"), &user_type(), "003a").await;
        known.unwrap()
    };
    for end in ["delivered", "another's"] {
        bench.save([user(1)]).await;
        bench.bind(binding(1, "003a")).await;
        assert_eq!(whose().await, None, "it is there");
        bench.delete(&user_key(1), 1).await;
        assert_eq!(whose().await, Some(user_key(1).id), "{end}");
        if end == "delivered" {
            bench.unbind(binding(1, "003a")).await;
        } else {
            bench.save([user(2)]).await;
            bench.bind(binding(2, "003a")).await;
        }
        assert_eq!(whose().await, None, "{end}");
    }
}
