//! `bus.toml`, from text to [`Config`]: every mistake is noted with its place and its remedy, and all are reported at
//! once.

mod processing;
mod range;
mod settings;
mod sites;
mod table;

use std::fs::File;
use std::io::{self, Read};
use std::path::{self, Path, PathBuf};
use std::str;
use std::time::Duration;

use bus_core::ConnectorName;
use bus_store::{ConnectorState, Switches};
use serde_json::{Map, Value};
use toml::de::DeTable;

use super::{Config, ConnectorConfig, Limits, StoreConfig, Synchronous};
use crate::error::{BusError, BusErrorKind};
use range::{DUE_MAX_MS, PAYLOAD_BYTES_MAX, SHUTDOWN_GRACE_MS, STORE_BYTES_MAX};
use table::{Mistakes, Section, quoted};

use crate::sites::DISPLAY_NAME_CHARS_MAX;
use crate::suggest::{list, nearest};

/// The longest file that is read, in bytes: whatever is longer is no configuration.
const FILE_BYTES_MAX: u64 = 1024 * 1024;

/// What is stored where, unless the file says otherwise.
const STORE_DEFAULT: &str = "bus.db";

const TOP_KEYS: &[&str] = &["store", "synchronous", "strict", "switches", "limits", "sites", "connectors"];
const SWITCH_KEYS: &[&str] = &["bus", "log_outgoing", "process_outgoing", "log_incoming", "process_incoming"];
const LIMIT_KEYS: &[&str] =
    &[PAYLOAD_BYTES_MAX.key, SHUTDOWN_GRACE_MS.key, DUE_MAX_MS.key, STORE_BYTES_MAX.key];
const CONNECTOR_KEYS: &[&str] = &["uses", "display_name", "state", "settings", "processing"];

/// Reads a file of at most 1 MiB. Paths in it are relative to its folder.
pub(super) fn from_file(path: &Path) -> Result<Config, BusError> {
    let file = path.display();
    let bytes = read_bytes(path).map_err(|error| {
        let reason = match error.kind() {
            io::ErrorKind::NotFound => not_there(path),
            io::ErrorKind::PermissionDenied => {
                "this program may not read it; change its permissions".to_owned()
            }
            io::ErrorKind::IsADirectory => "it is a directory; name the file in it".to_owned(),
            io::ErrorKind::FileTooLarge => {
                format!(
                    "it is longer than {FILE_BYTES_MAX} bytes, so it is no configuration; name another file"
                )
            }
            _ => "it cannot be read".to_owned(),
        };
        BusError::new(BusErrorKind::Config, format!("read the configuration {file}: {reason}"))
            .with_source(error)
    })?;
    let text = str::from_utf8(&bytes).map_err(|error| {
        let before = String::from_utf8_lossy(&bytes[..error.valid_up_to()]);
        let (line, column) = table::place(&before, before.len());
        let message = format!("{file}:{line}:{column}: this is not UTF-8; save the file as UTF-8");
        BusError::new(BusErrorKind::Config, message).with_source(error)
    })?;
    // Absolute, so that the store stays where it is when the program changes its working directory.
    let absolute = path::absolute(path).unwrap_or_else(|_| path.to_owned());
    from_text(text, absolute.parent().unwrap_or(Path::new("")), Some(path))
}

/// Reads a text as if it stood in a file in this folder; `file` is what messages call it.
pub(super) fn from_text(text: &str, folder: &Path, file: Option<&Path>) -> Result<Config, BusError> {
    let mistakes = Mistakes::new(text, file);
    let (document, errors) = DeTable::parse_recoverable(text);
    for error in errors {
        let at = error.span().map_or(text.len(), |span| span.start);
        mistakes.note(
            at,
            match error.message() {
                "duplicate key" => {
                    "this key or table stands here for the second time; join the two, or remove one"
                        .to_owned()
                }
                message => format!("this is not TOML: {message}"),
            },
        );
    }
    // A document that was recovered from errors misses things that are there: no second round of mistakes from it.
    mistakes.report()?;
    let config = config(&Section::top(&mistakes, document.get_ref()), folder, file);
    mistakes.report()?;
    Ok(config)
}

