//! `boxoffice.queue.v1.QueueService`.

use std::pin::Pin;

use boxoffice_proto::{
    Fault,
    queue::{
        BatchGetTokensRequest, BatchGetTokensResponse, CompleteTokenRequest, CompleteTokenResponse,
        CreateQueueRequest, CreateQueueResponse, GetQueueRequest, GetQueueResponse, GetTokenRequest,
        GetTokenResponse, IssueTokenRequest, IssueTokenResponse, LeaveQueueRequest, LeaveQueueResponse,
        ListQueuesRequest, ListQueuesResponse, UpdateQueueRequest, UpdateQueueResponse, VerifyTokenRequest,
        VerifyTokenResponse, WatchTokenRequest, WatchTokenResponse, queue_service_server::QueueService,
    },
    validate::Checks,
};
use chassis::{idempotency::Key, page::List};
use futures::{Stream, StreamExt};
use serde::Serialize;
use tokio_util::sync::CancellationToken;
use tonic::{Request, Response, Status};
use uuid::Uuid;

use super::convert;
use crate::{
    Error,
    app::{Claim, Cursor, Seen, WaitingRoom, place},
    domain::QueuePolicy,
};

/// Tokens of one BatchGetTokens at most, as the contract says.
const MAX_BATCH: usize = 1_000;
/// The lane of somebody who names none.
const DEFAULT_LANE: i32 = 5;

/// The service over a [`WaitingRoom`].
#[derive(Clone, Debug)]
pub struct Service {
    room: WaitingRoom,
    /// Ends the streams.
    shutdown: CancellationToken,
}

impl Service {
    /// Serves this room; streams end with the shutdown.
    #[must_use]
    pub const fn new(room: WaitingRoom, shutdown: CancellationToken) -> Self {
        Self { room, shutdown }
    }
}

type Answer<T> = Result<Response<T>, Status>;

fn told(error: Error) -> Status {
    Fault::from(error).into()
}

fn key(request_id: Option<String>, method: &str, owner: &str, command: &impl Serialize) -> Option<Key> {
    request_id.map(|id| Key::new(id, method, owner, command))
}

/// The name of a queue that must be given: here nothing means nothing.
fn named_queue(checks: &mut Checks, value: &str) -> String {
    if value.is_empty() {
        checks.refuse("queue_id", "is required");
    }
    checks.queue_id("queue_id", value)
}

#[tonic::async_trait]
impl QueueService for Service {
    type WatchTokenStream = Pin<Box<dyn Stream<Item = Result<WatchTokenResponse, Status>> + Send>>;

    async fn create_queue(&self, request: Request<CreateQueueRequest>) -> Answer<CreateQueueResponse> {
        let request = request.into_inner();
        let mut checks = Checks::default();
        let queue_id = named_queue(&mut checks, &request.queue_id);
        let patch = convert::patch(&mut checks, request.policy);
        let request_id = checks.request_id(&request.request_id);
        checks.finish()?;
        let key = key(request_id, "CreateQueue", "", &(&queue_id, &patch));
        let policy = patch.apply(&QueuePolicy::default());
        let view = self.room.create_queue(&queue_id, policy, key).await.map_err(told)?;
        Ok(Response::new(CreateQueueResponse { queue: Some(convert::queue(view)) }))
    }

    async fn update_queue(&self, request: Request<UpdateQueueRequest>) -> Answer<UpdateQueueResponse> {
        let request = request.into_inner();
        let mut checks = Checks::default();
        let queue_id = checks.queue_id("queue_id", &request.queue_id);
        let patch = convert::patch(&mut checks, request.policy);
        let request_id = checks.request_id(&request.request_id);
        checks.finish()?;
        let key = key(request_id, "UpdateQueue", "", &(&queue_id, &patch));
        let view = self.room.update_queue(&queue_id, patch, key).await.map_err(told)?;
        Ok(Response::new(UpdateQueueResponse { queue: Some(convert::queue(view)) }))
    }

