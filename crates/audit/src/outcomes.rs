//! Across the services: a checkout, its payment and its reservation agree.
//!
//! The three tables are read side by side in the order of the one id that they share. The documentation of
//! this crate says what is judged when, and why that raises no false alarm while payments are in flight.

use futures::TryStreamExt;
use uuid::Uuid;

use crate::{
    Error, Source,
    books::{BookedSale, Books, Moved},
    report::{Law, Look},
    snapshot::{Row, Rows, Snapshot, Sql},
};

/// What stands in place of a show, and of money that was moved, where a table has none.
macro_rules! none {
    () => {
        "CAST(0 AS BIGINT), CAST(0 AS BIGINT), CAST(0 AS BIGINT)"
    };
}

const CHECKOUTS: &str = concat!(
    "SELECT checkout_id, status, user_id, reservation_id, amount, ",
    none!(),
    " FROM checkout ORDER BY checkout_id"
);
/// The checkouts of a journal that knows of refunds.
const UNDOABLE: &str = concat!(
    "SELECT checkout_id, CASE WHEN refunded_at IS NOT NULL THEN 'REFUNDED' \
     WHEN refund_asked_at IS NOT NULL THEN 'REFUNDING' ELSE status END, user_id, reservation_id, amount, ",
    none!(),
    " FROM checkout ORDER BY checkout_id"
);
/// The payments, each with what its entries took and gave back.
const PAYMENTS: &str = "SELECT p.payment_id, p.status, p.user_id, p.reservation_id, p.amount, CAST(0 AS BIGINT), \
     COALESCE(e.paid, 0), COALESCE(e.back, 0) FROM payment p LEFT JOIN (SELECT payment_id, \
     CAST(SUM(CASE WHEN kind = 'PAYMENT' THEN -amount ELSE 0 END) AS BIGINT) AS paid, \
     CAST(SUM(CASE WHEN kind = 'REFUND' THEN amount ELSE 0 END) AS BIGINT) AS back \
     FROM entry WHERE payment_id IS NOT NULL GROUP BY payment_id) AS e ON e.payment_id = p.payment_id ORDER BY p.payment_id";
const RESERVATIONS: &str = "SELECT payment_id, 'CONFIRMED', user_id, reservation_id, amount, show_id, \
     CAST(0 AS BIGINT), CAST(0 AS BIGINT) FROM reservation ORDER BY payment_id";
/// The reservations where sales can be taken back, and the sales that were.
const TAKEN_BACK: &str = "SELECT payment_id, 'CONFIRMED', user_id, reservation_id, amount, show_id, \
     CAST(0 AS BIGINT), CAST(0 AS BIGINT) FROM reservation \
     UNION ALL SELECT refunded_payment_id, 'REFUNDED', user_id, reservation_id, amount, show_id, 0, 0 FROM hold \
     WHERE refunded_payment_id IS NOT NULL ORDER BY 1";

/// What one of the three tables says about the id of a payment.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Word {
    id: Uuid,
    status: String,
    /// The user, the reservation and the amount; `None` for a payment that was barred before it arrived.
    deal: Option<Deal>,
    /// The show, in the tables of booking.
    show: i64,
    /// What the ledger moved, in those of the wallets.
    moved: Moved,
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct Deal {
    user: String,
    reservation: Uuid,
    amount: i64,
}

impl Word {
    /// Whether a checkout has ended. One that has not is in flight.
    fn is_settled(&self) -> bool {
        matches!(self.status.as_str(), "COMPLETED" | "REFUNDED" | "COMPENSATED" | "FAILED")
    }
}

impl std::fmt::Display for Word {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match &self.deal {
            Some(Deal { user, reservation, amount }) => {
                write!(f, "{} ({user}, {amount}, reservation {reservation})", self.status)
            }
            None => f.write_str(&self.status),
        }
    }
}

/// The progress through one table in the order of ids.
struct Table<'a> {
    rows: Rows<'a>,
    next: Option<Word>,
}

impl<'a> Table<'a> {
    async fn open(snapshot: &'a mut Snapshot, sql: &'static str) -> Result<Self, Error> {
        let mut table = Self { rows: snapshot.rows(sql), next: None };
        table.step().await?;
        Ok(table)
    }

