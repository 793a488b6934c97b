//! What an incoming task becomes in the trees of the sites' pages.

mod echo;
mod parent;

use bus_core::descriptor::{IncomingRoute, PreparedObject, PreparedPage, PreparedParts};
use bus_core::page::{page_id, page_of_id};
use bus_core::payload::Payload;
use bus_core::{
    Culture, ObjectId, ObjectKey, ObjectType, PageNode, PageOperation, PageState, ReferenceTarget,
};
use bus_store::pages::path_beneath;
use bus_store::{Binding, Claimed, ExternalId, PageRecord, Travel};
use uuid::Uuid;

use super::{Application, Applied, NotApplied, PREPARED_MAX, ended, parse_type, refused, travel_of};
use crate::flow::keys::PAGE;
use crate::flow::page::plan::{Plan, Planned, Trees};
use crate::flow::page::wanted::Wanted;
use crate::flow::page::{self, identity};
use crate::flow::translation::Translator;
use crate::identity::check_external_id;
use echo::Hearing;

impl Application<'_> {
    /// Finds out what a task becomes whose line is about pages. Matched, in this order: what is bound to its external id; the
    /// node with its GUID; what stands at its path, if it names no GUID.
    pub(super) async fn apply_page(
        &self,
        claimed: &Claimed,
        route: &'static IncomingRoute,
        key: Option<String>,
    ) -> Result<Applied, NotApplied> {
        let page_type = parse_type(claimed, PAGE)?;
        let mut existing = self.bound_page(&page_type, key.as_deref()).await?;
        let mut is_matched = false;
        for _ in 0..PREPARED_MAX {
            let there = existing.as_ref().map(called_with).transpose()?;
            let prepared = self.prepare(route, claimed, there, key.clone()).await?;
            let (PreparedPage { class_name, payload }, named) = match prepared {
                PreparedObject::Ignore => return Ok(self.completed(claimed)),
                PreparedObject::Existing => return self.page_as_it_is(claimed, existing).await,
                PreparedObject::Object { object: PreparedParts::Page(page), external_id, .. } => {
                    (*page, external_id.or_else(|| key.clone()))
                }
                PreparedObject::Object { .. } => {
                    let error = format!("`{}` becomes no page; mend `type Object`", claimed.subject);
                    return Err(ended(claimed, error));
                }
            };
            if let Some(Err((_, fault))) = named.as_deref().map(check_external_id) {
                return Err(ended(claimed, format!("it cannot be bound: {fault}")));
            }
            if named != key && !is_matched {
                let bound = self.bound_page(&page_type, named.as_deref()).await?;
                if place(bound.as_ref()) != place(existing.as_ref()) {
                    existing = bound;
                    continue;
                }
            }
            if takes_away(claimed) && existing.is_some() {
                return self.page_as_it_is(claimed, existing).await;
            }
            let mut node = payload.page.as_deref().cloned().unwrap_or_else(|| PageNode::new("", "", ""));
            self.find_parent(claimed, &page_type, &mut node).await?;
            let wanted = Wanted::of(&node).map_err(|error| refused(claimed, error))?;
            let wanted = self.with_guid(claimed, wanted, existing.as_ref()).await?;
            if existing.is_none() {
                let stored = self.shared.store.page(wanted.guid, &wanted.culture).await?;
                if stored.is_some() {
                    (existing, is_matched) = (stored, true);
                    continue;
                }
            }
            if takes_away(claimed) {
                return Ok(self.completed(claimed));
            }
            let own = named.map(|external_id| (page_type.clone(), external_id));
            let class_name = parse_type(claimed, class_name)?;
            let wanted = (wanted, existing.is_some());
            return self.write_page(claimed, wanted, &class_name, payload, own).await;
        }
        let error = format!(
            "each time that {} is prepared it is another page; mend `prepare_internal_object`",
            claimed.key
        );
        Err(ended(claimed, error))
    }

    async fn write_page(
        &self,
        claimed: &Claimed,
        (wanted, is_there): (Wanted, bool),
        class_name: &ObjectType,
        payload: Payload,
        own: Option<(ObjectType, String)>,
    ) -> Result<Applied, NotApplied> {
        let mut translator = Translator::new(self.shared, self.enlisted, self.linked, self.instance);
        let payload = payload.reduced_to(claimed.data_type);
        let translated = translator.incoming(payload, own.as_ref(), claimed.data_type).await;
        let mut payload = translated.map_err(|reason| self.untranslated(claimed, reason))?;
        payload.page = None;
        let payload =
            pointing_at_itself(payload, own.as_ref(), &page_id(wanted.guid, wanted.culture.as_str()));
        let bound = own.as_ref().zip(identity(wanted.guid, wanted.culture.as_str()));
        let bound = bound.map(|((_, external_id), object)| Binding {
            connector: self.enlisted.record.name.clone(),
            object,
            external_id: external_id.clone(),
        });
        let mut applied = self.completed(claimed);
        applied.commit.bindings = translator.learned;
        let hearing = self.page_heard(claimed, class_name, bound.as_ref(), &wanted, &payload.object).await?;
        let Hearing { is_echo, travel, said } = hearing;
        applied.commit.bindings_if_free.extend(bound);
        applied.commit.exchanged = said;
        applied.own = own;
        if is_echo {
            return Ok(applied);
        }
        let data = serde_json::to_vec(&payload)
            .map_err(|error| ended(claimed, format!("the page cannot be written: {error}")))?;
        let trees = self.trees();
        let planned = match PageOperation::from(claimed.operation) {
            PageOperation::Move => match self.first_page(wanted.guid).await? {
                Some(page) => trees.moved(page, wanted.parent, &wanted.alias).await,
                None => trees.saved(&wanted, class_name, data, None).await,
            },
            operation => {
                let state = state_after(operation).filter(|_| is_there);
                trees.saved(&wanted, class_name, data, state).await
            }
        };
        match planned.map_err(|error| refused(claimed, error))? {
            Plan::Change(planned) => {
                // Whoever is told of pages that are published is told of one, too, that comes in as such.
                let next = state_after(PageOperation::from(claimed.operation)).filter(|_| !is_there);
                let next = next.map(|state| trees.brought(planned.written(), state)).transpose();
                let next = match next.map_err(|error| refused(claimed, error))? {
                    Some(Plan::Change(next)) => Some(*next),
                    Some(Plan::AsItIs(_)) | None => None,
                };
                self.told_of_page(claimed, applied, travel, [*planned].into_iter().chain(next)).await
            }
            Plan::AsItIs(_) => Ok(applied),
        }
    }

    /// What a task comes to that says nothing of the page but that it goes, or stays.
    async fn page_as_it_is(
        &self,
        claimed: &Claimed,
        existing: Option<PageRecord>,
    ) -> Result<Applied, NotApplied> {
        let mut applied = self.completed(claimed);
        let Some(page) = existing else { return Ok(applied) };
        let trees = self.trees();
        let operation = PageOperation::from(claimed.operation);
        let planned = match operation {
            PageOperation::Delete | PageOperation::DeleteAll => {
                // Its own side is gone already; for the others the bindings end when their delete is delivered.
                let culture = &page.content.culture;
                let cultures = if operation == PageOperation::Delete {
                    std::slice::from_ref(culture)
                } else {
                    &page.node.cultures
                };
                applied.commit.unbound = self.page_bindings(page.node.guid, cultures).await?;
                trees.deleted(page, operation).await
            }
            operation => match state_after(operation) {
                Some(state) => trees.brought(page, state),
                None => return Ok(applied),
            },
        };
        match planned.map_err(|error| refused(claimed, error))? {
            Plan::Change(planned) => {
                self.told_of_page(claimed, applied, travel_of(claimed), [*planned]).await
            }
            Plan::AsItIs(_) => Ok(applied),
        }
    }

    async fn told_of_page(
        &self,
        claimed: &Claimed,
        mut applied: Applied,
        travel: Travel,
        planned: impl IntoIterator<Item = Planned>,
    ) -> Result<Applied, NotApplied> {
        let mut changes = Vec::new();
        for Planned { write, mut change, .. } in planned {
            change.travel = travel;
            changes.push(change);
            applied.commit.pages.push(write);
        }
        self.recorded(claimed, applied, &changes).await
    }

    fn trees(&self) -> Trees<'_> {
        Trees { shared: self.shared, origin: Some(&self.enlisted.record.name) }
    }

    /// The page that is bound to an external id.
    async fn bound_page(
        &self,
        page_type: &ObjectType,
        external_id: Option<&str>,
    ) -> Result<Option<PageRecord>, NotApplied> {
        let Some(external_id) = external_id else { return Ok(None) };
        let Some((node, culture)) = self.known_page(page_type, external_id).await? else { return Ok(None) };
        Ok(self.shared.store.page(node, &culture).await?)
    }

    async fn known_page(
        &self,
        page_type: &ObjectType,
        external_id: &str,
    ) -> Result<Option<(Uuid, Culture)>, NotApplied> {
        let asked = [(page_type.clone(), external_id.to_owned())];
        let known = self.shared.store.host_ids(&self.enlisted.record.name, &asked).await?.pop().flatten();
        Ok(known.as_ref().and_then(page_of_id))
    }

    async fn page_bindings(&self, node: Uuid, cultures: &[Culture]) -> Result<Vec<Binding>, NotApplied> {
        let connector = &self.enlisted.record.name;
        let objects: Vec<ObjectKey> =
            cultures.iter().filter_map(|culture| identity(node, culture.as_str())).collect();
        let known = self.shared.store.external_ids(connector, &objects).await?;
        let living = objects.into_iter().zip(known).filter_map(|(object, known)| {
            let external_id = known.and_then(ExternalId::of_living)?;
            Some(Binding { connector: connector.clone(), object, external_id })
        });
        Ok(living.collect())
    }

    /// Which node it is: that which it is bound to, or names, or which stands where it is to stand; else a new one.
    async fn with_guid(
        &self,
        claimed: &Claimed,
        wanted: Wanted,
        existing: Option<&PageRecord>,
    ) -> Result<Wanted, NotApplied> {
        let bound = existing.map(|page| page.node.guid);
        let guid = match (wanted.guid.is_nil(), bound) {
            (true, Some(bound)) => bound,
            (false, Some(bound)) if bound != wanted.guid => {
                let error = format!(
                    "it is bound to page {bound} and says that it is page {}; unlink it, or mend the GUID",
                    wanted.guid
                );
                return Err(ended(claimed, error));
            }
            (false, _) => wanted.guid,
            (true, None) => {
                let parent = match wanted.parent {
                    Some(parent) => self.shared.store.node(parent).await?,
                    None => None,
                };
                let path = path_beneath(parent.as_ref().map(|parent| &*parent.path), &wanted.alias);
                let there = self.shared.store.node_at(&wanted.site, &path).await?;
                there.map_or_else(|| self.shared.new_uuid(), |there| there.guid)
            }
        };
        Ok(Wanted { guid, ..wanted })
    }

    async fn first_page(&self, node: Uuid) -> Result<Option<PageRecord>, NotApplied> {
        let Some(known) = self.shared.store.node(node).await? else { return Ok(None) };
        let Some(first) = known.cultures.first() else { return Ok(None) };
        Ok(self.shared.store.page(node, first).await?)
    }
}

