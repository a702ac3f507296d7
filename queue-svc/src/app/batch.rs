//! One attempt at a batch: everything that its transaction does.

use std::{
    collections::{HashMap, hash_map::Entry},
    sync::Arc,
};

use chassis::{
    db::{self, Session},
    idempotency::{self, Key},
};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::{
    drawing,
    queue::{Ask, Queue, Reply, ended},
};
use crate::{
    domain::{
        Command, CommandOutcome, Decision, PolicyRefusal, QueueRow, QueueState, QueueView, TokenRow,
        TokenStatus, TokenView, decide,
    },
    error::Error,
    store,
};

/// What is recorded of an answer for its replays. A token's place changes all the time, so a replay names the
/// same token and tells how it stands now.
#[derive(Debug, Serialize, Deserialize)]
pub(super) enum Recorded {
    Token { token: Uuid, created: bool },
    Queue(QueueView),
}

/// How one command of the batch gets its answer.
enum Plan {
    /// The command is decided now; the number is its index among the commands that are.
    Decide(usize),
    /// The request was answered before, and this was recorded.
    Replay(Recorded),
    /// The request id was used for another request.
    Reused,
    /// The same request stands earlier in this batch; the number is the index of that one's command.
    Like(usize),
}

type Answers = Vec<Result<Reply, Error>>;

/// Runs the batch in a transaction and writes which tokens were heard of. With `distrust` it first reads the
/// whole state anew.
pub(super) async fn attempt(
    queue: &Arc<Queue>,
    asks: &[Ask],
    heard: &[Uuid],
    distrust: bool,
) -> Result<Answers, Error> {
    let mut session = ready(queue, distrust).await?;
    let recorded =
        idempotency::recall_all(&mut session, asks.iter().filter_map(|ask| ask.key.as_ref())).await?;
    let (plans, commands) = plan(asks, &recorded)?;

    queue.listen();
    let now = queue.clock.now();
    let decision = queue.read(|state| decide(state, heard, commands, now));
    let strangers = ended(&mut session, strangers(queue, &plans, &decision)).await?;
    let done = done(asks, &plans, &decision, &strangers);
    let records = records(asks, &plans, &done, || queue.read(|state| queue_after(queue, state, &decision)))?;
    if decision.changed {
        store::token::write(&mut session, &queue.id, decision.head.version, &decision.rows).await?;
        store::queue::write(&mut session, &queue.id, &decision.head).await?;
        if let Some(opened) = &decision.opened {
            store::event::record(&mut session, &queue.id, decision.head.version, opened).await?;
        }
    }
    idempotency::record_all(&mut session, &records, decision.head.decided_at).await?;
    if decision.changed || !records.is_empty() {
        session.commit().await?;
    } else {
        session.rollback().await;
    }
    metrics::counter!("queue_admissions_total", "queue" => queue.id.to_string())
        .increment(decision.admitted as u64);
    Ok(publish(queue, &plans, &done, decision, &strangers))
}

/// A transaction that has locked the queue's row, with memory caught up to it. A draw that is due is held
/// before.
async fn ready(queue: &Arc<Queue>, distrust: bool) -> Result<Session, Error> {
    loop {
        let (mut session, mut head) = locked(queue).await?;
        if queue.is_behind(&head) {
            session.rollback().await;
            queue.catch_up().await?;
            (session, head) = locked(queue).await?;
        }
        if distrust {
            queue.reload(&mut session).await?;
        } else {
            queue.catch_up_locked(&mut session, &head).await?;
        }
        if let Some(session) = drawing::open(queue, session).await? {
            return Ok(session);
        }
    }
}

/// A transaction that has locked the queue's row, and that row.
async fn locked(queue: &Queue) -> Result<(Session, QueueRow), Error> {
    let mut session = queue.db.begin().await?;
    let head = store::queue::lock(&mut session, &queue.id)
        .await?
        .ok_or_else(|| Error::QueueNotFound(queue.id.to_string()))?;
    Ok((session, head))
}

