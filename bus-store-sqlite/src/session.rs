//! One piece of work inside the writer's transaction: the connection, what the writer remembers, and what is to be
//! counted and rung if the piece of work succeeds.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};

use bus_core::{ConnectorName, SiteName};
use bus_store::QueueId;
use rusqlite::{Connection, OptionalExtension, Statement, params};

use crate::code::{Code, connector_name};
use crate::error::Fault;
use crate::schema;

/// How many object numbers are written down as given at once.
const OBJECT_NUMBERS_RESERVED: i64 = 64;

/// What the writer remembers from one transaction to the next, as long as nobody else writes.
#[derive(Debug, Default)]
pub(crate) struct Memo {
    /// As `SQLite` counts what other connections commit.
    data_version: Option<i64>,
    /// How often connectors or switches may have been set: by this process, and with every commit of another one.
    revision: u64,
    sequence: Option<Sequence>,
    queues: HashMap<QueueId, i64>,
    queues_by_number: HashMap<i64, QueueId>,
    /// Whether anything waits; `None` when it is not known.
    waits: Option<bool>,
    /// Whether any late reference was delivered unresolved; `None` when it is not known.
    late: Option<bool>,
    /// The connectors that were deleted; `None` when it is not known.
    deleted: Option<HashSet<String>>,
    /// Whether transactions of the application have settled anything that is not carried out; `None` when it is not
    /// known.
    settling: Option<bool>,
    /// The names of the sites; `None` when they are not known.
    sites: Option<HashSet<String>>,
    /// Whether another process has written since a transaction of this one was committed: it may have brought the schema
    /// further.
    pub(crate) is_schema_unsure: bool,
    /// Whether the store is full: what ends makes room, instead of being kept as history.
    pub(crate) is_full: bool,
}

/// The largest ids given so far.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Sequence {
    pub(crate) task: i64,
    pub(crate) delivery: i64,
    pub(crate) object_number: i64,
    /// Up to here, object numbers are written down as given, so that most of them cost no flush.
    object_numbers_reserved: i64,
    is_changed: bool,
}

/// What is added to a queue's counters.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Tally {
    pub(crate) logged: i64,
    pub(crate) completed: i64,
    pub(crate) skipped: i64,
    pub(crate) discarded: i64,
    pub(crate) cancelled: i64,
    pub(crate) retried: i64,
    pub(crate) waited: i64,
    pub(crate) stale: i64,
}

/// What follows from the pieces of work that succeeded.
#[derive(Debug, Default)]
pub(crate) struct Effects {
    tallies: BTreeMap<i64, Tally>,
    bells: BTreeSet<QueueId>,
    rings_late: bool,
}

impl Memo {
    /// Forgets everything; the next transaction reads it again.
    pub(crate) fn forget(&mut self) {
        let Self { data_version, revision, is_schema_unsure, is_full, .. } = *self;
        *self = Self { data_version, revision, is_schema_unsure, is_full, ..Self::default() };
    }

    /// Forgets what a piece of work that was undone may have brought. The sequence stays: a number that was given
    /// and not used is not given again.
    pub(crate) fn forget_undone(&mut self) {
        self.queues.clear();
        self.queues_by_number.clear();
        self.waits = None;
        self.late = None;
        self.deleted = None;
        self.settling = None;
        self.sites = None;
    }

    /// Whether another connection has committed since this was asked last.
    pub(crate) fn look(&mut self, db: &Connection) -> rusqlite::Result<bool> {
        let seen: i64 = db.prepare_cached("PRAGMA data_version")?.query_row([], |row| row.get(0))?;
        let is_changed = self.data_version.is_some_and(|before| before != seen);
        if is_changed {
            self.forget();
            self.revision += 1;
            self.is_schema_unsure = true;
        }
        self.data_version = Some(seen);
        Ok(is_changed)
    }

    fn remember_queue(&mut self, queue: &QueueId, number: i64) {
        self.queues.insert(queue.clone(), number);
        self.queues_by_number.insert(number, queue.clone());
    }
}

