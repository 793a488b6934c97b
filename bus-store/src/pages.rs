//! The trees of the sites' pages.

use bus_core::page::{PAGE_DEPTH_MAX, PATH_CHARS_MAX};
use bus_core::{Alias, Culture, ObjectType, PageState, SiteName};
use uuid::Uuid;

use crate::StoreFuture;

/// Where the bus itself keeps pages. Written by [`TaskLog::commit`](crate::TaskLog::commit).
///
/// A node stands on one site, beneath a parent or on the first level, and is a page in each of its cultures: at least in
/// one. Its alias path is made of the aliases of its ancestors and its own, and no other node of the site has it, whatever
/// its case.
pub trait Pages {
    /// The node with this GUID.
    fn node(&self, guid: Uuid) -> StoreFuture<'_, Option<NodeRecord>>;

    /// The node of a site that stands at this alias path, whatever its case.
    fn node_at(&self, site: &SiteName, path: &str) -> StoreFuture<'_, Option<NodeRecord>>;

    /// A node in one of its cultures.
    fn page(&self, node: Uuid, culture: &Culture) -> StoreFuture<'_, Option<PageRecord>>;

    /// The nodes of a site in the order of their paths, without regard to case: all of them, or those beneath one path, which
    /// is not among them; beginning after the given path, whether or not a node stands there (any more).
    fn list_nodes(
        &self,
        site: &SiteName,
        beneath: Option<&str>,
        after: Option<&str>,
        limit: usize,
    ) -> StoreFuture<'_, Vec<NodeRecord>>;

    /// The nodes of these classes, on whichever site, in the order in which they were made, each with its place in that order;
    /// beginning behind a place, 0 for all.
    fn walk_nodes(
        &self,
        classes: &[ObjectType],
        after: u64,
        limit: usize,
    ) -> StoreFuture<'_, Vec<(u64, NodeRecord)>>;
}

/// A node of a tree: what is the same in all of its cultures.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NodeRecord {
    /// Its GUID.
    pub guid: Uuid,
    /// The site on which it stands.
    pub site: SiteName,
    /// The node beneath which it stands; none on the first level.
    pub parent: Option<Uuid>,
    /// The last part of its path.
    pub alias: Alias,
    /// Its alias path, as written: `/News/Launch`.
    pub path: String,
    /// Its class: the type of its pages.
    pub class_name: ObjectType,
    /// The cultures in which it is a page, in their order.
    pub cultures: Vec<Culture>,
    /// Grows with every write to the node, to one of its pages, and by a move of what it stands beneath; 1 for a new node.
    pub version: i64,
}

/// A page: a node in one culture.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PageRecord {
    /// The node.
    pub node: NodeRecord,
    /// What it is in this culture.
    pub content: PageContent,
}

/// What a node is in one culture.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PageContent {
    /// The culture.
    pub culture: Culture,
    /// What people call the page.
    pub name: String,
    /// How far it has come.
    pub state: PageState,
    /// Its payload, in JSON.
    pub data: Vec<u8>,
}

/// A node that is to be made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewNode {
    /// Its GUID.
    pub guid: Uuid,
    /// Its site, which must be registered.
    pub site: SiteName,
    /// The node beneath which it is to stand, on the same site.
    pub parent: Option<ParentNode>,
    /// The last part of its path.
    pub alias: Alias,
    /// The class of its pages.
    pub class_name: ObjectType,
}

/// What something is to stand beneath, as the writer saw it: its path is a part of the path that the writer tells of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ParentNode {
    /// The node.
    pub guid: Uuid,
    /// The version in which it is.
    pub version: i64,
}

