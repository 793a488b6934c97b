//! What is wrong with how deliveries are processed, beyond a number outside its limits.

use super::*;

/// These lines of `[connectors.crm.processing]` are refused; the first of them is line 1.
fn check_processing(lines: &str, expected: &[&str]) {
    let lines = lines.replace('\n', "\nconnectors.crm.processing.");
    check_refused(&format!("connectors.crm.processing.{lines}"), expected);
}

#[test]
fn an_ordering_that_there_is_not_is_answered_with_those_there_are() {
    check_processing("ordering = \"objekt\"", &["1:27: `ordering` is `objekt`; did you mean `object`?"]);
    check_processing("ordering = \"None\"", &["1:27: `ordering` is `None`; did you mean `none`?"]);
    check_processing(
        "ordering = \"strict\"\nconcurrency = 4",
        &["1:27: `ordering` is `strict`; write `object`, `connector` or `none`"],
    );
    check_processing(
        "ordering = 1",
        &["1:27: `ordering` is a whole number; write a text in quotation marks"],
    );
    check_processing(
        "order = \"object\"\nconcurency = 4",
        &[
            "1:27: unknown key `order` in [connectors.crm.processing]; known here: `ordering`, `concurrency`, \
             `max_attempts`, `retry_initial_ms`, `retry_multiplier`, `retry_max_ms`, `retry_after_max_ms`, \
             `call_timeout_ms`, `lease_ms`, `wait_deadline_ms`, `defer_min_ms`, `defer_total_ms`, `circuit_failures`, \
             `circuit_probe_ms`, `disconnected_max`, `rate_calls_max`, `rate_interval_ms`, `schedule`, `time_zone`, \
             `history_retention_ms`, `hop_limit` or `loop_after`",
            "2:27: unknown key `concurency` in [connectors.crm.processing]; did you mean `concurrency`?",
        ],
    );
}

#[test]
fn what_is_wrong_only_together_names_both() {
    good("[connectors.crm.processing]\nordering = \"connector\"\nconcurrency = 1");
    check_processing(
        "ordering = \"connector\"\nconcurrency = 2\ndefer_total_ms = 500\nretry_initial_ms = 900_001",
        &[
            "2:27: `concurrency` is 2, but `ordering` is `connector`, where nothing overtakes; write \
             `concurrency = 1`, or `ordering = \"object\"`",
            "3:27: `defer_min_ms` (1,000) is more than `defer_total_ms` (500); lower the one or raise the other",
            "4:27: `retry_initial_ms` (900,001) is more than `retry_max_ms` (900,000); lower the one or raise the other",
        ],
    );
    // Beside a wrong value, what is wrong together would be a second report of it.
    check_processing(
        "ordering = \"connector\"\nconcurrency = 257",
        &["2:27: `concurrency` is 257; write 1 to 256"],
    );
}

#[test]
fn an_interval_without_calls_is_refused() {
    good("[connectors.crm.processing]\nrate_calls_max = 1");
    good("[connectors.crm.processing]\nrate_calls_max = 1\nrate_interval_ms = 86_400_000");
    check_processing(
        "rate_interval_ms = 1_000",
        &[
            "1:27: `rate_interval_ms` limits nothing without `rate_calls_max`; add `rate_calls_max = 10`, or remove it",
        ],
    );
    check_processing(
        "rate_calls_max = 0.5\nrate_interval_ms = 0",
        &[
            "1:27: `rate_calls_max` is a number with a fraction; write a whole number, without quotation marks",
            "2:27: `rate_interval_ms` is 0; write 1 to 86,400,000 (24 h)",
        ],
    );
}

#[test]
fn a_bad_schedule_is_refused_at_the_key_that_is_wrong() {
    let utc = Schedule::parse("0 2 * * *", "UTC").unwrap();
    let config = good("[connectors.crm.processing]\nschedule = \"0 2 * * *\"");
    assert_eq!(config.connectors[0].processing.schedule, Some(utc));
    check_processing(
        "time_zone = \"Europe/Berlin\"",
        &["1:27: `time_zone` is of no use without `schedule`; add `schedule = \"0 2 * * *\"`, or remove it"],
    );
    check_processing(
        "schedule = \"0 25 * * *\"\ntime_zone = \"Europe/Berlinn\"",
        &[
            "1:27: `schedule` has `25` as its hour, which may be 0 to 23; write minute, hour, day of month, month and \
             day of week, such as `0 2 * * *` for 02:00 every day",
            "2:27: `time_zone` is `Europe/Berlinn`, which is no time zone; did you mean `Europe/Berlin`?",
        ],
    );
    check_processing(
        "schedule = \"every night\"",
        &[
            "1:27: `schedule` has 2 fields, not five; write minute, hour, day of month, month and day of week, such as \
           `0 2 * * *` for 02:00 every day",
        ],
    );
    check_processing(
        "schedule = \"0 0 30 2 *\"",
        &["1:27: `schedule` is a day that never comes; write one that does, such as `0 2 * * *`"],
    );
    check_processing(
        "schedule = 5\ntime_zone = 2",
        &[
            "1:27: `schedule` is a whole number; write a text in quotation marks",
            "2:27: `time_zone` is a whole number; write a text in quotation marks",
        ],
    );
}

