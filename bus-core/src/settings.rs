//! What an operator sets for a registered connector.

use std::collections::BTreeMap;
use std::fmt;
use std::path::PathBuf;

use secrecy::{ExposeSecret, SecretString};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Deserializer};
use serde_json::{Map, Value, json};

/// The settings of a connector. Written by `#[derive(Settings)]`: each field's doc comment becomes the
/// operator's help text, so a field without one does not compile.
///
/// ```
/// use bus_core::{Secret, Settings};
/// use serde::Deserialize;
///
/// #[derive(Deserialize, Settings)]
/// struct CrmSettings {
///     /// Where the CRM answers, such as `https://crm.example.com`.
///     base_url: String,
///     /// The key made under "API access" in the CRM.
///     api_key: Secret,
/// }
/// assert_eq!(CrmSettings::schema()["required"], serde_json::json!(["base_url", "api_key"]));
/// ```
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not the settings of a connector",
    label = "not settings",
    note = "make it a struct with `#[derive(Deserialize, Settings)]`, or use `bus_core::NoSettings` for none"
)]
pub trait Settings: DeserializeOwned + Send + Sync + 'static {
    /// Their JSON Schema: types, help texts, which are required, which are secret (`x-bus-secret`).
    fn schema() -> Value;
}

/// For a connector that needs no settings.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NoSettings {}

impl Settings for NoSettings {
    fn schema() -> Value {
        json!({ "type": "object", "properties": {}, "additionalProperties": false })
    }
}

/// Reads settings with the secrets in their places.
///
/// # Errors
///
/// The type's own words, without any text of the settings: each may be a secret.
pub(crate) fn read<S: Settings>(settings: &Value) -> Result<S, String> {
    S::deserialize(settings).map_err(|error| without_texts(error.to_string(), settings))
}

/// A message with `…` for every text of the settings that occurs in it: as it is, trimmed, or as `Debug` or JSON
/// write it.
fn without_texts(mut message: String, settings: &Value) -> String {
    let mut texts = Vec::new();
    collect_texts(settings, &mut texts);
    let mut forms: Vec<String> = Vec::new();
    for text in texts {
        for form in [text, text.trim()] {
            let json = Value::from(form).to_string();
            for quoted in [format!("{form:?}"), json] {
                forms.push(quoted.get(1..quoted.len() - 1).unwrap_or_default().to_owned());
            }
            forms.push(form.to_owned());
        }
    }
    forms.retain(|form| !form.is_empty());
    // The longest first, so that no text is left over because a part of it is another one.
    forms.sort_unstable_by(|one, other| other.len().cmp(&one.len()).then_with(|| one.cmp(other)));
    forms.dedup();
    for form in forms {
        message = message.replace(&form, "…");
    }
    message
}

fn collect_texts<'v>(value: &'v Value, texts: &mut Vec<&'v str>) {
    match value {
        Value::String(text) => texts.push(text),
        Value::Array(items) => items.iter().for_each(|item| collect_texts(item, texts)),
        Value::Object(fields) => fields.values().for_each(|field| collect_texts(field, texts)),
        _ => {}
    }
}

/// A setting that is never shown again: not in logs, not in `Debug`, not by any API.
///
/// In `bus.toml` it is best given by reference, `{ env = "CRM_KEY" }` or `{ file = "/run/secrets/crm" }`.
#[derive(Clone)]
pub struct Secret(SecretString);

impl Secret {
    /// Hides a text.
    pub fn new(text: impl Into<String>) -> Self {
        Self(SecretString::from(text.into()))
    }

    /// The text itself; name it where you use it, so that a reader sees where secrets go.
    pub fn expose(&self) -> &str {
        self.0.expose_secret()
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(…)")
    }
}

impl<'de> Deserialize<'de> for Secret {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer).map(Self::new)
    }
}

/// The type of one setting: it knows its JSON Schema.
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot be a setting",
    label = "not the type of a setting",
    note = "use text, numbers, `bool`, `PathBuf`, `Secret`, `Option`, `Vec` or `BTreeMap` of these, or a struct with `#[derive(Settings)]`"
)]
pub trait SettingType {
    /// Whether the operator must give it.
    const REQUIRED: bool = true;
    /// Its JSON Schema.
    fn setting_schema() -> Value;
}

