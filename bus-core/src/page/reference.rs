//! References to pages, as translation sees them.

use std::fmt;

use uuid::Uuid;

use crate::name::Culture;
use crate::object::ObjectId;
use crate::page::PageNode;
use crate::reference::ReferenceTarget;

/// What pages are called where objects are called by their type: in keys, in the identity map, and beside references. No object
/// type has this name.
#[doc(hidden)]
pub const PAGE: &str = "page";

/// What the identity map knows a page by: its node and its culture. A class is not part of it, nor is a path.
#[doc(hidden)]
pub fn page_id(node: Uuid, culture: &str) -> ObjectId {
    ObjectId::Text(format!("{node}/{}", culture.to_ascii_lowercase()))
}

/// The node and the culture of such an id.
#[doc(hidden)]
pub fn page_of_id(id: &ObjectId) -> Option<(Uuid, Culture)> {
    let text = id.to_text();
    let (node, culture) = text.split_once('/')?;
    Some((node.parse().ok()?, Culture::parse(culture).ok()?))
}

/// A reference to a page that translation can see: to a node of the host in one culture (`PageRef::host`), or, on the way to
/// and from an external system, by that system's id for it (`PageRef::external`). Pages and objects may both hold some.
///
/// In JSON it is the bare id: the node's GUID and the culture in lower case, `9f2d6c2e-0000-4000-8000-000000000001/en-us`, or the
/// external one; `null` where a late one is unresolved (see [`Ref`](crate::Ref)).
///
/// ```
/// use bus_core::{Page, PageNode, PageRef};
/// use serde::{Deserialize, Serialize};
///
/// #[derive(Serialize, Deserialize, Page)]
/// #[page(class = "app.article")]
/// struct Article {
///     #[page(node)]
///     node: PageNode,
///     /// What to read next.
///     next: Option<PageRef>,
/// }
///
/// # let guid = uuid::Uuid::max();
/// # let mut launch = Article { node: PageNode::new("corp", "en-US", "Launch"), next: None };
/// # launch.node.guid = guid;
/// let first = Article { node: PageNode::new("corp", "en-US", "First"), next: Some(PageRef::to(&launch.node)) };
/// assert_eq!(first.next, Some(PageRef::host(guid, "en-US")));
/// ```
#[derive(Clone, PartialEq, Eq)]
pub struct PageRef(Target);

#[derive(Clone, PartialEq, Eq)]
enum Target {
    Host(Uuid, String),
    External(String),
    Unresolved(Uuid, String),
}

impl PageRef {
    /// A reference to one of the host's pages: to a node, in this culture, whose case does not count. What is no culture, or
    /// has the nil GUID of a node that was not saved yet, is refused when it is written.
    pub fn host(node: Uuid, culture: impl AsRef<str>) -> Self {
        Self(Target::Host(node, culture.as_ref().to_ascii_lowercase()))
    }

    /// A reference to the page that stands there, once it is saved.
    pub fn to(page: &PageNode) -> Self {
        Self::host(page.guid, &page.culture)
    }

    /// A reference by the external system's id.
    pub fn external(id: impl Into<String>) -> Self {
        Self(Target::External(id.into()))
    }

    pub(crate) fn unresolved(node: Uuid, culture: &str) -> Self {
        Self(Target::Unresolved(node, culture.to_ascii_lowercase()))
    }

    /// The GUID of the host's node, unless it is an external id.
    pub fn node(&self) -> Option<Uuid> {
        self.page().map(|(node, _)| node)
    }

    /// The culture, in lower case, unless it is an external id.
    pub fn culture(&self) -> Option<&str> {
        self.page().map(|(_, culture)| culture)
    }

    /// The external system's id, unless it is a page of the host.
    pub fn external_id(&self) -> Option<&str> {
        match &self.0 {
            Target::External(id) => Some(id),
            Target::Host(..) | Target::Unresolved(..) => None,
        }
    }

    /// Whether it is a late one that the external system does not know yet. An update follows once it does.
    pub fn is_unresolved(&self) -> bool {
        matches!(self.0, Target::Unresolved(..))
    }

    pub(crate) fn page(&self) -> Option<(Uuid, &str)> {
        match &self.0 {
            Target::Host(node, culture) | Target::Unresolved(node, culture) => Some((*node, culture)),
            Target::External(_) => None,
        }
    }

    /// What it points at.
    pub fn to_target(&self) -> ReferenceTarget {
        match &self.0 {
            Target::Host(node, culture) => ReferenceTarget::Host(page_id(*node, culture)),
            Target::External(id) => ReferenceTarget::External(id.clone()),
            Target::Unresolved(node, culture) => ReferenceTarget::Unresolved(page_id(*node, culture)),
        }
    }
}

impl fmt::Debug for PageRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            Target::Host(node, culture) => write!(f, "PageRef::host({node}, {culture:?})"),
            Target::External(id) => write!(f, "PageRef::external({id:?})"),
            Target::Unresolved(node, culture) => write!(f, "PageRef::unresolved({node}, {culture:?})"),
        }
    }
}
