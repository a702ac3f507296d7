//! The batch of confirmations: the plain ones that wait at one moment are committed as one transaction. A
//! confirmation is plain when its hold is live, has all of its seats, and is confirmed by its own user for
//! the first time.
//!
//! Any other confirmation (late, repeated, another user's, of a hold that lost seats) is not decided here but
//! by a transaction of its own ([`super::holding`]).

use std::{
    collections::{BTreeSet, HashMap},
    sync::Arc,
};

use chassis::{
    clock::Clock,
    db::{Db, Error},
};
use uuid::Uuid;

use super::Memory;
use crate::{
    domain::{
        Hold, Reservation,
        hold::{Change, Command, Verdict},
    },
    store::{holds, seats},
};

/// One request to confirm a hold.
#[derive(Clone, Debug)]
pub(super) struct Confirm {
    /// The id of the hold.
    pub(super) reservation_id: Uuid,
    /// The user who asks.
    pub(super) user_id: String,
    /// The id of the payment that paid for the hold.
    pub(super) payment_id: Uuid,
}

/// Reads holds as they are committed, one answer for each id; `None` where no hold has the id.
pub(super) async fn find(db: Db, ids: Arc<[Uuid]>) -> Result<Vec<Option<Hold>>, Error> {
    let distinct: BTreeSet<Uuid> = ids.iter().copied().collect();
    let found = holds::holds(&mut db.read().await?, distinct).await?;
    Ok(ids.iter().map(|id| found.get(id).cloned()).collect())
}

/// Confirms the plain ones and answers `None` for the others. When the batch as a whole cannot be written, it
/// is rolled back and every answer is `None`.
pub(super) async fn confirm(
    db: Db,
    clock: Clock,
    memory: Arc<Memory>,
    asks: Arc<[Confirm]>,
) -> Result<Vec<Option<Reservation>>, Error> {
    let mut session = db.begin().await?;
    let ids = asks.iter().map(|ask| ask.reservation_id).collect();
    let mut held = holds::lock(&mut session, ids).await?;
    let _touches: Vec<_> = held.values().map(|hold| memory.touch(hold.show_id, hold.concert_id)).collect();
    // The time is read after the locks, so that the time spent waiting for them counts.
    let now = clock.now();
    let mut sold: HashMap<Uuid, (Hold, Uuid)> = HashMap::new();
    for Confirm { reservation_id, user_id, payment_id } in asks.iter() {
        let command = Command::Confirm { payment_id: *payment_id };
        let is_plain = |hold: &Hold| {
            let verdict = hold.decide(user_id, command, now);
            matches!(verdict, Verdict { change: Some(Change::Confirm { .. }), answer: Ok(()) })
        };
        if held.get(reservation_id).is_some_and(is_plain)
            && let Some(hold) = held.remove(reservation_id)
        {
            sold.insert(*reservation_id, (hold, *payment_id));
        }
    }
    if !seats::sell(&mut session, sold.values().map(|(hold, _)| hold)).await?
        || !holds::confirm(&mut session, sold.iter().map(|(id, (_, payment_id))| (*id, *payment_id)), now)
            .await?
    {
        session.rollback().await;
        return Ok(asks.iter().map(|_| None).collect());
    }
    session.commit().await?;
    let seen = |ask: &Confirm| {
        // Of equal requests only the first finds its hold here; the others are decided alone.
        let (hold, payment_id) = sold.remove(&ask.reservation_id)?;
        Some(hold.apply(Change::Confirm { payment_id }, now).seen_at(now))
    };
    Ok(asks.iter().map(seen).collect())
}
