//! Laws of [`Operate`](crate::Operate). A little longer than other files: its tables of states are.

use bus_core::{DeliveryId, DeliveryState, Direction, Timestamp};

use super::Rig;
use super::bench::{
    Bench, aside, at, binding, bound_to, connector, deferred, discarded, outgoing, parked, parked_aside,
    released, retry, task, waiting, waiting_for,
};
use crate::operate::{
    ATTEMPTS_KEPT_MAX, Attempt, Counters, DeliveryFilter, ERROR_BYTES_MAX, PAGE_ROWS_MAX, QueueCounts,
    Waiting,
};
use crate::queue::{Outcome, QueueId};
use crate::task_log::Commit;

/// The books balance after each outcome, and every outcome is counted where it belongs.
pub async fn the_books_balance_after_every_outcome(rig: &dyn Rig) {
    let bench = Bench::open(rig).await;
    let mut expected = Counters::default();
    assert_eq!(bench.counters().await, expected);
    for (number, outcome) in [
        Outcome::Completed,
        discarded(),
        retry(9),
        released(9),
        deferred(9),
        waiting(9),
        aside(9),
        parked(),
        parked_aside(),
    ]
    .into_iter()
    .enumerate()
    {
        bench.log([&format!("x {number}")]).await;
        bench.claim_and_settle(at(0), outcome.clone()).await;
        expected.logged += 1;
        match outcome {
            Outcome::Completed => expected.completed += 1,
            Outcome::Discarded { .. } => expected.discarded += 1,
            Outcome::Retry { .. } => {
                expected.open += 1;
                expected.retried += 1;
            }
            Outcome::Waiting { .. } => {
                expected.open += 1;
                expected.waited += 1;
            }
            Outcome::Released { .. }
            | Outcome::Deferred { .. }
            | Outcome::Aside { .. }
            | Outcome::Parked { .. } => expected.open += 1,
        }
        assert_eq!(bench.counters().await, expected);
    }
}

/// Every state is seen as what it is, in the list, in the details, and in the counts.
pub async fn every_state_is_seen_as_what_it_is(rig: &dyn Rig) {
    let bench = Bench::open(rig).await;
    let failed = |due| Outcome::Released { due, error: Some("refused".to_owned()) };
    let stepped =
        |error: Option<&str>| Outcome::Aside { due: at(9), error: error.map(str::to_owned), charged: true };
    let mut expected = Vec::new();
    for (number, (outcome, state, due)) in [
        (retry(9), DeliveryState::Retryable, Some(at(9))),
        (failed(at(9)), DeliveryState::Retryable, Some(at(9))),
        (failed(Timestamp::EPOCH), DeliveryState::Available, None),
        (released(9), DeliveryState::Scheduled, Some(at(9))),
        (deferred(9), DeliveryState::Scheduled, Some(at(9))),
        (stepped(None), DeliveryState::Scheduled, Some(at(9))),
        (stepped(Some("refused")), DeliveryState::Retryable, Some(at(9))),
        (waiting(9), DeliveryState::Waiting, Some(at(9))),
        (parked(), DeliveryState::Parked, None),
        (parked_aside(), DeliveryState::Parked, None),
    ]
    .into_iter()
    .enumerate()
    {
        let [id] = bench.log([&format!("x {number}")]).await;
        // What was released at once comes first each time, and goes back.
        for claimed in bench.claim(10, at(0)).await {
            bench
                .settle(claimed, if claimed == id { outcome.clone() } else { failed(Timestamp::EPOCH) })
                .await;
        }
        expected.push((id, state, due));
    }
    let [behind_failed, running, behind_running] = bench.log(["x 0", "y", "y"]).await;
    // Released at once, it is not shown as failed.
    assert_eq!(bench.state(expected[2].0).await, DeliveryState::Available);
    while !bench.claim(1, at(0)).await.contains(&running) {}
    let [fresh, behind_fresh] = bench.log(["z", "z"]).await;
    // What was released at once was claimed on the way.
    expected[2].1 = DeliveryState::Running;
    expected.extend([
        (behind_failed, DeliveryState::Blocked, None),
        (running, DeliveryState::Running, None),
        (behind_running, DeliveryState::Blocked, None),
        (fresh, DeliveryState::Available, None),
        (behind_fresh, DeliveryState::Available, None),
    ]);
    let seen = bench.open_deliveries().await;
    let seen: Vec<_> =
        seen.into_iter().map(|summary| (summary.delivery, summary.state, summary.due)).collect();
    assert_eq!(seen, expected);
    for (id, state, due) in expected {
        let summary = bench.detail(id).await.summary;
        assert_eq!((summary.state, summary.due), (state, due));
    }
    let counts = QueueCounts {
        scheduled: 3,
        available: 2,
        running: 2,
        retryable: 3,
        waiting: 1,
        blocked: 2,
        parked: 2,
    };
    assert_eq!(bench.counts().await, counts);
    assert_eq!(bench.counters().await.open, 15);
}

