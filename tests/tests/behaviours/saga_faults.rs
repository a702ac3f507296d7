//! Every step of the saga with every mishap: refused, lost before and after it took effect, hanging,
//! repeated, late; the journal's commits lost, and their acknowledgements. Hundreds of checkouts in one mesh,
//! each with a mishap of its own.

use std::time::Duration;

use boxoffice_proto::Reason;
use futures::StreamExt;
use tests::{
    faults::{
        COMMIT,
        Loss::{self, Cut, Silence},
        Mishap::{self, Echo, Lost, Refused, Slow, Twice},
        Moment::{After, Before},
        Rule,
    },
    mesh::Shape,
    solos,
    suite::Solo,
    trial::{
        Course::{self, Cancelled, CancelledEarly, Lapsed, Paid, Poor},
        Court,
        Ending::{MoneyBack, Nothing},
        Plan,
    },
};
use tonic::Code;

pub(crate) const SOLOS: &[Solo] = solos![&[Shape::ApartSqlite, Shape::Cluster];
    every_step_with_every_mishap_ends_in_one_outcome_and_the_client_is_told_which,
];

/// Trials at a time.
const AT_ONCE: usize = 48;
/// More often than a step asks before its outcome counts as unknown, so that the saga itself must come back.
const BEYOND_RETRIES: usize = 7;
/// Every step of each course that comes after the checkout was written.
const STEPS: &[(Course, &[&str])] = &[
    (Paid, &["ExtendHold", "CreatePayment", "ConfirmReservation", "CompleteToken"]),
    (Poor, &["CreatePayment", "CancelReservation"]),
    (Cancelled, &["ConfirmReservation", "CancelPayment"]),
    (CancelledEarly, &["CancelPayment"]),
    (Lapsed, &["ConfirmReservation", "CancelPayment"]),
];
/// What is asked before.
const CHECKS: &[&str] = &["GetReservation", "VerifyToken"];
/// What a proxy, a mesh's sidecar or a dying server may answer in a service's place.
const CODES: &[Code] = &[
    Code::Cancelled,
    Code::Unknown,
    Code::InvalidArgument,
    Code::DeadlineExceeded,
    Code::NotFound,
    Code::AlreadyExists,
    Code::PermissionDenied,
    Code::ResourceExhausted,
    Code::FailedPrecondition,
    Code::Aborted,
    Code::OutOfRange,
    Code::Unimplemented,
    Code::Internal,
    Code::DataLoss,
    Code::Unauthenticated,
];
const UNAVAILABLE: Loss = Loss::Code(Code::Unavailable);

/// What may happen to any call, and how often in a row.
fn mishaps() -> Vec<(usize, Mishap)> {
    let mut all = Vec::new();
    for moment in [Before, After] {
        all.extend(
            [(1, UNAVAILABLE), (BEYOND_RETRIES, UNAVAILABLE), (1, Cut), (2, Cut), (1, Silence)]
                .map(|(times, loss)| (times, Lost(moment, loss))),
        );
    }
    all.extend([
        (1, Twice),
        (2, Twice),
        (1, Echo(Duration::from_millis(200))),
        (1, Echo(Duration::from_secs(3))),
        (1, Slow(Duration::from_secs(1))),
    ]);
    all
}

fn lost_on_the_way() -> Vec<Plan> {
    let mut plans = Vec::new();
    for &(course, steps) in STEPS {
        for &method in steps {
            plans.extend(
                mishaps().into_iter().map(|(times, mishap)| course.with(Rule::first(method, times, mishap))),
            );
            let codes =
                CODES.iter().map(|&code| course.with(Rule::first(method, 1, Lost(After, Loss::Code(code)))));
            plans.extend(codes);
        }
    }
    for &method in CHECKS {
        plans.extend(
            mishaps().into_iter().map(|(times, mishap)| Paid.with(Rule::first(method, times, mishap))),
        );
    }
    plans
}

