//! The in-process transport of gRPC: a server in this process is called without a connection.
//!
//! A program that holds several services would otherwise talk to itself over the loopback device, where
//! HTTP/2, system calls and wakes cost more than a small call. Nothing else differs: the same client encodes
//! the same messages, and the same layers of the server (trace, deadline, metrics, bounds) decode and answer
//! them. The server still listens for other processes.

use std::{convert::Infallible, fmt, future, sync::Arc};

use http::{Request, Response};
use tokio::sync::watch;
use tonic::body::Body;
use tower::util::BoxCloneSyncService;

/// A server with its layers, as a service that can be called.
pub(crate) type Served = BoxCloneSyncService<Request<Body>, Response<Body>, Infallible>;

/// What a server shares with its callers in the same process. The work of a call is done in the task that
/// makes the call, so the runtime of that task must outlive the server.
#[derive(Clone)]
pub struct InProcess(Arc<watch::Sender<Option<Served>>>);

impl Default for InProcess {
    fn default() -> Self {
        Self(Arc::new(watch::Sender::new(None)))
    }
}

impl InProcess {
    /// The server is open to calls until this is dropped.
    pub(crate) fn open(self, served: Served) -> Open {
        self.0.send_replace(Some(served));
        Open(self)
    }

    /// The server while it is open; `None` before and after, when callers use a connection.
    pub(crate) fn server(&self) -> Option<Served> {
        self.0.borrow().clone()
    }

    /// The server, when it is open; the programs of one process start side by side.
    pub(crate) async fn opened(&self) -> Served {
        let mut changes = self.0.subscribe();
        let opened = changes.wait_for(Option::is_some).await.ok().and_then(|server| server.clone());
        match opened {
            Some(server) => server,
            // The sender is part of `self`, so it is still there.
            None => future::pending().await,
        }
    }
}

impl fmt::Debug for InProcess {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("InProcess")
    }
}

/// Keeps the server open to calls from this process until it is dropped.
pub(crate) struct Open(InProcess);

impl Drop for Open {
    fn drop(&mut self) {
        self.0.0.send_replace(None);
    }
}
