//! From tokens to entries: what is written, not yet what it means.

use proc_macro2::TokenStream;
use syn::DeriveInput;

use crate::entries::{Entries, in_parentheses};
use crate::errors::Errors;
use crate::paths::CorePath;
use crate::serde_names::SerdeNames;

/// What stands on the type; its fields are read by the rules.
pub(super) struct Read<'i> {
    pub(super) input: &'i DeriveInput,
    pub(super) core: CorePath,
    /// What stands in `#[settings(...)]`.
    pub(super) settings: Entries,
    pub(super) serde: SerdeNames,
}

/// Takes the type apart.
pub(super) fn parse<'i>(input: &'i DeriveInput, errors: &mut Errors) -> Read<'i> {
    let name = "`#[settings(...)]`";
    let mut settings = Entries::parse(name, TokenStream::new(), errors);
    for attribute in input.attrs.iter().filter(|attribute| attribute.path().is_ident("settings")) {
        match in_parentheses(attribute).filter(|tokens| !tokens.is_empty()) {
            Some(tokens) => settings.append(Entries::parse(name, tokens, errors)),
            None => errors.refuse(
                attribute,
                "`#[settings]` says nothing: write `#[settings(crate = path)]`, or take it away",
            ),
        }
    }
    Read {
        input,
        core: CorePath::new(settings.crate_path(errors)),
        settings,
        serde: SerdeNames::of(&input.attrs),
    }
}
