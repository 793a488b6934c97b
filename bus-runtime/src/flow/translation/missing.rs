//! What a payload refers to and is not there yet.

use bus_store::Awaited;

use super::Untranslated;

/// What is missing so far.
#[derive(Default)]
pub(super) struct Missing {
    awaited: Vec<Awaited>,
    names: Vec<String>,
}

impl Missing {
    pub(super) fn add(&mut self, name: String, awaited: impl IntoIterator<Item = Awaited>) {
        if !self.names.contains(&name) {
            self.names.push(name);
            self.awaited.extend(awaited);
        }
    }

    pub(super) fn or<T>(self, done: T) -> Result<T, Untranslated> {
        if self.names.is_empty() {
            return Ok(done);
        }
        let reason = format!("waits for {}", self.names.join(", and for "));
        Err(Untranslated::Missing { awaited: self.awaited, reason })
    }
}
