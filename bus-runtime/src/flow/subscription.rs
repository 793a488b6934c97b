//! Who is told of a change: from a change, the subscriptions that it matches.
//!
//! Pure and indexed: a subscription to another object type costs nothing, however many there are.

use std::collections::HashMap;

use bus_core::{ChangeSummary, ObjectOperation, SiteCriterion, Subject, Subscription};

/// All subscriptions, ready to be asked. `K` is how the caller finds the subscriber again.
///
/// In patterns `%` stands for any run of characters, the empty one too, everything else for itself; case does not
/// matter, beyond ASCII either. A criterion that is given holds only for what has the thing it asks for: `%` as a
/// site does not match global objects, `%` as a code name not an object without one, and one on pages nothing that
/// is no page.
#[derive(Debug, Clone)]
pub(crate) struct Matcher<K> {
    /// As they were given.
    entries: Vec<(K, Subscription)>,
    /// What each of them asks for besides the object type, in the same order.
    criteria: Vec<Criteria>,
    /// Object types written out, to the indices of `entries`, ascending.
    exact: HashMap<String, Vec<usize>>,
    /// Object types with a `%` in them, each different one once.
    patterns: Vec<(Pattern, Vec<usize>)>,
}

impl<K> Matcher<K> {
    /// The subscriptions that this change matches, in the order in which they were given.
    ///
    /// An update is also matched on what the object was `before`, so that whoever was told of an object learns of
    /// its leaving: a subscription matches when all of its criteria hold of the one or of the other. Object type and
    /// operation are those of `after`; for other operations `before` does not count.
    pub(crate) fn matching<'a>(
        &'a self,
        before: Option<&ChangeSummary>,
        after: &ChangeSummary,
    ) -> impl Iterator<Item = &'a (K, Subscription)> {
        let before = before.filter(|_| after.operation == ObjectOperation::Update);
        self.matching_any(before.map_or(&[], std::slice::from_ref), after)
    }

    /// The same for whatever else a change is matched on besides what is `after`.
    pub(crate) fn matching_any<'a>(
        &'a self,
        others: &[ChangeSummary],
        after: &ChangeSummary,
    ) -> impl Iterator<Item = &'a (K, Subscription)> + use<'a, K> {
        let candidates = self.candidates(after);
        // Folded once for all candidates, and not at all for a change that nobody's object type fits.
        let states: Vec<State> = if candidates.is_empty() {
            Vec::new()
        } else {
            std::iter::once(after).chain(others).map(State::of).collect()
        };
        let operation = after.operation;
        candidates
            .into_iter()
            .filter(move |&index| {
                self.entries[index].1.wants(operation)
                    && states.iter().any(|state| self.criteria[index].hold_of(state))
            })
            .map(|index| &self.entries[index])
    }

    /// Whether anybody asks where pages stand, or in which culture: then a move is matched on all that is moved along.
    pub(crate) fn looks_where_pages_stand(&self) -> bool {
        let asks = |line: &Subscription| {
            line.of == Subject::Pages && (line.alias_path.is_some() || line.culture.is_some())
        };
        self.entries.iter().any(|(_, line)| asks(line))
    }

    /// The subscriptions whose object type fits: those, and only those, whose other criteria are looked at.
    fn candidates(&self, change: &ChangeSummary) -> Vec<usize> {
        let object_type = fold(change.object_type.as_str());
        let exact = self.exact.get(&object_type).into_iter();
        let patterns = self
            .patterns
            .iter()
            .filter(|(pattern, _)| pattern.matches(&object_type))
            .map(|(_, indices)| indices);
        let of = change.operation.subject();
        let mut candidates: Vec<usize> = exact
            .chain(patterns)
            .flatten()
            .copied()
            .filter(|&index| self.entries[index].1.of == of)
            .collect();
        candidates.sort_unstable();
        candidates
    }
}

impl<K> FromIterator<(K, Subscription)> for Matcher<K> {
    fn from_iter<I: IntoIterator<Item = (K, Subscription)>>(subscriptions: I) -> Self {
        let entries: Vec<(K, Subscription)> = subscriptions.into_iter().collect();
        let criteria = entries.iter().map(|(_, subscription)| Criteria::of(subscription)).collect();
        let mut exact: HashMap<String, Vec<usize>> = HashMap::new();
        let mut patterns: HashMap<String, Vec<usize>> = HashMap::new();
        for (index, (_, subscription)) in entries.iter().enumerate() {
            let object_type = fold(subscription.object_type);
            let lists = if object_type.contains(WILDCARD) { &mut patterns } else { &mut exact };
            lists.entry(object_type).or_default().push(index);
        }
        let patterns = patterns.into_iter().map(|(text, indices)| (Pattern::of(&text), indices)).collect();
        Self { entries, criteria, exact, patterns }
    }
}

