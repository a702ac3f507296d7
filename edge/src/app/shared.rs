//! What many clients are told alike: a message of a service, and what a door makes of it, made once.

use std::sync::OnceLock;

use hyper::body::Bytes;

/// A message, with its JSON and its event as they were first needed.
#[derive(Debug)]
pub(crate) struct SharedMessage<M> {
    /// The message as the service sent it, or as it was made of two of its.
    pub(crate) message: M,
    json: OnceLock<Bytes>,
    event: OnceLock<Bytes>,
}

impl<M> SharedMessage<M> {
    pub(crate) const fn new(message: M) -> Self {
        Self { message, json: OnceLock::new(), event: OnceLock::new() }
    }

    /// The message as JSON, as `write` makes it.
    pub(crate) fn json(&self, write: impl FnOnce(&M) -> Bytes) -> Bytes {
        self.json.get_or_init(|| write(&self.message)).clone()
    }

    /// The message as an event of a stream, as `write` makes it.
    pub(crate) fn event(&self, write: impl FnOnce(&M) -> Bytes) -> Bytes {
        self.event.get_or_init(|| write(&self.message)).clone()
    }
}
