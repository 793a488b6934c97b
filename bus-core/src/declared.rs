//! The declared half of the handshake between `#[connector]` lines and trait impls.
//!
//! For each `#[outgoing(T)]` line the macro writes `impl SubscribesTo<T>`, for each `#[incoming(E)]` line
//! `impl Accepts<E>`. `Outgoing<T>` and `Incoming<E>` require them, and the connector's routes require `Outgoing<T>`
//! and `Incoming<E>`: a line without its impl does not compile, nor does an impl without its line.

use crate::failure::Failure;

/// The connector has an `#[outgoing(T)]` line.
#[diagnostic::on_unimplemented(
    message = "connector `{Self}` delivers `{T}` but never subscribes to it, so it would never be called",
    label = "no `#[outgoing({T})]` line",
    note = "add `#[outgoing({T})]` below `#[connector(...)]`"
)]
pub trait SubscribesTo<T> {}

/// The connector has an `#[incoming(E)]` line.
#[diagnostic::on_unimplemented(
    message = "connector `{Self}` prepares `{E}` but never declares that it accepts it, so it would never be called",
    label = "no `#[incoming({E}, key = ...)]` line",
    note = "add `#[incoming({E}, key = ...)]` below `#[connector(...)]`"
)]
pub trait Accepts<E> {
    /// What the external object is called when it is logged: `contact`.
    const KIND: &'static str;

    /// What identifies it in the external system, and keeps its tasks in order; `None` for `unordered`.
    fn key(external: &E) -> Option<String>;

    /// Reads it from the bytes as they were received.
    fn decode(bytes: &[u8]) -> Result<E, Failure>;
}
