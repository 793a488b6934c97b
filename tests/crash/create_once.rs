//! An external system that does what it is asked, and whose answer is lost with the process, at every place between the
//! change and its outcome: it has one object afterwards, or one delivery waits for a person to look.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use bus_core::descriptor::{DescribedConnector, DescribedObject};
use bus_core::{Change, Connector, Cx, Failure, NoSettings, Outgoing, Sought, connector};
use bus_runtime::{Bus, Config, ConnectorConfig, DeliveryFilter, Doubt, Registry, StoreConfig, Synchronous};
use bus_tests_crash::Item;
use serde_json::{Value, json};

use crate::bench::{brisk, queue};
use crate::child::STORE_POINTS;
use crate::processes::{self, Process, folder, say};

// Before and after the external system does what it is asked.
const ASKED: &str = "shelf-asked";
const DONE: &str = "shelf-done";
const POINTS: [&str; 5] = [STORE_POINTS[0], STORE_POINTS[1], STORE_POINTS[2], ASKED, DONE];

/// How many children run at a time.
const AT_A_TIME: usize = 3;

/// The external system: a folder with a file for each object that it has. Clones are the same.
#[derive(Clone)]
struct Shelf(PathBuf);

impl Shelf {
    /// Makes an object under this name, or under a new one; what is there already is as it was.
    fn create(&self, name: Option<String>, of: &str) -> Result<String, Failure> {
        fail::fail_point!(ASKED);
        let name = name.unwrap_or_else(|| format!("new-{}", self.objects().len() + 1));
        let mut file = File::create(self.0.join(&name))?;
        file.write_all(of.as_bytes())?;
        file.sync_all()?;
        fail::fail_point!(DONE);
        Ok(name)
    }

    /// The names of the objects, and of which of the host's they are.
    fn objects(&self) -> BTreeMap<String, String> {
        let files = fs::read_dir(&self.0).expect("the shelf").map(|file| file.expect("a file").path());
        files.map(|file| (name_of(&file), fs::read_to_string(&file).expect("an object"))).collect()
    }
}

fn name_of(file: &Path) -> String {
    file.file_name().expect("a name").to_string_lossy().into_owned()
}

/// Looks up what may be there.
#[connector(name = "shelf-finder", create_once = find, needs(Shelf))]
#[outgoing(Item, data = simple)]
struct Finder;

/// Names what it makes by the idempotency key.
#[connector(name = "shelf-repeater", create_once = repeatable, needs(Shelf))]
#[outgoing(Item, data = simple)]
struct Repeater;

/// Can do neither.
#[connector(name = "shelf-doubter", create_once = in_doubt, needs(Shelf))]
#[outgoing(Item, data = simple)]
struct Doubter;

macro_rules! shelves {
    ($($connector:ident named $name:expr;)*) => {
        $(
            impl Connector for $connector {
                type Settings = NoSettings;

                async fn connect(_: NoSettings, _: &Cx) -> Result<Self, Failure> {
                    Ok(Self)
                }

                async fn find_external(&self, sought: &Sought<'_>, cx: &Cx) -> Result<Option<String>, Failure> {
                    let objects = cx.handle::<Shelf>()?.objects();
                    let key = sought.key.to_string();
                    Ok(objects.into_iter().find(|(_, of)| *of == key).map(|(name, _)| name))
                }
            }

            impl Outgoing<Item> for $connector {
                async fn deliver(&self, change: Change<Item>, cx: &Cx) -> Result<(), Failure> {
                    let named: fn(&Change<Item>) -> Option<String> = $name;
                    let name = change.external_id().map(str::to_owned).or_else(|| named(&change));
                    let name = cx.handle::<Shelf>()?.create(name, &change.key().to_string())?;
                    change.bind(name);
                    Ok(())
                }
            }
        )*
    };
}

shelves! {
    Finder named |_| None;
    Repeater named |change| Some(change.idempotency_key().to_string());
    Doubter named |_| None;
}

