//! Laws of [`Wake`](crate::Wake): the doorbell, and what wakes a waiting delivery. Longer than other files
//! because everything that is awaited can arrive in several ways, and each has its law.

use bus_core::{DeliveryId, DeliveryState, ObjectId, ObjectType, SiteName};
use uuid::Uuid;

use super::Rig;
use super::bench::{
    Bench, aside, at, binding, bound_to, by_code_name, by_guid, connector, deferred, discarded, known_as,
    outgoing, own, parked, parked_aside, released, released_at_once, retry, save_new, save_over, settlement,
    task, user, user_key, waiting, waiting_for,
};
use crate::identity::Binding;
use crate::objects::{ObjectQuery, ObjectRecord, ObjectWrite};
use crate::queue::{Awaited, Outcome, Wanted};
use crate::task_log::Commit;

/// The doorbell has grown before the commit that logged something returns.
pub async fn logging_rings_before_it_returns(rig: &dyn Rig) {
    let bench = Bench::open(rig).await;
    let (bell, other) = (bench.store.doorbell(&bench.queue), bench.store.doorbell(&outgoing("shop")));
    let (before, other_before) = (*bell.borrow(), *other.borrow());
    bench.log(["x"]).await;
    assert!(*bell.borrow() > before);
    assert_eq!(*other.borrow(), other_before, "nothing was logged for the other queue");
    let before = *bell.borrow();
    bench.store.ring(&bench.queue);
    assert!(*bell.borrow() > before, "rung by hand");
}

/// Whoever listens to a queue before it exists hears of its first task.
pub async fn a_queue_can_be_listened_to_before_it_exists(rig: &dyn Rig) {
    let bench = Bench::open(rig).await;
    let shop = outgoing("shop");
    let mut bell = bench.store.doorbell(&shop);
    bell.mark_unchanged();
    bench.commit(Commit { tasks: vec![task(&shop, "x")], ..Commit::at(at(0)) }).await;
    assert!(bell.has_changed().unwrap());
}

/// A refused commit rings nobody's doorbell.
pub async fn a_refused_commit_does_not_ring(rig: &dyn Rig) {
    let bench = Bench::open(rig).await;
    let bell = bench.store.doorbell(&bench.queue);
    let before = *bell.borrow();
    let objects = vec![save_over(user(1), 5)];
    let tasks = vec![task(&bench.queue, "x")];
    bench.store.commit(Commit { objects, tasks, ..Commit::at(at(0)) }).await.unwrap_err();
    assert_eq!(*bell.borrow(), before);
}

/// An outcome that makes the next of its key ready, or is due at once itself, rings.
pub async fn an_outcome_that_makes_something_ready_rings(rig: &dyn Rig) {
    let bench = Bench::open(rig).await;
    let [first, second] = bench.log(["x", "x"]).await;
    bench.claim(1, at(0)).await;
    let bell = bench.store.doorbell(&bench.queue);
    let mut before = *bell.borrow();
    bench.settle(first, Outcome::Completed).await;
    assert!(*bell.borrow() > before, "its successor is ready");
    bench.claim(1, at(0)).await;
    before = *bell.borrow();
    bench.settle(second, released_at_once()).await;
    assert!(*bell.borrow() > before, "it is due at once");
    bench.claim(1, at(0)).await;
    before = *bell.borrow();
    bench.settle(second, parked()).await;
    assert_eq!(*bell.borrow(), before, "nothing is ready");
}

/// A wake rings the queue of whoever waited, and makes it ready at once, whatever its due time was.
pub async fn a_binding_wakes_who_waits_for_its_object(rig: &dyn Rig) {
    let bench = Bench::open(rig).await;
    let waiter = wait_for(&bench, vec![bound_to(4)]).await;
    let bell = bench.store.doorbell(&bench.queue);
    let before = *bell.borrow();
    bench.bind(binding(4, "003b")).await;
    assert!(*bell.borrow() > before);
    assert_woken(&bench, waiter).await;
}

