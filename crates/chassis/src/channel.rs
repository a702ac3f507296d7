//! Calling another service: balanced over its replicas, with the caller's trace and deadline, and away from replicas that fail.
//!
//! Calls go round the replicas in turn. One that fails to take or answer a call is left out for a moment, so that [`retry`] meets
//! another; when all are out, they are tried all the same, which answers at once instead of hanging. Every failure of the transport
//! becomes UNAVAILABLE or DEADLINE_EXCEEDED here (tonic itself reports some as UNKNOWN or CANCELLED).

use std::{
    convert::Infallible,
    future::Future,
    str::FromStr,
    sync::{
        Arc,
        atomic::{AtomicU32, AtomicU64, AtomicUsize, Ordering},
    },
    task::{Context as Poll_, Poll},
    time::Duration,
};

use futures::future::BoxFuture;
use http::{Request, Response, Uri};
use rand::Rng;
use tokio::time::{self, Instant};
use tonic::{Code, Status, body::Body, transport::Endpoint};
use tower::{Service, ServiceExt};

use crate::context::{Context, GRPC_TIMEOUT, TRACEPARENT, timeout_header};

/// How long a call may take when its caller set no deadline.
const DEFAULT_TIMEOUT: Duration = Duration::from_secs(10);
/// How long one attempt of a call may take: a replica that hangs must leave time to ask another.
const ATTEMPT_TIMEOUT: Duration = Duration::from_secs(3);
/// How long to try to reach a replica.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(1);
/// A connection that carries nothing is asked whether it still lives: without it, calls never recover after a healed partition.
const KEEPALIVE_EVERY: Duration = Duration::from_secs(5);
const KEEPALIVE_TIMEOUT: Duration = Duration::from_secs(3);
/// How long a replica that failed is left out: so long after the first failure, twice as long after each further one.
const LEFT_OUT: Duration = Duration::from_millis(500);
/// And at most so many times doubled (16 s): one that hangs costs an attempt's time whenever it is tried.
const DOUBLINGS: u32 = 5;
const LATE: &str = "the service did not answer in time";
/// Attempts of [`retry`].
const ATTEMPTS: u32 = 5;

/// Where a service is: one or more `http://host:port`, comma separated.
#[derive(Clone, Debug)]
pub struct Target(Vec<Uri>);

impl FromStr for Target {
    type Err = String;

    fn from_str(list: &str) -> Result<Self, String> {
        let uris = list.split(',').map(str::trim).filter(|one| !one.is_empty()).map(|one| {
            let uri: Uri = one.parse().map_err(|error| format!("{one}: {error}"))?;
            if uri.scheme_str() == Some("http") && uri.authority().is_some() {
                Ok(uri)
            } else {
                Err(format!("{one}: write http://host:port"))
            }
        });
        let uris = uris.collect::<Result<Vec<_>, _>>()?;
        if uris.is_empty() { Err("at least one http://host:port is needed".to_owned()) } else { Ok(Self(uris)) }
    }
}

/// A client's way to all replicas of a service. Clones share connections.
#[derive(Clone, Debug)]
pub struct Channel(Arc<Replicas>);

#[derive(Debug)]
struct Replicas {
    all: Vec<Replica>,
    turn: AtomicUsize,
    began: Instant,
}

#[derive(Debug)]
struct Replica {
    channel: tonic::transport::Channel,
    /// Milliseconds after `began` until which it is left out.
    left_out_until: AtomicU64,
    /// Failures since it last answered.
    failures: AtomicU32,
}

impl Channel {
    /// Connects when it is first used.
    #[must_use]
    pub fn new(target: &Target) -> Self {
        let replica = |uri: &Uri| {
            let endpoint = Endpoint::from(uri.clone())
                .connect_timeout(CONNECT_TIMEOUT)
                .tcp_nodelay(true)
                .http2_keep_alive_interval(KEEPALIVE_EVERY)
                .keep_alive_timeout(KEEPALIVE_TIMEOUT)
                .keep_alive_while_idle(true);
            Replica { channel: endpoint.connect_lazy(), left_out_until: AtomicU64::new(0), failures: AtomicU32::new(0) }
        };
        let all = target.0.iter().map(replica).collect();
        Self(Arc::new(Replicas { all, turn: AtomicUsize::new(0), began: Instant::now() }))
    }
}

impl Replicas {
    fn now(&self) -> u64 {
        u64::try_from(self.began.elapsed().as_millis()).unwrap_or(u64::MAX)
    }

    /// The next in turn that is not left out; when all are, the next in turn.
    fn pick(&self) -> &Replica {
        let turn = self.turn.fetch_add(1, Ordering::Relaxed);
        let now = self.now();
        let in_turn = |step: usize| &self.all[turn.wrapping_add(step) % self.all.len()];
        let fit = |replica: &&Replica| replica.left_out_until.load(Ordering::Relaxed) <= now;
        (0..self.all.len()).map(in_turn).find(fit).unwrap_or_else(|| in_turn(0))
    }

