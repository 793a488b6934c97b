//! Sites: who is registered, what belongs to them, what is added to them, and who is told of it.

use std::time::Duration;

use bus_core::{
    Change, Connector, Cx, DeliveryState, Direction, Failure, NoSettings, ObjectOperation, Outgoing, Site,
    SiteName, connector,
};
use bus_runtime::{BusErrorKind, DeliveryFilter, QueueId};
use bus_testkit::{FakePeer, RunningTestBus, TestBus};
use bus_tests::{EventLog, User};

use crate::gates::{Gates, with_gates};
use crate::told::ops;

stories!(
    sites_are_registered_changed_and_removed,
    what_names_an_unknown_site_is_refused,
    a_removed_site_is_refused_while_something_belongs_to_it,
    an_object_added_to_a_site_is_told_to_that_sites_subscribers_only,
    adding_twice_tells_once,
    what_belongs_to_a_site_is_not_added_to_any,
    moving_an_object_to_another_site_tells_both_sides,
    an_overtaken_site_task_is_taken_again_or_superseded,
    a_site_task_is_redelivered_as_long_as_it_is_so
);

/// Told of what is about the site `corp`.
#[connector(name = "corp-log", create_once = repeatable, needs(FakePeer))]
#[outgoing(User, site = "corp", data = simple)]
struct CorpLog;

/// Told of global objects.
#[connector(name = "global-log", create_once = repeatable, needs(FakePeer))]
#[outgoing(User, global, data = simple)]
struct GlobalLog;

/// Told of sites, and of nothing else.
#[connector(name = "site-log", create_once = repeatable, needs(FakePeer))]
#[outgoing(User, on(add_to_site, remove_from_site), data = simple)]
struct SiteLog;

macro_rules! says_who_where {
    ($($connector:ident $name:literal),*) => {$(
        impl Connector for $connector {
            type Settings = NoSettings;
            async fn connect(_: NoSettings, _: &Cx) -> Result<Self, Failure> {
                Ok(Self)
            }
        }

        impl Outgoing<User> for $connector {
            async fn deliver(&self, change: Change<User>, cx: &Cx) -> Result<(), Failure> {
                let site = change.site().map_or("nowhere", SiteName::as_str);
                let (operation, name) = (change.operation(), &change.object.name);
                cx.handle::<FakePeer>()?.say(format!("{}: {operation} {name}, {site}", $name))
            }
        }
    )*};
}

says_who_where!(CorpLog "corp", GlobalLog "global", SiteLog "sites");

async fn start(bus: TestBus) -> (RunningTestBus, FakePeer) {
    let log = FakePeer::new("log");
    let bus = bus.site("branch").site("corp");
    let bus = bus
        .connector::<CorpLog>("corp-log")
        .connector::<GlobalLog>("global-log")
        .connector::<SiteLog>("site-log");
    (bus.object::<User>().provide(log.clone()).start().await, log)
}

async fn saved(bus: &RunningTestBus, name: &str, site: Option<&str>) -> User {
    let mut user = User { site: site.map(str::to_owned), ..User::new(name, name) };
    bus.objects().save(&mut user).await.unwrap();
    user
}

/// What was said, once everything is done; in the order of the words, because queues run side by side.
async fn said(bus: &RunningTestBus, log: &FakePeer) -> Vec<String> {
    bus.until_idle().await;
    let mut calls = log.take_calls();
    calls.sort();
    calls
}

async fn sites_are_registered_changed_and_removed(bus: TestBus) {
    let bus = bus.site("corp").start().await;
    let corp = Site::new("corp").unwrap();
    assert_eq!(bus.sites().list().await.unwrap(), std::slice::from_ref(&corp), "as the configuration says");
    let changed = corp.display_name("Corporate").cultures(["en-US"]).unwrap();
    let branch = Site::new("branch").unwrap();
    for site in [&changed, &changed, &branch] {
        bus.sites().register(site.clone()).await.unwrap();
    }
    assert_eq!(bus.sites().list().await.unwrap(), [branch, changed.clone()]);
    assert!(bus.sites().remove("branch").await.unwrap() && !bus.sites().remove("branch").await.unwrap());
    assert_eq!(bus.sites().list().await.unwrap(), [changed]);

    let nameless = Site::new("corp").unwrap().display_name(" ");
    let many = Site::new("corp").unwrap().cultures((0..201).map(|number| format!("x{number}"))).unwrap();
    for (site, kind) in [(nameless, BusErrorKind::BadName), (many, BusErrorKind::TooLarge)] {
        assert_eq!(bus.sites().register(site).await.unwrap_err().kind(), kind);
    }
    assert_eq!(bus.sites().remove("a/b").await.unwrap_err().kind(), BusErrorKind::BadName);
}

