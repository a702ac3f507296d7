//! The gRPC service: checks the form of each request's fields, calls the use case and converts its answer. It
//! decides no rule.

mod convert;
mod polls;
mod read;

use std::pin::Pin;

use boxoffice_proto::{
    Fault,
    fault::{Answer, refuse},
    queue::{
        BatchGetTokensRequest, BatchGetTokensResponse, CompleteTokenRequest, CompleteTokenResponse,
        CreateQueueRequest, CreateQueueResponse, GetDrawRequest, GetDrawResponse, GetQueueRequest,
        GetQueueResponse, GetTokenDrawRequest, GetTokenDrawResponse, GetTokenRequest, GetTokenResponse,
        IssueTokenRequest, IssueTokenResponse, LeaveQueueRequest, LeaveQueueResponse, ListQueuesRequest,
        ListQueuesResponse, PollTokensRequest, PollTokensResponse, TakeQueueEventsRequest,
        TakeQueueEventsResponse, UpdateQueueRequest, UpdateQueueResponse, VerifyTokenRequest,
        VerifyTokenResponse, WatchTokenRequest, WatchTokenResponse, queue_service_server::QueueService,
    },
};
use futures::{Stream, StreamExt};
use tokio_util::sync::CancellationToken;
use tonic::{Request, Response, Status, Streaming};

use crate::{
    app::{Lookup, Queues, place},
    domain::QueuePolicy,
};
use read::{Join, TokenOf};

/// The gRPC service `boxoffice.queue.v1.QueueService`, as a front of the use cases.
#[derive(Clone, Debug)]
pub struct Service {
    queues: Queues,
    /// Ends the open streams.
    shutdown: CancellationToken,
}

impl Service {
    /// A service that calls these queues' use cases. Its open streams end with the shutdown.
    #[must_use]
    pub const fn new(queues: Queues, shutdown: CancellationToken) -> Self {
        Self { queues, shutdown }
    }

    /// Answers one batch of tokens.
    async fn batch(&self, asked: Vec<String>) -> Result<BatchGetTokensResponse, Fault> {
        let ids = read::batch(&asked)?;
        let found = self.queues.tokens(&ids).await;
        let views = found.iter().filter_map(|lookup| match lookup {
            Lookup::Found(view) => Some(view),
            Lookup::Unknown | Lookup::Unavailable => None,
        });
        let mut answer = BatchGetTokensResponse {
            tokens: Vec::with_capacity(ids.len()),
            notices: convert::notices(views),
            ..BatchGetTokensResponse::default()
        };
        for (word, lookup) in asked.into_iter().zip(found) {
            match lookup {
                Lookup::Found(view) => answer.tokens.push(convert::token_of_many(view)),
                Lookup::Unknown => answer.not_found.push(word),
                Lookup::Unavailable => answer.unavailable.push(word),
            }
        }
        Ok(answer)
    }
}

#[tonic::async_trait]
impl QueueService for Service {
    type WatchTokenStream = Pin<Box<dyn Stream<Item = Result<WatchTokenResponse, Status>> + Send>>;
    type PollTokensStream = Pin<Box<dyn Stream<Item = Result<PollTokensResponse, Status>> + Send>>;

    async fn create_queue(&self, request: Request<CreateQueueRequest>) -> Answer<CreateQueueResponse> {
        let (queue_id, patch, key) = read::create_queue(request.into_inner())?;
        let policy = patch.apply(&QueuePolicy::default());
        let view = self.queues.create_queue(&queue_id, policy, key).await.map_err(refuse)?;
        Ok(Response::new(CreateQueueResponse { queue: Some(convert::queue(view)) }))
    }

    async fn update_queue(&self, request: Request<UpdateQueueRequest>) -> Answer<UpdateQueueResponse> {
        let (queue_id, patch, key) = read::update_queue(request.into_inner())?;
        let view = self.queues.update_queue(&queue_id, patch, key).await.map_err(refuse)?;
        Ok(Response::new(UpdateQueueResponse { queue: Some(convert::queue(view)) }))
    }

    async fn get_queue(&self, request: Request<GetQueueRequest>) -> Answer<GetQueueResponse> {
        let queue_id = read::queue_id(&request.into_inner())?;
        let view = self.queues.queue(&queue_id).await.map_err(refuse)?;
        Ok(Response::new(GetQueueResponse { queue: Some(convert::queue(view)) }))
    }

    async fn get_draw(&self, request: Request<GetDrawRequest>) -> Answer<GetDrawResponse> {
        let queue_id = read::draw(&request.into_inner())?;
        let view = self.queues.draw(&queue_id).await.map_err(refuse)?;
        Ok(Response::new(GetDrawResponse { draw: Some(convert::draw(view)) }))
    }

    async fn get_token_draw(&self, request: Request<GetTokenDrawRequest>) -> Answer<GetTokenDrawResponse> {
        let token = read::token_draw(&request.into_inner())?;
        let view = self.queues.token_draw(token).await.map_err(refuse)?;
        Ok(Response::new(GetTokenDrawResponse { token_draw: Some(convert::token_draw(view)) }))
    }

