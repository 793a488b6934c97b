//! Laws of intervening, part of [`Operate`](crate::Operate): what an operator may do to which delivery, and retrying.
//! Its other laws, of ending deliveries by hand, stand in `ending`.

use bus_core::{DeliveryId, DeliveryState};

use super::Rig;
use super::bench::{
    Bench, aside, at, binding, bound_to, deferred, discarded, done, holding, intervention, kind_of, outgoing,
    own, parked, parked_aside, released, released_at_once, retry, settlement, task, waiting, waiting_for,
};
use crate::StoreErrorKind;
use crate::operate::{INTERVENTION_ITEMS_MAX, Selected, Verb, Verdict};
use crate::queue::{Outcome, Scope, Wanted};
use crate::task_log::Commit;

pub(super) const VERBS: [Verb; 4] = [Verb::Retry, Verb::Skip, Verb::Cancel, Verb::Discard];

/// A retry makes a delivery due at once, with all of its attempts, whatever it was kept by; it is available.
pub async fn a_retry_makes_due_at_once_with_all_attempts(rig: &dyn Rig) {
    let bench = Bench::open(rig).await;
    for outcome in
        [retry(9), released(9), deferred(9), waiting(9), aside(9), parked(), parked_aside(), retry(-9)]
    {
        let id = bench.log_settled(&format!("{outcome:?}"), retry(0)).await;
        bench.claim_and_settle(at(0), outcome.clone()).await;
        let before = bench.detail(id).await;
        assert_eq!(bench.intervene(Verb::Retry, [id]).await, [done()], "{outcome:?}");
        let after = bench.detail(id).await;
        let summary = &after.summary;
        assert_eq!((summary.state, summary.due), (DeliveryState::Available, None), "{outcome:?}");
        assert_eq!((summary.attempts, &summary.reason), (0, &before.summary.reason));
        assert_eq!(after.attempts, before.attempts, "what went wrong is not forgotten");
        let claimed = bench.claim_and_settle(at(0), Outcome::Completed).await;
        assert_eq!((claimed.delivery, claimed.attempt), (id, 1));
    }
}

/// A retry moves nothing: what holds its key goes on holding it, and what stands aside stands aside.
pub async fn a_retry_changes_no_order(rig: &dyn Rig) {
    let bench = Bench::open(rig).await;
    for outcome in [retry(9), released(9), deferred(9), waiting(9), parked()] {
        let [first, second] = bench.log(["x", "x"]).await;
        assert_eq!(bench.claim(1, at(0)).await, [first]);
        bench.settle(first, outcome.clone()).await;
        bench.intervene(Verb::Retry, [first]).await;
        assert_eq!(bench.claim(10, at(0)).await, [first], "{outcome:?}");
        assert_eq!(bench.claim(10, at(0)).await, []);
        bench.settle(first, Outcome::Completed).await;
        assert_eq!(bench.claim(10, at(0)).await, [second]);
        bench.settle(second, Outcome::Completed).await;
    }
    for outcome in [aside(9), parked_aside()] {
        let old = bench.log_settled("y", outcome.clone()).await;
        let [new] = bench.log(["y"]).await;
        bench.intervene(Verb::Retry, [old]).await;
        let claimed = bench.claim_and_settle(at(0), aside(9)).await;
        assert_eq!((claimed.delivery, claimed.aside), (old, true), "{outcome:?}");
        bench.claim_and_settle(at(0), Outcome::Completed).await;
        assert!(!bench.is_open(new).await);
        assert_eq!(bench.intervene(Verb::Discard, [old]).await, [done()]);
    }
}

/// A retry of what is blocked says what it stands behind, and changes nothing.
pub async fn a_retry_of_what_is_blocked_names_what_it_stands_behind(rig: &dyn Rig) {
    let bench = Bench::open(rig).await;
    for outcome in holding(9).into_iter().chain([waiting(9), released_at_once()]) {
        let [first, second, third] = bench.log(["x", "x", "x"]).await;
        assert_eq!(bench.claim(1, at(0)).await, [first]);
        let behind_first = || Verdict::BlockedBy(first);
        assert_eq!(bench.intervene(Verb::Retry, [second]).await, [behind_first()], "it runs");
        bench.settle(first, outcome.clone()).await;
        let before = bench.detail(third).await;
        let verdicts = bench.intervene(Verb::Retry, [third, second]).await;
        assert_eq!(verdicts, [behind_first(), behind_first()], "{outcome:?}");
        assert_eq!(bench.detail(third).await, before);
        bench.intervene(Verb::Discard, [first, second, third]).await;
    }
}