/// What refers to the page itself, which had no id of the host before, does so by that.
fn pointing_at_itself(mut payload: Payload, own: Option<&(ObjectType, String)>, id: &ObjectId) -> Payload {
    for reference in &mut payload.references {
        let is_own = own.is_some_and(|(own_type, own_id)| {
            reference.object_type == *own_type
                && reference.target == ReferenceTarget::External(own_id.clone())
        });
        if is_own {
            reference.target = ReferenceTarget::Host(id.clone());
        }
    }
    payload.with_targets_written()
}

/// What a connector is handed of a page that is there.
fn called_with(page: &PageRecord) -> Result<(ObjectKey, Payload), NotApplied> {
    let object_type = page.node.class_name.clone();
    let key = ObjectKey { object_type, id: ObjectId::Guid(page.node.guid) };
    Ok((key, page::payload(page)?))
}

fn place(page: Option<&PageRecord>) -> Option<(Uuid, &Culture)> {
    page.map(|page| (page.node.guid, &page.content.culture))
}

fn takes_away(claimed: &Claimed) -> bool {
    claimed.operation.is_delete()
}

/// How far a page has come to which this happened, if that says so.
fn state_after(operation: PageOperation) -> Option<PageState> {
    match operation {
        PageOperation::Publish => Some(PageState::Published),
        PageOperation::Archive => Some(PageState::Archived),
        PageOperation::Reject => Some(PageState::Rejected),
        PageOperation::Create
        | PageOperation::Update
        | PageOperation::Delete
        | PageOperation::DeleteAll
        | PageOperation::Move => None,
    }
}
