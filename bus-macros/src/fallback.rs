//! What a derive writes when it refused: impls without meaning, so that code which needs the trait does not complain
//! as well.

use proc_macro2::TokenStream;
use quote::{ToTokens, quote};
use syn::{DeriveInput, WhereClause, parse_quote};

use crate::paths::CorePath;

/// `BusObject`, with this type for its id, or `i64` where none is known.
pub(crate) fn bus_object(core: &CorePath, input: &DeriveInput, id: Option<&syn::Type>) -> TokenStream {
    let name = &input.ident;
    let (generics, arguments, bounds) = input.generics.split_for_impl();
    let bounds = bounds_on_self(core, input, bounds, &quote!(#core::__private::serde::Serialize));
    let id = id.map_or_else(|| quote!(::core::primitive::i64), ToTokens::to_token_stream);
    quote! {
        #[automatically_derived]
        impl #generics #core::BusObject for #name #arguments #bounds {
            type Id = #id;
            const TYPE: &'static ::core::primitive::str = "";
            const DISPLAY: &'static ::core::primitive::str = "";
            const REFERENCES: &'static [#core::reference::ReferenceField] = &[];
            fn id(&self) -> &Self::Id {
                ::core::unreachable!()
            }
            fn set_id(&mut self, _id: Self::Id) {}
        }
        #[automatically_derived]
        impl #generics #core::descriptor::DescribedObject for #name #arguments #bounds {
            const DESCRIPTOR: &'static #core::descriptor::ObjectDescriptor =
                &#core::descriptor::ObjectDescriptor::new::<Self>();
        }
    }
}

/// `Page`, for a struct that is generic, too.
pub(crate) fn page(core: &CorePath, input: &DeriveInput) -> TokenStream {
    let name = &input.ident;
    let (generics, arguments, bounds) = input.generics.split_for_impl();
    let bounds = bounds_on_self(core, input, bounds, &quote!(#core::__private::serde::Serialize));
    let on_lines = page_on_lines(core, &quote!(impl #generics), &quote!(#name #arguments), &quote!(#bounds));
    quote! {
        #[automatically_derived]
        impl #generics #core::Page for #name #arguments #bounds {
            const CLASS: &'static ::core::primitive::str = "";
            const DISPLAY: &'static ::core::primitive::str = "";
            const REFERENCES: &'static [#core::reference::ReferenceField] = &[];
            const NODE: &'static ::core::primitive::str = "";
            fn node(&self) -> &#core::PageNode {
                ::core::unreachable!()
            }
            fn node_mut(&mut self) -> &mut #core::PageNode {
                ::core::unreachable!()
            }
        }
        #on_lines
    }
}

/// That outgoing lines can name a page, and incoming ones become it. These are no blanket impls, because there are some for
/// objects already.
pub(crate) fn page_on_lines(
    core: &CorePath,
    begin: &TokenStream,
    name: &TokenStream,
    bounds: &TokenStream,
) -> TokenStream {
    quote! {
        #[automatically_derived]
        #begin #core::connector::Applicable for #name #bounds {
            const SUBJECT_APPLIED: #core::Subject = #core::Subject::Pages;
            const TYPE_APPLIED: ::core::option::Option<&'static ::core::primitive::str> =
                ::core::option::Option::Some(<Self as #core::Page>::CLASS);
            const IS_VIEW_APPLIED: ::core::primitive::bool = false;
            const FIELDS_APPLIED: &'static [(&'static ::core::primitive::str, &'static ::core::primitive::str)] = &[];
            fn of_stored(
                payload: #core::payload::Payload,
                _key: &#core::ObjectKey,
            ) -> ::core::result::Result<Self, #core::payload::PayloadError> {
                #core::page::read(payload)
            }
            fn prepared(
                self,
            ) -> ::core::result::Result<#core::descriptor::PreparedParts, #core::payload::PayloadError> {
                #core::page::prepared(&self)
            }
        }
        #[automatically_derived]
        #begin ::core::convert::From<#name> for #core::Prepared<#name> #bounds {
            fn from(page: #name) -> Self {
                Self::object(page)
            }
        }
        #[automatically_derived]
        #begin #core::descriptor::Subscribable for #name #bounds {
            type Operation = #core::PageOperation;
            const OF: #core::Subject = #core::Subject::Pages;
            const EXACT_TYPE: ::core::option::Option<&'static ::core::primitive::str> =
                ::core::option::Option::Some(<Self as #core::Page>::CLASS);
            fn read(
                payload: #core::payload::Payload,
                _key: &#core::ObjectKey,
            ) -> ::core::result::Result<Self, #core::payload::PayloadError> {
                #core::page::read(payload)
            }
        }
    }
}

/// `Settings` and `SettingType`.
pub(crate) fn settings(core: &CorePath, input: &DeriveInput) -> TokenStream {
    let name = &input.ident;
    let (generics, arguments, bounds) = input.generics.split_for_impl();
    let with_self = bounds_on_self(core, input, bounds, &quote!(::core::marker::Sized));
    quote! {
        #[automatically_derived]
        impl #generics #core::Settings for #name #arguments #with_self {
            fn schema() -> #core::__private::serde_json::Value {
                ::core::unreachable!()
            }
        }
        #[automatically_derived]
        impl #generics #core::settings::SettingType for #name #arguments #bounds {
            fn setting_schema() -> #core::__private::serde_json::Value {
                ::core::unreachable!()
            }
        }
    }
}

/// A generic type can be what the trait asks for only where its parameters are: the bounds say so for it.
fn bounds_on_self(
    core: &CorePath,
    input: &DeriveInput,
    bounds: Option<&WhereClause>,
    further: &TokenStream,
) -> Option<WhereClause> {
    if input.generics.params.is_empty() {
        return bounds.cloned();
    }
    let mut bounds = bounds.cloned().unwrap_or_else(|| parse_quote!(where));
    bounds.predicates.push(parse_quote! {
        Self: #further + #core::__private::serde::de::DeserializeOwned
            + ::core::marker::Send + ::core::marker::Sync + 'static
    });
    Some(bounds)
}
