//! What becomes of a hold: a pure state machine.
//!
//! ```text
//!            Extend (bounded)
//!              ┌────┐
//!              ▼    │
//!  HoldSeats → HELD ┴─ Confirm ──▶ CONFIRMED
//!              │  └─── Cancel ───▶ CANCELLED
//!              └────── the clock ▶ EXPIRED      (whether or not anything has written it down)
//! ```
//! CONFIRMED, CANCELLED and EXPIRED are final. A command that finds a HELD hold lapsed closes it, so that a
//! confirmation which was refused as late stays refused, also by a replica whose clock is slower
//! (I-LATE-IS-LATE).

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::Refusal;

/// How far past its first promise a hold can be extended, in microseconds: long enough for a payment, too
/// short to keep seats from others.
pub const MAX_EXTENSION: i64 = 5 * 60 * 1_000_000;

/// A hold as it is written down.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Hold {
    /// Its id.
    pub reservation_id: Uuid,
    /// Whose it is.
    pub user_id: String,
    /// The show's concert.
    pub concert_id: i64,
    /// The show.
    pub show_id: i64,
    /// The waiting room that guards the concert.
    pub queue_id: String,
    /// The seats, rising.
    pub seats: Vec<i32>,
    /// What they cost together; fixed when they were taken.
    pub amount: i64,
    /// When they were taken.
    pub held_at: i64,
    /// What was promised then.
    pub promised_until: i64,
    /// When it lapses.
    pub expires_at: i64,
    /// What was written of its fate.
    pub state: State,
}

/// What was written of a hold's fate.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum State {
    /// Nothing yet: it is live, or it has lapsed by the clock.
    Held,
    /// Paid for.
    Confirmed {
        /// By this payment.
        payment_id: Uuid,
        /// When.
        at: i64,
    },
    /// Lapsed, and written down.
    Expired,
    /// Given back.
    Cancelled,
}

/// What a hold is at a moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Status {
    /// Live.
    Held,
    /// The user's for good.
    Confirmed,
    /// Lapsed unpaid.
    Expired,
    /// Given back.
    Cancelled,
}

/// A hold together with what it was when somebody looked.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Reservation {
    /// The hold.
    pub hold: Hold,
    /// What it was.
    pub status: Status,
}

/// What its user wants of a hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub enum Command {
    /// Keep it alive while this payment is in flight.
    Extend {
        /// The payment.
        payment_id: Uuid,
        /// For so long from now.
        by: i64,
    },
    /// Make it the user's for good.
    Confirm {
        /// What pays for it.
        payment_id: Uuid,
    },
    /// Give it back.
    Cancel,
}

/// What is to be written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Change {
    /// It lives until then.
    Extend {
        /// The new end, later than the old one.
        until: i64,
    },
    /// It is paid for: its seats are sold.
    Confirm {
        /// What paid for it.
        payment_id: Uuid,
    },
    /// It is given back: its seats are free.
    Cancel,
    /// It has lapsed: its seats are free.
    Lapse,
}

/// What a command comes to: perhaps something to write (even when the answer is no), and the answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Verdict {
    /// To be written, in any case.
    pub change: Option<Change>,
    /// The answer: the hold as it then is, or why not.
    pub answer: Result<(), Refusal>,
}

/// Refuses a user who would hold more than `limit` seats of one show; `held` counts those of the new hold
/// too.
///
/// # Errors
/// `HoldLimit`.
pub const fn check_limit(held: i64, limit: i64) -> Result<(), Refusal> {
    if held > limit { Err(Refusal::HoldLimit(limit)) } else { Ok(()) }
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
    /// What it is at this moment.
    #[must_use]
    pub const fn status(&self, now: i64) -> Status {
        match self.state {
            State::Held if now < self.expires_at => Status::Held,
            State::Held | State::Expired => Status::Expired,
            State::Confirmed { .. } => Status::Confirmed,
            State::Cancelled => Status::Cancelled,
        }
    }

    /// It, with what it is at this moment.
    #[must_use]
    pub const fn seen_at(self, now: i64) -> Reservation {
        let status = self.status(now);
        Reservation { hold: self, status }
    }

    /// What a command of this user comes to.
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
            (Status::Cancelled, Command::Extend { .. } | Command::Confirm { .. }) => {
                Verdict::refuse(Refusal::ReservationCancelled)
            }
            (Status::Cancelled, Command::Cancel) => Verdict::keep(),
        }
    }

    /// It, after a change was written.
    #[must_use]
    pub fn apply(mut self, change: Change, now: i64) -> Self {
        match change {
            Change::Extend { until } => self.expires_at = until,
            Change::Confirm { payment_id } => self.state = State::Confirmed { payment_id, at: now },
            Change::Cancel => self.state = State::Cancelled,
            Change::Lapse => self.state = State::Expired,
        }
        self
    }

    fn extend(&self, by: i64, now: i64) -> Verdict {
        let until = now.saturating_add(by).min(self.promised_until.saturating_add(MAX_EXTENSION));
        if until > self.expires_at { Verdict::change(Change::Extend { until }) } else { Verdict::keep() }
    }

    /// I-PAID-ONCE: only the payment that confirmed a hold is answered as if it confirmed it again.
    fn paid_by(&self, payment_id: Uuid) -> Verdict {
        match self.state {
            State::Confirmed { payment_id: paid, .. } if paid == payment_id => Verdict::keep(),
            State::Confirmed { .. } | State::Held | State::Expired | State::Cancelled => {
                Verdict::refuse(Refusal::AlreadyPaid)
            }
        }
    }

    const fn lapse(&self) -> Option<Change> {
        match self.state {
            State::Held => Some(Change::Lapse),
            State::Confirmed { .. } | State::Expired | State::Cancelled => None,
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
    fn a_user_may_hold_as_many_seats_of_a_show_as_the_limit_says_and_no_more() {
        assert_eq!(check_limit(0, 3), Ok(()));
        assert_eq!(check_limit(3, 3), Ok(()));
        assert_eq!(check_limit(4, 3), Err(Refusal::HoldLimit(3)));
        assert_eq!(check_limit(i64::MAX, 3), Err(Refusal::HoldLimit(3)));
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
                if before.state != State::Held {
                    prop_assert_eq!(&hold, &before, "final states stay");
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
