//! From a connector to tokens: the struct, untouched, and what a person could have written beside it.

use proc_macro2::{Span, TokenStream};
use quote::{format_ident, quote, quote_spanned};
use syn::ext::IdentExt;
use syn::spanned::Spanned;
use syn::{ItemStruct, LitStr, Type};

use super::model::{Connector, IncomingLine, OutgoingLine, OwnedField, Site};
use crate::errors::Errors;
use crate::paths::CorePath;

/// The struct, the declared half of each line, and the descriptor, which the linker finds unless the struct is generic.
///
/// Where something was refused, the struct and the declared halves are written all the same, so that the author's
/// impls find what they need and one mistake is one error.
pub(super) fn expand(item: &ItemStruct, connector: &Connector, errors: Errors) -> TokenStream {
    let beside = if errors.is_empty() {
        let declared = declared(item, connector);
        let described = described(item, connector);
        quote!(#declared #described)
    } else {
        without_registration(item, connector)
    };
    let errors = errors.into_tokens();
    quote!(#item #beside #errors)
}

/// What the author's other code needs, so that it does not complain as well.
pub(super) fn without_registration(item: &ItemStruct, connector: &Connector) -> TokenStream {
    let declared = declared(item, connector);
    let undescribed = item.generics.params.is_empty().then(|| undescribed(item, connector));
    quote!(#declared #undescribed)
}

fn declared(item: &ItemStruct, connector: &Connector) -> TokenStream {
    let core = &connector.core;
    let name = &item.ident;
    let (generics, arguments, bounds) = item.generics.split_for_impl();
    let mut tokens = TokenStream::new();
    for object in distinct(connector.outgoing.iter().map(|line| &line.object)) {
        tokens.extend(quote! {
            #[automatically_derived]
            impl #generics #core::SubscribesTo<#object> for #name #arguments #bounds {}
        });
    }
    for line in distinct_lines(&connector.incoming) {
        let IncomingLine { external, kind, .. } = line;
        let key = key(core, line);
        let decode = decode(core, line);
        tokens.extend(quote! {
            #[automatically_derived]
            impl #generics #core::Accepts<#external> for #name #arguments #bounds {
                const KIND: &'static ::core::primitive::str = #kind;
                fn key(external: &#external) -> ::core::option::Option<::std::string::String> {
                    #key
                }
                fn decode(
                    bytes: &[::core::primitive::u8],
                ) -> ::core::result::Result<#external, #core::Failure> {
                    #decode
                }
            }
        });
    }
    tokens
}

fn key(core: &CorePath, line: &IncomingLine) -> TokenStream {
    let Some(last) = line.key.last() else {
        return quote! {
            let _ = external;
            ::core::option::Option::None
        };
    };
    let members = &line.key;
    let field = quote_spanned!(last.span()=> &external.#(#members).*);
    quote!(#core::__private::key_text(#field))
}

fn decode(core: &CorePath, line: &IncomingLine) -> TokenStream {
    let external = &line.external;
    if let Some(decode) = &line.decode {
        quote!(#core::__private::run_decode(bytes, #decode))
    } else {
        quote!(#core::__private::decode_json::<#external>(bytes))
    }
}

/// The descriptor; and, unless it is one of many, what the linker finds.
fn described(item: &ItemStruct, connector: &Connector) -> TokenStream {
    let Connector { core, name, summary, needs, create_once, .. } = connector;
    let struct_name = &item.ident;
    let (generics, arguments, bounds) = item.generics.split_for_impl();
    let outgoing = connector.outgoing.iter().map(|line| outgoing_route(item, connector, line));
    let incoming = connector.incoming.iter().map(|line| incoming_route(item, connector, line));
    let summary = (!summary.is_empty()).then(|| quote!(.summary(#summary)));
    let needs = (!needs.is_empty())
        .then(|| quote!(.needs(const { &[#(#core::descriptor::Need::of::<#needs>()),*] })));
    let create_once = create_once.map(|variant| {
        let variant = format_ident!("{variant}");
        quote!(.create_once(#core::CreateOnce::#variant))
    });
    let place = place(core);
    let is_one = item.generics.params.is_empty();
    let registered = is_one.then(|| registered(item));
    let linked = is_one.then(|| {
        quote! {
            #core::__private::inventory::submit! {
                #core::__private::LinkedConnector(
                    <#struct_name as #core::descriptor::DescribedConnector>::DESCRIPTOR
                )
            }
        }
    });
    quote! {
        #[automatically_derived]
        impl #generics #core::descriptor::DescribedConnector for #struct_name #arguments #bounds {
            const DESCRIPTOR: &'static #core::descriptor::ConnectorDescriptor =
                &#core::descriptor::ConnectorDescriptor::new::<#struct_name #arguments>(#name)
                    #summary
                    .place(#place)
                    .routes(const { &[#(#outgoing,)* #(#incoming,)*] })
                    #needs
                    #create_once;
            #registered
        }
        #linked
    }
}

/// Why it is not registered once more.
fn registered(item: &ItemStruct) -> TokenStream {
    let begin = format!("`{}` is registered already, by `#[connector(...)]` at ", item.ident);
    quote! {
        const REGISTERED: ::core::option::Option<&'static ::core::primitive::str> = ::core::option::Option::Some(
            ::core::concat!(#begin, ::core::file!(), ":", ::core::line!(), "; take this `register!` away")
        );
    }
}

/// A descriptor of nothing.
fn undescribed(item: &ItemStruct, connector: &Connector) -> TokenStream {
    let core = &connector.core;
    let struct_name = &item.ident;
    quote! {
        #[automatically_derived]
        impl #core::descriptor::DescribedConnector for #struct_name {
            const DESCRIPTOR: &'static #core::descriptor::ConnectorDescriptor =
                &#core::descriptor::ConnectorDescriptor::new::<#struct_name>("");
        }
    }
}

/// Where the attribute stands.
pub(crate) fn place(core: &CorePath) -> TokenStream {
    quote! {
        #core::descriptor::Place {
            crate_name: ::core::env!("CARGO_PKG_NAME"),
            crate_version: ::core::env!("CARGO_PKG_VERSION"),
            file: ::core::file!(),
            line: ::core::line!(),
        }
    }
}

fn outgoing_route(item: &ItemStruct, connector: &Connector, line: &OutgoingLine) -> TokenStream {
    let Connector { core, blocking, .. } = connector;
    let route = if *blocking { quote!(outgoing_blocking) } else { quote!(outgoing) };
    let OutgoingLine { object, code_name, class_name, alias_path, culture, .. } = line;
    let subscription =
        if let Some(pattern) = &line.type_pattern { quote!(to(#pattern)) } else { quote!(everything()) };
    let operations: Vec<_> = line.operations.iter().map(|name| format_ident!("{name}")).collect();
    let operations =
        (!operations.is_empty()).then(|| quote!(.on(&[#(#core::ObjectOperation::#operations),*])));
    let on_pages: Vec<_> = line.page_operations.iter().map(|name| format_ident!("{name}")).collect();
    let on_pages = (!on_pages.is_empty()).then(|| quote!(.on_pages(&[#(#core::PageOperation::#on_pages),*])));
    let data = line.data.map(|name| format_ident!("{name}"));
    let data = data.map(|name| quote!(.data(#core::DataType::#name)));
    let sync = line.sync.then(|| quote!(.synchronous()));
    let site = match &line.site {
        Site::Any => None,
        Site::Global => Some(quote!(.global())),
        Site::Named(site) => Some(quote!(.site(#site))),
    };
    let code_name = code_name.as_ref().map(|code_name| quote!(.code_name(#code_name)));
    let class_name = class_name.as_ref().map(|class_name| quote!(.class_name(#class_name)));
    let alias_path = alias_path.as_ref().map(|alias_path| quote!(.alias_path(#alias_path)));
    let culture = culture.as_ref().map(|culture| quote!(.culture(#culture)));
    let connector = type_at(item, object);
    let filter = if let Some(filter) = &line.filter {
        quote! {
            ::core::option::Option::Some(|change, settings| {
                #core::__private::run_filter::<#connector>(change, settings, #filter)
            })
        }
    } else {
        quote!(::core::option::Option::None)
    };

    let subscription = quote! {
        #core::Subscription::#subscription #operations #on_pages #data #sync #site #code_name #class_name #alias_path #culture
    };
    // It stands at the line's type, so that a criterion that this type does not have is refused there.
    let route = at(quote!(#core::descriptor::Route::#route), object.span());
    quote_spanned!(object.span()=> #route::<#connector, #object>(#subscription, #filter,))
}

fn incoming_route(item: &ItemStruct, connector: &Connector, line: &IncomingLine) -> TokenStream {
    let Connector { core, blocking, .. } = connector;
    let route = if *blocking { quote!(incoming_blocking) } else { quote!(incoming) };
    let external = &line.external;
    let connector = type_at(item, external);
    let owned = line.owned.as_ref().map(|fields| {
        let implemented = if *blocking { quote!(#core::blocking::Incoming) } else { quote!(#core::Incoming) };
        let object = quote!(<#connector as #implemented<#external>>::Object);
        let names = fields.iter().map(|field| owned_field(core, &object, field));
        quote!(.owning(const { &[#(#names),*] }))
    });
    let conflicts = line.conflicts.as_ref().map(|conflicts| {
        let implemented = if *blocking { quote!(#core::blocking::Incoming) } else { quote!(#core::Incoming) };
        let object = quote!(<#connector as #implemented<#external>>::Object);
        let variant = |name: &str| {
            let name = format_ident!("{name}");
            quote!(#core::Conflict::#name)
        };
        let fields = conflicts.fields.iter().map(|(field, conflict)| {
            let (name, conflict) = (owned_field(core, &object, field), variant(conflict));
            quote!((#name, #conflict))
        });
        let otherwise = variant(conflicts.otherwise);
        quote!(.settling(#otherwise, const { &[#(#fields),*] }))
    });
    quote!(#core::descriptor::Route::#route::<#connector, #external>() #owned #conflicts)
}

/// A field's name in JSON. The look at it is never taken: it only makes the compiler miss a field that is not there.
fn owned_field(core: &CorePath, object: &TokenStream, field: &OwnedField) -> TokenStream {
    let span = match field {
        OwnedField::Field(field) => field.span(),
        OwnedField::Name(name) => name.span(),
    };
    // All of it stands at the word, so that a refusal does, too.
    let core = at(quote!(#core), span);
    match field {
        OwnedField::Field(field) => {
            let name = LitStr::new(&field.unraw().to_string(), span);
            quote_spanned! {span=>
                #core::__private::owned_field::<#object>(#name, |object| {
                    let _ = &object.#field;
                })
            }
        }
        OwnedField::Name(name) => quote_spanned!(span=> #core::__private::owned_name::<#object>(#name)),
    }
}

/// The struct's type as if it stood in the line: what is missing is missed there.
fn type_at(item: &ItemStruct, line: &Type) -> TokenStream {
    let name = &item.ident;
    let (_, arguments, _) = item.generics.split_for_impl();
    at(quote!(#name #arguments), line.span())
}

pub(crate) fn at(tokens: TokenStream, span: Span) -> TokenStream {
    let moved = tokens.into_iter().map(|mut token| {
        token.set_span(span);
        token
    });
    moved.collect()
}

fn distinct<'t>(types: impl Iterator<Item = &'t Type>) -> Vec<&'t Type> {
    let mut distinct = Vec::new();
    for ty in types {
        if !distinct.contains(&ty) {
            distinct.push(ty);
        }
    }
    distinct
}

fn distinct_lines(lines: &[IncomingLine]) -> Vec<&IncomingLine> {
    let mut distinct: Vec<&IncomingLine> = Vec::new();
    for line in lines {
        if !distinct.iter().any(|earlier| earlier.external == line.external) {
            distinct.push(line);
        }
    }
    distinct
}
