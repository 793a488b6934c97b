//! From an object to tokens: `BusObject`, as a person could have written it, and what the linker finds.

use proc_macro2::TokenStream;
use quote::{format_ident, quote, quote_spanned};
use syn::spanned::Spanned;
use syn::{DeriveInput, Ident, Type};

use super::model::{DeclaredList, Marked, Object};
use super::parse::Read;
use crate::connector::{at, place};
use crate::errors::Errors;
use crate::fallback;
use crate::paths::CorePath;

/// The impl and the registration, or the errors and an impl without meaning.
pub(super) fn expand(
    input: &DeriveInput,
    read: &Read<'_>,
    object: Option<&Object<'_>>,
    errors: Errors,
) -> TokenStream {
    let core = &read.core;
    if let Some(object) = object
        && errors.is_empty()
    {
        let _ = errors.into_tokens();
        return written(core, input, object);
    }
    let id = object.map(|object| object.id.ty);
    let fallback = fallback::bus_object(core, input, id);
    let errors = errors.into_tokens();
    quote!(#errors #fallback)
}

fn written(core: &CorePath, input: &DeriveInput, object: &Object<'_>) -> TokenStream {
    let Object { type_name, display, id, .. } = object;
    let name = &input.ident;
    let (id_name, id_type) = (id.name, id.ty);
    let references = object.references.iter().map(|reference| {
        let (field, object_type) = (&reference.field, reference.target.object_type(core));
        let (role, is_late) = (format_ident!("{}", reference.role), reference.is_late);
        quote! {
            #core::reference::ReferenceField {
                field: #field,
                object_type: #object_type,
                role: #core::reference::ReferenceRole::#role,
                is_late: #is_late,
            }
        }
    });
    let fields = object.ownable.iter().map(|(in_rust, in_json)| quote!((#in_rust, #in_json)));
    let lists = lists(core, object);
    let is_view = object.is_view.then(|| {
        quote!(
            const IS_VIEW: ::core::primitive::bool = true;
        )
    });
    let version = object.version.map(|version| {
        quote!(
            const VERSION: ::core::primitive::u32 = #version;
        )
    });
    let former = object.from.as_ref().map(|from| former(core, name, from));
    let guid = object.guid.map(|field| guid(core, field));
    let code_name = text(core, "code_name", object.code_name);
    let display_name = text(core, "display_name", object.display_name);
    let site = text(core, "site", object.site);
    let parent = target(core, "parent", object.parent);
    let group = target(core, "group", object.group);
    let identify_children = identify_children(core, object);
    let place = place(core);
    quote! {
        #[automatically_derived]
        impl #core::BusObject for #name {
            type Id = #id_type;
            const TYPE: &'static ::core::primitive::str = #type_name;
            const DISPLAY: &'static ::core::primitive::str = #display;
            const REFERENCES: &'static [#core::reference::ReferenceField] = &[#(#references),*];
            #is_view
            #version
            const FIELDS: &'static [(
                &'static ::core::primitive::str,
                &'static ::core::primitive::str,
            )] = &[#(#fields),*];
            #lists
            fn id(&self) -> &#id_type {
                &self.#id_name
            }
            fn set_id(&mut self, id: #id_type) {
                self.#id_name = id;
            }
            #guid
            #code_name
            #display_name
            #site
            #parent
            #group
            #identify_children
        }
        #[automatically_derived]
        impl #core::descriptor::DescribedObject for #name {
            const DESCRIPTOR: &'static #core::descriptor::ObjectDescriptor =
                &#core::descriptor::ObjectDescriptor::new::<#name>()#former.place(#place);
        }
        #core::__private::inventory::submit! {
            #core::__private::LinkedObject(<#name as #core::descriptor::DescribedObject>::DESCRIPTOR)
        }
    }
}

