//! Both sides have changed the same object: what was changed last wins, or a person decides.

use std::collections::BTreeMap;
use std::time::Duration;

use bus_core::descriptor::DescribedConnector;
use bus_core::{
    BusObject, Change, Clock, Connector, ConnectorName, Cx, DeliveryId, DeliveryState, Direction, Failure,
    Incoming, NoSettings, ObjectOperation, Outgoing, Prepared, Received, Side, Timestamp, connector,
};
use bus_runtime::{
    BusErrorKind, ConflictRecord, DeliveryFilter, Operator, QueueId, Resolution, Verb, Verdict,
};
use bus_testkit::{Mirror, RunningTestBus, Script, TestBus};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::told::until;

stories!(
    the_newest_change_wins,
    where_the_times_are_not_known_a_person_decides,
    what_one_side_alone_has_changed_is_merged_and_the_rest_is_parked,
    an_object_that_both_have_changed_is_parked_for_review,
    what_is_decided_for_the_host_is_told_there_again,
    what_is_decided_field_by_field_reaches_both,
    a_change_in_between_is_a_conflict_anew,
    only_one_side_having_changed_nothing_is_reviewed,
    what_nobody_has_to_decide_cannot_be_resolved,
    where_the_external_system_wins_its_delete_counts,
    where_the_host_wins_what_was_deleted_there_is_there_again,
    what_was_deleted_there_and_changed_here_is_parked_for_review,
    what_was_deleted_there_and_is_as_it_was_here_goes,
    deleted_here_and_changed_there_it_is_there_again,
    deleted_here_and_changed_there_it_goes_where_the_host_wins,
    deleted_here_and_changed_there_it_comes_again_if_an_operator_says_so,
);

/// A guest of a house.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, BusObject)]
#[object(type = "app.houseguest", display = "Guest")]
struct Guest {
    #[object(id)]
    id: i64,
    #[object(code_name)]
    login: String,
    name: String,
    room: String,
    note: String,
}

/// A guest as the house's other system knows them.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct GuestCard {
    login: String,
    name: String,
    room: String,
    note: String,
    /// In microseconds since 1970; 0 where the system does not say.
    changed_at: i64,
}

macro_rules! house {
    ($House:ident, $name:literal, $($said:tt)+) => {
        #[connector(name = $name, create_once = find)]
        #[outgoing(Guest)]
        #[incoming(GuestCard, key = login, $($said)+)]
        struct $House;

        impl Connector for $House {
            type Settings = NoSettings;

            async fn connect(_: NoSettings, _: &Cx) -> Result<Self, Failure> {
                Ok(Self)
            }
        }

        impl Outgoing<Guest> for $House {
            async fn deliver(&self, change: Change<Guest>, cx: &Cx) -> Result<(), Failure> {
                deliver(change, cx).await
            }
        }

        impl Incoming<GuestCard> for $House {
            type Object = Guest;

            async fn prepare_internal_object(
                &self,
                received: Received<GuestCard, Guest>,
                _: &Cx,
            ) -> Result<Prepared<Guest>, Failure> {
                Ok(prepared(received))
            }
        }
    };
}

house!(Theirs, "their-house", conflict = external_wins);
house!(Ours, "our-house", conflict = host_wins);
house!(Newest, "newest-house", conflict = newest_wins);
house!(Merging, "merging-house", conflict = merge_fields, conflicts(note = host_wins));
house!(Reviewed, "reviewed-house", conflict = review);

async fn deliver(change: Change<Guest>, cx: &Cx) -> Result<(), Failure> {
    if change.operation() == ObjectOperation::Delete {
        return cx.handle::<Mirror>()?.remove(change.external_id()).await;
    }
    let Guest { login, name, room, note, .. } = change.object.clone();
    let id = change.external_id().unwrap_or(&login).to_owned();
    let card = GuestCard { login, name, room, note, changed_at: 0 };
    change.bind(cx.handle::<Mirror>()?.put(Some(&id), &card).await?);
    Ok(())
}

fn prepared(received: Received<GuestCard, Guest>) -> Prepared<Guest> {
    let GuestCard { login, name, room, note, changed_at } = received.object;
    let guest = Guest { login, name, room, note, ..received.existing.unwrap_or_default() };
    match changed_at {
        0 => guest.into(),
        micros => Prepared::from(guest).changed_at(Timestamp::from_micros(micros)),
    }
}

