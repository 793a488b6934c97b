//! The lines of a connector: how each of them calls the author's code, whatever its types.

use std::any::{Any, TypeId};
use std::fmt;

use crate::blocking;
use crate::change::{Change, ChangeFacts, ChangeSummary};
use crate::clock::{BoxFuture, Timestamp};
use crate::conflict::{Conflict, Conflicts};
use crate::connector::{Applicable, Incoming, Outgoing, Prepared, Received, ReceivedFacts};
use crate::context::Cx;
use crate::declared::Accepts;
use crate::failure::Failure;
use crate::instance::Instance;
use crate::object::{AnyObject, BusObject, ObjectKey};
use crate::operation::{DataType, ObjectOperation, Operation, PageOperation, Subject};
use crate::page::AnyPage;
use crate::parts::ObjectParts;
use crate::payload::{Payload, PayloadError};
use crate::subscription::{SiteCriterion, Subscription};

/// One line of a connector: something it is told of, or something it accepts.
#[derive(Debug, Clone, Copy)]
pub enum Route {
    /// It is told of something.
    Outgoing(OutgoingRoute),
    /// It accepts something.
    Incoming(IncomingRoute),
}

impl Route {
    /// Changes of `T` that match this subscription (and that the filter, if any, lets through) go to `C`.
    ///
    /// The object type is that of `T`, whatever the subscription says; only for `AnyObject` and `AnyPage` its pattern counts.
    /// A synchronous subscription carries a snapshot, whatever else it says; one of a page a simple snapshot.
    ///
    /// # Panics
    ///
    /// At compile time, where objects are asked for what only pages have, or pages for what only objects have.
    #[track_caller]
    pub const fn outgoing<C: Outgoing<T>, T: Subscribable>(
        subscription: Subscription,
        filter: Option<Filter>,
    ) -> Self {
        Self::Outgoing(OutgoingRoute::of::<T>(subscription, filter, |instance, payload, facts, cx| {
            Box::pin(async move {
                let connector = instance.get::<C>()?;
                let change = change::<T>(payload, facts)?;
                connector.deliver(change, cx).await.map_err(|failure| failure.classified(C::classify))
            })
        }))
    }

    /// As `outgoing`, for code that blocks its thread.
    #[track_caller]
    pub const fn outgoing_blocking<C: blocking::Outgoing<T>, T: Subscribable>(
        subscription: Subscription,
        filter: Option<Filter>,
    ) -> Self {
        let mut route = OutgoingRoute::of::<T>(subscription, filter, |instance, payload, facts, cx| {
            Box::pin(async move {
                let connector = instance.get::<C>()?;
                let change = change::<T>(payload, facts)?;
                connector.deliver(change, cx).map_err(|failure| failure.classified(C::classify))
            })
        });
        route.blocking = true;
        Self::Outgoing(route)
    }

