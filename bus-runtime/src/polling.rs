//! What operators do about the polls of a connector.

use std::sync::Arc;

use bus_core::ConnectorName;

use crate::Result;
use crate::bus::Bus;
use crate::error::{BusError, BusErrorKind};
use crate::flow::poll::may_poll;
use crate::operate::Operator;
use crate::registry::Enlisted;

impl Bus {
    /// Has a connector polled as soon as it can be, whatever its schedule says, and after a failure without waiting any
    /// longer. Returns at once: [`Bus::connectors`] tells how it went, [`Bus::until_idle`] waits for it.
    ///
    /// # Errors
    ///
    /// `UnknownConnector`. `ConnectorUnable` when it does not poll, or is not enabled or switched on, or another process
    /// owns its incoming queue: ask that one.
    pub fn poll_now(&self, connector: &ConnectorName) -> Result<()> {
        self.polled(connector)?.polling.ask();
        Ok(())
    }

    /// Polls from the beginning: forgets how far the connector has come, and has it polled at once. What was polled before
    /// comes again, and changes nothing where it is as it was.
    ///
    /// # Errors
    ///
    /// As [`Bus::poll_now`]; `BadName` for an operator without a name; `Store`.
    pub async fn poll_from_start(&self, connector: &ConnectorName, by: &Operator) -> Result<()> {
        by.check()?;
        let enlisted = self.polled(connector)?;
        let forgotten = self.shared.store.forget_cursor(connector).await;
        let what = format!("forget how far connector {connector} has polled");
        forgotten.map_err(|error| BusError::store(&what, error))?;
        tracing::info!(%connector, by = %by.name, reason = by.reason.as_deref(), "polled from the start");
        enlisted.polling.ask();
        Ok(())
    }

    /// Accepts that this many objects are missing from what a connector pulls completely, and has it polled at once: the
    /// number that its status names. If more are missing by then, nothing is deleted. It holds for one pull, in this
    /// process.
    ///
    /// # Errors
    ///
    /// As [`Bus::poll_now`]; `BadName` for an operator without a name.
    pub fn accept_deletions(&self, connector: &ConnectorName, up_to: u64, by: &Operator) -> Result<()> {
        by.check()?;
        let enlisted = self.polled(connector)?;
        tracing::info!(%connector, up_to, by = %by.name, reason = by.reason.as_deref(), "deletions are accepted");
        enlisted.polling.accept_deletions(up_to);
        enlisted.polling.ask();
        Ok(())
    }

    /// A connector that is polled in this process.
    fn polled(&self, connector: &ConnectorName) -> Result<Arc<Enlisted>> {
        let roster = self.shared.roster();
        let Some(enlisted) = roster.get(connector) else {
            let message =
                format!("no connector {connector} is registered; `connectors` lists those that are");
            return Err(BusError::new(BusErrorKind::UnknownConnector, message));
        };
        let fault = if enlisted.polling.is_without() {
            "does not poll; implement `Connector::poll`, or send what has changed"
        } else if !may_poll(&self.shared, enlisted) {
            "is not polled here; see that it is registered correctly and enabled, that its incoming tasks are logged and \
             processed, and that no other process owns its incoming queue"
        } else {
            return Ok(Arc::clone(enlisted));
        };
        Err(BusError::new(BusErrorKind::ConnectorUnable, format!("connector {connector} {fault}")))
    }
}
