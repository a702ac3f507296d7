//! The commands on holds: taking seats, and extending, confirming and cancelling a hold.

use std::{collections::BTreeSet, iter};

use chassis::{
    clock::micros,
    db::{self, Session},
    idempotency::{Key, recall, record},
};
use serde::Serialize;
use uuid::Uuid;

use super::{App, Confirm, coalesced::Touch};
use crate::{
    domain::{
        Hold, Refusal, Reservation, Selection, Show, State,
        hold::{self, Change, Command},
    },
    error::Error,
    store::{
        holds::{self, End},
        seats,
    },
};

/// A request to hold seats.
#[derive(Clone, Debug, Serialize)]
pub struct HoldSeats {
    /// The user who holds them.
    pub user_id: String,
    /// The id of the show.
    pub show_id: i64,
    /// The seats' numbers.
    pub seats: Selection,
}

/// What became of writing a change of a hold.
enum Written {
    /// All of it was written.
    Whole,
    /// The hold no longer has all of its seats: by a replica's faster clock it had expired, and another hold
    /// took one. The transaction must be rolled back.
    SeatsLost,
    /// The payment has confirmed another reservation. The transaction must be rolled back.
    PaymentUsed,
}

impl App {
    /// Takes all of the seats or none of them (I-ALL-OR-NONE), once for a request id.
    ///
    /// # Errors
    /// `ShowNotFound`, `SeatNotFound`, `SalesClosed`, `HoldLimit`, `SeatTaken`, `RequestIdReused`, or a
    /// failure of the database.
    #[tracing::instrument(level = "debug", skip_all, fields(show_id = command.show_id, seats = command.seats.count()))]
    pub async fn hold_seats(
        &self,
        command: HoldSeats,
        request_id: Option<String>,
    ) -> Result<Reservation, Error> {
        let show = self.show(command.show_id).await?;
        let queue_id = self.concert(show.concert_id).await?.queue_id.clone();
        let key = request_id.map(|id| Key::new(id, "HoldSeats", &command.user_id, &command));
        let touches = self.memory.touch(show.show_id, show.concert_id);
        let attempt = || self.try_hold(&command, &show, &queue_id, key.as_ref());
        let result = self.db.transact("hold_seats", attempt).await;
        if result.as_ref().is_err_and(Error::is_refusal) {
            touches.into_iter().for_each(Touch::nothing_changed);
        }
        let outcome = result.as_ref().map_or_else(Error::outcome, |_| "HELD");
        metrics::counter!("booking_holds_total", "outcome" => outcome).increment(1);
        result
    }

    /// The answer that was recorded for this request, without holding anything.
    ///
    /// # Errors
    /// `ReservationNotFound` when there is none, `RequestIdReused`, or a failure of the database.
    pub async fn held_before(
        &self,
        command: &HoldSeats,
        request_id: Option<String>,
    ) -> Result<Reservation, Error> {
        let key = request_id.map(|id| Key::new(id, "HoldSeats", &command.user_id, command));
        let answer = recall(&mut self.db.read().await?, key.as_ref()).await?;
        answer.ok_or(Error::Refused(Refusal::ReservationNotFound))
    }

    #[tracing::instrument(level = "debug", skip_all)]
    async fn try_hold(
        &self,
        command: &HoldSeats,
        show: &Show,
        queue_id: &str,
        key: Option<&Key>,
    ) -> Result<Reservation, Error> {
        let mut session = self.db.begin().await?;
        if let Some(answer) = recall(&mut session, key).await? {
            return Ok(answer);
        }
        let now = self.clock.now();
        match self.take(&mut session, command, show, queue_id, now).await {
            Ok(reservation) => {
                record(&mut session, key, &reservation, now).await?;
                session.commit().await?;
                Ok(reservation)
            }
            Err(Error::Refused(refusal)) => {
                // An equal request may have taken the seats while this one waited for them. Then its recorded
                // answer is the answer to this one too.
                let answer = recall(&mut session, key).await?;
                session.rollback().await;
                answer.ok_or(Error::Refused(refusal))
            }
            Err(error) => Err(error),
        }
    }

