//! The rows of sales that are taken back because their payment is refunded.
//!
//! A hold whose sale was taken back is CANCELLED and names the payment that was refunded. So programs of
//! before, which do not know of refunds, take it for what it is to them: a hold that ended, whose seats are
//! free.

use chassis::{
    args,
    db::{self, Error, Session, Sql},
};

use super::corrupt;
use crate::domain::{Hold, State};

/// Writes holds that this transaction has locked and refunded: they are closed, their reservations are gone,
/// and their seats, which are freed after this, are no longer sold (I-BACK-IFF-FREE).
///
/// # Errors
/// A contended [`Error`] when a hold was not as it was read, or the database failed.
pub async fn write(session: &mut Session, refunded: &[Hold]) -> Result<(), Error> {
    if refunded.is_empty() {
        return Ok(());
    }
    let (mut holds, mut seats) = (Vec::new(), Vec::new());
    for hold in refunded {
        let State::Refunded { payment_id, sold_at, at } = hold.state else {
            return Err(corrupt("a hold that was not refunded"));
        };
        holds.push(args![hold.reservation_id, payment_id, sold_at, at]);
        seats.extend(hold.seats.iter().map(|seat| args![hold.show_id, *seat, hold.reservation_id]));
    }
    let ids: Vec<_> = refunded.iter().map(|hold| hold.reservation_id).collect();
    let written = session.execute(CLOSE, db::table(session.dialect(), holds)).await?;
    if usize::try_from(written) != Ok(refunded.len()) {
        return Err(Error::lost_race("a hold that is refunded"));
    }
    session.execute(FORGET, args![ids]).await?;
    session.execute(UNSELL, db::table(session.dialect(), seats)).await.map(drop)
}

/// A hold that was confirmed in the same transaction is still HELD in its row.
const CLOSE: Sql = Sql {
    postgres: "UPDATE hold SET status = 'CANCELLED', closed_at = r.at, payment_id = NULL, refunded_payment_id = r.payment,
                   sold_at = r.sold_at
               FROM UNNEST($1::uuid[], $2::uuid[], $3::bigint[], $4::bigint[]) AS r (id, payment, sold_at, at)
               WHERE hold.reservation_id = r.id AND (hold.payment_id = r.payment OR hold.status = 'HELD')",
    sqlite: "UPDATE hold SET status = 'CANCELLED', closed_at = r.at, payment_id = NULL, refunded_payment_id = r.payment,
                 sold_at = r.sold_at
             FROM (SELECT unhex(value ->> 0) AS id, unhex(value ->> 1) AS payment, value ->> 2 AS sold_at, value ->> 3 AS at
                 FROM json_each($1)) AS r
             WHERE hold.reservation_id = r.id AND (hold.payment_id = r.payment OR hold.status = 'HELD')",
};

const FORGET: Sql = Sql {
    postgres: "DELETE FROM reservation WHERE reservation_id = ANY($1)",
    sqlite: "DELETE FROM reservation WHERE reservation_id IN (SELECT unhex(value) FROM json_each($1))",
};

const UNSELL: Sql = Sql {
    postgres: "UPDATE seat SET sold = FALSE
               FROM UNNEST($1::bigint[], $2::bigint[], $3::uuid[]) AS gone (show_id, seat_number, hold_id)
               WHERE seat.show_id = gone.show_id AND seat.seat_number = gone.seat_number AND seat.hold_id = gone.hold_id",
    sqlite: "UPDATE seat SET sold = FALSE
             FROM (SELECT value ->> 0 AS show, value ->> 1 AS number, unhex(value ->> 2) AS hold FROM json_each($1)) AS gone
             WHERE seat.show_id = gone.show AND seat.seat_number = gone.number AND seat.hold_id = gone.hold",
};
