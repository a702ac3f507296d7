//! What was drawn where a queue opened by lot: one row a queue, written once; and who takes part in a draw
//! that waits for its beacon.

use chassis::{
    args,
    db::{Error, Session},
};
use uuid::Uuid;

use crate::domain::{Draw, DrawSecret, Drawn, Hash, root_of};

/// Writes a draw. A queue has one: the primary key refuses a second.
///
/// # Errors
/// The database failed.
pub async fn insert(session: &mut Session, queue_id: &str, draw: &Draw) -> Result<(), Error> {
    let statement = "INSERT INTO draw (queue_id, root, seed, tokens) VALUES ($1, $2, $3, $4)";
    let args = args![queue_id, draw.root().to_vec(), draw.seed().to_vec(), joined(draw.order())];
    session.execute(statement, args).await.map(drop)
}

/// Writes who takes part in a draw that waits for its beacon. That is fixed once: the primary key refuses a
/// second.
///
/// # Errors
/// The database failed.
pub async fn enter(session: &mut Session, queue_id: &str, tokens: &[Uuid]) -> Result<(), Error> {
    let statement = "INSERT INTO draw_entry (queue_id, tokens) VALUES ($1, $2)";
    session.execute(statement, args![queue_id, joined(tokens)]).await.map(drop)
}

/// Who takes part in a draw, as it was written.
#[derive(Debug)]
pub struct Entered(Vec<u8>);

impl Entered {
    /// The tokens that take part, which must be those whose root was told.
    ///
    /// # Errors
    /// They are others.
    pub fn tokens(&self, root: &Hash) -> Result<Vec<Uuid>, Error> {
        let tokens = apart(&self.0);
        // I-DRAW: nobody is in the draw who was not when its root was told.
        if root_of(&tokens) == *root {
            Ok(tokens)
        } else {
            Err(Error::Other("who takes part in a draw is not whom its root was told of".into()))
        }
    }
}

/// Reads who takes part in a draw that waits for its beacon.
///
/// # Errors
/// The database failed, or the row is not there: the draw waits no more.
pub async fn entered(session: &mut Session, queue_id: &str) -> Result<Entered, Error> {
    let row = session
        .optional("SELECT tokens FROM draw_entry WHERE queue_id = $1", args![queue_id])
        .await?
        .ok_or_else(|| Error::Other("nobody is entered in the draw of this queue".into()))?;
    Ok(Entered(row.get("tokens")?))
}

/// Removes who took part: the draw that was held has them.
///
/// # Errors
/// The database failed.
pub async fn forget_entered(session: &mut Session, queue_id: &str) -> Result<(), Error> {
    session.execute("DELETE FROM draw_entry WHERE queue_id = $1", args![queue_id]).await.map(drop)
}

fn joined(tokens: &[Uuid]) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(tokens.len() * 16);
    tokens.iter().for_each(|token| bytes.extend_from_slice(token.as_bytes()));
    bytes
}

fn apart(bytes: &[u8]) -> Vec<Uuid> {
    bytes.as_chunks::<16>().0.iter().map(|bytes| Uuid::from_bytes(*bytes)).collect()
}

/// A draw as it was written, before it is worked out again.
#[derive(Debug)]
pub struct Written {
    root: Vec<u8>,
    seed: Vec<u8>,
    tokens: Vec<u8>,
}

impl Written {
    /// The draw. It follows from the secret, the beacon and from who took part, and must be the one that was
    /// told.
    ///
    /// # Errors
    /// What is written is not what these give.
    pub fn draw(&self, secret: &DrawSecret, beacon: &[u8], drawn: Drawn) -> Result<Draw, Error> {
        let draw = Draw::hold(&secret.secret, beacon, &apart(&self.tokens), drawn.after);
        // I-DRAW: nobody is told another number than before.
        if self.is(&draw, drawn) {
            Ok(draw)
        } else {
            Err(Error::Other("what was drawn does not follow from its secret and its tokens".into()))
        }
    }

    /// Whether this draw is what was written: the same people with the same numbers, by the same seed.
    #[must_use]
    pub fn is(&self, draw: &Draw, drawn: Drawn) -> bool {
        let (tokens, rest) = self.tokens.as_chunks::<16>();
        draw.root()[..] == self.root
            && draw.seed()[..] == self.seed
            && (draw.after(), draw.of()) == (drawn.after, drawn.count)
            && rest.is_empty()
            && draw.order().iter().map(Uuid::as_bytes).eq(tokens)
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
