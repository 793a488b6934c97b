//! What a connector author implements.

use std::error::Error;
use std::future::{Future, ready};

use uuid::Uuid;

use crate::change::Change;
use crate::clock::Timestamp;
use crate::context::Cx;
use crate::create_once::Sought;
use crate::declared::{Accepts, SubscribesTo};
use crate::descriptor::PreparedParts;
use crate::failure::{Failure, FailureKind, classify_by_source};
use crate::name::{Culture, ObjectType, SiteName};
use crate::object::{AnyObject, BusObject, ObjectKey};
use crate::operation::{DataType, Operation, Subject};
use crate::parts::ObjectParts;
use crate::payload::{Payload, PayloadError};
use crate::poll::Poll;
use crate::reference::TranslationRecord;
use crate::settings::Settings;

/// A struct that knows one external system.
///
/// Annotate it with `#[connector(name = "...")]`, name what it is told of with `#[outgoing(T)]` lines and what it
/// accepts with `#[incoming(E, key = ...)]` lines, and implement `Outgoing<T>` and `Incoming<E>` for those.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not a connector",
    label = "not a connector",
    note = "write `impl Connector for {Self}`: how it connects, and what settings it needs"
)]
pub trait Connector: Sized + Send + Sync + 'static {
    /// What the operator sets for it; `NoSettings` for none.
    type Settings: Settings;

    /// Makes it ready to work. Called at start, after its settings changed, and again (with back-off, and while its
    /// circuit is open every 30 s unless set) after a failure that was *disconnected*, before anything else is
    /// delivered.
    fn connect(settings: Self::Settings, cx: &Cx) -> impl Future<Output = Result<Self, Failure>> + Send;

    /// What the external system calls one of the host's objects, for a reference that the identity map cannot
    /// translate. `None` means "not there yet": the delivery waits. An answer is kept in the identity map: text of 1 to
    /// 1,024 bytes without control characters; whatever else parks the delivery.
    fn external_object_id(
        &self,
        object: &ReferencedObject,
        cx: &Cx,
    ) -> impl Future<Output = Result<Option<String>, Failure>> + Send {
        let _ = (object, cx);
        ready(Err(Failure::not_answered()))
    }

    /// How to find the host's object of this type that the external system calls `external_id`, for a reference
    /// that the identity map cannot translate. Asked once per distinct reference of a task. `None` means "the
    /// external system does not know it either (yet)": the task waits.
    fn internal_object_params(
        &self,
        external_id: &str,
        object_type: &ObjectType,
        cx: &Cx,
    ) -> impl Future<Output = Result<Option<ObjectParams>, Failure>> + Send {
        let _ = (external_id, object_type, cx);
        ready(Err(Failure::not_answered()))
    }

    /// What the external system calls one of the host's pages, for a reference that the identity map cannot translate: as
    /// [`Connector::external_object_id`] for objects.
    fn external_document_id(
        &self,
        page: &ReferencedPage,
        cx: &Cx,
    ) -> impl Future<Output = Result<Option<String>, Failure>> + Send {
        let _ = (page, cx);
        ready(Err(Failure::not_answered()))
    }

    /// How to find the host's page that the external system calls `external_id`, for a reference that the identity map cannot
    /// translate, and for what an incoming page stands beneath: as [`Connector::internal_object_params`] for objects.
    fn internal_document_params(
        &self,
        external_id: &str,
        cx: &Cx,
    ) -> impl Future<Output = Result<Option<DocumentParams>, Failure>> + Send {
        let _ = (external_id, cx);
        ready(Err(Failure::not_answered()))
    }

    /// What the external system calls an object that it may have been told of by a call that never answered, if it knows
    /// the object. Asked before such a create is repeated, where the connector does not declare otherwise
    /// ([`CreateOnce`](crate::CreateOnce)); `None` means that it does not know it, and the object is created. An answer is
    /// kept in the identity map, and the object delivered as an update.
    ///
    /// Without it such a create is repeated, with the same idempotency key.
    ///
    /// ```
    /// # use bus_core::{BusObject, Change, Connector, Cx, Failure, NoSettings, Outgoing, Sought, connector};
    /// # #[derive(serde::Serialize, serde::Deserialize, BusObject)]
    /// # #[object(type = "app.user")]
    /// # struct User { #[object(id)] id: i64 }
    /// # struct Http;
    /// # impl Http { async fn get(&self, _: String) -> Result<Option<String>, std::io::Error> { Ok(None) } }
    /// #[connector(name = "crm", create_once = find)]
    /// #[outgoing(User)]
    /// struct Crm {
    ///     http: Http,
    /// }
    /// # impl Outgoing<User> for Crm {
    /// #     async fn deliver(&self, _: Change<User>, _: &Cx) -> Result<(), Failure> { Ok(()) }
    /// # }
    ///
    /// impl Connector for Crm {
    ///     type Settings = NoSettings;
    ///     async fn connect(_: NoSettings, _: &Cx) -> Result<Self, Failure> {
    ///         Ok(Crm { http: Http })
    ///     }
    ///     async fn find_external(&self, sought: &Sought<'_>, _: &Cx) -> Result<Option<String>, Failure> {
    ///         Ok(self.http.get(format!("/contacts?reference={}", sought.key)).await?)
    ///     }
    /// }
    /// ```
    fn find_external(
        &self,
        sought: &Sought<'_>,
        cx: &Cx,
    ) -> impl Future<Output = Result<Option<String>, Failure>> + Send {
        let _ = (sought, cx);
        ready(Err(Failure::not_answered()))
    }

    /// Makes everything that `deliver` answered with `Ok` since the last flush durable. Runs before the outcomes
    /// of a batch of deliveries are stored; if it fails, all that were `Ok` count as failed in the same way. Other
    /// calls of `deliver` may run meanwhile where `concurrency` is more than 1.
    fn flush(&self, cx: &Cx) -> impl Future<Output = Result<(), Failure>> + Send {
        let _ = cx;
        ready(Ok(()))
    }

    /// Asks the external system what has changed since `since`, for one that does not call by itself. `None` is the first
    /// time: bring all there is. Asked at the times of `poll`, or every `poll_every_ms` (60 s unless set), by one process
    /// at a time, while the connector is enabled and its incoming tasks are logged and processed; not while more than
    /// `poll_backlog_max` of them are open. A connector without `#[incoming]` lines is not asked.
    ///
    /// What it answers is logged as if it had been sent, together with the cursor: [`Poll`] says what that means. After a
    /// failure it is asked again from the same cursor, later each time; a failure that is *disconnected* counts as any
    /// other lost connection. One call may take as long as the call time-out: answer in pages, with [`Poll::more`].
    fn poll(&self, since: Option<&str>, cx: &Cx) -> impl Future<Output = Result<Poll, Failure>> + Send {
        let _ = (since, cx);
        ready(Err(Failure::not_answered()))
    }

    /// What an error that came through `?` means: *disconnected*, *retry*, *step aside*, *defer*, *reject*.
    fn classify(error: &(dyn Error + 'static)) -> FailureKind {
        classify_by_source(error)
    }
}

