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

pub(crate) use expand::{at, place};

/// Expands `#[connector(...)]`.
pub(crate) fn connector(arguments: TokenStream, item: TokenStream) -> TokenStream {
    let mut errors = Errors::default();
    let item = match parse2(item.clone()) {
        Ok(Item::Struct(item)) => item,
        Ok(other) => return refuse_item(arguments, other, errors),
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
    let others = attributes.iter().filter(|attribute| parse::direction(attribute).is_none());
    let errors = errors.into_tokens();
    quote!(#(#others)* #rest #errors)
}

fn refuse_item(arguments: TokenStream, mut item: Item, mut errors: Errors) -> TokenStream {
    let mut none = Vec::new();
    let (kind, attributes, name, generics) = match &mut item {
        Item::Enum(item) => ("an enum", &mut item.attrs, Some(&item.ident), Some(&item.generics)),
        Item::Union(item) => ("a union", &mut item.attrs, Some(&item.ident), Some(&item.generics)),
        Item::Fn(item) => ("a function", &mut item.attrs, Some(&item.sig.ident), None),
        Item::Trait(item) => ("a trait", &mut item.attrs, Some(&item.ident), None),
        Item::Mod(item) => ("a module", &mut item.attrs, Some(&item.ident), None),
        Item::Type(item) => ("a type alias", &mut item.attrs, Some(&item.ident), None),
        Item::Impl(item) => ("an `impl`", &mut item.attrs, None, None),
        _ => ("an item that is no struct", &mut none, None, None),
    };
    errors.refuse_at(
        name.map_or_else(Span::call_site, syn::Ident::span),
        format!(
            "`#[connector(...)]` stands on {kind}: put it on the struct that holds the connector's state"
        ),
    );
    let beside = name.zip(generics).map(|(name, generics)| {
        // Its impls are judged as if it were that struct, and find what they need.
        let lines = attributes.iter();
        let (parameters, _, bounds) = generics.split_for_impl();
        as_if(arguments, quote!(#(#lines)* struct #name #parameters #bounds;))
    });
    attributes.retain(|attribute| parse::direction(attribute).is_none());
    let errors = errors.into_tokens();
    quote!(#item #beside #errors)
}

/// What would stand beside this struct, without the struct.
fn as_if(arguments: TokenStream, item: TokenStream) -> TokenStream {
    let Ok(item) = parse2(item) else {
        return TokenStream::new();
    };
    let mut more = Errors::default();
    let read = parse::parse(arguments, item, &mut more);
    let connector = check::check(&read, &mut more);
    let _ = more.into_tokens();
    expand::without_registration(&read.item, &connector)
}
