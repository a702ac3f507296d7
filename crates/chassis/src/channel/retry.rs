//! Calling again where the outcome of an idempotent call is unknown.

use std::{future::Future, time::Duration};

use tokio::time::{self, Instant};
use tonic::{Code, Status};

use super::DEFAULT_TIMEOUT;
use crate::{back_off::BackOff, context::Context};

/// How often [`retry`] makes a call.
const ATTEMPTS: u32 = 5;
/// The pauses between attempts. The first is short, because another replica most often answers at once; all
/// four together give one that restarts about half a second.
const PAUSES: BackOff =
    BackOff { base: Duration::from_millis(5), factor: 4, cap: Duration::from_millis(320), jitter: 0.75 };

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
        let pause = PAUSES.pause(attempt);
        // Our servers never answer UNKNOWN or CANCELLED themselves: the client makes these of a connection
        // that was lost in the middle of an answer.
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
