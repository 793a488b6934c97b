//! Redelivering what is about a page.

use bus_core::payload::Payload;
use bus_core::{PageNode, PageOperation};
use bus_store::{Commit, DeliveryDetail, ExternalId, NewTask, PageWrite};

use super::{Bus, Operator, failed, redelivery};
use crate::Result;
use crate::error::{BusError, BusErrorKind};
use crate::flow::keys::page_key;
use crate::flow::page::{change, identity, living};
use crate::flow::task_log::{is_unordered, task, written};
use crate::registry::Enlisted;

impl Bus {
    /// The page as it is now, under its operation as long as that is still so, else as an update; where it is gone, its
    /// delete, with the data that it had.
    pub(super) async fn page_again(
        &self,
        ended: &DeliveryDetail,
        operation: PageOperation,
        enlisted: &Enlisted,
        by: &Operator,
    ) -> Result<Commit> {
        let shared = &self.shared;
        let delivery = ended.summary.delivery;
        let payload: Option<Payload> = serde_json::from_slice(&ended.data).ok();
        let Some(was) = payload.and_then(|payload| payload.page) else {
            let message =
                format!("the data of delivery {delivery} is not that of a page; it cannot be redelivered");
            return Err(BusError::new(BusErrorKind::Malformed, message));
        };
        let own = is_unordered(enlisted).then(|| shared.new_uuid());
        let deliveries = vec![self.again(ended)];
        let mut commit = Commit::at(shared.now());
        let is_delete = matches!(operation, PageOperation::Delete | PageOperation::DeleteAll);
        let found =
            living(shared, PageOperation::Update, &was).await.map_err(|error| failed(delivery, error))?;
        let task = if let Some(page) = found {
            let is_so =
                living(shared, operation, &was).await.map_err(|error| failed(delivery, error))?.is_some();
            let operation = if is_so && !is_delete && operation != PageOperation::Create {
                operation
            } else if self.is_known(&was, enlisted, delivery).await? {
                PageOperation::Update
            } else {
                PageOperation::Create
            };
            let change =
                change(&page, operation, ended.origin.as_ref()).map_err(|error| failed(delivery, error))?;
            let data = written(shared, &change.summary, change.payload, ended.data_type).await?;
            // Written as it is: whoever changes it at the same time comes before this, or after, never between.
            let version = page.node.version;
            commit.pages.push(PageWrite::Save { node: page.node.guid, page: page.content, version });
            task(shared, &change.summary, data, own, deliveries)
        } else if is_delete {
            let key = page_key(&was.guid.into(), own);
            NewTask { key, deliveries, ..self.as_stored(ended) }
        } else {
            let message = format!(
                "delivery {delivery} cannot be redelivered: page {} is gone in culture {}, and only its delete can be \
                 delivered still; redeliver that, if there is one",
                was.path(),
                was.culture
            );
            return Err(BusError::new(BusErrorKind::NotFound, message));
        };
        commit.tasks.push(NewTask { redelivers: Some(redelivery(delivery, by)), ..task });
        Ok(commit)
    }

    async fn is_known(
        &self,
        page: &PageNode,
        enlisted: &Enlisted,
        delivery: bus_core::DeliveryId,
    ) -> Result<bool> {
        let page: Vec<_> = identity(page.guid, &page.culture).into_iter().collect();
        let known = self.shared.store.external_ids(&enlisted.record.name, &page).await;
        let known = known.map_err(|error| failed(delivery, error))?;
        Ok(known.into_iter().flatten().find_map(ExternalId::of_living).is_some())
    }
}
