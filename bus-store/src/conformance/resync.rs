//! Laws of [`Resyncs`](crate::Resyncs).

use std::sync::Arc;

use super::bench::{Bench, at, connector, kind_of, save_over, task, user, user_key};
use super::{Rig, Verdict, needs_reopening};
use crate::objects::{Expected, ObjectWrite};
use crate::resync::{ENDED_RESYNCS_KEPT, NewResync, ResyncId, ResyncRecord, ResyncState, Resynced};
use crate::task_log::{Commit, Committed};
use crate::{StoreError, StoreErrorKind};

/// A resync comes back as it was begun, at the first place; they are listed in the order in which they were begun.
pub async fn a_resync_comes_back_as_it_was_begun(rig: &dyn Rig) {
    let bench = Bench::open(rig).await;
    assert_eq!(bench.store.resyncs().await.unwrap(), []);
    let because = NewResync { reason: Some("it's new \u{1F9E6}".to_owned()), ..new("crm", "app.%") };
    let mut begun = Vec::new();
    for what in [because, new("crm", "app.user"), new("atlas", "app.user")] {
        let resync = bench.store.begin_resync(what.clone()).await.unwrap();
        let state = ResyncState::Running;
        begun.push(ResyncRecord { resync, what, state, place: 0, logged: 0, skipped: 0 });
    }
    assert_eq!(bench.store.resyncs().await.unwrap(), begun);
    assert!(begun.is_sorted_by(|one, next| one.resync < next.resync));
}

/// Of one connector and the same types, one runs at a time; the refusal names it.
pub async fn a_resync_that_runs_is_not_begun_again(rig: &dyn Rig) {
    let bench = Bench::open(rig).await;
    let first = begin(&bench).await;
    let refused = bench.store.begin_resync(new("crm", "app.user")).await.unwrap_err();
    assert_eq!(refused.kind(), StoreErrorKind::Conflict);
    assert!(
        refused.to_string().contains(&format!("resync {first} of `app.user` for `crm` runs")),
        "{refused}"
    );
    assert!(bench.store.cancel_resync(first).await.unwrap());
    let second = begin(&bench).await;
    step(&bench, Resynced { ends: true, ..chunk(second, 0, 9) }, []).await.unwrap();
    let third = begin(&bench).await;
    assert!(first < second && second < third);
}

/// A chunk's tasks and its place: both are true, or neither is.
pub async fn a_chunk_and_its_place_become_true_together(rig: &dyn Rig) {
    let bench = Bench::open(rig).await;
    bench.save([user(1), user(2)]).await;
    let resync = begin(&bench).await;
    let check = |version| ObjectWrite::Check { key: user_key(2), expected: Expected::Version(version) };
    step(&bench, Resynced { logged: 2, skipped: 1, ..chunk(resync, 0, 5) }, [check(1)]).await.unwrap();
    assert_eq!(told(&bench, resync).await, (ResyncState::Running, 5, 2, 1));
    assert_eq!(bench.claim(10, at(0)).await.len(), 1);

    bench.commit(Commit { objects: vec![save_over(user(2), 1)], ..Commit::at(at(0)) }).await;
    let refused = step(&bench, chunk(resync, 5, 8), [check(1)]).await;
    assert_eq!(kind_of(refused), Some(StoreErrorKind::Conflict));
    assert_eq!(told(&bench, resync).await, (ResyncState::Running, 5, 2, 1), "it is where it was");
    assert_eq!(bench.claim(10, at(0)).await, []);
    step(&bench, Resynced { logged: 3, ..chunk(resync, 5, 8) }, [check(2)]).await.unwrap();
    assert_eq!(told(&bench, resync).await, (ResyncState::Running, 8, 5, 1));
}

/// A chunk from a place at which the resync is not is refused, with all that comes with it.
pub async fn a_chunk_from_another_place_is_refused_whole(rig: &dyn Rig) {
    let bench = Bench::open(rig).await;
    let resync = begin(&bench).await;
    step(&bench, chunk(resync, 0, 5), []).await.unwrap();
    bench.claim(10, at(0)).await;
    for (resync, from) in [(resync, 0), (resync, 4), (resync, 6), (ResyncId(99), 0)] {
        let refused = step(
            &bench,
            chunk(resync, from, 9),
            [ObjectWrite::Save { record: user(1), expected: Expected::Absent }],
        );
        assert_eq!(kind_of(refused.await), Some(StoreErrorKind::Conflict), "from {from}");
    }
    assert_eq!(told(&bench, resync).await, (ResyncState::Running, 5, 0, 0));
    assert_eq!(bench.store.object(&user_key(1)).await.unwrap(), None);
    assert_eq!(bench.claim(10, at(0)).await, []);
}

/// Of those that do the same chunk at once, one does it.
pub async fn of_concurrent_chunks_one_is_done(rig: &dyn Rig) {
    let bench = Bench::open(rig).await;
    let resync = begin(&bench).await;
    let mut others = Vec::new();
    for _ in 0..8 {
        let store = Arc::clone(&bench.store);
        let tasks = vec![task(&bench.queue, "app.user 1")];
        let resynced = Some(Resynced { logged: 1, ..chunk(resync, 0, 5) });
        others.push(tokio::spawn(async move {
            store.commit(Commit { tasks, resynced, ..Commit::at(at(0)) }).await.is_ok()
        }));
    }
    let mut done = 0;
    for other in others {
        done += u32::from(other.await.unwrap());
    }
    assert_eq!(done, 1);
    assert_eq!(told(&bench, resync).await, (ResyncState::Running, 5, 1, 0));
    assert_eq!(bench.claim(10, at(0)).await.len(), 1);
}

