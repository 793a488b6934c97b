//! A TOML table on its way to being understood: what is asked of it, what it is not, and where that stands.

use std::cell::RefCell;
use std::fmt::Write as _;
use std::path::Path;

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::range::Range;
use crate::error::{BusError, BusErrorKind};
use crate::suggest::{list, nearest};

/// The most mistakes that are printed; who made more than these repairs them in several rounds.
const MISTAKES_MAX: usize = 50;

/// What a text is called that came from no file.
const NO_FILE: &str = "configuration";

/// What is wrong with a file, and where: byte offset and message.
pub(super) struct Mistakes<'t> {
    text: &'t str,
    file: String,
    noted: RefCell<Vec<(usize, String)>>,
}

impl<'t> Mistakes<'t> {
    pub(super) fn new(text: &'t str, file: Option<&Path>) -> Self {
        let file = file.map_or_else(|| NO_FILE.to_owned(), |file| file.display().to_string());
        Self { text, file, noted: RefCell::default() }
    }

    pub(super) fn note(&self, at: usize, message: String) {
        self.noted.borrow_mut().push((at, message));
    }

    /// All that was noted, in the order of the file, as one error: `bus.toml:12:3: …`, a line each.
    pub(super) fn report(&self) -> Result<(), BusError> {
        let mut noted = self.noted.borrow().clone();
        if noted.is_empty() {
            return Ok(());
        }
        noted.sort();
        noted.dedup();
        let file = &self.file;
        let lines = noted.iter().take(MISTAKES_MAX).map(|(at, message)| {
            let (line, column) = place(self.text, *at);
            format!("{file}:{line}:{column}: {message}")
        });
        let lines: Vec<String> = lines.collect();
        let message = match (&lines[..], noted.len()) {
            ([line], 1) => line.clone(),
            (lines, count) => {
                let mut message = format!("{file} has {count} mistakes:\n  {}", lines.join("\n  "));
                if count > lines.len() {
                    let _ = write!(message, "\n  and {} more", count - lines.len());
                }
                message
            }
        };
        Err(BusError::new(BusErrorKind::Config, message))
    }
}

/// Line and column of a byte offset, both from 1; columns are characters.
pub(super) fn place(text: &str, at: usize) -> (usize, usize) {
    let at = (0..=at.min(text.len())).rev().find(|&at| text.is_char_boundary(at)).unwrap_or(0);
    let before = &text[..at];
    let line_start = before.rfind('\n').map_or(0, |newline| newline + 1);
    (before.matches('\n').count() + 1, before[line_start..].chars().count() + 1)
}

/// A table, with its name for messages.
pub(super) struct Section<'t> {
    mistakes: &'t Mistakes<'t>,
    /// `connectors.crm`; empty at the top of the file.
    name: String,
    table: &'t DeTable<'t>,
}

impl<'t> Section<'t> {
    pub(super) fn top(mistakes: &'t Mistakes<'t>, table: &'t DeTable<'t>) -> Self {
        Self { mistakes, name: String::new(), table }
    }

    /// How many mistakes are noted, anywhere.
    pub(super) fn mistakes(&self) -> usize {
        self.mistakes.noted.borrow().len()
    }

    /// Notes a mistake at a key of this table.
    pub(super) fn wrong(&self, key: &str, message: String) {
        let at = self.table.get_key_value(key).map_or(0, |(key, _)| key.span().start);
        self.wrong_at(at, message);
    }

    pub(super) fn wrong_at(&self, at: usize, message: String) {
        self.mistakes.note(at, message);
    }

    pub(super) fn has(&self, key: &str) -> bool {
        self.table.contains_key(key)
    }

    /// Notes every key that is not one of these, with what `elsewhere` knows of it, the nearest, or all of them.
    pub(super) fn only(&self, known: &[&str], elsewhere: impl Fn(&str) -> Option<String>) {
        for (key, _) in self.entries().filter(|(key, _)| !known.contains(key)) {
            let remedy = elsewhere(key)
                .or_else(|| {
                    nearest(key, known.iter().copied()).map(|known| format!("did you mean `{known}`?"))
                })
                .unwrap_or_else(|| format!("known here: {}", list(known)));
            let place = self.place();
            self.wrong(key, format!("unknown key {} {place}; {remedy}", quoted(key)));
        }
    }

    /// All keys with their values, in the order of the file.
    pub(super) fn entries(&self) -> impl Iterator<Item = (&'t str, &'t Spanned<DeValue<'t>>)> + use<'t> {
        let mut entries: Vec<_> = self.table.iter().collect();
        entries.sort_by_key(|(key, _)| key.span().start);
        entries.into_iter().map(|(key, value)| (key.get_ref().as_ref(), value))
    }

    pub(super) fn text(&self, key: &str) -> Option<&'t str> {
        let value = self.get(key)?;
        let text = value.as_str();
        if text.is_none() {
            self.refuse(key, value, "write a text in quotation marks");
        }
        text
    }

