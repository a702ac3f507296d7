//! Sales that are undone one by one: each refund is taken once and told the same ever after
//! (I-REFUND-ONCE), only what is sold can be refunded, and the money is back exactly if the seats are free
//! again (I-BACK-IFF-FREE).

use std::{
    collections::{BTreeMap, BTreeSet},
    rc::Rc,
    time::Duration,
};

use serde_json::Value;

use super::Affairs;
use crate::{
    history::{count, violated},
    plan::Plan,
    rest::{Answer, number, text},
};

/// What was asked and told of refunds.
#[derive(Debug)]
pub struct Refunds {
    /// Whether the show is called off in this run, so that sales are undone for which nobody asked one by
    /// one.
    called_off: bool,
    /// By payment.
    asked: BTreeMap<String, Asked>,
    /// When each payment was told first to be complete.
    completed: BTreeMap<String, Duration>,
}

#[derive(Debug, Default)]
struct Asked {
    /// The reasons that were given.
    reasons: BTreeSet<String>,
    /// How many requests were not answered so that it stands: they may have had an effect.
    unknown: usize,
    /// When it was told first that the refund is done or goes on, and for which reason.
    taken: Option<(Duration, String)>,
    /// When it was told first to be done, and how the payment is told since then.
    done: Option<(Duration, Value)>,
}

/// What is certain of a payment in the end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fate {
    /// Its sale stays.
    Stays,
    /// Its sale is undone.
    Undone,
    /// Either, since somebody asked and was not answered.
    Either,
}

impl Refunds {
    pub(super) fn new(plan: &Rc<Plan>) -> Self {
        let called_off = plan.called_off.is_some();
        Self { called_off, asked: BTreeMap::new(), completed: BTreeMap::new() }
    }

    /// Somebody asks for a refund.
    pub(super) fn asking(&mut self, payment: &str, reason: &str) {
        self.asked.entry(payment.to_owned()).or_default().reasons.insert(reason.to_owned());
    }

    /// It was answered, or was not.
    pub(super) fn answered(&mut self, who: &str, payment: &str, answer: Option<&Answer>) {
        let asked = self.asked.entry(payment.to_owned()).or_default();
        let Some(answer) = answer.filter(|answer| answer.stands()) else {
            asked.unknown += 1;
            return;
        };
        let wrong = |rule: &str, why: &str| {
            violated(rule, &[who], format!("{why}: payment {payment}: {} {}", answer.status, answer.body));
        };
        let (body, before) = (&answer.body, |at: Duration| at < answer.sent);
        let is_taken = body["refundAskedAt"].is_string();
        match (answer.status, answer.code()) {
            (200, _)
                if text(body, "status") != "CANCELLED" || !is_taken || !body["refundedAt"].is_string() =>
            {
                wrong("REFUND", "told to be done, and is not");
            }
            (202, _) if text(body, "status") != "COMPLETED" || !is_taken => {
                wrong("REFUND", "told to go on, and does not");
            }
            (202, _) if asked.done.as_ref().is_some_and(|(at, _)| before(*at)) => {
                wrong("ONE-ANSWER", "it was told to be done");
            }
            (200 | 202, _) => {
                count(if answer.status == 200 { "refunds done" } else { "refunds under way" });
                let reason = text(body, "refundReason").to_owned();
                if !self.called_off && !asked.reasons.contains(&reason) {
                    wrong("REFUND", "nobody gave this reason");
                }
                let (_, first) = asked.taken.get_or_insert((answer.received, reason.clone()));
                if *first != reason {
                    wrong("ONE-ANSWER", &format!("it was undone for {first}"));
                }
                if answer.status == 200 {
                    let (_, first) = asked.done.get_or_insert((answer.received, body.clone()));
                    if *first != *body {
                        wrong("ONE-ANSWER", &format!("it was told as {first}"));
                    }
                }
            }
            (409, "REFUND_NOT_POSSIBLE") => {
                count("refunds refused");
                let is_sold = self.completed.get(payment).is_some_and(|at| before(*at));
                if is_sold || asked.taken.as_ref().is_some_and(|(at, _)| before(*at)) {
                    wrong("REFUND", "it was complete, and is refused");
                }
            }
            _ => wrong("REFUND", "no such answer is known"),
        }
    }

