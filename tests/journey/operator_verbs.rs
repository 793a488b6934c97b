//! What operators do to deliveries: each in its order, and each answered.

use std::time::Duration;

use bus_core::{DeliveryId, DeliveryState, Direction, ExternalTask};
use bus_runtime::{
    BusErrorKind, ConnectorState, DeliveryFilter, Operator, QueueId, Selection, Verb, Verdict,
};
use bus_testkit::{FakePeer, RunningTestBus, Script, TestBus};
use bus_tests::{Contact, Crm, EventLog, User};

use crate::told::{ops, with_crm};

stories!(
    a_retry_keeps_the_order_and_says_who_stands_behind_whom,
    a_skip_lets_the_key_go_on_and_is_written_down,
    what_was_never_called_is_cancelled_and_what_was_called_is_skipped,
    a_whole_key_is_ended_in_one_call,
    what_changed_since_it_was_selected_is_left_alone,
    what_is_not_there_is_unknown,
    more_than_fits_into_one_step_is_done_in_parts,
    an_operator_without_a_name_is_refused
);

fn outgoing() -> QueueId {
    QueueId::new("event-log".parse().unwrap(), Direction::Outgoing)
}

/// A bus on which the create of ada is parked, and two updates stand behind it; and a create of bob is through.
async fn with_a_parked_create(bus: TestBus) -> (RunningTestBus, FakePeer, User) {
    let log = FakePeer::new("log");
    log.script([Script::Reject("no".to_owned())]);
    let bus = bus.connector::<EventLog>("event-log").object::<User>().provide(log.clone()).start().await;
    let mut ada = User::new("ada", "Ada");
    bus.objects().save(&mut ada).await.unwrap();
    bus.until_idle().await;
    for name in ["Ada L.", "Ada Lovelace"] {
        ada.name = name.to_owned();
        bus.objects().save(&mut ada).await.unwrap();
    }
    bus.objects().save(&mut User::new("bob", "Bob")).await.unwrap();
    bus.until_idle().await;
    assert_eq!(log.take_calls(), ["create ada snapshot", "create bob snapshot"]);
    (bus, log, ada)
}

async fn ids(bus: &RunningTestBus) -> Vec<DeliveryId> {
    bus.open("event-log", Direction::Outgoing).await.iter().map(|row| row.delivery).collect()
}

async fn a_retry_keeps_the_order_and_says_who_stands_behind_whom(bus: TestBus) {
    let (bus, log, _) = with_a_parked_create(bus).await;
    let open = ids(&bus).await;
    let all = Selection::Matching { queue: outgoing(), filter: DeliveryFilter::default() };
    let report = bus.retry(all, &ops()).await.unwrap();
    let verdicts: Vec<_> = report.items.iter().map(|item| item.verdict.clone()).collect();
    let blocked = Verdict::BlockedBy(open[0]);
    assert_eq!(verdicts, [Verdict::Done { later: Vec::new() }, blocked.clone(), blocked]);
    assert_eq!(report.to_string(), "1 retried, 2 blocked");
    bus.until_idle().await;
    assert_eq!(log.calls(), ["create ada snapshot", "update ada snapshot", "update ada snapshot"]);
    let retried = bus.delivery(open[0]).await.unwrap();
    assert_eq!(retried.summary.state, DeliveryState::Completed);
    assert_eq!((retried.interventions[0].verb, retried.interventions[0].by.as_str()), (Verb::Retry, "jane"));
}

async fn a_skip_lets_the_key_go_on_and_is_written_down(bus: TestBus) {
    let (bus, log, _) = with_a_parked_create(bus).await;
    let open = ids(&bus).await;
    let report = bus.skip(open[0], &ops()).await.unwrap();
    assert_eq!(report.later(), open[1..], "what may make no sense without the create");
    bus.until_idle().await;
    assert_eq!(log.calls(), ["update ada snapshot", "update ada snapshot"]);
    let skipped = bus.delivery(open[0]).await.unwrap();
    assert_eq!(skipped.summary.state, DeliveryState::Skipped);
    assert_eq!(skipped.summary.reason.as_deref(), Some("the story says so"));
    assert_eq!((skipped.interventions[0].verb, skipped.interventions[0].by.as_str()), (Verb::Skip, "jane"));
    let counters = bus.counters("event-log", Direction::Outgoing).await;
    assert_eq!((counters.logged, counters.completed, counters.skipped, counters.open), (4, 3, 1, 0));
    let of_skipped = DeliveryFilter { state: Some(DeliveryState::Skipped), ..DeliveryFilter::default() };
    assert_eq!(bus.deliveries(&outgoing(), &of_skipped).await.unwrap()[0].delivery, open[0]);
}