fn read_bytes(path: &Path) -> io::Result<Vec<u8>> {
    let file = File::open(path)?;
    if file.metadata()?.is_dir() {
        return Err(io::ErrorKind::IsADirectory.into());
    }
    let mut bytes = Vec::new();
    file.take(FILE_BYTES_MAX + 1).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > FILE_BYTES_MAX {
        return Err(io::ErrorKind::FileTooLarge.into());
    }
    Ok(bytes)
}

/// A file that is not there, and the smallest one that would do.
fn not_there(path: &Path) -> String {
    let absolute = path::absolute(path).ok().filter(|absolute| absolute != path);
    let looked = absolute.map(|absolute| format!(" (looked for {})", absolute.display())).unwrap_or_default();
    format!(
        "it is not there{looked}; create it with one line, `store = \"{STORE_DEFAULT}\"`, and a `[connectors.NAME]` \
         for each connector"
    )
}

fn config(top: &Section<'_>, folder: &Path, file: Option<&Path>) -> Config {
    top.only(TOP_KEYS, |key| home(key, "NAME"));
    let synchronous = [("full", Synchronous::Full), ("normal", Synchronous::Normal)];
    let synchronous = top.choice("synchronous", &synchronous).unwrap_or_default();
    Config {
        store: store(top, folder, synchronous),
        strict: top.flag("strict").unwrap_or(false),
        switches: top.section("switches").map(|section| switches(&section)).unwrap_or_default(),
        limits: top.section("limits").map(|section| limits(&section)).unwrap_or_default(),
        sites: top.section("sites").map(|section| sites::sites(&section)).unwrap_or_default(),
        connectors: top.section("connectors").map(|section| connectors(&section)).unwrap_or_default(),
        file: file.map(Path::to_owned),
    }
}

fn store(top: &Section<'_>, folder: &Path, synchronous: Synchronous) -> StoreConfig {
    let given = top.text("store");
    let path = match given {
        None => STORE_DEFAULT,
        Some("memory") => return StoreConfig::Memory,
        Some(given) => match store_path(given) {
            Ok(path) => path,
            Err(reason) => {
                top.wrong("store", reason);
                STORE_DEFAULT
            }
        },
    };
    let path: PathBuf = folder.join(path);
    if path.is_dir() {
        top.wrong("store", format!("`store` is the directory {}; name a file in it", path.display()));
    }
    StoreConfig::Sqlite { path, synchronous }
}

/// The file that a text means as a store, or why it means none. A text that may hold a password is never repeated.
fn store_path(given: &str) -> Result<&str, String> {
    let example = format!("write a file, such as `store = \"{STORE_DEFAULT}\"`");
    let path = match given.split_once(':') {
        Some(("sqlite", path)) => path.strip_prefix("//").unwrap_or(path),
        Some(("postgres" | "postgresql", _)) => {
            return Err(format!(
                "`store` is a PostgreSQL database, but this program is built without PostgreSQL; {example}"
            ));
        }
        Some((scheme, rest)) if rest.starts_with("//") => {
            let scheme = quoted(scheme);
            return Err(format!("`store` begins with {scheme}, which is no store that there is; {example}"));
        }
        _ => given,
    };
    if path.eq_ignore_ascii_case("memory") || path.eq_ignore_ascii_case(":memory:") {
        return Err(
            "`store` looks like the store in memory; write `store = \"memory\"` for it, or `\"./memory\"` \
                    for a file of this name"
                .to_owned(),
        );
    }
    let reason = match path {
        "" => "is empty",
        _ if path.contains('\0') => "is no path, it contains a zero byte",
        _ if path.ends_with('/') => "names a directory",
        _ if path.starts_with("~/") => "begins with `~`, which stands for itself here",
        _ => return Ok(path),
    };
    Err(format!("`store` {reason}; {example}"))
}

fn switches(section: &Section<'_>) -> Switches {
    section.only(SWITCH_KEYS, |key| home(key, "NAME"));
    let default = Switches::default();
    Switches {
        bus: section.flag("bus").unwrap_or(default.bus),
        log_outgoing: section.flag("log_outgoing").unwrap_or(default.log_outgoing),
        process_outgoing: section.flag("process_outgoing").unwrap_or(default.process_outgoing),
        log_incoming: section.flag("log_incoming").unwrap_or(default.log_incoming),
        process_incoming: section.flag("process_incoming").unwrap_or(default.process_incoming),
    }
}