fn plan(asks: &[Ask], recorded: &idempotency::Recorded) -> Result<(Vec<Plan>, Vec<Command>), Error> {
    let mut commands = Vec::with_capacity(asks.len());
    let mut plans = Vec::with_capacity(asks.len());
    let mut first: HashMap<&str, usize> = HashMap::new();
    for (at, ask) in asks.iter().enumerate() {
        if let Some(key) = &ask.key {
            let replay = match recorded.answer(key) {
                Ok(answer) => answer.map(Plan::Replay),
                Err(idempotency::Error::Reused) => Some(Plan::Reused),
                Err(error) => return Err(error.into()),
            };
            if let Some(replay) = replay {
                plans.push(replay);
                continue;
            }
            match first.entry(key.name()) {
                Entry::Occupied(earlier) => {
                    let same = asks[*earlier.get()]
                        .key
                        .as_ref()
                        .is_some_and(|other| other.fingerprint() == key.fingerprint());
                    plans.push(match plans[*earlier.get()] {
                        Plan::Decide(decided) if same => Plan::Like(decided),
                        Plan::Decide(_) | Plan::Like(_) | Plan::Replay(_) | Plan::Reused => Plan::Reused,
                    });
                    continue;
                }
                Entry::Vacant(vacant) => drop(vacant.insert(at)),
            }
        }
        plans.push(Plan::Decide(commands.len()));
        commands.push(ask.command.clone());
    }
    Ok((plans, commands))
}

/// The tokens that the answers name and memory does not have, because they have ended or another queue issued
/// them.
fn strangers(queue: &Queue, plans: &[Plan], decision: &Decision) -> Vec<Uuid> {
    let not_here = decision.outcomes.iter().filter_map(|outcome| match outcome {
        CommandOutcome::NotHere(token) => Some(*token),
        CommandOutcome::Joined { .. }
        | CommandOutcome::Full(_)
        | CommandOutcome::Completed(_)
        | CommandOutcome::Left(_)
        | CommandOutcome::NotActive(_)
        | CommandOutcome::PolicySet
        | CommandOutcome::PolicyRefused(_) => None,
    });
    let replayed = plans.iter().filter_map(|plan| match plan {
        Plan::Replay(Recorded::Token { token, .. }) => Some(*token),
        Plan::Replay(Recorded::Queue(_)) | Plan::Decide(_) | Plan::Reused | Plan::Like(_) => None,
    });
    queue.read(|state| not_here.chain(replayed).filter(|token| state.status(token).is_none()).collect())
}

type Strangers = HashMap<Uuid, (String, TokenRow)>;

/// The result of a command, before it becomes an answer.
enum Done {
    Token { row: TokenRow, created: bool },
    Queue,
    Full(i64),
    NotActive(TokenStatus),
    NotFound,
    PolicyRefused(PolicyRefusal),
}

/// The result of each command that was decided. For a token that memory does not know it follows from the
/// token's final row.
fn done(asks: &[Ask], plans: &[Plan], decision: &Decision, strangers: &Strangers) -> Vec<Done> {
    let decided = asks.iter().zip(plans).filter(|(_, plan)| matches!(plan, Plan::Decide(_)));
    let one = |((ask, _), outcome): ((&Ask, &Plan), &CommandOutcome)| match outcome {
        CommandOutcome::Joined { row, created } => Done::Token { row: row.clone(), created: *created },
        CommandOutcome::Completed(row) | CommandOutcome::Left(row) => {
            Done::Token { row: row.clone(), created: false }
        }
        CommandOutcome::Full(after) => Done::Full(*after),
        CommandOutcome::NotActive(status) => Done::NotActive(*status),
        CommandOutcome::PolicySet => Done::Queue,
        CommandOutcome::PolicyRefused(refusal) => Done::PolicyRefused(*refusal),
        CommandOutcome::NotHere(token) => match strangers.get(token) {
            Some((_, row))
                if matches!(ask.command, Command::Complete(_)) && row.status != TokenStatus::Completed =>
            {
                Done::NotActive(row.status)
            }
            Some((_, row)) => Done::Token { row: row.clone(), created: false },
            None => Done::NotFound,
        },
    };
    decided.zip(&decision.outcomes).map(one).collect()
}

