//! What can be wrong with a history, and how it is told.

use std::collections::BTreeSet;
use std::fmt;

use crate::event::{Entry, Event};

/// How much of a story is shown.
const STORY_LINES_MAX: usize = 80;

/// What the bus was set to.
#[derive(Debug, Clone, Copy, Default)]
pub struct Rules {
    /// How often a delivery may be called; any number of times where it is not said.
    pub attempts_max: Option<u32>,
}

/// A way to break the promise.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Wrong {
    /// What was acknowledged, or had been begun, is neither done nor ended nor there.
    Lost,
    /// Nobody made this change, or it was refused.
    Invented,
    /// Done again, and nothing had happened that excuses it.
    Duplicated,
    /// An attempt with another idempotency key, or one key for two deliveries.
    IdempotencyKey,
    /// Overtaken by a later one of its key.
    Reordered,
    /// Called more often than allowed.
    AttemptsExceeded,
    /// Called again under the number of an attempt that was used up.
    AttemptNotCounted,
    /// Two calls of one key at a time.
    TwoAtOnce,
    /// An outcome of somebody who was not the owner any more was accepted.
    Unfenced,
    /// An outcome that was written is not there.
    Undone,
    /// Open at the end, although nothing holds it.
    Stuck,
}

/// Something that is wrong with a history.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Finding {
    /// What.
    pub wrong: Wrong,
    /// With which change, or delivery.
    pub with: String,
    /// At which entry of the history; its length for what is wrong at the end.
    pub at: usize,
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "entry {}: {} was {:?}", self.at, self.with, self.wrong)
    }
}

/// What a history shows.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Report {
    /// What is wrong; nothing, always.
    pub findings: Vec<Finding>,
    /// How many changes were acknowledged.
    pub acknowledged: usize,
    /// How many changes came through whose maker never learned that they were logged.
    pub recovered: usize,
    /// How many calls there were.
    pub calls: usize,
    /// How many calls repeated one that had been done, with an excuse.
    pub repeated: usize,
    /// How many calls came from somebody who was not the owner any more.
    pub late: usize,
    /// How many participants were killed.
    pub kills: usize,
}

impl Report {
    /// The kinds of what is wrong.
    pub fn wrongs(&self) -> BTreeSet<Wrong> {
        self.findings.iter().map(|finding| finding.wrong).collect()
    }

    /// Ends the test when anything is wrong, and shows the entries about it.
    ///
    /// # Panics
    ///
    /// When anything is wrong.
    pub fn assert_sound(&self, entries: &[Entry], context: &str) {
        let Some(first) = self.findings.first() else { return };
        let end = entries.len().min(first.at + 1);
        let story = story_of(&entries[..end], &first.with);
        let listed: Vec<String> = self.findings.iter().take(20).map(Finding::to_string).collect();
        panic!(
            "{context}: {} findings\n{}\nthe story of the first one's key:\n{}",
            self.findings.len(),
            listed.join("\n"),
            story.join("\n")
        );
    }
}

/// What is told of the key of this change, or delivery, and of everybody's coming and going.
fn story_of(entries: &[Entry], with: &str) -> Vec<String> {
    let key = entries.iter().find_map(|entry| match &entry.event {
        Event::Invoked { change, key } if change == with => Some(key.as_str()),
        Event::Called { delivery, key, .. } if delivery.to_string() == with => Some(key.as_str()),
        _ => None,
    });
    let mut names = BTreeSet::from([with.to_owned()]);
    let mut story: Vec<String> = Vec::new();
    for entry in entries {
        let is_about = match &entry.event {
            Event::Invoked { change, key: of } if Some(of.as_str()) == key => names.insert(change.clone()),
            Event::Called { delivery, key: of, .. } | Event::Left { delivery, key: of, .. }
                if Some(of.as_str()) == key =>
            {
                names.insert(delivery.to_string());
                true
            }
            Event::Acknowledged { change } | Event::Refused { change } | Event::Unknown { change } => {
                names.contains(change)
            }
            Event::Answered { delivery, .. }
            | Event::Settling { delivery, .. }
            | Event::Settled { delivery, .. }
            | Event::Reset { delivery } => names.contains(&delivery.to_string()),
            Event::Owned | Event::Killed | Event::Stopped | Event::Disturbed | Event::Calm => true,
            _ => false,
        };
        if is_about {
            story.push(entry.to_string());
        }
    }
    story.split_off(story.len().saturating_sub(STORY_LINES_MAX))
}
