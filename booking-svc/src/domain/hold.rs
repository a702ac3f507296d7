//! What becomes of a hold: a pure state machine.
//!
//! ```text
//!            Extend (bounded)
//!              ┌────┐
//!              ▼    │
//!  HoldSeats → HELD ┴─ Confirm ──▶ CONFIRMED
//!              │  └─── Cancel ───▶ CANCELLED      └─ Refund ──▶ REFUNDED
//!              └────── the clock ▶ EXPIRED      (whether or not the row says so yet)
//! ```
//! CANCELLED, EXPIRED and REFUNDED are final, and so is CONFIRMED for everybody but its own payment,
//! which may take the seats back when it is refunded (I-BACK-IFF-FREE). A command that finds a HELD hold
//! expired closes it, so that a confirmation which was refused as late stays refused, also by a replica
//! whose clock is slower (I-LATE-IS-LATE).

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::{Hall, Place, Refusal};

/// How far past its first promise a hold can be extended, in microseconds: long enough for a payment, too
/// short to keep seats from others.
pub const MAX_EXTENSION: i64 = 5 * 60 * 1_000_000;

/// A hold as its row has it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Hold {
    /// The hold's id, which callers know as the reservation's.
    pub reservation_id: Uuid,
    /// The user who holds the seats.
    pub user_id: String,
    /// The id of the show's concert.
    pub concert_id: i64,
    /// The id of the show whose seats are held.
    pub show_id: i64,
    /// The id of the queue that admits users to the concert.
    pub queue_id: String,
    /// The numbers of the seats, in rising order.
    pub seats: Vec<i32>,
    /// What each seat is in its hall and what it cost; empty where all of them are of one section without a
    /// name at one price.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub places: Vec<Place>,
    /// The price of all seats together in the currency's minor unit, fixed when they were taken
    /// (I-FIXED-PRICE).
    pub amount: i64,
    /// When the seats were taken, in microseconds since 1970 UTC.
    pub held_at: i64,
    /// When the hold was first to expire; extensions do not change it and are bounded by it.
    pub promised_until: i64,
    /// When the hold expires, in microseconds since 1970 UTC; an extension moves it.
    pub expires_at: i64,
    /// The state that the row has.
    pub state: State,
}

/// The state that a hold's row has. The clock may be ahead of it: see [`Status`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum State {
    /// Not closed yet: the hold is live, or it has expired by the clock.
    Held,
    /// Paid for; the seats are sold.
    Confirmed {
        /// The payment that confirmed it.
        payment_id: Uuid,
        /// When it was confirmed, in microseconds since 1970 UTC.
        at: i64,
    },
    /// Closed after it expired; the seats are free.
    Expired,
    /// Closed because its user cancelled it; the seats are free.
    Cancelled,
    /// Sold, and given back since: the money goes back to the user, and the seats are free.
    Refunded {
        /// The payment that confirmed it and is refunded.
        payment_id: Uuid,
        /// When it was confirmed, in microseconds since 1970 UTC.
        sold_at: i64,
        /// When it was given back, in microseconds since 1970 UTC.
        at: i64,
    },
}

/// What a hold is at one moment, by its state and the clock.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Status {
    /// It is live: nobody else can have its seats.
    Held,
    /// It is paid for and final.
    Confirmed,
    /// It expired unpaid, whether or not its row says so yet.
    Expired,
    /// Its user cancelled it.
    Cancelled,
    /// It was paid for, and its payment is refunded.
    Refunded,
}

/// A hold with the status that it had when it was read, which is what callers are told.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Reservation {
    /// The hold as it was read or written.
    pub hold: Hold,
    /// The status at that moment.
    pub status: Status,
}

/// What a user asks to do with a hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub enum Command {
    /// Keep the hold live while a payment is in flight.
    Extend {
        /// The id of that payment.
        payment_id: Uuid,
        /// How long the hold is to live from now on, in microseconds.
        by: i64,
    },
    /// Sell the seats to the user.
    Confirm {
        /// The id of the payment that paid for them.
        payment_id: Uuid,
    },
    /// End the hold and free its seats.
    Cancel,
    /// Take back the seats of a sale whose payment is refunded.
    Refund {
        /// The id of the payment that paid for them.
        payment_id: Uuid,
    },
}

