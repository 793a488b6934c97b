//! How a bus stops: takes nothing new, lets what runs end, drops it after the grace, and says what is left.

use std::fmt;

use bus_store::QueueId;

/// What a stopped bus leaves behind: durable, and done by whoever starts it next.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ShutdownReport {
    /// Open deliveries by queue; queues without any are left out.
    pub open: Vec<(QueueId, u64)>,
    /// Whether calls had to be dropped because the grace was over.
    pub dropped_calls: bool,
}

impl fmt::Display for ShutdownReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the bus has stopped")?;
        if self.dropped_calls {
            f.write_str(
                "; calls that took longer than the grace were dropped, their deliveries are tried again",
            )?;
        }
        if self.open.is_empty() {
            return f.write_str("; nothing is left open");
        }
        for (index, (queue, open)) in self.open.iter().enumerate() {
            write!(f, "{} {open} for {queue}", if index == 0 { "; left open:" } else { "," })?;
        }
        Ok(())
    }
}
