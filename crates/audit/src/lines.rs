//! The queues: tickets in order, nobody overtaken, nobody twice in one queue, no more admitted than its
//! limits allow, and the order that was drawn where a queue opened by lot.

use std::collections::HashMap;

use futures::TryStreamExt;
use uuid::Uuid;

use crate::{
    Error,
    draws::{self, Drawn},
    law::Breaches,
    report::{Difference, Doubt, Law, Look},
    snapshot::{Row, Snapshot, Sql},
};

const LINES: &str = "SELECT queue_id, max_active, admit_per_minute, last_ticket, serving_ticket, decided_at, version FROM queue";
/// In the order of tickets, which is that of arrival; the unique index has it.
const TOKENS: &str = "SELECT queue_id, ticket, token, status, priority, entered_at, admitted_at, requeues, version \
                      FROM token ORDER BY queue_id, ticket";
const TWICE: &str = "SELECT queue_id, user_id, MIN({id:token}), MAX({id:token}), CAST(COUNT(*) AS TEXT) FROM token \
                     WHERE status IN (1, 2) GROUP BY queue_id, user_id HAVING COUNT(*) > 1";
const LANES: usize = 10;
const WAITING: i64 = 1;
const ACTIVE: i64 = 2;
const MINUTE: i64 = 60_000_000;

/// The row of a queue.
#[derive(Clone, Copy, Debug)]
struct QueueRow {
    max_active: i64,
    admit_per_minute: i64,
    last_ticket: i64,
    serving_ticket: i64,
    decided_at: i64,
    version: i64,
}

/// The columns of a token that are judged.
#[derive(Clone, Copy, Debug)]
struct Token {
    ticket: i64,
    id: Uuid,
    status: i64,
    lane: usize,
    entered_at: i64,
    admitted_at: Option<i64>,
    requeues: i64,
    version: i64,
}

/// The progress through the tickets of one queue.
#[derive(Debug, Default)]
struct QueueWalk {
    name: String,
    head: Option<QueueRow>,
    last: Option<Token>,
    /// The last token that was never sent back to the end of its lane.
    came: Option<Token>,
    lanes: [LaneWalk; LANES],
    active: i64,
    /// Tokens that were admitted in the last minute before the queue's last decision.
    lately: i64,
    /// The token that was admitted last.
    newest: Option<Token>,
    /// The highest ticket that was admitted.
    served: i64,
    /// What was drawn, where the queue opened by lot.
    drawn: Option<Drawn>,
    /// The tokens of such a queue, which are judged in the order that was drawn.
    dealt: Vec<Token>,
}

/// What was seen of a lane so far, and has not been reported yet.
#[derive(Clone, Copy, Debug, Default)]
struct LaneWalk {
    waiting: Option<Token>,
    latest: Option<Token>,
}

pub(crate) async fn judge(look: &mut Look, snapshot: &mut Snapshot) -> Result<(), Error> {
    let mut heads = heads(snapshot).await?;
    look.checked().lines = u64::try_from(heads.len()).unwrap_or(u64::MAX);
    let mut drawn = draws::judge(look, snapshot).await?;
    walk(look, snapshot, &mut heads, &mut drawn).await?;
    let twice = Breaches {
        law: Law::LineOne,
        sql: Sql::from(TWICE),
        ids: &["line", "user", "token", "token"],
        what: "{1} has {4} live tokens in {0}",
    };
    twice.judge(look, snapshot).await
}

async fn heads(snapshot: &mut Snapshot) -> Result<HashMap<String, QueueRow>, Error> {
    let mut heads = HashMap::new();
    let mut rows = snapshot.rows(LINES);
    while let Some(row) = rows.try_next().await? {
        let head = QueueRow {
            max_active: row.get(1)?,
            admit_per_minute: row.get(2)?,
            last_ticket: row.get(3)?,
            serving_ticket: row.get(4)?,
            decided_at: row.get(5)?,
            version: row.get(6)?,
        };
        heads.insert(row.get(0)?, head);
    }
    Ok(heads)
}

