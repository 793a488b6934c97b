//! Pulls that bring all there is: what is missing from them is gone, if they are whole, and if it is not too much to be
//! true.

use std::time::Duration;

use bus_core::{Direction, Failure, Poll};
use bus_runtime::{BusErrorKind, StoreConfig, Synchronous};
use bus_testkit::{RunningTestBus, TestBus};
use bus_tests::{Contact, User};

use crate::polled::{Polled, Script, changed, logins, status, with_polled};
use crate::told::{ops, until};

stories!(
    what_is_missing_from_a_complete_pull_is_deleted,
    a_complete_pull_may_have_several_pages,
    an_incomplete_pull_deletes_nothing,
    a_mass_deletion_is_refused_until_it_is_accepted,
    a_share_of_many_may_go_without_asking,
    an_empty_pull_deletes_nothing_by_itself,
    what_was_made_while_pulling_is_spared,
    what_is_not_accepted_cannot_be_all_there_is
);

const MINUTE: Duration = Duration::from_mins(1);

async fn after(bus: &RunningTestBus, wait: Duration) {
    bus.clock().advance(wait);
    bus.until_idle().await;
}

fn whole<const N: usize>(cursor: &str, keys: [&str; N]) -> Poll {
    Poll::new(cursor).complete::<Polled, Contact>(keys)
}

fn name() -> bus_core::ConnectorName {
    "polled".parse().unwrap()
}

/// A bus that knows these by a poll that ended a minute ago.
async fn knowing(bus: TestBus, uids: &[String]) -> (RunningTestBus, Script) {
    let (bus, script) = with_polled(bus, |processing| processing.poll_backlog_max = 10_000);
    script.page(Poll::new("1").tasks(uids.iter().map(|uid| changed(uid))));
    let bus = bus.start().await;
    bus.until_idle().await;
    assert_eq!(logins(&bus).await.len(), uids.len());
    script.take_asked();
    (bus, script)
}

fn uids(count: usize) -> Vec<String> {
    (0..count).map(|number| format!("u{number:03}")).collect()
}

async fn what_is_missing_from_a_complete_pull_is_deleted(bus: TestBus) {
    let (bus, script) = knowing(bus, &uids(4)).await;
    script.page(whole("2", ["u000", "u002", "new"]).task(changed("new")));
    after(&bus, MINUTE).await;
    after(&bus, MINUTE).await;
    assert_eq!(script.take_asked(), ["1", "2"]);
    assert_eq!(logins(&bus).await, ["new", "u000", "u002"]);
    let counters = bus.counters("polled", Direction::Incoming).await;
    assert_eq!((counters.logged, counters.completed), (7, 7), "four, the new one, and two that are gone");
    // What comes again is made anew.
    script.page(whole("3", ["u000", "u002", "new", "u001"]).task(changed("u001")));
    after(&bus, MINUTE).await;
    assert_eq!(logins(&bus).await, ["new", "u000", "u001", "u002"]);
}

async fn a_complete_pull_may_have_several_pages(bus: TestBus) {
    let (bus, script) = knowing(bus, &uids(4)).await;
    script.page(whole("p1", ["u000"]).task(changed("x")).more());
    script.page(Poll::new("p2").task(changed("y")).more());
    script.page(whole("2", ["u003", "x", "y"]));
    after(&bus, MINUTE).await;
    after(&bus, MINUTE).await;
    assert_eq!(script.take_asked(), ["1", "p1", "p2", "2"]);
    assert_eq!(logins(&bus).await, ["u000", "u003", "x", "y"]);
}

async fn an_incomplete_pull_deletes_nothing(bus: TestBus) {
    let (bus, script) = knowing(bus, &uids(4)).await;
    script.page(whole("p1", ["u000"]).more());
    script.answer(|| Err(Failure::retry("the second page is missing")));
    after(&bus, MINUTE).await;
    assert_eq!(logins(&bus).await.len(), 4);
    // It begins anew: the first page counts no more.
    script.page(whole("p1", ["u001"]).more());
    script.page(whole("2", ["u002"]));
    after(&bus, Duration::from_secs(1)).await;
    assert_eq!(script.take_asked(), ["1", "p1", "1", "p1"]);
    assert_eq!(logins(&bus).await, ["u001", "u002"]);
}

async fn a_mass_deletion_is_refused_until_it_is_accepted(bus: TestBus) {
    let (bus, script) = knowing(bus, &uids(12)).await;
    let lacking = |script: &Script| script.page(whole("2", ["u000"]).task(changed("new")));
    lacking(&script);
    after(&bus, MINUTE).await;
    assert_eq!(logins(&bus).await.len(), 13, "what is new is news");
    let warning = status(&bus).warning().unwrap();
    let expected = "the complete list of `contact` lacks 11 of the 12 known app.user: nothing was deleted, and the cursor \
                    stays; if they are gone, accept it (`accept_deletions`, up to 11)";
    assert!(warning.contains(expected), "{warning}");

    let nobody = bus.accept_deletions(&name(), 11, &bus_runtime::Operator::named("")).unwrap_err();
    assert_eq!(nobody.kind(), BusErrorKind::BadName);
    lacking(&script);
    bus.accept_deletions(&name(), 10, &ops()).unwrap();
    bus.until_idle().await;
    assert_eq!(logins(&bus).await.len(), 13, "more are missing than were accepted");
    bus.clock().advance(Duration::from_secs(1));
    script.page(whole("2", ["u000"]));
    bus.accept_deletions(&name(), 12, &ops()).unwrap();
    bus.until_idle().await;
    assert_eq!(logins(&bus).await, ["u000"], "and what had come since");
    assert_eq!(script.take_asked(), ["1", "1", "1"]);
    assert_eq!(status(&bus).warning(), None);
}

