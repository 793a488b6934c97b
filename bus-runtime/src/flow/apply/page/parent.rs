//! What a page that comes in is to stand beneath: by its GUID, or by what the external system calls it.

use bus_core::page::page_of_id;
use bus_core::{ObjectType, PageNode};
use bus_store::{Awaited, Claimed};

use super::takes_away;
use crate::flow::apply::{Application, NotApplied};
use crate::flow::translation::{Called, Translator};

impl Application<'_> {
    /// Puts the host's parent in the place of the external system's, once that is known, and sees whether it is there.
    pub(super) async fn find_parent(
        &self,
        claimed: &Claimed,
        page_type: &ObjectType,
        node: &mut PageNode,
    ) -> Result<(), NotApplied> {
        if takes_away(claimed) {
            return Ok(());
        }
        let connector = &self.enlisted.record.name;
        if let Some(external_id) = node.external_parent().map(str::to_owned) {
            let called = match self.known_page(page_type, &external_id).await? {
                Some((parent, _)) => Ok(parent),
                None => match self.asked_page(claimed, &external_id).await? {
                    Called::Page(page) => page_of_id(&page.id).map(|(parent, _)| parent).ok_or(None),
                    Called::NotYet(awaited) => Err(awaited),
                },
            };
            node.parent = Some(called.map_err(|awaited| {
                let reason = format!(
                    "waits for the page `{external_id}` of {connector}, beneath which it is to stand"
                );
                let object_type = page_type.clone();
                let known = Awaited::Known { connector: connector.clone(), object_type, external_id };
                NotApplied::Missing { awaited: [known].into_iter().chain(awaited).collect(), reason }
            })?);
        }
        let Some(parent) = node.parent else { return Ok(()) };
        if self.shared.store.node(parent).await?.is_some() {
            return Ok(());
        }
        let reason = format!("waits for the page {parent}, beneath which it is to stand");
        let awaited = Awaited::Page { node: parent, culture: None };
        Err(NotApplied::Missing { awaited: vec![awaited], reason })
    }

    /// Which page the connector says that is.
    async fn asked_page(&self, claimed: &Claimed, external_id: &str) -> Result<Called, NotApplied> {
        let translator = Translator::new(self.shared, self.enlisted, self.linked, self.instance);
        let found = translator.find_page(external_id).await;
        found.map_err(|reason| self.untranslated(claimed, reason))
    }
}
