//! The application and the server, and what is looked at.

use std::error::Error;
use std::fmt::Display;
use std::path::Path;
use std::time::Duration;

use bus_core::{Clock, ConnectorName, DeliveryState, Direction};
use bus_runtime::{
    Bus, Config, ConflictRecord, ConnectorConfig, DeliveryFilter, DeliverySummary, Processing, QueueId,
    StoreConfig, Synchronous, SystemClock,
};

use crate::client::{Client, If};
use crate::objects::{Company, Person};
use crate::server::Server;

pub(crate) type Failing<T> = Result<T, Box<dyn Error>>;

const PEOPLE: &str = "/two_way/people/";
const COMPANIES: &str = "/two_way/companies/";

/// How many polls are to bring nothing before it is called silence.
const POLLS: u32 = 3;

/// The longest that it may take until a server that is there again is noticed.
const SOON: Duration = Duration::from_mins(1);

/// How long after a look the next one is.
const LOOK_AGAIN: Duration = Duration::from_millis(20);

/// The application, the server, and somebody else who uses the server.
pub(crate) struct Scene {
    pub(crate) bus: Bus,
    pub(crate) carddav: ConnectorName,
    pub(crate) server: Server,
    somebody: Client,
    config: Config,
}

impl Scene {
    /// Starts the application beside a server that runs.
    pub(crate) async fn set(data: &Path, server: Server) -> Failing<Self> {
        let carddav: ConnectorName = "carddav".parse()?;
        let mut processing = Processing::default();
        // The story says when it polls, so that each step of it is the same each time; an outage is a matter of seconds.
        processing.poll_every_ms = 24 * 60 * 60 * 1_000;
        (processing.retry_initial_ms, processing.retry_max_ms) = (100, 1_000);
        (processing.circuit_failures, processing.circuit_probe_ms) = (3, 200);
        let store = StoreConfig::Sqlite { path: data.join("bus/bus.db"), synchronous: Synchronous::Normal };
        let settings =
            serde_json::json!({ "server": server.url(), "people": PEOPLE, "companies": COMPANIES });
        let connector = ConnectorConfig::new(carddav.clone()).settings(settings).processing(processing);
        let config = Config::new(store).connector(connector);
        let bus = Bus::builder(config.clone()).start().await?;
        let somebody = Client::new(server.url());
        Ok(Self { bus, carddav, server, somebody, config })
    }

    /// Starts the application once more, after its bus was shut down.
    pub(crate) async fn start_again(&mut self) -> Failing<()> {
        self.bus = Bus::builder(self.config.clone()).start().await?;
        Ok(())
    }

    /// Asks the server what has changed, and does what there is to be done.
    pub(crate) async fn settle(&self) -> Failing<()> {
        self.bus.until_idle().await;
        self.bus.poll_now(&self.carddav)?;
        self.bus.until_idle().await;
        Ok(())
    }

    /// Polls again and again: nothing is logged for the server, and it has seen no more than so many writes.
    pub(crate) async fn expect_silence(&self, writes: usize, why: &str) -> Failing<()> {
        self.settle().await?;
        let logged = self.logged(Direction::Outgoing).await?;
        for _ in 0..POLLS {
            self.settle().await?;
        }
        check(self.logged(Direction::Outgoing).await? == logged, "polls are answered with nothing")?;
        let seen = self.server.writes()?;
        check(seen == writes, &format!("the server saw {writes} writes, but {seen}: {why}"))?;
        println!("  {writes} writes at the server so far, then silence: {why}");
        Ok(())
    }

    /// How much was logged for the server, or from there.
    pub(crate) async fn logged(&self, direction: Direction) -> Failing<u64> {
        let counters = self.bus.counters().await?;
        let of_direction = counters.iter().filter(|(queue, _)| queue.direction == direction);
        Ok(of_direction.map(|(_, counters)| counters.logged).sum())
    }

    /// Waits until the bus has noticed that the server is there again.
    pub(crate) async fn until_reached(&self) -> Failing<()> {
        let until = SystemClock.now().plus(SOON);
        while let Some(warning) = self.warning() {
            if SystemClock.now() > until {
                return Err(warning.into());
            }
            SystemClock.sleep_until(SystemClock.now().plus(LOOK_AGAIN)).await;
        }
        Ok(())
    }

