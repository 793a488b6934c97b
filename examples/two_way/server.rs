//! Radicale, started and stopped.

use std::error::Error;
use std::fs::{self, File};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command};
use std::thread;
use std::time::{Duration, Instant};

/// The longest that it may take until it answers, with its installation.
const START_MAX: Duration = Duration::from_mins(5);

/// How long after a look at it the next one is.
const LOOK_AGAIN: Duration = Duration::from_millis(50);

/// A server of this program's own, on this computer only.
pub(crate) struct Server {
    folder: PathBuf,
    port: u16,
    running: Option<Child>,
}

impl Server {
    /// A server with its data in this folder, on a port that is free.
    pub(crate) fn new(folder: &Path) -> Result<Self, Box<dyn Error>> {
        let port = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()?.port();
        fs::create_dir_all(folder)?;
        Ok(Self { folder: folder.canonicalize()?, port, running: None })
    }

    pub(crate) fn url(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    /// Starts it, and returns when it answers.
    pub(crate) fn start(&mut self) -> Result<(), Box<dyn Error>> {
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("two_way/radicale.sh");
        let log = File::options().create(true).append(true).open(self.log())?;
        let mut command = Command::new("bash");
        command.arg(script).arg(&self.folder).arg(self.port.to_string());
        let running = self.running.insert(command.stdout(log.try_clone()?).stderr(log).spawn()?);
        let began = Instant::now();
        while TcpStream::connect((Ipv4Addr::LOCALHOST, self.port)).is_err() {
            if running.try_wait()?.is_some() || began.elapsed() > START_MAX {
                let log = fs::read_to_string(self.log())?;
                return Err(format!("Radicale does not start:\n{log}").into());
            }
            thread::sleep(LOOK_AGAIN);
        }
        Ok(())
    }

    /// Asks it to end, and returns when it has.
    pub(crate) fn stop(&mut self) -> Result<(), Box<dyn Error>> {
        if let Some(mut running) = self.running.take() {
            Command::new("kill").arg(running.id().to_string()).status()?;
            running.wait()?;
        }
        Ok(())
    }

    /// How many cards it was asked to write or to remove.
    pub(crate) fn writes(&self) -> Result<usize, Box<dyn Error>> {
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
        if let Some(mut running) = self.running.take() {
            // It may have ended by itself; there is nothing more to be done about it here.
            let _ = running.kill();
            let _ = running.wait();
        }
    }
}