/// What a service itself says ends the checkout there, or does not matter to it.
fn refused() -> Vec<Plan> {
    let with =
        |course: Course, method, reason, times| course.with(Rule::first(method, times, Refused(reason)));
    let ends = |plan: Plan, ending| Plan { ending, ..plan };
    let mut plans = vec![
        // Refused before anything was begun, and once only: the next click is let in.
        with(Paid, "VerifyToken", Reason::TokenNotActive, 1),
        with(Paid, "GetReservation", Reason::ReservationNotFound, 1),
        ends(with(Paid, "ExtendHold", Reason::HoldExpired, 1), Nothing),
        ends(with(Paid, "ExtendHold", Reason::ReservationCancelled, 1), Nothing),
        ends(with(Paid, "CreatePayment", Reason::InsufficientFunds, 1), Nothing),
        ends(with(Paid, "CreatePayment", Reason::ReservationCancelled, 1), Nothing),
        ends(with(Paid, "CreatePayment", Reason::RequestIdReused, 1), Nothing),
        with(Paid, "CompleteToken", Reason::TokenNotActive, 1),
        with(Poor, "CancelReservation", Reason::AlreadyPaid, 1),
    ];
    for reason in [
        Reason::HoldExpired,
        Reason::ReservationCancelled,
        Reason::NotOwner,
        Reason::AlreadyPaid,
        Reason::ReservationNotFound,
    ] {
        plans.push(ends(with(Paid, "ConfirmReservation", reason, 1), MoneyBack));
    }
    // The compensation fails again and again.
    for course in [Cancelled, CancelledEarly, Lapsed] {
        plans.push(with(course, "CancelPayment", Reason::PaymentNotFound, 3));
        plans.push(course.with(Rule::first("CancelPayment", 25, Lost(Before, UNAVAILABLE))));
        plans.push(course.with(Rule::first("CancelPayment", 25, Lost(After, UNAVAILABLE))));
    }
    plans
}

/// The journal is written when a checkout begins (its first commit) and when it is settled (its second).
fn journal_lost() -> Vec<Plan> {
    let mut plans = Vec::new();
    for course in [Paid, Poor, Cancelled, CancelledEarly] {
        for first in [0, 1] {
            for (moment, times) in [(Before, 1), (After, 1), (Before, 2), (After, 2)] {
                // What is lost again and again at the beginning was never begun; it is the settlement that
                // must come through.
                plans.push(course.with(Rule { method: COMMIT, first, times, mishap: Lost(moment, Cut) }));
            }
            plans.push(course.with(Rule {
                method: COMMIT,
                first,
                times: 1,
                mishap: Slow(Duration::from_secs(1)),
            }));
        }
    }
    plans
}

/// Two at a time: what one mishap leaves behind is what the next one meets.
fn in_pairs() -> Vec<Plan> {
    let mut plans = Vec::new();
    for &(course, steps) in STEPS {
        for pair in steps.windows(2) {
            for moments in [(Before, After), (After, Before), (After, After)] {
                let mut plan =
                    course.with(Rule::first(pair[0], BEYOND_RETRIES, Lost(moments.0, UNAVAILABLE)));
                plan.rules.push(Rule::first(pair[1], BEYOND_RETRIES, Lost(moments.1, Cut)));
                plans.push(plan);
            }
        }
    }
    plans
}

async fn every_step_with_every_mishap_ends_in_one_outcome_and_the_client_is_told_which(shape: Shape) {
    let mut plans = [lost_on_the_way(), refused(), in_pairs()].concat();
    if shape == Shape::Cluster {
        // Evenly among the others: a commit is shared by those who are there at the same time, and so is what
        // happens to it.
        let (lost, every) = (journal_lost(), plans.len());
        let count = lost.len();
        for (nth, plan) in lost.into_iter().enumerate().rev() {
            plans.insert(every * nth / count, plan);
        }
    }
    let court = Court::open(shape).await;
    let count = plans.len();
    let tried = futures::stream::iter(plans).map(|plan| {
        let court = court.clone();
        async move { court.judge(plan).await }
    });
    let verdicts: Vec<_> = tried.buffer_unordered(AT_ONCE).collect().await;
    let wrong: Vec<_> =
        verdicts.iter().filter_map(|verdict| verdict.as_ref().err()).map(String::as_str).collect();
    assert!(
        wrong.is_empty(),
        "{} of {count} are wrong:\n  {}",
        wrong.len(),
        wrong[..wrong.len().min(12)].join("\n  ")
    );
    court.close().await;
}
