//! Laws of [`Outbox`](crate::Outbox): what transactions of others log.

use std::sync::Arc;
use std::time::Duration;

use bus_core::DeliveryId;
use uuid::Uuid;

use super::bench::{Bench, at, kind_of, save_new, task, user, user_key};
use super::{Foreign, Rig, TransactionEnd, Verdict, needs_outbox};
use crate::outbox::{EntryEnd, OutboxCounts, OutboxEntry, Relayed};
use crate::queue::Outcome;
use crate::task_log::{Commit, Committed, NewTask};
use crate::{StoreError, StoreErrorKind};

/// How long a law waits for what is promised within a second.
const PATIENCE: Duration = Duration::from_secs(30);

/// What a transaction that is rolled back has left is never there; what is committed is.
pub async fn what_a_foreign_transaction_rolled_back_is_never_relayed(rig: &dyn Rig) -> Verdict {
    let desk = needs_outbox!(rig);
    desk.leave(["1", "2"], TransactionEnd::RolledBack);
    assert_eq!(desk.texts().await, [] as [&str; 0]);
    desk.leave(["3"], TransactionEnd::Committed);
    desk.leave(["4"], TransactionEnd::RolledBack);
    assert_eq!(desk.texts().await, ["3"]);
    assert_eq!(desk.counts().await, (1, 0));
    Verdict::Kept
}

/// An empty text leaves nothing.
pub async fn an_empty_text_leaves_no_entry(rig: &dyn Rig) -> Verdict {
    let desk = needs_outbox!(rig);
    desk.leave(["", "1", ""], TransactionEnd::Committed);
    assert_eq!(desk.texts().await, ["1"]);
    Verdict::Kept
}

/// Entries come in the order in which they were left, and what was relayed is there no more; its tasks stand in that order.
pub async fn entries_are_relayed_in_order_and_once(rig: &dyn Rig) -> Verdict {
    let desk = needs_outbox!(rig);
    desk.leave(["1", "2"], TransactionEnd::Committed);
    desk.leave(["3"], TransactionEnd::Committed);
    assert_eq!(desk.texts().await, ["1", "2", "3"]);
    let [first, second, third] = desk.entries().await;
    assert!(first.id < second.id && second.id < third.id);
    let two = vec![logged(&desk, &first, 1), logged(&desk, &second, 2)];
    let committed = desk.relay(two).await.expect("they are the first");
    assert_eq!(desk.texts().await, ["3"]);
    let last = desk.relay(vec![logged(&desk, &third, 3)]).await.expect("it is the first");
    assert_eq!(desk.texts().await, [] as [&str; 0]);
    let tasks: Vec<_> = committed.relayed.into_iter().chain(last.relayed).collect();
    assert_eq!(tasks.iter().map(Vec::len).collect::<Vec<_>>(), [1, 1, 1]);
    assert!(tasks.is_sorted(), "{tasks:?}");
    let open: Vec<_> = desk.bench.open_deliveries().await.into_iter().map(|row| row.task).collect();
    assert_eq!(open, tasks.concat());
    // What comes later stands behind all of them.
    desk.leave(["4"], TransactionEnd::Committed);
    let [fourth] = desk.entries().await;
    assert!(fourth.id > third.id);
    Verdict::Kept
}

/// A relay that leaves out an entry, names one that is not there, or names them in another order, changes nothing.
pub async fn a_relay_that_skips_an_entry_is_refused(rig: &dyn Rig) -> Verdict {
    let desk = needs_outbox!(rig);
    desk.leave(["1", "2", "3"], TransactionEnd::Committed);
    let [first, second, third] = desk.entries().await;
    let gone = OutboxEntry { id: third.id + 1, text: Vec::new() };
    for wrong in [
        vec![&second],
        vec![&first, &third],
        vec![&second, &first],
        vec![&first, &second, &third, &gone],
        vec![&first, &first],
    ] {
        let relayed = wrong.iter().map(|entry| logged(&desk, entry, 1)).collect();
        let objects = vec![save_new(user(1))];
        let tasks = vec![task(&desk.bench.queue, "x")];
        let commit = Commit { objects, tasks, relayed, ..Commit::at(at(0)) };
        let refused = desk.bench.store.commit(commit).await;
        assert_eq!(kind_of(refused), Some(StoreErrorKind::Conflict), "{wrong:?}");
        assert_eq!(desk.texts().await, ["1", "2", "3"]);
        assert_eq!(desk.bench.store.object(&user_key(1)).await.unwrap(), None);
        assert_eq!(desk.bench.counters().await.logged, 0);
    }
    Verdict::Kept
}