async fn what_was_never_called_is_cancelled_and_what_was_called_is_skipped(bus: TestBus) {
    let (bus, log, _) = with_a_parked_create(bus).await;
    let open = ids(&bus).await;
    let cancelled = bus.cancel(open[0], &ops()).await.unwrap();
    assert_eq!(
        cancelled.items[0].to_string(),
        format!("delivery {} was called already; skip it instead", open[0])
    );
    let skipped = bus.skip(open[1], &ops()).await.unwrap();
    assert_eq!(
        skipped.items[0].to_string(),
        format!("delivery {} was never called; cancel it instead", open[1])
    );
    assert_eq!(ids(&bus).await, open, "nothing has changed");
    assert_eq!(bus.cancel(open[1], &ops()).await.unwrap().done(), 1);
    assert_eq!(bus.skip(open[0], &ops()).await.unwrap().later(), [open[2]]);
    bus.until_idle().await;
    assert_eq!(log.calls(), ["update ada snapshot"]);
    let counters = bus.counters("event-log", Direction::Outgoing).await;
    assert_eq!((counters.skipped, counters.cancelled, counters.completed), (1, 1, 2));
}

async fn a_whole_key_is_ended_in_one_call(bus: TestBus) {
    let (bus, log, ada) = with_a_parked_create(bus).await;
    let filter = DeliveryFilter { key: Some(format!("app.user={}", ada.id)), ..DeliveryFilter::default() };
    let selected = bus.select(&outgoing(), &filter).await.unwrap();
    let report = bus.cancel(selected.clone(), &ops()).await.unwrap();
    // What stood behind another one it ended is not taken for something that somebody else has changed.
    assert_eq!(report.to_string(), "2 cancelled, 1 called already");
    assert_eq!(bus.skip(vec![selected[0]], &ops()).await.unwrap().later(), []);
    bus.until_idle().await;
    assert!(log.calls().is_empty());
}

async fn what_changed_since_it_was_selected_is_left_alone(bus: TestBus) {
    let (bus, log, _) = with_a_parked_create(bus).await;
    let selected = bus.select(&outgoing(), &DeliveryFilter::default()).await.unwrap();
    log.script([Script::Work, Script::Retry("not now".to_owned())]);
    bus.retry(selected[0].delivery, &ops()).await.unwrap();
    bus.until_idle().await;
    let report = bus.skip(selected, &ops()).await.unwrap();
    let verdicts: Vec<_> = report.items.iter().map(|item| item.verdict.clone()).collect();
    let never_called = Verdict::NeverCalled;
    assert_eq!(
        verdicts,
        [Verdict::Ended(DeliveryState::Completed), Verdict::Changed(DeliveryState::Retryable), never_called]
    );
    bus.clock().advance(Duration::from_mins(1));
    bus.until_idle().await;
    assert_eq!(bus.counters("event-log", Direction::Outgoing).await.completed, 4);
}

async fn what_is_not_there_is_unknown(bus: TestBus) {
    let (bus, _, _) = with_a_parked_create(bus).await;
    let report = bus.retry(DeliveryId(4711), &ops()).await.unwrap();
    assert_eq!(report.items[0].verdict, Verdict::Unknown);
    let nothing = DeliveryFilter { state: Some(DeliveryState::Waiting), ..DeliveryFilter::default() };
    let nothing = Selection::Matching { queue: outgoing(), filter: nothing };
    assert_eq!(bus.retry(nothing, &ops()).await.unwrap().to_string(), "nothing was selected");
}

async fn more_than_fits_into_one_step_is_done_in_parts(bus: TestBus) {
    let (bus, _, _) = with_crm(bus);
    let bus = bus.start().await;
    bus.set_connector_state(&"crm".parse().unwrap(), ConnectorState::Paused).await.unwrap();
    for number in 0..1_100 {
        let contact = Contact::new(&format!("{number}"), "x", "x");
        bus.process_external_task(ExternalTask::create::<Crm, _>("crm", &contact)).await.unwrap();
    }
    let queue = QueueId::new("crm".parse().unwrap(), Direction::Incoming);
    let ten = DeliveryFilter { limit: 10, ..DeliveryFilter::default() };
    assert_eq!(bus.select(&queue, &ten).await.unwrap().len(), 10);
    let all = Selection::Matching { queue, filter: DeliveryFilter::default() };
    let report = bus.cancel(all, &ops()).await.unwrap();
    assert_eq!(report.to_string(), "1100 cancelled");
    assert_eq!(bus.counters("crm", Direction::Incoming).await.cancelled, 1_100);
}

async fn an_operator_without_a_name_is_refused(bus: TestBus) {
    let (bus, _, _) = with_a_parked_create(bus).await;
    let open = ids(&bus).await;
    let error = bus.skip(open[0], &Operator::named(" ")).await.unwrap_err();
    assert_eq!(error.kind(), BusErrorKind::BadName);
    assert_eq!(ids(&bus).await, open);
}
