//! `#[derive(Settings)]`.

use proc_macro2::TokenStream;
use syn::{DeriveInput, parse2};

use crate::errors::Errors;

mod check;
mod expand;
mod model;
mod parse;

/// Expands `#[derive(Settings)]`.
pub(crate) fn settings(item: TokenStream) -> TokenStream {
    let input: DeriveInput = match parse2(item) {
        Ok(input) => input,
        // The compiler reads the item, too, and says what is wrong with it.
        Err(_) => return TokenStream::new(),
    };
    let mut errors = Errors::default();
    let read = parse::parse(&input, &mut errors);
    let settings = check::check(&read, &mut errors);
    expand::expand(&read, settings.as_ref(), errors)
}
