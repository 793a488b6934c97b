//! What becomes of a field that the host and the external system have both changed.

/// Who wins where the host and the external system have both changed a field, each in its way, since they were last known
/// to be equal (`#[incoming(..., conflict = host_wins)]`). A field that only one of them has changed is that one's, whatever
/// is said here.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum Conflict {
    /// What comes in.
    #[default]
    ExternalWins,
    /// What the host has; the external system is told of it again.
    HostWins,
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
        let said = self.fields.iter().find(|(name, _)| *name == field);
        said.map_or(self.otherwise, |(_, conflict)| *conflict)
    }
}
