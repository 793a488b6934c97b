//! Settings as their struct describes them, once it is understood.

use syn::Type;

/// What the operator is asked.
pub(super) enum Settings<'i> {
    /// A form: one question per field.
    Form(Vec<Setting<'i>>),
    /// A choice between words.
    Choice(Vec<String>),
}

/// One question.
pub(super) struct Setting<'i> {
    /// Its name in the configuration.
    pub(super) name: String,
    /// The help text.
    pub(super) description: String,
    pub(super) ty: &'i Type,
    /// Whether it may be left out because of `#[serde(default)]`.
    pub(super) has_default: bool,
}
