//! Mistakes of programs, made on purpose to see that they are found: a statement says something else than it
//! should, or what it wrote is not committed. Nothing of the programs is changed for it.

use std::{cell::Cell, collections::BTreeMap, rc::Rc};

use crate::run::Sabotage;

/// What is said in place of a statement.
pub type Mistake = Box<dyn FnMut(&'static str) -> &'static str>;

/// The mistake that a sabotage makes; `None` where it is of another kind.
#[must_use]
pub fn of(sabotage: Sabotage) -> Option<Mistake> {
    Some(match sabotage {
        // The newest version is always the one that is known.
        Sabotage::Stale => {
            changed(&[("AND version <> $2) AS newest", "AND version <> $2 AND FALSE) AS newest")])
        }
        Sabotage::Unlogged => unlogged(),
        // Every hold is read as one that has lapsed, and is written over.
        Sabotage::Double => changed(&[
            (
                "hold_id, held_until, sold FROM json_each($1)",
                "hold_id, 0 AS held_until, sold FROM json_each($1)",
            ),
            ("OR seat.held_until <= $1", "OR seat.held_until >= 0"),
        ]),
        Sabotage::Unfreed => changed(&[("RETURNING show_id, seat_number", "")]),
        Sabotage::Forgotten => changed(&[(
            "SELECT COUNT(*) AS sales FROM reservation",
            "SELECT 0 * COUNT(*) AS sales FROM reservation",
        )]),
        Sabotage::Grudging => changed(&[(
            "AND refund_asked_at IS NULL RETURNING",
            "AND refund_asked_at IS NULL AND FALSE RETURNING",
        )]),
        Sabotage::Kept => kept(),
        Sabotage::Bolted => changed(&[("UPDATE seat SET sold = FALSE", "UPDATE seat SET sold = TRUE")]),
        Sabotage::Unwritten => changed(&[(
            "max_seats_per_user = $10 WHERE show_id = $1",
            "max_seats_per_user = $10 WHERE show_id = $1 AND FALSE",
        )]),
        Sabotage::Repriced => {
            changed(&[("seats, places, amount, status", "seats, places, amount + 500 AS amount, status")])
        }
        Sabotage::Unlimited => {
            changed(&[("show_id AS show, SUM(seat_total) AS total", "show_id AS show, 0 AS total")])
        }
        // No answer is found, and a new one may be written over it.
        Sabotage::Repeated => changed(&[
            ("WHERE r.request_id = a.value", "WHERE r.request_id = a.value AND FALSE"),
            (
                "DO NOTHING RETURNING request_id",
                "DO UPDATE SET answer = excluded.answer RETURNING request_id",
            ),
        ]),
        Sabotage::Early => changed(&[("opens_at = $", "opens_at = -2000000 + $")]),
        Sabotage::Backwards => changed(&[(
            "t.value ->> 2, t.value ->> 3, t.value ->> 4, t.value ->> 5",
            "t.value ->> 2, t.value ->> 3, 1000 - (t.value ->> 4), t.value ->> 5",
        )]),
        Sabotage::Mute => changed(&[
            ("message_ko = $", "message_ko = NULL || $"),
            ("message_en = $", "message_en = NULL || $"),
        ]),
        Sabotage::Price
        | Sabotage::Line
        | Sabotage::Ledger
        | Sabotage::Lots
        | Sabotage::Twice
        | Sabotage::Vanished
        | Sabotage::Ignored
        | Sabotage::Reread
        | Sabotage::Again => {
            return None;
        }
    })
}

/// These parts of statements are others.
fn changed(parts: &'static [(&'static str, &'static str)]) -> Mistake {
    let mut known: BTreeMap<&'static str, &'static str> = BTreeMap::new();
    Box::new(move |sql| {
        *known.entry(sql).or_insert_with(|| {
            let other = parts.iter().fold(sql.to_owned(), |text, (part, other)| text.replace(part, other));
            // There are some hundred statements, and a process runs one seed.
            if other == sql { sql } else { Box::leak(other.into_boxed_str()) }
        })
    })
}

/// Every statement is what it is, and it is noted that holds were written.
pub fn noted(holds_written: &Rc<Cell<bool>>) -> Mistake {
    let holds_written = Rc::clone(holds_written);
    Box::new(move |sql| {
        if sql.starts_with("INSERT INTO hold ") {
            holds_written.set(true);
        }
        sql
    })
}

/// Every third time that seats are changed, the log does not hear of it.
fn unlogged() -> Mistake {
    let (mut nth, mut is_lost) = (0_u32, false);
    Box::new(move |sql| {
        let is_version = sql.starts_with("INSERT INTO seat_version") && sql.contains("version + 1");
        if is_version {
            nth += 1;
            is_lost = nth.is_multiple_of(3);
        }
        match sql {
            _ if is_lost && is_version => "SELECT $1",
            _ if is_lost && sql.starts_with("INSERT INTO seat_change") => "SELECT $1, $2",
            sql => sql,
        }
    })
}

/// A payment is taken back, and its money is not.
fn kept() -> Mistake {
    let mut is_taken_back = false;
    Box::new(move |sql| {
        if sql.starts_with("UPDATE payment SET status") {
            is_taken_back = true;
        } else if sql.starts_with("INSERT INTO payment")
            || sql.starts_with("INSERT INTO wallet") && sql.contains("VALUES")
        {
            is_taken_back = false;
        }
        match sql {
            _ if is_taken_back && sql.starts_with("INSERT INTO wallet") => "SELECT $1",
            _ if is_taken_back && sql.starts_with("INSERT INTO entry") => {
                is_taken_back = false;
                "SELECT $1"
            }
            sql => sql,
        }
    })
}
