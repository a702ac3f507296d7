//! The line: who came first is served first, no more are in than may be, and nobody has two places.

use std::{collections::BTreeMap, rc::Rc, time::Duration};

use super::STALE;
use crate::{
    history::{count, violated},
    plan::Plan,
    rest::Answer,
};

/// What was told of places in the line.
#[derive(Debug)]
pub struct Line {
    plan: Rc<Plan>,
    people: BTreeMap<String, Person>,
    /// Tickets as they were first told, and when the joining had certainly begun and was told.
    joined: Vec<Joined>,
    /// Tickets that were told to be admitted, and when that was told first.
    admitted: BTreeMap<i64, (String, Duration)>,
    /// When a token was certainly admitted: by its token and its ticket, from the first time that it was told
    /// to the last time that whoever was told so asked.
    inside: BTreeMap<(String, i64), (Duration, Duration)>,
}

#[derive(Debug, Default)]
struct Person {
    /// When they first asked for the place that they were not told of yet.
    asked: Option<Duration>,
    /// The newest token they were told of, and when.
    newest: Option<Place>,
}

#[derive(Debug)]
struct Place {
    token: String,
    ticket: i64,
    told: Duration,
}

#[derive(Debug)]
struct Joined {
    user: String,
    ticket: i64,
    asked: Duration,
    told: Duration,
}

impl Line {
    pub(super) fn new(plan: &Rc<Plan>) -> Self {
        Self {
            plan: Rc::clone(plan),
            people: BTreeMap::new(),
            joined: Vec::new(),
            admitted: BTreeMap::new(),
            inside: BTreeMap::new(),
        }
    }

    /// Somebody asks for a place.
    pub fn joining(&mut self, user: &str, now: Duration) {
        self.people.entry(user.to_owned()).or_default().asked.get_or_insert(now);
    }

    /// Somebody was told their place.
    pub fn joined(&mut self, user: &str, answer: &Answer) {
        count("places acknowledged");
        let (token, ticket, told) =
            (answer.text("token").to_owned(), answer.number("ticket"), answer.received);
        let person = self.people.entry(user.to_owned()).or_default();
        // An answer that was long on its way may name an older place; which is older, the tickets tell.
        if person.newest.as_ref().is_none_or(|known| known.token != token && known.ticket < ticket) {
            person.newest = Some(Place { token, ticket, told });
            if let Some(asked) = person.asked.take()
                && answer.number("requeues") == 0
            {
                self.joined.push(Joined { user: user.to_owned(), ticket, asked, told });
            }
        }
        person.asked = None;
        self.seen(user, answer);
    }

    /// Somebody was told where their token stands.
    pub fn seen(&mut self, user: &str, answer: &Answer) {
        let (token, ticket, status) = (answer.text("token"), answer.number("ticket"), answer.text("status"));
        let newest = self.people.get(user).and_then(|person| person.newest.as_ref());
        if matches!(status, "WAITING" | "ACTIVE")
            && let Some(newest) =
                newest.filter(|newest| newest.token != token && newest.told + STALE < answer.sent)
        {
            violated(
                "LINE-ONE",
                &[user],
                format!("token {token} is {status} although there is a newer one: {newest:?}"),
            );
        }
        match status {
            "ACTIVE" => {
                let told = (user.to_owned(), answer.received);
                self.admitted.entry(ticket).or_insert(told);
                let last = answer.sent.saturating_sub(STALE);
                let inside = self.inside.entry((token.to_owned(), ticket)).or_insert((answer.received, last));
                inside.1 = inside.1.max(last);
            }
            "WAITING" => {
                let overtaken =
                    self.admitted.range(ticket + 1..).find(|(_, (_, told))| *told + STALE < answer.sent);
                if let Some((other, (who, told))) = overtaken {
                    let what = format!(
                        "ticket {ticket} waits at {:?}, and {other} was admitted at {told:?}",
                        answer.sent
                    );
                    violated("LINE-ORDER", &[user, who], what);
                }
            }
            _ => {}
        }
    }

    pub(super) fn judge(&self) {
        for later in &self.joined {
            let before = |earlier: &&Joined| earlier.told < later.asked && earlier.ticket >= later.ticket;
            if let Some(earlier) = self.joined.iter().find(before) {
                let what = format!("{earlier:?} was told before {later:?} asked, and has no lower ticket");
                violated("LINE-ORDER", &[&earlier.user, &later.user], what);
            }
        }
        let mut changes: Vec<_> = self
            .inside
            .values()
            .filter(|(from, until)| from < until)
            .flat_map(|(from, until)| [(*from, 1), (*until, -1)])
            .collect();
        // Who leaves at an instant makes room for who enters at it.
        changes.sort_unstable();
        let (mut inside, most) = (0_i64, self.plan.sale.max_active);
        for (at, change) in changes {
            inside += change;
            if inside > most {
                violated("LINE-CAP", &["-"], format!("{inside} were in at {at:?}, {most} may be"));
                return;
            }
        }
    }
}
