//! The opening of a queue by lot.
//!
//! The draw is a transaction of its own, held by the writer of whichever replica first comes to it under the
//! lock of the queue's row. It writes one row with everything that was drawn, and the queue's row, so it is
//! there as a whole or not at all, and a replica that is killed anywhere leaves it to the next.
//!
//! A draw with a beacon takes two of them: one fixes who takes part, the other, once the beacon is there,
//! holds the draw among these. Between them the queue stays closed.
//!
//! What it costs to draw is paid before the lock is taken, on a thread of its own. Only where somebody has
//! registered or left through another replica meanwhile is it paid again under the lock.

use std::sync::Arc;

use chassis::{db::Session, threads};
use uuid::Uuid;

use super::{
    Queues,
    draws::{Announced, Drafted, DrawView, HeldView, Mark, TokenDrawView},
    queue::Queue,
};
use crate::{
    domain::{ALGORITHM, Awaited, Draw, DrawSecret, Hash, Opened, randomness, root_of, token_hash},
    error::Error,
    store,
};

/// What an opening by lot asks for now.
enum Step {
    /// To hold a draw without a beacon, with this secret.
    Hold(Hash),
    /// To fix who takes part.
    Enter,
    /// To hold the draw among those, with the signature of its round.
    HoldEntered(Awaited, Arc<[u8]>),
}

impl Step {
    /// What is to be done for this queue now, if anything is.
    fn of(queue: &Queue) -> Option<Self> {
        let now = queue.clock.now();
        let awaited = {
            let state = queue.look();
            let head = state.head();
            if let Some(secret) = head.due_draw(now) {
                return Some(Self::Hold(secret.secret));
            }
            if head.is_entry_due(now) {
                return Some(Self::Enter);
            }
            head.awaited()?
        };
        let signature = queue.beacon_of(&awaited)?;
        Some(Self::HoldEntered(awaited, signature))
    }

    /// What a draft of this step is good for. Who takes part in a draw that waited changes no more.
    fn mark(&self, version: i64) -> Mark {
        match self {
            Self::Hold(_) | Self::Enter => Mark::Version(version),
            Self::HoldEntered(awaited, signature) => {
                Mark::Beacon(awaited.entrants.root, Arc::clone(signature))
            }
        }
    }
}

/// Works out what a queue that opens by lot is to write now, as memory has it.
pub(super) async fn prepare(queue: &Arc<Queue>) -> Result<(), Error> {
    if Step::of(queue).is_none() {
        return Ok(());
    }
    // Who registered through another replica is known before the work is begun.
    queue.catch_up().await?;
    let version = queue.version();
    if let Some(step) = Step::of(queue) {
        let mut session = queue.db.read().await?;
        let draft = draft(queue, &step, &mut session).await?;
        queue.prepared.keep(step.mark(version), draft);
    }
    Ok(())
}

/// Works out a step as memory has it, on a thread that nobody else waits for.
async fn draft(queue: &Arc<Queue>, step: &Step, session: &mut Session) -> Result<Drafted, Error> {
    let work: Box<dyn FnOnce() -> Result<Drafted, Error> + Send> = match step {
        Step::Hold(secret) => {
            let after = queue.read(|state| state.head().last_ticket);
            let tokens = queue.registered().await;
            let secret = *secret;
            Box::new(move || Ok(Drafted::Draw(Draw::hold(&secret, &[], &tokens, after).into())))
        }
        Step::Enter => {
            let tokens = queue.registered().await;
            Box::new(move || Ok(Drafted::Entrants { root: root_of(&tokens), tokens }))
        }
        Step::HoldEntered(Awaited { secret, entrants, .. }, signature) => {
            let entered = store::draw::entered(session, &queue.id).await?;
            let (secret, entrants, beacon) = (*secret, *entrants, randomness(signature));
            Box::new(move || {
                let tokens = entered.tokens(&entrants.root)?;
                Ok(Drafted::Draw(Draw::hold(&secret, &beacon, &tokens, entrants.after).into()))
            })
        }
    };
    let drafted = threads::compute(work).await;
    drafted.map_err(|error| Error::Internal(error.to_string()))?
}

/// Takes a step that is due, in the transaction that has locked the queue's row and has caught up with it,
/// and commits. Gives the transaction back where none is due.
pub(super) async fn open(queue: &Arc<Queue>, mut session: Session) -> Result<Option<Session>, Error> {
    let Some(step) = Step::of(queue) else {
        // Another replica was faster, and what was worked out for this is of no use any more.
        queue.prepared.clear();
        return Ok(Some(session));
    };
    let draft = match queue.prepared.take(&step.mark(queue.version())) {
        Some(draft) => draft,
        None => draft(queue, &step, &mut session).await?,
    };
    match draft {
        Drafted::Entrants { root, tokens } => enter(queue, session, root, &tokens).await?,
        Drafted::Draw(draw) => hold(queue, session, step, draw).await?,
    }
    Ok(None)
}

/// Fixes who takes part in a draw with a beacon.
async fn enter(queue: &Queue, mut session: Session, root: Hash, tokens: &[Uuid]) -> Result<(), Error> {
    let (now, count) = (queue.clock.now(), i64::try_from(tokens.len()).unwrap_or(i64::MAX));
    let head = queue.read(|state| state.head().after_entry(root, count, now));
    store::draw::enter(&mut session, &queue.id, tokens).await?;
    store::queue::write(&mut session, &queue.id, &head).await?;
    session.commit().await?;
    let round = head.round();
    tracing::info!(queue = %queue.id, registered = count, round, "who takes part in the draw is fixed");
    // I-LINE-COMMITTED: the commit has succeeded, and only now does memory change.
    queue.advance(head.version - 1, head, Vec::new(), None, |_| ());
    Ok(())
}

/// Holds a draw.
async fn hold(queue: &Queue, mut session: Session, step: Step, draw: Arc<Draw>) -> Result<(), Error> {
    let now = queue.clock.now();
    let dealing = queue.deal(Arc::clone(&draw)).await;
    let head = queue.read(|state| match step {
        Step::HoldEntered(_, signature) => state.head().after_beacon(signature, now),
        Step::Hold(_) | Step::Enter => state.head().after_draw(draw.of(), now),
    });
    store::draw::insert(&mut session, &queue.id, &draw).await?;
    store::draw::forget_entered(&mut session, &queue.id).await?;
    store::queue::write(&mut session, &queue.id, &head).await?;
    store::event::record(&mut session, &queue.id, head.version, &Opened::of(&head, draw.of())).await?;
    session.commit().await?;
    tracing::info!(queue = %queue.id, registered = draw.of(), "the queue is open, by lot");
    // I-LINE-COMMITTED: as above.
    queue.advance(head.version - 1, head, Vec::new(), Some(dealing), |_| ());
    Ok(())
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
            registered: head.taking_part().unwrap_or_else(|| state.waiting()),
            announced: head
                .beacon
                .clone()
                .zip(head.round())
                .map(|(beacon, round)| Announced { beacon, round }),
            held: state.draw().map(|draw| HeldView {
                secret: *draw.secret(),
                root: *draw.root(),
                beacon: draw.beacon().to_vec(),
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