/// A house in which Ada is known to both sides.
struct House {
    bus: RunningTestBus,
    there: Mirror,
    connector: ConnectorName,
    ada: Guest,
}

impl House {
    async fn open<C: DescribedConnector>(bus: TestBus, connector: &str) -> Self {
        let there = Mirror::new(connector, "guest_card");
        let bus = bus.connector::<C>(connector).object::<Guest>().provide(there.clone()).start().await;
        there.attach(&bus);
        let [login, name, room, note] = ["ada", "Ada", "1", "-"].map(str::to_owned);
        let mut ada = Guest { login, name, room, note, ..Guest::default() };
        bus.objects().save(&mut ada).await.unwrap();
        bus.until_idle().await;
        Self { bus, there, connector: connector.parse().unwrap(), ada }
    }

    /// The host changes something that the other side does not hear of yet.
    async fn ours(&mut self, change: impl FnOnce(&mut Guest)) {
        self.there.peer().script([Script::Retry("busy".to_owned())]);
        self.bus.clock().advance(Duration::from_secs(1));
        change(&mut self.ada);
        self.bus.objects().save(&mut self.ada).await.unwrap();
        until(async || {
            let open = self.bus.open(self.connector.as_str(), Direction::Outgoing).await;
            open.first().is_some_and(|delivery| delivery.state == DeliveryState::Retryable)
        })
        .await;
    }

    /// The host deletes her, and the other side does not hear of it yet.
    async fn deleted_here(&self) {
        self.there.peer().script([Script::Retry("busy".to_owned())]);
        self.bus.objects().delete::<Guest>(&self.ada.id).await.unwrap();
        until(async || {
            let open = self.bus.open(self.connector.as_str(), Direction::Outgoing).await;
            open.first().is_some_and(|delivery| delivery.state == DeliveryState::Retryable)
        })
        .await;
    }

    /// The other side changes something, and says so.
    async fn theirs(&self, change: impl FnOnce(&mut Value)) {
        let ended = async || self.bus.counters(self.connector.as_str(), Direction::Incoming).await.ended();
        let before = ended().await;
        self.there.edit("ada", change).await.unwrap();
        until(async || ended().await > before || self.parked().await.is_some()).await;
    }

    async fn deleted_there(&self) {
        let ended = async || self.bus.counters(self.connector.as_str(), Direction::Incoming).await.ended();
        let before = ended().await;
        self.there.remove(Some("ada")).await.unwrap();
        until(async || ended().await > before || self.parked().await.is_some()).await;
    }

    async fn is_nowhere(&self) {
        self.bus.clock().advance(Duration::from_mins(1));
        self.bus.until_idle().await;
        assert_eq!(self.bus.objects().find::<Guest>("ada").await.unwrap(), None);
        assert_eq!(self.there.peer().get("ada"), None, "{:?}", self.there.peer().calls());
        assert_eq!(self.bus.open(self.connector.as_str(), Direction::Incoming).await, []);
        assert_eq!(self.bus.open(self.connector.as_str(), Direction::Outgoing).await, []);
    }

    async fn parked(&self) -> Option<DeliveryId> {
        let open = self.bus.open(self.connector.as_str(), Direction::Incoming).await;
        let parked = open.iter().find(|delivery| delivery.state == DeliveryState::Parked);
        parked.map(|parked| parked.delivery)
    }

    /// What a person has to decide.
    async fn conflict(&self) -> ConflictRecord {
        let parked = self.parked().await.expect("it is parked");
        let conflict = self.bus.conflict(parked).await.unwrap();
        assert_eq!(self.bus.conflicts(&self.connector, None).await.unwrap(), std::slice::from_ref(&conflict));
        conflict
    }

    async fn resolve(&self, resolution: Resolution) {
        let jane = Operator::named("jane").because("she asked");
        let delivery = self.conflict().await.delivery;
        let report = self.bus.resolve(delivery, resolution, &jane).await.unwrap();
        assert_eq!(report.to_string(), "1 resolved");
    }