async fn what_names_an_unknown_site_is_refused(bus: TestBus) {
    let (bus, log) = start(bus).await;
    let ada = saved(&bus, "ada", None).await;
    let mut placed = User { site: Some("crop".to_owned()), ..User::new("eve", "eve") };
    let objects = bus.objects();
    for refused in [
        objects.save(&mut placed).await.map(Some),
        objects.add_to_site::<User>(&ada.id, "crop").await,
        objects.remove_from_site::<User>(&ada.id, "crop").await,
    ] {
        let refused = refused.unwrap_err();
        assert_eq!(refused.kind(), BusErrorKind::UnknownSite, "{refused}");
        let remedy = "no site `crop` is registered; register it, or mend the name (did you mean `corp`?)";
        assert!(refused.to_string().ends_with(remedy), "{refused}");
    }
    let refused = objects.add_to_site::<User>(&ada.id, "headquarters").await.unwrap_err();
    assert!(refused.to_string().ends_with("(those that are: branch, corp)"), "{refused}");
    assert_eq!(objects.add_to_site::<User>(&ada.id, "a/b").await.unwrap_err().kind(), BusErrorKind::BadName);
    let nobody = objects.add_to_site::<User>(&404, "corp").await.unwrap_err();
    assert_eq!(nobody.kind(), BusErrorKind::NotFound, "{nobody}");
    assert_eq!(said(&bus, &log).await, ["global: create ada, nowhere"]);
    assert_eq!(objects.count::<User>().await.unwrap(), 1);
    // Once it is there, everything goes on.
    bus.sites().register(Site::new("crop").unwrap()).await.unwrap();
    objects.save(&mut placed).await.unwrap();
}

async fn a_removed_site_is_refused_while_something_belongs_to_it(bus: TestBus) {
    let (bus, _) = start(bus).await;
    let (ada, eve) = (saved(&bus, "ada", None).await, saved(&bus, "eve", Some("corp")).await);
    bus.objects().add_to_site::<User>(&ada.id, "corp").await.unwrap();
    let refused = bus.sites().remove("corp").await.unwrap_err();
    assert_eq!(refused.kind(), BusErrorKind::Conflict);
    assert!(refused.to_string().contains("1 objects of its own, and 1 are assigned"), "{refused}");
    bus.objects().delete::<User>(&eve.id).await.unwrap();
    assert!(bus.sites().remove("corp").await.is_err());
    bus.objects().delete::<User>(&ada.id).await.unwrap();
    assert!(bus.sites().remove("corp").await.unwrap());
}

async fn an_object_added_to_a_site_is_told_to_that_sites_subscribers_only(bus: TestBus) {
    let (bus, log) = start(bus).await;
    let mut ada = saved(&bus, "ada", None).await;
    assert_eq!(said(&bus, &log).await, ["global: create ada, nowhere"]);
    for site in ["branch", "corp"] {
        bus.objects().add_to_site::<User>(&ada.id, site).await.unwrap();
    }
    let told =
        ["corp: add_to_site ada, corp", "sites: add_to_site ada, branch", "sites: add_to_site ada, corp"];
    assert_eq!(said(&bus, &log).await, told);
    let sites = bus.objects().sites_of::<User>(&ada.id).await.unwrap();
    assert_eq!(sites.iter().map(SiteName::as_str).collect::<Vec<_>>(), ["branch", "corp"]);

    // Whatever else happens to it happens to a global object.
    ada.name = "Ada".to_owned();
    bus.objects().save(&mut ada).await.unwrap();
    assert_eq!(said(&bus, &log).await, ["global: update Ada, nowhere"]);
    bus.objects().remove_from_site::<User>(&ada.id, "corp").await.unwrap();
    assert_eq!(
        said(&bus, &log).await,
        ["corp: remove_from_site Ada, corp", "sites: remove_from_site Ada, corp"]
    );
    bus.objects().delete::<User>(&ada.id).await.unwrap();
    assert_eq!(said(&bus, &log).await, ["global: delete Ada, nowhere"], "it leaves its sites in silence");

    let queue = QueueId::new("site-log".parse().unwrap(), Direction::Outgoing);
    let completed = DeliveryFilter { state: Some(DeliveryState::Completed), ..DeliveryFilter::default() };
    let first = bus.deliveries(&queue, &completed).await.unwrap().remove(0);
    assert_eq!(first.title, "Add to site User ada");
}

async fn adding_twice_tells_once(bus: TestBus) {
    let (bus, log) = start(bus).await;
    let ada = saved(&bus, "ada", None).await;
    let objects = bus.objects();
    assert!(objects.remove_from_site::<User>(&ada.id, "corp").await.unwrap().is_none());
    assert!(objects.add_to_site::<User>(&ada.id, "corp").await.unwrap().is_some());
    assert!(objects.add_to_site::<User>(&ada.id, "corp").await.unwrap().is_none());
    let told = ["corp: add_to_site ada, corp", "global: create ada, nowhere", "sites: add_to_site ada, corp"];
    assert_eq!(said(&bus, &log).await, told);
    assert!(objects.remove_from_site::<User>(&ada.id, "corp").await.unwrap().is_some());
    assert!(objects.remove_from_site::<User>(&ada.id, "corp").await.unwrap().is_none());
    assert_eq!(
        said(&bus, &log).await,
        ["corp: remove_from_site ada, corp", "sites: remove_from_site ada, corp"]
    );
}

