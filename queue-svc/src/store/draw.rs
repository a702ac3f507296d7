//! What was drawn where a queue opened by lot: one row a queue, written once.

use chassis::{
    args,
    db::{Error, Session},
};
use uuid::Uuid;

use crate::domain::{Draw, DrawSecret, Drawn};

/// Writes a draw. A queue has one: the primary key refuses a second.
///
/// # Errors
/// The database failed.
pub async fn insert(session: &mut Session, queue_id: &str, draw: &Draw) -> Result<(), Error> {
    let mut tokens = Vec::with_capacity(draw.order().len() * 16);
    draw.order().iter().for_each(|token| tokens.extend_from_slice(token.as_bytes()));
    let statement = "INSERT INTO draw (queue_id, root, seed, tokens) VALUES ($1, $2, $3, $4)";
    let args = args![queue_id, draw.root().to_vec(), draw.seed().to_vec(), tokens];
    session.execute(statement, args).await.map(drop)
}

/// A draw as it was written, before it is worked out again.
#[derive(Debug)]
pub struct Written {
    root: Vec<u8>,
    seed: Vec<u8>,
    tokens: Vec<u8>,
}

impl Written {
    /// The draw. It follows from the secret and from who took part, and must be the one that was told.
    ///
    /// # Errors
    /// What is written is not what this secret and these tokens give.
    pub fn draw(&self, secret: &DrawSecret, drawn: Drawn) -> Result<Draw, Error> {
        let tokens: Vec<Uuid> =
            self.tokens.as_chunks::<16>().0.iter().map(|bytes| Uuid::from_bytes(*bytes)).collect();
        let draw = Draw::hold(&secret.secret, &tokens, drawn.after);
        // I-DRAW: nobody is told another number than before.
        if draw.root()[..] == self.root
            && draw.seed()[..] == self.seed
            && draw.order() == tokens
            && draw.of() == drawn.count
        {
            Ok(draw)
        } else {
            Err(Error::Other("what was drawn does not follow from its secret and its tokens".into()))
        }
    }
}

/// Reads what was drawn.
///
/// # Errors
/// The database failed, or the row is not there.
pub async fn read(session: &mut Session, queue_id: &str) -> Result<Written, Error> {
    let row = session
        .optional("SELECT root, seed, tokens FROM draw WHERE queue_id = $1", args![queue_id])
        .await?
        .ok_or_else(|| Error::Other("a queue was drawn, and its draw is not there".into()))?;
    Ok(Written { root: row.get("root")?, seed: row.get("seed")?, tokens: row.get("tokens")? })
}
