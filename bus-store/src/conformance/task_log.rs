//! Laws of [`TaskLog`](crate::TaskLog). Longer than other files because a commit can be refused in many ways, and
//! each of them has its law.

use std::collections::BTreeSet;
use std::sync::Arc;

use bus_core::{
    ConnectorName, DataType, DeliveryId, Direction, Echo, ErrorPolicy, ObjectOperation, SiteName, TaskId,
    Timestamp,
};
use uuid::Uuid;

use super::Rig;
use super::bench::{
    Bench, at, binding, connector, delivery_for, discarded, kind_of, outgoing, own, parked, save_new,
    save_over, settlement, task, user, user_key, user_type,
};
use crate::StoreErrorKind;
use crate::exchange::Travel;
use crate::objects::{Expected, ObjectRecord, ObjectWrite};
use crate::queue::{Outcome, QueueId, Wanted};
use crate::task_log::{Commit, NewDelivery, NewTask, Redelivery};

/// Of two tasks, and of two deliveries, the one that was logged later has the larger id.
pub async fn what_is_logged_later_has_the_larger_id(rig: &dyn Rig) {
    let bench = Bench::open(rig).await;
    let [a, b] = bench.log(["x", "y"]).await;
    let [c] = bench.log(["x"]).await;
    assert!(a < b && b < c, "{a} {b} {c}");
    let mut logged = Vec::new();
    for key in ["x", "y", "x"] {
        let tasks = vec![task(&bench.queue, key), task(&bench.queue, key)];
        logged.extend(bench.commit(Commit { tasks, ..Commit::at(at(0)) }).await.tasks);
    }
    assert!(logged.is_sorted_by(|one, two| one < two), "{logged:?}");
}

/// Ids are not given again when everything that had them is gone.
pub async fn ids_are_never_given_twice(rig: &dyn Rig) {
    let bench = Bench::open(rig).await;
    let mut seen = BTreeSet::new();
    let mut tasks = BTreeSet::new();
    for _ in 0..5 {
        let [delivery] = bench.log(["x"]).await;
        let claimed = bench.claim_and_settle(at(0), Outcome::Completed).await;
        assert_eq!(claimed.delivery, delivery);
        assert!(seen.insert(delivery) && tasks.insert(claimed.task), "{delivery} was given before");
        assert_eq!(seen.last(), Some(&delivery));
    }
}

/// The answer to a commit names its tasks in the order in which they were given.
pub async fn a_commit_answers_its_tasks_in_the_order_given(rig: &dyn Rig) {
    let bench = Bench::open(rig).await;
    let keys = ["c", "a", "b"];
    let tasks = keys.map(|key| task(&bench.queue, key)).into();
    let committed = bench.commit(Commit { tasks, ..Commit::at(at(0)) }).await;
    let claim = bench.claim_whole(10, at(0)).await;
    let claimed: Vec<_> =
        claim.deliveries.iter().map(|claimed| (claimed.task, claimed.key.as_str())).collect();
    let expected: Vec<_> = committed.tasks.iter().copied().zip(keys).collect();
    assert_eq!(claimed, expected);
}

/// A commit with nothing in it succeeds and does nothing.
pub async fn an_empty_commit_changes_nothing(rig: &dyn Rig) {
    let bench = Bench::open(rig).await;
    bench.log(["x"]).await;
    let before = (bench.counters().await, bench.open_deliveries().await);
    let committed = bench.commit(Commit::at(at(1))).await;
    assert_eq!(committed, crate::Committed::default());
    assert_eq!((bench.counters().await, bench.open_deliveries().await), before);
}

/// Objects, tasks, bindings and outcomes of one commit are all there afterwards.
pub async fn objects_tasks_bindings_and_outcomes_become_true_together(rig: &dyn Rig) {
    let bench = Bench::open(rig).await;
    let [done] = bench.log(["x"]).await;
    bench.claim(1, at(0)).await;
    let commit = everything(&bench, done);
    bench.commit(commit).await;
    assert!(!bench.is_open(done).await);
    assert_eq!(bench.external_id(&user_key(1)).await.as_deref(), Some("003a"));
    assert_eq!(bench.host_id("003a").await, Some(user_key(1).id));
    assert_eq!(bench.claim_one(at(0)).await.key, "new");
}

