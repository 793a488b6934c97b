//! A connector's own settings, from TOML to JSON.

use serde_json::Value;
use toml::Spanned;
use toml::de::DeValue;

use super::table::{Section, quoted};

/// The settings of a connector are its own: any table that JSON can hold. Their values are never repeated in messages,
/// because any of them may be a secret.
pub(super) fn json(settings: &Section<'_>) -> Value {
    Value::Object(
        settings.entries().map(|(key, value)| (key.to_owned(), json_value(settings, key, value))).collect(),
    )
}

/// `name` is the way to the value from the table of settings.
fn json_value(settings: &Section<'_>, name: &str, value: &Spanned<DeValue<'_>>) -> Value {
    let refused = |reason: &str| {
        settings.wrong_at(value.span().start, format!("{} {reason}", quoted(name)));
        Value::Null
    };
    match value.get_ref() {
        DeValue::String(text) => Value::from(text.as_ref()),
        DeValue::Boolean(flag) => Value::from(*flag),
        DeValue::Datetime(time) => Value::from(time.to_string()),
        DeValue::Integer(number) => {
            let (digits, radix) = (number.as_str(), number.radix());
            i64::from_str_radix(digits, radix)
                .map(Value::from)
                .or_else(|_| u64::from_str_radix(digits, radix).map(Value::from))
                .unwrap_or_else(|_| refused("is a number of more than 64 bits; write it as a text"))
        }
        DeValue::Float(number) => match number.as_str().parse::<f64>() {
            Ok(number) if number.is_finite() => Value::from(number),
            _ => refused("is no number that a setting can be; write a finite one"),
        },
        DeValue::Array(items) => {
            let items = items.iter().enumerate();
            Value::Array(
                items.map(|(index, item)| json_value(settings, &format!("{name}[{index}]"), item)).collect(),
            )
        }
        DeValue::Table(table) => {
            let entries = table.iter().map(|(key, value)| {
                let key: &str = key.get_ref();
                (key.to_owned(), json_value(settings, &format!("{name}.{key}"), value))
            });
            Value::Object(entries.collect())
        }
    }
}
