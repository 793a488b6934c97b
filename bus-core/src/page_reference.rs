//! References to pages.

use std::fmt;

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::name::{Culture, SiteName};
use crate::object::BusObject;
use crate::reference::{Ref, ReferenceField, TranslationRecord};

/// A foreign key to a page that translation can see: a node in one culture of the host (`PageRef::host`), or, on the way to
/// and from an external system, that system's id for it (`PageRef::external`). It stands in fields of objects and of pages, alone or
/// within `Option`, `Vec` or a map.
///
/// In JSON it is the bare id: the node's GUID, `/`, and the culture in lower case. It is never late.
///
/// ```
/// use bus_core::PageRef;
/// use uuid::Uuid;
///
/// let node = Uuid::from_u128(7);
/// let about = PageRef::host(node, &"en-US".parse().unwrap());
/// assert_eq!(about.host_id(), Some((node, "en-us")));
/// assert_eq!(PageRef::external("their page").external_id(), Some("their page"));
/// ```
#[derive(Clone, PartialEq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct PageRef(Ref<Identity>);

impl PageRef {
    /// A reference to a page of the host.
    pub fn host(node: Uuid, culture: &Culture) -> Self {
        Self(Ref::host(format!("{node}/{}", culture.as_str().to_ascii_lowercase())))
    }

    /// A reference by the external system's id.
    pub fn external(id: impl Into<String>) -> Self {
        Self(Ref::external(id))
    }

    /// The node and the culture, in lower case, unless it is an external one.
    pub fn host_id(&self) -> Option<(Uuid, &str)> {
        let (node, culture) = self.0.host_id()?.split_once('/')?;
        Some((node.parse().ok()?, culture))
    }

    /// The external system's id, unless it is the host's.
    pub fn external_id(&self) -> Option<&str> {
        self.0.external_id()
    }
}

impl fmt::Debug for PageRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.0.external_id(), self.0.host_id()) {
            (Some(id), _) => write!(f, "PageRef::external({id:?})"),
            (None, id) => write!(f, "PageRef::host({id:?})"),
        }
    }
}

/// What the identity map knows pages by: no object of any host is of this type.
#[derive(Serialize, Deserialize)]
struct Identity {
    id: String,
}

impl BusObject for Identity {
    type Id = String;
    const TYPE: &'static str = "page";
    const DISPLAY: &'static str = "Page";
    const REFERENCES: &'static [ReferenceField] = &[];

    fn id(&self) -> &String {
        &self.id
    }

    fn set_id(&mut self, id: String) {
        self.id = id;
    }
}

/// One of the host's pages that something refers to.
#[derive(Debug, Clone, PartialEq)]
pub struct ReferencedPage {
    /// Its node.
    pub node: Uuid,
    /// Its culture.
    pub culture: Culture,
    /// What else was known of it when the task was logged: its site.
    pub record: TranslationRecord,
}

/// How to find one of the host's pages: all of it has to fit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DocumentParams {
    /// Its node.
    pub node: Uuid,
    /// Its culture.
    pub culture: Culture,
    /// The site on which it stands.
    pub site: SiteName,
}
