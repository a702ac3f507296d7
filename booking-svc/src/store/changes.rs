//! The log of a show's seats: each transaction that changes rows of seats writes down what it has changed
//! ([`record`]), under a version of the show. Replicas that have the seats in memory read what they miss.
//!
//! A version is given under the lock of the show's row of versions, which is kept until the commit. So
//! versions appear in the order of commits, without gaps, and whoever has followed up to one has seen all
//! before it (I-SEAT-FOLLOWED).

use std::{collections::BTreeMap, sync::Arc};

use chassis::{
    args,
    db::{self, Dialect, Error, Session, Sql},
    prune::{self, Forgetting, Portion},
};

use super::{corrupt, small};
use crate::domain::{
    Occupancy, SeatKey,
    occupancy::{AT_ONCE, NEVER},
};

/// Writes down from when on seats are free that this transaction has changed. It is the last statement of a
/// transaction, so that the locks of versions are taken after all others, and kept only for the commit.
///
/// # Errors
/// The database failed.
pub async fn record(session: &mut Session, changes: &BTreeMap<SeatKey, i64>, now: i64) -> Result<(), Error> {
    let mut shows: BTreeMap<i64, Vec<(i32, i64)>> = BTreeMap::new();
    for ((show_id, seat), free_from) in changes {
        shows.entry(*show_id).or_default().push((*seat, *free_from));
    }
    if shows.is_empty() {
        return Ok(());
    }
    let row = |(show_id, seats): (&i64, &Vec<(i32, i64)>)| {
        Ok(args![*show_id, serde_json::to_string(seats).map_err(corrupt)?])
    };
    let rows = shows.iter().map(row).collect::<Result<_, Error>>()?;
    let mut args = args![now];
    args.extend(db::table(session.dialect(), rows));
    if session.dialect() == Dialect::Sqlite {
        session.execute(BUMP_SQLITE, args![shows.into_keys().collect::<Vec<i64>>()]).await?;
        return session.execute(RECORD_SQLITE, args).await.map(drop);
    }
    session.execute(RECORD_POSTGRES, args).await.map(drop)
}

const RECORD_POSTGRES: &str = "WITH bumped AS (
         INSERT INTO seat_version (show_id, version)
         SELECT show, 1 FROM UNNEST($2::bigint[]) AS a (show) ORDER BY show
         ON CONFLICT (show_id) DO UPDATE SET version = seat_version.version + 1
         RETURNING show_id, version)
     INSERT INTO seat_change (show_id, version, seats, changed_at)
     SELECT show_id, version, a.seats, $1 FROM UNNEST($2::bigint[], $3::text[]) AS a (show, seats)
     JOIN bumped ON show_id = a.show";

const BUMP_SQLITE: &str =
    "INSERT INTO seat_version (show_id, version) SELECT value, 1 FROM json_each($1) WHERE TRUE
     ON CONFLICT (show_id) DO UPDATE SET version = version + 1";

const RECORD_SQLITE: &str = "INSERT INTO seat_change (show_id, version, seats, changed_at)
     SELECT v.show_id, v.version, a.value ->> 1, $1 FROM json_each($2) AS a CROSS JOIN seat_version AS v
     WHERE v.show_id = a.value ->> 0";

/// The most versions that are followed one by one. Who is further behind reads the rows.
const MOST: i64 = 1_000;