    /// Somebody was told how a payment stands.
    pub(super) fn told(&mut self, user: &str, payment: &str, status: &str, answer: &Answer) {
        if status != "COMPLETED" {
            return;
        }
        self.completed.entry(payment.to_owned()).or_insert(answer.received);
        let done = self.asked.get(payment).and_then(|asked| asked.done.as_ref());
        if let Some((at, _)) = done.filter(|(at, _)| *at < answer.sent) {
            let what = format!("payment {payment} was undone at {at:?}, and is told as {}", answer.body);
            violated("ONE-OUTCOME", &[user], what);
        }
    }

    /// What is certain in the end of a payment that was told to be complete.
    pub(super) fn fate(&self, payment: &str) -> Fate {
        match self.asked.get(payment) {
            _ if self.called_off => Fate::Undone,
            Some(asked) if asked.taken.is_some() => Fate::Undone,
            Some(asked) if asked.unknown > 0 => Fate::Either,
            Some(_) | None => Fate::Stays,
        }
    }

    pub(super) fn judge(&self, affairs: &Affairs) {
        let user = [affairs.user.as_str()];
        for payment in &affairs.payments {
            let id = text(payment, "paymentId");
            let (undone, asked) = (payment["refundAskedAt"].is_string(), self.asked.get(id));
            let may_be = self.called_off || self.fate(id) != Fate::Stays;
            let must_be = asked.is_some_and(|asked| asked.taken.is_some());
            if undone && !may_be || must_be && !undone {
                violated("REFUND", &user, format!("asked for as {asked:?}, and now {payment}"));
            }
            if undone && (text(payment, "status") != "CANCELLED" || !payment["refundedAt"].is_string()) {
                violated("SETTLED", &user, format!("its refund is not done: {payment}"));
            }
            if let Some((_, told)) = asked.and_then(|asked| asked.done.as_ref())
                && told != payment
            {
                violated("ONE-ANSWER", &user, format!("told as {told}, and now {payment}"));
            }
            back_iff_free(affairs, payment, undone);
        }
        let undone = |id: &str| {
            let known = affairs.payments.iter().find(|payment| text(payment, "paymentId") == id);
            known.is_some_and(|payment| payment["refundAskedAt"].is_string())
        };
        let free = affairs.reservations.iter().filter(|one| text(one, "status") == "REFUNDED");
        for reservation in free.filter(|one| !undone(text(one, "paymentId"))) {
            violated(
                "BACK-IFF-FREE",
                &user,
                format!("seats are free, and no refund is known: {reservation}"),
            );
        }
    }
}

/// The wallet has the price of a sale that is undone back, once, and its seats are given up; of a sale that
/// stays, neither.
fn back_iff_free(affairs: &Affairs, payment: &Value, undone: bool) {
    let (id, amount) = (text(payment, "paymentId"), number(payment, "amount"));
    let back = affairs.entries.iter().filter(|entry| {
        text(entry, "kind") == "REFUND" && text(entry, "paymentId") == id && number(entry, "amount") == amount
    });
    let is_free = affairs.reservations.iter().any(|one| {
        text(one, "status") == "REFUNDED"
            && text(one, "paymentId") == id
            && one["reservationId"] == payment["reservationId"]
    });
    let back = back.count();
    let is_right = if undone {
        is_free && back == 1
    } else {
        // A payment that was taken back before it became a sale gave money back, and had no seats.
        !is_free && (back == 0 || text(payment, "status") == "CANCELLED")
    };
    if !is_right {
        let what = format!("given back {back} times, seats free: {is_free}: {payment}");
        violated("BACK-IFF-FREE", &[&affairs.user], what);
    }
}
