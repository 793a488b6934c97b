//! The integration bus on the command line: what people ask of a store, and what operators do to it, beside the processes that
//! work on it. It works on no queue itself.
//!
//! The program `bus` is all of it; an application can have it under a word of its own:
//!
//! ```no_run
//! use std::process::ExitCode;
//!
//! fn main() -> ExitCode {
//!     let mut words = std::env::args_os();
//!     match words.nth(1) {
//!         Some(word) if word == "bus" => bus_cli::run(std::iter::once(word).chain(words)),
//!         _ => ExitCode::SUCCESS, // the application
//!     }
//! }
//! ```
//!
//! What is asked for is on standard output, as a table, or with `--json` as JSON; what went wrong is on standard error, with
//! the reason and the remedy. The exit code is 0, 1 where something went wrong, or 2 where the words are wrong.

mod answer;
mod capture;
mod deliveries;
mod identity;
mod migrate;
mod outbox;
mod overview;
mod resync;
mod words;

use std::ffi::OsString;
use std::io::Write as _;
use std::process::ExitCode;

use bus_runtime::Bus;
use clap::Parser as _;

use crate::answer::{Answer, Trouble};
use crate::words::{Beside, Command, Words};

/// Does what these words ask for; the first is the name of the program.
pub fn run(words: impl IntoIterator<Item = OsString>) -> ExitCode {
    let words = match Words::try_parse_from(words) {
        Ok(words) => words,
        Err(error) => {
            // Help and version are such an error, too, with a code of 0.
            let _nobody_reads = error.print();
            return ExitCode::from(u8::try_from(error.exit_code()).unwrap_or(2));
        }
    };
    let is_json = words.json;
    let runtime = match tokio::runtime::Builder::new_current_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => return failed(&format!("no runtime can be started: {error}")),
    };
    match runtime.block_on(answer(words)) {
        Ok(answer) => {
            let text = if is_json { answer.json() } else { answer.text() };
            // Whoever has closed the pipe has seen enough.
            let _nobody_reads = std::io::stdout().write_all(text.as_bytes());
            ExitCode::SUCCESS
        }
        Err(Trouble(reason)) => failed(&reason),
    }
}

fn failed(reason: &str) -> ExitCode {
    // Without a standard error stream there is nobody to tell.
    let _nobody_reads = writeln!(std::io::stderr(), "{reason}");
    ExitCode::FAILURE
}

async fn answer(words: Words) -> Result<Answer, Trouble> {
    let command = match words.command {
        Command::Migrate(how) => return migrate::migrate(&words.place, &how),
        Command::Capture(capture) => return capture::capture(&words.place, capture).await,
        Command::Beside(command) => command,
    };
    let bus = Bus::builder(words.place.configured()).beside().await?;
    let answered = done(&bus, command).await;
    bus.shutdown().await;
    answered
}

async fn done(bus: &Bus, command: Beside) -> Result<Answer, Trouble> {
    match command {
        Beside::Connectors => overview::connectors(bus).await,
        Beside::Tasks(which) => deliveries::list(bus, &which).await,
        Beside::Task { id } => deliveries::detail(bus, id).await,
        Beside::Identity(which) => identity::list(bus, &which).await,
        Beside::Link(link) => identity::link(bus, &link).await,
        Beside::Unlink(unlink) => identity::unlink(bus, &unlink).await,
        Beside::Resync(which) => resync::begin(bus, which).await,
        Beside::Resyncs => resync::list(bus).await,
        Beside::CancelResync { id, by } => resync::cancel(bus, id, by).await,
        Beside::Outbox => outbox::look(bus).await,
    }
}
