//! Histories of requests in batches, held against the same requests one by one and against what must hold of
//! any history.

#![allow(clippy::unwrap_used, reason = "tests")]

use proptest::prelude::*;

use super::*;
use crate::domain::{
    hall::tests::{row, section},
    show::{Sale, tests::show},
};

const SEATS: i32 = 6;
const LIMIT: i64 = 3;
const RULES: Rules = Rules { hold_ttl: 100, max_held_seats: LIMIT, cooldown: Some(40) };
const USERS: [&str; 3] = ["ann", "bob", "cid"];
/// The first show has one price; the second has sections, and a limit of its own.
const SHOWS: [i64; 2] = [1, 2];
const PRICE: i64 = 10;
/// What a seat of the second show costs: in its stalls, and where people stand.
const PRICES: [i64; 2] = [30, 7];
/// How many seats the stalls have.
const STALLS: i32 = 2;

/// A show and its hall.
fn on_sale(show_id: i64) -> (Arc<Show>, Arc<Hall>) {
    let plain = show(SEATS);
    if show_id == SHOWS[0] {
        return (Arc::new(plain), Arc::new(Hall::of_one_row(SEATS)));
    }
    let stalls = section("Stalls", vec![row("A", STALLS, 1)], 0);
    let hall = Hall::new(vec![stalls, section("Floor", Vec::new(), SEATS - STALLS)]);
    let sale = Sale { max_seats_per_user: Some(i32::try_from(LIMIT).unwrap()), ..Sale::default() };
    (Arc::new(Show { show_id, prices: PRICES.to_vec(), sale, ..plain }), Arc::new(hall))
}

/// What a hold of these seats must cost.
fn price(hold: &Hold) -> i64 {
    let of_section = |seat: &i32| PRICES[usize::from(*seat > STALLS)];
    let of = |seat| if hold.show_id == SHOWS[0] { PRICE } else { of_section(seat) };
    hold.seats.iter().map(of).sum()
}

/// The rows between batches.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Rows {
    holds: HashMap<Uuid, Hold>,
    seats: HashMap<SeatKey, SeatRow>,
    closed: HashMap<Uuid, i64>,
}

impl Rows {
    /// All rows, as a batch at this time would lock them.
    fn locked(&self, now: i64) -> Locked {
        let mut holders: HashMap<HolderKey, Holder> = HashMap::new();
        for hold in self.holds.values() {
            let holder = holders.entry((hold.user_id.clone(), hold.show_id)).or_default();
            if matches!(hold.state, State::Held | State::Confirmed { .. }) {
                holder.kept += i64::try_from(hold.seats.len()).unwrap();
            }
            match hold.status(now) {
                Status::Held => holder.held += i64::try_from(hold.seats.len()).unwrap(),
                Status::Expired | Status::Cancelled => {
                    let closed = self.closed.get(&hold.reservation_id).copied();
                    holder.ended.push(closed.unwrap_or(i64::MAX).min(hold.expires_at));
                }
                Status::Confirmed | Status::Refunded => {}
            }
        }
        Locked::new(self.holds.clone(), self.seats.clone()).of(holders)
    }

    /// Writes what a batch changed, under the conditions of the statements. True when each row was written.
    fn write(&mut self, changes: Changes, now: i64) -> bool {
        let mut whole = true;
        for hold in changes.refunded {
            for seat in &hold.seats {
                let row = self.seats.get_mut(&(hold.show_id, *seat));
                if let Some(row) = row.filter(|row| row.hold_id == hold.reservation_id) {
                    row.sold = false;
                }
            }
            self.closed.insert(hold.reservation_id, now);
            let before = self.holds.insert(hold.reservation_id, hold);
            whole &=
                before.is_some_and(|before| matches!(before.state, State::Held | State::Confirmed { .. }));
        }
        for (key, hold) in changes.freed {
            if self.seats.get(&key).is_some_and(|row| row.hold_id == hold && !row.sold) {
                self.seats.remove(&key);
            }
        }
        for (key, row) in changes.seats {
            let before = self.seats.insert(key, row);
            whole &= before.is_none_or(|before| {
                !before.sold && (before.hold_id == row.hold_id || (!row.sold && before.held_until <= now))
            });
        }
        for hold in changes.holds {
            if hold.state != State::Held {
                self.closed.insert(hold.reservation_id, now);
            }
            let before = self.holds.insert(hold.reservation_id, hold);
            whole &= before.is_none_or(|before| before.state == State::Held);
        }
        whole
    }

