//! The commands on holds: taking seats, and extending, confirming and cancelling a hold. Each is part of a
//! batch ([`super::batch`]).

use std::sync::Arc;

use chassis::idempotency::Key;
use serde::Serialize;
use uuid::Uuid;

use super::{App, batch::Asked};
use crate::{
    domain::{NewHold, Occupancy, Refusal, Request, Reservation, Wanted, hold::Command},
    error::Error,
};

/// A request to hold seats. Its fingerprint is made of these fields in this order.
#[derive(Clone, Debug, Serialize)]
pub struct HoldSeats {
    /// The user who holds them.
    pub user_id: String,
    /// The id of the show.
    pub show_id: i64,
    /// The seats that are wanted, by their numbers or as a wish.
    pub seats: Wanted,
}

/// How often seats are chosen for a request. Another one is faster only when it takes one of the chosen seats
/// by its number at that very moment, or when seats run out.
const CHOICES: usize = 8;

impl App {
    /// Takes all of the seats or none of them (I-ALL-OR-NONE), once for a request id.
    ///
    /// # Errors
    /// `ShowNotFound`, `SeatNotFound`, `SectionNotFound`, `SalesNotOpen`, `SalesClosed`, `HoldLimit`,
    /// `SeatLimit`, `SeatTaken`, `SeatsUnavailable`, `Overtaken`, `RequestIdReused`, or a failure of the
    /// database.
    #[tracing::instrument(level = "debug", skip_all, fields(show_id = command.show_id, seats = command.seats.count()))]
    pub async fn hold_seats(
        &self,
        command: HoldSeats,
        request_id: Option<String>,
    ) -> Result<Reservation, Error> {
        let show = self.show(command.show_id).await?;
        let queue_id = self.concert(show.concert_id).await?.queue_id.clone();
        let hall = self.hall(&show).await?;
        let key = request_id.map(|id| Key::new(id, "HoldSeats", &command.user_id, &command));
        let HoldSeats { user_id, seats, .. } = command;
        let reservation_id = Uuid::new_v4();
        let new = NewHold { reservation_id, user_id, show, hall, queue_id, seats };
        let show = Arc::clone(&new.show);
        let result = match self.answered_by_memory(&new, key.as_ref()).await {
            Ok(None) => self.ask_until_chosen(new, key).await,
            Ok(Some(answer)) => Ok(answer),
            Err(error) => Err(error),
        };
        if let Err(Error::Refused(Refusal::SeatTaken(_))) = result {
            // Where one was too late others will be, and what is remembered answers them. It is no matter to
            // this request if it cannot be read.
            drop(self.memory.seats.seats(&show).await);
        }
        let outcome = result.as_ref().map_or_else(Error::outcome, |_| "HELD");
        metrics::counter!("booking_holds_total", "outcome" => outcome).increment(1);
        result
    }

    /// What can be answered without a transaction: that somebody has one of the seats (I-TAKEN-NOW), or the
    /// recorded answer to the same request. What is remembered only says where to look. It is answered with
    /// what is committed after the request came, and the recorded answer is looked for after that: where the
    /// seats are taken by an earlier attempt of the same request, its answer is found.
    async fn answered_by_memory(
        &self,
        new: &NewHold,
        key: Option<&Key>,
    ) -> Result<Option<Reservation>, Error> {
        let seats = &self.memory.seats;
        let taken = |occupancy: &Occupancy| new.taken(self.rules, occupancy, self.clock.now());
        let remembered = seats.remembered(new.show.show_id).await;
        if remembered.is_none_or(|occupancy| taken(&occupancy).is_none()) {
            return Ok(None);
        }
        let Some(refusal) = taken(&*seats.newest(&new.show).await?) else { return Ok(None) };
        if let Some(key) = key
            && let Some(answer) = self.recalls.ask(Arc::new(key.clone())).await??
        {
            return Ok(Some(answer));
        }
        Err(refusal.into())
    }

    async fn ask_until_chosen(&self, new: NewHold, key: Option<Key>) -> Result<Reservation, Error> {
        for _ in 1..CHOICES {
            match self.ask(Request::Hold(new.clone()), key.clone()).await {
                Err(Error::Refused(Refusal::Overtaken)) => {}
                answer => return answer,
            }
        }
        self.ask(Request::Hold(new), key).await
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
        let Some(id) = request_id else { return Err(Refusal::ReservationNotFound.into()) };
        let key = Key::new(id, "HoldSeats", &command.user_id, command);
        let answer = self.recalls.ask(Arc::new(key)).await??;
        answer.ok_or(Error::Refused(Refusal::ReservationNotFound))
    }

    /// Keeps a hold live while this payment is in flight, for `by` microseconds from now, at most up to
    /// [`MAX_EXTENSION`](crate::domain::hold::MAX_EXTENSION) past its first promise.
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
        let command = Command::Confirm { payment_id };
        let result = self.settle("confirm_reservation", id, user_id, command, request_id).await;
        let outcome = result.as_ref().map_or_else(Error::outcome, |_| "CONFIRMED");
        metrics::counter!("booking_confirmations_total", "outcome" => outcome).increment(1);
        result
    }

    /// Takes back the seats of a sale for the payment that made it, which is refunded then (I-BACK-IFF-FREE).
    /// A sale that was taken back already is answered as it is.
    ///
    /// # Errors
    /// `ReservationNotFound`, `NotOwner`, `NotSold`, `AlreadyPaid` by another payment, or a failure of the
    /// database.
    pub async fn refund_reservation(
        &self,
        id: Uuid,
        user_id: &str,
        payment_id: Uuid,
    ) -> Result<Reservation, Error> {
        self.settle("refund_reservation", id, user_id, Command::Refund { payment_id }, None).await
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
        reservation_id: Uuid,
        user_id: &str,
        command: Command,
        request_id: Option<String>,
    ) -> Result<Reservation, Error> {
        let key = request_id.map(|id| Key::new(id, name, user_id, &(reservation_id, user_id, command)));
        self.ask(Request::Settle { reservation_id, user_id: user_id.to_owned(), command }, key).await
    }

    async fn ask(&self, request: Request, key: Option<Key>) -> Result<Reservation, Error> {
        Ok(self.requests.ask(Arc::new(Asked { request, key })).await??)
    }
}
