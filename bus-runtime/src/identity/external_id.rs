//! What an external system cannot call anything.

use std::fmt::{Display, Formatter, Result};

use crate::error::BusErrorKind;

/// The longest external id, in bytes.
pub(crate) const EXTERNAL_ID_BYTES_MAX: usize = 1_024;

/// Why something cannot be an external id. Whatever else an external system calls its objects is kept to the letter.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Unfit {
    /// Nothing tells it from others.
    Empty,
    /// This many bytes.
    TooLong(usize),
    /// It has one that nobody sees: rather a mistake in taking a message apart than a part of an id.
    Control(char),
}

impl Unfit {
    /// `None` where this can be an external id.
    pub(crate) fn of(external_id: &str) -> Option<Self> {
        if external_id.is_empty() {
            return Some(Self::Empty);
        }
        if external_id.len() > EXTERNAL_ID_BYTES_MAX {
            return Some(Self::TooLong(external_id.len()));
        }
        external_id.chars().find(|character| character.is_control()).map(Self::Control)
    }

    pub(crate) fn kind(self) -> BusErrorKind {
        match self {
            Self::Empty | Self::Control(_) => BusErrorKind::Malformed,
            Self::TooLong(_) => BusErrorKind::TooLarge,
        }
    }
}

impl Display for Unfit {
    fn fmt(&self, f: &mut Formatter<'_>) -> Result {
        match self {
            Self::Empty => f.write_str("is empty"),
            Self::TooLong(bytes) => write!(f, "is {bytes} bytes, more than {EXTERNAL_ID_BYTES_MAX}"),
            Self::Control(character) => {
                write!(f, "contains the control character U+{:04X}", u32::from(*character))
            }
        }
    }
}

/// Whether this can be what an external system calls something.
pub(crate) fn check_external_id(external_id: &str) -> std::result::Result<(), (BusErrorKind, String)> {
    let Some(unfit) = Unfit::of(external_id) else { return Ok(()) };
    let remedy = match unfit {
        Unfit::Empty => "bind what identifies it",
        Unfit::TooLong(_) => "bind a shorter one",
        Unfit::Control(_) => "bind it without",
    };
    Err((unfit.kind(), format!("the external id {unfit}; {remedy}")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whatever_can_be_seen_and_is_not_endless_is_an_external_id() {
        let longest = "9".repeat(EXTERNAL_ID_BYTES_MAX);
        for fit in ["0", " ", "Ünï/cödé", "'; --", "a\"b\\c", "%", "😀", "\u{a0}", &longest] {
            assert_eq!(Unfit::of(fit), None, "{fit:?}");
        }
    }

    #[test]
    fn what_is_nothing_or_endless_or_hidden_is_none() {
        let table = [
            (String::new(), Unfit::Empty),
            ("9".repeat(EXTERNAL_ID_BYTES_MAX + 1), Unfit::TooLong(1_025)),
            ("é".repeat(513), Unfit::TooLong(1_026)),
            ("003\n".to_owned(), Unfit::Control('\n')),
            ("\0".to_owned(), Unfit::Control('\0')),
            ("a\u{7f}b\n".to_owned(), Unfit::Control('\u{7f}')),
            ("\u{85}".to_owned(), Unfit::Control('\u{85}')),
        ];
        for (external_id, unfit) in table {
            assert_eq!(Unfit::of(&external_id), Some(unfit), "{external_id:?}");
        }
    }
}