    /// What both sides have in the end: name, room, note.
    async fn agreed(&self) -> [String; 3] {
        self.bus.clock().advance(Duration::from_mins(1));
        self.bus.until_idle().await;
        let Guest { name, room, note, .. } = self.bus.objects().find::<Guest>("ada").await.unwrap().unwrap();
        let card = self.there.peer().get("ada").unwrap();
        assert_eq!((&card["name"], &card["room"], &card["note"]), (&json!(name), &json!(room), &json!(note)));
        assert_eq!(self.bus.open(self.connector.as_str(), Direction::Incoming).await, []);
        assert_eq!(self.bus.open(self.connector.as_str(), Direction::Outgoing).await, []);
        assert_eq!(self.bus.conflicts(&self.connector, None).await.unwrap(), []);
        [name, room, note]
    }
}

fn object(bytes: &[u8]) -> Value {
    serde_json::from_slice(bytes).unwrap()
}

async fn the_newest_change_wins(bus: TestBus) {
    let mut house = House::open::<Newest>(bus, "newest-house").await;
    house.ours(|ada| ada.name = "Ours".to_owned()).await;
    let now = house.bus.clock().now().as_micros();
    house
        .theirs(|card| (card["name"], card["changed_at"]) = ("Theirs, earlier".into(), json!(now - 1)))
        .await;
    assert_eq!(house.agreed().await, ["Ours", "1", "-"]);
    house.ours(|ada| ada.name = "Ours again".to_owned()).await;
    let now = house.bus.clock().now().as_micros();
    house.theirs(|card| (card["name"], card["changed_at"]) = ("Theirs, at once".into(), json!(now))).await;
    assert_eq!(house.agreed().await, ["Theirs, at once", "1", "-"]);
}

async fn where_the_times_are_not_known_a_person_decides(bus: TestBus) {
    let mut house = House::open::<Newest>(bus, "newest-house").await;
    house.ours(|ada| ada.name = "Ours".to_owned()).await;
    house.theirs(|card| (card["name"], card["changed_at"]) = ("Theirs".into(), json!(0))).await;
    assert_eq!(house.conflict().await.fields, ["name"]);
    house.resolve(Resolution::External).await;
    assert_eq!(house.agreed().await, ["Theirs", "1", "-"]);
}

async fn what_one_side_alone_has_changed_is_merged_and_the_rest_is_parked(bus: TestBus) {
    let mut house = House::open::<Merging>(bus, "merging-house").await;
    house.ours(|ada| ada.name = "Ours".to_owned()).await;
    house.theirs(|card| card["room"] = "2".into()).await;
    assert_eq!(house.agreed().await, ["Ours", "2", "-"], "nobody is asked");
    house.ada = house.bus.objects().find::<Guest>("ada").await.unwrap().unwrap();
    house
        .ours(|ada| (ada.name, ada.room, ada.note) = ("Ours".to_owned(), "3".to_owned(), "ours".to_owned()))
        .await;
    house
        .theirs(|card| {
            (card["name"], card["room"], card["note"]) = ("Theirs".into(), "4".into(), "theirs".into());
        })
        .await;
    assert_eq!(
        house.conflict().await.fields,
        ["room"],
        "of the note it is said who wins, and the name is theirs"
    );
    house.resolve(Resolution::External).await;
    assert_eq!(house.agreed().await, ["Theirs", "4", "ours"]);
}

async fn an_object_that_both_have_changed_is_parked_for_review(bus: TestBus) {
    let mut house = House::open::<Reviewed>(bus, "reviewed-house").await;
    house.ours(|ada| (ada.name, ada.room) = ("Ours".to_owned(), "2".to_owned())).await;
    house.theirs(|card| (card["name"], card["note"]) = ("Theirs".into(), "new".into())).await;
    let conflict = house.conflict().await;
    assert_eq!(conflict.object.to_string(), format!("app.houseguest {}", house.ada.id));
    assert_eq!(conflict.fields, ["name", "note", "room"]);
    let of = |bytes: &[u8]| ["name", "room", "note"].map(|field| object(bytes)[field].clone());
    assert_eq!(of(conflict.base.as_ref().unwrap()), [json!("Ada"), json!("1"), json!("-")]);
    assert_eq!(of(&conflict.host), [json!("Ours"), json!("2"), json!("-")]);
    assert_eq!(of(conflict.external.as_ref().unwrap()), [json!("Theirs"), json!("1"), json!("new")]);
    let detail = house.bus.delivery(conflict.delivery).await.unwrap();
    let reason = detail.summary.reason.unwrap();
    assert!(reason.contains("in name, note, room"), "{reason}");
    assert!(reason.contains(&format!("`bus.conflict({})`", conflict.delivery)), "{reason}");
    house.resolve(Resolution::External).await;
    assert_eq!(house.agreed().await, ["Theirs", "1", "new"]);
}

