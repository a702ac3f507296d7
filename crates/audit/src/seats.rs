//! A seat is in one hold or reservation at most: the sold seats are exactly those of the confirmed
//! reservations, and the held ones those of the live holds.

use futures::TryStreamExt;
use uuid::Uuid;

use crate::{
    Error,
    law::Breaches,
    report::{Law, Look},
    snapshot::{Row, Snapshot, Sql},
};

/// How far the clocks of the services and of the audit may differ (microseconds): a hold that lapses sooner
/// is not judged.
pub const SLACK: i64 = 5_000_000;

/// Every claim to a seat, seat by seat: the row of the seat (0), reservations (1), live holds (2). A
/// malformed list of seats claims nothing here; a law of its own judges it.
const CLAIMS: Sql = Sql {
    postgres: "SELECT show_id, seat_number AS seat, CAST(0 AS BIGINT) AS by_whom, hold_id AS id, held_until AS until, \
               CAST(CASE WHEN sold THEN 1 ELSE 0 END AS BIGINT) AS sold FROM seat WHERE hold_id IS NOT NULL \
               UNION ALL SELECT r.show_id, CAST(s.number AS BIGINT), 1, r.reservation_id, NULL, 1 FROM reservation r \
               CROSS JOIN LATERAL jsonb_array_elements_text(CASE WHEN r.seats ~ '^\\[[0-9]+(,[0-9]+)*\\]$' THEN r.seats ELSE '[]' END::jsonb) AS s (number) \
               UNION ALL SELECT h.show_id, CAST(s.number AS BIGINT), 2, h.reservation_id, h.expires_at, 0 FROM hold h \
               CROSS JOIN LATERAL jsonb_array_elements_text(CASE WHEN h.seats ~ '^\\[[0-9]+(,[0-9]+)*\\]$' THEN h.seats ELSE '[]' END::jsonb) AS s (number) \
               WHERE h.status = 'HELD' AND h.expires_at > {number} ORDER BY 1, 2, 3, 4",
    sqlite: "SELECT show_id, seat_number, 0, hold_id, held_until, CAST(sold AS BIGINT) FROM seat WHERE hold_id IS NOT NULL \
             UNION ALL SELECT r.show_id, s.value, 1, r.reservation_id, NULL, 1 FROM reservation r \
             JOIN json_each(CASE WHEN json_valid(r.seats) THEN r.seats ELSE '[]' END) AS s \
             UNION ALL SELECT h.show_id, s.value, 2, h.reservation_id, h.expires_at, 0 FROM hold h \
             JOIN json_each(CASE WHEN json_valid(h.seats) THEN h.seats ELSE '[]' END) AS s \
             WHERE h.status = 'HELD' AND h.expires_at > {number} ORDER BY 1, 2, 3, 4",
};

const LAWS: [Breaches; 4] = [
    Breaches {
        law: Law::PaidOnce,
        sql: Sql::both(
            "SELECT {id:h.reservation_id}, {id:h.payment_id}, {id:r.payment_id}, h.status, h.user_id, r.user_id, \
             CAST(h.amount AS TEXT), CAST(r.amount AS TEXT), h.seats, r.seats \
             FROM hold h LEFT JOIN reservation r ON r.reservation_id = h.reservation_id \
             WHERE (h.status = 'CONFIRMED') <> (r.reservation_id IS NOT NULL) OR r.payment_id <> h.payment_id \
             OR r.user_id <> h.user_id OR r.amount <> h.amount OR r.seats <> h.seats OR r.show_id <> h.show_id",
        ),
        ids: &["reservation", "payment"],
        what: "a hold is {3} (payment {1}, user {4}, amount {6}, seats {8}); its reservation has payment {2}, user {5}, amount {7}, seats {9}",
    },
    Breaches {
        law: Law::PaidOnce,
        sql: Sql::both(
            "SELECT {id:r.reservation_id}, {id:r.payment_id}, r.user_id FROM reservation r \
             WHERE NOT EXISTS (SELECT 1 FROM hold h WHERE h.reservation_id = r.reservation_id)",
        ),
        ids: &["reservation", "payment"],
        what: "a reservation of {2} was never held",
    },
    Breaches {
        law: Law::AllOrNone,
        sql: Sql {
            postgres: "SELECT {id:reservation_id}, seats, CAST(seat_total AS TEXT) FROM hold \
                       WHERE CASE WHEN seats ~ '^\\[[0-9]+(,[0-9]+)*\\]$' THEN jsonb_array_length(seats::jsonb) <> seat_total ELSE TRUE END",
            sqlite: "SELECT {id:reservation_id}, seats, CAST(seat_total AS TEXT) FROM hold \
                     WHERE CASE WHEN json_valid(seats) THEN json_array_length(seats) <> seat_total ELSE TRUE END",
        },
        ids: &["reservation"],
        what: "a hold of {2} seats lists {1}",
    },
    Breaches {
        law: Law::AllOrNone,
        sql: Sql::both(
            "SELECT CAST(t.show_id AS TEXT), CAST(t.seat_number AS TEXT), CAST(COALESCE(s.seat_count, 0) AS TEXT) FROM seat t \
             LEFT JOIN show s ON s.show_id = t.show_id \
             WHERE s.show_id IS NULL OR t.seat_number < 1 OR t.seat_number > s.seat_count",
        ),
        ids: &["show", "seat"],
        what: "show {0} has {2} seats; there is a row of seat {1}",
    },
];