/// A change of a hold's row and of its seats' rows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Change {
    /// The hold and its seats expire later.
    Extend {
        /// When they expire then, in microseconds since 1970 UTC; always later than before.
        until: i64,
    },
    /// The hold is closed as confirmed and its seats are sold.
    Confirm {
        /// The id of the payment that paid for it.
        payment_id: Uuid,
    },
    /// The hold is closed as cancelled and its seats are freed.
    Cancel,
    /// The hold is closed as expired and its seats are freed.
    Lapse,
    /// The confirmed hold becomes one that was refunded, and its seats are freed.
    Refund,
}

/// What the rules decide about a command. A refusal can come with a change: see [`Hold::decide`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Verdict {
    /// The change to write and commit, also when the command is refused.
    pub change: Option<Change>,
    /// Whether the command is granted, or why it is refused.
    pub answer: Result<(), Refusal>,
}

/// Refuses a user who would hold more than `limit` seats of one show (I-LIMIT); `held` counts those of the
/// new hold too.
///
/// # Errors
/// `HoldLimit` when `held` is greater.
pub const fn check_limit(held: i64, limit: i64) -> Result<(), Refusal> {
    if held > limit { Err(Refusal::HoldLimit(limit)) } else { Ok(()) }
}

/// Refuses a user who would have more seats of a show than it allows (I-LIMIT-SHOW); `have` counts what is
/// held and bought, the new hold included.
///
/// # Errors
/// `SeatLimit` when `have` is greater.
pub const fn check_show_limit(have: i64, limit: i64) -> Result<(), Refusal> {
    if have > limit { Err(Refusal::SeatLimit(limit)) } else { Ok(()) }
}

impl Verdict {
    const fn keep() -> Self {
        Self { change: None, answer: Ok(()) }
    }

    const fn change(change: Change) -> Self {
        Self { change: Some(change), answer: Ok(()) }
    }

    const fn refuse(refusal: Refusal) -> Self {
        Self { change: None, answer: Err(refusal) }
    }
}

impl Hold {
    /// Its status at this time. A hold expires at `expires_at` by the clock alone (I-CLOCK).
    #[must_use]
    pub const fn status(&self, now: i64) -> Status {
        match self.state {
            State::Held if now < self.expires_at => Status::Held,
            State::Held | State::Expired => Status::Expired,
            State::Confirmed { .. } => Status::Confirmed,
            State::Cancelled => Status::Cancelled,
            State::Refunded { .. } => Status::Refunded,
        }
    }

    /// The reservation that callers are told: the hold and its status at this time.
    #[must_use]
    pub const fn seen_at(self, now: i64) -> Reservation {
        let status = self.status(now);
        Reservation { hold: self, status }
    }

    /// Its seats, each with what it is in its hall and what it cost.
    pub fn tickets(&self) -> impl Iterator<Item = (i32, Place)> {
        let places = if self.places.is_empty() {
            // All seats have one price then, so that it divides the amount.
            let price = self.amount / i64::try_from(self.seats.len()).unwrap_or(1).max(1);
            let last = self.seats.last().copied().unwrap_or(0);
            Hall::of_one_row(last).places(self.seats.iter().copied(), &[price])
        } else {
            self.places.clone()
        };
        self.seats.iter().copied().zip(places)
    }

