//! "Did you mean": the nearest of the words that would have done.

/// The most letters by which a word may be wrong to be taken for another.
const DISTANCE_MAX: usize = 2;

/// The word nearest to what was given, if any is near enough. Case and the kind of dash do not count.
pub(crate) fn nearest<'k>(given: &str, known: impl IntoIterator<Item = &'k str>) -> Option<&'k str> {
    let plain = |word: &str| word.to_lowercase().replace('-', "_");
    let given = plain(given);
    known
        .into_iter()
        .map(|word| (strsim::osa_distance(&given, &plain(word)), word))
        .filter(|(distance, word)| *distance <= DISTANCE_MAX && *distance < word.len())
        .min()
        .map(|(_, word)| word)
}

/// `a`, `b` or `c`.
pub(crate) fn list(words: &[&str]) -> String {
    let quoted: Vec<String> = words.iter().map(|word| format!("`{word}`")).collect();
    match quoted.split_last() {
        Some((last, rest)) if !rest.is_empty() => format!("{} or {last}", rest.join(", ")),
        _ => quoted.concat(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_nearest_word_is_at_most_two_letters_off() {
        assert_eq!(nearest("Max-Atempts", ["max_attempts", "call_timeout_ms"]), Some("max_attempts"));
        assert_eq!(nearest("evnt-log", ["event-log", "crm"]), Some("event-log"));
        assert_eq!(nearest("erp", ["event-log"]), None);
        assert_eq!(nearest("x", ["y"]), None);
        assert_eq!(list(&["a", "b", "c"]), "`a`, `b` or `c`");
        assert_eq!(list(&[]), "");
    }
}
