//! Laws of [`Objects`](crate::Objects). Longer than other files only by the length of what objects are made of.

use std::collections::BTreeSet;
use std::sync::Arc;

use bus_core::{ObjectId, ObjectKey, ObjectType, SiteName};
use uuid::Uuid;

use super::Rig;
use super::bench::{
    Bench, at, by_code_name, by_guid, kind_of, save_new, save_over, user, user_key, user_type,
};
use crate::StoreErrorKind;
use crate::objects::{Expected, ObjectQuery, ObjectRecord, ObjectWrite};
use crate::task_log::Commit;

/// An object comes back as it was saved, in version 1 when it is new, and one more with every write.
pub async fn an_object_comes_back_as_it_was_saved(rig: &dyn Rig) {
    let bench = Bench::open(rig).await;
    bench.sites(["Corp.EU-1"]).await;
    let mut record = ObjectRecord {
        guid: Some(Uuid::from_u128(1)),
        code_name: Some("jane 'ü'".to_owned()),
        display_name: Some("Jane \u{1F9E6}".to_owned()),
        site: Some(site("Corp.EU-1")),
        parent: Some(ObjectId::Guid(Uuid::from_u128(2))),
        group: Some(ObjectId::Text("staff".to_owned())),
        data: vec![0, 0xff, b'{'],
        version: 99,
        ..user(17)
    };
    bench.save([record.clone()]).await;
    record.version = 1;
    assert_eq!(bench.store.object(&user_key(17)).await.unwrap().as_ref(), Some(&record));
    for version in 1..4 {
        record = ObjectRecord { code_name: None, site: None, data: Vec::new(), ..record };
        let objects = vec![save_over(ObjectRecord { version: 50, ..record.clone() }, version)];
        bench.commit(Commit { objects, ..Commit::at(at(0)) }).await;
        record.version = version + 1;
        assert_eq!(bench.store.object(&user_key(17)).await.unwrap().as_ref(), Some(&record));
    }
    assert_eq!(bench.store.object(&user_key(18)).await.unwrap(), None);
}

/// One commit can write an object several times; each write expects what the one before it left.
pub async fn one_commit_can_write_an_object_several_times(rig: &dyn Rig) {
    let bench = Bench::open(rig).await;
    let delete = ObjectWrite::Delete { key: user_key(1), expected: Expected::Version(2) };
    let objects = vec![save_new(user(1)), save_over(user(1), 1), delete, save_new(user(1))];
    bench.commit(Commit { objects, ..Commit::at(at(0)) }).await;
    assert_eq!(bench.store.object(&user_key(1)).await.unwrap().unwrap().version, 1);
}

/// A deleted object is gone from everywhere, leaves its names to others, and begins anew when it comes back.
pub async fn a_deleted_object_is_gone(rig: &dyn Rig) {
    let bench = Bench::open(rig).await;
    let guid = Uuid::from_u128(1);
    let named =
        |number| ObjectRecord { guid: Some(guid), code_name: Some("jane".to_owned()), ..user(number) };
    bench.save([named(17)]).await;
    let objects = vec![save_over(named(17), 1)];
    bench.commit(Commit { objects, ..Commit::at(at(0)) }).await;
    bench.delete(&user_key(17), 2).await;
    assert_eq!(bench.store.object(&user_key(17)).await.unwrap(), None);
    assert_eq!((bench.find(&by_guid(guid)).await, bench.find(&by_code_name("jane")).await), (None, None));
    assert_eq!(listed(&bench, None, 10).await, []);
    assert_eq!(bench.store.count_objects(&user_type()).await.unwrap(), 0);
    bench.save([named(18)]).await;
    assert_eq!(bench.find(&by_code_name("jane")).await, Some(user_key(18)));
    bench.save([user(17)]).await;
    assert_eq!(bench.store.object(&user_key(17)).await.unwrap().unwrap().version, 1);
}

