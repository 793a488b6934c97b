//! Where a page says that it stands, read.

use std::fmt;

use bus_core::{Alias, Culture, ObjectType, PageNode, SiteName};
use bus_store::NodeRecord;
use uuid::Uuid;

use crate::Result;
use crate::error::{BusError, BusErrorKind};
use crate::sites::{self, DISPLAY_NAME_CHARS_MAX};

/// Where a page is to stand.
pub(crate) struct Wanted {
    pub(crate) guid: Uuid,
    pub(crate) site: SiteName,
    pub(crate) culture: Culture,
    pub(crate) parent: Option<Uuid>,
    pub(crate) alias: Alias,
    pub(crate) name: String,
}

impl Wanted {
    pub(crate) fn of(node: &PageNode) -> Result<Self> {
        let name = if node.name.is_empty() { &node.alias } else { &node.name };
        let chars = name.chars().count();
        if name.trim().is_empty() || chars > DISPLAY_NAME_CHARS_MAX {
            let message = format!(
                "the name of page `{}` has {chars} characters; write 1 to {DISPLAY_NAME_CHARS_MAX}",
                node.alias.escape_debug()
            );
            return Err(BusError::new(BusErrorKind::BadName, message));
        }
        Ok(Self {
            guid: node.guid,
            site: sites::parse(&node.site)?,
            culture: culture(&node.culture)?,
            parent: node.parent,
            alias: alias(&node.alias)?,
            name: name.clone(),
        })
    }

    /// The node that is made of it.
    pub(crate) fn new_node(&self, path: String, class_name: ObjectType) -> NodeRecord {
        NodeRecord {
            guid: self.guid,
            site: self.site.clone(),
            parent: self.parent,
            alias: self.alias.clone(),
            path,
            class_name,
            cultures: vec![self.culture.clone()],
            version: 1,
        }
    }

    /// Refuses a page that says it stands somewhere else than its node does, or is something else.
    pub(crate) fn check_place(&self, node: &NodeRecord, class_name: &ObjectType) -> Result<()> {
        if node.class_name != *class_name {
            return Err(self.malformed(&format!(
                "the node is of class {}, not {class_name}, in all of its cultures; choose another GUID",
                node.class_name
            )));
        }
        if node.site != self.site {
            return Err(self.malformed(&format!("it stands on site {}, and stays there", node.site)));
        }
        if node.parent != self.parent || node.alias != self.alias {
            return Err(self.malformed(&format!(
                "it stands at {}, with another parent or alias than it says; load it again before you save it",
                node.path
            )));
        }
        Ok(())
    }

    pub(crate) fn malformed(&self, reason: &str) -> BusError {
        BusError::new(BusErrorKind::Malformed, format!("page {self} cannot be saved: {reason}"))
    }
}

impl fmt::Display for Wanted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ({})", self.alias, self.culture)
    }
}

/// Reads what is to be a culture.
pub(crate) fn culture(culture: &str) -> Result<Culture> {
    Culture::parse(culture).map_err(|error| BusError::new(BusErrorKind::BadName, error.to_string()))
}

/// Reads what is to be an alias.
pub(crate) fn alias(alias: &str) -> Result<Alias> {
    Alias::parse(alias).map_err(|error| BusError::new(BusErrorKind::BadName, error.to_string()))
}
