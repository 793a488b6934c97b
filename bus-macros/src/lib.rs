//! placeholder
use proc_macro::TokenStream;
#[proc_macro_attribute]
pub fn connector(_: TokenStream, i: TokenStream) -> TokenStream {
    i
}
#[proc_macro_attribute]
pub fn outgoing(_: TokenStream, i: TokenStream) -> TokenStream {
    i
}
#[proc_macro_attribute]
pub fn incoming(_: TokenStream, i: TokenStream) -> TokenStream {
    i
}
#[proc_macro_derive(BusObject, attributes(object))]
pub fn bus_object(_: TokenStream) -> TokenStream {
    TokenStream::new()
}
#[proc_macro_derive(Settings)]
pub fn settings(_: TokenStream) -> TokenStream {
    TokenStream::new()
}