    async fn list_queues(&self, request: Request<ListQueuesRequest>) -> Answer<ListQueuesResponse> {
        let page = read::list_queues(&request.into_inner())?;
        let limit = usize::try_from(page.limit()).unwrap_or_default();
        let found = self.queues.list_queues(page.from().as_ref(), limit).await.map_err(refuse)?;
        let (queues, next_page_token) = page.answer(found, |view| Some(place(view)), convert::queue);
        Ok(Response::new(ListQueuesResponse { queues, next_page_token }))
    }

    async fn issue_token(&self, request: Request<IssueTokenRequest>) -> Answer<IssueTokenResponse> {
        let Join { queue_id, user, lane, key } = read::join(&request.into_inner())?;
        let (view, created) = self.queues.join(&queue_id, &user, lane, key).await.map_err(refuse)?;
        Ok(Response::new(IssueTokenResponse { token: Some(convert::token(view)), created }))
    }

    async fn get_token(&self, request: Request<GetTokenRequest>) -> Answer<GetTokenResponse> {
        let view = match read::token_of(&request.into_inner())? {
            TokenOf::User(queue_id, user) => self.queues.token_of(&queue_id, &user).await,
            TokenOf::Token(token) => self.queues.token(token).await,
        };
        Ok(Response::new(GetTokenResponse { token: Some(convert::token(view.map_err(refuse)?)) }))
    }

    async fn batch_get_tokens(
        &self,
        request: Request<BatchGetTokensRequest>,
    ) -> Answer<BatchGetTokensResponse> {
        let answer = self.batch(request.into_inner().tokens).await;
        Ok(Response::new(answer.map_err(refuse)?))
    }

    async fn poll_tokens(
        &self,
        request: Request<Streaming<PollTokensRequest>>,
    ) -> Answer<Self::PollTokensStream> {
        let service = self.clone();
        let answer = move |tokens| {
            let service = service.clone();
            async move { service.batch(tokens).await.map_err(refuse) }
        };
        let end = polls::end(self.shutdown.clone());
        Ok(Response::new(Box::pin(polls::answers(request.into_inner(), end, answer))))
    }

    async fn watch_token(&self, request: Request<WatchTokenRequest>) -> Answer<Self::WatchTokenStream> {
        let token = read::watched(&request.into_inner())?;
        let views = self.queues.watch(token, &self.shutdown).await.map_err(refuse)?;
        let message = |view| WatchTokenResponse { token: Some(convert::token(view)) };
        Ok(Response::new(Box::pin(views.map(move |view| view.map(message).map_err(refuse)))))
    }

    async fn verify_token(&self, request: Request<VerifyTokenRequest>) -> Answer<VerifyTokenResponse> {
        let claim = read::claim(&request.into_inner())?;
        let view = self.queues.verify(&claim).await.map_err(refuse)?;
        Ok(Response::new(VerifyTokenResponse { token: Some(convert::token(view)) }))
    }

    async fn complete_token(&self, request: Request<CompleteTokenRequest>) -> Answer<CompleteTokenResponse> {
        let request = request.into_inner();
        let (token, key) = read::ending("CompleteToken", &request.token, &request.request_id)?;
        let view = self.queues.complete(token, key).await.map_err(refuse)?;
        Ok(Response::new(CompleteTokenResponse { token: Some(convert::token(view)) }))
    }

    async fn leave_queue(&self, request: Request<LeaveQueueRequest>) -> Answer<LeaveQueueResponse> {
        let request = request.into_inner();
        let user = read::user(&request.user_id)?;
        let (token, key) = read::ending("LeaveQueue", &request.token, &request.request_id)?;
        let view = self.queues.leave(token, user.as_deref(), key).await.map_err(refuse)?;
        Ok(Response::new(LeaveQueueResponse { token: Some(convert::token(view)) }))
    }

    async fn take_queue_events(
        &self,
        request: Request<TakeQueueEventsRequest>,
    ) -> Answer<TakeQueueEventsResponse> {
        let taken = read::taken(request.into_inner())?;
        let waiting = self.queues.take_events(taken).await.map_err(refuse)?;
        let events = waiting.into_iter().map(convert::event).collect();
        Ok(Response::new(TakeQueueEventsResponse { events }))
    }
}

#[cfg(test)]
mod tests {
    use boxoffice_proto::{
        queue::{DelayReason, QueueMessage, QueueNotice, Token, TokenStatus},
        time::{duration, timestamp},
    };
    use chassis::page;
    use prost::Message;
    use uuid::Uuid;

    use super::{read::MAX_BATCH, *};

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
            opens_at: at,
            message: None,
        };
        // Each token may be in a queue of its own, in which something else is said.
        let said = QueueMessage { ko: "\u{1f39f}".repeat(280), en: "\u{1f39f}".repeat(280) };
        let notice = QueueNotice { queue_id: "q".repeat(64), message: Some(said) };
        let batch = BatchGetTokensResponse {
            tokens: vec![token; MAX_BATCH],
            notices: vec![notice; MAX_BATCH],
            ..BatchGetTokensResponse::default()
        };
        // What gRPC clients take unless they are told otherwise.
        assert!(batch.encoded_len() < 4 << 20, "{} bytes", batch.encoded_len());
        let usual = BatchGetTokensResponse { notices: vec![batch.notices[0].clone()], ..batch };
        let batch = usual;
        assert!(batch.encoded_len() < page::MAX_BYTES / 2, "{} bytes", batch.encoded_len());
    }
}