/// Of several that relay the same entries at once, one does.
pub async fn of_concurrent_relays_one_wins(rig: &dyn Rig) -> Verdict {
    let desk = needs_outbox!(rig);
    desk.leave(["1", "2"], TransactionEnd::Committed);
    let [first, second] = desk.entries().await;
    let mut relays = Vec::new();
    for _ in 0..8 {
        let relayed = vec![logged(&desk, &first, 1), logged(&desk, &second, 2)];
        let store = Arc::clone(&desk.bench.store);
        relays.push(tokio::spawn(async move { store.commit(Commit { relayed, ..Commit::at(at(0)) }).await }));
    }
    let mut won = 0;
    for relay in relays {
        match relay.await.expect("it was asked") {
            Ok(_) => won += 1,
            Err(error) => assert_eq!(error.kind(), StoreErrorKind::Conflict),
        }
    }
    assert_eq!((won, desk.bench.counters().await.logged), (1, 2));
    Verdict::Kept
}

/// An entry that cannot be read is set aside with its text and the reason, and those behind it are relayed.
pub async fn an_unreadable_entry_is_parked_with_its_text(rig: &dyn Rig) -> Verdict {
    let desk = needs_outbox!(rig);
    desk.leave(["1", "{\"ä\":\" \"}", "3"], TransactionEnd::Committed);
    let [first, second, third] = desk.entries().await;
    let park = Relayed { id: second.id, end: EntryEnd::Parked { error: "it says nothing".to_owned() } };
    let relayed = vec![logged(&desk, &first, 1), park, logged(&desk, &third, 3)];
    let committed = desk.relay(relayed).await.expect("they are the first");
    assert_eq!(committed.relayed.iter().map(Vec::len).collect::<Vec<_>>(), [1, 0, 1]);
    assert_eq!((desk.bench.counters().await.logged, desk.counts().await), (2, (0, 1)));
    let parked = desk.bench.store.parked_entries(10).await.expect("parked entries");
    assert_eq!(parked.len(), 1);
    assert_eq!(parked[0].text, second.text);
    assert_eq!((parked[0].error.as_str(), parked[0].parked_at), ("it says nothing", at(7)));
    Verdict::Kept
}

/// An entry that was parked can be put back: it stands before what was left after it, and its bell rings.
pub async fn a_parked_entry_is_put_back_to_its_place(rig: &dyn Rig) -> Verdict {
    let desk = needs_outbox!(rig);
    desk.leave(["1", "2"], TransactionEnd::Committed);
    let [first, _] = desk.entries().await;
    let park = Relayed { id: first.id, end: EntryEnd::Parked { error: "too new".to_owned() } };
    desk.relay(vec![park]).await.expect("it is the first");
    let parked = desk.bench.store.parked_entries(10).await.expect("parked entries");
    let bell = desk.bench.store.outbox_bell();
    let before = *bell.borrow();
    assert!(desk.bench.store.retry_entry(parked[0].id).await.expect("retry"));
    assert!(*bell.borrow() > before);
    assert!(!desk.bench.store.retry_entry(parked[0].id).await.expect("retry"), "it is not parked any more");
    assert_eq!((desk.texts().await, desk.counts().await), (vec!["1".to_owned(), "2".to_owned()], (2, 0)));
    let [first, second] = desk.entries().await;
    let both = vec![logged(&desk, &first, 1), logged(&desk, &second, 2)];
    desk.relay(both).await.expect("they are the first");
    assert_eq!(desk.bench.counters().await.logged, 2);
    Verdict::Kept
}

