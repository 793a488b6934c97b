//! Laws of entries that settle a delivery: a transaction of the application does what the delivery brought.

use bus_core::DeliveryId;
use serde_json::json;

use super::bench::{at, binding, ids, kind_of, retry, settlement, task, user, user_key};
use super::outbox::Desk;
use super::{Rig, TransactionEnd, Verdict, needs_outbox};
use crate::StoreErrorKind;
use crate::outbox::{EntryEnd, Relayed, SettledEntry, Settles};
use crate::queue::{Claimed, Outcome, Ownership, Terms};
use crate::task_log::Commit;

/// A store of which entries can settle deliveries; ends the law with a gap otherwise.
macro_rules! needs_settling {
    ($rig:expr) => {{
        let desk = needs_outbox!($rig);
        if !desk.bench.store.capabilities().settles_by_entry {
            return Verdict::Gap("the store does not claim that an entry can settle a delivery");
        }
        desk
    }};
}

/// What is not claimed, or by another owner, or in another attempt, or settled already, is settled by no entry.
pub async fn an_entry_settles_only_what_is_in_hand(rig: &dyn Rig) -> Verdict {
    let desk = needs_settling!(rig);
    let [first, second] = desk.bench.log(["a", "b"]).await;
    let fresh = Settles { attempt: 1, ..settles(&desk, first) };
    refuses(&desk, &fresh, "it is not claimed");
    desk.bench.claim(10, at(0)).await;
    refuses(&desk, &Settles { epoch: fresh.epoch - 1, ..fresh.clone() }, "its owner was replaced");
    refuses(&desk, &Settles { epoch: fresh.epoch + 1, ..fresh.clone() }, "nobody owned it so");
    refuses(&desk, &Settles { attempt: 2, ..fresh.clone() }, "it is the first attempt");
    refuses(&desk, &Settles { delivery: DeliveryId(second.0 + 1), ..fresh.clone() }, "there is none");
    refuses(&desk, &Settles { queue: super::bench::outgoing("other"), ..fresh.clone() }, "another queue");
    let text = text_of(&fresh);
    let twice = desk.try_leave([&text, &text], TransactionEnd::Committed);
    twice.expect_err("two entries for one delivery");
    assert_eq!(desk.entries::<0>().await, []);

    // The second attempt is claimed at the side.
    desk.bench.settle(first, retry(1)).await;
    refuses(&desk, &fresh, "it is due again");
    let again: Claimed = desk.bench.claim_one(at(1)).await;
    assert_eq!((again.delivery, again.attempt), (first, 2));
    refuses(&desk, &fresh, "that attempt is over");
    desk.leave([&text_of(&Settles { attempt: 2, ..fresh })], TransactionEnd::Committed);
    desk.bench.settle(second, Outcome::Completed).await;
    refuses(&desk, &settles(&desk, second), "it has ended");
    Verdict::Kept
}

/// Once it is committed, neither its owner nor a claim makes anything else of the delivery.
pub async fn what_an_entry_settles_is_settled_by_nothing_else(rig: &dyn Rig) -> Verdict {
    let desk = needs_settling!(rig);
    let [first, same_key, other] = desk.bench.log(["a", "a", "b"]).await;
    assert_eq!(desk.bench.claim(1, at(0)).await, [first]);
    desk.leave([&text_of(&settles(&desk, first))], TransactionEnd::Committed);
    let settlements = vec![settlement(first, retry(0))];
    let ownership = Some(desk.bench.owner.clone());
    let refused = Commit { settlements, ownership, ..Commit::at(at(0)) };
    assert_eq!(kind_of(desk.bench.store.commit(refused).await), Some(StoreErrorKind::Conflict));
    assert_eq!(desk.bench.claim(10, at(100)).await, [other], "its key is held");
    desk.bench.settle(other, Outcome::Completed).await;
    carry_out(&desk, SettledEntry::default()).await;
    assert_eq!(desk.bench.claim(10, at(100)).await, [same_key]);
    desk.bench.audit().await;
    Verdict::Kept
}

