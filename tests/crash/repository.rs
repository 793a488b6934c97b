//! What comes in is applied by a repository, in transactions of the application's own: the process ends at every place of
//! them, and at every place of the relay. Each external object that was logged is applied once, neither never nor twice.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::atomic::Ordering;

use bus_core::descriptor::{DescribedConnector, DescribedObject};
use bus_core::{
    BusObject, Connector, Cx, Direction, ExternalTask, Failure, Incoming, NoSettings, Prepared, Received,
    connector,
};
use bus_runtime::{
    Bus, Config, ConnectorConfig, Counters, Deleting, FoundBy, Lookup, QueueId, Registry, Repository, Saving,
};
use rusqlite::{Connection, OptionalExtension, Row, Transaction, TransactionBehavior};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use tokio::task::JoinSet;

use crate::bench::{MANY_ATTEMPTS, Place, brisk};
use crate::child::{AFTER_CHANGE, AFTER_HOST_COMMIT, BEFORE_HOST_COMMIT, POINTS, STORE_POINTS, count_points};
use crate::processes::{self, Process, folder, say};

/// Which parcel, and what is in it; nothing is sent twice.
const SENT: [(&str, &str); 4] = [("a", "one"), ("b", "two"), ("a", "three"), ("b", "four")];

/// How many children run at a time.
const AT_A_TIME: usize = 3;

/// Of the statements of the bus's own transactions, every how many ends a story: each of their commits does.
const STATEMENTS_STEP: usize = 5;

/// What the external system sends.
#[derive(Debug, Clone, Serialize, Deserialize)]
struct Parcel {
    number: String,
    content: String,
}

/// A row of the application's.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, BusObject)]
#[object(type = "crash.stored", display = "Stored")]
struct Stored {
    #[object(id)]
    id: i64,
    #[object(code_name)]
    number: String,
    content: String,
    /// In which attempt it was applied: so each application is a change.
    attempt: u32,
}

/// Sends parcels.
#[connector(name = "sender")]
#[incoming(Parcel, key = number)]
struct Sender;

impl Connector for Sender {
    type Settings = NoSettings;

    async fn connect(_: NoSettings, _: &Cx) -> Result<Self, Failure> {
        Ok(Self)
    }
}

impl Incoming<Parcel> for Sender {
    type Object = Stored;

    async fn prepare_internal_object(
        &self,
        received: Received<Parcel, Stored>,
        _: &Cx,
    ) -> Result<Prepared<Stored>, Failure> {
        let attempt = received.attempt;
        let Parcel { number, content } = received.object;
        Ok(Stored { number, content, attempt, ..received.existing.unwrap_or_default() }.into())
    }
}

/// The application's tables: what is stored, and a line for each time that something was.
struct Shelf(Place);

impl Shelf {
    fn connect(&self) -> Connection {
        let db = Connection::open(self.0.0.join("bus.db")).expect("the host opens its file");
        let tables = "PRAGMA synchronous = FULL;
            CREATE TABLE IF NOT EXISTS stored (
                id INTEGER PRIMARY KEY AUTOINCREMENT, number TEXT NOT NULL, content TEXT NOT NULL, attempt INTEGER NOT NULL
            );
            CREATE TABLE IF NOT EXISTS made (content TEXT NOT NULL, attempt INTEGER NOT NULL)";
        db.execute_batch(tables).expect("the host's tables");
        db
    }

    fn look(&self, sql: &str, by: &dyn rusqlite::ToSql) -> Result<Option<Stored>, Failure> {
        let read = |row: &Row<'_>| {
            Ok(Stored { id: row.get(0)?, number: row.get(1)?, content: row.get(2)?, attempt: row.get(3)? })
        };
        Ok(self.connect().query_row(sql, [by], read).optional()?)
    }
}

impl Repository<Stored> for Shelf {
    async fn load(&self, id: &i64) -> Result<Option<Stored>, Failure> {
        self.look("SELECT id, number, content, attempt FROM stored WHERE id = ?1", id)
    }

