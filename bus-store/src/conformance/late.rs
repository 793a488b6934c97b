//! Laws of [`Late`](crate::Late): what was told without all that it refers to is told again.

use bus_core::{ConnectorName, ObjectKey, ObjectType};

use super::bench::{Bench, at, binding, connector, kind_of, save_over, task, user, user_key};
use super::connectors::record;
use super::{Rig, Verdict, needs_reopening};
use crate::StoreErrorKind;
use crate::identity::Binding;
use crate::late::LateReferences;
use crate::task_log::Commit;

/// Whoever was told of something without what it refers to is to be told again once that is bound, whichever way it is
/// bound; the bell has rung before the commit returns.
pub async fn what_was_told_without_something_is_resolved_once_that_is_bound(rig: &dyn Rig) {
    let bench = Bench::open(rig).await;
    for (number, if_free) in [(1, false), (2, true)] {
        let bell = bench.store.late_bell();
        bench.commit(told(number, [90 + number])).await;
        assert_eq!(resolved(&bench).await, [], "nothing is bound yet");
        let before = *bell.borrow();
        let arrives = binding(90 + number, &format!("x{number}"));
        let mut commit = Commit::at(at(0));
        if if_free { &mut commit.bindings_if_free } else { &mut commit.bindings }.push(arrives);
        bench.commit(commit).await;
        assert_eq!(resolved(&bench).await, [user_key(number)]);
        assert!(*bell.borrow() > before);
        bench.commit(told(number, [])).await;
    }
}

/// What was bound in the meantime, also by the same commit, is noticed at once.
pub async fn what_is_bound_by_then_is_resolved_at_once(rig: &dyn Rig) {
    let bench = Bench::open(rig).await;
    bench.bind(binding(91, "a")).await;
    let bell = bench.store.late_bell();
    let before = *bell.borrow();
    bench.commit(told(1, [91])).await;
    assert!(*bell.borrow() > before);
    bench.commit(Commit { bindings: vec![binding(2, "itself")], ..told(2, [2]) }).await;
    assert_eq!(resolved(&bench).await, [1, 2].map(user_key));
}

/// The binding of an object that is gone tells of nothing.
pub async fn a_binding_that_has_ended_resolves_nothing(rig: &dyn Rig) {
    let bench = Bench::open(rig).await;
    bench.save([user(91)]).await;
    bench.bind(binding(91, "a")).await;
    bench.delete(&user_key(91), 1).await;
    bench.commit(told(1, [91])).await;
    assert_eq!(resolved(&bench).await, []);
    bench.bind(binding(91, "b")).await;
    assert_eq!(resolved(&bench).await, [user_key(1)], "the next one of its id is known");
}

/// What is left to be told takes the place of what was left before, be it resolved or not.
pub async fn what_is_left_to_be_told_takes_the_place_of_what_was_left(rig: &dyn Rig) {
    let bench = Bench::open(rig).await;
    bench.commit(told(1, [91, 92])).await;
    bench.commit(told(1, [92])).await;
    bench.bind(binding(91, "a")).await;
    assert_eq!(resolved(&bench).await, [], "it refers to that no more");
    bench.bind(binding(92, "b")).await;
    assert_eq!(resolved(&bench).await, [user_key(1)]);
    bench.commit(told(1, [])).await;
    assert_eq!(resolved(&bench).await, [], "it was told");
    bench.bind(binding(92, "c")).await;
    assert_eq!(resolved(&bench).await, [], "once");
}

/// Of several who tell of it again one does; what refers to more is not written down any more, since that is told by then.
pub async fn what_is_resolved_is_told_again_once(rig: &dyn Rig) {
    let bench = Bench::open(rig).await;
    let again = |number| {
        let tasks = vec![task(&bench.queue, "x")];
        Commit { told_again: vec![(connector("crm"), user_key(number))], tasks, ..Commit::at(at(0)) }
    };
    bench.commit(told(1, [91, 92])).await;
    let conflict = Some(StoreErrorKind::Conflict);
    assert_eq!(kind_of(bench.store.commit(again(1)).await), conflict, "it is not resolved");
    bench.bind(binding(91, "a")).await;
    bench.commit(again(1)).await;
    assert_eq!(resolved(&bench).await, []);
    bench.bind(binding(92, "b")).await;
    assert_eq!(resolved(&bench).await, []);
    for number in [1, 2] {
        assert_eq!(kind_of(bench.store.commit(again(number)).await), conflict);
    }
    assert_eq!(bench.counters().await.logged, 1, "what was refused is refused whole");
}

