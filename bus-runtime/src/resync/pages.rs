//! The pages of a resync: they follow the objects.

use bus_core::descriptor::ConnectorDescriptor;
use bus_core::{ConnectorName, ObjectType, PageOperation, Subject, Subscription};
use bus_store::{Commit, ExternalId, NodeRecord, ResyncRecord, Resynced, StoreError};

use crate::Result;
use crate::bus::Bus;
use crate::error::{BusError, BusErrorKind};
use crate::flow::page::{again, identity};
use crate::flow::subscription::matches_pattern;
use crate::registry::Enlisted;
use crate::shared::Shared;

/// The place behind all objects, where the pages begin.
pub(super) const PAGES_FROM: u64 = 1 << 62;

/// The classes of pages of this program that are called so, and that the connector is told of.
pub(super) fn classes_of(shared: &Shared, enlisted: &Enlisted, types: &str) -> Vec<ObjectType> {
    let lines = enlisted.linked.into_iter().flat_map(ConnectorDescriptor::outgoing);
    let lines: Vec<_> = lines.filter(|line| line.subscription.of == Subject::Pages).collect();
    let is_told = |class: &str| {
        lines.iter().any(|line| {
            let Subscription { object_type, class_name, .. } = line.subscription;
            matches_pattern(object_type, class)
                && class_name.is_none_or(|wanted| matches_pattern(wanted, class))
        })
    };
    let classes = shared.registry.page_classes().map(|page| page.class_name);
    let asked = classes.filter(|class| matches_pattern(types, class) && is_told(class));
    asked.filter_map(|class| class.parse().ok()).collect()
}

impl Bus {
    /// Adds the next nodes to a chunk, each in all of its cultures that the connector is told of.
    pub(super) async fn walk_pages(
        &self,
        resync: &ResyncRecord,
        classes: &[ObjectType],
        limit: usize,
        commit: &mut Commit,
    ) -> Result<Resynced> {
        let connector = &resync.what.connector;
        let failed = |error: StoreError| BusError::store(&format!("resync connector {connector}"), error);
        let after = resync.place.saturating_sub(PAGES_FROM);
        let walked = self.shared.store.walk_nodes(classes, after, limit).await.map_err(failed)?;
        let mut chunk = Resynced {
            resync: resync.resync,
            from: resync.place,
            to: walked.last().map_or(resync.place, |(place, _)| PAGES_FROM + place),
            logged: 0,
            skipped: 0,
            ends: walked.len() < limit,
        };
        for (_, node) in walked {
            let guid = node.guid;
            match self.resync_node(connector, &node, commit).await {
                Ok(logged) => chunk.logged += logged,
                Err(error) if matches!(error.kind(), BusErrorKind::Store | BusErrorKind::Stopped) => {
                    return Err(error);
                }
                Err(error) => {
                    tracing::error!(%connector, resync = %resync.resync, %guid, %error, "a page cannot be logged, and is skipped");
                    chunk.skipped += 1;
                }
            }
        }
        Ok(chunk)
    }

    /// How many of its pages are told.
    async fn resync_node(
        &self,
        connector: &ConnectorName,
        node: &NodeRecord,
        commit: &mut Commit,
    ) -> Result<u64> {
        let failed = |error: StoreError| BusError::store(&format!("read page {}", node.path), error);
        let mut logged = 0;
        for culture in &node.cultures {
            let Some(page) = self.shared.store.page(node.guid, culture).await.map_err(failed)? else {
                continue;
            };
            let known: Vec<_> = identity(node.guid, culture.as_str()).into_iter().collect();
            let known = self.shared.store.external_ids(connector, &known).await.map_err(failed)?;
            let is_known = known.into_iter().flatten().find_map(ExternalId::of_living).is_some();
            let operation = if is_known { PageOperation::Update } else { PageOperation::Create };
            if let Some((write, task)) = again::told_now(&self.shared, connector, page, operation).await? {
                // Written once: that is the node's version, whatever the culture.
                commit.pages.extend((logged == 0).then_some(write));
                commit.tasks.push(task);
                logged += 1;
            }
        }
        Ok(logged)
    }
}