/// Nothing of a commit is true when one of its objects is not what its writer expected.
pub async fn a_commit_is_all_or_nothing_when_an_object_is_not_as_expected(rig: &dyn Rig) {
    let bench = Bench::open(rig).await;
    bench.save([user(17)]).await;
    let delete = |number, expected| ObjectWrite::Delete { key: user_key(number), expected };
    for wrong in [
        save_new(user(17)),
        save_over(user(17), 2),
        save_over(user(18), 1),
        delete(17, Expected::Version(2)),
        delete(18, Expected::Version(1)),
        delete(17, Expected::Absent),
    ] {
        assert_refused_whole(&bench, wrong, StoreErrorKind::Conflict).await;
    }
    assert_eq!(bench.store.object(&user_key(17)).await.unwrap().map(|record| record.version), Some(1));
}

/// Nothing of a commit is true when it gives an object the GUID of another one of its type.
pub async fn a_commit_is_all_or_nothing_when_a_guid_is_taken(rig: &dyn Rig) {
    let bench = Bench::open(rig).await;
    let guid = Some(Uuid::from_u128(1));
    bench.save([ObjectRecord { guid, ..user(17) }, user(18)]).await;
    assert_refused_whole(&bench, save_new(ObjectRecord { guid, ..user(19) }), StoreErrorKind::Conflict).await;
    assert_refused_whole(&bench, save_over(ObjectRecord { guid, ..user(18) }, 1), StoreErrorKind::Conflict)
        .await;
}

/// Nothing of a commit is true when it gives an object the code name of another one in the same place.
pub async fn a_commit_is_all_or_nothing_when_a_code_name_is_taken(rig: &dyn Rig) {
    let bench = Bench::open(rig).await;
    let named = |number| ObjectRecord { code_name: Some("jane".to_owned()), ..user(number) };
    bench.save([named(17), user(18)]).await;
    assert_refused_whole(&bench, save_new(named(19)), StoreErrorKind::Conflict).await;
    assert_refused_whole(&bench, save_over(named(18), 1), StoreErrorKind::Conflict).await;
}

/// Nothing of a commit is true when two of its own objects contradict each other.
pub async fn a_commit_is_all_or_nothing_when_it_contradicts_itself_in_its_objects(rig: &dyn Rig) {
    let bench = Bench::open(rig).await;
    let guid = Some(Uuid::from_u128(1));
    let objects =
        vec![save_new(ObjectRecord { guid, ..user(17) }), save_new(ObjectRecord { guid, ..user(18) })];
    let refused = bench.store.commit(Commit { objects, ..Commit::at(at(0)) }).await;
    assert_eq!(kind_of(refused), Some(StoreErrorKind::Conflict));
    assert_eq!(bench.store.count_objects(&user_type()).await.unwrap(), 0);
}

/// Nothing of a commit is true when one of its settlements comes too late.
pub async fn a_commit_is_all_or_nothing_when_a_settlement_is_stale(rig: &dyn Rig) {
    let bench = Bench::open(rig).await;
    let [claimed, fresh] = bench.log(["x", "y"]).await;
    bench.claim(1, at(0)).await;
    let mut commit = everything(&bench, claimed);
    commit.settlements.push(settlement(fresh, Outcome::Completed));
    assert_eq!(kind_of(bench.store.commit(commit).await), Some(StoreErrorKind::Stale));
    assert_nothing_of_everything(&bench).await;
    assert!(bench.is_open(claimed).await && bench.is_open(fresh).await);
    bench.settle(claimed, Outcome::Completed).await;
}

/// Nothing of a commit is true when it is of a former owner.
pub async fn a_commit_is_all_or_nothing_when_its_owner_is_a_former_one(rig: &dyn Rig) {
    let mut bench = Bench::open(rig).await;
    let [claimed] = bench.log(["x"]).await;
    bench.claim(1, at(0)).await;
    let commit = everything(&bench, claimed);
    bench.acquire_again().await;
    assert_eq!(bench.claim(1, at(0)).await, [claimed], "the new owner has it");
    assert_eq!(kind_of(bench.store.commit(commit).await), Some(StoreErrorKind::Stale));
    assert_nothing_of_everything(&bench).await;
    assert!(bench.is_open(claimed).await);
}

