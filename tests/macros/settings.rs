//! What `#[derive(Settings)]` comes to: the operator's form.

use std::collections::BTreeMap;
use std::path::PathBuf;

use bus_core::settings::SettingType;
use bus_core::{NoSettings, Secret, Settings};
use serde::Deserialize;
use serde_json::json;

/// What the struct is for is not shown: the connector's summary says it.
#[derive(Deserialize, Settings)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
#[expect(dead_code, reason = "only their form is looked at")]
struct CrmSettings {
    /// Where the CRM answers,
    /// such as `https://crm.example.com`.
    ///
    /// Without a slash at the end.
    base_url: String,
    /// The key made under "API access".
    #[serde(rename = "token")]
    api_key: Secret,
    /// A second key.
    spare_key: Option<Secret>,
    /// How many contacts at once.
    #[serde(default = "ten")]
    batch: u16,
    #[doc = "What to do with strangers."]
    #[serde(default)]
    strangers: Strangers,
    /// Which lists to read.
    lists: Vec<String>,
    /// Fields of ours by fields of theirs.
    fields: BTreeMap<String, String>,
    /// How to reach it.
    proxy: Option<Proxy>,
    #[serde(skip)]
    cache: Vec<PathBuf>,
}

fn ten() -> u16 {
    10
}

#[derive(Debug, Default, PartialEq, Deserialize, Settings)]
#[serde(rename_all = "snake_case")]
enum Strangers {
    #[default]
    Ignore,
    TakeOver,
    #[serde(rename = "ask")]
    AskSomebody,
    #[serde(skip)]
    #[expect(dead_code, reason = "it is no choice")]
    Unknown,
}

/// A form within a form.
#[derive(Deserialize, Settings)]
#[serde(default)]
#[derive(Default)]
struct Proxy {
    /// Its host.
    host: String,
    /// Its port.
    port: u16,
    /// Where its certificate lies.
    certificate: PathBuf,
}

#[derive(Deserialize, Settings)]
struct Nothing {}

#[test]
fn the_form_is_the_one_that_is_committed() {
    let schema = serde_json::to_string_pretty(&CrmSettings::schema()).unwrap();
    insta::assert_snapshot!("crm_settings", schema);
}

#[test]
fn required_is_what_has_neither_option_nor_default() {
    assert_eq!(CrmSettings::schema()["required"], json!(["base-url", "token", "lists", "fields"]));
    assert_eq!(Proxy::schema()["required"], json!([]), "the default of the struct stands for all of them");
}

#[test]
fn the_form_keeps_the_order_of_the_fields() {
    let schema = CrmSettings::schema();
    let mut fields: Vec<_> = schema["properties"].as_object().unwrap().iter().collect();
    fields.sort_by_key(|(_, field)| field["x-order"].as_u64());
    let names: Vec<_> = fields.iter().map(|(name, _)| name.as_str()).collect();
    assert_eq!(names, ["base-url", "token", "spare-key", "batch", "strangers", "lists", "fields", "proxy"]);
}

#[test]
fn a_secret_is_marked_wherever_it_stands() {
    let properties = &CrmSettings::schema()["properties"];
    assert_eq!(properties["token"]["x-bus-secret"], true);
    assert_eq!(properties["spare-key"]["x-bus-secret"], true);
    assert_eq!(properties["base-url"].get("x-bus-secret"), None);
}

#[test]
fn what_the_form_offers_serde_reads() {
    for (word, expected) in
        [("ignore", Strangers::Ignore), ("take_over", Strangers::TakeOver), ("ask", Strangers::AskSomebody)]
    {
        assert_eq!(serde_json::from_value::<Strangers>(json!(word)).unwrap(), expected);
    }
    assert_eq!(Strangers::setting_schema()["enum"], json!(["ignore", "take_over", "ask"]));

    let settings: CrmSettings = serde_json::from_value(json!({
        "base-url": "https://crm.example.com",
        "token": "s3cret",
        "lists": [],
        "fields": {},
        "proxy": { "host": "proxy" },
    }))
    .unwrap();
    assert_eq!((settings.batch, settings.api_key.expose()), (10, "s3cret"));
}

#[test]
fn a_form_without_questions_is_the_form_of_no_settings() {
    let mut nothing = Nothing::schema();
    nothing.as_object_mut().unwrap().remove("required");
    assert_eq!(nothing, NoSettings::schema());
}
