//! Histories that are right, made up by a bus of a few lines that keeps its promises.

use std::collections::VecDeque;

use bus_tests_history::{Answer, Dice, Entry, Event, Outcome, Rules};

const KEYS: u64 = 4;

/// A history, and what the bus was set to.
pub(crate) struct Story {
    pub(crate) entries: Vec<Entry>,
    pub(crate) rules: Rules,
}

/// A delivery of the made-up bus.
#[derive(Clone)]
struct Row {
    number: i64,
    change: String,
    attempt: u32,
    place: Place,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Place {
    Fresh,
    Running,
    /// Done, and not written down.
    Done,
    Failed,
    Parked,
}

/// Somebody who logs a change.
struct Logger {
    change: String,
    key: usize,
    is_logged: bool,
}

struct Bus<'d> {
    dice: &'d mut Dice,
    entries: Vec<Entry>,
    keys: Vec<VecDeque<Row>>,
    loggers: Vec<Logger>,
    process: u32,
    changes: u32,
    deliveries: i64,
    /// Whether outcomes are written down by whoever settles, and owners follow each other without being killed.
    tells_outcomes: bool,
    attempts_max: u32,
}

impl Story {
    pub(crate) fn tell(dice: &mut Dice) -> Self {
        let attempts_max = 3 + u32::try_from(dice.below(4)).expect("a small number");
        let mut bus = Bus {
            tells_outcomes: dice.percent(50),
            dice,
            entries: Vec::new(),
            keys: vec![VecDeque::new(); usize::try_from(KEYS).expect("a small number")],
            loggers: Vec::new(),
            process: 0,
            changes: 0,
            deliveries: 0,
            attempts_max,
        };
        bus.begin();
        let steps = 20 + bus.dice.below(100);
        for _ in 0..steps {
            bus.step();
        }
        bus.drain();
        Self { entries: bus.entries, rules: Rules { attempts_max: Some(attempts_max) } }
    }
}