    async fn get_queue(&self, request: Request<GetQueueRequest>) -> Answer<GetQueueResponse> {
        let mut checks = Checks::default();
        let queue_id = checks.queue_id("queue_id", &request.into_inner().queue_id);
        checks.finish()?;
        let view = self.room.queue(&queue_id).await.map_err(told)?;
        Ok(Response::new(GetQueueResponse { queue: Some(convert::queue(view)) }))
    }

    async fn list_queues(&self, request: Request<ListQueuesRequest>) -> Answer<ListQueuesResponse> {
        let request = request.into_inner();
        let mut checks = Checks::default();
        let refuse = |field: &str, wrong: &str| checks.refuse(field, wrong);
        let page =
            List::of("queues", "").read(request.page_size, &request.page_token, None::<Cursor>, refuse);
        checks.finish()?;
        let limit = usize::try_from(page.limit()).unwrap_or_default();
        let found = self.room.list_queues(page.from().as_ref(), limit).await.map_err(told)?;
        let (queues, next_page_token) = page.answer(found, |view| Some(place(view)), convert::queue);
        Ok(Response::new(ListQueuesResponse { queues, next_page_token }))
    }

    async fn issue_token(&self, request: Request<IssueTokenRequest>) -> Answer<IssueTokenResponse> {
        let request = request.into_inner();
        let mut checks = Checks::default();
        let queue_id = checks.queue_id("queue_id", &request.queue_id);
        let user = checks.user_id("user_id", &request.user_id);
        let lane = checks.range("priority", request.priority.unwrap_or(DEFAULT_LANE), 0..=9);
        let request_id = checks.request_id(&request.request_id);
        checks.finish()?;
        let lane = u8::try_from(lane).unwrap_or_default();
        let key = key(request_id, "IssueToken", &user, &(&queue_id, &user, lane));
        let (view, created) = self.room.join(&queue_id, &user, lane, key).await.map_err(told)?;
        Ok(Response::new(IssueTokenResponse { token: Some(convert::token(view)), created }))
    }

    async fn get_token(&self, request: Request<GetTokenRequest>) -> Answer<GetTokenResponse> {
        let request = request.into_inner();
        let mut checks = Checks::default();
        let view = if request.token.is_empty() && !request.user_id.is_empty() {
            let queue_id = checks.queue_id("queue_id", &request.queue_id);
            let user = checks.user_id("user_id", &request.user_id);
            checks.finish()?;
            self.room.token_of(&queue_id, &user).await
        } else {
            let token = checks.uuid("token", &request.token);
            checks.finish()?;
            self.room.token(token).await
        };
        Ok(Response::new(GetTokenResponse { token: Some(convert::token(view.map_err(told)?)) }))
    }

    async fn batch_get_tokens(
        &self,
        request: Request<BatchGetTokensRequest>,
    ) -> Answer<BatchGetTokensResponse> {
        let asked = request.into_inner().tokens;
        let mut checks = Checks::default();
        if asked.len() > MAX_BATCH {
            return Err(Fault::invalid_field("tokens", format!("must be at most {MAX_BATCH}")).into());
        }
        let mut ids = Vec::with_capacity(asked.len());
        for (at, token) in asked.iter().enumerate() {
            // The field's name is put together only where something is wrong with it.
            ids.push(
                Uuid::try_parse(token)
                    .ok()
                    .filter(|_| token.len() == 36)
                    .unwrap_or_else(|| checks.uuid(&format!("tokens[{at}]"), token)),
            );
        }
        checks.finish()?;
        let seen = self.room.tokens(&ids).await;
        let mut answer = BatchGetTokensResponse {
            tokens: Vec::with_capacity(ids.len()),
            ..BatchGetTokensResponse::default()
        };
        for (word, seen) in asked.into_iter().zip(seen) {
            match seen {
                Seen::Token(view) => answer.tokens.push(convert::token(view)),
                Seen::Unknown => answer.not_found.push(word),
                Seen::NotNow => answer.unavailable.push(word),
            }
        }
        Ok(Response::new(answer))
    }

