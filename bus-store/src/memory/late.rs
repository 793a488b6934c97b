//! Late references that were delivered unresolved, in memory.

use std::collections::BTreeMap;
use std::ops::Bound;

use bus_core::{ConnectorName, ObjectKey};
use tokio::sync::watch;

use super::MemoryStore;
use crate::identity::Binding;
use crate::late::{Late, LateReferences};
use crate::{StoreError, StoreErrorKind, StoreFuture};

impl Late for MemoryStore {
    fn resolved(
        &self,
        after: Option<(ConnectorName, ObjectKey)>,
        limit: usize,
    ) -> StoreFuture<'_, Vec<(ConnectorName, ObjectKey)>> {
        self.with("resolved", move |state| {
            let after = after.map_or(Bound::Unbounded, Bound::Excluded);
            let told = state.late.0.range((after, Bound::Unbounded));
            let resolved = told.filter(|(_, references)| references.values().any(|is_resolved| *is_resolved));
            Ok(resolved.map(|(told, _)| told.clone()).take(limit).collect())
        })
    }

    fn late_bell(&self) -> watch::Receiver<u64> {
        self.0.late_bell.subscribe()
    }

    fn ring_late(&self) {
        self.0.late_bell.send_modify(|rings| *rings += 1);
    }
}

/// Who was told of which object without what, and whether that is known by now.
#[derive(Debug, Default)]
pub(super) struct LateTable(BTreeMap<(ConnectorName, ObjectKey), BTreeMap<ObjectKey, bool>>);

impl LateTable {
    /// Writes what is left to be told; whether any of it is known already.
    pub(super) fn remember(
        &mut self,
        late: LateReferences,
        is_bound: impl Fn(&ConnectorName, &ObjectKey) -> bool,
    ) -> bool {
        let LateReferences { connector, object, unresolved } = late;
        let references: BTreeMap<_, _> = unresolved
            .into_iter()
            .map(|awaited| {
                let is_resolved = is_bound(&connector, &awaited);
                (awaited, is_resolved)
            })
            .collect();
        let is_any_resolved = references.values().any(|is_resolved| *is_resolved);
        self.0.remove(&(connector.clone(), object.clone()));
        if !references.is_empty() {
            self.0.insert((connector, object), references);
        }
        is_any_resolved
    }

    /// Whether all of these are resolved.
    pub(super) fn check_resolved(&self, told_again: &[(ConnectorName, ObjectKey)]) -> Result<(), StoreError> {
        let is_resolved =
            |told| self.0.get(told).is_some_and(|known| known.values().any(|resolved| *resolved));
        let Some((connector, object)) = told_again.iter().find(|told| !is_resolved(*told)) else {
            return Ok(());
        };
        let message = format!("`{connector}` is not to be told of {object} again any more; look again");
        Err(StoreError::new(StoreErrorKind::Conflict, "commit", message))
    }

    /// These are told again, with all that they refer to by then.
    pub(super) fn tell_again(&mut self, told_again: &[(ConnectorName, ObjectKey)]) {
        for told in told_again {
            self.0.remove(told);
        }
    }

    /// An object is bound; whether anybody was told of something without it.
    pub(super) fn resolve(&mut self, binding: &Binding) -> bool {
        let mut is_any = false;
        for ((connector, _), references) in &mut self.0 {
            if *connector == binding.connector
                && let Some(is_resolved) = references.get_mut(&binding.object)
            {
                is_any |= !*is_resolved;
                *is_resolved = true;
            }
        }
        is_any
    }

    /// Nothing is left to be told to this connector.
    pub(super) fn forget(&mut self, connector: &ConnectorName) {
        self.0.retain(|(told, _), _| told != connector);
    }
}
