//! The metrics of answered requests. Their handles are kept, because finding one by its labels costs more
//! than recording does.

use std::{collections::HashMap, time::Duration};

use metrics::{Counter, Histogram};
use parking_lot::RwLock;

/// The metrics of requests by the name of their route or method, and by their other labels.
#[derive(Debug)]
pub struct Meters<L>(RwLock<HashMap<String, Vec<AnswerMeter<L>>>>);

#[derive(Debug)]
struct AnswerMeter<L> {
    labels: L,
    answers: Counter,
    seconds: Histogram,
}

impl<L> Default for Meters<L> {
    fn default() -> Self {
        Self(RwLock::default())
    }
}

impl<L: PartialEq> Meters<L> {
    /// Counts an answer and records how long it took. `find` finds the metrics the first time. The caller
    /// bounds the names and labels: each is a series for as long as the process runs.
    pub fn record(&self, name: &str, labels: L, took: Duration, find: impl FnOnce() -> (Counter, Histogram)) {
        if let Some(meters) = self.0.read().get(name)
            && let Some(meter) = meters.iter().find(|meter| meter.labels == labels)
        {
            meter.answers.increment(1);
            meter.seconds.record(took);
            return;
        }
        let (answers, seconds) = find();
        answers.increment(1);
        seconds.record(took);
        // Two requests at the same time may both get here. They have the same series, and either will do.
        self.0.write().entry(name.to_owned()).or_default().push(AnswerMeter { labels, answers, seconds });
    }
}
