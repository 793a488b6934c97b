//! What everybody did with a bus, written down as it happened, and what can be said about it afterwards.
//!
//! Each participant (a process, a thread, an external system) appends what it does to one `journal`, before it does
//! it and after. The order of the entries is the order in which things happened, as far as anybody can tell. [`check`]
//! then decides whether anything was lost, invented, done twice without an excuse, or out of order.
//!
//! It knows nothing of the bus's own code: a rig that asked the bus whether the bus is right would prove nothing.

mod check;
mod dice;
mod event;
mod journal;
mod report;

pub use check::check;
pub use dice::Dice;
pub use event::{Answer, Entry, Event, Outcome};
pub use journal::{FileJournal, Journal, MemoryJournal, read};
pub use report::{Finding, Report, Rules, Wrong};
