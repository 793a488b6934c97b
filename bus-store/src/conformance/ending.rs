//! Laws of ending deliveries by hand, part of [`Operate`](crate::Operate).

use bus_core::{DeliveryState, ObjectOperation, Operation, Timestamp};

use super::Rig;
use super::bench::{
    Bench, aside, at, binding, bound_to, deferred, done, holding, intervention, own, parked, parked_aside,
    released, retry, task, waiting, waiting_for,
};
use super::intervene::VERBS;
use crate::operate::{
    ERROR_BYTES_MAX, INTERVENTIONS_KEPT_MAX, Intervened, Intervention, LATER_LISTED_MAX, Verb, Verdict,
};
use crate::queue::Outcome;
use crate::task_log::NewTask;

/// What was called is skipped, not cancelled: whatever was charged, recorded or interrupted.
pub async fn what_was_called_is_skipped_not_cancelled(rig: &dyn Rig) {
    let mut bench = Bench::open(rig).await;
    let stepped = Outcome::Aside { due: at(9), error: None, charged: true };
    let failed = Outcome::Released { due: at(9), error: Some("refused".to_owned()) };
    for outcome in [retry(9), failed, deferred(9), stepped, parked(), parked_aside()] {
        let id = bench.log_settled(&format!("{outcome:?}"), outcome.clone()).await;
        assert_eq!(bench.intervene(Verb::Cancel, [id]).await, [Verdict::WasCalled], "{outcome:?}");
        assert!(bench.is_open(id).await);
        assert_eq!(bench.intervene(Verb::Skip, [id]).await, [done()]);
        assert_eq!(bench.state(id).await, DeliveryState::Skipped);
    }
    let [interrupted] = bench.log(["x"]).await;
    bench.claim(1, at(0)).await;
    bench.acquire_again().await;
    assert_eq!(bench.intervene(Verb::Cancel, [interrupted]).await, [Verdict::WasCalled]);
    assert_eq!(bench.intervene(Verb::Skip, [interrupted]).await, [done()]);
    let counters = bench.counters().await;
    assert_eq!((counters.skipped, counters.cancelled), (7, 0));
}

/// What was never called is cancelled, not skipped: fresh, put back, or given back without a word.
pub async fn what_was_never_called_is_cancelled_not_skipped(rig: &dyn Rig) {
    let bench = Bench::open(rig).await;
    for outcome in [released(9), waiting(9), aside(9)] {
        let id = bench.log_settled(&format!("{outcome:?}"), outcome.clone()).await;
        assert_eq!(bench.intervene(Verb::Skip, [id]).await, [Verdict::NeverCalled], "{outcome:?}");
        assert!(bench.is_open(id).await);
        assert_eq!(bench.intervene(Verb::Cancel, [id]).await, [done()]);
        assert_eq!(bench.state(id).await, DeliveryState::Cancelled);
    }
    let [first, put_back] = bench.log(["x", "x"]).await;
    bench.claim(10, at(0)).await;
    bench.settle(first, retry(9)).await;
    let [fresh] = bench.log(["x"]).await;
    let never = [Verdict::NeverCalled, Verdict::NeverCalled];
    assert_eq!(bench.intervene(Verb::Skip, [put_back, fresh]).await, never);
    assert_eq!(bench.intervene(Verb::Cancel, [put_back, fresh]).await, [done(), done()]);
    let counters = bench.counters().await;
    assert_eq!((counters.skipped, counters.cancelled), (0, 5));
}

/// What was called once is called for ever, also after a retry gave it back all of its attempts.
pub async fn a_retry_does_not_make_it_never_called(rig: &dyn Rig) {
    let bench = Bench::open(rig).await;
    let uncounted = Outcome::Aside { due: at(9), error: None, charged: true };
    for outcome in [parked(), uncounted] {
        let id = bench.log_settled("x", outcome).await;
        bench.intervene(Verb::Retry, [id]).await;
        assert_eq!(bench.detail(id).await.summary.attempts, 0);
        assert_eq!(bench.intervene(Verb::Cancel, [id]).await, [Verdict::WasCalled]);
        assert_eq!(bench.intervene(Verb::Skip, [id]).await, [done()]);
    }
}

/// With its connector, a delivery ends whether or not it was called.
pub async fn anything_that_does_not_run_can_be_discarded(rig: &dyn Rig) {
    let bench = Bench::open(rig).await;
    for outcome in holding(9).into_iter().chain([waiting(9), aside(9), parked_aside()]) {
        let id = bench.log_settled(&format!("{outcome:?}"), outcome.clone()).await;
        let [behind] = bench.log([&format!("{outcome:?}")]).await;
        assert_eq!(bench.intervene(Verb::Discard, [behind, id]).await, [done(), done()], "{outcome:?}");
        assert_eq!(bench.state(behind).await, DeliveryState::Discarded);
    }
    assert_eq!(bench.counters().await.discarded, 14);
    assert_eq!(bench.open_deliveries().await, []);
}