/// A retry of what is ready anyway says so, and changes nothing.
pub async fn a_retry_of_what_is_ready_says_so(rig: &dyn Rig) {
    let mut bench = Bench::open(rig).await;
    let interrupted = bench.log_settled("interrupted", retry(0)).await;
    assert_eq!(bench.claim(1, at(0)).await, [interrupted]);
    bench.acquire_again().await;
    let woken = {
        let [woken] = bench.log(["woken"]).await;
        assert_eq!(bench.claim(1, at(-9)).await, [interrupted]);
        bench.settle(interrupted, retry(9)).await;
        assert_eq!(bench.claim(1, at(0)).await, [woken]);
        bench.settle(woken, waiting_for(bound_to(4), 9)).await;
        bench.bind(binding(4, "003a")).await;
        woken
    };
    assert_eq!(bench.claim(1, at(9)).await, [woken]);
    assert_eq!(bench.claim(1, at(9)).await, [interrupted]);
    bench.settle(woken, released_at_once()).await;
    bench.acquire_again().await;
    let [fresh, behind] = bench.log(["fresh", "fresh"]).await;
    for ready in [interrupted, woken, fresh, behind] {
        let before = bench.detail(ready).await;
        assert_eq!(bench.intervene(Verb::Retry, [ready]).await, [Verdict::Ready]);
        assert_eq!(bench.detail(ready).await, before);
    }
}

/// What was retried by hand is as good as never charged: it is not claimed alone.
pub async fn what_was_retried_by_hand_comes_with_others(rig: &dyn Rig) {
    let bench = Bench::open(rig).await;
    let stuck = [bench.log_settled("x", parked()).await, bench.log_settled("y", parked()).await];
    bench.intervene(Verb::Retry, stuck).await;
    assert_eq!(bench.claim(10, at(0)).await, stuck);
}

/// A retry forgets how long, and how often, a delivery waited or was deferred; nothing wakes it any more.
pub async fn a_retry_ends_a_wait_and_a_deferral(rig: &dyn Rig) {
    let bench = Bench::open(rig).await;
    let waits = bench.log_settled("x", waiting_for(bound_to(4), 9)).await;
    let deferred = bench.log_settled("y", deferred(9)).await;
    bench.intervene(Verb::Retry, [waits, deferred]).await;
    assert_eq!(bench.detail(waits).await.awaited, []);
    for claimed in bench.claim_whole(10, at(0)).await.deliveries {
        assert_eq!((claimed.asks, claimed.waiting_since), (0, None));
        assert_eq!((claimed.defers, claimed.deferred_since), (0, None));
        bench.settle(claimed.delivery, retry(9)).await;
    }
    bench.bind(binding(4, "003a")).await;
    assert_eq!(bench.claim(10, at(0)).await, []);
}

/// A retry rings, as far as it makes something ready.
pub async fn a_retry_rings(rig: &dyn Rig) {
    let bench = Bench::open(rig).await;
    let stuck = bench.log_settled("x", parked()).await;
    let before = bench.rings();
    bench.intervene(Verb::Retry, [stuck]).await;
    assert!(bench.rings() > before);
    let before = bench.rings();
    assert_eq!(bench.intervene(Verb::Retry, [stuck]).await, [Verdict::Ready]);
    assert_eq!(bench.rings(), before, "nothing was done");
}

