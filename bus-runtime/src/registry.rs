//! Linked connectors (what the program contains) and registered connectors (what the operator wants).

mod discover;
mod enlist;
mod lists;
pub(crate) mod published;
mod settings;

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use bus_core::descriptor::{ConnectorDescriptor, ObjectDescriptor, PageDescriptor};
use bus_core::{ConnectorName, Direction};

use crate::flow::subscription::Matcher;

pub use enlist::Problem;
pub(crate) use enlist::{Enlisted, enlist};

/// What the program contains: connectors and object types, each name once.
#[derive(Debug, Clone, Default)]
pub struct Registry {
    connectors: BTreeMap<&'static str, &'static ConnectorDescriptor>,
    objects: BTreeMap<&'static str, &'static ObjectDescriptor>,
    pages: BTreeMap<&'static str, &'static PageDescriptor>,
}

impl Registry {
    /// The linked connector of this name.
    pub fn connector(&self, name: &str) -> Option<&'static ConnectorDescriptor> {
        self.connectors.get(name).copied()
    }

    /// The linked connectors, by name.
    pub fn connectors(&self) -> LinkedConnectors<'_> {
        LinkedConnectors(self)
    }

    /// Whether a linked object type has this name.
    pub fn knows_object_type(&self, object_type: &str) -> bool {
        self.objects.contains_key(object_type)
    }

    /// The linked object types, by name.
    pub fn object_types(&self) -> impl Iterator<Item = &'static ObjectDescriptor> {
        self.objects.values().copied()
    }

    /// The linked object type of this name.
    pub fn object_type(&self, object_type: &str) -> Option<&'static ObjectDescriptor> {
        self.objects.get(object_type).copied()
    }

    /// The linked classes of pages.
    pub(crate) fn page_classes(&self) -> impl Iterator<Item = &'static PageDescriptor> {
        self.pages.values().copied()
    }

    /// The linked class of pages of this name.
    pub fn page_class(&self, class_name: &str) -> Option<&'static PageDescriptor> {
        self.pages.get(class_name).copied()
    }
}

/// The linked connectors, by name; prints as a list.
#[derive(Debug, Clone, Copy)]
pub struct LinkedConnectors<'r>(&'r Registry);

impl LinkedConnectors<'_> {
    /// Each of them.
    pub fn iter(&self) -> impl Iterator<Item = &'static ConnectorDescriptor> {
        self.0.connectors.values().copied()
    }
}

impl fmt::Display for LinkedConnectors<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0.connectors.is_empty() {
            return f.write_str("none");
        }
        for (index, name) in self.0.connectors.keys().enumerate() {
            let separator = if index == 0 { "" } else { ", " };
            write!(f, "{separator}`{name}`")?;
        }
        Ok(())
    }
}

/// The registered connectors at one moment, and who subscribed to what.
#[derive(Default)]
pub(crate) struct Roster {
    connectors: BTreeMap<ConnectorName, Arc<Enlisted>>,
    matcher: Matcher<Subscriber>,
}

/// A line of a registered connector.
#[derive(Debug, Clone)]
pub(crate) struct Subscriber {
    pub(crate) connector: ConnectorName,
    /// Which of its outgoing routes.
    pub(crate) route: usize,
}

impl Roster {
    pub(crate) fn of(enlisted: impl IntoIterator<Item = Arc<Enlisted>>) -> Self {
        let connectors: BTreeMap<_, _> =
            enlisted.into_iter().map(|enlisted| (enlisted.record.name.clone(), enlisted)).collect();
        let lines = connectors.values().flat_map(|enlisted| {
            let routes = enlisted.linked.into_iter().flat_map(ConnectorDescriptor::outgoing);
            let published = enlisted.published.iter().copied();
            routes.map(|line| line.subscription).chain(published).enumerate().map(|(route, subscription)| {
                (Subscriber { connector: enlisted.record.name.clone(), route }, subscription)
            })
        });
        let matcher = lines.collect::<Matcher<_>>();
        Self { connectors, matcher }
    }

    pub(crate) fn get(&self, name: &ConnectorName) -> Option<&Arc<Enlisted>> {
        self.connectors.get(name)
    }

    /// All of them, by code name.
    pub(crate) fn iter(&self) -> impl Iterator<Item = &Arc<Enlisted>> {
        self.connectors.values()
    }

    pub(crate) fn matcher(&self) -> &Matcher<Subscriber> {
        &self.matcher
    }

    /// With this connector in the place of the one of its name.
    pub(crate) fn with(&self, enlisted: &Arc<Enlisted>) -> Self {
        let others = self.connectors.values().filter(|other| other.record.name != enlisted.record.name);
        Self::of(others.cloned().chain([Arc::clone(enlisted)]))
    }

    /// Without the connector of this name.
    pub(crate) fn without(&self, name: &ConnectorName) -> Self {
        Self::of(self.connectors.values().filter(|other| other.record.name != *name).cloned())
    }
}

impl Enlisted {
    /// Whether it has lines in this direction.
    pub(crate) fn has(&self, direction: Direction) -> bool {
        self.linked.is_some_and(|linked| match direction {
            Direction::Outgoing => linked.outgoing().next().is_some(),
            Direction::Incoming => linked.incoming().next().is_some(),
        })
    }
}
