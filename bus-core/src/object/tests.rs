use super::*;

const GUID: &str = "9f2d6c2e-0000-4000-8000-000000000001";

#[test]
fn a_text_that_only_looks_like_a_number_or_a_guid_stays_what_it_is() {
    let shouting = GUID.to_uppercase();
    let braced = format!("{{{GUID}}}");
    let simple = GUID.replace('-', "");
    for text in ["0815", "+5", "-0", "00", "", " 7", "9223372036854775808", "x", &shouting, &braced, &simple]
    {
        assert!(matches!(ObjectId::from_text(text), ObjectId::Text(same) if same == text), "{text}");
        let read: ObjectId = serde_json::from_value(Value::from(text)).unwrap();
        assert!(matches!(&read, ObjectId::Text(same) if same == text), "{text}: {read:?}");
    }
    for text in ["0", "17", "-3", "9223372036854775807"] {
        assert!(matches!(ObjectId::from_text(text), ObjectId::Number(number) if number.to_string() == text));
    }
    assert!(matches!(ObjectId::from_text(GUID), ObjectId::Guid(_)));
    assert_ne!(ObjectId::from_text("0815"), ObjectId::Number(815));
}

#[test]
fn an_id_comes_back_from_json_as_it_was() {
    let shouting = GUID.to_uppercase();
    for (id, json) in [
        (ObjectId::Number(-17), Value::from(-17)),
        (ObjectId::Number(i64::MAX), Value::from(i64::MAX)),
        (ObjectId::Guid(GUID.parse().unwrap()), Value::from(GUID)),
        (ObjectId::Text("17".to_owned()), Value::from("17")),
        (ObjectId::Text(shouting.clone()), Value::from(shouting)),
    ] {
        assert_eq!(serde_json::to_value(&id).unwrap(), json);
        let read: ObjectId = serde_json::from_value(json.clone()).unwrap();
        assert_eq!(format!("{read:?}"), format!("{id:?}"), "of the same kind");
        assert_eq!(read.to_json(), json);
    }
    for wrong in [Value::from(u64::MAX), Value::from(1.5), Value::Null, Value::from(true)] {
        assert!(serde_json::from_value::<ObjectId>(wrong).is_err());
    }
}
