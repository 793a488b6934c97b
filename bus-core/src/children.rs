//! Lists that an object holds of others: of what is beneath it, and of what it is bound to.

use std::fmt;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::object::BusObject;
use crate::reference::Ref;

/// What stands beneath an object, as it travels with it.
///
/// Without a rule they are parts of the object: stored in it, without an identity of their own. With
/// `#[object(children, rule = ...)]` they are objects of their own, whose `#[object(parent)]` is this one; they are stored
/// and subscribed to by themselves, and travel with their parent in snapshots.
///
/// `NotLoaded` is not "has none": a key that is missing, or `null`, leaves what is stored as it is.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum Children<T> {
    /// They were not read, or did not travel along.
    #[default]
    NotLoaded,
    /// These are all of them; of child objects those that the rule is applied to.
    Loaded(Vec<T>),
}

impl<T> Children<T> {
    /// The children, none if they were not loaded.
    pub fn as_slice(&self) -> &[T] {
        match self {
            Self::NotLoaded => &[],
            Self::Loaded(children) => children,
        }
    }

    /// Whether they were read.
    pub const fn is_loaded(&self) -> bool {
        matches!(self, Self::Loaded(_))
    }
}

impl<T> From<Vec<T>> for Children<T> {
    fn from(children: Vec<T>) -> Self {
        Self::Loaded(children)
    }
}

/// The objects that an object is bound to, many to many: the roles of a user. They are stored in it, so that it is the
/// object that changes with them; like children, they travel with snapshots only.
///
/// ```
/// use bus_core::{Bindings, BusObject, Ref};
/// use serde::{Deserialize, Serialize};
///
/// #[derive(Serialize, Deserialize, BusObject)]
/// #[object(type = "app.role", display = "Role")]
/// struct Role {
///     #[object(id)]
///     id: i64,
/// }
///
/// #[derive(Serialize, Deserialize, BusObject)]
/// #[object(type = "app.user", display = "User")]
/// struct User {
///     #[object(id)]
///     id: i64,
///     #[object(bindings, rule = complete)]
///     roles: Bindings<Role>,
/// }
///
/// let ada = User { id: 1, roles: vec![Ref::host(7)].into() };
/// assert_eq!(ada.roles.as_slice()[0].host_id(), Some(&7));
/// ```
pub struct Bindings<T: BusObject>(Children<Ref<T>>);

impl<T: BusObject> Bindings<T> {
    /// They were not read, or did not travel along: what is stored stays as it is.
    pub const NOT_LOADED: Self = Self(Children::NotLoaded);

    /// What it is bound to, nothing if that was not loaded.
    pub fn as_slice(&self) -> &[Ref<T>] {
        self.0.as_slice()
    }

    /// Whether they were read.
    pub const fn is_loaded(&self) -> bool {
        self.0.is_loaded()
    }
}

impl<T: BusObject> From<Vec<Ref<T>>> for Bindings<T> {
    fn from(bindings: Vec<Ref<T>>) -> Self {
        Self(Children::Loaded(bindings))
    }
}

impl<T: BusObject> Default for Bindings<T> {
    fn default() -> Self {
        Self::NOT_LOADED
    }
}

impl<T: BusObject> Clone for Bindings<T> {
    fn clone(&self) -> Self {
        Self(self.0.clone())
    }
}

impl<T: BusObject> PartialEq for Bindings<T> {
    fn eq(&self, other: &Self) -> bool {
        self.0 == other.0
    }
}

impl<T: BusObject> fmt::Debug for Bindings<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl<T: BusObject> Serialize for Bindings<T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.0.serialize(serializer)
    }
}

impl<'de, T: BusObject> Deserialize<'de> for Bindings<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Children::deserialize(deserializer).map(Self)
    }
}

/// What a list that comes with an object says about what it does not name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ListRule {
    /// Nothing, nor about what it names: it is not applied.
    None,
    /// Nothing: what it names is added or changed, and the rest stays.
    Incremental,
    /// That it is gone: child objects are deleted, bindings ended.
    Complete,
}

/// A list of child objects, or of bindings, as its type declares it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ListField {
    /// The field's name in JSON.
    pub field: &'static str,
    /// The type of what the list holds.
    pub object_type: &'static str,
    /// What the list says about the rest.
    pub rule: ListRule,
}
