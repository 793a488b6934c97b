use bus_core::{DeliveryId, TaskId};
use serde_json::json;

use super::*;

fn fields(value: Value) -> Map<String, Value> {
    match value {
        Value::Object(fields) => fields,
        other => panic!("{other} is no object"),
    }
}

fn at(minutes: u64) -> Timestamp {
    Timestamp::EPOCH.plus(Duration::from_mins(minutes))
}

/// What this delivery has sent, at this minute.
fn sent(delivery: i64, minutes: u64, value: Value) -> Sent {
    let fields = digests(&fields(value));
    Sent { delivery: DeliveryId(delivery), task: TaskId(delivery), hop: 0, at: at(minutes), fields }
}

fn word(heard: &Heard<'_>) -> String {
    match heard {
        Heard::Echo(sent) => format!("echo of {}", sent.delivery),
        Heard::Answer(sent) => format!("answer to {}", sent.delivery),
        Heard::News => "news".to_owned(),
    }
}

#[test]
fn what_comes_back_is_told_from_what_is_new() {
    let person = |name: &str, phone: &str| json!({"id": 17, "name": name, "phone": phone});
    let v1 = || sent(1, 0, person("Ada", "1"));
    let v2 = || sent(2, 1, person("Ada L.", "1"));
    let v3 = || sent(3, 2, person("Ada Lovelace", "1"));
    let ada = || person("Ada", "1");
    let lovelace = || person("Ada Lovelace", "1");
    let day = 24 * 60;
    for (what, before, after, sent, minutes, expected) in [
        ("what was sent", ada(), ada(), vec![v1()], 2, "echo of 1"),
        ("the one before the last", person("Ada L.", "1"), ada(), vec![v1(), v2()], 2, "echo of 1"),
        ("late by two", lovelace(), ada(), vec![v1(), v2(), v3()], 3, "echo of 1"),
        (
            "late, after the host was changed in another field",
            person("Ada", "2"),
            ada(),
            vec![v1()],
            2,
            "echo of 1",
        ),
        ("the last of several", lovelace(), lovelace(), vec![v1(), v2(), v3()], 3, "echo of 3"),
        (
            "the oldest of two that are the same",
            lovelace(),
            ada(),
            vec![v1(), sent(4, 1, ada()), v3()],
            3,
            "echo of 1",
        ),
        ("rewritten on the way", ada(), person("ADA", "1"), vec![v1()], 2, "answer to 1"),
        ("half of it rewritten", person("Ada", "9"), person("ADA", "1"), vec![v1()], 2, "answer to 1"),
        (
            "rewritten, of several",
            lovelace(),
            person("ADA LOVELACE", "1"),
            vec![v2(), v3()],
            3,
            "answer to 3",
        ),
        ("changed a while after", ada(), person("ADA", "1"), vec![v1()], 11, "news"),
        ("just within the time of an answer", ada(), person("ADA", "1"), vec![v1()], 10, "answer to 1"),
        ("come back before, and then set by a person", lovelace(), ada(), vec![], 2, "news"),
        ("nothing, when nothing was sent", ada(), ada(), vec![], 2, "news"),
        ("nothing, and not what was sent", ada(), ada(), vec![v3()], 3, "news"),
        ("the very last moment", lovelace(), ada(), vec![v1()], day, "echo of 1"),
        ("too late", lovelace(), ada(), vec![v1()], day + 1, "news"),
        ("a field that was removed", ada(), json!({"id": 17, "name": "Ada"}), vec![v1()], 2, "answer to 1"),
        (
            "a field that was not sent",
            ada(),
            json!({"id": 17, "name": "Ada", "phone": "1", "mail": "a"}),
            vec![v1()],
            2,
            "answer to 1",
        ),
    ] {
        let (before, after) = (fields(before), fields(after));
        assert_eq!(word(&heard(&before, &after, &sent, None, at(minutes))), expected, "{what}");
    }
}

#[test]
fn what_was_undone_a_while_ago_can_be_said_again() {
    let old = || fields(json!({"name": "old"}));
    let new = || fields(json!({"name": "new"}));
    let ledger = [sent(1, 0, json!({"name": "old"})), sent(2, 60, json!({"name": "new"}))];
    let agreed = |is_given, minutes| {
        let data = Value::Object(new()).to_string().into_bytes();
        Some(Agreed { data, is_given, alternations: 0, at: at(minutes) })
    };
    for (what, agreed, minutes, expected) in [
        ("on its way while the newer was given", agreed(true, 60), 70, "echo of 1"),
        ("after a while", agreed(true, 60), 71, "news"),
        ("while the newer is on its way still", agreed(true, 1), 59, "echo of 1"),
        ("when it was taken from there", agreed(false, 60), 71, "echo of 1"),
        ("when nothing was given yet", None, 71, "echo of 1"),
    ] {
        let heard = heard(&new(), &old(), &ledger, agreed.as_ref(), at(minutes));
        assert_eq!(word(&heard), expected, "{what}");
    }
    let latest = heard(&old(), &new(), &ledger, agreed(true, 60).as_ref(), at(600));
    assert_eq!(word(&latest), "echo of 2", "nothing newer was given");
}

#[test]
fn what_was_sent_is_heard_once() {
    let (before, after) = (fields(json!({"name": "new"})), fields(json!({"name": "old"})));
    let mut ledger = vec![sent(1, 0, json!({"name": "old"})), sent(2, 1, json!({"name": "new"}))];
    let Heard::Echo(echo) = heard(&before, &after, &ledger, None, at(2)) else { panic!("it was sent") };
    let up_to = echo.delivery;
    ledger.retain(|sent| sent.delivery > up_to);
    assert_eq!(
        word(&heard(&before, &after, &ledger, None, at(2))),
        "answer to 2",
        "a person has set it back"
    );
}

#[test]
fn a_digest_knows_values_and_not_how_they_are_kept() {
    let mut backwards = Map::new();
    backwards.insert("b".to_owned(), json!([1, {"y": 1, "x": null}]));
    backwards.insert("a".to_owned(), json!("1"));
    let forwards = fields(json!({"a": "1", "b": [1, {"x": null, "y": 1}]}));
    assert_eq!(digests(&backwards), digests(&forwards));
    let different =
        [json!(1), json!("1"), json!(null), json!([]), json!({}), json!([[1], 2]), json!([1, [2]])];
    let mut known: Vec<u64> = different.iter().map(digest).collect();
    known.sort_unstable();
    known.dedup();
    assert_eq!(known.len(), different.len());
}

#[test]
fn alternations_are_counted_until_there_is_quiet() {
    let agreed = |alternations, is_given| {
        let data = Vec::new();
        Some(Agreed { data, alternations, is_given, at: at(0) })
    };
    for (what, agreed, minutes, expected) in [
        ("the first that is known of it", None, 0, 0),
        ("an answer", agreed(0, true), 1, 1),
        ("another one", agreed(3, true), 10, 4),
        ("two changes there in a row", agreed(3, false), 1, 3),
        ("a change after a quiet time", agreed(3, true), 11, 0),
    ] {
        assert_eq!(alternations(agreed.as_ref(), at(minutes)), expected, "{what}");
    }
}
