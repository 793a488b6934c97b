//! What the file may say, and each mistake with its very line. Over 400 lines, because there are many mistakes.

mod processing_mistakes;
mod site_mistakes;

use super::*;
use std::fs;
use std::time::Duration;

use serde_json::json;

use crate::config::{Ordering, Processing, Rate};
use crate::schedule::Schedule;

fn read(text: &str) -> Result<Config, BusError> {
    from_text(text, Path::new("/srv/app"), Some(Path::new("bus.toml")))
}

fn good(text: &str) -> Config {
    read(text).unwrap_or_else(|error| panic!("{error}\nin\n{text}"))
}

fn sqlite(path: &str, synchronous: Synchronous) -> StoreConfig {
    StoreConfig::Sqlite { path: PathBuf::from(path), synchronous }
}

/// The text is refused with exactly these lines, each without the name of the file.
fn check_refused(text: &str, expected: &[&str]) {
    let error = read(text).err().unwrap_or_else(|| panic!("this must be refused:\n{text}"));
    assert_eq!(error.kind(), BusErrorKind::Config);
    let message = error.to_string();
    let lines: Vec<&str> = match message.split_once(" mistakes:\n") {
        Some((head, lines)) => {
            assert_eq!(head, format!("bus.toml has {}", expected.len()), "{message}");
            lines.lines().collect()
        }
        None => message.lines().collect(),
    };
    let expected: Vec<String> = expected.iter().map(|line| format!("bus.toml:{line}")).collect();
    let lines: Vec<&str> = lines.into_iter().map(str::trim_start).collect();
    assert_eq!(lines, expected, "in\n{text}");
}

#[test]
fn an_empty_file_is_a_bus_with_a_store_beside_it() {
    let mut expected = Config::new(sqlite("/srv/app/bus.db", Synchronous::Full));
    expected.file = Some(PathBuf::from("bus.toml"));
    assert_eq!(good(""), expected);
    assert_eq!(good("\u{feff}# only a comment\r\n[switches]\r\n[limits]\r\n[connectors]\r\n"), expected);
}

/// What `everything_that_can_be_said_is_read` says of the processing of a connector.
fn all_of_it() -> Processing {
    Processing {
        ordering: Ordering::None,
        concurrency: 256,
        max_attempts: 3,
        retry_initial_ms: 250,
        retry_multiplier: 3.0,
        retry_max_ms: 60_000,
        retry_after_max_ms: 120_000,
        call_timeout_ms: 5_000,
        lease_ms: 10_000,
        wait_deadline_ms: 3_600_000,
        defer_min_ms: 500,
        defer_total_ms: 7_200_000,
        circuit_failures: 2,
        circuit_probe_ms: 1_500,
        disconnected_max: 4,
        rate: Some(Rate { calls_max: 30, interval_ms: 60_000 }),
        schedule: Some(Schedule::parse("*/15 8-17 * * MON-FRI", "Europe/Berlin").unwrap()),
        history_retention_ms: 0,
        hop_limit: 12,
        loop_after: 3,
    }
}

