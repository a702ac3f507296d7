//! Requests that carry an id (AIP-155): the same id and the same request give the first answer again; the
//! same id with another request is refused. An id belongs to whoever uses it: the same id from somebody else,
//! or for another method, is another id. A service knows whose things a request is about; who acts on what is
//! somebody else's, only the edge knows, which passes on an id of that caller ([`of_caller`]).
//!
//! I-SAME-ANSWER: the answer is recorded in the transaction that does the work, so it is there if and only if
//! the work is. Two equal requests at the same time race for the row; the transaction of the loser is undone
//! and, tried again, finds the answer.
//!
//! # Names
//!
//! An answer is recorded under a name made of method, owner and id. Programs of release 0.1 know the bare id
//! alone. So that a request that is repeated while replicas are being updated is not executed twice, in
//! whichever order it meets old and new ones, an answer is recorded under the bare id as well (unless that is
//! taken by somebody else's), and one that is found there counts if it is of this very request. A later
//! release, which no longer runs beside 0.1, can do without [`Key::bare`].
//!
//! # How long
//!
//! An id that begins with [`BRIEF`] was made up for one call, so that the call can be repeated safely; its
//! answer is kept for [`BRIEFLY`]. Other answers are kept for [`RequestRetention::request_retention`]. After
//! that, the same id is a new request.

use std::{
    collections::{HashMap, HashSet},
    time::Duration,
};

use serde::{Serialize, de::DeserializeOwned};
use sha2::{Digest, Sha256};

use crate::{
    args,
    db::{self, Session, Sql},
    hex,
    prune::{self, Old},
};

/// The prefix of ids that were made up for one call. What follows it must be unique.
pub const BRIEF: &str = "brief/";
/// How long such ids are remembered: much longer than any call is repeated.
pub const BRIEFLY: Duration = Duration::from_secs(600);
/// The prefix of ids that are one caller's, whosever things the request is about: see [`of_caller`].
pub const OF_CALLER: &str = "of-caller/";
/// How long the ids of clients are remembered, unless told otherwise.
const A_WEEK: Duration = Duration::from_secs(7 * 24 * 3_600);

/// How long the answers to requests with an id are kept.
#[derive(clap::Args, Clone, Copy, Debug)]
#[group(skip)]
pub struct RequestRetention {
    /// How long a request's id is remembered and its first answer given again, 1h to 3650d
    #[arg(long, env, default_value = "7d", value_parser = prune::retention)]
    pub request_retention: Duration,
}

impl Default for RequestRetention {
    fn default() -> Self {
        Self { request_retention: A_WEEK }
    }
}

impl RequestRetention {
    /// The rows of the table `request` that a service forgets, and when.
    #[must_use]
    pub fn old(&self) -> [Old; 2] {
        [
            Old::new("request_brief", BRIEFLY, forget_brief),
            Old::new("request", self.request_retention, forget),
        ]
    }
}

/// Identifies a request: its id, whose it is, and what was asked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Key {
    name: String,
    bare: Option<String>,
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
    /// The key of a request to this method. `owner` is whose the id is: the user whom the request names, or
    /// the capability that it shows in a user's place; empty for what operators do, whose ids the edge makes
    /// [their own](of_caller). Two requests with one id are the same if `command` has equal fields.
    #[must_use]
    pub fn new(request_id: String, method: &str, owner: &str, command: &impl Serialize) -> Self {
        let fingerprint = hashed(|hash| {
            hash.update(method);
            hash.update([0]);
            hash.update(serde_json::to_vec(command).unwrap_or_default());
        });
        if request_id.starts_with(BRIEF) {
            return Self { name: request_id, bare: None, fingerprint };
        }
        // An id of a caller's own is that caller's, whosever things the request is about.
        let owner = if request_id.starts_with(OF_CALLER) { "" } else { owner };
        // Neither a method nor an id has a space in it, so no two owners share a name, and no bare id is one.
        Self { name: format!("{method} {owner} {request_id}"), bare: Some(request_id), fingerprint }
    }

    /// The name that the answer is recorded under.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The name that programs of release 0.1 look for; `None` when that is the same name.
    #[must_use]
    pub fn bare(&self) -> Option<&str> {
        self.bare.as_deref()
    }

    /// The names under which the answer is recorded.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        [Some(self.name()), self.bare()].into_iter().flatten()
    }

    /// The SHA-256 of method and command, in hex.
    #[must_use]
    pub fn fingerprint(&self) -> &str {
        &self.fingerprint
    }
}

