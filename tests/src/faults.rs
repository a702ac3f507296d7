//! Faults to inject: rules that the proxies between the programs ask about every message.
//!
//! Rules belong to a *case*, which is told apart by its ids: a message that carries one of them (its user's,
//! its token's) is the case's, and the other ids in it (a payment's) are from then on the case's too. So
//! hundreds of cases run in one mesh at a time, each with a mishap of its own, and the proxies need not
//! understand what they carry.

use std::{
    collections::{BTreeSet, HashMap},
    fmt,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use boxoffice_proto::Reason;
use tokio::sync::watch;
use tonic::Code;

use crate::patience;

/// How a message is lost.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Loss {
    /// Somebody on the way answers with this code, and with no detail by which it would be the service's own
    /// word.
    Code(Code),
    /// The stream (of a database: the connection) is cut.
    Cut,
    /// Nobody answers.
    Silence,
}

/// When a message is lost, as the service sees it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Moment {
    /// It has not been asked yet.
    Before,
    /// It has done its work, and its answer is on the way.
    After,
}

/// What happens to a message after it was held up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Then {
    /// It goes on.
    Goes,
    /// It is lost.
    Vanishes,
}

/// What happens to a call.
#[derive(Clone)]
pub enum Mishap {
    /// Refused in the service's name; it is not asked.
    Refused(Reason),
    /// Lost.
    Lost(Moment, Loss),
    /// It arrives twice; the second answer is the one that counts.
    Twice,
    /// It is answered, and arrives once more so much later.
    Echo(Duration),
    /// It is late by so much.
    Slow(Duration),
    /// It stands still until the meeting is over.
    Stands(Moment, Then, Arc<Meeting>),
}

impl fmt::Debug for Mishap {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Refused(reason) => write!(f, "refused with {reason}"),
            Self::Lost(moment, loss) => write!(f, "lost {moment:?} by {loss:?}"),
            Self::Twice => f.write_str("twice"),
            Self::Echo(after) => write!(f, "again after {after:?}"),
            Self::Slow(by) => write!(f, "late by {by:?}"),
            Self::Stands(moment, then, _) => write!(f, "stands {moment:?} and then {then:?}"),
        }
    }
}

/// A rule: which calls of a case meet which mishap.
#[derive(Clone, Debug)]
pub struct Rule {
    /// The RPC's name; [`COMMIT`] for the database.
    pub method: &'static str,
    /// The first call that meets it, counted from 0.
    pub first: usize,
    /// How many calls meet it.
    pub times: usize,
    /// What happens to them.
    pub mishap: Mishap,
}

/// The "method" of a transaction's end.
pub const COMMIT: &str = "COMMIT";

impl Rule {
    /// A rule for the first `times` calls of a method.
    #[must_use]
    pub const fn first(method: &'static str, times: usize, mishap: Mishap) -> Self {
        Self { method, first: 0, times, mishap }
    }
}

/// A barrier at which messages are held up until all have come that should.
#[derive(Debug)]
pub struct Meeting {
    there: watch::Sender<usize>,
    over: watch::Sender<bool>,
}

impl Default for Meeting {
    fn default() -> Self {
        Self { there: watch::Sender::new(0), over: watch::Sender::new(false) }
    }
}

impl Meeting {
    /// Waits until `count` messages are held up here, which usually takes no longer than `usual`.
    ///
    /// # Errors
    /// How many there are when patience is over.
    pub async fn of(&self, count: usize, usual: Duration) -> Result<(), usize> {
        let mut there = self.there.subscribe();
        let all = patience::timeout(usual, there.wait_for(|there| *there >= count)).await;
        match all {
            Ok(Ok(_)) => Ok(()),
            Ok(Err(_)) | Err(_) => Err(*self.there.borrow()),
        }
    }

    /// Releases the messages that are held up here, and holds up no others.
    pub fn end(&self) {
        self.over.send_replace(true);
    }

    pub(crate) async fn stand(&self) {
        self.there.send_modify(|there| *there += 1);
        let _ = self.over.subscribe().wait_for(|over| *over).await;
    }
}

/// The rules of every case. Cheap to clone.
#[derive(Clone, Debug, Default)]
pub struct Faults(Arc<Mutex<Book>>);

#[derive(Debug, Default)]
struct Book {
    cases: Vec<Chapter>,
    of: HashMap<[u8; ID], usize>,
}

#[derive(Debug, Default)]
struct Chapter {
    rules: Vec<Rule>,
    seen: HashMap<String, usize>,
    story: Vec<String>,
    met: usize,
}

/// The number of a case, to ask what happened to it.
#[derive(Clone, Copy, Debug)]
pub struct Case(usize);

/// A UUID in its usual writing: the one form in which ids travel.
const ID: usize = 36;