async fn walk(
    look: &mut Look,
    snapshot: &mut Snapshot,
    heads: &mut HashMap<String, QueueRow>,
    drawn: &mut HashMap<String, Drawn>,
) -> Result<(), Error> {
    let mut rows = snapshot.rows(TOKENS);
    let mut line: Option<QueueWalk> = None;
    while let Some(row) = rows.try_next().await? {
        let name: String = row.get(0)?;
        if line.as_ref().is_none_or(|line| line.name != name) {
            line.take().into_iter().for_each(|line| line.close(look));
            let head = heads.remove(&name);
            let drawn = drawn.remove(&name);
            line = Some(QueueWalk { name, head, drawn, ..QueueWalk::default() });
        }
        let token = Token::read(&row)?;
        if let Some(line) = &mut line {
            line.come(look, token);
        }
        let checked = look.checked();
        checked.tokens += 1;
        checked.active += u64::from(token.status == ACTIVE);
        checked.waiting += u64::from(token.status == WAITING);
        let tokens = checked.tokens;
        look.read("tokens", tokens);
    }
    line.into_iter().for_each(|line| line.close(look));
    Ok(())
}

impl Token {
    fn read(row: &Row) -> Result<Self, Error> {
        Ok(Self {
            ticket: row.get(1)?,
            id: row.get(2)?,
            status: row.get(3)?,
            lane: usize::try_from(row.get::<i64>(4)?).unwrap_or(LANES).min(LANES - 1),
            entered_at: row.get(5)?,
            admitted_at: row.get(6)?,
            requeues: row.get(7)?,
            version: row.get(8)?,
        })
    }

    fn admitted(&self) -> i64 {
        self.admitted_at.unwrap_or(i64::MIN)
    }
}

impl QueueWalk {
    fn ids(&self, tokens: &[&Token]) -> Vec<(&'static str, String)> {
        let mut ids = vec![("line", self.name.clone())];
        ids.extend(tokens.iter().map(|token| ("token", token.id.to_string())));
        ids
    }

    /// The next token by the tickets as they are written. Of those who took part in a draw most have the
    /// ticket of their coming still, until something else changes their row.
    fn come(&mut self, look: &mut Look, mut token: Token) {
        let Some(drawn) = &self.drawn else { return self.next(look, token) };
        let (mine, theirs) = (drawn.ticket(&token.id), drawn.token(token.ticket));
        let wrong = if token.ticket > drawn.after {
            theirs.is_some_and(|other| *other != token.id).then_some("has the number of another token")
        } else if token.status == WAITING {
            mine.is_none().then_some("waits, came before the draw, and took no part")
        } else {
            // Who left while the draw waited for its beacon took part all the same.
            let has_left = drawn.waited && token.admitted_at.is_none();
            (mine.is_some() && !has_left).then_some("took part, and has ended with the ticket of its coming")
        };
        if let Some(wrong) = wrong {
            let what = format!("ticket {} of {} {wrong}", token.ticket, self.name);
            look.differs(Law::Draw, what, self.ids(&[&token]));
        }
        if token.ticket <= drawn.after && token.status == WAITING {
            token.ticket = mine.unwrap_or(token.ticket);
        }
        self.dealt.push(token);
    }

    fn next(&mut self, look: &mut Look, token: Token) {
        let name = &self.name;
        if let Some(last) = self.last.filter(|last| last.ticket == token.ticket) {
            let what = format!("ticket {} of {name} was given twice", token.ticket);
            // The order of rows with one ticket is not defined.
            let both = if last.id < token.id { [&last, &token] } else { [&token, &last] };
            look.differs(Law::LineOrder, what, self.ids(&both));
        }
        // A requeued token has a later ticket than its arrival deserves, by the rules.
        // The order of coming is not that of a draw.
        let by_lot = self.drawn.as_ref().is_some_and(|drawn| drawn.token(token.ticket).is_some());
        if token.requeues == 0 && !by_lot {
            if let Some(before) = self.came.filter(|before| before.entered_at > token.entered_at) {
                let what = format!("ticket {} of {name} came before ticket {}", token.ticket, before.ticket);
                look.differs(Law::LineOrder, what, self.ids(&[&before, &token]));
            } else {
                self.came = Some(token);
            }
        }
        self.in_lane(look, &token);
        if token.status == ACTIVE {
            self.active += 1;
        }
        if let Some(admitted_at) = token.admitted_at {
            self.served = token.ticket;
            self.lately += i64::from(self.head.is_some_and(|head| admitted_at > head.decided_at - MINUTE));
            if self.newest.is_none_or(|newest| newest.admitted() <= admitted_at) {
                self.newest = Some(token);
            }
        }
        self.last = Some(token);
    }

