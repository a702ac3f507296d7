//! The line: it opens at its instant and not before (I-LINE-OPENS), for everybody at once; who came first is
//! served first, no more are in than may be, and nobody has two places.

use std::{collections::BTreeMap, rc::Rc, time::Duration};

use audit::draw::{Hash, leads, sha256};
use serde_json::Value;

use super::{STALE, message::Said};
use crate::{
    history::{count, violated},
    mesh::network,
    plan::{Plan, Rounds},
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
    /// The tokens that were told to be registered: when first, and the ticket that each keeps: by lot that
    /// which it was told after the draw, otherwise that with which it registered.
    registered: BTreeMap<String, (Duration, Option<i64>)>,
    /// When somebody was told first that the line is open.
    open: Option<Duration>,
    /// What the office says to all who wait.
    pub said: Said,
    /// What was told of the draw so far, by its members.
    draw: BTreeMap<&'static str, Value>,
    /// How far tickets are from numbers, and whose each number is.
    numbers: BTreeMap<i64, String>,
    after: Option<i64>,
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
            registered: BTreeMap::new(),
            open: None,
            said: Said::new(),
            draw: BTreeMap::new(),
            numbers: BTreeMap::new(),
            after: None,
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

    /// Who registered keeps their place, by lot or in the order of coming, whoever tells it, until their
    /// token is sent back. Once somebody is told that the line is open, nobody is told that it is not.
    fn at_the_opening(&mut self, user: &str, answer: &Answer) {
        let (token, ticket) = (answer.text("token"), answer.number("ticket"));
        match answer.text("status") {
            "REGISTERED" => {
                let kept = self.plan.fifo.map(|_| ticket);
                let first = self.registered.entry(token.to_owned()).or_insert((answer.received, kept));
                if kept.is_some() && first.1 != kept {
                    let what = format!("token {token} is registered with ticket {ticket}: {first:?}");
                    violated("LINE-ORDER", &[user], what);
                }
                if let Some(at) = self.open.filter(|at| *at + STALE < answer.sent) {
                    let what = format!("token {token} is registered, and the line was open at {at:?}");
                    violated("LINE-OPENS", &[user], what);
                }
            }
            status @ ("WAITING" | "ACTIVE") if answer.number("requeues") == 0 => {
                let Some((_, told)) = self.registered.get_mut(token) else { return };
                let before = *told.get_or_insert(ticket);
                if before != ticket {
                    let rule = if self.plan.fifo.is_some() { "LINE-ORDER" } else { "DRAW" };
                    let what = format!("token {token} is {status} with ticket {ticket}, and had {before}");
                    violated(rule, &[user], what);
                }
            }
            _ => {}
        }
    }

    /// The tokens that were told to be registered.
    #[must_use]
    pub fn registered(&self) -> Vec<String> {
        self.registered.keys().cloned().collect()
    }

    /// What is told in the end of a token that was registered: it took part, its number is the one by which
    /// it waited, and nobody else has it.
    pub fn drawn(&mut self, token: &str, draw: &Answer, drawn: &Answer) {
        if drawn.status == 404 {
            // Who left before the draw took no part, nor did who came while it waited for its beacon.
            let opens = self.plan.draw.unwrap_or_default();
            let in_time = |told: Duration| self.plan.beacon.is_none() || told + STALE < opens;
            if self.registered.get(token).is_some_and(|(told, ticket)| ticket.is_some() && in_time(*told)) {
                violated("DRAW", &[token], format!("token {token} waited, and took no part"));
            }
            return;
        }
        count("numbers drawn");
        let number = drawn.number("number");
        let mut wrong = Vec::new();
        if let Some(other) = self.numbers.insert(number, token.to_owned()) {
            wrong.push(format!("{other} has its number too"));
        }
        if let Some(ticket) = self.registered.get(token).and_then(|(_, ticket)| *ticket)
            && *self.after.get_or_insert(ticket - number) != ticket - number
        {
            wrong.push(format!("it waited with ticket {ticket}"));
        }
        if drawn.number("of") != draw.number("registered") {
            wrong.push(format!("so many took part: {}", draw.number("registered")));
        }
        if !in_the_tree(draw, drawn) {
            wrong.push("its proof does not hold".to_owned());
        }
        for what in wrong {
            violated("DRAW", &[token], format!("number {number} of token {token}: {what}"));
        }
    }

    /// The draw was told, by a replica that may be behind another. What is told of it once stays, and in the
    /// end it follows from what was told before.
    pub fn told_of_the_draw(&mut self, draw: &Answer) {
        for member in [
            "commitment",
            "root",
            "rootAt",
            "secret",
            "beacon",
            "seed",
            "beaconChain",
            "beaconRound",
            "beaconSignature",
        ] {
            let now = &draw.body[member];
            let before = self.draw.entry(member).or_default();
            if before.is_null() {
                *before = now.clone();
            } else if before != now && !now.is_null() {
                violated("DRAW", &["-"], format!("{member} of the draw was {before} and is {now}"));
            }
        }
        let text = |member: &str| draw.body[member].as_str().unwrap_or_default();
        if text("secret").is_empty() {
            return;
        }
        let rounds = self.plan.beacon;
        let round = draw.body["beaconRound"].as_i64();
        let signature = match (rounds, round) {
            (Some(Rounds { late: Some(_), .. }), Some(round)) => network().signature(round),
            _ => Vec::new(),
        };
        let beacon = if signature.is_empty() { Vec::new() } else { sha256(&[&signature]).to_vec() };
        let bytes = |member: &str| chassis::hex::read(text(member)).unwrap_or_default();
        let seed = sha256(&[&bytes("secret"), &bytes("root"), &beacon]);
        if rounds.is_some() != round.is_some() || bytes("beacon") != beacon || bytes("seed") != seed {
            violated("DRAW", &["-"], format!("the draw does not follow from its beacon: {}", draw.body));
        }
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
        self.at_the_opening(user, answer);
        self.said.seen(user, answer);
        // By a clock that is fast the instant comes so much earlier.
        let early = Duration::from_micros(self.plan.skew.unsigned_abs());
        if matches!(status, "WAITING" | "ACTIVE") {
            self.open.get_or_insert(answer.received);
        }
        if let Some(opens) = self.plan.draw.or(self.plan.fifo)
            && matches!(status, "WAITING" | "ACTIVE")
            && answer.received + early < opens
        {
            let what = format!("token {token} is {status}, and the line opens at {opens:?}");
            violated("LINE-OPENS", &[user], what);
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

/// Whether the proof of a token leads to the root of the draw.
fn in_the_tree(draw: &Answer, drawn: &Answer) -> bool {
    let proof = &drawn.body["proof"];
    let path: Option<Vec<Hash>> = proof["path"].as_array().and_then(|path| path.iter().map(hash).collect());
    let (Some(root), Some(own), Some(path)) = (hash(&draw.body["root"]), hash(&drawn.body["hash"]), path)
    else {
        return false;
    };
    let (Some(index), Some(size)) = (proof["index"].as_u64(), proof["size"].as_u64()) else { return false };
    leads(&root, &own, index, size, &path)
}

fn hash(hex: &Value) -> Option<Hash> {
    let hex = hex.as_str().filter(|hex| hex.len() == 64 && hex.is_ascii())?;
    let mut hash = [0; 32];
    for (at, byte) in hash.iter_mut().enumerate() {
        *byte = u8::from_str_radix(&hex[2 * at..2 * at + 2], 16).ok()?;
    }
    Some(hash)
}
