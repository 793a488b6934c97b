//! Two lines of one connector match one change: one delivery, with the data of the higher priority.

use bus_core::Direction;
use bus_testkit::{FakePeer, TestBus};
use bus_tests::{GreedyLog, User};

stories!(two_matching_lines_make_one_delivery_with_the_most_data);

async fn two_matching_lines_make_one_delivery_with_the_most_data(bus: TestBus) {
    let log = FakePeer::new("log");
    let bus = bus.connector::<GreedyLog>("greedy-log").object::<User>().provide(log.clone()).start().await;
    let mut ada = User::new("ada", "Ada");
    bus.objects().save(&mut ada).await.unwrap();
    ada.name = "Ada L.".into();
    bus.objects().save(&mut ada).await.unwrap();
    bus.until_idle().await;
    assert_eq!(log.calls(), ["create ada simple", "update ada snapshot"]);
    assert_eq!(bus.counters("greedy-log", Direction::Outgoing).await.logged, 2);
}
