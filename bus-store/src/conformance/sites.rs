//! Laws of [`Sites`](crate::Sites), and of what is assigned to them.

use std::sync::Arc;

use bus_core::{Direction, Site, SiteName};

use super::bench::{Bench, at, connector, kind_of, save_new, save_over, settlement, task, user, user_key};
use super::{Rig, Verdict, needs_reopening};
use crate::objects::{Expected, ObjectRecord, ObjectWrite};
use crate::queue::{Outcome, QueueId};
use crate::task_log::{Commit, Committed, IdempotencyKey, NewTask};
use crate::{StoreError, StoreErrorKind};

/// A site comes back as it was registered last; sites are listed by name, and case makes two of them.
pub async fn a_site_comes_back_as_it_was_registered(rig: &dyn Rig) {
    let bench = Bench::open(rig).await;
    assert_eq!(bench.store.sites().await.unwrap(), []);
    let corp = Site::new("corp").unwrap().display_name("Corporate \u{1F9E6} 'ü'");
    let corp = corp.cultures(["en-US", "de-DE"]).unwrap();
    let (other, shouting) = (Site::new("branch").unwrap(), Site::new("Corp").unwrap());
    for site in [&corp, &other, &shouting] {
        bench.store.save_site(site.clone()).await.unwrap();
    }
    assert_eq!(bench.store.sites().await.unwrap(), [shouting.clone(), other.clone(), corp.clone()]);
    let corp = corp.cultures(["fr"]).unwrap().display_name("Corp.");
    bench.store.save_site(corp.clone()).await.unwrap();
    assert_eq!(bench.store.sites().await.unwrap(), [shouting, other.clone(), corp.clone()]);
    assert!(bench.store.remove_site(&name("Corp")).await.unwrap());
    assert!(!bench.store.remove_site(&name("Corp")).await.unwrap(), "it is gone already");
    assert_eq!(bench.store.sites().await.unwrap(), [other, corp]);
}

/// As long as an object belongs to a site, or is assigned to it, it stays; the refusal says how many do.
pub async fn a_site_with_anything_in_it_is_not_removed(rig: &dyn Rig) {
    let bench = Bench::open(rig).await;
    bench.sites(["branch", "corp", "empty"]).await;
    let of_corp = |number| ObjectRecord { site: Some(name("corp")), ..user(number) };
    bench.save([of_corp(1), of_corp(2), user(3)]).await;
    write(&bench, [assign(3, "corp", 1), assign(3, "branch", 2)]).await.unwrap();
    assert!(bench.store.remove_site(&name("empty")).await.unwrap());

    let refused = bench.store.remove_site(&name("corp")).await.unwrap_err();
    assert_eq!(refused.kind(), StoreErrorKind::Conflict);
    let said = refused.to_string();
    assert!(said.contains("site corp has 2 objects of its own, and 1 are assigned"), "{said}");
    write(&bench, [unassign(3, "corp", 3)]).await.unwrap();
    bench.delete(&user_key(1), 1).await;
    assert_eq!(kind_of(bench.store.remove_site(&name("corp")).await), Some(StoreErrorKind::Conflict));
    write(&bench, [save_over(user(2), 1)]).await.unwrap();
    assert!(bench.store.remove_site(&name("corp")).await.unwrap(), "its last object has left it");
    assert_eq!(kind_of(bench.store.remove_site(&name("branch")).await), Some(StoreErrorKind::Conflict));
    bench.delete(&user_key(3), 4).await;
    assert!(bench.store.remove_site(&name("branch")).await.unwrap(), "its last assignment has ended");
}

/// An object is not saved with a site that nobody has registered, nor is anything else of that commit.
pub async fn an_object_of_an_unknown_site_is_refused_whole(rig: &dyn Rig) {
    let bench = Bench::open(rig).await;
    bench.sites(["corp"]).await;
    let placed = ObjectRecord { site: Some(name("crop")), ..user(2) };
    let objects = vec![save_new(user(1)), save_new(placed)];
    let tasks = vec![task(&bench.queue, "x")];
    let refused = bench.store.commit(Commit { objects, tasks, ..Commit::at(at(0)) }).await.unwrap_err();
    assert_eq!(refused.kind(), StoreErrorKind::NotFound);
    assert!(refused.to_string().contains("site `crop` is not registered"), "{refused}");
    assert_eq!(bench.store.object(&user_key(1)).await.unwrap(), None);
    assert_eq!(bench.claim(10, at(0)).await, []);
    bench.save([ObjectRecord { site: Some(name("corp")), ..user(2) }]).await;
}

/// Nor is anything assigned to a site that nobody has registered.
pub async fn an_assignment_to_an_unknown_site_is_refused_whole(rig: &dyn Rig) {
    let bench = Bench::open(rig).await;
    bench.sites(["corp"]).await;
    let refused = write(&bench, [save_new(user(1)), assign(1, "crop", 1)]).await;
    assert_eq!(kind_of(refused), Some(StoreErrorKind::NotFound));
    assert_eq!(bench.store.object(&user_key(1)).await.unwrap(), None);
    write(&bench, [save_new(user(1)), assign(1, "corp", 1)]).await.unwrap();
}

