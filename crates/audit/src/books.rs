//! The books of shows against the ledger: what the sales of a show add up to, which is what its seller is
//! told, is what the wallets moved for them, to the unit; and each seat of a sale is booked under the section
//! in which it stands, so that the sections add up to their show.

use std::collections::BTreeMap;

use futures::TryStreamExt;
use serde_json::Value;

use crate::{
    Error,
    law::Breaches,
    report::{Law, Look},
    snapshot::{Snapshot, Sql},
};

/// The sums of one show, of the sales that are not in flight.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct ShowSums {
    /// What its sales cost, those that were taken back included.
    gross: i128,
    /// The part of it that was taken back.
    refunded: i128,
    /// What the wallets paid for them, and got back.
    ledger: Moved,
}

/// What a ledger moved for payments.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Moved {
    pub(crate) paid: i128,
    pub(crate) back: i128,
}

/// A sale, as booking has it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct BookedSale {
    pub(crate) show: i64,
    pub(crate) amount: i64,
    pub(crate) taken_back: bool,
}

/// The sums of all shows, while their sales pass: one small record a show.
#[derive(Debug, Default)]
pub(crate) struct Books(BTreeMap<i64, ShowSums>);

impl Books {
    /// Adds the sales of one payment that is not in flight, and what was moved for it.
    pub(crate) fn add(&mut self, sales: impl IntoIterator<Item = BookedSale>, moved: Moved) {
        let mut first = None;
        for sale in sales {
            first = first.or(Some(sale.show));
            let sums = self.0.entry(sale.show).or_default();
            sums.gross += i128::from(sale.amount);
            sums.refunded += if sale.taken_back { i128::from(sale.amount) } else { 0 };
        }
        // Money that is nobody's sale has no show. It is found payment by payment.
        if let Some(sums) = first.and_then(|show| self.0.get_mut(&show)) {
            sums.ledger.paid += moved.paid;
            sums.ledger.back += moved.back;
        }
    }

    /// Compares both sides of each show.
    pub(crate) fn judge(self, look: &mut Look) {
        for (show, ShowSums { gross, refunded, ledger: Moved { paid, back } }) in self.0 {
            if (gross, refunded) != (paid, back) {
                let what = format!(
                    "the books of show {show} tell {gross} sold and {refunded} of it refunded; the ledger took {paid} and gave back {back}"
                );
                look.differs(Law::Books, what, vec![("show", show.to_string())]);
            }
        }
    }
}

/// A row if shows have halls.
const HAS_HALLS: Sql = Sql {
    postgres: "SELECT 1 WHERE to_regclass('hall') IS NOT NULL",
    sqlite: "SELECT 1 FROM sqlite_master WHERE type = 'table' AND name = 'hall'",
};
const HALLS: &str =
    "SELECT h.show_id, h.sections, s.seat_count FROM hall h JOIN show s ON s.show_id = h.show_id ORDER BY 1";
const PLACES: &str = "SELECT show_id, {id:reservation_id}, seats, places FROM hold WHERE places IS NOT NULL";

/// The prices of a hold's seats against its amount, which is what is paid.
const PRICES: Breaches = Breaches {
    law: Law::Books,
    sql: Sql {
        postgres: "SELECT {id:h.reservation_id}, CAST(h.amount AS TEXT), CAST(p.sum AS TEXT) FROM hold h CROSS JOIN LATERAL \
                   (SELECT COALESCE(SUM(CAST(place ->> 'price' AS BIGINT)), 0) AS sum FROM jsonb_array_elements(h.places::jsonb) AS one (place)) AS p \
                   WHERE h.places IS NOT NULL AND p.sum <> h.amount",
        sqlite: "SELECT {id:h.reservation_id}, CAST(h.amount AS TEXT), CAST(h.sum AS TEXT) FROM \
                 (SELECT reservation_id, amount, (SELECT COALESCE(SUM(value ->> 'price'), 0) FROM json_each(places)) AS sum FROM hold \
                 WHERE places IS NOT NULL) AS h WHERE h.sum <> h.amount",
    },
    ids: &["reservation"],
    what: "a hold costs {1}, and its seats {2}",
};

/// The last seat of each section of a hall, in their order, with the section's name.
type Sections = Vec<(i64, String)>;

