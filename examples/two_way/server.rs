//! Radicale, a CardDAV server: installed, started and stopped.

use std::fs::{self, File};
use std::io;
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output};
use std::time::Duration;

use bus_core::Clock;
use bus_runtime::SystemClock;

use crate::scene::Failing;

/// The longest that it may take until it answers.
const START_MAX: Duration = Duration::from_mins(1);

/// How long after a look at it the next one is.
const LOOK_AGAIN: Duration = Duration::from_millis(20);

/// What is installed where Python does not have it.
const RADICALE: &str = "radicale>=3.1,<4";

const REMEDY: &str = "install Python 3 with venv and pip (Debian: apt-get install python3 python3-venv) where PyPI can be \
                      reached, or Radicale itself (Debian: apt-get install radicale)";

/// A Python that has Radicale: the computer's own, or one in this folder, made if need be.
pub(crate) fn install(folder: &Path) -> Failing<PathBuf> {
    let own = PathBuf::from("python3");
    let private = folder.join("bin/python3");
    for python in [&own, &private] {
        if run(python, &["-c", "import radicale"]).is_ok() {
            return Ok(python.clone());
        }
    }
    eprintln!("installing Radicale into {}", folder.display());
    let folder = folder.to_str().ok_or("the folder's name is not Unicode; choose another one")?;
    run(&own, &["-m", "venv", folder])?;
    run(&private, &["-m", "pip", "install", "--quiet", "--disable-pip-version-check", RADICALE])?;
    Ok(private)
}

fn run(program: &Path, arguments: &[&str]) -> Failing<()> {
    let failed = |why: String| Err(format!("{} {}: {why}\n{REMEDY}", program.display(), arguments.join(" ")));
    match Command::new(program).args(arguments).output() {
        Ok(Output { status, .. }) if status.success() => Ok(()),
        Ok(Output { stdout, stderr, .. }) => {
            failed(format!("{}{}", String::from_utf8_lossy(&stdout), String::from_utf8_lossy(&stderr)))?
        }
        Err(error) => failed(error.to_string())?,
    }
}

/// A server of this program's own, on this computer only.
pub(crate) struct Server {
    python: PathBuf,
    folder: PathBuf,
    port: u16,
    running: Option<Child>,
}

impl Server {
    /// A server with its data in this folder, on a port that is free.
    pub(crate) fn new(python: PathBuf, folder: &Path) -> Failing<Self> {
        let port = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()?.port();
        fs::create_dir_all(folder)?;
        let folder = folder.canonicalize()?;
        let config = format!(
            "[server]\nhosts = 127.0.0.1:{port}\n[auth]\ntype = none\n[storage]\nfilesystem_folder = {}\n",
            folder.join("collections").display()
        );
        fs::write(folder.join("config"), config)?;
        Ok(Self { python, folder, port, running: None })
    }

    pub(crate) fn url(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    /// Starts it, and returns when it answers.
    pub(crate) async fn start(&mut self) -> Failing<()> {
        let log = File::options().create(true).append(true).open(self.log())?;
        let mut command = Command::new(&self.python);
        command.args(["-m", "radicale", "--config"]).arg(self.folder.join("config"));
        let running = self.running.insert(command.stdout(log.try_clone()?).stderr(log).spawn()?);
        let until = SystemClock.now().plus(START_MAX);
        while TcpStream::connect((Ipv4Addr::LOCALHOST, self.port)).is_err() {
            if running.try_wait()?.is_some() || SystemClock.now() > until {
                let log = fs::read_to_string(self.log())?;
                return Err(format!("Radicale does not start; see why in its log:\n{log}").into());
            }
            SystemClock.sleep_until(SystemClock.now().plus(LOOK_AGAIN)).await;
        }
        Ok(())
    }

    /// Kills it, as a computer that crashes would.
    pub(crate) fn stop(&mut self) -> io::Result<()> {
        let Some(mut running) = self.running.take() else { return Ok(()) };
        running.kill()?;
        running.wait().map(drop)
    }

    /// How many cards it was asked to write or to remove, since it was first started.
    pub(crate) fn writes(&self) -> io::Result<usize> {
        let log = fs::read_to_string(self.log())?;
        let is_write =
            |line: &&str| line.contains("] PUT request for") || line.contains("] DELETE request for");
        Ok(log.lines().filter(is_write).count())
    }

    fn log(&self) -> PathBuf {
        self.folder.join("log")
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // It may have ended by itself; there is nothing more to be done about it here.
        let _ended = self.stop();
    }
}
