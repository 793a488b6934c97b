//! From the host's ids to the external system's: known ones, those that the connector is asked for, and those that are
//! waited for, or told later.

use std::collections::HashMap;
use std::sync::Arc;

use bus_core::payload::Payload;
use bus_core::{
    FailureKind, ObjectKey, ObjectType, ReferenceTarget, ReferencedObject, ReferencedPage, Subject,
    TranslationRecord,
};
use bus_store::{Awaited, Binding, Claimed, LateReferences};

use super::missing::Missing;
use super::{ExternalIds, Translated, Translator, Untranslated};
use crate::flow::call::{self, CallEnd};
use crate::flow::children::is_to_owner;
use crate::flow::keys::PAGE;
use crate::flow::page::page_of;
use crate::flow::subscription::matches_pattern;
use crate::identity::check_external_id;

/// What came of asking for an external id.
enum Answer {
    Known(String),
    /// Not yet.
    Unknown,
    /// It can never be known: why.
    Never(String),
}
impl Translator<'_> {
    /// From the host's ids to the external system's.
    pub(crate) async fn outgoing(
        &mut self,
        mut payload: Payload,
        own: &ObjectKey,
        claimed: &Claimed,
        known: &ExternalIds,
    ) -> Result<Translated, Untranslated> {
        let Claimed { task, operation, data_type, .. } = *claimed;
        if !data_type.translates() {
            return Ok(Translated(payload));
        }
        let mut missing = Missing::default();
        let mut unresolved = Vec::new();
        let mut asked: HashMap<ObjectKey, Answer> = HashMap::new();
        let registry = &self.shared.registry;
        let declared = match payload.page.as_deref() {
            Some(page) => registry.page_class(page.class_name()).map(|page| page.references),
            None => registry.object_type(own.object_type.as_str()).map(|object| object.references),
        };
        let declared = declared.unwrap_or_default();
        // What is being deleted need not have its references in order, and is never told again.
        let is_late = |at: &str| {
            !operation.is_delete()
                && declared.iter().any(|reference| reference.is_late && reference.is_at(at))
        };
        let own_node = page_of(own).map(|(node, _)| node);
        for reference in &mut payload.references {
            let ReferenceTarget::Host(id) = &reference.target else { continue };
            let key = ObjectKey { object_type: reference.object_type.clone(), id: id.clone() };
            if let Some(external_id) = known.get(&key, task) {
                reference.target = ReferenceTarget::External(external_id);
                continue;
            }
            // A reference to itself is never waited for: what it waits for would stand behind it. Nor is one of a page to
            // itself in another culture.
            if key == *own || own_node.is_some_and(|own| page_of(&key).is_some_and(|(node, _)| node == own)) {
                if is_late(&reference.at) {
                    reference.target = ReferenceTarget::Unresolved(key.id.clone());
                    unresolved.push(key);
                }
                continue;
            }
            // Nor is that of a child to the object in whose list it stands: whoever is told of the one is told of the other.
            if is_to_owner(&self.shared.registry, &own.object_type, &reference.at) {
                continue;
            }
            if !asked.contains_key(&key) {
                let record = reference.record.clone().unwrap_or_default();
                let answer = self.ask_external_id(&key, record).await?;
                if let Answer::Known(external_id) = &answer {
                    known.bind(key.clone(), external_id.clone());
                }
                asked.insert(key.clone(), answer);
            }
            match asked.get(&key) {
                Some(Answer::Known(external_id)) => {
                    reference.target = ReferenceTarget::External(external_id.clone());
                }
                _ if operation.is_delete() => {}
                _ if is_late(&reference.at) => {
                    reference.target = ReferenceTarget::Unresolved(key.id.clone());
                    unresolved.push(key);
                }
                Some(Answer::Never(reason)) => return Err(Untranslated::Unanswerable(reason.clone())),
                Some(Answer::Unknown) | None => missing.add(
                    format!(
                        "{key} ({}), which connector {} does not know yet",
                        reference.at,
                        self.connector()
                    ),
                    [Awaited::Bound {
                        connector: self.connector().clone(),
                        object_type: key.object_type,
                        object: key.id,
                    }],
                ),
            }
        }
        if declared.iter().any(|reference| reference.is_late) {
            let connector = self.connector().clone();
            self.late = Some(LateReferences { connector, object: own.clone(), unresolved });
        }
        missing.or(Translated(payload))
    }

    async fn ask_external_id(
        &mut self,
        key: &ObjectKey,
        record: TranslationRecord,
    ) -> Result<Answer, Untranslated> {
        let instance = Arc::clone(self.instance);
        let cx = self.shared.cx(self.connector());
        let (asked, page) = (key.clone(), page_of(key));
        let (call_back, what) = match &page {
            Some(_) => ("external_document_id", "pages"),
            None => ("external_object_id", key.object_type.as_str()),
        };
        let call = async move {
            match page {
                Some((node, culture)) => {
                    let page = ReferencedPage { node, culture, site: record.site };
                    instance.external_document_id(&page, &cx).await
                }
                None => instance.external_object_id(&ReferencedObject { key: asked, record }, &cx).await,
            }
        };
        let answer = match call::run(self.shared, self.enlisted, call).await {
            CallEnd::Aborted => return Err(Untranslated::Aborted),
            CallEnd::Answered(answer) => answer,
        };
        match answer {
            Ok(Some(external_id)) => {
                check_external_id(&external_id).map_err(|(_, fault)| {
                    let answered = format!("`{call_back}` was asked for {key}, but {fault}");
                    Untranslated::Unanswerable(answered)
                })?;
                self.learned.push(Binding {
                    connector: self.connector().clone(),
                    object: key.clone(),
                    external_id: external_id.clone(),
                });
                Ok(Answer::Known(external_id))
            }
            Ok(None) => Ok(Answer::Unknown),
            Err(failure) if failure.kind() == FailureKind::NotAnswered => {
                if self.could_learn_of(&key.object_type) {
                    return Ok(Answer::Unknown);
                }
                Ok(Answer::Never(format!(
                    "it refers to {key}, whose external id connector {} can never learn: it neither subscribes to {what} \
                     nor accepts {}, and has no `{call_back}`; add one of these",
                    self.connector(),
                    if page_of(key).is_some() { "them" } else { "it" },
                )))
            }
            Err(failure) => Err(Untranslated::Failed(failure)),
        }
    }

    /// Whether a line of the connector can ever bring a binding for this type.
    fn could_learn_of(&self, object_type: &ObjectType) -> bool {
        if object_type.as_str() == PAGE {
            let is_told = self.linked.outgoing().any(|route| route.subscription.of == Subject::Pages);
            return is_told || self.accepts(object_type);
        }
        self.linked
            .outgoing()
            .filter(|route| route.subscription.of == Subject::Objects)
            .any(|route| matches_pattern(route.subscription.object_type, object_type.as_str()))
            || self.accepts(object_type)
    }
}
