//! An object as its attributes describe it, once they are understood.

use syn::{Ident, LitStr, Type};

use super::parse::Target;

/// What `#[object(...)]` and the fields say.
pub(super) struct Object<'i> {
    /// Its object type, `app.user`.
    pub(super) type_name: LitStr,
    pub(super) display: String,
    /// Whether it shows a part of what another struct declares.
    pub(super) is_view: bool,
    /// Which version of the type it is, where it says so.
    pub(super) version: Option<u32>,
    /// The struct that it was before.
    pub(super) from: Option<Type>,
    pub(super) id: Marked<'i>,
    pub(super) guid: Option<Marked<'i>>,
    pub(super) code_name: Option<Marked<'i>>,
    pub(super) display_name: Option<Marked<'i>>,
    pub(super) site: Option<Marked<'i>>,
    pub(super) parent: Option<Marked<'i>>,
    pub(super) group: Option<Marked<'i>>,
    pub(super) references: Vec<DeclaredReference<'i>>,
    pub(super) lists: Vec<DeclaredList<'i>>,
    /// The fields that an external system may own: their names in Rust and in JSON.
    pub(super) ownable: Vec<(String, String)>,
}

/// A field that `#[object(...)]` gives a part to play.
#[derive(Clone, Copy)]
pub(super) struct Marked<'i> {
    pub(super) name: &'i Ident,
    pub(super) ty: &'i Type,
}

/// A field that holds child objects, or bindings.
pub(super) struct DeclaredList<'i> {
    pub(super) name: &'i Ident,
    /// Its name in JSON.
    pub(super) field: String,
    /// The type of what it holds.
    pub(super) of: &'i Type,
    /// The variant of `ListRule`.
    pub(super) rule: &'static str,
    /// Whether it holds objects, not bindings.
    pub(super) is_children: bool,
}

/// A field that holds a reference, or a list of them.
pub(super) struct DeclaredReference<'i> {
    /// Its name in JSON.
    pub(super) field: String,
    /// What it points at.
    pub(super) target: Target<'i>,
    /// The variant of `ReferenceRole`.
    pub(super) role: &'static str,
    /// Whether a delivery goes without it where it has to.
    pub(super) is_late: bool,
}
