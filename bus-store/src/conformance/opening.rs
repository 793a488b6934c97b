//! Laws of opening and closing a [`Store`](crate::Store).

use bus_core::{Direction, Site};

use super::bench::{
    Bench, aside, at, binding, bound_to, by_code_name, connector, deferred, ids, intervention, kind_of,
    parked, redelivery, retry, settlement, task, user, user_key, user_type, waiting_for,
};
use super::{Rig, Verdict, needs_reopening};
use crate::objects::ObjectRecord;
use crate::operate::Verb;
use crate::queue::{Outcome, QueueId, Terms, Wanted};
use crate::task_log::{Commit, IdempotencyKey, NewTask};
use crate::{
    Circuit, ConnectorRecord, ConnectorState, DeliveryFilter, RecordOwner, StoreErrorKind, Switches,
};

/// What was acknowledged is there when the same data is opened again: tasks, objects, bindings, outcomes, counters,
/// records and switches.
pub async fn what_was_acknowledged_is_there_after_reopening(rig: &dyn Rig) -> Verdict {
    let mut bench = Bench::open(rig).await;
    needs_reopening!(bench.store);
    let [_, failed, waits, asideling, stuck, fresh] = bench.log(["a", "b", "c", "d", "e", "f"]).await;
    bench.claim(5, at(0)).await;
    let outcomes = [Outcome::Completed, retry(9), waiting_for(bound_to(4), 9), aside(9), parked()];
    let there = bench.open_deliveries().await;
    for (summary, outcome) in there.iter().zip(outcomes) {
        bench.settle(summary.delivery, outcome).await;
    }
    bench.save([ObjectRecord { code_name: Some("jane".to_owned()), ..user(17) }]).await;
    bench.bind(binding(17, "003a")).await;
    let record = ConnectorRecord {
        name: connector("crm"),
        display_name: "CRM".to_owned(),
        uses: "crm".to_owned(),
        state: ConnectorState::Paused,
        settings: serde_json::json!({ "url": "https://crm.example" }),
        processing: serde_json::json!({ "concurrency": 4 }),
        owner: RecordOwner::Operator,
    };
    bench.store.save_connector(record.clone()).await.unwrap();
    let switches = Switches { log_incoming: false, ..Switches::default() };
    bench.store.set_switches(switches).await.unwrap();
    let before = (bench.counters().await, bench.counts().await, bench.open_deliveries().await);
    let details = [failed, waits, asideling, stuck, fresh];
    let mut details_before = Vec::new();
    for id in details {
        details_before.push(bench.detail(id).await);
    }

    bench.store.close().await;
    bench.store = rig.open().await;
    assert_eq!((bench.counters().await, bench.counts().await, bench.open_deliveries().await), before);
    for detail in details_before {
        assert_eq!(bench.detail(detail.summary.delivery).await, detail);
    }
    assert_eq!(bench.find(&by_code_name("jane")).await, Some(user_key(17)));
    assert_eq!(bench.host_id("003a").await, Some(user_key(17).id));
    assert_eq!(bench.store.connectors().await.unwrap(), [record]);
    assert_eq!(bench.store.switches().await.unwrap(), Some(switches));
    let former = bench.acquire_again().await;
    assert!(bench.owner.epoch > former.epoch, "an epoch is never given twice");
    assert_eq!(bench.claim(10, at(0)).await, [fresh]);
    bench.bind(binding(4, "003b")).await;
    assert_eq!(bench.claim(10, at(0)).await, [waits], "what waited before is woken");
    Verdict::Kept
}

