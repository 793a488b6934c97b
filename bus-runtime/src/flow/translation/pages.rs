//! References to pages, both ways: what a connector is asked that the identity map does not know.

use std::sync::Arc;

use bus_core::reference::TranslationRecord;
use bus_core::{DocumentParams, Failure, FailureKind, ObjectId, ReferencedPage, Subject};

use super::{Translator, Untranslated};
use crate::flow::call::{self, CallEnd};
use crate::flow::page::{identity, of_identity};

impl Translator<'_> {
    /// What the connector says that a page is called there.
    pub(super) async fn ask_external_document_id(
        &self,
        id: &ObjectId,
        record: TranslationRecord,
    ) -> Result<CallEnd<Option<String>>, Untranslated> {
        let Some((node, culture)) = of_identity(id) else {
            return Err(Untranslated::Unanswerable(format!(
                "it refers to a page by `{id}`, which is no page's id: write the node's GUID, `/` and the culture"
            )));
        };
        let instance = Arc::clone(self.instance);
        let cx = self.shared.cx(self.connector());
        let page = ReferencedPage { node, culture, record };
        let call = async move { instance.external_document_id(&page, &cx).await };
        Ok(call::run(self.shared, self.enlisted, call).await)
    }

    /// The page that the external system calls this, if the connector can say which that is and it is there.
    pub(super) async fn find_page(&self, external_id: &str) -> Result<Option<ObjectId>, Untranslated> {
        let instance = Arc::clone(self.instance);
        let (cx, asked) = (self.shared.cx(self.connector()), external_id.to_owned());
        let call = async move { instance.internal_document_params(&asked, &cx).await };
        let answer = match call::run(self.shared, self.enlisted, call).await {
            CallEnd::Aborted => return Err(Untranslated::Aborted),
            CallEnd::Answered(answer) => answer,
        };
        let DocumentParams { node, culture, site } = match answer {
            Ok(Some(params)) => params,
            Ok(None) => return Ok(None),
            Err(failure) if failure.kind() != FailureKind::NotAnswered => {
                return Err(Untranslated::Failed(failure));
            }
            Err(_) if self.brings_pages() => return Ok(None),
            Err(_) => {
                return Err(Untranslated::Unanswerable(format!(
                    "it refers to the page `{external_id}`, which connector {} can never bring: it accepts no pages, and has no \
                     `internal_document_params`; add one of these",
                    self.connector()
                )));
            }
        };
        let Some(page) = self.shared.store.page(node, &culture).await? else { return Ok(None) };
        if page.node.site != site {
            return Err(Untranslated::Failed(Failure::reject(format!(
                "`internal_document_params` says that page {node} stands on site {site}, and it stands on {}",
                page.node.site
            ))));
        }
        Ok(identity(node, culture.as_str()).map(|key| key.id))
    }

    /// Whether the connector has a line by which it could learn of a page.
    pub(super) fn could_learn_of_pages(&self) -> bool {
        self.linked.outgoing().any(|route| route.subscription.of == Subject::Pages) || self.brings_pages()
    }

    fn brings_pages(&self) -> bool {
        self.linked.incoming().any(|route| route.of == Subject::Pages)
    }
}
