//! What the public may do with queues: join, look at a place, follow it, leave; and what an operator may.
//!
//! A place in a queue is a capability: who knows the unguessable token may look at it and follow it.

use std::time::Duration;

use boxoffice_proto::{
    Fault, Reason, json,
    queue::{
        BatchGetTokensRequest, BatchGetTokensResponse, CreateQueueRequest, Draw, GetDrawRequest,
        GetQueueRequest, GetTokenDrawRequest, GetTokenRequest, IssueTokenRequest, LeaveQueueRequest,
        ListQueuesRequest, ListQueuesResponse, Queue, QueuePolicy, Token, TokenDraw, UpdateQueueRequest,
    },
    validate::Checks,
};
use serde_json::Value;
use uuid::Uuid;

use super::{
    acting::before, caller::Caller, edge::Edge, following::Following, limits::Asker, notices::SeenPlace,
    polls::Polls, standing::standing,
};
use crate::{
    clients::{ask, whole},
    domain::pace::EventId,
};

/// The advice that polls of a place that has ended are counted against.
const ENDED: Duration = Duration::from_secs(2);

/// Joins a queue: the user's live token, and whether it is a new one.
pub(crate) async fn join(
    edge: &Edge,
    caller: &Caller,
    request: IssueTokenRequest,
) -> Result<(Token, bool), Fault> {
    let request = caller.allow(request)?;
    let request_id = edge.request_id::<IssueTokenRequest>(caller, &request.user_id, request.request_id);
    let request = IssueTokenRequest { request_id, ..request };
    let answer = ask!(edge.clients.queue, issue_token(request))?;
    Ok((whole(answer.token, "issue_token")?, answer.created))
}

/// A place, by its token: a poll, which may not come more often than is free. `polls` are those of the thread
/// that asks.
pub(crate) async fn place(edge: &Edge, polls: &Polls, token: Uuid) -> Result<SeenPlace, Fault> {
    edge.limits.poll(&token)?;
    let found = polls.get(token).await?;
    edge.limits.advise(&token, advice(&found.token));
    Ok(found)
}

/// When a place may be asked for again. One that has ended is told no time; it is still a poll.
fn advice(place: &Token) -> Duration {
    let advised = place.poll_after.and_then(|after| Duration::try_from(after).ok());
    advised.filter(|after| !after.is_zero()).unwrap_or(ENDED)
}

/// A user's live token in a queue.
pub(crate) async fn place_of(edge: &Edge, caller: &Caller, request: GetTokenRequest) -> Result<Token, Fault> {
    ask!(edge.clients.queue, get_token(caller.allow(request)?).token)
}

/// Many places, by their tokens. Each of them counts as a poll, so a batch with a place that is asked for too
/// often is refused; and each that is not found as a refusal, of the asker who is counted.
pub(crate) async fn places(
    edge: &Edge,
    caller: &Caller,
    asker: Option<&Asker>,
    request: BatchGetTokensRequest,
) -> Result<BatchGetTokensResponse, Fault> {
    let request = caller.allow(request)?;
    edge.limits.poll_each(&request.tokens)?;
    let found = ask!(edge.clients.queue, batch_get_tokens(request))?;
    if let Some(asker) = asker {
        let refused = Reason::TokenNotFound.http().as_u16();
        found.not_found.iter().for_each(|_| edge.limits.count_refusal(asker, refused));
    }
    for place in &found.tokens {
        if let Ok(token) = Uuid::try_parse(&place.token) {
            edge.limits.advise(&token, advice(place));
        }
    }
    Ok(found)
}

/// Follows a place for a client that knows the state `known`. `None`: the token has ended, the client knows
/// that, and nothing more will come.
pub(crate) async fn follow(
    edge: &Edge,
    polls: &Polls,
    token: Uuid,
    known: Option<EventId>,
) -> Result<Option<Following>, Fault> {
    let first = polls.get(token).await?;
    let now = standing(&first);
    if now.is_final && known.is_some_and(|known| !known.is_news(&now)) {
        return Ok(None);
    }
    edge.followers.follow(first, known).map(Some)
}

