//! Rewrites references: from the host's ids to the external system's before a delivery, and the other way round before
//! an object is applied. The identity map is asked first, then the connector.

mod incoming;
mod known;
mod missing;
mod outgoing;
mod pages;

use std::collections::HashMap;
use std::sync::Arc;

use bus_core::descriptor::ConnectorDescriptor;
use bus_core::instance::Instance;
use bus_core::payload::Payload;
use bus_core::{ConnectorName, Failure, ObjectId, ObjectKey, ObjectType, ReferenceTarget};
use bus_store::{Awaited, Binding, LateReferences, StoreError};

use crate::flow::keys::PAGE;
use crate::host::HostError;
use crate::registry::Enlisted;
use crate::shared::Shared;
pub(crate) use known::ExternalIds;
pub(crate) use pages::Called;

/// A payload whose references were translated as far as they can be: what `delivery` takes, and nothing else.
#[derive(Debug)]
pub(crate) struct Translated(Payload);

impl Translated {
    pub(crate) fn payload(&self) -> &Payload {
        &self.0
    }

    pub(crate) fn into_payload(self) -> Payload {
        self.0
    }
}

/// Why a payload is not translated.
#[derive(Debug)]
pub(crate) enum Untranslated {
    /// Something it refers to is not there yet.
    Missing { awaited: Vec<Awaited>, reason: String },
    /// Something it refers to can never be there: a person has to look.
    Unanswerable(String),
    /// The connector failed when it was asked.
    Failed(Failure),
    /// The store, or a repository, failed when it was asked.
    Host(HostError),
    /// The bus stops.
    Aborted,
}

impl From<StoreError> for Untranslated {
    fn from(error: StoreError) -> Self {
        Self::Host(error.into())
    }
}

impl From<HostError> for Untranslated {
    fn from(error: HostError) -> Self {
        Self::Host(error)
    }
}

/// Who is asked: a connected connector.
pub(crate) struct Translator<'a> {
    shared: &'a Shared,
    enlisted: &'a Enlisted,
    linked: &'static ConnectorDescriptor,
    instance: &'a Arc<Instance>,
    /// What the connector answered: new bindings, to be kept with the settlement.
    pub(crate) learned: Vec<Binding>,
    /// What an object goes without, if its type says that it may.
    pub(crate) late: Option<LateReferences>,
    /// What was found for incoming references, whether or not a binding is to be made of it.
    found: HashMap<(ObjectType, String), ObjectId>,
}

/// The objects that a payload refers to.
pub(crate) fn referenced(payload: &Payload) -> impl Iterator<Item = ObjectKey> {
    payload.references.iter().filter_map(|reference| match &reference.target {
        ReferenceTarget::Host(id) => {
            Some(ObjectKey { object_type: reference.object_type.clone(), id: id.clone() })
        }
        ReferenceTarget::External(_) | ReferenceTarget::Unresolved(_) => None,
    })
}

impl<'a> Translator<'a> {
    pub(crate) fn new(
        shared: &'a Shared,
        enlisted: &'a Enlisted,
        linked: &'static ConnectorDescriptor,
        instance: &'a Arc<Instance>,
    ) -> Self {
        Self { shared, enlisted, linked, instance, learned: Vec::new(), late: None, found: HashMap::new() }
    }

    fn connector(&self) -> &ConnectorName {
        &self.enlisted.record.name
    }

    fn accepts(&self, object_type: &ObjectType) -> bool {
        if object_type.as_str() == PAGE {
            return self.accepts_pages();
        }
        self.linked
            .incoming()
            .any(|route| route.object_type.is_none_or(|applied| applied == object_type.as_str()))
    }
}
