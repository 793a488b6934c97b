use super::*;
use proptest::prelude::*;
use std::time::Duration;

const BERLIN: &str = "Europe/Berlin";

fn at(text: &str) -> Timestamp {
    text.parse().unwrap()
}

fn schedule(cron: &str, time_zone: &str) -> Schedule {
    Schedule::parse(cron, time_zone).unwrap_or_else(|error| panic!("{error}"))
}

/// The runs after a moment are exactly these, one after the other.
fn check(cron: &str, time_zone: &str, after: &str, expected: &[&str]) {
    let schedule = schedule(cron, time_zone);
    let mut now = at(after);
    for (index, expected) in expected.iter().enumerate() {
        let next = schedule.next_after(now).unwrap();
        assert_eq!(next, at(expected), "run {index} of {schedule} after {after}");
        now = next;
    }
}

#[test]
fn a_run_is_the_next_that_fits_and_never_now() {
    #[rustfmt::skip]
    let rows: [(&str, &str, &[&str]); 17] = [
        // expression        after                          runs
        ("0 2 * * *",        "2026-11-23T01:59:59.999999Z", &["2026-11-23T02:00:00Z", "2026-11-24T02:00:00Z"]),
        ("0 2 * * *",        "2026-11-23T02:00:00Z",        &["2026-11-24T02:00:00Z"]),
        ("0 2 * * *",        "2026-11-23T02:00:00.000001Z", &["2026-11-24T02:00:00Z"]),
        ("* * * * *",        "2026-12-31T23:59:30Z",        &["2027-01-01T00:00:00Z", "2027-01-01T00:01:00Z"]),
        ("*/20 8-9 * * *",   "2026-11-23T08:30:00Z",        &["2026-11-23T08:40:00Z", "2026-11-23T09:00:00Z"]),
        ("0 0 * * MON",      "2026-11-23T00:00:00Z",        &["2026-11-30T00:00:00Z"]),
        ("0 0 * * fri-Sun",  "2026-11-26T00:00:00Z",        &["2026-11-27T00:00:00Z", "2026-11-28T00:00:00Z"]),
        ("0 0 LW * *",       "2027-01-01T00:00:00Z",        &["2027-01-29T00:00:00Z"]),
        ("0 0 15W * *",      "2026-11-01T00:00:00Z",        &["2026-11-16T00:00:00Z"]),
        ("0 0 * * 5#3",      "2026-11-01T00:00:00Z",        &["2026-11-20T00:00:00Z"]),
        ("0 0 * * FRIL",     "2026-11-01T00:00:00Z",        &["2026-11-27T00:00:00Z"]),
        ("0 0 * * 7",        "2026-11-23T00:00:00Z",        &["2026-11-29T00:00:00Z"]),
        ("0 0 13 * FRI",     "2026-11-07T00:00:00Z",        &["2026-11-13T00:00:00Z", "2026-11-20T00:00:00Z"]), // either
        ("0 0 L * *",        "2027-02-01T00:00:00Z",        &["2027-02-28T00:00:00Z", "2027-03-31T00:00:00Z"]),
        ("0 0 31 * *",       "2027-03-31T00:00:00Z",        &["2027-05-31T00:00:00Z"]),
        ("0 0 1 JAN *",      "2026-11-23T00:00:00Z",        &["2027-01-01T00:00:00Z", "2028-01-01T00:00:00Z"]),
        ("@hourly",          "1969-12-31T23:30:00Z",        &["1970-01-01T00:00:00Z"]),
    ];
    for (cron, after, expected) in rows {
        check(cron, "UTC", after, expected);
    }
}