/// To delete what nobody expects to be there is no error.
pub async fn deleting_what_is_not_there_is_no_error(rig: &dyn Rig) {
    let bench = Bench::open(rig).await;
    let objects = vec![ObjectWrite::Delete { key: user_key(17), expected: Expected::Absent }];
    bench.commit(Commit { objects, ..Commit::at(at(0)) }).await;
    assert_eq!(bench.store.count_objects(&user_type()).await.unwrap(), 0);
}

/// A GUID finds its object wherever it belongs, within its type.
pub async fn a_guid_finds_an_object_wherever_it_belongs(rig: &dyn Rig) {
    let bench = Bench::open(rig).await;
    bench.sites(["corp"]).await;
    let guid = Uuid::from_u128(1);
    let belongs = ObjectRecord { site: Some(site("corp")), parent: Some(ObjectId::Number(3)), ..user(17) };
    bench.save([ObjectRecord { guid: Some(guid), ..belongs }]).await;
    assert_eq!(bench.find(&by_guid(guid)).await, Some(user_key(17)));
    let elsewhere =
        ObjectQuery { site: Some(site("other")), group: Some(ObjectId::Number(9)), ..by_guid(guid) };
    assert_eq!(bench.find(&elsewhere).await, Some(user_key(17)));
    assert_eq!(bench.find(&by_guid(Uuid::from_u128(2))).await, None);
    let other_type = ObjectQuery { object_type: company_type(), ..by_guid(guid) };
    assert_eq!(bench.find(&other_type).await, None);
}

/// A code name finds its object on its site, beneath its parent, and in its group where one is asked for. None of
/// them means: global, without a parent, in any group.
pub async fn a_code_name_finds_an_object_where_it_belongs(rig: &dyn Rig) {
    let bench = Bench::open(rig).await;
    bench.sites(["corp"]).await;
    let (parent, group) = (Some(ObjectId::Number(3)), Some(ObjectId::Number(9)));
    let named = |number| ObjectRecord { code_name: Some("jane".to_owned()), ..user(number) };
    let jane = by_code_name("jane");
    bench
        .save([
            named(1),
            ObjectRecord { site: Some(site("corp")), ..named(2) },
            ObjectRecord { parent: parent.clone(), group: group.clone(), ..named(3) },
            ObjectRecord { site: Some(site("corp")), parent: parent.clone(), ..named(4) },
        ])
        .await;
    let query = |site, parent, group| ObjectQuery { site, parent, group, ..jane.clone() };
    for (query, found) in [
        (query(None, None, None), Some(1)),
        (query(None, None, group.clone()), None),
        (query(Some(site("corp")), None, None), Some(2)),
        (query(Some(site("other")), None, None), None),
        (query(None, parent.clone(), None), Some(3)),
        (query(None, parent.clone(), group.clone()), Some(3)),
        (query(None, parent.clone(), Some(ObjectId::Number(8))), None),
        (query(Some(site("corp")), parent.clone(), None), Some(4)),
        (query(Some(site("corp")), Some(ObjectId::Number(8)), None), None),
    ] {
        assert_eq!(bench.find(&query).await, found.map(user_key), "{query:?}");
    }
    assert_eq!(bench.find(&by_code_name("john")).await, None);
    assert_eq!(bench.find(&ObjectQuery { object_type: company_type(), ..jane }).await, None);
}

/// What is searched for follows the object when its names change.
pub async fn a_changed_object_is_found_by_its_new_names_only(rig: &dyn Rig) {
    let bench = Bench::open(rig).await;
    let (old, new) = (Uuid::from_u128(1), Uuid::from_u128(2));
    let record =
        |guid, name: &str| ObjectRecord { guid: Some(guid), code_name: Some(name.to_owned()), ..user(17) };
    bench.save([record(old, "jane")]).await;
    let objects = vec![save_over(record(new, "joan"), 1)];
    bench.commit(Commit { objects, ..Commit::at(at(0)) }).await;
    assert_eq!((bench.find(&by_guid(old)).await, bench.find(&by_code_name("jane")).await), (None, None));
    for query in [by_guid(new), by_code_name("joan")] {
        assert_eq!(bench.find(&query).await, Some(user_key(17)));
    }
}