    fn batch(&mut self, requests: &[Request], now: i64) -> Vec<Result<Reservation, Refusal>> {
        let mut locked = self.locked(now);
        let answers = requests.iter().map(|request| locked.decide(request, RULES, now)).collect();
        assert!(self.write(locked.into_changes(), now), "a condition did not hold");
        answers
    }

    /// What must be true of any rows at this time.
    fn judge(&self, now: i64) {
        for hold in self.holds.values() {
            let live = hold.status(now) == Status::Held;
            let sold = matches!(hold.state, State::Confirmed { .. });
            for seat in &hold.seats {
                let row = self.seats.get(&(hold.show_id, *seat));
                let mine = row.is_some_and(|row| row.hold_id == hold.reservation_id);
                assert!(mine || !(live || sold), "I-ALL-OR-NONE: {hold:?} has lost seat {seat}");
                assert!(!mine || row.unwrap().sold == sold, "I-SOLD-STAYS: {hold:?}");
                assert!(!live || row.unwrap().held_until == hold.expires_at, "{hold:?}");
            }
            assert_eq!(hold.amount, price(hold), "I-FIXED-PRICE: {hold:?}");
            let tickets: i64 = hold.tickets().map(|(_, place)| place.price).sum();
            assert_eq!(hold.amount, tickets, "I-FIXED-PRICE: {hold:?}");
        }
        for (key, row) in &self.seats {
            let hold = &self.holds[&row.hold_id];
            assert!(hold.seats.contains(&key.1) && hold.show_id == key.0, "I-SEAT-ONCE: {row:?}");
        }
        for user in USERS {
            for show in SHOWS {
                let counts = |hold: &&Hold| {
                    let is_bought = show == SHOWS[1] && hold.status(now) == Status::Confirmed;
                    let theirs = hold.user_id == user && hold.show_id == show;
                    theirs && (is_bought || hold.status(now) == Status::Held)
                };
                let seats: usize = self.holds.values().filter(counts).map(|hold| hold.seats.len()).sum();
                assert!(
                    i64::try_from(seats).unwrap() <= LIMIT,
                    "I-LIMIT, I-LIMIT-SHOW: {user} has {seats} seats of {show}"
                );
            }
        }
    }
}

/// A request before it has an id: for seats, or about one of the latest holds.
#[derive(Clone, Debug)]
enum Wish {
    Seats(i64, Vec<i32>),
    Settle(usize, Command),
}

fn wishes() -> impl Strategy<Value = (&'static str, Wish)> {
    let payment = || (1..4_u128).prop_map(Uuid::from_u128);
    let command = prop_oneof![
        (payment(), 1..200_i64).prop_map(|(payment_id, by)| Command::Extend { payment_id, by }),
        payment().prop_map(|payment_id| Command::Confirm { payment_id }),
        payment().prop_map(|payment_id| Command::Refund { payment_id }),
        Just(Command::Cancel),
    ];
    let wish = prop_oneof![
        (proptest::sample::select(&SHOWS[..]), proptest::collection::btree_set(0..=SEATS + 1, 1..4))
            .prop_map(|(show, seats)| Wish::Seats(show, seats.into_iter().collect())),
        (0..8_usize, command).prop_map(|(nth, command)| Wish::Settle(nth, command)),
    ];
    (proptest::sample::select(&USERS[..]), wish)
}

/// The requests of these wishes. Holds are numbered as they are asked for, and one that is to be settled was
/// asked for in an earlier batch: nobody knows its id before it was answered.
fn requests(wishes: &[(&str, Wish)], first: usize) -> Vec<Request> {
    let id = |nth: usize| Uuid::from_u128(nth as u128 + 1);
    let request = |(nth, (user, wish)): (usize, &(&str, Wish))| match wish {
        Wish::Seats(show_id, seats) => {
            let (show, hall) = on_sale(*show_id);
            Request::Hold(NewHold {
                reservation_id: id(first + nth),
                user_id: (*user).to_owned(),
                show,
                hall,
                queue_id: "default".to_owned(),
                seats: Wanted::These(Selection::new(seats).unwrap()),
            })
        }
        Wish::Settle(back, command) => Request::Settle {
            reservation_id: Uuid::from_u128(first.saturating_sub(*back) as u128),
            user_id: (*user).to_owned(),
            command: *command,
        },
    };
    wishes.iter().enumerate().map(request).collect()
}