/// A binding of another object, connector or type wakes nobody.
pub async fn other_bindings_wake_nobody(rig: &dyn Rig) {
    let bench = Bench::open(rig).await;
    bench.save([user(5)]).await;
    let waiter = wait_for(&bench, vec![bound_to(4), known_as("003b")]).await;
    let other_type = ObjectType::parse("app.company").unwrap();
    bench.bind(binding(5, "003c")).await;
    bench.bind(Binding { connector: connector("shop"), ..binding(4, "003b") }).await;
    let mut of_other_type = binding(4, "003b");
    of_other_type.object.object_type = other_type;
    bench.bind(of_other_type).await;
    bench.commit(Commit { unbound: vec![binding(5, "003c")], ..Commit::at(at(0)) }).await;
    assert_eq!(bench.state(waiter).await, DeliveryState::Waiting);
    assert_eq!(bench.claim(10, at(0)).await, []);
}

/// Who waits for an external id is woken when it is bound to an object that exists.
pub async fn a_binding_wakes_who_waits_for_its_external_id(rig: &dyn Rig) {
    let bench = Bench::open(rig).await;
    bench.save([user(4)]).await;
    let waiter = wait_for(&bench, vec![known_as("003b")]).await;
    bench.bind(binding(4, "003b")).await;
    assert_woken(&bench, waiter).await;
}

/// An external id bound to an object that does not exist is not known: the object wakes, when it arrives.
pub async fn an_object_wakes_who_waits_for_its_external_id(rig: &dyn Rig) {
    let bench = Bench::open(rig).await;
    let waiter = wait_for(&bench, vec![known_as("003b")]).await;
    bench.bind(binding(4, "003b")).await;
    assert_eq!(bench.claim(10, at(0)).await, [], "bound, but to nothing that exists");
    bench.save([user(4)]).await;
    assert_woken(&bench, waiter).await;
}

/// Who waits for an object by its GUID is woken wherever the object belongs.
pub async fn an_object_wakes_who_waits_for_its_guid(rig: &dyn Rig) {
    let bench = Bench::open(rig).await;
    let guid = Uuid::from_u128(9);
    let query = ObjectQuery { site: Some(site("corp")), parent: Some(ObjectId::Number(3)), ..by_guid(guid) };
    let waiter = wait_for(&bench, vec![Awaited::Exists(query)]).await;
    bench.save([ObjectRecord { guid: Some(Uuid::from_u128(8)), ..user(3) }]).await;
    assert_eq!(bench.claim(10, at(0)).await, [], "another GUID");
    bench.save([ObjectRecord { guid: Some(guid), group: Some(ObjectId::Number(1)), ..user(4) }]).await;
    assert_woken(&bench, waiter).await;
}

/// Who waits for an object by its code name is woken by that object of that site, parent and group, and by no other.
pub async fn an_object_wakes_who_waits_for_its_code_name(rig: &dyn Rig) {
    let bench = Bench::open(rig).await;
    bench.sites(["corp"]).await;
    let parent = Some(ObjectId::Number(3));
    let group = Some(ObjectId::Number(7));
    let jane = by_code_name("jane");
    let everywhere = wait_for(&bench, vec![Awaited::Exists(jane.clone())]).await;
    let on_site = ObjectQuery { site: Some(site("corp")), parent: parent.clone(), ..jane };
    let any_group = wait_for(&bench, vec![Awaited::Exists(on_site.clone())]).await;
    let one_group =
        wait_for(&bench, vec![Awaited::Exists(ObjectQuery { group: group.clone(), ..on_site })]).await;

    let named = |number| ObjectRecord { code_name: Some("jane".to_owned()), ..user(number) };
    bench.save([ObjectRecord { site: Some(site("corp")), ..named(1) }]).await;
    bench.save([ObjectRecord { parent: parent.clone(), ..named(2) }]).await;
    bench.save([ObjectRecord { code_name: Some("john".to_owned()), ..user(3) }]).await;
    assert_eq!(bench.claim(10, at(0)).await, [], "another site, parent or name");
    let there =
        ObjectRecord { site: Some(site("corp")), parent, group: Some(ObjectId::Number(8)), ..named(4) };
    bench.save([there.clone()]).await;
    assert_woken(&bench, any_group).await;
    let objects = vec![save_over(ObjectRecord { group, ..there }, 1)];
    bench.commit(Commit { objects, ..Commit::at(at(0)) }).await;
    assert_woken(&bench, one_group).await;
    bench.save([named(5)]).await;
    assert_woken(&bench, everywhere).await;
}

