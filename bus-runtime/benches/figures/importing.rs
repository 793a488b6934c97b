//! The import of the quickstart: ISO 3166 in shuffled order, through the bus into the built-in object store, and on to a
//! connector that does nothing.

use std::collections::VecDeque;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

use bus_core::{BusObject, DataType, ExternalTask};
use bus_store::ConnectorState;
use iso3166_connector::{Country, Iso3166, Subdivision, countries, subdivisions};
use rand::SeedableRng;
use rand::rngs::StdRng;
use rand::seq::SliceRandom;
use rusqlite::{Connection, params};
use tokio::task::JoinSet;

use crate::host::{Arrivals, start};
use crate::limits::{BareStore, Grouped, open_bare};
use crate::measure::{Plan, Reading, Series, float, now, thousands};
use crate::report;

/// How many tasks log side by side, as in the quickstart.
const LOGGERS: usize = 64;

const BARE: usize = 0;
const BUS: usize = 1;
const LOGGED: usize = 2;

pub(crate) async fn run(folder: &Path, plan: &Plan) {
    let tasks = tasks(plan.imported);
    let mut series = Series::new(3, &[BARE]);
    let mut waited = 0;
    let mut round = 0;
    while series.goes_on(plan) {
        series.add(BARE, bare(folder, round, &tasks).await);
        let imported = import(folder, round, &tasks).await;
        series.add(BUS, imported.everything);
        series.add(LOGGED, imported.logging);
        waited = imported.waited;
        round += 1;
    }
    series.add(BARE, bare(folder, round, &tasks).await);

    let title = format!("Import of {} objects in shuffled order", thousands(float(tasks.len())));
    let remark =
        format!("{}; {} of them waited for their country", series.quality(), thousands(float(waited)));
    report::section(&title, &remark);
    report::table(&["what", "objects per second", "by bare SQLite"]);
    for (side, name) in [
        (BARE, "bare SQLite: log (64 callers), apply 100 per transaction, drain 100 per transaction"),
        (LOGGED, "the bus: the logging alone (64 callers, while it applies)"),
        (BUS, "the bus: until everything is applied and delivered"),
    ] {
        let rate = thousands(series.median(side, |reading| reading.rate));
        report::row(&[name.to_owned(), rate, series.ratio(side, BARE, |reading| reading.rate).to_string()]);
    }
}

fn tasks(most: usize) -> Vec<ExternalTask> {
    let countries = countries();
    let countries = countries.iter().map(|country| ExternalTask::create::<Iso3166, _>("iso3166", country));
    let subdivisions = subdivisions();
    let subdivisions = subdivisions.iter().map(|part| ExternalTask::create::<Iso3166, _>("iso3166", part));
    // All countries are there, however few are wanted.
    let mut tasks: Vec<_> = countries.chain(subdivisions).take(most).collect();
    tasks.shuffle(&mut StdRng::seed_from_u64(3166));
    tasks
}

struct Imported {
    logging: Reading,
    everything: Reading,
    waited: usize,
}

async fn import(folder: &Path, round: usize, tasks: &[ExternalTask]) -> Imported {
    let arrivals = Arrivals::new(None);
    let path = folder.join(format!("import-{round}.db"));
    let bus = start(&path, &["iso3166", "mirror"], ConnectorState::Enabled, arrivals.clone()).await;
    bus.until_idle().await;
    let left = Arc::new(Mutex::new(VecDeque::from(tasks.to_vec())));
    let began = now();
    let mut loggers = JoinSet::new();
    for _ in 0..LOGGERS {
        let (bus, left) = (bus.clone(), Arc::clone(&left));
        loggers.spawn(async move {
            let next = || left.lock().unwrap_or_else(PoisonError::into_inner).pop_front();
            while let Some(task) = next() {
                bus.process_external_task(task).await.expect("it is logged");
            }
        });
    }
    loggers.join_all().await;
    let logging = Reading::of(tasks.len(), began.elapsed(), Vec::new());
    bus.until_idle().await;
    let everything = Reading::of(tasks.len(), began.elapsed(), Vec::new());

    assert_eq!(arrivals.count(), tasks.len(), "each is delivered once");
    let stored = bus.objects().count::<Country>().await.expect("the store counts")
        + bus.objects().count::<Subdivision>().await.expect("the store counts");
    assert_eq!(usize::try_from(stored).ok(), Some(tasks.len()), "each is in the object store");
    let queues = bus.queues().await.expect("the store counts");
    let waited = queues.iter().map(|queue| queue.counters.waited).sum::<u64>();
    bus.shutdown().await;
    Imported { logging, everything, waited: usize::try_from(waited).unwrap_or(0) }
}

