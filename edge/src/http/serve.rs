//! The connections of the REST side, from their first byte to the end of the drain.

use std::{
    convert::Infallible,
    net::{IpAddr, Ipv4Addr},
    pin::pin,
    sync::Arc,
    task::Poll,
    time::Duration,
};

use axum::serve::Listener as _;
use chassis::{lifecycle::SERVER_DRAIN, network::Incoming};
use futures::{FutureExt as _, future::poll_fn};
use hyper::service::service_fn;
use hyper_util::{
    rt::{TokioExecutor, TokioIo, TokioTimer},
    server::conn::auto,
};
use tokio::{
    io::{AsyncRead, AsyncWrite},
    runtime::Handle,
};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use super::{
    Front,
    connection::Connection,
    tail::{HandOver, Tail},
};

type Http = auto::Builder<TokioExecutor>;

/// How long a connection may be without a request, or with an incomplete one, after its first request: longer
/// than the pause between two polls of a user far behind. (The first request has to arrive
/// [sooner](chassis::network::FIRST_WORD).)
const SILENCE: Duration = Duration::from_secs(75);
/// How often a silent HTTP/2 client is pinged.
const KEEPALIVE: Duration = Duration::from_secs(20);

/// The address of connections that do not come over this machine's network.
const NOWHERE: IpAddr = IpAddr::V4(Ipv4Addr::UNSPECIFIED);

/// Serves until `shutdown`; then requests in flight may finish, for a bounded time. Each connection stays on
/// one of the runtimes, the one with the least load when it was accepted, and is answered by the front beside
/// it. A listener that cannot accept tries again.
pub(crate) async fn serve(mut incoming: Incoming, fronts: Vec<(Handle, Front)>, shutdown: CancellationToken) {
    let (http, connections) = (Arc::new(http(SILENCE)), TaskTracker::new());
    // Each thread has a token of its own for the shutdown, since every look at a token takes its lock.
    let threads: Vec<_> =
        fronts.into_iter().map(|(runtime, front)| (runtime, front, shutdown.child_token())).collect();
    loop {
        let io = tokio::select! {
            biased;
            () = shutdown.cancelled() => break,
            (io, ()) = incoming.accept() => io,
        };
        let Some((runtime, front, shutdown)) = threads.iter().min_by_key(|(_, front, _)| front.load()) else {
            break;
        };
        let (http, front, shutdown) = (Arc::clone(&http), front.clone(), shutdown.clone());
        let (from, streams) = (io.address().unwrap_or(NOWHERE), connections.clone());
        let served = async move {
            let tail = match io.moved() {
                Ok(io) => connection(&http, io, from, front.clone(), shutdown).await,
                Err(error) => return tracing::debug!(%error, "a connection was lost as it came"),
            };
            // In a task of its own, since the memory of this one is as large as a whole connection's.
            if let Some(tail) = tail {
                streams.spawn(async move {
                    tail.write().await;
                    // Until now it was part of this thread's load.
                    drop(front);
                });
            }
        };
        connections.spawn_on(served, runtime);
    }
    drop(incoming);
    connections.close();
    if tokio::time::timeout(SERVER_DRAIN, connections.wait()).await.is_err() {
        tracing::warn!("REST requests were still under way at the end of the drain; they are dropped");
    }
}

/// A server of HTTP/1.1 and HTTP/2, which it recognises by a connection's first bytes.
fn http(silence: Duration) -> Http {
    let mut http = Http::new(TokioExecutor::new());
    http.http1().timer(TokioTimer::new()).header_read_timeout(silence);
    // WebSockets over HTTP/2 begin with CONNECT.
    http.http2().enable_connect_protocol().timer(TokioTimer::new()).keep_alive_interval(KEEPALIVE);
    http
}

/// Serves one connection to its end or, after the shutdown, to the end of its requests in flight. Where a
/// stream of events is the end, that is what is left to do.
async fn connection<S>(
    http: &Http,
    io: S,
    from: IpAddr,
    front: Front,
    shutdown: CancellationToken,
) -> Option<Tail<S>>
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let hand_over = HandOver::new();
    let io = TokioIo::new(Connection::new(io, hand_over.clone()));
    let answered = hand_over.clone();
    let answer = service_fn(move |request| {
        let (may_end, hand_over) = (HandOver::<S>::may_end(&request), answered.clone());
        let answer = front.clone().answer(from, request);
        answer.map(move |answer| {
            Ok::<_, Infallible>(if may_end {
                hand_over.head(answer)
            } else {
                hand_over.note(&answer);
                answer
            })
        })
    });
    let mut serving = pin!(http.serve_connection_with_upgrades(io, answer));
    let (mut stopping, mut stops) = (pin!(shutdown.cancelled()), false);
    poll_fn(|cx| {
        loop {
            // A client that goes away or does not speak HTTP is not worth a log line.
            let ended = serving.as_mut().poll(cx).is_ready();
            match hand_over.tail() {
                None if ended => return Poll::Ready(None),
                None => {}
                tail => return Poll::Ready(tail),
            }
            if stops || stopping.as_mut().poll(cx).is_pending() {
                return Poll::Pending;
            }
            stops = true;
            serving.as_mut().graceful_shutdown();
        }
    })
    .await
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use chassis::testing::patience::timeout;
    use tokio::{
        io::{AsyncReadExt as _, AsyncWriteExt as _},
        time::Instant,
    };

    use super::*;
    use crate::{config::Browse, http::tests::alone};

    #[tokio::test]
    async fn who_asked_once_and_then_says_nothing_or_half_a_request_is_let_go() {
        let silence = Duration::from_millis(300);
        let (front, _folder) = alone(Browse::Token, "").await;
        for half in ["", "GET /v1/tok"] {
            let (mut client, server) = tokio::io::duplex(4_096);
            let (http, front, began) = (http(silence), front.clone(), Instant::now());
            tokio::spawn(
                async move { connection(&http, server, NOWHERE, front, CancellationToken::new()).await },
            );
            client.write_all(b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n").await.unwrap();
            client.write_all(half.as_bytes()).await.unwrap();
            let mut all = Vec::new();
            timeout(Duration::from_secs(10), client.read_to_end(&mut all)).await.unwrap().unwrap();
            assert!(began.elapsed() >= silence && all.starts_with(b"HTTP/1.1 200"), "{half:?}");
        }
    }

    #[tokio::test]
    async fn who_asked_may_be_silent_in_between() {
        let (front, _folder) = alone(Browse::Token, "").await;
        let (mut client, server) = tokio::io::duplex(4_096);
        let http = http(Duration::from_secs(10));
        tokio::spawn(
            async move { connection(&http, server, NOWHERE, front, CancellationToken::new()).await },
        );
        for _ in 0..2 {
            client.write_all(b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n").await.unwrap();
            let mut answer = [0; 12];
            timeout(Duration::from_secs(10), client.read_exact(&mut answer)).await.unwrap().unwrap();
            assert_eq!(&answer, b"HTTP/1.1 200");
            tokio::time::sleep(Duration::from_millis(400)).await;
            let mut rest = vec![0; 4_096];
            assert!(client.read(&mut rest).await.unwrap() > 0, "the rest of the answer");
        }
    }
}
