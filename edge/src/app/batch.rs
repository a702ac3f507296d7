//! One `BatchGetTokens` for many who ask.

use std::time::Duration;

use boxoffice_proto::{
    Fault, Reason,
    queue::{BatchGetTokensRequest, BatchGetTokensResponse, Token, queue_service_client::QueueServiceClient},
};
use chassis::channel::Channel;
use uuid::Uuid;

use super::gate::hollow;
use crate::clients::call;

/// The most that one call takes.
pub(super) const BATCH: usize = 1_000;
/// When to ask again for what the service could not look up.
const AGAIN: Duration = Duration::from_secs(1);

/// One token, or TOKEN_NOT_FOUND, or UNAVAILABLE where only this one could not be looked up.
pub(super) type Answer = Result<Token, Fault>;

/// Reads these tokens, each of which stands here once: an answer for each, in their order.
///
/// # Errors
/// What the call failed with.
pub(super) async fn read(queue: &QueueServiceClient<Channel>, ids: &[Uuid]) -> Result<Vec<Answer>, Fault> {
    let answer = call(|| {
        let mut queue = queue.clone();
        let ask = BatchGetTokensRequest { tokens: ids.iter().map(Uuid::to_string).collect() };
        async move { queue.batch_get_tokens(ask).await }
    });
    in_order(ids, answer.await?).ok_or_else(|| hollow("BatchGetTokens"))
}

/// The answer comes in the order asked, with the unknown ones and those not looked up left out: one walk
/// along all finds who gets what.
fn in_order(ids: &[Uuid], answer: BatchGetTokensResponse) -> Option<Vec<Answer>> {
    let BatchGetTokensResponse { tokens, not_found, unavailable } = answer;
    if tokens.len() + not_found.len() + unavailable.len() != ids.len() {
        return None;
    }
    let (mut tokens, mut unavailable) = (tokens.into_iter().peekable(), unavailable.into_iter().peekable());
    let mut text = Uuid::encode_buffer();
    let found = ids
        .iter()
        .map(|id| {
            let id: &str = id.hyphenated().encode_lower(&mut text);
            if let Some(token) = tokens.next_if(|token| token.token == id) {
                return Ok(token);
            }
            Err(match unavailable.next_if(|other| other == id) {
                Some(_) => Fault::new(Reason::Unavailable, Reason::Unavailable.title()).retry_after(AGAIN),
                None => Fault::new(Reason::TokenNotFound, Reason::TokenNotFound.title()),
            })
        })
        .collect();
    (tokens.next().is_none() && unavailable.next().is_none()).then_some(found)
}

#[cfg(test)]
mod tests {
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
        };
        let found = in_order(&ids, answer)
            .map(|found| found.into_iter().map(|one| one.map_err(|fault| fault.reason)).collect());
        let expected =
            vec![Ok(token(ids[0])), Err(Reason::TokenNotFound), Err(Reason::Unavailable), Ok(token(ids[3]))];
        assert_eq!(found, Some(expected));
    }

    #[test]
    fn an_answer_that_is_not_whole_is_none() {
        let ids = [1, 2].map(Uuid::from_u128);
        let of = |tokens| BatchGetTokensResponse { tokens, ..BatchGetTokensResponse::default() };
        assert!(in_order(&ids, of(vec![token(ids[0])])).is_none());
        assert!(in_order(&ids, of(vec![token(ids[1]), token(ids[0])])).is_none());
    }
}