fn limits(section: &Section<'_>) -> Limits {
    section.only(LIMIT_KEYS, |key| home(key, "NAME"));
    let default = Limits::default();
    let payload_bytes_max = section.whole(&PAYLOAD_BYTES_MAX).and_then(|bytes| usize::try_from(bytes).ok());
    let shutdown_grace = section.whole(&SHUTDOWN_GRACE_MS).map(Duration::from_millis);
    let due_max = section.whole(&DUE_MAX_MS).map(Duration::from_millis);
    Limits {
        payload_bytes_max: payload_bytes_max.unwrap_or(default.payload_bytes_max),
        shutdown_grace: shutdown_grace.unwrap_or(default.shutdown_grace),
        due_max: due_max.unwrap_or(default.due_max),
        store_bytes_max: section.whole(&STORE_BYTES_MAX),
    }
}

fn connectors(section: &Section<'_>) -> Vec<ConnectorConfig> {
    let named = section.entries().filter_map(|(name, value)| match ConnectorName::parse(name) {
        Err(error) => {
            section.wrong(name, error.to_string());
            None
        }
        Ok(parsed) => section.as_section(name, value.get_ref()).map(|section| connector(parsed, &section)),
    });
    named.collect()
}

fn connector(name: ConnectorName, section: &Section<'_>) -> ConnectorConfig {
    section.only(CONNECTOR_KEYS, |key| match key {
        "enabled" => Some("write `state = \"enabled\"`, `\"paused\"` or `\"disabled\"`".to_owned()),
        _ => home(key, name.as_str()).or_else(|| {
            let guess = nearest(key, CONNECTOR_KEYS.iter().copied());
            let settings =
                format!("if it is a setting of its own, it belongs in [connectors.{name}.settings]");
            guess.is_none().then(|| format!("known here: {}; {settings}", list(CONNECTOR_KEYS)))
        }),
    });
    let uses = section.text("uses").and_then(|uses| match ConnectorName::parse(uses) {
        Ok(uses) => Some(uses.to_string()),
        Err(error) => {
            section.wrong("uses", format!("`uses` names no connector: {error}"));
            None
        }
    });
    let states =
        [ConnectorState::Enabled, ConnectorState::Paused, ConnectorState::Stopped, ConnectorState::Disabled];
    let states = states.map(|state| (state.as_str(), state));
    ConnectorConfig {
        display_name: display_name(section).map_or_else(|| name.to_string(), str::to_owned),
        uses: uses.unwrap_or_else(|| name.to_string()),
        state: section.choice("state", &states).unwrap_or_default(),
        settings: section
            .section("settings")
            .map_or_else(|| Value::Object(Map::new()), |section| settings::json(&section)),
        processing: section
            .section("processing")
            .map(|section| processing::processing(&section, name.as_str()))
            .unwrap_or_default(),
        name,
    }
}

fn display_name<'t>(section: &Section<'t>) -> Option<&'t str> {
    let name = section.text("display_name")?;
    if name.trim().is_empty() {
        section.wrong(
            "display_name",
            "`display_name` is empty; write what people call it, or leave it out".to_owned(),
        );
    } else if name.chars().count() > DISPLAY_NAME_CHARS_MAX {
        let reason = format!("`display_name` is longer than {DISPLAY_NAME_CHARS_MAX} characters; shorten it");
        section.wrong("display_name", reason);
    }
    Some(name)
}

/// Where a key belongs that stands in the wrong table.
fn home(key: &str, connector: &str) -> Option<String> {
    let place = if TOP_KEYS.contains(&key) {
        return Some("it belongs at the top of the file, before the first [table]".to_owned());
    } else if SWITCH_KEYS.contains(&key) {
        "[switches]".to_owned()
    } else if LIMIT_KEYS.contains(&key) {
        "[limits]".to_owned()
    } else if CONNECTOR_KEYS.contains(&key) {
        format!("[connectors.{connector}]")
    } else if processing::KEYS.contains(&key) {
        format!("[connectors.{connector}.processing]")
    } else if sites::KEYS.contains(&key) {
        "[sites.NAME]".to_owned()
    } else {
        return None;
    };
    Some(format!("it belongs in {place}"))
}

#[cfg(test)]
mod tests;
