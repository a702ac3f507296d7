//! One attempt at a batch: everything that its transaction does.
//!
//! ```text
//!   choose for those who name no seats ─► lock holds, seats and holders in one order
//!   ─► recall recorded answers
//!   ─► decide in memory, in the order in which the requests came
//!   ─► write seats, holds, events, answers, the seats' log, each in one statement ─► commit ─► answer all
//! ```
//! The requests that wait at one moment share one transaction ([`chassis::db::Group`]). Answers are recalled
//! once the locks are there: an equal request that another replica committed meanwhile had the same locks, so
//! its answer is found (I-SAME-ANSWER).

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    sync::Arc,
};

use chassis::{
    clock::Clock,
    db::{Db, Error, Session},
    idempotency::{self, Key, Recorded},
};

use super::{Memory, choosing, taking::Taker};
use crate::{
    domain::{
        Changes, HolderKey, Locked, NewHold, Refusal, Request, Reservation, Rules, SeatKey, batch::seats_of,
    },
    error,
    store::{cancelling, changes, events, holds, refunds, seats},
};

/// A request as it waits for its batch.
#[derive(Debug)]
pub(super) struct Asked {
    pub(super) request: Request,
    pub(super) key: Option<Key>,
}

/// Why a request of a batch was not granted. The others are not concerned.
#[derive(Clone, Debug)]
pub(super) enum Denied {
    Refused(Refusal),
    /// The request id was used for another request.
    Reused,
}

impl From<Denied> for error::Error {
    fn from(denied: Denied) -> Self {
        match denied {
            Denied::Refused(refusal) => refusal.into(),
            Denied::Reused => Self::RequestIdReused,
        }
    }
}

/// The recorded answers to requests, one for each key; `None` where there is none.
pub(super) async fn recall(
    db: Db,
    keys: Arc<[Arc<Key>]>,
) -> Result<Vec<Result<Option<Reservation>, Denied>>, Error> {
    let mut session = db.read().await?;
    let recorded = idempotency::recall_all(&mut session, keys.iter().map(AsRef::as_ref)).await?;
    let answer = |key: &Arc<Key>| match recorded.answer(key) {
        Ok(answer) => Ok(Ok(answer)),
        Err(idempotency::Error::Reused) => Ok(Err(Denied::Reused)),
        Err(idempotency::Error::Db(error)) => Err(error),
    };
    keys.iter().map(answer).collect()
}

type Answers = Vec<Result<Reservation, Denied>>;
/// What to record of the answers to requests that have an id.
type Records<'a> = Vec<(&'a Key, String)>;

/// Decides and commits the requests, and answers each, in order.
pub(super) async fn attempt(
    db: Db,
    clock: Clock,
    rules: Rules,
    (memory, taker): (Arc<Memory>, Arc<Taker>),
    batch: Arc<[Arc<Asked>]>,
) -> Result<Answers, Error> {
    let mut session = db.begin().await?;
    let (mut locked, now) = lock(&mut session, &clock, rules, &batch).await?;
    let recorded =
        idempotency::recall_all(&mut session, batch.iter().filter_map(|asked| asked.key.as_ref())).await?;
    let (answers, records) = decide(&batch, &recorded, |request| locked.decide(request, rules, now))?;
    let changes = locked.into_changes();
    if changes.is_empty() && records.is_empty() {
        session.rollback().await;
        return Ok(answers);
    }
    let shows = changes.holds.iter().chain(&changes.refunded);
    let shows: BTreeSet<_> = shows.map(|hold| (hold.show_id, hold.concert_id)).collect();
    let _touches: Vec<_> = shows.into_iter().map(|(show, concert)| memory.touch(show, concert)).collect();
    let seats = match write(&mut session, &changes, now).await {
        // The one unique key that a batch can meet is that of the payment (I-PAID-ONCE). The requests of a
        // batch that met it are made again one by one, so that it is found whose payment it was.
        Err(error) if error.is_unique() && batch.len() == 1 => {
            session.rollback().await;
            return Ok(vec![Err(Denied::Refused(Refusal::PaymentUsed))]);
        }
        written => written?,
    };
    if taker.is_there() {
        events::record(&mut session, &changes.events, now).await?;
    }
    idempotency::record_all(&mut session, &records, now).await?;
    changes::record(&mut session, &seats, now).await?;
    session.commit().await?;
    Ok(answers)
}