/// Judges what holds say of their seats: what each costs, and where it stands.
pub(crate) async fn judge_places(look: &mut Look, booking: &mut Snapshot) -> Result<(), Error> {
    if !booking.has(HAS_HALLS).await? {
        return Ok(());
    }
    PRICES.judge(look, booking).await?;
    let mut halls: BTreeMap<i64, Sections> = BTreeMap::new();
    let mut rows = booking.rows(HALLS);
    while let Some(row) = rows.try_next().await? {
        let (show, seats): (i64, i64) = (row.get(0)?, row.get(2)?);
        let sections = sections(&row.get::<String>(1)?);
        let in_hall = sections.last().map_or(0, |(last, _)| *last);
        if in_hall != seats {
            let what = format!("show {show} has {seats} seats, and its hall {in_hall}");
            look.differs(Law::AllOrNone, what, vec![("show", show.to_string())]);
        }
        halls.insert(show, sections);
    }
    drop(rows);
    let mut rows = booking.rows(PLACES);
    while let Some(row) = rows.try_next().await? {
        let (show, reservation): (i64, String) = (row.get(0)?, row.get(1)?);
        let Some(sections) = halls.get(&show) else { continue };
        if let Some(what) = misplaced(sections, &row.get::<String>(2)?, &row.get::<String>(3)?) {
            look.differs(Law::Books, what, vec![("reservation", reservation)]);
        }
    }
    Ok(())
}

/// Reads the sections of a hall. What cannot be read has no seats.
fn sections(hall: &str) -> Sections {
    let hall: Value = serde_json::from_str(hall).unwrap_or_default();
    let mut last = 0;
    let sections = hall.as_array().into_iter().flatten().map(|section| {
        let rows = section["rows"].as_array().into_iter().flatten();
        let seated: i64 = rows.filter_map(|row| row["seats"].as_i64()).sum();
        last += seated + section["capacity"].as_i64().unwrap_or(0);
        (last, section["name"].as_str().unwrap_or_default().to_owned())
    });
    sections.collect()
}

/// What is wrong with the sections under which the seats of a hold are booked.
fn misplaced(sections: &Sections, seats: &str, places: &str) -> Option<String> {
    // A malformed list of seats is judged by a law of its own.
    let seats: Vec<i64> = serde_json::from_str(seats).ok()?;
    let places: Vec<Value> = serde_json::from_str(places).unwrap_or_default();
    if seats.len() != places.len() {
        return Some(format!("a hold of {} seats tells the places of {}", seats.len(), places.len()));
    }
    seats.iter().zip(&places).find_map(|(seat, place)| {
        let nth = sections.partition_point(|(last, _)| last < seat);
        let (stands, booked) = (sections.get(nth).map(|(_, name)| name.as_str()), place["section"].as_str());
        (stands != booked).then(|| {
            let name = |of: Option<&str>| of.map_or("no section".to_owned(), |name| format!("{name:?}"));
            format!("seat {seat} stands in {}, and is booked under {}", name(stands), name(booked))
        })
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(books: Books) -> Vec<String> {
        let mut look = Look::new(None);
        books.judge(&mut look);
        look.conclude().differences.into_iter().map(|one| one.to_string()).collect()
    }

    #[test]
    fn what_is_missing_of_one_show_is_not_made_good_by_another() {
        let sale = |show, amount, taken_back| [BookedSale { show, amount, taken_back }];
        let moved = |paid, back| Moved { paid, back };
        let mut books = Books::default();
        books.add(sale(1, 40, false), moved(40, 0));
        books.add(sale(1, 10, true), moved(10, 10));
        books.add([], moved(7, 0));
        assert_eq!(found(books), [] as [String; 0]);
        let mut books = Books::default();
        books.add(sale(1, 40, false), moved(39, 0));
        books.add(sale(2, 40, false), moved(41, 0));
        books.add(sale(3, 5, true), moved(5, 0));
        let found = found(books);
        assert_eq!(found.len(), 3, "{found:?}");
        assert!(found.iter().all(|one| one.starts_with("I-BOOKS the books of show ")), "{found:?}");
    }

    #[test]
    fn a_seat_is_booked_under_the_section_in_which_it_stands() {
        let hall = r#"[{"name":"Stalls","rows":[{"name":"A","seats":2},{"name":"B","seats":3}],"capacity":0},
            {"name":"Floor","rows":[],"capacity":3}]"#;
        let sections = sections(hall);
        assert_eq!(sections, [(5, "Stalls".to_owned()), (8, "Floor".to_owned())]);
        let places = |names: &[&str]| {
            serde_json::json!(
                names.iter().map(|name| serde_json::json!({"section": name})).collect::<Vec<_>>()
            )
            .to_string()
        };
        assert_eq!(misplaced(&sections, "[5,6]", &places(&["Stalls", "Floor"])), None);
        assert_eq!(misplaced(&sections, "nonsense", &places(&["Stalls"])), None);
        for (seats, places) in [
            ("[5,6]", places(&["Stalls", "Stalls"])),
            ("[5]", places(&["Balcony"])),
            ("[9]", places(&["Floor"])),
            ("[5,6]", places(&["Stalls"])),
            ("[5]", "nonsense".to_owned()),
        ] {
            assert!(misplaced(&sections, seats, &places).is_some(), "{seats} {places}");
        }
    }
}