    async fn find(&self, lookup: &Lookup) -> Result<Option<Stored>, Failure> {
        let FoundBy::CodeName(number) = &lookup.by else { return Ok(None) };
        self.look("SELECT id, number, content, attempt FROM stored WHERE number = ?1", number)
    }

    async fn save(&self, saving: Saving<Stored>) -> Result<(), Failure> {
        let mut db = self.connect();
        let transaction = begin(&mut db)?;
        let Stored { id, number, content, attempt } = &saving.object;
        let id = if saving.before.is_some() {
            let sql = "UPDATE stored SET content = ?2, attempt = ?3 WHERE id = ?1";
            transaction.execute(sql, (id, content, attempt))?;
            *id
        } else {
            let sql = "INSERT INTO stored (number, content, attempt) VALUES (?1, ?2, ?3)";
            transaction.execute(sql, (number, content, attempt))?;
            transaction.last_insert_rowid()
        };
        transaction.execute("INSERT INTO made VALUES (?1, ?2)", (content, attempt))?;
        fail::fail_point!(AFTER_CHANGE);
        let statement = saving.settlement.statement(&id)?;
        transaction.execute(statement.sql(), [statement.json()])?;
        fail::fail_point!(BEFORE_HOST_COMMIT);
        transaction.commit()?;
        fail::fail_point!(AFTER_HOST_COMMIT);
        Ok(())
    }

    async fn delete(&self, deleting: Deleting<Stored>) -> Result<(), Failure> {
        let mut db = self.connect();
        let transaction = begin(&mut db)?;
        transaction.execute("DELETE FROM stored WHERE id = ?1", [deleting.object.id])?;
        let statement = deleting.settlement.statement(&deleting.object.id)?;
        transaction.execute(statement.sql(), [statement.json()])?;
        Ok(transaction.commit()?)
    }
}

fn begin(db: &mut Connection) -> Result<Transaction<'_>, Failure> {
    Ok(db.transaction_with_behavior(TransactionBehavior::Immediate)?)
}

async fn start(place: &Place) -> Bus {
    let sender = ConnectorConfig::new(queue().connector).processing(brisk(MANY_ATTEMPTS));
    let registry = Registry::of([Sender::DESCRIPTOR], [Stored::DESCRIPTOR]).expect("a registry");
    let builder = Bus::builder(Config::new(place.store()).connector(sender)).registry(registry);
    let bus = builder.repository::<Stored>(Shelf(place.clone())).start().await;
    bus.unwrap_or_else(|error| panic!("it starts: {error:?}"))
}

fn queue() -> QueueId {
    QueueId::new("sender".parse().expect("a name"), Direction::Incoming)
}

async fn counters(bus: &Bus) -> Counters {
    let counted = bus.counters().await.expect("counters");
    counted.into_iter().find_map(|(of, counters)| (of == queue()).then_some(counters)).unwrap_or_default()
}