/// One that has ended, either way, stays as it is.
pub async fn a_resync_that_has_ended_moves_no_more(rig: &dyn Rig) {
    let bench = Bench::open(rig).await;
    let (done, cancelled) =
        (begin(&bench).await, bench.store.begin_resync(new("crm", "app.%")).await.unwrap());
    step(&bench, Resynced { ends: true, ..chunk(done, 0, 5) }, []).await.unwrap();
    assert!(bench.store.cancel_resync(cancelled).await.unwrap());
    assert_eq!(told(&bench, done).await, (ResyncState::Done, 5, 0, 0));
    assert_eq!(told(&bench, cancelled).await, (ResyncState::Cancelled, 0, 0, 0));
    for (resync, from) in [(done, 5), (cancelled, 0)] {
        assert_eq!(kind_of(step(&bench, chunk(resync, from, 9), []).await), Some(StoreErrorKind::Conflict));
        assert!(!bench.store.cancel_resync(resync).await.unwrap());
    }
    assert!(!bench.store.cancel_resync(ResyncId(99)).await.unwrap());
    assert_eq!(told(&bench, done).await.0, ResyncState::Done);
}

/// That one is begun, or cancelled, is something that was set: other processes ask for that.
pub async fn the_revision_tells_of_a_resync(rig: &dyn Rig) {
    let bench = Bench::open(rig).await;
    let before = bench.store.revision().await.unwrap();
    let resync = begin(&bench).await;
    let begun = bench.store.revision().await.unwrap();
    assert!(before < begun);
    bench.store.cancel_resync(resync).await.unwrap();
    assert!(begun < bench.store.revision().await.unwrap());
}

/// What is to be told to a connector goes with it; nobody else's does.
pub async fn resyncs_go_with_their_connector(rig: &dyn Rig) {
    let bench = Bench::open(rig).await;
    begin(&bench).await;
    let other = bench.store.begin_resync(new("atlas", "app.user")).await.unwrap();
    bench.store.delete_connector(&connector("crm")).await.unwrap();
    let left: Vec<_> = bench.store.resyncs().await.unwrap().iter().map(|left| left.resync).collect();
    assert_eq!(left, [other]);
}

/// Of those that have ended, the latest are kept; what runs is kept however old it is.
pub async fn the_latest_of_the_ended_resyncs_are_kept(rig: &dyn Rig) {
    let bench = Bench::open(rig).await;
    let running = bench.store.begin_resync(new("crm", "app.%")).await.unwrap();
    let mut ended = Vec::new();
    for _ in 0..ENDED_RESYNCS_KEPT + 5 {
        ended.push(begin(&bench).await);
        bench.store.cancel_resync(ended[ended.len() - 1]).await.unwrap();
    }
    let last = begin(&bench).await;
    let kept: Vec<_> = bench.store.resyncs().await.unwrap().iter().map(|kept| kept.resync).collect();
    assert_eq!((kept.first(), kept.last()), (Some(&running), Some(&last)));
    assert!(!kept.contains(&ended[0]) && kept.contains(&ended[ended.len() - 1]));
    assert!(i64::try_from(kept.len()).is_ok_and(|kept| kept <= ENDED_RESYNCS_KEPT + 2), "{}", kept.len());
}

/// A resync goes on where it was.
pub async fn resyncs_survive_reopening(rig: &dyn Rig) -> Verdict {
    let bench = Bench::open(rig).await;
    needs_reopening!(bench.store);
    let resync = begin(&bench).await;
    step(&bench, Resynced { logged: 4, skipped: 1, ..chunk(resync, 0, 5) }, []).await.unwrap();
    bench.store.close().await;
    let bench = Bench::open(rig).await;
    assert_eq!(told(&bench, resync).await, (ResyncState::Running, 5, 4, 1));
    step(&bench, chunk(resync, 5, 6), []).await.unwrap();
    Verdict::Kept
}

fn new(name: &str, types: &str) -> NewResync {
    NewResync {
        connector: connector(name),
        types: types.to_owned(),
        by: "jane".to_owned(),
        reason: None,
        begun_at: at(7),
    }
}

async fn begin(bench: &Bench) -> ResyncId {
    bench.store.begin_resync(new("crm", "app.user")).await.unwrap()
}

fn chunk(resync: ResyncId, from: u64, to: u64) -> Resynced {
    Resynced { resync, from, to, logged: 0, skipped: 0, ends: false }
}

/// A chunk that logs one task.
async fn step<const N: usize>(
    bench: &Bench,
    chunk: Resynced,
    objects: [ObjectWrite; N],
) -> Result<Committed, StoreError> {
    let tasks = vec![task(&bench.queue, "app.user 2")];
    let commit = Commit { objects: objects.into(), tasks, resynced: Some(chunk), ..Commit::at(at(0)) };
    bench.store.commit(commit).await
}

async fn told(bench: &Bench, resync: ResyncId) -> (ResyncState, u64, u64, u64) {
    let resyncs = bench.store.resyncs().await.unwrap();
    let known = resyncs.into_iter().find(|known| known.resync == resync).unwrap();
    (known.state, known.place, known.logged, known.skipped)
}
