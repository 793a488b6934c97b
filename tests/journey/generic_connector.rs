//! A connector of a library that leaves its transport to the application, which registers it.

use bus_core::descriptor::DescribedConnector;
use bus_core::{Change, Connector, Cx, Failure, NoSettings, Outgoing, connector};
use bus_runtime::Registry;
use bus_testkit::{FakePeer, TestBus};
use bus_tests::User;

stories!(it_delivers_by_the_transport_it_was_given);

/// How letters travel.
trait Transport: Send + Sync + 'static {
    fn carry(letter: &str) -> String;
}

/// Writes letters to users.
#[connector(name = "courier", create_once = repeatable, needs(FakePeer))]
#[outgoing(User, on(create), data = simple, filter = Self::has_an_address)]
struct Courier<T: Transport> {
    _transport: std::marker::PhantomData<T>,
}

impl<T: Transport> Courier<T> {
    fn has_an_address(change: &bus_core::ChangeSummary, _: &NoSettings) -> bool {
        change.code_name.as_deref() != Some("nobody")
    }
}

impl<T: Transport> Connector for Courier<T> {
    type Settings = NoSettings;
    async fn connect(_: NoSettings, _: &Cx) -> Result<Self, Failure> {
        Ok(Self { _transport: std::marker::PhantomData })
    }
}

impl<T: Transport> Outgoing<User> for Courier<T> {
    async fn deliver(&self, change: Change<User>, cx: &Cx) -> Result<(), Failure> {
        cx.handle::<FakePeer>()?.say(T::carry(&change.object.login))
    }
}

struct Pigeon;

impl Transport for Pigeon {
    fn carry(letter: &str) -> String {
        format!("a pigeon with {letter}")
    }
}

struct Rider;

impl Transport for Rider {
    fn carry(letter: &str) -> String {
        format!("a rider with {letter}")
    }
}

bus_core::register!(Courier<Pigeon>);

async fn it_delivers_by_the_transport_it_was_given(bus: TestBus) {
    let post = FakePeer::new("post");
    let bus = bus.connector::<Courier<Rider>>("courier").object::<User>().provide(post.clone());
    let bus = bus.start().await;
    for login in ["ada", "nobody", "bob"] {
        bus.objects().save(&mut User::new(login, login)).await.unwrap();
    }
    bus.until_idle().await;
    assert_eq!(post.calls(), ["a rider with ada", "a rider with bob"]);
}

#[test]
fn it_is_discovered_where_the_application_registers_it() {
    let registry = Registry::discover().unwrap();
    let courier = registry.connector("courier").unwrap();
    let line = include_str!("generic_connector.rs")
        .lines()
        .position(|line| line.starts_with("bus_core::register!"))
        .unwrap();
    assert_eq!((courier.place.file, courier.place.line as usize), (file!(), line + 1));
    assert_eq!(courier.summary, "Writes letters to users.");
}

#[test]
fn two_transports_under_one_name_are_refused_naming_both_places() {
    let pigeon = Registry::discover().unwrap().connector("courier").unwrap();
    let refused = |connectors| Registry::of(connectors, []).unwrap_err().to_string();
    let message = refused([pigeon, Courier::<Rider>::DESCRIPTOR]);
    let places = [pigeon.place, Courier::<Rider>::DESCRIPTOR.place];
    for place in places {
        assert!(message.contains(&place.to_string()), "{message}");
    }
    assert_ne!(places[0], places[1]);
    assert_eq!(
        message,
        refused([Courier::<Rider>::DESCRIPTOR, pigeon]),
        "the linker's order does not matter"
    );
}
