//! The words of the integration bus, and what a connector author implements.
//!
//! In the order in which data travels:
//!
//! | Word | Meaning |
//! |---|---|
//! | *object* | a typed record of the host application ([`BusObject`]): object type, id, GUID, code name, display name |
//! | *page* | a node of a site's content tree in one culture ([`Page`], [`PageNode`]): class, alias path, state |
//! | *site* | a tenant of the host ([`Site`]); an object belongs to one, or is global |
//! | *reference* | a typed foreign key that translation can see ([`Ref`]) |
//! | *change* | one operation on one object, with its data and its origin ([`Change`]) |
//! | *subscription* | what a connector asks to be told ([`Subscription`]) |
//! | *task* | a change (outgoing) or an external object (incoming) written down ([`ExternalTask`]) |
//! | *delivery* | one task for one connector: the real queue entry ([`DeliveryId`], [`DeliveryState`]) |
//! | *poll* | asking an external system that does not call ([`Connector::poll`], [`Poll`]) |
//! | *attempt* | one try at a delivery |
//! | *key* | what order is kept for: registered connector, direction, object type, immutable id |
//! | *connector* | a struct that knows one external system ([`Connector`], [`Outgoing`], [`Incoming`], [`blocking`]) |
//! | *registered connector* | the operator's record of one: code name, state, settings |
//! | *translation record* | what identifies a referenced object apart from its id ([`TranslationRecord`]) |
//! | *binding* | "our object 17 is their object 003xx", unique both ways per registered connector |
//! | *identity map* | all bindings |
//!
//! This crate does no I/O, starts no threads and reads no clock.

// The macros name this crate by its name; inside it, that name is itself.
extern crate self as bus_core;

pub mod blocking;
pub mod change;
pub mod children;
pub mod clock;
pub mod conflict;
pub mod connector;
pub mod context;
pub mod create_once;
pub mod declared;
pub mod delivery;
pub mod descriptor;
pub mod event;
pub mod failure;
#[doc(hidden)]
pub mod instance;
pub mod name;
pub mod object;
pub mod operation;
pub mod page;
#[doc(hidden)]
pub mod parts;
pub mod payload;
pub mod poll;
pub mod reference;
mod register;
pub mod settings;
pub mod site;
pub mod subscription;
pub mod task;

#[doc(hidden)]
#[path = "private.rs"]
pub mod __private;

pub use bus_macros::{BusObject, Page, Settings, connector, incoming, outgoing};

pub use change::{Change, ChangeSummary, PagePlace};
pub use children::{Bindings, Children, ListField, ListRule};
pub use clock::{BoxFuture, Clock, Dice, Timestamp};
pub use conflict::{Conflict, Conflicts, Side};
pub use connector::{
    Applicable, Connector, DocumentParams, Incoming, ObjectParams, Outgoing, Prepared, Received,
    ReferencedObject, ReferencedPage,
};
pub use context::{Cancellation, Cx, Handles};
pub use create_once::{CreateOnce, Sought};
pub use declared::{Accepts, SubscribesTo};
pub use delivery::{DeliveryId, DeliveryState, TaskId};
pub use event::{Event, ExternalSummary, Listener, ListenerOf, Veto};
pub use failure::{Failure, FailureKind, OrFail};
pub use name::{Alias, ConnectorName, Culture, Kind, NameError, ObjectType, SiteName};
pub use object::{AnyObject, BusObject, HostId, ObjectId, ObjectKey};
pub use operation::{
    DataType, Direction, Echo, ErrorPolicy, ObjectOperation, Operation, PageOperation, Subject,
};
pub use page::{AnyPage, Page, PageNode, PageRef, PageState};
pub use poll::Poll;
pub use reference::{Ref, Reference, ReferenceTarget, TranslationRecord};
pub use settings::{NoSettings, Secret, Settings};
pub use site::Site;
pub use subscription::{SiteCriterion, Subscription};
pub use task::ExternalTask;