#[test]
fn the_29th_of_february_waits_for_its_year() {
    check("0 0 29 2 *", "UTC", "2026-11-23T00:00:00Z", &["2028-02-29T00:00:00Z", "2032-02-29T00:00:00Z"]);
    // 2100 is no leap year: eight years from one to the next.
    check("0 0 29 2 *", "UTC", "2096-02-29T00:00:00Z", &["2104-02-29T00:00:00Z"]);
    check("0 0 29 2 *", BERLIN, "2026-11-23T00:00:00Z", &["2028-02-28T23:00:00Z"]);
    // A leap day that is a Monday, across 2100: forty years.
    check("0 0 29 2 +MON", "UTC", "2072-02-29T00:00:00Z", &["2112-02-29T00:00:00Z"]);
}

#[test]
fn an_hour_that_the_clock_skips_runs_once_at_its_end() {
    // Berlin, 29 March 2026: 02:00 CET is 03:00 CEST, at 01:00 UTC.
    let before = "2026-03-28T12:00:00Z";
    check("0 2 * * *", BERLIN, before, &["2026-03-29T01:00:00Z", "2026-03-30T00:00:00Z"]);
    check("30 2 * * *", BERLIN, before, &["2026-03-29T01:00:00Z", "2026-03-30T00:30:00Z"]);
    // Four skipped times and the one at the end of the gap are one moment.
    check("*/15 2,3 * * *", BERLIN, before, &["2026-03-29T01:00:00Z", "2026-03-29T01:15:00Z"]);
    check("0 1 * * *", BERLIN, before, &["2026-03-29T00:00:00Z", "2026-03-29T23:00:00Z"]);
    check("0 3 * * *", BERLIN, before, &["2026-03-29T01:00:00Z", "2026-03-30T01:00:00Z"]);
    // By elapsed time, nothing is skipped and nothing moved.
    check("30 * * * *", BERLIN, "2026-03-28T23:45:00Z", &["2026-03-29T00:30:00Z", "2026-03-29T01:30:00Z"]);
    // A day without midnight: Cairo, 25 April 2025, goes from 00:00 to 01:00, at 22:00 UTC.
    check(
        "0 0 * * *",
        "Africa/Cairo",
        "2025-04-24T12:00:00Z",
        &["2025-04-24T22:00:00Z", "2025-04-25T21:00:00Z"],
    );
}

#[test]
fn an_hour_that_the_clock_shows_twice_runs_once_unless_every_hour_runs() {
    // Berlin, 25 October 2026: 03:00 CEST is 02:00 CET, at 01:00 UTC.
    let before = "2026-10-24T12:00:00Z";
    check("0 2 * * *", BERLIN, before, &["2026-10-25T00:00:00Z", "2026-10-26T01:00:00Z"]);
    check("30 2 * * *", BERLIN, before, &["2026-10-25T00:30:00Z", "2026-10-26T01:30:00Z"]);
    check("30 2,3 * * *", BERLIN, before, &["2026-10-25T00:30:00Z", "2026-10-25T02:30:00Z"]);
    // Asked in the second of the two hours.
    check("30 2 * * *", BERLIN, "2026-10-25T01:10:00Z", &["2026-10-26T01:30:00Z"]);
    check("30 2 * * *", BERLIN, "2026-10-25T01:30:00.5Z", &["2026-10-26T01:30:00Z"]);
    #[rustfmt::skip]
    check("30 * * * *", BERLIN, "2026-10-24T23:45:00Z", &["2026-10-25T00:30:00Z", "2026-10-25T01:30:00Z", "2026-10-25T02:30:00Z"]);
    // Half an hour back: Lord Howe Island, 5 April 2026, 02:00 is 01:30, at 15:00 UTC of the day before.
    #[rustfmt::skip]
    check("*/15 * * * *", "Australia/Lord_Howe", "2026-04-04T14:44:00Z", &["2026-04-04T14:45:00Z", "2026-04-04T15:00:00Z", "2026-04-04T15:15:00Z"]);
    check(
        "45 1 * * *",
        "Australia/Lord_Howe",
        "2026-04-04T12:00:00Z",
        &["2026-04-04T14:45:00Z", "2026-04-05T15:15:00Z"],
    );
}

