//! Requests that carry an id (AIP-155): the same id and the same request give the first answer again; the same id with another
//! request is refused.
//!
//! The answer is recorded in the transaction that does the work, so it is there if and only if the work is. Two equal requests at
//! once race for the row; the loser's transaction is undone and, tried again, finds the answer.

use serde::{Serialize, de::DeserializeOwned};
use sha2::{Digest, Sha256};

use crate::{
    args,
    db::{self, Session},
    hex,
};

/// A request's id together with what it asked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Key {
    request_id: String,
    fingerprint: String,
}

/// Why no answer was recalled or recorded.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The id was used for another request.
    #[error("the request id was used for another request")]
    Reused,
    /// The database failed.
    #[error(transparent)]
    Db(#[from] db::Error),
}

impl Key {
    /// A key for this method and command; the command's own fields decide whether two requests are the same.
    #[must_use]
    pub fn new(request_id: String, method: &str, command: &impl Serialize) -> Self {
        let mut hash = Sha256::new();
        hash.update(method);
        hash.update([0]);
        hash.update(serde_json::to_vec(command).unwrap_or_default());
        let mut fingerprint = [0; 64];
        hex::write(&mut fingerprint, &hash.finalize());
        let fingerprint = String::from_utf8_lossy(&fingerprint).into_owned();
        Self { request_id, fingerprint }
    }

    /// The caller's id.
    #[must_use]
    pub fn request_id(&self) -> &str {
        &self.request_id
    }

    /// What was asked, as a hash.
    #[must_use]
    pub fn fingerprint(&self) -> &str {
        &self.fingerprint
    }

    /// Reads an answer that was recorded under this id.
    ///
    /// # Errors
    /// [`Error::Reused`] when it belongs to another request.
    pub fn answer<T: DeserializeOwned>(&self, fingerprint: &str, answer: &str) -> Result<T, Error> {
        if fingerprint != self.fingerprint {
            return Err(Error::Reused);
        }
        serde_json::from_str(answer).map_err(|error| db::Error::Other(Box::new(error)).into())
    }
}

/// The answer given before, if there was one.
///
/// # Errors
/// [`Error::Reused`], or the database's.
pub async fn recall<T: DeserializeOwned>(session: &mut Session, key: &Key) -> Result<Option<T>, Error> {
    let row =
        session.optional("SELECT fingerprint, answer FROM request WHERE request_id = $1", args![key.request_id.as_str()]).await?;
    row.map(|row| key.answer(&row.get::<String>("fingerprint")?, &row.get::<String>("answer")?)).transpose()
}

/// Records the answer, in the transaction that did the work.
///
/// # Errors
/// A contended [`db::Error`] when an equal request recorded its answer first: try again from the start.
pub async fn record<T: Serialize>(session: &mut Session, key: &Key, answer: &T, now: i64) -> Result<(), Error> {
    let answer = serde_json::to_string(answer).map_err(|error| db::Error::Other(Box::new(error)))?;
    let written = session
        .execute(
            "INSERT INTO request (request_id, fingerprint, answer, created_at) VALUES ($1, $2, $3, $4) ON CONFLICT DO NOTHING",
            args![key.request_id.as_str(), key.fingerprint.as_str(), answer, now],
        )
        .await?;
    if written == 1 { Ok(()) } else { Err(db::Error::lost_race("the request id").into()) }
}
