//! From the external system's ids to the host's: known ones, those that are found by what the connector says of them, and
//! those that are waited for.

use std::collections::HashMap;
use std::sync::Arc;

use bus_core::payload::Payload;
use bus_core::reference::ReferenceRole;
use bus_core::{
    DataType, Failure, FailureKind, ObjectId, ObjectKey, ObjectParams, ObjectType, ReferenceTarget, SiteName,
};
use bus_store::{Awaited, Binding, FoundBy, ObjectQuery};

use super::missing::Missing;
use super::{Called, Translator, Untranslated};
use crate::flow::call::{self, CallEnd};
use crate::flow::keys::PAGE;
use crate::identity::Unfit;

/// How deep the parents of a referenced object are followed.
const PARENTS_DEPTH_MAX: usize = 8;

impl Translator<'_> {
    /// From the external system's ids to the host's. References to `own` (the object itself, by its external id) stay
    /// as they are: its host id may not be chosen yet.
    pub(crate) async fn incoming(
        &mut self,
        mut payload: Payload,
        own: Option<&(ObjectType, String)>,
        data_type: DataType,
    ) -> Result<Payload, Untranslated> {
        let mut wanted: Vec<(ObjectType, String)> = Vec::new();
        for reference in &mut payload.references {
            let ReferenceTarget::External(id) = &reference.target else { continue };
            if !data_type.translates() {
                reference.target = ReferenceTarget::Host(ObjectId::from_text(id));
                continue;
            }
            let external = (reference.object_type.clone(), id.clone());
            if let Some(id) = self.learned_id(&external) {
                reference.target = ReferenceTarget::Host(id);
            } else if Some(&external) != own && !wanted.contains(&external) {
                wanted.push(external);
            }
        }
        let mut missing = Missing::default();
        let mut found: HashMap<(ObjectType, String), ObjectId> = HashMap::new();
        if !wanted.is_empty() {
            let known = self.shared.store.host_ids(self.connector(), &wanted).await?;
            for (external, id) in wanted.into_iter().zip(known) {
                let id = match id {
                    Some(id) => Some(id),
                    None => self.find(&external, &mut missing, 0).await?,
                };
                if let Some(id) = id {
                    found.insert(external, id);
                }
            }
        }
        for reference in &mut payload.references {
            let ReferenceTarget::External(id) = &reference.target else { continue };
            if let Some(id) = found.get(&(reference.object_type.clone(), id.clone())) {
                reference.target = ReferenceTarget::Host(id.clone());
            }
        }
        missing.or(payload.with_targets_written())
    }

    /// What was found for the same task before: the connector is asked once per distinct reference.
    fn learned_id(&self, external: &(ObjectType, String)) -> Option<ObjectId> {
        self.found.get(external).cloned()
    }

    /// The host's object that the external system calls this, found by what the connector knows of it.
    async fn find(
        &mut self,
        external: &(ObjectType, String),
        missing: &mut Missing,
        depth: usize,
    ) -> Result<Option<ObjectId>, Untranslated> {
        let (object_type, external_id) = external;
        let known = Awaited::Known {
            connector: self.connector().clone(),
            object_type: object_type.clone(),
            external_id: external_id.clone(),
        };
        let name = format!("{object_type} `{external_id}` of connector {}", self.connector());
        if object_type.as_str() == PAGE {
            return match self.find_page(external_id).await? {
                Called::Page(page) => self.learn(external, page).await.map(Some),
                Called::NotYet(awaited) => {
                    let awaited = [known].into_iter().chain(awaited);
                    missing.add(format!("{name}, which is not in the host yet"), awaited);
                    Ok(None)
                }
            };
        }
        if !self.shared.registry.knows_object_type(object_type.as_str()) {
            return Err(Untranslated::Unanswerable(format!(
                "it refers to {name}, a type that nobody in this program declares; link the crate that does, or mend the reference"
            )));
        }
        if let Some(unfit) = Unfit::of(external_id) {
            return Err(Untranslated::Unanswerable(format!(
                "it refers to an object of type {object_type} by an external id that {unfit}; mend it, or leave the \
                 reference out where there is none"
            )));
        }
        let Some(params) = self.ask_params(external).await? else {
            missing.add(format!("{name}, which is not in the host yet"), [known]);
            return Ok(None);
        };
        let Some(query) = self.query(object_type, params, missing, depth).await? else {
            // Its parent is missing; it may arrive by itself, too.
            missing.add(format!("{name}, which is not in the host yet"), [known]);
            return Ok(None);
        };
        let Some(object) = self.shared.host().find(&query).await? else {
            missing.add(format!("{name}, which is not in the host yet"), [known, Awaited::Exists(query)]);
            return Ok(None);
        };
        self.learn(external, object.key).await.map(Some)
    }

    /// Keeps what was found. A reference by another external id (a duplicate there, perhaps) is translated, and changes no
    /// binding.
    async fn learn(
        &mut self,
        external: &(ObjectType, String),
        object: ObjectKey,
    ) -> Result<ObjectId, Untranslated> {
        let bound = self.shared.store.external_ids(self.connector(), std::slice::from_ref(&object)).await?;
        let id = object.id.clone();
        self.found.insert(external.clone(), id.clone());
        let is_free = !bound.into_iter().flatten().any(|known| known.ended.is_none());
        if is_free {
            let (connector, external_id) = (self.connector().clone(), external.1.clone());
            self.learned.push(Binding { connector, object, external_id });
        }
        Ok(id)
    }

    async fn ask_params(
        &self,
        external: &(ObjectType, String),
    ) -> Result<Option<ObjectParams>, Untranslated> {
        let instance = Arc::clone(self.instance);
        let cx = self.shared.cx(self.connector());
        let (object_type, external_id) = external.clone();
        let call = async move { instance.internal_object_params(&external_id, &object_type, &cx).await };
        let answer = match call::run(self.shared, self.enlisted, call).await {
            CallEnd::Aborted => return Err(Untranslated::Aborted),
            CallEnd::Answered(answer) => answer,
        };
        match answer {
            Ok(params) => Ok(params),
            Err(failure) if failure.kind() != FailureKind::NotAnswered => Err(Untranslated::Failed(failure)),
            Err(_) if self.accepts(&external.0) => Ok(None),
            Err(_) => Err(Untranslated::Unanswerable(format!(
                "it refers to {} `{}`, which connector {} can never bring: it does not accept {0}, and has no \
                 `internal_object_params`; add one of these",
                external.0,
                external.1,
                self.connector()
            ))),
        }
    }

    async fn query(
        &mut self,
        object_type: &ObjectType,
        params: ObjectParams,
        missing: &mut Missing,
        depth: usize,
    ) -> Result<Option<ObjectQuery>, Untranslated> {
        let site = params.site.map(SiteName::parse).transpose();
        let site = site.map_err(|error| {
            Untranslated::Failed(Failure::reject(format!(
                "`internal_object_params` answered a bad site: {error}"
            )))
        })?;
        let mut relative = [None, None];
        let asked = [(ReferenceRole::Parent, params.parent), (ReferenceRole::Group, params.group)];
        for (place, (role, external_id)) in relative.iter_mut().zip(asked) {
            let Some(external_id) = external_id else { continue };
            let Some(relative_type) = self.relative_type(object_type, role) else {
                return Err(Untranslated::Unanswerable(format!(
                    "`internal_object_params` names a {role:?} for {object_type}, which declares none; mark the field with `#[object(parent)]` or `#[object(group)]`"
                )));
            };
            if depth >= PARENTS_DEPTH_MAX {
                return Err(Untranslated::Unanswerable(format!(
                    "the parents of {object_type} go deeper than {PARENTS_DEPTH_MAX} levels; do they go round in a circle?"
                )));
            }
            let external = (relative_type, external_id);
            let known = self
                .shared
                .store
                .host_ids(self.connector(), std::slice::from_ref(&external))
                .await?
                .pop()
                .flatten();
            let id = match known {
                Some(id) => Some(id),
                None => Box::pin(self.find(&external, missing, depth + 1)).await?,
            };
            let Some(id) = id else { return Ok(None) };
            *place = Some(id);
        }
        let [parent, group] = relative;
        let by = FoundBy::CodeName(params.code_name);
        Ok(Some(ObjectQuery { object_type: object_type.clone(), by, site, parent, group }))
    }

    fn relative_type(&self, object_type: &ObjectType, role: ReferenceRole) -> Option<ObjectType> {
        let declared = self.shared.registry.object_type(object_type.as_str())?;
        let field = declared.references.iter().find(|field| field.role == role)?;
        field.object_type.parse().ok()
    }
}