impl Bus<'_> {
    fn say(&mut self, event: Event) {
        self.entries.push(Entry { who: self.me(), event });
    }

    fn me(&self) -> String {
        format!("p{}", self.process)
    }

    fn begin(&mut self) {
        self.process += 1;
        if self.tells_outcomes {
            self.say(Event::Owned);
        }
    }

    fn step(&mut self) {
        match self.dice.below(100) {
            0..20 => self.invoke(),
            20..40 => self.go_on_logging(),
            40..65 => self.call(),
            65..85 => self.answer(),
            85..93 => self.write(),
            93..97 => self.kill(),
            97..99 => self.take_over(),
            _ => self.reset(),
        }
    }

    fn invoke(&mut self) {
        self.changes += 1;
        let key = usize::try_from(self.dice.below(KEYS)).expect("a small number");
        let change = format!("c{}", self.changes);
        self.say(Event::Invoked { change: change.clone(), key: format!("k{key}") });
        self.loggers.push(Logger { change, key, is_logged: false });
    }

    fn go_on_logging(&mut self) {
        if self.loggers.is_empty() {
            return;
        }
        let count = u64::try_from(self.loggers.len()).expect("a small number");
        let index = usize::try_from(self.dice.below(count)).expect("a small number");
        if !self.loggers[index].is_logged {
            if self.dice.percent(10) {
                let change = self.loggers.swap_remove(index).change;
                self.say(Event::Refused { change });
                return;
            }
            self.loggers[index].is_logged = true;
            let (key, change) = (self.loggers[index].key, self.loggers[index].change.clone());
            self.log(key, change);
            return;
        }
        let change = self.loggers.swap_remove(index).change;
        let is_unknown = self.dice.percent(10);
        self.say(if is_unknown { Event::Unknown { change } } else { Event::Acknowledged { change } });
    }

    fn log(&mut self, key: usize, change: String) {
        self.deliveries += 1;
        self.keys[key].push_back(Row { number: self.deliveries, change, attempt: 0, place: Place::Fresh });
    }

    /// Calls the first of a key that may be called: everything before it is done, and it is not alone if it failed.
    fn call(&mut self) {
        let key = usize::try_from(self.dice.below(KEYS)).expect("a small number");
        let Some(index) = self.keys[key].iter().position(|row| row.place != Place::Done) else { return };
        let row = &self.keys[key][index];
        let may_run = match row.place {
            Place::Fresh => row.attempt == 0 || index == 0,
            Place::Failed => index == 0,
            Place::Running | Place::Done | Place::Parked => false,
        };
        if may_run {
            self.call_row(key, index);
        }
    }

    fn call_row(&mut self, key: usize, index: usize) {
        let row = &mut self.keys[key][index];
        row.attempt += 1;
        let (delivery, change, attempt) = (row.number, row.change.clone(), row.attempt);
        if attempt > self.attempts_max {
            row.attempt -= 1;
            row.place = Place::Parked;
            return;
        }
        row.place = Place::Running;
        let idempotency = format!("i{delivery}");
        self.say(Event::Called { delivery, key: format!("k{key}"), change, idempotency, attempt });
    }

    fn running(&self) -> Vec<(usize, usize)> {
        let rows =
            self.keys.iter().enumerate().flat_map(|(key, rows)| {
                rows.iter().enumerate().map(move |(index, row)| (key, index, row.place))
            });
        rows.filter(|row| row.2 == Place::Running).map(|(key, index, _)| (key, index)).collect()
    }

    fn answer(&mut self) {
        let Some((key, index)) = self.dice.choose(&self.running()).copied() else { return };
        let answer = match self.dice.below(10) {
            0..6 => Answer::Done,
            6..8 => Answer::Failed,
            8 => Answer::Dropped,
            _ => Answer::GivenBack,
        };
        let delivery = self.keys[key][index].number;
        self.say(Event::Answered { delivery, answer });
        if answer == Answer::Done {
            self.keys[key][index].place = Place::Done;
            return;
        }
        // What does not succeed holds its key, so what was done before it is written with it.
        self.write();
        let row = &mut self.keys[key][0];
        row.place = Place::Failed;
        if answer == Answer::GivenBack {
            row.attempt -= 1;
        } else if row.attempt == self.attempts_max {
            row.place = Place::Parked;
            if self.dice.percent(50) {
                self.keys[key].pop_front();
                self.settle(delivery, Outcome::Ended, true);
                return;
            }
        }
        self.settle(delivery, Outcome::Held, false);
    }

    /// Writes down everything that is done.
    fn write(&mut self) {
        for key in 0..self.keys.len() {
            while self.keys[key].front().is_some_and(|row| row.place == Place::Done) {
                let row = self.keys[key].pop_front().expect("it is there");
                self.settle(row.number, Outcome::Completed, false);
            }
        }
    }

    fn settle(&mut self, delivery: i64, outcome: Outcome, must_tell: bool) {
        if self.tells_outcomes || must_tell {
            self.say(Event::Settling { delivery, outcome });
            self.say(Event::Settled { delivery, outcome });
        }
    }

    fn kill(&mut self) {
        self.say(Event::Killed);
        for logger in std::mem::take(&mut self.loggers) {
            // It may have got through, and nobody knows.
            if !logger.is_logged && self.dice.percent(30) {
                self.log(logger.key, logger.change);
            }
        }
        if self.dice.percent(50) {
            // The commit was on its way.
            for rows in &mut self.keys {
                while rows.front().is_some_and(|row| row.place == Place::Done) {
                    rows.pop_front();
                }
            }
        }
        self.interrupt();
        self.begin();
    }

    fn interrupt(&mut self) {
        for row in self.keys.iter_mut().flatten() {
            if matches!(row.place, Place::Running | Place::Done) {
                row.place = Place::Failed;
            }
        }
    }

    /// Another owner, while the former one does not know it yet.
    fn take_over(&mut self) {
        let running = self.running();
        if !self.tells_outcomes {
            self.say(Event::Stopped);
        }
        let former = self.me();
        let before: Vec<VecDeque<Row>> = self.keys.clone();
        self.interrupt();
        self.begin();
        if !self.tells_outcomes {
            // It shows itself by its first call only.
            let first = (0..self.keys.len()).find(|key| {
                self.keys[*key].front().is_some_and(|row| matches!(row.place, Place::Fresh | Place::Failed))
            });
            let Some(key) = first else { return };
            self.call_row(key, 0);
            if self.keys[key][0].place != Place::Running {
                return;
            }
        }
        for (key, index) in running {
            let Row { number: delivery, change, attempt, .. } = before[key][index].clone();
            let answered = Event::Answered { delivery, answer: Answer::Done };
            self.entries.push(Entry { who: former.clone(), event: answered });
            if attempt < self.attempts_max && self.dice.percent(50) {
                // What it had claimed besides: here, the same once more would be one attempt too many.
                continue;
            }
            let Some(next) = before[key].get(index + 1).filter(|row| row.attempt == 0) else { continue };
            let _ = change;
            let idempotency = format!("i{}", next.number);
            let late = Event::Called {
                delivery: next.number,
                key: format!("k{key}"),
                change: next.change.clone(),
                idempotency,
                attempt: 1,
            };
            self.entries.push(Entry { who: former.clone(), event: late });
            // It was charged for it.
            if let Some(row) = self.keys[key].iter_mut().find(|row| row.number == next.number) {
                row.attempt += 1;
                row.place = Place::Failed;
            }
        }
    }

    /// An operator tries something again that is parked.
    fn reset(&mut self) {
        let parked = self.keys.iter_mut().flatten().find(|row| row.place == Place::Parked);
        let Some(row) = parked else { return };
        (row.place, row.attempt) = (Place::Failed, 0);
        let delivery = row.number;
        self.say(Event::Reset { delivery });
    }

    fn drain(&mut self) {
        for logger in std::mem::take(&mut self.loggers) {
            if logger.is_logged {
                self.say(Event::Acknowledged { change: logger.change });
            }
        }
        let is_over = |rows: &VecDeque<Row>| {
            let first = rows.iter().find(|row| row.place != Place::Done);
            first.is_none_or(|row| row.place == Place::Parked)
        };
        while !self.keys.iter().all(is_over) {
            self.call();
            self.answer();
            if self.dice.percent(20) {
                self.write();
            }
        }
        self.write();
        for key in 0..self.keys.len() {
            for row in std::mem::take(&mut self.keys[key]) {
                let key = format!("k{key}");
                self.say(Event::Left { delivery: row.number, key, change: row.change, held: true });
            }
        }
    }
}
