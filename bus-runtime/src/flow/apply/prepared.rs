//! What a connector makes of an external object.

use std::sync::Arc;

use bus_core::connector::ReceivedFacts;
use bus_core::descriptor::{IncomingCall, IncomingRoute, PreparedObject, PreparedParts};
use bus_core::parts::ObjectParts;
use bus_core::payload::Payload;
use bus_core::task::GONE;
use bus_core::{AnyObject, ObjectKey};
use bus_store::Claimed;

use super::{Application, NotApplied, ended};
use crate::flow::call::{self, CallEnd};

impl Application<'_> {
    pub(super) async fn prepare(
        &self,
        route: &'static IncomingRoute,
        claimed: &Claimed,
        existing: Option<(ObjectKey, Payload)>,
        external_id: Option<String>,
    ) -> Result<PreparedObject, NotApplied> {
        if claimed.content_type == GONE {
            // Nothing but its key has come: there is nothing to prepare.
            return Ok(PreparedObject::Existing);
        }
        let call = IncomingCall {
            bytes: claimed.data.clone(),
            existing,
            facts: ReceivedFacts {
                operation: claimed.operation,
                data_type: claimed.data_type,
                site: claimed.site.clone(),
                key: external_id,
                attempt: claimed.attempt,
            },
        };
        let instance = Arc::clone(self.instance);
        let cx = self.shared.cx(&self.enlisted.record.name);
        let prepared = async move { (route.prepare)(&instance, call, &cx).await };
        match call::run_to_its_end(self.shared, self.enlisted, prepared).await {
            CallEnd::Answered(Ok(prepared)) => Ok(prepared),
            CallEnd::Answered(Err(failure)) => Err(self.failed(claimed, failure)),
            CallEnd::Aborted => Err(NotApplied::Outcome(self.rules_now().aborted(self.enlisted.blocks()))),
        }
    }

    /// A prepared object, taken apart.
    pub(super) fn parts(&self, claimed: &Claimed, object: PreparedParts) -> Result<ObjectParts, NotApplied> {
        match object {
            PreparedParts::Typed(parts) => Ok(*parts),
            PreparedParts::Any(object) => self.parts_of_any(claimed, &object),
            PreparedParts::Page(_) => {
                Err(ended(claimed, format!("`{}` becomes a page; mend `type Object`", claimed.subject)))
            }
        }
    }

    /// Takes an object without a Rust type apart, with the help of whoever declares its type.
    fn parts_of_any(&self, claimed: &Claimed, object: &AnyObject) -> Result<ObjectParts, NotApplied> {
        let object_type = &object.object_type;
        let Some(declared) = self.shared.registry.object_type(object_type.as_str()) else {
            let error = format!(
                "it becomes an object of type {object_type}, which nobody in this program declares; link the crate that \
                 does, or mend the type"
            );
            return Err(ended(claimed, error));
        };
        (declared.parts)(Payload::of_any(object)).map_err(|error| {
            ended(claimed, format!("the prepared {object_type} does not fit its type: {error}"))
        })
    }
}