/// What ended is there when the same data is opened again, and so are interventions, what was deferred or superseded,
/// idempotency keys and circuits.
pub async fn history_is_there_after_reopening(rig: &dyn Rig) -> Verdict {
    let mut bench = Bench::open(rig).await;
    needs_reopening!(bench.store);
    let overtaken = bench.log_settled("x", aside(9)).await;
    let completed = bench.log_settled("x", Outcome::Completed).await;
    let deferred = bench.log_settled("y", deferred(9)).await;
    let skipped = bench.log_settled("z", parked()).await;
    bench.intervene(Verb::Skip, [skipped]).await;
    let retried = bench.log_settled("v", parked()).await;
    bench.intervene(Verb::Retry, [retried]).await;
    let incoming = QueueId::new(connector("crm"), Direction::Incoming);
    let idempotency = Some(IdempotencyKey { key: "k".to_owned(), digest: vec![1, 2] });
    let sent = NewTask { idempotency, redelivers: Some(redelivery(completed)), ..task(&incoming, "x") };
    let sent_before = bench.commit(Commit { tasks: vec![sent.clone()], ..Commit::at(at(0)) }).await;
    let circuit = Circuit { opened_at: at(1), probe_at: at(31), failures: 5, error: "refused".to_owned() };
    bench.store.set_circuit(&connector("crm"), Some(circuit.clone())).await.unwrap();
    let mut details_before = Vec::new();
    for id in [overtaken, completed, deferred, skipped, retried] {
        details_before.push(bench.detail(id).await);
    }
    let audit_before = bench.audit().await;

    bench.store.close().await;
    bench.store = rig.open().await;
    for detail in details_before {
        assert_eq!(bench.detail(detail.summary.delivery).await, detail);
    }
    assert_eq!(bench.audit().await, audit_before);
    assert_eq!(bench.store.circuits().await.unwrap(), [(connector("crm"), circuit)]);
    let sent_again = bench.commit(Commit { tasks: vec![sent.clone()], ..Commit::at(at(0)) }).await;
    assert_eq!(sent_again.repeated, sent_before.tasks);
    let idempotency = Some(IdempotencyKey { key: "k".to_owned(), digest: vec![1] });
    let something_else = NewTask { idempotency, ..sent };
    let refused = bench.store.commit(Commit { tasks: vec![something_else], ..Commit::at(at(0)) }).await;
    assert_eq!(kind_of(refused), Some(StoreErrorKind::KeyReused));
    bench.acquire_again().await;
    assert_eq!(bench.intervene(Verb::Cancel, [retried]).await, [crate::Verdict::WasCalled]);
    let claimed = bench.claim_whole(10, at(9)).await.deliveries;
    let one = |id| claimed.iter().find(|claimed| claimed.delivery == id).expect("it is due");
    assert_eq!(one(overtaken).superseded_by, Some(completed));
    assert_eq!((one(deferred).defers, one(deferred).deferred_since), (1, Some(at(0))));
    assert_eq!(bench.store.prune(&bench.queue, at(9), 9).await.unwrap(), 2);
    Verdict::Kept
}

/// Ids, and numbers of objects, go on where they were when the same data is opened again.
pub async fn ids_go_on_after_reopening(rig: &dyn Rig) -> Verdict {
    let mut bench = Bench::open(rig).await;
    needs_reopening!(bench.store);
    let [before] = bench.log(["x"]).await;
    let task_before = bench.claim_and_settle(at(0), Outcome::Completed).await.task;
    let number_before = bench.store.new_object_numbers(1).await.unwrap()[0];
    bench.save([user(500)]).await;
    bench.delete(&user_key(500), 1).await;
    bench.store.close().await;

    bench.store = rig.open().await;
    bench.acquire_again().await;
    let [after] = bench.log(["x"]).await;
    assert!(after > before, "{after} after {before}");
    assert!(bench.claim_one(at(0)).await.task > task_before);
    let number = bench.store.new_object_numbers(1).await.unwrap()[0];
    assert!(number > number_before && number > 500, "{number}");
    Verdict::Kept
}

/// What was claimed when the store was closed is charged, and claimed alone from then on.
pub async fn what_was_claimed_before_reopening_is_charged_and_claimed_alone(rig: &dyn Rig) -> Verdict {
    let mut bench = Bench::open(rig).await;
    needs_reopening!(bench.store);
    let [a, b, c] = bench.log(["x", "y", "z"]).await;
    assert_eq!(bench.claim(2, at(0)).await, [a, b]);
    bench.store.close().await;

    bench.store = rig.open().await;
    let former = bench.acquire_again().await;
    let claim = bench.claim_whole(10, at(0)).await;
    assert_eq!((ids(&claim), claim.deliveries[0].attempt), (vec![a], 2));
    let late = bench.try_settle(&former, vec![settlement(b, Outcome::Completed)], at(0)).await;
    assert_eq!(kind_of(late), Some(StoreErrorKind::Stale));
    let claim = bench.claim_whole(10, at(0)).await;
    assert_eq!((ids(&claim), claim.deliveries[0].attempt), (vec![b], 2));
    assert_eq!(bench.claim(10, at(0)).await, [c]);
    Verdict::Kept
}