/// What is blocked is available again when what stood before it is out of the way.
pub async fn what_was_blocked_becomes_available(rig: &dyn Rig) {
    let bench = Bench::open(rig).await;
    let [first, second] = bench.log(["x", "x"]).await;
    assert_eq!(bench.claim(1, at(0)).await, [first]);
    assert_eq!(bench.state(second).await, DeliveryState::Blocked);
    bench.settle(first, retry(5)).await;
    assert_eq!(bench.state(second).await, DeliveryState::Blocked);
    assert_eq!(bench.claim(1, at(5)).await, [first]);
    bench.settle(first, parked_aside()).await;
    assert_eq!(bench.state(second).await, DeliveryState::Available);
}

/// A list can be asked for one state only, and its pages for that state miss nothing.
pub async fn a_list_can_be_of_one_state(rig: &dyn Rig) {
    let bench = Bench::open(rig).await;
    bench.log_keys("x", 30).await;
    let claimed = bench.claim(100, at(0)).await;
    let (mut parked_ids, mut retried_ids) = (Vec::new(), Vec::new());
    for (number, id) in claimed.into_iter().enumerate() {
        let (outcome, of) =
            if number % 3 == 0 { (parked(), &mut parked_ids) } else { (retry(5), &mut retried_ids) };
        bench.settle(id, outcome).await;
        of.push(id);
    }
    for (state, expected) in [
        (Some(DeliveryState::Parked), parked_ids),
        (Some(DeliveryState::Retryable), retried_ids),
        (Some(DeliveryState::Running), Vec::new()),
    ] {
        let mut seen: Vec<DeliveryId> = Vec::new();
        loop {
            let filter =
                DeliveryFilter { state, after: seen.last().copied(), limit: 4, ..DeliveryFilter::default() };
            let page = bench.store.deliveries(&bench.queue, &filter).await.unwrap();
            assert!(page.len() <= 4);
            if page.is_empty() {
                break;
            }
            seen.extend(page.into_iter().map(|summary| summary.delivery));
        }
        assert_eq!(seen, expected, "{state:?}");
    }
}

/// Pages of a list bring each delivery once, oldest first, while others are logged and settled.
pub async fn pages_of_deliveries_are_stable_under_writes(rig: &dyn Rig) {
    let bench = Bench::open(rig).await;
    bench.log_keys("x", 10).await;
    let there: Vec<DeliveryId> =
        bench.open_deliveries().await.iter().map(|summary| summary.delivery).collect();
    let mut seen: Vec<DeliveryId> = Vec::new();
    while seen.len() < 10 {
        let filter = DeliveryFilter { after: seen.last().copied(), limit: 3, ..DeliveryFilter::default() };
        let page = bench.store.deliveries(&bench.queue, &filter).await.unwrap();
        assert_eq!(page.len(), 3);
        seen.extend(page.into_iter().map(|summary| summary.delivery));
        bench.log(["y"]).await;
        for id in bench.claim(1, at(0)).await {
            bench.settle(id, Outcome::Completed).await;
        }
    }
    assert_eq!(seen[..10], there);
}