    async fn step(&mut self) -> Result<Option<Word>, Error> {
        let next = self.rows.try_next().await?.as_ref().map(word).transpose()?;
        Ok(std::mem::replace(&mut self.next, next))
    }

    /// All rows of this id, which is the next one.
    async fn about(&mut self, id: Uuid) -> Result<Vec<Word>, Error> {
        let mut words = Vec::new();
        while self.next.as_ref().is_some_and(|word| word.id == id) {
            words.extend(self.step().await?);
        }
        Ok(words)
    }
}

fn word(row: &Row) -> Result<Word, Error> {
    let (user, reservation): (Option<String>, Option<Uuid>) = (row.get(2)?, row.get(3)?);
    let amount = row.get(4)?;
    let deal = user.zip(reservation).map(|(user, reservation)| Deal { user, reservation, amount });
    let (paid, back): (i64, i64) = (row.get(6)?, row.get(7)?);
    let moved = Moved { paid: paid.into(), back: back.into() };
    Ok(Word { id: row.get(0)?, status: row.get(1)?, deal, show: row.get(5)?, moved })
}

pub(crate) async fn judge(
    look: &mut Look,
    edge: &mut Snapshot,
    wallet: &mut Snapshot,
    booking: &mut Snapshot,
    journal: Option<&Source>,
    direct_calls: bool,
) -> Result<(), Error> {
    let is_undoable = edge.has(KNOWS_REFUNDS).await?;
    let takes_back = booking.has(TAKES_BACK).await?;
    let mut checkouts = Table::open(edge, if is_undoable { UNDOABLE } else { CHECKOUTS }).await?;
    let mut payments = Table::open(wallet, PAYMENTS).await?;
    let mut reservations = Table::open(booking, if takes_back { TAKEN_BACK } else { RESERVATIONS }).await?;
    let mut books = Books::default();
    let mut later: Option<Snapshot> = None;
    let mut read = 0;
    loop {
        let heads = [&checkouts.next, &payments.next, &reservations.next];
        let Some(id) = heads.into_iter().flatten().map(|word| word.id).min() else { break };
        let checkout = checkouts.about(id).await?.pop();
        let payment = payments.about(id).await?.pop();
        let mine = reservations.about(id).await?;
        read += 1;
        look.read("checkouts", read);
        if let Some(checkout) = checkout {
            let Some((law, what)) = settled(look, &checkout, payment.as_ref(), &mine) else {
                if checkout.is_settled() {
                    books.add(sales(&mine), moved(payment.as_ref()));
                }
                continue;
            };
            // It was sold when the journal was read, and may have been refunded since.
            if is_undoable
                && checkout.status == "COMPLETED"
                && is_there_now(&mut later, journal, UNDONE, id).await?
            {
                continue;
            }
            books.add(sales(&mine), moved(payment.as_ref()));
            look.differs(law, what, ids("checkout", id, payment.as_ref(), &mine));
            continue;
        }
        if payment.as_ref().is_none_or(|payment| payment.status != "COMPLETED") && mine.is_empty() {
            continue; // Nothing came of it, for nobody.
        }
        if direct_calls {
            look.checked().direct += 1;
            continue;
        }
        let begun_meanwhile = is_there_now(&mut later, journal, KNOWN, id).await?;
        if !begun_meanwhile {
            books.add(sales(&mine), moved(payment.as_ref()));
            stray(look, id, payment.as_ref(), &mine);
        }
    }
    if let Some(later) = later {
        later.close().await?;
    }
    books.judge(look);
    Ok(())
}

/// Whether the journal has such a row by now. It is opened when it is first needed, which is after the
/// snapshots were taken.
async fn is_there_now(
    later: &mut Option<Snapshot>,
    journal: Option<&Source>,
    sql: &'static str,
    id: Uuid,
) -> Result<bool, Error> {
    if later.is_none() {
        *later = Snapshot::of(journal, "edge", &["checkout"]).await?;
    }
    let Some(journal) = later else { return Ok(false) };
    Ok(journal.rows_of(sql, id).try_next().await?.is_some())
}