    async fn watch_token(&self, request: Request<WatchTokenRequest>) -> Answer<Self::WatchTokenStream> {
        let mut checks = Checks::default();
        let token = checks.uuid("token", &request.into_inner().token);
        checks.finish()?;
        let views = self.room.watch(token, &self.shutdown).await.map_err(told)?;
        let message = |view| WatchTokenResponse { token: Some(convert::token(view)) };
        Ok(Response::new(Box::pin(views.map(move |view| view.map(message).map_err(told)))))
    }

    async fn verify_token(&self, request: Request<VerifyTokenRequest>) -> Answer<VerifyTokenResponse> {
        let request = request.into_inner();
        let mut checks = Checks::default();
        let token = checks.uuid("token", &request.token);
        let queue_id = (!request.queue_id.is_empty()).then(|| checks.queue_id("queue_id", &request.queue_id));
        let user = (!request.user_id.is_empty()).then(|| checks.user_id("user_id", &request.user_id));
        checks.finish()?;
        let claim = Claim { token, queue_id, user, fresh: request.fresh };
        let view = self.room.verify(&claim).await.map_err(told)?;
        Ok(Response::new(VerifyTokenResponse { token: Some(convert::token(view)) }))
    }

    async fn complete_token(&self, request: Request<CompleteTokenRequest>) -> Answer<CompleteTokenResponse> {
        let request = request.into_inner();
        let mut checks = Checks::default();
        let token = checks.uuid("token", &request.token);
        let request_id = checks.request_id(&request.request_id);
        checks.finish()?;
        let view = self
            .room
            .complete(token, key(request_id, "CompleteToken", &token.to_string(), &token))
            .await
            .map_err(told)?;
        Ok(Response::new(CompleteTokenResponse { token: Some(convert::token(view)) }))
    }

    async fn leave_queue(&self, request: Request<LeaveQueueRequest>) -> Answer<LeaveQueueResponse> {
        let request = request.into_inner();
        let mut checks = Checks::default();
        let token = checks.uuid("token", &request.token);
        let request_id = checks.request_id(&request.request_id);
        checks.finish()?;
        let view = self
            .room
            .leave(token, key(request_id, "LeaveQueue", &token.to_string(), &token))
            .await
            .map_err(told)?;
        Ok(Response::new(LeaveQueueResponse { token: Some(convert::token(view)) }))
    }
}

#[cfg(test)]
mod tests {
    use boxoffice_proto::{
        queue::{DelayReason, Token, TokenStatus},
        time::{duration, timestamp},
    };
    use chassis::page;
    use prost::Message;

    use super::*;

    #[test]
    fn the_largest_batch_of_tokens_is_far_below_what_clients_take() {
        let (at, span) = (Some(timestamp(253_402_300_799_999_999)), Some(duration(i64::MAX / 2)));
        let token = Token {
            token: Uuid::max().to_string(),
            queue_id: "q".repeat(64),
            user_id: "\u{1f39f}".repeat(64),
            status: TokenStatus::Left.into(),
            priority: 9,
            ticket: i64::MAX,
            position: i64::MAX,
            waiting_behind: i64::MAX,
            estimated_wait: span,
            entered_at: at,
            active_until: at,
            valid_until: at,
            poll_after: span,
            requeues: i32::MAX,
            version: i64::MAX,
            estimated_wait_low: span,
            estimated_wait_high: span,
            delay_reason: DelayReason::Unspecified.into(),
        };
        let batch =
            BatchGetTokensResponse { tokens: vec![token; MAX_BATCH], ..BatchGetTokensResponse::default() };
        assert!(batch.encoded_len() < page::MAX_BYTES / 2, "{} bytes", batch.encoded_len());
    }
}
