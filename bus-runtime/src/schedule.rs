//! When a queue runs that does not run at once: a cron expression in a time zone.

mod parse;
#[cfg(test)]
mod tests;

use std::fmt;
use std::sync::Arc;

use bus_core::Timestamp;
use croner::Cron;
use jiff::civil;
use jiff::tz::{AmbiguousOffset, TimeZone};
use serde::{Deserialize, Serialize};

pub(crate) use parse::EXAMPLE;

/// The times at which a queue runs until it is empty.
///
/// Minute, hour, day of month, month and day of week, each by the clock on the wall of a time zone. Where that clock is
/// changed:
///
/// - An expression that names its hours (`30 2 * * *`) runs each named time once a day: one that the clock skips, at the
///   moment after the gap; one that the clock shows twice, the first time.
/// - One that holds in every hour (`*/15 * * * *`) goes on as if nothing happened: no run is moved, none is left out.
///
/// What was parsed is never wrong afterwards, and comes again: an expression without any next time is refused.
#[derive(Clone, Serialize, Deserialize)]
#[serde(try_from = "Texts", into = "Texts")]
pub struct Schedule {
    texts: Texts,
    cron: Arc<Cron>,
    zone: TimeZone,
}

/// A schedule as it is kept and as people write it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Texts {
    cron: String,
    time_zone: String,
}

/// What is wrong with a schedule: its expression, its time zone, or both.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ScheduleError {
    /// What is wrong with the expression, with the remedy.
    pub(crate) cron: Option<String>,
    /// What is wrong with the time zone, with the remedy.
    pub(crate) time_zone: Option<String>,
}

impl Schedule {
    /// The time zone of a schedule that names none.
    pub const TIME_ZONE_DEFAULT: &str = "UTC";

    /// From a cron expression of five fields, such as `0 2 * * *`, and the name of a time zone, such as `Europe/Berlin`.
    ///
    /// Fields are lists (`1,3`), ranges (`1-5`), steps (`*/15`) and names (`MON`, `JAN`); days also `L`, `15W`, `5#3` and
    /// `5L`. If both days are given, either will do. `@hourly`, `@daily`, `@weekly`, `@monthly` and `@yearly` are known.
    pub fn parse(cron: &str, time_zone: &str) -> Result<Self, ScheduleError> {
        match (parse::cron(cron), parse::time_zone(time_zone)) {
            (Ok((cron, parsed)), Ok((time_zone, zone))) => {
                Ok(Self { texts: Texts { cron, time_zone }, cron: Arc::new(parsed), zone })
            }
            (cron, time_zone) => Err(ScheduleError { cron: cron.err(), time_zone: time_zone.err() }),
        }
    }

    /// The expression.
    pub fn cron(&self) -> &str {
        &self.texts.cron
    }

    /// The name of the time zone.
    pub fn time_zone(&self) -> &str {
        &self.texts.time_zone
    }

    /// The first run after this moment; none only beyond the year 4999, where the calendar of this bus ends.
    pub fn next_after(&self, now: Timestamp) -> Option<Timestamp> {
        const HOURS: usize = 24;
        let now = jiff::Timestamp::from_microsecond(now.as_micros()).ok()?;
        let every_hour = self.cron.pattern.hours.values().len() == HOURS;
        let next = if every_hour { self.next_by_elapsed_time(now)? } else { self.next_by_the_wall(now)? };
        Some(Timestamp::from_micros(next.as_microsecond()))
    }

    /// Looks for it between one change of the clock and the next: there, the wall shows each time once.
    fn next_by_elapsed_time(&self, now: jiff::Timestamp) -> Option<jiff::Timestamp> {
        let (mut from, mut inclusive) = (now, false);
        loop {
            let offset = self.zone.to_offset(from);
            let change = self.zone.following(from).next().map(|change| change.timestamp());
            let next = self.next_on_the_wall(offset.to_datetime(from), inclusive);
            let next = next.and_then(|next| offset.to_timestamp(next).ok());
            match change {
                Some(change) if next.is_none_or(|next| next >= change) => (from, inclusive) = (change, true),
                _ => return next,
            }
        }
    }

    /// Goes from one named time to the next, until one of them is later. Two of them can be one moment (both skipped by
    /// the clock), and one that is later on the wall can have been (the clock went back), but never is one earlier.
    fn next_by_the_wall(&self, now: jiff::Timestamp) -> Option<jiff::Timestamp> {
        let mut wall = self.zone.to_datetime(now);
        loop {
            wall = self.next_on_the_wall(wall, false)?;
            let next = self.moment(wall)?;
            if next > now {
                return Some(next);
            }
        }
    }

    fn next_on_the_wall(&self, from: civil::DateTime, inclusive: bool) -> Option<civil::DateTime> {
        parse::next_on_the_wall(&self.cron, from, inclusive)
    }

    /// When the wall shows this: the first time if twice, the end of the gap if never.
    fn moment(&self, wall: civil::DateTime) -> Option<jiff::Timestamp> {
        let ambiguous = self.zone.to_ambiguous_timestamp(wall);
        let gap = matches!(ambiguous.offset(), AmbiguousOffset::Gap { .. });
        let earlier = ambiguous.earlier().ok()?;
        if gap { self.zone.following(earlier).next().map(|end| end.timestamp()) } else { Some(earlier) }
    }
}

impl PartialEq for Schedule {
    fn eq(&self, other: &Self) -> bool {
        self.texts == other.texts
    }
}

impl fmt::Debug for Schedule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Schedule({self})")
    }
}

impl fmt::Display for Schedule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.cron(), self.time_zone())
    }
}

impl TryFrom<Texts> for Schedule {
    type Error = ScheduleError;
    fn try_from(texts: Texts) -> Result<Self, ScheduleError> {
        Self::parse(&texts.cron, &texts.time_zone)
    }
}

impl From<Schedule> for Texts {
    fn from(schedule: Schedule) -> Self {
        schedule.texts
    }
}

impl fmt::Display for ScheduleError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let faults: Vec<&str> =
            [&self.cron, &self.time_zone].into_iter().filter_map(|fault| fault.as_deref()).collect();
        f.write_str(&faults.join("; "))
    }
}

impl std::error::Error for ScheduleError {}
