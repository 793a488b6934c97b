//! Names that cannot be made wrong: whoever holds a `ConnectorName` holds a valid one.

use std::cmp::Ordering;
use std::fmt;
use std::hash::{Hash, Hasher};
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// The longest name of any kind, in bytes.
pub const NAME_BYTES_MAX: usize = 100;

/// The longest alias of a page, in characters.
pub const ALIAS_CHARS_MAX: usize = 100;

/// The longest name of a culture, in bytes.
pub const CULTURE_BYTES_MAX: usize = 35;

/// A text that is not the name it was given as: what it is, what was expected, and what would do.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{given}` is not {expected}")]
pub struct NameError {
    given: String,
    expected: &'static str,
}

macro_rules! name_type {
    ($(#[$attribute:meta])* $name:ident, $is_valid:ident, $expected:literal) => {
        $(#[$attribute])*
        #[derive(Debug, Clone, Serialize, Deserialize)]
        #[serde(try_from = "String", into = "String")]
        pub struct $name(String);

        impl $name {
            /// Reads a name, or says what is wrong with it.
            pub fn parse(text: impl Into<String>) -> Result<Self, NameError> {
                let text = text.into();
                if $is_valid(&text) {
                    Ok(Self(text))
                } else {
                    Err(NameError { given: shorten(&text), expected: $expected })
                }
            }

            /// The name as text.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl FromStr for $name {
            type Err = NameError;
            fn from_str(text: &str) -> Result<Self, NameError> {
                Self::parse(text)
            }
        }

        impl TryFrom<String> for $name {
            type Error = NameError;
            fn try_from(text: String) -> Result<Self, NameError> {
                Self::parse(text)
            }
        }

        impl From<$name> for String {
            fn from(name: $name) -> String {
                name.0
            }
        }

        impl AsRef<str> for $name {
            fn as_ref(&self) -> &str {
                &self.0
            }
        }
    };
}

name_type!(
    /// The code name of a connector: lowercase words joined by `-`, such as `crm-eu`.
    #[derive(PartialEq, Eq, PartialOrd, Ord, Hash)]
    ConnectorName,
    is_connector_name,
    "a connector name: use lowercase words joined by `-`, such as `crm-eu`"
);

name_type!(
    /// The type of a host object: lowercase words joined by `.`, such as `app.user`.
    #[derive(PartialEq, Eq, PartialOrd, Ord, Hash)]
    ObjectType,
    is_object_type,
    "an object type: use lowercase words joined by `.`, such as `app.user`"
);

name_type!(
    /// What an incoming external object is called between the systems: `contact`, `order_line`.
    #[derive(PartialEq, Eq, PartialOrd, Ord, Hash)]
    Kind,
    is_kind,
    "a kind: use lowercase words joined by `_`, such as `order_line`"
);

name_type!(
    /// The code name of a site: letters, digits, `-`, `_` and `.`, such as `corp`.
    #[derive(PartialEq, Eq, PartialOrd, Ord, Hash)]
    SiteName,
    is_site_name,
    "a site name: use letters, digits, `-`, `_` and `.`, such as `corp`"
);

name_type!(
    /// A language and, mostly, a region, as in BCP 47: `en-US`. Kept as written, and compared without regard to case.
    Culture,
    is_culture,
    "a culture: use letters and digits joined by `-`, such as `en-US`"
);

name_type!(
    /// What a page is called in the paths of its site: the last part of its alias path. Kept as written; paths are compared
    /// without regard to case.
    #[derive(PartialEq, Eq, PartialOrd, Ord, Hash)]
    Alias,
    is_alias,
    "an alias: use 1 to 100 characters, no `/`, and no space at either end, such as `Launch`"
);

impl Culture {
    fn folded(&self) -> String {
        self.0.to_ascii_lowercase()
    }
}

impl PartialEq for Culture {
    fn eq(&self, other: &Self) -> bool {
        self.0.eq_ignore_ascii_case(&other.0)
    }
}

impl Eq for Culture {}

impl Hash for Culture {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.folded().hash(state);
    }
}

impl PartialOrd for Culture {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Culture {
    fn cmp(&self, other: &Self) -> Ordering {
        self.folded().cmp(&other.folded())
    }
}

/// Whether a text is a connector name; `const`, so that the compiler can ask.
pub const fn is_connector_name(text: &str) -> bool {
    is_words(text.as_bytes(), b'-', false)
}

/// Whether a text is an object type; `const`, so that the compiler can ask.
pub const fn is_object_type(text: &str) -> bool {
    is_words(text.as_bytes(), b'.', true)
}

/// Whether a text is a kind; `const`, so that the compiler can ask.
pub const fn is_kind(text: &str) -> bool {
    is_words(text.as_bytes(), b'_', false)
}

fn is_site_name(text: &str) -> bool {
    !text.is_empty()
        && text.len() <= NAME_BYTES_MAX
        && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.'))
}

fn is_culture(text: &str) -> bool {
    (2..=CULTURE_BYTES_MAX).contains(&text.len())
        && text
            .split('-')
            .all(|part| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_alphanumeric()))
}

fn is_alias(text: &str) -> bool {
    (1..=ALIAS_CHARS_MAX).contains(&text.chars().count())
        && text.trim() == text
        && !text.chars().any(|letter| letter == '/' || letter.is_control())
}

/// Lowercase words (a letter, then letters and digits) joined by single separators.
const fn is_words(bytes: &[u8], separator: u8, underscore_inside: bool) -> bool {
    if bytes.is_empty() || bytes.len() > NAME_BYTES_MAX {
        return false;
    }
    let mut at_start_of_word = true;
    let mut first_word = true;
    let mut index = 0;
    while index < bytes.len() {
        let byte = bytes[index];
        if at_start_of_word {
            let starts = byte.is_ascii_lowercase() || (!first_word && byte.is_ascii_digit());
            if !starts {
                return false;
            }
            at_start_of_word = false;
        } else if byte == separator {
            at_start_of_word = true;
            first_word = false;
        } else if !(byte.is_ascii_lowercase() || byte.is_ascii_digit() || (underscore_inside && byte == b'_'))
        {
            return false;
        }
        index += 1;
    }
    !at_start_of_word
}

/// What was given, short enough for one line of an error.
fn shorten(text: &str) -> String {
    const CHARS_MAX: usize = 60;
    if text.chars().count() <= CHARS_MAX {
        return text.escape_debug().to_string();
    }
    let head: String = text.chars().take(CHARS_MAX).collect();
    format!("{}…", head.escape_debug())
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn a_name_is_lowercase_words_with_its_separator() {
        for good in ["crm", "crm-eu", "crm-2", "c1"] {
            assert!(ConnectorName::parse(good).is_ok(), "{good}");
        }
        for bad in ["", "Crm", "crm_eu", "-crm", "crm-", "crm--eu", "1crm", "crm eu", "crm/../x", "é"] {
            assert!(ConnectorName::parse(bad).is_err(), "{bad}");
        }
        assert!(ObjectType::parse("cms.user_role").is_ok());
        assert!(ObjectType::parse("cms..user").is_err());
        assert!(Kind::parse("order_line").is_ok());
        assert!(SiteName::parse("Corp.EU-1").is_ok());
        assert!(SiteName::parse("a/b").is_err());
    }

    #[test]
    fn a_culture_is_itself_in_any_case_and_stays_as_written() {
        let set: HashSet<Culture> = ["en-US", "EN-us", "de"].map(|text| Culture::parse(text).unwrap()).into();
        assert_eq!(set.len(), 2);
        let mut sorted = ["en-US", "de-DE", "DE-at"].map(|text| Culture::parse(text).unwrap());
        sorted.sort();
        assert_eq!(sorted.each_ref().map(Culture::as_str), ["DE-at", "de-DE", "en-US"]);
        for bad in ["", "e", "en_US", "en-", "-US", "en--US", "en US", "\u{e9}n", &"x".repeat(36)] {
            assert!(Culture::parse(bad).is_err(), "{bad}");
        }
        assert_eq!(
            Culture::parse("en_US").unwrap_err().to_string(),
            "`en_US` is not a culture: use letters and digits joined by `-`, such as `en-US`"
        );
    }

    #[test]
    fn an_alias_is_one_part_of_a_path() {
        for good in ["Launch", "50% off_now", "ü", "a.b-c", &"ü".repeat(100)] {
            assert!(Alias::parse(good).is_ok(), "{good}");
        }
        for bad in ["", "a/b", " a", "a ", "a\tb", "a\0", &"x".repeat(101)] {
            assert!(Alias::parse(bad).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn a_bad_name_says_what_it_is_and_what_would_do() {
        let error = ConnectorName::parse("Crm EU").unwrap_err();
        assert_eq!(
            error.to_string(),
            "`Crm EU` is not a connector name: use lowercase words joined by `-`, such as `crm-eu`"
        );
        let long = ConnectorName::parse("x".repeat(5000)).unwrap_err().to_string();
        assert!(long.len() < 300, "{long}");
    }
}
