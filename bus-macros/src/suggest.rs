//! "Did you mean": the nearest of the words that would have been right.

/// More typing errors than this in one word, or in half of it, and the guess is not worth making.
const DISTANCE_MAX: usize = 2;

/// The remedy for a word that is none of these: the nearest one, else all of them.
pub(crate) fn remedy(given: &str, known: &[&str]) -> String {
    match nearest(given, known) {
        Some(word) => format!("did you mean `{word}`?"),
        None => format!("write {}", one_of(known)),
    }
}

/// The word that is nearest to what was given, if any is near enough.
pub(crate) fn nearest<'k>(given: &str, known: &[&'k str]) -> Option<&'k str> {
    known
        .iter()
        .map(|word| (strsim::osa_distance(given, word), *word))
        .filter(|(distance, word)| *distance <= DISTANCE_MAX && 2 * *distance < word.len())
        .min()
        .map(|(_, word)| word)
}

/// `a`, `b` or `c`.
pub(crate) fn one_of(words: &[&str]) -> String {
    let quoted: Vec<_> = words.iter().map(|word| format!("`{word}`")).collect();
    match quoted.split_last() {
        Some((last, rest)) if !rest.is_empty() => format!("{} or {last}", rest.join(", ")),
        _ => quoted.concat(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_nearest_word_is_suggested() {
        let operations = ["create", "update", "delete"];
        assert_eq!(nearest("created", &operations), Some("create"));
        assert_eq!(nearest("udpate", &operations), Some("update"));
        assert_eq!(nearest("save", &operations), None);
    }

    #[test]
    fn a_short_word_is_not_near_to_everything() {
        assert_eq!(nearest("x", &["on", "id"]), None);
        assert_eq!(nearest("save", &["move"]), None);
        assert_eq!(nearest("kye", &["key"]), Some("key"));
    }

    #[test]
    fn without_a_near_word_all_are_listed() {
        assert_eq!(remedy("save", &["create", "update", "delete"]), "write `create`, `update` or `delete`");
        assert_eq!(remedy("save", &["create"]), "write `create`");
    }
}
