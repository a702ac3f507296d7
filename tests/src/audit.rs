//! What must be true of the databases when a mesh has stopped, asked of them directly, each by itself and side by side: money is
//! conserved, no seat is sold twice, what was paid for is somebody's, and nothing is left half-done.
//!
//! It reads tables, not types of the services: a judge that shares code with what it judges shares its mistakes.

use std::collections::{HashMap, HashSet};

use crate::databases::{Databases, Records};

/// A query that must find nothing: its rows are what is wrong.
struct Law {
    table: &'static str,
    says: &'static str,
    breach: &'static str,
}

const LAWS: &[Law] = &[
    Law {
        table: "wallet",
        says: "a wallet's balance is the sum of its entries, numbered 1, 2, 3 without a gap",
        breach: "SELECT w.user_id, CAST(w.balance AS TEXT), CAST(COALESCE(SUM(e.amount), 0) AS TEXT), CAST(COUNT(e.sequence) AS TEXT) \
                 FROM wallet w LEFT JOIN entry e ON e.user_id = w.user_id GROUP BY w.user_id, w.balance, w.entries \
                 HAVING w.balance <> COALESCE(SUM(e.amount), 0) OR w.balance < 0 OR w.entries <> COUNT(e.sequence) \
                 OR COALESCE(MAX(e.sequence), 0) <> COUNT(e.sequence)",
    },
    Law {
        table: "entry",
        says: "every entry tells the balance after it",
        breach: "SELECT user_id, CAST(sequence AS TEXT) FROM (SELECT user_id, sequence, balance_after, \
                 SUM(amount) OVER (PARTITION BY user_id ORDER BY sequence) AS running FROM entry) t WHERE running <> balance_after",
    },
    Law {
        table: "payment",
        says: "a payment that completed was debited once and not refunded; one that was cancelled is refunded as debited; one that failed moved nothing",
        breach: "SELECT {id:p.payment_id}, p.status, CAST(p.amount AS TEXT), CAST(COALESCE(d.moved, 0) AS TEXT), CAST(COALESCE(r.moved, 0) AS TEXT) \
                 FROM payment p \
                 LEFT JOIN (SELECT payment_id, SUM(amount) AS moved FROM entry WHERE kind = 'PAYMENT' GROUP BY payment_id) d ON d.payment_id = p.payment_id \
                 LEFT JOIN (SELECT payment_id, SUM(amount) AS moved FROM entry WHERE kind = 'REFUND' GROUP BY payment_id) r ON r.payment_id = p.payment_id \
                 WHERE NOT CASE p.status \
                   WHEN 'COMPLETED' THEN COALESCE(d.moved, 0) = -p.amount AND r.moved IS NULL \
                   WHEN 'CANCELLED' THEN COALESCE(d.moved, 0) + COALESCE(r.moved, 0) = 0 \
                   ELSE d.moved IS NULL AND r.moved IS NULL END",
    },
    Law {
        table: "checkout",
        says: "no checkout is left pending",
        breach: "SELECT {id:checkout_id}, user_id FROM checkout WHERE status = 'PENDING'",
    },
    Law {
        table: "hold",
        says: "a hold is confirmed exactly when there is a reservation of it, by the same payment and user",
        breach: "SELECT {id:h.reservation_id}, h.status FROM hold h LEFT JOIN reservation r ON r.reservation_id = h.reservation_id \
                 WHERE (h.status = 'CONFIRMED') <> (r.reservation_id IS NOT NULL) \
                 OR r.payment_id <> h.payment_id OR r.user_id <> h.user_id OR r.amount <> h.amount OR r.seats <> h.seats",
    },
    Law {
        table: "token",
        says: "inside a lane nobody was admitted before one who came earlier",
        breach: "SELECT queue_id, CAST(ticket AS TEXT) FROM (SELECT queue_id, ticket, admitted_at, MAX(admitted_at) OVER (PARTITION BY queue_id, priority \
                 ORDER BY ticket ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING) AS earlier FROM token \
                 WHERE admitted_at IS NOT NULL AND requeues = 0) t WHERE earlier > admitted_at",
    },
    Law {
        table: "token",
        says: "a user has one live token in a line",
        breach: "SELECT queue_id, user_id FROM token WHERE status IN (1, 2) GROUP BY queue_id, user_id HAVING COUNT(*) > 1",
    },
];

