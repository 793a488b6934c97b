//! The two texts of a schedule, parsed; and the calendar in which a cron expression is looked up.

use std::cmp;

use croner::errors::CronError;
use croner::parser::{CronParser, Seconds, Year};
use croner::{CivilDate, CivilDateTime, CivilTime, Cron, CronDateTime, Resolution, Weekday};
use jiff::SignedDuration;
use jiff::civil::{DateTime, date};
use jiff::tz::{self, TimeZone, TimeZoneDatabase};

use crate::suggest::nearest;

/// What a good expression looks like.
pub(crate) const EXAMPLE: &str = "0 2 * * *";

/// The longest expression, in bytes, and the longest name of a time zone.
const BYTES_MAX: usize = 200;

/// What each field may be, in the words of a message.
const FIELDS: [(&str, &str); 5] = [
    ("minute", "0 to 59"),
    ("hour", "0 to 23"),
    ("day of month", "1 to 31, `L` or `15W`"),
    ("month", "1 to 12 or `JAN` to `DEC`"),
    ("day of week", "0 to 7 (both are Sunday), `SUN` to `SAT`, `5#3` or `5L`"),
];

/// The expression in its plain form and parsed, or what is wrong with it.
pub(super) fn cron(given: &str) -> Result<(String, Cron), String> {
    if given.len() > BYTES_MAX {
        return Err(format!(
            "`schedule` is longer than {BYTES_MAX} bytes; write five fields, such as `{EXAMPLE}`"
        ));
    }
    let fields: Vec<&str> = given.split_whitespace().collect();
    let plain = fields.join(" ");
    let fault = match fields[..] {
        [name] if name.starts_with('@') => {
            let known = ["@hourly", "@daily", "@weekly", "@monthly", "@yearly"];
            (!known.contains(&name)).then(|| format!("is `{}`, which is no time", name.escape_debug()))
        }
        [minute, hour, day, month, weekday] => {
            let fields = [minute, hour, day, month, weekday].into_iter().zip(FIELDS).enumerate();
            let wrong = fields.filter(|(index, (field, _))| !is_field(*index, field));
            let wrong = wrong.map(|(_, (field, (name, may_be)))| {
                format!("`{}` as its {name}, which may be {may_be}", field.escape_debug())
            });
            let wrong: Vec<String> = wrong.collect();
            (!wrong.is_empty()).then(|| format!("has {}", wrong.join(", and ")))
        }
        [_] => Some("has one field, not five".to_owned()),
        _ => Some(format!("has {} fields, not five", fields.len())),
    };
    let parsed = match fault {
        Some(fault) => Err(fault),
        None => parse(&plain).ok_or_else(|| "is no cron expression".to_owned()),
    };
    let parsed = parsed.map_err(|fault| {
        format!(
            "`schedule` {fault}; write minute, hour, day of month, month and day of week, such as `{EXAMPLE}` for \
             02:00 every day"
        )
    })?;
    // Every day of the calendar comes again within 400 years.
    if next_on_the_wall(&parsed, date(1970, 1, 1).at(0, 0, 0, 0), true).is_none() {
        return Err(format!(
            "`schedule` is a day that never comes; write one that does, such as `{EXAMPLE}`"
        ));
    }
    Ok((plain, parsed))
}

/// Whether a text can stand there, which is so if it can with `*` everywhere else. The library is less strict: it lets
/// lists have holes, and takes the name of a day or a month for its number wherever it stands.
fn is_field(index: usize, field: &str) -> bool {
    let mut fields = ["*"; FIELDS.len()];
    fields[index] = field;
    let words = field.split(|sign: char| !sign.is_ascii_alphanumeric()).filter(|word| !word.is_empty());
    field.split(',').all(|part| !part.is_empty())
        && words.map(str::to_ascii_uppercase).all(|word| is_word(index, &word))
        && parse(&fields.join(" ")).is_some()
}