/// The same rows without a bus: nobody waits, nothing is looked up, nothing is translated.
async fn bare(folder: &Path, round: usize, tasks: &[ExternalTask]) -> Reading {
    let path = folder.join(format!("import-bare-{round}.db"));
    let left = Arc::new(Mutex::new(VecDeque::from(tasks.to_vec())));
    let writer = Grouped::start(BareStore::make(&path));
    let began = now();
    let mut loggers = JoinSet::new();
    for _ in 0..LOGGERS {
        let (writer, left) = (writer.clone(), Arc::clone(&left));
        loggers.spawn(async move {
            let next = || left.lock().unwrap_or_else(PoisonError::into_inner).pop_front();
            while let Some(task) = next() {
                writer.append(task.body.expect("it is JSON")).await;
            }
        });
    }
    loggers.join_all().await;
    drop(writer);
    let db = open_bare(&path);
    let mut applied = 0;
    for chunk in tasks.chunks(100) {
        apply_bare(&db, chunk, &mut applied);
    }
    deliver_bare(&db);
    Reading::of(tasks.len(), began.elapsed(), Vec::new())
}

/// Objects, bindings and outgoing tasks for the next 100, whose incoming tasks end.
fn apply_bare(db: &Connection, chunk: &[ExternalTask], applied: &mut i64) {
    let execute = |sql: &str, parameters: &[&dyn rusqlite::ToSql]| {
        db.prepare_cached(sql).and_then(|mut statement| statement.execute(parameters)).expect("a row");
    };
    execute("BEGIN IMMEDIATE", params![]);
    for task in chunk {
        *applied += 1;
        let id = *applied;
        let data = task.body.as_deref().expect("it is JSON");
        execute(
            "INSERT INTO bus_object (object_type, object_id, version, code_name, display_name, data)
             VALUES (?1, ?2, 1, ?2, ?2, ?3)",
            params![Country::TYPE, id.to_string(), data],
        );
        execute(
            "INSERT INTO bus_binding (connector, object_type, external_id, object_id) VALUES ('iso3166', ?1, ?2, ?2)",
            params![Country::TYPE, id.to_string()],
        );
        execute("DELETE FROM bus_pending WHERE queue = 1 AND seq = ?1", params![id]);
        execute("DELETE FROM bus_task WHERE id = ?1", params![id]);
        let seq = id + 1_000_000;
        execute(
            "INSERT INTO bus_task (id, subject, operation, title, content_type, site, origin, logged_at, data)
             VALUES (?1, ?2, 0, 'Create', 'application/json', NULL, 'iso3166', 0, ?3)",
            params![seq, Country::TYPE, data],
        );
        execute(
            "INSERT INTO bus_pending (queue, seq, key, task, shared, data_type, policy, idempotency_key)
             VALUES (2, ?1, ?2, ?1, 0, ?3, 0, x'00')",
            params![seq, id.to_string(), DataType::SimpleSnapshot as i64],
        );
    }
    execute("COMMIT", params![]);
}

fn deliver_bare(db: &Connection) {
    loop {
        db.execute_batch("BEGIN IMMEDIATE").expect("nobody else writes");
        let mut read = db
            .prepare_cached(
                "SELECT p.seq, t.data FROM bus_pending p JOIN bus_task t ON t.id = p.task
                 WHERE p.queue = 2 ORDER BY p.seq LIMIT 100",
            )
            .expect("a statement");
        let page = read.query_map([], |row| Ok((row.get::<_, i64>(0)?, row.get::<_, Vec<u8>>(1)?)));
        let page: Vec<_> = page.and_then(Iterator::collect).expect("rows");
        drop(read);
        for (seq, data) in &page {
            std::hint::black_box(data);
            for sql in
                ["DELETE FROM bus_pending WHERE queue = 2 AND seq = ?1", "DELETE FROM bus_task WHERE id = ?1"]
            {
                db.prepare_cached(sql).and_then(|mut delete| delete.execute([seq])).expect("a row");
            }
        }
        db.execute_batch("COMMIT").expect("the disk flushes");
        if page.is_empty() {
            return;
        }
    }
}
