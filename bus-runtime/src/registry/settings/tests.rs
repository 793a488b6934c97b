use super::*;
use bus_core::settings::{NoSettings, Settings};
use serde_json::json;

fn schema() -> Value {
    json!({
        "type": "object",
        "properties": {
            "base_url": { "type": "string", "description": "Where the CRM answers, such as `https://crm.example.com`.\nMore." },
            "api_key": { "type": "string", "x-bus-secret": true, "description": "The key." },
            "port": { "type": "integer", "minimum": 0, "maximum": 65_535 },
            "at_least": { "type": "integer", "minimum": 0 },
            "ratio": { "type": "number" },
            "verbose": { "type": "boolean" },
            "region": { "type": "string", "enum": ["eu", "us"] },
            "pages": { "type": "array", "items": { "type": "string" } },
            "proxy": {
                "type": "object",
                "properties": { "host": { "type": "string" }, "pin": { "type": "string", "x-bus-secret": true } },
                "required": ["host"],
                "additionalProperties": false,
            },
            "extra": { "type": "object", "additionalProperties": { "type": "integer" } },
            "pass": { "$ref": "#/$defs/text", "x-bus-secret": true },
        },
        "required": ["base_url", "api_key"],
        "additionalProperties": false,
        "$defs": { "text": { "type": "string", "minLength": 8 } },
    })
}

/// Settings that are right, with these in their place.
fn with(others: Value) -> Value {
    let mut settings = json!({ "base_url": "https://crm", "api_key": "s3cret" });
    let Value::Object(others) = others else { panic!("an object") };
    settings.as_object_mut().unwrap().extend(others);
    settings
}

#[test]
fn what_the_schema_asks_for_is_taken() {
    let full = json!({
        "port": 443, "ratio": 1, "verbose": true, "region": "eu", "pages": ["a"], "proxy": { "host": "p" },
        "extra": { "anything": 1 }, "pass": "long enough",
    });
    for settings in [with(json!({})), with(full)] {
        assert_eq!(check(&schema(), &settings), Ok(()), "{settings}");
    }
}

#[test]
fn nothing_is_an_empty_table() {
    assert_eq!(check(&NoSettings::schema(), &Value::Null), Ok(()));
    assert_eq!(check(&NoSettings::schema(), &json!({})), Ok(()));
    let faults = check(&schema(), &Value::Null).unwrap_err();
    assert_eq!(
        faults,
        [
            "settings.base_url: it is missing; add a text: Where the CRM answers, such as \
             `https://crm.example.com`.",
            "settings.api_key: it is missing; add a secret, best as { env = \"NAME\" } or { file = \"path\" }: \
             The key.",
        ]
    );
    assert_eq!(
        check(&NoSettings::schema(), &json!({ "base_url": "x" })).unwrap_err(),
        ["settings.base_url: there is no such setting; there are none here, remove it"]
    );
}

