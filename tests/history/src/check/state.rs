//! What the checker knows so far.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};

use crate::event::Answer;

#[derive(Default)]
pub(super) struct Change<'a> {
    pub(super) key: &'a str,
    pub(super) invoked: usize,
    pub(super) acknowledged: Option<usize>,
    pub(super) is_refused: bool,
    pub(super) delivery: Option<i64>,
    pub(super) fate: Fate,
}

/// What became of a change.
#[derive(Default, Clone, Copy, PartialEq, Eq)]
pub(super) enum Fate {
    #[default]
    Unseen,
    Done,
    Ended,
    Left,
}

pub(super) struct Delivery<'a> {
    pub(super) key: &'a str,
    pub(super) change: &'a str,
    pub(super) idempotency: &'a str,
    pub(super) attempt: u32,
    pub(super) charged: u32,
    pub(super) last: Option<Call<'a>>,
    /// Whether its last call let later ones go.
    pub(super) let_go: bool,
    /// Whether it ever stepped aside.
    pub(super) aside: Aside,
    pub(super) is_settled: bool,
    pub(super) settling: HashMap<&'a str, usize>,
}

#[derive(Clone, Copy)]
pub(super) struct Call<'a> {
    pub(super) who: &'a str,
    pub(super) at: usize,
    pub(super) answer: Option<Answer>,
}

#[derive(Default)]
pub(super) struct Key<'a> {
    pub(super) latest: i64,
    /// Called, and neither done nor ended nor aside: what holds the key.
    pub(super) open: BTreeSet<i64>,
    /// Called since the last time that an earlier one was repeated.
    pub(super) done: BTreeSet<i64>,
    /// Done, before an earlier one was repeated: the earlier one has overwritten them.
    pub(super) overwritten: BTreeMap<i64, usize>,
    /// Acknowledged, and not called.
    pub(super) waiting: HashSet<&'a str>,
}

#[derive(Default)]
pub(super) struct Participant {
    pub(super) is_dead: bool,
    pub(super) stopped: Option<usize>,
    pub(super) called: Option<usize>,
}

/// A call, as the connector saw it.
#[derive(Clone, Copy)]
pub(super) struct Called<'a> {
    pub(super) key: &'a str,
    pub(super) change: &'a str,
    pub(super) idempotency: &'a str,
    pub(super) attempt: u32,
}

impl<'a> Delivery<'a> {
    pub(super) fn new(call: &Called<'a>) -> Self {
        Self {
            key: call.key,
            change: call.change,
            idempotency: call.idempotency,
            attempt: 0,
            charged: 0,
            last: None,
            let_go: false,
            aside: Aside::Never,
            is_settled: false,
            settling: HashMap::new(),
        }
    }
}

/// Whether a delivery ever stepped aside.
#[derive(Default, Clone, Copy, PartialEq, Eq)]
pub(super) enum Aside {
    #[default]
    Never,
    /// It was put back to its place.
    Once,
    /// While nobody calls it, it holds nothing, interrupted or not.
    Now,
}