/// A code name may be used again on another site, beneath another parent, and by another type; a GUID by another
/// type; and objects without names do not stand in each other's way.
pub async fn names_are_unique_only_where_they_must_be(rig: &dyn Rig) {
    let bench = Bench::open(rig).await;
    bench.sites(["corp"]).await;
    let guid = Some(Uuid::from_u128(1));
    let named = |number| ObjectRecord { code_name: Some("jane".to_owned()), ..user(number) };
    let company = ObjectKey { object_type: company_type(), id: ObjectId::Number(1) };
    bench
        .save([
            ObjectRecord { guid, ..named(1) },
            ObjectRecord { site: Some(site("corp")), ..named(2) },
            ObjectRecord { parent: Some(ObjectId::Number(1)), ..named(3) },
            ObjectRecord { key: company, guid, ..named(0) },
            user(4),
            user(5),
        ])
        .await;
    // The group does not make a difference.
    let objects = vec![save_new(ObjectRecord { group: Some(ObjectId::Number(9)), ..named(6) })];
    let refused = bench.store.commit(Commit { objects, ..Commit::at(at(0)) }).await;
    assert_eq!(kind_of(refused), Some(StoreErrorKind::Conflict));
    // An object is not in its own way.
    let objects = vec![save_over(ObjectRecord { guid, ..named(1) }, 1)];
    bench.commit(Commit { objects, ..Commit::at(at(0)) }).await;
}

/// Objects are listed in the order in which they were saved first; an update keeps the place.
pub async fn objects_are_listed_in_the_order_they_were_saved(rig: &dyn Rig) {
    let bench = Bench::open(rig).await;
    let by_text = ObjectKey { object_type: user_type(), id: ObjectId::Text("a".to_owned()) };
    let company = ObjectKey { object_type: company_type(), id: ObjectId::Number(1) };
    bench.save([user(30), user(10)]).await;
    bench.save([ObjectRecord { key: company, ..user(0) }]).await;
    bench.save([ObjectRecord { key: by_text.clone(), ..user(0) }, user(20)]).await;
    let objects = vec![save_over(user(30), 1)];
    bench.commit(Commit { objects, ..Commit::at(at(0)) }).await;
    let expected = [user_key(30), user_key(10), by_text, user_key(20)];
    assert_eq!(listed(&bench, None, 10).await, expected);
    assert_eq!(listed(&bench, Some(expected[1].id.clone()), 10).await, expected[2..]);
    assert_eq!(listed(&bench, Some(expected[0].id.clone()), 2).await, expected[1..3]);
    assert_eq!(bench.store.count_objects(&user_type()).await.unwrap(), 4);
    assert_eq!(bench.store.count_objects(&company_type()).await.unwrap(), 1);
}

/// A walk brings the objects of the types that it names, in the order in which they were saved first, behind a place.
pub async fn objects_are_walked_across_types_in_their_order(rig: &dyn Rig) {
    let bench = Bench::open(rig).await;
    let company = ObjectKey { object_type: company_type(), id: ObjectId::Number(1) };
    bench.save([user(30), ObjectRecord { key: company.clone(), ..user(0) }, user(10)]).await;
    bench.commit(Commit { objects: vec![save_over(user(30), 1)], ..Commit::at(at(0)) }).await;
    let walk = async |types: &[ObjectType], after, limit| {
        let walked = bench.store.walk_objects(types, after, limit).await.unwrap();
        walked.into_iter().map(|(place, record)| (place, record.key)).collect::<Vec<_>>()
    };
    let both = [user_type(), company_type()];
    let all = walk(&both, 0, 10).await;
    let keys: Vec<_> = all.iter().map(|(_, key)| key.clone()).collect();
    assert_eq!(keys, [user_key(30), company, user_key(10)]);
    assert!(all.is_sorted_by(|(one, _), (next, _)| 0 < *one && one < next));
    assert_eq!(walk(&both, 0, 2).await, all[..2]);
    assert_eq!(walk(&both, all[0].0, 10).await, all[1..]);
    assert_eq!(walk(&[user_type()], 0, 10).await, [all[0].clone(), all[2].clone()]);
    assert_eq!(walk(&both, all[2].0, 10).await, []);
    assert_eq!(walk(&both, u64::MAX, 10).await, []);
    assert_eq!(walk(&[], 0, 10).await, []);
    assert_eq!(walk(&both, 0, 0).await, []);
}

