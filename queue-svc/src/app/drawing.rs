//! The opening of a queue by lot.
//!
//! The draw is a transaction of its own, held by the writer of whichever replica first comes to it under the
//! lock of the queue's row. It writes one row with everything that was drawn, and the queue's row, so it is
//! there as a whole or not at all, and a replica that is killed anywhere leaves it to the next.
//!
//! What it costs to draw is paid before the lock is taken, on a thread of its own. Only where somebody has
//! registered or left through another replica meanwhile is it paid again under the lock.

use std::sync::Arc;

use chassis::db::Session;
use uuid::Uuid;

use super::{
    Queues,
    draws::{DrawView, HeldView, TokenDrawView},
    queue::Queue,
};
use crate::{
    domain::{ALGORITHM, BEACON, Draw, DrawSecret, Opened, token_hash},
    error::Error,
    store,
};

/// Works out the draw of a queue that is to open now, as memory has it.
pub(super) async fn prepare(queue: &Arc<Queue>) -> Result<(), Error> {
    let now = queue.clock.now();
    if queue.read(|state| state.head().due_draw(now).is_none()) {
        return Ok(());
    }
    // Who registered through another replica is known before the work is begun.
    queue.catch_up().await?;
    let version = queue.version();
    if let Some(draw) = hold(queue, now).await? {
        queue.prepared.keep(version, draw);
    }
    Ok(())
}

/// Draws as memory has it, on a thread that nobody else waits for. `None` where no draw is due.
async fn hold(queue: &Arc<Queue>, now: i64) -> Result<Option<Arc<Draw>>, Error> {
    let due = queue.read(|state| {
        let head = state.head();
        head.due_draw(now).map(|secret| (secret.secret, state.registered(), head.last_ticket))
    });
    let Some((secret, tokens, after)) = due else { return Ok(None) };
    let draw = tokio::task::spawn_blocking(move || Draw::hold(&secret, &tokens, after)).await;
    draw.map(|draw| Some(Arc::new(draw))).map_err(|error| Error::Internal(error.to_string()))
}

/// Holds a draw that is due, in the transaction that has locked the queue's row and has caught up with it,
/// and commits. Gives the transaction back where no draw is due.
pub(super) async fn open(queue: &Arc<Queue>, mut session: Session) -> Result<Option<Session>, Error> {
    let now = queue.clock.now();
    let prepared = queue.prepared.take(queue.version());
    if queue.read(|state| state.head().due_draw(now).is_none()) {
        return Ok(Some(session));
    }
    let held = if prepared.is_some() { prepared } else { hold(queue, now).await? };
    let Some(draw) = held else { return Ok(Some(session)) };
    let located = queue.locate(Arc::clone(&draw)).await;
    let head = queue.read(|state| state.head().after_draw(draw.of(), now));
    store::draw::insert(&mut session, &queue.id, &draw).await?;
    store::queue::write(&mut session, &queue.id, &head).await?;
    store::event::record(&mut session, &queue.id, head.version, &Opened::of(&head, draw.of())).await?;
    session.commit().await?;
    tracing::info!(queue = %queue.id, registered = draw.of(), "the queue is open, by lot");
    // I-LINE-COMMITTED: the commit has succeeded, and only now does memory change.
    queue.advance(head.version - 1, head, Vec::new(), Some(located), |_| ());
    Ok(None)
}

impl Queues {
    /// Reads the draw of a queue.
    ///
    /// # Errors
    /// [`Error::QueueNotFound`], [`Error::NoDraw`], or the database failed.
    pub async fn draw(&self, queue_id: &str) -> Result<DrawView, Error> {
        self.find_queue(queue_id).await?.draw_view()
    }

    /// Reads what was drawn for a token, whatever became of it since.
    ///
    /// # Errors
    /// [`Error::TokenNotFound`], [`Error::NoDraw`], [`Error::NotDrawnYet`], [`Error::NoLot`], or the database
    /// failed.
    pub async fn token_draw(&self, id: Uuid) -> Result<TokenDrawView, Error> {
        let queue = self.queue_of(&id).await?;
        match queue.token_draw(&id) {
            // Another replica may have held the draw a moment ago.
            Err(Error::NotDrawnYet) => {
                Box::pin(queue.catch_up()).await?;
                queue.token_draw(&id)
            }
            told => told,
        }
    }
}

impl Queue {
    /// The draw of this queue as it is told.
    pub(super) fn draw_view(&self) -> Result<DrawView, Error> {
        let state = self.look();
        let head = state.head();
        let secret: &DrawSecret = head.secret.as_ref().ok_or(Error::NoDraw)?;
        Ok(DrawView {
            queue_id: Arc::clone(&self.id),
            opens_at: head.policy.opens_at,
            algorithm: ALGORITHM,
            commitment: secret.commitment(),
            registered: head.drawn.map_or_else(|| state.waiting(), |drawn| drawn.count),
            held: state.draw().map(|draw| HeldView {
                secret: *draw.secret(),
                root: *draw.root(),
                beacon: BEACON,
                seed: *draw.seed(),
            }),
        })
    }

    /// What was drawn for a token that this queue issued.
    pub(super) fn token_draw(&self, token: &Uuid) -> Result<TokenDrawView, Error> {
        let (draw, is_draw) = self.read(|state| (state.draw().cloned(), state.head().secret.is_some()));
        // The proof is looked up without the lock, since a draw does not change.
        let draw = draw.ok_or(if is_draw { Error::NotDrawnYet } else { Error::NoDraw })?;
        let (number, proof) = draw.number(token).zip(draw.prove(token)).ok_or(Error::NoLot)?;
        Ok(TokenDrawView {
            token: *token,
            queue_id: Arc::clone(&self.id),
            number,
            of: draw.of(),
            hash: token_hash(token),
            proof,
        })
    }
}
