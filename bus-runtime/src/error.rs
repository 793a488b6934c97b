//! What the bus tells the application when something cannot be done.

use std::error::Error;
use std::fmt;

use bus_store::{StoreError, StoreErrorKind};

/// What went wrong: one line that names the thing and the remedy, a stable code with a page in `docs/errors`, and
/// what is behind it. Its `Debug` is the report for people, so that returning it from `main` prints something useful.
pub struct BusError(Box<Inner>);

struct Inner {
    kind: BusErrorKind,
    message: String,
    source: Option<Box<dyn Error + Send + Sync>>,
}

/// What went wrong, as far as callers treat it differently. Each has a stable code and a page in `docs/errors`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum BusErrorKind {
    /// The configuration cannot be read, or says something that cannot be.
    Config,
    /// The store cannot be opened.
    StoreOpen,
    /// The program contains connectors or object types that exclude each other.
    Discovery,
    /// A connector is not registered correctly, and the start is strict.
    Strict,
    /// No connector of this name is registered.
    UnknownConnector,
    /// The connector is registered, but cannot take this: disabled, or not linked.
    ConnectorUnable,
    /// Logging is switched off.
    SwitchedOff,
    /// The object is larger than the limit.
    TooLarge,
    /// The object cannot be read or written as what it is said to be.
    Malformed,
    /// The connector does not know this kind of external object, or nobody declares this object type.
    UnknownKind,
    /// A text that is to be a name is none.
    BadName,
    /// Somebody else was faster, or a name is taken.
    Conflict,
    /// A listener of the application said no.
    Vetoed,
    /// The store failed at something; it may work later.
    Store,
    /// The bus has stopped.
    Stopped,
    /// There is no such thing.
    NotFound,
    /// What was asked for does not go with the state that the thing is in.
    WrongState,
    /// An idempotency key was used before, for something else.
    KeyReused,
    /// No site of this name is registered.
    UnknownSite,
    /// The site does not speak this culture.
    NoSuchCulture,
}

impl BusErrorKind {
    /// All of them, in the order of their codes.
    pub const ALL: [Self; 20] = [
        Self::Config,
        Self::StoreOpen,
        Self::Discovery,
        Self::Strict,
        Self::UnknownConnector,
        Self::ConnectorUnable,
        Self::SwitchedOff,
        Self::TooLarge,
        Self::Malformed,
        Self::UnknownKind,
        Self::BadName,
        Self::Conflict,
        Self::Vetoed,
        Self::Store,
        Self::Stopped,
        Self::NotFound,
        Self::WrongState,
        Self::KeyReused,
        Self::UnknownSite,
        Self::NoSuchCulture,
    ];

    /// The stable code: `BUS0001`.
    pub const fn code(self) -> &'static str {
        match self {
            Self::Config => "BUS0001",
            Self::StoreOpen => "BUS0002",
            Self::Discovery => "BUS0003",
            Self::Strict => "BUS0004",
            Self::UnknownConnector => "BUS0005",
            Self::ConnectorUnable => "BUS0006",
            Self::SwitchedOff => "BUS0007",
            Self::TooLarge => "BUS0008",
            Self::Malformed => "BUS0009",
            Self::UnknownKind => "BUS0010",
            Self::BadName => "BUS0011",
            Self::Conflict => "BUS0012",
            Self::Vetoed => "BUS0013",
            Self::Store => "BUS0014",
            Self::Stopped => "BUS0015",
            Self::NotFound => "BUS0016",
            Self::WrongState => "BUS0017",
            Self::KeyReused => "BUS0018",
            Self::UnknownSite => "BUS0019",
            Self::NoSuchCulture => "BUS0020",
        }
    }
}

impl BusError {
    pub(crate) fn new(kind: BusErrorKind, message: impl Into<String>) -> Self {
        Self(Box::new(Inner { kind, message: message.into(), source: None }))
    }

    pub(crate) fn with_source(mut self, source: impl Into<Box<dyn Error + Send + Sync>>) -> Self {
        self.0.source = Some(source.into());
        self
    }

    /// A store's trouble while `doing` something.
    pub(crate) fn store(doing: &str, error: StoreError) -> Self {
        let kind = match error.kind() {
            StoreErrorKind::Conflict => BusErrorKind::Conflict,
            StoreErrorKind::NotFound => BusErrorKind::NotFound,
            StoreErrorKind::KeyReused => BusErrorKind::KeyReused,
            StoreErrorKind::Closed => BusErrorKind::Stopped,
            _ => BusErrorKind::Store,
        };
        Self::new(kind, doing.to_owned()).with_source(error)
    }

    /// The store's own error, where it is one of the store's: whoever decides by what the store said needs all of it.
    pub(crate) fn into_store(self) -> Result<StoreError, Self> {
        self.into_source()
    }

    /// What is behind it, if that is an error of this type.
    pub(crate) fn into_source<E: Error + 'static>(mut self) -> Result<E, Self> {
        match self.0.source.take().map(<dyn Error + Send + Sync>::downcast::<E>) {
            Some(Ok(error)) => Ok(*error),
            Some(Err(source)) => {
                self.0.source = Some(source);
                Err(self)
            }
            None => Err(self),
        }
    }

    /// What went wrong.
    pub fn kind(&self) -> BusErrorKind {
        self.0.kind
    }

    /// Its stable code: `BUS0007`.
    pub fn code(&self) -> &'static str {
        self.0.kind.code()
    }
}

impl fmt::Display for BusError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.message)
    }
}

impl fmt::Debug for BusError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} [{}]", self.0.message, self.code())?;
        let mut next = self.source();
        while let Some(error) = next {
            write!(f, "\n  because: {error}")?;
            next = error.source();
        }
        write!(f, "\n  see docs/errors/{}.md", self.code())
    }
}

impl Error for BusError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        self.0.source.as_deref().map(|source| source as _)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::path::Path;

    #[test]
    fn every_code_has_its_page() {
        let docs = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/errors");
        for kind in BusErrorKind::ALL {
            let page = docs.join(format!("{}.md", kind.code()));
            let text =
                std::fs::read_to_string(&page).unwrap_or_else(|error| panic!("{}: {error}", page.display()));
            assert!(text.contains(&format!("{kind:?}")), "{} must name its kind {kind:?}", page.display());
            for part in ["## Cause", "## Remedy"] {
                assert!(text.contains(part), "{} lacks `{part}`", page.display());
            }
        }
    }

    #[test]
    fn what_the_store_said_can_be_had_back() {
        use bus_store::StoreErrorKind;
        // Whoever tries again when a store is out of reach must not do so for ever when it is spoilt.
        for kind in [StoreErrorKind::Unavailable, StoreErrorKind::Corrupt, StoreErrorKind::Closed] {
            let error = BusError::store("log a change", StoreError::new(kind, "object", "as it is"));
            let said = error.into_store().expect("it is one of the store's");
            assert_eq!((said.kind(), said.operation()), (kind, "object"));
        }
        let other = BusError::new(BusErrorKind::Vetoed, "no").with_source(std::io::Error::other("why"));
        let other = other.into_store().expect_err("it is none of the store's");
        assert_eq!(other.source().map(ToString::to_string).as_deref(), Some("why"));
    }
}
