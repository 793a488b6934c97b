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