/// What comes in for a site that nobody has registered is refused, unless it repeats what was taken in before. What goes
/// out is not looked at: an object may have been deleted, and its site removed, since then.
pub async fn an_incoming_task_for_an_unknown_site_is_refused(rig: &dyn Rig) {
    let bench = Bench::open(rig).await;
    bench.sites(["corp"]).await;
    let incoming = QueueId::new(connector("crm"), Direction::Incoming);
    let log = async |queue: &QueueId, site: &str, key: Option<&str>| {
        let idempotency = key.map(|key| IdempotencyKey { key: key.to_owned(), digest: vec![1] });
        let task = NewTask { site: Some(name(site)), idempotency, ..task(queue, "x") };
        bench.store.commit(Commit { tasks: vec![task], ..Commit::at(at(0)) }).await
    };
    let unknown = Some(StoreErrorKind::NotFound);
    assert_eq!(kind_of(log(&incoming, "crop", None).await), unknown);
    assert_eq!(kind_of(log(&incoming, "crop", Some("k")).await), unknown);
    let first = log(&incoming, "corp", Some("k")).await.expect("the key was not used up").tasks;
    assert!(bench.store.remove_site(&name("corp")).await.unwrap());
    assert_eq!(kind_of(log(&incoming, "corp", Some("l")).await), unknown);
    assert_eq!(log(&incoming, "corp", Some("k")).await.expect("a repetition").tasks, first);
    log(&bench.queue, "corp", None).await.expect("it goes out");
}

/// Whoever is assigned to a site, or not any more, is written: its version grows, and nothing else of it changes.
pub async fn an_assignment_raises_the_version_of_its_object(rig: &dyn Rig) {
    let bench = Bench::open(rig).await;
    bench.sites(["branch", "corp"]).await;
    let record = ObjectRecord { code_name: Some("jane".to_owned()), data: vec![0xff], ..user(1) };
    bench.save([record.clone()]).await;
    let changes = [
        (assign(1, "corp", 1), vec!["corp"]),
        (assign(1, "branch", 2), vec!["branch", "corp"]),
        (assign(1, "corp", 3), vec!["branch", "corp"]),
        (unassign(1, "corp", 4), vec!["branch"]),
        (unassign(1, "corp", 5), vec!["branch"]),
    ];
    for (version, (change, sites)) in (2..).zip(changes) {
        write(&bench, [change]).await.unwrap();
        let expected = ObjectRecord { version, ..record.clone() };
        assert_eq!(bench.store.object(&user_key(1)).await.unwrap(), Some(expected));
        assert_eq!(sites_of(&bench, 1).await, sites, "version {version}");
    }
    let stale = write(&bench, [save_over(user(1), 1)]).await;
    assert_eq!(kind_of(stale), Some(StoreErrorKind::Conflict), "who saw it before is noticed");
    write(&bench, [save_over(user(1), 6)]).await.unwrap();
    assert_eq!(sites_of(&bench, 1).await, ["branch"], "a save leaves the assignments as they are");
}

/// Of many who all saw the same version, one is right; and what is not there is assigned to nothing.
pub async fn of_concurrent_assignments_one_wins(rig: &dyn Rig) {
    let bench = Bench::open(rig).await;
    let names: [String; 8] = std::array::from_fn(|number| format!("site{number}"));
    bench.sites(names.each_ref().map(String::as_str)).await;
    bench.save([user(1)]).await;
    let writers = names.clone().map(|site| {
        let store = Arc::clone(&bench.store);
        let objects = vec![assign(1, &site, 1)];
        tokio::spawn(async move { store.commit(Commit { objects, ..Commit::at(at(0)) }).await })
    });
    let mut won = Vec::new();
    for (site, writer) in names.into_iter().zip(writers) {
        match writer.await.unwrap() {
            Ok(_) => won.push(site),
            Err(error) => assert_eq!(error.kind(), StoreErrorKind::Conflict),
        }
    }
    assert_eq!((won.len(), sites_of(&bench, 1).await), (1, won));
    for change in [assign(2, "site0", 1), unassign(2, "site0", 1)] {
        assert_eq!(kind_of(write(&bench, [change]).await), Some(StoreErrorKind::Conflict), "nobody is there");
    }
}

/// A deleted object is assigned to nothing, nor is the next one of its id.
pub async fn assignments_end_with_their_object(rig: &dyn Rig) {
    let bench = Bench::open(rig).await;
    bench.sites(["corp"]).await;
    let delete = ObjectWrite::Delete { key: user_key(1), expected: Expected::Version(2) };
    write(&bench, [save_new(user(1)), save_new(user(2)), assign(1, "corp", 1), assign(2, "corp", 1), delete])
        .await
        .unwrap();
    assert_eq!(sites_of(&bench, 1).await, [""; 0]);
    bench.save([user(1)]).await;
    assert_eq!(sites_of(&bench, 1).await, [""; 0]);
    assert_eq!(sites_of(&bench, 2).await, ["corp"]);
}