impl Effects {
    /// Adds what followed from one more piece of work.
    pub(crate) fn absorb(&mut self, other: Self) {
        for (queue, more) in other.tallies {
            self.tallies.entry(queue).or_default().add(more);
        }
        self.bells.extend(other.bells);
        self.rings_late |= other.rings_late;
    }

    /// Writes the counters, one update for each queue that was touched.
    pub(crate) fn write(&mut self, db: &Connection) -> rusqlite::Result<()> {
        let mut update = db.prepare_cached(
            "UPDATE bus_queue SET logged = logged + ?2, completed = completed + ?3, discarded = discarded + ?4,
                 retried = retried + ?5, waited = waited + ?6, stale = stale + ?7, skipped = skipped + ?8,
                 cancelled = cancelled + ?9, open = open + ?2 - ?3 - ?4 - ?8 - ?9
             WHERE id = ?1",
        )?;
        for (queue, tally) in &self.tallies {
            let Tally { logged, completed, skipped, discarded, cancelled, retried, waited, stale } = *tally;
            update.execute(params![
                queue, logged, completed, discarded, retried, waited, stale, skipped, cancelled
            ])?;
        }
        Ok(())
    }

    /// The queues whose bells are to be rung once the transaction is committed.
    pub(crate) fn bells(&self) -> impl Iterator<Item = &QueueId> {
        self.bells.iter()
    }

    /// Whether the bell of late references is to be rung then.
    pub(crate) fn rings_late(&self) -> bool {
        self.rings_late
    }
}

impl Tally {
    fn add(&mut self, more: Self) {
        self.logged += more.logged;
        self.completed += more.completed;
        self.skipped += more.skipped;
        self.discarded += more.discarded;
        self.cancelled += more.cancelled;
        self.retried += more.retried;
        self.waited += more.waited;
        self.stale += more.stale;
    }
}

/// One piece of work inside the writer's transaction.
pub(crate) struct Session<'a> {
    pub(crate) db: &'a Connection,
    memo: &'a mut Memo,
    pub(crate) effects: Effects,
}

impl<'a> Session<'a> {
    pub(crate) fn new(db: &'a Connection, memo: &'a mut Memo) -> Self {
        Self { db, memo, effects: Effects::default() }
    }

