//! All that is wrong with one use of a macro, told at once.

use std::fmt::Display;

use proc_macro2::{Span, TokenStream};
use quote::ToTokens;

/// Collects refusals. It must be read at the end: an error that is dropped is an error that nobody sees.
#[derive(Debug, Default)]
pub(crate) struct Errors {
    found: Vec<syn::Error>,
    read: bool,
}

impl Errors {
    /// Refuses these tokens.
    pub(crate) fn refuse(&mut self, tokens: impl ToTokens, message: impl Display) {
        self.found.push(syn::Error::new_spanned(tokens, message));
    }

    /// Refuses what stands here.
    pub(crate) fn refuse_at(&mut self, span: Span, message: impl Display) {
        self.found.push(syn::Error::new(span, message));
    }

    /// Whether nothing was refused so far.
    pub(crate) fn is_empty(&self) -> bool {
        self.found.is_empty()
    }

    /// Everything that was refused, as `compile_error!` calls.
    pub(crate) fn into_tokens(mut self) -> TokenStream {
        self.read = true;
        self.found.iter().map(syn::Error::to_compile_error).collect()
    }

    /// What was refused, as text.
    #[cfg(test)]
    pub(crate) fn into_messages(mut self) -> Vec<String> {
        self.read = true;
        self.found.iter().map(ToString::to_string).collect()
    }
}

impl Drop for Errors {
    fn drop(&mut self) {
        assert!(self.read || std::thread::panicking(), "a macro dropped its errors unread: {:?}", self.found);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    #[should_panic(expected = "dropped its errors unread")]
    fn errors_refuse_to_be_dropped_unread() {
        drop(Errors::default());
    }

    #[test]
    fn all_that_was_refused_is_told() {
        let mut errors = Errors::default();
        errors.refuse_at(Span::call_site(), "one");
        errors.refuse_at(Span::call_site(), "two");
        assert_eq!(errors.into_messages(), ["one", "two"]);
    }
}