/// What ends by hand lets the next of its key go, and rings for it.
pub async fn what_ends_by_hand_lets_the_next_go(rig: &dyn Rig) {
    let bench = Bench::open(rig).await;
    for verb in [Verb::Skip, Verb::Discard] {
        let stuck = bench.log_settled("x", parked()).await;
        let [next] = bench.log(["x"]).await;
        let before = bench.rings();
        bench.intervene(verb, [stuck]).await;
        assert!(bench.rings() > before);
        assert_eq!(bench.claim(10, at(0)).await, [next]);
        bench.settle(next, Outcome::Completed).await;
    }
    let [first, second] = bench.log(["x", "x"]).await;
    bench.intervene(Verb::Cancel, [first]).await;
    assert_eq!(bench.claim(10, at(0)).await, [second]);
}

/// What ends by hand in the middle of its key leaves the order of the others as it was.
pub async fn what_ends_by_hand_leaves_the_others_in_order(rig: &dyn Rig) {
    let bench = Bench::open(rig).await;
    let [first, second, third, fourth] = bench.log(["x", "x", "x", "x"]).await;
    bench.claim(1, at(0)).await;
    bench.intervene(Verb::Cancel, [third]).await;
    bench.settle(first, retry(5)).await;
    assert_eq!(bench.claim(10, at(5)).await, [first]);
    bench.settle(first, Outcome::Completed).await;
    assert_eq!(bench.claim(10, at(5)).await, [second, fourth]);
}

/// What ended by hand while it waited is woken by nothing.
pub async fn what_ended_by_hand_waits_no_more(rig: &dyn Rig) {
    let bench = Bench::open(rig).await;
    let waits = bench.log_settled("x", waiting_for(bound_to(4), 9)).await;
    bench.intervene(Verb::Cancel, [waits]).await;
    let before = bench.rings();
    bench.bind(binding(4, "003a")).await;
    assert_eq!((bench.rings(), bench.state(waits).await), (before, DeliveryState::Cancelled));
    assert_eq!(bench.claim(10, at(99)).await, []);
}

/// What ends by hand supersedes nothing: only what completes does.
pub async fn what_ends_by_hand_supersedes_nothing(rig: &dyn Rig) {
    let bench = Bench::open(rig).await;
    bench.log_settled("x", aside(5)).await;
    let stuck = bench.log_settled("x", parked()).await;
    bench.intervene(Verb::Skip, [stuck]).await;
    assert_eq!(bench.claim_one(at(5)).await.superseded_by, None);
}

/// Who ends a create is told of the later open ones of the same object, in order, up to a limit.
pub async fn ending_a_create_names_the_later_ones(rig: &dyn Rig) {
    let bench = Bench::open(rig).await;
    let create = NewTask { operation: ObjectOperation::Create.into(), ..task(&bench.queue, "x") };
    let [before, first, aside_, ended, stuck, other, last] = bench
        .log_tasks([
            task(&bench.queue, "x"),
            create.clone(),
            task(&bench.queue, "x"),
            task(&bench.queue, "x"),
            task(&bench.queue, "x"),
            task(&bench.queue, "y"),
            task(&bench.queue, "x"),
        ])
        .await;
    assert_eq!(bench.claim(5, at(0)).await, [before, first, aside_, ended, stuck]);
    bench.settle(before, aside(9)).await;
    bench.settle(aside_, aside(9)).await;
    bench.settle(ended, Outcome::Completed).await;
    bench.settle(stuck, parked()).await;
    bench.settle(first, parked()).await;
    let verdicts = bench.intervene(Verb::Skip, [first]).await;
    assert_eq!(verdicts, [Verdict::Done { later: vec![aside_, stuck, last] }]);
    assert!(bench.is_open(other).await);

    let [create] = bench.log_tasks([NewTask { key: "z".to_owned(), ..create }]).await;
    for _ in 0..LATER_LISTED_MAX + 2 {
        bench.log(["z"]).await;
    }
    let all = bench.store.open_of_key(&bench.queue, "z", 1_000).await.unwrap();
    let later = all[1..=LATER_LISTED_MAX].to_vec();
    assert_eq!(bench.intervene(Verb::Cancel, [create]).await, [Verdict::Done { later }]);
}

/// Who ends anything but a create, or everything with its connector, is told of no later ones.
pub async fn ending_anything_else_names_no_later_ones(rig: &dyn Rig) {
    let bench = Bench::open(rig).await;
    for operation in Operation::all() {
        let new = NewTask { operation, ..task(&bench.queue, operation.as_str()) };
        let [first, _] = bench.log_tasks([new.clone(), new]).await;
        let verb = if operation.is_create() { Verb::Discard } else { Verb::Cancel };
        assert_eq!(bench.intervene(verb, [first]).await, [done()]);
    }
}

