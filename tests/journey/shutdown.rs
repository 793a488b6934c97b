//! A bus that is told to stop: what runs may end, what does not is given back, and nothing is charged for it.

use std::sync::Arc;
use std::time::Duration;

use bus_core::{
    Change, Connector, Cx, Direction, ExternalTask, Failure, Incoming, NoSettings, Outgoing, Prepared,
    Received, connector,
};
use bus_store::QueueId;
use bus_testkit::{FakePeer, TestBus};
use bus_tests::{Contact, User};
use tokio::sync::Semaphore;

stories!(
    what_runs_ends_within_the_grace,
    what_outlasts_the_grace_is_dropped_and_given_back,
    a_connector_that_listens_is_told_to_stop,
    a_call_that_takes_too_long_is_dropped_and_tried_again
);

/// Delivers as many as it has permits for, and prepares likewise.
#[connector(name = "gate", create_once = repeatable, needs(Gate))]
#[outgoing(User, data = simple)]
#[incoming(Contact, key = uid)]
struct Gatekeeper;

/// Where deliveries arrive, and what lets them go on.
#[derive(Clone)]
struct Gate {
    arrived: Arc<Semaphore>,
    passing: Arc<Semaphore>,
    stopped: Arc<Semaphore>,
    listens: bool,
}

impl Gate {
    fn new(listens: bool) -> Self {
        let closed = || Arc::new(Semaphore::new(0));
        Self { arrived: closed(), passing: closed(), stopped: closed(), listens }
    }

    async fn pass(&self, cx: &Cx) -> Result<(), Failure> {
        self.arrived.add_permits(1);
        tokio::select! {
            passed = self.passing.acquire() => passed?.forget(),
            () = cx.cancelled(), if self.listens => {
                self.stopped.add_permits(1);
                return Err(Failure::disconnected("told to stop"));
            }
        }
        Ok(())
    }

    async fn arrival(&self) {
        self.arrived.acquire().await.unwrap().forget();
    }
}

impl Connector for Gatekeeper {
    type Settings = NoSettings;
    async fn connect(_: NoSettings, _: &Cx) -> Result<Self, Failure> {
        Ok(Self)
    }
}

impl Outgoing<User> for Gatekeeper {
    async fn deliver(&self, change: Change<User>, cx: &Cx) -> Result<(), Failure> {
        cx.handle::<Gate>()?.pass(cx).await?;
        cx.handle::<FakePeer>()?.say(format!("{} {}", change.object.login, change.attempt()))
    }
}

impl Incoming<Contact> for Gatekeeper {
    type Object = User;
    async fn prepare_internal_object(
        &self,
        received: Received<Contact, User>,
        cx: &Cx,
    ) -> Result<Prepared<User>, Failure> {
        cx.handle::<Gate>()?.pass(cx).await?;
        Ok(User::new(&received.object.login, &received.object.name).into())
    }
}

/// A bus with the gatekeeper, about to start, the gate, and the peer behind it.
fn with_gate(bus: TestBus, listens: bool) -> (TestBus, Gate, FakePeer) {
    let (gate, peer) = (Gate::new(listens), FakePeer::new("peer"));
    let bus =
        bus.connector::<Gatekeeper>("gate").object::<User>().provide(gate.clone()).provide(peer.clone());
    (bus, gate, peer)
}

async fn what_runs_ends_within_the_grace(bus: TestBus) {
    let (bus, gate, peer) = with_gate(bus, false);
    let bus = bus.start().await;
    for login in ["a", "b", "c"] {
        bus.objects().save(&mut User::new(login, login)).await.unwrap();
    }
    gate.arrival().await;
    let stopping = tokio::spawn({
        let bus = bus.clone();
        async move { bus.shutdown().await }
    });
    // It does not end before what runs has: only then is the first let through, and no second one started.
    tokio::task::yield_now().await;
    assert!(!stopping.is_finished());
    gate.passing.add_permits(3);
    let report = stopping.await.unwrap();
    assert!(!report.dropped_calls);
    assert_eq!(peer.calls()[0], "a 1");
    let done = u64::try_from(peer.calls().len()).unwrap();
    assert_eq!(report.open.iter().map(|(_, open)| *open).sum::<u64>(), 3 - done, "{report}");
}

async fn what_outlasts_the_grace_is_dropped_and_given_back(bus: TestBus) {
    let (bus, gate, peer) = with_gate(bus, false);
    let bus = bus.start().await;
    bus.objects().save(&mut User::new("a", "a")).await.unwrap();
    gate.arrival().await;
    let stopping = tokio::spawn({
        let bus = bus.clone();
        async move { bus.shutdown().await }
    });
    let clock = bus.clock().clone();
    // The grace begins when the shutdown does: move the clock until it has seen that.
    while !stopping.is_finished() {
        clock.advance(Duration::from_secs(5));
        tokio::task::yield_now().await;
    }
    let report = stopping.await.unwrap();
    assert!(report.dropped_calls, "{report}");
    assert_eq!(report.open, [(QueueId::new("gate".parse().unwrap(), Direction::Outgoing), 1)]);
    assert_eq!(peer.calls(), [] as [&str; 0]);
}

async fn a_connector_that_listens_is_told_to_stop(bus: TestBus) {
    let (bus, gate, _) = with_gate(bus, true);
    let bus = bus.start().await;
    bus.objects().save(&mut User::new("a", "a")).await.unwrap();
    bus.process_external_task(ExternalTask::create::<Gatekeeper, _>("gate", &Contact::new("1", "b", "b")))
        .await
        .unwrap();
    gate.arrival().await;
    gate.arrival().await;
    let report = bus.shutdown().await;
    assert_eq!(gate.stopped.available_permits(), 2);
    assert!(!report.dropped_calls);
    assert_eq!(report.open.len(), 2, "{report}");
}

async fn a_call_that_takes_too_long_is_dropped_and_tried_again(bus: TestBus) {
    let (bus, gate, peer) = with_gate(bus, false);
    let bus = bus.start().await;
    bus.objects().save(&mut User::new("a", "a")).await.unwrap();
    gate.arrival().await;
    bus.clock().advance(Duration::from_secs(31));
    bus.until_idle().await;
    let open = bus.open("gate", Direction::Outgoing).await;
    assert_eq!(open[0].reason.as_deref(), Some("the call took longer than 30000 ms and was dropped"));
    gate.passing.add_permits(1);
    bus.clock().advance(Duration::from_mins(1));
    bus.until_idle().await;
    assert_eq!(peer.calls(), ["a 2"]);
}