/// A commit that cannot be carried out at all is refused, and nothing of it is true.
pub async fn a_commit_that_contradicts_itself_is_refused(rig: &dyn Rig) {
    let bench = Bench::open(rig).await;
    let [claimed] = bench.log(["x"]).await;
    bench.claim(1, at(0)).await;
    let nobodys = Commit { ownership: None, ..everything(&bench, claimed) };
    let mut for_nobody = everything(&bench, claimed);
    for_nobody.tasks.push(NewTask { deliveries: Vec::new(), ..task(&bench.queue, "z") });
    let mut for_nothing = everything(&bench, claimed);
    for_nothing.settlements[0].outcome =
        Outcome::Waiting { awaited: Vec::new(), due: at(1), reason: String::new() };
    for commit in [nobodys, for_nobody, for_nothing] {
        assert_eq!(kind_of(bench.store.commit(commit).await), Some(StoreErrorKind::Unsupported));
        assert_nothing_of_everything(&bench).await;
    }
    bench.settle(claimed, Outcome::Completed).await;
}

/// A refusal says which objects are in each other's way.
pub async fn a_conflict_names_both_objects(rig: &dyn Rig) {
    let bench = Bench::open(rig).await;
    let record = |number, guid: Option<Uuid>, name: Option<&str>| ObjectRecord {
        guid,
        code_name: name.map(str::to_owned),
        ..user(number)
    };
    let guid = Some(Uuid::from_u128(1));
    bench.save([record(1117, guid, Some("jane"))]).await;
    for taken in [record(1118, guid, None), record(1118, None, Some("jane"))] {
        let objects = vec![save_new(taken)];
        let error =
            bench.store.commit(Commit { objects, ..Commit::at(at(0)) }).await.unwrap_err().to_string();
        assert!(error.contains("1117") && error.contains("1118"), "{error}");
    }
}

/// One task can have a delivery in several queues; each goes its own way.
pub async fn one_task_goes_to_several_queues(rig: &dyn Rig) {
    let bench = Bench::open(rig).await;
    let shop = outgoing("shop");
    let shop_owner = own(&*bench.store, &shop).await;
    let deliveries = vec![delivery_for(&connector("crm")), delivery_for(&connector("shop"))];
    let tasks = vec![NewTask { deliveries, ..task(&bench.queue, "x") }];
    let committed = bench.commit(Commit { tasks, ..Commit::at(at(0)) }).await;
    let of_crm = bench.claim_one(at(0)).await;
    let of_shop = bench.store.claim(&shop_owner, Wanted::up_to(10), at(0)).await.unwrap().deliveries;
    assert_eq!(of_shop.len(), 1);
    assert_eq!([of_crm.task, of_shop[0].task], [committed.tasks[0]; 2]);
    assert_ne!(of_crm.delivery, of_shop[0].delivery);
    bench.settle(of_crm.delivery, parked()).await;
    let settlements = vec![settlement(of_shop[0].delivery, Outcome::Completed)];
    bench.try_settle(&shop_owner, settlements, at(0)).await.unwrap();
    assert!(bench.is_open(of_crm.delivery).await && !bench.is_open(of_shop[0].delivery).await);
    assert_eq!(bench.store.counters(&shop).await.unwrap().completed, 1);
}

/// The two directions of one connector are two queues; a key holds nothing in the other direction.
pub async fn the_two_directions_are_two_queues(rig: &dyn Rig) {
    let bench = Bench::open(rig).await;
    let incoming = QueueId::new(connector("crm"), Direction::Incoming);
    let owner = own(&*bench.store, &incoming).await;
    bench.log(["x"]).await;
    bench.claim_and_settle(at(0), parked()).await;
    bench.commit(Commit { tasks: vec![task(&incoming, "x")], ..Commit::at(at(0)) }).await;
    assert_eq!(bench.store.claim(&owner, Wanted::up_to(10), at(0)).await.unwrap().deliveries.len(), 1);
    assert_eq!(bench.counters().await.logged, 1);
}

/// Commits from many sides at once all get ids of their own, and nothing is lost.
pub async fn concurrent_commits_get_ids_of_their_own_and_lose_nothing(rig: &dyn Rig) {
    const WRITERS: usize = 16;
    const COMMITS: usize = 25;
    let bench = Bench::open(rig).await;
    let mut writers = Vec::new();
    for writer in 0..WRITERS {
        let (store, queue) = (Arc::clone(&bench.store), bench.queue.clone());
        writers.push(tokio::spawn(async move {
            let mut logged = Vec::new();
            for number in 0..COMMITS {
                let key = format!("{writer} {number}");
                let tasks = vec![task(&queue, &key)];
                logged.extend(store.commit(Commit { tasks, ..Commit::at(at(0)) }).await.unwrap().tasks);
            }
            assert!(logged.is_sorted_by(|one, two| one < two), "one writer's ids grow: {logged:?}");
            logged
        }));
    }
    let mut acknowledged = BTreeSet::new();
    for writer in writers {
        for id in writer.await.unwrap() {
            assert!(acknowledged.insert(id), "task id {id} was given twice");
        }
    }
    assert_eq!(acknowledged.len(), WRITERS * COMMITS);
    let mut claimed = BTreeSet::new();
    loop {
        let claim = bench.claim_whole(64, at(0)).await;
        if claim.deliveries.is_empty() {
            break;
        }
        for delivery in claim.deliveries {
            assert!(claimed.insert(delivery.task), "task {} was claimed twice", delivery.task);
            bench.settle(delivery.delivery, Outcome::Completed).await;
        }
    }
    assert_eq!(claimed, acknowledged);
    assert_eq!(bench.counters().await.completed, acknowledged.len() as u64);
}