    /// External objects `E` are prepared by `C`.
    #[track_caller]
    pub const fn incoming<C: Incoming<E>, E: Send + 'static>() -> Self {
        Self::Incoming(IncomingRoute::of::<C, E, C::Object>(|instance, call, cx| {
            Box::pin(async move {
                let connector = instance.get::<C>()?;
                let received = received::<C, E, C::Object>(call)?;
                let prepared = connector.prepare_internal_object(received, cx).await;
                PreparedObject::of(prepared.map_err(|failure| failure.classified(C::classify))?)
            })
        }))
    }

    /// As `incoming`, for code that blocks its thread.
    #[track_caller]
    pub const fn incoming_blocking<C: blocking::Incoming<E>, E: Send + 'static>() -> Self {
        let mut route = IncomingRoute::of::<C, E, C::Object>(|instance, call, cx| {
            Box::pin(async move {
                let connector = instance.get::<C>()?;
                let received = received::<C, E, C::Object>(call)?;
                let prepared = connector.prepare_internal_object(received, cx);
                PreparedObject::of(prepared.map_err(|failure| failure.classified(C::classify))?)
            })
        });
        route.blocking = true;
        Self::Incoming(route)
    }

    /// Writes only these fields of an object that is there already, by their names in JSON.
    ///
    /// # Panics
    ///
    /// If this is an outgoing route, which writes no objects.
    #[must_use]
    pub const fn owning(self, owned: &'static [&'static str]) -> Self {
        match self {
            Self::Incoming(route) => Self::Incoming(IncomingRoute { owned: Some(owned), ..route }),
            Self::Outgoing(_) => panic!("an outgoing route writes no objects, so it owns no fields"),
        }
    }

    /// Says who wins where both sides have changed an object, and where nothing else is said of a field, by its name in JSON.
    ///
    /// # Panics
    ///
    /// If this is an outgoing route, which writes no objects, or one of pages.
    #[track_caller]
    #[must_use]
    pub const fn settling(self, otherwise: Conflict, fields: &'static [(&'static str, Conflict)]) -> Self {
        match self {
            Self::Incoming(route) => {
                assert!(
                    matches!(route.of, Subject::Objects),
                    "`conflict` is asked of objects, and this line becomes pages, of which whatever is new is taken: take it away"
                );
                Self::Incoming(IncomingRoute { conflicts: Conflicts { otherwise, fields }, ..route })
            }
            Self::Outgoing(_) => panic!("an outgoing route writes no objects, so nothing is to be settled"),
        }
    }

    /// Whether calls of this route block the thread that polls them.
    pub const fn blocks(&self) -> bool {
        match self {
            Self::Outgoing(route) => route.blocking,
            Self::Incoming(route) => route.blocking,
        }
    }
}

fn change<T: Subscribable>(payload: Payload, facts: ChangeFacts) -> Result<Change<T>, Failure> {
    let object = T::read(payload, &facts.key).map_err(unreadable)?;
    Ok(Change::new(object, facts))
}

fn received<C: Accepts<E>, E, O: Applicable>(call: IncomingCall) -> Result<Received<E, O>, Failure> {
    let object = C::decode(&call.bytes)?;
    let existing = call.existing.map(|(key, payload)| O::of_stored(payload, &key));
    Ok(Received::new(object, existing.transpose().map_err(unreadable)?, call.facts))
}

#[expect(clippy::needless_pass_by_value, reason = "it is passed to map_err")]
fn unreadable(error: PayloadError) -> Failure {
    Failure::reject(format!("the stored object does not fit its type: {error}"))
}

/// Decides, without an instance, whether a connector wants a change.
pub type Filter = fn(&ChangeSummary, &(dyn Any + Send + Sync)) -> bool;

/// Calls `Outgoing::deliver` of the route's type.
#[doc(hidden)]
pub type Deliver =
    for<'a> fn(&'a Instance, Payload, ChangeFacts, &'a Cx) -> BoxFuture<'a, Result<(), Failure>>;

/// Calls `Incoming::prepare_internal_object` of the route's type.
#[doc(hidden)]
pub type Prepare =
    for<'a> fn(&'a Instance, IncomingCall, &'a Cx) -> BoxFuture<'a, Result<PreparedObject, Failure>>;

/// Something a connector is told of.
#[derive(Clone, Copy)]
#[non_exhaustive]
pub struct OutgoingRoute {
    /// Which changes.
    pub subscription: Subscription,
    /// The one type that the Rust type stands for; `None` for `AnyObject`.
    pub exact_type: Option<&'static str>,
    /// What the connector's own code says to a change.
    pub filter: Option<Filter>,
    /// Whether `deliver` blocks the thread that polls it: such a call runs on a thread that is there for it.
    pub blocking: bool,
    /// The Rust type that `deliver` takes.
    #[doc(hidden)]
    pub rust_type: fn() -> TypeId,
    #[doc(hidden)]
    pub deliver: Deliver,
}

