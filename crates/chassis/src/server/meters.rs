//! The metrics of every call. Handles are kept, because looking one up by its labels costs more than counting
//! does.

use std::{collections::HashMap, sync::Arc, time::Duration};

use metrics::{Counter, Histogram};
use parking_lot::RwLock;
use tonic::Code;

/// The metrics of one server. Clones share them.
#[derive(Clone)]
pub(super) struct Meters(Arc<Kept>);

struct Kept {
    server: &'static str,
    methods: RwLock<HashMap<String, Method>>,
}

struct Method {
    seconds: Histogram,
    answers: Vec<(Code, Counter)>,
}

impl Meters {
    pub(super) fn new(server: &'static str) -> Self {
        Self(Arc::new(Kept { server, methods: RwLock::default() }))
    }

    /// Counts the answer to a call. The caller bounds the names: each is a series for as long as the process
    /// runs.
    pub(super) fn record(&self, method: &str, code: Code, took: Duration) {
        if let Some(known) = self.0.methods.read().get(method)
            && let Some((_, answers)) = known.answers.iter().find(|(kept, _)| *kept == code)
        {
            answers.increment(1);
            known.seconds.record(took);
            return;
        }
        let server = self.0.server;
        let mut methods = self.0.methods.write();
        let known = methods.entry(method.to_owned()).or_insert_with(|| Method {
            seconds: metrics::histogram!("grpc_request_seconds", "server" => server, "method" => method.to_owned()),
            answers: Vec::new(),
        });
        known.seconds.record(took);
        // Two answers at the same time may both get here; the recorder gives them the same series.
        let labels =
            [("server", server.to_owned()), ("method", method.to_owned()), ("code", format!("{code:?}"))];
        let counter = metrics::counter!("grpc_requests_total", &labels);
        counter.increment(1);
        if known.answers.iter().all(|(kept, _)| *kept != code) {
            known.answers.push((code, counter));
        }
    }
}
