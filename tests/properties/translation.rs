//! Out and in again is as it was: what a connector was told of an object refers to what its external system knows, and given
//! back as it was told, but for one field, changes that field and nothing else.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use bus_core::declared::Accepts;
use bus_core::descriptor::DescribedConnector;
use bus_core::{
    AnyObject, BusObject, Change, Children, Connector, Cx, DataType, Direction, ExternalTask, Failure,
    Incoming, NoSettings, ObjectId, ObjectKey, Outgoing, Prepared, Received, Ref, connector,
};
use bus_testkit::TestBus;
use proptest::prelude::*;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::broken::Bug;
use crate::random::for_each;

/// How many stations there are to refer to.
const STATIONS: usize = 5;

/// How many parcels each property is tried with.
pub(crate) const PARCELS: u64 = 300;

#[test]
fn out_and_in_again_is_as_it_was() {
    for_each(PARCELS, &parcel(), |case| by_post(case, Bug::None));
}

#[test]
fn out_and_in_again_is_as_it_was_without_a_struct() {
    for_each(PARCELS, &parcel(), |case| by_depot(case, Bug::None));
}

#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, BusObject)]
#[object(type = "app.station")]
struct Station {
    #[object(id)]
    id: i64,
    #[object(code_name)]
    code: String,
}

/// References wherever they can stand.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, BusObject)]
#[object(type = "app.parcel")]
#[serde(rename_all = "camelCase")]
pub(crate) struct Parcel {
    #[object(id)]
    id: i64,
    /// How often it was there and back.
    revision: u32,
    text: String,
    /// Whatever somebody keeps.
    notes: Value,
    sent_to: Option<Ref<Station>>,
    #[object(reference = late)]
    sent_from: Option<Ref<Station>>,
    via: Vec<Option<Ref<Station>>>,
    by_name: BTreeMap<String, Ref<Station>>,
    inside: Vec<Item>,
    #[serde(flatten)]
    owner: Owner,
    #[object(children)]
    labels: Children<Item>,
}

#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
struct Owner {
    owned_by: Option<Ref<Station>>,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct Item {
    what: String,
    made_at: Option<Ref<Station>>,
    parts: Vec<Item>,
}

impl Parcel {
    fn references(&mut self) -> Vec<&mut Ref<Station>> {
        let Self { sent_to, sent_from, via, by_name, inside, owner, labels, .. } = self;
        let mut all = Vec::new();
        all.extend(sent_to.iter_mut().chain(sent_from).chain(&mut owner.owned_by));
        all.extend(via.iter_mut().flatten().chain(by_name.values_mut()));
        let labels = if let Children::Loaded(labels) = labels { labels.as_mut_slice() } else { &mut [] };
        inside.iter_mut().chain(labels).for_each(|item| item.add_references(&mut all));
        all
    }
}

impl Item {
    fn add_references<'a>(&'a mut self, all: &mut Vec<&'a mut Ref<Station>>) {
        all.extend(&mut self.made_at);
        self.parts.iter_mut().for_each(|part| part.add_references(all));
    }
}

/// What the external systems call a station: a number that looks like one of ours.
fn number_of(station: i64) -> String {
    (i64::try_from(STATIONS).expect("few") + 1 - station).to_string()
}

/// A parcel as a connector is told of it.
trait Carried: Clone + Send + Sync + 'static {
    /// Its fields, as they stand there.
    fn fields(&self) -> Value;

    /// Once more there and back.
    fn sent_back(self) -> Self;
}

impl Carried for Parcel {
    fn fields(&self) -> Value {
        serde_json::to_value(self).expect("it is JSON")
    }

    fn sent_back(mut self) -> Self {
        self.revision += 1;
        self
    }
}

impl Carried for AnyObject {
    fn fields(&self) -> Value {
        Value::Object(self.fields.clone())
    }

    fn sent_back(mut self) -> Self {
        self.fields.insert("revision".to_owned(), 1.into());
        self
    }
}

/// What a connector was told last.
#[derive(Debug, Clone)]
struct Told<T>(Arc<Mutex<Option<T>>>);

impl<T: Clone> Told<T> {
    fn nothing() -> Self {
        Self(Arc::default())
    }

    fn put(&self, told: T) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(told);
    }

    fn get(&self) -> Result<T, Failure> {
        let told = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        told.clone().ok_or_else(|| Failure::reject("nothing was told"))
    }
}

/// That a parcel comes back.
#[derive(Debug, Clone, Serialize, Deserialize)]
struct Back {
    uid: String,
}

