//! A bus that is killed again and again, at random moments and at random places of the store's transactions: nothing is
//! lost, invented, out of order or done twice without an excuse.

use bus_tests_crash::Manners;
use bus_tests_history::{Dice, Event, Journal, Rules, Wrong};

use crate::bench::{Place, Running};
use crate::child::{Plan, STORE_POINTS, Work};
use crate::processes::{folder, is_long};

const KILLS: u32 = 400;
const KILLS_LONG: u32 = 20_000;

/// After how many kills everything is let end, so that what is judged at once stays small.
const KILLS_EACH: u32 = 40;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_bus_that_is_killed_again_and_again_keeps_its_word() {
    let mut dice = Dice::for_test("kills");
    let mut by_itself = 0;
    let kills = if is_long() { KILLS_LONG } else { KILLS };
    for story in 0..kills / KILLS_EACH {
        let folder = folder();
        let place = Place::from(folder.path());
        let journal = place.journal();
        for round in 0..KILLS_EACH {
            let who = format!("p{round}");
            by_itself += u32::from(kill_once(&place, &who, &mut dice));
            journal.append(&who, Event::Killed);
        }
        let last = Running::start(&place, "last").await;
        last.retry_parked().await;
        last.finish().await;
        let report = place.judge(Rules { attempts_max: None }, &format!("story {story}"));
        assert_eq!(report.kills, usize::try_from(KILLS_EACH).expect("a small number"));
        assert!(report.acknowledged > 10 && report.calls > 10, "the children did something: {report:?}");
        println!("story {story}: {report:?}");
    }
    println!("{kills} kills, {by_itself} of them at a place of a transaction");
    assert!(kills / 4 < by_itself && by_itself < kills * 3 / 4, "both kinds of ends");
}

/// A rig that has not failed proves nothing: a bus that keeps its tasks in memory does not pass.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_bus_that_forgets_is_found_out() {
    let folder = folder();
    let place = Place::from(folder.path());
    let mut plan = Plan::new(&place, "p0", Work::Writes { first: 1 });
    plan.manners = Manners { retry_percent: 100, ..Manners::default() };
    plan.forgets = true;
    let mut child = plan.start();
    for _ in 0..20 {
        child.line().expect("the child goes on");
    }
    child.kill();
    place.journal().append("p0", Event::Killed);
    Running::start(&place, "last").await.finish().await;
    let found = place.report(Rules { attempts_max: None }).1;
    assert_eq!(found.wrongs(), [Wrong::Lost].into(), "{found:?}");
}

/// One life of a bus, and its end: whether it ended itself, at a place of a transaction.
fn kill_once(place: &Place, who: &str, dice: &mut Dice) -> bool {
    let mut plan = Plan::new(place, who, Work::Writes { first: 1 });
    plan.seed = dice.roll();
    plan.manners = Manners { retry_percent: 8, reject_percent: 1, panic_percent: 1, ..Manners::default() };
    if dice.percent(50) {
        let point = dice.choose(&STORE_POINTS).expect("there are places");
        let most = if *point == STORE_POINTS[0] { 600 } else { 30 };
        plan.ends_at = Some(((*point).to_owned(), 1 + dice.below(most)));
        assert!(!plan.start().finish(), "it ends itself");
        return true;
    }
    let lines = dice.below(60);
    let mut child = plan.start();
    for _ in 0..=lines {
        child.line().expect("the child goes on");
    }
    child.kill();
    false
}
