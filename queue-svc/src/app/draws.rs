//! What is told of draws, and how a draw that another replica held is read.

use std::sync::Arc;

use chassis::{db::Session, threads};
use tokio::sync::Notify;
use uuid::Uuid;

use crate::{
    domain::{Beacon, Draw, Hash, Proof, QueueRow, randomness},
    error::Error,
    store,
};

/// What is told of a queue's draw. Whatever follows from the secret is there from the opening on.
#[derive(Clone, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "the fields of boxoffice.queue.v1.Draw")]
pub struct DrawView {
    pub queue_id: Arc<str>,
    pub opens_at: Option<i64>,
    pub algorithm: &'static str,
    pub commitment: Hash,
    pub registered: i64,
    pub announced: Option<Announced>,
    pub held: Option<HeldView>,
}

/// The beacon that was announced with a draw, and its round.
#[derive(Clone, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "the fields of boxoffice.queue.v1.Draw")]
pub struct Announced {
    pub beacon: Beacon,
    pub round: i64,
}

/// What is told of a draw once it was held.
#[derive(Clone, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "the fields of boxoffice.queue.v1.Draw")]
pub struct HeldView {
    pub secret: Hash,
    pub root: Hash,
    pub beacon: Vec<u8>,
    pub seed: Hash,
}

/// What is told of one token that took part.
#[derive(Clone, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "the fields of boxoffice.queue.v1.TokenDraw")]
pub struct TokenDrawView {
    pub token: Uuid,
    pub queue_id: Arc<str>,
    pub number: i64,
    pub of: i64,
    pub hash: Hash,
    pub proof: Proof,
}

/// What is worked out for an opening before it is written.
#[derive(Debug)]
pub(super) enum Drafted {
    /// Who takes part in a draw with a beacon.
    Entrants { root: Hash, tokens: Vec<Uuid> },
    /// A draw that was held in memory alone.
    Draw(Arc<Draw>),
}

/// What a draft is good for.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Mark {
    /// The state with this version.
    Version(i64),
    /// A draw among those with this root, whatever has changed since they were fixed, with this signature.
    Beacon(Hash, Arc<[u8]>),
}

/// What was worked out before the queue's row was locked.
#[derive(Debug, Default)]
pub(super) struct Prepared(parking_lot::Mutex<Option<(Mark, Drafted)>>);

impl Prepared {
    pub(super) fn keep(&self, mark: Mark, draft: Drafted) {
        *self.0.lock() = Some((mark, draft));
    }

    /// The draw that was worked out, if it was that.
    pub(super) fn draw(&self) -> Option<Arc<Draw>> {
        match self.0.lock().as_ref()? {
            (_, Drafted::Draw(draw)) => Some(Arc::clone(draw)),
            (_, Drafted::Entrants { .. }) => None,
        }
    }

    /// Throws away what was worked out.
    pub(super) fn clear(&self) {
        *self.0.lock() = None;
    }

    /// What was worked out for this; anything else is thrown away.
    pub(super) fn take(&self, mark: &Mark) -> Option<Drafted> {
        self.0.lock().take().filter(|(of, _)| of == mark).map(|(_, draft)| draft)
    }
}

/// What a replica knows of the beacon that a queue waits for: the round that it found, with its checked
/// signature.
#[derive(Debug, Default)]
pub(super) struct Sought {
    round: parking_lot::Mutex<Option<(i64, Arc<[u8]>)>>,
    came: Notify,
}

impl Sought {
    /// Keeps a round, and wakes the queue's writer.
    pub(super) fn tell(&self, round: i64, signature: Arc<[u8]>) {
        *self.round.lock() = Some((round, signature));
        self.came.notify_one();
    }

    /// The signature of this round, if it was found.
    pub(super) fn found(&self, round: i64) -> Option<Arc<[u8]>> {
        self.round.lock().as_ref().filter(|(of, _)| *of == round).map(|(_, signature)| Arc::clone(signature))
    }

    /// Returns when a round was found.
    pub(super) async fn came(&self) {
        self.came.notified().await;
    }
}

/// The draw that belongs to a row, where memory does not have it yet. What was worked out here for this
/// opening is taken where it is the same as what another replica has written.
pub(super) async fn read(
    session: &mut Session,
    queue_id: &str,
    head: &QueueRow,
    prepared: Option<Arc<Draw>>,
) -> Result<Option<Arc<Draw>>, Error> {
    let Some((drawn, secret)) = head.drawn.zip(head.secret.clone()) else { return Ok(None) };
    let signature = head.beacon.as_ref().and_then(|beacon| beacon.signature.clone());
    let written = store::draw::read(session, queue_id).await?;
    let draw = threads::compute(move || match prepared {
        Some(draw) if written.is(&draw, drawn) => Ok(draw),
        _ => {
            written.draw(&secret, &randomness(signature.as_deref().unwrap_or_default()), drawn).map(Arc::new)
        }
    });
    let draw = draw.await;
    Ok(Some(draw.map_err(|error| Error::Internal(error.to_string()))??))
}
