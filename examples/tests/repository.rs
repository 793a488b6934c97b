//! Runs the example as a user does.

use std::env;
use std::path::Path;
use std::process::Command;

#[test]
fn forms_become_rows_and_find_those_that_were_there() {
    let folder = tempfile::tempdir().unwrap();
    let printed = run_example(folder.path());
    // Forms of different people are applied side by side: who of the new ones is given which id, nobody says.
    let rows: Vec<_> = printed.lines().skip(1).map(|row| row[3..].trim()).collect();
    assert_eq!(rows, ["Ada Lovelace   founder", "Ben            -"], "{printed}");
    assert_eq!(run_example(folder.path()), printed, "the second run changes nothing");
}

/// What a run prints; it must succeed, and have nothing to say about trouble.
fn run_example(folder: &Path) -> String {
    let this = env::current_exe().unwrap();
    let profile = this.parent().and_then(Path::parent).unwrap();
    let example = profile.join("examples").join(format!("repository{}", env::consts::EXE_SUFFIX));
    assert!(
        example.exists(),
        "{} is not built; run `cargo test -p bus-examples`, or `cargo build --examples` before",
        example.display()
    );
    let run = Command::new(example).current_dir(folder).output().unwrap();
    let (printed, said) = (String::from_utf8(run.stdout).unwrap(), String::from_utf8(run.stderr).unwrap());
    assert!(run.status.success() && said.is_empty(), "{printed}{said}");
    printed
}
