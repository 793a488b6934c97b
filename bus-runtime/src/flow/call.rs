//! Calls a connector so that nothing it does reaches further than its own delivery: a panic is a failure, a call that
//! takes too long is dropped, and a shutdown drops what is left after the grace.

use std::any::Any;
use std::future::Future;
use std::time::Duration;

use bus_core::Failure;
use tokio::select;

use crate::config::Processing;
use crate::shared::Shared;

/// How a call ended.
pub(crate) enum CallEnd<T> {
    /// The connector answered (or panicked, or took too long: those are failures).
    Answered(Result<T, Failure>),
    /// The bus stopped before it did; it is as if it had never been called.
    Aborted,
}

/// Runs one call of a connector on a task of its own.
pub(crate) async fn run<T: Send + 'static>(
    shared: &Shared,
    processing: &Processing,
    call: impl Future<Output = Result<T, Failure>> + Send + 'static,
) -> CallEnd<T> {
    let timeout = Duration::from_millis(processing.call_timeout_ms);
    let deadline = shared.now().plus(timeout);
    let mut task = tokio::spawn(call);
    let ended = select! {
        biased;
        ended = &mut task => ended,
        () = shared.clock.sleep_until(deadline) => {
            task.abort();
            let message = format!("the call took longer than {} ms and was dropped", processing.call_timeout_ms);
            return CallEnd::Answered(Err(Failure::retry(message)));
        }
        () = shared.aborting.cancelled() => {
            task.abort();
            return CallEnd::Aborted;
        }
    };
    match ended {
        Ok(answer) => CallEnd::Answered(answer),
        Err(error) if error.is_panic() => {
            let message = format!("the connector panicked: {}", panic_message(&*error.into_panic()));
            CallEnd::Answered(Err(Failure::retry(message)))
        }
        // Only the runtime itself, ending, cancels the task.
        Err(_) => CallEnd::Aborted,
    }
}

fn panic_message(panic: &(dyn Any + Send)) -> String {
    let text = panic.downcast_ref::<&str>().map(|text| (*text).to_owned());
    text.or_else(|| panic.downcast_ref::<String>().cloned()).unwrap_or_else(|| "without a message".to_owned())
}