/// The sales of a payment, for the books of their shows.
fn sales(mine: &[Word]) -> impl Iterator<Item = BookedSale> {
    mine.iter().filter_map(|word| {
        let amount = word.deal.as_ref()?.amount;
        Some(BookedSale { show: word.show, amount, taken_back: word.status == "REFUNDED" })
    })
}

fn moved(payment: Option<&Word>) -> Moved {
    payment.map(|payment| payment.moved).unwrap_or_default()
}

const KNOWN: &str = "SELECT status FROM checkout WHERE checkout_id = $1";

const UNDONE: &str = "SELECT status FROM checkout WHERE checkout_id = $1 AND refund_asked_at IS NOT NULL";

/// A row if the journal knows of refunds.
pub(crate) const KNOWS_REFUNDS: Sql = Sql {
    postgres: "SELECT 1 FROM pg_attribute WHERE attrelid = to_regclass('checkout') AND attname = 'refunded_at'",
    sqlite: "SELECT 1 FROM pragma_table_info('checkout') WHERE name = 'refunded_at'",
};
/// A row if sales can be taken back.
const TAKES_BACK: Sql = Sql {
    postgres: "SELECT 1 FROM pg_attribute WHERE attrelid = to_regclass('hold') AND attname = 'refunded_payment_id'",
    sqlite: "SELECT 1 FROM pragma_table_info('hold') WHERE name = 'refunded_payment_id'",
};

/// Judges a checkout that has ended, and answers what is wrong with it. One that has not is in flight,
/// whatever its payment and its reservation are.
fn settled(look: &mut Look, checkout: &Word, payment: Option<&Word>, mine: &[Word]) -> Option<(Law, String)> {
    let status = payment.map_or("", |payment| payment.status.as_str());
    let same = |word: Option<&Word>, status: &str| {
        word.is_some_and(|word| word.status == status && word.deal == checkout.deal)
    };
    let sold = |mine: &[Word], status: &str| mine.len() == 1 && same(mine.first(), status);
    let checked = look.checked();
    checked.checkouts += 1;
    let right = match checkout.status.as_str() {
        "COMPLETED" => {
            checked.completed += 1;
            status == "COMPLETED" && same(payment, "COMPLETED") && sold(mine, "CONFIRMED")
        }
        "REFUNDED" => {
            checked.refunds += 1;
            same(payment, "CANCELLED") && sold(mine, "REFUNDED")
        }
        "COMPENSATED" => {
            checked.compensated += 1;
            status == "CANCELLED"
                && payment.is_some_and(|payment| payment.deal == checkout.deal)
                && mine.is_empty()
        }
        "FAILED" => {
            checked.failed += 1;
            status != "COMPLETED" && mine.is_empty()
        }
        _ => {
            checked.in_flight += 1;
            true
        }
    };
    if right {
        return None;
    }
    let what =
        format!("a checkout is {checkout}, its payment {}, its reservation {}", told(payment), told(mine));
    let is_free = mine.iter().all(|word| word.status == "REFUNDED") && !mine.is_empty();
    let is_back = status == "CANCELLED";
    let law = if checkout.status == "REFUNDED" || mine.iter().any(|word| word.status == "REFUNDED") {
        // The money is back without the seats, or the seats without the money.
        if is_back == is_free { Law::OneOutcome } else { Law::BackIffFree }
    } else if (status == "COMPLETED") == mine.is_empty() {
        // Paid without a reservation, or reserved without a payment; otherwise only the checkout disagrees.
        Law::PaidIffMine
    } else {
        Law::OneOutcome
    };
    Some((law, what))
}

/// Reports a payment or a reservation that no checkout knows, neither before nor after the snapshots.
fn stray(look: &mut Look, id: Uuid, payment: Option<&Word>, mine: &[Word]) {
    let is_told = |status, mine_is| {
        let word = payment.is_some_and(|payment| payment.status == status);
        word && mine.len() == 1 && mine[0].status == mine_is
    };
    let what =
        format!("a payment that no checkout knows is {}, its reservation {}", told(payment), told(mine));
    if is_told("COMPLETED", "CONFIRMED") || is_told("CANCELLED", "REFUNDED") {
        look.differs(Law::OneOutcome, what, ids("payment", id, payment, mine));
    } else {
        look.differs(Law::PaidIffMine, what, ids("payment", id, payment, mine));
    }
}