#[test]
fn everything_that_can_be_said_is_read() {
    let config = good(
        r#"
        store = "data/tasks.db"
        synchronous = "normal"
        strict = true
        [switches]
        bus = false
        log_incoming = false
        [limits]
        payload_bytes_max = 0x1000
        shutdown_grace_ms = 2_500
        due_max_ms = 86_400_000
        store_bytes_max = 4_194_304
        [connectors.zeta]
        [connectors.crm-eu]
        uses = "crm"
        display_name = "CRM (Europe)"
        state = "paused"
        [connectors.crm-eu.settings]
        base_url = "https://crm.example.com"
        api_key = { env = "CRM_KEY" }
        batch = 50
        ratio = 0.5
        since = 2026-11-23T08:00:00Z
        day = 2026-11-23
        pages = ["a", { deep = [1, 2] }]
        huge = 18446744073709551615
        [connectors.crm-eu.processing]
        ordering = "none"
        concurrency = 256
        max_attempts = 3
        retry_initial_ms = 250
        retry_multiplier = 3
        retry_max_ms = 60_000
        retry_after_max_ms = 120_000
        call_timeout_ms = 5_000
        lease_ms = 10_000
        wait_deadline_ms = 3_600_000
        defer_min_ms = 500
        defer_total_ms = 7_200_000
        circuit_failures = 2
        circuit_probe_ms = 1_500
        disconnected_max = 4
        rate_calls_max = 30
        rate_interval_ms = 60_000
        schedule = "*/15 8-17 * * MON-FRI"
        time_zone = "Europe/Berlin"
        history_retention_ms = 0
        hop_limit = 12
        loop_after = 3
        [connectors.alpha]
        state = "disabled"
        "#,
    );
    assert_eq!(config.store, sqlite("/srv/app/data/tasks.db", Synchronous::Normal));
    assert!(config.strict);
    assert_eq!(config.switches, Switches { bus: false, log_incoming: false, ..Switches::default() });
    assert_eq!((config.limits.payload_bytes_max, config.limits.store_bytes_max), (4_096, Some(4 << 20)));
    assert_eq!(config.limits.shutdown_grace, Duration::from_millis(2_500));
    assert_eq!(config.limits.due_max, Duration::from_hours(24));
    let name = |name: &str| ConnectorName::parse(name).unwrap();
    let settings = json!({
        "base_url": "https://crm.example.com",
        "api_key": { "env": "CRM_KEY" },
        "batch": 50,
        "ratio": 0.5,
        "since": "2026-11-23T08:00:00Z",
        "day": "2026-11-23",
        "pages": ["a", { "deep": [1, 2] }],
        "huge": u64::MAX,
    });
    let processing = all_of_it();
    assert_eq!(processing.check(), Ok(()));
    // As the store keeps it.
    let kept = serde_json::to_value(&processing).unwrap();
    assert_eq!(serde_json::from_value::<Processing>(kept).unwrap(), processing);
    let mut crm = ConnectorConfig::new(name("crm-eu")).uses("crm").settings(settings).processing(processing);
    crm.display_name = "CRM (Europe)".to_owned();
    let expected = [
        ConnectorConfig::new(name("zeta")),
        crm.state(ConnectorState::Paused),
        ConnectorConfig::new(name("alpha")).state(ConnectorState::Disabled),
    ];
    assert_eq!(config.connectors, expected, "in the order of the file");
}

#[test]
fn a_store_is_a_file_or_memory() {
    let full = Synchronous::Full;
    let rows = [
        ("memory", StoreConfig::Memory),
        ("./memory", sqlite("/srv/app/./memory", full)),
        ("tasks.db", sqlite("/srv/app/tasks.db", full)),
        ("../tasks.db", sqlite("/srv/app/../tasks.db", full)),
        ("/var/lib/tasks.db", sqlite("/var/lib/tasks.db", full)),
        ("sqlite:tasks.db", sqlite("/srv/app/tasks.db", full)),
        ("sqlite:/var/lib/tasks.db", sqlite("/var/lib/tasks.db", full)),
        ("sqlite:///var/lib/tasks.db", sqlite("/var/lib/tasks.db", full)),
        ("a:b.db", sqlite("/srv/app/a:b.db", full)),
    ];
    for (text, expected) in rows {
        assert_eq!(good(&format!("store = {text:?}")).store, expected, "{text}");
    }
}

#[test]
fn what_is_no_store_is_refused_without_its_password() {
    let example = "write a file, such as `store = \"bus.db\"`";
    let memory = "`store` looks like the store in memory; write `store = \"memory\"` for it, or `\"./memory\"` for a \
                  file of this name";
    let postgres =
        format!("`store` is a PostgreSQL database, but this program is built without PostgreSQL; {example}");
    #[rustfmt::skip]
    let rows = [
        ("postgres://bus:s3cret@db/bus",   postgres.clone()),
        ("postgresql://bus:s3cret@db/bus", postgres),
        ("mysql://bus:s3cret@db/bus",      format!("`store` begins with `mysql`, which is no store that there is; {example}")),
        ("",                               format!("`store` is empty; {example}")),
        ("sqlite:",                        format!("`store` is empty; {example}")),
        ("data/",                          format!("`store` names a directory; {example}")),
        ("~/bus.db",                       format!("`store` begins with `~`, which stands for itself here; {example}")),
        ("a\\u0000b",                      format!("`store` is no path, it contains a zero byte; {example}")),
        ("Memory",                         memory.to_owned()),
        (":memory:",                       memory.to_owned()),
        ("sqlite::memory:",                memory.to_owned()),
    ];
    for (text, expected) in rows {
        check_refused(&format!("store = \"{text}\""), &[&format!("1:1: {expected}")]);
    }
    let folder = tempfile::tempdir().unwrap();
    let error = from_text("store = \".\"", folder.path(), None).unwrap_err().to_string();
    assert!(error.starts_with("configuration:1:1: `store` is the directory "), "{error}");
}