impl Faults {
    fn book(&self) -> MutexGuard<'_, Book> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A case of these ids (UUIDs, as text) with these rules.
    #[must_use]
    pub fn case(&self, ids: &[&str], rules: Vec<Rule>) -> Case {
        let mut book = self.book();
        let case = book.cases.len();
        book.cases.push(Chapter { rules, ..Chapter::default() });
        for id in ids.iter().flat_map(|id| ids_in(id.as_bytes())) {
            book.of.insert(id, case);
        }
        Case(case)
    }

    /// How many calls met a mishap so far.
    #[must_use]
    pub fn met(&self, case: Case) -> usize {
        self.book().cases[case.0].met
    }

    /// Every call of the case that passed, in order, with what happened to it.
    #[must_use]
    pub fn story(&self, case: Case) -> String {
        self.book().cases[case.0].story.join(", ")
    }

    /// What is to happen to this message.
    pub(crate) fn on(&self, method: &str, message: &[u8]) -> Option<Mishap> {
        // This call carries the polls of many cases.
        if method == "BatchGetTokens" {
            return None;
        }
        let ids = ids_in(message);
        let mut book = self.book();
        let case = ids.iter().find_map(|id| book.of.get(id).copied())?;
        for id in ids {
            book.of.entry(id).or_insert(case);
        }
        book.cases[case].meet(method)
    }

    /// What is to happen to this message, which may be several cases' (a group commit): for each of them. Ids
    /// that travel with it are nobody's.
    pub(crate) fn on_all(&self, method: &str, message: &[u8]) -> Vec<Mishap> {
        let mut book = self.book();
        let cases: BTreeSet<usize> =
            ids_in(message).iter().filter_map(|id| book.of.get(id).copied()).collect();
        cases.into_iter().filter_map(|case| book.cases[case].meet(method)).collect()
    }
}

impl Chapter {
    /// Counts a message, and tells its mishap.
    fn meet(&mut self, method: &str) -> Option<Mishap> {
        let count = self.seen.entry(method.to_owned()).or_default();
        let nth = *count;
        *count += 1;
        let rule = self
            .rules
            .iter()
            .find(|rule| rule.method == method && (rule.first..rule.first + rule.times).contains(&nth));
        let mishap = rule.map(|rule| rule.mishap.clone());
        self.met += usize::from(mishap.is_some());
        self.story.push(
            mishap.as_ref().map_or_else(|| method.to_owned(), |mishap| format!("{method} ({mishap:?})")),
        );
        mishap
    }
}

/// Every UUID that is written out in these bytes.
fn ids_in(bytes: &[u8]) -> Vec<[u8; ID]> {
    let is_id = |text: &&[u8]| {
        text.iter().enumerate().all(|(at, byte)| match at {
            8 | 13 | 18 | 23 => *byte == b'-',
            _ => byte.is_ascii_hexdigit(),
        })
    };
    bytes.windows(ID).filter(is_id).filter_map(|text| text.try_into().ok()).collect()
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::*;

    #[test]
    fn a_commit_of_several_cases_counts_for_each_of_them() {
        let ids = [1, 2, 3].map(|n| Uuid::from_u128(n).to_string());
        let faults = Faults::default();
        let slow = |by| {
            vec![Rule { method: COMMIT, first: 1, times: 1, mishap: Mishap::Slow(Duration::from_secs(by)) }]
        };
        let (ann, bob) = (faults.case(&[&ids[0]], slow(1)), faults.case(&[&ids[1]], slow(2)));
        assert!(faults.on_all(COMMIT, format!("{} {} {}", ids[0], ids[1], ids[2]).as_bytes()).is_empty());
        assert_eq!(faults.on_all(COMMIT, ids[2].as_bytes()).len(), 0, "an id that merely travelled along");
        assert_eq!(faults.on_all(COMMIT, format!("{}{}", ids[1], ids[0]).as_bytes()).len(), 2);
        assert_eq!((faults.met(ann), faults.met(bob)), (1, 1));
    }

    #[test]
    fn a_case_is_known_by_any_of_its_ids_and_by_those_that_travelled_with_them() {
        let (user, payment, other) = (Uuid::from_u128(1), Uuid::from_u128(2), Uuid::from_u128(3));
        let faults = Faults::default();
        let case = faults.case(&[&user.to_string()], vec![Rule::first("CancelPayment", 1, Mishap::Twice)]);
        assert!(
            faults.on("CancelPayment", format!("x{payment}").as_bytes()).is_none(),
            "nobody knows it yet"
        );
        assert!(faults.on("CreatePayment", format!("{payment}\x12${user}").as_bytes()).is_none());
        assert!(faults.on("CancelPayment", format!("x{other}").as_bytes()).is_none());
        assert!(faults.on("CancelPayment", format!("x{payment}").as_bytes()).is_some());
        assert!(faults.on("CancelPayment", format!("x{payment}").as_bytes()).is_none(), "only the first");
        assert_eq!(
            (faults.met(case), faults.story(case).as_str()),
            (1, "CreatePayment, CancelPayment (twice), CancelPayment")
        );
    }
}