/// The id by which a service is to know a request that this caller makes about somebody else's things under
/// this id, so that neither of the two meets the other's answer. It is an id of at most 128 characters again.
#[must_use]
pub fn of_caller(caller: &str, request_id: &str) -> String {
    // No id has a space in it, and neither has the name of a caller.
    format!("{OF_CALLER}{}", hashed(|hash| hash.update(format!("{caller} {request_id}"))))
}

fn hashed(feed: impl FnOnce(&mut Sha256)) -> String {
    let mut hash = Sha256::new();
    feed(&mut hash);
    let mut hashed = [0; 64];
    hex::write(&mut hashed, &hash.finalize());
    String::from_utf8_lossy(&hashed).into_owned()
}

/// The answers that were recorded for some keys.
#[derive(Debug)]
pub struct Recorded(HashMap<String, (String, String)>);

impl Recorded {
    /// The answer given before, if there was one.
    ///
    /// # Errors
    /// [`Error::Reused`], or an answer that cannot be read.
    pub fn answer<T: DeserializeOwned>(&self, key: &Key) -> Result<Option<T>, Error> {
        let same = |(fingerprint, _): &&(String, String)| *fingerprint == key.fingerprint;
        let by_bare = || key.bare().and_then(|bare| self.0.get(bare)).filter(same);
        let Some(found) = self.0.get(key.name()).or_else(by_bare) else { return Ok(None) };
        if !same(&found) {
            return Err(Error::Reused);
        }
        Ok(Some(serde_json::from_str(&found.1).map_err(db::Error::from)?))
    }
}

/// Reaches each row by its key, whatever the planner assumes about a young table.
const RECALL: Sql = Sql {
    postgres: "SELECT request_id, fingerprint, answer FROM UNNEST((SELECT $1::text[])) AS a (name) \
               CROSS JOIN LATERAL (SELECT * FROM request WHERE request_id = a.name LIMIT 1) AS r",
    sqlite: "SELECT request_id, fingerprint, answer FROM json_each($1) AS a CROSS JOIN request AS r WHERE r.request_id = a.value",
};

const RECORD: Sql = Sql {
    postgres: "INSERT INTO request (request_id, fingerprint, answer, created_at) \
               SELECT r.name, r.fingerprint, r.answer, $1 FROM UNNEST($2::text[], $3::text[], $4::text[]) AS r (name, fingerprint, answer) \
               ON CONFLICT DO NOTHING RETURNING request_id",
    sqlite: "INSERT INTO request (request_id, fingerprint, answer, created_at) \
             SELECT value ->> 0, value ->> 1, value ->> 2, $1 FROM json_each($2) WHERE true \
             ON CONFLICT DO NOTHING RETURNING request_id",
};

/// The answers given before to any of these.
///
/// # Errors
/// The database failed.
pub async fn recall_all(
    session: &mut Session,
    keys: impl Iterator<Item = &Key>,
) -> Result<Recorded, db::Error> {
    recorded(session, keys.flat_map(Key::names).map(str::to_owned).collect()).await
}

async fn recorded(session: &mut Session, names: Vec<String>) -> Result<Recorded, db::Error> {
    if names.is_empty() {
        return Ok(Recorded(HashMap::new()));
    }
    let rows = session.all(RECALL, args![names]).await?;
    let rows =
        rows.iter().map(|row| Ok((row.get("request_id")?, (row.get("fingerprint")?, row.get("answer")?))));
    rows.collect::<Result<_, _>>().map(Recorded)
}

