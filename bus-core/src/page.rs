//! Pages: nodes of a site's content tree, each in one or several cultures.

mod reference;

use std::fmt;

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use uuid::Uuid;

use crate::descriptor::{PreparedPage, PreparedParts};
use crate::name::ObjectType;
use crate::payload::{Payload, PayloadError};
use crate::reference::{Reference, ReferenceField};

pub use reference::PageRef;
#[doc(hidden)]
pub use reference::{PAGE, page_id, page_of_id};

/// The longest alias path, in characters.
pub const PATH_CHARS_MAX: usize = 1_000;

/// The deepest level of a tree; a page without a parent stands on the first.
pub const PAGE_DEPTH_MAX: usize = 50;

/// How far a page has come, in one culture.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PageState {
    /// It is being written: what a new page is.
    #[default]
    Draft,
    /// It is shown.
    Published,
    /// It was shown, and is kept.
    Archived,
    /// Whoever had to approve it did not.
    Rejected,
}

impl PageState {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Draft, Self::Published, Self::Archived, Self::Rejected];

    /// The word used in logs and JSON.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Draft => "draft",
            Self::Published => "published",
            Self::Archived => "archived",
            Self::Rejected => "rejected",
        }
    }
}

impl fmt::Display for PageState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// A page of the host: a node of a site's content tree, in one culture. Written by `#[derive(Page)]`:
///
/// ```
/// use bus_core::{Page, PageNode};
/// use serde::{Deserialize, Serialize};
///
/// #[derive(Serialize, Deserialize, Page)]
/// #[page(class = "app.article", display = "Article")]
/// struct Article {
///     #[page(node)]
///     node: PageNode,
///     title: String,
/// }
///
/// let article = Article { node: PageNode::new("corp", "en-US", "Launch"), title: "We launch".to_owned() };
/// assert_eq!((Article::CLASS, article.node().alias.as_str()), ("app.article", "Launch"));
/// ```
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not a page",
    label = "not a page",
    note = "add `#[derive(Serialize, Deserialize, Page)]` and `#[page(class = \"...\")]` to it"
)]
pub trait Page: Serialize + DeserializeOwned + Send + Sync + 'static {
    /// Its class, `app.article`. Stable: it is stored.
    const CLASS: &'static str;
    /// What people call the class.
    const DISPLAY: &'static str;
    /// Its references, as declared: for whoever has rows and no struct.
    const REFERENCES: &'static [ReferenceField];
    /// The name that the field of the node has in JSON.
    #[doc(hidden)]
    const NODE: &'static str;

    /// Where it stands.
    fn node(&self) -> &PageNode;
    /// Where it stands; the bus fills in what it keeps of that.
    fn node_mut(&mut self) -> &mut PageNode;
}

/// Where a page stands. GUID, path, state and cultures are kept by the bus; the rest is said when the page is made.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PageNode {
    /// The node's GUID, the same in all cultures; nil before the first save.
    #[serde(default)]
    pub guid: Uuid,
    /// The site.
    pub site: String,
    /// The culture, one of the site's.
    pub culture: String,
    /// The GUID of the node beneath which it stands; none on the first level.
    #[serde(default)]
    pub parent: Option<Uuid>,
    /// The last part of its alias path: at most 100 characters, no `/`.
    pub alias: String,
    /// What people call the page in this culture.
    #[serde(default)]
    pub name: String,
    #[serde(default)]
    class_name: String,
    #[serde(default)]
    path: String,
    #[serde(default)]
    state: PageState,
    #[serde(default)]
    cultures: Vec<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    moved_from: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    external_parent: Option<String>,
}

impl PageNode {
    /// On the first level of this site, in this culture, with this alias, and called so, too.
    pub fn new(site: impl Into<String>, culture: impl Into<String>, alias: impl Into<String>) -> Self {
        let alias = alias.into();
        Self {
            guid: Uuid::nil(),
            site: site.into(),
            culture: culture.into(),
            parent: None,
            name: alias.clone(),
            alias,
            class_name: String::new(),
            path: String::new(),
            state: PageState::Draft,
            cultures: Vec::new(),
            moved_from: None,
            external_parent: None,
        }
    }

