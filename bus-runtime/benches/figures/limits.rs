//! What the machine gives at best: a raw log, and SQLite without a bus around it, as durable as the bus.

use std::fs::{File, OpenOptions};
use std::io::{Seek, SeekFrom, Write};
use std::path::Path;
use std::sync::mpsc::{Sender, channel};
use std::thread;

use rusqlite::{Connection, params};
use tokio::sync::oneshot;

/// How large the raw log is made and written before it is measured: a file that grows costs more per flush.
const PREALLOCATED: usize = 64 * 1024 * 1024;

/// The most changes that share a flush.
const GROUP_MAX: usize = 1_000;

/// Something that makes bytes durable, many at once.
pub(crate) trait Log: Send + 'static {
    /// Takes one change.
    fn append(&mut self, data: &[u8]);
    /// Makes all that were taken durable.
    fn flush(&mut self);
}

/// The floor: one write and one `fdatasync`.
pub(crate) struct RawLog {
    file: File,
    buffer: Vec<u8>,
    written: usize,
}

impl RawLog {
    pub(crate) fn make(path: &Path) -> Self {
        let file = OpenOptions::new().create(true).truncate(true).write(true).open(path);
        let mut file = file.expect("the folder can be written");
        let page = vec![1; 65_536];
        for _ in 0..PREALLOCATED / page.len() {
            file.write_all(&page).expect("the disk has room");
        }
        file.sync_all().expect("the disk flushes");
        file.seek(SeekFrom::Start(0)).expect("a file can be wound back");
        Self { file, buffer: Vec::new(), written: 0 }
    }
}

impl Log for RawLog {
    fn append(&mut self, data: &[u8]) {
        self.buffer.extend_from_slice(data);
    }

    fn flush(&mut self) {
        if self.written + self.buffer.len() > PREALLOCATED {
            self.file.seek(SeekFrom::Start(0)).expect("a file can be wound back");
            self.written = 0;
        }
        self.written += self.buffer.len();
        self.file.write_all(&self.buffer).expect("the disk has room");
        self.buffer.clear();
        self.file.sync_data().expect("the disk flushes");
    }
}

/// A connection with the pragmas of the bus's own, read back.
pub(crate) fn open_bare(path: &Path) -> Connection {
    let db = Connection::open(path).expect("the folder can be written");
    let journal: String = db.query_row("PRAGMA journal_mode = WAL", [], |row| row.get(0)).expect("a pragma");
    db.execute_batch("PRAGMA synchronous = FULL; PRAGMA wal_autocheckpoint = 4000;").expect("pragmas");
    let synchronous: i64 = db.query_row("PRAGMA synchronous", [], |row| row.get(0)).expect("a pragma");
    assert_eq!((journal.as_str(), synchronous), ("wal", 2), "the limit must be as durable as the bus");
    db.set_prepared_statement_cache_capacity(64);
    db
}

/// The least that SQLite can do: one row in one table.
pub(crate) struct BareTable {
    db: Connection,
    is_open: bool,
}

impl BareTable {
    pub(crate) fn make(path: &Path) -> Self {
        let db = open_bare(path);
        db.execute_batch("CREATE TABLE task (id INTEGER NOT NULL PRIMARY KEY, data BLOB NOT NULL) STRICT")
            .expect("a table");
        Self { db, is_open: false }
    }
}

impl Log for BareTable {
    fn append(&mut self, data: &[u8]) {
        begin(&self.db, &mut self.is_open);
        self.db
            .prepare_cached("INSERT INTO task (data) VALUES (?1)")
            .and_then(|mut insert| insert.execute([data]))
            .expect("a row");
    }

    fn flush(&mut self) {
        commit(&self.db, &mut self.is_open);
    }
}

const DELETE_PENDING: &str = "DELETE FROM bus_pending WHERE queue = 1 AND seq = ?1";

/// The rows that the bus's store writes for a change, and nothing else: task, delivery, ids, counters.
pub(crate) struct BareStore {
    db: Connection,
    is_open: bool,
    last: i64,
    taken: i64,
}

impl BareStore {
    pub(crate) fn make(path: &Path) -> Self {
        let db = open_bare(path);
        db.execute_batch(&bus_store_sqlite::migrations_sql()).expect("the store's tables");
        db.execute("INSERT INTO bus_queue (id, connector, direction) VALUES (1, 'sink', 0)", [])
            .expect("a queue");
        Self { db, is_open: false, last: 0, taken: 0 }
    }

    /// Reads 100 and deletes 100, in one transaction, until nothing is left. How many there were.
    pub(crate) fn drain(&mut self) -> usize {
        self.drain_by([DELETE_PENDING, "DELETE FROM bus_task WHERE id = ?1"])
    }

