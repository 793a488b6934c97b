//! Where the expansion finds `bus_core`: every path in it starts here, so that no name of the author's module can
//! come between.

use proc_macro2::TokenStream;
use quote::{ToTokens, quote};
use syn::Path;

/// `::bus_core`, or what `crate = path` says.
#[derive(Clone, Default)]
pub(crate) struct CorePath(Option<Path>);

impl CorePath {
    /// The crate under the name that the author gave, if any.
    pub(crate) fn new(given: Option<Path>) -> Self {
        Self(given)
    }
}

impl ToTokens for CorePath {
    fn to_tokens(&self, tokens: &mut TokenStream) {
        match &self.0 {
            Some(path) => path.to_tokens(tokens),
            None => tokens.extend(quote!(::bus_core)),
        }
    }
}
