//! What is measured of every call, with its counters kept at hand: looking one up by its labels costs more than the counting.

use std::{collections::HashMap, sync::Arc, time::Duration};

use metrics::{Counter, Histogram};
use parking_lot::RwLock;
use tonic::Code;

/// The measures of one server. Clones share them.
#[derive(Clone)]
pub(super) struct Meters(Arc<Kept>);

struct Kept {
    server: &'static str,
    seconds: Histogram,
    answers: RwLock<HashMap<String, Vec<(Code, Counter)>>>,
}

impl Meters {
    pub(super) fn new(server: &'static str) -> Self {
        let seconds = metrics::histogram!("grpc_request_seconds", "server" => server);
        Self(Arc::new(Kept { server, seconds, answers: RwLock::default() }))
    }

    /// A call of a method was answered. Whoever calls bounds the names: each is a series for good.
    pub(super) fn record(&self, method: &str, code: Code, took: Duration) {
        self.0.seconds.record(took);
        if let Some(answers) = self.0.answers.read().get(method)
            && let Some((_, answers)) = answers.iter().find(|(kept, _)| *kept == code)
        {
            return answers.increment(1);
        }
        let labels = [("server", self.0.server.to_owned()), ("method", method.to_owned()), ("code", format!("{code:?}"))];
        let counter = metrics::counter!("grpc_requests_total", &labels);
        counter.increment(1);
        let mut answers = self.0.answers.write();
        let answers = answers.entry(method.to_owned()).or_default();
        // Two first answers at once are one series all the same.
        if answers.iter().all(|(kept, _)| *kept != code) {
            answers.push((code, counter));
        }
    }
}
