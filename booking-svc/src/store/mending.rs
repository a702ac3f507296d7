//! Changing the rows of concerts and shows.

use chassis::{
    args,
    db::{Error, Session, Sql},
};

use super::catalog;
use crate::domain::{Concert, Show};

/// The concert with this id, locked until the transaction ends. Holds do not wait for it.
///
/// # Errors
/// The database failed.
pub async fn lock_concert(session: &mut Session, concert_id: i64) -> Result<Option<Concert>, Error> {
    let sql = Sql {
        postgres: "SELECT 1 AS one FROM concert WHERE concert_id = $1 FOR NO KEY UPDATE",
        sqlite: "SELECT 1 AS one FROM concert WHERE concert_id = $1",
    };
    session.optional(sql, args![concert_id]).await?;
    catalog::concert(session, concert_id).await
}

/// The show with this id, locked until the transaction ends. Holds do not wait for it.
///
/// # Errors
/// The database failed.
pub async fn lock_show(session: &mut Session, show_id: i64) -> Result<Option<Show>, Error> {
    let sql = Sql {
        postgres: "SELECT 1 AS one FROM show WHERE show_id = $1 FOR NO KEY UPDATE",
        sqlite: "SELECT 1 AS one FROM show WHERE show_id = $1",
    };
    session.optional(sql, args![show_id]).await?;
    catalog::show(session, show_id).await
}

/// Writes a concert that this transaction has locked.
///
/// # Errors
/// The database failed.
pub async fn write_concert(session: &mut Session, concert: &Concert) -> Result<(), Error> {
    let sql = "UPDATE concert SET title = $2, queue_id = $3, time_zone = $4 WHERE concert_id = $1";
    let args = args![concert.concert_id, &concert.title, &concert.queue_id, concert.time_zone.name()];
    session.execute(sql, args).await.map(drop)
}

/// Writes a show that this transaction has locked.
///
/// # Errors
/// The database failed.
pub async fn write_show(session: &mut Session, show: &Show) -> Result<(), Error> {
    let sql = "UPDATE show SET title = $2, description = $3, starts_at = $4, duration_minutes = $5, price = $6, prices = $7,
                   opens_at = $8, closes_at = $9, max_seats_per_user = $10 WHERE show_id = $1";
    let args = args![
        show.show_id,
        &show.title,
        &show.description,
        show.starts_at,
        show.duration_minutes,
        show.price,
        catalog::prices_text(show)?,
        show.sale.opens_at,
        show.sale.closes_at,
        show.sale.max_seats_per_user.map(i64::from)
    ];
    session.execute(sql, args).await.map(drop)
}
