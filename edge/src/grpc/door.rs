//! The services of the mesh as the public may call them: the edge is its one door, over gRPC as over REST,
//! and the same use cases stand behind both.

use std::sync::Arc;

use tonic::Request;

use crate::app::{Caller, Edge, Polls};

/// The metadata in which a caller presents a queue token, where the message has no field for it.
pub(super) const QUEUE_TOKEN: &str = "x-queue-token";

/// The services behind the edge, through its use cases. Clones share it.
#[derive(Clone)]
pub(crate) struct Door {
    pub(super) edge: Arc<Edge>,
    pub(super) polls: Polls,
}

impl Door {
    pub(crate) const fn new(edge: Arc<Edge>, polls: Polls) -> Self {
        Self { edge, polls }
    }

    /// Who makes this call.
    pub(super) fn caller<T>(&self, request: &Request<T>) -> Caller {
        let doors = &self.edge.doors;
        Caller::new(doors.called(request.extensions()), doors.house, QUEUE_TOKEN, queue_token(request))
    }
}

/// The queue token in the metadata of a call.
pub(super) fn queue_token<T>(request: &Request<T>) -> Option<&str> {
    request.metadata().get(QUEUE_TOKEN).and_then(|token| token.to_str().ok())
}

/// Answers a call with what a use case returns for the edge, the caller and the message.
macro_rules! answer {
    ($door:ident, $request:ident, |$edge:ident, $caller:ident, $message:ident| $answer:expr) => {{
        let $caller = $door.caller(&$request);
        let ($edge, $message) = (&*$door.edge, $request.into_inner());
        Ok(tonic::Response::new($answer))
    }};
}
pub(super) use answer;
