//! What the public may do with queues: join, look at a place, follow it, leave; and what an operator may.
//!
//! A place in a queue is a capability: who knows the unguessable token may look at it and follow it.

use boxoffice_proto::{
    Fault, Reason,
    queue::{
        CreateQueueRequest, GetQueueRequest, GetTokenRequest, IssueTokenRequest, LeaveQueueRequest, Queue,
        QueuePolicy, Token, UpdateQueueRequest,
    },
};
use uuid::Uuid;

use super::{caller::Caller, edge::Edge, following::Following, polls::Polls, standing::standing};
use crate::{
    clients::{ask, whole},
    domain::pace::EventId,
};

/// Joins a queue: the user's live token, and whether it is a new one.
pub(crate) async fn join(
    edge: &Edge,
    caller: &Caller,
    request: IssueTokenRequest,
) -> Result<(Token, bool), Fault> {
    let request = caller.allow(request)?;
    let request = IssueTokenRequest { request_id: edge.request_id(request.request_id), ..request };
    let answer = ask!(edge.clients.queue, issue_token(request))?;
    Ok((whole(answer.token, "issue_token")?, answer.created))
}

/// A place, by its token. `polls` are those of the thread that asks.
pub(crate) async fn place(polls: &Polls, token: Uuid) -> Result<Token, Fault> {
    polls.get(token).await
}

/// A user's live token in a queue.
pub(crate) async fn place_of(edge: &Edge, caller: &Caller, user_id: String) -> Result<Token, Fault> {
    let request = caller.allow(GetTokenRequest { user_id, ..GetTokenRequest::default() })?;
    ask!(edge.clients.queue, get_token(request).token)
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

/// Leaves a queue, waiting or admitted. Leaving with a token that has ended changes nothing.
pub(crate) async fn leave(edge: &Edge, caller: &Caller, token: Uuid) -> Result<(), Fault> {
    let request = LeaveQueueRequest {
        token: token.to_string(),
        request_id: edge.request_id(String::new()),
        user_id: String::new(),
    };
    let request = caller.allow(request)?;
    ask!(edge.clients.queue, leave_queue(request)).map(drop)
}

/// A queue, as everyone may see it.
pub(crate) async fn get(edge: &Edge, queue_id: String) -> Result<Queue, Fault> {
    ask!(edge.clients.queue, get_queue(GetQueueRequest { queue_id }).queue)
}

/// Changes a queue's policy, or creates the queue with it: the queue, and whether it is a new one.
pub(crate) async fn put(
    edge: &Edge,
    caller: &Caller,
    queue_id: String,
    policy: QueuePolicy,
) -> Result<(Queue, bool), Fault> {
    caller.allow(UpdateQueueRequest::default())?;
    caller.allow(CreateQueueRequest::default())?;
    let update = async || {
        let (queue_id, request_id) = (queue_id.clone(), edge.request_id(String::new()));
        let request = UpdateQueueRequest { queue_id, policy: Some(policy), request_id };
        ask!(edge.clients.queue, update_queue(request).queue).map(|queue| (queue, false))
    };
    match update().await {
        Err(fault) if fault.reason == Reason::QueueNotFound => {}
        done => return done,
    }
    let (id, request_id) = (queue_id.clone(), edge.request_id(String::new()));
    let request = CreateQueueRequest { queue_id: id, policy: Some(policy), request_id };
    match ask!(edge.clients.queue, create_queue(request).queue) {
        Ok(queue) => Ok((queue, true)),
        // Another request created it in between, so this one changes it.
        Err(fault) if fault.reason == Reason::InvalidArgument => update().await.map_err(|_| fault),
        Err(fault) => Err(fault),
    }
}