/// The row of a seat that somebody has.
#[derive(Debug)]
struct Taken {
    by: Uuid,
    until: i64,
    sold: bool,
}

/// A reservation or a live hold that lists the seat.
#[derive(Debug)]
struct Claim {
    id: Uuid,
    confirmed: bool,
    until: i64,
}

/// A seat: its row, and the holds and reservations that list it.
#[derive(Debug)]
struct SeatClaims {
    show: i64,
    number: i64,
    row: Option<Taken>,
    claims: Vec<Claim>,
}

pub(crate) async fn judge(look: &mut Look, snapshot: &mut Snapshot, now: i64) -> Result<(), Error> {
    walk(look, snapshot, now).await?;
    for law in &LAWS {
        law.judge(look, snapshot).await?;
    }
    // A seat that nobody ever took has no row.
    let sql = "SELECT (SELECT COUNT(*) FROM show), (SELECT CAST(COALESCE(SUM(seat_count), 0) AS BIGINT) FROM show), \
               (SELECT COUNT(*) FROM hold), (SELECT COUNT(*) FROM reservation)";
    let counts = snapshot.one(sql).await?;
    let count = |column| counts.get::<i64>(column).map(i64::unsigned_abs);
    let checked = look.checked();
    (checked.shows, checked.seats, checked.holds, checked.reservations) =
        (count(0)?, count(1)?, count(2)?, count(3)?);
    Ok(())
}

async fn walk(look: &mut Look, snapshot: &mut Snapshot, now: i64) -> Result<(), Error> {
    let live_after = now.saturating_add(SLACK);
    let mut rows = snapshot.rows_with(CLAIMS, live_after);
    let mut seat: Option<SeatClaims> = None;
    let mut read = 0;
    while let Some(row) = rows.try_next().await? {
        let place: (i64, i64) = (row.get(0)?, row.get(1)?);
        if seat.as_ref().is_none_or(|seat| (seat.show, seat.number) != place) {
            seat.take().into_iter().for_each(|seat| seat.judge(look, live_after));
            seat = Some(SeatClaims { show: place.0, number: place.1, row: None, claims: Vec::new() });
        }
        if let Some(seat) = &mut seat {
            seat.add(look, &row)?;
        }
        read += 1;
        look.read("seats", read);
    }
    seat.into_iter().for_each(|seat| seat.judge(look, live_after));
    Ok(())
}

impl SeatClaims {
    fn add(&mut self, look: &mut Look, row: &Row) -> Result<(), Error> {
        let (kind, id, until): (i64, Uuid, Option<i64>) = (row.get(2)?, row.get(3)?, row.get(4)?);
        let sold = row.get::<i64>(5)? == 1;
        let until = until.unwrap_or_default();
        match kind {
            0 => {
                look.checked().sold += u64::from(sold);
                self.row = Some(Taken { by: id, until, sold });
            }
            1 => self.claims.push(Claim { id, confirmed: true, until }),
            _ => {
                look.checked().held += 1;
                self.claims.push(Claim { id, confirmed: false, until });
            }
        }
        Ok(())
    }

    fn judge(self, look: &mut Look, live_after: i64) {
        let (show, number) = (self.show, self.number);
        let place = format!("seat {number} of show {show}");
        let mut ids = vec![("show", show.to_string()), ("seat", number.to_string())];
        ids.extend(self.claims.iter().map(|claim| ("reservation", claim.id.to_string())));
        match (self.row, self.claims.as_slice()) {
            (row, [_, _, ..]) => {
                let hands: Vec<_> = self.claims.iter().map(Claim::to_string).collect();
                let row = row.map_or_else(|| "nobody's".to_owned(), |row| format!("{}'s", row.by));
                look.differs(
                    Law::SeatOnce,
                    format!("{place} is in {} hands: {}; its row says {row}", hands.len(), hands.join(", ")),
                    ids,
                );
            }
            (None, [claim]) => look.differs(
                Law::SoldStays,
                format!("{place} belongs to {claim}, its row says nobody's"),
                ids,
            ),
            (Some(row), [claim]) => {
                let right = row.by == claim.id
                    && row.sold == claim.confirmed
                    && (row.sold || row.until >= claim.until);
                if !right {
                    look.differs(
                        Law::SoldStays,
                        format!("{place} belongs to {claim}, its row says {row}"),
                        ids,
                    );
                }
            }
            (Some(row), []) if row.sold || row.until > live_after => {
                ids.push(("reservation", row.by.to_string()));
                let missing = if row.sold {
                    "there is no such reservation of it"
                } else {
                    "that is no live hold of it"
                };
                look.differs(Law::SoldStays, format!("{place}: its row says {row}, and {missing}"), ids);
            }
            // The seat of a lapsed hold, which nobody has tidied up yet.
            (Some(_) | None, []) => {}
        }
    }
}

impl std::fmt::Display for Claim {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "the {} {}", if self.confirmed { "reservation" } else { "live hold" }, self.id)
    }
}

impl std::fmt::Display for Taken {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} {}", if self.sold { "sold to" } else { "held by" }, self.by)
    }
}
