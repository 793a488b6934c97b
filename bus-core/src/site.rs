//! Sites: the tenants of the host.

use serde::{Deserialize, Serialize};

use crate::name::{Culture, NameError, SiteName};

/// A tenant of the host. Objects may belong to one, or be global and assigned to several.
///
/// ```
/// use bus_core::Site;
///
/// let corp = Site::new("corp")?.display_name("Corporate").cultures(["en-US", "de-DE"])?;
/// assert_eq!((corp.name.as_str(), corp.cultures.len()), ("corp", 2));
/// # Ok::<(), bus_core::NameError>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Site {
    /// What it is called in tasks, subscriptions and configuration. Case counts.
    pub name: SiteName,
    /// What people call it.
    pub display_name: String,
    /// The cultures that it speaks, each once.
    pub cultures: Vec<Culture>,
}

impl Site {
    /// The site of this name, which people call so, too, and which speaks no culture yet.
    pub fn new(name: impl Into<String>) -> Result<Self, NameError> {
        let name = SiteName::parse(name)?;
        Ok(Self { display_name: name.to_string(), name, cultures: Vec::new() })
    }

    /// What people call it.
    #[must_use]
    pub fn display_name(mut self, display_name: impl Into<String>) -> Self {
        self.display_name = display_name.into();
        self
    }

    /// The cultures that it speaks, and no others; the first spelling of each counts.
    pub fn cultures<C: Into<String>>(
        mut self,
        cultures: impl IntoIterator<Item = C>,
    ) -> Result<Self, NameError> {
        self.cultures.clear();
        for culture in cultures {
            let culture = Culture::parse(culture)?;
            if !self.speaks(&culture) {
                self.cultures.push(culture);
            }
        }
        Ok(self)
    }

    /// Whether this is one of its cultures.
    pub fn speaks(&self, culture: &Culture) -> bool {
        self.cultures.contains(culture)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_site_is_named_and_speaks_each_culture_once() {
        let site = Site::new("corp").unwrap().cultures(["en-US", "EN-us", "de-DE"]).unwrap();
        assert_eq!(site.display_name, "corp");
        let cultures: Vec<_> = site.cultures.iter().map(Culture::as_str).collect();
        assert_eq!(cultures, ["en-US", "de-DE"]);
        assert!(
            site.speaks(&Culture::parse("DE-de").unwrap()) && !site.speaks(&Culture::parse("de").unwrap())
        );
        let site = site.cultures(["fr"]).unwrap().display_name("Corporate");
        assert_eq!((site.display_name.as_str(), site.cultures.len()), ("Corporate", 1));
    }

    #[test]
    fn what_is_no_name_is_refused_with_what_would_do() {
        let error = Site::new("corp/eu").unwrap_err().to_string();
        assert!(error.starts_with("`corp/eu` is not a site name"), "{error}");
        let error = Site::new("corp").unwrap().cultures(["en-US", "german!"]).unwrap_err().to_string();
        assert!(error.starts_with("`german!` is not a culture"), "{error}");
    }
}
