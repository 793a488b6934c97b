//! The same for a `PageRef`.

use std::fmt;

use serde::de::{self, MapAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize, Serializer, ser};

use super::{Mark, read_mark, write_reference};
use crate::name::Culture;
use crate::object::ObjectId;
use crate::page::{PAGE, PageRef, page_of_id};

impl Serialize for PageRef {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        if let Some((node, culture)) = self.page() {
            if node.is_nil() {
                let reason = "it refers to a page that was not saved yet, and has no GUID; save that first";
                return Err(ser::Error::custom(reason));
            }
            Culture::parse(culture).map_err(|error| {
                ser::Error::custom(format!("it refers to page {node} in no culture: {error}"))
            })?;
        }
        write_reference(PAGE, self.to_target(), serializer)
    }
}

impl<'de> Deserialize<'de> for PageRef {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(PageRefVisitor)
    }
}

struct PageRefVisitor;

fn no_page<E: de::Error>(id: &str) -> E {
    E::custom(format!("`{id}` is not a page; write the GUID of its node and its culture, `GUID/en-us`"))
}

impl<'de> Visitor<'de> for PageRefVisitor {
    type Value = PageRef;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the GUID of a page's node and its culture")
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<PageRef, E> {
        let page = page_of_id(&ObjectId::Text(text.to_owned()));
        let (node, culture) = page.ok_or_else(|| no_page(text))?;
        Ok(PageRef::host(node, culture.as_str()))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<PageRef, A::Error> {
        match read_mark(&mut map)? {
            Some(Mark::External(id)) => Ok(PageRef::external(id)),
            Some(Mark::Unresolved(id)) => {
                let (node, culture) = page_of_id(&id).ok_or_else(|| no_page(&id.to_text()))?;
                Ok(PageRef::unresolved(node, culture.as_str()))
            }
            None => Err(de::Error::custom("a reference to a page is an id, not an object")),
        }
    }
}
