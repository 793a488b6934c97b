//! What ISO publishes, in the shape in which it travels.

use rust_iso3166::iso3166_2::SUBDIVISION_COUNTRY_MAP;
use serde::{Deserialize, Serialize};

/// A record of ISO 3166-1.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct IsoCountry {
    /// The alpha-2 code: what identifies it.
    pub alpha2: String,
    /// The alpha-3 code.
    pub alpha3: String,
    /// The numeric code.
    pub numeric: u16,
    /// The English short name.
    pub name: String,
}

/// A record of ISO 3166-2.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct IsoSubdivision {
    /// The code: what identifies it.
    pub code: String,
    /// The name.
    pub name: String,
    /// What it is to its country.
    pub category: String,
    /// The alpha-2 code of its country.
    pub country: String,
}

/// All countries that are published, by alpha-2 code.
pub fn countries() -> Vec<IsoCountry> {
    let published = rust_iso3166::ALL_ALPHA2.iter().copied().filter_map(rust_iso3166::from_alpha2);
    let mut countries: Vec<_> = published
        .map(|country| IsoCountry {
            alpha2: country.alpha2.to_owned(),
            alpha3: country.alpha3.to_owned(),
            numeric: country.numeric,
            name: country.name.to_owned(),
        })
        .collect();
    countries.sort_unstable_by(|one, two| one.alpha2.cmp(&two.alpha2));
    countries
}

/// All subdivisions that are published, by code.
pub fn subdivisions() -> Vec<IsoSubdivision> {
    let mut subdivisions: Vec<_> = SUBDIVISION_COUNTRY_MAP
        .values()
        .copied()
        .flatten()
        .map(|subdivision| IsoSubdivision {
            code: subdivision.code.to_owned(),
            name: subdivision.name.to_owned(),
            category: subdivision.subdivision_type.to_owned(),
            country: subdivision.country_code.to_owned(),
        })
        .collect();
    subdivisions.sort_unstable_by(|one, two| one.code.cmp(&two.code));
    subdivisions
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn everything_that_is_published_is_there_once_and_every_country_that_is_referred_to_exists() {
        let countries = countries();
        let subdivisions = subdivisions();
        assert_eq!(countries.len(), 249);
        assert_eq!(subdivisions.len(), 5_046);
        assert_eq!(subdivisions.len(), rust_iso3166::iso3166_2::SUBDIVISION_MAP.len());

        let known: BTreeSet<_> = countries.iter().map(|country| country.alpha2.as_str()).collect();
        assert_eq!(known.len(), countries.len(), "each alpha-2 code stands once");
        let codes: BTreeSet<_> = subdivisions.iter().map(|subdivision| subdivision.code.as_str()).collect();
        assert_eq!(codes.len(), subdivisions.len(), "each code stands once");

        let divided: BTreeSet<_> =
            subdivisions.iter().map(|subdivision| subdivision.country.as_str()).collect();
        assert_eq!(
            divided.difference(&known).count(),
            0,
            "nothing refers to a country that is not published"
        );
        assert_eq!(divided.len(), 200, "the other 49 countries are not divided");
    }

    #[test]
    fn no_name_and_no_code_is_empty_or_padded() {
        let is_neat = |text: &str| !text.is_empty() && text.trim() == text;
        for country in countries() {
            assert!(is_neat(&country.name) && is_neat(&country.alpha3), "{country:?}");
        }
        for subdivision in subdivisions() {
            assert!(is_neat(&subdivision.name) && is_neat(&subdivision.category), "{subdivision:?}");
            assert!(subdivision.code.starts_with(&format!("{}-", subdivision.country)), "{subdivision:?}");
        }
    }
}