/// What operators did is kept with the delivery: when, what, who, and why, also after it has ended.
pub async fn what_operators_did_is_kept(rig: &dyn Rig) {
    let bench = Bench::open(rig).await;
    let id = bench.log_settled("x", parked()).await;
    let mut expected = Vec::new();
    for (second, verb, by, reason) in
        [(1, Verb::Retry, "jane", None), (2, Verb::Skip, "joe „ü“", Some("the peer is gone"))]
    {
        let reason = reason.map(str::to_owned);
        let asked = intervention(verb, [id]);
        let asked = Intervention { by: by.to_owned(), reason: reason.clone(), now: at(second), ..asked };
        assert_eq!(bench.store.intervene(asked).await.unwrap(), [done()]);
        expected.push(Intervened { at: at(second), verb, by: by.to_owned(), reason });
    }
    let detail = bench.detail(id).await;
    assert_eq!(detail.interventions, expected);
    assert_eq!(detail.summary.reason.as_deref(), Some("the peer is gone"));
    assert_eq!(detail.summary.ended_at, Some(at(2)));
}

/// What was refused is not kept: nothing was done.
pub async fn what_was_refused_is_not_kept(rig: &dyn Rig) {
    let bench = Bench::open(rig).await;
    let [first, second] = bench.log(["x", "x"]).await;
    bench.claim(1, at(0)).await;
    bench.settle(first, retry(9)).await;
    bench.intervene(Verb::Retry, [second]).await;
    bench.intervene(Verb::Cancel, [first]).await;
    bench.intervene(Verb::Skip, [second]).await;
    for id in [first, second] {
        assert_eq!(bench.detail(id).await.interventions, []);
    }
}

/// Of very many interventions the latest are kept; names and reasons are cut like errors.
pub async fn the_latest_interventions_are_kept(rig: &dyn Rig) {
    let bench = Bench::open(rig).await;
    let id = bench.log_settled("x", parked()).await;
    for number in 0..INTERVENTIONS_KEPT_MAX + 5 {
        let by = number.to_string();
        let asked = Intervention { by, ..intervention(Verb::Retry, [id]) };
        assert_eq!(bench.store.intervene(asked).await.unwrap(), [done()]);
        bench.claim_and_settle(at(0), parked()).await;
    }
    let kept = bench.detail(id).await.interventions;
    let expected: Vec<String> = (5..INTERVENTIONS_KEPT_MAX + 5).map(|number| number.to_string()).collect();
    assert_eq!(kept.into_iter().map(|told| told.by).collect::<Vec<_>>(), expected);
    let long = "€".repeat(ERROR_BYTES_MAX);
    let asked = Intervention { by: long.clone(), reason: Some(long), ..intervention(Verb::Skip, [id]) };
    bench.store.intervene(asked).await.unwrap();
    let detail = bench.detail(id).await;
    let told = detail.interventions.last().expect("it was just done").clone();
    for text in [Some(told.by), told.reason, detail.summary.reason] {
        let text = text.expect("it was given");
        assert!(text.len() <= ERROR_BYTES_MAX && text.ends_with('…'), "{}", text.len());
    }
}

/// An operator's wish is carried out without an owner, and leaves the owner what it has.
pub async fn an_operator_does_not_disturb_the_owner(rig: &dyn Rig) {
    let bench = Bench::open(rig).await;
    let [running] = bench.log(["x"]).await;
    bench.claim(1, at(0)).await;
    let [fresh] = bench.log(["y"]).await;
    for verb in VERBS {
        bench.intervene(verb, [fresh]).await;
    }
    bench.settle(running, Outcome::Completed).await;
    assert_eq!(bench.counters().await.stale, 0);
    // Nor does anybody have to own the queue at all.
    bench.store.release(&bench.owner).await.unwrap();
    let [fresh] = bench.log(["y"]).await;
    assert_eq!(bench.intervene(Verb::Cancel, [fresh]).await, [done()]);
    own(&*bench.store, &bench.queue).await;
}

/// What is left of a queue can end to the last delivery, whatever became of each, and the books balance.
pub async fn everything_that_is_open_can_be_ended(rig: &dyn Rig) {
    let mut bench = Bench::open(rig).await;
    let outcomes = holding(9).into_iter().chain([waiting(9), aside(9), parked_aside()]);
    let keys: Vec<String> = (0..7).map(|number| format!("x {number}")).collect();
    for (key, outcome) in keys.iter().zip(outcomes) {
        bench.log_settled(key, outcome).await;
    }
    for key in &keys {
        bench.log([key]).await;
    }
    bench.log(["running"]).await;
    bench.claim(1, Timestamp::EPOCH).await;
    bench.acquire_again().await;
    for summary in bench.open_deliveries().await {
        let seen = summary.state;
        assert_eq!(bench.intervene(Verb::Discard, [summary.delivery]).await, [done()], "{seen}");
    }
    let counters = bench.counters().await;
    assert_eq!((counters.open, counters.discarded), (0, counters.logged));
    assert_eq!(bench.audit().await.open_rows, 0);
}
