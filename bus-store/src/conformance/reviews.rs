//! Laws of [`Reviews`](crate::Reviews), and of the times by which conflicts are decided.

use std::collections::BTreeMap;

use bus_core::{DeliveryId, DeliveryState, Side};

use super::bench::{
    Bench, at, done, kind_of, outgoing, own, parked, released_at_once, retry, settlement, task, user,
    user_key,
};
use super::{Rig, Verdict, needs_reopening};
use crate::StoreErrorKind;
use crate::objects::{Expected, ObjectRecord, ObjectWrite};
use crate::operate::{self, Verb};
use crate::queue::Outcome;
use crate::reviews::{ConflictRecord, Decision};
use crate::task_log::Commit;

/// A conflict is there as it was written, from the outcome that parks its delivery until that ends, in whichever way; a newer
/// one takes its place.
pub async fn a_conflict_is_kept_with_its_delivery_and_ends_with_it(rig: &dyn Rig) {
    let bench = Bench::open(rig).await;
    for end in ["completed", "discarded", "skipped"] {
        let [id, other] = bench.log([&format!("{end} x"), &format!("{end} y")]).await;
        assert_eq!(bench.store.conflict(id).await.unwrap(), None);
        bench.claim(2, at(0)).await;
        let first = conflict(id);
        park(&bench, first.clone()).await;
        assert_eq!(bench.state(id).await, DeliveryState::Parked);
        assert_eq!(bench.store.conflict(id).await.unwrap(), Some(first));
        assert_eq!(bench.store.conflict(other).await.unwrap(), None);
        bench.intervene(Verb::Retry, [id]).await;
        assert_eq!(bench.claim(1, at(0)).await, [id]);
        let second = ConflictRecord { base: None, fields: vec![String::new()], ..conflict(id) };
        park(&bench, second.clone()).await;
        assert_eq!(bench.store.conflict(id).await.unwrap(), Some(second));
        match end {
            "skipped" => assert_eq!(bench.intervene(Verb::Skip, [id]).await, [done()]),
            end => {
                bench.intervene(Verb::Retry, [id]).await;
                assert_eq!(bench.claim(1, at(0)).await, [id]);
                let error = "no".to_owned();
                let outcome =
                    if end == "completed" { Outcome::Completed } else { Outcome::Discarded { error } };
                bench.settle(id, outcome).await;
            }
        }
        assert_eq!(bench.store.conflict(id).await.unwrap(), None, "{end}");
        bench.settle(other, Outcome::Completed).await;
    }
}

/// Whoever decides has the delivery tried again; what was decided stays with it, however often that fails, beside what was
/// decided earlier.
pub async fn what_was_decided_is_kept_and_tried(rig: &dyn Rig) {
    let bench = Bench::open(rig).await;
    let [id] = bench.log(["x"]).await;
    bench.claim(1, at(0)).await;
    park(&bench, conflict(id)).await;
    assert_eq!(decide(&bench, id, [("name", Side::Host)]).await, done());
    for outcome in [retry(0), released_at_once()] {
        assert_eq!(bench.claim(1, at(0)).await, [id]);
        assert_eq!(resolved(&bench, id).await, [("name".to_owned(), Side::Host)].into());
        bench.settle(id, outcome).await;
    }
    assert_eq!(bench.claim(1, at(0)).await, [id]);
    let again = ConflictRecord { resolved: resolved(&bench, id).await, ..conflict(id) };
    park(&bench, again).await;
    assert_eq!(decide(&bench, id, [("name", Side::External), ("phone", Side::Host)]).await, done());
    let expected = BTreeMap::from([("name".to_owned(), Side::External), ("phone".to_owned(), Side::Host)]);
    assert_eq!(resolved(&bench, id).await, expected);
    let noted = bench.detail(id).await.interventions;
    let noted: Vec<_> = noted.iter().map(|noted| (noted.verb, noted.by.as_str())).collect();
    assert_eq!(noted, [(Verb::Resolve, "jane"), (Verb::Resolve, "jane")]);
}

/// What is running, has ended, was never parked for a person, or is not there cannot be decided.
pub async fn only_what_is_in_conflict_can_be_decided(rig: &dyn Rig) {
    let bench = Bench::open(rig).await;
    let [id, plain] = bench.log(["x", "y"]).await;
    bench.claim(2, at(0)).await;
    park(&bench, conflict(id)).await;
    bench.settle(plain, parked()).await;
    let any = [("name", Side::Host)];
    assert_eq!(decide(&bench, plain, any).await, operate::Verdict::NoConflict);
    assert_eq!(bench.state(plain).await, DeliveryState::Parked);
    assert_eq!(decide(&bench, DeliveryId(4_711), any).await, operate::Verdict::Unknown);
    bench.intervene(Verb::Retry, [id]).await;
    assert_eq!(bench.claim(1, at(0)).await, [id]);
    assert_eq!(decide(&bench, id, any).await, operate::Verdict::Running);
    assert_eq!(resolved(&bench, id).await, BTreeMap::new());
    bench.settle(id, Outcome::Completed).await;
    assert_eq!(decide(&bench, id, any).await, operate::Verdict::Ended(DeliveryState::Completed));
}

