//! Seats: what was told to be somebody's is nobody else's for as long, and what was paid for stays.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
    rc::Rc,
    time::Duration,
};

use base64::{Engine, engine::general_purpose::STANDARD};
use serde_json::Value;

use super::{Affairs, Refunds, STALE, instant, refunds::Fate, seat_numbers};
use crate::{
    history::{count, violated},
    plan::Plan,
    rest::{Answer, list, number, text},
};

/// What was told of the seats.
#[derive(Debug)]
pub struct Seats {
    plan: Rc<Plan>,
    holds: BTreeMap<String, Hold>,
    /// Holds that somebody asked to end or to pay for: they may have ended at any time since.
    touched: BTreeSet<String>,
    /// Reservations that may be taken back at any time, because somebody asked for the refund of their
    /// payment.
    may_be_back: BTreeSet<String>,
    /// The payment by which each was told to be paid for.
    paid: BTreeMap<String, String>,
    /// Which reservation a seat was sold by, and when that was told first.
    sold: BTreeMap<i64, (String, Duration)>,
    /// What each version of a map said that cannot be had, by the show and the version.
    maps: BTreeMap<(i64, i64), String>,
}

#[derive(Debug)]
struct Hold {
    user: String,
    seats: Vec<i64>,
    /// What they cost together, which stays.
    amount: i64,
}

/// A reservation's certain possession of its seats, by the clock of the replica that gave it, in
/// microseconds.
struct Possession<'a> {
    user: &'a str,
    reservation: &'a str,
    from: i64,
    /// Not after `from` when it may have ended at any time.
    until: i64,
}

impl fmt::Display for Possession<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} by {} from {} to {}", self.reservation, self.user, self.from, self.until)
    }
}

impl Seats {
    pub(super) fn new(plan: &Rc<Plan>) -> Self {
        Self {
            plan: Rc::clone(plan),
            holds: BTreeMap::new(),
            touched: BTreeSet::new(),
            may_be_back: BTreeSet::new(),
            paid: BTreeMap::new(),
            sold: BTreeMap::new(),
            maps: BTreeMap::new(),
        }
    }

    fn hold_micros(&self) -> i64 {
        i64::try_from(self.plan.sale.hold.as_micros()).unwrap_or(i64::MAX)
    }

    /// Somebody asked for seats and was told that they have some; whether those that they asked for, is
    /// [`super::Asks`]' to judge.
    pub fn held(&mut self, user: &str, answer: &Answer) {
        count("holds acknowledged");
        let told = &answer.body;
        let lasts = instant(told, "expiresAt") - instant(told, "heldAt");
        if text(told, "userId") != user || lasts != self.hold_micros() {
            violated("AS-ASKED", &[user], format!("told {told}"));
        }
        let (user, seats) = (user.to_owned(), seat_numbers(told));
        let hold = Hold { user, seats, amount: number(told, "amount") };
        self.holds.insert(text(told, "reservationId").to_owned(), hold);
    }

    /// Whether somebody asked to end a hold, or to pay for it.
    #[must_use]
    pub fn is_touched(&self, reservation: &str) -> bool {
        self.touched.contains(reservation)
    }

    /// Somebody asks to end a hold, or to pay for it.
    pub fn touch(&mut self, reservation: &str) {
        self.touched.insert(reservation.to_owned());
    }

    /// Somebody asks for the refund of a reservation's payment.
    pub(super) fn may_be_back(&mut self, reservation: &str) {
        self.may_be_back.insert(reservation.to_owned());
    }

    /// Somebody was told that a reservation is paid for, by this payment.
    pub(super) fn paid(&mut self, user: &str, reservation: &str, payment: &str, told_at: Duration) {
        let first = self.paid.entry(reservation.to_owned()).or_insert_with(|| payment.to_owned());
        if first != payment {
            violated(
                "PAY-ONCE",
                &[user],
                format!("reservation {reservation} was paid by {first}, and by {payment}"),
            );
        }
        let Some(hold) = self.holds.get(reservation) else { return };
        for seat in &hold.seats {
            let now = (reservation.to_owned(), told_at);
            let before = self.sold.entry(*seat).or_insert_with(|| now.clone());
            let by = &before.0;
            if by != reservation && self.may_be_back.contains(by) {
                // What was given back was sold again.
                *before = now;
            } else if by != reservation && !self.may_be_back.contains(reservation) {
                let other = self.holds.get(by).map_or("-", |hold| hold.user.as_str());
                violated(
                    "SEAT-ONCE",
                    &[user, other],
                    format!("seat {seat} is sold by {by} and by {reservation}"),
                );
            }
        }
    }

    /// Somebody was shown the seats. Answers those that are free.
    pub fn seen(&self, user: &str, answer: &Answer) -> Vec<i64> {
        let mut free = Vec::new();
        for seat in list(&answer.body, "seats") {
            let (number, status) = (number(seat, "seatNumber"), text(seat, "status"));
            if status == "AVAILABLE" {
                free.push(number);
            }
            if status != "SOLD" {
                self.not_sold(user, number, status, answer);
            }
        }
        free
    }