    /// The texts of a list, each with its place.
    pub(super) fn texts(&self, key: &str) -> Vec<(&'t str, usize)> {
        let Some(value) = self.get(key) else { return Vec::new() };
        let Some(items) = value.as_array() else {
            self.refuse(key, value, "write a list of texts, such as `[\"en-US\", \"de-DE\"]`");
            return Vec::new();
        };
        let text = |item: &'t Spanned<DeValue<'t>>| {
            let (at, text) = (item.span().start, item.get_ref().as_str());
            if text.is_none() {
                let given = describe(item.get_ref());
                self.wrong_at(at, format!("`{key}` has {given} in it; write a text in quotation marks"));
            }
            Some((text?, at))
        };
        items.iter().filter_map(text).collect()
    }

    pub(super) fn flag(&self, key: &str) -> Option<bool> {
        let value = self.get(key)?;
        let flag = value.as_bool();
        if flag.is_none() {
            self.refuse(key, value, "write `true` or `false`, without quotation marks");
        }
        flag
    }

    /// One of these words, for what it stands for.
    pub(super) fn choice<T: Copy>(&self, key: &str, choices: &[(&'static str, T)]) -> Option<T> {
        let given = self.text(key)?;
        let chosen = choices.iter().find(|(word, _)| *word == given).map(|(_, chosen)| *chosen);
        if chosen.is_none() {
            let words: Vec<&str> = choices.iter().map(|(word, _)| *word).collect();
            let remedy = nearest(given, words.iter().copied())
                .map_or_else(|| format!("write {}", list(&words)), |word| format!("did you mean `{word}`?"));
            self.wrong(key, format!("`{key}` is {}; {remedy}", quoted(given)));
        }
        chosen
    }

    /// A whole number within its range.
    pub(super) fn whole(&self, range: &Range) -> Option<u64> {
        let value = self.get(range.key)?;
        let Some(number) = value.as_integer() else {
            self.refuse(range.key, value, "write a whole number, without quotation marks");
            return None;
        };
        let given = u64::from_str_radix(number.as_str(), number.radix()).ok();
        let fault = given.map_or_else(|| Some(range.refuse(&number.to_string())), |given| range.fault(given));
        match fault {
            Some(fault) => {
                self.wrong(range.key, fault);
                None
            }
            None => given,
        }
    }

    /// A number, whole or not, in which `fault` finds none.
    pub(super) fn number(&self, key: &str, fault: impl Fn(f64) -> Option<String>) -> Option<f64> {
        let value = self.get(key)?;
        let given = match value {
            DeValue::Float(number) => number.as_str().parse::<f64>().ok(),
            DeValue::Integer(number) if number.radix() == 10 => number.as_str().parse::<f64>().ok(),
            _ => None,
        };
        let Some(given) = given else {
            self.refuse(key, value, "write a number, without quotation marks");
            return None;
        };
        if let Some(fault) = fault(given) {
            self.wrong(key, fault);
            return None;
        }
        Some(given)
    }

    pub(super) fn section(&self, key: &str) -> Option<Self> {
        self.as_section(key, self.get(key)?)
    }

    /// The table that an entry is.
    pub(super) fn as_section(&self, key: &str, value: &'t DeValue<'t>) -> Option<Self> {
        let name = if self.name.is_empty() { key.to_owned() } else { format!("{}.{key}", self.name) };
        let Some(table) = value.as_table() else {
            let remedy = match name.as_str() {
                "connectors" => "write a table [connectors.NAME] for each connector".to_owned(),
                "sites" => "write a table [sites.NAME] for each site".to_owned(),
                name => format!("write it as [{name}], with a line for each key below"),
            };
            self.refuse(key, value, &remedy);
            return None;
        };
        Some(Self { mistakes: self.mistakes, name, table })
    }

    fn get(&self, key: &str) -> Option<&'t DeValue<'t>> {
        self.table.get(key).map(Spanned::get_ref)
    }

    /// Notes that a value is not what it should be. What it is stays untold: it may be a secret in the wrong place.
    fn refuse(&self, key: &str, value: &DeValue<'_>, remedy: &str) {
        self.wrong(key, format!("`{key}` is {}; {remedy}", describe(value)));
    }

    fn place(&self) -> String {
        if self.name.is_empty() { "at the top of the file".to_owned() } else { format!("in [{}]", self.name) }
    }
}

fn describe(value: &DeValue<'_>) -> &'static str {
    match value {
        DeValue::String(_) => "a text",
        DeValue::Integer(_) => "a whole number",
        DeValue::Float(_) => "a number with a fraction",
        DeValue::Boolean(true) => "`true`",
        DeValue::Boolean(false) => "`false`",
        DeValue::Datetime(_) => "a date or time",
        DeValue::Array(_) => "a list",
        DeValue::Table(_) => "a table",
    }
}

/// A text from the file, fit for a line of a message.
pub(super) fn quoted(text: &str) -> String {
    const CHARS_MAX: usize = 60;
    let head: String = text.chars().take(CHARS_MAX).collect();
    let more = if head.len() < text.len() { "…" } else { "" };
    format!("`{}{more}`", head.escape_debug())
}
