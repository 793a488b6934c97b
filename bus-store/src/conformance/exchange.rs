//! Laws of [`Exchange`](crate::Exchange).

use std::collections::BTreeMap;

use bus_core::{DeliveryId, Direction, TaskId};

use super::bench::{Bench, at, binding, connector, retry, settlement, user, user_key};
use super::{Rig, Verdict, needs_reopening};
use crate::StoreErrorKind;
use crate::exchange::{Agreed, ExchangeWrite, Exchanged, SENT_KEPT_MAX, Said, Sent};
use crate::identity::Binding;
use crate::objects::{Expected, ObjectWrite};
use crate::queue::{Outcome, QueueId};
use crate::task_log::Commit;

/// What was exchanged comes back, for as long as the object is bound like that.
pub async fn what_was_exchanged_comes_back(rig: &dyn Rig) {
    let bench = bound(rig).await;
    assert_eq!(exchanged(&bench, "003").await, Exchanged::default());
    write(&bench, [sent(2), agreed("{\"name\":\"ü\"}", 3), sent(1)]).await;
    let known = exchanged(&bench, "003").await;
    assert_eq!(known.sent, [entry(1), entry(2)]);
    let data = "{\"name\":\"ü\"}".as_bytes().to_vec();
    assert_eq!(known.agreed, Some(Agreed { data, is_given: false, alternations: 3, at: at(7) }));
    write(&bench, [agreed("{}", 0)]).await;
    let known = exchanged(&bench, "003").await;
    let data = b"{}".to_vec();
    assert_eq!(known.agreed, Some(Agreed { data, is_given: false, alternations: 0, at: at(7) }));
    assert_eq!(known.sent, [entry(1), entry(2)], "the newest word about one says nothing about the other");
}

/// What was given keeps the count of what was taken before it; who begins by giving begins at none.
pub async fn what_is_given_keeps_the_count_of_alternations(rig: &dyn Rig) {
    let bench = bound(rig).await;
    let given = |data: &str| Said::Given { data: data.as_bytes().to_vec() };
    for (said, is_given, alternations) in [
        (given("1"), true, 0),
        (given("2"), true, 0),
        (agreed("3", 4), false, 4),
        (given("4"), true, 4),
        (given("5"), true, 4),
        (agreed("6", 0), false, 0),
    ] {
        let (Said::Given { data } | Said::Taken { data, .. }) = said.clone() else { continue };
        write(&bench, [said]).await;
        let known = exchanged(&bench, "003").await.agreed;
        assert_eq!(known, Some(Agreed { data, is_given, alternations, at: at(7) }));
    }
}

/// What has come back is forgotten, with what was sent before it: it is used once.
pub async fn what_was_heard_is_used_once(rig: &dyn Rig) {
    let bench = bound(rig).await;
    write(&bench, [sent(1), sent(2), sent(3), agreed("{}", 0)]).await;
    write(&bench, [Said::Heard { up_to: DeliveryId(2) }]).await;
    let known = exchanged(&bench, "003").await;
    assert_eq!(known.sent, [entry(3)]);
    assert!(known.agreed.is_some());
    write(&bench, [Said::Heard { up_to: DeliveryId(2) }, Said::Heard { up_to: DeliveryId(3) }]).await;
    assert_eq!(exchanged(&bench, "003").await.sent, []);
}

/// A delivery that is said to have sent something twice did so as it was said last; of one object the latest are kept.
pub async fn of_what_was_sent_the_latest_is_kept(rig: &dyn Rig) {
    let bench = bound(rig).await;
    let again = Sent { hop: 3, at: at(9), fields: BTreeMap::from([("note".to_owned(), 0)]), ..entry(1) };
    write(&bench, [sent(1), Said::Sent(again.clone())]).await;
    assert_eq!(exchanged(&bench, "003").await.sent, [again]);
    let most = i64::try_from(SENT_KEPT_MAX).unwrap();
    for number in 1..=most + 2 {
        write(&bench, [sent(number)]).await;
    }
    let kept: Vec<i64> = exchanged(&bench, "003").await.sent.iter().map(|sent| sent.delivery.0).collect();
    assert_eq!(kept, (3..=most + 2).collect::<Vec<_>>());
}

/// What was sent is forgotten with time, the earliest first; what both sides have is not.
pub async fn what_was_sent_is_forgotten_with_time(rig: &dyn Rig) {
    let bench = bound(rig).await;
    write(&bench, [agreed("{}", 0), sent(1), sent(2), sent(3)]).await;
    assert_eq!(bench.store.forget_sent(at(1), 10).await.unwrap(), 0, "the first was sent at that time");
    assert_eq!(bench.store.forget_sent(at(3), 1).await.unwrap(), 1);
    assert_eq!(exchanged(&bench, "003").await.sent, [entry(2), entry(3)]);
    assert_eq!(bench.store.forget_sent(at(3), 10).await.unwrap(), 1);
    let known = exchanged(&bench, "003").await;
    assert_eq!((known.sent, known.agreed.is_some()), (vec![entry(3)], true));
}

