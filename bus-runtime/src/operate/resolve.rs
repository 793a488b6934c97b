//! What people decide about objects that both sides have changed.

use std::collections::{BTreeMap, BTreeSet};

use bus_core::{ConnectorName, DeliveryId, Direction, Side};
use bus_store::operate::PAGE_ROWS_MAX;
use bus_store::reviews::WHOLE_OBJECT;
use bus_store::{ConflictRecord, Decision, QueueId, Verb};

use super::{InterventionReport, ItemReport, Operator};
use crate::Result;
use crate::bus::Bus;
use crate::error::{BusError, BusErrorKind};

/// Whose the fields are in which both sides have changed an object.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Resolution {
    /// All of them are the host's; the external system is told of them again.
    Host,
    /// All of them are as the external system has sent them.
    External,
    /// Each by itself, by its name in JSON.
    Fields(BTreeMap<String, Side>),
}

/// ```no_run
/// # async fn f(bus: bus_runtime::Bus) -> bus_runtime::Result<()> {
/// use bus_core::Side;
/// use bus_runtime::{Operator, Resolution};
///
/// let jane = Operator::named("jane").because("she asked them");
/// for conflict in bus.conflicts(&"crm".parse().unwrap(), None).await? {
///     println!("{}: {}", conflict.object, conflict.fields.join(", "));
///     let theirs = conflict.fields.iter().map(|field| (field.clone(), Side::External));
///     bus.resolve(conflict.delivery, Resolution::Fields(theirs.collect()), &jane).await?;
/// }
/// # Ok(()) }
/// ```
impl Bus {
    /// The objects of which a person has to decide between the host and this external system, or has decided and they are
    /// not applied yet: oldest first, at most 1,000. The next page begins `after` the last one.
    pub async fn conflicts(
        &self,
        connector: &ConnectorName,
        after: Option<DeliveryId>,
    ) -> Result<Vec<ConflictRecord>> {
        let queue = QueueId::new(connector.clone(), Direction::Incoming);
        let listed = self.shared.store.conflicts(&queue, after, PAGE_ROWS_MAX).await;
        listed.map_err(|error| BusError::store(&format!("list the conflicts of {queue}"), error))
    }

    /// What both sides of a delivery have, and had last.
    ///
    /// # Errors
    ///
    /// `NotFound` for a delivery of which nobody has to decide, or that has ended.
    pub async fn conflict(&self, delivery: DeliveryId) -> Result<ConflictRecord> {
        let found = self.shared.store.conflict(delivery).await;
        let doing = format!("look at the conflict of delivery {delivery}");
        found.map_err(|error| BusError::store(&doing, error))?.ok_or_else(|| {
            let message = format!(
                "delivery {delivery} has no conflict: it was never parked for one, or it has ended; `bus.delivery` tells"
            );
            BusError::new(BusErrorKind::NotFound, message)
        })
    }

    /// Decides between the two sides, and has the delivery tried again at its place. What is decided counts for this
    /// delivery alone, with what the host has by then: where the host has changed another field in between, that is a
    /// conflict anew.
    ///
    /// # Errors
    ///
    /// `BadName` for an operator without a name, and for fields that are not those in conflict; `NotFound` for a delivery
    /// without a conflict; `Store`.
    pub async fn resolve(
        &self,
        delivery: DeliveryId,
        resolution: Resolution,
        by: &Operator,
    ) -> Result<InterventionReport> {
        by.check()?;
        let conflict = self.conflict(delivery).await?;
        let all = |side| conflict.fields.iter().map(|field| (field.clone(), side)).collect();
        let fields = match resolution {
            Resolution::Host => all(Side::Host),
            Resolution::External => all(Side::External),
            Resolution::Fields(fields) => {
                check_fields(&conflict, &fields)?;
                fields
            }
        };
        let (name, reason) = (by.name.clone(), by.reason.clone());
        let decision = Decision { delivery, fields, by: name, reason, now: self.shared.now() };
        let verdict = self.shared.store.resolve(decision).await;
        let doing = format!("resolve the conflict of delivery {delivery}");
        let verdict = verdict.map_err(|error| BusError::store(&doing, error))?;
        let report =
            InterventionReport { verb: Verb::Resolve, items: vec![ItemReport { delivery, verdict }] };
        tracing::info!(by = %by.name, reason = by.reason.as_deref(), %report, "an operator decided");
        Ok(report)
    }
}

/// Each field that is in conflict, and no other.
fn check_fields(conflict: &ConflictRecord, fields: &BTreeMap<String, Side>) -> Result<()> {
    let asked: BTreeSet<&String> = conflict.fields.iter().collect();
    let answered: BTreeSet<&String> = fields.keys().collect();
    if asked == answered {
        return Ok(());
    }
    let listed = |fields: Vec<&&String>| {
        let names = fields.into_iter().map(|field| match field.as_str() {
            WHOLE_OBJECT => "the object as a whole (\"\")".to_owned(),
            field => format!("`{field}`"),
        });
        names.collect::<Vec<_>>().join(", ")
    };
    let missing = listed(asked.difference(&answered).collect());
    let foreign = listed(answered.difference(&asked).collect());
    let delivery = conflict.delivery;
    let message = if missing.is_empty() {
        format!(
            "{foreign} of delivery {delivery} are in no conflict; name only {}",
            listed(asked.iter().collect())
        )
    } else {
        format!("nothing is said of {missing} of delivery {delivery}; say whose each of them is")
    };
    Err(BusError::new(BusErrorKind::BadName, message))
}