/// Records answers (JSON), in the transaction that did the work.
///
/// # Errors
/// A contended [`db::Error`] when an equal request recorded its answer first: try again from the start.
pub async fn record_all(
    session: &mut Session,
    answers: &[(&Key, String)],
    now: i64,
) -> Result<(), db::Error> {
    if answers.is_empty() {
        return Ok(());
    }
    let mut rows: Vec<(&str, &Key, &str)> = Vec::with_capacity(2 * answers.len());
    for (key, answer) in answers {
        rows.extend(key.names().map(|name| (name, *key, answer.as_str())));
    }
    // In the same order in every batch, so that batches may wait for each other but never deadlock.
    rows.sort_by_key(|(name, ..)| *name);
    let rows = rows.into_iter().map(|(name, key, answer)| args![name, key.fingerprint(), answer]).collect();
    let mut args = args![now];
    args.extend(db::table(session.dialect(), rows));
    let written = session.all(RECORD, args).await?;
    let written = written.iter().map(|row| row.get("request_id")).collect::<Result<HashSet<String>, _>>()?;
    let is_written = |name: &str| written.contains(name);
    if !answers.iter().all(|(key, _)| is_written(key.name())) {
        return Err(db::Error::lost_race("the request id"));
    }
    // A bare id that is taken is somebody else's request, unless a program of release 0.1 has just recorded
    // this one.
    let taken: HashMap<&str, &Key> = answers
        .iter()
        .filter_map(|(key, _)| key.bare().filter(|bare| !is_written(bare)).map(|bare| (bare, *key)))
        .collect();
    let others = recorded(session, taken.keys().map(|bare| (*bare).to_owned()).collect()).await?;
    let ours =
        |(bare, key): (&&str, &&Key)| others.0.get(*bare).is_some_and(|(told, _)| told == key.fingerprint());
    if taken.iter().any(ours) { Err(db::Error::lost_race("the request id")) } else { Ok(()) }
}

/// The answer given before, if there was one. A request without a key has none.
///
/// # Errors
/// [`Error::Reused`], or the database's.
pub async fn recall<'a, T: DeserializeOwned>(
    session: &mut Session,
    key: impl Into<Option<&'a Key>>,
) -> Result<Option<T>, Error> {
    let Some(key) = key.into() else { return Ok(None) };
    recall_all(session, std::iter::once(key)).await?.answer(key)
}

/// Records the answer, in the transaction that did the work. A request without a key has nothing to record.
///
/// # Errors
/// A contended [`db::Error`] when an equal request recorded its answer first: try again from the start.
pub async fn record<'a, T: Serialize>(
    session: &mut Session,
    key: impl Into<Option<&'a Key>>,
    answer: &T,
    now: i64,
) -> Result<(), Error> {
    let Some(key) = key.into() else { return Ok(()) };
    let answer = serde_json::to_string(answer).map_err(db::Error::from)?;
    Ok(record_all(session, &[(key, answer)], now).await?)
}

crate::forget! {
    /// By the index of the ids that were made up for one call (see [`BRIEF`]).
    fn forget_brief("request", "request_id", "created_at", "substr(request_id, 1, 6) = 'brief/'")
}

crate::forget! {
    /// By the index of all the others.
    fn forget("request", "request_id", "created_at", "substr(request_id, 1, 6) <> 'brief/'")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_two_owners_share_a_name_and_no_bare_id_is_one() {
        let name = |method: &str, owner: &str, id: &str| {
            Key::new(id.to_owned(), method, owner, &()).name().to_owned()
        };
        let names = [
            name("Charge", "ann", "1"),
            name("Charge", "bob", "1"),
            name("Use", "ann", "1"),
            name("Charge", "", "ann/1"),
            name("Charge", "ann", "bob/1"),
        ];
        for (nth, one) in names.iter().enumerate() {
            assert!(one.contains(' ') && !names[..nth].contains(one), "{names:?}");
        }
    }

    #[test]
    fn an_id_of_a_caller_is_an_id_that_no_other_caller_gets() {
        let long = "x".repeat(128);
        let ids = [of_caller("carl", &long), of_caller("olga", &long), of_caller("carl", "1")];
        for (nth, id) in ids.iter().enumerate() {
            assert!(id.len() <= 128 && id.bytes().all(|byte| byte.is_ascii_graphic()), "{id}");
            assert!(id.starts_with(OF_CALLER) && !ids[..nth].contains(id), "{ids:?}");
        }
        assert_eq!(ids[2], of_caller("carl", "1"));
        let name = |owner| Key::new(ids[2].clone(), "Charge", owner, &owner).name().to_owned();
        assert_eq!(name("ann"), name("bob"), "it is the caller's, whosever things the request is about");
    }

    #[test]
    fn an_id_made_up_for_one_call_has_one_name() {
        let key = Key::new(format!("{BRIEF}17"), "Charge", "ann", &());
        assert_eq!(key.names().collect::<Vec<_>>(), ["brief/17"]);
        assert_eq!(BRIEF.len(), 6, "as the indexes and the statements have it");
    }
}
