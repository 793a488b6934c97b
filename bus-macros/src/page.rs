//! `#[derive(Page)]`.

use proc_macro2::TokenStream;
use syn::{DeriveInput, parse2};

use crate::errors::Errors;
use crate::object::parse;

mod check;
mod expand;

/// Expands `#[derive(Page)]`.
pub(crate) fn page(item: TokenStream) -> TokenStream {
    let input: DeriveInput = match parse2(item) {
        Ok(input) => input,
        // The compiler reads the item, too, and says what is wrong with it.
        Err(_) => return TokenStream::new(),
    };
    let mut errors = Errors::default();
    let read = parse::parse(&input, "page", &mut errors);
    let page = check::check(&read, &mut errors);
    expand::expand(&read, page.as_ref(), errors)
}