    async fn take(
        &self,
        session: &mut Session,
        command: &HoldSeats,
        show: &Show,
        queue_id: &str,
        now: i64,
    ) -> Result<Reservation, Error> {
        let HoldSeats { user_id, show_id, seats: selection } = command;
        selection.check(show, now)?;
        let limit = self.policy.max_held_seats;
        hold::check_limit(selection.count(), limit)?;
        let until = now.saturating_add(micros(self.policy.hold_ttl));
        let hold = Hold {
            reservation_id: Uuid::new_v4(),
            user_id: user_id.clone(),
            concert_id: show.concert_id,
            show_id: *show_id,
            queue_id: queue_id.to_owned(),
            seats: selection.numbers().collect(),
            amount: selection.amount(show.price),
            held_at: now,
            promised_until: until,
            expires_at: until,
            state: State::Held,
        };
        // I-ALL-OR-NONE: anything short of all seats is refused, which undoes the transaction.
        let taken = seats::take(session, *show_id, selection, hold.reservation_id, until, now).await?;
        if taken != selection.count() {
            let of_others = seats::of_others(session, *show_id, selection, hold.reservation_id, now).await?;
            if of_others.is_empty() {
                // The hold that was in the way has ended since, so another attempt finds the seats free.
                return Err(db::Error::lost_race("a seat").into());
            }
            return Err(Refusal::SeatTaken(of_others).into());
        }
        hold::check_limit(holds::place(session, &hold).await?, limit)?;
        Ok(hold.seen_at(now))
    }

    /// Keeps a hold live while this payment is in flight, for `by` microseconds from now, at most up to
    /// [`hold::MAX_EXTENSION`] past its first promise.
    ///
    /// # Errors
    /// `ReservationNotFound`, `NotOwner`, `HoldExpired`, `ReservationCancelled`, `AlreadyPaid`, or a
    /// failure of the database.
    pub async fn extend_hold(
        &self,
        id: Uuid,
        user_id: &str,
        payment_id: Uuid,
        by: i64,
        request_id: Option<String>,
    ) -> Result<Reservation, Error> {
        self.settle("extend_hold", id, user_id, Command::Extend { payment_id, by }, request_id).await
    }

    /// Sells the seats of a live hold to its user. Every refusal is final for this payment.
    ///
    /// # Errors
    /// Those of [`Self::extend_hold`], and `PaymentUsed`.
    pub async fn confirm_reservation(
        &self,
        id: Uuid,
        user_id: &str,
        payment_id: Uuid,
        request_id: Option<String>,
    ) -> Result<Reservation, Error> {
        let result = self.confirm(id, user_id, payment_id, request_id).await;
        let outcome = result.as_ref().map_or_else(Error::outcome, |_| "CONFIRMED");
        metrics::counter!("booking_confirmations_total", "outcome" => outcome).increment(1);
        result
    }

    async fn confirm(
        &self,
        id: Uuid,
        user_id: &str,
        payment_id: Uuid,
        request_id: Option<String>,
    ) -> Result<Reservation, Error> {
        let plain = Confirm { reservation_id: id, user_id: user_id.to_owned(), payment_id };
        if request_id.is_none()
            && let Some(confirmed) = self.confirms.ask(plain).await?
        {
            return Ok(confirmed);
        }
        self.settle("confirm_reservation", id, user_id, Command::Confirm { payment_id }, request_id).await
    }

    /// Cancels a hold and frees its seats. A hold that has ended unpaid already is answered as it is.
    ///
    /// # Errors
    /// `ReservationNotFound`, `NotOwner`, `AlreadyPaid`, or a failure of the database.
    pub async fn cancel_reservation(
        &self,
        id: Uuid,
        user_id: &str,
        request_id: Option<String>,
    ) -> Result<Reservation, Error> {
        self.settle("cancel_reservation", id, user_id, Command::Cancel, request_id).await
    }

