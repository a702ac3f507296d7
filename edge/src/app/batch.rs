//! One batch for many who ask: over a lane where there is one, or else as a `BatchGetTokens`.

use boxoffice_proto::{
    Fault,
    queue::{BatchGetTokensRequest, BatchGetTokensResponse, queue_service_client::QueueServiceClient},
};
use chassis::{channel::Channel, context::Context};
use uuid::Uuid;

use super::{
    lanes::Lanes,
    notices::{Notices, SeenPlace},
};
use crate::clients::{call, hollow};

/// The most tokens that one call may ask for.
pub(super) const BATCH: usize = 1_000;

/// What looking up one token found.
#[derive(Clone, Debug, PartialEq)]
#[expect(
    clippy::large_enum_variant,
    reason = "nearly all are found, and a box would cost each poll an allocation"
)]
pub(super) enum Lookup {
    /// The place as it is now.
    Found(SeenPlace),
    /// There is no such token.
    Unknown,
    /// The service could not look up this one at the moment.
    Unavailable,
}

/// Looks up places by many tokens at once. Cheap to clone.
#[derive(Clone)]
pub(crate) struct Places {
    queue: QueueServiceClient<Channel>,
    lanes: Lanes,
    notices: Notices,
}

impl Places {
    pub(crate) fn new(queue: QueueServiceClient<Channel>) -> Self {
        Self { lanes: Lanes::new(queue.clone()), queue, notices: Notices::default() }
    }

    /// Looks up these tokens, which are all different: what was found of each, in their order.
    ///
    /// # Errors
    /// What the whole call failed with.
    pub(super) async fn look_up(&self, ids: &[Uuid]) -> Result<Vec<Lookup>, Fault> {
        let tokens = || ids.iter().map(Uuid::to_string).collect();
        // A trace is told of calls, so a batch in which one is told of goes as a call.
        let is_traced = Context::current().is_some_and(|context| context.trace.is_sampled());
        let answered = if is_traced { None } else { self.lanes.ask(tokens).await };
        let answer = match answered {
            Some(answer) => answer,
            None => {
                call(|| {
                    let mut queue = self.queue.clone();
                    let request = BatchGetTokensRequest { tokens: tokens() };
                    async move { queue.batch_get_tokens(request).await }
                })
                .await?
            }
        };
        in_order(ids, answer, &self.notices).ok_or_else(|| hollow("batch_get_tokens"))
    }
}

/// Each of the answer's three lists is in the order of the request, so one walk along all of them finds what
/// belongs to which id.
fn in_order(ids: &[Uuid], answer: BatchGetTokensResponse, notices: &Notices) -> Option<Vec<Lookup>> {
    let BatchGetTokensResponse { tokens, not_found, unavailable, notices: told } = answer;
    if tokens.len() + not_found.len() + unavailable.len() != ids.len() {
        return None;
    }
    notices.learn(told);
    let mut places = notices.places(tokens).peekable();
    let mut unavailable = unavailable.into_iter().peekable();
    let mut text = Uuid::encode_buffer();
    let found = ids
        .iter()
        .map(|id| {
            let id: &str = id.hyphenated().encode_lower(&mut text);
            if let Some(place) = places.next_if(|place| place.token.token == id) {
                return Lookup::Found(place);
            }
            let is_unavailable = unavailable.next_if(|other| other == id).is_some();
            if is_unavailable { Lookup::Unavailable } else { Lookup::Unknown }
        })
        .collect();
    (places.next().is_none() && unavailable.next().is_none()).then_some(found)
}

#[cfg(test)]
mod tests {
    use boxoffice_proto::queue::Token;

    use super::*;

    fn token(id: Uuid) -> Token {
        Token { token: id.to_string(), ..Token::default() }
    }

    #[test]
    fn each_gets_its_own_and_the_unknown_nothing() {
        let ids = [1, 2, 3, 4].map(Uuid::from_u128);
        let answer = BatchGetTokensResponse {
            tokens: vec![token(ids[0]), token(ids[3])],
            not_found: vec![ids[1].to_string()],
            unavailable: vec![ids[2].to_string()],
            notices: Vec::new(),
        };
        let found = |n: usize| Lookup::Found(token(ids[n]).into());
        let expected = vec![found(0), Lookup::Unknown, Lookup::Unavailable, found(3)];
        assert_eq!(in_order(&ids, answer, &Notices::default()), Some(expected));
    }

    #[test]
    fn an_answer_that_is_not_whole_is_none() {
        let ids = [1, 2].map(Uuid::from_u128);
        let of = |tokens| BatchGetTokensResponse { tokens, ..BatchGetTokensResponse::default() };
        for tokens in [vec![token(ids[0])], vec![token(ids[1]), token(ids[0])]] {
            assert!(in_order(&ids, of(tokens), &Notices::default()).is_none());
        }
    }
}
