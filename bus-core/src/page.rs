//! Pages: nodes of a site's content tree, each in one or several cultures.

use std::fmt;

use serde::{Deserialize, Serialize};

/// The longest alias path, in characters.
pub const PATH_CHARS_MAX: usize = 1_000;

/// The deepest level of a tree; a page without a parent stands on the first.
pub const PAGE_DEPTH_MAX: usize = 50;

/// How far a page has come, in one culture.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PageState {
    /// It is being written: what a new page is.
    #[default]
    Draft,
    /// It is shown.
    Published,
    /// It was shown, and is kept.
    Archived,
    /// Whoever had to approve it did not.
    Rejected,
}

impl PageState {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Draft, Self::Published, Self::Archived, Self::Rejected];

    /// The word used in logs and JSON.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Draft => "draft",
            Self::Published => "published",
            Self::Archived => "archived",
            Self::Rejected => "rejected",
        }
    }
}

impl fmt::Display for PageState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}
