//! What becomes of a field that the host and the external system have both changed.

use serde::{Deserialize, Serialize};

/// Who wins where the host and the external system have both changed a field, each in its way, since they were last known
/// to be equal (`#[incoming(..., conflict = host_wins)]`). A field that only one of them has changed is that one's, unless
/// the whole object goes to review.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum Conflict {
    /// What comes in.
    #[default]
    ExternalWins,
    /// What the host has; the external system is told of it again.
    HostWins,
    /// What was changed last: by the time that the connector names ([`Prepared::changed_at`](crate::Prepared::changed_at)),
    /// and that of the host's last write of the object. Both being equal, what comes in; where one of them is not known, a
    /// person decides.
    NewestWins,
    /// A person: only fields that one side alone has changed are taken without asking.
    MergeFields,
    /// A person: of a field, where both sides have changed it; of an object, where both sides have changed anything at all.
    Review,
}

/// One of the two that correspond.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Side {
    /// The application.
    Host,
    /// The external system.
    External,
}

/// Who wins in which field of the host's object.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Conflicts {
    /// Where nothing else is said.
    pub otherwise: Conflict,
    /// What is said of single fields, by their names in JSON.
    pub fields: &'static [(&'static str, Conflict)],
}

impl Conflicts {
    /// Who wins in this field.
    pub fn of(&self, field: &str) -> Conflict {
        self.of_field_alone(field).unwrap_or(self.otherwise)
    }

    /// What is said of this field by itself, if anything is.
    pub fn of_field_alone(&self, field: &str) -> Option<Conflict> {
        let said = self.fields.iter().find(|(name, _)| *name == field);
        said.map(|(_, conflict)| *conflict)
    }

    /// Whether it has to be known which side was changed last.
    pub fn asks_for_times(&self) -> bool {
        let of_fields = self.fields.iter().map(|(_, conflict)| *conflict);
        of_fields.chain([self.otherwise]).any(|conflict| conflict == Conflict::NewestWins)
    }
}
