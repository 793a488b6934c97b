//! Children: this very test binary, running one of its tests, which is told what to do by its environment.

use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Child, ChildStdout, Command, Stdio};

use rustix::process::{Pid, Signal, kill_process};

/// Tells a test that it is the child, and what it is to do.
const PLAN: &str = "BUS_TEST_CHILD";

/// What this process is to do, if it is a child.
pub(crate) fn plan() -> Option<String> {
    std::env::var(PLAN).ok()
}

/// A child, and what it says line by line.
pub(crate) struct Process {
    child: Child,
    lines: BufReader<ChildStdout>,
}

impl Process {
    /// Starts the test of this name as a child with this plan.
    pub(crate) fn start(test: &str, plan: &str) -> Self {
        Self::start_by(Command::new(me()), test, plan)
    }

    /// Starts it by another program, which is given the path of this one and what to run.
    pub(crate) fn start_through(program: &str, arguments: &[&str], test: &str, plan: &str) -> Self {
        let mut command = Command::new(program);
        command.args(arguments).arg(me());
        Self::start_by(command, test, plan)
    }

    fn start_by(mut command: Command, test: &str, plan: &str) -> Self {
        let child = command
            .args(["--exact", test, "--nocapture", "--test-threads=1"])
            .env(PLAN, plan)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn();
        let mut child = child.unwrap_or_else(|error| panic!("a child process: {error}"));
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

    /// Listens until it says this; panics if it ends before.
    pub(crate) fn until(&mut self, wanted: &str) {
        while self.line().unwrap_or_else(|| panic!("the child ended without saying `{wanted}`")) != wanted {}
    }

    /// Ends it at once, without a chance to do anything more.
    pub(crate) fn kill(mut self) {
        self.child.kill().expect("kill");
        self.child.wait().expect("wait");
    }

    /// Stops it, wherever it is.
    pub(crate) fn stop(&self) {
        kill_process(Pid::from_child(&self.child), Signal::STOP).expect("stop");
    }

    /// Lets it go on after it was stopped.
    pub(crate) fn go_on(&self) {
        kill_process(Pid::from_child(&self.child), Signal::CONT).expect("go on");
    }

    /// Waits for its end; whether it came to it by itself.
    pub(crate) fn finish(mut self) -> bool {
        while self.line().is_some() {}
        self.child.wait().expect("wait").success()
    }
}

fn me() -> std::path::PathBuf {
    std::env::current_exe().expect("the path of this test")
}

/// Says something to the parent.
pub(crate) fn say(line: &str) {
    let mut out = std::io::stdout().lock();
    // A parent that has heard enough does not listen any more.
    let _ = writeln!(out, "child: {line}").and_then(|()| out.flush());
}

/// Whether a rig is to run for long.
pub(crate) fn is_long() -> bool {
    std::env::var_os("BUS_TEST_LONG").is_some_and(|value| value != "0")
}

/// A folder for a store that need not survive the power: in memory where there is such a place.
pub(crate) fn folder() -> tempfile::TempDir {
    let memory = Path::new("/dev/shm");
    let folder = if memory.is_dir() { tempfile::tempdir_in(memory) } else { tempfile::tempdir() };
    folder.expect("a folder")
}
