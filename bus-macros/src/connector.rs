//! `#[connector]` with its `#[outgoing]` and `#[incoming]` lines.

use proc_macro2::{Span, TokenStream};
use quote::{format_ident, quote};
use syn::parse::{ParseStream, Parser};
use syn::{Attribute, Item, parse2};

use crate::errors::Errors;
use crate::names;

mod check;
mod expand;
mod model;
mod parse;

pub(crate) use expand::place;

/// Expands `#[connector(...)]`.
pub(crate) fn connector(arguments: TokenStream, item: TokenStream) -> TokenStream {
    let mut errors = Errors::default();
    let item = match parse2(item.clone()) {
        Ok(Item::Struct(item)) => item,
        Ok(other) => return refuse_item(other, errors),
        // The compiler reads the item, too, and says what is wrong with it.
        Err(_) => {
            let _ = errors.into_tokens();
            return item;
        }
    };
    let read = parse::parse(arguments, item, &mut errors);
    let connector = check::check(&read, &mut errors);
    expand::expand(&read.item, &connector, errors)
}

/// Expands `#[outgoing(...)]` or `#[incoming(...)]` where the compiler meets it before `#[connector]`: it steps
/// below, so that the order of the attributes does not matter.
pub(crate) fn line_first(direction: &str, arguments: &TokenStream, item: TokenStream) -> TokenStream {
    let split = |input: ParseStream<'_>| Ok((Attribute::parse_outer(input)?, input.parse::<TokenStream>()?));
    let Ok((attributes, rest)) = split.parse2(item.clone()) else {
        return item;
    };
    if attributes.iter().any(parse::is_connector) {
        let line = format_ident!("{direction}");
        return quote!(#(#attributes)* #[#line(#arguments)] #rest);
    }
    let mut errors = Errors::default();
    let line = format!("#[{direction}({arguments})]");
    match parse2::<Item>(rest.clone()) {
        Ok(Item::Struct(item)) => errors.refuse_at(
            Span::call_site(),
            format!(
                "`{line}` on `{name}` stands without `#[connector(...)]`, so nothing is registered: add \
                 `#[connector(name = \"{suggestion}\")]` above it",
                name = item.ident,
                suggestion = names::words(&item.ident.to_string()).join("-"),
            ),
        ),
        _ => errors.refuse_at(
            Span::call_site(),
            format!("`{line}` stands on something that is no connector: put it on the struct, below `#[connector(...)]`"),
        ),
    }
    // The other lines would say the same once more.
    let others = attributes
        .iter()
        .filter(|attribute| parse::direction(attribute).is_none());
    let errors = errors.into_tokens();
    quote!(#(#others)* #rest #errors)
}

fn refuse_item(item: Item, mut errors: Errors) -> TokenStream {
    let (kind, name, mut item) = match item {
        Item::Enum(item) => ("an enum", Some(item.ident.clone()), Item::Enum(item)),
        Item::Union(item) => ("a union", Some(item.ident.clone()), Item::Union(item)),
        Item::Fn(item) => ("a function", Some(item.sig.ident.clone()), Item::Fn(item)),
        Item::Trait(item) => ("a trait", Some(item.ident.clone()), Item::Trait(item)),
        Item::Mod(item) => ("a module", Some(item.ident.clone()), Item::Mod(item)),
        Item::Type(item) => ("a type alias", Some(item.ident.clone()), Item::Type(item)),
        Item::Impl(item) => ("an `impl`", None, Item::Impl(item)),
        other => ("an item that is no struct", None, other),
    };
    let message = format!(
        "`#[connector(...)]` stands on {kind}: put it on the struct that holds the connector's state"
    );
    match name {
        Some(name) => errors.refuse(name, message),
        None => errors.refuse_at(Span::call_site(), message),
    }
    if let Item::Enum(syn::ItemEnum { attrs, .. })
    | Item::Union(syn::ItemUnion { attrs, .. })
    | Item::Fn(syn::ItemFn { attrs, .. })
    | Item::Trait(syn::ItemTrait { attrs, .. })
    | Item::Mod(syn::ItemMod { attrs, .. })
    | Item::Type(syn::ItemType { attrs, .. })
    | Item::Impl(syn::ItemImpl { attrs, .. }) = &mut item
    {
        attrs.retain(|attribute| parse::direction(attribute).is_none());
    }
    let errors = errors.into_tokens();
    quote!(#item #errors)
}
