//! A connector that knows a part of an object only: what is left out of its struct, it neither sees nor loses.

use bus_core::descriptor::{ConnectorDescriptor, DescribedObject, ObjectDescriptor, Place, Route};
use bus_core::{
    BusObject, Change, Connector, Cx, Failure, NoSettings, Outgoing, Ref, SubscribesTo, Subscription,
    connector,
};
use bus_runtime::{BusErrorKind, Registry};
use bus_testkit::{FakePeer, TestBus};
use bus_tests::{Company, User};
use serde::{Deserialize, Serialize};

stories!(a_view_is_told_of_what_the_host_saves, a_view_is_read_and_never_written);

/// The host's users, as a door knows them.
#[derive(Debug, Serialize, Deserialize, BusObject)]
#[object(type = "app.user", display = "Badge", view)]
struct Badge {
    #[object(id)]
    id: i64,
    login: String,
    company: Option<Ref<Company>>,
}

/// The same, as a lift knows them.
#[derive(Debug, Serialize, Deserialize, BusObject)]
#[object(type = "app.user", view)]
struct Passenger {
    #[object(id)]
    id: i64,
}

/// Opens doors.
#[connector(name = "door", create_once = repeatable, needs(FakePeer))]
#[outgoing(Badge, data = simple)]
struct Door;

/// Names one type as two structs. By hand, so that nobody discovers it.
struct Torn;

impl SubscribesTo<Badge> for Torn {}
impl SubscribesTo<User> for Torn {}

static TORN: ConnectorDescriptor = ConnectorDescriptor::new::<Torn>("torn").routes(
    const {
        &[
            Route::outgoing::<Torn, Badge>(Subscription::everything(), None),
            Route::outgoing::<Torn, User>(Subscription::everything(), None),
        ]
    },
);

macro_rules! connects {
    ($($connector:ident),*) => {$(
        impl Connector for $connector {
            type Settings = NoSettings;
            async fn connect(_: NoSettings, _: &Cx) -> Result<Self, Failure> {
                Ok(Self)
            }
        }
    )*};
}

connects!(Door, Torn);

impl Outgoing<Badge> for Door {
    async fn deliver(&self, change: Change<Badge>, cx: &Cx) -> Result<(), Failure> {
        cx.handle::<FakePeer>()?.say(format!("{} {}", change.operation(), change.object.login))
    }
}

impl Outgoing<Badge> for Torn {
    async fn deliver(&self, _: Change<Badge>, _: &Cx) -> Result<(), Failure> {
        Ok(())
    }
}

impl Outgoing<User> for Torn {
    async fn deliver(&self, _: Change<User>, _: &Cx) -> Result<(), Failure> {
        Ok(())
    }
}

async fn a_view_is_told_of_what_the_host_saves(bus: TestBus) {
    let door = FakePeer::new("door");
    // A view may be found before that which it shows.
    let bus = bus.connector::<Door>("door").object::<Badge>().object::<User>().object::<Company>();
    let bus = bus.provide(door.clone()).start().await;
    let mut ada = User::new("ada", "Ada");
    bus.objects().save(&mut ada).await.unwrap();
    bus.objects().delete::<User>(&ada.id).await.unwrap();
    bus.until_idle().await;
    assert_eq!(door.calls(), ["create ada", "delete ada"]);
}

async fn a_view_is_read_and_never_written(bus: TestBus) {
    let bus = bus.object::<User>().object::<Company>().object::<Badge>().start().await;
    let mut ada = User::new("ada", "Ada");
    bus.objects().save(&mut ada).await.unwrap();
    let mut badge: Badge = bus.objects().load(&ada.id).await.unwrap().unwrap();
    assert_eq!((badge.id, badge.login.as_str()), (ada.id, "ada"));
    badge.login = "bob".to_owned();
    let refused = bus.objects().save(&mut badge).await.unwrap_err();
    assert_eq!(refused.kind(), BusErrorKind::Malformed);
    assert!(refused.to_string().contains("a view of app.user shows a part of it"), "{refused}");
    let kept: User = bus.objects().load(&ada.id).await.unwrap().unwrap();
    assert_eq!((kept.login.as_str(), kept.name.as_str()), ("ada", "Ada"));
}

#[test]
fn a_type_is_what_the_struct_says_that_is_no_view() {
    let [user, badge, passenger] = [User::DESCRIPTOR, Badge::DESCRIPTOR, Passenger::DESCRIPTOR];
    let display = |objects: [_; 3]| {
        Registry::of([], objects).unwrap().object_type("app.user").map(|object| object.display)
    };
    for objects in [[user, badge, passenger], [badge, user, passenger], [badge, passenger, user]] {
        assert_eq!(display(objects), Some(user.display));
    }
    assert_eq!(
        display([badge, passenger, badge]),
        display([passenger, badge, passenger]),
        "of views alone, the linker's order does not matter"
    );
}

#[test]
fn two_structs_that_both_declare_a_type_are_refused_naming_both_places() {
    static TWIN: ObjectDescriptor = ObjectDescriptor::new::<User>().place(Place {
        crate_name: "twin",
        crate_version: "1.0.0",
        file: "src/twin.rs",
        line: 7,
    });
    let [user, badge, twin] = [User::DESCRIPTOR, Badge::DESCRIPTOR, &TWIN];
    for objects in [[user, badge, twin], [twin, user, badge], [badge, twin, user]] {
        let error = Registry::of([], objects).unwrap_err();
        assert_eq!(error.kind(), BusErrorKind::Discovery);
        let message = error.to_string();
        assert!(message.contains("src/twin.rs:7 (twin 1.0.0)") && message.contains("lib.rs:"), "{message}");
        assert!(message.ends_with("make one a view: `#[object(type = \"app.user\", view)]`"), "{message}");
    }
}

#[test]
fn a_connector_that_takes_one_type_as_two_structs_is_refused() {
    let error = Registry::of([&TORN], []).unwrap_err();
    assert_eq!(error.kind(), BusErrorKind::Discovery);
    assert!(error.to_string().contains("takes objects of type `app.user` as two structs"), "{error}");
}