/// What to record of the answers to requests that have an id. A refusal is not recorded, because the same
/// request may succeed later.
fn records<'a>(
    asks: &'a [Ask],
    plans: &[Plan],
    done: &[Done],
    queue: impl Fn() -> QueueView,
) -> Result<Vec<(&'a Key, String)>, Error> {
    let mut records = Vec::new();
    for (ask, plan) in asks.iter().zip(plans) {
        let (Some(key), Plan::Decide(at)) = (&ask.key, plan) else { continue };
        let recorded = match &done[*at] {
            Done::Token { row, created } => Recorded::Token { token: row.token, created: *created },
            Done::Queue => Recorded::Queue(queue()),
            Done::Full(_) | Done::NotActive(_) | Done::NotFound | Done::PolicyRefused(_) => continue,
        };
        let text = serde_json::to_string(&recorded).map_err(db::Error::from)?;
        records.push((key, text));
    }
    Ok(records)
}

/// The queue as this decision leaves it.
fn queue_after(queue: &Queue, state: &QueueState, decision: &Decision) -> QueueView {
    let change = |status: TokenStatus| {
        let now = decision.rows.iter().filter(|row| row.status == status).count();
        let before = decision.rows.iter().filter(|row| state.status(&row.token) == Some(status)).count();
        i64::try_from(now).unwrap_or(0) - i64::try_from(before).unwrap_or(0)
    };
    let (waiting, registered) = decision.head.told_apart(state.waiting() + change(TokenStatus::Waiting));
    QueueView {
        serving_ticket: decision.head.serving_ticket,
        waiting,
        registered,
        active: state.active() + change(TokenStatus::Active),
        policy: decision.head.policy.clone(),
        ..state.queue_view(&queue.id)
    }
}

/// Brings memory up to the commit and makes all answers from it.
fn publish(
    queue: &Queue,
    plans: &[Plan],
    done: &[Done],
    decision: Decision,
    strangers: &Strangers,
) -> Answers {
    let Decision { rows, head, changed, .. } = decision;
    let ended: HashMap<Uuid, TokenRow> =
        rows.iter().filter(|row| !row.status.is_live()).map(|row| (row.token, row.clone())).collect();
    let now = queue.clock.now();
    let dress = |state: &QueueState| {
        // A token is shown as the state has it, else as it ended in this batch, else as it was when its
        // command was decided.
        let view = |token: &Uuid, row: Option<&TokenRow>, created| {
            let as_row =
                || ended.get(token).or(row).map(|row| TokenView::of_row(row.clone(), Arc::clone(&queue.id)));
            let stranger = || {
                strangers
                    .get(token)
                    .map(|(queue_id, row)| TokenView::of_row(row.clone(), queue_id.as_str().into()))
            };
            let view = state
                .view(&queue.id, token, now)
                .or_else(as_row)
                .or_else(stranger)
                .ok_or(Error::TokenNotFound)?;
            Ok(Reply::Token { view, created })
        };
        let answer = |plan: &Plan| match plan {
            Plan::Reused => Err(Error::RequestIdReused),
            Plan::Replay(Recorded::Queue(view)) => {
                Ok(Reply::Queue(view.clone().at_present(state.queue_view(&queue.id))))
            }
            Plan::Replay(Recorded::Token { token, created }) => view(token, None, *created),
            Plan::Decide(at) | Plan::Like(at) => match &done[*at] {
                Done::Token { row, created } => view(&row.token, Some(row), *created),
                Done::Queue => Ok(Reply::Queue(state.queue_view(&queue.id))),
                Done::Full(after) => Err(Error::QueueFull(*after)),
                Done::NotActive(status) => Err(Error::TokenNotActive(*status)),
                Done::NotFound => Err(Error::TokenNotFound),
                Done::PolicyRefused(refusal) => Err(Error::Policy(*refusal)),
            },
        };
        plans.iter().map(answer).collect()
    };
    // I-LINE-COMMITTED: the commit has succeeded, and only now does memory change.
    if changed { queue.advance(head.version - 1, head, rows, None, dress) } else { queue.read(dress) }
}