/// Everything that was logged comes back with the claim, and to people, word for word.
pub async fn what_was_logged_comes_back_word_for_word(rig: &dyn Rig) {
    let bench = Bench::open(rig).await;
    bench.sites(["Corp.EU-1"]).await;
    let incoming = QueueId::new(connector("crm"), Direction::Incoming);
    let owner = own(&*bench.store, &incoming).await;
    for (number, operation) in ObjectOperation::ALL.into_iter().enumerate() {
        let policy = ErrorPolicy::ALL[number % ErrorPolicy::ALL.len()];
        let data_type = DataType::ALL[number % DataType::ALL.len()];
        let delivery = NewDelivery {
            connector: connector("crm"),
            data_type,
            policy,
            idempotency_key: Uuid::from_u128(u128::MAX - number as u128),
        };
        let task = NewTask {
            direction: Direction::Incoming,
            subject: "order_line".to_owned(),
            key: format!("order_line 'ü\" {number}"),
            operation,
            title: "create order_line \u{1F9E6} für „Jane“".to_owned(),
            data: b"{ \"a\":1 }".to_vec(),
            content_type: "application/json; charset=utf-8".to_owned(),
            site: Some(SiteName::parse("Corp.EU-1").unwrap()),
            origin: Some(ConnectorName::parse("shop").unwrap()),
            logged_at: at(5),
            redelivers: Some(Redelivery {
                of: DeliveryId(4_040_404),
                by: "jane \"ü\"".to_owned(),
                reason: (number % 2 == 0).then(|| "asked for".to_owned()),
            }),
            idempotency: None,
            travel: Travel {
                cause: (number % 2 == 0).then_some(TaskId(3_030_303)),
                hop: u8::try_from(number).unwrap_or(u8::MAX),
                echo: [Echo::Others, Echo::None, Echo::All][number % 3],
            },
            deliveries: vec![delivery.clone()],
        };
        bench.commit(Commit { tasks: vec![task.clone()], ..Commit::at(at(5)) }).await;
        let claim = bench.store.claim(&owner, Wanted::up_to(1), at(5)).await.unwrap();
        let claimed = &claim.deliveries[0];
        assert_eq!(claimed.key, task.key);
        assert_eq!(claimed.subject, task.subject);
        assert_eq!((claimed.operation, claimed.data_type, claimed.policy), (operation, data_type, policy));
        assert_eq!(claimed.data, task.data);
        assert_eq!(claimed.content_type, task.content_type);
        assert_eq!((&claimed.site, &claimed.origin), (&task.site, &task.origin));
        assert_eq!(claimed.idempotency_key, delivery.idempotency_key);
        assert_eq!(claimed.logged_at, task.logged_at);
        assert_eq!((claimed.travel, claimed.is_redelivered), (task.travel, true));
        assert_eq!(
            (claimed.attempt, claimed.asks, claimed.waiting_since, claimed.aside),
            (1, 0, None, false)
        );
        let detail = bench.detail(claimed.delivery).await;
        assert_eq!((detail.summary.title, detail.summary.redelivers), (task.title, task.redelivers));
        assert_eq!(detail.summary.key, task.key);
        assert_eq!(detail.summary.queue, incoming);
        assert_eq!(detail.summary.task, claimed.task);
        assert_eq!((detail.subject, detail.operation), (task.subject, operation));
        assert_eq!((detail.data_type, detail.policy), (data_type, policy));
        assert_eq!((detail.data, detail.content_type), (task.data, task.content_type));
        assert_eq!((detail.site, detail.origin), (task.site, task.origin));
        assert_eq!(detail.logged_at, task.logged_at);
        assert_eq!(detail.idempotency_key, delivery.idempotency_key);
    }
}

