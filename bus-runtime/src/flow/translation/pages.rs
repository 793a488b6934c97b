//! References to pages that come in, and that the identity map does not know.

use std::sync::Arc;

use bus_core::{Culture, DocumentParams, Failure, FailureKind, ObjectKey, Subject};
use bus_store::Awaited;

use super::{Translator, Untranslated};
use crate::flow::call::{self, CallEnd};
use crate::flow::page::identity;

/// Which page the external system calls something, as far as the connector can say.
pub(crate) enum Called {
    Page(ObjectKey),
    /// It is not there yet. What shows that it is, where the connector says which it would be.
    NotYet(Option<Awaited>),
}

impl Translator<'_> {
    /// The page that the external system calls this, if the connector can say which that is and it is there.
    pub(crate) async fn find_page(&self, external_id: &str) -> Result<Called, Untranslated> {
        let instance = Arc::clone(self.instance);
        let (cx, asked) = (self.shared.cx(self.connector()), external_id.to_owned());
        let call = async move { instance.internal_document_params(&asked, &cx).await };
        let answer = match call::run(self.shared, self.enlisted, call).await {
            CallEnd::Aborted => return Err(Untranslated::Aborted),
            CallEnd::Answered(answer) => answer,
        };
        let params = match answer {
            Ok(Some(params)) => params,
            Ok(None) => return Ok(Called::NotYet(None)),
            Err(failure) if failure.kind() != FailureKind::NotAnswered => {
                return Err(Untranslated::Failed(failure));
            }
            Err(_) if self.accepts_pages() => return Ok(Called::NotYet(None)),
            Err(_) => {
                return Err(Untranslated::Unanswerable(format!(
                    "it refers to the page `{external_id}`, which connector {} can never bring: it accepts no pages, and has no \
                     `internal_document_params`; add one of these",
                    self.connector()
                )));
            }
        };
        let DocumentParams { node, culture, site } = params;
        let bad = |fault: String| {
            let said = format!("`internal_document_params` answered {fault} for the page `{external_id}`");
            Untranslated::Failed(Failure::reject(said))
        };
        let culture = Culture::parse(culture).map_err(|error| bad(format!("a bad culture ({error})")))?;
        let Some(page) = self.shared.store.page(node, &culture).await? else {
            return Ok(Called::NotYet(Some(Awaited::Page { node, culture: Some(culture) })));
        };
        if page.node.site.as_str() != site {
            return Err(bad(format!(
                "that it stands on site {site}, and page {node} stands on {}",
                page.node.site
            )));
        }
        Ok(identity(node, culture.as_str()).map_or(Called::NotYet(None), Called::Page))
    }

    /// Whether a line of the connector becomes pages.
    pub(super) fn accepts_pages(&self) -> bool {
        self.linked.incoming().any(|route| route.of == Subject::Pages)
    }
}
