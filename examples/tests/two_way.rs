//! Runs the example with a real CardDAV server, as a user does.

use std::env;
use std::path::Path;
use std::process::{Command, Output};

/// What a run prints. Each step has been checked on both sides before its line is printed.
const STORY: &str = "\
Here, Ada Lovelace of Acme is added.
  2 writes at the server so far, then silence: two cards, and hers names that of Acme
There, Bob of Initech is added; Initech has no card yet.
There, Initech is added.
  4 writes at the server so far, then silence: theirs, and nothing is told back
Here, Bob gets a number. There, Ada gets another name.
  6 writes at the server so far, then silence: one on each side
The server crashes. Here, Eve is added, and Ada gets another number.
The server is started again.
  8 writes at the server so far, then silence: nothing is lost, and nothing repeated
The application is stopped. There, Eve gets another number.
The application is started again.
  9 writes at the server so far, then silence: only what has changed meanwhile is asked for
While nothing is delivered, Ada gets a number here, and another one there.
  to be decided of app.person 2: phone
Somebody asks her: theirs is right.
  1 resolved
  12 writes at the server so far, then silence: what was on its way, and what was decided
There, something is put among the cards that is none, and Carl is added.
  parked: update person_card /two_way/people/broken.vcf: what begins with `BEGIN:VLIST` is no vCard; put one in its place, or remove it
There, it makes way for the card of Dora. Here, its task is ended.
  1 skipped
  16 writes at the server so far, then silence: what cannot be read is not answered
There, Bob is removed. Here, Eve is.
  18 writes at the server so far, then silence: two deletes, each once
Everything is polled once more, from the start.
  18 writes at the server so far, then silence: all there is says nothing new
Both sides agree, and nothing goes round.
";

#[test]
fn two_systems_are_kept_in_step_and_a_change_travels_once() {
    let folder = tempfile::tempdir().unwrap();
    // Installed once, beside what is built.
    let radicale = Path::new(env!("CARGO_TARGET_TMPDIR")).join("radicale");
    for run in ["first", "second"] {
        let Output { status, stdout, stderr } =
            example().arg(&radicale).current_dir(&folder).output().unwrap();
        let (printed, said) = (String::from_utf8(stdout).unwrap(), String::from_utf8(stderr).unwrap());
        assert!(status.success(), "the {run} run: {printed}{said}");
        assert_eq!(printed, STORY, "the {run} run: {said}");
    }
}

#[test]
fn without_python_it_says_what_to_install() {
    let folder = tempfile::tempdir().unwrap();
    let Output { status, stdout, stderr } =
        example().current_dir(&folder).env("PATH", folder.path()).output().unwrap();
    let said = String::from_utf8(stderr).unwrap();
    assert_eq!(status.code(), Some(1), "{said}");
    assert!(stdout.is_empty(), "nothing was begun");
    assert!(said.contains("python3") && said.contains("apt-get install python3 python3-venv"), "{said}");
}

fn example() -> Command {
    let this = env::current_exe().unwrap();
    let profile = this.parent().and_then(Path::parent).unwrap();
    let example = profile.join("examples").join(format!("two_way{}", env::consts::EXE_SUFFIX));
    assert!(
        example.exists(),
        "{} is not built; run `cargo test -p bus-examples`, or `cargo build --examples` before",
        example.display()
    );
    Command::new(example)
}
