//! The result of an audit: differences with the ids that explain them, notes, and what was looked at.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
};

use crate::Progress;

/// How many differences of one law are kept; further ones are counted. Also how many notes are kept.
pub const KEPT: usize = 1_000;
/// Rows between two reports of progress.
const TOLD_EVERY: u64 = 20_000;

macro_rules! laws {
    ($($law:ident $id:literal $says:literal;)+) => {
        /// An invariant that is judged.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum Law { $(#[doc = $says] $law,)+ }

        impl Law {
            /// The id of the invariant in ARCHITECTURE.md, such as `I-SEAT-ONCE`.
            #[must_use]
            pub const fn id(self) -> &'static str { match self { $(Self::$law => $id),+ } }
            /// The invariant as a sentence.
            #[must_use]
            pub const fn says(self) -> &'static str { match self { $(Self::$law => $says),+ } }
        }
    };
}

laws! {
    LedgerSum "I-LEDGER-SUM" "a wallet's balance is the sum of its entries, and every entry tells the balance after it";
    LedgerNoGap "I-LEDGER-NO-GAP" "a wallet's entries are numbered 1, 2, 3 without a gap";
    PayOnce "I-PAY-ONCE" "a payment that completed was debited once, one that was cancelled was refunded once, others moved nothing";
    SeatOnce "I-SEAT-ONCE" "a seat is in one hand at most";
    SoldStays "I-SOLD-STAYS" "the seats that are sold are those of the confirmed reservations, held are those of live holds";
    AllOrNone "I-ALL-OR-NONE" "a show has no seat beyond its 1 to N, and a hold or a reservation lists its seats";
    PaidOnce "I-PAID-ONCE" "a hold is confirmed exactly when there is a reservation of it, by one payment";
    SeatFollowed "I-SEAT-FOLLOWED" "the log of a show's seats leads, version by version, to what their rows say";
    Books "I-BOOKS" "what a show's books tell, section by section, is what was paid for its seats and given back, to the unit";
    PaidIffMine "I-PAID-IFF-MINE" "a payment is completed if and only if its reservation is confirmed";
    OneOutcome "I-ONE-OUTCOME" "a settled checkout, its payment and its reservation tell one story";
    BackIffFree "I-BACK-IFF-FREE" "the money of a sale is back if and only if its seats were taken back";
    CalledOff "I-CALLED-OFF" "of a show that is cancelled no sale is left, and each of its refunds is done";
    OneLiveCheckout "I-ONE-LIVE-CHECKOUT" "a reservation is being paid for, or has been, by one checkout";
    Settled "I-SETTLED" "a checkout settles within its bound";
    ActionKept "I-ACTION-KEPT" "an operator's action is written before its outcome, which tells what it must";
    LineOrder "I-LINE-ORDER" "tickets rise, none is given twice, and inside a lane nobody overtakes";
    Draw "I-DRAW" "the order of a draw follows from its secret and from who took part, and everybody has the place that was drawn";
    LineOne "I-LINE-ONE" "a user has one live token in a line";
    LineCap "I-LINE-CAP" "no more are admitted at once than the line allows";
    LineRate "I-LINE-RATE" "no more are admitted in a minute than the line allows";
}

/// A violation of a law.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Difference {
    /// The law that is violated.
    pub law: Law,
    /// A sentence that says what is wrong, with the numbers that explain it.
    pub what: String,
    /// The ids of the rows, by name. They tell one difference from another.
    pub ids: Vec<(&'static str, String)>,
}

impl fmt::Display for Difference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.law.id(), self.what)?;
        self.ids.iter().try_for_each(|(name, value)| write!(f, " {name}={value}"))
    }
}

/// How much was looked at. The counts of a service whose data was not given are zero.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[expect(missing_docs, reason = "counts, by name")]
pub struct Checked {
    pub lines: u64,
    pub tokens: u64,
    pub active: u64,
    pub waiting: u64,
    pub shows: u64,
    pub seats: u64,
    pub sold: u64,
    pub holds: u64,
    pub held: u64,
    pub reservations: u64,
    pub wallets: u64,
    pub entries: u64,
    pub payments: u64,
    pub charged: i128,
    pub used: i128,
    pub paid: i128,
    pub refunded: i128,
    pub balances: i128,
    pub checkouts: u64,
    pub completed: u64,
    pub failed: u64,
    pub compensated: u64,
    pub refunds: u64,
    pub in_flight: u64,
    /// Payments and reservations that no checkout knows, where those are allowed.
    pub direct: u64,
}

/// The result of an audit.
#[derive(Clone, Debug, Default)]
pub struct Report {
    /// Every violation that was found.
    pub differences: Vec<Difference>,
    /// How many more there are of a law than were kept.
    pub more: BTreeMap<Law, u64>,
    /// What an operator should know, but is not wrong for certain.
    pub notes: Vec<String>,
    /// What was not looked at, and why.
    pub skipped: Vec<String>,
    /// What was looked at.
    pub checked: Checked,
}

impl Report {
    /// Whether no law is violated.
    #[must_use]
    pub fn is_clean(&self) -> bool {
        self.differences.is_empty()
    }
}

/// A queue that is over one of its limits, which may have been lowered since its users entered.
#[derive(Clone, Debug)]
pub(crate) struct Doubt {
    pub(crate) difference: Difference,
    pub(crate) line: String,
    pub(crate) limit: i64,
    /// When the last of its users was admitted, in microseconds since 1970.
    pub(crate) newest: i64,
}