/// Bytes are bytes: what is received need not be text.
pub async fn bytes_survive_as_they_are(rig: &dyn Rig) {
    let bench = Bench::open(rig).await;
    let all: Vec<u8> = (0..=255).chain([0xff, 0xfe, 0x00, 0xc3]).collect();
    for data in [all, Vec::new(), vec![0], "no JSON: {".into()] {
        let new = NewTask { data: data.clone(), ..task(&bench.queue, "x") };
        bench.commit(Commit { tasks: vec![new], ..Commit::at(at(0)) }).await;
        let claimed = bench.claim_one(at(0)).await;
        assert_eq!(claimed.data, data);
        assert_eq!(bench.detail(claimed.delivery).await.data, data);
        bench.settle(claimed.delivery, Outcome::Completed).await;
    }
}

/// The largest payload that is allowed without being asked for survives.
pub async fn a_mebibyte_survives(rig: &dyn Rig) {
    let bench = Bench::open(rig).await;
    let data: Vec<u8> =
        (0..1024 * 1024_u32).map(|number| number.to_le_bytes()[(number % 3) as usize]).collect();
    let new = NewTask { data: data.clone(), ..task(&bench.queue, "x") };
    let objects = vec![save_new(ObjectRecord { data: data.clone(), ..user(1) })];
    bench.commit(Commit { tasks: vec![new], objects, ..Commit::at(at(0)) }).await;
    assert!(bench.claim_one(at(0)).await.data == data, "a task's mebibyte came back different");
    let object = bench.store.object(&user_key(1)).await.unwrap().unwrap();
    assert!(object.data == data, "an object's mebibyte came back different");
}

/// Time survives to the microsecond, also far away.
pub async fn time_survives_to_the_microsecond(rig: &dyn Rig) {
    let bench = Bench::open(rig).await;
    for micros in [0, 1, 1_795_424_400_123_457, i64::MAX] {
        let logged_at = Timestamp::from_micros(micros);
        let new = NewTask { logged_at, ..task(&bench.queue, "x") };
        bench.commit(Commit { tasks: vec![new], ..Commit::at(at(0)) }).await;
        let claimed = bench.claim_one(at(0)).await;
        assert_eq!(claimed.logged_at, logged_at);
        let error = "later".to_owned();
        let due = Timestamp::from_micros(micros.max(2));
        bench.settle_at(claimed.delivery, Outcome::Retry { due, error }, logged_at).await;
        let detail = bench.detail(claimed.delivery).await;
        assert_eq!((detail.summary.due, detail.attempts[0].at), (Some(due), logged_at));
        let again = bench.claim_one(due).await;
        bench.settle(again.delivery, Outcome::Completed).await;
    }
}

/// A commit with something of everything: an outcome, an object, a binding of it and a task.
fn everything(bench: &Bench, delivery: bus_core::DeliveryId) -> Commit {
    Commit {
        settlements: vec![settlement(delivery, Outcome::Completed)],
        ownership: Some(bench.owner.clone()),
        objects: vec![save_new(user(1))],
        bindings: vec![binding(1, "003a")],
        tasks: vec![task(&bench.queue, "new")],
        ..Commit::at(at(0))
    }
}

async fn assert_nothing_of_everything(bench: &Bench) {
    assert_eq!(bench.store.object(&user_key(1)).await.unwrap(), None, "an object was written");
    assert_eq!(bench.external_id(&user_key(1)).await, None, "a binding was written");
    let open = bench.open_deliveries().await;
    assert!(open.iter().all(|summary| summary.key != "new"), "a task was logged");
    assert_eq!(bench.counters().await.completed, 0, "an outcome was written");
}

/// This write, last in a commit with something of everything, is refused, and so is everything else.
async fn assert_refused_whole(bench: &Bench, wrong: ObjectWrite, kind: StoreErrorKind) {
    let [claimed] = bench.log(["x"]).await;
    bench.claim(1, at(0)).await;
    let mut commit = everything(bench, claimed);
    commit.objects.push(wrong.clone());
    assert_eq!(kind_of(bench.store.commit(commit).await), Some(kind), "{wrong:?}");
    assert_nothing_of_everything(bench).await;
    // It is still claimed, and by the same owner. (Discarded, so that `completed` stays at zero.)
    bench.settle(claimed, discarded()).await;
    assert_eq!(bench.counters().await.stale, 0, "a conflict is not a late settlement");
}