/// What one connector calls something says nothing to another, nor of an object of another type.
pub async fn late_references_belong_to_one_connector_and_type(rig: &dyn Rig) {
    let bench = Bench::open(rig).await;
    bench.commit(told(1, [91])).await;
    bench.bind(Binding { connector: connector("shop"), ..binding(91, "a") }).await;
    let company = ObjectKey { object_type: ObjectType::parse("app.company").unwrap(), ..user_key(91) };
    bench.bind(Binding { object: company, ..binding(91, "a") }).await;
    assert_eq!(resolved(&bench).await, []);
}

/// What is refused leaves nothing to be told, and rings for nobody.
pub async fn a_refused_commit_leaves_nothing_to_be_told(rig: &dyn Rig) {
    let bench = Bench::open(rig).await;
    bench.bind(binding(91, "a")).await;
    let bell = bench.store.late_bell();
    let before = *bell.borrow();
    let refused = Commit { objects: vec![save_over(user(1), 5)], ..told(1, [91]) };
    bench.store.commit(refused).await.unwrap_err();
    assert_eq!(resolved(&bench).await, []);
    assert_eq!(*bell.borrow(), before);
}

/// Objects are listed once each, in order, and page by page, whatever is told meanwhile.
pub async fn what_is_resolved_is_listed_in_order(rig: &dyn Rig) {
    let bench = Bench::open(rig).await;
    let shop = connector("shop");
    for (connector, number) in [(&shop, 1), (&connector("crm"), 3), (&connector("crm"), 2)] {
        bench.commit(told_to(connector, number, [91, 92])).await;
        for (number, id) in [(91, "a"), (92, "b")] {
            bench.bind(Binding { connector: connector.clone(), ..binding(number, id) }).await;
        }
    }
    let first = bench.store.resolved(None, 2).await.unwrap();
    assert_eq!(first, [2, 3].map(|number| (connector("crm"), user_key(number))));
    bench.commit(told(2, [])).await;
    let next = bench.store.resolved(first.last().cloned(), 2).await.unwrap();
    assert_eq!(next, [(shop, user_key(1))]);
    assert_eq!(bench.store.resolved(next.last().cloned(), 2).await.unwrap(), []);
}

/// A connector that is deleted is told nothing any more, also if one of its name is registered again.
pub async fn what_is_left_to_be_told_goes_with_its_connector(rig: &dyn Rig) {
    let bench = Bench::open(rig).await;
    let crm = connector("crm");
    bench.store.save_connector(record("crm")).await.unwrap();
    bench.commit(told(1, [91])).await;
    bench.commit(told_to(&connector("shop"), 1, [91])).await;
    bench.store.delete_connector(&crm).await.unwrap();
    bench.bind(binding(91, "a")).await;
    bench.bind(Binding { connector: connector("shop"), ..binding(91, "a") }).await;
    let resolved = bench.store.resolved(None, 10).await.unwrap();
    assert_eq!(resolved, [(connector("shop"), user_key(1))]);
}

/// Nobody is forgotten when the store is opened again.
pub async fn what_is_left_to_be_told_survives_reopening(rig: &dyn Rig) -> Verdict {
    let mut bench = Bench::open(rig).await;
    needs_reopening!(bench.store);
    bench.commit(told(1, [91])).await;
    bench.commit(told(2, [92])).await;
    bench.bind(binding(91, "a")).await;
    bench.store.close().await;
    bench.store = rig.open().await;
    assert_eq!(resolved(&bench).await, [user_key(1)]);
    bench.bind(binding(92, "b")).await;
    assert_eq!(resolved(&bench).await, [1, 2].map(user_key));
    Verdict::Kept
}

/// `crm` was told of the user without these others.
fn told<const N: usize>(number: i64, without: [i64; N]) -> Commit {
    told_to(&connector("crm"), number, without)
}

fn told_to<const N: usize>(connector: &ConnectorName, number: i64, without: [i64; N]) -> Commit {
    let unresolved = without.map(user_key).into();
    let late = LateReferences { connector: connector.clone(), object: user_key(number), unresolved };
    Commit { late: vec![late], ..Commit::at(at(0)) }
}

/// What `crm`, and nobody else, is to be told again.
async fn resolved(bench: &Bench) -> Vec<ObjectKey> {
    let resolved = bench.store.resolved(None, 10).await.expect("resolved");
    assert!(resolved.iter().all(|(connector, _)| connector.as_str() == "crm"), "{resolved:?}");
    resolved.into_iter().map(|(_, object)| object).collect()
}