impl OutgoingRoute {
    #[track_caller]
    const fn of<T: Subscribable>(
        mut subscription: Subscription,
        filter: Option<Filter>,
        deliver: Deliver,
    ) -> Self {
        if let Some(exact_type) = T::EXACT_TYPE {
            subscription.object_type = exact_type;
        }
        subscription.of = T::OF;
        check(&subscription);
        // The words that both have stand in both lists: only here it is known what the line is about.
        match T::OF {
            Subject::Objects => subscription.page_operations = &[],
            Subject::Pages => subscription.operations = &[],
        }
        if subscription.sync {
            subscription.data_type = match T::OF {
                Subject::Objects => DataType::Snapshot,
                Subject::Pages => DataType::SimpleSnapshot,
            };
        }
        Self {
            subscription,
            exact_type: T::EXACT_TYPE,
            filter,
            blocking: false,
            rust_type: TypeId::of::<T>,
            deliver,
        }
    }
}

/// A criterion that nothing can meet would be a subscription to silence.
#[track_caller]
const fn check(subscription: &Subscription) {
    let Subscription { of, operations, page_operations, data_type, sync, site, .. } = subscription;
    match of {
        Subject::Objects => {
            assert!(
                subscription.class_name.is_none()
                    && subscription.alias_path.is_none()
                    && subscription.culture.is_none(),
                "`class`, `path` and `culture` are criteria of pages, and this line is about objects: take them away, or name \
                 a struct with `#[derive(Page)]`, or `AnyPage`"
            );
            assert!(
                page_operations.len() <= operations.len(),
                "`on(...)` names an operation on pages, and this line is about objects: write `create`, `update`, `delete`, \
                 `add_to_site` or `remove_from_site`"
            );
        }
        Subject::Pages => {
            assert!(
                *sync || !data_type.has_children(),
                "`data = snapshot` is asked of pages, which have no children to carry: write `simple_snapshot`, or take `data` \
                 away"
            );
            assert!(
                operations.len() <= page_operations.len(),
                "`on(...)` names an operation on objects and sites, and this line is about pages: write `create`, `update`, \
                 `delete`, `delete_all`, `publish`, `archive`, `reject` or `move`"
            );
            assert!(
                subscription.code_name.is_none() && !matches!(site, SiteCriterion::Global),
                "`code_name` and `global` are criteria of objects, and this line is about pages, which all stand on a site: \
                 take them away, or write `path`"
            );
        }
    }
}

impl fmt::Debug for OutgoingRoute {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("OutgoingRoute").field("subscription", &self.subscription).finish_non_exhaustive()
    }
}

/// Something a connector accepts.
#[derive(Clone, Copy)]
#[non_exhaustive]
pub struct IncomingRoute {
    /// What it is called when it is logged.
    pub kind: &'static str,
    /// Whether it becomes an object or a page.
    pub of: Subject,
    /// The host's object type, or class of pages, that it becomes; `None` for `AnyObject`, which may become any.
    pub object_type: Option<&'static str>,
    /// The fields that it writes on an object that is there already, by their names in JSON; `None` for all of them.
    pub owned: Option<&'static [&'static str]>,
    /// Who wins where both sides have changed an object.
    pub conflicts: Conflicts,
    /// Whether `prepare_internal_object` blocks the thread that polls it: such a call runs on a thread that is there
    /// for it.
    pub blocking: bool,
    #[doc(hidden)]
    pub key: fn(&[u8]) -> Result<Option<String>, Failure>,
    #[doc(hidden)]
    pub prepare: Prepare,
}

impl IncomingRoute {
    #[track_caller]
    const fn of<C: Accepts<E>, E, O: Applicable>(prepare: Prepare) -> Self {
        assert!(
            !O::IS_VIEW_APPLIED,
            "`type Object` is a view, and what it does not show would be lost: name the struct that declares the object \
             type as a whole, or `AnyObject`"
        );
        Self {
            kind: C::KIND,
            of: O::SUBJECT_APPLIED,
            object_type: O::TYPE_APPLIED,
            owned: None,
            conflicts: Conflicts { otherwise: Conflict::ExternalWins, fields: &[] },
            blocking: false,
            key: |bytes| Ok(C::key(&C::decode(bytes)?)),
            prepare,
        }
    }
}

