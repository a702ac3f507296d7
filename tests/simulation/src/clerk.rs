//! The clerk of the office, who undoes sales one by one while others buy: those that are being paid for at
//! this moment, those that have just been, and those of long ago; now and then at both edges at once. What
//! the clerk sends and is told goes to the model.

use std::time::Duration;

use rand::{Rng, SeedableRng, rngs::StdRng, seq::IndexedRandom};
use serde_json::{Value, json};
use tokio::time::sleep;

use crate::{
    history::{self, count},
    person::{LAST_CALL, Scene, name},
    plan::EDGES,
    rest::{Answer, Request, list, text},
};

/// What the clerk is called.
pub const CLERK: &str = "clerk";
/// How long an answer is waited for.
const PATIENCE: Duration = Duration::from_secs(5);
/// How often the refund of one payment is asked for until it is answered.
const TRIES: u32 = 8;

/// The clerk.
#[derive(Debug)]
pub struct Clerk {
    scene: Scene,
    rng: StdRng,
    /// How many reasons were given.
    reasons: u32,
}

impl Clerk {
    /// The clerk of a run.
    #[must_use]
    pub fn new(scene: &Scene) -> Self {
        let rng = StdRng::seed_from_u64(scene.plan.seed ^ 0xC1E4);
        Self { scene: scene.clone(), rng, reasons: 0 }
    }

    /// Undoes sales until people begin nothing new any more.
    pub async fn work(mut self) {
        while history::now() < self.scene.plan.calm + LAST_CALL {
            self.pause(50..=700).await;
            let user = self.whom();
            let payments = Request::get(format!("/v1/users/{user}/payments"));
            let edge = self.edge();
            let Some(told) = payments.send(CLERK, edge, PATIENCE).await.filter(Answer::is_done) else {
                continue;
            };
            let all: Vec<&Value> = list(&told.body, "payments").collect();
            let newest = self.rng.random_bool(0.7).then(|| all.first()).flatten();
            let Some(payment) = newest.or_else(|| all.choose(&mut self.rng)) else { continue };
            // Most sales stay, so that there is something left to judge.
            if text(payment, "status") == "PENDING" || self.rng.random_bool(0.4) {
                self.undo(payment).await;
            }
        }
    }

    async fn pause(&mut self, millis: std::ops::RangeInclusive<u64>) {
        sleep(Duration::from_millis(self.rng.random_range(millis))).await;
    }

    fn edge(&mut self) -> &'static str {
        EDGES[self.rng.random_range(0..EDGES.len())]
    }

    /// Somebody: mostly one of those who are at the till.
    fn whom(&mut self) -> String {
        let paying = self.scene.model.borrow_mut().money.next_at_the_till();
        let paying = paying.filter(|_| self.rng.random_bool(0.8));
        paying.unwrap_or_else(|| name(self.rng.random_range(0..self.scene.plan.people)))
    }

    /// Asks for the refund of a payment, again and again while it is not complete yet.
    async fn undo(&mut self, payment: &Value) {
        if self.rng.random_bool(0.3) {
            self.scene.weather.aim(&mut self.rng);
        }
        let is_under_way = text(payment, "status") == "PENDING";
        let tries = if self.rng.random_bool(0.2) { 1 } else { TRIES };
        for _ in 0..tries {
            let (one, other) = if self.edge() == EDGES[0] { (0, 1) } else { (1, 0) };
            let first = self.asking(payment);
            let answers = if self.rng.random_bool(0.3) {
                let second = self.asking(payment);
                let both = futures::join!(
                    first.send(CLERK, EDGES[one], PATIENCE),
                    second.send(CLERK, EDGES[other], PATIENCE)
                );
                vec![(first, both.0), (second, both.1)]
            } else {
                let answer = first.send(CLERK, EDGES[one], PATIENCE).await;
                vec![(first, answer)]
            };
            let mut stands = false;
            for (request, answer) in &answers {
                let mut model = self.scene.model.borrow_mut();
                model.refund_answered(CLERK, payment, request, answer.as_ref());
                let is_early = is_under_way && answer.as_ref().is_some_and(|answer| answer.status == 409);
                stands |= answer.as_ref().is_some_and(Answer::stands) && !is_early;
            }
            if stands && !self.rng.random_bool(0.3) {
                return;
            }
            count("refunds asked for again");
            self.pause(20..=500).await;
        }
    }

    /// The request for a refund, with a reason that tells it from all others.
    fn asking(&mut self, payment: &Value) -> Request {
        self.reasons += 1;
        let reason = format!("reason {}", self.reasons);
        self.scene.model.borrow_mut().refunding(payment, &reason);
        Request::post(
            format!("/v1/payments/{}/refund", text(payment, "paymentId")),
            json!({"reason": reason}),
        )
    }
}
