//! Laws of what stands beneath a parent: [`Objects::list_children`](crate::Objects::list_children) and
//! [`ObjectWrite::Touch`](crate::ObjectWrite::Touch).

use std::sync::Arc;

use bus_core::{ObjectId, ObjectKey, ObjectType};

use super::Rig;
use super::bench::{Bench, at, kind_of, save_new, save_over, task, user, user_key, user_type};
use crate::StoreErrorKind;
use crate::objects::{ObjectRecord, ObjectWrite};
use crate::task_log::Commit;

/// Children are listed by their type and their parent, in the order in which they were saved first, page by page; one that
/// gets another parent is listed there.
pub async fn children_are_listed_by_their_parent(rig: &dyn Rig) {
    let bench = Bench::open(rig).await;
    let other_type = ObjectType::parse("app.company").expect("an object type");
    let company = ObjectKey { object_type: other_type.clone(), id: ObjectId::Number(5) };
    let of_another_type = ObjectRecord { key: company.clone(), ..beneath(0, 1) };
    bench.save([beneath(30, 1), beneath(10, 2), user(11), beneath(20, 1), of_another_type]).await;
    bench.save([beneath(15, 1)]).await;
    let expected = [user_key(30), user_key(20), user_key(15)];
    assert_eq!(listed(&bench, 1, None, 10).await, expected);
    assert_eq!(listed(&bench, 1, None, 2).await, expected[..2]);
    assert_eq!(listed(&bench, 1, Some(20), 2).await, expected[2..]);
    assert_eq!(listed(&bench, 2, None, 10).await, [user_key(10)]);
    assert_eq!(listed(&bench, 3, None, 10).await, []);
    let parent = ObjectId::Number(1);
    let companies = bench.store.list_children(&other_type, &parent, None, 10).await.expect("list children");
    assert_eq!(companies.into_iter().map(|record| record.key).collect::<Vec<_>>(), [company]);

    let objects = vec![save_over(beneath(20, 2), 1), save_over(user(15), 1)];
    bench.commit(Commit { objects, ..Commit::at(at(0)) }).await;
    bench.delete(&user_key(10), 1).await;
    assert_eq!(listed(&bench, 1, None, 10).await, [user_key(30)]);
    assert_eq!(listed(&bench, 2, None, 10).await, [user_key(20)]);
}

/// Whoever goes on after a child that is gone, or stands beneath another parent by now, is told so.
pub async fn going_on_after_a_child_that_has_left_is_refused(rig: &dyn Rig) {
    let bench = Bench::open(rig).await;
    bench.save([beneath(1, 9), beneath(2, 9), beneath(3, 8)]).await;
    bench.delete(&user_key(1), 1).await;
    for after in [1, 3, 404] {
        let refused =
            bench.store.list_children(&user_type(), &ObjectId::Number(9), Some(ObjectId::Number(after)), 10);
        assert_eq!(kind_of(refused.await), Some(StoreErrorKind::NotFound), "after {after}");
    }
}

/// A touched object is one version on; nothing else of it is different, neither its place nor where it is assigned.
pub async fn a_touch_raises_the_version_and_nothing_else(rig: &dyn Rig) {
    let bench = Bench::open(rig).await;
    bench.sites(["corp"]).await;
    let record = ObjectRecord { code_name: Some("jane".to_owned()), data: vec![0, 0xff], ..beneath(1, 9) };
    bench.save([record.clone(), beneath(2, 9)]).await;
    let site = "corp".parse().expect("a site's name");
    let assigned = ObjectWrite::Assign { key: user_key(1), site, version: 1 };
    let objects = vec![assigned, touch(1, 2), touch(1, 3)];
    bench.commit(Commit { objects, ..Commit::at(at(0)) }).await;
    let there = bench.store.object(&user_key(1)).await.unwrap();
    assert_eq!(there, Some(ObjectRecord { version: 4, ..record }));
    assert_eq!(bench.store.sites_of(&user_key(1)).await.unwrap().len(), 1);
    assert_eq!(listed(&bench, 9, None, 10).await, [user_key(1), user_key(2)]);
}

/// Who touches an object that is in another version, or is not there, is refused, with all else in the commit.
pub async fn a_touch_of_another_version_is_refused_whole(rig: &dyn Rig) {
    let bench = Bench::open(rig).await;
    bench.save([user(1)]).await;
    for touched in [touch(1, 2), touch(1, 0), touch(2, 1)] {
        let objects = vec![save_new(beneath(7, 1)), touched.clone()];
        let tasks = vec![task(&bench.queue, "x")];
        let refused = bench.store.commit(Commit { objects, tasks, ..Commit::at(at(0)) }).await;
        assert_eq!(kind_of(refused), Some(StoreErrorKind::Conflict), "{touched:?}");
    }
    assert_eq!(bench.store.object(&user_key(7)).await.unwrap(), None);
    assert_eq!(bench.store.object(&user_key(1)).await.unwrap().map(|record| record.version), Some(1));
    assert_eq!(bench.claim(10, at(0)).await, []);
}

/// Of many who all saw what stands beneath an object in the same version, one wins.
pub async fn of_concurrent_touches_one_wins(rig: &dyn Rig) {
    let bench = Bench::open(rig).await;
    bench.save([user(1)]).await;
    let write = |number: i64| {
        let store = Arc::clone(&bench.store);
        let objects = vec![save_new(beneath(100 + number, 1)), touch(1, 1)];
        tokio::spawn(async move { store.commit(Commit { objects, ..Commit::at(at(0)) }).await })
    };
    let writers: Vec<_> = (0..8).map(write).collect();
    let mut won = Vec::new();
    for (number, writer) in (100..).zip(writers) {
        match writer.await.expect("a writer") {
            Ok(_) => won.push(user_key(number)),
            Err(error) => assert_eq!(error.kind(), StoreErrorKind::Conflict),
        }
    }
    assert_eq!(won.len(), 1);
    assert_eq!(listed(&bench, 1, None, 10).await, won);
}

fn beneath(number: i64, parent: i64) -> ObjectRecord {
    ObjectRecord { parent: Some(ObjectId::Number(parent)), ..user(number) }
}

fn touch(number: i64, version: i64) -> ObjectWrite {
    ObjectWrite::Touch { key: user_key(number), version }
}

async fn listed(bench: &Bench, parent: i64, after: Option<i64>, limit: usize) -> Vec<ObjectKey> {
    let after = after.map(ObjectId::Number);
    let parent = ObjectId::Number(parent);
    let records = bench.store.list_children(&user_type(), &parent, after, limit).await;
    records.expect("list children").into_iter().map(|record| record.key).collect()
}