    fn in_lane(&mut self, look: &mut Look, token: &Token) {
        let LaneWalk { waiting, latest } = self.lanes[token.lane];
        let (name, lane) = (&self.name, token.lane);
        if token.status == WAITING && waiting.is_none() {
            self.lanes[lane].waiting = Some(*token);
        }
        let Some(admitted_at) = token.admitted_at else { return };
        if let Some(waiting) = waiting {
            let what = format!(
                "ticket {} of {name} (lane {lane}) waits, ticket {} was admitted",
                waiting.ticket, token.ticket
            );
            look.differs(Law::LineOrder, what, self.ids(&[&waiting, token]));
            self.lanes[lane].waiting = None;
        }
        match latest {
            Some(latest) if latest.admitted() > admitted_at => {
                let what = format!(
                    "ticket {} of {name} (lane {lane}) was admitted {} µs after ticket {}",
                    latest.ticket,
                    latest.admitted().saturating_sub(admitted_at),
                    token.ticket
                );
                look.differs(Law::LineOrder, what, self.ids(&[&latest, token]));
                // Reported once, not for everybody behind this token.
                self.lanes[lane].latest = Some(*token);
            }
            Some(_) | None => self.lanes[lane].latest = Some(*token),
        }
    }

    fn close(mut self, look: &mut Look) {
        let mut dealt = std::mem::take(&mut self.dealt);
        dealt.sort_unstable_by_key(|token| token.ticket);
        dealt.into_iter().for_each(|token| self.next(look, token));
        let Some(head) = self.head else {
            let what = format!("there are tokens of a line {} that is not there", self.name);
            return look.differs(Law::LineOrder, what, self.ids(&[]));
        };
        let highest = self.last.map_or(0, |last| last.ticket);
        if highest > head.last_ticket || self.served > head.serving_ticket {
            let what = format!(
                "{} gave out {} tickets and served up to {}, by its tokens {highest} and {}",
                self.name, head.last_ticket, head.serving_ticket, self.served
            );
            look.differs(Law::LineOrder, what, self.ids(&[]));
        }
        if self.active > head.max_active {
            let what = format!(
                "{} people are ACTIVE in {}, which allows {}",
                self.active, self.name, head.max_active
            );
            self.over(look, head, Law::LineCap, what, head.max_active);
        }
        if self.lately > head.admit_per_minute {
            let what = format!(
                "{} people were admitted to {} in a minute, which allows {}",
                self.lately, self.name, head.admit_per_minute
            );
            self.over(look, head, Law::LineRate, what, head.admit_per_minute);
        }
    }

    /// Reports a limit that is exceeded. It is a difference if an admission was the last thing that happened
    /// in the queue (the version of a token alone does not say so, since a heartbeat changes it too);
    /// otherwise the limit may have been lowered.
    fn over(&self, look: &mut Look, head: QueueRow, law: Law, what: String, limit: i64) {
        let Some(newest) = self.newest else { return };
        let difference = Difference { law, what, ids: self.ids(&[]) };
        if newest.version == head.version && newest.admitted_at == Some(head.decided_at) {
            look.differs(law, difference.what, difference.ids);
        } else {
            look.doubts(Doubt { difference, line: self.name.clone(), limit, newest: newest.admitted() });
        }
    }
}
