//! What the tests with several processes share: a child is this very test binary, running one of its tests.

#![allow(dead_code, reason = "each test binary uses its part of this")]

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, ChildStdout, Command, Stdio};

use bus_core::{ConnectorName, DataType, DeliveryId, Direction, ErrorPolicy, ObjectOperation, Timestamp};
use bus_store::operate::{DeliveryFilter, DeliverySummary};
use bus_store::{
    Acquired, Claimed, Heartbeat, NewDelivery, NewTask, Operate, Ownership, Queue, QueueId, Terms, Travel,
    Wanted,
};
use bus_store_sqlite::SqliteStore;
use uuid::Uuid;

/// Tells a test that it is the child, and which file it works on.
const CHILD_FILE: &str = "BUS_TEST_CHILD_FILE";

/// The file that this process is to work on, if it is a child.
pub(crate) fn child_file() -> Option<String> {
    std::env::var(CHILD_FILE).ok()
}

/// A child that runs one test of this binary, and says what it does line by line.
pub(crate) struct Process {
    child: Child,
    lines: BufReader<ChildStdout>,
}

impl Process {
    /// Starts the test of this name as a child that works on this file.
    pub(crate) fn start(test: &str, file: &Path) -> Self {
        let me = std::env::current_exe().expect("the path of this test");
        Self::spawn(Command::new(me).args(["--exact", test, "--nocapture"]), file)
    }

    /// The same as a user who owns nothing; root itself would pass every permission check.
    pub(crate) fn start_as_nobody(test: &str, file: &Path) -> Self {
        let me = std::env::current_exe().expect("the path of this test");
        let mut command = Command::new("setpriv");
        command.args(["--reuid=65534", "--regid=65534", "--clear-groups"]).arg(me);
        Self::spawn(command.args(["--exact", test, "--nocapture"]), file)
    }

    fn spawn(command: &mut Command, file: &Path) -> Self {
        let mut child = command
            .env(CHILD_FILE, file)
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .expect("a child process");
        let lines = BufReader::new(child.stdout.take().expect("its output"));
        Self { child, lines }
    }

    /// The next line that the child itself wrote (its test harness writes, too); `None` at its end.
    pub(crate) fn line(&mut self) -> Option<String> {
        let mut line = String::new();
        while self.lines.read_line(&mut line).expect("a line of the child") > 0 {
            // What was cut off by the end of the child was never said.
            if let Some(said) = line.strip_suffix('\n').and_then(|line| line.split_once("child: ")) {
                return Some(said.1.to_owned());
            }
            line.clear();
        }
        None
    }

    /// Ends it at once, without a chance to do anything more, and answers what it had still said.
    pub(crate) fn kill(mut self) -> Vec<String> {
        self.child.kill().expect("kill");
        self.child.wait().expect("wait");
        std::iter::from_fn(|| self.line()).collect()
    }

    /// Waits for its end, and answers what it said.
    pub(crate) fn finish(mut self) -> Vec<String> {
        let said = std::iter::from_fn(|| self.line()).collect();
        assert!(self.child.wait().expect("wait").success(), "the child failed");
        said
    }
}

/// Says something to the parent.
pub(crate) fn say(line: &str) {
    use std::io::Write as _;
    let mut out = std::io::stdout().lock();
    writeln!(out, "child: {line}").expect("the parent listens");
    out.flush().expect("the parent listens");
}

pub(crate) fn queue() -> QueueId {
    QueueId::new(ConnectorName::parse("crm").expect("a name"), Direction::Outgoing)
}

pub(crate) fn task(key: &str, title: &str) -> NewTask {
    NewTask {
        direction: Direction::Outgoing,
        subject: "app.user".to_owned(),
        key: key.to_owned(),
        operation: ObjectOperation::Update,
        title: title.to_owned(),
        data: vec![b'x'; 200],
        content_type: "application/json".to_owned(),
        site: None,
        origin: None,
        logged_at: Timestamp::EPOCH,
        redelivers: None,
        idempotency: None,
        travel: Travel::default(),
        deliveries: vec![NewDelivery {
            connector: queue().connector,
            data_type: DataType::Snapshot,
            policy: ErrorPolicy::Default,
            idempotency_key: Uuid::nil(),
        }],
    }
}

/// Becomes the owner of the queue, which must be free.
pub(crate) async fn own(store: &SqliteStore) -> Ownership {
    match store.acquire(&queue(), Terms::default(), Timestamp::EPOCH).await.expect("acquire") {
        Acquired::Owned(ownership) => ownership,
        Acquired::Taken(heartbeat) => panic!("process {} owns the queue", heartbeat.owner),
    }
}

/// Asks for the queue, which somebody else owns.
pub(crate) async fn ask(store: &SqliteStore, silent: Option<Heartbeat>) -> Heartbeat {
    let terms = Terms { silent, ..Terms::default() };
    match store.acquire(&queue(), terms, Timestamp::EPOCH).await.expect("acquire") {
        Acquired::Taken(heartbeat) => heartbeat,
        Acquired::Owned(_) => panic!("the queue was free"),
    }
}

pub(crate) async fn claim(store: &SqliteStore, owner: &Ownership, limit: usize) -> Vec<Claimed> {
    store.claim(owner, Wanted::up_to(limit), Timestamp::EPOCH).await.expect("claim").deliveries
}

/// All open deliveries, page by page.
pub(crate) async fn open_deliveries(store: &SqliteStore) -> Vec<DeliverySummary> {
    let mut all: Vec<DeliverySummary> = Vec::new();
    loop {
        let after: Option<DeliveryId> = all.last().map(|last| last.delivery);
        let filter = DeliveryFilter { after, ..DeliveryFilter::default() };
        let page = store.deliveries(&queue(), &filter).await.expect("deliveries");
        if page.is_empty() {
            return all;
        }
        all.extend(page);
    }
}
