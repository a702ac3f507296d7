//! The independent model: what people sent, what they were told, and what must be true because of it.
//!
//! It knows the rules of the sale from the plan and everything else from answers, shares no code with the
//! services, and judges each answer as it comes as well as all that can be read in the end.

mod asks;
mod books;
mod line;
mod message;
mod money;
mod refunds;
mod seats;
mod show;

use std::{collections::BTreeMap, rc::Rc, time::Duration};

use chrono::DateTime;
use serde_json::Value;

pub use self::{
    asks::{Asks, Wanted},
    line::Line,
    message::Said,
    money::Money,
    refunds::Refunds,
    seats::Seats,
    show::Show,
};
use crate::{
    history::{count, violated},
    plan::Plan,
    rest::{Answer, Request, list, text},
};

/// How long after something was acknowledged a reader may still be told what was before: replicas follow each
/// other, and seat maps are shared, for a quarter of a second at most.
const STALE: Duration = Duration::from_millis(500);

/// What everybody was told.
#[derive(Debug)]
pub struct Model {
    /// Places in the line.
    pub line: Line,
    /// Holds and what became of them.
    pub seats: Seats,
    /// What was asked for of the hall.
    pub asks: Asks,
    /// Charges and payments.
    pub money: Money,
    /// Sales that are undone one by one.
    refunds: Refunds,
    /// What the office makes of the show.
    pub show: Show,
    /// Whether the show is called off in this run: nobody has its seats in the end, nor has paid for them.
    called_off: bool,
    /// What the first answer to each key named.
    keys: BTreeMap<String, String>,
}

/// Everything that can be read of somebody in the end.
#[derive(Clone, Debug)]
pub struct Affairs {
    /// Whose.
    pub user: String,
    /// Their balance; `None` without a wallet.
    pub balance: Option<i64>,
    /// The movements of their wallet.
    pub entries: Vec<Value>,
    /// Their payments.
    pub payments: Vec<Value>,
    /// Their reservations.
    pub reservations: Vec<Value>,
}

impl Model {
    /// Nobody was told anything yet.
    #[must_use]
    pub fn new(plan: &Rc<Plan>) -> Self {
        Self {
            line: Line::new(plan),
            seats: Seats::new(plan),
            asks: Asks::new(plan),
            money: Money::new(plan),
            refunds: Refunds::new(plan),
            show: Show::new(plan),
            called_off: plan.called_off.is_some(),
            keys: BTreeMap::new(),
        }
    }

    /// Judges what holds for an answer to any request. `same` is what every answer to the request's key must
    /// name alike.
    pub fn heard(&mut self, user: &str, request: &Request, answer: &Answer, same: fn(&Answer) -> String) {
        count(format!("answers {}", answer.status));
        if answer.status == 500 || answer.code() == "INTERNAL" {
            violated("NO-500", &[user], format!("{request} was answered {} {}", answer.status, answer.body));
        }
        if !answer.is_done() && answer.stands() {
            count(format!("refused {}", answer.code()));
        }
        let (Some(key), true) = (request.known_by(), answer.is_done()) else { return };
        let named = same(answer);
        let first = self.keys.entry(key.to_owned()).or_insert_with(|| named.clone());
        if *first != named {
            violated(
                "ONE-ANSWER",
                &[user],
                format!("{request} was first answered with {first}, then with {named}"),
            );
        }
    }

    /// Somebody was told how a payment of a reservation stands.
    pub fn settled(&mut self, user: &str, reservation: &str, status: &str, answer: &Answer) {
        let payment = answer.text("paymentId");
        self.refunds.told(user, payment, status, answer);
        self.money.settled(user, payment, status);
        if status == "COMPLETED" {
            self.seats.paid(user, reservation, payment, answer.received);
        }
    }

    /// Somebody asks for the refund of a payment, of which this was told, and gives a reason.
    pub fn refunding(&mut self, payment: &Value, reason: &str) {
        let id = text(payment, "paymentId");
        self.refunds.asking(id, reason);
        self.money.may_be_back(id);
        self.seats.may_be_back(text(payment, "reservationId"));
    }

    /// It was answered, or was not.
    pub fn refund_answered(
        &mut self,
        who: &str,
        payment: &Value,
        request: &Request,
        answer: Option<&Answer>,
    ) {
        if let Some(answer) = answer {
            self.heard(who, request, answer, |_| String::new());
        }
        self.refunds.answered(who, text(payment, "paymentId"), answer);
    }

    /// Judges everything that can be read, when all has settled; the books are the seller's, and the map is
    /// what everybody may see of the seats.
    pub fn judge(&self, all: &[Affairs], books: &Value, map: &Value) {
        self.seats.judge(all, map, &self.refunds);
        let reservations = all.iter().flat_map(|affairs| &affairs.reservations);
        self.asks.judge(reservations, |reservation| self.seats.is_touched(reservation));
        books::judge(books, all);
        self.line.judge();
        self.show.judge();
        for affairs in all {
            self.money.judge(affairs);
            self.refunds.judge(affairs);
            paid_iff_mine(affairs);
            if self.called_off {
                nothing_is_left(affairs);
            }
        }
    }
}

/// A payment is completed if and only if its reservation is confirmed by it, and for what it cost.
fn paid_iff_mine(affairs: &Affairs) {
    let who = [affairs.user.as_str()];
    let confirmed: BTreeMap<&str, &Value> = affairs
        .reservations
        .iter()
        .filter(|reservation| text(reservation, "status") == "CONFIRMED")
        .map(|reservation| (text(reservation, "paymentId"), reservation))
        .collect();
    for payment in &affairs.payments {
        let id = text(payment, "paymentId");
        let mine = confirmed.get(id).is_some_and(|reservation| {
            reservation["reservationId"] == payment["reservationId"]
                && reservation["amount"] == payment["amount"]
        });
        match text(payment, "status") {
            "COMPLETED" if !mine => {
                violated("PAID-IFF-MINE", &who, format!("paid without its reservation: {payment}"))
            }
            "FAILED" | "CANCELLED" if mine => {
                violated("PAID-IFF-MINE", &who, format!("mine without being paid: {payment}"))
            }
            "COMPLETED" | "FAILED" | "CANCELLED" => {}
            _ => violated("SETTLED", &who, format!("not settled: {payment}")),
        }
    }
    for (id, reservation) in confirmed {
        if !affairs.payments.iter().any(|payment| text(payment, "paymentId") == id) {
            violated("PAID-IFF-MINE", &who, format!("confirmed without a payment: {reservation}"));
        }
    }
}

/// Of a show that was called off nothing is held or sold.
fn nothing_is_left(affairs: &Affairs) {
    let had = affairs.reservations.iter().filter(|one| matches!(text(one, "status"), "HELD" | "CONFIRMED"));
    let paid = affairs.payments.iter().filter(|one| text(one, "status") == "COMPLETED");
    for left in had.chain(paid) {
        violated("CALLED-OFF", &[&affairs.user], format!("the show was called off, and there is {left}"));
    }
}

/// An instant of an answer, in microseconds since 1970.
fn instant(json: &Value, field: &str) -> i64 {
    DateTime::parse_from_rfc3339(text(json, field)).map(|at| at.timestamp_micros()).unwrap_or_default()
}

/// Seat numbers of an answer.
fn seat_numbers(json: &Value) -> Vec<i64> {
    list(json, "seatNumbers").filter_map(Value::as_i64).collect()
}

#[cfg(test)]
mod office_tests;
