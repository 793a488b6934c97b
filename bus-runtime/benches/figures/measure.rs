//! How is measured: all sides of a comparison in one run, in turns, so that only ratios of the same minute are taken.

use std::time::{Duration, Instant};

/// How much the readings of a reference before and after a round may differ; more, and the round is set aside.
const DRIFT_MAX: f64 = 0.25;

/// How many undisturbed rounds a comparison needs.
const ROUNDS_WANTED: usize = 5;

/// Now.
#[expect(clippy::disallowed_methods, reason = "a benchmark reads the clock")]
pub(crate) fn now() -> Instant {
    Instant::now()
}

/// How much is measured.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Plan {
    /// How many rounds at most; a comparison ends early when enough of them were undisturbed.
    pub(crate) rounds_max: usize,
    /// How long one side logs in one round.
    pub(crate) slice: Duration,
    /// How many deliveries are drained in one round.
    pub(crate) drained: usize,
    /// How many changes are timed on an idle bus in one round.
    pub(crate) timed: usize,
    /// How many external objects are imported at most.
    pub(crate) imported: usize,
    /// How many tasks stand in the queue for memory and start.
    pub(crate) backlog: usize,
    /// How many tasks are queued where the cost of a row is compared, from few to many.
    pub(crate) sizes: [usize; 4],
    /// How many rows are logged, and drained, in one round of such a comparison.
    pub(crate) rows: usize,
    /// How many keys are blocked.
    pub(crate) blocked: usize,
    /// How many tasks are queued when a process is killed.
    pub(crate) recovered: usize,
    /// How long an idle bus is watched.
    pub(crate) idle: Duration,
}

impl Plan {
    /// For figures.
    pub(crate) fn full() -> Self {
        Self {
            rounds_max: 9,
            slice: Duration::from_millis(300),
            drained: 100_000,
            timed: 300,
            imported: usize::MAX,
            backlog: 5_000_000,
            sizes: [1_000, 100_000, 1_000_000, 5_000_000],
            rows: 2_000,
            blocked: 10_000,
            recovered: 1_000_000,
            idle: Duration::from_secs(10),
        }
    }

    /// Only to see that everything works.
    pub(crate) fn quick() -> Self {
        Self {
            rounds_max: 2,
            slice: Duration::from_millis(30),
            drained: 2_000,
            timed: 20,
            imported: 300,
            backlog: 5_000,
            sizes: [1_000, 2_000, 5_000, 10_000],
            rows: 200,
            blocked: 500,
            recovered: 200_000,
            idle: Duration::from_millis(500),
        }
    }
}

/// What one side did in one round.
#[derive(Debug, Clone, Default)]
pub(crate) struct Reading {
    /// Per second.
    pub(crate) rate: f64,
    /// How long single calls took, in microseconds, sorted.
    micros: Vec<f64>,
}

impl Reading {
    /// So many in this time.
    pub(crate) fn of(count: usize, time: Duration, micros: Vec<f64>) -> Self {
        Self { rate: float(count) / time.as_secs_f64(), ..Self::timed(micros) }
    }

    /// Calls that are only timed.
    pub(crate) fn timed(mut micros: Vec<f64>) -> Self {
        micros.sort_by(f64::total_cmp);
        Self { rate: float(micros.len()) * 1e6 / micros.iter().sum::<f64>(), micros }
    }

    /// The time that this share of the calls took at most.
    pub(crate) fn percentile(&self, share: f64) -> f64 {
        percentile(&self.micros, share)
    }
}

/// The rounds of one comparison: for each side its readings.
#[derive(Debug)]
pub(crate) struct Series {
    sides: Vec<Vec<Reading>>,
    /// The sides that are read once more after the last round, so that each round has a reading before and after.
    references: Vec<usize>,
}

impl Series {
    pub(crate) fn new(sides: usize, references: &[usize]) -> Self {
        Self { sides: vec![Vec::new(); sides], references: references.to_vec() }
    }

    pub(crate) fn add(&mut self, side: usize, reading: Reading) {
        self.sides[side].push(reading);
    }

    /// Whether another round is wanted.
    pub(crate) fn goes_on(&self, plan: &Plan) -> bool {
        let rounds = self.sides.iter().map(Vec::len).min().unwrap_or(0);
        rounds < plan.rounds_max && self.steady().len() < ROUNDS_WANTED
    }

