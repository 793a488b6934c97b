//! Secrets by reference: the configuration and the store say where a secret is, never what it is.

use std::fs::File;
use std::io::{self, Read};
use std::path::Path;

use serde_json::{Map, Value};

/// The longest file that a reference may name, in bytes: a key or a certificate, nothing larger.
const SECRET_BYTES_MAX: u64 = 64 * 1024;

/// The settings with every `{ "env": "NAME" }` and `{ "file": "path" }` (an object of exactly this one key, with a
/// text as its value) replaced by the text behind it: the variable as it is, the file without the newline at its end.
/// Paths are relative to `folder`, files at most 64 KiB of UTF-8.
///
/// # Errors
///
/// Every reference that leads nowhere, a line each: which setting, why, and what to do. Never the secret.
pub(crate) fn resolve(
    settings: &Value,
    folder: &Path,
    env: &dyn Fn(&str) -> Option<String>,
) -> Result<Value, Vec<String>> {
    let mut resolver = Resolver { folder, env, faults: Vec::new() };
    let settings = resolver.value(settings, "settings");
    if resolver.faults.is_empty() { Ok(settings) } else { Err(resolver.faults) }
}

struct Resolver<'a> {
    folder: &'a Path,
    env: &'a dyn Fn(&str) -> Option<String>,
    faults: Vec<String>,
}

impl Resolver<'_> {
    fn value(&mut self, value: &Value, place: &str) -> Value {
        match value {
            Value::Object(object) => {
                let secret = match Reference::read(object) {
                    None => {
                        let inner = |(key, value): (&String, &Value)| {
                            (key.clone(), self.value(value, &format!("{place}.{}", key.escape_debug())))
                        };
                        return Value::Object(object.iter().map(inner).collect());
                    }
                    Some(Reference::Env(name)) => from_env(name, self.env),
                    Some(Reference::File(path)) => from_file(path, self.folder),
                };
                match secret {
                    Ok(secret) => Value::String(secret),
                    Err(reason) => {
                        self.faults.push(format!("{place}: {reason}"));
                        Value::Null
                    }
                }
            }
            Value::Array(items) => {
                let inner = |(index, item)| self.value(item, &format!("{place}[{index}]"));
                Value::Array(items.iter().enumerate().map(inner).collect())
            }
            plain => plain.clone(),
        }
    }
}

