//! Runs the example with a real CardDAV server, as a user does.

use std::path::Path;
use std::process::Command;

#[test]
fn two_systems_are_kept_in_step_and_a_change_travels_once() {
    let folder = tempfile::tempdir().unwrap();
    // The server is installed once, beside what was built.
    let built = Path::new(env!("CARGO_TARGET_TMPDIR")).join("radicale");
    std::fs::create_dir_all(&built).unwrap();
    std::fs::create_dir_all(folder.path().join("two-way-data")).unwrap();
    std::os::unix::fs::symlink(&built, folder.path().join("two-way-data/radicale")).unwrap();
    let test = std::env::current_exe().unwrap();
    let example = test.parent().unwrap().parent().unwrap().join("examples/two_way");
    let output = Command::new(example).current_dir(&folder).output().unwrap();
    let said =
        format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{said}");
    assert!(said.contains("8 writes at the server: all there is says nothing new"), "{said}");
    assert!(said.ends_with("Both sides agree, and nothing goes round.\n"), "{said}");
}
