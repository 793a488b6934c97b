//! Lists of child objects that came with an object, made to writes.

use bus_core::descriptor::ObjectDescriptor;
use bus_core::parts::{Identified, ObjectParts};
use bus_core::payload::Payload;
use bus_core::{BoxFuture, ConnectorName, ListRule, ObjectId, ObjectKey, ObjectType, ReferenceTarget};
use bus_store::{Expected, FoundBy, ObjectQuery, ObjectWrite};

use super::plan::{Known, plan};
use super::{
    GivenList, LEVELS_MAX, OBJECTS_MAX, children_of, parse_type, take_lists, too_deep, too_many, unasked,
};
use crate::error::{BusError, BusErrorKind};
use crate::flow::change::{ChangeSet, HostChange, Stored};
use crate::shared::Shared;

/// What the lists of an object come to.
#[derive(Debug, Default)]
pub(crate) struct Given {
    pub(crate) set: ChangeSet,
    /// Who each of the given children is: one after the other, each followed by those beneath it.
    pub(crate) identities: Vec<Identified>,
}

/// What the lists that came with an object come to: by the rule of each, children are made, changed, and deleted.
///
/// From the host, a list that would not be applied is refused.
pub(crate) async fn beneath(
    shared: &Shared,
    owner: &ObjectKey,
    is_new: bool,
    lists: Vec<GivenList>,
    origin: Option<&ConnectorName>,
) -> Result<Given, BusError> {
    let mut lister =
        Lister { shared, origin, left: OBJECTS_MAX, top: owner.clone(), given: Given::default() };
    lister.write(owner.clone(), is_new, lists, LEVELS_MAX).await?;
    Ok(lister.given)
}

struct Lister<'a> {
    shared: &'a Shared,
    origin: Option<&'a ConnectorName>,
    left: usize,
    top: ObjectKey,
    given: Given,
}

/// One list, with what the steps of it need to know.
struct Whose {
    owner: ObjectKey,
    field: &'static str,
    child_type: ObjectType,
    child: &'static ObjectDescriptor,
    /// The child's reference to its owner.
    owner_field: &'static str,
}

