//! Three incoming tasks of one external object, the second invalid, under each of the four policies.

use bus_core::{DeliveryState, Direction, ErrorPolicy, ExternalTask, Failure};
use bus_runtime::{ConnectorState, Verb};
use bus_testkit::{RunningTestBus, TestBus};
use bus_tests::{Contact, Crm, User};

use crate::gates::{Gated, with_gates};
use crate::told::{until, with_crm};

stories!(
    default_parks_it_and_what_follows_waits,
    skip_once_lets_the_next_go_first_then_tries_as_usual,
    skip_once_costs_no_attempt_and_is_tried_when_nothing_else_is_ready,
    skip_once_waits_while_something_else_runs,
    skip_on_error_lets_everything_pass_it,
    delete_on_error_discards_it_with_a_trace
);

/// Logs a valid task, an invalid one with this policy, and a valid one.
async fn three(bus: TestBus, policy: ErrorPolicy) -> RunningTestBus {
    let (bus, _, _) = with_crm(bus);
    let bus = bus.start().await;
    let first = ExternalTask::create::<Crm, _>("crm", &Contact::new("003", "ada", "first"));
    let invalid =
        ExternalTask::update::<Crm, _>("crm", &Contact::new("003", "", "second")).error_policy(policy);
    let third = ExternalTask::update::<Crm, _>("crm", &Contact::new("003", "ada", "third"));
    for task in [first, invalid, third] {
        bus.process_external_task(task).await.unwrap();
    }
    bus.until_idle().await;
    bus
}

async fn name(bus: &RunningTestBus) -> String {
    bus.objects().find::<User>("ada").await.unwrap().unwrap().name
}

async fn default_parks_it_and_what_follows_waits(bus: TestBus) {
    let bus = three(bus, ErrorPolicy::Default).await;
    assert_eq!(name(&bus).await, "first");
    let open = bus.open("crm", Direction::Incoming).await;
    assert_eq!((open[0].state, open[1].state), (DeliveryState::Parked, DeliveryState::Blocked));
    assert_eq!(open[0].reason.as_deref(), Some("contact 003 has no login"));
}

async fn skip_once_lets_the_next_go_first_then_tries_as_usual(bus: TestBus) {
    let bus = three(bus, ErrorPolicy::SkipOnce).await;
    assert_eq!(name(&bus).await, "third");
    // Nothing else was ready, so its turn came again. A later task of the same contact had been applied by then: the old
    // version must not overwrite it.
    let counters = bus.counters("crm", Direction::Incoming).await;
    assert_eq!((counters.completed, counters.discarded, counters.open), (2, 1, 0));
}

async fn skip_once_costs_no_attempt_and_is_tried_when_nothing_else_is_ready(bus: TestBus) {
    let (bus, gates) = with_gates(bus, |_| {});
    let bus = bus.start().await;
    bus.set_connector_state(&"gated".parse().unwrap(), ConnectorState::Paused).await.unwrap();
    for (login, policy) in [("polite", ErrorPolicy::SkipOnce), ("a", ErrorPolicy::Default)] {
        let contact = Contact::new(login, login, "1");
        let task = ExternalTask::create::<Gated, _>("gated", &contact).error_policy(policy);
        bus.process_external_task(task).await.unwrap();
    }
    gates.fail("polite", [|| Failure::reject("no")]);
    bus.set_connector_state(&"gated".parse().unwrap(), ConnectorState::Enabled).await.unwrap();
    bus.until_idle().await;
    assert_eq!(gates.calls(), ["create a 1", "create polite 1"]);
    let open = bus.open("gated", Direction::Incoming).await;
    assert_eq!((open[0].state, open[0].attempts), (DeliveryState::Parked, 1));
    let detail = bus.delivery(open[0].delivery).await.unwrap();
    let by_the_bus = &detail.interventions[0];
    assert_eq!((by_the_bus.verb, by_the_bus.by.as_str()), (Verb::Retry, "the bus"));
    assert_eq!(by_the_bus.reason.as_deref(), Some("nothing else is ready"));
}

async fn skip_once_waits_while_something_else_runs(bus: TestBus) {
    let (bus, gates) = with_gates(bus, |processing| processing.concurrency = 2);
    let bus = bus.start().await;
    gates.hold("slow");
    let slow = Contact::new("slow", "slow", "1");
    bus.process_external_task(ExternalTask::create::<Gated, _>("gated", &slow)).await.unwrap();
    let polite = Contact::new("polite", "polite", "1");
    let task = ExternalTask::create::<Gated, _>("gated", &polite).error_policy(ErrorPolicy::SkipOnce);
    bus.process_external_task(task).await.unwrap();
    until(async || bus.open("gated", Direction::Incoming).await[1].state == DeliveryState::Scheduled).await;
    until(async || gates.running() == ["slow"]).await;
    assert_eq!(gates.calls(), ["create slow 1"]);
    gates.let_go("slow");
    bus.until_idle().await;
    assert_eq!(gates.passed(), ["create slow 1", "create polite 1"]);
}

async fn skip_on_error_lets_everything_pass_it(bus: TestBus) {
    let bus = three(bus, ErrorPolicy::SkipOnError).await;
    assert_eq!(name(&bus).await, "third");
    let open = bus.open("crm", Direction::Incoming).await;
    assert_eq!((open.len(), open[0].state), (1, DeliveryState::Parked));
}

async fn delete_on_error_discards_it_with_a_trace(bus: TestBus) {
    let bus = three(bus, ErrorPolicy::DeleteOnError).await;
    assert_eq!(name(&bus).await, "third");
    let counters = bus.counters("crm", Direction::Incoming).await;
    assert_eq!((counters.logged, counters.completed, counters.discarded, counters.open), (3, 2, 1, 0));
}