/// Leaves a queue, waiting or admitted: the token as it is then. Leaving with a token that has ended changes
/// nothing.
pub(crate) async fn leave(edge: &Edge, caller: &Caller, request: LeaveQueueRequest) -> Result<Token, Fault> {
    let request = caller.allow(request)?;
    let request_id = edge.request_id::<LeaveQueueRequest>(caller, &request.user_id, request.request_id);
    let request = LeaveQueueRequest { request_id, ..request };
    ask!(edge.clients.queue, leave_queue(request).token)
}

/// A queue, as everyone may see it.
pub(crate) async fn get(edge: &Edge, queue_id: String) -> Result<Queue, Fault> {
    ask!(edge.clients.queue, get_queue(GetQueueRequest { queue_id }).queue)
}

/// The draw of a queue, as everyone may see it.
pub(crate) async fn draw(edge: &Edge, request: GetDrawRequest) -> Result<Draw, Fault> {
    ask!(edge.clients.queue, get_draw(request).draw)
}

/// What was drawn for a token, for whoever knows the token.
pub(crate) async fn token_draw(edge: &Edge, request: GetTokenDrawRequest) -> Result<TokenDraw, Fault> {
    ask!(edge.clients.queue, get_token_draw(request).token_draw)
}

/// A page of the queues.
pub(crate) async fn list(
    edge: &Edge,
    caller: &Caller,
    request: ListQueuesRequest,
) -> Result<ListQueuesResponse, Fault> {
    ask!(edge.clients.queue, list_queues(caller.allow(request)?))
}

/// What the operators' journal keeps of a queue.
fn tell(queue: &Queue) -> Value {
    json::of("boxoffice.queue.v1.Queue", queue)
}

/// The id of the queue that a request means.
fn named(queue_id: &str) -> String {
    Checks::default().queue_id("queue_id", queue_id)
}

/// The queue before a change.
async fn as_it_is(edge: &Edge, queue_id: &str) -> Result<Option<String>, Fault> {
    before(tell, get(edge, queue_id.to_owned()).await, Reason::QueueNotFound)
}

/// Creates a queue.
pub(crate) async fn create(
    edge: &Edge,
    caller: &Caller,
    request: CreateQueueRequest,
) -> Result<Queue, Fault> {
    let request = caller.allow(request)?;
    let request_id = edge.request_id::<CreateQueueRequest>(caller, "", request.request_id);
    let request = CreateQueueRequest { request_id, ..request };
    let (was, target) = (as_it_is(edge, &request.queue_id).await?, named(&request.queue_id));
    let queue = edge.clients.queue.clone();
    let create = async move { ask!(queue, create_queue(request).queue) };
    edge.acting.act::<CreateQueueRequest, _>(caller, &target, was, tell, create).await
}

/// Changes a queue's policy.
pub(crate) async fn update(
    edge: &Edge,
    caller: &Caller,
    request: UpdateQueueRequest,
) -> Result<Queue, Fault> {
    let request = caller.allow(request)?;
    let request_id = edge.request_id::<UpdateQueueRequest>(caller, "", request.request_id);
    let request = UpdateQueueRequest { request_id, ..request };
    let (was, target) = (as_it_is(edge, &request.queue_id).await?, named(&request.queue_id));
    let queue = edge.clients.queue.clone();
    let update = async move { ask!(queue, update_queue(request).queue) };
    edge.acting.act::<UpdateQueueRequest, _>(caller, &target, was, tell, update).await
}

/// Changes a queue's policy, or creates the queue with it: the queue, and whether it is a new one.
pub(crate) async fn put(
    edge: &Edge,
    caller: &Caller,
    queue_id: String,
    policy: QueuePolicy,
) -> Result<(Queue, bool), Fault> {
    let (policy, request_id) = (Some(policy), String::new());
    let change = UpdateQueueRequest {
        queue_id: queue_id.clone(),
        policy: policy.clone(),
        request_id: request_id.clone(),
    };
    match update(edge, caller, change.clone()).await {
        Err(fault) if fault.reason == Reason::QueueNotFound => {}
        done => return done.map(|queue| (queue, false)),
    }
    match create(edge, caller, CreateQueueRequest { queue_id, policy, request_id }).await {
        Ok(queue) => Ok((queue, true)),
        // Another request created it in between, so this one changes it.
        Err(fault) if fault.reason == Reason::InvalidArgument => {
            update(edge, caller, change).await.map(|queue| (queue, false)).map_err(|_| fault)
        }
        Err(fault) => Err(fault),
    }
}