    /// A prepared statement, kept for the life of the connection.
    pub(crate) fn prepare(&self, sql: &str) -> rusqlite::Result<rusqlite::CachedStatement<'a>> {
        self.db.prepare_cached(sql)
    }

    /// The largest ids given so far; whoever changes them has them written at the end of the transaction.
    pub(crate) fn sequence(&mut self) -> rusqlite::Result<&mut Sequence> {
        if self.memo.sequence.is_none() {
            let read = |row: &rusqlite::Row<'_>| {
                Ok(Sequence {
                    task: row.get(0)?,
                    delivery: row.get(1)?,
                    object_number: row.get(2)?,
                    object_numbers_reserved: row.get(2)?,
                    is_changed: false,
                })
            };
            let sql = "SELECT task, delivery, object_number FROM bus_sequence WHERE id = 1";
            self.memo.sequence = Some(self.prepare(sql)?.query_row([], read)?);
        }
        self.memo.sequence.as_mut().ok_or(rusqlite::Error::QueryReturnedNoRows)
    }

    /// Marks the sequence as changed; see [`Session::sequence`].
    pub(crate) fn next_task(&mut self) -> rusqlite::Result<i64> {
        let sequence = self.sequence()?;
        sequence.task += 1;
        sequence.is_changed = true;
        Ok(sequence.task)
    }

    pub(crate) fn next_delivery(&mut self) -> rusqlite::Result<i64> {
        let sequence = self.sequence()?;
        sequence.delivery += 1;
        sequence.is_changed = true;
        Ok(sequence.delivery)
    }

    /// No new object gets a number up to this one.
    pub(crate) fn raise_object_number(&mut self, number: i64) -> rusqlite::Result<()> {
        let sequence = self.sequence()?;
        sequence.object_number = sequence.object_number.max(number);
        if number > sequence.object_numbers_reserved {
            sequence.object_numbers_reserved = number;
            sequence.is_changed = true;
        }
        Ok(())
    }

    /// A number that no object has or had; `None` when there is none left. Those that are reserved and not given when
    /// the store is closed, or another process writes, are never given.
    pub(crate) fn next_object_number(&mut self) -> rusqlite::Result<Option<i64>> {
        let sequence = self.sequence()?;
        let Some(number) = sequence.object_number.checked_add(1) else {
            return Ok(None);
        };
        sequence.object_number = number;
        if number > sequence.object_numbers_reserved {
            sequence.object_numbers_reserved = number.saturating_add(OBJECT_NUMBERS_RESERVED - 1);
            sequence.is_changed = true;
        }
        Ok(Some(number))
    }

    /// Writes the sequence if it has changed.
    pub(crate) fn write_sequence(&mut self) -> rusqlite::Result<()> {
        let Some(sequence) = self.memo.sequence.as_mut().filter(|sequence| sequence.is_changed) else {
            return Ok(());
        };
        sequence.is_changed = false;
        let Sequence { task, delivery, object_numbers_reserved, .. } = *sequence;
        let sql = "UPDATE bus_sequence SET task = ?1, delivery = ?2, object_number = ?3 WHERE id = 1";
        self.prepare(sql)?.execute([task, delivery, object_numbers_reserved])?;
        Ok(())
    }

    /// The number of a queue, which is made if it is not there.
    pub(crate) fn queue_number(&mut self, queue: &QueueId) -> rusqlite::Result<i64> {
        if let Some(number) = self.existing_queue_number(queue)? {
            return Ok(number);
        }
        let sql = "INSERT INTO bus_queue (connector, direction) VALUES (?1, ?2)";
        self.prepare(sql)?.execute(params![queue.connector.as_str(), queue.direction.to_code()])?;
        let number = self.db.last_insert_rowid();
        self.memo.remember_queue(queue, number);
        Ok(number)
    }

    /// The number of a queue that is there.
    pub(crate) fn existing_queue_number(&mut self, queue: &QueueId) -> rusqlite::Result<Option<i64>> {
        if let Some(number) = self.memo.queues.get(queue) {
            return Ok(Some(*number));
        }
        let mut find = self.prepare(FIND_QUEUE)?;
        let number = find_queue(&mut find, queue)?;
        if let Some(number) = number {
            self.memo.remember_queue(queue, number);
        }
        Ok(number)
    }

    /// Rings the bell of a queue once the transaction is committed.
    pub(crate) fn ring(&mut self, queue: i64) -> Result<(), Fault> {
        if let Some(id) = self.memo.queues_by_number.get(&queue) {
            self.effects.bells.insert(id.clone());
            return Ok(());
        }
        let sql = "SELECT connector, direction FROM bus_queue WHERE id = ?1";
        let (connector, direction): (String, i64) =
            self.prepare(sql)?.query_row([queue], |row| Ok((row.get(0)?, row.get(1)?)))?;
        let id = QueueId::new(connector_name(connector)?, Code::from_code(direction)?);
        self.memo.remember_queue(&id, queue);
        self.effects.bells.insert(id);
        Ok(())
    }

    /// What is added to the counters of a queue.
    pub(crate) fn tally(&mut self, queue: i64) -> &mut Tally {
        self.effects.tallies.entry(queue).or_default()
    }

    /// Whether the schema has to be looked at before anything is written.
    pub(crate) fn is_schema_unsure(&self) -> bool {
        self.memo.is_schema_unsure
    }

    /// Whether the store is full, so that what ends is to make room.
    pub(crate) fn is_full(&self) -> bool {
        self.memo.is_full
    }

    /// Whether anything waits for anything, in whichever queue.
    pub(crate) fn anything_waits(&mut self) -> rusqlite::Result<bool> {
        if let Some(waits) = self.memo.waits {
            return Ok(waits);
        }
        let waits =
            self.prepare("SELECT EXISTS (SELECT 1 FROM bus_wait)")?.query_row([], |row| row.get(0))?;
        self.memo.waits = Some(waits);
        Ok(waits)
    }

    /// To be called by whoever writes or deletes a wait.
    pub(crate) fn waits_changed(&mut self) {
        self.memo.waits = None;
    }

    /// Whether anything was told without all that it refers to, to whichever connector.
    pub(crate) fn is_anything_late(&mut self) -> rusqlite::Result<bool> {
        if let Some(late) = self.memo.late {
            return Ok(late);
        }
        let late = self.prepare("SELECT EXISTS (SELECT 1 FROM bus_late)")?.query_row([], |row| row.get(0))?;
        self.memo.late = Some(late);
        Ok(late)
    }

    /// To be called by whoever writes or deletes a late reference.
    pub(crate) fn late_changed(&mut self) {
        self.memo.late = None;
    }

    /// Rings the bell of late references once the transaction is committed.
    pub(crate) fn ring_late(&mut self) {
        self.effects.rings_late = true;
    }

    /// Whether transactions of the application have settled anything that is not carried out.
    pub(crate) fn anything_settling(&mut self) -> rusqlite::Result<bool> {
        if let Some(settling) = self.memo.settling {
            return Ok(settling);
        }
        let sql = "SELECT EXISTS (SELECT 1 FROM bus_settling)";
        let settling = self.prepare(sql)?.query_row([], |row| row.get(0))?;
        self.memo.settling = Some(settling);
        Ok(settling)
    }

    /// To be called by whoever carries out what was settled.
    pub(crate) fn settling_changed(&mut self) {
        self.memo.settling = None;
    }

    /// Whether this connector was deleted, and not registered again.
    pub(crate) fn is_deleted(&mut self, connector: &ConnectorName) -> rusqlite::Result<bool> {
        if self.memo.deleted.is_none() {
            let mut list = self.prepare("SELECT name FROM bus_deleted_connector")?;
            let names = list.query_map([], |row| row.get(0))?;
            self.memo.deleted = Some(names.collect::<Result<_, _>>()?);
        }
        Ok(self.memo.deleted.as_ref().is_some_and(|deleted| deleted.contains(connector.as_str())))
    }

    /// To be called by whoever deletes a connector, or registers one.
    pub(crate) fn deletions_changed(&mut self) {
        self.memo.deleted = None;
    }

    /// Whether a site of this name is registered.
    pub(crate) fn has_site(&mut self, site: &SiteName) -> rusqlite::Result<bool> {
        if self.memo.sites.is_none() {
            let mut list = self.prepare("SELECT name FROM bus_site")?;
            let names = list.query_map([], |row| row.get(0))?;
            self.memo.sites = Some(names.collect::<Result<_, _>>()?);
        }
        Ok(self.memo.sites.as_ref().is_some_and(|sites| sites.contains(site.as_str())))
    }

    /// To be called by whoever registers a site, or removes one.
    pub(crate) fn sites_changed(&mut self) {
        self.memo.sites = None;
    }

    /// To be called by whoever sets what is read of connectors, or the switches.
    pub(crate) fn connectors_changed(&mut self) {
        self.memo.revision += 1;
    }

    pub(crate) fn revision(&self) -> u64 {
        self.memo.revision
    }

    /// To be called after this piece of work was undone.
    pub(crate) fn undone(&mut self) {
        self.memo.forget_undone();
        self.effects = Effects::default();
    }

    /// Refuses to go on when another process has brought the schema further than this one knows.
    pub(crate) fn check_schema(&self) -> Result<(), Fault> {
        schema::check_not_newer(self.db)
    }
}

pub(crate) const FIND_QUEUE: &str = "SELECT id FROM bus_queue WHERE connector = ?1 AND direction = ?2";

pub(crate) fn find_queue(find: &mut Statement<'_>, queue: &QueueId) -> rusqlite::Result<Option<i64>> {
    let parameters = params![queue.connector.as_str(), queue.direction.to_code()];
    find.query_row(parameters, |row| row.get(0)).optional()
}
