//! Three types of objects that refer to each other, and the system that keeps a copy of them.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bus_core::{
    BusObject, Change, Connector, Cx, Failure, Incoming, NoSettings, ObjectParams, ObjectType, Outgoing,
    Prepared, Received, Ref, connector,
};
use bus_runtime::Processing;
use bus_testkit::TestBus;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::broken::Bug;

macro_rules! types {
    ($($name:ident, $type:literal, $external:ident;)*) => {
        $(
            #[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, BusObject)]
            #[object(type = $type)]
            pub(crate) struct $name {
                #[object(id)]
                pub(crate) id: i64,
                #[object(code_name)]
                pub(crate) code: String,
                pub(crate) revision: u32,
                pub(crate) first: Option<Ref<Country>>,
                pub(crate) firms: Vec<Ref<Firm>>,
                pub(crate) people: BTreeMap<String, Ref<Person>>,
                #[object(reference = late)]
                pub(crate) late: Option<Ref<Person>>,
            }

            /// What the copy calls one.
            #[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
            pub(crate) struct $external(pub(crate) Foreign);

            impl Outgoing<$name> for Copyist {
                async fn deliver(&self, change: Change<$name>, cx: &Cx) -> Result<(), Failure> {
                    cx.handle::<Copy>()?.keep(&change)
                }
            }

            impl Incoming<$external> for Copyist {
                type Object = $name;

                async fn prepare_internal_object(
                    &self,
                    received: Received<$external, $name>,
                    _: &Cx,
                ) -> Result<Prepared<$name>, Failure> {
                    let Foreign { uid, first, firms, people } = received.object.0;
                    let mut object = received.existing.unwrap_or_default();
                    object.code = code_of(&uid);
                    object.revision += 1;
                    object.first = first.map(Ref::external);
                    object.firms = firms.into_iter().map(Ref::external).collect();
                    object.people = people.into_iter().map(|id| (id.clone(), Ref::external(id))).collect();
                    Ok(object.into())
                }
            }
        )*
    };
}

types! {
    Country, "app.country", ForeignCountry;
    Firm, "app.firm", ForeignFirm;
    Person, "app.person", ForeignPerson;
}

/// An object as the copy has it, with what it refers to by the copy's ids.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct Foreign {
    pub(crate) uid: String,
    pub(crate) first: Option<String>,
    pub(crate) firms: Vec<String>,
    pub(crate) people: Vec<String>,
}

/// What the copy calls the object of this code name.
pub(crate) fn uid_of(code: &str) -> String {
    format!("id of {code}")
}

fn code_of(uid: &str) -> String {
    uid.strip_prefix("id of ").unwrap_or(uid).to_owned()
}

/// Keeps a copy of everything, and is told what changes there.
#[connector(name = "copyist", create_once = repeatable, needs(Copy))]
#[outgoing(Country)]
#[outgoing(Firm)]
#[outgoing(Person)]
#[incoming(ForeignCountry, key = 0.uid)]
#[incoming(ForeignFirm, key = 0.uid)]
#[incoming(ForeignPerson, key = 0.uid)]
pub(crate) struct Copyist;

impl Connector for Copyist {
    type Settings = NoSettings;

    async fn connect(_: NoSettings, _: &Cx) -> Result<Self, Failure> {
        Ok(Self)
    }

    async fn internal_object_params(
        &self,
        external_id: &str,
        _: &ObjectType,
        cx: &Cx,
    ) -> Result<Option<ObjectParams>, Failure> {
        let known = cx.handle::<Copy>()?.records().known.contains(external_id);
        Ok(known.then(|| ObjectParams::code_name(code_of(external_id))))
    }
}

/// The copy. Clones are the same.
#[derive(Debug, Clone, Default)]
pub(crate) struct Copy(Arc<Mutex<Records>>);

#[derive(Debug, Default)]
pub(crate) struct Records {
    /// By external id, as they were delivered last.
    pub(crate) kept: BTreeMap<String, Value>,
    /// The ids whose code names the copy tells when it is asked.
    pub(crate) known: BTreeSet<String>,
}

impl Copy {
    pub(crate) fn records(&self) -> MutexGuard<'_, Records> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn keep<T: BusObject>(&self, change: &Change<T>) -> Result<(), Failure> {
        let code = change.object.code_name().unwrap_or_default();
        let object =
            serde_json::to_value(&change.object).map_err(|error| Failure::reject(error.to_string()))?;
        self.records().kept.insert(uid_of(&code), object);
        change.bind(uid_of(&code));
        Ok(())
    }
}

/// A bus with the copyist on a store with this bug, about to start, and the copy.
pub(crate) fn with_copy(processing: Processing, bug: Bug) -> (TestBus, Copy) {
    let copy = Copy::default();
    let bus = TestBus::new().store(bug.store()).connector::<Copyist>("copyist").processing(processing);
    (bus.object::<Country>().object::<Firm>().object::<Person>().provide(copy.clone()), copy)
}
