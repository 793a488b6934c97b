//! Runs the example as a user does.

use std::collections::BTreeSet;
use std::env;
use std::fs;
use std::path::Path;
use std::process::Command;

#[test]
fn rows_and_cards_are_the_same_and_what_was_rolled_back_is_neither() {
    let folder = tempfile::tempdir().unwrap();
    for run in 1..=2 {
        let printed = run_example(folder.path());
        let rows: Vec<_> = printed.lines().skip(1).collect();
        let ids: Vec<_> = (0..run).map(|number| number * 2 + 1).collect();
        for (id, row) in ids.iter().zip(&rows) {
            assert_eq!(*row, format!("{id:>3} Ada Lovelace Ada Lovelace"));
        }
        assert_eq!(rows[run..], [format!("{run} cards")], "{printed}");
        let cards = fs::read_dir(folder.path().join("host-transaction-data/cards")).unwrap();
        let cards: BTreeSet<_> = cards.map(|card| card.unwrap().file_name()).collect();
        assert_eq!(cards, ids.iter().map(|id| format!("{id}.txt").into()).collect());
    }
}

/// What a run prints; it must succeed, and have nothing to say about trouble.
fn run_example(folder: &Path) -> String {
    let this = env::current_exe().unwrap();
    let profile = this.parent().and_then(Path::parent).unwrap();
    let example = profile.join("examples").join(format!("host_transaction{}", env::consts::EXE_SUFFIX));
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