/// A commit that has somebody decide about what it does not park contradicts itself.
pub async fn a_conflict_of_what_is_not_parked_is_refused(rig: &dyn Rig) {
    let bench = Bench::open(rig).await;
    let [id, other] = bench.log(["x", "y"]).await;
    bench.claim(2, at(0)).await;
    for (conflict, outcome) in [(conflict(other), parked()), (conflict(id), retry(1))] {
        let commit = Commit {
            settlements: vec![settlement(id, outcome)],
            conflicts: vec![conflict],
            ownership: Some(bench.owner.clone()),
            ..Commit::at(at(0))
        };
        assert_eq!(kind_of(bench.store.commit(commit).await), Some(StoreErrorKind::Unsupported));
    }
    assert_eq!(bench.state(id).await, DeliveryState::Running);
    assert_eq!(bench.store.conflicts(&bench.queue, None, 10).await.unwrap(), []);
}

/// They are listed by their queue, oldest first, page by page.
pub async fn conflicts_are_listed_oldest_first(rig: &dyn Rig) {
    let bench = Bench::open(rig).await;
    let ids = bench.log(["x", "y", "z"]).await;
    bench.claim(3, at(0)).await;
    for id in ids.iter().rev() {
        park(&bench, conflict(*id)).await;
    }
    let shop = outgoing("shop");
    let owner = own(&*bench.store, &shop).await;
    bench.commit(Commit { tasks: vec![task(&shop, "x")], ..Commit::at(at(0)) }).await;
    let of_shop = bench.store.claim(&owner, crate::queue::Wanted::up_to(1), at(0)).await.unwrap().deliveries;
    let of_shop = of_shop[0].delivery;
    let settlements = vec![settlement(of_shop, parked())];
    let conflicts = vec![conflict(of_shop)];
    bench.commit(Commit { settlements, conflicts, ownership: Some(owner), ..Commit::at(at(0)) }).await;
    let listed = async |after, limit| {
        let listed = bench.store.conflicts(&bench.queue, after, limit).await.unwrap();
        listed.into_iter().map(|conflict| conflict.delivery).collect::<Vec<_>>()
    };
    assert_eq!(listed(None, 10).await, ids);
    assert_eq!(listed(None, 2).await, ids[..2]);
    assert_eq!(listed(Some(ids[1]), 10).await, ids[2..]);
    assert_eq!(bench.store.conflicts(&outgoing("nobody"), None, 10).await.unwrap(), []);
}

/// It is as durable as the delivery, and what was decided as well.
pub async fn a_conflict_survives_reopening(rig: &dyn Rig) -> Verdict {
    let mut bench = Bench::open(rig).await;
    needs_reopening!(bench.store);
    let [id] = bench.log(["x"]).await;
    bench.claim(1, at(0)).await;
    park(&bench, conflict(id)).await;
    decide(&bench, id, [("name", Side::External)]).await;
    bench.store.close().await;
    bench.store = rig.open().await;
    let resolved = BTreeMap::from([("name".to_owned(), Side::External)]);
    let expected = ConflictRecord { resolved, ..conflict(id) };
    assert_eq!(bench.store.conflict(id).await.unwrap(), Some(expected));
    Verdict::Kept
}

/// An object says when it was saved last; one that was never saved, or is gone, says nothing.
pub async fn an_object_says_when_it_was_saved(rig: &dyn Rig) {
    let bench = Bench::open(rig).await;
    let key = user_key(1);
    let changed_at = async || bench.store.changed_at(&key).await.unwrap();
    assert_eq!(changed_at().await, None);
    for (seconds, expected) in [(5, Expected::Absent), (7, Expected::Version(1))] {
        save(&bench, user(1), expected, seconds).await;
        assert_eq!(changed_at().await, Some(at(seconds)));
    }
    let touch = ObjectWrite::Touch { key: key.clone(), version: 2 };
    bench.commit(Commit { objects: vec![touch], ..Commit::at(at(9)) }).await;
    assert_eq!(changed_at().await, Some(at(7)), "it is as it was");
    let delete = ObjectWrite::Delete { key: key.clone(), expected: Expected::Version(3) };
    bench.commit(Commit { objects: vec![delete], ..Commit::at(at(11)) }).await;
    assert_eq!(changed_at().await, None);
}

async fn save(bench: &Bench, record: ObjectRecord, expected: Expected, seconds: i64) {
    let objects = vec![ObjectWrite::Save { record, expected }];
    bench.commit(Commit { objects, ..Commit::at(at(seconds)) }).await;
}

fn conflict(delivery: DeliveryId) -> ConflictRecord {
    ConflictRecord {
        delivery,
        object: user_key(17),
        base: Some(br#"{"name":"Ada"}"#.to_vec()),
        host: br#"{"name":"Ours"}"#.to_vec(),
        external: Some("{\"name\":\"\u{1F9E6}\"}".into()),
        fields: vec!["name".to_owned(), "phone".to_owned()],
        resolved: BTreeMap::new(),
    }
}

async fn park(bench: &Bench, conflict: ConflictRecord) {
    let commit = Commit {
        settlements: vec![settlement(conflict.delivery, parked())],
        conflicts: vec![conflict],
        ownership: Some(bench.owner.clone()),
        ..Commit::at(at(0))
    };
    bench.commit(commit).await;
}

async fn decide<const N: usize>(
    bench: &Bench,
    delivery: DeliveryId,
    fields: [(&str, Side); N],
) -> operate::Verdict {
    let fields = fields.map(|(field, side)| (field.to_owned(), side)).into();
    let decision = Decision { delivery, fields, by: "jane".to_owned(), reason: None, now: at(0) };
    bench.store.resolve(decision).await.unwrap()
}

async fn resolved(bench: &Bench, delivery: DeliveryId) -> BTreeMap<String, Side> {
    bench.store.conflict(delivery).await.unwrap().expect("it is in conflict").resolved
}