/// While its connector works on a delivery, an operator can do nothing to it.
pub async fn what_runs_is_left_to_its_connector(rig: &dyn Rig) {
    let bench = Bench::open(rig).await;
    let failed = bench.log_settled("x", retry(0)).await;
    let [fresh] = bench.log(["y"]).await;
    assert_eq!(bench.claim(1, at(0)).await, [failed]);
    assert_eq!(bench.claim(1, at(0)).await, [fresh]);
    for verb in VERBS {
        assert_eq!(bench.intervene(verb, [failed, fresh]).await, [Verdict::Running, Verdict::Running]);
    }
    for id in [failed, fresh] {
        assert_eq!(bench.state(id).await, DeliveryState::Running);
        bench.settle(id, Outcome::Completed).await;
        assert_eq!(bench.detail(id).await.interventions, []);
    }
}

/// What has ended stays as it ended, whatever an operator asks, and whatever they saw.
pub async fn what_has_ended_stays_so(rig: &dyn Rig) {
    let bench = Bench::open(rig).await;
    let completed = bench.log_settled("a", Outcome::Completed).await;
    let discarded = bench.log_settled("b", discarded()).await;
    let skipped = bench.log_settled("c", parked()).await;
    let [cancelled] = bench.log(["d"]).await;
    bench.intervene(Verb::Skip, [skipped]).await;
    bench.intervene(Verb::Cancel, [cancelled]).await;
    let ended = [
        (completed, DeliveryState::Completed),
        (discarded, DeliveryState::Discarded),
        (skipped, DeliveryState::Skipped),
        (cancelled, DeliveryState::Cancelled),
    ];
    let counters = bench.counters().await;
    for verb in VERBS {
        for (id, state) in ended {
            let before = bench.detail(id).await;
            for seen in [None, Some(state), Some(DeliveryState::Parked)] {
                assert_eq!(choose(&bench, verb, vec![(id, seen)]).await, [Verdict::Ended(state)]);
            }
            assert_eq!(bench.detail(id).await, before);
        }
    }
    assert_eq!(bench.counters().await, counters);
}

/// What never was, and what is not kept any more, is unknown.
pub async fn what_is_not_kept_is_unknown(rig: &dyn Rig) {
    let bench = Bench::open(rig).await;
    let pruned = bench.log_settled("x", Outcome::Completed).await;
    bench.store.prune(&bench.queue, at(9), 9).await.unwrap();
    for verb in VERBS {
        let verdicts = bench.intervene(verb, [pruned, DeliveryId(4_040_404)]).await;
        assert_eq!(verdicts, [Verdict::Unknown, Verdict::Unknown]);
    }
    assert_eq!(bench.intervene(Verb::Retry, []).await, []);
}

/// A selection is frozen: what is not in the state any more that was seen is left as it is, and named with its state.
pub async fn what_changed_since_it_was_seen_is_left_alone(rig: &dyn Rig) {
    let bench = Bench::open(rig).await;
    let stuck = bench.log_settled("x", parked()).await;
    let failed = bench.log_settled("y", retry(9)).await;
    let running = bench.log_settled("z", deferred(1)).await;
    assert_eq!(bench.claim(1, at(1)).await, [running]);
    let [behind] = bench.log(["x"]).await;
    let seen = |state| Some(state);
    for verb in VERBS {
        let items = vec![
            (stuck, seen(DeliveryState::Retryable)),
            (failed, seen(DeliveryState::Parked)),
            (running, seen(DeliveryState::Scheduled)),
            (behind, seen(DeliveryState::Available)),
        ];
        let verdicts = choose(&bench, verb, items).await;
        let changed =
            [DeliveryState::Parked, DeliveryState::Retryable, DeliveryState::Running, DeliveryState::Blocked];
        assert_eq!(verdicts, changed.map(Verdict::Changed));
    }
    let items = vec![(stuck, seen(DeliveryState::Parked)), (failed, seen(DeliveryState::Retryable))];
    assert_eq!(choose(&bench, Verb::Retry, items).await, [done(), done()]);
}