fn is_word(index: usize, word: &str) -> bool {
    const MONTHS: [&str; 12] =
        ["JAN", "FEB", "MAR", "APR", "MAY", "JUN", "JUL", "AUG", "SEP", "OCT", "NOV", "DEC"];
    const WEEKDAYS: [&str; 7] = ["SUN", "MON", "TUE", "WED", "THU", "FRI", "SAT"];
    let is_number = |word: &str| !word.is_empty() && word.bytes().all(|digit| digit.is_ascii_digit());
    is_number(word)
        || match (index, word) {
            (2, "L" | "LW") => true,
            (2, day) => day.strip_suffix('W').is_some_and(is_number),
            (3, month) => MONTHS.contains(&month),
            (4, day) => {
                let day = day.strip_suffix('L').unwrap_or(day);
                is_number(day) || WEEKDAYS.contains(&day)
            }
            _ => false,
        }
}

fn parse(expression: &str) -> Option<Cron> {
    let parser = CronParser::builder().seconds(Seconds::Disallowed).year(Year::Disallowed).build();
    parser.parse(expression).ok()
}

/// The zone's own name and the zone, or what is wrong with what was given. The system's rules are taken where it has
/// some, since it is kept up to date; else those that the program was built with.
pub(super) fn time_zone(given: &str) -> Result<(String, TimeZone), String> {
    let name = given.trim();
    let bundled = TimeZoneDatabase::bundled();
    let zone =
        (name.len() <= BYTES_MAX).then(|| tz::db().get(name).or_else(|_| bundled.get(name)).ok()).flatten();
    let known = zone.filter(|zone| !zone.is_unknown());
    known.map(|zone| (zone.iana_name().unwrap_or(name).to_owned(), zone)).ok_or_else(|| {
        let names: Vec<String> = bundled.available().map(|name| name.to_string()).collect();
        let city = names.iter().find(|known| {
            known.rsplit('/').next().is_some_and(|city| city.eq_ignore_ascii_case(&name.replace(' ', "_")))
        });
        let near = city.map(String::as_str).or_else(|| nearest(name, names.iter().map(String::as_str)));
        let remedy = near.map_or_else(
            || "write a name of the IANA database, such as `Europe/Berlin`".to_owned(),
            |near| format!("did you mean `{near}`?"),
        );
        let shown: String = name.chars().take(60).collect();
        format!("`time_zone` is `{}`, which is no time zone; {remedy}", shown.escape_debug())
    })
}

/// The next time that fits, by a clock that nobody changes.
pub(super) fn next_on_the_wall(cron: &Cron, from: DateTime, inclusive: bool) -> Option<DateTime> {
    cron.find_next_occurrence(&Civil(from), inclusive).ok().map(|Civil(next)| next)
}

/// A date and time without a zone, as the library asks for it. It has no implementation for this version of `jiff`.
#[derive(Debug, Clone)]
struct Civil(DateTime);

impl CronDateTime for Civil {
    fn to_civil(&self) -> CivilDateTime {
        let Self(time) = self;
        let part = |number: i8| u32::from(number.unsigned_abs());
        CivilDateTime::new(
            CivilDate::from_parts_unchecked(i32::from(time.year()), part(time.month()), part(time.day())),
            CivilTime::from_parts_unchecked(part(time.hour()), part(time.minute()), part(time.second())),
        )
    }

    fn civil_weekday(&self) -> Weekday {
        Weekday::from_days_from_sunday(u32::from(self.0.weekday().to_sunday_zero_offset().unsigned_abs()))
    }

    fn resolve_civil(&self, civil: CivilDateTime) -> Result<Resolution<Self>, CronError> {
        let part = |number: u32| i8::try_from(number).map_err(|_| CronError::InvalidDate);
        let year = i16::try_from(civil.year()).map_err(|_| CronError::InvalidDate)?;
        let (month, day) = (part(civil.month())?, part(civil.day())?);
        let (hour, minute, second) = (part(civil.hour())?, part(civil.minute())?, part(civil.second())?);
        let time = DateTime::new(year, month, day, hour, minute, second, 0);
        time.map(|time| Resolution::Single(Self(time))).map_err(|_| CronError::InvalidDate)
    }

    fn checked_add_seconds(&self, seconds: i64) -> Option<Self> {
        self.0.checked_add(SignedDuration::from_secs(seconds)).ok().map(Self)
    }

    fn cmp_instant(&self, other: &Self) -> cmp::Ordering {
        self.0.cmp(&other.0)
    }
}
