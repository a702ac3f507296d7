//! Reading what a show has sold, who has its seats, and what is to come.

use chassis::{
    args,
    db::{self, Error, Row, Session, Sql},
};
use chrono_tz::Tz;
use uuid::Uuid;

use super::{catalog, corrupt, holds, small};
use crate::domain::{
    Concert, Hold, Show,
    books::{Fate, Sum},
};

/// The holds of a show that are live at this time, sold, or refunded, each with its fate.
macro_rules! all {
    () => {
        "(SELECT 'HELD' AS fate, seat_total, amount, places FROM hold WHERE status = 'HELD' AND expires_at > $2 AND show_id = $1
          UNION ALL SELECT 'SOLD', h.seat_total, h.amount, h.places FROM reservation AS r
              JOIN hold AS h ON h.reservation_id = r.reservation_id WHERE r.show_id = $1
          UNION ALL SELECT 'REFUNDED', seat_total, amount, places FROM hold WHERE refunded_payment_id IS NOT NULL AND show_id = $1) AS h"
    };
}

/// The sums of a show at this time, by section and fate (I-BOOKS). They are of one snapshot, as one statement
/// reads it.
///
/// # Errors
/// The database failed.
pub async fn sums(session: &mut Session, show: &Show, now: i64) -> Result<Vec<Sum>, Error> {
    const WHOLE: &str = concat!(
        "SELECT fate, '' AS section, CAST(SUM(seat_total) AS BIGINT) AS seats, CAST(SUM(amount) AS BIGINT) AS money FROM ",
        all!(),
        " GROUP BY fate"
    );
    const BY_SECTION: Sql = Sql {
        postgres: concat!(
            "SELECT fate, p.place ->> 'section' AS section, COUNT(*) AS seats,
                 CAST(SUM(CAST(p.place ->> 'price' AS BIGINT)) AS BIGINT) AS money FROM ",
            all!(),
            " CROSS JOIN LATERAL jsonb_array_elements(h.places::jsonb) AS p (place) GROUP BY fate, p.place ->> 'section'"
        ),
        sqlite: concat!(
            "SELECT fate, p.value ->> 'section' AS section, COUNT(*) AS seats, CAST(SUM(p.value ->> 'price') AS BIGINT) AS money FROM ",
            all!(),
            " CROSS JOIN json_each(h.places) AS p GROUP BY fate, p.value ->> 'section'"
        ),
    };
    let args = args![show.show_id, now];
    let rows = if show.prices.is_empty() {
        session.all(WHOLE, args).await?
    } else {
        session.all(BY_SECTION, args).await?
    };
    rows.iter().map(sum).collect()
}

fn sum(row: &Row) -> Result<Sum, Error> {
    let fate = match row.get::<String>("fate")?.as_str() {
        "HELD" => Fate::Held,
        "SOLD" => Fate::Sold,
        "REFUNDED" => Fate::Refunded,
        other => return Err(corrupt(other)),
    };
    Ok(Sum { section: row.get("section")?, fate, seats: row.get("seats")?, money: row.get("money")? })
}

/// At most `limit` holds that have seats of a show at this time, in the order of their first seats, each with
/// the number of that seat; only those whose first seat is beyond `after`.
///
/// # Errors
/// The database failed.
pub async fn by_seat(
    session: &mut Session,
    show_id: i64,
    after: i32,
    now: i64,
    limit: i64,
) -> Result<Vec<(i32, Hold)>, Error> {
    let sql = Sql {
        postgres: "SELECT seat_number, hold_id FROM seat JOIN hold ON hold.reservation_id = seat.hold_id
                   WHERE seat.show_id = $1 AND seat_number > $2 AND (sold OR held_until > $3)
                   AND CAST(hold.seats::jsonb ->> 0 AS BIGINT) = seat_number ORDER BY seat_number LIMIT $4",
        sqlite: "SELECT seat_number, hold_id FROM seat JOIN hold ON hold.reservation_id = seat.hold_id
                 WHERE seat.show_id = $1 AND seat_number > $2 AND (sold OR held_until > $3)
                 AND hold.seats ->> 0 = seat_number ORDER BY seat_number LIMIT $4",
    };
    let rows = session.all(sql, args![show_id, after, now, limit]).await?;
    let places: Vec<(i32, Uuid)> = rows
        .iter()
        .map(|row| Ok((small(row.get("seat_number")?)?, row.get("hold_id")?)))
        .collect::<Result<_, Error>>()?;
    let mut found = holds::holds(session, places.iter().map(|(_, id)| *id).collect()).await?;
    Ok(places.into_iter().filter_map(|(seat, id)| Some((seat, found.remove(&id)?))).collect())
}

/// At most `limit` concerts that have a show which is not called off, from an instant on and, if any zones
/// are given, from that of the concert's zone, in the order of the next one and their id, each with when that
/// begins; only those after the given beginning and id.
///
/// # Errors
/// The database failed.
pub async fn concerts_to_come(
    session: &mut Session,
    (first, zones): (i64, Vec<(Tz, i64)>),
    after: (i64, i64),
    limit: i64,
) -> Result<Vec<(i64, Concert)>, Error> {
    macro_rules! to_come {
        ($zones:literal, $since:literal) => {
            concat!(
                "SELECT c.concert_id, c.title, c.queue_id, c.time_zone, c.created_at, MIN(s.starts_at) AS next
                 FROM show AS s JOIN concert AS c ON c.concert_id = s.concert_id ",
                $zones,
                " WHERE s.starts_at >= $4 ",
                $since,
                " AND s.called_off_at IS NULL
                 GROUP BY c.concert_id, c.title, c.queue_id, c.time_zone, c.created_at
                 HAVING (MIN(s.starts_at), c.concert_id) > ($1, $2) ORDER BY next, c.concert_id LIMIT $3"
            )
        };
    }
    const ANYWHERE: &str = to_come!("", "");
    const IN_ZONES: Sql = Sql {
        postgres: to_come!(
            "JOIN UNNEST($5::text[], $6::bigint[]) AS z (zone, since) ON z.zone = c.time_zone",
            "AND s.starts_at >= z.since"
        ),
        sqlite: to_come!(
            "JOIN (SELECT value ->> 0 AS zone, value ->> 1 AS since FROM json_each($5)) AS z ON z.zone = c.time_zone",
            "AND s.starts_at >= z.since"
        ),
    };
    let mut args = args![after.0, after.1, limit, first];
    let rows = if zones.is_empty() {
        session.all(ANYWHERE, args).await?
    } else {
        let zones = zones.into_iter().map(|(zone, at)| args![zone.name(), at]).collect();
        args.extend(db::table(session.dialect(), zones));
        session.all(IN_ZONES, args).await?
    };
    rows.iter().map(|row| Ok((row.get("next")?, catalog::read_concert(row)?))).collect()
}