#[test]
fn each_fault_names_place_reason_and_remedy() {
    #[rustfmt::skip]
    let rows = vec![
        (json!({ "base_url": 17 }), "settings.base_url: 17 is not a text; write a text in quotation marks"),
        (json!({ "base_url": [1] }), "settings.base_url: the given list is not a text; write a text in quotation marks"),
        (json!({ "api_key": 1234 }), "settings.api_key: the given value (a secret) is not a text; write a text in quotation marks"),
        (json!({ "port": "https" }), "settings.port: the given text is not a whole number; write a whole number without quotation marks"),
        (json!({ "port": 1.5 }), "settings.port: 1.5 is not a whole number; write a whole number"),
        (json!({ "port": 70_000 }), "settings.port: 70000 is more than 65535; write 0 to 65535"),
        (json!({ "port": -1 }), "settings.port: -1 is less than 0; write 0 to 65535"),
        (json!({ "at_least": -1 }), "settings.at_least: -1 is less than 0; write at least 0"),
        (json!({ "ratio": true }), "settings.ratio: true is not a number; write a number"),
        (json!({ "verbose": "true" }), "settings.verbose: the given text is not `true` or `false`; write `true` or `false` without quotation marks"),
        (json!({ "region": "asia" }), "settings.region: the given text is not one of the choices; write \"eu\" or \"us\""),
        (json!({ "pages": "a" }), "settings.pages: the given text is not a list; write a list"),
        (json!({ "pages": ["a", 2] }), "settings.pages[1]: 2 is not a text; write a text in quotation marks"),
        (json!({ "proxy": 3 }), "settings.proxy: 3 is not a table; write a table"),
        (json!({ "proxy": {} }), "settings.proxy.host: it is missing; add a text"),
        (json!({ "proxy": { "host": "p", "pin": 99 } }), "settings.proxy.pin: the given value (a secret) is not a text; write a text in quotation marks"),
        (json!({ "proxy": { "host": "p", "hots": 1 } }), "settings.proxy.hots: there is no such setting; did you mean `host`?"),
        (json!({ "proxy": { "host": "p", "other": 1 } }), "settings.proxy.other: there is no such setting; known here: `host` or `pin`"),
        (json!({ "extra": { "a\nb": "x" } }), "settings.extra.a\\nb: the given text is not a whole number; write a whole number without quotation marks"),
        (json!({ "pass": "s3cret" }), "settings.pass: the given value (a secret) is too short; write at least 8 characters"),
        (json!({ "Base-URL": "x" }), "settings.Base-URL: there is no such setting; did you mean `base_url`?"),
    ];
    for (others, expected) in rows {
        assert_eq!(check(&schema(), &with(others.clone())).unwrap_err(), [expected], "{others}");
    }
}

#[test]
fn all_faults_are_reported_at_once_and_no_text_is_repeated() {
    let settings = json!({
        "base_url": 17, "api_kye": "s3cret", "port": "s3cret", "region": "s3cret", "pages": ["x", 1], "pass": "s3cret",
    });
    let faults = check(&schema(), &settings).unwrap_err();
    assert_eq!(faults.len(), 7, "{faults:#?}");
    assert!(!faults.concat().contains("s3cret"), "{faults:#?}");
    let many: Vec<Value> = (0..1_000).map(Value::from).collect();
    let faults = check(&schema(), &with(json!({ "pages": many }))).unwrap_err();
    assert_eq!(faults.len(), 51);
    assert_eq!(faults[50], "settings: and 950 more faults");
}

#[test]
fn settings_in_other_words_of_the_schema_are_not_repeated_either() {
    let value = |schema: Value| json!({ "type": "object", "properties": { "x": schema } });
    let secret = "s3cret";
    let rows = vec![
        (value(json!({ "anyOf": [{ "type": "integer" }, { "type": "boolean" }] })), json!(secret)),
        (value(json!({ "oneOf": [{ "type": "string" }, { "minLength": 1 }] })), json!(secret)),
        (value(json!({ "not": { "type": "string" } })), json!(secret)),
        (value(json!({ "const": "other" })), json!(secret)),
        (value(json!({ "pattern": "^x$" })), json!(secret)),
        (value(json!({ "maxLength": 2 })), json!(secret)),
        (value(json!({ "type": ["integer", "boolean"] })), json!(secret)),
        (value(json!({ "contains": { "type": "integer" } })), json!([secret])),
        (value(json!({ "uniqueItems": true })), json!([secret, secret])),
        (value(json!({ "maxProperties": 0 })), json!({ "a": secret })),
        (value(json!({ "x-bus-secret": true, "multipleOf": 2 })), json!(1_234_567)),
        (value(json!({ "x-bus-secret": true, "items": { "maximum": 2 } })), json!([1_234_567])),
        (value(json!(false)), json!(secret)),
    ];
    for (schema, given) in rows {
        let faults = check(&schema, &json!({ "x": given })).unwrap_err();
        assert!(faults[0].starts_with("settings.x"), "{faults:?}");
        assert!(!faults.concat().contains(secret) && !faults.concat().contains("1234567"), "{faults:?}");
    }
}

#[test]
fn a_schema_that_is_none_is_its_authors_fault() {
    let faults = check(&json!({ "type": 17 }), &json!({})).unwrap_err();
    assert_eq!(faults.len(), 1);
    assert!(faults[0].starts_with("settings: the connector describes its settings wrongly ("), "{faults:?}");
}
