//! The trees of the sites' pages, in memory.

use std::collections::BTreeMap;
use std::ops::Bound;

use bus_core::page::{PAGE, page_of_id};
use bus_core::{Alias, Culture, ObjectKey, ObjectType, SiteName};
use uuid::Uuid;

use super::MemoryStore;
use crate::pages::{
    NewNode, NodeRecord, PageContent, PageRecord, PageWrite, Pages, ParentNode, beneath_itself, changed,
    depth, folded, has_children, no_such_culture, other_site, path_beneath, path_taken, there_already,
    too_long,
};
use crate::{StoreError, StoreErrorKind, StoreFuture};

impl Pages for MemoryStore {
    fn node(&self, guid: Uuid) -> StoreFuture<'_, Option<NodeRecord>> {
        self.with("node", move |state| Ok(state.pages.nodes.get(&guid).map(Node::record)))
    }

    fn node_at(&self, site: &SiteName, path: &str) -> StoreFuture<'_, Option<NodeRecord>> {
        let place = (site.clone(), folded(path));
        self.with("node at", move |state| Ok(state.pages.at(&place).map(Node::record)))
    }

    fn page(&self, node: Uuid, culture: &Culture) -> StoreFuture<'_, Option<PageRecord>> {
        let culture = culture.clone();
        self.with("page", move |state| {
            let node = state.pages.nodes.get(&node);
            Ok(node.and_then(|node| {
                let content = node.pages.get(&culture)?.clone();
                Some(PageRecord { node: node.record(), content })
            }))
        })
    }

    fn list_nodes(
        &self,
        site: &SiteName,
        beneath: Option<&str>,
        after: Option<&str>,
        limit: usize,
    ) -> StoreFuture<'_, Vec<NodeRecord>> {
        let (site, beneath, after) = (site.clone(), beneath.map(folded), after.map(folded));
        self.with("list nodes", move |state| {
            let nodes = state.pages.beneath(&site, beneath.as_deref(), after.as_deref());
            Ok(nodes.take(limit).map(Node::record).collect())
        })
    }

    fn walk_nodes(
        &self,
        classes: &[ObjectType],
        after: u64,
        limit: usize,
    ) -> StoreFuture<'_, Vec<(u64, NodeRecord)>> {
        let classes = classes.to_vec();
        self.with("walk nodes", move |state| {
            let nodes = state.pages.nodes.values();
            let nodes =
                nodes.filter(|node| node.position > after && classes.contains(&node.place.class_name));
            let mut walked: Vec<_> = nodes.map(|node| (node.position, node.record())).collect();
            walked.sort_by_key(|(position, _)| *position);
            walked.truncate(limit);
            Ok(walked)
        })
    }
}

/// The nodes, by GUID and by place.
#[derive(Debug, Default)]
pub(super) struct PageTable {
    nodes: BTreeMap<Uuid, Node>,
    by_path: BTreeMap<(SiteName, String), Uuid>,
    /// How many nodes were ever made.
    made: u64,
}

/// What was there before each write, in their order.
pub(super) type Before = Vec<(Uuid, Option<Node>)>;

/// A node with its pages; the record's own cultures are not kept.
#[derive(Debug, Clone)]
pub(super) struct Node {
    place: NodeRecord,
    pages: BTreeMap<Culture, PageContent>,
    /// Which one it was to be made.
    position: u64,
}

impl Node {
    fn record(&self) -> NodeRecord {
        let cultures = self.pages.values().map(|page| page.culture.clone()).collect();
        NodeRecord { cultures, ..self.place.clone() }
    }
}

impl PageTable {
    /// How many nodes stand on a site.
    pub(super) fn nodes_of(&self, site: &SiteName) -> u64 {
        self.nodes.values().filter(|node| node.place.site == *site).map(|_| 1).sum()
    }

    /// Whether this is what the identity map calls one of the pages.
    pub(super) fn has(&self, key: &ObjectKey) -> bool {
        key.object_type.as_str() == PAGE
            && page_of_id(&key.id).is_some_and(|(node, culture)| self.is_there(node, Some(&culture)))
    }

    /// Whether there is such a node, in this culture if one is given.
    pub(super) fn is_there(&self, node: Uuid, culture: Option<&Culture>) -> bool {
        let node = self.nodes.get(&node);
        node.is_some_and(|node| culture.is_none_or(|culture| node.pages.contains_key(culture)))
    }

    /// Makes all of the writes, or none; answers what is to be put back where something else fails.
    pub(super) fn write_all(&mut self, writes: Vec<PageWrite>) -> Result<Before, StoreError> {
        let mut before = Before::new();
        for write in writes {
            if let Err(refused) = self.write(write, &mut before) {
                self.put_back(before);
                return Err(refused);
            }
        }
        Ok(before)
    }

    pub(super) fn put_back(&mut self, before: Before) {
        for (guid, node) in before.into_iter().rev() {
            self.put(guid, node, &mut Before::new());
        }
    }

