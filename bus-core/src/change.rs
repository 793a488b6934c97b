//! What a connector is handed when something changed in the host.

use std::sync::{Arc, Mutex, PoisonError};

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::clock::Timestamp;
use crate::delivery::{DeliveryId, TaskId};
use crate::descriptor::Subscribable;
use crate::name::{ConnectorName, ObjectType, SiteName};
use crate::object::{ObjectId, ObjectKey};
use crate::operation::{DataType, Operation};

/// One change of one host object, on its way to one external system.
#[derive(Debug)]
pub struct Change<T> {
    /// The object: what it is now, or, after a delete, all that it was. References in it point at the external
    /// system's ids where they were translated, else at the host's.
    pub object: T,
    facts: ChangeFacts,
}

/// What is known of a delivery besides its object.
#[doc(hidden)]
#[derive(Debug, Clone)]
pub struct ChangeFacts {
    pub delivery: DeliveryId,
    pub task: TaskId,
    pub key: ObjectKey,
    pub operation: Operation,
    pub data_type: DataType,
    pub attempt: u32,
    pub idempotency_key: Uuid,
    pub site: Option<SiteName>,
    pub external_id: Option<String>,
    pub origin: Option<ConnectorName>,
    pub logged_at: Timestamp,
    pub bound: Bound,
}

/// Where the external id that a connector names is kept for the settlement.
#[doc(hidden)]
#[derive(Debug, Clone, Default)]
pub struct Bound(Arc<Mutex<Option<String>>>);

impl Bound {
    pub fn set(&self, external_id: String) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(external_id);
    }

    pub fn take(&self) -> Option<String> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).take()
    }
}

impl<T: Subscribable> Change<T> {
    /// What happened to it: an `ObjectOperation`, or, to a page, a `PageOperation`.
    pub fn operation(&self) -> T::Operation {
        T::Operation::from(self.facts.operation)
    }
}

impl<T> Change<T> {
    #[doc(hidden)]
    pub fn new(object: T, facts: ChangeFacts) -> Self {
        Self { object, facts }
    }

    /// Which of the host's objects it is. Of a page the type is `page`, and the id its node's GUID and its culture.
    pub fn key(&self) -> &ObjectKey {
        &self.facts.key
    }

    /// The site that this is about: the one that the object was added to or removed from, else the one that it belongs
    /// to. None for a global object.
    pub fn site(&self) -> Option<&SiteName> {
        self.facts.site.as_ref()
    }

    /// How much of the object travels: whether references are translated and children are there.
    pub fn data_type(&self) -> DataType {
        self.facts.data_type
    }

    /// What the external system calls this object, as far as the identity map knows.
    pub fn external_id(&self) -> Option<&str> {
        self.facts.external_id.as_deref()
    }

    /// Says what the external system calls this object from now on. Kept with the outcome of this delivery,
    /// whatever it is, and used for every later delivery and for references to this object.
    ///
    /// Any text of 1 to 1,024 bytes without control characters; whatever else parks the delivery, with the reason.
    pub fn bind(&self, external_id: impl Into<String>) {
        self.facts.bound.set(external_id.into());
    }

    /// The same for every attempt at this delivery: hand it to external systems that recognise repeats.
    pub fn idempotency_key(&self) -> Uuid {
        self.facts.idempotency_key
    }

    /// A number that grows with every later delivery of the same object to this connector, and that all attempts at
    /// one delivery share. Hand it to an external system that can refuse what is older than what it has: so a call
    /// that arrives late, after its time-out, changes nothing there.
    ///
    /// A delivery that stepped aside keeps its number.
    pub fn sequence(&self) -> i64 {
        self.facts.delivery.0
    }

    /// Which attempt this is; the first is 1.
    pub fn attempt(&self) -> u32 {
        self.facts.attempt
    }

    /// The delivery, as the operator sees it.
    pub fn delivery(&self) -> DeliveryId {
        self.facts.delivery
    }

    /// The task behind it: the same for every connector that is told of this change.
    pub fn task(&self) -> TaskId {
        self.facts.task
    }

    /// The connector whose incoming task made this change; `None` when the host made it.
    pub fn origin(&self) -> Option<&ConnectorName> {
        self.facts.origin.as_ref()
    }

    /// When the change was logged.
    pub fn logged_at(&self) -> Timestamp {
        self.facts.logged_at
    }
}

/// A change as filters and listeners see it: everything but the object's fields.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ChangeSummary {
    /// The object's type; the class of a page.
    pub object_type: ObjectType,
    /// Its id; of a page the GUID of its node.
    pub id: ObjectId,
    /// What happened to it.
    pub operation: Operation,
    /// Its code name, if it has one.
    pub code_name: Option<String>,
    /// What people call it.
    pub display_name: Option<String>,
    /// The site that the change is about: the one that the object was added to or removed from, else the one that it
    /// belongs to. None for a global object.
    pub site: Option<SiteName>,
    /// Where it stands, if it is a page.
    pub page: Option<PagePlace>,
    /// The connector whose incoming task made the change; `None` when the host made it.
    pub origin: Option<ConnectorName>,
}

/// Where a page stands.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PagePlace {
    /// Its page type.
    pub class_name: String,
    /// Its alias path, `/News/2026/Launch`.
    pub alias_path: String,
    /// Its culture, `en-US`.
    pub culture: String,
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::operation::ObjectOperation;

    fn change(delivery: i64, attempt: u32) -> Change<()> {
        let facts = ChangeFacts {
            delivery: DeliveryId(delivery),
            task: TaskId(1),
            key: ObjectKey { object_type: ObjectType::parse("app.user").unwrap(), id: ObjectId::Number(7) },
            operation: ObjectOperation::Update.into(),
            data_type: DataType::SimpleSnapshot,
            attempt,
            idempotency_key: Uuid::nil(),
            site: None,
            external_id: None,
            origin: None,
            logged_at: Timestamp::EPOCH,
            bound: Bound::default(),
        };
        Change::new((), facts)
    }

    #[test]
    fn the_sequence_grows_with_deliveries_and_not_with_attempts() {
        assert_eq!(change(7, 1).sequence(), change(7, 2).sequence());
        assert!(change(7, 3).sequence() < change(8, 1).sequence());
    }
}
