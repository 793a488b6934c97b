//! A listener of the application's: says no before anything is written, hears of what was.

use std::sync::{Arc, Mutex};

use bus_core::{ChangeSummary, Direction, Listener, ObjectOperation, TaskId, Veto};
use bus_runtime::BusErrorKind;
use bus_testkit::{FakePeer, TestBus};
use bus_tests::{EventLog, User};

stories!(a_veto_leaves_nothing_behind_and_an_observer_sees_the_task);

#[derive(Clone, Default)]
struct Guard(Arc<Mutex<Vec<(String, TaskId)>>>);

impl Listener for Guard {
    fn before_logging(&self, change: &ChangeSummary) -> Result<(), Veto> {
        if change.operation == ObjectOperation::Delete {
            return Err(Veto::because("users are kept for ten years"));
        }
        Ok(())
    }

    fn after_logging(&self, change: &ChangeSummary, task: TaskId) {
        self.0.lock().unwrap().push((format!("{} {}", change.operation, change.object_type), task));
    }
}

async fn a_veto_leaves_nothing_behind_and_an_observer_sees_the_task(bus: TestBus) {
    let (guard, log) = (Guard::default(), FakePeer::new("log"));
    let bus =
        bus.connector::<EventLog>("event-log").object::<User>().provide(log.clone()).listen(guard.clone());
    let bus = bus.start().await;
    let mut ada = User::new("ada", "Ada");
    bus.objects().save(&mut ada).await.unwrap();
    let vetoed = bus.objects().delete::<User>(&ada.id).await.unwrap_err();
    assert_eq!(vetoed.kind(), BusErrorKind::Vetoed);
    assert!(vetoed.to_string().ends_with("users are kept for ten years"), "{vetoed}");
    bus.until_idle().await;
    assert!(bus.objects().load::<User>(&ada.id).await.unwrap().is_some(), "the object is still there");
    assert_eq!(bus.counters("event-log", Direction::Outgoing).await.logged, 1);
    let seen = guard.0.lock().unwrap().clone();
    assert_eq!(seen.len(), 1);
    assert_eq!(seen[0].0, "create app.user");
}
