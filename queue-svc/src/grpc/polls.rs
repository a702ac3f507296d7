//! Batches of polls over one stream.
//!
//! A stream keeps its connection, so it must not go on for ever: a connection that was told to go away (by
//! its age, so that its client finds other replicas and certificates are shown anew) goes only when its last
//! stream has ended.

use std::{panic::AssertUnwindSafe, pin::Pin, time::Duration};

use boxoffice_proto::{
    Fault,
    queue::{BatchGetTokensResponse, PollTokensRequest, PollTokensResponse},
};
use futures::{FutureExt as _, Stream, StreamExt, stream};
use tokio::time::{Instant, timeout};
use tokio_util::sync::CancellationToken;
use tonic::Status;

/// How long a stream goes on, in seconds. Each has a life of its own, so that those of one caller do not all
/// end at the same moment.
const LIFE: std::ops::Range<u64> = 20..30;

/// What ends a stream.
type End = Pin<Box<dyn Future<Output = ()> + Send>>;

/// Ready when a stream is to end: its life is over, or the replica stops.
pub(super) fn end(shutdown: CancellationToken) -> End {
    let life = Duration::from_secs(rand::random_range(LIFE));
    Box::pin(async move { drop(timeout(life, shutdown.cancelled()).await) })
}

/// Answers the batches that a caller asks, in their order and none before the one ahead of it is answered. A
/// batch that cannot be answered ends the stream, and so does `end`, but never in the middle of a batch.
pub(super) fn answers<F: Future<Output = Result<BatchGetTokensResponse, Status>> + Send>(
    asked: impl Stream<Item = Result<PollTokensRequest, Status>> + Send + Unpin,
    end: End,
    answer: impl Fn(Vec<String>) -> F + Send,
) -> impl Stream<Item = Result<PollTokensResponse, Status>> + Send {
    stream::unfold(Some((asked, end, answer)), async |open| {
        let (mut asked, mut end, answer) = open?;
        let next = tokio::select! {
            biased;
            () = &mut end => return None,
            next = asked.next() => next?,
        };
        let Ok(PollTokensRequest { number, tokens }) = next else {
            // A caller that has broken off does not hear it.
            let refused = Fault::invalid_field("message", "must be a PollTokensRequest");
            return Some((Err(refused.into()), None));
        };
        let began = Instant::now();
        // Nothing is around a stream that would catch it, and within a process it is the caller's task.
        let answered = AssertUnwindSafe(answer(tokens)).catch_unwind().await;
        metrics::histogram!("queue_poll_batch_seconds").record(began.elapsed());
        match answered.unwrap_or_else(|_panic| Err(Fault::internal("a batch of polls panicked").into())) {
            Ok(batch) => {
                let answered = PollTokensResponse { number, batch: Some(batch) };
                Some((Ok(answered), Some((asked, end, answer))))
            }
            Err(refused) => Some((Err(refused), None)),
        }
    })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use tokio::sync::mpsc;

    use super::*;

    /// Sends batches, by their numbers, with as many tokens.
    type Caller = mpsc::UnboundedSender<PollTokensRequest>;

    fn ask(caller: &Caller, number: i64) {
        let tokens = vec![String::new(); usize::try_from(number).unwrap()];
        caller.send(PollTokensRequest { number, tokens }).unwrap();
    }

    /// A stream that finds none of the tokens, and refuses a batch of three.
    fn open(end: End) -> (Caller, impl Stream<Item = Result<PollTokensResponse, Status>> + Unpin) {
        let (caller, mut sent) = mpsc::unbounded_channel();
        let asked = stream::poll_fn(move |cx| sent.poll_recv(cx).map(|next| next.map(Ok)));
        let answer = |not_found: Vec<String>| async {
            if not_found.len() == 3 {
                return Err(Status::invalid_argument("three"));
            }
            Ok(BatchGetTokensResponse { not_found, ..BatchGetTokensResponse::default() })
        };
        (caller, Box::pin(answers(asked, end, answer)))
    }

    fn never() -> CancellationToken {
        CancellationToken::new()
    }

    #[tokio::test(start_paused = true)]
    async fn each_batch_is_answered_under_its_number_and_one_that_cannot_be_ends_the_stream() {
        let (caller, mut stream) = open(end(never()));
        for number in [0, 2, 1, 3, 4] {
            ask(&caller, number);
        }
        for number in [0, 2, 1] {
            let answer = stream.next().await.unwrap().unwrap();
            let found = answer.batch.unwrap().not_found.len();
            assert_eq!((answer.number, found), (number, usize::try_from(number).unwrap()));
        }
        assert_eq!(stream.next().await.unwrap().unwrap_err().message(), "three");
        assert!(stream.next().await.is_none());
    }

    #[tokio::test(start_paused = true)]
    async fn it_ends_when_the_replica_stops_when_its_life_is_over_and_when_its_caller_has_gone() {
        let (shutdown, began) = (CancellationToken::new(), Instant::now());
        let (_caller, mut stream) = open(end(shutdown.clone()));
        tokio::spawn(async move {
            tokio::time::sleep(Duration::from_secs(5)).await;
            shutdown.cancel();
        });
        assert!(stream.next().await.is_none());
        assert_eq!(began.elapsed().as_secs(), 5);

        let (caller, mut stream) = open(end(never()));
        ask(&caller, 1);
        assert_eq!(stream.next().await.unwrap().unwrap().number, 1);
        let began = Instant::now();
        assert!(stream.next().await.is_none());
        assert!(LIFE.contains(&began.elapsed().as_secs()), "{:?}", began.elapsed());

        let (caller, mut stream) = open(end(never()));
        drop(caller);
        assert!(stream.next().await.is_none());
    }
}
