//! Runs the quickstart as a user does, and kills it where a user might.

use std::collections::BTreeSet;
use std::env;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use bus_runtime::{Bus, Config};
use iso3166_connector::{Country, Subdivision};
use tantivy::collector::DocSetCollector;
use tantivy::query::AllQuery;
use tantivy::schema::Value as _;
use tantivy::{Index, TantivyDocument};
use tempfile::TempDir;

/// The most objects that are listed at once.
const PAGE: usize = 1_000;

#[tokio::test]
async fn a_first_run_imports_everything_a_second_changes_nothing_and_a_deleted_country_leaves_the_index() {
    let folder = tempfile::tempdir().unwrap();

    let first = run(&folder, &[]);
    let [logged, completed, waited, retried, waiting, parked] = row(&first, "iso3166 incoming");
    assert_eq!([logged, completed], [5_295, 5_295]);
    assert!(waited > 1_000, "thousands arrive before their country:\n{first}");
    assert_eq!([retried, waiting, parked], [0, 0, 0]);
    assert_eq!(row(&first, "search-index outgoing"), [5_295, 5_295, 0, 0, 0, 0]);
    assert_counts(&first, 249, 5_046);
    assert!(first.contains("\n  Bayern (Land, DE-BY) in Germany\n"), "{first}");
    assert!(first.contains("\n  Zürich (Canton, CH-ZH) in Switzerland\n"), "{first}");
    let indexed = index(&folder);
    assert_eq!(indexed.len(), 5_295, "everything stands in the index once");

    let second = run(&folder, &[]);
    assert_eq!(row(&second, "iso3166 incoming"), [5_295, 5_295, 0, 0, 0, 0]);
    assert_eq!(row(&second, "search-index outgoing"), [0; 6], "nothing is logged outgoing");
    assert!(second.contains("Nothing had changed"), "{second}");
    assert_counts(&second, 249, 5_046);
    assert_eq!(index(&folder), indexed);

    let deleted = run(&folder, &["delete", "DE"]);
    assert_eq!(row(&deleted, "search-index outgoing"), [17, 17, 0, 0, 0, 0], "the country and its 16 parts");
    assert_counts(&deleted, 248, 5_030);
    assert!(run(&folder, &["search", "bayern"]).contains("search bayern: nothing"));
    let without: BTreeSet<_> = indexed.iter().filter(|entry| !entry.contains("Germany")).cloned().collect();
    assert_eq!(index(&folder), without);

    let renamed = run(&folder, &["rename", "CH", "Confoederatio", "Helvetica"]);
    assert_eq!(row(&renamed, "search-index outgoing"), [1, 1, 0, 0, 0, 0]);
    let zurich = run(&folder, &["search", "zurich"]);
    assert!(zurich.contains("Zürich (Canton, CH-ZH) in Confoederatio Helvetica"), "{zurich}");

    let restored = run(&folder, &[]);
    let [_, _, _, retried, waiting, parked] = row(&restored, "iso3166 incoming");
    assert_eq!([retried, waiting, parked], [0, 0, 0]);
    assert_eq!(
        row(&restored, "search-index outgoing"),
        [18, 18, 0, 0, 0, 0],
        "what differed from what ISO says"
    );
    assert_eq!(index(&folder), indexed);
}

#[tokio::test]
async fn a_run_that_is_killed_anywhere_ends_in_the_same_state_when_it_is_started_again() {
    let undisturbed = tempfile::tempdir().unwrap();
    run(&undisturbed, &[]);
    let expected = index(&undisturbed);
    let expected_objects = objects(&undisturbed).await;
    assert_eq!(expected_objects.len(), 5_295);

    // Each kill finds what the ones before it left.
    let folder = tempfile::tempdir().unwrap();
    for at in [
        Reached::Logged(1),
        Reached::Imported(1),
        Reached::Indexed(1),
        Reached::Logged(4),
        Reached::Imported(3),
    ] {
        killed(&folder, at);
    }
    let last = run(&folder, &[]);
    let [logged, _, _, retried, waiting, parked] = row(&last, "iso3166 incoming");
    assert_eq!([logged, retried, waiting, parked], [5_295, 0, 0, 0], "{last}");
    let [_, _, _, retried, waiting, parked] = row(&last, "search-index outgoing");
    assert_eq!([retried, waiting, parked], [0, 0, 0], "{last}");
    assert_counts(&last, 249, 5_046);
    assert_eq!(index(&folder), expected);
    assert_eq!(objects(&folder).await, expected_objects);
}

#[test]
fn an_argument_that_is_not_understood_is_refused_with_the_usage() {
    let folder = tempfile::tempdir().unwrap();
    for (arguments, reason) in [
        (&["delete", "XX"][..], "`XX` is not the alpha-2 code of a country"),
        (&["destroy"], "`destroy` is not understood"),
    ] {
        let output = command(&folder).args(arguments).output().unwrap();
        assert_eq!(output.status.code(), Some(2));
        let message = String::from_utf8(output.stderr).unwrap();
        assert!(message.contains(reason) && message.contains("usage:"), "{message}");
        assert!(!data(&folder).exists(), "nothing was begun");
    }
}

fn data(folder: &TempDir) -> PathBuf {
    folder.path().join("quickstart-data")
}

