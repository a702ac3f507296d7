//! `QueueService` at the edge.

use std::pin::Pin;

use boxoffice_proto::{
    Fault, Reason,
    fault::Answer,
    queue::{
        BatchGetTokensRequest, BatchGetTokensResponse, CompleteTokenRequest, CompleteTokenResponse,
        CreateQueueRequest, CreateQueueResponse, GetDrawRequest, GetDrawResponse, GetQueueRequest,
        GetQueueResponse, GetTokenDrawRequest, GetTokenDrawResponse, GetTokenRequest, GetTokenResponse,
        IssueTokenRequest, IssueTokenResponse, LeaveQueueRequest, LeaveQueueResponse, ListQueuesRequest,
        ListQueuesResponse, PollTokensRequest, PollTokensResponse, TakeQueueEventsRequest,
        TakeQueueEventsResponse, Token, UpdateQueueRequest, UpdateQueueResponse, VerifyTokenRequest,
        VerifyTokenResponse, WatchTokenRequest, WatchTokenResponse, queue_service_server::QueueService,
    },
};
use futures::{Stream, StreamExt, stream};
use tonic::{Request, Response, Status, Streaming};

use super::{
    door::{Door, answer},
    read,
};
use crate::app::{Asker, Following, News, StreamEnd, Wish, queue};

/// The messages of a WatchToken.
type Watched = Pin<Box<dyn Stream<Item = Result<WatchTokenResponse, Status>> + Send>>;

#[tonic::async_trait]
impl QueueService for Door {
    type WatchTokenStream = Watched;
    type PollTokensStream = stream::Empty<Result<PollTokensResponse, Status>>;

    async fn get_queue(&self, request: Request<GetQueueRequest>) -> Answer<GetQueueResponse> {
        let queue = queue::get(&self.edge, request.into_inner().queue_id).await?;
        Ok(Response::new(GetQueueResponse { queue: Some(queue) }))
    }

    async fn get_draw(&self, request: Request<GetDrawRequest>) -> Answer<GetDrawResponse> {
        let draw = queue::draw(&self.edge, request.into_inner()).await?;
        Ok(Response::new(GetDrawResponse { draw: Some(draw) }))
    }

    async fn get_token_draw(&self, request: Request<GetTokenDrawRequest>) -> Answer<GetTokenDrawResponse> {
        let token_draw = queue::token_draw(&self.edge, request.into_inner()).await?;
        Ok(Response::new(GetTokenDrawResponse { token_draw: Some(token_draw) }))
    }

    async fn issue_token(&self, request: Request<IssueTokenRequest>) -> Answer<IssueTokenResponse> {
        let caller = self.caller(&request);
        let (token, created) = queue::join(&self.edge, &caller, request.into_inner()).await?;
        Ok(Response::new(IssueTokenResponse { token: Some(token), created }))
    }

    async fn get_token(&self, request: Request<GetTokenRequest>) -> Answer<GetTokenResponse> {
        let (caller, asker) = (self.caller(&request), request.extensions().get::<Asker>().cloned());
        let (request, limits) = (request.into_inner(), &self.edge.limits);
        let token = match (read::token_of(&request, caller.is_known())?, asker) {
            (Some(token), asker) => {
                let welcome = asker.map_or(Ok(()), |asker| limits.admit_poll(&token, || asker));
                welcome.map_err(|unwelcome| unwelcome.1)?;
                queue::place(&self.edge, &self.polls, token).await?.into()
            }
            (None, asker) => {
                let judged = asker.map(|asker| limits.judge(&asker, Wish::Other));
                judged.and_then(|judged| judged.refused).map_or(Ok(()), Err)?;
                queue::place_of(&self.edge, &caller, request).await?
            }
        };
        Ok(Response::new(GetTokenResponse { token: Some(token) }))
    }

    async fn watch_token(&self, request: Request<WatchTokenRequest>) -> Answer<Watched> {
        let token = read::watched(request.get_ref())?;
        let Some(following) = queue::follow(&self.edge, &self.polls, token, None).await? else {
            return Ok(Response::new(Box::pin(stream::empty())));
        };
        Ok(Response::new(Box::pin(watch(following))))
    }

    async fn create_queue(&self, request: Request<CreateQueueRequest>) -> Answer<CreateQueueResponse> {
        answer!(self, request, |edge, caller, message| CreateQueueResponse {
            queue: Some(queue::create(edge, &caller, message).await?)
        })
    }

    async fn update_queue(&self, request: Request<UpdateQueueRequest>) -> Answer<UpdateQueueResponse> {
        answer!(self, request, |edge, caller, message| UpdateQueueResponse {
            queue: Some(queue::update(edge, &caller, message).await?)
        })
    }

    async fn list_queues(&self, request: Request<ListQueuesRequest>) -> Answer<ListQueuesResponse> {
        answer!(self, request, |edge, caller, message| queue::list(edge, &caller, message).await?)
    }

    async fn batch_get_tokens(
        &self,
        request: Request<BatchGetTokensRequest>,
    ) -> Answer<BatchGetTokensResponse> {
        let asker = request.extensions().get::<Asker>().cloned();
        answer!(self, request, |edge, caller, message| queue::places(edge, &caller, asker.as_ref(), message)
            .await?)
    }

    async fn poll_tokens(
        &self,
        request: Request<Streaming<PollTokensRequest>>,
    ) -> Answer<Self::PollTokensStream> {
        Err(self.caller(&request).refusal(PollTokensRequest::default()).into())
    }

    async fn verify_token(&self, request: Request<VerifyTokenRequest>) -> Answer<VerifyTokenResponse> {
        Err(self.caller(&request).refusal(request.into_inner()).into())
    }

    async fn complete_token(&self, request: Request<CompleteTokenRequest>) -> Answer<CompleteTokenResponse> {
        Err(self.caller(&request).refusal(request.into_inner()).into())
    }

    async fn take_queue_events(
        &self,
        request: Request<TakeQueueEventsRequest>,
    ) -> Answer<TakeQueueEventsResponse> {
        Err(self.caller(&request).refusal(request.into_inner()).into())
    }

    async fn leave_queue(&self, request: Request<LeaveQueueRequest>) -> Answer<LeaveQueueResponse> {
        answer!(self, request, |edge, caller, message| LeaveQueueResponse {
            token: Some(queue::leave(edge, &caller, message).await?)
        })
    }
}

/// What a stream tells, as messages: where nothing changes the present state is sent again.
fn watch(following: Following) -> impl Stream<Item = Result<WatchTokenResponse, Status>> {
    let messages = following.scan(None, |present: &mut Option<Token>, news| {
        let message = match news {
            News::Place(place) => {
                *present = Some((*place).into());
                Some(Ok(present.clone()))
            }
            News::Heartbeat => Some(Ok(present.clone())),
            News::End(StreamEnd::Final | StreamEnd::Unknown) => None,
            News::End(end) => Some(Err(ended(end))),
        };
        std::future::ready(message)
    });
    messages.map(|message| message.map(|token| WatchTokenResponse { token }))
}

/// Why a stream is cut whose token has not ended.
pub(super) fn ended(end: StreamEnd) -> Status {
    let (detail, seconds) = match end {
        StreamEnd::Displaced => ("This token has newer streams.", 30),
        StreamEnd::Restart | StreamEnd::Final | StreamEnd::Unknown => ("This edge shuts down: come back.", 1),
    };
    let after = std::time::Duration::from_secs(seconds);
    Fault::new(Reason::Unavailable, detail).retry_after(after).into()
}
