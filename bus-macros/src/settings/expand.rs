//! From settings to tokens: their JSON Schema, as a person could have written it.

use proc_macro2::TokenStream;
use quote::quote;

use super::model::{Setting, Settings};
use super::parse::Read;
use crate::errors::Errors;
use crate::fallback;
use crate::paths::CorePath;

/// The impls, or the errors and impls without meaning.
pub(super) fn expand(read: &Read<'_>, settings: Option<&Settings<'_>>, errors: Errors) -> TokenStream {
    let core = &read.core;
    let Some(settings) = settings.filter(|_| errors.is_empty()) else {
        let fallback = fallback::settings(core, read.input);
        let errors = errors.into_tokens();
        return quote!(#errors #fallback);
    };
    let _ = errors.into_tokens();
    let name = &read.input.ident;
    match settings {
        Settings::Form(settings) => {
            let settings = settings.iter().map(|setting| field(core, setting));
            quote! {
                #[automatically_derived]
                impl #core::Settings for #name {
                    fn schema() -> #core::__private::serde_json::Value {
                        <#name as #core::settings::SettingType>::setting_schema()
                    }
                }
                #[automatically_derived]
                impl #core::settings::SettingType for #name {
                    fn setting_schema() -> #core::__private::serde_json::Value {
                        #core::settings::form_schema(&[#(#settings),*])
                    }
                }
            }
        }
        Settings::Choice(words) => quote! {
            #[automatically_derived]
            impl #core::settings::SettingType for #name {
                fn setting_schema() -> #core::__private::serde_json::Value {
                    #core::settings::choice_schema(&[#(#words),*])
                }
            }
        },
    }
}

fn field(core: &CorePath, setting: &Setting<'_>) -> TokenStream {
    let Setting { name, description, ty, has_default } = setting;
    let optional = has_default.then(|| quote!(.optional()));
    quote!(#core::settings::Setting::of::<#ty>(#name, #description) #optional)
}
