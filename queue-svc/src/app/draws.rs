//! What is told of draws, and how a draw that another replica held is read.

use std::sync::Arc;

use chassis::db::Session;
use uuid::Uuid;

use crate::{
    domain::{Draw, Hash, Proof, QueueRow},
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
    pub held: Option<HeldView>,
}

/// What is told of a draw once it was held.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "the fields of boxoffice.queue.v1.Draw")]
pub struct HeldView {
    pub secret: Hash,
    pub root: Hash,
    pub beacon: &'static [u8],
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

/// A draw that was worked out for a state before the queue's row was locked.
#[derive(Debug, Default)]
pub(super) struct Prepared(parking_lot::Mutex<Option<(i64, Arc<Draw>)>>);

impl Prepared {
    pub(super) fn keep(&self, version: i64, draw: Arc<Draw>) {
        *self.0.lock() = Some((version, draw));
    }

    /// The draw that was worked out for this version; one for another is thrown away.
    pub(super) fn take(&self, version: i64) -> Option<Arc<Draw>> {
        self.0.lock().take().filter(|(of, _)| *of == version).map(|(_, draw)| draw)
    }
}

/// A draw that is about to be dealt, with where those who took part are in memory, by their numbers.
#[derive(Debug)]
pub(super) struct Located {
    pub(super) draw: Arc<Draw>,
    pub(super) slots: Vec<u32>,
}

/// The draw that belongs to a row, where memory does not have it yet.
pub(super) async fn read(
    session: &mut Session,
    queue_id: &str,
    head: &QueueRow,
    known: bool,
) -> Result<Option<Arc<Draw>>, Error> {
    let Some((drawn, secret)) = head.drawn.zip(head.secret.clone()).filter(|_| !known) else {
        return Ok(None);
    };
    let written = store::draw::read(session, queue_id).await?;
    let draw = tokio::task::spawn_blocking(move || written.draw(&secret, drawn)).await;
    Ok(Some(Arc::new(draw.map_err(|error| Error::Internal(error.to_string()))??)))
}