impl Lister<'_> {
    fn write(
        &mut self,
        owner: ObjectKey,
        is_new: bool,
        lists: Vec<GivenList>,
        levels: usize,
    ) -> BoxFuture<'_, Result<(), BusError>> {
        Box::pin(async move {
            for GivenList { list, objects } in lists {
                let whose = self.whose(&owner, list.field, list.object_type)?;
                if list.rule == ListRule::None {
                    if self.origin.is_none() {
                        return Err(whose.refusal(
                            "has the rule `none`, so that it is not saved with it; save its objects by themselves",
                        ));
                    }
                    continue;
                }
                if levels == 0 && !objects.is_empty() {
                    return Err(too_deep(&self.top));
                }
                self.left = self.left.checked_sub(objects.len()).ok_or_else(|| too_many(&self.top))?;
                self.write_list(&whose, list.rule, is_new, objects, levels).await?;
            }
            Ok(())
        })
    }

    fn whose(&self, owner: &ObjectKey, field: &'static str, child_type: &str) -> Result<Whose, BusError> {
        let registry = &self.shared.registry;
        let child = registry.object_type(child_type);
        let owner_field =
            registry.owner_field(child_type).filter(|of| of.object_type == owner.object_type.as_str());
        let (Some(child), Some(owner_field)) = (child, owner_field) else {
            let message = format!(
                "`{field}` of {owner} holds objects of type {child_type}, which do not name it as their parent; mark the field \
                 that does with `#[object(parent)]`"
            );
            return Err(BusError::new(BusErrorKind::UnknownKind, message));
        };
        let child_type = parse_type(child_type)?;
        Ok(Whose { owner: owner.clone(), field, child_type, child, owner_field: owner_field.field })
    }

    async fn write_list(
        &mut self,
        whose: &Whose,
        rule: ListRule,
        is_new: bool,
        objects: Vec<Payload>,
        levels: usize,
    ) -> Result<(), BusError> {
        let mut given = Vec::with_capacity(objects.len());
        for (place, object) in objects.into_iter().enumerate() {
            given.push(whose.parts(place, object)?);
        }
        let stored = if is_new { Vec::new() } else { self.stored(whose).await? };
        let known: Vec<Known> = stored.iter().map(known_stored).collect();
        let plan = plan(rule, &known, &given.iter().map(known_given).collect::<Vec<_>>());
        let plan = plan.map_err(|(one, other)| {
            whose.refusal(&format!("names one object twice, at {one} and at {other}; keep one of them"))
        })?;
        // What goes makes room for the names of what comes.
        for index in plan.gone {
            let gone = &stored[index];
            let (key, expected) = (gone.record.key.clone(), Expected::Version(gone.record.version));
            let change = HostChange::deleted(gone, self.origin);
            self.add(ChangeSet::of(ObjectWrite::Delete { key, expected }, change));
        }
        let mut numbers = self.numbers(whose, &given, &plan.is).await?;
        for (place, (parts, is)) in given.into_iter().zip(plan.is).enumerate() {
            let before = is.map(|index| &stored[index]);
            let identity = if let Some(before) = before {
                let Known { guid, .. } = known_stored(before);
                Identified::Existing { id: before.record.key.id.clone(), guid }
            } else {
                self.check_is_nobodys(whose, &parts).await?;
                Identified::New { number: numbers.next().unwrap_or_default(), guid: self.shared.new_uuid() }
            };
            self.write_child(whose, place, parts, before, identity, levels).await?;
        }
        Ok(())
    }

    async fn write_child(
        &mut self,
        whose: &Whose,
        place: usize,
        mut parts: ObjectParts,
        before: Option<&Stored>,
        identity: Identified,
        levels: usize,
    ) -> Result<(), BusError> {
        let registry = &self.shared.registry;
        let lists = take_lists(registry, whose.child.object_type, &mut parts.payload);
        let payload = match before {
            Some(before) => parts.payload.laid_over(before.payload.clone()),
            None => parts.payload,
        };
        let written =
            (parts.identify)(&payload, identity).map_err(|error| whose.unfit(place, &error.to_string()))?;
        let guid = written.guid;
        let after = Stored::of(registry, written)?;
        let key = after.record.key.clone();
        self.given.identities.push(Identified::Existing { id: key.id.clone(), guid });
        if let Some(change) = HostChange::saved(before, &after, self.origin) {
            let expected = before.map_or(Expected::Absent, |before| Expected::Version(before.record.version));
            self.add(ChangeSet::of(ObjectWrite::Save { record: after.record, expected }, change));
        }
        self.write(key, before.is_none(), lists, levels.saturating_sub(1)).await
    }

    fn add(&mut self, set: ChangeSet) {
        self.given.set = std::mem::take(&mut self.given.set).and(set);
    }

    async fn stored(&self, whose: &Whose) -> Result<Vec<Stored>, BusError> {
        let owner = &whose.owner;
        let children = children_of(self.shared, &whose.child_type, &owner.id).await;
        let children = children.map_err(|error| unasked(owner, error))?;
        if children.len() > OBJECTS_MAX {
            return Err(too_many(owner));
        }
        children.into_iter().map(|child| Stored::read(&self.shared.registry, child)).collect()
    }

    /// Numbers for those that have no identity yet, asked for together.
    async fn numbers(
        &self,
        whose: &Whose,
        given: &[ObjectParts],
        is: &[Option<usize>],
    ) -> Result<std::vec::IntoIter<i64>, BusError> {
        let new = is.iter().filter(|is| is.is_none()).count();
        if new == 0 || given.is_empty() {
            return Ok(Vec::new().into_iter());
        }
        let numbers = self.shared.store.new_object_numbers(new).await;
        let what = format!("give new {} their ids", whose.child_type);
        Ok(numbers.map_err(|error| BusError::store(&what, error))?.into_iter())
    }

    /// A child that none of its owner's children is must not be a child of somebody else.
    async fn check_is_nobodys(&self, whose: &Whose, parts: &ObjectParts) -> Result<(), BusError> {
        let unasked = |error| unasked(&whose.owner, error);
        let mut other = None;
        if let Some(id) = &parts.id {
            let key = ObjectKey { object_type: whose.child_type.clone(), id: id.clone() };
            other = self.shared.store.object(&key).await.map_err(unasked)?;
        }
        if let (None, Some(guid)) = (&other, parts.guid) {
            let object_type = whose.child_type.clone();
            let query =
                ObjectQuery { object_type, by: FoundBy::Guid(guid), site: None, parent: None, group: None };
            other = self.shared.store.find_object(&query).await.map_err(unasked)?;
        }
        let Some(other) = other else { return Ok(()) };
        let belongs = match &other.parent {
            Some(parent) => format!("belongs to {} {parent}", whose.owner.object_type),
            None => "belongs to none".to_owned(),
        };
        Err(whose.refusal(&format!(
            "names {}, which {belongs}; take it out of the list, or give it its new parent by itself first",
            other.key
        )))
    }
}

impl Whose {
    /// A given child as an object, beneath its owner.
    fn parts(&self, place: usize, object: Payload) -> Result<ObjectParts, BusError> {
        if let Some(ReferenceTarget::Host(id)) = object.reference_in(self.owner_field)
            && !is_unset(id)
            && *id != self.owner.id
        {
            let fault = format!(
                "names one at {place} whose `{}` is {id}; take it out of the list, or leave its parent unset",
                self.owner_field
            );
            return Err(self.refusal(&fault));
        }
        let owner = ReferenceTarget::Host(self.owner.id.clone());
        let object = object.with_reference_in(self.owner_field, self.owner.object_type.clone(), owner);
        (self.child.parts)(object).map_err(|error| self.unfit(place, &error.to_string()))
    }

    fn unfit(&self, place: usize, error: &str) -> BusError {
        self.refusal(&format!("holds at {place} what cannot be written as {}: {error}", self.child_type))
    }

    fn refusal(&self, fault: &str) -> BusError {
        BusError::new(BusErrorKind::Malformed, format!("`{}` of {} {fault}", self.field, self.owner))
    }
}

/// As an id is before the first save.
fn is_unset(id: &ObjectId) -> bool {
    match id {
        ObjectId::Number(number) => *number == 0,
        ObjectId::Guid(guid) => guid.is_nil(),
        ObjectId::Text(text) => text.is_empty(),
    }
}

fn known_stored(stored: &Stored) -> Known {
    let record = &stored.record;
    Known { id: Some(record.key.id.clone()), guid: record.guid, code_name: record.code_name.clone() }
}

fn known_given(parts: &ObjectParts) -> Known {
    Known { id: parts.id.clone(), guid: parts.guid, code_name: parts.code_name.clone() }
}