proptest! {
    #[test]
    fn a_batch_answers_and_changes_what_its_requests_would_one_by_one(
        history in proptest::collection::vec((proptest::collection::vec(wishes(), 1..8), 0..60_i64), 1..12)
    ) {
        let (mut together, mut alone) = (Rows::default(), Rows::default());
        let (mut now, mut first) = (0, 0);
        for (wishes, pause) in history {
            now += pause;
            let requests = requests(&wishes, first);
            first += requests.len();
            let answers = together.batch(&requests, now);
            let each: Vec<_> = requests
                .iter()
                .flat_map(|request| alone.batch(std::slice::from_ref(request), now))
                .collect();
            prop_assert_eq!(answers, each);
            prop_assert_eq!(&together, &alone);
            together.judge(now);
        }
    }

    #[test]
    fn who_may_not_be_granted_by_the_rows_is_refused_for_the_seats(
        before in proptest::collection::vec(wishes(), 0..8),
        batch in proptest::collection::vec(wishes(), 1..8),
        pause in 0..150_i64,
    ) {
        let mut rows = Rows::default();
        rows.batch(&requests(&before, 0), 0);
        let requests = requests(&batch, before.len());
        let mut locked = rows.locked(pause);
        // As the transaction locks them: the holds that are asked about, and no others.
        let is_named = |id: &Uuid| requests.iter().any(|request| {
            matches!(request, Request::Settle { reservation_id, .. } if reservation_id == id)
        });
        locked.holds.retain(|id, _| is_named(id));
        let may: Vec<_> = requests
            .iter()
            .map(|request| match request {
                Request::Hold(new) => locked.may_grant(new, pause),
                Request::Settle { .. } => true,
            })
            .collect();
        for (request, may) in requests.iter().zip(may) {
            let answer = locked.decide(request, RULES, pause);
            prop_assert!(may || matches!(answer, Err(Refusal::SeatTaken(_) | Refusal::SeatNotFound(_))), "{:?}", answer);
        }
    }
}

#[test]
fn a_hold_that_lost_a_seat_by_a_faster_clock_is_closed_and_gives_back_the_rest() {
    let mut rows = Rows::default();
    let seats = |numbers: &[i32]| Wish::Seats(SHOWS[0], numbers.to_vec());
    rows.batch(&requests(&[("ann", seats(&[1, 2]))], 0), 0);
    rows.batch(&requests(&[("bob", seats(&[2]))], 1), RULES.hold_ttl);
    let confirm = Wish::Settle(1, Command::Confirm { payment_id: Uuid::from_u128(9) });
    let answers = rows.batch(&requests(&[("ann", confirm), ("cid", seats(&[1]))], 2), 50);
    assert_eq!(answers[0], Err(Refusal::HoldExpired));
    assert!(answers[1].is_ok(), "{:?}", answers[1]);
    assert_eq!(rows.holds[&Uuid::from_u128(1)].state, State::Expired);
}

#[test]
fn what_a_user_has_bought_counts_where_the_show_limits_it_and_nowhere_else() {
    let seats = |show: i64, numbers: &[i32]| Wish::Seats(show, numbers.to_vec());
    let pay = Wish::Settle(0, Command::Confirm { payment_id: Uuid::from_u128(9) });
    for (show, again) in [(SHOWS[0], Ok(30)), (SHOWS[1], Err(Refusal::SeatLimit(LIMIT)))] {
        let mut rows = Rows::default();
        rows.batch(&requests(&[("ann", seats(show, &[1, 2, 3]))], 0), 0);
        rows.batch(&requests(&[("ann", pay.clone())], 1), 1);
        let more = requests(&[("ann", seats(show, &[4, 5, 6]))], 2);
        let answers = rows.batch(&more, 2);
        assert_eq!(answers[0].clone().map(|reservation| reservation.hold.amount), again);
        // What was given back may be had again.
        let mut rows = Rows::default();
        rows.batch(&requests(&[("ann", seats(show, &[1, 2, 3]))], 0), 0);
        let back = requests(&[("ann", Wish::Settle(0, Command::Cancel)), ("ann", seats(show, &[1, 2]))], 1);
        assert!(rows.batch(&back, 1).iter().all(Result::is_ok));
    }
}