/// Where a secret is.
enum Reference<'v> {
    Env(&'v str),
    File(&'v str),
}

impl<'v> Reference<'v> {
    fn read(object: &'v Map<String, Value>) -> Option<Self> {
        let (key, value) = object.iter().next().filter(|_| object.len() == 1)?;
        match (key.as_str(), value) {
            ("env", Value::String(name)) => Some(Self::Env(name)),
            ("file", Value::String(path)) => Some(Self::File(path)),
            _ => None,
        }
    }
}

fn from_env(name: &str, env: &dyn Fn(&str) -> Option<String>) -> Result<String, String> {
    let shown = name.escape_debug();
    // The system's calls panic on these; none of them can be a variable.
    if name.is_empty() || name.contains(['=', '\0']) {
        return Err(format!("`{shown}` cannot be the name of an environment variable; write another"));
    }
    match env(name) {
        None => Err(format!(
            "the environment variable `{shown}` is not set, or not UTF-8; set it for this process, or name another"
        )),
        Some(secret) if secret.is_empty() => Err(format!(
            "the environment variable `{shown}` is empty; set it for this process, or name another"
        )),
        Some(secret) => Ok(secret),
    }
}

fn from_file(path: &str, folder: &Path) -> Result<String, String> {
    let path = folder.join(path);
    let shown = path.display();
    let bytes = read_bytes(&path).map_err(|error| match error.kind() {
        io::ErrorKind::NotFound => format!("the file {shown} is not there; create it, or name another"),
        io::ErrorKind::PermissionDenied => {
            format!("the file {shown} may not be read by this program; change its permissions")
        }
        io::ErrorKind::IsADirectory => format!("{shown} is a directory; name the file in it"),
        io::ErrorKind::FileTooLarge => {
            format!(
                "the file {shown} is longer than {SECRET_BYTES_MAX} bytes; name one that holds nothing else"
            )
        }
        _ => format!("the file {shown} cannot be read: {error}; repair it, or name another"),
    })?;
    let mut secret =
        String::from_utf8(bytes).map_err(|_| format!("the file {shown} is not UTF-8; save it as UTF-8"))?;
    for newline in ['\n', '\r'] {
        if secret.ends_with(newline) {
            secret.pop();
        }
    }
    if secret.is_empty() {
        return Err(format!("the file {shown} is empty; write the secret into it, or name another"));
    }
    Ok(secret)
}

fn read_bytes(path: &Path) -> io::Result<Vec<u8>> {
    let file = File::open(path)?;
    if file.metadata()?.is_dir() {
        return Err(io::ErrorKind::IsADirectory.into());
    }
    let mut bytes = Vec::new();
    file.take(SECRET_BYTES_MAX + 1).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > SECRET_BYTES_MAX {
        return Err(io::ErrorKind::FileTooLarge.into());
    }
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    use serde_json::json;

    fn env(name: &str) -> Option<String> {
        match name {
            "CRM_KEY" => Some("s3cret\n".to_owned()),
            "EMPTY" => Some(String::new()),
            _ => None,
        }
    }

    #[test]
    fn references_are_replaced_wherever_they_stand() {
        let folder = tempfile::tempdir().unwrap();
        fs::create_dir(folder.path().join("keys")).unwrap();
        fs::write(folder.path().join("keys/unix"), "from a file\n").unwrap();
        fs::write(folder.path().join("keys/windows"), "from a file\r\n").unwrap();
        fs::write(folder.path().join("keys/lines"), " two\nlines\n\n").unwrap();
        let settings = json!({
            "plain": "text",
            "number": 17,
            "key": { "env": "CRM_KEY" },
            "deep": [{ "list": [{ "file": "keys/unix" }, { "file": "keys/windows" }] }],
            "absolute": { "file": folder.path().join("keys/lines") },
        });
        let resolved = resolve(&settings, folder.path(), &env).unwrap();
        let expected = json!({
            "plain": "text",
            "number": 17,
            "key": "s3cret\n",
            "deep": [{ "list": ["from a file", "from a file"] }],
            "absolute": " two\nlines\n",
        });
        assert_eq!(resolved, expected, "a variable is taken as it is, a file without its last newline");
    }

    #[test]
    fn what_only_looks_like_a_reference_stays() {
        let settings = json!({
            "two": { "env": "CRM_KEY", "file": "x" },
            "more": { "env": "CRM_KEY", "region": "eu" },
            "number": { "env": 17 },
            "none": { "file": null },
            "object": { "env": { "inner": 1 } },
            "empty": {},
        });
        assert_eq!(resolve(&settings, Path::new("/"), &env).unwrap(), settings);
        assert_eq!(resolve(&Value::Null, Path::new("/"), &env).unwrap(), Value::Null);
    }

    #[test]
    fn all_references_that_lead_nowhere_are_reported_at_once() {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("large"), vec![b'x'; 64 * 1024 + 1]).unwrap();
        fs::write(folder.path().join("binary"), [0xff, 0xfe]).unwrap();
        fs::write(folder.path().join("empty"), "\n").unwrap();
        let settings = json!({
            "a": { "env": "MISSING" },
            "b": { "env": "EMPTY" },
            "c": { "env": "A=B" },
            "d": [1, { "file": "missing" }],
            "e": { "x": { "file": "large" } },
            "f": { "file": "binary" },
            "g": { "file": "empty" },
            "h": { "file": "." },
            "i": { "env": "CRM_KEY" },
        });
        let faults = resolve(&settings, folder.path(), &env).unwrap_err();
        let at = folder.path().display();
        let expected = [
            "settings.a: the environment variable `MISSING` is not set, or not UTF-8; set it for this process, or name another"
                .to_owned(),
            "settings.b: the environment variable `EMPTY` is empty; set it for this process, or name another".to_owned(),
            "settings.c: `A=B` cannot be the name of an environment variable; write another".to_owned(),
            format!("settings.d[1]: the file {at}/missing is not there; create it, or name another"),
            format!("settings.e.x: the file {at}/large is longer than 65536 bytes; name one that holds nothing else"),
            format!("settings.f: the file {at}/binary is not UTF-8; save it as UTF-8"),
            format!("settings.g: the file {at}/empty is empty; write the secret into it, or name another"),
            format!("settings.h: {at}/. is a directory; name the file in it"),
        ];
        assert_eq!(faults, expected);
        assert!(!faults.concat().contains("s3cret"));
    }
}