/// After `close`, every call answers `Closed`; closing again does nothing.
pub async fn after_closing_every_call_answers_closed(rig: &dyn Rig) {
    let bench = Bench::open(rig).await;
    let [delivery] = bench.log(["x"]).await;
    let (store, crm) = (&bench.store, connector("crm"));
    store.close().await;
    store.close().await;
    let closed = Some(StoreErrorKind::Closed);
    assert_eq!(kind_of(store.commit(Commit::at(at(0))).await), closed, "commit");
    assert_eq!(kind_of(store.acquire(&bench.queue, Terms::default(), at(0)).await), closed, "acquire");
    assert_eq!(kind_of(store.release(&bench.owner).await), closed, "release");
    assert_eq!(kind_of(store.wait_until_free(&bench.queue).await), closed, "wait until free");
    assert_eq!(kind_of(store.heartbeat().await), closed, "heartbeat");
    assert_eq!(kind_of(store.claim(&bench.owner, Wanted::up_to(1), at(0)).await), closed, "claim");
    assert_eq!(kind_of(store.external_ids(&crm, &[user_key(1)]).await), closed, "external ids");
    assert_eq!(kind_of(store.host_ids(&crm, &[(user_type(), String::new())]).await), closed, "host ids");
    assert_eq!(kind_of(store.bindings(&crm, None, 1).await), closed, "bindings");
    assert_eq!(kind_of(store.object(&user_key(1)).await), closed, "object");
    assert_eq!(kind_of(store.find_object(&by_code_name("x")).await), closed, "find object");
    assert_eq!(kind_of(store.list_objects(&user_type(), None, 1).await), closed, "list objects");
    assert_eq!(kind_of(store.count_objects(&user_type()).await), closed, "count objects");
    assert_eq!(kind_of(store.sites_of(&user_key(1)).await), closed, "sites of");
    assert_eq!(kind_of(store.walk_objects(&[user_type()], 0, 1).await), closed, "walk objects");
    assert_eq!(kind_of(store.resyncs().await), closed, "resyncs");
    assert_eq!(kind_of(store.cancel_resync(crate::ResyncId(1)).await), closed, "cancel resync");
    assert_eq!(kind_of(store.new_object_numbers(1).await), closed, "new object numbers");
    let corp = Site::new("corp").expect("a site's name");
    assert_eq!(kind_of(store.sites().await), closed, "sites");
    assert_eq!(kind_of(store.save_site(corp.clone()).await), closed, "save site");
    assert_eq!(kind_of(store.remove_site(&corp.name).await), closed, "remove site");
    assert_eq!(kind_of(store.connectors().await), closed, "connectors");
    let state = ConnectorState::Enabled;
    assert_eq!(kind_of(store.set_connector_state(&crm, state).await), closed, "set connector state");
    assert_eq!(kind_of(store.switches().await), closed, "switches");
    assert_eq!(kind_of(store.set_switches(Switches::default()).await), closed, "set switches");
    assert_eq!(kind_of(store.queues().await), closed, "queues");
    assert_eq!(kind_of(store.counters(&bench.queue).await), closed, "counters");
    assert_eq!(kind_of(store.queue_counts(&bench.queue).await), closed, "queue counts");
    let filter = DeliveryFilter::default();
    assert_eq!(kind_of(store.deliveries(&bench.queue, &filter).await), closed, "deliveries");
    assert_eq!(kind_of(store.delivery(delivery).await), closed, "delivery");
    assert_eq!(kind_of(store.open_of_key(&bench.queue, "x", 1).await), closed, "open of key");
    assert_eq!(kind_of(store.awaited_by_key(&bench.queue, "x").await), closed, "awaited by key");
    assert_eq!(kind_of(store.intervene(intervention(Verb::Retry, [delivery])).await), closed, "intervene");
    assert_eq!(kind_of(store.prune(&bench.queue, at(0), 1).await), closed, "prune");
    assert_eq!(kind_of(store.audit(&bench.queue).await), closed, "audit");
    assert_eq!(kind_of(store.delete_connector(&crm).await), closed, "delete connector");
    assert_eq!(kind_of(store.set_circuit(&crm, None).await), closed, "set circuit");
    assert_eq!(kind_of(store.circuits().await), closed, "circuits");
    assert_eq!(kind_of(store.outbox(1).await), closed, "outbox");
    assert_eq!(kind_of(store.parked_entries(1).await), closed, "parked entries");
    assert_eq!(kind_of(store.retry_entry(1).await), closed, "retry entry");
    assert_eq!(kind_of(store.outbox_counts().await), closed, "outbox counts");
    // The doorbell cannot fail; it must not panic either.
    store.ring(&bench.queue);
    let _ = store.doorbell(&bench.queue).borrow();
    store.ring_outbox();
    let _ = store.outbox_bell().borrow();
}