/// It ends with the binding: what is bound to something else, or is gone, or was unlinked, has exchanged nothing, nor
/// does what comes too late count.
pub async fn what_was_exchanged_ends_with_its_binding(rig: &dyn Rig) {
    let bench = bound(rig).await;
    write(&bench, [sent(1), agreed("{}", 0)]).await;
    assert_eq!(exchanged(&bench, "004").await, Exchanged::default(), "it was never bound to that");
    bench.bind(binding(17, "004")).await;
    write(&bench, [sent(2)]).await;
    assert_eq!(
        exchanged(&bench, "004").await,
        Exchanged::default(),
        "said of what it is not bound to any more"
    );

    bench.bind(binding(17, "003")).await;
    write(&bench, [sent(1), agreed("{}", 0)]).await;
    bench.unbind(binding(17, "003")).await;
    write(&bench, [sent(2), agreed("{}", 0)]).await;
    bench.bind(binding(17, "003")).await;
    assert_eq!(exchanged(&bench, "003").await, Exchanged::default(), "it was unlinked in between");

    write(&bench, [sent(1), agreed("{}", 0)]).await;
    bench.delete(&user_key(17), 1).await;
    write(&bench, [sent(2), agreed("{}", 0)]).await;
    bench.save([user(17)]).await;
    bench.bind(binding(17, "003")).await;
    assert_eq!(exchanged(&bench, "003").await, Exchanged::default(), "another object of that id");
}

/// What is bound, and exchanged, in one commit counts together; in a commit that is refused, nothing of it does.
pub async fn what_was_exchanged_goes_with_the_rest_of_its_commit(rig: &dyn Rig) {
    let bench = Bench::open(rig).await;
    bench.save([user(17)]).await;
    let exchanged_now = vec![about(agreed("{}", 0)), about(sent(1))];
    let gone = ObjectWrite::Delete { key: user_key(18), expected: Expected::Version(1) };
    let commit =
        Commit { bindings_if_free: vec![binding(17, "003")], exchanged: exchanged_now, ..Commit::at(at(7)) };
    let refused = bench.store.commit(Commit { objects: vec![gone], ..commit.clone() }).await.unwrap_err();
    assert_eq!(refused.kind(), StoreErrorKind::Conflict);
    assert_eq!(exchanged(&bench, "003").await, Exchanged::default());
    bench.commit(commit).await;
    let known = exchanged(&bench, "003").await;
    assert_eq!((known.agreed.is_some(), known.sent), (true, vec![entry(1)]));

    let [stale] = bench.log(["app.user=17"]).await;
    let late = Commit {
        ownership: Some(bench.owner.clone()),
        settlements: vec![settlement(stale, Outcome::Completed)],
        exchanged: vec![about(sent(2))],
        ..Commit::at(at(7))
    };
    assert_eq!(
        bench.store.commit(late).await.unwrap_err().kind(),
        StoreErrorKind::Stale,
        "it is not claimed"
    );
    assert_eq!(exchanged(&bench, "003").await.sent, [entry(1)]);
}

/// What is claimed of the object's key is told, and nothing else is.
pub async fn what_is_claimed_of_an_object_is_told(rig: &dyn Rig) {
    let bench = bound(rig).await;
    let claimed = async || exchanged(&bench, "003").await.claimed;
    let [first, second, _other] = bench.log(["app.user=17", "app.user=17", "app.user=18"]).await;
    assert_eq!(claimed().await, []);
    bench.claim(10, at(0)).await;
    assert_eq!(claimed().await, [first, second]);
    // What holds the key puts back what is claimed behind it.
    bench.settle(first, retry(5)).await;
    assert_eq!(claimed().await, []);
    bench.claim(10, at(5)).await;
    assert_eq!(claimed().await, [first]);
    bench.settle(first, Outcome::Completed).await;
    assert_eq!(claimed().await, []);
}

/// What was sent to a connector is forgotten when that is deleted; what both sides have stays with the identity map.
pub async fn what_was_sent_is_forgotten_with_its_connector(rig: &dyn Rig) {
    let bench = bound(rig).await;
    write(&bench, [sent(1), agreed("{}", 0)]).await;
    bench.store.delete_connector(&connector("shop")).await.unwrap();
    assert_eq!(exchanged(&bench, "003").await.sent, [entry(1)]);
    bench.store.delete_connector(&connector("crm")).await.unwrap();
    let known = exchanged(&bench, "003").await;
    assert_eq!((known.sent, known.agreed.is_some()), (Vec::new(), true));
}

/// What was exchanged is there after reopening.
pub async fn what_was_exchanged_survives_reopening(rig: &dyn Rig) -> Verdict {
    let bench = bound(rig).await;
    needs_reopening!(bench.store);
    write(&bench, [sent(1), agreed("{}", 2)]).await;
    let known = exchanged(&bench, "003").await;
    bench.store.close().await;
    let store = rig.open().await;
    assert_eq!(store.exchanged(&binding(17, "003"), "app.user=17").await.unwrap(), known);
    Verdict::Kept
}

/// A bench with a user that is bound to `003`.
async fn bound(rig: &dyn Rig) -> Bench {
    let bench = Bench::open(rig).await;
    assert_eq!(bench.queue, QueueId::new(connector("crm"), Direction::Outgoing));
    bench.save([user(17)]).await;
    bench.bind(binding(17, "003")).await;
    bench
}

async fn exchanged(bench: &Bench, external_id: &str) -> Exchanged {
    bench.store.exchanged(&binding(17, external_id), "app.user=17").await.unwrap()
}

async fn write<const N: usize>(bench: &Bench, said: [Said; N]) {
    bench.commit(Commit { exchanged: said.map(about).into(), ..Commit::at(at(7)) }).await;
}

fn about(said: Said) -> ExchangeWrite {
    let binding: Binding = binding(17, "003");
    ExchangeWrite { binding, said }
}

fn entry(number: i64) -> Sent {
    let fields = BTreeMap::from([("name".to_owned(), u64::MAX), ("e-mail ü".to_owned(), 1)]);
    Sent { delivery: DeliveryId(number), task: TaskId(100 + number), hop: 2, at: at(number), fields }
}

fn sent(number: i64) -> Said {
    Said::Sent(entry(number))
}

fn agreed(data: &str, alternations: u32) -> Said {
    Said::Taken { data: data.as_bytes().to_vec(), alternations }
}
