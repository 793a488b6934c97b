//! Two systems kept in step, both ways: this application's persons, and the cards of Radicale, a CardDAV server.
//!
//! ```text
//! cargo run --example two_way      tells the story, and checks each step of it
//! rm -r two-way-data               removes everything that it wrote
//! ```
//!
//! It needs Python 3; Radicale is installed into `two-way-data` if Python does not have it. A change travels once and
//! stops: what the server is told comes back with its next poll, says nothing new, and goes nowhere.
//!
//! | File | What stands in it |
//! |---|---|
//! | `main.rs` | the story |
//! | `person.rs` | what the application knows |
//! | `carddav.rs` | the connector |
//! | `card.rs` | what a vCard says of a person |
//! | `client.rs` | as much of CardDAV as it takes |
//! | `server.rs`, `radicale.sh` | the server, started and stopped |

mod card;
mod carddav;
mod client;
mod person;
mod server;

use std::error::Error;
use std::fs;
use std::path::Path;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use bus_core::ConnectorName;
use bus_runtime::{Bus, BusError, Config, ConnectorConfig, Processing, StoreConfig, Synchronous};

use client::{AddressBook, If};
use person::Person;
use server::Server;

/// Where everything is kept, in the current folder.
const DATA: &str = "two-way-data";

const ADDRESS_BOOK: &str = "/two_way/people/";

/// The longest that anything may take to come true once the server answers.
const SOON: Duration = Duration::from_mins(1);

/// How long after a look the next one is.
const LOOK_AGAIN: Duration = Duration::from_millis(50);

type Failing<T> = Result<T, Box<dyn Error>>;