/// Whoever goes on behind the last one, there still or not, sees each object that stays, once.
pub async fn a_walk_sees_what_stays_once_whatever_is_written(rig: &dyn Rig) {
    let bench = Bench::open(rig).await;
    for number in 0..10 {
        bench.save([user(number)]).await;
    }
    let (mut after, mut seen) = (0, Vec::new());
    for round in 0..5 {
        let walked = bench.store.walk_objects(&[user_type()], after, 2).await.unwrap();
        seen.extend(walked.iter().map(|(_, record)| record.key.clone()));
        after = walked.last().map_or(after, |(place, _)| *place);
        let last = seen.last().cloned().unwrap();
        bench.delete(&last, 1).await;
        bench.save([user(100 + round)]).await;
    }
    let stayed: Vec<_> = seen.iter().filter(|key| !key.id.to_text().starts_with('1')).cloned().collect();
    let expected: Vec<_> = (0..10).filter(|number| *number != 1).map(user_key).collect();
    assert_eq!(stayed, expected, "{seen:?}");
}

/// A check says what is there, and changes nothing: neither the object, nor who else expects something of it.
pub async fn a_check_refuses_what_has_changed_and_writes_nothing(rig: &dyn Rig) {
    let bench = Bench::open(rig).await;
    bench.save([user(1)]).await;
    let check = async |number, expected| {
        let objects = vec![ObjectWrite::Check { key: user_key(number), expected }, save_new(user(9))];
        let checked = bench.store.commit(Commit { objects, ..Commit::at(at(0)) }).await;
        let written = bench.store.object(&user_key(9)).await.unwrap();
        assert_eq!(written.is_some(), checked.is_ok());
        if written.is_some() {
            bench.delete(&user_key(9), 1).await;
        }
        kind_of(checked)
    };
    assert_eq!(check(1, Expected::Version(1)).await, None);
    assert_eq!(check(1, Expected::Version(1)).await, None, "it is in the same version still");
    assert_eq!(check(2, Expected::Absent).await, None);
    for (number, expected) in [
        (1, Expected::Version(2)),
        (1, Expected::Absent),
        (2, Expected::Version(1)),
        (1, Expected::Version(0)),
    ] {
        assert_eq!(check(number, expected).await, Some(StoreErrorKind::Conflict), "{number} {expected:?}");
    }
    assert_eq!(bench.store.object(&user_key(1)).await.unwrap().map(|record| record.version), Some(1));
    assert_eq!(bench.store.object(&user_key(2)).await.unwrap(), None);
}

/// Pages of objects bring each one once while others are saved and deleted.
pub async fn pages_of_objects_are_stable_under_writes(rig: &dyn Rig) {
    let bench = Bench::open(rig).await;
    for number in (0..10).rev() {
        bench.save([user(number)]).await;
    }
    let mut seen = Vec::new();
    for page in 0..4 {
        let after = seen.last().map(|last: &ObjectKey| last.id.clone());
        let rows = listed(&bench, after, 3).await;
        assert_eq!(rows.len(), 3);
        seen.extend(rows);
        bench.save([user(100 + page)]).await;
        bench.delete(&seen[seen.len() - 2], 1).await;
    }
    let distinct: BTreeSet<_> = seen.iter().collect();
    assert_eq!(distinct.len(), seen.len(), "{seen:?}");
    assert!((0..10).all(|number| distinct.contains(&user_key(number))), "{seen:?}");
}

