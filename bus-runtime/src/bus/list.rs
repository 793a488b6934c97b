//! Lists of deliveries, as people see them.

use bus_core::DeliveryState;
use bus_store::operate::PAGE_ROWS_MAX;
use bus_store::{DeliveryFilter, DeliverySummary, QueueId, StoreError};

use crate::shared::Shared;

/// A page of a queue's deliveries. What is claimed and has not begun is running to the store, and available to people.
pub(super) async fn deliveries(
    shared: &Shared,
    queue: &QueueId,
    filter: &DeliveryFilter,
) -> Result<Vec<DeliverySummary>, StoreError> {
    match filter.state {
        Some(DeliveryState::Running) => claimed(shared, queue, filter, DeliveryState::Running).await,
        Some(DeliveryState::Available) => {
            let mut rows = shared.store.deliveries(queue, filter).await?;
            rows.extend(claimed(shared, queue, filter, DeliveryState::Available).await?);
            rows.sort_by_key(|row| row.delivery);
            // One that was claimed between the two looks is in both.
            rows.dedup_by_key(|row| row.delivery);
            rows.truncate(rows_max(filter));
            Ok(rows)
        }
        _ => {
            let mut rows = shared.store.deliveries(queue, filter).await?;
            for row in &mut rows {
                shared.unbegun.show(row);
            }
            Ok(rows)
        }
    }
}

/// What is claimed and to be shown in this state. Claims are small, so there are few pages.
async fn claimed(
    shared: &Shared,
    queue: &QueueId,
    filter: &DeliveryFilter,
    shown: DeliveryState,
) -> Result<Vec<DeliverySummary>, StoreError> {
    let mut page = DeliveryFilter { state: Some(DeliveryState::Running), limit: 0, ..filter.clone() };
    let mut rows = Vec::new();
    while rows.len() < rows_max(filter) {
        let listed = shared.store.deliveries(queue, &page).await?;
        let Some(last) = listed.last() else { break };
        page.after = Some(last.delivery);
        rows.extend(listed.into_iter().filter_map(|mut row| {
            shared.unbegun.show(&mut row);
            (row.state == shown).then_some(row)
        }));
    }
    rows.truncate(rows_max(filter));
    Ok(rows)
}

fn rows_max(filter: &DeliveryFilter) -> usize {
    if filter.limit == 0 { PAGE_ROWS_MAX } else { filter.limit.min(PAGE_ROWS_MAX) }
}