/// Everything that is wrong; empty when all is well.
pub async fn findings(databases: &Databases) -> Vec<String> {
    let mut found = Vec::new();
    for law in LAWS {
        for row in databases.with_table(law.table).await.rows(law.breach).await {
            found.push(format!("not so: {}: {}", law.says, row.join(" ")));
        }
    }
    let mut booking = databases.with_table("reservation").await;
    found.extend(seats(&mut booking).await);
    found.extend(outcomes(databases, &mut booking).await);
    found
}

/// No seat in two confirmed reservations; what is sold is theirs and nothing else is.
async fn seats(booking: &mut Records) -> Vec<String> {
    let mut found = Vec::new();
    let mut sold: HashMap<(String, String), String> = HashMap::new();
    for row in booking.rows("SELECT CAST(show_id AS TEXT), seats, {id:reservation_id} FROM reservation").await {
        let seats: Vec<i64> = serde_json::from_str(&row[1]).unwrap_or_default();
        if seats.is_empty() {
            found.push(format!("the reservation {} has no seats: {}", row[2], row[1]));
        }
        for seat in seats {
            if let Some(other) = sold.insert((row[0].clone(), seat.to_string()), row[2].clone()) {
                found.push(format!("seat {seat} of show {} was sold to both {other} and {}", row[0], row[2]));
            }
        }
    }
    let marked = booking.rows("SELECT CAST(show_id AS TEXT), CAST(seat_number AS TEXT), {id:hold_id} FROM seat WHERE sold").await;
    for row in marked {
        if sold.remove(&(row[0].clone(), row[1].clone())).as_ref() != Some(&row[2]) {
            found.push(format!(
                "seat {} of show {} is marked as sold to {}, who has no reservation of it",
                row[1], row[0], row[2]
            ));
        }
    }
    let unmarked = sold
        .into_iter()
        .map(|((show, seat), reservation)| format!("seat {seat} of show {show} is {reservation}'s but not marked as sold"));
    found.extend(unmarked);
    found
}

/// A checkout, its payment and its reservation tell one story.
async fn outcomes(databases: &Databases, booking: &mut Records) -> Vec<String> {
    let payments = databases
        .with_table("payment")
        .await
        .map("SELECT {id:payment_id}, status || ' ' || CAST(amount AS TEXT) FROM payment")
        .await;
    let reservations = booking.map("SELECT {id:payment_id}, {id:reservation_id} FROM reservation").await;
    let checkouts = "SELECT {id:checkout_id}, status, {id:reservation_id}, CAST(amount AS TEXT) FROM checkout";
    let mut found = Vec::new();
    let mut known = HashSet::new();
    for row in databases.with_table("checkout").await.rows(checkouts).await {
        let [id, status, reservation, amount] = [&row[0], &row[1], &row[2], &row[3]];
        known.insert(id.clone());
        let paid = payments.get(id).map(String::as_str).unwrap_or_default();
        let mine = reservations.get(id);
        let right = match status.as_str() {
            "COMPLETED" => paid == format!("COMPLETED {amount}") && mine == Some(reservation),
            "COMPENSATED" => paid.starts_with("CANCELLED") && mine.is_none(),
            "FAILED" => !paid.starts_with("COMPLETED") && mine.is_none(),
            _ => true, // PENDING is told by its own law
        };
        if !right {
            found.push(format!("checkout {id} is {status} of {amount}, its payment is {paid:?}, its reservation {mine:?}"));
        }
    }
    for (payment, reservation) in &reservations {
        let paid = payments.get(payment);
        if known.contains(payment) && !paid.is_some_and(|paid| paid.starts_with("COMPLETED")) {
            found.push(format!("reservation {reservation} is confirmed, its payment {payment} is {paid:?}"));
        }
    }
    found
}
