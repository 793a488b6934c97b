//! From tokens to entries: what is written, not yet what it means.

use syn::{Attribute, Data, DeriveInput, Fields, GenericArgument, Ident, PathArguments, Type};

use crate::entries::{Entries, in_parentheses};
use crate::errors::Errors;
use crate::paths::CorePath;
use crate::serde_names::SerdeNames;

/// What stands on the type and on its fields.
pub(super) struct Read<'i> {
    pub(super) input: &'i DeriveInput,
    pub(super) core: CorePath,
    /// What stands in `#[object(...)]` on the type.
    pub(super) object: Entries,
    pub(super) serde: SerdeNames,
    /// The named fields; none where there are none.
    pub(super) fields: Vec<Field<'i>>,
}

/// One field.
pub(super) struct Field<'i> {
    pub(super) name: &'i Ident,
    pub(super) ty: &'i Type,
    pub(super) object: Entries,
    pub(super) serde: SerdeNames,
}

/// Takes the type apart.
pub(super) fn parse<'i>(input: &'i DeriveInput, errors: &mut Errors) -> Read<'i> {
    let object = entries("`#[object(...)]`", &input.attrs, errors);
    let named = match &input.data {
        Data::Struct(data) => match &data.fields {
            Fields::Named(fields) => Some(&fields.named),
            Fields::Unnamed(_) | Fields::Unit => None,
        },
        Data::Enum(_) | Data::Union(_) => None,
    };
    let mut fields = Vec::new();
    for field in named.into_iter().flatten() {
        let Some(name) = &field.ident else {
            continue;
        };
        fields.push(Field {
            name,
            ty: &field.ty,
            object: entries(&format!("`#[object(...)]` on `{name}`"), &field.attrs, errors),
            serde: SerdeNames::of(&field.attrs),
        });
    }
    Read {
        input,
        core: CorePath::new(object.crate_path(errors)),
        object,
        serde: SerdeNames::of(&input.attrs),
        fields,
    }
}

/// All `#[object(...)]` attributes of one thing, as one.
fn entries(name: &str, attributes: &[Attribute], errors: &mut Errors) -> Entries {
    let mut all = Entries::parse(name, proc_macro2::TokenStream::new(), errors);
    for attribute in attributes.iter().filter(|attribute| attribute.path().is_ident("object")) {
        match in_parentheses(attribute).filter(|tokens| !tokens.is_empty()) {
            Some(tokens) => all.append(Entries::parse(name, tokens, errors)),
            None => errors.refuse(
                attribute,
                "`#[object]` says nothing: write keys in parentheses, such as `#[object(id)]`",
            ),
        }
    }
    all
}

/// The `T` of `Ref<T>`, alone or within `Option`, `Vec` and `Box`.
pub(super) fn referenced(ty: &Type) -> Option<&Type> {
    let (word, argument) = generic(ty)?;
    if word == "Ref" {
        return Some(argument);
    }
    let is_wrapper = ["Option", "Vec", "Box"].into_iter().any(|wrapper| word == wrapper);
    is_wrapper.then(|| referenced(argument)).flatten()
}

/// The `T` of `Ref<T>` or `Option<Ref<T>>`.
pub(super) fn single_reference(ty: &Type) -> Option<&Type> {
    let (word, argument) = generic(ty)?;
    if word == "Ref" {
        return Some(argument);
    }
    let (inner, target) = generic(argument)?;
    (word == "Option" && inner == "Ref").then_some(target)
}

/// The `T` of `Children<T>`.
pub(super) fn children(ty: &Type) -> Option<&Type> {
    let (word, argument) = generic(ty)?;
    (word == "Children").then_some(argument)
}

/// The `T` of `Bindings<T>`.
pub(super) fn bindings(ty: &Type) -> Option<&Type> {
    let (word, argument) = generic(ty)?;
    (word == "Bindings").then_some(argument)
}

/// `Word<T>`: its last word and its one argument.
pub(super) fn generic(ty: &Type) -> Option<(&Ident, &Type)> {
    let path = match ty {
        Type::Path(path) => &path.path,
        Type::Group(group) => return generic(&group.elem),
        Type::Paren(paren) => return generic(&paren.elem),
        _ => return None,
    };
    let last = path.segments.last()?;
    let PathArguments::AngleBracketed(arguments) = &last.arguments else {
        return None;
    };
    let mut arguments = arguments.args.iter();
    match (arguments.next(), arguments.next()) {
        (Some(GenericArgument::Type(argument)), None) => Some((&last.ident, argument)),
        _ => None,
    }
}