    /// The same, but what has ended is kept, as the bus does.
    pub(crate) fn drain_keeping(&mut self) -> usize {
        let keep = "INSERT INTO bus_history (seq, queue, state, ended_at, attempts, key, reason, task, shared, data_type, policy,
                        idempotency_key)
                    SELECT seq, queue, 0, 0, 1, key, NULL, task, shared, data_type, policy, idempotency_key
                    FROM bus_pending WHERE queue = 1 AND seq = ?1";
        self.drain_by([keep, DELETE_PENDING])
    }

    /// Does two things with each; its id and its task's are the same.
    fn drain_by(&mut self, ends: [&str; 2]) -> usize {
        let mut drained = 0;
        loop {
            begin(&self.db, &mut self.is_open);
            let mut read = self
                .db
                .prepare_cached(
                    "SELECT p.seq, p.task, p.key, t.subject, t.data FROM bus_pending p JOIN bus_task t ON t.id = p.task
                     WHERE p.queue = 1 ORDER BY p.seq LIMIT 100",
                )
                .expect("a statement");
            let row = |row: &rusqlite::Row<'_>| {
                let (_key, _subject): (String, String) = (row.get(2)?, row.get(3)?);
                let data: Vec<u8> = row.get(4)?;
                Ok((row.get::<_, i64>(0)?, data))
            };
            let page: Vec<_> = read.query_map([], row).and_then(Iterator::collect).expect("rows");
            drop(read);
            for (seq, data) in &page {
                std::hint::black_box(data);
                for sql in ends {
                    self.db.prepare_cached(sql).and_then(|mut end| end.execute([seq])).expect("a row");
                }
            }
            commit(&self.db, &mut self.is_open);
            if page.is_empty() {
                return drained;
            }
            drained += page.len();
        }
    }
}

impl Log for BareStore {
    fn append(&mut self, data: &[u8]) {
        begin(&self.db, &mut self.is_open);
        self.last += 1;
        self.taken += 1;
        let (id, key) = (self.last, format!("bench.item={}", self.last));
        self.db
            .prepare_cached(
                "INSERT INTO bus_task (id, subject, operation, title, content_type, site, origin, logged_at, data)
                 VALUES (?1, 'bench.item', 0, 'Create Item', 'application/json', NULL, NULL, 0, ?2)",
            )
            .and_then(|mut insert| insert.execute(params![id, data]))
            .expect("a row");
        self.db
            .prepare_cached(
                "INSERT INTO bus_pending (queue, seq, key, task, shared, data_type, policy, idempotency_key)
                 VALUES (1, ?1, ?2, ?1, 0, 1, 0, ?3)",
            )
            .and_then(|mut insert| insert.execute(params![id, key, [7_u8; 16]]))
            .expect("a row");
    }

    fn flush(&mut self) {
        if self.taken == 0 {
            return;
        }
        self.db
            .prepare_cached("UPDATE bus_queue SET logged = logged + ?1, open = open + ?1 WHERE id = 1")
            .and_then(|mut update| update.execute([self.taken]))
            .expect("a row");
        self.db
            .prepare_cached("UPDATE bus_sequence SET task = ?1, delivery = ?1 WHERE id = 1")
            .and_then(|mut update| update.execute([self.last]))
            .expect("a row");
        self.taken = 0;
        commit(&self.db, &mut self.is_open);
    }
}

fn begin(db: &Connection, is_open: &mut bool) {
    if !*is_open {
        db.prepare_cached("BEGIN IMMEDIATE")
            .and_then(|mut begin| begin.execute([]))
            .expect("nobody else writes");
        *is_open = true;
    }
}

fn commit(db: &Connection, is_open: &mut bool) {
    db.prepare_cached("COMMIT").and_then(|mut commit| commit.execute([])).expect("the disk flushes");
    *is_open = false;
}

/// A log behind a thread of its own that flushes once for all who wait: the group commit that the bus does, bare.
#[derive(Clone)]
pub(crate) struct Grouped(Sender<(Vec<u8>, oneshot::Sender<()>)>);

impl Grouped {
    pub(crate) fn start(mut log: impl Log) -> Self {
        let (sender, inbox) = channel::<(Vec<u8>, oneshot::Sender<()>)>();
        thread::spawn(move || {
            while let Ok(first) = inbox.recv() {
                let mut group = vec![first];
                while group.len() < GROUP_MAX
                    && let Ok(more) = inbox.try_recv()
                {
                    group.push(more);
                }
                for (data, _) in &group {
                    log.append(data);
                }
                log.flush();
                for (_, caller) in group {
                    // Whoever asked may have gone away.
                    let _ = caller.send(());
                }
            }
        });
        Self(sender)
    }

    /// Durable when it returns.
    pub(crate) async fn append(&self, data: Vec<u8>) {
        let (caller, answer) = oneshot::channel();
        self.0.send((data, caller)).expect("the thread works");
        answer.await.expect("the thread answers");
    }
}
