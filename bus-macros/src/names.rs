//! Names as text: which are valid, and how one becomes another.
//!
//! `bus_core::name` has the last word on what is valid; a test holds the two together.

/// The longest name of any kind, in bytes.
const NAME_BYTES_MAX: usize = 100;

/// Lowercase words joined by `-`.
pub(crate) fn is_connector_name(text: &str) -> bool {
    is_words(text, '-', false)
}

/// Lowercase words joined by `.`.
pub(crate) fn is_object_type(text: &str) -> bool {
    is_words(text, '.', true)
}

/// Lowercase words joined by `_`.
pub(crate) fn is_kind(text: &str) -> bool {
    is_words(text, '_', false)
}

fn is_words(text: &str, separator: char, underscore_inside: bool) -> bool {
    let is_inside = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || (underscore_inside && c == '_');
    let starts_word = |c: char, first: bool| c.is_ascii_lowercase() || (!first && c.is_ascii_digit());
    text.len() <= NAME_BYTES_MAX
        && text.split(separator).enumerate().all(|(index, word)| {
            word.chars().next().is_some_and(|c| starts_word(c, index == 0)) && word.chars().all(is_inside)
        })
}

/// `OrderLine`, `Order Line`, `order_line` as `order`, `line`.
pub(crate) fn words(text: &str) -> Vec<String> {
    let chars: Vec<char> = text.chars().collect();
    let mut words = vec![String::new()];
    for (index, &c) in chars.iter().enumerate() {
        if !c.is_ascii_alphanumeric() {
            words.push(String::new());
            continue;
        }
        let after_lower = index > 0 && !chars[index - 1].is_ascii_uppercase();
        let before_lower = chars.get(index + 1).is_some_and(char::is_ascii_lowercase);
        if c.is_ascii_uppercase() && (after_lower || before_lower) {
            words.push(String::new());
        }
        if let Some(word) = words.last_mut() {
            word.push(c.to_ascii_lowercase());
        }
    }
    words.retain(|word| !word.is_empty());
    words
}

/// `OrderLine` as `Order line`.
pub(crate) fn in_words(text: &str) -> String {
    let text = words(text).join(" ");
    let mut chars = text.chars();
    chars.next().map_or_else(String::new, |first| first.to_ascii_uppercase().to_string() + chars.as_str())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_macros_and_the_bus_agree_on_what_a_name_is() {
        let texts = [
            "",
            "crm",
            "crm-eu",
            "crm--eu",
            "-crm",
            "crm-",
            "crm-2",
            "2crm",
            "CRM",
            "crm_eu",
            "app.user",
            "app.user_role",
            "app..user",
            "app._user",
            "app.2",
            "order_line",
            "order__line",
            "_order",
            "é",
            "a b",
            "a/b",
            "c1",
        ];
        let long = ["a".repeat(100), "a".repeat(101)];
        for text in texts.into_iter().chain(long.iter().map(String::as_str)) {
            assert_eq!(is_connector_name(text), bus_core::name::is_connector_name(text), "{text}");
            assert_eq!(is_object_type(text), bus_core::name::is_object_type(text), "{text}");
            assert_eq!(is_kind(text), bus_core::name::is_kind(text), "{text}");
        }
    }

    #[test]
    fn a_rust_name_is_taken_apart_into_words() {
        assert_eq!(words("OrderLine"), ["order", "line"]);
        assert_eq!(words("HTTPClient2"), ["http", "client2"]);
        assert_eq!(words("Acme CRM_eu"), ["acme", "crm", "eu"]);
        assert_eq!(words("__"), [""; 0]);
        assert_eq!(in_words("OrderLine"), "Order line");
    }
}