/// A new owner would charge the delivery, and have it called again.
pub async fn a_queue_has_no_new_owner_before_what_was_settled_is_relayed(rig: &dyn Rig) -> Verdict {
    let mut desk = needs_settling!(rig);
    let [first, second] = desk.bench.log(["a", "b"]).await;
    desk.bench.claim(10, at(0)).await;
    desk.leave([&text_of(&settles(&desk, first))], TransactionEnd::Committed);
    for _ in 0..2 {
        let refused = desk.bench.store.acquire(&desk.bench.queue, Terms::default(), at(0)).await;
        assert_eq!(kind_of(refused), Some(StoreErrorKind::Conflict));
        // Given up or not.
        desk.bench.store.release(&desk.bench.owner).await.expect("release");
    }
    carry_out(&desk, SettledEntry::default()).await;
    desk.bench.acquire_again().await;
    assert_eq!(ids(&desk.bench.claim_whole(10, at(0)).await), [second]);
    assert!(!desk.bench.is_open(first).await);
    Verdict::Kept
}

/// The delivery is completed; its bindings and tasks are there, and what was there before is not.
pub async fn a_settlement_that_is_relayed_completes_its_delivery(rig: &dyn Rig) -> Verdict {
    let desk = needs_settling!(rig);
    desk.bench.save([user(1), user(2)]).await;
    let [first] = desk.bench.log(["a"]).await;
    desk.bench.bind(binding(1, "old")).await;
    desk.bench.claim(10, at(0)).await;
    desk.leave([&text_of(&settles(&desk, first))], TransactionEnd::Committed);
    let settled = SettledEntry {
        unbound: vec![binding(1, "old")],
        bindings: vec![binding(2, "new")],
        tasks: vec![task(&desk.bench.queue, "x")],
        ..SettledEntry::default()
    };
    carry_out(&desk, settled).await;
    let counters = desk.bench.counters().await;
    assert_eq!((counters.logged, counters.completed, counters.open), (2, 1, 1));
    assert_eq!(desk.bench.host_id("old").await, None);
    assert_eq!(desk.bench.host_id("new").await, Some(user_key(2).id));
    refuses(&desk, &settles(&desk, first), "it has ended");

    // The bindings of what is gone end when the delete that was logged with it is delivered.
    let [last] = desk.bench.log(["y"]).await;
    desk.bench.claim(10, at(0)).await;
    desk.leave([&text_of(&settles(&desk, last))], TransactionEnd::Committed);
    carry_out(&desk, SettledEntry { deleted: Some(user_key(2)), ..SettledEntry::default() }).await;
    assert_eq!(desk.bench.host_id("new").await, None);
    desk.bench.audit().await;
    Verdict::Kept
}

/// Nothing of it is true.
pub async fn what_a_transaction_rolled_back_settles_nothing(rig: &dyn Rig) -> Verdict {
    let desk = needs_settling!(rig);
    let [first] = desk.bench.log(["a"]).await;
    desk.bench.claim(10, at(0)).await;
    desk.leave([&text_of(&settles(&desk, first))], TransactionEnd::RolledBack);
    desk.bench.settle(first, retry(0)).await;
    assert_eq!(desk.bench.claim_one(at(0)).await.attempt, 2);
    Verdict::Kept
}

/// What is not known to have been done is done again.
pub async fn a_settlement_that_cannot_be_read_leaves_its_delivery_claimed(rig: &dyn Rig) -> Verdict {
    let desk = needs_settling!(rig);
    let [first] = desk.bench.log(["a"]).await;
    desk.bench.claim(10, at(0)).await;
    desk.leave([&text_of(&settles(&desk, first))], TransactionEnd::Committed);
    let [entry] = desk.entries().await;
    let end = EntryEnd::Parked { error: "of another time".to_owned() };
    desk.relay(vec![Relayed { id: entry.id, end }]).await.expect("it is the first");
    desk.bench.settle(first, Outcome::Completed).await;
    assert_eq!(desk.bench.counters().await.completed, 1);
    Verdict::Kept
}

/// That its owner settles it in its first attempt.
fn settles(desk: &Desk, delivery: DeliveryId) -> Settles {
    let Ownership { queue, epoch } = desk.bench.owner.clone();
    Settles { queue, epoch, delivery, attempt: 1 }
}

fn text_of(settles: &Settles) -> String {
    json!({ "settles": settles }).to_string()
}

fn refuses(desk: &Desk, settles: &Settles, why: &str) {
    let refused = desk.try_leave([&text_of(settles)], TransactionEnd::Committed);
    assert!(refused.is_err(), "{why}");
}

/// Relays the only entry.
async fn carry_out(desk: &Desk, settled: SettledEntry) {
    let [entry] = desk.entries().await;
    let end = EntryEnd::Settled(Box::new(settled));
    desk.relay(vec![Relayed { id: entry.id, end }]).await.expect("it is the first");
}