/// How a connector tells its external system of changes of `T`.
///
/// # The delivery contract
///
/// In short; `docs/delivery-contract.md` has all of it, with the test that shows each part.
///
/// - **At least once.** A delivery that was accepted is called until it has an outcome. After a crash the same one
///   comes again, with the same `idempotency_key` and `sequence`: make repeats harmless. A create whose answer was lost
///   is looked up before, repeated, or left to a person, as the connector declares (`create_once`).
/// - **In order.** Deliveries of one object come one after the other, oldest first. One that failed is tried again
///   before any later one of the *same* object; other objects go on. That holds for calls that end within their
///   time-out; a peer that compares `sequence` can refuse what arrives later. The operator may ask for more order
///   (nothing of the connector overtakes) or for none.
/// - **Side by side.** Up to `concurrency` calls (1 unless set), of different objects; both directions run at the same
///   time.
/// - **Stepping aside.** Only one that *steps aside* lets later ones of its object overtake it. When its turn comes again
///   after one of them, it is superseded, or is about what the object is by then: an old version never follows a
///   newer one.
/// - **Not now.** *Defer* costs no attempt and holds the order of its object, for 24 h in all unless set.
/// - **Not while you are cut off.** A failure that is *disconnected* costs no attempt, and nothing is delivered until
///   `connect` succeeds. After several in a row the circuit opens, and one delivery at a time probes. One that loses
///   the connection again and again while others go through is charged.
/// - **Not too fast.** With a rate set, calls are spread; waiting for it costs no attempt.
/// - **Bounded.** A call that takes longer than the call time-out (30 s unless set) is dropped at its next `await` and
///   counts as failed; a panic counts as failed. After `max_attempts` charged calls, over all processes and crashes,
///   the delivery is parked and waits for a person.
/// - **Synchronous** lines (`sync`) are the same deliveries: logged first, then called while whoever logs the change
///   waits, if nothing earlier of the object is open and the connector can begin at once; otherwise queued.
#[diagnostic::on_unimplemented(
    message = "connector `{Self}` declares `outgoing({T})` but does not say how to deliver it",
    label = "no `impl Outgoing<{T}> for {Self}`",
    note = "write `impl Outgoing<{T}> for {Self}`, or take the line away",
    note = "an `impl blocking::Outgoing<{T}>` is called only with `blocking` in `#[connector(...)]`"
)]
pub trait Outgoing<T>: Connector + SubscribesTo<T> {
    /// Tells the external system. `Ok(())` means that it knows (or will, once `flush` has succeeded).
    fn deliver(&self, change: Change<T>, cx: &Cx) -> impl Future<Output = Result<(), Failure>> + Send;
}