    #[tracing::instrument(level = "debug", skip_all, fields(name))]
    async fn settle(
        &self,
        name: &'static str,
        id: Uuid,
        user_id: &str,
        command: Command,
        request_id: Option<String>,
    ) -> Result<Reservation, Error> {
        let key = request_id.map(|request_id| Key::new(request_id, name, user_id, &(id, user_id, command)));
        self.db.transact(name, || self.try_settle(id, user_id, command, key.as_ref())).await
    }

    /// Locks the hold, lets the domain decide, writes the change and answers. A change is committed also when
    /// the command is refused: that keeps a late confirmation refused (I-LATE-IS-LATE).
    async fn try_settle(
        &self,
        id: Uuid,
        user_id: &str,
        command: Command,
        key: Option<&Key>,
    ) -> Result<Reservation, Error> {
        let mut session = self.db.begin().await?;
        if let Some(answer) = recall(&mut session, key).await? {
            return Ok(answer);
        }
        let hold = holds::lock(&mut session, BTreeSet::from([id])).await?.remove(&id);
        let hold = hold.ok_or(Refusal::ReservationNotFound)?;
        let _touches = self.memory.touch(hold.show_id, hold.concert_id);
        // The time is read after the lock, so that the time spent waiting for it counts.
        let now = self.clock.now();
        let verdict = hold.decide(user_id, command, now);
        let written = match verdict.change {
            Some(change) => write(&mut session, &hold, change, now).await?,
            None => Written::Whole,
        };
        match written {
            Written::Whole => {
                let seen = match verdict.change {
                    Some(change) => hold.apply(change, now).seen_at(now),
                    None => hold.seen_at(now),
                };
                if verdict.answer.is_ok() {
                    record(&mut session, key, &seen, now).await?;
                }
                if verdict.change.is_some() || key.is_some() {
                    session.commit().await?;
                } else {
                    session.rollback().await;
                }
                verdict.answer?;
                Ok(seen)
            }
            Written::SeatsLost => {
                session.rollback().await;
                self.close_lost(id).await?;
                Err(Refusal::HoldExpired.into())
            }
            Written::PaymentUsed => {
                session.rollback().await;
                Err(Refusal::PaymentUsed.into())
            }
        }
    }

    /// Closes a hold that lost seats by a replica's faster clock, so that it stays refused and the seats that
    /// it still has are freed.
    #[tracing::instrument(level = "debug", skip_all)]
    async fn close_lost(&self, id: Uuid) -> Result<(), Error> {
        let mut session = self.db.begin().await?;
        if let Some(hold) = holds::lock(&mut session, BTreeSet::from([id])).await?.remove(&id)
            && hold.state == State::Held
        {
            write(&mut session, &hold, Change::Lapse, self.clock.now()).await?;
            session.commit().await?;
        }
        Ok(())
    }
}

async fn write(session: &mut Session, hold: &Hold, change: Change, now: i64) -> Result<Written, Error> {
    let id = hold.reservation_id;
    let whole = match change {
        Change::Extend { until } => {
            holds::extend(session, id, until).await?;
            seats::keep(session, hold, until).await?
        }
        Change::Confirm { payment_id } => {
            let whole = seats::sell(session, iter::once(hold)).await?;
            if whole && !holds::confirm(session, iter::once((id, payment_id)), now).await? {
                return Ok(Written::PaymentUsed);
            }
            whole
        }
        Change::Cancel => {
            holds::close(session, vec![id], End::Cancelled, now).await?;
            seats::free(session, std::slice::from_ref(hold)).await?;
            true
        }
        Change::Lapse => {
            holds::close(session, vec![id], End::Expired, now).await?;
            seats::free(session, std::slice::from_ref(hold)).await?;
            true
        }
    };
    Ok(if whole { Written::Whole } else { Written::SeatsLost })
}
