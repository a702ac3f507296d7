//! The plain confirmations of a moment in one transaction: live holds, whole, each by its own user for the
//! first time.
//!
//! Whatever else a confirmation may be (late, repeated, somebody else's, of a hold that lost its seats) is
//! none of the batch's: it is judged by a transaction of its own ([`super::holding`]).

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

/// Who confirms what, and by which payment.
#[derive(Clone, Debug)]
pub(super) struct Confirm {
    pub(super) reservation_id: Uuid,
    pub(super) user_id: String,
    pub(super) payment_id: Uuid,
}

/// Reads holds as they are committed.
pub(super) async fn find(db: Db, ids: Arc<[Uuid]>) -> Result<Vec<Option<Hold>>, Error> {
    let distinct: BTreeSet<Uuid> = ids.iter().copied().collect();
    let found = holds::holds(&mut db.read().await?, distinct).await?;
    Ok(ids.iter().map(|id| found.get(id).cloned()).collect())
}

/// Confirms those that are plain; `None` for the others.
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
    // After the locks: the time spent waiting for them counts.
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
        // Only the first of equal ones finds it.
        let (hold, payment_id) = sold.remove(&ask.reservation_id)?;
        Some(hold.apply(Change::Confirm { payment_id }, now).seen_at(now))
    };
    Ok(asks.iter().map(seen).collect())
}
