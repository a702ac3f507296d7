//! The connections of the REST side, from their first byte to the end of the drain.

use std::{convert::Infallible, pin::pin, sync::Arc};

use axum::serve::Listener as _;
use chassis::{lifecycle::SERVER_DRAIN, network::Incoming};
use hyper::service::service_fn;
use hyper_util::{
    rt::{TokioExecutor, TokioIo},
    server::conn::auto,
};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use super::{Front, listener::Listener};

type Http = auto::Builder<TokioExecutor>;

/// Serves until `shutdown`; then what is under way may finish, for a bounded time. A listener that cannot accept goes on trying.
pub(crate) async fn serve(incoming: Incoming, front: Front, shutdown: CancellationToken) {
    let (mut listener, http, connections) = (Listener(incoming), Arc::new(http()), TaskTracker::new());
    loop {
        tokio::select! {
            biased;
            () = shutdown.cancelled() => break,
            (io, _) = listener.accept() => {
                connections.spawn(connection(Arc::clone(&http), io, front.clone(), shutdown.clone()));
            }
        }
    }
    drop(listener);
    connections.close();
    if tokio::time::timeout(SERVER_DRAIN, connections.wait()).await.is_err() {
        tracing::warn!("REST requests were still under way at the end of the drain; they are dropped");
    }
}

/// HTTP/1.1 and HTTP/2, told apart by a connection's first bytes.
fn http() -> Http {
    let mut http = Http::new(TokioExecutor::new());
    // WebSockets over HTTP/2 are asked for with CONNECT.
    http.http2().enable_connect_protocol();
    http
}

/// One connection, to its end or, once the server ends, to the end of what is under way on it.
async fn connection<S>(http: Arc<Http>, io: S, front: Front, shutdown: CancellationToken)
where
    S: tokio::io::AsyncRead + tokio::io::AsyncWrite + Unpin + Send + 'static,
{
    let answer = service_fn(move |request| {
        let front = front.clone();
        async move { Ok::<_, Infallible>(front.answer(request).await) }
    });
    let mut serving = pin!(http.serve_connection_with_upgrades(TokioIo::new(io), answer));
    // That a client goes away, or speaks no HTTP, is no news to anybody.
    tokio::select! {
        biased;
        _ended = serving.as_mut() => return,
        () = shutdown.cancelled() => serving.as_mut().graceful_shutdown(),
    }
    let _ended = serving.await;
}