    /// The rounds throughout which the machine was the same.
    fn steady(&self) -> Vec<usize> {
        let is_steady = |round: &usize| {
            self.references.iter().all(|side| {
                let pair = (self.sides[*side].get(*round), self.sides[*side].get(round + 1));
                let (Some(before), Some(after)) = pair else {
                    return false;
                };
                (before.rate - after.rate).abs() <= DRIFT_MAX * before.rate.max(after.rate)
            })
        };
        (0..self.rounds()).filter(is_steady).collect()
    }

    pub(crate) fn rounds(&self) -> usize {
        self.sides.iter().map(Vec::len).min().unwrap_or(0)
    }

    /// The rounds that count: the steady ones, or all where too few were steady.
    pub(crate) fn counted(&self) -> Vec<usize> {
        let steady = self.steady();
        if steady.len() < ROUNDS_WANTED { (0..self.rounds()).collect() } else { steady }
    }

    /// How many rounds there were, how many count, and whether the machine was too unsteady.
    pub(crate) fn quality(&self) -> String {
        let steady = self.steady().len();
        let rounds = self.rounds();
        if steady < ROUNDS_WANTED {
            format!("**unsteady machine**: {steady} of {rounds} rounds were steady; all are used")
        } else {
            format!("{steady} of {rounds} rounds were steady, and are used")
        }
    }

    /// What is read off a side in each round that counts.
    pub(crate) fn each(&self, side: usize, read: impl Fn(&Reading) -> f64) -> Vec<f64> {
        self.counted().into_iter().map(|round| read(&self.sides[side][round])).collect()
    }

    /// Median of what is read off a side.
    pub(crate) fn median(&self, side: usize, read: impl Fn(&Reading) -> f64) -> f64 {
        median(self.each(side, read))
    }

    /// A side of this by the same side of another series that took turns with it, round by round.
    pub(crate) fn across(&self, other: &Self, side: usize, read: impl Fn(&Reading) -> f64) -> Ratio {
        let counted = other.counted();
        let mut rounds: Vec<_> = self.counted().into_iter().filter(|round| counted.contains(round)).collect();
        if rounds.is_empty() {
            rounds = (0..self.rounds()).collect();
        }
        let by = |round: usize| read(&self.sides[side][round]) / read(&other.sides[side][round]);
        Ratio::of(rounds.into_iter().map(by).collect())
    }

    /// One side by another, round by round. A reference counts with its readings before and after the round.
    pub(crate) fn ratio(&self, side: usize, by: usize, read: impl Fn(&Reading) -> f64) -> Ratio {
        if side == by {
            return Ratio::of(vec![1.0]);
        }
        let ratios = self.counted().into_iter().map(|round| {
            let of_reference = |side: usize| {
                let readings = &self.sides[side];
                let before = read(&readings[round]);
                let after = if self.references.contains(&side) { readings.get(round + 1) } else { None };
                after.map_or(before, |after| f64::midpoint(before, read(after)))
            };
            read(&self.sides[side][round]) / of_reference(by)
        });
        Ratio::of(ratios.collect())
    }
}

/// A ratio in each of the rounds.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Ratio {
    pub(crate) median: f64,
    least: f64,
    most: f64,
}

impl Ratio {
    pub(crate) fn of(ratios: Vec<f64>) -> Self {
        let least = ratios.iter().copied().fold(f64::INFINITY, f64::min);
        let most = ratios.iter().copied().fold(0.0, f64::max);
        Self { median: median(ratios), least, most }
    }
}

impl std::fmt::Display for Ratio {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        if self.least.total_cmp(&self.most).is_eq() {
            return write!(f, "{:.2}", self.median);
        }
        write!(f, "{:.2} [{:.2}–{:.2}]", self.median, self.least, self.most)
    }
}

pub(crate) fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    percentile(&values, 0.5)
}

/// Of sorted values.
fn percentile(sorted: &[f64], share: f64) -> f64 {
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a place in a list")]
    let place = ((float(sorted.len()) - 1.0) * share).round().max(0.0) as usize;
    sorted.get(place).copied().unwrap_or(f64::NAN)
}

#[expect(clippy::cast_precision_loss, reason = "counts of a benchmark are small")]
pub(crate) fn float(count: usize) -> f64 {
    count as f64
}

pub(crate) fn micros(time: Duration) -> f64 {
    time.as_secs_f64() * 1e6
}

/// A number for people: 123 456.
pub(crate) fn thousands(value: f64) -> String {
    let digits = format!("{value:.0}");
    let grouped: Vec<_> = digits.as_bytes().rchunks(3).rev().map(String::from_utf8_lossy).collect();
    grouped.join(" ")
}