/// A page has a largest size, also for those who ask for more, or for no limit.
pub async fn a_page_has_a_largest_size(rig: &dyn Rig) {
    let bench = Bench::open(rig).await;
    bench.log_keys("x", PAGE_ROWS_MAX + 5).await;
    for limit in [0, PAGE_ROWS_MAX + 5, usize::MAX] {
        let filter = DeliveryFilter { limit, ..DeliveryFilter::default() };
        let page = bench.store.deliveries(&bench.queue, &filter).await.unwrap();
        assert_eq!(page.len(), PAGE_ROWS_MAX, "asked for {limit}");
    }
    assert_eq!(bench.counts().await.available, PAGE_ROWS_MAX as u64 + 5);
}

/// What went wrong is kept, the latest attempts of each delivery, and what was said last stands in the list.
pub async fn what_went_wrong_is_kept(rig: &dyn Rig) {
    let bench = Bench::open(rig).await;
    let [id] = bench.log(["x"]).await;
    let error = |text: &str| Some(text.to_owned());
    for (second, outcome) in [
        (1, Outcome::Retry { due: at(1), error: "one".to_owned() }),
        (2, Outcome::Released { due: at(1), error: error("two") }),
        (3, Outcome::Released { due: at(1), error: None }),
        (4, Outcome::Aside { due: at(1), error: error("four"), charged: true }),
        (5, Outcome::Aside { due: at(1), error: error("five"), charged: false }),
        (6, waiting_for(bound_to(4), 1)),
        (7, Outcome::Parked { error: "seven".to_owned(), aside: false }),
    ] {
        bench.claim_and_settle(at(second), outcome).await;
        if second == 6 {
            let detail = bench.detail(id).await;
            assert_eq!(detail.summary.reason.as_deref(), Some("company 404 is missing"));
            assert_eq!(detail.awaited, [bound_to(4)]);
        }
    }
    let detail = bench.detail(id).await;
    let attempt = |second, charged, error: &str| Attempt { at: at(second), charged, error: error.to_owned() };
    let expected = [
        attempt(1, true, "one"),
        attempt(2, false, "two"),
        attempt(4, true, "four"),
        attempt(5, false, "five"),
        attempt(7, true, "seven"),
    ];
    assert_eq!(detail.attempts, expected);
    assert_eq!((detail.summary.attempts, detail.summary.reason.as_deref()), (3, Some("seven")));
    assert_eq!(detail.awaited, [], "it waits for a person, not for an object");
}

/// Of very many attempts the latest are kept, and all are counted.
pub async fn the_latest_attempts_are_kept(rig: &dyn Rig) {
    let bench = Bench::open(rig).await;
    let [id] = bench.log(["x"]).await;
    for number in 0..ATTEMPTS_KEPT_MAX + 5 {
        let error = number.to_string();
        bench.claim_and_settle(at(0), Outcome::Retry { due: at(0), error }).await;
    }
    let detail = bench.detail(id).await;
    let kept: Vec<String> = detail.attempts.into_iter().map(|attempt| attempt.error).collect();
    let expected: Vec<String> = (5..ATTEMPTS_KEPT_MAX + 5).map(|number| number.to_string()).collect();
    assert_eq!(kept, expected);
    assert_eq!(detail.summary.attempts as usize, ATTEMPTS_KEPT_MAX + 5);
}

/// A long error is cut between characters, and says that it was cut; a short one is kept as it is.
pub async fn long_errors_are_cut_between_characters(rig: &dyn Rig) {
    let bench = Bench::open(rig).await;
    let [id] = bench.log(["x"]).await;
    // Three bytes a character, so that the limit falls into one.
    let long = "€".repeat(ERROR_BYTES_MAX);
    bench.claim_and_settle(at(0), Outcome::Retry { due: at(0), error: long.clone() }).await;
    let reason = Outcome::Waiting { awaited: vec![bound_to(4)], due: at(0), reason: long.clone() };
    bench.claim_and_settle(at(0), reason).await;
    let kept = bench.detail(id).await.summary.reason.expect("it was said why it waits");
    assert!(kept.len() <= ERROR_BYTES_MAX && kept.ends_with('…'), "{}", kept.len());
    let just_fits = "e".repeat(ERROR_BYTES_MAX);
    bench.claim_and_settle(at(0), Outcome::Parked { error: just_fits.clone(), aside: false }).await;
    let attempts = bench.detail(id).await.attempts;
    let kept = &attempts[0].error;
    assert!(kept.len() <= ERROR_BYTES_MAX && kept.len() > ERROR_BYTES_MAX - 8, "{}", kept.len());
    assert!(kept.ends_with('…') && long.starts_with(kept.trim_end_matches('…')));
    assert_eq!(attempts[1].error, just_fits);
}