async fn a_share_of_many_may_go_without_asking(bus: TestBus) {
    let all = uids(200);
    let (bus, script) = knowing(bus, &all).await;
    let without = |count: usize| Poll::new("2").complete::<Polled, Contact>(all[count..].to_vec());
    script.page(without(21));
    after(&bus, MINUTE).await;
    assert_eq!(logins(&bus).await.len(), 200);
    script.page(without(20));
    bus.poll_now(&name()).unwrap();
    bus.until_idle().await;
    assert_eq!(logins(&bus).await.len(), 180);
}

async fn an_empty_pull_deletes_nothing_by_itself(bus: TestBus) {
    let (bus, script) = knowing(bus, &uids(1)).await;
    script.page(whole("2", []));
    after(&bus, MINUTE).await;
    assert_eq!(logins(&bus).await.len(), 1);
    assert!(status(&bus).warning().unwrap().contains("lacks 1 of the 1 known"));
    script.page(whole("2", []));
    bus.accept_deletions(&name(), 1, &ops()).unwrap();
    bus.until_idle().await;
    assert_eq!(logins(&bus).await, [""; 0]);
    // Where nothing is known, nothing can be missing.
    script.page(whole("3", []));
    after(&bus, MINUTE).await;
    assert_eq!(status(&bus).warning(), None);
}

async fn what_was_made_while_pulling_is_spared(bus: TestBus) {
    let (bus, script) = knowing(bus, &uids(2)).await;
    script.page(whole("2", ["u000"]));
    script.hold(true);
    bus.clock().advance(MINUTE);
    until(async || script.is_running()).await;
    bus.clock().advance(Duration::from_secs(1));
    bus.objects().save(&mut User::new("made", "Made")).await.unwrap();
    until(async || bus.counters("polled", Direction::Outgoing).await.completed == 1).await;
    script.hold(false);
    bus.until_idle().await;
    assert_eq!(logins(&bus).await, ["made", "u000"]);
    // The next one would have it, if it were there.
    script.page(whole("3", ["u000"]));
    after(&bus, MINUTE).await;
    assert_eq!(logins(&bus).await, ["u000"]);
}

async fn what_is_not_accepted_cannot_be_all_there_is(bus: TestBus) {
    let (bus, script) = knowing(bus, &uids(1)).await;
    let mut poll = Poll::new("2");
    poll.complete.push(("account".to_owned(), Vec::new()));
    script.page(poll);
    after(&bus, MINUTE).await;
    let error = status(&bus).poll.unwrap().error.unwrap();
    assert!(error.contains("all `account`, which it does not accept; add an `#[incoming]` line"), "{error}");
    let many = (0..100_001).map(|number| number.to_string());
    script.page(Poll::new("2").complete::<Polled, Contact>(many));
    bus.poll_now(&name()).unwrap();
    bus.until_idle().await;
    let error = status(&bus).poll.unwrap().error.unwrap();
    assert!(error.contains("more than 100000 keys; log what is gone with"), "{error}");
    assert_eq!(logins(&bus).await.len(), 1);
}

#[tokio::test]
async fn a_pull_that_ended_between_its_pages_begins_anew_in_the_next_process() {
    let folder = tempfile::TempDir::new().unwrap();
    let start = async |script: &dyn Fn(&Script)| {
        let path = folder.path().join("bus.db");
        let (bus, polled) = with_polled(TestBus::new(), |_| {});
        script(&polled);
        let bus = bus.configure(move |config| {
            config.store = StoreConfig::Sqlite { path, synchronous: Synchronous::Normal };
        });
        (bus.start().await, polled)
    };
    let (one, first) =
        start(&|script| script.page(Poll::new("1").tasks(uids(3).iter().map(|uid| changed(uid))))).await;
    one.until_idle().await;
    first.page(whole("p1", ["u000"]).task(changed("x")).more());
    let held = first.clone();
    first.answer(move || {
        held.hold(true);
        Err(Failure::retry("again"))
    });
    one.clock().advance(MINUTE);
    until(async || logins(&one).await.contains(&"x".to_owned()) && !first.is_running()).await;
    one.shutdown().await;

    let (other, second) = start(&|_| {}).await;
    second.page(whole("p1", ["u000", "x"]).more());
    second.page(whole("2", ["u001"]));
    after(&other, MINUTE * 10).await;
    assert_eq!(second.take_asked()[..2], ["1", "p1"]);
    assert_eq!(logins(&other).await, ["u000", "u001", "x"]);
    other.shutdown().await;
}