    fn write(&mut self, write: PageWrite, before: &mut Before) -> Result<(), StoreError> {
        match write {
            PageWrite::Create { node, page } => {
                if let Some(there) = self.nodes.get(&node.guid) {
                    return conflict(there_already(node.guid, there.place.version));
                }
                let NewNode { guid, site, parent, alias, class_name } = node;
                let path = self.new_path(guid, &site, parent, &alias)?;
                check_length(&path, path.chars().count(), depth(&path))?;
                let parent = parent.map(|parent| parent.guid);
                let place = NodeRecord {
                    guid,
                    site,
                    parent,
                    alias,
                    path,
                    class_name,
                    cultures: Vec::new(),
                    version: 1,
                };
                let pages = BTreeMap::from([(page.culture.clone(), page)]);
                self.made += 1;
                self.put(guid, Some(Node { place, pages, position: self.made }), before);
            }
            PageWrite::Save { node: guid, page, version } => {
                let mut node = self.existing(guid, version)?;
                node.place.version += 1;
                node.pages.insert(page.culture.clone(), page);
                self.put(guid, Some(node), before);
            }
            PageWrite::Move { node, parent, alias, version } => {
                self.move_to(node, parent, alias, version, before)?;
            }
            PageWrite::Delete { node: guid, culture, version } => {
                let mut node = self.existing(guid, version)?;
                if let Some(culture) = &culture
                    && node.pages.remove(culture).is_none()
                {
                    return conflict(no_such_culture(&node.place.path, culture));
                }
                if culture.is_some() && !node.pages.is_empty() {
                    node.place.version += 1;
                    self.put(guid, Some(node), before);
                    return Ok(());
                }
                let children: u64 =
                    self.nodes.values().filter(|other| other.place.parent == Some(guid)).map(|_| 1).sum();
                if children > 0 {
                    return conflict(has_children(&node.place.path, self.count_beneath(&node)));
                }
                self.put(guid, None, before);
            }
        }
        Ok(())
    }

    fn move_to(
        &mut self,
        guid: Uuid,
        parent: Option<ParentNode>,
        alias: Alias,
        version: i64,
        before: &mut Before,
    ) -> Result<(), StoreError> {
        let mut node = self.existing(guid, version)?;
        let old = std::mem::take(&mut node.place.path);
        let target = self.new_path(guid, &node.place.site, parent, &alias)?;
        if folded(&target).starts_with(&format!("{}/", folded(&old))) {
            return conflict(beneath_itself(&old, &target));
        }
        let beneath: Vec<Node> = self.beneath(&node.place.site, Some(&folded(&old)), None).cloned().collect();
        let new_path =
            |path: &str| format!("{target}{}", path.chars().skip(old.chars().count()).collect::<String>());
        let paths = || beneath.iter().map(|node| new_path(&node.place.path)).chain([target.clone()]);
        let chars = paths().map(|path| path.chars().count()).max();
        check_length(
            &target,
            chars.unwrap_or_default(),
            paths().map(|path| depth(&path)).max().unwrap_or_default(),
        )?;
        node.place.parent = parent.map(|parent| parent.guid);
        node.place.alias = alias;
        node.place.path.clone_from(&target);
        node.place.version += 1;
        self.put(guid, Some(node), before);
        for mut node in beneath {
            node.place.path = new_path(&node.place.path);
            node.place.version += 1;
            self.put(node.place.guid, Some(node), before);
        }
        Ok(())
    }

    /// The path that a node gets beneath this parent, unless another one has it.
    fn new_path(
        &self,
        guid: Uuid,
        site: &SiteName,
        parent: Option<ParentNode>,
        alias: &Alias,
    ) -> Result<String, StoreError> {
        let parent = parent.map(|parent| self.existing(parent.guid, parent.version)).transpose()?;
        if let Some(parent) = parent.as_ref().filter(|parent| parent.place.site != *site) {
            return conflict(other_site(guid, site, parent.place.guid, &parent.place.site));
        }
        let path = path_beneath(parent.as_ref().map(|parent| parent.place.path.as_str()), alias);
        match self.by_path.get(&(site.clone(), folded(&path))) {
            Some(other) if *other != guid => conflict(path_taken(guid, site, &path, *other)),
            _ => Ok(path),
        }
    }

    /// The node, if it is in the version in which whoever writes believes it to be.
    fn existing(&self, guid: Uuid, version: i64) -> Result<Node, StoreError> {
        match self.nodes.get(&guid) {
            Some(node) if node.place.version == version => Ok(node.clone()),
            other => conflict(changed(guid, version, other.map(|node| node.place.version))),
        }
    }

    fn at(&self, place: &(SiteName, String)) -> Option<&Node> {
        self.nodes.get(self.by_path.get(place)?)
    }

    /// The nodes of a site beneath a folded path, after another one.
    fn beneath(
        &self,
        site: &SiteName,
        path: Option<&str>,
        after: Option<&str>,
    ) -> impl Iterator<Item = &Node> {
        let beneath = format!("{}/", path.unwrap_or_default());
        let from = after.filter(|after| **after >= *beneath).unwrap_or(&beneath);
        let range = (Bound::Excluded((site.clone(), from.to_owned())), Bound::Unbounded);
        let site = site.clone();
        self.by_path
            .range(range)
            .take_while(move |((of, path), _)| *of == site && path.starts_with(&beneath))
            .filter_map(|(_, guid)| self.nodes.get(guid))
    }

    fn count_beneath(&self, node: &Node) -> u64 {
        self.beneath(&node.place.site, Some(&folded(&node.place.path)), None).map(|_| 1).sum()
    }

    /// Puts this in the place of whatever is there, and notes that.
    fn put(&mut self, guid: Uuid, new: Option<Node>, before: &mut Before) {
        let old = self.nodes.remove(&guid);
        if let Some(old) = &old {
            self.by_path.remove(&(old.place.site.clone(), folded(&old.place.path)));
        }
        if let Some(new) = new {
            self.by_path.insert((new.place.site.clone(), folded(&new.place.path)), guid);
            self.nodes.insert(guid, new);
        }
        before.push((guid, old));
    }
}

fn check_length(path: &str, chars: usize, levels: usize) -> Result<(), StoreError> {
    match too_long(path, chars, levels) {
        Some(refusal) => Err(StoreError::new(StoreErrorKind::Unsupported, "commit", refusal)),
        None => Ok(()),
    }
}

fn conflict<T>(message: String) -> Result<T, StoreError> {
    Err(StoreError::new(StoreErrorKind::Conflict, "commit", message))
}
