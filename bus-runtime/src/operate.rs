//! What operators do to deliveries, and how they check the books.

mod redeliver;
mod report;
mod resolve;

use std::collections::BTreeMap;
use std::time::Duration;

use bus_core::{DeliveryId, DeliveryState};
use bus_store::operate::{INTERVENTION_ITEMS_MAX, PAGE_ROWS_MAX};
use bus_store::{DeliveryFilter, Intervention, QueueId, Selected, Verb, Verdict};

use crate::Result;
use crate::bus::Bus;
use crate::error::{BusError, BusErrorKind};

pub use report::{AuditReport, InterventionReport, ItemReport};
pub use resolve::Resolution;

/// The most deliveries that one selection holds.
pub const SELECTION_ITEMS_MAX: usize = 1_000_000;

/// How long a worker may take to give back what it has not begun; past that it counts as running.
const RECALL_WAIT: Duration = Duration::from_secs(5);

/// Who asks for something, and why: it is written down with what is done.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Operator {
    /// Their name; not empty.
    pub name: String,
    /// Why, if they said.
    pub reason: Option<String>,
}

impl Operator {
    /// Somebody of this name.
    pub fn named(name: impl Into<String>) -> Self {
        Self { name: name.into(), reason: None }
    }

    /// With this reason.
    #[must_use]
    pub fn because(mut self, reason: impl Into<String>) -> Self {
        self.reason = Some(reason.into());
        self
    }

    pub(crate) fn check(&self) -> Result<()> {
        if self.name.trim().is_empty() {
            let message = "an operator without a name cannot be written down; say who asks";
            return Err(BusError::new(BusErrorKind::BadName, message));
        }
        Ok(())
    }
}

/// To which deliveries something is done.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Selection {
    /// This one, in whichever state.
    One(DeliveryId),
    /// These, each only in the state in which it was seen: what [`Bus::select`] answered, as a person has looked at it.
    Frozen(Vec<Selected>),
    /// Everything in this queue that matches. It is frozen before anything is done, so that what changes meanwhile is
    /// reported, and not acted on.
    Matching {
        /// The queue.
        queue: QueueId,
        /// Which of its deliveries.
        filter: DeliveryFilter,
    },
}

impl From<DeliveryId> for Selection {
    fn from(delivery: DeliveryId) -> Self {
        Self::One(delivery)
    }
}

impl From<Vec<Selected>> for Selection {
    fn from(selected: Vec<Selected>) -> Self {
        Self::Frozen(selected)
    }
}

/// ```no_run
/// # async fn f(bus: bus_runtime::Bus) -> bus_runtime::Result<()> {
/// use bus_core::{DeliveryState, Direction};
/// use bus_runtime::{DeliveryFilter, Operator, QueueId, Verdict};
///
/// let ops = Operator::named("jane").because("the CRM's mapping is mended");
/// let queue = QueueId::new("crm".parse().unwrap(), Direction::Outgoing);
/// let parked = DeliveryFilter { state: Some(DeliveryState::Parked), ..DeliveryFilter::default() };
/// let selected = bus.select(&queue, &parked).await?; // look at it, then act on exactly that
/// let report = bus.retry(selected, &ops).await?;
/// println!("{report}");
/// for item in report.items.iter().filter(|item| !matches!(item.verdict, Verdict::Done { .. })) {
///     println!("{item}");
/// }
/// # Ok(()) }
/// ```
impl Bus {
    /// Freezes what matches in a queue, each delivery with the state in which it is now, oldest first. A limit of 0 means
    /// all of it, at most 1,000,000.
    ///
    /// # Errors
    ///
    /// `TooLarge` when more matches, and the filter does not limit it.
    pub async fn select(&self, queue: &QueueId, filter: &DeliveryFilter) -> Result<Vec<Selected>> {
        let limit = if filter.limit == 0 { SELECTION_ITEMS_MAX + 1 } else { filter.limit };
        let mut page = filter.clone();
        let mut selected = Vec::new();
        while selected.len() < limit {
            page.limit = PAGE_ROWS_MAX.min(limit - selected.len());
            let listed = self.deliveries(queue, &page).await?;
            let Some(last) = listed.last() else { break };
            page.after = Some(last.delivery);
            selected
                .extend(listed.iter().map(|row| Selected { delivery: row.delivery, seen: Some(row.state) }));
        }
        if selected.len() > SELECTION_ITEMS_MAX {
            let message = format!(
                "more than {SELECTION_ITEMS_MAX} deliveries of {queue} match; narrow the filter, or set its limit and \
                 do them in parts"
            );
            return Err(BusError::new(BusErrorKind::TooLarge, message));
        }
        Ok(selected)
    }

    /// Tries deliveries again at once: each at its place, with all of its attempts. What stands behind another one is
    /// answered with that one's number, and not changed.
    ///
    /// # Errors
    ///
    /// `BadName` for an operator without a name; `TooLarge` for a selection without end; `Store`, where the message says
    /// how many had been done before: the same selection may be given again.
    pub async fn retry(&self, selection: impl Into<Selection>, by: &Operator) -> Result<InterventionReport> {
        self.intervene(Verb::Retry, selection.into(), by).await
    }