/// An update that gives an object the awaited name wakes, too.
pub async fn a_renamed_object_wakes_who_waits_for_its_new_name(rig: &dyn Rig) {
    let bench = Bench::open(rig).await;
    bench.save([user(4)]).await;
    let waiter = wait_for(&bench, vec![Awaited::Exists(by_code_name("jane"))]).await;
    let objects = vec![save_over(ObjectRecord { code_name: Some("jane".to_owned()), ..user(4) }, 1)];
    bench.commit(Commit { objects, ..Commit::at(at(0)) }).await;
    assert_woken(&bench, waiter).await;
}

/// An object that is written and deleted in one commit has not arrived.
pub async fn what_is_gone_again_wakes_nobody(rig: &dyn Rig) {
    let bench = Bench::open(rig).await;
    let waiter = wait_for(&bench, vec![Awaited::Exists(by_code_name("jane"))]).await;
    let objects = vec![
        save_new(ObjectRecord { code_name: Some("jane".to_owned()), ..user(4) }),
        ObjectWrite::Delete { key: user_key(4), expected: crate::Expected::Version(1) },
    ];
    bench.commit(Commit { objects, ..Commit::at(at(0)) }).await;
    assert_eq!(bench.state(waiter).await, DeliveryState::Waiting);
}

/// Of several things that are awaited, any one is enough; what is left does not wake a second time.
pub async fn any_of_what_is_awaited_wakes(rig: &dyn Rig) {
    let bench = Bench::open(rig).await;
    for number in 1..=3 {
        let awaited = vec![bound_to(10), bound_to(20), bound_to(30)];
        let waiter = wait_for(&bench, awaited).await;
        bench.bind(binding(number * 10, "003b")).await;
        assert_eq!(bench.detail(waiter).await.awaited, [], "it waits for nothing any more");
        let claimed = bench.claim_one(at(0)).await;
        assert_eq!(claimed.delivery, waiter);
        bench.settle(waiter, parked_aside()).await;
        bench.bind(binding(50, "003b")).await;
        bench.bind(binding(number * 10 % 30 + 10, "004")).await;
        assert_eq!(bench.state(waiter).await, DeliveryState::Parked, "an old wait wakes nobody");
        for bound in [10, 20, 30] {
            bench.unbind(binding(bound, "003b")).await;
            bench.unbind(binding(bound, "004")).await;
        }
    }
}

/// What arrived between the look-up and the settlement is not missed: the settlement looks again.
pub async fn what_arrived_before_the_wait_is_written_is_not_missed(rig: &dyn Rig) {
    let bench = Bench::open(rig).await;
    bench.save([ObjectRecord { code_name: Some("jane".to_owned()), ..user(4) }]).await;
    bench.bind(binding(4, "003b")).await;
    for awaited in [bound_to(4), known_as("003b"), Awaited::Exists(by_code_name("jane"))] {
        let [waiter] = bench.log(["x"]).await;
        bench.claim_one(at(0)).await;
        let bell = bench.store.doorbell(&bench.queue);
        let before = *bell.borrow();
        bench
            .settle(
                waiter,
                Outcome::Waiting {
                    awaited: vec![bound_to(404), awaited.clone()],
                    due: at(1_000),
                    reason: "it was not there just now".to_owned(),
                },
            )
            .await;
        assert!(*bell.borrow() > before, "{awaited:?}");
        assert_woken(&bench, waiter).await;
    }
}

/// What arrives in the same commit as the wait is not missed either.
pub async fn what_arrives_with_the_wait_is_not_missed(rig: &dyn Rig) {
    let bench = Bench::open(rig).await;
    for (number, awaited) in
        [(4, bound_to(4)), (5, known_as("ext 5")), (6, Awaited::Exists(by_guid(Uuid::from_u128(6))))]
    {
        let [waiter] = bench.log(["x"]).await;
        bench.claim_one(at(0)).await;
        let record =
            ObjectRecord { guid: Some(Uuid::from_u128(number)), ..user(i64::try_from(number).unwrap()) };
        let commit = Commit {
            settlements: vec![settlement(waiter, waiting_for(awaited, 1_000))],
            ownership: Some(bench.owner.clone()),
            bindings: vec![binding(i64::try_from(number).unwrap(), &format!("ext {number}"))],
            objects: vec![save_new(record)],
            ..Commit::at(at(0))
        };
        bench.commit(commit).await;
        assert_woken(&bench, waiter).await;
    }
}

