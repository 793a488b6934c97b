//! How the stories are told: each on every store.

use bus_runtime::Operator;
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

/// Who intervenes, and why.
pub(crate) fn ops() -> Operator {
    Operator::named("jane").because("the story says so")
}

/// Lets the others run until this is so.
pub(crate) async fn until(is_so: impl AsyncFn() -> bool) {
    for _ in 0..1_000_000 {
        if is_so().await {
            return;
        }
        tokio::task::yield_now().await;
    }
    panic!("it does not become so");
}