    pub(crate) fn warning(&self) -> Option<String> {
        self.bus.connectors().iter().find_map(bus_runtime::ConnectorStatus::warning)
    }

    /// These are all persons.
    pub(crate) async fn expect_people(&self, names: &[&str], why: &str) -> Failing<()> {
        let people = self.bus.objects().list::<Person>(None, 100).await?;
        let mut known: Vec<_> = people.iter().map(|person| person.name.as_str()).collect();
        known.sort_unstable();
        check(known == names, &format!("{why}: there are {names:?}, but {known:?}"))
    }

    /// The person who is called this.
    pub(crate) async fn person(&self, name: &str) -> Failing<Person> {
        let people = self.bus.objects().list::<Person>(None, 100).await?;
        let person = people.into_iter().find(|person| person.name == name);
        person.ok_or_else(|| format!("nobody here is called {name}").into())
    }

    /// What the person's company is called.
    pub(crate) async fn company_of(&self, person: &Person) -> Failing<Option<String>> {
        let Some(id) = person.company.as_ref().and_then(bus_core::Ref::host_id) else { return Ok(None) };
        Ok(self.bus.objects().load::<Company>(id).await?.map(|company| company.name))
    }

    /// What came in and nobody could do anything with.
    pub(crate) async fn parked(&self) -> Failing<Vec<DeliverySummary>> {
        let queue = QueueId::new(self.carddav.clone(), Direction::Incoming);
        let filter = DeliveryFilter { state: Some(DeliveryState::Parked), ..DeliveryFilter::default() };
        Ok(self.bus.deliveries(&queue, &filter).await?)
    }

    /// What somebody has to decide.
    pub(crate) async fn conflicts(&self) -> Failing<Vec<ConflictRecord>> {
        Ok(self.bus.conflicts(&self.carddav, None).await?)
    }

    /// What somebody else reads on a card; `None` where there is none.
    pub(crate) fn card(&self, href: &str) -> Failing<Option<String>> {
        let stored = self.somebody.get(href).map_err(|failure| failure.to_string())?;
        Ok(stored.map(|stored| stored.text))
    }

    /// All of this stands on a card.
    pub(crate) fn expect_on_card(&self, href: &str, lines: &[&str]) -> Failing<()> {
        let card = self.card(href)?.ok_or_else(|| format!("there is no card {href}"))?;
        for line in lines {
            check(
                card.lines().any(|known| known == *line),
                &format!("`{line}` stands on the card:\n{card}"),
            )?;
        }
        Ok(())
    }

    /// Somebody else writes a card.
    pub(crate) fn put(&self, href: &str, lines: &str) -> Failing<()> {
        let lines: Vec<_> = lines.lines().map(str::trim).collect();
        let text = lines.join("\r\n") + "\r\n";
        self.somebody.put(href, text, &If::Anything).map_err(|failure| failure.to_string())?;
        Ok(())
    }

    /// Somebody else changes a card.
    pub(crate) fn edit(&self, href: &str, from: &str, to: &str) -> Failing<()> {
        let text = self.card(href)?.ok_or_else(|| format!("there is no card {href}"))?;
        check(text.contains(from), &format!("`{from}` stands on the card:\n{text}"))?;
        self.put(href, &text.replace(from, to))
    }

    /// Somebody else removes a card.
    pub(crate) fn remove(&self, href: &str) -> Failing<()> {
        Ok(self.somebody.delete(href).map_err(|failure| failure.to_string())?)
    }
}

/// Where a person's card of this name is.
pub(crate) fn person_card(name: impl Display) -> String {
    format!("{PEOPLE}{name}.vcf")
}

/// Where a company's card of this name is.
pub(crate) fn company_card(name: impl Display) -> String {
    format!("{COMPANIES}{name}.vcf")
}

pub(crate) fn check(is_so: bool, what: &str) -> Failing<()> {
    if is_so { Ok(()) } else { Err(format!("it is not so that {what}").into()) }
}
