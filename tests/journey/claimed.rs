//! What is claimed and has not begun is available, as people see it.

use bus_core::{DeliveryState, Direction};
use bus_runtime::{ConnectorState, DeliveryFilter, QueueId, Selection, Verdict};
use bus_testkit::{RunningTestBus, TestBus};
use bus_tests::User;

use crate::gates::{Gates, with_gates};
use crate::told::{ops, until};

stories!(
    what_has_not_begun_is_shown_as_available,
    pages_of_states_hold_what_they_show,
    what_is_claimed_cannot_be_ended_by_an_operator
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

async fn what_is_claimed_cannot_be_ended_by_an_operator(bus: TestBus) {
    let (bus, gates) = with_six(bus).await;
    let rows = bus.open("gated", Direction::Outgoing).await;
    for row in &rows[..2] {
        for report in [
            bus.cancel(row.delivery, &ops()).await.unwrap(),
            bus.skip(row.delivery, &ops()).await.unwrap(),
            bus.retry(row.delivery, &ops()).await.unwrap(),
        ] {
            assert_eq!(report.items[0].verdict, Verdict::Running);
        }
    }
    let all = Selection::Matching { queue: queue(), filter: DeliveryFilter::default() };
    assert_eq!(bus.cancel(all, &ops()).await.unwrap().done(), 0);
    gates.let_go("a");
    bus.until_idle().await;
    assert_eq!(gates.passed().len(), 6);
}