#[test]
fn unknown_keys_are_refused_with_the_nearest_or_all_or_the_table_they_belong_in() {
    check_refused(
        "stroe = \"x\"\nconnector = 1\ncolour = 1\nmax_attempts = 1\n",
        &[
            "1:1: unknown key `stroe` at the top of the file; did you mean `store`?",
            "2:1: unknown key `connector` at the top of the file; did you mean `connectors`?",
            "3:1: unknown key `colour` at the top of the file; known here: `store`, `synchronous`, `strict`, \
             `switches`, `limits`, `sites` or `connectors`",
            "4:1: unknown key `max_attempts` at the top of the file; it belongs in [connectors.NAME.processing]",
        ],
    );
    check_refused(
        "[limits]\nstore = \"x\"\nbus = true\npayload_max_bytes = 1\npayload-bytes-max = 2\n",
        &[
            "2:1: unknown key `store` in [limits]; it belongs at the top of the file, before the first [table]",
            "3:1: unknown key `bus` in [limits]; it belongs in [switches]",
            "4:1: unknown key `payload_max_bytes` in [limits]; known here: `payload_bytes_max`, \
             `shutdown_grace_ms`, `due_max_ms` or `store_bytes_max`",
            "5:1: unknown key `payload-bytes-max` in [limits]; did you mean `payload_bytes_max`?",
        ],
    );
    check_refused(
        "[connectors.crm]\nenabled = false\nbase_url = \"s3cret\"\nuse = \"x\"\nretry_max_ms = 1\n\n\
         [connectors.crm.processing]\n  max_atempts = 3\n  uses = \"x\"",
        &[
            "2:1: unknown key `enabled` in [connectors.crm]; write `state = \"enabled\"`, `\"paused\"` or \
             `\"disabled\"`",
            "3:1: unknown key `base_url` in [connectors.crm]; known here: `uses`, `display_name`, `state`, `settings` \
             or `processing`; if it is a setting of its own, it belongs in [connectors.crm.settings]",
            "4:1: unknown key `use` in [connectors.crm]; did you mean `uses`?",
            "5:1: unknown key `retry_max_ms` in [connectors.crm]; it belongs in [connectors.crm.processing]",
            "8:3: unknown key `max_atempts` in [connectors.crm.processing]; did you mean `max_attempts`?",
            "9:3: unknown key `uses` in [connectors.crm.processing]; it belongs in [connectors.crm]",
        ],
    );
}

#[test]
fn values_of_the_wrong_type_are_refused_without_being_repeated() {
    check_refused(
        "store = 5\nstrict = \"yes\"\nsynchronous = true\nlimits = 3\n[switches]\nbus = \"true\"\nlog_incoming = 1\n",
        &[
            "1:1: `store` is a whole number; write a text in quotation marks",
            "2:1: `strict` is a text; write `true` or `false`, without quotation marks",
            "3:1: `synchronous` is `true`; write a text in quotation marks",
            "4:1: `limits` is a whole number; write it as [limits], with a line for each key below",
            "6:1: `bus` is a text; write `true` or `false`, without quotation marks",
            "7:1: `log_incoming` is a whole number; write `true` or `false`, without quotation marks",
        ],
    );
    check_refused(
        "[[connectors]]\nuses = \"crm\"\n",
        &["1:3: `connectors` is a list; write a table [connectors.NAME] for each connector"],
    );
    check_refused(
        "connectors.crm = \"s3cret\"\nconnectors.erp = { settings = \"s3cret\", processing = 3 }\n",
        &[
            "1:12: `crm` is a text; write it as [connectors.crm], with a line for each key below",
            "2:20: `settings` is a text; write it as [connectors.erp.settings], with a line for each key below",
            "2:41: `processing` is a whole number; write it as [connectors.erp.processing], with a line for each key \
             below",
        ],
    );
    check_refused(
        "[connectors.crm.processing]\nmax_attempts = 3.0\ncall_timeout_ms = \"30s\"\nretry_multiplier = \"2\"\n\
         wait_deadline_ms = 2026-11-23\nretry_max_ms = []\n",
        &[
            "2:1: `max_attempts` is a number with a fraction; write a whole number, without quotation marks",
            "3:1: `call_timeout_ms` is a text; write a whole number, without quotation marks",
            "4:1: `retry_multiplier` is a text; write a number, without quotation marks",
            "5:1: `wait_deadline_ms` is a date or time; write a whole number, without quotation marks",
            "6:1: `retry_max_ms` is a list; write a whole number, without quotation marks",
        ],
    );
}

