//! Sites, and what can be wrong with them.

use bus_core::Site;

use super::{check_refused, good};

#[test]
fn sites_are_read_in_the_order_of_the_file() {
    let config = good(
        "[sites.corp]\ndisplay_name = \"Corporate\"\ncultures = [\"en-US\", \"de-DE\"]\n[sites.branch]\n[sites.\"a.b\"]\n",
    );
    let corp = Site::new("corp").unwrap().display_name("Corporate").cultures(["en-US", "de-DE"]).unwrap();
    assert_eq!(config.sites, [corp, Site::new("branch").unwrap(), Site::new("a.b").unwrap()]);
}

#[test]
fn mistakes_of_sites_are_refused_each_at_its_place() {
    check_refused(
        "[sites.\"a/b\"]\n[sites.corp]\ncolour = 1\ndisplay_name = \" \"\ncultures = [\"en-US\",\n  \"german!\", 5, \"EN-us\"]\n",
        &[
            "1:8: `a/b` is not a site name: use letters, digits, `-`, `_` and `.`, such as `corp`",
            "3:1: unknown key `colour` in [sites.corp]; known here: `display_name` or `cultures`",
            "4:1: `display_name` is empty; write what people call it, or leave it out",
            "6:3: `german!` is not a culture: use letters and digits joined by `-`, such as `en-US`",
            "6:14: `cultures` has a whole number in it; write a text in quotation marks",
            "6:17: `EN-us` stands here for the second time; remove one",
        ],
    );
    check_refused(
        "sites = 3\n",
        &["1:1: `sites` is a whole number; write a table [sites.NAME] for each site"],
    );
    check_refused(
        "[sites]\ncorp = \"Corporate\"\n",
        &["2:1: `corp` is a text; write it as [sites.corp], with a line for each key below"],
    );
    check_refused(
        "[sites.corp]\ncultures = \"en-US\"\n",
        &["2:1: `cultures` is a text; write a list of texts, such as `[\"en-US\", \"de-DE\"]`"],
    );
    let many: Vec<String> = (0..201).map(|number| format!("\"x{number}\"")).collect();
    let many = format!("[sites.corp]\ncultures = [{}]\n", many.join(", "));
    check_refused(&many, &["2:1: `cultures` has 201 entries, more than 200; remove some"]);
    check_refused(
        "cultures = []\n[connectors.crm]\ncultures = []\n",
        &[
            "1:1: unknown key `cultures` at the top of the file; it belongs in [sites.NAME]",
            "3:1: unknown key `cultures` in [connectors.crm]; it belongs in [sites.NAME]",
        ],
    );
}