impl<K> Default for Matcher<K> {
    fn default() -> Self {
        Self::from_iter([])
    }
}

/// What a subscription asks for besides object type and operation.
#[derive(Debug, Clone)]
struct Criteria {
    site: Site,
    code_name: Option<Pattern>,
    class_name: Option<Pattern>,
    alias_path: Option<Pattern>,
    culture: Option<Pattern>,
}

#[derive(Debug, Clone)]
enum Site {
    Any,
    Global,
    Named(Pattern),
}

impl Criteria {
    fn of(subscription: &Subscription) -> Self {
        Self {
            site: match subscription.site {
                SiteCriterion::Any => Site::Any,
                SiteCriterion::Global => Site::Global,
                SiteCriterion::Named(pattern) => Site::Named(Pattern::of(pattern)),
            },
            code_name: subscription.code_name.map(Pattern::of),
            class_name: subscription.class_name.map(Pattern::of),
            alias_path: subscription.alias_path.map(Pattern::of),
            culture: subscription.culture.map(Pattern::of),
        }
    }

    fn hold_of(&self, state: &State) -> bool {
        let site = match &self.site {
            Site::Any => true,
            Site::Global => state.site.is_none(),
            Site::Named(pattern) => state.site.as_deref().is_some_and(|site| pattern.matches(site)),
        };
        site && holds(self.code_name.as_ref(), state.code_name.as_deref())
            && holds(self.class_name.as_ref(), state.class_name.as_deref())
            && holds(self.alias_path.as_ref(), state.alias_path.as_deref())
            && holds(self.culture.as_ref(), state.culture.as_deref())
    }
}

/// A criterion that is not given always holds; one that is given needs something to hold of.
fn holds(criterion: Option<&Pattern>, text: Option<&str>) -> bool {
    criterion.is_none_or(|pattern| text.is_some_and(|text| pattern.matches(text)))
}

/// What an object was or is, as far as criteria look at it, folded.
struct State {
    site: Option<String>,
    code_name: Option<String>,
    class_name: Option<String>,
    alias_path: Option<String>,
    culture: Option<String>,
}

impl State {
    fn of(change: &ChangeSummary) -> Self {
        let page = change.page.as_ref();
        Self {
            site: change.site.as_ref().map(|site| fold(site.as_str())),
            code_name: change.code_name.as_deref().map(fold),
            class_name: page.map(|page| fold(&page.class_name)),
            alias_path: page.map(|page| fold(&page.alias_path)),
            culture: page.map(|page| fold(&page.culture)),
        }
    }
}

/// The one character of patterns that does not stand for itself.
const WILDCARD: char = '%';

/// A pattern, folded and taken apart. Matching takes time linear in the lengths of pattern and text.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Pattern {
    /// No `%`: the whole text.
    Exact(String),
    /// What stands before the first `%`, between each two, and after the last.
    Pieces { first: String, middle: Vec<String>, last: String },
}

impl Pattern {
    fn of(pattern: &str) -> Self {
        let pattern = fold(pattern);
        let mut pieces = pattern.split(WILDCARD).map(str::to_owned);
        // A split has at least one piece.
        let first = pieces.next().unwrap_or_default();
        match pieces.next_back() {
            None => Self::Exact(first),
            Some(last) => {
                Self::Pieces { first, middle: pieces.filter(|piece| !piece.is_empty()).collect(), last }
            }
        }
    }

    /// Whether it matches a folded text from end to end.
    fn matches(&self, folded: &str) -> bool {
        match self {
            Self::Exact(text) => folded == text,
            Self::Pieces { first, middle, last } => {
                let inner =
                    folded.strip_prefix(first.as_str()).and_then(|rest| rest.strip_suffix(last.as_str()));
                // The earliest place for each piece leaves the most for those that follow, so none is ever revised.
                inner.is_some_and(|inner| {
                    middle
                        .iter()
                        .try_fold(inner, |rest, piece| {
                            rest.find(piece.as_str()).map(|at| &rest[at + piece.len()..])
                        })
                        .is_some()
                })
            }
        }
    }
}

/// Whether a text matches a pattern, for callers that ask only once.
pub(crate) fn matches_pattern(pattern: &str, text: &str) -> bool {
    Pattern::of(pattern).matches(&fold(text))
}

/// Lower case, character by character, so that a piece of a text folds as it does within the text: Rust's
/// `to_lowercase` of a whole text writes a final sigma in its own way, which therefore counts as the usual one.
fn fold(text: &str) -> String {
    text.chars().flat_map(char::to_lowercase).map(|letter| if letter == 'ς' { 'σ' } else { letter }).collect()
}

#[cfg(test)]
mod tests;