/// A write to the trees of pages, with what the writer believes to be true.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PageWrite {
    /// The node is made, as a page in its first culture.
    Create {
        /// The node, which is not there.
        node: NewNode,
        /// The page.
        page: PageContent,
    },
    /// This is what the node is in the page's culture now, whether or not it was something in it before.
    Save {
        /// The node.
        node: Uuid,
        /// The page.
        page: PageContent,
        /// The version in which the node is.
        version: i64,
    },
    /// The node stands beneath this parent (on the first level, if none is given) from now on, and has this alias. Whatever
    /// stands beneath it goes along: paths and versions of the whole subtree change.
    Move {
        /// The node.
        node: Uuid,
        /// The new parent, on the same site; not the node itself, nor anything beneath it.
        parent: Option<ParentNode>,
        /// The new alias.
        alias: Alias,
        /// The version in which the node is.
        version: i64,
    },
    /// The node is no page in this culture any more, or in none. With its last culture the node is gone, which it cannot
    /// be while others stand beneath it.
    Delete {
        /// The node.
        node: Uuid,
        /// The culture; all of them, if none is given.
        culture: Option<Culture>,
        /// The version in which the node is.
        version: i64,
    },
}

impl PageWrite {
    /// The page that is there after this write: its node and its culture.
    pub fn saved(&self) -> Option<(Uuid, &Culture)> {
        match self {
            Self::Create { node, page } => Some((node.guid, &page.culture)),
            Self::Save { node, page, .. } => Some((*node, &page.culture)),
            Self::Move { .. } | Self::Delete { .. } => None,
        }
    }
}

/// The path of what has this alias and stands beneath this path, or on the first level.
pub fn path_beneath(parent: Option<&str>, alias: &Alias) -> String {
    format!("{}/{alias}", parent.unwrap_or_default())
}

/// As paths are compared. Letter by letter, so that what begins with the folded path of a parent lies beneath it.
pub fn folded(path: &str) -> String {
    path.chars().flat_map(char::to_lowercase).collect()
}

/// On which level a path ends; the first is 1.
pub fn depth(path: &str) -> usize {
    path.matches('/').count()
}

/// Why no node stands at this path: the longest and the deepest that came with it would have so many characters and levels.
pub fn too_long(path: &str, chars: usize, levels: usize) -> Option<String> {
    (chars > PATH_CHARS_MAX || levels > PAGE_DEPTH_MAX).then(|| {
        format!(
            "with a page at {path} a path would have {chars} characters and {levels} levels, more than {PATH_CHARS_MAX} and \
             {PAGE_DEPTH_MAX}; shorten the aliases, or let it stand higher"
        )
    })
}

/// Why a node is not made that is there.
pub fn there_already(node: Uuid, there: i64) -> String {
    format!("page {node} is there already, in version {there}; read it again")
}

/// Why a write is refused that believes a node to be in another version than it is, if it is there at all.
pub fn changed(node: Uuid, expected: i64, there: Option<i64>) -> String {
    match there {
        Some(there) => format!("page {node} is in version {there}, not {expected}; read it again"),
        None => format!("page {node} is gone, not in version {expected}; read it again"),
    }
}

/// Why a page cannot stand where another one stands.
pub fn path_taken(node: Uuid, site: &SiteName, path: &str, other: Uuid) -> String {
    format!("page {node} cannot stand at {path} on site {site}: page {other} does; choose another alias")
}

/// Why a page cannot stand beneath one of another site.
pub fn other_site(node: Uuid, site: &SiteName, parent: Uuid, other: &SiteName) -> String {
    format!(
        "page {node} stands on site {site}, and {parent} on site {other}; choose a parent on the same site"
    )
}

/// Why a page is not moved to where it would stand beneath itself.
pub fn beneath_itself(path: &str, target: &str) -> String {
    format!("page {path} cannot be moved beneath itself, to {target}; choose another parent")
}

/// Why a node is not deleted that others stand beneath.
pub fn has_children(path: &str, count: u64) -> String {
    format!("page {path} has {count} pages beneath it; delete or move these first")
}

/// Why a culture is not deleted in which the node is no page.
pub fn no_such_culture(path: &str, culture: &Culture) -> String {
    format!("page {path} is not there in culture {culture}; read it again")
}