async fn what_is_decided_for_the_host_is_told_there_again(bus: TestBus) {
    let mut house = House::open::<Reviewed>(bus, "reviewed-house").await;
    house.ours(|ada| ada.name = "Ours".to_owned()).await;
    house.theirs(|card| (card["name"], card["note"]) = ("Theirs".into(), "new".into())).await;
    let delivery = house.conflict().await.delivery;
    house.resolve(Resolution::Host).await;
    assert_eq!(house.agreed().await, ["Ours", "1", "-"]);
    let done = house.bus.delivery(delivery).await.unwrap().interventions;
    let [done] = &done[..] else { panic!("one: {done:?}") };
    assert_eq!((done.verb, &*done.by, done.reason.as_deref()), (Verb::Resolve, "jane", Some("she asked")));
}

async fn what_is_decided_field_by_field_reaches_both(bus: TestBus) {
    let mut house = House::open::<Reviewed>(bus, "reviewed-house").await;
    house.ours(|ada| (ada.name, ada.room) = ("Ours".to_owned(), "2".to_owned())).await;
    house.theirs(|card| (card["name"], card["note"]) = ("Theirs".into(), "new".into())).await;
    let fields = [("name", Side::External), ("note", Side::Host), ("room", Side::Host)];
    house.resolve(Resolution::Fields(fields.map(|(field, side)| (field.to_owned(), side)).into())).await;
    assert_eq!(house.agreed().await, ["Theirs", "2", "-"]);
}

async fn a_change_in_between_is_a_conflict_anew(bus: TestBus) {
    let mut house = House::open::<Reviewed>(bus, "reviewed-house").await;
    house.ours(|ada| ada.name = "Ours".to_owned()).await;
    house.theirs(|card| card["name"] = "Theirs".into()).await;
    let conflict = house.conflict().await;
    (house.ada.name, house.ada.room) = ("Ours again".to_owned(), "2".to_owned());
    house.bus.objects().save(&mut house.ada).await.unwrap();
    house.resolve(Resolution::Host).await;
    until(async || house.bus.conflict(conflict.delivery).await.unwrap().fields == ["room"]).await;
    until(async || house.parked().await.is_some()).await;
    assert_eq!(house.conflict().await.resolved, BTreeMap::from([("name".to_owned(), Side::Host)]));
    house.resolve(Resolution::Host).await;
    assert_eq!(house.agreed().await, ["Ours again", "2", "-"]);
}

async fn only_one_side_having_changed_nothing_is_reviewed(bus: TestBus) {
    let house = House::open::<Reviewed>(bus, "reviewed-house").await;
    house.theirs(|card| (card["name"], card["note"]) = ("Theirs".into(), "new".into())).await;
    assert_eq!(house.agreed().await, ["Theirs", "1", "new"]);
}

async fn what_nobody_has_to_decide_cannot_be_resolved(bus: TestBus) {
    let mut house = House::open::<Reviewed>(bus, "reviewed-house").await;
    let jane = Operator::named("jane");
    let error = house.bus.resolve(DeliveryId(4_711), Resolution::Host, &jane).await.unwrap_err();
    assert_eq!(error.kind(), BusErrorKind::NotFound, "{error}");
    house.ours(|ada| ada.name = "Ours".to_owned()).await;
    house.theirs(|card| (card["name"], card["note"]) = ("Theirs".into(), "new".into())).await;
    let delivery = house.conflict().await.delivery;
    let nobody = house.bus.resolve(delivery, Resolution::Host, &Operator::named(" ")).await.unwrap_err();
    assert_eq!(nobody.kind(), BusErrorKind::BadName, "{nobody}");
    for (fields, said) in
        [(&["name"][..], "nothing is said of `note`"), (&["name", "note", "nmae"], "`nmae` of")]
    {
        let fields = fields.iter().map(|field| ((*field).to_owned(), Side::Host)).collect();
        let error = house.bus.resolve(delivery, Resolution::Fields(fields), &jane).await.unwrap_err();
        assert_eq!(error.kind(), BusErrorKind::BadName, "{error}");
        assert!(error.to_string().contains(said), "{error}");
    }
    assert_eq!(house.parked().await, Some(delivery), "nothing was done");
    house.resolve(Resolution::External).await;
    house.agreed().await;
    let error = house.bus.resolve(delivery, Resolution::Host, &jane).await.unwrap_err();
    assert_eq!(error.kind(), BusErrorKind::NotFound, "{error}");
    let retried = house.bus.retry(delivery, &jane).await.unwrap();
    assert_eq!(retried.items[0].verdict, Verdict::Ended(DeliveryState::Completed));
}

