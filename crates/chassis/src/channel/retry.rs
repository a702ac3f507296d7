//! Asking again.

use std::{future::Future, time::Duration};

use rand::Rng;
use tokio::time::{self, Instant};
use tonic::{Code, Status};

use super::DEFAULT_TIMEOUT;
use crate::context::Context;

/// Attempts of [`retry`].
const ATTEMPTS: u32 = 5;

/// Makes an idempotent call again while its outcome stays unknown, a bounded number of times and within the
/// caller's deadline.
///
/// # Errors
/// The last attempt's status.
pub async fn retry<T, F, Fut>(mut call: F) -> Result<T, Status>
where
    F: FnMut() -> Fut,
    Fut: Future<Output = Result<tonic::Response<T>, Status>>,
{
    let deadline =
        Context::current().map_or_else(|| Instant::now() + DEFAULT_TIMEOUT, |context| context.deadline);
    let mut attempt = 1;
    loop {
        let status = match call().await {
            Ok(answer) => return Ok(answer.into_inner()),
            Err(status) => status,
        };
        let pause = pause(attempt);
        // Our servers never answer UNKNOWN or CANCELLED themselves: it is what a connection lost in
        // mid-answer looks like.
        let unknown = matches!(
            status.code(),
            Code::Unavailable | Code::DeadlineExceeded | Code::Unknown | Code::Cancelled
        );
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
