//! The rows of concerts and shows: writing new ones, and reading. [`super::mending`] changes them.

use std::{collections::BTreeSet, ops::Range};

use chassis::{
    args,
    db::{self, Dialect, Error, Row, Session},
};
use chrono_tz::Tz;

use super::{corrupt, small};
use crate::domain::{Concert, Hall, Section, Show, Standing, show::Sale};

/// The columns of a show besides its id, in the order in which [`insert_show`] fills them.
macro_rules! show_columns {
    () => {
        "concert_id, starts_at, duration_minutes, title, description, price, seat_count, prices, opens_at, closes_at, max_seats_per_user, created_at"
    };
}

/// Selects shows with the time zone of their concert.
macro_rules! select_show {
    ($rest:literal) => {
        concat!(
            "SELECT show_id, ",
            show_columns!(),
            ", called_off_at, cancelled_at, (SELECT time_zone FROM concert WHERE concert.concert_id = show.concert_id) AS time_zone FROM show ",
            $rest
        )
    };
}

/// Writes a concert and returns the id that the database gives it.
///
/// # Errors
/// The database failed.
pub async fn insert_concert(session: &mut Session, new: &Concert) -> Result<i64, Error> {
    let sql = "INSERT INTO concert (title, queue_id, time_zone, created_at) VALUES ($1, $2, $3, $4) RETURNING concert_id";
    let args = args![&new.title, &new.queue_id, new.time_zone.name(), new.created_at];
    session.one(sql, args).await?.get("concert_id")
}

/// The concert with this id, if there is one.
///
/// # Errors
/// The database failed.
pub async fn concert(session: &mut Session, concert_id: i64) -> Result<Option<Concert>, Error> {
    let sql = "SELECT concert_id, title, queue_id, time_zone, created_at FROM concert WHERE concert_id = $1";
    session.optional(sql, args![concert_id]).await?.map(|row| read_concert(&row)).transpose()
}

/// The zones that concerts have.
///
/// # Errors
/// The database failed.
pub async fn time_zones(session: &mut Session) -> Result<Vec<Tz>, Error> {
    session.all("SELECT DISTINCT time_zone FROM concert", args![]).await?.iter().map(time_zone).collect()
}

/// At most `limit` concerts with ids below `before`, highest first.
///
/// # Errors
/// The database failed.
pub async fn concerts(session: &mut Session, before: i64, limit: i64) -> Result<Vec<Concert>, Error> {
    let sql = "SELECT concert_id, title, queue_id, time_zone, created_at FROM concert
               WHERE concert_id < $1 ORDER BY concert_id DESC LIMIT $2";
    session.all(sql, args![before, limit]).await?.iter().map(read_concert).collect()
}

/// Writes a show with the sections of its hall, if it has any, and returns the id that the database gives
/// it. A seat gets a row only when it is held: see [`super::seats`].
///
/// # Errors
/// The database failed.
pub async fn insert_show(session: &mut Session, new: &Show, sections: &[Section]) -> Result<i64, Error> {
    let sql = concat!(
        "INSERT INTO show (",
        show_columns!(),
        ") VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12) RETURNING show_id"
    );
    let args = args![
        new.concert_id,
        new.starts_at,
        new.duration_minutes,
        &new.title,
        &new.description,
        new.price,
        new.seat_count,
        prices_text(new)?,
        new.sale.opens_at,
        new.sale.closes_at,
        new.sale.max_seats_per_user.map(i64::from),
        new.created_at
    ];
    let show_id = session.one(sql, args).await?.get("show_id")?;
    if !sections.is_empty() {
        let sections = serde_json::to_string(sections).map_err(corrupt)?;
        let sql = "INSERT INTO hall (show_id, sections) VALUES ($1, $2)";
        session.execute(sql, args![show_id, sections]).await?;
    }
    Ok(show_id)
}

/// The hall of a show that has sections.
///
/// # Errors
/// The database failed.
pub async fn hall(session: &mut Session, show_id: i64) -> Result<Hall, Error> {
    let row = session.one("SELECT sections FROM hall WHERE show_id = $1", args![show_id]).await?;
    serde_json::from_str(&row.get::<String>("sections")?).map(Hall::new).map_err(corrupt)
}

/// The show with this id, if there is one.
///
/// # Errors
/// The database failed.
pub async fn show(session: &mut Session, show_id: i64) -> Result<Option<Show>, Error> {
    let sql = select_show!("WHERE show_id = $1");
    session.optional(sql, args![show_id]).await?.map(|row| read_show(&row)).transpose()
}