async fn where_the_external_system_wins_its_delete_counts(bus: TestBus) {
    let mut house = House::open::<Theirs>(bus, "their-house").await;
    house.ours(|ada| ada.name = "Ours".to_owned()).await;
    house.deleted_there().await;
    house.is_nowhere().await;
}

async fn where_the_host_wins_what_was_deleted_there_is_there_again(bus: TestBus) {
    let mut house = House::open::<Ours>(bus, "our-house").await;
    house.ours(|ada| ada.name = "Ours".to_owned()).await;
    house.deleted_there().await;
    assert_eq!(house.agreed().await, ["Ours", "1", "-"]);
}

async fn what_was_deleted_there_and_changed_here_is_parked_for_review(bus: TestBus) {
    let mut house = House::open::<Reviewed>(bus, "reviewed-house").await;
    house.ours(|ada| ada.name = "Ours".to_owned()).await;
    house.deleted_there().await;
    let conflict = house.conflict().await;
    assert_eq!((conflict.external, &conflict.fields[..]), (None, &[String::new()][..]));
    assert_eq!(object(&conflict.host)["name"], "Ours");
    let reason = house.bus.delivery(conflict.delivery).await.unwrap().summary.reason.unwrap();
    assert!(reason.contains("was deleted at reviewed-house, and changed here since"), "{reason}");
    house.resolve(Resolution::Host).await;
    assert_eq!(house.agreed().await, ["Ours", "1", "-"]);
    house.ours(|ada| ada.name = "Ours again".to_owned()).await;
    house.deleted_there().await;
    house.resolve(Resolution::External).await;
    house.is_nowhere().await;
}

async fn what_was_deleted_there_and_is_as_it_was_here_goes(bus: TestBus) {
    let house = House::open::<Ours>(bus, "our-house").await;
    house.deleted_there().await;
    house.is_nowhere().await;
}

async fn deleted_here_and_changed_there_it_is_there_again(bus: TestBus) {
    let house = House::open::<Theirs>(bus, "their-house").await;
    house.deleted_here().await;
    house.theirs(|card| card["name"] = "Theirs".into()).await;
    assert_eq!(house.agreed().await, ["Theirs", "1", "-"]);
}

async fn deleted_here_and_changed_there_it_goes_where_the_host_wins(bus: TestBus) {
    let house = House::open::<Ours>(bus, "our-house").await;
    house.deleted_here().await;
    house.theirs(|card| card["name"] = "Theirs".into()).await;
    house.is_nowhere().await;
}

async fn deleted_here_and_changed_there_it_comes_again_if_an_operator_says_so(bus: TestBus) {
    let house = House::open::<Reviewed>(bus, "reviewed-house").await;
    house.deleted_here().await;
    let open = house.bus.open("reviewed-house", Direction::Outgoing).await;
    let before = house.bus.counters("reviewed-house", Direction::Incoming).await.discarded;
    house.there.edit("ada", |card| card["name"] = "Theirs".into()).await.unwrap();
    until(async || house.bus.counters("reviewed-house", Direction::Incoming).await.discarded > before).await;
    let queue = QueueId::new(house.connector.clone(), Direction::Incoming);
    let filter = DeliveryFilter { state: Some(DeliveryState::Discarded), ..DeliveryFilter::default() };
    let discarded = house.bus.deliveries(&queue, &filter).await.unwrap().remove(0);
    let reason = discarded.reason.unwrap();
    assert!(reason.contains(&format!("is told so by delivery {}", open[0].delivery)), "{reason}");
    house.is_nowhere().await;
    house.bus.redeliver(discarded.delivery, &Operator::named("jane")).await.unwrap();
    house.bus.until_idle().await;
    let found = house.bus.objects().find::<Guest>("ada").await.unwrap();
    assert_eq!(found.map(|ada| ada.name).as_deref(), Some("Theirs"));
}
