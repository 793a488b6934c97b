//! A connector as its attributes describe it, once they are understood.

use proc_macro2::Ident;
use syn::{ExprPath, LitStr, Member, Type};

use crate::paths::CorePath;

/// What `#[connector]` and its lines say.
pub(super) struct Connector {
    pub(super) core: CorePath,
    /// `None` where the author gave none that is valid; that was refused already.
    pub(super) name: Option<LitStr>,
    pub(super) summary: String,
    pub(super) needs: Vec<Type>,
    /// Whether its code blocks its thread.
    pub(super) blocking: bool,
    /// The variant of `CreateOnce`, if it declares one.
    pub(super) create_once: Option<&'static str>,
    pub(super) outgoing: Vec<OutgoingLine>,
    pub(super) incoming: Vec<IncomingLine>,
}

/// One `#[outgoing(...)]` line.
pub(super) struct OutgoingLine {
    /// The object's or the page's type, `AnyObject`, or `AnyPage`.
    pub(super) object: Type,
    /// `type = "cms.%"`, with `AnyObject` only.
    pub(super) type_pattern: Option<LitStr>,
    /// The variants of `ObjectOperation`, in its order; none means all.
    pub(super) operations: Vec<&'static str>,
    /// The variants of `PageOperation`, in its order: what the same words mean for pages.
    pub(super) page_operations: Vec<&'static str>,
    /// The variant of `DataType`; none beside `sync`, which is one by itself.
    pub(super) data: Option<&'static str>,
    pub(super) sync: bool,
    pub(super) site: Site,
    pub(super) code_name: Option<LitStr>,
    pub(super) class_name: Option<LitStr>,
    pub(super) alias_path: Option<LitStr>,
    pub(super) culture: Option<LitStr>,
    pub(super) filter: Option<ExprPath>,
}

/// Objects of which site.
pub(super) enum Site {
    Any,
    Global,
    Named(LitStr),
}

/// One `#[incoming(...)]` line.
pub(super) struct IncomingLine {
    /// The external object's type.
    pub(super) external: Type,
    pub(super) kind: LitStr,
    /// The field that identifies it; empty for `unordered`.
    pub(super) key: Vec<Member>,
    pub(super) decode: Option<ExprPath>,
    /// The fields that it writes; `None` for all of them.
    pub(super) owned: Option<Vec<OwnedField>>,
    /// Who wins where both sides have changed an object; `None` where nothing is said.
    pub(super) conflicts: Option<Conflicts>,
}

/// A field of the host's object, as `owns(...)` names it.
#[derive(Clone)]
pub(super) enum OwnedField {
    /// The struct's field.
    Field(Ident),
    /// A name in JSON.
    Name(LitStr),
}

/// What `conflict = ...` and `conflicts(...)` say.
pub(super) struct Conflicts {
    /// The first word of it.
    pub(super) word: Ident,
    /// The variant of `Conflict` for all fields.
    pub(super) otherwise: &'static str,
    /// Single fields with theirs.
    pub(super) fields: Vec<(OwnedField, &'static str)>,
}
