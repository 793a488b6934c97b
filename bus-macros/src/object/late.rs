//! The rule of late references, which objects and pages share.

use syn::Ident;

use super::parse::{self, Field, Read};
use crate::errors::Errors;

/// A late reference may be unresolved, which stands as nothing in JSON: only an option has room for that. And it is the
/// object's, not a view's: whoever is told of the one and whoever is told of the other are told the same.
pub(crate) fn late_can_be_told(read: &Read<'_>, field: &Field<'_>, errors: &mut Errors) {
    let Some(entry) = field.object.get("reference") else { return };
    let (name, ty) = (field.name, field.ty);
    let remedy = "takes one word: write `reference = late`, or take it away: a field of type `Ref<T>` is a reference already";
    let Some(word) = entry.equals::<Ident>(remedy, errors) else { return };
    if word != "late" {
        let attribute = &field.object.attribute;
        errors.refuse(
            &word,
            format!("`reference = {word}` in {attribute} means nothing: write `reference = late`"),
        );
    } else if !parse::is_optional_reference(ty) {
        errors.refuse(
            ty,
            format!(
                "`{name}` is late, so that it may be sent without what it refers to, but there is no room for nothing in \
                 it: make it `Option<Ref<T>>` or `Option<PageRef>`"
            ),
        );
    } else if field.serde.flatten.is_some() || field.serde.not_written {
        errors.refuse(
            &word,
            format!("`{name}` is late, but serde does not write it as a field of its own: take `reference = late` away"),
        );
    } else if read.object.get("view").is_some() {
        errors.refuse(
            &word,
            format!(
                "`{name}` is late in a view, which says nothing of how objects are delivered: write it in the struct that \
                 declares the type as a whole"
            ),
        );
    }
}