fn told<'a>(words: impl IntoIterator<Item = &'a Word>) -> String {
    let words: Vec<_> = words.into_iter().map(Word::to_string).collect();
    if words.is_empty() { "not there".to_owned() } else { words.join(" and ") }
}

fn ids(name: &'static str, id: Uuid, payment: Option<&Word>, mine: &[Word]) -> Vec<(&'static str, String)> {
    let mut ids = vec![(name, id.to_string())];
    let deals = payment.into_iter().chain(mine).filter_map(|word| word.deal.as_ref());
    for deal in deals {
        let reservation = ("reservation", deal.reservation.to_string());
        if !ids.contains(&reservation) {
            ids.push(reservation);
        }
    }
    ids
}

#[cfg(test)]
mod tests {
    use super::*;

    fn word(status: &str, amount: i64) -> Word {
        let deal = Deal { user: "ann".to_owned(), reservation: Uuid::from_u128(2), amount };
        let (show, moved) = (3, Moved::default());
        Word { id: Uuid::from_u128(1), status: status.to_owned(), deal: Some(deal), show, moved }
    }

    fn judged(checkout: &str, payment: Option<Word>, mine: &[Word]) -> Option<Law> {
        let mut look = Look::new(None);
        settled(&mut look, &word(checkout, 10), payment.as_ref(), mine).map(|(law, _)| law)
    }

    #[test]
    fn a_settled_checkout_has_one_story() {
        let (paid, mine) = (|| Some(word("COMPLETED", 10)), || vec![word("CONFIRMED", 10)]);
        assert_eq!(judged("COMPLETED", paid(), &mine()), None);
        assert_eq!(judged("COMPLETED", paid(), &[]), Some(Law::PaidIffMine));
        assert_eq!(judged("COMPLETED", None, &mine()), Some(Law::PaidIffMine));
        assert_eq!(judged("COMPLETED", Some(word("COMPLETED", 9)), &mine()), Some(Law::OneOutcome));
        assert_eq!(judged("COMPENSATED", Some(word("CANCELLED", 10)), &[]), None);
        assert_eq!(judged("COMPENSATED", paid(), &[]), Some(Law::PaidIffMine));
        assert_eq!(judged("COMPENSATED", None, &[]), Some(Law::OneOutcome));
        for unpaid in [None, Some(word("FAILED", 10)), Some(Word { deal: None, ..word("CANCELLED", 0) })] {
            assert_eq!(judged("FAILED", unpaid, &[]), None);
        }
        assert_eq!(judged("FAILED", paid(), &[]), Some(Law::PaidIffMine));
    }

    #[test]
    fn of_a_sale_that_was_undone_the_money_is_back_and_the_seats_are_free() {
        let (back, free) = (|| Some(word("CANCELLED", 10)), || vec![word("REFUNDED", 10)]);
        let (paid, mine) = (|| Some(word("COMPLETED", 10)), || vec![word("CONFIRMED", 10)]);
        assert_eq!(judged("REFUNDED", back(), &free()), None);
        for (payment, mine) in [(back(), mine()), (back(), vec![]), (paid(), free())] {
            assert_eq!(judged("REFUNDED", payment, &mine), Some(Law::BackIffFree));
        }
        assert_eq!(judged("REFUNDED", paid(), &mine()), Some(Law::OneOutcome));
        assert_eq!(judged("REFUNDED", Some(word("CANCELLED", 9)), &free()), Some(Law::OneOutcome));
        assert_eq!(judged("COMPLETED", back(), &free()), Some(Law::OneOutcome));
        assert_eq!(judged("COMPLETED", paid(), &free()), Some(Law::BackIffFree));
        assert_eq!(judged("COMPENSATED", back(), &free()), Some(Law::OneOutcome));
    }

    #[test]
    fn one_that_is_in_flight_may_be_anywhere() {
        for mine in [vec![], vec![word("CONFIRMED", 10)]] {
            for payment in [None, Some(word("COMPLETED", 10)), Some(word("CANCELLED", 10))] {
                assert_eq!(judged("PENDING", payment.clone(), &mine), None);
                assert_eq!(judged("REFUNDING", payment, &mine), None);
            }
        }
    }
}
