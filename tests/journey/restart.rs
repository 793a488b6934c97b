//! A bus that stops and starts again goes on where it was.

use bus_core::{Direction, ExternalTask};
use bus_runtime::{StoreConfig, Synchronous};
use bus_testkit::TestBus;
use bus_tests::{Contact, Crm, User};

use crate::told::with_crm;

#[tokio::test]
async fn what_was_accepted_before_a_stop_is_done_after_the_start() {
    let folder = tempfile::TempDir::new().unwrap();
    let path = folder.path().join("bus.db");
    let on_file = || {
        let path = path.clone();
        let bus = TestBus::new();
        bus.configure(move |config| {
            config.store = StoreConfig::Sqlite { path, synchronous: Synchronous::Full }
        })
    };
    let (bus, peer, _) = with_crm(on_file());
    let bus = bus.start().await;
    peer.cut_off();
    bus.objects().save(&mut User::new("ada", "Ada")).await.unwrap();
    let mut waiting = Contact::new("003", "bob", "Bob");
    waiting.account = Some("A-1".to_owned());
    bus.process_external_task(ExternalTask::create::<Crm, _>("crm", &waiting)).await.unwrap();
    bus.until_idle().await;
    let report = bus.shutdown().await;
    assert_eq!(report.open.iter().map(|(_, open)| *open).sum::<u64>(), 2, "{report}");
    assert!(report.to_string().contains("left open: 1 for crm"), "{report}");
    assert!(bus.objects().save(&mut User::new("eve", "Eve")).await.is_err(), "a stopped bus takes nothing");

    let (bus, peer, _) = with_crm(on_file());
    let bus = bus.start().await;
    bus.until_idle().await;
    assert!(peer.calls().contains(&"put crm-1".to_owned()), "{:?}", peer.calls());
    let account = bus_tests::Account::new("A-1", "acme", "Acme");
    bus.process_external_task(ExternalTask::create::<Crm, _>("crm", &account)).await.unwrap();
    bus.until_idle().await;
    assert!(bus.objects().find::<User>("bob").await.unwrap().is_some());
    for direction in Direction::ALL {
        assert_eq!(bus.counters("crm", direction).await.open, 0);
    }
    assert!(bus.shutdown().await.open.is_empty());
}