    /// Ends deliveries that were called at least once; later ones of their keys go on. Where a create is ended, the
    /// verdict lists the later ones of the same object, which may make no sense without it.
    ///
    /// # Errors
    ///
    /// As for `retry`.
    pub async fn skip(&self, selection: impl Into<Selection>, by: &Operator) -> Result<InterventionReport> {
        self.intervene(Verb::Skip, selection.into(), by).await
    }

    /// Ends deliveries that were never called. Otherwise as `skip`.
    ///
    /// # Errors
    ///
    /// As for `retry`.
    pub async fn cancel(&self, selection: impl Into<Selection>, by: &Operator) -> Result<InterventionReport> {
        self.intervene(Verb::Cancel, selection.into(), by).await
    }

    async fn intervene(&self, verb: Verb, selection: Selection, by: &Operator) -> Result<InterventionReport> {
        by.check()?;
        let selected = match selection {
            Selection::One(delivery) => vec![Selected { delivery, seen: None }],
            Selection::Frozen(selected) => selected,
            Selection::Matching { queue, filter } => self.select(&queue, &filter).await?,
        };
        // To end the first of a key changes the state of those behind it: they come first, so that what this very call
        // does is not reported as somebody else's.
        let mut order: Vec<usize> = (0..selected.len()).collect();
        order.sort_by_key(|place| selected[*place].delivery);
        if verb != Verb::Retry {
            order.reverse();
        }
        let mut verdicts = vec![Verdict::Unknown; selected.len()];
        let mut done = 0;
        for part in order.chunks(INTERVENTION_ITEMS_MAX) {
            let items = part.iter().map(|place| selected[*place]).collect();
            let answered = self.intervene_in_one_step(verb, items, by).await.map_err(|error| {
                let of = selected.len();
                BusError::store(
                    &format!("{} deliveries: {done} of {of} were answered before", verb_word(verb)),
                    error,
                )
            })?;
            done += part.len();
            for (place, verdict) in part.iter().zip(answered) {
                verdicts[*place] = verdict;
            }
        }
        let items = selected.iter().map(|selected| selected.delivery).zip(verdicts);
        let items = items.map(|(delivery, verdict)| ItemReport { delivery, verdict }).collect();
        let report = InterventionReport { verb, items };
        tracing::info!(by = %by.name, reason = by.reason.as_deref(), %report, "an operator intervened");
        Ok(report)
    }

    /// At most [`INTERVENTION_ITEMS_MAX`].
    pub(crate) async fn intervene_in_one_step(
        &self,
        verb: Verb,
        items: Vec<Selected>,
        by: &Operator,
    ) -> Result<Vec<Verdict>, bus_store::StoreError> {
        let intervention = |items| {
            let (by, reason) = (by.name.clone(), by.reason.clone());
            Intervention { verb, items, by, reason, now: self.shared.now() }
        };
        let mut verdicts = self.shared.store.intervene(intervention(items.clone())).await?;
        // What is claimed and has not begun is not running to people: its worker gives it back for that.
        let mut claimed: BTreeMap<QueueId, Vec<usize>> = BTreeMap::new();
        for (place, verdict) in verdicts.iter().enumerate() {
            if matches!(verdict, Verdict::Running | Verdict::Changed(DeliveryState::Running))
                && let Some(queue) = self.shared.unbegun.queue_of(items[place].delivery)
            {
                claimed.entry(queue).or_default().push(place);
            }
        }
        for (queue, places) in claimed {
            let wanted: Vec<Selected> = places.iter().map(|place| items[*place]).collect();
            let wait_until = self.shared.now().plus(RECALL_WAIT);
            let recalled = tokio::select! {
                recalled = self.shared.desks.recall(&queue, intervention(wanted.clone())) => recalled,
                // Its worker has other things to wait for (a store that cannot be written, say).
                () = self.shared.clock.sleep_until(wait_until) => continue,
            };
            let again = match recalled {
                Some(recalled) => recalled?,
                None => self.shared.store.intervene(intervention(wanted)).await?,
            };
            for (place, verdict) in places.into_iter().zip(again) {
                verdicts[place] = verdict;
            }
        }
        Ok(verdicts)
    }

    /// Counts every queue's deliveries and sets them beside the counters: logged = open + completed + skipped + discarded
    /// + cancelled, always; what the application has logged in transactions of its own counts once it is in the queues. Costs as much as there is: for people and tests.
    pub async fn audit(&self) -> Result<AuditReport> {
        let store = &self.shared.store;
        let failed = |error| BusError::store("audit the queues", error);
        let mut queues = Vec::new();
        for queue in store.queues().await.map_err(failed)? {
            let audit = store.audit(&queue).await.map_err(failed)?;
            queues.push((queue, audit));
        }
        let outbox = store.outbox_counts().await.map_err(failed)?;
        Ok(AuditReport { queues, outbox })
    }
}

fn verb_word(verb: Verb) -> &'static str {
    match verb {
        Verb::Retry => "retry",
        Verb::Skip => "skip",
        Verb::Cancel => "cancel",
        Verb::Discard => "discard",
        Verb::Resolve => "resolve",
    }
}

/// The state that a verb ends a delivery in, or makes it ready in.
fn state_after(verb: Verb) -> DeliveryState {
    match verb {
        Verb::Retry | Verb::Resolve => DeliveryState::Available,
        Verb::Skip => DeliveryState::Skipped,
        Verb::Cancel => DeliveryState::Cancelled,
        Verb::Discard => DeliveryState::Discarded,
    }
}
