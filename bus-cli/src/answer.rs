//! What is answered, as text for people or as JSON for programs.

use bus_runtime::BusError;
use serde_json::{Map, Value};

/// Why there is no answer: place, reason and remedy.
#[derive(Debug)]
pub(crate) struct Trouble(pub(crate) String);

impl From<BusError> for Trouble {
    fn from(error: BusError) -> Self {
        Self(format!("{error:?}"))
    }
}

/// What is answered.
#[derive(Debug)]
pub(crate) enum Answer {
    /// A table; what to say where it is empty.
    Rows { columns: &'static [&'static str], rows: Vec<Vec<Value>>, none: &'static str },
    /// One thing, by what is known of it.
    One(Vec<(&'static str, Value)>),
    /// A text.
    Said(String),
}

/// A value of something that has a text.
#[expect(clippy::needless_pass_by_value, reason = "it is given values and references alike")]
pub(crate) fn text(value: impl ToString) -> Value {
    Value::from(value.to_string())
}

/// The same for something that need not be there.
pub(crate) fn maybe(value: Option<impl ToString>) -> Value {
    value.map_or(Value::Null, text)
}

impl Answer {
    /// JSON: a list of objects, an object, or a text.
    pub(crate) fn json(&self) -> String {
        let object = |pairs: &mut dyn Iterator<Item = (&'static str, &Value)>| {
            Value::Object(pairs.map(|(name, value)| (name.to_owned(), value.clone())).collect::<Map<_, _>>())
        };
        let value = match self {
            Self::Rows { columns, rows, .. } => {
                rows.iter().map(|row| object(&mut columns.iter().copied().zip(row))).collect()
            }
            Self::One(parts) => object(&mut parts.iter().map(|(name, value)| (*name, value))),
            Self::Said(said) => Value::from(said.as_str()),
        };
        format!("{value:#}\n")
    }

    /// For people: columns of equal width, or a line for each part.
    pub(crate) fn text(&self) -> String {
        match self {
            Self::Rows { rows, none, .. } if rows.is_empty() => format!("{none}\n"),
            Self::Rows { columns, rows, .. } => table(columns, rows),
            Self::One(parts) => {
                let shown: Vec<_> = parts.iter().filter(|(_, value)| !value.is_null()).collect();
                let width = shown.iter().map(|(name, _)| name.len()).max().unwrap_or(0);
                let line = |(name, value): &(&str, Value)| format!("{name:<width$}  {}\n", cell(value));
                shown.into_iter().map(line).collect()
            }
            Self::Said(said) => format!("{}\n", said.trim_end()),
        }
    }
}

fn table(columns: &[&str], rows: &[Vec<Value>]) -> String {
    let head: Vec<String> = columns.iter().map(|column| column.replace('_', " ")).collect();
    let cells: Vec<Vec<String>> =
        std::iter::once(head).chain(rows.iter().map(|row| row.iter().map(cell).collect())).collect();
    let width = |column: usize| cells.iter().map(|row| row[column].chars().count()).max().unwrap_or(0);
    let widths: Vec<usize> = (0..columns.len()).map(width).collect();
    let mut table = String::new();
    for row in &cells {
        let mut line = String::new();
        for (cell, width) in row.iter().zip(&widths) {
            line.push_str(cell);
            line.extend(std::iter::repeat_n(' ', width - cell.chars().count() + 2));
        }
        table.push_str(line.trim_end());
        table.push('\n');
    }
    table
}

/// One line: what a connector says of an error can be many.
fn cell(value: &Value) -> String {
    match value {
        Value::Null => "-".to_owned(),
        Value::String(text) => text.split_whitespace().collect::<Vec<_>>().join(" "),
        other => other.to_string(),
    }
}
