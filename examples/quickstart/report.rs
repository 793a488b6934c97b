//! What is printed: the progress, the figures, the hits.

use std::io::{self, IsTerminal, Write};

use bus_core::Direction;
use bus_runtime::Bus;
use iso3166_connector::{Country, Subdivision};

use crate::Failing;
use crate::import::Outcome;
use crate::search::Search;

/// How many hits are shown.
const HITS_MAX: usize = 5;

/// How far the run is: a line that changes on a terminal, a line for each quarter elsewhere.
pub(crate) struct Progress {
    all: usize,
    on_terminal: bool,
    quarters: [u64; 3],
}

impl Progress {
    pub(crate) fn begin(all: usize) -> Self {
        println!("logging {all} external objects");
        Self { all, on_terminal: io::stdout().is_terminal(), quarters: [0; 3] }
    }

    /// A progress that cannot be shown is no reason to stop.
    pub(crate) fn show(&mut self, logged: usize, imported: u64, indexed: u64) {
        let line = format!("logged {logged} of {}, imported {imported}, indexed {indexed}", self.all);
        let mut stdout = io::stdout();
        if self.on_terminal {
            let _shown = write!(stdout, "\r\x1b[K{line}").and_then(|()| stdout.flush());
            return;
        }
        let all = self.all.max(1) as u64;
        let quarters = [logged as u64, imported, indexed].map(|done| done * 4 / all);
        if quarters != self.quarters {
            self.quarters = quarters;
            let _shown = writeln!(stdout, "{line}");
        }
    }

    pub(crate) fn end(self) {
        if self.on_terminal {
            print!("\r\x1b[K");
        }
    }
}

/// What became of a run.
pub(crate) fn outcome(outcome: &Outcome) {
    let Outcome { logged, logging, everything, queues } = outcome;
    let millis = everything.as_millis().max(1);
    let per_second = *logged as u128 * 1_000 / millis;
    println!(
        "{logged} external objects: logged in {:.2} s, imported and indexed in {:.2} s: {per_second} imports per second\n",
        logging.as_secs_f64(),
        everything.as_secs_f64()
    );
    println!(
        "{:24} {:>7} {:>9} {:>7} {:>7} {:>7} {:>7}",
        "in this run", "logged", "completed", "waited", "retried", "waiting", "parked"
    );
    for ((connector, direction), tally) in queues {
        println!(
            "{:24} {:>7} {:>9} {:>7} {:>7} {:>7} {:>7}",
            format!("{connector} {direction}"),
            tally.logged,
            tally.completed,
            tally.waited,
            tally.retried,
            tally.waiting,
            tally.parked
        );
    }
    let changes: u64 =
        queues.iter().filter(|((_, of), _)| *of == Direction::Outgoing).map(|(_, tally)| tally.logged).sum();
    if changes == 0 {
        println!("\nNothing had changed, so nothing was logged for the index.");
    }
}

/// What there is.
pub(crate) async fn counts(bus: &Bus, search: &Search) -> Failing<()> {
    let objects = bus.objects();
    let (countries, subdivisions) =
        (objects.count::<Country>().await?, objects.count::<Subdivision>().await?);
    println!("\nin the host:  {countries} countries, {subdivisions} subdivisions");
    let (countries, subdivisions) = search.counts()?;
    println!("in the index: {countries} countries, {subdivisions} subdivisions");
    Ok(())
}

/// What a search finds.
pub(crate) fn hits(search: &Search, words: &str) -> Failing<()> {
    let hits = search.find(words, HITS_MAX)?;
    println!("\nsearch {words}:{}", if hits.is_empty() { " nothing" } else { "" });
    for hit in hits {
        let country = hit.country.map(|country| format!(" in {}", country.name)).unwrap_or_default();
        println!("  {} ({}, {}){country}", hit.name, hit.category, hit.code);
    }
    Ok(())
}
