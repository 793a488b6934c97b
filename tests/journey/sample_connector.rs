//! A connector that writes one line for everything that happens to users.

use bus_core::Direction;
use bus_testkit::{FakePeer, TestBus};
use bus_tests::{Address, EventLog, FieldLog, User};

stories!(three_operations_make_three_lines, an_update_without_a_change_makes_none);

fn with_logs(bus: TestBus) -> (TestBus, FakePeer) {
    let log = FakePeer::new("log");
    (bus.object::<User>().provide(log.clone()), log)
}

async fn three_operations_make_three_lines(bus: TestBus) {
    let (bus, log) = with_logs(bus);
    let bus = bus.connector::<EventLog>("event-log").start().await;
    let mut ada = User::new("ada", "Ada Lovelace");
    bus.objects().save(&mut ada).await.unwrap();
    ada.name = "Countess of Lovelace".into();
    bus.objects().save(&mut ada).await.unwrap();
    assert!(bus.objects().delete::<User>(&ada.id).await.unwrap().is_some());
    bus.until_idle().await;

    assert_eq!(log.calls(), ["create ada snapshot", "update ada snapshot", "delete ada snapshot"]);
    let counters = bus.counters("event-log", Direction::Outgoing).await;
    assert_eq!((counters.logged, counters.completed, counters.open), (3, 3, 0));
    assert!(bus.objects().delete::<User>(&ada.id).await.unwrap().is_none(), "it is gone already");
}

async fn an_update_without_a_change_makes_none(bus: TestBus) {
    let (bus, log) = with_logs(bus);
    let bus = bus.connector::<EventLog>("event-log").connector::<FieldLog>("field-log").start().await;
    let mut ada = User::new("ada", "Ada");
    ada.addresses = vec![Address { city: "London".to_owned(), paid_by: None }].into();
    bus.objects().save(&mut ada).await.unwrap();
    bus.until_idle().await;
    assert_eq!(log.take_calls().len(), 2);

    // Nothing is different: nobody is told.
    bus.objects().save(&mut ada).await.unwrap();
    bus.until_idle().await;
    assert_eq!(log.take_calls(), [] as [&str; 0]);

    // Only a child is different: only those who are told of children.
    ada.addresses = vec![Address { city: "Paris".to_owned(), paid_by: None }].into();
    bus.objects().save(&mut ada).await.unwrap();
    bus.until_idle().await;
    assert_eq!(log.take_calls(), ["update ada snapshot"]);
    assert_eq!(bus.counters("field-log", Direction::Outgoing).await.logged, 1);

    // Children that were not loaded stay as they are.
    ada.addresses = bus_core::Children::NotLoaded;
    ada.name = "Ada L.".into();
    bus.objects().save(&mut ada).await.unwrap();
    let stored: User = bus.objects().load(&ada.id).await.unwrap().unwrap();
    assert_eq!(stored.addresses.as_slice()[0].city, "Paris");
}