/// How a connector turns an external object `E` into one of the host's.
///
/// Tasks of one external object (same key) are prepared one after the other, oldest first; those of different ones side
/// by side, up to `concurrency`, and so are all that have no key. The contract of `Outgoing` about repeats, time-outs,
/// panics, stepping aside, deferring and parking holds here too, as far as the error policy that the sender chose does
/// not say otherwise; rates and synchronous lines are for outgoing calls only. One task may be prepared more than once:
/// while it waits for a reference, when the object that it matches turns out to be another one, or when somebody else has
/// changed that object meanwhile. What is applied to the built-in object store is applied exactly once, because it commits
/// together with the outcome.
#[diagnostic::on_unimplemented(
    message = "connector `{Self}` declares `incoming({E})` but does not say what it becomes",
    label = "no `impl Incoming<{E}> for {Self}`",
    note = "write `impl Incoming<{E}> for {Self}`, or take the line away",
    note = "an `impl blocking::Incoming<{E}>` is called only with `blocking` in `#[connector(...)]`"
)]
pub trait Incoming<E>: Connector + Accepts<E> {
    /// What it becomes in the host.
    type Object: Applicable;

    /// Turns the external object into the host's object. Start from `received.existing`, where there is one, and
    /// write only the fields that the external system owns. References are given as `Ref::external`; the bus
    /// translates them afterwards.
    fn prepare_internal_object(
        &self,
        received: Received<E, Self::Object>,
        cx: &Cx,
    ) -> impl Future<Output = Result<Prepared<Self::Object>, Failure>> + Send;
}

/// What an incoming task can become.
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot be applied to the host",
    label = "not an object of the host",
    note = "`type Object` must be a struct with `#[derive(BusObject)]` or `#[derive(Page)]`, or `AnyObject`"
)]
pub trait Applicable: Sized + Send + 'static {
    /// Whether it is an object or a page.
    #[doc(hidden)]
    const SUBJECT_APPLIED: Subject = Subject::Objects;

    /// The one type, or class, that the Rust type stands for; `None` for `AnyObject`.
    #[doc(hidden)]
    const TYPE_APPLIED: Option<&'static str>;

    /// Whether it shows a part of an object only.
    #[doc(hidden)]
    const IS_VIEW_APPLIED: bool;

    /// The names of its fields in Rust and in JSON, as far as they are known.
    #[doc(hidden)]
    const FIELDS_APPLIED: &'static [(&'static str, &'static str)];

    #[doc(hidden)]
    fn of_stored(payload: Payload, key: &ObjectKey) -> Result<Self, PayloadError>;

    #[doc(hidden)]
    fn prepared(self) -> Result<PreparedParts, PayloadError>;
}

impl<T: BusObject> Applicable for T {
    const TYPE_APPLIED: Option<&'static str> = Some(T::TYPE);
    const IS_VIEW_APPLIED: bool = T::IS_VIEW;
    const FIELDS_APPLIED: &'static [(&'static str, &'static str)] = T::FIELDS;

    fn of_stored(payload: Payload, _key: &ObjectKey) -> Result<Self, PayloadError> {
        payload.read()
    }

    fn prepared(self) -> Result<PreparedParts, PayloadError> {
        ObjectParts::of(&self).map(|parts| PreparedParts::Typed(Box::new(parts)))
    }
}

impl Applicable for AnyObject {
    const TYPE_APPLIED: Option<&'static str> = None;
    const IS_VIEW_APPLIED: bool = false;
    const FIELDS_APPLIED: &'static [(&'static str, &'static str)] = &[];

    fn of_stored(payload: Payload, key: &ObjectKey) -> Result<Self, PayloadError> {
        Ok(payload.into_any(key.object_type.clone(), key.id.clone()))
    }

    fn prepared(self) -> Result<PreparedParts, PayloadError> {
        Ok(PreparedParts::Any(Box::new(self)))
    }
}

/// One external object, as it arrived.
#[derive(Debug)]
#[non_exhaustive]
pub struct Received<E, T> {
    /// The external object.
    pub object: E,
    /// The host's object that is bound to it, if any.
    pub existing: Option<T>,
    /// What happened to it: to an object, or to a page, as the line is about one or the other.
    pub operation: Operation,
    /// How much is to be taken over.
    pub data_type: DataType,
    /// The site that whoever logged it named: the one that the object belongs to. Where it is to be added to the site, or
    /// removed from it, the bus does that by itself, and the prepared object belongs to none.
    pub site: Option<SiteName>,
    /// What identifies it in the external system; `None` for a kind that is `unordered`.
    pub key: Option<String>,
    /// Which attempt this is; the first is 1.
    pub attempt: u32,
}