    /// Decides a command of a user at this time. Nobody but the hold's user is granted anything. A command
    /// that finds the hold expired closes it, and that change is committed together with the refusal.
    #[must_use]
    pub fn decide(&self, user_id: &str, command: Command, now: i64) -> Verdict {
        if self.user_id != user_id {
            return Verdict::refuse(Refusal::NotOwner);
        }
        match (self.status(now), command) {
            (Status::Held, Command::Extend { by, .. }) => self.extend(by, now),
            (Status::Held, Command::Confirm { payment_id }) => {
                Verdict::change(Change::Confirm { payment_id })
            }
            (Status::Held, Command::Cancel) => Verdict::change(Change::Cancel),
            (Status::Confirmed, Command::Extend { payment_id, .. } | Command::Confirm { payment_id }) => {
                self.paid_by(payment_id)
            }
            (Status::Confirmed, Command::Cancel) => Verdict::refuse(Refusal::AlreadyPaid),
            // I-LATE-IS-LATE: the refusal is written down with the change.
            (Status::Expired, Command::Extend { .. } | Command::Confirm { .. }) => {
                Verdict { change: self.lapse(), answer: Err(Refusal::HoldExpired) }
            }
            (Status::Expired, Command::Cancel) => Verdict { change: self.lapse(), answer: Ok(()) },
            (Status::Cancelled | Status::Refunded, Command::Extend { .. } | Command::Confirm { .. }) => {
                Verdict::refuse(Refusal::ReservationCancelled)
            }
            (Status::Cancelled | Status::Refunded, Command::Cancel) => Verdict::keep(),
            (_, Command::Refund { payment_id }) => self.refund(payment_id),
        }
    }

    /// Decides a command of a user on a hold of a show that is called off (I-CALLED-OFF). Nothing of it is
    /// sold any more: a hold that is asked for its seats ends. What was sold before stays sold until it is
    /// refunded.
    #[must_use]
    pub fn decide_called_off(&self, user_id: &str, command: Command, now: i64) -> Verdict {
        let is_wish = matches!(command, Command::Extend { .. } | Command::Confirm { .. });
        if !is_wish || self.user_id != user_id || matches!(self.state, State::Confirmed { .. }) {
            return self.decide(user_id, command, now);
        }
        let change = (self.state == State::Held).then_some(Change::Cancel);
        Verdict { change, answer: Err(Refusal::ShowCancelled) }
    }

    /// The hold after a change was written at this time.
    #[must_use]
    pub fn apply(mut self, change: Change, now: i64) -> Self {
        match change {
            Change::Extend { until } => self.expires_at = until,
            Change::Confirm { payment_id } => self.state = State::Confirmed { payment_id, at: now },
            Change::Cancel => self.state = State::Cancelled,
            Change::Lapse => self.state = State::Expired,
            Change::Refund => {
                if let State::Confirmed { payment_id, at: sold_at } = self.state {
                    self.state = State::Refunded { payment_id, sold_at, at: now };
                }
            }
        }
        self
    }

    /// I-BACK-IFF-FREE: a sale is taken back by the payment that made it, and by no other. Whether the hold
    /// has expired meanwhile is of no concern, since what is sold stays sold.
    fn refund(&self, payment: Uuid) -> Verdict {
        match self.state {
            State::Confirmed { payment_id, .. } if payment_id == payment => Verdict::change(Change::Refund),
            State::Refunded { payment_id, .. } if payment_id == payment => Verdict::keep(),
            State::Confirmed { .. } => Verdict::refuse(Refusal::AlreadyPaid),
            State::Held | State::Expired | State::Cancelled | State::Refunded { .. } => {
                Verdict::refuse(Refusal::NotSold)
            }
        }
    }

    fn extend(&self, by: i64, now: i64) -> Verdict {
        let until = now.saturating_add(by).min(self.promised_until.saturating_add(MAX_EXTENSION));
        if until > self.expires_at { Verdict::change(Change::Extend { until }) } else { Verdict::keep() }
    }

    /// I-PAID-ONCE: only the payment that confirmed a hold is answered as if it confirmed it again.
    fn paid_by(&self, payment_id: Uuid) -> Verdict {
        match self.state {
            State::Confirmed { payment_id: paid, .. } if paid == payment_id => Verdict::keep(),
            State::Confirmed { .. }
            | State::Held
            | State::Expired
            | State::Cancelled
            | State::Refunded { .. } => Verdict::refuse(Refusal::AlreadyPaid),
        }
    }

