//! The show as the office changes it: of changes that are meant for the same state one is made (I-FASTER),
//! nothing else of the show changes by it, and what was told to be so stays until it is changed again.
//!
//! Every change names the tag of the state that it is meant for, and no two states are the same. So a state
//! ends by a change that is meant for it, and by nothing else.

use std::{collections::BTreeMap, rc::Rc, time::Duration};

use serde_json::{Value, json};

use super::STALE;
use crate::{
    history::violated,
    plan::{OFFICE, Plan},
    rest::{Answer, list, number},
};

/// What is told of a show and changed by nothing but a change.
const FACTS: [&str; 8] = [
    "title",
    "description",
    "startsAt",
    "durationMinutes",
    "price",
    "opensAt",
    "closesAt",
    "maxSeatsPerUser",
];

/// The states of the show.
#[derive(Debug)]
pub struct Show {
    plan: Rc<Plan>,
    /// What is told in each, by its tag.
    states: BTreeMap<String, Value>,
    /// Which state ended by which change, and when that was told first; not before it was seen.
    ended: BTreeMap<String, (usize, Duration)>,
    changes: Vec<Change>,
}

#[derive(Debug)]
struct Change {
    /// The tag of the state for which it is meant.
    of: String,
    change: Value,
    answer: Made,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Made {
    /// It was not answered so that it stands.
    Unknown,
    Done,
    Refused,
}

impl Show {
    pub(super) fn new(plan: &Rc<Plan>) -> Self {
        Self { plan: Rc::clone(plan), states: BTreeMap::new(), ended: BTreeMap::new(), changes: Vec::new() }
    }

    /// Whether a state has what a change asks for.
    #[must_use]
    pub fn has(&self, tag: &str, change: &Value) -> bool {
        self.states.get(tag).is_some_and(|state| after(state, change) == *state)
    }

    /// The office was told how the show is.
    pub fn read(&mut self, told: &Answer) {
        let (tag, facts) = (&told.tag, facts(&told.body));
        if told.text("status") != "SCHEDULED" {
            return;
        }
        if let Some((_, at)) = self.ended.get(tag).filter(|(_, at)| *at + STALE < told.sent) {
            let what = format!("it was told to be another at {at:?}: {}", told.body);
            violated("CHANGED", &[OFFICE], what);
        }
        if self.states.is_empty() {
            self.states.insert(tag.clone(), facts);
            return;
        }
        match self.states.get(tag) {
            Some(known) if *known == facts => {}
            Some(known) => violated("CHANGED", &[OFFICE], format!("{tag} was {known}, and is {facts}")),
            None => {
                let made = |change: &Change| {
                    let before = self.states.get(&change.of);
                    change.answer == Made::Unknown
                        && !self.ended.contains_key(&change.of)
                        && before.is_some_and(|before| after(before, &change.change) == facts)
                };
                match self.changes.iter().position(made) {
                    Some(nth) => self.end(nth, told),
                    None => violated("CHANGED", &[OFFICE], format!("nobody made {tag}: {}", told.body)),
                }
            }
        }
    }

    /// The office asks for a change of the state that has this tag; by which number that is known.
    pub fn changing(&mut self, tag: &str, change: &Value) -> usize {
        self.changes.push(Change { of: tag.to_owned(), change: change.clone(), answer: Made::Unknown });
        self.changes.len() - 1
    }

    /// It was answered, or was not.
    pub fn changed(&mut self, nth: usize, answer: Option<&Answer>) {
        let (Some(change), Some(answer)) = (self.changes.get_mut(nth), answer) else { return };
        let (of, asked) = (change.of.clone(), change.change.clone());
        let wrong = |rule: &str, why: &str| {
            let told = format!("{} {}", answer.status, answer.body);
            violated(rule, &[OFFICE], format!("{why}: {asked} of {of} was answered {told}"));
        };
        match (answer.status, answer.code()) {
            (200, _) => {
                change.answer = Made::Done;
                let expected = self.states.get(&of).map(|before| after(before, &asked));
                if expected.as_ref() != Some(&facts(&answer.body)) {
                    wrong("CHANGED", &format!("should be {expected:?}"));
                }
                match self.ended.get(&of) {
                    // It was seen before it was told.
                    Some((by, _)) if self.changes[*by].change == asked => {}
                    Some((by, _)) => {
                        wrong("FASTER", &format!("{} was made of this state", self.changes[*by].change));
                    }
                    None => self.end(nth, answer),
                }
            }
            (412, "PRECONDITION_FAILED") => change.answer = Made::Refused,
            (409, "SHOW_CANCELLED") => {
                change.answer = Made::Refused;
                if self.plan.called_off.is_none_or(|off| answer.received < off) {
                    wrong("CALLED-OFF", "the show is not called off");
                }
            }
            _ if answer.stands() => wrong("CHANGED", "no such answer is known"),
            _ => {}
        }
    }

    /// A state has become what is told.
    fn end(&mut self, nth: usize, told: &Answer) {
        self.ended.insert(self.changes[nth].of.clone(), (nth, told.received));
        self.states.insert(told.tag.clone(), facts(&told.body));
    }

    /// Whoever was told to be slower was slower than somebody.
    pub(super) fn judge(&self) {
        for refused in self.changes.iter().filter(|change| change.answer == Made::Refused) {
            let faster = |other: &Change| other.of == refused.of && other.answer != Made::Refused;
            if !self.changes.iter().any(faster) && self.plan.called_off.is_none() {
                let what = format!("{} of {} was refused, and nobody was faster", refused.change, refused.of);
                violated("FASTER", &[OFFICE], what);
            }
        }
    }
}

fn facts(told: &Value) -> Value {
    FACTS.into_iter().map(|fact| (fact.to_owned(), told[fact].clone())).collect()
}

/// What is told of a show after a change.
fn after(before: &Value, change: &Value) -> Value {
    let mut after = before.clone();
    for fact in FACTS {
        if let Some(now) = change.get(fact) {
            after[fact] = now.clone();
        }
    }
    if change["prices"].is_array() {
        after["price"] = json!(list(change, "prices").map(|price| number(price, "price")).min());
    }
    after
}
