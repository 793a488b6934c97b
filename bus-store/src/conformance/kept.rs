//! Programs that found something once, written out, so that they go on finding it whatever becomes of the dice.

use super::Rig;
use super::programs::{Awaits, Idle, Said, Seen, Step, on_a_thread_of_its_own, run_program};
use crate::operate::Verb;
use crate::queue::{First, Scope};

/// Nothing is handed over beside what runs, though that stepped aside before, and so stands in nobody's line.
pub async fn nothing_is_handed_over_while_what_stood_aside_runs(rig: &dyn Rig) {
    play(
        rig,
        &[
            Step::Acquire(Scope::Queue),
            log(0),
            claim(First::Due),
            Step::Settle(vec![(0, Said::Aside { due: None, error: true, charged: false })]),
            claim(First::Due),
            Step::Log { tasks: vec![(1, false)], idle: Idle::Owner },
        ],
    );
}

/// What waits for an external id is woken by the object, where the binding was there first.
pub async fn an_object_wakes_what_waits_for_a_binding_that_is_there(rig: &dyn Rig) {
    let waiting = Said::Waiting { kind: Awaits::Known, objects: (0, 1), due: 5 };
    play(rig, &[log(0), claim(First::Due), Step::Settle(vec![(0, waiting)]), Step::Bind(0), Step::Save(0)]);
}

/// The beginning of a deferral is that of the first of the row, also when time passes between.
pub async fn a_row_of_deferrals_keeps_its_beginning(rig: &dyn Rig) {
    let deferred = || Step::Settle(vec![(0, Said::Deferred(0))]);
    let claim = || claim(First::Fresh);
    play(rig, &[log(0), claim(), deferred(), Step::Pass(1), claim(), deferred(), Step::Pass(1), claim()]);
}

/// What is due takes half of the slots, not all of them, where nothing of it was ever charged.
pub async fn what_was_put_off_for_free_leaves_half(rig: &dyn Rig) {
    let released = Said::Released(None, false);
    play(
        rig,
        &[
            Step::Log { tasks: vec![(0, false), (1, false)], idle: Idle::Nobody },
            Step::Claim { limit: 2, first: First::Due },
            Step::Settle(vec![(0, released), (1, released)]),
            log(2),
            Step::Claim { limit: 2, first: First::Due },
        ],
    );
}

/// What is behind a waiting one of its key, and is to be tried again itself, holds nobody else, though people see
/// others as blocked by it.
pub async fn what_fails_behind_a_waiting_one_holds_nobody_else(rig: &dyn Rig) {
    let waiting = Said::Waiting { kind: Awaits::Exists, objects: (0, 0), due: 5 };
    play(
        rig,
        &[
            Step::Acquire(Scope::Queue),
            Step::Log { tasks: vec![(0, false), (0, false), (1, false)], idle: Idle::Nobody },
            Step::Claim { limit: 2, first: First::Due },
            Step::Settle(vec![(1, Said::Retry(1)), (0, waiting)]),
            Step::Intervene(Verb::Retry, vec![(2, Seen::Truth)]),
            claim(First::Due),
        ],
    );
}

/// Where the queue is in order, what stands behind a waiting one makes a claim of what is behind no smaller.
pub async fn what_is_passed_over_takes_no_place_in_a_claim(rig: &dyn Rig) {
    let waiting = Said::Waiting { kind: Awaits::Bound, objects: (0, 0), due: 1 };
    play(
        rig,
        &[
            log(0),
            Step::Claim { limit: 1, first: First::Due },
            Step::Log { tasks: vec![(0, false), (1, false), (1, false)], idle: Idle::Nobody },
            Step::Settle(vec![(0, waiting)]),
            Step::Acquire(Scope::Queue),
            Step::Claim { limit: 2, first: First::Due },
        ],
    );
}

/// Two of a key are due, of which one stepped aside: the one that has to wait takes no turn away from another key.
pub async fn what_is_due_beside_its_key_takes_one_turn(rig: &dyn Rig) {
    let stepped_aside = Said::Aside { due: None, error: false, charged: false };
    play(
        rig,
        &[
            Step::Log { tasks: vec![(2, false), (2, false), (1, false)], idle: Idle::Nobody },
            Step::Log { tasks: vec![(0, false), (0, false)], idle: Idle::Nobody },
            Step::Claim { limit: 4, first: First::Due },
            Step::Settle(vec![(0, stepped_aside)]),
            Step::Settle(vec![(1, Said::Released(None, false)), (0, Said::Retry(0))]),
            Step::Intervene(Verb::Retry, vec![(1, Seen::Nothing)]),
        ],
    );
}

fn play(rig: &dyn Rig, steps: &[Step]) {
    on_a_thread_of_its_own(|| run_program(rig, steps));
}

fn log(key: u8) -> Step {
    Step::Log { tasks: vec![(key, false)], idle: Idle::Nobody }
}

fn claim(first: First) -> Step {
    Step::Claim { limit: 6, first }
}

/// What is fresh comes in its order, also after outcomes out of theirs had put it back while order was kept in the queue.
pub async fn what_was_put_back_in_a_queue_in_order_is_fresh_in_its_order(rig: &dyn Rig) {
    let retry = |place| (place, Said::Retry(0));
    play(
        rig,
        &[
            Step::Log { tasks: vec![(0, false), (2, false), (0, false)], idle: Idle::Nobody },
            Step::Acquire(Scope::Queue),
            log(0),
            Step::Claim { limit: 6, first: First::Due },
            Step::Settle(vec![retry(3), retry(0)]),
            Step::Acquire(Scope::Key),
        ],
    );
}