/// Ten megabytes of an error are cut between characters like any other, wherever errors are kept.
pub async fn ten_megabytes_of_an_error_are_cut_between_characters(rig: &dyn Rig) {
    let bench = Bench::open(rig).await;
    let long = format!("e{}", "\u{1F9E6}".repeat(10 * 1024 * 1024 / 4));
    let error = || long.clone();
    let again = at(0);
    let awaited = vec![bound_to(4)];
    for (number, outcome) in [
        Outcome::Retry { due: again, error: error() },
        Outcome::Released { due: again, error: Some(error()) },
        Outcome::Deferred { due: again, error: error() },
        Outcome::Aside { due: again, error: Some(error()), charged: false },
        Outcome::Waiting { awaited, due: again, reason: error() },
        Outcome::Parked { error: error(), aside: false },
        Outcome::Discarded { error: error() },
    ]
    .into_iter()
    .enumerate()
    {
        let [id] = bench.log([&format!("x {number}")]).await;
        let claimed = bench.claim_whole(10, Timestamp::EPOCH).await.deliveries;
        assert_eq!(claimed.last().map(|claimed| claimed.delivery), Some(id));
        bench.settle(id, outcome).await;
        let detail = bench.detail(id).await;
        for kept in detail.attempts.iter().map(|attempt| &attempt.error).chain(&detail.summary.reason) {
            let shown = kept.strip_suffix('…').expect("it says that it was cut");
            assert!(kept.len() <= ERROR_BYTES_MAX && kept.len() > ERROR_BYTES_MAX - 8, "{}", kept.len());
            assert!(long.starts_with(shown));
        }
        assert!(detail.summary.reason.is_some());
    }
}

/// The open deliveries of a key are found, whatever their state, oldest first, as many as are asked for.
pub async fn the_open_deliveries_of_a_key_are_found(rig: &dyn Rig) {
    let bench = Bench::open(rig).await;
    let stands_aside = bench.log_settled("x", aside(9)).await;
    let [done, failed, behind, other] = bench.log(["x", "x", "x", "y"]).await;
    assert_eq!(bench.claim(2, at(0)).await, [done, failed]);
    bench.settle(done, Outcome::Completed).await;
    bench.settle(failed, retry(9)).await;
    let of_key = |key, limit| bench.store.open_of_key(&bench.queue, key, limit);
    assert_eq!(of_key("x", 10).await.unwrap(), [stands_aside, failed, behind]);
    assert_eq!(of_key("x", 2).await.unwrap(), [stands_aside, failed]);
    assert_eq!(of_key("x", 0).await.unwrap(), []);
    assert_eq!(of_key("y", 10).await.unwrap(), [other]);
    assert_eq!(of_key("z", 10).await.unwrap(), []);
    assert_eq!(bench.store.open_of_key(&outgoing("nobody"), "x", 10).await.unwrap(), []);
}

/// What the first of a key's line waits for is found by the key, for as long as it waits.
pub async fn what_a_key_waits_for_is_found(rig: &dyn Rig) {
    let bench = Bench::open(rig).await;
    let of_key = async |key| bench.store.awaited_by_key(&bench.queue, key).await.unwrap();
    let stands_aside = bench.log_settled("x", aside(50)).await;
    assert_eq!(of_key("x").await, None, "nothing is in line");
    let waits = bench.log_settled("x", waiting_for(bound_to(4), 5)).await;
    bench.log(["x"]).await;
    let expected = Waiting { delivery: waits, awaited: vec![bound_to(4)] };
    assert_eq!(of_key("x").await, Some(expected), "{stands_aside} stands aside");
    assert_eq!(of_key("y").await, None);
    bench.claim_one(at(5)).await;
    assert_eq!(of_key("x").await, None, "it is being asked");
    bench.settle(waits, waiting_for(bound_to(5), 9)).await;
    assert_eq!(of_key("x").await.map(|waiting| waiting.awaited), Some(vec![bound_to(5)]));
    bench.bind(binding(5, "003a")).await;
    assert_eq!(of_key("x").await, None, "it has arrived");
    assert_eq!(bench.store.awaited_by_key(&outgoing("nobody"), "x").await.unwrap(), None);
}

