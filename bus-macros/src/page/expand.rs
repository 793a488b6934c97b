//! From a page to tokens: `Page`, as a person could have written it, and what the linker finds.

use proc_macro2::TokenStream;
use quote::{ToTokens, quote, quote_spanned};
use syn::spanned::Spanned;

use super::check::Page;
use crate::connector::place;
use crate::errors::Errors;
use crate::fallback;
use crate::object::parse::Read;

/// The impls and the registration, or the errors and impls without meaning.
pub(super) fn expand(read: &Read<'_>, page: Option<&Page<'_>>, errors: Errors) -> TokenStream {
    let is_right = errors.is_empty();
    let errors = errors.into_tokens();
    match page {
        Some(page) if is_right => written(read, page),
        _ => {
            let fallback = fallback::page(&read.core, read.input);
            quote!(#errors #fallback)
        }
    }
}

fn written(read: &Read<'_>, page: &Page<'_>) -> TokenStream {
    let core = &read.core;
    let Page { class_name, display, node: (node, node_type, node_in_json), references } = page;
    let name = &read.input.ident;
    let references = references.iter().map(|(field, target, is_late)| {
        let object_type = target.object_type(core);
        quote! {
            #core::reference::ReferenceField {
                field: #field,
                object_type: #object_type,
                role: #core::reference::ReferenceRole::Plain,
                is_late: #is_late,
            }
        }
    });
    let place = place(core);
    let on_lines = fallback::page_on_lines(core, &quote!(impl), &name.to_token_stream(), &quote!());
    // At the type, so that another type of the same name is missed there.
    let (by_ref, by_mut) =
        (quote_spanned!(node_type.span()=> &self.#node), quote_spanned!(node_type.span()=> &mut self.#node));
    quote! {
        #[automatically_derived]
        impl #core::Page for #name {
            const CLASS: &'static ::core::primitive::str = #class_name;
            const DISPLAY: &'static ::core::primitive::str = #display;
            const REFERENCES: &'static [#core::reference::ReferenceField] = &[#(#references),*];
            const NODE: &'static ::core::primitive::str = #node_in_json;
            fn node(&self) -> &#core::PageNode {
                #by_ref
            }
            fn node_mut(&mut self) -> &mut #core::PageNode {
                #by_mut
            }
        }
        #on_lines
        #[automatically_derived]
        impl #core::descriptor::DescribedPage for #name {
            const DESCRIPTOR: &'static #core::descriptor::PageDescriptor =
                &#core::descriptor::PageDescriptor::new::<#name>().place(#place);
        }
        #core::__private::inventory::submit! {
            #core::__private::LinkedPage(<#name as #core::descriptor::DescribedPage>::DESCRIPTOR)
        }
    }
}
