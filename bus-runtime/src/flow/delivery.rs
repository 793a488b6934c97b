//! Hands a translated change to its connector. It takes nothing that was not translated.

use std::sync::Arc;

use bus_core::change::{Bound, ChangeFacts};
use bus_core::descriptor::{ConnectorDescriptor, OutgoingRoute};
use bus_core::instance::Instance;
use bus_core::{ObjectKey, Operation, Subject, Subscription};
use bus_store::Claimed;

use super::call::{self, CallEnd};
use super::subscription::matches_pattern;
use super::translation::Translated;
use crate::registry::Enlisted;
use crate::shared::Shared;

/// The line that delivers this type, or class: the one written for it before one for any object, or page.
pub(crate) fn route_of(
    linked: &'static ConnectorDescriptor,
    of: Subject,
    object_type: &str,
) -> Option<&'static OutgoingRoute> {
    let routes = || linked.outgoing().filter(|route| route.subscription.of == of);
    routes().find(|route| route.exact_type == Some(object_type)).or_else(|| {
        routes().find(|route| {
            let Subscription { object_type: pattern, class_name, .. } = route.subscription;
            route.exact_type.is_none()
                && matches_pattern(pattern, object_type)
                && class_name.is_none_or(|class_name| matches_pattern(class_name, object_type))
        })
    })
}

/// How a delivery ended, and what the connector said the object is called.
pub(crate) struct Delivered {
    pub(crate) end: CallEnd<()>,
    pub(crate) bound: Option<String>,
}

/// What a delivery is about, and the line that it goes to.
pub(crate) struct Addressed<'a> {
    pub(crate) claimed: &'a Claimed,
    pub(crate) route: &'static OutgoingRoute,
    /// What happened, as the external system is to see it.
    pub(crate) operation: Operation,
    pub(crate) key: ObjectKey,
    pub(crate) external_id: Option<String>,
}

/// Calls `deliver`.
pub(crate) async fn deliver(
    shared: &Shared,
    enlisted: &Enlisted,
    instance: &Arc<Instance>,
    change: Translated,
    addressed: Addressed<'_>,
) -> Delivered {
    let Addressed { claimed, route, operation, key, external_id } = addressed;
    let bound = Bound::default();
    let facts = ChangeFacts {
        delivery: claimed.delivery,
        task: claimed.task,
        key,
        operation,
        data_type: claimed.data_type,
        attempt: claimed.attempt,
        idempotency_key: claimed.idempotency_key,
        site: claimed.site.clone(),
        external_id,
        origin: claimed.origin.clone(),
        logged_at: claimed.logged_at,
        bound: bound.clone(),
    };
    let instance = Arc::clone(instance);
    let cx = shared.cx(&enlisted.record.name);
    let call = async move { (route.deliver)(&instance, change.into_payload(), facts, &cx).await };
    let end = call::run_to_its_end(shared, enlisted, call).await;
    Delivered { end, bound: bound.take() }
}