/// Lets the bus do all there is to do, retries included.
async fn until_settled(bus: &Bus) {
    while counters(bus).await.open > 0 {
        bus.until_idle().await;
        tokio::task::yield_now().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn child_that_has_a_repository() {
    let Some(plan) = processes::plan() else { return };
    let plan: Value = serde_json::from_str(&plan).expect("a plan");
    let ends_at = plan["point"].as_str().map(str::to_owned).zip(plan["passing"].as_u64());
    let passed = count_points(ends_at.as_ref());
    let place = Place::from(Path::new(plan["place"].as_str().expect("a place")));
    let bus = start(&place).await;
    for (number, content) in SENT {
        let parcel = Parcel { number: number.to_owned(), content: content.to_owned() };
        let task = ExternalTask::create::<Sender, _>("sender", &parcel);
        bus.process_external_task(task).await.expect("logged");
        say(&format!("logged {content}"));
        until_settled(&bus).await;
    }
    bus.shutdown().await;
    for (point, passed) in POINTS.iter().zip(passed) {
        say(&format!("passed {point} {}", passed.load(Ordering::SeqCst)));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_end_at_each_place_of_a_repositorys_transaction_applies_each_object_once() {
    let passed = tell(None).await.passed;
    assert_eq!(passed.len(), POINTS.len(), "the story comes to its end: {passed:?}");
    let step = |point: &str| if point == STORE_POINTS[0] { STATEMENTS_STEP } else { 1 };
    let places = passed.iter().flat_map(|(point, times)| {
        (1..=*times).step_by(step(point)).map(move |passing| (point.clone(), passing))
    });
    let places: Vec<_> = places.collect();
    for point in [AFTER_CHANGE, BEFORE_HOST_COMMIT, AFTER_HOST_COMMIT] {
        let passings = places.iter().filter(|(at, _)| at == point).count();
        assert_eq!(passings, SENT.len(), "{point}");
    }
    let (mut ended, mut running) = (0, JoinSet::new());
    for place in &places {
        if running.len() >= AT_A_TIME {
            ended += usize::from(running.join_next().await.expect("some run").expect("no panic"));
        }
        let place = place.clone();
        running.spawn(async move { tell(Some(place)).await.passed.is_empty() });
    }
    while let Some(one) = running.join_next().await {
        ended += usize::from(one.expect("no panic"));
    }
    println!("{ended} ends at {} places", places.len());
    // How commits are shared differs a little from run to run, and with it the number of the last places.
    assert!(ended >= places.len() * 9 / 10, "{ended} of {}", places.len());
}

/// What the child said before it ended.
#[derive(Default)]
struct Said {
    logged: BTreeSet<String>,
    /// How often each place was passed; nothing unless it came to its end.
    passed: BTreeMap<String, u64>,
}

/// Tells the story up to there, lets another bus end it, and judges what has become of it.
async fn tell(ends_at: Option<(String, u64)>) -> Said {
    let folder = folder();
    let place = Place::from(folder.path());
    let at = ends_at.as_ref();
    let plan =
        json!({ "place": place.0, "point": at.map(|at| &at.0), "passing": at.map(|at| at.1) }).to_string();
    let child = tokio::task::spawn_blocking(move || {
        let mut child = Process::start("repository::child_that_has_a_repository", &plan);
        let mut said = Said::default();
        while let Some(line) = child.line() {
            if let Some(content) = line.strip_prefix("logged ") {
                said.logged.insert(content.to_owned());
            } else if let Some((point, times)) =
                line.strip_prefix("passed ").and_then(|line| line.split_once(' '))
            {
                said.passed.insert(point.to_owned(), times.parse().expect("a number"));
            }
        }
        child.finish();
        said
    });
    let said = child.await.expect("no panic");
    let bus = start(&place).await;
    until_settled(&bus).await;
    let audit = bus.audit().await.expect("an audit").to_string();
    let counters = counters(&bus).await;
    bus.shutdown().await;

    let context = format!("ended at {ends_at:?}; {audit}");
    let db = Shelf(place).connect();
    let mut select = db.prepare("SELECT content FROM made ORDER BY rowid").expect("made");
    let made: Vec<String> =
        select.query_map([], |row| row.get(0)).expect("made").collect::<Result<_, _>>().expect("texts");
    let sent = SENT.map(|(_, content)| content);
    // What was about to be logged when the process ended may have been.
    assert!(made == sent[..made.len()], "{made:?}, {context}");
    assert!((said.logged.len()..=said.logged.len() + 1).contains(&made.len()), "{made:?}, {context}");
    assert_eq!(counters.completed, u64::try_from(made.len()).expect("few"), "{context}");
    let mut last = BTreeMap::new();
    last.extend(SENT[..made.len()].iter().map(|(number, content)| (number.to_string(), content.to_string())));
    let mut select = db.prepare("SELECT number, content FROM stored").expect("stored");
    let stored = select.query_map([], |row| Ok((row.get(0)?, row.get(1)?))).expect("stored");
    let stored: Vec<(String, String)> = stored.collect::<Result<_, _>>().expect("texts");
    assert_eq!(stored.len(), last.len(), "{stored:?}, {context}");
    assert_eq!(stored.into_iter().collect::<BTreeMap<_, _>>(), last, "{context}");
    said
}