impl fmt::Debug for IncomingRoute {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("IncomingRoute").field("kind", &self.kind).finish_non_exhaustive()
    }
}

/// What an incoming route is called with.
#[doc(hidden)]
#[derive(Debug)]
pub struct IncomingCall {
    pub bytes: Vec<u8>,
    pub existing: Option<(ObjectKey, Payload)>,
    pub facts: ReceivedFacts,
}

/// What an incoming route answers.
#[doc(hidden)]
#[derive(Debug)]
pub enum PreparedObject {
    Object { object: PreparedParts, external_id: Option<String>, changed_at: Option<Timestamp> },
    Existing,
    Ignore,
}

/// A prepared object: with its Rust type's help taken apart, or not yet.
#[doc(hidden)]
#[derive(Debug)]
pub enum PreparedParts {
    Typed(Box<ObjectParts>),
    Any(Box<AnyObject>),
    Page(Box<PreparedPage>),
}

/// A prepared page: its class, and its fields with where it is to stand.
#[doc(hidden)]
#[derive(Debug)]
pub struct PreparedPage {
    pub class_name: &'static str,
    pub payload: Payload,
}

impl PreparedObject {
    fn of<T: Applicable>(prepared: Prepared<T>) -> Result<Self, Failure> {
        Ok(match prepared {
            Prepared::Object { object, external_id, changed_at } => {
                Self::Object { object: object.prepared().map_err(unreadable)?, external_id, changed_at }
            }
            Prepared::Existing => Self::Existing,
            Prepared::Ignore => Self::Ignore,
        })
    }
}

/// What an outgoing line can name: an object's type, `AnyObject`, a page's type, or `AnyPage`.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not a bus object",
    label = "not a bus object",
    note = "add `#[derive(Serialize, Deserialize, BusObject)]` and `#[object(type = \"...\")]` to it, or name `AnyObject`",
    note = "a page has `#[derive(Serialize, Deserialize, Page)]` and `#[page(class = \"...\")]`"
)]
pub trait Subscribable: Sized + Send + 'static {
    /// What can happen to it.
    type Operation: From<Operation> + Into<Operation> + Copy + Eq + fmt::Debug + fmt::Display + Send + 'static;

    /// Whether it is an object or a page.
    const OF: Subject;

    /// The one type, or class, that the Rust type stands for; `None` for `AnyObject` and `AnyPage`.
    const EXACT_TYPE: Option<&'static str>;

    #[doc(hidden)]
    fn read(payload: Payload, key: &ObjectKey) -> Result<Self, PayloadError>;
}

impl<T: BusObject> Subscribable for T {
    type Operation = ObjectOperation;
    const OF: Subject = Subject::Objects;
    const EXACT_TYPE: Option<&'static str> = Some(T::TYPE);

    fn read(payload: Payload, _key: &ObjectKey) -> Result<Self, PayloadError> {
        payload.read()
    }
}

impl Subscribable for AnyPage {
    type Operation = PageOperation;
    const OF: Subject = Subject::Pages;
    const EXACT_TYPE: Option<&'static str> = None;

    fn read(payload: Payload, _key: &ObjectKey) -> Result<Self, PayloadError> {
        Self::of(payload)
    }
}

impl Subscribable for AnyObject {
    type Operation = ObjectOperation;
    const OF: Subject = Subject::Objects;
    const EXACT_TYPE: Option<&'static str> = None;

    fn read(payload: Payload, key: &ObjectKey) -> Result<Self, PayloadError> {
        Ok(payload.into_any(key.object_type.clone(), key.id.clone()))
    }
}