#[test]
fn words_that_are_none_of_the_possible_ones_are_refused() {
    check_refused(
        "synchronous = \"ful\"\n[connectors.crm]\nstate = \"off\"\nuses = \"Crm\"\ndisplay_name = \" \"\n\
         [connectors.erp]\nstate = \"Disabled\"\n",
        &[
            "1:1: `synchronous` is `ful`; did you mean `full`?",
            "3:1: `state` is `off`; write `enabled`, `paused`, `stopped` or `disabled`",
            "4:1: `uses` names no connector: `Crm` is not a connector name: use lowercase words joined by `-`, such \
             as `crm-eu`",
            "5:1: `display_name` is empty; write what people call it, or leave it out",
            "7:1: `state` is `Disabled`; did you mean `disabled`?",
        ],
    );
    check_refused(
        "[connectors.Crm_EU]\n[connectors.\"\"]\n[connectors.\"a\\nb\"]\n",
        &[
            "1:13: `Crm_EU` is not a connector name: use lowercase words joined by `-`, such as `crm-eu`",
            "2:13: `` is not a connector name: use lowercase words joined by `-`, such as `crm-eu`",
            "3:13: `a\\nb` is not a connector name: use lowercase words joined by `-`, such as `crm-eu`",
        ],
    );
}

#[test]
fn numbers_outside_their_limits_are_refused_with_the_limit() {
    #[rustfmt::skip]
    let rows = [
        // key               the least  the most              outside, and how it reads           what would do
        ("max_attempts",     1,         1_000,                &[("0", "0"), ("1001", "1,001"), ("-1", "-1")][..], "1 to 1,000"),
        ("retry_initial_ms", 1,         900_000,              &[("0", "0"), ("86400001", "86,400,001")], "1 to 86,400,000 (24 h)"),
        ("retry_max_ms",     1_000,     86_400_000,           &[("0", "0"), ("86_400_001", "86,400,001")], "1 to 86,400,000 (24 h)"),
        ("call_timeout_ms",  1,         3_600_000,            &[("0", "0"), ("3600001", "3,600,001")], "1 to 3,600,000 (1 h)"),
        ("wait_deadline_ms", 1,         7_776_000_000_u64,   &[("0", "0"), ("18446744073709551616", "18446744073709551616")], "1 to 7,776,000,000 (90 days)"),
        ("concurrency",          1,     256,                  &[("0", "0"), ("257", "257"), ("-1", "-1")], "1 to 256"),
        ("retry_after_max_ms",   1,     86_400_000,           &[("0", "0"), ("86400001", "86,400,001")], "1 to 86,400,000 (24 h)"),
        ("lease_ms",             1_000, 600_000,              &[("999", "999"), ("600001", "600,001"), ("-30000", "-30000")], "1,000 to 600,000 (10 minutes)"),
        ("defer_min_ms",         1,     86_400_000,           &[("0", "0"), ("86400001", "86,400,001")], "1 to 86,400,000 (24 h)"),
        ("defer_total_ms",       1_000, 2_592_000_000,        &[("0", "0"), ("2592000001", "2,592,000,001")], "1 to 2,592,000,000 (30 days)"),
        ("circuit_failures",     1,     1_000,                &[("0", "0"), ("1001", "1,001")], "1 to 1,000"),
        ("circuit_probe_ms",     1,     86_400_000,           &[("0", "0"), ("86400001", "86,400,001")], "1 to 86,400,000 (24 h)"),
        ("disconnected_max",     1,     1_000,                &[("0", "0"), ("1001", "1,001")], "1 to 1,000"),
        ("rate_calls_max",       1,     1_000_000,            &[("0", "0"), ("1000001", "1,000,001"), ("-5", "-5")], "1 to 1,000,000"),
        ("history_retention_ms", 0,     315_360_000_000,      &[("-1", "-1"), ("315360000001", "315,360,000,001")], "0 to 315,360,000,000 (3,650 days)"),
    ];
    for (key, least, most, outside, would_do) in rows {
        for inside in [least, most] {
            good(&format!("[connectors.crm.processing]\n{key} = {inside}"));
        }
        for (given, reads) in outside {
            let expected = format!("2:1: `{key}` is {reads}; write {would_do}");
            check_refused(&format!("[connectors.crm.processing]\n{key} = {given}"), &[&expected]);
        }
    }
    let digits = "9".repeat(1_000);
    check_refused(
        &format!(
            "[limits]\npayload_bytes_max = 0\nshutdown_grace_ms = 600001\ndue_max_ms = 86399999\nstore_bytes_max = 4194303\n[connectors.crm.processing]\nmax_attempts = {digits}"
        ),
        &[
            "2:1: `payload_bytes_max` is 0; write 1 to 67,108,864 (64 MiB)",
            "3:1: `shutdown_grace_ms` is 600,001; write 0 to 600,000 (10 minutes)",
            "4:1: `due_max_ms` is 86,399,999; write 86,400,000 to 31,622,400,000 (366 days)",
            "5:1: `store_bytes_max` is 4,194,303; write 4,194,304 to 1,099,511,627,776 (1 TiB)",
            "7:1: `max_attempts` is far outside; write 1 to 1,000",
        ],
    );
    for multiplier in ["1", "1.0", "10", "2.5"] {
        good(&format!("[connectors.crm.processing]\nretry_multiplier = {multiplier}"));
    }
    for (multiplier, reads) in [("0.9", "0.9"), ("11", "11"), ("-2", "-2"), ("nan", "NaN"), ("inf", "inf")] {
        check_refused(
            &format!("[connectors.crm.processing]\nretry_multiplier = {multiplier}"),
            &[&format!("2:1: `retry_multiplier` is {reads}; write 1 to 10")],
        );
    }
    check_refused(
        "[connectors.crm.processing]\nmax_attempts = 5\nretry_max_ms = 500\n",
        &[
            "3:1: `retry_initial_ms` (1,000) is more than `retry_max_ms` (500); lower the one or raise the other",
        ],
    );
}

