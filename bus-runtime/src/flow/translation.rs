//! Rewrites references: from the host's ids to the external system's before a delivery, and the other way round before
//! an object is applied. The identity map is asked first, then the connector.
//!
//! Longer than other files because both directions stand in it: what one does, the other undoes.

mod known;
mod missing;

use std::collections::HashMap;
use std::sync::Arc;

use bus_core::descriptor::ConnectorDescriptor;
use bus_core::instance::Instance;
use bus_core::payload::Payload;
use bus_core::reference::ReferenceRole;
use bus_core::{
    ConnectorName, DataType, Failure, FailureKind, ObjectId, ObjectKey, ObjectParams, ObjectType,
    ReferenceTarget, ReferencedObject, SiteName, Subject,
};
use bus_store::{Awaited, Binding, Claimed, FoundBy, LateReferences, ObjectQuery, StoreError};

use super::call::{self, CallEnd};
use super::children::is_to_owner;
use super::subscription::matches_pattern;
use crate::host::HostError;
use crate::identity::{Unfit, check_external_id};
use crate::registry::Enlisted;
use crate::shared::Shared;
pub(crate) use known::ExternalIds;
use missing::Missing;

/// How deep the parents of a referenced object are followed.
const PARENTS_DEPTH_MAX: usize = 8;

/// A payload whose references were translated as far as they can be: what `delivery` takes, and nothing else.
#[derive(Debug)]
pub(crate) struct Translated(Payload);

impl Translated {
    pub(crate) fn payload(&self) -> &Payload {
        &self.0
    }

    pub(crate) fn into_payload(self) -> Payload {
        self.0
    }
}

/// Why a payload is not translated.
#[derive(Debug)]
pub(crate) enum Untranslated {
    /// Something it refers to is not there yet.
    Missing { awaited: Vec<Awaited>, reason: String },
    /// Something it refers to can never be there: a person has to look.
    Unanswerable(String),
    /// The connector failed when it was asked.
    Failed(Failure),
    /// The store, or a repository, failed when it was asked.
    Host(HostError),
    /// The bus stops.
    Aborted,
}

impl From<StoreError> for Untranslated {
    fn from(error: StoreError) -> Self {
        Self::Host(error.into())
    }
}

impl From<HostError> for Untranslated {
    fn from(error: HostError) -> Self {
        Self::Host(error)
    }
}

/// What came of asking for an external id.
enum Answer {
    Known(String),
    /// Not yet.
    Unknown,
    /// It can never be known: why.
    Never(String),
}

/// Who is asked: a connected connector.
pub(crate) struct Translator<'a> {
    shared: &'a Shared,
    enlisted: &'a Enlisted,
    linked: &'static ConnectorDescriptor,
    instance: &'a Arc<Instance>,
    /// What the connector answered: new bindings, to be kept with the settlement.
    pub(crate) learned: Vec<Binding>,
    /// What an object goes without, if its type says that it may.
    pub(crate) late: Option<LateReferences>,
    /// What was found for incoming references, whether or not a binding is to be made of it.
    found: HashMap<(ObjectType, String), ObjectId>,
}

/// The objects that a payload refers to.
pub(crate) fn referenced(payload: &Payload) -> impl Iterator<Item = ObjectKey> {
    payload.references.iter().filter_map(|reference| match &reference.target {
        ReferenceTarget::Host(id) => {
            Some(ObjectKey { object_type: reference.object_type.clone(), id: id.clone() })
        }
        ReferenceTarget::External(_) | ReferenceTarget::Unresolved(_) => None,
    })
}

impl<'a> Translator<'a> {
    pub(crate) fn new(
        shared: &'a Shared,
        enlisted: &'a Enlisted,
        linked: &'static ConnectorDescriptor,
        instance: &'a Arc<Instance>,
    ) -> Self {
        Self { shared, enlisted, linked, instance, learned: Vec::new(), late: None, found: HashMap::new() }
    }

    fn connector(&self) -> &ConnectorName {
        &self.enlisted.record.name
    }

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
        let declared = self.shared.registry.object_type(own.object_type.as_str());
        let declared = declared.map_or(&[] as &[_], |object| object.references);
        // What is being deleted need not have its references in order, and is never told again.
        let is_late = |at: &str| {
            !operation.is_delete()
                && declared.iter().any(|reference| reference.is_late && reference.is_at(at))
        };
        for reference in &mut payload.references {
            let ReferenceTarget::Host(id) = &reference.target else { continue };
            let key = ObjectKey { object_type: reference.object_type.clone(), id: id.clone() };
            if let Some(external_id) = known.get(&key, task) {
                reference.target = ReferenceTarget::External(external_id);
                continue;
            }
            // A reference to itself is never waited for: what it waits for would stand behind it.
            if key == *own {
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
                let answer = self.ask_external_id(ReferencedObject { key: key.clone(), record }).await?;
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

    async fn ask_external_id(&mut self, object: ReferencedObject) -> Result<Answer, Untranslated> {
        let instance = Arc::clone(self.instance);
        let cx = self.shared.cx(self.connector());
        let key = object.key.clone();
        let call = async move { instance.external_object_id(&object, &cx).await };
        let answer = match call::run(self.shared, self.enlisted, call).await {
            CallEnd::Aborted => return Err(Untranslated::Aborted),
            CallEnd::Answered(answer) => answer,
        };
        match answer {
            Ok(Some(external_id)) => {
                check_external_id(&external_id).map_err(|(_, fault)| {
                    let answered = format!("`external_object_id` was asked for {key}, but {fault}");
                    Untranslated::Unanswerable(answered)
                })?;
                self.learned.push(Binding {
                    connector: self.connector().clone(),
                    object: key,
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
                    "it refers to {key}, whose external id connector {0} can never learn: it neither subscribes to {1} \
                     nor accepts it, and has no `external_object_id`; add one of these",
                    self.connector(),
                    key.object_type
                )))
            }
            Err(failure) => Err(Untranslated::Failed(failure)),
        }
    }

    /// Whether a line of the connector can ever bring a binding for this type.
    fn could_learn_of(&self, object_type: &ObjectType) -> bool {
        self.linked
            .outgoing()
            .filter(|route| route.subscription.of == Subject::Objects)
            .any(|route| matches_pattern(route.subscription.object_type, object_type.as_str()))
            || self.accepts(object_type)
    }

    fn accepts(&self, object_type: &ObjectType) -> bool {
        self.linked
            .incoming()
            .any(|route| route.object_type.is_none_or(|applied| applied == object_type.as_str()))
    }

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
        // A reference by another external id (a duplicate there, perhaps) is translated, and changes no binding.
        let bound =
            self.shared.store.external_ids(self.connector(), std::slice::from_ref(&object.key)).await?;
        self.found.insert(external.clone(), object.key.id.clone());
        let is_free = !bound.into_iter().flatten().any(|known| known.ended.is_none());
        if is_free {
            self.learned.push(Binding {
                connector: self.connector().clone(),
                object: object.key.clone(),
                external_id: external_id.clone(),
            });
        }
        Ok(Some(object.key.id))
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