/// A child that saves one item where it is not there yet, and works until nothing is to be done.
fn start(place: &Path, uses: &str, ends_at: Option<(&str, u64)>) -> Process {
    let (point, passing) = ends_at.unzip();
    let plan = json!({ "place": place, "uses": uses, "point": point, "passing": passing });
    Process::start("create_once::child_that_creates_one", &plan.to_string())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn child_that_creates_one() {
    let Some(plan) = processes::plan() else { return };
    let plan: Value = serde_json::from_str(&plan).expect("a plan");
    let place = PathBuf::from(plan["place"].as_str().expect("a place"));
    let uses = plan["uses"].as_str().expect("a connector");
    let config =
        Config::new(StoreConfig::Sqlite { path: place.join("bus.db"), synchronous: Synchronous::Full });
    let connector = ConnectorConfig::new(queue().connector).uses(uses).processing(brisk(100));
    let linked = [Finder::DESCRIPTOR, Repeater::DESCRIPTOR, Doubter::DESCRIPTOR];
    let registry = Registry::of(linked, [Item::DESCRIPTOR]).expect("a registry");
    let builder = Bus::builder(config.connector(connector)).registry(registry);
    let bus = builder.provide(Shelf(place.join("shelf"))).start().await.expect("it starts");
    // Only from here on: how a file begins, and how work is found again, is shown elsewhere.
    let passed = count_points(&plan);
    if bus.objects().load::<Item>(&1).await.expect("asked").is_none() {
        let mut item = Item { id: 1, change: "made".to_owned(), ballast: String::new() };
        bus.objects().save(&mut item).await.expect("saved");
    }
    bus.until_idle().await;
    let open = bus.deliveries(&queue(), &DeliveryFilter::default()).await.expect("listed");
    for delivery in open {
        let doubt = bus.delivery(delivery.delivery).await.expect("it is open").doubt;
        say(if doubt == Doubt::InDoubt { "left in doubt" } else { "left" });
    }
    bus.shutdown().await;
    for (point, passed) in POINTS.iter().zip(passed) {
        say(&format!("passed {point} {}", passed.load(Ordering::SeqCst)));
    }
}

fn count_points(plan: &Value) -> Vec<Arc<AtomicU64>> {
    let count = |point: &&'static str| {
        let passed = Arc::new(AtomicU64::new(0));
        let ends_at = plan["passing"].as_u64().filter(|_| plan["point"] == **point);
        let counted = Arc::clone(&passed);
        let pass = move || {
            if Some(counted.fetch_add(1, Ordering::SeqCst) + 1) == ends_at {
                std::process::abort();
            }
        };
        fail::cfg_callback(*point, pass).expect("the place is known");
        passed
    };
    POINTS.iter().map(count).collect()
}

/// What a child said until its end; whether it came to it by itself.
fn listen(mut child: Process) -> (Vec<String>, bool) {
    let said: Vec<String> = std::iter::from_fn(|| child.line()).collect();
    (said, child.finish())
}

/// What became of one story.
#[derive(Default)]
struct Told {
    ended: bool,
    in_doubt: bool,
}

/// Ends the story at this place, lets another process end it, and judges what the external system has then.
fn end_at(uses: &str, point: &str, passing: u64) -> Told {
    let folder = folder();
    let shelf = Shelf(folder.path().join("shelf"));
    fs::create_dir(&shelf.0).expect("a shelf");
    let (_, came_through) = listen(start(folder.path(), uses, Some((point, passing))));
    let (said, finished) = listen(start(folder.path(), uses, None));
    let context = format!("{uses} ended at passing {passing} of {point}: {said:?}, {:?}", shelf.objects());
    assert!(finished, "{context}");
    let left: Vec<&String> = said.iter().filter(|line| line.starts_with("left")).collect();
    let in_doubt = left == ["left in doubt"];
    let made = shelf.objects().len();
    assert!(made == 1 || (made == 0 && in_doubt), "{context}");
    assert!(left.is_empty() || (in_doubt && uses == Doubter::DESCRIPTOR.name), "{context}");
    if point == DONE && !came_through {
        assert_eq!(in_doubt, uses == Doubter::DESCRIPTOR.name, "{context}");
    }
    Told { ended: !came_through, in_doubt }
}

fn passed(uses: &str) -> Vec<(&'static str, u64)> {
    let folder = folder();
    fs::create_dir(folder.path().join("shelf")).expect("a shelf");
    let (said, finished) = listen(start(folder.path(), uses, None));
    assert!(finished, "{said:?}");
    let of = |point: &&'static str| {
        let line = said.iter().find_map(|line| line.strip_prefix(&format!("passed {point} ")));
        (*point, line.and_then(|times| times.parse().ok()).expect("a number"))
    };
    POINTS.iter().map(of).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_lost_answer_makes_no_second_object_wherever_the_process_ends() {
    for uses in [Finder::DESCRIPTOR.name, Repeater::DESCRIPTOR.name, Doubter::DESCRIPTOR.name] {
        let passed = tokio::task::spawn_blocking(|| passed(uses)).await.expect("no panic");
        println!("{uses} passes {passed:?}");
        assert!(passed.iter().all(|(_, times)| *times > 0), "{passed:?}");
        let mut places =
            passed.into_iter().flat_map(|(point, times)| (1..=times).map(move |passing| (point, passing)));
        let (mut ended, mut in_doubt) = (0, 0);
        loop {
            let together: Vec<_> = places.by_ref().take(AT_A_TIME).collect();
            if together.is_empty() {
                break;
            }
            let told = together
                .into_iter()
                .map(|(point, passing)| tokio::task::spawn_blocking(move || end_at(uses, point, passing)));
            for told in told.collect::<Vec<_>>() {
                let told = told.await.expect("no panic");
                ended += u64::from(told.ended);
                in_doubt += u64::from(told.in_doubt);
            }
        }
        println!("{uses}: {ended} ends, {in_doubt} in doubt");
        assert!(ended > 10, "{uses}: {ended}");
        assert_eq!(in_doubt > 0, uses == Doubter::DESCRIPTOR.name, "{uses}: {in_doubt}");
    }
}
