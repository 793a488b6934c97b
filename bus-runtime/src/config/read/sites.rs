//! The sites that the file registers.

use bus_core::{Culture, Site};

use super::table::Section;
use super::{display_name, home};
use crate::sites::SITE_CULTURES_MAX;

pub(super) const KEYS: &[&str] = &["display_name", "cultures"];

pub(super) fn sites(section: &Section<'_>) -> Vec<Site> {
    let named = section.entries().filter_map(|(name, value)| match Site::new(name) {
        Err(error) => {
            section.wrong(name, error.to_string());
            None
        }
        Ok(named) => section.as_section(name, value.get_ref()).map(|section| site(named, &section)),
    });
    named.collect()
}

fn site(mut site: Site, section: &Section<'_>) -> Site {
    section.only(KEYS, |key| home(key, "NAME"));
    if let Some(display_name) = display_name(section) {
        site = site.display_name(display_name);
    }
    let given = section.texts("cultures");
    if given.len() > SITE_CULTURES_MAX {
        let count = given.len();
        section.wrong(
            "cultures",
            format!("`cultures` has {count} entries, more than {SITE_CULTURES_MAX}; remove some"),
        );
    }
    for (culture, at) in given {
        match Culture::parse(culture) {
            Err(error) => section.wrong_at(at, error.to_string()),
            Ok(culture) if site.speaks(&culture) => {
                section.wrong_at(at, format!("`{culture}` stands here for the second time; remove one"));
            }
            Ok(culture) => site.cultures.push(culture),
        }
    }
    site
}