#[test]
fn a_bad_schedule_says_what_is_wrong_and_what_would_do() {
    let five =
        "; write minute, hour, day of month, month and day of week, such as `0 2 * * *` for 02:00 every day";
    let never = "is a day that never comes; write one that does, such as `0 2 * * *`";
    let weekday = "which may be 0 to 7 (both are Sunday), `SUN` to `SAT`, `5#3` or `5L`";
    #[rustfmt::skip]
    let rows = [
        ("",                 format!("has 0 fields, not five{five}")),
        ("daily",            format!("has one field, not five{five}")),
        ("0 0 2 * * *",      format!("has 6 fields, not five{five}")),
        ("@noon",            format!("is `@noon`, which is no time{five}")),
        ("@daily * * * *",   format!("has `@daily` as its minute, which may be 0 to 59{five}")),
        ("60 2 * * *",       format!("has `60` as its minute, which may be 0 to 59{five}")),
        ("-1 2 * * *",       format!("has `-1` as its minute, which may be 0 to 59{five}")),
        ("0 24 * * *",       format!("has `24` as its hour, which may be 0 to 23{five}")),
        ("0 5-2 * * *",      format!("has `5-2` as its hour, which may be 0 to 23{five}")),
        ("0 1,,2 * * *",     format!("has `1,,2` as its hour, which may be 0 to 23{five}")),
        ("*/0 2 * * *",      format!("has `*/0` as its minute, which may be 0 to 59{five}")),
        ("0 2 32 * *",       format!("has `32` as its day of month, which may be 1 to 31, `L` or `15W`{five}")),
        ("0 2 * 13 *",       format!("has `13` as its month, which may be 1 to 12 or `JAN` to `DEC`{five}")),
        ("0 2 * * 8",        format!("has `8` as its day of week, {weekday}{five}")),
        ("0 2 * * L",        format!("has `L` as its day of week, {weekday}{five}")),
        ("0 2 * * JAN",      format!("has `JAN` as its day of week, {weekday}{five}")),
        ("0 2 * mon *",      format!("has `mon` as its month, which may be 1 to 12 or `JAN` to `DEC`{five}")),
        ("MON 2 * * *",      format!("has `MON` as its minute, which may be 0 to 59{five}")),
        ("0 1FEB * * *",     format!("has `1FEB` as its hour, which may be 0 to 23{five}")),
        ("0 2 * * Montag",   format!("has `Montag` as its day of week, {weekday}{five}")),
        ("0 2 * * \u{0}é",   format!("has `\\0é` as its day of week, {weekday}{five}")),
        ("a 24 * * *",       format!("has `a` as its minute, which may be 0 to 59, and `24` as its hour, which may be 0 to 23{five}")),
        ("0 0 30 2 *",       never.to_owned()),
        ("0 0 31 4,6,9 *",   never.to_owned()),
    ];
    for (cron, expected) in rows {
        let error = Schedule::parse(cron, "UTC").expect_err(cron);
        assert_eq!(error.to_string(), format!("`schedule` {expected}"), "{cron:?}");
        assert_eq!(error.time_zone, None);
    }
    let long = Schedule::parse(&"1,".repeat(1_000), "UTC").unwrap_err().to_string();
    assert_eq!(long, "`schedule` is longer than 200 bytes; write five fields, such as `0 2 * * *`");
}

#[test]
fn an_unknown_time_zone_is_answered_with_the_nearest() {
    let example = "write a name of the IANA database, such as `Europe/Berlin`";
    #[rustfmt::skip]
    let rows = [
        ("Europe/Berlinn", "did you mean `Europe/Berlin`?"),
        ("berlin",         "did you mean `Europe/Berlin`?"),
        ("New York",       "did you mean `America/New_York`?"),
        ("",               example),
        ("Etc/Unknown",    example),
        ("+02:00",         example),
        ("../../passwd",   example),
    ];
    for (name, remedy) in rows {
        let error = Schedule::parse("0 2 * * *", name).expect_err(name).to_string();
        assert_eq!(error, format!("`time_zone` is `{name}`, which is no time zone; {remedy}"));
    }
    let both = Schedule::parse("", &"x".repeat(1_000)).unwrap_err();
    assert!(both.cron.is_some() && both.time_zone.is_some_and(|fault| fault.len() < 200));
}

