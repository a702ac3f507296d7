//! The stage of refunds that meet mishaps: sales, what their refunds will meet, and how they must end. Who
//! has them refunded, a request or a show that is called off, is the scenario's.

use std::{sync::Arc, time::Duration};

use futures::future::join_all;
use tests::{
    faults::{
        COMMIT,
        Loss::{Code, Cut, Silence},
        Meeting,
        Mishap::{Echo, Lost, Slow, Stands, Twice},
        Moment::{After, Before},
        Rule, Then,
    },
    mesh::Shape,
    trial::{Course::Paid, Court, Trial},
    world::{World, text},
};

/// The calls of a refund.
const STEPS: [&str; 2] = ["RefundReservation", "CancelPayment"];

/// A sale in the court's show, whose refund will meet what it is to meet.
pub(crate) struct Tried {
    trial: Trial,
    pub(crate) payment: String,
    reservation: String,
    /// What was in the wallet before the sale.
    before: i64,
}

impl Tried {
    pub(crate) async fn of(court: &Court, rule: Rule) -> Self {
        let trial = court.begin(Paid.with(rule)).await;
        let before = court.world.balance(&trial.buyer().user).await;
        let told = trial.told(&court.world.rest).await.unwrap();
        assert_eq!(told.status, 201, "{}", told.text);
        let (payment, reservation) = (text(&told.body["paymentId"]), text(&told.body["reservationId"]));
        Self { trial, payment, reservation, before }
    }

    /// A sale for each of these rules.
    pub(crate) async fn each(court: &Court, rules: impl IntoIterator<Item = Rule>) -> Vec<Self> {
        join_all(rules.into_iter().map(|rule| Self::of(court, rule))).await
    }

    /// Money and seats are back, once.
    pub(crate) async fn judge(&self, world: &World) {
        let user = &self.trial.buyer().user;
        let money = (world.balance(user).await, refunds_of(world, user).await);
        assert_eq!(money, (self.before, 1), "{}", self.trial.explain("the money"));
        let reservation = world.reservation(&self.reservation).await;
        assert_eq!(reservation["status"], "REFUNDED", "{}", self.trial.explain("the seats"));
    }
}

/// How many refunds came into a user's wallet.
pub(crate) async fn refunds_of(world: &World, user: &str) -> usize {
    world.entries(user).await.iter().filter(|entry| entry["kind"] == "REFUND").count()
}

/// Everything that may be lost, come twice or come late on the way of a refund, each by itself.
pub(crate) fn losses(shape: Shape) -> Vec<Rule> {
    let mut mishaps = vec![
        (1, Lost(After, Silence)),
        (2, Twice),
        (1, Echo(Duration::from_secs(2))),
        (1, Slow(Duration::from_secs(1))),
    ];
    for moment in [Before, After] {
        let lost = [(1, Cut), (7, Code(tonic::Code::Unavailable)), (1, Code(tonic::Code::NotFound))];
        mishaps.extend(lost.map(|(times, loss)| (times, Lost(moment, loss))));
    }
    let of = |method| {
        mishaps.iter().map(move |(times, mishap)| Rule::first(method, *times, mishap.clone())).collect()
    };
    let mut rules: Vec<Rule> = STEPS.into_iter().flat_map::<Vec<Rule>, _>(of).collect();
    if shape == Shape::Cluster {
        // The journal's writes after the payment's own two.
        for first in 2..6 {
            for moment in [Before, After] {
                rules.push(Rule { method: COMMIT, first, times: 1, mishap: Lost(moment, Cut) });
            }
        }
    }
    rules
}

/// Where a refund may stand when its edge is killed: eight wait at `meeting`, and then either vanish or go
/// on, and four at `late`.
pub(crate) fn stands(meeting: &Arc<Meeting>, late: &Arc<Meeting>) -> Vec<Rule> {
    let mut rules = Vec::new();
    for method in STEPS {
        for moment in [Before, After] {
            for (then, at) in [(Then::Vanishes, meeting), (Then::Goes, meeting), (Then::Goes, late)] {
                rules.push(Rule::first(method, 1, Stands(moment, then, Arc::clone(at))));
            }
        }
    }
    rules
}