/// Locks what the requests are about, and answers the time at which they are decided. It is read when what
/// they compare with it is locked, so that the time spent waiting counts.
async fn lock(
    session: &mut Session,
    clock: &Clock,
    rules: Rules,
    batch: &[Arc<Asked>],
) -> Result<(Locked, i64), Error> {
    let (mut ids, mut new) = (BTreeSet::new(), Vec::new());
    for asked in batch {
        match &asked.request {
            Request::Settle { reservation_id, .. } => drop(ids.insert(*reservation_id)),
            Request::Hold(hold) => new.push(hold),
        }
    }
    let choices = choosing::choose(session, clock, rules, &new).await?;
    // A seat that the show does not have gets no row.
    let seats_of = |new| seats_of(new, &choices).ok().filter(|seats| seats.beyond(&new.show).is_empty());
    let new: Vec<_> = new.into_iter().filter_map(|new| Some((new, seats_of(new)?))).collect();
    let held = if ids.is_empty() { HashMap::new() } else { holds::lock(session, ids).await? };
    let mut wanted: BTreeSet<SeatKey> =
        held.values().flat_map(|hold| hold.seats.iter().map(|seat| (hold.show_id, *seat))).collect();
    let taken = if new.is_empty() {
        seats::lock(session, &wanted).await?
    } else {
        wanted
            .extend(new.iter().flat_map(|(new, seats)| seats.numbers().map(|seat| (new.show.show_id, seat))));
        seats::lock_or_insert(session, &wanted).await?
    };
    // Read when what it is about is locked: see the store of what is called off.
    let shows = new.iter().map(|(new, _)| new.show.show_id).chain(held.values().map(|hold| hold.show_id));
    let called_off = cancelling::called_off(session, shows.collect()).await?;
    let now = clock.now();
    let new: Vec<_> = new.into_iter().map(|(new, _)| new).collect();
    let locked = Locked::new(held, taken).with(choices).without(called_off);
    let may_hold: Vec<_> = new.into_iter().filter(|new| locked.may_grant(new, now)).collect();
    let holder = |new: &&NewHold| (new.user_id.clone(), new.show.show_id);
    let limited = may_hold.iter().copied().filter(|new| new.show.sale.max_seats_per_user.is_some());
    let limited: BTreeSet<HolderKey> = limited.map(|new| holder(&new)).collect();
    let holders: BTreeSet<HolderKey> = may_hold.iter().map(holder).collect();
    let mut holders = holds::lock_holders(session, holders, now).await?;
    holds::count_kept(session, &mut holders, limited).await?;
    if rules.cooldown.is_some() {
        holds::read_ends(session, &mut holders, now).await?;
    }
    Ok((locked.of(holders), now))
}

/// Answers each request: as it was answered before, or as it is decided now. Refusals are not recorded,
/// because the same request may succeed later.
fn decide<'a>(
    batch: &'a [Arc<Asked>],
    recorded: &Recorded,
    mut decide: impl FnMut(&Request) -> Result<Reservation, Refusal>,
) -> Result<(Answers, Records<'a>), Error> {
    let (mut answers, mut records): (Answers, Records<'_>) = (Vec::with_capacity(batch.len()), Vec::new());
    let mut granted: HashMap<&str, (&Key, usize)> = HashMap::new();
    for asked in batch {
        let answer = match &asked.key {
            None => decide(&asked.request).map_err(Denied::Refused),
            Some(key) => match (recorded.answer(key), granted.get(key.name())) {
                (Ok(Some(answer)), _) => Ok(answer),
                (Err(idempotency::Error::Reused), _) => Err(Denied::Reused),
                (Err(idempotency::Error::Db(error)), _) => return Err(error),
                // An equal request came earlier in this batch.
                (Ok(None), Some((first, at))) if first.fingerprint() == key.fingerprint() => {
                    answers[*at].clone()
                }
                (Ok(None), Some(_)) => Err(Denied::Reused),
                (Ok(None), None) => match decide(&asked.request) {
                    Ok(reservation) => {
                        records.push((key, serde_json::to_string(&reservation)?));
                        granted.insert(key.name(), (key, answers.len()));
                        Ok(reservation)
                    }
                    Err(refusal) => Err(Denied::Refused(refusal)),
                },
            },
        };
        answers.push(answer);
    }
    Ok((answers, records))
}

/// Writes the changes, and answers from when on the seats are free that were changed.
async fn write(session: &mut Session, changes: &Changes, now: i64) -> Result<BTreeMap<SeatKey, i64>, Error> {
    // What is given back is no longer sold, so that it can be freed, and taken again in this batch.
    refunds::write(session, &changes.refunded).await?;
    let mut seats = changes::freed(seats::free(session, &changes.freed).await?);
    seats::write(session, &changes.seats, now).await?;
    seats.extend(changes.seats.iter().map(|(seat, row)| (*seat, row.free_from())));
    holds::write(session, &changes.holds, now).await?;
    Ok(seats)
}