/// An object belongs to one site, or is global and assigned to any number: never both.
pub async fn an_object_belongs_to_a_site_or_is_assigned_to_some(rig: &dyn Rig) {
    let bench = Bench::open(rig).await;
    bench.sites(["branch", "corp"]).await;
    let of_corp = |number| ObjectRecord { site: Some(name("corp")), ..user(number) };
    bench.save([of_corp(1), user(2)]).await;
    let refused = write(&bench, [assign(1, "branch", 1)]).await.unwrap_err();
    assert_eq!(refused.kind(), StoreErrorKind::Conflict);
    assert!(refused.to_string().contains("`app.user 1` belongs to site corp"), "{refused}");
    write(&bench, [assign(2, "branch", 1)]).await.unwrap();
    let refused = write(&bench, [save_over(of_corp(2), 2)]).await.unwrap_err();
    assert_eq!(refused.kind(), StoreErrorKind::Conflict);
    assert!(refused.to_string().contains("it is assigned to site branch"), "{refused}");
    write(&bench, [unassign(2, "branch", 2), save_over(of_corp(2), 3)]).await.unwrap();
    write(&bench, [save_over(user(1), 1), assign(1, "branch", 2)]).await.unwrap();
    assert_eq!((sites_of(&bench, 1).await, sites_of(&bench, 2).await), (vec!["branch".to_owned()], vec![]));
}

/// An object, its assignment, its tasks and the outcome that they follow from become true together, or not at all.
pub async fn an_assignment_goes_with_the_rest_of_its_commit(rig: &dyn Rig) {
    let bench = Bench::open(rig).await;
    bench.sites(["corp"]).await;
    let [claimed] = bench.log(["x"]).await;
    bench.claim(1, at(0)).await;
    let commit = |version| Commit {
        settlements: vec![settlement(claimed, Outcome::Completed)],
        ownership: Some(bench.owner.clone()),
        objects: vec![save_new(user(1)), assign(1, "corp", version)],
        tasks: vec![task(&bench.queue, "create"), task(&bench.queue, "add to site")],
        ..Commit::at(at(0))
    };
    assert_eq!(kind_of(bench.store.commit(commit(7)).await), Some(StoreErrorKind::Conflict));
    assert_eq!(bench.store.object(&user_key(1)).await.unwrap(), None);
    assert!(bench.is_open(claimed).await);
    bench.commit(commit(1)).await;
    assert_eq!(sites_of(&bench, 1).await, ["corp"]);
    assert!(!bench.is_open(claimed).await);
    assert_eq!(bench.claim(10, at(0)).await.len(), 2);
}

/// What is registered is there for the very next commit, and what is removed is not.
pub async fn what_is_registered_or_removed_at_once_counts_for_the_next_commit(rig: &dyn Rig) {
    let bench = Bench::open(rig).await;
    let of_corp = |number| vec![save_new(ObjectRecord { site: Some(name("corp")), ..user(number) })];
    let save = |number| bench.store.commit(Commit { objects: of_corp(number), ..Commit::at(at(0)) });
    for round in 0..3 {
        assert_eq!(kind_of(save(round).await), Some(StoreErrorKind::NotFound), "round {round}");
        bench.sites(["corp"]).await;
        save(round).await.unwrap();
        bench.delete(&user_key(round), 1).await;
        assert!(bench.store.remove_site(&name("corp")).await.unwrap());
    }
}

/// Sites, and what is assigned to them, are there after the store was closed and opened.
pub async fn sites_and_assignments_survive_reopening(rig: &dyn Rig) -> Verdict {
    let mut bench = Bench::open(rig).await;
    needs_reopening!(bench.store);
    let corp = Site::new("corp").unwrap().cultures(["en-US"]).unwrap();
    bench.store.save_site(corp.clone()).await.unwrap();
    write(&bench, [save_new(user(1)), assign(1, "corp", 1)]).await.unwrap();
    bench.store.close().await;

    bench.store = rig.open().await;
    assert_eq!(bench.store.sites().await.unwrap(), [corp]);
    assert_eq!(sites_of(&bench, 1).await, ["corp"]);
    bench.save([ObjectRecord { site: Some(name("corp")), ..user(2) }]).await;
    Verdict::Kept
}

async fn write<const N: usize>(bench: &Bench, objects: [ObjectWrite; N]) -> Result<Committed, StoreError> {
    bench.store.commit(Commit { objects: objects.into(), ..Commit::at(at(0)) }).await
}

async fn sites_of(bench: &Bench, number: i64) -> Vec<String> {
    let sites = bench.store.sites_of(&user_key(number)).await.expect("sites of");
    sites.into_iter().map(String::from).collect()
}

fn assign(number: i64, site: &str, version: i64) -> ObjectWrite {
    ObjectWrite::Assign { key: user_key(number), site: name(site), version }
}

fn unassign(number: i64, site: &str, version: i64) -> ObjectWrite {
    ObjectWrite::Unassign { key: user_key(number), site: name(site), version }
}

fn name(name: &str) -> SiteName {
    SiteName::parse(name).expect("a site's name")
}