    /// Somebody was shown the compact map, whose versions are told again and again, by replicas whose clocks
    /// differ (I-MAP-VERSION). Answers the seats that are free.
    pub fn map_seen(&mut self, user: &str, answer: &Answer) -> Vec<i64> {
        if answer.status != 200 {
            return Vec::new();
        }
        count("maps read");
        let (map, taken) = (&answer.body, answer.text("taken").to_owned());
        let version = (number(map, "showId"), number(map, "version"));
        let known = self.maps.entry(version).or_insert_with(|| taken.clone());
        if *known != taken {
            violated("MAP-VERSION", &[user], format!("{version:?} said {known}, and now {taken}"));
        }
        let bytes = STANDARD.decode(&taken).unwrap_or_default();
        let is_taken = |seat: i64| {
            let bit = usize::try_from(seat - 1).unwrap_or_default();
            bytes.get(bit / 8).is_some_and(|byte| byte >> (bit % 8) & 1 == 1)
        };
        let free: Vec<i64> = (1..=number(map, "seatCount")).filter(|seat| !is_taken(*seat)).collect();
        if i64::try_from(free.len()).ok() != Some(number(map, "available")) {
            violated("AS-ASKED", &[user], format!("a map that does not add up: {map}"));
        }
        for section in list(map, "sections") {
            let is_in = |seat: &&i64| {
                self.plan.hall.section_of(**seat).is_some_and(|one| one.name == text(section, "name"))
            };
            let there = i64::try_from(free.iter().filter(is_in).count());
            if there.ok() != Some(number(section, "available")) {
                violated("AS-ASKED", &[user], format!("a section of a map that does not add up: {map}"));
            }
        }
        for seat in &free {
            self.not_sold(user, *seat, "free", answer);
        }
        free
    }

    /// Somebody was told that a seat is not sold.
    fn not_sold(&self, user: &str, seat: i64, status: &str, answer: &Answer) {
        if let Some((reservation, told_at)) = self.sold.get(&seat)
            && *told_at + STALE < answer.sent
            && !self.may_be_back.contains(reservation)
        {
            let when = answer.sent;
            let what =
                format!("seat {seat} was sold by {reservation} at {told_at:?}, and is {status} at {when:?}");
            violated("SOLD-STAYS", &[user], what);
        }
    }

    pub(super) fn judge(&self, all: &[Affairs], map: &Value, refunds: &Refunds) {
        let reservations = || all.iter().flat_map(|affairs| affairs.reservations.iter());
        let by_id: BTreeMap<&str, &Value> =
            reservations().map(|one| (text(one, "reservationId"), one)).collect();
        for (id, hold) in &self.holds {
            let user = [hold.user.as_str()];
            let Some(now) = by_id.get(id.as_str()) else {
                violated("HOLD-KEPT", &user, format!("reservation {id} was told and is not there"));
                continue;
            };
            let is_kept = seat_numbers(now) == hold.seats && number(now, "amount") == hold.amount;
            if text(now, "userId") != hold.user || !is_kept {
                violated("HOLD-KEPT", &user, format!("told {hold:?}, now {now}"));
            }
            let paid = self.paid.get(id).map(String::as_str);
            let stands = |payment: &str| match (refunds.fate(payment), text(now, "status")) {
                (Fate::Stays | Fate::Either, "CONFIRMED") | (Fate::Undone | Fate::Either, "REFUNDED") => {
                    text(now, "paymentId") == payment
                }
                _ => false,
            };
            if paid.is_some_and(|payment| !stands(payment)) {
                violated("SOLD-STAYS", &user, format!("paid for by {paid:?}, now {now}"));
            }
        }
        let mut possessions: BTreeMap<i64, Vec<Possession<'_>>> = BTreeMap::new();
        for reservation in reservations() {
            for seat in seat_numbers(reservation) {
                possessions.entry(seat).or_default().push(self.possession(reservation));
            }
        }
        for (seat, possessions) in possessions {
            self.one_at_a_time(seat, possessions);
        }
        // Of a show whose sale is over no seat can be had, whoever has it.
        let is_over = self.plan.called_off.is_some() || self.plan.hall.closes.is_some();
        let sold: BTreeSet<i64> =
            reservations().filter(|one| text(one, "status") == "CONFIRMED").flat_map(seat_numbers).collect();
        for seat in list(map, "seats") {
            let is_sold = text(seat, "status") == "SOLD";
            if is_sold != sold.contains(&number(seat, "seatNumber")) && !(is_over && is_sold) {
                violated("BACK-IFF-FREE", &["-"], format!("in the end {seat}, and sold are {sold:?}"));
            }
        }
    }

    fn possession<'a>(&self, reservation: &'a Value) -> Possession<'a> {
        let (id, from) = (text(reservation, "reservationId"), instant(reservation, "heldAt"));
        let until = match text(reservation, "status") {
            "CONFIRMED" => i64::MAX,
            // It was sold until then, by a clock that may be behind.
            "REFUNDED" => instant(reservation, "refundedAt") - 2 * self.plan.skew,
            // Calling the show off ends what is held at any time.
            _ if self.touched.contains(id) || self.plan.called_off.is_some() => from,
            // Who looks for lapsed holds may have the clock that is most ahead, and who gave this one that
            // which is most behind.
            _ => from + self.hold_micros() - 2 * self.plan.skew,
        };
        Possession { user: text(reservation, "userId"), reservation: id, from, until }
    }

    /// By the clocks of the replicas, which differ: how two compare that are this close is not known where
    /// one may have ended at once.
    fn one_at_a_time(&self, seat: i64, mut possessions: Vec<Possession<'_>>) {
        possessions.sort_by_key(|possession| possession.from);
        for (index, later) in possessions.iter().enumerate() {
            let slack = if later.until > later.from { 0 } else { 2 * self.plan.skew };
            let meets =
                |earlier: &&Possession<'_>| later.from < earlier.until && later.from - earlier.from >= slack;
            if let Some(earlier) = possessions.iter().take(index).find(meets) {
                let what = format!("seat {seat} is in two hands: {earlier}, {later}");
                violated("SEAT-ONCE", &[earlier.user, later.user], what);
            }
        }
    }
}