/// What is known of a show's seats, brought up to the newest version; `None` where the log does not reach
/// back so far.
///
/// # Errors
/// The database failed.
pub async fn follow(
    session: &mut Session,
    show_id: i64,
    mut known: Arc<Occupancy>,
) -> Result<Option<Arc<Occupancy>>, Error> {
    // On PostgreSQL the order and the limit of the inner query have it walk the primary key, whatever the
    // planner assumes about a young table.
    let sql = Sql {
        postgres: "SELECT newest.version AS newest, c.version, c.seats
                   FROM (SELECT version FROM seat_version WHERE show_id = $1 AND version <> $2) AS newest
                   LEFT JOIN LATERAL (SELECT version, seats FROM seat_change WHERE show_id = $1 AND version > $2
                       ORDER BY version LIMIT $3) AS c ON TRUE
                   ORDER BY c.version",
        sqlite: "SELECT newest.version AS newest, c.version, c.seats
                 FROM (SELECT version FROM seat_version WHERE show_id = $1 AND version <> $2) AS newest
                 LEFT JOIN seat_change AS c ON c.show_id = $1 AND c.version > $2 AND c.version <= $2 + $3
                 ORDER BY c.version",
    };
    let mut newest = known.version();
    for row in session.all(sql, args![show_id, known.version(), MOST]).await? {
        newest = row.get("newest")?;
        let (Some(version), Some(seats)) = (row.get("version")?, row.get::<Option<String>>("seats")?) else {
            return Ok(None);
        };
        let seats: Vec<(i32, i64)> = serde_json::from_str(&seats).map_err(corrupt)?;
        if !Arc::make_mut(&mut known).follow(version, seats) {
            return Ok(None);
        }
    }
    Ok((known.version() == newest).then_some(known))
}

/// Reads from when on the seats of a show that has so many are free, and the version of which that is, from
/// the rows. It is one statement, so that both are of one moment, and its answer has two rows at most.
///
/// # Errors
/// The database failed.
pub async fn load(session: &mut Session, show_id: i64, seats: i32) -> Result<Occupancy, Error> {
    let sql = Sql {
        postgres: "SELECT COALESCE((SELECT version FROM seat_version WHERE show_id = $1), 0) AS version,
                       (SELECT string_agg(seat_number || ':' || CASE WHEN sold THEN $2 ELSE held_until END, ',') FROM seat
                        WHERE show_id = $1 AND hold_id IS NOT NULL) AS seats",
        sqlite: "SELECT COALESCE((SELECT version FROM seat_version WHERE show_id = $1), 0) AS version,
                     (SELECT group_concat(seat_number || ':' || CASE WHEN sold THEN $2 ELSE held_until END, ',') FROM seat
                      WHERE show_id = $1 AND hold_id IS NOT NULL) AS seats",
    };
    let row = session.one(sql, args![show_id, NEVER]).await?;
    let named = row.get::<Option<String>>("seats")?.unwrap_or_default();
    let pair = |text: &str| {
        let (seat, free_from) = text.split_once(':').ok_or_else(|| corrupt(text))?;
        Ok((small(seat.parse().map_err(corrupt)?)?, free_from.parse().map_err(corrupt)?))
    };
    let named = named.split(',').filter(|text| !text.is_empty());
    let named: Vec<(i32, i64)> = named.map(pair).collect::<Result<_, Error>>()?;
    Ok(Occupancy::new(row.get("version")?, seats, named))
}

/// Locks the version of a show's seats until the transaction ends: nobody commits another one meanwhile.
///
/// # Errors
/// The database failed.
pub async fn lock(session: &mut Session, show_id: i64) -> Result<(), Error> {
    let sql = "INSERT INTO seat_version (show_id, version) VALUES ($1, 0)
               ON CONFLICT (show_id) DO UPDATE SET version = seat_version.version";
    session.execute(sql, args![show_id]).await.map(drop)
}

/// Removes what of the log is old.
pub fn forget(session: &mut Session, portion: Portion) -> Forgetting<'_> {
    const SQL: Sql = Sql {
        postgres: "DELETE FROM seat_change USING (SELECT show_id, version FROM seat_change
                       WHERE changed_at >= $1 AND changed_at < $2 ORDER BY changed_at LIMIT $3 FOR UPDATE SKIP LOCKED) AS gone
                   WHERE seat_change.show_id = gone.show_id AND seat_change.version = gone.version
                   RETURNING changed_at AS at",
        sqlite: "DELETE FROM seat_change WHERE (show_id, version) IN (SELECT show_id, version FROM seat_change
                     WHERE changed_at >= $1 AND changed_at < $2 ORDER BY changed_at LIMIT $3)
                 RETURNING changed_at AS at",
    };
    prune::by(session, SQL, portion)
}

/// What was changed of seats, for [`record`]: these are free.
pub fn freed(seats: impl IntoIterator<Item = SeatKey>) -> BTreeMap<SeatKey, i64> {
    seats.into_iter().map(|seat| (seat, AT_ONCE)).collect()
}
