//! Following one token as a stream. The stream makes a message only when the reader asks for one, so a slow
//! reader holds no backlog.

use std::{sync::Arc, time::Duration};

use futures::{Stream, stream};
use tokio::{
    sync::watch,
    time::{self, Instant},
};
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use super::{Queues, queue::Queue};
use crate::{
    domain::{TokenStatus, TokenView},
    error::Error,
};

/// A token at most this far back is sent every step.
const NEAR: i64 = 10;
/// The shortest time between two messages about steps of a token further back.
const STEP: Duration = Duration::from_secs(1);
/// How soon a stream reads the state after the queue has moved, so that its user learns of an admission soon:
/// up to which place the first pause applies, that pause, and the pause of all others. It bounds how often a
/// thousand streams wake for a queue that moves a hundred times a second.
const LOOK: (i64, Duration, Duration) = (1_000, Duration::from_millis(100), Duration::from_secs(1));

/// The longest silence of a stream. After it the present state is sent again as a heartbeat, because proxies
/// cut connections that are silent for half a minute. Together with the longest pause it stays within the 15
/// s that the contract promises. The user counts as heard of at least this often.
const QUIET: Duration = Duration::from_secs(13);

struct Following {
    queues: Queues,
    queue: Arc<Queue>,
    token: Uuid,
    moved: watch::Receiver<i64>,
    told: Option<TokenView>,
    told_at: Instant,
    stop: CancellationToken,
}

impl Queues {
    /// A stream of the token as it is now and of every change worth sending. It ends after a final status, or
    /// with [`Error::Unknown`] when this replica shuts down.
    ///
    /// # Errors
    /// [`Error::TokenNotFound`], or the database failed.
    pub async fn watch(
        &self,
        token: Uuid,
        shutdown: &CancellationToken,
    ) -> Result<impl Stream<Item = Result<TokenView, Error>> + use<>, Error> {
        let now = self.token(token).await?;
        let queue = self.0.open.read().with(&token).cloned();
        let Some(queue) = queue.filter(|_| now.status.is_live()) else {
            let last = self.token(token).await?;
            return Ok(futures::future::Either::Left(stream::iter([Ok(last)])));
        };
        let following = Following {
            queues: self.clone(),
            moved: queue.changes(),
            queue,
            token,
            told: None,
            told_at: Instant::now(),
            stop: shutdown.clone(),
        };
        let live = stream::unfold(Some(following), async |following| {
            let mut following = following?;
            match following.next().await {
                Ok(view) => {
                    let goes_on = view.status.is_live();
                    following.told = Some(view.clone());
                    following.told_at = Instant::now();
                    Some((Ok(view), goes_on.then_some(following)))
                }
                Err(error) => Some((Err(error), None)),
            }
        });
        Ok(futures::future::Either::Right(live))
    }
}

fn look_after(view: &TokenView) -> Duration {
    if view.status == TokenStatus::Registered {
        // A crowd registers in front of a queue that moves with each of them.
        LOOK.2
    } else if view.position <= NEAR {
        Duration::ZERO
    } else if view.position <= LOOK.0 {
        LOOK.1
    } else {
        LOOK.2
    }
}

impl Following {
    /// Waits for the next state worth sending.
    async fn next(&mut self) -> Result<TokenView, Error> {
        loop {
            self.moved.borrow_and_update();
            let view = match self.queue.ask_about(&self.token) {
                Some(view) => view,
                None => self.queues.token(self.token).await?,
            };
            if self.worth_telling(&view) {
                return Ok(view);
            }
            let owed = self.told.as_ref().is_some_and(|told| told.position != view.position);
            let next_step = self.told_at + STEP;
            let patience = self.queue.read(|state| state.head().policy.patience());
            let heard = Instant::now() + Duration::from_micros(u64::try_from(patience).unwrap_or(0));
            let heartbeat = heard.min(self.told_at + QUIET);
            let moved = &mut self.moved;
            let pause = async {
                time::sleep(look_after(&view)).await;
                tokio::select! {
                    changed = moved.changed() => changed,
                    // A step that came too soon after the last message is sent later.
                    () = time::sleep_until(next_step), if owed => Ok(()),
                    // An open stream counts as its user being heard of, also when nothing changes.
                    () = time::sleep_until(heartbeat) => Ok(()),
                }
            };
            tokio::select! {
                () = self.stop.cancelled() => return Err(Error::Unknown),
                changed = pause => changed.map_err(|_| Error::Unknown)?,
            }
        }
    }

    fn worth_telling(&self, view: &TokenView) -> bool {
        let Some(told) = &self.told else { return true };
        let anew = told.status != view.status
            || told.ticket != view.ticket
            || told.opens_at != view.opens_at
            || told.message != view.message
            || told.active_until != view.active_until;
        let step = told.position != view.position;
        let quiet = self.told_at.elapsed() >= QUIET;
        anew || quiet
            || (step
                && view.status == TokenStatus::Waiting
                && (view.position <= NEAR || self.told_at.elapsed() >= STEP))
    }
}
