//! What the writer is given: a piece of work, and whoever waits for its answer.

use bus_store::{StoreError, StoreErrorKind};
use tokio::sync::{OwnedSemaphorePermit, oneshot};

use crate::error::Fault;
use crate::session::Session;

/// A piece of work for the writer.
pub(crate) trait Write: Send + 'static {
    /// What the caller is told.
    type Answer: Send + 'static;

    /// What is being done: `commit`, `claim`.
    const OPERATION: &'static str;

    /// How much memory it holds while it waits, in bytes; 0 where it brings nothing new, so that a full store lets it
    /// use its reserve.
    fn weight(&self) -> usize {
        0
    }

    /// Whether the store may refuse it after it has written something. If it does, it is undone.
    fn can_be_refused(&self) -> bool {
        true
    }

    /// Does it, inside the transaction. May be called again after the transaction was lost.
    fn run(&mut self, session: &mut Session<'_>) -> Result<Progress<Self::Answer>, Fault>;

    /// What is written down although it was refused.
    fn note_refusal(&mut self, session: &mut Session<'_>, kind: StoreErrorKind) -> Result<(), Fault> {
        let _ = (session, kind);
        Ok(())
    }
}

/// How far a piece of work has come.
pub(crate) enum Progress<A> {
    /// It is done once the transaction is committed.
    Done(A),
    /// It goes on in the next transaction, so that others get their turn.
    Again,
}

/// A piece of work with whoever waits for it.
pub(crate) trait Job: Send {
    fn weight(&self) -> usize;
    fn can_be_refused(&self) -> bool;
    fn run(&mut self, session: &mut Session<'_>) -> Result<(), Fault>;
    fn refuse(&mut self, session: &mut Session<'_>, fault: &Fault) -> Result<(), Fault>;
    fn is_done(&self) -> bool;
    fn undo(&mut self);
    fn answer(self: Box<Self>);
    fn fail(self: Box<Self>, error: &dyn Fn(&'static str) -> StoreError);
}

/// A piece of work, its answer, and whoever waits for it.
pub(crate) struct Waiting<W: Write> {
    write: W,
    answer: Option<Result<W::Answer, StoreError>>,
    caller: oneshot::Sender<Result<W::Answer, StoreError>>,
    /// Its share of the memory that waiting work may hold, given back when it is answered.
    _share: OwnedSemaphorePermit,
}

impl<W: Write> Waiting<W> {
    pub(crate) fn new(
        write: W,
        caller: oneshot::Sender<Result<W::Answer, StoreError>>,
        share: OwnedSemaphorePermit,
    ) -> Self {
        Self { write, answer: None, caller, _share: share }
    }
}

impl<W: Write> Job for Waiting<W> {
    fn weight(&self) -> usize {
        self.write.weight()
    }

    fn can_be_refused(&self) -> bool {
        self.write.can_be_refused()
    }

    fn run(&mut self, session: &mut Session<'_>) -> Result<(), Fault> {
        if let Progress::Done(answer) = self.write.run(session)? {
            self.answer = Some(Ok(answer));
        }
        Ok(())
    }

    fn refuse(&mut self, session: &mut Session<'_>, fault: &Fault) -> Result<(), Fault> {
        let error = fault.told(W::OPERATION);
        let kind = error.kind();
        self.answer = Some(Err(error));
        self.write.note_refusal(session, kind)
    }

    fn is_done(&self) -> bool {
        self.answer.is_some()
    }

    fn undo(&mut self) {
        self.answer = None;
    }

    fn answer(self: Box<Self>) {
        if let Some(answer) = self.answer {
            // Whoever asked may have gone away; what was done stays done.
            let _ = self.caller.send(answer);
        }
    }

    fn fail(self: Box<Self>, error: &dyn Fn(&'static str) -> StoreError) {
        let _ = self.caller.send(Err(error(W::OPERATION)));
    }
}

/// Runs one piece of work so that it can be undone alone.
pub(super) fn isolated(session: &mut Session<'_>, job: &mut dyn Job) -> Result<(), Fault> {
    if !job.can_be_refused() {
        return job.run(session);
    }
    session.prepare("SAVEPOINT bus_job")?.execute([])?;
    let result = job.run(session);
    if matches!(result, Err(Fault::Refused { .. })) {
        session.prepare("ROLLBACK TO bus_job")?.execute([])?;
        session.undone();
    }
    if !matches!(result, Err(Fault::Failed(_))) {
        session.prepare("RELEASE bus_job")?.execute([])?;
    }
    result
}