/// What is said of the lists; nothing where there are none.
fn lists(core: &CorePath, object: &Object<'_>) -> TokenStream {
    let of = |is_children: bool| {
        let lists = object.lists.iter().filter(move |list| list.is_children == is_children);
        let lists = lists.map(|list| {
            if is_children {
                let children = child_list(core, list);
                return quote_spanned!(list.of.span()=> #children.list);
            }
            let (field, of, rule) = (&list.field, list.of, format_ident!("{}", list.rule));
            quote!(#core::__private::binding_list::<#of>(#field, #core::ListRule::#rule))
        });
        lists.collect::<Vec<_>>()
    };
    let constant = |name: &str, lists: Vec<TokenStream>| {
        let name = format_ident!("{name}");
        (!lists.is_empty()).then(|| quote!(const #name: &'static [#core::ListField] = &[#(#lists),*];))
    };
    let (children, bindings) = (constant("CHILDREN", of(true)), constant("BINDINGS", of(false)));
    quote!(#children #bindings)
}

/// All of it stands at the type of the children, which is what their author looks at where they do not fit.
fn child_list(core: &CorePath, list: &DeclaredList<'_>) -> TokenStream {
    let span = list.of.span();
    let (field, of, rule) = (&list.field, list.of, format_ident!("{}", list.rule));
    at(quote!(#core::__private::child_list::<#of, Self>(#field, #core::ListRule::#rule)), span)
}

fn identify_children(core: &CorePath, object: &Object<'_>) -> Option<TokenStream> {
    let lists = object.lists.iter().filter(|list| list.is_children);
    let calls: Vec<_> = lists
        .map(|list| {
            let (children, name) = (child_list(core, list), list.name);
            quote!((#children.identify)(&mut self.#name, &parent, next)?;)
        })
        .collect();
    (!calls.is_empty()).then(|| {
        quote! {
            fn identify_children(
                &mut self,
                next: &mut dyn ::core::ops::FnMut() -> ::core::option::Option<#core::__private::Identified>,
            ) -> ::core::result::Result<(), #core::__private::PayloadError> {
                let parent = #core::HostId::to_id(#core::BusObject::id(self));
                #(#calls)*
                ::core::result::Result::Ok(())
            }
        }
    })
}

/// All of it stands at the struct that it was before, so that a refusal does, too.
fn former(core: &CorePath, name: &Ident, from: &Type) -> TokenStream {
    let span = from.span();
    let (core, name) = (at(quote!(#core), span), at(quote!(#name), span));
    quote_spanned!(span=> .former(#core::descriptor::Former::new::<#from, #name>()))
}

fn guid(core: &CorePath, field: Marked<'_>) -> TokenStream {
    let Marked { name, ty } = field;
    quote! {
        fn guid(&self) -> ::core::option::Option<#core::__private::Uuid> {
            (#core::__private::guid::<#ty>().get)(&self.#name)
        }
        fn set_guid(&mut self, guid: #core::__private::Uuid) {
            (#core::__private::guid::<#ty>().set)(&mut self.#name, guid);
        }
    }
}

fn text(core: &CorePath, method: &str, field: Option<Marked<'_>>) -> Option<TokenStream> {
    let Marked { name, ty } = field?;
    let method = format_ident!("{method}");
    Some(quote! {
        fn #method(&self) -> ::core::option::Option<::std::string::String> {
            #core::__private::text::<#ty>(&self.#name)
        }
    })
}

fn target(core: &CorePath, method: &str, field: Option<Marked<'_>>) -> Option<TokenStream> {
    let Marked { name, ty } = field?;
    // Only the parent is ever given to an object.
    let set = (method == "parent").then(|| {
        quote! {
            fn set_parent(&mut self, id: &#core::ObjectId) {
                (#core::__private::target::<#ty>().set)(&mut self.#name, id);
            }
        }
    });
    let method = format_ident!("{method}");
    Some(quote! {
        fn #method(&self) -> ::core::option::Option<#core::reference::ReferenceTarget> {
            (#core::__private::target::<#ty>().get)(&self.#name)
        }
        #set
    })
}