/// A wake keeps since when, and how often, a delivery has asked; and its wait is one wait, if it goes on.
pub async fn a_wake_does_not_forget_how_long_it_waits(rig: &dyn Rig) {
    let bench = Bench::open(rig).await;
    bench.log(["x"]).await;
    bench.claim_and_settle(at(0), waiting_for(bound_to(4), 1)).await;
    bench.claim_and_settle(at(1), waiting_for(bound_to(4), 100)).await;
    bench.bind(binding(4, "003b")).await;
    let claimed = bench.claim_and_settle(at(2), waiting_for(bound_to(5), 100)).await;
    assert_eq!((claimed.asks, claimed.waiting_since), (2, Some(at(0))));
    bench.bind(binding(5, "003c")).await;
    let claimed = bench.claim_one(at(3)).await;
    assert_eq!((claimed.asks, claimed.waiting_since, claimed.attempt), (3, Some(at(0)), 1));
}

/// A waiting delivery that nothing wakes is asked again at its due time.
pub async fn a_wait_is_asked_again_when_nothing_arrives(rig: &dyn Rig) {
    let bench = Bench::open(rig).await;
    let [waiter] = bench.log(["x"]).await;
    let first = bench.claim_and_settle(at(0), waiting(7)).await;
    assert_eq!(first.delivery, waiter);
    let claim = bench.claim_whole(10, at(6)).await;
    assert_eq!((claim.deliveries.len(), claim.next_due), (0, Some(at(7))));
    assert_eq!(bench.claim(10, at(7)).await, [waiter]);
}

/// One arrival wakes all who wait for it, in whichever queue.
pub async fn one_arrival_wakes_all_who_wait(rig: &dyn Rig) {
    let bench = Bench::open(rig).await;
    let shop = outgoing("shop");
    let owner = own(&*bench.store, &shop).await;
    bench.log_keys("waiter", 20).await;
    let waiters = bench.claim(100, at(0)).await;
    for id in &waiters {
        bench.settle(*id, waiting_for(bound_to(4), 1_000)).await;
    }
    bench.commit(Commit { tasks: vec![task(&shop, "x")], ..Commit::at(at(0)) }).await;
    let of_shop = bench.store.claim(&owner, Wanted::up_to(1), at(0)).await.unwrap().deliveries[0].delivery;
    let settlements = vec![settlement(of_shop, waiting_for(bound_to(4), 1_000))];
    bench.try_settle(&owner, settlements, at(0)).await.unwrap();
    let bell = bench.store.doorbell(&shop);
    let before = *bell.borrow();
    bench.bind(binding(4, "003b")).await;
    assert!(*bell.borrow() > before);
    assert_eq!(bench.claim(100, at(0)).await, waiters);
    assert_eq!(bench.store.claim(&owner, Wanted::up_to(1), at(0)).await.unwrap().deliveries.len(), 1);
}

/// What was settled otherwise since is not woken by what it once waited for.
pub async fn who_waits_no_more_is_not_woken(rig: &dyn Rig) {
    let bench = Bench::open(rig).await;
    let [waiter] = bench.log(["x"]).await;
    bench.claim_and_settle(at(0), waiting_for(bound_to(4), 1)).await;
    bench.claim_and_settle(at(1), retry(50)).await;
    bench.bind(binding(4, "003b")).await;
    assert_eq!(bench.claim(10, at(2)).await, []);
    assert_eq!(bench.state(waiter).await, DeliveryState::Retryable);
}