#[test]
fn settings_that_json_cannot_hold_are_refused_without_being_repeated() {
    check_refused(
        "[connectors.crm.settings]\na = nan\nb = [1, -inf]\nc = { d = 99999999999999999999 }\n",
        &[
            "2:5: `a` is no number that a setting can be; write a finite one",
            "3:9: `b[1]` is no number that a setting can be; write a finite one",
            "4:11: `c.d` is a number of more than 64 bits; write it as a text",
        ],
    );
}

#[test]
fn what_is_not_toml_is_refused_with_its_place() {
    check_refused("strict\n", &["1:7: this is not TOML: key with no value, expected `=`"]);
    check_refused(
        "store = \"a\"\nstrict = true\nstore = \"b\"\n",
        &["3:1: this key or table stands here for the second time; join the two, or remove one"],
    );
    check_refused(
        "[connectors.crm]\n[connectors.crm]\n",
        &["2:13: this key or table stands here for the second time; join the two, or remove one"],
    );
    // Whatever else is wrong, the value of a line is never repeated: it may be a secret.
    for text in
        ["key = s3cret\n", "key = \"s3cret\n", "key = 's3cret\n[x", "s3cret s3cret = [[\n", "é = \u{0}s3cret"]
    {
        let error = read(text).unwrap_err();
        let report = format!("{error:?}");
        assert!(!report.contains("s3cret"), "{report}");
        assert!(report.contains("bus.toml:1:"), "{report}");
    }
}

