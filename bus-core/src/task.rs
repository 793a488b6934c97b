//! External objects on their way in, as whoever logs them hands them over.

use serde::Serialize;

use crate::connector::Connector;
use crate::declared::Accepts;
use crate::operation::{DataType, Echo, ErrorPolicy, ObjectOperation, Operation};

/// What the bytes of an external object are of which nothing is known but that it is gone: none.
pub const GONE: &str = "application/vnd.bus.gone";

/// An external object to be logged as an incoming task (`process_external_task`).
///
/// ```no_run
/// # use bus_core::{Accepts, Connector, ErrorPolicy, ExternalTask};
/// # fn f<Crm: Connector + Accepts<Contact>, Contact: serde::Serialize>(contact: &Contact) {
/// let typed = ExternalTask::create::<Crm, _>("crm-eu", contact).site("corp");
/// let assigned = ExternalTask::add_to_site::<Crm, _>("crm-eu", contact, "corp");
/// let untyped = ExternalTask::received("crm-eu", "contact", br#"{"uid":"003xx"}"#)
///     .error_policy(ErrorPolicy::SkipOnError);
/// # }
/// ```
#[derive(Debug, Clone)]
#[must_use = "it is logged by `process_external_task`"]
pub struct ExternalTask {
    /// The registered connector that is to process it.
    pub connector: String,
    /// What the external object is, as declared by the connector: `contact`.
    pub kind: String,
    /// What happened to it.
    pub operation: Operation,
    /// The object as received.
    pub body: Result<Vec<u8>, String>,
    /// What the bytes are, `application/json` unless said otherwise.
    pub content_type: String,
    /// What identifies it in the external system; read from the object when not given.
    pub key: Option<String>,
    /// What to do when it fails.
    pub error_policy: ErrorPolicy,
    /// Whether its references are translated and its children applied.
    pub data_type: DataType,
    /// The site it belongs to; the one to add it to or to remove it from, where that is the operation.
    pub site: Option<String>,
    /// What the sender calls this sending.
    pub idempotency_key: Option<String>,
    /// Who is told of what it changes in the host.
    pub echo: Echo,
}

impl ExternalTask {
    /// A new external object, of a kind that connector `C` accepts.
    pub fn create<C: Connector + Accepts<E>, E: Serialize>(connector: impl Into<String>, object: &E) -> Self {
        Self::typed::<C, E>(connector, object, ObjectOperation::Create)
    }

    /// A changed external object. Create and update are applied alike: what is not there is made.
    pub fn update<C: Connector + Accepts<E>, E: Serialize>(connector: impl Into<String>, object: &E) -> Self {
        Self::typed::<C, E>(connector, object, ObjectOperation::Update)
    }

    /// An external object that is gone.
    pub fn delete<C: Connector + Accepts<E>, E: Serialize>(connector: impl Into<String>, object: &E) -> Self {
        Self::typed::<C, E>(connector, object, ObjectOperation::Delete)
    }

    /// An external object that stands on this site: what is not there is made, and assigned to the site.
    pub fn add_to_site<C: Connector + Accepts<E>, E: Serialize>(
        connector: impl Into<String>,
        object: &E,
        site: impl Into<String>,
    ) -> Self {
        Self::typed::<C, E>(connector, object, ObjectOperation::AddToSite).site(site)
    }

    /// An external object that does not stand on this site any more.
    pub fn remove_from_site<C: Connector + Accepts<E>, E: Serialize>(
        connector: impl Into<String>,
        object: &E,
        site: impl Into<String>,
    ) -> Self {
        Self::typed::<C, E>(connector, object, ObjectOperation::RemoveFromSite).site(site)
    }

    /// An external object as it was received: the bytes are stored as they are.
    pub fn received(connector: impl Into<String>, kind: impl Into<String>, body: impl Into<Vec<u8>>) -> Self {
        Self {
            connector: connector.into(),
            kind: kind.into(),
            operation: Operation::Object(ObjectOperation::Create),
            body: Ok(body.into()),
            content_type: "application/json".to_owned(),
            key: None,
            error_policy: ErrorPolicy::Default,
            data_type: DataType::SimpleSnapshot,
            site: None,
            idempotency_key: None,
            echo: Echo::Others,
        }
    }

    /// An external object of which nothing is known but that it is gone. The connector is not asked: the host's object that
    /// is bound to `key` is deleted, if there is one. Only for a kind that becomes one type of object.
    pub fn gone(connector: impl Into<String>, kind: impl Into<String>, key: impl Into<String>) -> Self {
        let task = Self::received(connector, kind, Vec::new()).content_type(GONE);
        task.operation(ObjectOperation::Delete).key(key)
    }

    fn typed<C: Connector + Accepts<E>, E: Serialize>(
        connector: impl Into<String>,
        object: &E,
        operation: ObjectOperation,
    ) -> Self {
        let mut task = Self::received(connector, C::KIND, Vec::new());
        task.operation = operation.into();
        task.body = serde_json::to_vec(object).map_err(|error| error.to_string());
        task.key = C::key(object);
        task
    }

    /// What happened to the object, or to the page (the task type): an operation on objects, or one on pages. For a page, to create
    /// and to update it is the same as for an object, and to delete it concerns its culture.
    pub fn operation(mut self, operation: impl Into<Operation>) -> Self {
        self.operation = operation.into();
        self
    }

    /// What to do when it fails.
    pub fn error_policy(mut self, policy: ErrorPolicy) -> Self {
        self.error_policy = policy;
        self
    }

    /// Whether references are translated: `Simple` takes them as host ids and asks the connector nothing.
    pub fn data_type(mut self, data_type: DataType) -> Self {
        self.data_type = data_type;
        self
    }

    /// The site it belongs to; the one to add it to or to remove it from, where that is the operation.
    pub fn site(mut self, site: impl Into<String>) -> Self {
        self.site = Some(site.into());
        self
    }

    /// What identifies the object in the external system, where the bytes do not tell: text of 1 to 1,024 bytes without
    /// control characters, else the task is refused when it is logged.
    pub fn key(mut self, key: impl Into<String>) -> Self {
        self.key = Some(key.into());
        self
    }

    /// What the sender calls this sending: not empty, at most 255 bytes. The same key for the same connector is logged
    /// once: a repetition is answered with the first task's id, and refused when anything about it is different. The key
    /// is kept as long as its task: while that is open, and then as long as the history of its connector.
    pub fn idempotency_key(mut self, key: impl Into<String>) -> Self {
        self.idempotency_key = Some(key.into());
        self
    }

    /// Who is told of what it changes in the host: by default every subscriber but the connector that it came from.
    ///
    /// `Echo::None` is for what everybody has already (a first load), `Echo::All` for a system that is to be told, too, what
    /// the host has made of it.
    pub fn echo(mut self, echo: Echo) -> Self {
        self.echo = echo;
        self
    }

    /// What the bytes are, when they are not JSON.
    pub fn content_type(mut self, content_type: impl Into<String>) -> Self {
        self.content_type = content_type.into();
        self
    }
}