    /// Beneath this node.
    #[must_use]
    pub fn beneath(mut self, parent: Uuid) -> Self {
        self.parent = Some(parent);
        self
    }

    /// Beneath the page that the external system calls this: for pages that come in. The bus puts the node in its place, and waits
    /// for it where it is not known yet.
    #[must_use]
    pub fn beneath_external(mut self, external_id: impl Into<String>) -> Self {
        self.external_parent = Some(external_id.into());
        self
    }

    /// Called this.
    #[must_use]
    pub fn named(mut self, name: impl Into<String>) -> Self {
        self.name = name.into();
        self
    }

    /// The same node in another culture.
    #[must_use]
    pub fn in_culture(mut self, culture: impl Into<String>) -> Self {
        self.culture = culture.into();
        self
    }

    /// The class of its pages; empty before the first save.
    pub fn class_name(&self) -> &str {
        &self.class_name
    }

    /// Its alias path, `/News/Launch`; empty before the first save.
    pub fn path(&self) -> &str {
        &self.path
    }

    /// How far it has come in this culture.
    pub fn state(&self) -> PageState {
        self.state
    }

    /// The cultures in which the node is a page, in their order; none before the first save.
    pub fn cultures(&self) -> &[String] {
        &self.cultures
    }

    /// Where it stood before, in a change that says that it was moved.
    pub fn moved_from(&self) -> Option<&str> {
        self.moved_from.as_deref()
    }

    #[doc(hidden)]
    pub fn external_parent(&self) -> Option<&str> {
        self.external_parent.as_deref()
    }

    #[doc(hidden)]
    #[must_use]
    pub fn having_moved(mut self, from: impl Into<String>) -> Self {
        self.moved_from = Some(from.into());
        self
    }

    #[doc(hidden)]
    #[must_use]
    pub fn kept(mut self, class_name: String, path: String, state: PageState, cultures: Vec<String>) -> Self {
        (self.class_name, self.path, self.state, self.cultures) = (class_name, path, state, cultures);
        self
    }
}

/// A page whose Rust type is not known here: its fields as JSON, its references beside them.
#[derive(Debug, Clone, PartialEq)]
pub struct AnyPage {
    /// Its class.
    pub class_name: ObjectType,
    /// Where it stands.
    pub node: PageNode,
    /// Its fields. References stand here as bare values: host ids, or external ids once translated.
    pub fields: Map<String, Value>,
    /// Where the references stand, and what they point at.
    pub references: Vec<Reference>,
}

impl AnyPage {
    /// A field, by name.
    pub fn get(&self, field: &str) -> Option<&Value> {
        self.fields.get(field)
    }

    pub(crate) fn of(payload: Payload) -> Result<Self, PayloadError> {
        let payload = payload.with_targets_written();
        let node = *payload.page.ok_or_else(no_node)?;
        let class_name = ObjectType::parse(node.class_name());
        let class_name = class_name.map_err(|error| PayloadError::new(error.to_string()))?;
        Ok(Self { class_name, node, fields: payload.object, references: payload.references })
    }
}

/// Takes a page apart: its fields, and where it stands beside them.
#[doc(hidden)]
pub fn payload<T: Page>(page: &T) -> Result<Payload, PayloadError> {
    let mut payload = Payload::of(page)?;
    payload.object.remove(T::NODE);
    payload.page = Some(Box::new(page.node().clone()));
    Ok(payload)
}

/// What comes in and becomes a page.
#[doc(hidden)]
pub fn prepared<T: Page>(page: &T) -> Result<PreparedParts, PayloadError> {
    Ok(PreparedParts::Page(Box::new(PreparedPage { class_name: T::CLASS, payload: payload(page)? })))
}

/// Puts a page together again.
#[doc(hidden)]
pub fn read<T: Page>(mut payload: Payload) -> Result<T, PayloadError> {
    let node = payload.page.take().ok_or_else(no_node)?;
    let node = serde_json::to_value(node).map_err(|error| PayloadError::new(error.to_string()))?;
    payload.object.insert(T::NODE.to_owned(), node);
    payload.read()
}

fn no_node() -> PayloadError {
    PayloadError::new("it does not say where the page stands, so it is none")
}
