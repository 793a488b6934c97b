//! Whether settings are what their connector asks for.

use std::fmt;

use crate::suggest::{list, nearest};
use jsonschema::ValidationError;
use jsonschema::error::{TypeKind, ValidationErrorKind};
use jsonschema::paths::{Location, LocationSegment};
use serde_json::{Map, Value};

/// The most faults that are reported.
const FAULTS_MAX: usize = 50;

/// The longest help text that is repeated in a message, in characters.
const HELP_CHARS_MAX: usize = 120;

/// Compares settings, their secrets resolved, with the JSON Schema of the connector's `Settings`. `null` counts as no
/// settings at all.
///
/// # Errors
///
/// All faults, a line each: `settings.base_url: 17 is not a text; write a text in quotation marks`. No line ever holds a
/// text of the settings, since each may have been a secret given by reference, nor anything of what is marked
/// `x-bus-secret`.
pub(crate) fn check(schema: &Value, settings: &Value) -> Result<(), Vec<String>> {
    let nothing = Value::Object(Map::new());
    let settings = if settings.is_null() { &nothing } else { settings };
    let validator = jsonschema::validator_for(schema).map_err(|error| {
        let reason = error.masked();
        vec![format!(
            "settings: the connector describes its settings wrongly ({reason}); its author has to repair it"
        )]
    })?;
    let mut faults: Vec<String> =
        validator.iter_errors(settings).flat_map(|error| Fault::new(schema, &error).lines()).collect();
    if faults.is_empty() {
        return Ok(());
    }
    if faults.len() > FAULTS_MAX {
        let more = faults.len() - FAULTS_MAX;
        faults.truncate(FAULTS_MAX);
        faults.push(format!("settings: and {more} more faults"));
    }
    Err(faults)
}

/// One fault, with what the schema says around it.
struct Fault<'e> {
    error: &'e ValidationError<'e>,
    /// The schema whose keyword does not hold.
    schema: Option<&'e Value>,
    is_secret: bool,
}

impl<'e> Fault<'e> {
    fn new(root: &'e Value, error: &'e ValidationError<'e>) -> Self {
        let path = error.schema_path().as_str();
        let schema = path.rsplit_once('/').and_then(|(parent, _)| root.pointer(parent));
        let is_secret = [error.schema_path(), error.evaluation_path()]
            .into_iter()
            .any(|path| leads_by_secret(root, path));
        Self { error, schema, is_secret }
    }

    fn lines(&self) -> Vec<String> {
        let place = Place(self.error.instance_path());
        match self.error.kind() {
            ValidationErrorKind::AdditionalProperties { unexpected }
            | ValidationErrorKind::UnevaluatedProperties { unexpected } => unexpected
                .iter()
                .map(|key| format!("{place}.{}: {}", key.escape_debug(), self.unknown(key)))
                .collect(),
            ValidationErrorKind::Required { property } => {
                let name = property.as_str().unwrap_or_default();
                vec![format!("{place}.{}: {}", name.escape_debug(), self.missing(name))]
            }
            _ => vec![format!("{place}: {}", self.wrong())],
        }
    }

    fn unknown(&self, key: &str) -> String {
        let known: Vec<&str> =
            self.properties().map(|all| all.keys().map(String::as_str).collect()).unwrap_or_default();
        let remedy = match nearest(key, known.iter().copied()) {
            Some(known) => format!("did you mean `{known}`?"),
            None if known.is_empty() => "there are none here, remove it".to_owned(),
            None => format!("known here: {}", list(&known)),
        };
        format!("there is no such setting; {remedy}")
    }

    fn missing(&self, name: &str) -> String {
        let schema = self.properties().and_then(|all| all.get(name));
        let kind =
            schema.and_then(|schema| schema.get("type")).and_then(Value::as_str).map_or("it", type_name);
        let is_secret = schema.is_some_and(is_marked_secret);
        let kind =
            if is_secret { "a secret, best as { env = \"NAME\" } or { file = \"path\" }" } else { kind };
        let help = schema.and_then(|schema| schema.get("description")).and_then(Value::as_str).map(help);
        let help = help.map(|help| format!(": {help}")).unwrap_or_default();
        format!("it is missing; add {kind}{help}")
    }