    const fn lapse(&self) -> Option<Change> {
        match self.state {
            State::Held => Some(Change::Lapse),
            State::Confirmed { .. } | State::Expired | State::Cancelled | State::Refunded { .. } => None,
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const TTL: i64 = 300;

    fn hold() -> Hold {
        Hold {
            reservation_id: Uuid::nil(),
            user_id: "ann".to_owned(),
            concert_id: 1,
            show_id: 1,
            queue_id: "default".to_owned(),
            seats: vec![1, 2],
            places: Vec::new(),
            amount: 20,
            held_at: 0,
            promised_until: TTL,
            expires_at: TTL,
            state: State::Held,
        }
    }

    fn commands() -> impl Strategy<Value = (&'static str, Command, i64)> {
        let payment = || (1..3_u128).prop_map(Uuid::from_u128);
        let command = prop_oneof![
            (payment(), 1..=MAX_EXTENSION).prop_map(|(payment_id, by)| Command::Extend { payment_id, by }),
            payment().prop_map(|payment_id| Command::Confirm { payment_id }),
            payment().prop_map(|payment_id| Command::Refund { payment_id }),
            Just(Command::Cancel),
        ];
        (prop_oneof![4 => Just("ann"), 1 => Just("bob")], command, 0..200_i64)
    }

    #[test]
    fn a_hold_lapses_at_its_last_instant_by_the_clock_alone() {
        assert_eq!(hold().status(TTL - 1), Status::Held);
        assert_eq!(hold().status(TTL), Status::Expired);
    }

    #[test]
    fn a_late_confirmation_is_refused_and_closes_the_hold() {
        let verdict = hold().decide("ann", Command::Confirm { payment_id: Uuid::from_u128(1) }, TTL);
        assert_eq!(verdict, Verdict { change: Some(Change::Lapse), answer: Err(Refusal::HoldExpired) });
        // A slower clock does not bring it back.
        let closed = hold().apply(Change::Lapse, TTL);
        let again = closed.decide("ann", Command::Confirm { payment_id: Uuid::from_u128(1) }, TTL - 100);
        assert_eq!(again, Verdict::refuse(Refusal::HoldExpired));
    }

    #[test]
    fn of_a_show_that_is_called_off_a_hold_ends_and_a_sale_stays_until_it_is_refunded() {
        let confirm = Command::Confirm { payment_id: Uuid::from_u128(1) };
        let off = Err(Refusal::ShowCancelled);
        let ends = Verdict { change: Some(Change::Cancel), answer: off.clone() };
        for now in [0, 2 * TTL] {
            assert_eq!(hold().decide_called_off("ann", confirm, now), ends);
        }
        assert_eq!(hold().decide_called_off("bob", confirm, 0), Verdict::refuse(Refusal::NotOwner));
        for change in [Change::Cancel, Change::Lapse] {
            let ended = hold().apply(change, 1);
            assert_eq!(
                ended.decide_called_off("ann", confirm, 2),
                Verdict { change: None, answer: off.clone() }
            );
            assert_eq!(ended.decide_called_off("ann", Command::Cancel, 2), Verdict::keep());
        }
        let sold = hold().apply(Change::Confirm { payment_id: Uuid::from_u128(1) }, 1);
        assert_eq!(sold.decide_called_off("ann", confirm, 2), Verdict::keep(), "it was sold before");
        let refund = Command::Refund { payment_id: Uuid::from_u128(1) };
        assert_eq!(sold.decide_called_off("ann", refund, 2), Verdict::change(Change::Refund));
    }

    #[test]
    fn a_sale_is_taken_back_by_its_own_payment_alone_and_never_confirmed_again() {
        let (paid, other) = (Uuid::from_u128(1), Uuid::from_u128(2));
        let refund = |payment_id| Command::Refund { payment_id };
        assert_eq!(hold().decide("ann", refund(paid), 0), Verdict::refuse(Refusal::NotSold));
        let sold = hold().apply(Change::Confirm { payment_id: paid }, 1);
        assert_eq!(sold.decide("ann", refund(other), 2), Verdict::refuse(Refusal::AlreadyPaid));
        assert_eq!(sold.decide("bob", refund(paid), 2), Verdict::refuse(Refusal::NotOwner));
        // Long after the hold would have expired.
        assert_eq!(sold.decide("ann", refund(paid), 9 * TTL), Verdict::change(Change::Refund));
        let back = sold.apply(Change::Refund, 9 * TTL);
        assert_eq!(back.state, State::Refunded { payment_id: paid, sold_at: 1, at: 9 * TTL });
        assert_eq!(back.decide("ann", refund(paid), 9 * TTL), Verdict::keep());
        assert_eq!(back.decide("ann", refund(other), 9 * TTL), Verdict::refuse(Refusal::NotSold));
        let late = Command::Confirm { payment_id: paid };
        assert_eq!(back.decide("ann", late, 2), Verdict::refuse(Refusal::ReservationCancelled));
        assert_eq!(back.decide("ann", Command::Cancel, 2), Verdict::keep());
    }

    #[test]
    fn a_user_may_hold_as_many_seats_of_a_show_as_the_limit_says_and_no_more() {
        assert_eq!(check_limit(0, 3), Ok(()));
        assert_eq!(check_limit(3, 3), Ok(()));
        assert_eq!(check_limit(4, 3), Err(Refusal::HoldLimit(3)));
        assert_eq!(check_limit(i64::MAX, 3), Err(Refusal::HoldLimit(3)));
    }

    #[test]
    fn the_limit_of_a_show_is_the_last_number_that_is_granted() {
        assert_eq!(check_show_limit(4, 4), Ok(()));
        assert_eq!(check_show_limit(5, 4), Err(Refusal::SeatLimit(4)));
    }

    #[test]
    fn seats_without_sections_are_told_with_the_price_of_one() {
        let told: Vec<_> = hold().tickets().map(|(seat, place)| (seat, place.label, place.price)).collect();
        assert_eq!(told, [(1, 1, 10), (2, 2, 10)]);
        assert_eq!(Hold { seats: Vec::new(), ..hold() }.tickets().count(), 0);
    }

    #[test]
    fn an_extension_is_bounded_by_the_promise() {
        let payment_id = Uuid::from_u128(1);
        let verdict = hold().decide("ann", Command::Extend { payment_id, by: i64::MAX }, 10);
        assert_eq!(verdict, Verdict::change(Change::Extend { until: TTL + MAX_EXTENSION }));
        assert_eq!(hold().decide("ann", Command::Extend { payment_id, by: 5 }, 10), Verdict::keep());
    }

    proptest! {
        #[test]
        fn no_history_leaves_a_final_state_shortens_a_hold_or_serves_a_stranger(history in proptest::collection::vec(commands(), 0..40)) {
            let mut hold = hold();
            let mut now = 0;
            for (user, command, pause) in history {
                now += pause;
                let before = hold.clone();
                let verdict = hold.decide(user, command, now);
                if let Some(change) = verdict.change {
                    hold = hold.apply(change, now);
                }
                prop_assert!(hold.expires_at >= before.expires_at);
                prop_assert!(hold.expires_at <= hold.promised_until + MAX_EXTENSION);
                match (before.state, hold.state) {
                    (State::Held, _) => {}
                    (State::Confirmed { payment_id: paid, at }, State::Refunded { payment_id, sold_at, .. }) => {
                        prop_assert_eq!((payment_id, sold_at), (paid, at), "by its own payment");
                        prop_assert_eq!(command, Command::Refund { payment_id });
                    }
                    _ => prop_assert_eq!(&hold, &before, "final states stay"),
                }
                if user != "ann" {
                    prop_assert_eq!(&hold, &before);
                    prop_assert_eq!(verdict.answer.clone(), Err(Refusal::NotOwner));
                }
                if matches!(hold.state, State::Confirmed { .. }) && before.state == State::Held {
                    prop_assert_eq!(before.status(now), Status::Held, "only a live hold confirms");
                }
                // A command that was granted is granted the same way again at the same instant; so is a
                // refusal.
                let again = hold.decide(user, command, now);
                prop_assert_eq!(again.answer, verdict.answer);
                prop_assert!(again.change.is_none(), "repeating changes nothing");
            }
        }
    }
}