macro_rules! carriers {
    ($($carrier:ident, $name:literal, $object:ty, $($line:meta),*;)*) => {
        $(
            #[connector(name = $name, needs(Told<$object>))]
            #[outgoing(Station)]
            $(#[$line])*
            #[incoming(Back, key = uid)]
            struct $carrier;

            impl Connector for $carrier {
                type Settings = NoSettings;
                async fn connect(_: NoSettings, _: &Cx) -> Result<Self, Failure> {
                    Ok(Self)
                }
            }

            impl Outgoing<Station> for $carrier {
                async fn deliver(&self, change: Change<Station>, _: &Cx) -> Result<(), Failure> {
                    change.bind(number_of(change.object.id));
                    Ok(())
                }
            }

            impl Outgoing<$object> for $carrier {
                async fn deliver(&self, change: Change<$object>, cx: &Cx) -> Result<(), Failure> {
                    cx.handle::<Told<$object>>()?.put(change.object.clone());
                    change.bind("p");
                    Ok(())
                }
            }

            impl Incoming<Back> for $carrier {
                type Object = $object;
                async fn prepare_internal_object(
                    &self,
                    _: Received<Back, $object>,
                    cx: &Cx,
                ) -> Result<Prepared<$object>, Failure> {
                    Ok(cx.handle::<Told<$object>>()?.get()?.sent_back().into())
                }
            }
        )*
    };
}

carriers! {
    Post, "post", Parcel, outgoing(Parcel, data = snapshot);
    Depot, "depot", AnyObject, outgoing(AnyObject, type = "app.parcel");
}

pub(crate) fn parcel() -> impl Strategy<Value = Parcel> {
    let station = || (1..=i64::try_from(STATIONS).expect("few")).prop_map(Ref::host);
    let text = || {
        prop_oneof![
            3 => "[a-z/~.\"\\\\]{0,6}",
            1 => any::<String>(),
            1 => Just("$bus:0123456789abcdef".to_owned()),
        ]
    };
    let item = move || {
        let leaf = (text(), prop::option::of(station())).prop_map(|(what, made_at)| Item {
            what,
            made_at,
            parts: Vec::new(),
        });
        leaf.prop_recursive(3, 8, 3, move |inner| {
            (text(), prop::option::of(station()), prop::collection::vec(inner, 0..3))
                .prop_map(|(what, made_at, parts)| Item { what, made_at, parts })
        })
    };
    let notes = prop_oneof![
        Just(Value::Null),
        any::<i64>().prop_map(Value::from),
        text().prop_map(Value::from),
        prop::collection::btree_map(text(), text(), 0..3).prop_map(|map| serde_json::json!(map)),
    ];
    let single = || prop::option::of(station());
    let fields = (text(), notes, single(), single(), single());
    let lists = (
        prop::collection::vec(single(), 0..4),
        prop::collection::btree_map(text(), station(), 0..4),
        prop::collection::vec(item(), 0..3),
        prop::collection::vec(item(), 0..3),
    );
    (fields, lists).prop_map(
        |((text, notes, sent_to, sent_from, owned_by), (via, by_name, inside, labels))| {
            let (owner, labels) = (Owner { owned_by }, labels.into());
            Parcel {
                id: 0,
                revision: 0,
                text,
                notes,
                sent_to,
                sent_from,
                via,
                by_name,
                inside,
                owner,
                labels,
            }
        },
    )
}

pub(crate) async fn by_post(parcel: Parcel, bug: Bug) {
    there_and_back::<Post, Parcel>(parcel, "post", DataType::Snapshot, bug).await;
}

pub(crate) async fn by_depot(parcel: Parcel, bug: Bug) {
    there_and_back::<Depot, AnyObject>(parcel, "depot", DataType::SimpleSnapshot, bug).await;
}

async fn there_and_back<C: Connector + DescribedConnector + Accepts<Back>, O: Carried>(
    mut parcel: Parcel,
    carrier: &str,
    data_type: DataType,
    bug: Bug,
) {
    let bus =
        TestBus::new().store(bug.store()).connector::<C>(carrier).object::<Station>().object::<Parcel>();
    let told = Told::<O>::nothing();
    let bus = bus.provide(told.clone()).start().await;
    for number in 1..=STATIONS {
        let mut station = Station { id: 0, code: format!("s{number}") };
        bus.objects().save(&mut station).await.unwrap();
    }
    bus.objects().save(&mut parcel).await.unwrap();
    bus.until_idle().await;
    let outgoing = bus.counters(carrier, Direction::Outgoing).await;
    assert_eq!((outgoing.open, outgoing.logged), (0, outgoing.completed));
    let told = told.get().expect("it was told").fields();
    let mut as_told = parcel.clone();
    for reference in as_told.references() {
        *reference = Ref::external(number_of(*reference.host_id().expect("one of the host")));
    }
    let mut as_told = as_told.fields();
    if data_type != DataType::Snapshot {
        as_told.as_object_mut().expect("fields").remove("labels");
    }
    assert_eq!(told, as_told);

    let key = ObjectKey { object_type: Parcel::TYPE.parse().unwrap(), id: ObjectId::Number(parcel.id) };
    let stored = async || {
        let record = bus.store().object(&key).await.unwrap().unwrap();
        serde_json::from_slice::<Value>(&record.data).unwrap()
    };
    let mut expected = stored().await;
    expected["object"]["revision"] = 1.into();
    let back = ExternalTask::update::<C, _>(carrier, &Back { uid: "p".to_owned() }).data_type(data_type);
    bus.process_external_task(back).await.unwrap();
    bus.until_idle().await;
    let incoming = bus.counters(carrier, Direction::Incoming).await;
    let open = bus.open(carrier, Direction::Incoming).await;
    assert_eq!((incoming.completed, incoming.waited), (1, 0), "{open:?}");
    assert_eq!(stored().await, expected);
    let applied = bus.objects().load::<Parcel>(&parcel.id).await.unwrap().unwrap();
    assert_eq!(applied, Parcel { revision: 1, ..parcel });
    bus.shutdown().await;
}
