//! What compiles and what does not, and what the author is told then.
//!
//! The messages are compared on one compiler only, since their rustc half differs from release to release; any other
//! compiler still has to refuse each case and to accept the others. To accept changed messages, run with
//! `TRYBUILD=overwrite` on that compiler and read each of them aloud.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::{env, fs, io};

/// The compiler whose messages are kept.
const COMPILER: &str = "1.95";

/// Where the cases are, when they are not compared.
const COPIES: &str = "BUS_COMPILE_FAIL_COPIES";

#[test]
fn each_slip_is_told_to_its_author() {
    let compiler = compiler();
    if let Some(copies) = env::var_os(COPIES) {
        refuse(Path::new(&copies));
    } else if compiler.starts_with(&format!("rustc {COMPILER}.")) {
        refuse(Path::new("compile_fail"));
    } else {
        // Past the harness, which keeps what a passing test prints to itself.
        let _ = writeln!(
            io::stderr(),
            "{compiler} words its errors differently from rustc {COMPILER}: the messages are NOT compared, only that \
             each case is refused"
        );
        refuse_copies();
    }
}

#[test]
fn what_is_right_compiles() {
    trybuild::TestCases::new().pass("compile_pass/*.rs");
}

/// One slip a file, one error each.
#[test]
fn one_slip_is_one_error() {
    for case in cases().filter(|case| !case.ends_with("several_mistakes_at_once.rs")) {
        let messages = fs::read_to_string(case.with_extension("stderr")).unwrap();
        let found = messages.lines().filter(|line| line.starts_with("error")).count();
        let known = TOLD_MORE_THAN_ONCE.iter().find(|(name, _, _)| case.ends_with(name));
        let expected = known.map_or(1, |(_, errors, _)| *errors);
        assert_eq!(found, expected, "{}:\n{messages}", case.display());
    }
}

/// What we cannot mend, how many errors it is, and why.
const TOLD_MORE_THAN_ONCE: &[(&str, usize, &str)] = &[
    ("without_impl_connector.rs", 2, "two impls are missing, and both are missed"),
    ("from_what_is_no_object.rs", 2, "both halves of the derive are missing, and both are missed"),
    (
        "reference_to_no_object.rs",
        6,
        "the compiler and serde's derives meet the same field one after the other; the first is ours",
    ),
];

fn refuse(cases: &Path) {
    let cases = cases.join("*/*.rs");
    trybuild::TestCases::new().compile_fail(cases);
}

/// Runs this test once more, on copies of the cases beside which no messages stand, so that whatever the compiler
/// says is right as long as it refuses.
fn refuse_copies() {
    let copies = Path::new(env!("CARGO_TARGET_TMPDIR")).join("compile_fail");
    for case in cases() {
        let copy = copies.join(case.strip_prefix("compile_fail").unwrap());
        fs::create_dir_all(copy.parent().unwrap()).unwrap();
        fs::copy(&case, &copy).unwrap();
    }
    let status = Command::new(env::current_exe().unwrap())
        .args(["--exact", "each_slip_is_told_to_its_author"])
        .env(COPIES, copies)
        .env("TRYBUILD", "overwrite")
        .status()
        .unwrap();
    assert!(status.success());
}

fn cases() -> impl Iterator<Item = PathBuf> {
    let files = |folder: &Path| fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    files(Path::new("compile_fail"))
        .flat_map(move |kind| files(&kind))
        .filter(|path| path.extension().is_some_and(|extension| extension == "rs"))
}

fn compiler() -> String {
    let rustc = env::var_os("RUSTC").unwrap_or_else(|| "rustc".into());
    let output = Command::new(rustc).arg("--version").output().unwrap();
    String::from_utf8(output.stdout).unwrap()
}