async fn what_belongs_to_a_site_is_not_added_to_any(bus: TestBus) {
    let (bus, _) = start(bus).await;
    let eve = saved(&bus, "eve", Some("corp")).await;
    for site in ["corp", "branch"] {
        let refused = bus.objects().add_to_site::<User>(&eve.id, site).await.unwrap_err();
        assert_eq!(refused.kind(), BusErrorKind::Malformed);
        assert!(refused.to_string().contains("belongs to site corp; only global objects"), "{refused}");
    }
    let mut ada = saved(&bus, "ada", None).await;
    bus.objects().add_to_site::<User>(&ada.id, "branch").await.unwrap();
    ada.site = Some("corp".to_owned());
    let refused = bus.objects().save(&mut ada).await.unwrap_err();
    assert_eq!(refused.kind(), BusErrorKind::Conflict);
    assert!(refused.to_string().contains("it is assigned to site branch"), "{refused}");
    bus.objects().remove_from_site::<User>(&ada.id, "branch").await.unwrap();
    bus.objects().save(&mut ada).await.unwrap();
}

async fn moving_an_object_to_another_site_tells_both_sides(bus: TestBus) {
    let (bus, log) = start(bus).await;
    let mut ada = saved(&bus, "ada", Some("corp")).await;
    assert_eq!(said(&bus, &log).await, ["corp: create ada, corp"]);
    for (to, told) in [
        (Some("branch"), ["corp: update ada, branch"].as_slice()),
        (None, &["global: update ada, nowhere"]),
        (Some("corp"), &["corp: update ada, corp", "global: update ada, corp"]),
    ] {
        ada.site = to.map(str::to_owned);
        bus.objects().save(&mut ada).await.unwrap();
        assert_eq!(said(&bus, &log).await, told, "whoever loses it is told, and whoever gets it");
    }
}

async fn with_ada(bus: TestBus) -> (RunningTestBus, Gates, User) {
    let (bus, gates) = with_gates(bus, |_| {});
    let bus = bus.site("corp").start().await;
    let ada = saved(&bus, "ada", None).await;
    bus.until_idle().await;
    gates.take_calls();
    (bus, gates, ada)
}

async fn an_overtaken_site_task_is_taken_again_or_superseded(bus: TestBus) {
    let (bus, gates, mut ada) = with_ada(bus).await;
    for (is_removed, again) in [(false, Some("add_to_site ada 1")), (true, None)] {
        gates.fail("ada", [|| Failure::step_aside("the site is locked")]);
        bus.objects().add_to_site::<User>(&ada.id, "corp").await.unwrap();
        bus.until_idle().await;
        ada.name = "1".to_owned();
        ada.note = Some(format!("{is_removed}"));
        bus.objects().save(&mut ada).await.unwrap();
        if is_removed {
            bus.objects().remove_from_site::<User>(&ada.id, "corp").await.unwrap();
        }
        bus.until_idle().await;
        gates.take_calls();
        bus.clock().advance(Duration::from_mins(1));
        bus.until_idle().await;
        assert_eq!(gates.take_calls(), again.into_iter().collect::<Vec<_>>());
        bus.objects().remove_from_site::<User>(&ada.id, "corp").await.unwrap();
        bus.until_idle().await;
        gates.take_calls();
    }
    let counters = bus.counters("gated", Direction::Outgoing).await;
    assert_eq!((counters.discarded, counters.open), (1, 0));
}

async fn a_site_task_is_redelivered_as_long_as_it_is_so(bus: TestBus) {
    let log = FakePeer::new("log");
    let bus = bus.site("corp").connector::<EventLog>("event-log").object::<User>().provide(log.clone());
    let bus = bus.start().await;
    let ada = saved(&bus, "ada", None).await;
    bus.objects().add_to_site::<User>(&ada.id, "corp").await.unwrap();
    bus.until_idle().await;
    let queue = QueueId::new("event-log".parse().unwrap(), Direction::Outgoing);
    let completed = DeliveryFilter { state: Some(DeliveryState::Completed), ..DeliveryFilter::default() };
    let added = bus.deliveries(&queue, &completed).await.unwrap()[1].delivery;

    bus.redeliver(added, &ops()).await.unwrap();
    bus.until_idle().await;
    let again = bus.deliveries(&queue, &completed).await.unwrap()[2].delivery;
    let again = bus.delivery(again).await.unwrap();
    assert_eq!(
        (again.operation, again.site),
        (ObjectOperation::AddToSite.into(), Some("corp".parse().unwrap()))
    );
    bus.objects().remove_from_site::<User>(&ada.id, "corp").await.unwrap();
    bus.redeliver(added, &ops()).await.unwrap();
    bus.until_idle().await;
    let operations: Vec<_> = log.calls().iter().map(|call| call[..6].to_owned()).collect();
    assert_eq!(operations, ["create", "add_to", "add_to", "remove", "update"]);
}