    fn leave_out(&self, replica: &Replica) {
        if replica.left_out_until.load(Ordering::Relaxed) > self.now() {
            return; // One of several calls that failed together: one failure.
        }
        let before = replica.failures.fetch_add(1, Ordering::Relaxed);
        let left_out = LEFT_OUT * 2_u32.pow(before.min(DOUBLINGS));
        let until = self.now() + u64::try_from(left_out.as_millis()).unwrap_or(0);
        replica.left_out_until.store(until, Ordering::Relaxed);
    }
}

impl Service<Request<Body>> for Channel {
    type Response = Response<Body>;
    type Error = Infallible;
    type Future = BoxFuture<'static, Result<Response<Body>, Infallible>>;

    fn poll_ready(&mut self, _: &mut Poll_<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, mut request: Request<Body>) -> Self::Future {
        let context = Context::current().unwrap_or_else(|| Context::fresh(DEFAULT_TIMEOUT));
        let time = context.remaining().min(ATTEMPT_TIMEOUT);
        request.headers_mut().insert(TRACEPARENT, context.trace.child().header());
        request.headers_mut().insert(GRPC_TIMEOUT, timeout_header(time));
        let replicas = Arc::clone(&self.0);
        Box::pin(async move {
            let replica = replicas.pick();
            let answer = time::timeout(time, replica.channel.clone().oneshot(request)).await;
            let status = match answer {
                Ok(Ok(response)) => {
                    if grpc_status(&response) == Some(Code::Unavailable) {
                        replicas.leave_out(replica);
                    } else {
                        replica.failures.store(0, Ordering::Relaxed);
                        replica.left_out_until.store(0, Ordering::Relaxed);
                    }
                    return Ok(response);
                }
                // The transport reads the deadline's header as well, and may be the first to notice.
                Ok(Err(error)) if is_timeout(&error) => Status::deadline_exceeded(LATE),
                Ok(Err(error)) => {
                    tracing::debug!(%error, "a replica could not be reached");
                    Status::unavailable("the service could not be reached")
                }
                Err(_late) => Status::deadline_exceeded(LATE),
            };
            // Less time than an attempt deserves says something about the caller, not about the replica.
            if status.code() == Code::Unavailable || time == ATTEMPT_TIMEOUT {
                replicas.leave_out(replica);
            }
            Ok(status.into_http())
        })
    }
}

/// Is a passed deadline at the root of it?
fn is_timeout(error: &(dyn std::error::Error + 'static)) -> bool {
    std::iter::successors(Some(error), |error| error.source()).any(|cause| cause.is::<tonic::TimeoutExpired>())
}

/// The status of an answer that is nothing but a status.
pub(crate) fn grpc_status<B>(response: &Response<B>) -> Option<Code> {
    response.headers().get("grpc-status").map(|code| Code::from_bytes(code.as_bytes()))
}

/// Makes an idempotent call again while its outcome stays unknown, a bounded number of times and within the caller's deadline.
///
/// # Errors
/// The last attempt's status.
pub async fn retry<T, F, Fut>(mut call: F) -> Result<T, Status>
where
    F: FnMut() -> Fut,
    Fut: Future<Output = Result<tonic::Response<T>, Status>>,
{
    let deadline = Context::current().map_or_else(|| Instant::now() + DEFAULT_TIMEOUT, |context| context.deadline);
    let mut attempt = 1;
    loop {
        let status = match call().await {
            Ok(answer) => return Ok(answer.into_inner()),
            Err(status) => status,
        };
        let pause = pause(attempt);
        // Our servers never answer UNKNOWN or CANCELLED themselves: it is what a connection lost in mid-answer looks like.
        let unknown = matches!(status.code(), Code::Unavailable | Code::DeadlineExceeded | Code::Unknown | Code::Cancelled);
        if !unknown || attempt >= ATTEMPTS || Instant::now() + pause >= deadline {
            return Err(status);
        }
        metrics::counter!("grpc_client_retries_total").increment(1);
        time::sleep(pause).await;
        attempt += 1;
    }
}

/// At once to 5 ms after the first attempt, then four times as long each time, at random.
fn pause(attempt: u32) -> Duration {
    let ceiling = 5_000_u64 << (2 * (attempt - 1)).min(10);
    Duration::from_micros(rand::rng().random_range(ceiling / 4..=ceiling))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_target_is_a_list_of_http_addresses() {
        assert_eq!("http://a:1, http://b:2".parse::<Target>().map(|t| t.0.len()), Ok(2));
        for bad in ["", ",", "a:1", "ftp://a:1", "http://"] {
            assert!(bad.parse::<Target>().is_err(), "{bad}");
        }
    }

    #[tokio::test]
    async fn a_replica_that_failed_is_left_out_for_a_moment() {
        let channel = Channel::new(&"http://a:1,http://b:2".parse().expect("a target"));
        channel.0.leave_out(&channel.0.all[0]);
        for _ in 0..4 {
            assert!(std::ptr::eq(channel.0.pick(), &raw const channel.0.all[1]));
        }
        channel.0.leave_out(&channel.0.all[1]);
        channel.0.pick();
    }
}