/// A text that was left twice is logged once, within one commit or over several; other tasks of the commit are logged.
pub async fn an_entry_that_was_left_twice_is_logged_once(rig: &dyn Rig) -> Verdict {
    let desk = needs_outbox!(rig);
    desk.leave(["1", "1"], TransactionEnd::Committed);
    let [first, again] = desk.entries().await;
    let both = vec![logged(&desk, &first, 1), logged(&desk, &again, 1)];
    let committed = desk.relay(both).await.expect("they are the first");
    assert_eq!(committed.relayed.iter().map(Vec::len).collect::<Vec<_>>(), [1, 0]);
    desk.leave(["1", "2"], TransactionEnd::Committed);
    let [again, second] = desk.entries().await;
    let both = vec![logged(&desk, &again, 1), logged(&desk, &second, 2)];
    let committed = desk.relay(both).await.expect("they are the first");
    assert_eq!(committed.relayed.iter().map(Vec::len).collect::<Vec<_>>(), [0, 1]);
    assert_eq!((desk.texts().await.len(), desk.bench.counters().await.logged), (0, 2));
    Verdict::Kept
}

/// The name of an entry is known as long as one of its tasks is kept.
pub async fn a_name_of_an_entry_is_known_while_its_task_is_kept(rig: &dyn Rig) -> Verdict {
    let desk = needs_outbox!(rig);
    for (ends, expected) in [(false, 1), (true, 0), (false, 1)] {
        desk.leave(["1"], TransactionEnd::Committed);
        let [entry] = desk.entries().await;
        let committed = desk.relay(vec![logged(&desk, &entry, 1)]).await.expect("it is the first");
        assert_eq!(committed.relayed[0].len(), expected);
        if ends {
            let claimed = desk.bench.claim(1, at(0)).await;
            desk.bench.settle(claimed[0], Outcome::Completed).await;
            assert_eq!(desk.bench.store.prune(&desk.bench.queue, at(1), 10).await.expect("prune"), 1);
        }
    }
    Verdict::Kept
}

/// What is relayed rings its queue, and is claimed at once for an owner who has time.
pub async fn what_is_relayed_is_logged_as_anything_else(rig: &dyn Rig) -> Verdict {
    let desk = needs_outbox!(rig);
    desk.leave(["1", "2"], TransactionEnd::Committed);
    let [first, second] = desk.entries().await;
    let before = desk.bench.rings();
    desk.relay(vec![logged(&desk, &first, 1)]).await.expect("it is the first");
    assert!(desk.bench.rings() > before);
    let [open] = &desk.bench.open_deliveries().await[..] else { panic!("one is open") };
    assert_eq!(desk.bench.claim(10, at(0)).await, [open.delivery]);
    desk.bench.settle(open.delivery, Outcome::Completed).await;
    let commit = Commit {
        relayed: vec![logged(&desk, &second, 2)],
        claim_for: vec![desk.bench.owner.clone()],
        ..Commit::at(at(0))
    };
    let committed = desk.bench.commit(commit).await;
    let claimed: Vec<DeliveryId> = committed.claimed.iter().map(|(_, claimed)| claimed.delivery).collect();
    assert_eq!(claimed.len(), 1);
    assert_eq!(Some(&committed.claimed[0].1.task), committed.relayed[0].first());
    desk.bench.settle(claimed[0], Outcome::Completed).await;
    desk.bench.audit().await;
    Verdict::Kept
}

/// Whoever listens hears that a transaction was committed without the store's doing.
pub async fn a_foreign_commit_rings(rig: &dyn Rig) -> Verdict {
    let desk = needs_outbox!(rig);
    let mut bell = desk.bench.store.outbox_bell();
    bell.mark_unchanged();
    desk.leave(["1"], TransactionEnd::Committed);
    let heard = tokio::time::timeout(PATIENCE, bell.changed()).await;
    heard.expect("it rings in time").expect("the store is open");
    assert_eq!(desk.texts().await, ["1"]);
    bell.mark_unchanged();
    desk.bench.store.ring_outbox();
    assert!(bell.has_changed().expect("the store is open"), "rung by hand");
    Verdict::Kept
}

/// A look answers no more than it was asked for, and is not stopped by a large entry.
pub async fn a_look_at_the_outbox_is_limited(rig: &dyn Rig) -> Verdict {
    let desk = needs_outbox!(rig);
    let large = format!("\"{}\"", "x".repeat(crate::outbox::OUTBOX_BYTES_MAX));
    desk.leave([large.as_str(), "2", "3"], TransactionEnd::Committed);
    assert_eq!(desk.bench.store.outbox(10).await.expect("outbox").len(), 1);
    let [first] = desk.entries().await;
    desk.relay(vec![logged(&desk, &first, 1)]).await.expect("it is the first");
    assert_eq!(desk.bench.store.outbox(1).await.expect("outbox").len(), 1);
    assert_eq!(desk.texts().await, ["2", "3"]);
    Verdict::Kept
}

