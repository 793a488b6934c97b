//! `#[derive(BusObject)]`.

use proc_macro2::TokenStream;
use syn::{DeriveInput, parse2};

use crate::errors::Errors;

mod check;
mod expand;
pub(crate) mod late;
mod model;
pub(crate) mod parse;

/// Expands `#[derive(BusObject)]`.
pub(crate) fn bus_object(item: TokenStream) -> TokenStream {
    let input: DeriveInput = match parse2(item) {
        Ok(input) => input,
        // The compiler reads the item, too, and says what is wrong with it.
        Err(_) => return TokenStream::new(),
    };
    let mut errors = Errors::default();
    let read = parse::parse(&input, "object", &mut errors);
    let object = check::check(&read, &mut errors);
    expand::expand(&input, &read, object.as_ref(), errors)
}
