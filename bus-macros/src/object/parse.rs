//! From tokens to entries: what is written, not yet what it means.

use proc_macro2::TokenStream;
use quote::quote;
use syn::{Attribute, Data, DeriveInput, Fields, GenericArgument, Ident, PathArguments, Type};

use crate::entries::{Entries, in_parentheses};
use crate::errors::Errors;
use crate::paths::CorePath;
use crate::serde_names::SerdeNames;

/// What stands on the type and on its fields.
pub(crate) struct Read<'i> {
    pub(crate) input: &'i DeriveInput,
    pub(crate) core: CorePath,
    /// What stands in `#[object(...)]`, or `#[page(...)]`, on the type.
    pub(crate) object: Entries,
    pub(crate) serde: SerdeNames,
    /// The named fields; none where there are none.
    pub(crate) fields: Vec<Field<'i>>,
}

/// One field.
pub(crate) struct Field<'i> {
    pub(crate) name: &'i Ident,
    pub(crate) ty: &'i Type,
    pub(crate) object: Entries,
    pub(crate) serde: SerdeNames,
}

/// Takes the type apart, with its attributes of this name.
pub(crate) fn parse<'i>(input: &'i DeriveInput, named_so: &str, errors: &mut Errors) -> Read<'i> {
    let object = entries(named_so, &format!("`#[{named_so}(...)]`"), &input.attrs, errors);
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
            object: entries(named_so, &format!("`#[{named_so}(...)]` on `{name}`"), &field.attrs, errors),
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

/// All attributes of this name on one thing, as one.
fn entries(named_so: &str, name: &str, attributes: &[Attribute], errors: &mut Errors) -> Entries {
    let mut all = Entries::parse(name, proc_macro2::TokenStream::new(), errors);
    for attribute in attributes.iter().filter(|attribute| attribute.path().is_ident(named_so)) {
        match in_parentheses(attribute).filter(|tokens| !tokens.is_empty()) {
            Some(tokens) => all.append(Entries::parse(name, tokens, errors)),
            None => errors.refuse(
                attribute,
                format!(
                    "`#[{named_so}]` says nothing: write keys in parentheses, such as `#[{named_so}({})]`",
                    if named_so == "page" { "node" } else { "id" }
                ),
            ),
        }
    }
    all
}

/// What a reference points at.
#[derive(Clone, Copy)]
pub(crate) enum Target<'i> {
    /// The `T` of `Ref<T>`.
    Object(&'i Type),
    /// It is a `PageRef`.
    Page,
}

impl Target<'_> {
    /// The type that references of it have.
    pub(crate) fn object_type(self, core: &CorePath) -> TokenStream {
        match self {
            Self::Object(target) => quote!(<#target as #core::BusObject>::TYPE),
            Self::Page => quote!(#core::page::PAGE),
        }
    }
}

/// What `Ref<T>` or `PageRef` points at, alone or within `Option`, `Vec` and `Box`.
pub(crate) fn referenced(ty: &Type) -> Option<Target<'_>> {
    if is_page_reference(ty) {
        return Some(Target::Page);
    }
    let (word, argument) = generic(ty)?;
    if word == "Ref" {
        return Some(Target::Object(argument));
    }
    let is_wrapper = ["Option", "Vec", "Box"].into_iter().any(|wrapper| word == wrapper);
    is_wrapper.then(|| referenced(argument)).flatten()
}

/// The `T` of `Ref<T>` or `Option<Ref<T>>`.
pub(crate) fn single_reference(ty: &Type) -> Option<&Type> {
    let (word, argument) = generic(ty)?;
    if word == "Ref" {
        return Some(argument);
    }
    optional_reference(ty)
}

/// The `T` of `Option<Ref<T>>`.
fn optional_reference(ty: &Type) -> Option<&Type> {
    let (word, argument) = generic(ty)?;
    let (inner, target) = generic(argument)?;
    (word == "Option" && inner == "Ref").then_some(target)
}

/// Whether it is `Option<Ref<T>>` or `Option<PageRef>`.
pub(crate) fn is_optional_reference(ty: &Type) -> bool {
    let is_of_page =
        generic(ty).is_some_and(|(word, argument)| word == "Option" && is_page_reference(argument));
    is_of_page || optional_reference(ty).is_some()
}

fn is_page_reference(ty: &Type) -> bool {
    match ty {
        Type::Path(path) => path.path.segments.last().is_some_and(|last| last.ident == "PageRef"),
        Type::Group(group) => is_page_reference(&group.elem),
        Type::Paren(paren) => is_page_reference(&paren.elem),
        _ => false,
    }
}

/// The `T` of `Children<T>`.
pub(crate) fn children(ty: &Type) -> Option<&Type> {
    let (word, argument) = generic(ty)?;
    (word == "Children").then_some(argument)
}

/// The `T` of `Bindings<T>`.
pub(super) fn bindings(ty: &Type) -> Option<&Type> {
    let (word, argument) = generic(ty)?;
    (word == "Bindings").then_some(argument)
}

/// `Word<T>`: its last word and its one argument.
pub(crate) fn generic(ty: &Type) -> Option<(&Ident, &Type)> {
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
