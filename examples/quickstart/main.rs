//! The integration bus from end to end, on real data, with nothing to install:
//!
//! ```text
//! cargo run --example quickstart                       brings in ISO 3166 and indexes it; again: changes nothing
//! cargo run --example quickstart -- search new york    searches the index
//! cargo run --example quickstart -- delete DE          deletes a country with its subdivisions
//! cargo run --example quickstart -- rename DE Allemagne
//! rm -r quickstart-data                                removes everything that it wrote
//! ```
//!
//! Two connectors meet here. `iso3166` lives in a crate of its own and turns the standard's records into objects of the
//! host; `search-index` lives in this program and keeps a full-text index in step with those objects. Neither knows the
//! other. The records are logged in shuffled order, so that thousands of subdivisions arrive before the country that
//! they refer to: they wait, and go on by themselves once it is there.
//!
//! Kill it at any time and start it again: what was logged is done, what was not is logged then, and nothing is done
//! twice.
//!
//! | File | What stands in it |
//! |---|---|
//! | `main.rs` | the story |
//! | `bus.toml` | which connectors are registered, and where the bus keeps its state |
//! | `import.rs` | logs external objects, many at once, and waits until everything is done |
//! | `search_connector.rs` | the application's own connector |
//! | `search.rs` | the full-text index |
//! | `report.rs` | what is printed |

mod import;
mod report;
mod search;
mod search_connector;

use std::env;
use std::error::Error;
use std::fs;
use std::path::Path;
use std::process::ExitCode;

use bus_core::ExternalTask;
use bus_runtime::{Bus, BusError, Config};
use iso3166_connector::{Iso3166, IsoCountry, countries, subdivisions};
use rand::SeedableRng;
use rand::rngs::StdRng;
use rand::seq::SliceRandom;
use tracing_subscriber::EnvFilter;

use crate::search::Search;

/// Where everything is kept, in the current folder.
const DATA: &str = "quickstart-data";

/// The order in which the records arrive: the same in every run.
const SHUFFLE_SEED: u64 = 3166;

/// What is searched for when nothing else was asked.
const SAMPLES: [&str; 4] = ["bayern", "zurich", "san juan", "limburg"];

type Failing<T> = Result<T, Box<dyn Error>>;

/// What the program was asked to do.
enum Asked {
    Import,
    Delete(IsoCountry),
    Rename(IsoCountry),
    Search(String),
}

#[tokio::main]
async fn main() -> ExitCode {
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new("warn"));
    tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr).init();
    let arguments: Vec<_> = env::args().skip(1).collect();
    let asked = match asked(&arguments) {
        Ok(asked) => asked,
        Err(reason) => {
            eprintln!("{reason}\n\nusage: quickstart [search WORDS | delete COUNTRY | rename COUNTRY NAME]");
            return ExitCode::from(2);
        }
    };
    match run(asked).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            match error.downcast_ref::<BusError>() {
                Some(error) => eprintln!("{error:?}"),
                None => eprintln!("{error}"),
            }
            ExitCode::FAILURE
        }
    }
}

fn asked(arguments: &[String]) -> Result<Asked, String> {
    match arguments {
        [] => Ok(Asked::Import),
        [verb, code] if verb == "delete" => Ok(Asked::Delete(published(code)?)),
        [verb, code, name @ ..] if verb == "rename" && !name.is_empty() => {
            Ok(Asked::Rename(IsoCountry { name: name.join(" "), ..published(code)? }))
        }
        [verb, words @ ..] if verb == "search" && !words.is_empty() => Ok(Asked::Search(words.join(" "))),
        _ => Err(format!("`{}` is not understood", arguments.join(" "))),
    }
}

fn published(code: &str) -> Result<IsoCountry, String> {
    let found = countries().into_iter().find(|country| country.alpha2.eq_ignore_ascii_case(code));
    found.ok_or_else(|| format!("`{code}` is not the alpha-2 code of a country; write one such as DE"))
}

async fn run(asked: Asked) -> Failing<()> {
    let folder = Path::new(DATA);
    fs::create_dir_all(folder).map_err(|error| format!("the folder ./{DATA} cannot be made: {error}"))?;
    let search = Search::open(&folder.join("index"))?;
    let (tasks, samples) = match asked {
        Asked::Search(words) => return report::hits(&search, &words),
        Asked::Import => (everything(), SAMPLES.map(str::to_owned).to_vec()),
        Asked::Delete(country) => (deletion(&country), vec![country.name]),
        Asked::Rename(country) => {
            let update = ExternalTask::update::<Iso3166, _>("iso3166", &country);
            (vec![update], vec![country.name])
        }
    };

    let config = Config::from_text(include_str!("bus.toml"), folder)?;
    let bus = Bus::builder(config).provide(search.clone()).start().await?;
    let outcome = import::run(&bus, tasks).await?;
    report::outcome(&outcome);
    report::counts(&bus, &search).await?;
    for sample in samples {
        report::hits(&search, &sample)?;
    }
    bus.shutdown().await;
    println!("\nEverything is in ./{DATA}; `rm -r {DATA}` removes it.");
    Ok(())
}

/// All that ISO publishes, in shuffled order.
fn everything() -> Vec<ExternalTask> {
    let countries = countries();
    let countries = countries.iter().map(|country| ExternalTask::create::<Iso3166, _>("iso3166", country));
    let subdivisions = subdivisions();
    let subdivisions = subdivisions.iter().map(|part| ExternalTask::create::<Iso3166, _>("iso3166", part));
    let mut tasks: Vec<_> = countries.chain(subdivisions).collect();
    tasks.shuffle(&mut StdRng::seed_from_u64(SHUFFLE_SEED));
    tasks
}

/// A country and its subdivisions are gone. The bus would let the subdivisions stay, with a reference to a country that
/// is not there any more; ISO would not.
fn deletion(country: &IsoCountry) -> Vec<ExternalTask> {
    let mut tasks: Vec<_> = subdivisions()
        .iter()
        .filter(|part| part.country == country.alpha2)
        .map(|part| ExternalTask::delete::<Iso3166, _>("iso3166", part))
        .collect();
    tasks.push(ExternalTask::delete::<Iso3166, _>("iso3166", country));
    tasks
}
