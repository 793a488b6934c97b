//! Where participants write down what they do.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::path::Path;
use std::sync::{Mutex, PoisonError};

use crate::event::{Entry, Event};

/// What an entry ends with: what was cut off by the end of its writer was never written.
const END: char = ';';

/// A place to write entries to, shared by everybody.
pub trait Journal: Send + Sync {
    /// Appends an entry; it is kept when this returns.
    fn append(&self, who: &str, event: Event);
}

/// A journal in memory, for participants of one process.
#[derive(Debug, Default)]
pub struct MemoryJournal(Mutex<Vec<Entry>>);

impl MemoryJournal {
    /// What was written.
    pub fn entries(&self) -> Vec<Entry> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

impl Journal for MemoryJournal {
    fn append(&self, who: &str, event: Event) {
        let entry = Entry { who: who.to_owned(), event };
        self.0.lock().unwrap_or_else(PoisonError::into_inner).push(entry);
    }
}

/// A journal in a file that several processes append to at once.
#[derive(Debug)]
pub struct FileJournal(File);

impl FileJournal {
    /// The journal in this file, which is made if it is not there.
    pub fn open(path: &Path) -> io::Result<Self> {
        OpenOptions::new().append(true).create(true).open(path).map(Self)
    }
}

impl Journal for FileJournal {
    fn append(&self, who: &str, event: Event) {
        let entry = Entry { who: who.to_owned(), event };
        // One write, so that entries do not mix; a line of its own, whatever a killed writer has left behind.
        let line = format!("\n{entry} {END}");
        let written = (&self.0).write_all(line.as_bytes()).and_then(|()| self.0.sync_data());
        written.unwrap_or_else(|error| panic!("the journal cannot be written: {error}"));
    }
}

/// What was written to the journal in this file.
pub fn read(path: &Path) -> io::Result<Vec<Entry>> {
    let text = fs::read(path)?;
    let text = String::from_utf8_lossy(&text);
    let whole = text.lines().filter_map(|line| line.strip_suffix(END));
    whole.map(|line| line.parse().map_err(io::Error::other)).collect()
}