#[tokio::main]
async fn main() -> ExitCode {
    match run().await {
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

async fn run() -> Failing<()> {
    let data = Path::new(DATA);
    for remains in ["server", "bus"] {
        if data.join(remains).exists() {
            fs::remove_dir_all(data.join(remains))?;
        }
    }
    fs::create_dir_all(data.join("bus"))?;
    let mut server = Server::new(&data.join("server"))?;
    server.start()?;
    let story = Story::begin(data, server).await?;
    let told = story.tell().await;
    // Whatever became of it.
    story.bus.shutdown().await;
    told
}

/// The application, the server, and somebody else who uses the server.
struct Story {
    bus: Bus,
    carddav: ConnectorName,
    server: tokio::sync::Mutex<Server>,
    somebody: AddressBook,
}

impl Story {
    async fn begin(data: &Path, server: Server) -> Failing<Self> {
        let carddav: ConnectorName = "carddav".parse()?;
        let mut processing = Processing::default();
        // Times for a story: an outage of seconds.
        (processing.poll_every_ms, processing.retry_max_ms, processing.circuit_probe_ms) =
            (1_000, 1_000, 200);
        (processing.retry_initial_ms, processing.circuit_failures) = (100, 3);
        let store = StoreConfig::Sqlite { path: data.join("bus/bus.db"), synchronous: Synchronous::Normal };
        let settings = serde_json::json!({ "server": server.url(), "address_book": ADDRESS_BOOK });
        let connector = ConnectorConfig::new(carddav.clone()).settings(settings).processing(processing);
        let bus = Bus::builder(Config::new(store).connector(connector)).start().await?;
        let somebody = AddressBook::new(server.url(), ADDRESS_BOOK);
        Ok(Self { bus, carddav, server: tokio::sync::Mutex::new(server), somebody })
    }

    async fn tell(&self) -> Failing<()> {
        let mut ada = Person::new("Ada Lovelace", "+44 1");
        ada.note = Some("ours alone".to_owned());
        self.bus.objects().save(&mut ada).await?;
        let ada_href = self.somebody.href(ada.guid);
        self.until("Ada's card is there", async || self.says(&ada_href, &["FN:Ada Lovelace", "+44 1"]))
            .await?;
        self.expect_writes(1, "one create, one card").await?;

        let bob_href = self.somebody.href("bob");
        self.put(
            &bob_href,
            "BEGIN:VCARD\r\nVERSION:4.0\r\nUID:bob\r\nFN:Bob\r\nNOTE:theirs alone\r\nEND:VCARD\r\n",
        )?;
        self.until("Bob is known", async || Ok(self.find("Bob").await?.is_some())).await?;

        let mut bob = self.find("Bob").await?.ok_or("Bob is gone")?;
        bob.phone = Some("+44 2".to_owned());
        self.bus.objects().save(&mut bob).await?;
        let both = ["NOTE:theirs alone", "+44 2", "FN:Bob"];
        self.until("Bob's card has his number, and their note", async || self.says(&bob_href, &both)).await?;

        self.change(&ada_href, "FN:Ada Lovelace", "FN:Ada King")?;
        self.until("Ada is called King", async || Ok(self.find("Ada King").await?.is_some())).await?;
        let ada = self.find("Ada King").await?.ok_or("Ada is gone")?;
        check(ada.note.as_deref() == Some("ours alone"), "what only we know is kept")?;
        self.expect_silence(4, "two changes on each side, each written once").await?;

        self.server.lock().await.stop()?;
        let mut eve = Person::new("Eve", "+44 3");
        self.bus.objects().save(&mut eve).await?;
        let mut ada = ada;
        ada.phone = Some("+44 4".to_owned());
        self.bus.objects().save(&mut ada).await?;
        self.until("the server is missed", async || Ok(self.warns("cannot reach"))).await?;
        self.server.lock().await.start()?;
        let eve_href = self.somebody.href(eve.guid);
        self.until("Eve's card came after the outage", async || self.says(&eve_href, &["FN:Eve"])).await?;
        self.until("Ada's number came, too", async || self.says(&ada_href, &["+44 4", "FN:Ada King"]))
            .await?;
        self.expect_silence(6, "an outage repeats nothing").await?;

        self.somebody.delete(&bob_href).map_err(|failure| failure.to_string())?;
        self.until("Bob is gone here", async || Ok(self.find("Bob").await?.is_none())).await?;
        self.bus.objects().delete::<Person>(&eve.id).await?;
        self.until("Eve is gone there", async || Ok(self.card(&eve_href)?.is_none())).await?;
        self.expect_silence(8, "two deletes, each once").await?;

        self.bus.poll_from_start(&self.carddav, &bus_runtime::Operator::named("story")).await?;
        self.expect_silence(8, "all there is says nothing new").await?;
        check(self.people().await? == ["Ada King"], "Ada is left")?;
        for (queue, counters) in self.bus.counters().await? {
            println!(
                "{queue}: {} logged, {} completed, {} open",
                counters.logged, counters.completed, counters.open
            );
            check(counters.open == 0, "nothing is left to do")?;
        }
        println!("Both sides agree, and nothing goes round.");
        Ok(())
    }

    /// Waits until this comes true.
    async fn until(&self, what: &str, is_so: impl AsyncFn() -> Failing<bool>) -> Failing<()> {
        let began = Instant::now();
        while !is_so().await? {
            if began.elapsed() > SOON {
                let warnings: Vec<_> =
                    self.bus.connectors().iter().filter_map(|known| known.warning()).collect();
                return Err(format!("it does not become true that {what}: {warnings:?}").into());
            }
            tokio::time::sleep(LOOK_AGAIN).await;
        }
        println!("{what}");
        Ok(())
    }

    /// Polls three times more: nothing is logged outgoing, nothing is written at the server.
    async fn expect_silence(&self, writes: usize, why: &str) -> Failing<()> {
        self.bus.until_idle().await;
        let logged = self.logged().await?;
        for _ in 0..3 {
            self.bus.poll_now(&self.carddav)?;
            self.bus.until_idle().await;
        }
        check(self.logged().await? == logged, "a poll is answered with nothing")?;
        self.expect_writes(writes, why).await
    }

    async fn expect_writes(&self, writes: usize, why: &str) -> Failing<()> {
        let seen = self.server.lock().await.writes()?;
        check(seen == writes, &format!("the server saw {seen} writes, not {writes}: {why}"))?;
        println!("{writes} writes at the server: {why}");
        Ok(())
    }

    async fn logged(&self) -> Failing<u64> {
        let counters = self.bus.counters().await?;
        let outgoing = counters.iter().filter(|(queue, _)| queue.direction == bus_core::Direction::Outgoing);
        Ok(outgoing.map(|(_, counters)| counters.logged).sum())
    }

    fn warns(&self, what: &str) -> bool {
        self.bus.connectors().iter().filter_map(|known| known.warning()).any(|warning| warning.contains(what))
    }

    async fn people(&self) -> Failing<Vec<String>> {
        let people = self.bus.objects().list::<Person>(None, 100).await?;
        Ok(people.into_iter().map(|person| person.name).collect())
    }

    async fn find(&self, name: &str) -> Failing<Option<Person>> {
        let people = self.bus.objects().list::<Person>(None, 100).await?;
        Ok(people.into_iter().find(|person| person.name == name))
    }

    /// What the card says, for somebody else.
    fn card(&self, href: &str) -> Failing<Option<String>> {
        let stored = self.somebody.get(href).map_err(|failure| failure.to_string())?;
        Ok(stored.map(|stored| stored.text))
    }

    fn says(&self, href: &str, words: &[&str]) -> Failing<bool> {
        Ok(self.card(href)?.is_some_and(|text| words.iter().all(|word| text.contains(word))))
    }

    fn put(&self, href: &str, text: &str) -> Failing<()> {
        self.somebody.put(href, text.to_owned(), &If::Anything).map_err(|failure| failure.to_string())?;
        Ok(())
    }

    /// Somebody else changes a card.
    fn change(&self, href: &str, from: &str, to: &str) -> Failing<()> {
        let text = self.card(href)?.ok_or("the card is gone")?;
        self.put(href, &text.replace(from, to))
    }
}

fn check(is_so: bool, what: &str) -> Failing<()> {
    if is_so { Ok(()) } else { Err(format!("it is not so that {what}").into()) }
}