/// Locks the rows of shows until the transaction ends, in their order. SQLite has one writer and needs
/// none.
///
/// # Errors
/// The database failed.
pub async fn lock_shows(session: &mut Session, shows: &BTreeSet<i64>) -> Result<(), Error> {
    if shows.is_empty() || session.dialect() == Dialect::Sqlite {
        return Ok(());
    }
    let sql = "SELECT s.show_id FROM UNNEST((SELECT $1::bigint[])) AS a (id)
               CROSS JOIN LATERAL (SELECT show_id FROM show WHERE show_id = a.id FOR NO KEY UPDATE) AS s";
    session
        .all(sql, db::table(session.dialect(), shows.iter().map(|id| args![*id]).collect()))
        .await
        .map(drop)
}

/// At most `limit` shows of a concert that begin at an instant or later, with ids below `before`, highest
/// first.
///
/// # Errors
/// The database failed.
pub async fn shows(
    session: &mut Session,
    concert_id: i64,
    from: i64,
    before: i64,
    limit: i64,
) -> Result<Vec<Show>, Error> {
    let sql = select_show!(
        "WHERE concert_id = $1 AND starts_at >= $2 AND show_id < $3 ORDER BY show_id DESC LIMIT $4"
    );
    session.all(sql, args![concert_id, from, before, limit]).await?.iter().map(read_show).collect()
}

/// At most `limit` shows of a concert that begin within a span of time, ordered by their beginning and then
/// their id. Only shows after the given beginning and id are returned.
///
/// # Errors
/// The database failed.
pub async fn shows_within(
    session: &mut Session,
    concert_id: i64,
    span: Range<i64>,
    after: (i64, i64),
    limit: i64,
) -> Result<Vec<Show>, Error> {
    let sql = select_show!(
        "WHERE concert_id = $1 AND starts_at >= $2 AND starts_at < $3
         AND (starts_at, show_id) > ($4, $5) ORDER BY starts_at, show_id LIMIT $6"
    );
    let args = args![concert_id, span.start, span.end, after.0, after.1, limit];
    session.all(sql, args).await?.iter().map(read_show).collect()
}

/// The beginnings of those shows of a concert that are not called off, whose sale has not closed and that
/// have a free seat. A sale closes before the show has ended, which is a day after its beginning at the
/// latest. A show has a free seat when its taken seats are fewer than its seats. They are counted only for
/// a show whose last seat has a row, which is rare before the show is nearly sold out.
///
/// # Errors
/// The database failed.
pub async fn free_starts(session: &mut Session, concert_id: i64, now: i64) -> Result<Vec<i64>, Error> {
    let sql = "SELECT starts_at FROM show WHERE concert_id = $1 AND called_off_at IS NULL AND starts_at > $2 - 86400000000 AND COALESCE(closes_at, starts_at) > $2 AND (
                   (SELECT seat_number FROM seat WHERE seat.show_id = show.show_id AND seat.seat_number = show.seat_count) IS NULL
                   OR seat_count > (SELECT COUNT(*) FROM seat WHERE seat.show_id = show.show_id AND (sold OR held_until > $2)))";
    session.all(sql, args![concert_id, now]).await?.iter().map(|row| row.get("starts_at")).collect()
}

pub(super) fn read_concert(row: &Row) -> Result<Concert, Error> {
    Ok(Concert {
        concert_id: row.get("concert_id")?,
        title: row.get("title")?,
        queue_id: row.get("queue_id")?,
        time_zone: time_zone(row)?,
        created_at: row.get("created_at")?,
    })
}

fn read_show(row: &Row) -> Result<Show, Error> {
    Ok(Show {
        show_id: row.get("show_id")?,
        concert_id: row.get("concert_id")?,
        starts_at: row.get("starts_at")?,
        time_zone: time_zone(row)?,
        duration_minutes: small(row.get("duration_minutes")?)?,
        title: row.get("title")?,
        description: row.get("description")?,
        price: row.get("price")?,
        seat_count: small(row.get("seat_count")?)?,
        prices: match row.get::<Option<String>>("prices")? {
            Some(prices) => serde_json::from_str(&prices).map_err(corrupt)?,
            None => Vec::new(),
        },
        sale: Sale {
            opens_at: row.get("opens_at")?,
            closes_at: row.get("closes_at")?,
            max_seats_per_user: row.get::<Option<i64>>("max_seats_per_user")?.map(small).transpose()?,
        },
        created_at: row.get("created_at")?,
        standing: match (row.get::<Option<i64>>("called_off_at")?, row.get::<Option<i64>>("cancelled_at")?) {
            (None, _) => Standing::Scheduled,
            (Some(_), None) => Standing::Cancelling,
            (Some(_), Some(_)) => Standing::Cancelled,
        },
    })
}

/// The prices of a show's sections as their column has them; `None` where all seats have one price.
pub(super) fn prices_text(show: &Show) -> Result<Option<String>, Error> {
    let text = || serde_json::to_string(&show.prices).map_err(corrupt);
    (!show.prices.is_empty()).then(text).transpose()
}

pub(super) fn time_zone(row: &Row) -> Result<Tz, Error> {
    row.get::<String>("time_zone")?.parse().map_err(corrupt)
}
