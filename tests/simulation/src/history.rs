//! What happened in a run, in order: every request, answer, mishap and judgement, with its virtual time. The
//! thread that runs the simulation has one history; its digest tells whether two runs were the same.

use std::{
    cell::RefCell,
    collections::BTreeMap,
    hash::{DefaultHasher, Hash, Hasher},
    time::Duration,
};

use serde::{Deserialize, Serialize};

/// Something that must not be.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Violation {
    /// Which rule.
    pub rule: String,
    /// What was seen, with the ids that explain it.
    pub what: String,
    /// Whose history explains it.
    pub who: Vec<String>,
}

/// Something that happened.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Event {
    /// When, in microseconds of virtual time.
    pub at: u64,
    /// To whom.
    pub who: String,
    /// What.
    pub what: String,
}

/// What a run leaves.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct History {
    /// Everything.
    pub events: Vec<Event>,
    /// What must not be.
    pub violations: Vec<Violation>,
    /// How often what happened.
    pub counts: BTreeMap<String, u64>,
}

thread_local! {
    static HISTORY: RefCell<History> = RefCell::default();
}

/// The virtual time since the simulation began.
#[must_use]
pub fn now() -> Duration {
    turmoil::sim_elapsed().unwrap_or_default()
}

/// Writes down what happened to somebody.
pub fn note(who: &str, what: impl Into<String>) {
    note_at(now(), who, what);
}

/// Writes down what happened at a time; for who is outside of all hosts.
pub fn note_at(at: Duration, who: &str, what: impl Into<String>) {
    let at = u64::try_from(at.as_micros()).unwrap_or(u64::MAX);
    let event = Event { at, who: who.to_owned(), what: what.into() };
    HISTORY.with(|history| {
        // In a panic the history may be in use.
        if let Ok(mut history) = history.try_borrow_mut() {
            history.events.push(event);
        }
    });
}

/// Writes down what must not be.
pub fn violated(rule: &str, who: &[&str], what: impl Into<String>) {
    let what = what.into();
    note(who.first().unwrap_or(&"-"), format!("VIOLATION {rule}: {what}"));
    let violation =
        Violation { rule: rule.to_owned(), what, who: who.iter().map(|&who| who.to_owned()).collect() };
    HISTORY.with(|history| {
        if let Ok(mut history) = history.try_borrow_mut() {
            history.violations.push(violation);
        }
    });
}

/// Counts what happened.
pub fn count(what: impl Into<String>) {
    HISTORY.with_borrow_mut(|history| *history.counts.entry(what.into()).or_default() += 1);
}

/// The history of this thread, which begins anew.
#[must_use]
pub fn take() -> History {
    HISTORY.take()
}

impl History {
    /// The same for the same events.
    #[must_use]
    pub fn digest(&self) -> String {
        let mut hasher = DefaultHasher::new();
        for Event { at, who, what } in &self.events {
            (at, who, what).hash(&mut hasher);
        }
        format!("{:016x}", hasher.finish())
    }
}