/// One after the other: what is done to one delivery is seen by the next.
pub async fn interventions_are_done_in_the_order_given(rig: &dyn Rig) {
    let bench = Bench::open(rig).await;
    let first = bench.log_settled("x", parked()).await;
    let [second] = bench.log(["x"]).await;
    let items = vec![
        (second, Some(DeliveryState::Blocked)),
        (first, Some(DeliveryState::Parked)),
        (first, Some(DeliveryState::Parked)),
    ];
    let verdicts = choose(&bench, Verb::Discard, items).await;
    assert_eq!(verdicts, [done(), done(), Verdict::Ended(DeliveryState::Discarded)]);

    let first = bench.log_settled("y", parked()).await;
    let [second] = bench.log(["y"]).await;
    let items = vec![(first, None), (second, Some(DeliveryState::Blocked))];
    let verdicts = choose(&bench, Verb::Discard, items).await;
    assert_eq!(verdicts, [done(), Verdict::Changed(DeliveryState::Available)]);
}

/// One intervention reaches deliveries of several queues.
pub async fn one_intervention_reaches_several_queues(rig: &dyn Rig) {
    let bench = Bench::open(rig).await;
    let shop = own(&*bench.store, &outgoing("shop")).await;
    let of_crm = bench.log_settled("x", parked()).await;
    bench.commit(Commit { tasks: vec![task(&shop.queue, "x")], ..Commit::at(at(0)) }).await;
    let claim = bench.store.claim(&shop, Wanted::up_to(1), at(0)).await.unwrap();
    let of_shop = claim.deliveries[0].delivery;
    bench.try_settle(&shop, vec![settlement(of_shop, parked())], at(0)).await.unwrap();
    let bell = bench.store.doorbell(&shop.queue);
    let before = (bench.rings(), *bell.borrow());
    assert_eq!(bench.intervene(Verb::Retry, [of_shop, of_crm]).await, [done(), done()]);
    assert!(bench.rings() > before.0 && *bell.borrow() > before.1);
}

/// An intervention that names too many deliveries is refused, and nothing of it is done; as many as it may name are.
pub async fn an_intervention_names_a_limited_number(rig: &dyn Rig) {
    let bench = Bench::open(rig).await;
    bench.log_keys("x", INTERVENTION_ITEMS_MAX + 1).await;
    let all = bench.open_deliveries().await;
    let mut items: Vec<_> =
        all.iter().map(|summary| Selected { delivery: summary.delivery, seen: None }).collect();
    let too_many = crate::Intervention { items: items.clone(), ..intervention(Verb::Cancel, []) };
    assert_eq!(kind_of(bench.store.intervene(too_many).await), Some(StoreErrorKind::Unsupported));
    assert_eq!(bench.counters().await.cancelled, 0);
    items.pop();
    let just_fits = crate::Intervention { items, ..intervention(Verb::Cancel, []) };
    let verdicts = bench.store.intervene(just_fits).await.unwrap();
    assert!(verdicts.iter().all(|verdict| *verdict == done()));
    assert_eq!(bench.counters().await.cancelled, INTERVENTION_ITEMS_MAX as u64);
}

/// Where order is kept within the queue, a retry names the first that holds it, of whichever key.
pub async fn where_the_queue_is_in_order_a_retry_names_what_holds_it(rig: &dyn Rig) {
    let mut bench = Bench::open_in_order(rig).await;
    let [x, y, z] = bench.log(["x", "y", "z"]).await;
    assert_eq!(bench.claim(10, at(0)).await, [x, y, z]);
    bench.settle(y, retry(9)).await;
    assert_eq!(bench.intervene(Verb::Retry, [z]).await, [Verdict::BlockedBy(x)], "the first runs");
    bench.settle(x, parked()).await;
    let behind_x = Verdict::BlockedBy(x);
    assert_eq!(bench.intervene(Verb::Retry, [y, z]).await, [behind_x.clone(), behind_x]);
    bench.acquire_with(Scope::Key).await;
    assert_eq!(bench.intervene(Verb::Retry, [y, z]).await, [done(), Verdict::Ready]);
}

/// Does this to deliveries that were seen in these states.
async fn choose(bench: &Bench, verb: Verb, items: Vec<(DeliveryId, Option<DeliveryState>)>) -> Vec<Verdict> {
    let items = items.into_iter().map(|(delivery, seen)| Selected { delivery, seen }).collect();
    let intervention = crate::Intervention { items, ..intervention(verb, []) };
    bench.store.intervene(intervention).await.expect("intervene")
}