/// Whoever goes on after an object that is gone is told so, instead of beginning again, or ending, without a word.
pub async fn going_on_after_a_gone_object_is_refused(rig: &dyn Rig) {
    let bench = Bench::open(rig).await;
    bench.save([user(1), user(2)]).await;
    bench.delete(&user_key(1), 1).await;
    let refused = bench.store.list_objects(&user_type(), Some(ObjectId::Number(1)), 10).await;
    assert_eq!(kind_of(refused), Some(StoreErrorKind::NotFound));
}

/// A new number is larger than every number that was ever saved, as whatever type, or answered.
pub async fn a_new_number_was_never_used(rig: &dyn Rig) {
    let bench = Bench::open(rig).await;
    let first = bench.store.new_object_numbers(1).await.unwrap()[0];
    assert!(first > 0);
    let several = bench.store.new_object_numbers(100).await.unwrap();
    assert_eq!(several.len(), 100);
    assert!(several[0] > first && several.is_sorted_by(|one, next| one < next), "{several:?}");
    assert!(bench.store.new_object_numbers(1).await.unwrap()[0] > first);
    let company = ObjectKey { object_type: company_type(), id: ObjectId::Number(5_000) };
    bench.save([ObjectRecord { key: company, ..user(0) }, user(-3)]).await;
    assert!(bench.store.new_object_numbers(1).await.unwrap()[0] > 5_000);
    bench.save([user(7_000)]).await;
    bench.delete(&user_key(7_000), 1).await;
    assert!(bench.store.new_object_numbers(1).await.unwrap()[0] > 7_000);
    // Ids are compared by their text, so a text can be a number, too.
    let text = ObjectKey { object_type: user_type(), id: ObjectId::Text("9000".to_owned()) };
    bench.save([ObjectRecord { key: text, ..user(0) }]).await;
    assert!(bench.store.new_object_numbers(1).await.unwrap()[0] > 9_000);
}

/// Numbers that are asked for at the same time are different.
pub async fn numbers_asked_for_at_once_are_different(rig: &dyn Rig) {
    let bench = Bench::open(rig).await;
    let ask = |_| {
        let store = Arc::clone(&bench.store);
        tokio::spawn(async move {
            let mut numbers = Vec::new();
            for _ in 0..20 {
                numbers.push(store.new_object_numbers(1).await.unwrap()[0]);
            }
            numbers
        })
    };
    let askers: Vec<_> = (0..8).map(ask).collect();
    let mut numbers = BTreeSet::new();
    for asker in askers {
        for number in asker.await.unwrap() {
            assert!(numbers.insert(number), "{number} was given twice");
        }
    }
}

/// Of many writers who all saw the same version, one wins.
pub async fn of_concurrent_writers_one_wins(rig: &dyn Rig) {
    let bench = Bench::open(rig).await;
    bench.save([user(1)]).await;
    let write = |number: i64| {
        let store = Arc::clone(&bench.store);
        tokio::spawn(async move {
            let record = ObjectRecord { display_name: Some(number.to_string()), ..user(1) };
            let objects = vec![save_over(record, 1)];
            store.commit(Commit { objects, ..Commit::at(at(0)) }).await
        })
    };
    let writers: Vec<_> = (0..8).map(write).collect();
    let mut won = Vec::new();
    for (number, writer) in writers.into_iter().enumerate() {
        match writer.await.unwrap() {
            Ok(_) => won.push(number.to_string()),
            Err(error) => assert_eq!(error.kind(), StoreErrorKind::Conflict),
        }
    }
    let record = bench.store.object(&user_key(1)).await.unwrap().unwrap();
    assert_eq!((won, record.version), (vec![record.display_name.unwrap()], 2));
}

async fn listed(bench: &Bench, after: Option<ObjectId>, limit: usize) -> Vec<ObjectKey> {
    let records = bench.store.list_objects(&user_type(), after, limit).await.expect("list objects");
    records.into_iter().map(|record| record.key).collect()
}

fn site(name: &str) -> SiteName {
    SiteName::parse(name).expect("a site's name")
}

fn company_type() -> ObjectType {
    ObjectType::parse("app.company").expect("an object type")
}
