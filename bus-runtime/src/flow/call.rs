//! Calls a connector so that nothing it does reaches further than its own delivery: a panic is a failure, a call that
//! takes too long is dropped, and a shutdown drops what is left after the grace.

use std::any::Any;
use std::future::Future;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::thread;
use std::time::Duration;

use bus_core::Failure;
use tokio::runtime::Handle;
use tokio::select;
use tokio::sync::oneshot;
use tokio_util::task::AbortOnDropHandle;

use crate::registry::Enlisted;
use crate::shared::Shared;

/// How long a repository may take to find or load an object.
const REPOSITORY_TIMEOUT: Duration = Duration::from_secs(30);

/// How many calls that block their thread may go on after nobody waits for them any more.
const ABANDONED_MAX: usize = 8;

tokio::task_local! {
    /// Set while a connector's code runs.
    static WITHIN_A_CALL: ();
}

/// Whether this is called from within a connector's call.
pub(crate) fn is_within_one() -> bool {
    WITHIN_A_CALL.try_with(|()| ()).is_ok()
}

/// How a call ended.
pub(crate) enum CallEnd<T> {
    /// The connector answered (or panicked, or took too long: those are failures).
    Answered(Result<T, Failure>),
    /// The bus, or the connector, stopped before it did.
    Aborted,
}

/// Runs one call of a connector on a task of its own, or, where the connector blocks its thread, on a thread of its own,
/// which is left to itself when the call takes too long: nobody can end it.
pub(crate) async fn run<T: Send + 'static>(
    shared: &Shared,
    enlisted: &Enlisted,
    call: impl Future<Output = Result<T, Failure>> + Send + 'static,
) -> CallEnd<T> {
    let timeout = Duration::from_millis(enlisted.processing.call_timeout_ms);
    let deadline = shared.now().plus(timeout);
    let too_long = || {
        let message = format!("the call took longer than {} ms and was dropped", timeout.as_millis());
        CallEnd::Answered(Err(Failure::unanswered(message)))
    };
    if enlisted.blocks() {
        return select! {
            ended = on_a_thread(enlisted, call) => ended,
            () = shared.clock.sleep_until(deadline) => too_long(),
            () = given_up(shared, enlisted) => CallEnd::Aborted,
        };
    }
    // Whoever stops waiting for it drops it: a call that goes on unseen could overtake the next of its object.
    let mut task = AbortOnDropHandle::new(tokio::spawn(WITHIN_A_CALL.scope((), call)));
    let ended = select! {
        biased;
        ended = &mut task => ended,
        () = shared.clock.sleep_until(deadline) => return too_long(),
        () = given_up(shared, enlisted) => return CallEnd::Aborted,
    };
    match ended {
        Ok(answer) => CallEnd::Answered(answer),
        Err(error) if error.is_panic() => CallEnd::Answered(Err(panicked(&*error.into_panic()))),
        // Only the runtime itself, ending, cancels the task.
        Err(_) => CallEnd::Aborted,
    }
}

/// Runs the call that a delivery is about. Other than `run`, it waits for a call that blocks its thread however long
/// that takes: nothing else of the same object may be called meanwhile. The worker replaces its slot.
pub(crate) async fn run_to_its_end<T: Send + 'static>(
    shared: &Shared,
    enlisted: &Enlisted,
    call: impl Future<Output = Result<T, Failure>> + Send + 'static,
) -> CallEnd<T> {
    if !enlisted.blocks() {
        return run(shared, enlisted, call).await;
    }
    select! {
        ended = on_a_thread(enlisted, call) => ended,
        () = given_up(shared, enlisted) => CallEnd::Aborted,
    }
}

/// Asks a repository of the application, on a task of its own, outside of any delivery.
pub(crate) async fn ask_repository<T: Send + 'static>(
    shared: &Shared,
    call: impl Future<Output = Result<T, Failure>> + Send + 'static,
) -> Result<T, Failure> {
    let deadline = shared.now().plus(REPOSITORY_TIMEOUT);
    let mut task = AbortOnDropHandle::new(tokio::spawn(WITHIN_A_CALL.scope((), call)));
    let ended = select! {
        biased;
        ended = &mut task => ended,
        () = shared.clock.sleep_until(deadline) => {
            let message = format!("it took longer than {} s and was dropped", REPOSITORY_TIMEOUT.as_secs());
            return Err(Failure::retry(message));
        }
        () = shared.aborting.cancelled() => return Err(Failure::retry("the bus stopped before it had answered")),
    };
    ended.unwrap_or_else(|error| match error.try_into_panic() {
        Ok(panic) => Err(Failure::retry(format!("it panicked: {}", panic_message(&*panic)))),
        Err(_) => Err(Failure::retry("the runtime ended before it had answered")),
    })
}

/// Returns when the bus, or this connector, stops and does not wait any longer.
async fn given_up(shared: &Shared, enlisted: &Enlisted) {
    let of_connector = enlisted.aborting();
    select! {
        () = shared.aborting.cancelled() => {}
        () = of_connector.cancelled() => {}
    }
}

/// Runs a call on a thread of its own, within this runtime.
async fn on_a_thread<T: Send + 'static>(
    enlisted: &Enlisted,
    call: impl Future<Output = Result<T, Failure>> + Send + 'static,
) -> CallEnd<T> {
    // Both directions may use all of their slots; beyond that are those that nobody waits for any more.
    let threads_max = 2 * enlisted.processing.concurrency as usize + ABANDONED_MAX;
    let threads = Arc::clone(&enlisted.calls_on_threads);
    if threads.fetch_add(1, Ordering::Relaxed) >= threads_max {
        threads.fetch_sub(1, Ordering::Relaxed);
        let message = format!("{threads_max} calls of the connector do not return; see what they wait for");
        return CallEnd::Answered(Err(Failure::disconnected(message).nothing_done()));
    }
    let (answer, answered) = oneshot::channel();
    let runtime = Handle::current();
    let work = move || {
        let ended = catch_unwind(AssertUnwindSafe(|| runtime.block_on(WITHIN_A_CALL.scope((), call))));
        threads.fetch_sub(1, Ordering::Relaxed);
        // Whoever asked may have stopped waiting.
        let _ = answer.send(ended.unwrap_or_else(|panic| Err(panicked(&*panic))));
    };
    if let Err(error) = thread::Builder::new().name("bus-blocking-call".to_owned()).spawn(work) {
        let message = format!("no thread for the call could be started: {error}");
        return CallEnd::Answered(Err(Failure::retry(message).nothing_done()));
    }
    answered.await.map_or(CallEnd::Aborted, CallEnd::Answered)
}

fn panicked(panic: &(dyn Any + Send)) -> Failure {
    Failure::unanswered(format!("the connector panicked: {}", panic_message(panic)))
}

/// What somebody said who panicked.
pub(crate) fn panic_message(panic: &(dyn Any + Send)) -> String {
    let text = panic.downcast_ref::<&str>().map(|text| (*text).to_owned());
    text.or_else(|| panic.downcast_ref::<String>().cloned()).unwrap_or_else(|| "without a message".to_owned())
}