impl<E, T> Received<E, T> {
    #[doc(hidden)]
    pub fn new(object: E, existing: Option<T>, facts: ReceivedFacts) -> Self {
        let ReceivedFacts { operation, data_type, site, key, attempt } = facts;
        Self { object, existing, operation, data_type, site, key, attempt }
    }
}

/// What is known of a received object besides itself.
#[doc(hidden)]
#[derive(Debug, Clone)]
pub struct ReceivedFacts {
    pub operation: Operation,
    pub data_type: DataType,
    pub site: Option<SiteName>,
    pub key: Option<String>,
    pub attempt: u32,
}

/// What an external object becomes in the host.
#[derive(Debug)]
pub enum Prepared<T> {
    /// This object, to be created or changed (or, for a delete, deleted).
    Object {
        /// The object.
        object: Box<T>,
        /// The external id it is bound to; the task's key if none is given.
        external_id: Option<String>,
        /// When the external system has changed it last, as far as that is known.
        changed_at: Option<Timestamp>,
    },
    /// The host's object that is already bound to it: for deletes. With `AnyObject`, whose type nobody knows before,
    /// answer the object itself instead.
    Existing,
    /// Nothing: the task is completed without touching the host.
    Ignore,
}

impl<T> Prepared<T> {
    /// The host's object that is already bound to the external one.
    pub fn existing() -> Self {
        Self::Existing
    }

    /// This object, or page.
    pub fn object(object: T) -> Self {
        Self::Object { object: Box::new(object), external_id: None, changed_at: None }
    }

    /// Binds the object to this external id instead of the task's key: text of 1 to 1,024 bytes without control
    /// characters; whatever else parks the task.
    #[must_use]
    pub fn bound_to(self, id: impl Into<String>) -> Self {
        match self {
            Self::Object { object, changed_at, .. } => {
                Self::Object { object, external_id: Some(id.into()), changed_at }
            }
            other => other,
        }
    }

    /// Says when the external system has changed it last, by its own clock: for `conflict = newest_wins`.
    #[must_use]
    pub fn changed_at(self, at: Timestamp) -> Self {
        match self {
            Self::Object { object, external_id, .. } => {
                Self::Object { object, external_id, changed_at: Some(at) }
            }
            other => other,
        }
    }
}

impl From<AnyObject> for Prepared<AnyObject> {
    fn from(object: AnyObject) -> Self {
        Self::object(object)
    }
}

impl<T: BusObject> From<T> for Prepared<T> {
    fn from(object: T) -> Self {
        Self::object(object)
    }
}

/// One of the host's objects that something refers to.
#[derive(Debug, Clone, PartialEq)]
pub struct ReferencedObject {
    /// Its type and id.
    pub key: ObjectKey,
    /// What identifies it apart from its id, taken when the task was logged.
    pub record: TranslationRecord,
}

/// One of the host's pages that something refers to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReferencedPage {
    /// The GUID of its node.
    pub node: Uuid,
    /// Its culture.
    pub culture: Culture,
    /// The site on which it stood when the task was logged; none where it was not there.
    pub site: Option<SiteName>,
}

/// How to find one of the host's pages: all three, because a page is only known by all of them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DocumentParams {
    /// The GUID of its node.
    pub node: Uuid,
    /// Its culture.
    pub culture: String,
    /// The site on which it stands.
    pub site: String,
}

impl DocumentParams {
    /// The page of this node, in this culture, on this site.
    pub fn new(node: Uuid, culture: impl Into<String>, site: impl Into<String>) -> Self {
        Self { node, culture: culture.into(), site: site.into() }
    }
}

/// How to find one of the host's objects.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ObjectParams {
    /// Its code name.
    pub code_name: String,
    /// Its site; none for a global object.
    pub site: Option<String>,
    /// What the external system calls its parent; found in the same way.
    pub parent: Option<String>,
    /// What the external system calls its group; found in the same way.
    pub group: Option<String>,
}

impl ObjectParams {
    /// A global object with this code name.
    pub fn code_name(code_name: impl Into<String>) -> Self {
        Self { code_name: code_name.into(), ..Self::default() }
    }

    /// On this site.
    #[must_use]
    pub fn site(mut self, site: impl Into<String>) -> Self {
        self.site = Some(site.into());
        self
    }

    /// Beneath the parent that the external system calls this.
    #[must_use]
    pub fn parent(mut self, external_id: impl Into<String>) -> Self {
        self.parent = Some(external_id.into());
        self
    }

    /// In the group that the external system calls this.
    #[must_use]
    pub fn group(mut self, external_id: impl Into<String>) -> Self {
        self.group = Some(external_id.into());
        self
    }
}
