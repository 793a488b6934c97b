//! Changes that the application makes and logs in transactions of its own: the process ends at every place of them, and at
//! every place of the relay. What was committed is told, once logged; what was not is never heard of.

use std::collections::BTreeSet;

use bus_runtime::Logged;
use bus_tests_crash::{Item, Manners};
use bus_tests_history::Event;
use rusqlite::{Connection, TransactionBehavior};

use crate::bench::{Place, Running};
use crate::child::{AFTER_CHANGE, AFTER_HOST_COMMIT, BEFORE_HOST_COMMIT, Plan, Work};
use crate::points::end_at_each_place;

/// Id, name of the change, and whether it is committed.
const CHANGES: [(i64, &str, bool); 5] =
    [(1, "one", true), (2, "two", true), (1, "three", false), (1, "four", true), (2, "five", true)];

fn story(place: &Place) -> Plan {
    let mut plan = Plan::new(place, "p", Work::Transactions);
    plan.manners = Manners { retry_percent: 40, ..Manners::default() };
    plan.seed = 7;
    plan
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_end_at_each_place_of_a_transaction_of_the_host_leaves_both_or_neither() {
    end_at_each_place(story, compare).await;
}

/// What the application has in its tables is what the bus was given, each once.
fn compare(place: &Place, context: &str) {
    let db = connect(place);
    let mut select = db.prepare("SELECT change FROM made").expect("the host's table");
    let made = select.query_map([], |row| row.get(0)).expect("made");
    let made: BTreeSet<String> = made.collect::<Result<_, _>>().expect("names");
    let entries = bus_tests_history::read(&place.0.join("journal")).expect("the journal");
    let told = entries.into_iter().filter_map(|entry| match entry.event {
        Event::Called { change, .. } => Some(change),
        _ => None,
    });
    assert_eq!(told.collect::<BTreeSet<_>>(), made, "{context}");
    let logged: i64 =
        db.query_row("SELECT coalesce(sum(logged), 0) FROM bus_queue", [], |row| row.get(0)).expect("a sum");
    assert_eq!(usize::try_from(logged).expect("few"), made.len(), "{context}");
}

fn connect(place: &Place) -> Connection {
    let db = Connection::open(place.0.join("bus.db")).expect("the host opens its file");
    let tables = "PRAGMA synchronous = FULL;
                  CREATE TABLE IF NOT EXISTS item (id INTEGER PRIMARY KEY, change TEXT NOT NULL);
                  CREATE TABLE IF NOT EXISTS made (change TEXT PRIMARY KEY)";
    db.execute_batch(tables).expect("the host's tables");
    db
}

/// The application's work: one change after the other, each in a transaction of its own.
pub(crate) async fn change_and_log(running: &Running, place: &Place) {
    let mut db = connect(place);
    for (id, name, is_committed) in CHANGES {
        let item = Item { id, change: format!("{}.{name}", running.who), ballast: String::new() };
        running.tell(Event::Invoked { change: item.change.clone(), key: Item::key(id) });
        let transaction = db.transaction_with_behavior(TransactionBehavior::Immediate).expect("begun");
        let before = transaction.query_row("SELECT change FROM item WHERE id = ?1", [id], |row| row.get(0));
        let logged = match before {
            Ok(change) => Logged::updated(&Item { change, ..item.clone() }, &item),
            Err(_) => Logged::created(&item),
        };
        let statement = running.bus.log(logged).await.expect("a statement");
        let write = "INSERT INTO item VALUES (?1, ?2) ON CONFLICT DO UPDATE SET change = excluded.change";
        transaction.execute(write, (id, &item.change)).expect("written");
        transaction.execute("INSERT INTO made VALUES (?1)", [&item.change]).expect("written");
        fail::fail_point!(AFTER_CHANGE);
        transaction.execute(statement.sql(), [statement.json()]).expect("logged");
        fail::fail_point!(BEFORE_HOST_COMMIT);
        let change = item.change;
        if is_committed {
            transaction.commit().expect("committed");
            fail::fail_point!(AFTER_HOST_COMMIT);
            running.tell(Event::Acknowledged { change });
        } else {
            transaction.rollback().expect("rolled back");
            running.tell(Event::Refused { change });
        }
        running.until_settled().await;
    }
}
