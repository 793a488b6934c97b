//! Resync: one connector is told of the objects and pages of the built-in stores once more, as they are now. For a connector that is new,
//! was disabled, or whose external system was set back.

mod pages;
mod run;

use std::fmt;

use bus_core::descriptor::ConnectorDescriptor;
use bus_core::{BusObject, ConnectorName, ObjectType, Page};
use bus_store::{NewResync, ResyncId, ResyncRecord, StoreErrorKind};

use crate::Result;
use crate::bus::Bus;
use crate::error::{BusError, BusErrorKind};
use crate::flow::subscription::matches_pattern;
use crate::operate::Operator;
use crate::registry::Enlisted;
use crate::shared::Shared;

use pages::classes_of;
pub(crate) use run::start;

/// Which objects a connector is told of once more.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Resync {
    types: String,
}

impl Resync {
    /// All of type `T`.
    pub fn of<T: BusObject>() -> Self {
        Self::of_types(T::TYPE)
    }

    /// All pages of class `T`, in all of their cultures.
    pub fn of_pages<T: Page>() -> Self {
        Self::of_types(T::CLASS)
    }

    /// All of these types, and classes of pages: `app.user`, or a pattern as in a subscription, `app.%`; `%` is everything that the connector
    /// subscribes to.
    pub fn of_types(pattern: impl Into<String>) -> Self {
        Self { types: pattern.into() }
    }
}

/// What is worth doing after something was set.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Advice {
    /// Nothing was logged for the connector while it was disabled: tell it of everything once more.
    Resync,
}

impl fmt::Display for Advice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Resync => f.write_str(
                "what changed while it was disabled was not logged for it; resync it if its external system is to know",
            ),
        }
    }
}

impl Bus {
    /// Has a connector told of the objects, and then of the pages, of the built-in stores once more, as they are now: an update of each that the
    /// external system knows, a create of each that it does not, as far as a line of the connector asks for that. Nobody
    /// else is told. In the order in which the objects were saved first, 100 at a time, while fewer than 1,000 deliveries of
    /// the queue are open; it goes on where it was after a restart, and in any process that contains the connector.
    ///
    /// A change that is saved meanwhile comes behind: an old version never follows a newer one. An object may be told of
    /// once more than necessary; connectors are called at least once anyway. Of what is gone, and of assignments to sites,
    /// nothing is told. Listeners are not asked: nothing has changed. What lives in the application's own tables is left out:
    /// log it with [`Bus::log`].
    ///
    /// ```no_run
    /// # use bus_core::BusObject;
    /// # #[derive(serde::Serialize, serde::Deserialize, BusObject)]
    /// # #[object(type = "app.user", display = "User")]
    /// # struct User { #[object(id)] id: i64 }
    /// # async fn f(bus: bus_runtime::Bus) -> bus_runtime::Result<()> {
    /// use bus_runtime::{Operator, Resync};
    ///
    /// let ops = Operator::named("jane").because("the CRM was restored from its backup");
    /// let resync = bus.resync(&"crm".parse().unwrap(), Resync::of::<User>(), &ops).await?;
    /// let known = bus.resyncs().await?.into_iter().find(|known| known.resync == resync);
    /// println!("{} logged so far", known.map_or(0, |known| known.logged));
    /// # Ok(()) }
    /// ```
    ///
    /// # Errors
    ///
    /// `UnknownConnector`; `ConnectorUnable` when none of its lines is about any of these types; `WrongState` when all of them
    /// have repositories; `Conflict` while the same
    /// resync runs; `BadName` for an operator without a name; `Store`.
    pub async fn resync(&self, connector: &ConnectorName, what: Resync, by: &Operator) -> Result<ResyncId> {
        by.check()?;
        let roster = self.shared.roster();
        let Some(enlisted) = roster.get(connector) else {
            let message =
                format!("no connector {connector} is registered; `connectors` lists those that are");
            return Err(BusError::new(BusErrorKind::UnknownConnector, message));
        };
        if enlisted.linked.is_some()
            && types_of(&self.shared, enlisted, &what.types).is_empty()
            && classes_of(&self.shared, enlisted, &what.types).is_empty()
        {
            for asked in asked_for(&self.shared, enlisted, &what.types) {
                self.shared.host().check_built_in(&asked, "list it")?;
            }
            let message = format!(
                "connector {connector} is told nothing of `{}`: none of its `#[outgoing]` lines is about an object type of \
                 this program that is called so; name another type, or `%` for all of its lines",
                what.types
            );
            return Err(BusError::new(BusErrorKind::ConnectorUnable, message));
        }
        let new = NewResync {
            connector: connector.clone(),
            types: what.types,
            by: by.name.clone(),
            reason: by.reason.clone(),
            begun_at: self.shared.now(),
        };
        let failed = |error: bus_store::StoreError| match error.kind() {
            StoreErrorKind::Conflict => BusError::new(BusErrorKind::Conflict, error.to_string()),
            _ => BusError::store(&format!("begin a resync of connector {connector}"), error),
        };
        let resync = self.shared.store.begin_resync(new).await.map_err(failed)?;
        tracing::info!(by = %by.name, reason = by.reason.as_deref(), %connector, %resync, "an operator asks for a resync");
        self.shared.resync_soon.notify_one();
        Ok(resync)
    }

    /// The resyncs that run, with how far they are, and the latest hundred that have ended.
    pub async fn resyncs(&self) -> Result<Vec<ResyncRecord>> {
        let resyncs = self.shared.store.resyncs().await;
        resyncs.map_err(|error| BusError::store("list the resyncs", error))
    }

    /// Ends a resync where it is; whether it ran. What it has logged stays.
    ///
    /// # Errors
    ///
    /// `BadName` for an operator without a name; `Store`.
    pub async fn cancel_resync(&self, resync: ResyncId, by: &Operator) -> Result<bool> {
        by.check()?;
        let cancelled = self.shared.store.cancel_resync(resync).await;
        let cancelled =
            cancelled.map_err(|error| BusError::store(&format!("cancel resync {resync}"), error))?;
        tracing::info!(by = %by.name, reason = by.reason.as_deref(), %resync, cancelled, "an operator cancels a resync");
        Ok(cancelled)
    }
}

/// The object types of this program that a resync of these types is about: those of the built-in store.
fn types_of(shared: &Shared, enlisted: &Enlisted, types: &str) -> Vec<ObjectType> {
    let asked = asked_for(shared, enlisted, types).into_iter();
    asked.filter(|object_type| shared.host().repository(object_type).is_none()).collect()
}

/// The object types of this program that are called so, and that the connector is told of.
fn asked_for(shared: &Shared, enlisted: &Enlisted, types: &str) -> Vec<ObjectType> {
    let lines: Vec<_> = enlisted.linked.into_iter().flat_map(ConnectorDescriptor::outgoing).collect();
    let is_asked_for = |name: &str| {
        matches_pattern(types, name)
            && lines.iter().any(|line| matches_pattern(line.subscription.object_type, name))
    };
    let declared = shared.registry.object_types().filter(|object| is_asked_for(object.object_type));
    declared.filter_map(|object| object.object_type.parse().ok()).collect()
}
