//! Pages on their way: as a change tells of them, and by what the identity map knows them.

pub(crate) mod again;
pub(crate) mod plan;
pub(crate) mod wanted;

use bus_core::page::{page_id, page_of_id};
use bus_core::payload::Payload;
use bus_core::{
    ChangeSummary, ConnectorName, Culture, ObjectId, ObjectKey, ObjectType, PageNode, PageOperation,
    PagePlace, PageState, TranslationRecord,
};
use bus_store::{Claimed, NodeRecord, PageContent, PageRecord, StoreError, StoreErrorKind};
use serde_json::{Map, Value};
use uuid::Uuid;

use super::change::HostChange;
use super::keys::{PAGE, object_of_key};
use crate::shared::Shared;

/// Among the fields of a page, what it is called: no field of a struct has this name.
const NAME: &str = "$bus:name";

/// What the identity map knows a page by.
pub(crate) fn identity(node: Uuid, culture: &str) -> Option<ObjectKey> {
    Some(ObjectKey { object_type: ObjectType::parse(PAGE).ok()?, id: page_id(node, culture) })
}

/// The node and the culture of what the identity map knows as a page.
pub(crate) fn page_of(key: &ObjectKey) -> Option<(Uuid, Culture)> {
    if key.object_type.as_str() == PAGE { page_of_id(&key.id) } else { None }
}

/// What identifies a referenced page; none where it is not there.
pub(crate) async fn record_of_page(
    shared: &Shared,
    node: Uuid,
    culture: Culture,
) -> Result<Option<TranslationRecord>, StoreError> {
    let found = shared.store.node(node).await?.filter(|node| node.cultures.contains(&culture));
    Ok(found.map(|node| TranslationRecord {
        guid: Some(node.guid),
        site: Some(node.site),
        culture: Some(culture),
        ..TranslationRecord::default()
    }))
}

/// What an outgoing delivery is about, to the identity map: an object, or a page in one culture; and, where a page is
/// deleted in all of its cultures, each of them, the one that it carries first.
pub(crate) fn identities(claimed: &Claimed, payload: Option<&Payload>) -> Vec<ObjectKey> {
    let Some(node) = payload.and_then(|payload| payload.page.as_deref()) else {
        return object_of_key(&claimed.subject, &claimed.key).into_iter().collect();
    };
    let others = node.cultures().iter().filter(|_| claimed.operation == PageOperation::DeleteAll);
    let others = others.filter(|culture| !culture.eq_ignore_ascii_case(&node.culture));
    [&node.culture].into_iter().chain(others).filter_map(|culture| identity(node.guid, culture)).collect()
}

/// A page's payload as changes carry it: its fields, and where it stands.
pub(crate) fn payload(record: &PageRecord) -> Result<Payload, StoreError> {
    let payload: Payload = serde_json::from_slice(&record.content.data).map_err(|error| {
        let path = &record.node.path;
        let message = format!("the stored page {path} cannot be read; look at its record in the store");
        StoreError::new(StoreErrorKind::Corrupt, "page", message).with_source(error)
    })?;
    Ok(Payload { page: Some(Box::new(standing(&record.node, &record.content))), ..payload })
}

/// What is remembered of an object, or a page, that was told: its fields, and what a page is called.
pub(crate) fn told_fields(payload: &Payload) -> Map<String, Value> {
    match &payload.page {
        Some(node) => page_fields(payload.object.clone(), &node.name),
        None => payload.object.clone(),
    }
}

/// The fields of a page that is called this.
pub(crate) fn page_fields(mut fields: Map<String, Value>, name: &str) -> Map<String, Value> {
    fields.insert(NAME.to_owned(), Value::from(name));
    fields
}

/// Where a page stands.
pub(crate) fn standing(node: &NodeRecord, content: &PageContent) -> PageNode {
    let cultures = node.cultures.iter().map(ToString::to_string).collect();
    let mut place =
        PageNode::new(node.site.as_str(), content.culture.as_str(), node.alias.as_str()).named(&content.name);
    (place.guid, place.parent) = (node.guid, node.parent);
    place.kept(node.class_name.to_string(), node.path.clone(), content.state, cultures)
}

/// What is told of a page before anybody looks into it.
pub(crate) fn summary(
    node: &NodeRecord,
    content: &PageContent,
    operation: PageOperation,
    origin: Option<&ConnectorName>,
) -> ChangeSummary {
    ChangeSummary {
        object_type: node.class_name.clone(),
        id: ObjectId::Guid(node.guid),
        operation: operation.into(),
        code_name: None,
        display_name: Some(content.name.clone()),
        site: Some(node.site.clone()),
        page: Some(PagePlace {
            class_name: node.class_name.to_string(),
            alias_path: node.path.clone(),
            culture: content.culture.to_string(),
        }),
        origin: origin.cloned(),
    }
}

/// Where the pages of a node stood and stand that is moved along with what is `before` and `after` the move.
pub(crate) fn places(node: &NodeRecord, before: &NodeRecord, after: &NodeRecord) -> Vec<ChangeSummary> {
    let rest: String = node.path.chars().skip(before.path.chars().count()).collect();
    // Only lines that take the class of the node that is moved can be told of it.
    let node = &NodeRecord { class_name: before.class_name.clone(), ..node.clone() };
    let moved = NodeRecord { path: format!("{}{rest}", after.path), ..node.clone() };
    let in_each_culture = |node: &NodeRecord| {
        let content = |culture: &Culture| PageContent {
            culture: culture.clone(),
            name: String::new(),
            state: PageState::Draft,
            data: Vec::new(),
        };
        let summaries =
            node.cultures.iter().map(|culture| summary(node, &content(culture), PageOperation::Move, None));
        summaries.collect::<Vec<_>>()
    };
    [in_each_culture(node), in_each_culture(&moved)].concat()
}

/// Something happened to a page, which is this now, or, after a delete, was.
pub(crate) fn change(
    page: &PageRecord,
    operation: PageOperation,
    origin: Option<&ConnectorName>,
) -> Result<HostChange, StoreError> {
    Ok(HostChange::of_page(summary(&page.node, &page.content, operation, origin), payload(page)?))
}

/// What a delivery about a page that was overtaken while it stood aside is about by now, or that is repeated: the page as it is,
/// as long as what happened to it is still so. `None` where there is nothing left to tell.
pub(crate) async fn living(
    shared: &Shared,
    operation: PageOperation,
    was: &PageNode,
) -> Result<Option<PageRecord>, StoreError> {
    let Ok(culture) = was.culture.parse() else { return Ok(None) };
    let living = shared.store.page(was.guid, &culture).await?;
    Ok(living.filter(|page| is_so(operation, page.content.state)))
}

/// Whether a page that is in this state can still be told of what happened to it.
fn is_so(operation: PageOperation, state: PageState) -> bool {
    match operation {
        PageOperation::Publish => state == PageState::Published,
        PageOperation::Archive => state == PageState::Archived,
        PageOperation::Reject => state == PageState::Rejected,
        PageOperation::Create
        | PageOperation::Update
        | PageOperation::Delete
        | PageOperation::DeleteAll
        | PageOperation::Move => true,
    }
}

/// What brings a page into this state; `None` of what it is at first.
pub(crate) fn state_operation(state: PageState) -> Option<PageOperation> {
    match state {
        PageState::Draft => None,
        PageState::Published => Some(PageOperation::Publish),
        PageState::Archived => Some(PageOperation::Archive),
        PageState::Rejected => Some(PageOperation::Reject),
    }
}