/// A relay without a task for an entry, or with a task for nobody, contradicts itself.
pub async fn a_relay_of_nothing_is_refused(rig: &dyn Rig) -> Verdict {
    let desk = needs_outbox!(rig);
    desk.leave(["1"], TransactionEnd::Committed);
    let [entry] = desk.entries().await;
    let nobody = NewTask { deliveries: Vec::new(), ..task(&desk.bench.queue, "x") };
    for tasks in [Vec::new(), vec![nobody]] {
        let end = EntryEnd::Logged { key: Uuid::from_u128(1), tasks };
        let refused = desk.relay(vec![Relayed { id: entry.id, end }]).await;
        assert_eq!(kind_of(refused), Some(StoreErrorKind::Unsupported));
        assert_eq!(desk.texts().await, ["1"]);
    }
    Verdict::Kept
}

/// What nobody is to be told of leaves the outbox in its turn, and is neither logged nor parked.
pub async fn an_entry_that_concerns_nobody_leaves_nothing(rig: &dyn Rig) -> Verdict {
    let desk = needs_outbox!(rig);
    desk.leave(["1", "2", "3"], TransactionEnd::Committed);
    let [first, second, third] = desk.entries().await;
    let untold = |entry: &OutboxEntry| Relayed { id: entry.id, end: EntryEnd::Untold };
    assert_eq!(kind_of(desk.relay(vec![untold(&second)]).await), Some(StoreErrorKind::Conflict));
    let committed =
        desk.relay(vec![untold(&first), logged(&desk, &second, 2)]).await.expect("they are the first");
    assert_eq!(committed.relayed.iter().map(Vec::len).collect::<Vec<_>>(), [0, 1]);
    assert_eq!((desk.texts().await, desk.counts().await), (vec!["3".to_owned()], (1, 0)));
    desk.relay(vec![untold(&third)]).await.expect("it is the first");
    assert_eq!(desk.counts().await, (0, 0));
    assert_eq!(desk.bench.open_deliveries().await.len(), 1);
    Verdict::Kept
}

/// A store, and somebody else's connection to its data.
pub(super) struct Desk {
    pub(super) bench: Bench,
    foreign: Box<dyn Foreign>,
    statement: &'static str,
}

impl Desk {
    /// `None` where the store does not claim that a transaction of somebody else can reach it.
    pub(super) async fn open(rig: &dyn Rig) -> Option<Self> {
        let bench = Bench::open(rig).await;
        let statement = bench.store.capabilities().log_statement?;
        let foreign =
            rig.foreign().expect("a rig of a store that claims a statement has a foreign connection");
        Some(Self { bench, foreign, statement })
    }

    pub(super) fn leave<const N: usize>(&self, texts: [&str; N], end: TransactionEnd) {
        self.try_leave(texts, end).expect("the store takes it");
    }

    pub(super) fn try_leave<const N: usize>(
        &self,
        texts: [&str; N],
        end: TransactionEnd,
    ) -> Result<(), String> {
        self.foreign.execute(self.statement, &texts, end)
    }

    pub(super) async fn entries<const N: usize>(&self) -> [OutboxEntry; N] {
        let entries = self.bench.store.outbox(100).await.expect("outbox");
        entries.try_into().unwrap_or_else(|entries| panic!("{N} entries were expected: {entries:?}"))
    }

    async fn texts(&self) -> Vec<String> {
        let entries = self.bench.store.outbox(100).await.expect("outbox");
        entries.into_iter().map(|entry| String::from_utf8(entry.text).expect("as it was left")).collect()
    }

    async fn counts(&self) -> (u64, u64) {
        let OutboxCounts { entries, parked } = self.bench.store.outbox_counts().await.expect("counts");
        (entries, parked)
    }

    pub(super) async fn relay(&self, relayed: Vec<Relayed>) -> Result<Committed, StoreError> {
        self.bench.store.commit(Commit { relayed, ..Commit::at(at(7)) }).await
    }
}

/// The entry is logged as one task, and has this name.
fn logged(desk: &Desk, entry: &OutboxEntry, name: u128) -> Relayed {
    let tasks = vec![task(&desk.bench.queue, "x")];
    Relayed { id: entry.id, end: EntryEnd::Logged { key: Uuid::from_u128(name), tasks } }
}
