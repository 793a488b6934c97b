//! How the stories are told: each on every store.

use bus_testkit::{FakePeer, TestBus};
use bus_tests::{Company, Crm, Directory, User};

/// Tells each story once in memory and once on SQLite. A story takes the test bus it begins with.
macro_rules! stories {
    ($($name:ident),* $(,)?) => {
        mod in_memory {
            $(#[tokio::test]
            async fn $name() {
                super::$name(bus_testkit::TestBus::new()).await;
            })*
        }
        mod on_sqlite {
            $(#[tokio::test]
            async fn $name() {
                super::$name(bus_testkit::TestBus::new().on_sqlite()).await;
            })*
        }
    };
}

/// A bus with the CRM, about to start, and the CRM's two halves.
pub(crate) fn with_crm(bus: TestBus) -> (TestBus, FakePeer, Directory) {
    let (peer, directory) = (FakePeer::new("crm"), Directory::default());
    let bus = bus.connector::<Crm>("crm").object::<User>().object::<Company>();
    (bus.provide(peer.clone()).provide(directory.clone()), peer, directory)
}