#[test]
fn a_file_with_very_many_mistakes_is_answered_in_a_page() {
    let text: Vec<String> = (0..1_000).map(|number| format!("wrong{number} = 1\n")).collect();
    let message = read(&text.concat()).unwrap_err().to_string();
    assert_eq!(message.lines().count(), 52);
    assert!(message.ends_with("\n  and 950 more"), "{message}");
    let deep = format!("a = {}", "[".repeat(100_000));
    read(&deep).unwrap_err();
    let deep = format!("{}b = 1", "a.".repeat(100_000));
    read(&deep).unwrap_err();
}

#[test]
fn a_file_that_cannot_be_read_says_why() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("bus.toml");
    let shown = path.display().to_string();
    let refused = |path: &Path| from_file(path).unwrap_err().to_string();

    assert_eq!(
        refused(&path),
        format!(
            "read the configuration {shown}: it is not there; create it with one line, `store = \"bus.db\"`, and a \
             `[connectors.NAME]` for each connector"
        )
    );
    assert_eq!(
        refused(folder.path()),
        format!("read the configuration {}: it is a directory; name the file in it", folder.path().display())
    );
    fs::write(&path, b"store = \"a\"\nstrict = tr\xff\xfe").unwrap();
    assert_eq!(refused(&path), format!("{shown}:2:12: this is not UTF-8; save the file as UTF-8"));
    fs::write(&path, "#".repeat(1024 * 1024 + 1)).unwrap();
    assert!(refused(&path).contains("it is longer than 1048576 bytes"), "{}", refused(&path));
    let relative = refused(Path::new("no-such-bus.toml"));
    assert!(relative.contains("no-such-bus.toml: it is not there (looked for /"), "{relative}");
}

#[test]
fn a_file_is_read_with_its_folder_as_the_place_of_its_store() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("bus.toml");
    fs::write(&path, "store = \"data.db\"").unwrap();
    let config = Config::from_file(&path).unwrap();
    let expected =
        StoreConfig::Sqlite { path: folder.path().join("data.db"), synchronous: Synchronous::Full };
    assert_eq!(config.store, expected);
    assert_eq!(config.file, Some(path));
}

#[test]
fn the_documented_example_says_what_the_defaults_are() {
    let example = include_str!("../../../../docs/bus.toml");
    let config = good(example);
    let defaults = good("");
    assert_eq!(config.store, defaults.store);
    assert_eq!(config.strict, defaults.strict);
    assert_eq!(config.switches, defaults.switches);
    assert_eq!(config.limits, defaults.limits);
    let [connector] = &config.connectors[..] else { panic!("one connector: {:?}", config.connectors) };
    assert_eq!(connector.state, ConnectorState::default());
    assert_eq!(connector.processing, Processing::default());
    // Every key stands in it, so that the defaults above are compared and not just taken; a key without a default, as
    // a comment that could be one.
    for key in [TOP_KEYS, SWITCH_KEYS, LIMIT_KEYS, sites::KEYS, CONNECTOR_KEYS, processing::KEYS].concat() {
        let written = example.lines().any(|line| {
            line.strip_prefix("# ")
                .unwrap_or(line)
                .strip_prefix(key)
                .is_some_and(|rest| rest.starts_with(" = "))
                || (line.starts_with('[') && line.trim_matches(['[', ']']).split('.').any(|part| part == key))
        });
        assert!(written, "`{key}` is not in docs/bus.toml");
    }
    let is_key = |line: &str| line.split_once(" = ").is_some_and(|(key, _)| processing::KEYS.contains(&key));
    let lines =
        example.lines().map(|line| line.strip_prefix("# ").filter(|line| is_key(line)).unwrap_or(line));
    let all = good(&lines.collect::<Vec<_>>().join("\n"));
    let processing = Processing {
        rate: Some(Rate::per_second(10)),
        schedule: Some(Schedule::parse("0 2 * * *", "Europe/Berlin").unwrap()),
        ..Processing::default()
    };
    assert_eq!(all.connectors[0].processing, processing);
}