#[test]
fn processing_is_checked_alone_too() {
    assert_eq!(Processing::default().check(), Ok(()));
    let wrong = Processing {
        ordering: Ordering::Connector,
        concurrency: 0,
        max_attempts: 0,
        retry_initial_ms: u64::MAX,
        retry_multiplier: f64::NAN,
        retry_max_ms: 0,
        retry_after_max_ms: 0,
        call_timeout_ms: 0,
        lease_ms: 0,
        wait_deadline_ms: 0,
        defer_min_ms: 0,
        defer_total_ms: 0,
        circuit_failures: 0,
        circuit_probe_ms: 0,
        disconnected_max: 0,
        rate: Some(Rate { calls_max: 0, interval_ms: 0 }),
        schedule: None,
        history_retention_ms: u64::MAX,
        hop_limit: 101,
        loop_after: 0,
    };
    let endless = "18,446,744,073,709,551,615";
    assert_eq!(
        wrong.check().unwrap_err(),
        [
            "`concurrency` is 0; write 1 to 256",
            "`max_attempts` is 0; write 1 to 1,000",
            &format!("`retry_initial_ms` is {endless}; write 1 to 86,400,000 (24 h)"),
            "`retry_max_ms` is 0; write 1 to 86,400,000 (24 h)",
            "`retry_after_max_ms` is 0; write 1 to 86,400,000 (24 h)",
            "`call_timeout_ms` is 0; write 1 to 3,600,000 (1 h)",
            "`lease_ms` is 0; write 1,000 to 600,000 (10 minutes)",
            "`wait_deadline_ms` is 0; write 1 to 7,776,000,000 (90 days)",
            "`defer_min_ms` is 0; write 1 to 86,400,000 (24 h)",
            "`defer_total_ms` is 0; write 1 to 2,592,000,000 (30 days)",
            "`circuit_failures` is 0; write 1 to 1,000",
            "`circuit_probe_ms` is 0; write 1 to 86,400,000 (24 h)",
            "`disconnected_max` is 0; write 1 to 1,000",
            &format!("`history_retention_ms` is {endless}; write 0 to 315,360,000,000 (3,650 days)"),
            "`hop_limit` is 101; write 1 to 100",
            "`loop_after` is 0; write 1 to 1,000",
            "`rate_calls_max` is 0; write 1 to 1,000,000",
            "`rate_interval_ms` is 0; write 1 to 86,400,000 (24 h)",
            "`retry_multiplier` is NaN; write 1 to 10",
        ]
    );
    let crossed = Processing {
        ordering: Ordering::Connector,
        concurrency: 8,
        retry_initial_ms: 2_000,
        retry_max_ms: 1_000,
        ..Processing::default()
    };
    assert_eq!(
        crossed.check().unwrap_err(),
        [
            "`concurrency` is 8, but `ordering` is `connector`, where nothing overtakes; write `concurrency = 1`, or \
             `ordering = \"object\"`",
            "`retry_initial_ms` (2,000) is more than `retry_max_ms` (1,000); lower the one or raise the other",
        ]
    );
}

#[test]
fn what_a_store_kept_of_an_older_bus_is_read_with_the_defaults() {
    let older = json!({ "max_attempts": 3, "retry_initial_ms": 250 });
    let expected = Processing { max_attempts: 3, retry_initial_ms: 250, ..Processing::default() };
    assert_eq!(serde_json::from_value::<Processing>(older).unwrap(), expected);
    let rate = json!({ "rate": { "calls_max": 3 } });
    assert_eq!(serde_json::from_value::<Processing>(rate).unwrap().rate, Some(Rate::per_second(3)));
    let unknown = json!({ "rate": { "calls_max": 3, "burst": 1 } });
    serde_json::from_value::<Processing>(unknown).unwrap_err();
}