    /// What is wrong with a value, and what would do.
    fn wrong(&self) -> String {
        let given = self.given();
        match self.error.kind() {
            ValidationErrorKind::Type { kind } => {
                let wanted = match kind {
                    TypeKind::Single(kind) => vec![type_name(&kind.to_string())],
                    TypeKind::Multiple(kinds) => {
                        kinds.iter().map(|kind| type_name(&kind.to_string())).collect()
                    }
                };
                let wanted = wanted.join(" or ");
                let quotes = match (wanted.as_str(), self.error.instance().as_ref()) {
                    ("a text", _) => " in quotation marks",
                    ("a list" | "a table", _) | (_, Value::Array(_) | Value::Object(_)) => "",
                    (_, Value::String(_)) => " without quotation marks",
                    _ => "",
                };
                format!("{given} is not {wanted}; write {wanted}{quotes}")
            }
            ValidationErrorKind::Minimum { limit } => {
                format!("{given} is less than {limit}; {}", self.range())
            }
            ValidationErrorKind::Maximum { limit } => {
                format!("{given} is more than {limit}; {}", self.range())
            }
            ValidationErrorKind::ExclusiveMinimum { limit } => {
                format!("{given} is not more than {limit}; write more than {limit}")
            }
            ValidationErrorKind::ExclusiveMaximum { limit } => {
                format!("{given} is not less than {limit}; write less than {limit}")
            }
            ValidationErrorKind::Enum { options } => {
                let options: Vec<String> =
                    options.as_array().into_iter().flatten().map(ToString::to_string).collect();
                format!("{given} is not one of the choices; write {}", options.join(" or "))
            }
            ValidationErrorKind::Constant { expected_value } => {
                format!("{given} is not the only choice; write {expected_value}")
            }
            ValidationErrorKind::MinLength { limit } => {
                format!("{given} is too short; write at least {limit} characters")
            }
            ValidationErrorKind::MaxLength { limit } => {
                format!("{given} is too long; write at most {limit} characters")
            }
            ValidationErrorKind::Pattern { pattern } => {
                format!("{given} does not have the right form; write one that matches `{pattern}`")
            }
            ValidationErrorKind::Format { format } => {
                format!("{given} is not of the form `{format}`; write one that is")
            }
            ValidationErrorKind::MinItems { limit } => {
                format!("{given} is too short; give it at least {limit} entries")
            }
            ValidationErrorKind::MaxItems { limit } => {
                format!("{given} is too long; give it at most {limit} entries")
            }
            ValidationErrorKind::UniqueItems => format!("{given} has the same entry twice; remove one"),
            ValidationErrorKind::AnyOf { .. } | ValidationErrorKind::OneOfNotValid { .. } => {
                format!("{given} is none of what it may be; see the connector's description of it")
            }
            // The words of the library, with what was given left out of them.
            _ => format!("{}; see the connector's description of it", self.error.masked_with(given)),
        }
    }

    /// What was given, as far as a message may say it.
    fn given(&self) -> String {
        match self.error.instance().as_ref() {
            _ if self.is_secret => "the given value (a secret)".to_owned(),
            Value::Null => "nothing".to_owned(),
            Value::Bool(flag) => flag.to_string(),
            Value::Number(number) => number.to_string(),
            Value::String(_) => "the given text".to_owned(),
            Value::Array(_) => "the given list".to_owned(),
            Value::Object(_) => "the given table".to_owned(),
        }
    }

    fn range(&self) -> String {
        let limit = |keyword| self.schema.and_then(|schema| schema.get(keyword));
        match (limit("minimum"), limit("maximum")) {
            (Some(min), Some(max)) => format!("write {min} to {max}"),
            (Some(min), None) => format!("write at least {min}"),
            (None, Some(max)) => format!("write at most {max}"),
            (None, None) => "write another".to_owned(),
        }
    }

    fn properties(&self) -> Option<&'e Map<String, Value>> {
        self.schema?.get("properties")?.as_object()
    }
}

/// Whether anything on the way through the schema is marked as a secret.
fn leads_by_secret(root: &Value, path: &Location) -> bool {
    let path = path.as_str();
    let ends = path.match_indices('/').map(|(at, _)| at).chain([path.len()]);
    ends.filter_map(|end| root.pointer(&path[..end])).any(is_marked_secret)
}

fn is_marked_secret(schema: &Value) -> bool {
    schema.get("x-bus-secret").and_then(Value::as_bool).unwrap_or(false)
}

/// The JSON Schema's word for a type, in ours.
fn type_name(schema_type: &str) -> &'static str {
    match schema_type {
        "string" => "a text",
        "integer" => "a whole number",
        "number" => "a number",
        "boolean" => "`true` or `false`",
        "array" => "a list",
        "object" => "a table",
        _ => "nothing",
    }
}

/// The first line of a help text, and not too much of it.
fn help(description: &str) -> String {
    let line = description.trim().lines().next().unwrap_or_default();
    let head: String = line.chars().take(HELP_CHARS_MAX).collect();
    if head.len() < line.len() { format!("{head}…") } else { head }
}

/// `settings.pages[3].path`.
struct Place<'e>(&'e Location);

impl fmt::Display for Place<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("settings")?;
        for segment in self.0.segments() {
            match segment {
                LocationSegment::Property(name) => write!(f, ".{}", name.escape_debug())?,
                LocationSegment::Index(index) => write!(f, "[{index}]")?,
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests;