/// The findings of one look, while it is made.
pub(crate) struct Look {
    report: Report,
    kept: BTreeMap<Law, usize>,
    doubts: Vec<Doubt>,
    progress: Option<Progress>,
}

impl Look {
    pub(crate) fn new(progress: Option<Progress>) -> Self {
        Self { report: Report::default(), kept: BTreeMap::new(), doubts: Vec::new(), progress }
    }

    /// Notes a difference.
    pub(crate) fn differs(&mut self, law: Law, what: String, ids: Vec<(&'static str, String)>) {
        self.add(Difference { law, what, ids });
    }

    fn add(&mut self, difference: Difference) {
        let kept = self.kept.entry(difference.law).or_default();
        if *kept < KEPT {
            *kept += 1;
            self.report.differences.push(difference);
        } else {
            *self.report.more.entry(difference.law).or_default() += 1;
        }
    }

    /// Notes what is not wrong for certain.
    pub(crate) fn note(&mut self, what: String) {
        if self.report.notes.len() < KEPT {
            self.report.notes.push(what);
        }
    }

    pub(crate) fn doubts(&mut self, doubt: Doubt) {
        self.doubts.push(doubt);
    }

    pub(crate) fn skip(&mut self, what: &str) {
        self.report.skipped.push(what.to_owned());
    }

    pub(crate) fn checked(&mut self) -> &mut Checked {
        &mut self.report.checked
    }

    /// Reports progress: this many rows of `what` have been read.
    pub(crate) fn read(&self, what: &str, rows: u64) {
        if let Some(progress) = &self.progress
            && rows.is_multiple_of(TOLD_EVERY)
        {
            progress(what, rows);
        }
    }

    /// Whether nothing has to be looked at again.
    pub(crate) fn is_quiet(&self) -> bool {
        self.report.is_clean() && self.doubts.is_empty()
    }

    /// The report of an only look.
    pub(crate) fn conclude(mut self) -> Report {
        let undecided = |doubt: Doubt| {
            format!("{}. This is as it should be if the limit was lowered since.", doubt.difference.what)
        };
        self.report.notes.extend(self.doubts.into_iter().map(undecided));
        self.report
    }

    /// The report of a second look: what the first look also found. Of a law with more differences than are
    /// kept all count, since the two looks may have kept different ones.
    pub(crate) fn confirming(mut self, first: &Self) -> Report {
        let entered_meanwhile = |doubt: &Doubt| {
            let same = |before: &Doubt| {
                (before.difference.law, &before.line, before.limit)
                    == (doubt.difference.law, &doubt.line, doubt.limit)
            };
            first.doubts.iter().any(|before| same(before) && before.newest < doubt.newest)
        };
        let (certain, doubts) = std::mem::take(&mut self.doubts).into_iter().partition(entered_meanwhile);
        let certain: Vec<Doubt> = certain;
        self.doubts = doubts;
        let key = |difference: &Difference| (difference.law, difference.ids.clone());
        let before: BTreeSet<_> = first.report.differences.iter().map(key).collect();
        let many = |law: &Law| first.report.more.contains_key(law) && self.report.more.contains_key(law);
        let many: BTreeSet<Law> = self.report.more.keys().copied().filter(many).collect();
        self.report
            .differences
            .retain(|difference| many.contains(&difference.law) || before.contains(&key(difference)));
        self.report.more.retain(|law, _| many.contains(law));
        self.report.differences.extend(certain.into_iter().map(|doubt| doubt.difference));
        self.conclude()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn look(seats: &[u32]) -> Look {
        let mut look = Look::new(None);
        for seat in seats {
            look.differs(Law::SeatOnce, format!("seat {seat}"), vec![("seat", seat.to_string())]);
        }
        look
    }

    fn over(newest: i64, limit: i64) -> Look {
        let difference =
            Difference { law: Law::LineCap, what: "over".to_owned(), ids: vec![("line", "a".to_owned())] };
        let mut look = Look::new(None);
        look.doubts(Doubt { difference, line: "a".to_owned(), limit, newest });
        look
    }

    #[test]
    fn only_what_stands_in_two_looks_counts() {
        let report = look(&[2, 3]).confirming(&look(&[1, 2]));
        assert_eq!(
            report.differences.iter().map(|difference| difference.what.as_str()).collect::<Vec<_>>(),
            ["seat 2"]
        );
    }

    #[test]
    fn a_law_with_more_differences_than_are_kept_stands() {
        let kept = u32::try_from(KEPT).expect("small");
        let (first, second): (Vec<_>, Vec<_>) = ((0..=kept).collect(), (kept..=2 * kept).collect());
        let report = look(&second).confirming(&look(&first));
        assert_eq!((report.differences.len(), report.more[&Law::SeatOnce]), (KEPT, 1));
    }

    #[test]
    fn a_limit_that_is_exceeded_counts_when_somebody_entered_meanwhile() {
        assert!(over(5, 10).confirming(&over(5, 10)).is_clean(), "nobody entered: the limit was lowered");
        assert!(over(6, 9).confirming(&over(5, 10)).is_clean(), "the limit was changed between the looks");
        assert!(!over(6, 10).confirming(&over(5, 10)).is_clean());
        assert_eq!(over(5, 10).conclude().notes.len(), 1);
    }
}