/// One setting of a form: its name, its help text, its type.
#[derive(Debug, Clone)]
pub struct Setting {
    name: &'static str,
    description: &'static str,
    required: bool,
    schema: Value,
}

impl Setting {
    /// A setting of type `T`.
    pub fn of<T: SettingType>(name: &'static str, description: &'static str) -> Self {
        Self { name, description, required: T::REQUIRED, schema: T::setting_schema() }
    }

    /// That has a default.
    #[must_use]
    pub fn optional(mut self) -> Self {
        self.required = false;
        self
    }
}

/// The JSON Schema of a form with these settings, in this order (`x-order`).
pub fn form_schema(settings: &[Setting]) -> Value {
    let properties: Map<String, Value> = settings
        .iter()
        .enumerate()
        .map(|(order, setting)| {
            let mut schema = setting.schema.clone();
            if let Value::Object(schema) = &mut schema {
                schema.insert("description".to_owned(), Value::from(setting.description));
                schema.insert("x-order".to_owned(), Value::from(order));
            }
            (setting.name.to_owned(), schema)
        })
        .collect();
    let required: Vec<&str> =
        settings.iter().filter(|setting| setting.required).map(|setting| setting.name).collect();
    json!({
        "type": "object",
        "properties": properties,
        "required": required,
        "additionalProperties": false,
    })
}

/// The JSON Schema of a choice between these words.
pub fn choice_schema(words: &[&str]) -> Value {
    json!({ "type": "string", "enum": words })
}

macro_rules! plain_setting {
    ($($rust:ty => $schema:tt),* $(,)?) => {
        $(impl SettingType for $rust {
            fn setting_schema() -> Value {
                json!($schema)
            }
        })*
    };
}

plain_setting! {
    String => { "type": "string" },
    PathBuf => { "type": "string" },
    bool => { "type": "boolean" },
    u8 => { "type": "integer", "minimum": 0, "maximum": 255 },
    u16 => { "type": "integer", "minimum": 0, "maximum": 65_535 },
    u32 => { "type": "integer", "minimum": 0, "maximum": 4_294_967_295_u32 },
    u64 => { "type": "integer", "minimum": 0 },
    usize => { "type": "integer", "minimum": 0 },
    i32 => { "type": "integer", "minimum": (i32::MIN), "maximum": (i32::MAX) },
    i64 => { "type": "integer" },
    f64 => { "type": "number" },
    Secret => { "type": "string", "x-bus-secret": true },
}

impl<T: SettingType> SettingType for Option<T> {
    const REQUIRED: bool = false;
    fn setting_schema() -> Value {
        T::setting_schema()
    }
}

impl<T: SettingType> SettingType for Vec<T> {
    fn setting_schema() -> Value {
        json!({ "type": "array", "items": T::setting_schema() })
    }
}

impl<T: SettingType> SettingType for BTreeMap<String, T> {
    fn setting_schema() -> Value {
        json!({ "type": "object", "additionalProperties": T::setting_schema() })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_does_not_show_itself() {
        let secret: Secret = serde_json::from_str("\"s3cret\"").unwrap();
        assert_eq!(secret.expose(), "s3cret");
        assert!(!format!("{secret:?}").contains("s3cret"));
    }

    #[test]
    fn a_message_about_settings_holds_no_text_of_them() {
        let settings = json!({ "key": "s3c\"ret\n", "more": [{ "key": "s3c" }, "", 17, "ünder"] });
        let message = r#"invalid value: string "s3c\"ret\n", expected s3c"ret or 'ünder', not 17"#.to_owned();
        assert_eq!(
            without_texts(message, &settings),
            r#"invalid value: string "…", expected … or '…', not 17"#
        );
        assert_eq!(without_texts("missing field".to_owned(), &Value::Null), "missing field");
    }

    #[test]
    fn a_type_that_refuses_a_secret_does_not_tell_it() {
        #[derive(Debug, Deserialize)]
        struct Numbered {
            #[expect(dead_code, reason = "it is never read that far")]
            key: u8,
        }
        impl Settings for Numbered {
            fn schema() -> Value {
                json!({})
            }
        }
        let error = read::<Numbered>(&json!({ "key": "s3cret" })).unwrap_err();
        assert_eq!(error, "invalid type: string \"…\", expected u8");
    }
}