/// The example, which cargo builds before it runs these tests.
fn command(folder: &TempDir) -> Command {
    let this = env::current_exe().unwrap();
    let profile = this.parent().and_then(Path::parent).unwrap();
    let example = profile.join("examples").join(format!("quickstart{}", env::consts::EXE_SUFFIX));
    assert!(
        example.exists(),
        "{} is not built; run `cargo test -p bus-examples`, or `cargo build --examples` before",
        example.display()
    );
    let mut command = Command::new(example);
    command.current_dir(folder.path());
    command
}

/// What a run prints; it must succeed, and have nothing to say about trouble.
fn run(folder: &TempDir, arguments: &[&str]) -> String {
    let output = command(folder).args(arguments).output().unwrap();
    let (printed, trouble) =
        (String::from_utf8(output.stdout).unwrap(), String::from_utf8(output.stderr).unwrap());
    assert!(output.status.success(), "{trouble}\n{printed}");
    assert_eq!(trouble, "", "{printed}");
    printed
}

/// So many quarters were done, in this run, of as many as there are records.
#[derive(Debug, Clone, Copy)]
enum Reached {
    Logged(u64),
    Imported(u64),
    Indexed(u64),
}

/// Runs until this is reached, then kills it. The process has no chance to do anything about it.
fn killed(folder: &TempDir, at: Reached) {
    let mut child = command(folder).stdout(Stdio::piped()).spawn().unwrap();
    let lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let mut printed = String::new();
    for line in lines {
        let line = line.unwrap();
        printed.push_str(&line);
        printed.push('\n');
        let Some([logged, imported, indexed]) = progress(&line) else {
            continue;
        };
        let is_there = match at {
            Reached::Logged(quarters) => logged * 4 >= quarters * 5_295,
            Reached::Imported(quarters) => imported * 4 >= quarters * 5_295,
            Reached::Indexed(quarters) => indexed * 4 >= quarters * 5_295,
        };
        if is_there {
            break;
        }
    }
    child.kill().unwrap();
    let status = child.wait().unwrap();
    assert!(!status.success(), "it ended before it was killed at {at:?}:\n{printed}");
}

/// `logged 1401 of 5295, imported 10, indexed 1`
fn progress(line: &str) -> Option<[u64; 3]> {
    let mut parts = line.strip_prefix("logged ")?.split(", ");
    let logged = parts.next()?.split(' ').next()?;
    let imported = parts.next()?.strip_prefix("imported ")?;
    let indexed = parts.next()?.strip_prefix("indexed ")?;
    Some([logged.parse().ok()?, imported.parse().ok()?, indexed.parse().ok()?])
}

/// The figures behind a queue's name.
fn row(printed: &str, queue: &str) -> [u64; 6] {
    let line = printed.lines().find(|line| line.starts_with(queue));
    let line = line.unwrap_or_else(|| panic!("no line of {queue}:\n{printed}"));
    let figures: Vec<_> =
        line[queue.len()..].split_whitespace().map(|figure| figure.parse().unwrap()).collect();
    figures.try_into().unwrap()
}

fn assert_counts(printed: &str, countries: usize, subdivisions: usize) {
    for place in ["in the host: ", "in the index:"] {
        let line = format!("{place} {countries} countries, {subdivisions} subdivisions");
        assert!(printed.contains(&line), "no `{line}` in\n{printed}");
    }
}

/// Everything that stands in the index but the ids that it was given: category, code, name and country of each entry.
/// What stands there twice is told apart by how often.
fn index(folder: &TempDir) -> BTreeSet<String> {
    let index = Index::open_in_dir(data(folder).join("index")).unwrap();
    let searcher = index.reader().unwrap().searcher();
    let schema = index.schema();
    let fields = ["category", "code", "name", "country_name"].map(|name| schema.get_field(name).unwrap());
    let mut entries = BTreeSet::new();
    for address in searcher.search(&AllQuery, &DocSetCollector).unwrap() {
        let document: TantivyDocument = searcher.doc(address).unwrap();
        let text =
            |field| document.get_first(field).and_then(|value| value.as_str()).unwrap_or_default().to_owned();
        let entry = fields.map(text).join(" | ");
        assert!(entries.insert(entry.clone()), "it stands in the index twice: {entry}");
    }
    entries
}

/// All objects of the host, each reference as the code of what it points at. Registers no connector, so nothing is
/// worked on meanwhile, and no later run finds any.
async fn objects(folder: &TempDir) -> BTreeSet<String> {
    let config = Config::from_text("store = \"bus.db\"", data(folder)).unwrap();
    let bus = Bus::builder(config).start().await.unwrap();
    let store = bus.objects();
    let countries: Vec<Country> = store.list(None, PAGE).await.unwrap();
    let code_of =
        |id: i64| countries.iter().find(|country| country.id == id).map(|country| country.alpha2.clone());
    let mut found: BTreeSet<_> =
        countries.iter().map(|country| format!("{:?}", Country { id: 0, ..country.clone() })).collect();
    let mut after = None;
    loop {
        let page: Vec<Subdivision> = store.list(after.as_ref(), PAGE).await.unwrap();
        let Some(last) = page.last() else { break };
        after = Some(last.id);
        for Subdivision { code, name, category, country, .. } in page {
            let country = country.host_id().copied().and_then(code_of);
            found.insert(format!("{code} {name} {category} {}", country.expect("its country is there")));
        }
    }
    bus.shutdown().await;
    found
}
