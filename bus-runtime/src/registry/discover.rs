//! Finds what is linked: the only place that reads the global list that the linker made.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet};

use bus_core::__private::{LinkedConnector, LinkedObject, LinkedPage, inventory};
use bus_core::descriptor::{ConnectorDescriptor, ObjectDescriptor, PageDescriptor, Place};
use bus_core::name::{is_connector_name, is_kind, is_object_type};

use super::Registry;
use crate::error::{BusError, BusErrorKind};
use crate::flow::keys::PAGE;

impl Registry {
    /// Everything that is linked into this program.
    ///
    /// # Errors
    ///
    /// Two connectors of one name, two structs that declare one object type, neither as a view, or one class of pages, or a class
    /// and an object type of one name: the error names both places. Or a list of children whose type nobody declares. A crate that is
    /// only listed in `Cargo.toml` is not linked and therefore not found; `use that_crate as _;` links it.
    pub fn discover() -> Result<Self, BusError> {
        let connectors = inventory::iter::<LinkedConnector>.into_iter().map(|linked| linked.0);
        let objects = inventory::iter::<LinkedObject>.into_iter().map(|linked| linked.0);
        let pages = inventory::iter::<LinkedPage>.into_iter().map(|linked| linked.0);
        Self::of(connectors, objects)?.with_pages(pages)
    }

    /// These connectors and object types: what tests use, so that they do not depend on what else is linked.
    pub fn of(
        connectors: impl IntoIterator<Item = &'static ConnectorDescriptor>,
        objects: impl IntoIterator<Item = &'static ObjectDescriptor>,
    ) -> Result<Self, BusError> {
        let mut registry = Self::default();
        for connector in connectors {
            check_names(connector)?;
            check_types(connector)?;
            if let Some(first) = registry.connectors.insert(connector.name, connector) {
                let remedy = "rename one of them";
                return Err(twice("connector", connector.name, &first.place, &connector.place, remedy));
            }
        }
        for object in objects {
            if !is_object_type(object.object_type) {
                let message = format!(
                    "`{}` at {} is not an object type; use lowercase words joined by `.`, such as `app.user`",
                    object.object_type, object.place
                );
                return Err(BusError::new(BusErrorKind::Discovery, message));
            }
            if object.object_type == PAGE {
                let message = format!(
                    "`{PAGE}` at {} is what the pages of all classes are called in the identity map; rename the object type",
                    object.place
                );
                return Err(BusError::new(BusErrorKind::Discovery, message));
            }
            registry.add(object)?;
        }
        registry.check_lists()?;
        for connector in registry.connectors.values() {
            registry.check_versions(connector)?;
        }
        Ok(registry)
    }

    /// These, and these classes of pages.
    ///
    /// # Errors
    ///
    /// Two structs that declare one class, or a class that is an object type, too: the error names both places.
    pub fn with_pages(
        mut self,
        pages: impl IntoIterator<Item = &'static PageDescriptor>,
    ) -> Result<Self, BusError> {
        for page in pages {
            let (name, remedy) = (page.class_name, "rename one of them");
            if !is_object_type(name) {
                let message = format!(
                    "`{name}` at {} is not a class of pages; use lowercase words joined by `.`, such as `app.article`",
                    page.place
                );
                return Err(BusError::new(BusErrorKind::Discovery, message));
            }
            // Deliveries tell by the name what they carry.
            if let Some(object) = self.objects.get(name) {
                return Err(twice("object type and class", name, &object.place, &page.place, remedy));
            }
            if let Some(known) = self.pages.insert(name, page).filter(|known| known.place != page.place) {
                return Err(twice("class", name, &known.place, &page.place, remedy));
            }
        }
        Ok(self)
    }

    /// What is delivered is what the type is now: an earlier struct of it could not read that.
    fn check_versions(&self, connector: &ConnectorDescriptor) -> Result<(), BusError> {
        for route in connector.outgoing() {
            let Some(object) = route.exact_type.and_then(|object_type| self.object_type(object_type)) else {
                continue;
            };
            if let Some(former) = object.formers().find(|former| (former.rust_type)() == (route.rust_type)())
            {
                let message = format!(
                    "connector `{}` at {} takes objects of type `{}` as their version {}, and they are version {} by now; name \
                     the struct at {}, or a view",
                    connector.name,
                    connector.place,
                    object.object_type,
                    former.version,
                    object.version,
                    object.place
                );
                return Err(BusError::new(BusErrorKind::Discovery, message));
            }
        }
        Ok(())
    }

    /// A type is what the struct says that declares it, in its latest version; where there are views only, the first by its
    /// place.
    fn add(&mut self, object: &'static ObjectDescriptor) -> Result<(), BusError> {
        let Some(known) = self.objects.insert(object.object_type, object) else { return Ok(()) };
        let are_of_one_chain = comes_from(known, object) || comes_from(object, known);
        if !known.is_view && !object.is_view && known.place != object.place && !are_of_one_chain {
            let name = object.object_type;
            let remedy =
                format!("rename one of them, or make one a view: `#[object(type = \"{name}\", view)]`");
            return Err(twice("object type", name, &known.place, &object.place, &remedy));
        }
        let rank = |one: &ObjectDescriptor| (one.is_view, Reverse(one.version), one.place.to_string());
        if rank(known) < rank(object) {
            self.objects.insert(known.object_type, known);
        }
        Ok(())
    }
}

/// Whether one is a later version of the other.
fn comes_from(one: &ObjectDescriptor, other: &ObjectDescriptor) -> bool {
    one.formers().any(|former| (former.version, former.place) == (other.version, other.place))
}

/// What the macro checks, for descriptors that were written by hand.
fn check_names(connector: &ConnectorDescriptor) -> Result<(), BusError> {
    if !is_connector_name(connector.name) {
        let message = format!(
            "`{}` at {} is not a connector name; use lowercase words joined by `-`, such as `crm-eu`",
            connector.name, connector.place
        );
        return Err(BusError::new(BusErrorKind::Discovery, message));
    }
    let mut kinds = BTreeSet::new();
    for route in connector.incoming() {
        if !is_kind(route.kind) || !kinds.insert(route.kind) {
            let message = format!(
                "connector `{}` at {} accepts the kind `{}` twice, or it is not a kind; give each `#[incoming]` line its own `kind = \"...\"`",
                connector.name, connector.place, route.kind
            );
            return Err(BusError::new(BusErrorKind::Discovery, message));
        }
    }
    Ok(())
}

/// A delivery of an object type goes to the first line that names it: a second struct for that type would never be
/// called.
fn check_types(connector: &ConnectorDescriptor) -> Result<(), BusError> {
    let mut types = BTreeMap::new();
    for route in connector.outgoing() {
        let Some(object_type) = route.exact_type else { continue };
        if *types.entry(object_type).or_insert_with(route.rust_type) != (route.rust_type)() {
            let message = format!(
                "connector `{}` at {} takes objects of type `{object_type}` as two structs, and only the first would \
                 ever be called; name one of them in all of its lines",
                connector.name, connector.place
            );
            return Err(BusError::new(BusErrorKind::Discovery, message));
        }
    }
    Ok(())
}

fn twice(what: &str, name: &str, first: &Place, second: &Place, remedy: &str) -> BusError {
    // The linker promises no order: the message must not depend on it.
    let (mut one, mut two) = (first.to_string(), second.to_string());
    if one > two {
        std::mem::swap(&mut one, &mut two);
    }
    BusError::new(
        BusErrorKind::Discovery,
        format!("the {what} `{name}` is declared twice, at {one} and at {two}; {remedy}"),
    )
}