/// Who waits for the outcome of a delivery waits as long as that is claimed, and is woken by whatever becomes of it.
pub async fn who_waits_for_an_outcome_is_woken_by_any_outcome(rig: &dyn Rig) {
    let bench = Bench::open(rig).await;
    let outcomes = [
        Outcome::Completed,
        retry(1_000),
        released(1_000),
        deferred(1_000),
        waiting(1_000),
        aside(1_000),
        parked(),
        parked_aside(),
        discarded(),
    ];
    for (number, outcome) in outcomes.into_iter().enumerate() {
        let [running] = bench.log([&format!("running {number}")]).await;
        assert_eq!(bench.claim(1, at(0)).await, [running]);
        let [other] = bench.log([&format!("other {number}")]).await;
        assert_eq!(bench.claim(1, at(0)).await, [other]);
        let waiter = wait_for(&bench, vec![Awaited::Settled { delivery: running }]).await;
        bench.settle(other, Outcome::Completed).await;
        assert_eq!(bench.claim(10, at(0)).await, [], "it runs still");
        bench.settle(running, outcome.clone()).await;
        assert_eq!(bench.state(waiter).await, DeliveryState::Available, "{outcome:?}");
        assert_woken(&bench, waiter).await;
    }
}

/// What waits in one queue for the outcome of what runs in another is woken there.
pub async fn an_outcome_wakes_who_waits_in_another_queue(rig: &dyn Rig) {
    let bench = Bench::open(rig).await;
    let shop = outgoing("shop");
    let owner = own(&*bench.store, &shop).await;
    bench.commit(Commit { tasks: vec![task(&shop, "x")], ..Commit::at(at(0)) }).await;
    let of_shop = bench.store.claim(&owner, Wanted::up_to(1), at(0)).await.unwrap().deliveries[0].delivery;
    let waiter = wait_for(&bench, vec![Awaited::Settled { delivery: of_shop }]).await;
    let before = bench.rings();
    bench.try_settle(&owner, vec![settlement(of_shop, Outcome::Completed)], at(0)).await.unwrap();
    assert!(bench.rings() > before);
    assert_woken(&bench, waiter).await;
}

/// An outcome that came between the look-up and the settlement of who waits for it is not missed; nor does anybody wait
/// for what was never claimed, or is not there.
pub async fn an_outcome_before_the_wait_is_written_is_not_missed(rig: &dyn Rig) {
    let bench = Bench::open(rig).await;
    let [settled, waiter] = bench.log(["x", "y"]).await;
    assert_eq!(bench.claim(2, at(0)).await, [settled, waiter]);
    bench.settle(settled, Outcome::Completed).await;
    let [fresh] = bench.log(["z"]).await;
    for delivery in [settled, fresh, DeliveryId(i64::MAX)] {
        bench.settle(waiter, waiting_for(Awaited::Settled { delivery }, 1_000)).await;
        assert_eq!(bench.claim(1, at(0)).await, [waiter], "it waits for {delivery}");
    }
}

/// What is put back behind another one of its key is not claimed any more.
pub async fn what_is_displaced_wakes_who_waits_for_its_outcome(rig: &dyn Rig) {
    let bench = Bench::open(rig).await;
    let [first, second] = bench.log(["x", "x"]).await;
    assert_eq!(bench.claim(2, at(0)).await, [first, second]);
    let waiter = wait_for(&bench, vec![Awaited::Settled { delivery: second }]).await;
    assert_eq!(bench.settle(first, retry(1_000)).await, [second]);
    assert_woken(&bench, waiter).await;
}

/// Logs and claims one delivery, and lets it wait, for long.
pub(super) async fn wait_for(bench: &Bench, awaited: Vec<Awaited>) -> DeliveryId {
    let key = format!("{awaited:?}");
    let [waiter] = bench.log([&key]).await;
    assert_eq!(bench.claim(10, at(0)).await, [waiter]);
    let outcome = Outcome::Waiting { awaited, due: at(1_000), reason: "it is missing".to_owned() };
    bench.settle(waiter, outcome).await;
    assert_eq!(bench.state(waiter).await, DeliveryState::Waiting);
    waiter
}

/// It is ready at once; done with that.
async fn assert_woken(bench: &Bench, waiter: DeliveryId) {
    let detail = bench.detail(waiter).await;
    assert_eq!((detail.summary.state, detail.summary.due), (DeliveryState::Available, None));
    assert_eq!(detail.awaited, []);
    let claimed = bench.claim_and_settle(at(0), Outcome::Completed).await;
    assert_eq!((claimed.delivery, claimed.asks, claimed.waiting_since), (waiter, 1, Some(at(0))));
}

fn site(name: &str) -> SiteName {
    SiteName::parse(name).expect("a site's name")
}