/// A list can be of one key, in whichever state.
pub async fn a_list_can_be_of_one_key(rig: &dyn Rig) {
    let bench = Bench::open(rig).await;
    let stuck = bench.log_settled("x", parked()).await;
    let [behind, other] = bench.log(["x", "X"]).await;
    for (key, state, expected) in [
        ("x", None, vec![stuck, behind]),
        ("x", Some(DeliveryState::Blocked), vec![behind]),
        ("X", None, vec![other]),
        ("X", Some(DeliveryState::Parked), vec![]),
        ("", None, vec![]),
    ] {
        let filter = DeliveryFilter { state, key: Some(key.to_owned()), ..DeliveryFilter::default() };
        let page = bench.store.deliveries(&bench.queue, &filter).await.unwrap();
        assert_eq!(
            page.iter().map(|summary| summary.delivery).collect::<Vec<_>>(),
            expected,
            "{key} {state:?}"
        );
    }
}

/// What is blocked names the first that holds it: what runs of its key, or what stands first in its line.
pub async fn what_is_blocked_names_what_it_stands_behind(rig: &dyn Rig) {
    let bench = Bench::open(rig).await;
    let [first, second, third] = bench.log(["x", "x", "x"]).await;
    assert_eq!(bench.detail(second).await.blocked_by, None, "fresh behind fresh may come together");
    assert_eq!(bench.claim(2, at(0)).await, [first, second]);
    assert_eq!(bench.detail(third).await.blocked_by, Some(first));
    bench.settle(first, Outcome::Completed).await;
    assert_eq!(bench.detail(third).await.blocked_by, Some(second));
    bench.settle(second, retry(5)).await;
    assert_eq!(bench.detail(third).await.blocked_by, Some(second));
    assert_eq!(bench.detail(second).await.blocked_by, None, "it stands first");
    bench.claim_and_settle(at(5), aside(9)).await;
    assert_eq!(bench.detail(third).await.blocked_by, None);
    assert_eq!(bench.claim(1, at(0)).await, [third]);
    bench.settle(third, parked()).await;
    let detail = bench.detail(third).await;
    assert_eq!((detail.summary.state, detail.blocked_by), (DeliveryState::Parked, None));
}

/// A queue is listed once something was logged for it, or once it was acquired.
pub async fn queues_are_listed(rig: &dyn Rig) {
    let bench = Bench::open(rig).await;
    let incoming = QueueId::new(connector("shop"), Direction::Incoming);
    let tasks = vec![task(&incoming, "x"), task(&outgoing("erp"), "x")];
    bench.commit(Commit { tasks, ..Commit::at(at(0)) }).await;
    let mut queues = bench.store.queues().await.unwrap();
    queues.sort();
    assert_eq!(queues, [outgoing("crm"), outgoing("erp"), incoming]);
}

/// What nobody ever heard of is empty, and no error.
pub async fn what_nobody_heard_of_is_empty(rig: &dyn Rig) {
    let bench = Bench::open(rig).await;
    let nobody = outgoing("nobody");
    assert_eq!(bench.store.counters(&nobody).await.unwrap(), Counters::default());
    assert_eq!(bench.store.queue_counts(&nobody).await.unwrap(), QueueCounts::default());
    assert_eq!(bench.store.deliveries(&nobody, &DeliveryFilter::default()).await.unwrap(), []);
    assert_eq!(bench.store.delivery(DeliveryId(404)).await.unwrap(), None);
}
