//! gRPC's in-process transport: a server of this very process is called, not connected to.
//!
//! A program that holds several services would else talk to itself over the loopback device, where HTTP/2,
//! system calls and wakes cost more than a small call. Nothing else differs: the same client encodes the same
//! messages, and the same layers of the server (trace, deadline, measures, bounds) decode and answer them.
//! The server listens for others as ever.

use std::{convert::Infallible, fmt, sync::Arc};

use http::{Request, Response};
use parking_lot::RwLock;
use tonic::body::Body;
use tower::util::BoxCloneSyncService;

/// A server as it is called.
pub(crate) type Served = BoxCloneSyncService<Request<Body>, Response<Body>, Infallible>;

/// What a server and those who call it in its own process share. A call's work is done in the task that makes
/// the call, so the runtime of that task must outlive the server.
#[derive(Clone, Default)]
pub struct InProcess(Arc<RwLock<Option<Served>>>);

impl InProcess {
    /// The server is open to calls until this is dropped.
    pub(crate) fn open(self, served: Served) -> Open {
        *self.0.write() = Some(served);
        Open(self)
    }

    /// The server, while it is open; before and after, it is called as if it were elsewhere.
    pub(crate) fn server(&self) -> Option<Served> {
        self.0.read().clone()
    }
}

impl fmt::Debug for InProcess {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("InProcess")
    }
}

/// An open server.
pub(crate) struct Open(InProcess);

impl Drop for Open {
    fn drop(&mut self) {
        *self.0.0.write() = None;
    }
}