#[test]
fn a_schedule_is_kept_as_its_two_texts() {
    let kept = schedule(" 0  2 * *\tMON ", "europe/berlin");
    assert_eq!(kept.to_string(), "0 2 * * MON Europe/Berlin");
    let json = serde_json::to_value(&kept).unwrap();
    assert_eq!(json, serde_json::json!({ "cron": "0 2 * * MON", "time_zone": "Europe/Berlin" }));
    assert_eq!(serde_json::from_value::<Schedule>(json).unwrap(), kept);
    let wrong = serde_json::json!({ "cron": "0 25 * * *", "time_zone": "UTC" });
    let error = serde_json::from_value::<Schedule>(wrong).unwrap_err().to_string();
    assert!(error.starts_with("`schedule` has `25` as its hour"), "{error}");
}

#[test]
fn at_the_end_of_time_nothing_runs_and_nothing_fails() {
    let daily = schedule("0 2 * * *", BERLIN);
    for micros in [i64::MIN, i64::MAX] {
        assert_eq!(daily.next_after(Timestamp::from_micros(micros)), None);
        assert_eq!(schedule("* * * * *", "UTC").next_after(Timestamp::from_micros(micros)), None);
    }
    assert_eq!(daily.next_after(at("9999-12-30T22:00:00Z")), None);
}

fn field(words: &'static [&'static str]) -> impl Strategy<Value = &'static str> {
    prop::sample::select(words)
}

proptest! {
    #[test]
    fn whatever_is_given_is_parsed_or_refused(cron in "[0-9*/,@#LW A-Z+?-]{0,24}", zone in "\\PC{0,12}") {
        let _ = Schedule::parse(&cron, "UTC");
        let _ = Schedule::parse("0 2 * * *", &zone);
    }

    /// A search that found nothing second by second would make this test run for hours.
    #[test]
    fn every_expression_is_soon_known_to_come_or_not(
        minute in field(&["*", "0", "59", "*/7", "L"]),
        hour in field(&["*", "0", "23", "1-5", "*/5"]),
        day in field(&["*", "L", "LW", "31W", "29", "30", "31", "?"]),
        month in field(&["*", "2", "FEB", "4,6", "2-3"]),
        weekday in field(&["*", "L", "5L", "MON#5", "+MON", "+5L", "+1#5", "6-7", "?"]),
    ) {
        let cron = format!("{minute} {hour} {day} {month} {weekday}");
        if let Ok(schedule) = Schedule::parse(&cron, BERLIN) {
            let now = at("2026-11-23T09:00:00Z");
            prop_assert!(schedule.next_after(now).is_some_and(|next| next > now), "{}", cron);
        }
    }

    #[test]
    fn every_run_is_later_and_no_earlier_one_fits(
        minute in 0_i64..60 * 24 * 365 * 20,
        cron in prop::sample::select(vec!["*/7 * * * *", "30 2 * * *", "*/10 1-3 * * *", "0 */6 * * SUN", "5 * 25-31 3,10 *"]),
        zone in prop::sample::select(vec!["UTC", BERLIN, "America/New_York", "Australia/Lord_Howe", "Africa/Casablanca"]),
    ) {
        let schedule = schedule(cron, zone);
        let start = at("2020-01-01T00:00:00Z").plus(Duration::from_mins(minute.unsigned_abs()));
        let next = schedule.next_after(start).unwrap();
        prop_assert!(next > start);
        // Asked at any time in between, the answer is the same.
        let between = start.plus(next.since(start) / 2);
        prop_assert_eq!(schedule.next_after(between).unwrap(), next);
        prop_assert_eq!(schedule.next_after(Timestamp::from_micros(next.as_micros() - 1)).unwrap(), next);
    }
}
