//! What is claimed and has not begun is available, as people see it.

use bus_core::{DeliveryState, Direction};
use bus_runtime::{
    ConnectorState, DeliveryFilter, InterventionReport, Ordering, QueueId, Selection, Verdict,
};
use bus_testkit::{RunningTestBus, TestBus};
use bus_tests::User;

use crate::gates::{Gates, with_gates};
use crate::told::{ops, until};

stories!(
    what_has_not_begun_is_shown_as_available,
    pages_of_states_hold_what_they_show,
    what_runs_is_left_to_its_connector,
    what_has_not_begun_is_the_operators,
    all_that_has_not_begun_can_be_cancelled_at_once,
    in_a_queue_in_order_it_is_the_operators_when_nothing_runs
);

fn queue() -> QueueId {
    QueueId::new("gated".parse().unwrap(), Direction::Outgoing)
}

/// A bus that has claimed six deliveries at once, of which the first runs until it is let go.
async fn with_six(bus: TestBus) -> (RunningTestBus, Gates) {
    let (bus, gates) = with_gates(bus, |_| {});
    let bus = bus.start().await;
    let name = "gated".parse().unwrap();
    bus.set_connector_state(&name, ConnectorState::Paused).await.unwrap();
    for login in ["a", "b", "c", "d", "e", "f"] {
        bus.objects().save(&mut User::new(login, "1")).await.unwrap();
    }
    gates.hold("a");
    bus.set_connector_state(&name, ConnectorState::Enabled).await.unwrap();
    until(async || gates.running() == ["a"]).await;
    (bus, gates)
}

async fn what_has_not_begun_is_shown_as_available(bus: TestBus) {
    let (bus, gates) = with_six(bus).await;
    let rows = bus.open("gated", Direction::Outgoing).await;
    let seen: Vec<_> = rows.iter().map(|row| (row.state, row.attempts)).collect();
    let mut expected = vec![(DeliveryState::Available, 0); 6];
    expected[0] = (DeliveryState::Running, 1);
    assert_eq!(seen, expected);
    let detail = bus.delivery(rows[1].delivery).await.unwrap();
    assert_eq!((detail.summary.state, detail.summary.attempts), (DeliveryState::Available, 0));
    let queues = bus.queues().await.unwrap();
    let status = queues.iter().find(|status| status.queue == queue()).unwrap();
    assert_eq!((status.open.running, status.open.available), (1, 5));
    gates.let_go("a");
    bus.until_idle().await;
    assert_eq!(bus.counters("gated", Direction::Outgoing).await.completed, 6);
}

async fn pages_of_states_hold_what_they_show(bus: TestBus) {
    let (bus, gates) = with_six(bus).await;
    let all = bus.open("gated", Direction::Outgoing).await;
    let of = |state, limit, after: Option<usize>| DeliveryFilter {
        state: Some(state),
        limit,
        after: after.map(|place| all[place].delivery),
        key: None,
    };
    let list = async |filter| -> Vec<usize> {
        let rows = bus.deliveries(&queue(), &filter).await.unwrap();
        let place = |delivery| all.iter().position(|row| row.delivery == delivery).unwrap();
        rows.iter().map(|row| place(row.delivery)).collect()
    };
    assert_eq!(list(of(DeliveryState::Running, 0, None)).await, [0]);
    assert_eq!(list(of(DeliveryState::Running, 0, Some(0))).await, [] as [usize; 0]);
    assert_eq!(list(of(DeliveryState::Available, 2, None)).await, [1, 2]);
    assert_eq!(list(of(DeliveryState::Available, 2, Some(2))).await, [3, 4]);
    let selected = bus.select(&queue(), &of(DeliveryState::Available, 0, None)).await.unwrap();
    assert_eq!(selected.len(), 5);
    gates.let_go("a");
    bus.until_idle().await;
}

async fn what_runs_is_left_to_its_connector(bus: TestBus) {
    let (bus, gates) = with_six(bus).await;
    let running = bus.open("gated", Direction::Outgoing).await[0].delivery;
    for report in [
        bus.cancel(running, &ops()).await.unwrap(),
        bus.skip(running, &ops()).await.unwrap(),
        bus.retry(running, &ops()).await.unwrap(),
    ] {
        assert_eq!(report.items[0].verdict, Verdict::Running);
    }
    gates.let_go("a");
    bus.until_idle().await;
    assert_eq!(gates.passed().len(), 6);
}

async fn what_has_not_begun_is_the_operators(bus: TestBus) {
    let (bus, gates) = with_six(bus).await;
    let rows = bus.open("gated", Direction::Outgoing).await;
    let verdict = |report: InterventionReport| report.items[0].verdict.clone();
    assert_eq!(verdict(bus.skip(rows[2].delivery, &ops()).await.unwrap()), Verdict::NeverCalled);
    assert_eq!(verdict(bus.retry(rows[3].delivery, &ops()).await.unwrap()), Verdict::Ready);
    let cancelled = verdict(bus.cancel(rows[1].delivery, &ops()).await.unwrap());
    assert!(matches!(cancelled, Verdict::Done { .. }), "{cancelled:?}");
    assert_eq!(bus.delivery(rows[1].delivery).await.unwrap().summary.state, DeliveryState::Cancelled);
    // Those that it was claimed with go on, with all of their attempts.
    let selected = bus.select(&queue(), &DeliveryFilter::default()).await.unwrap();
    assert_eq!(selected.len(), 5);
    gates.let_go("a");
    bus.until_idle().await;
    let mut passed = gates.passed();
    passed.sort();
    assert_eq!(passed, ["a", "c", "d", "e", "f"].map(|login| format!("create {login} 1")));
    let counters = bus.counters("gated", Direction::Outgoing).await;
    assert_eq!((counters.completed, counters.cancelled, counters.retried), (5, 1, 0));
}

async fn all_that_has_not_begun_can_be_cancelled_at_once(bus: TestBus) {
    let (bus, gates) = with_six(bus).await;
    // Behind what runs, of the same object: left to its turn.
    let mut a: User = bus.objects().find("a").await.unwrap().unwrap();
    a.name = "2".to_owned();
    bus.objects().save(&mut a).await.unwrap();
    let all = Selection::Matching { queue: queue(), filter: DeliveryFilter::default() };
    let report = bus.cancel(all, &ops()).await.unwrap();
    assert!((5..=6).contains(&report.done()), "{report}");
    gates.let_go("a");
    bus.until_idle().await;
    let counters = bus.counters("gated", Direction::Outgoing).await;
    assert_eq!((counters.completed + counters.cancelled, counters.open), (7, 0));
    assert_eq!(usize::try_from(counters.cancelled), Ok(report.done()));
}

async fn in_a_queue_in_order_it_is_the_operators_when_nothing_runs(bus: TestBus) {
    let (bus, gates) = with_gates(bus, |processing| processing.ordering = Ordering::Connector);
    let bus = bus.start().await;
    gates.hold("a");
    for login in ["a", "b", "c"] {
        bus.objects().save(&mut User::new(login, "1")).await.unwrap();
    }
    until(async || gates.running() == ["a"]).await;
    let rows = bus.open("gated", Direction::Outgoing).await;
    bus.cancel(rows[2].delivery, &ops()).await.unwrap();
    gates.let_go("a");
    bus.until_idle().await;
    let counters = bus.counters("gated", Direction::Outgoing).await;
    assert_eq!((counters.completed + counters.cancelled, counters.open), (3, 0));
    assert_eq!(gates.passed()[..2], ["create a 1", "create b 1"]);
}
