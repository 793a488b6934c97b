//! What becomes of a create whose answer is lost: the external system may know the object by now, and nobody was told.

use uuid::Uuid;

use crate::object::{AnyObject, ObjectKey};

/// What a connector's external system makes of a create that comes a second time, as
/// `#[connector(create_once = ...)]` says it.
///
/// It is asked when the first call may have taken effect without an answer: the process ended, the call timed out,
/// panicked, or lost the connection, a flush failed, `?` met an error that does not say. It concerns whatever would
/// create: an object that is bound to no external id, in any operation but a delete or a removal from a site.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum CreateOnce {
    /// `find`: [`Connector::find_external`](crate::Connector::find_external) looks it up first. What is found is bound,
    /// and delivered as an update; what is not there is created. Where that call-back is missing it is created again,
    /// with the same idempotency key.
    Find,
    /// `repeatable`: a repeat makes no second one, because the external system recognises the idempotency key, or puts
    /// what it is given under an id of the host's.
    Repeatable,
    /// `in_doubt`: it can neither be looked up nor repeated. The delivery is parked, for a person to look. Such
    /// deliveries are claimed one by one, so that the end of a process leaves no more in doubt than were called.
    InDoubt,
}

/// One of the host's objects that the external system may know already, because a call that was to create it never
/// answered.
#[derive(Debug, Clone, Copy)]
#[non_exhaustive]
pub struct Sought<'a> {
    /// Its type and id.
    pub key: &'a ObjectKey,
    /// Its code name, where it has one.
    pub code_name: Option<&'a str>,
    /// Its GUID, where it has one.
    pub guid: Option<Uuid>,
    /// What every attempt at this delivery carries.
    pub idempotency_key: Uuid,
    /// The object as it is about to be delivered.
    pub object: &'a AnyObject,
}

impl<'a> Sought<'a> {
    #[doc(hidden)]
    pub fn new(key: &'a ObjectKey, idempotency_key: Uuid, object: &'a AnyObject) -> Self {
        Self { key, code_name: None, guid: None, idempotency_key, object }
    }
}
