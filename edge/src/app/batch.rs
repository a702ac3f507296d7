//! One `BatchGetTokens` for many who ask.

use boxoffice_proto::{
    Fault,
    queue::{BatchGetTokensRequest, BatchGetTokensResponse, Token},
};
use uuid::Uuid;

use super::gate::hollow;
use crate::clients::{Clients, call};

/// The most that one call takes.
pub(super) const BATCH: usize = 1_000;

/// Reads these tokens, each of which stands here once: an answer for each, in their order; `None` for an unknown one.
///
/// # Errors
/// What the call failed with.
pub(super) async fn read(clients: &Clients, ids: &[Uuid]) -> Result<Vec<Option<Token>>, Fault> {
    let answer = call(|| {
        let mut queue = clients.queue.clone();
        let ask = BatchGetTokensRequest { tokens: ids.iter().map(Uuid::to_string).collect() };
        async move { queue.batch_get_tokens(ask).await }
    });
    in_order(ids, answer.await?).ok_or_else(|| hollow("BatchGetTokens"))
}

/// The answer comes in the order asked, with the unknown ones left out: one walk along both finds who gets what.
fn in_order(ids: &[Uuid], answer: BatchGetTokensResponse) -> Option<Vec<Option<Token>>> {
    if answer.tokens.len() + answer.not_found.len() != ids.len() {
        return None;
    }
    let mut tokens = answer.tokens.into_iter().peekable();
    let mut text = Uuid::encode_buffer();
    let found = ids
        .iter()
        .map(|id| {
            let id: &str = id.hyphenated().encode_lower(&mut text);
            tokens.next_if(|token| token.token == id)
        })
        .collect();
    tokens.next().is_none().then_some(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn token(id: Uuid) -> Token {
        Token { token: id.to_string(), ..Token::default() }
    }

    #[test]
    fn each_gets_its_own_and_the_unknown_nothing() {
        let ids = [1, 2, 3].map(Uuid::from_u128);
        let answer = BatchGetTokensResponse { tokens: vec![token(ids[0]), token(ids[2])], not_found: vec![ids[1].to_string()] };
        assert_eq!(in_order(&ids, answer), Some(vec![Some(token(ids[0])), None, Some(token(ids[2]))]));
    }

    #[test]
    fn an_answer_that_is_not_whole_is_none() {
        let ids = [1, 2].map(Uuid::from_u128);
        let short = BatchGetTokensResponse { tokens: vec![token(ids[0])], not_found: vec![] };
        assert_eq!(in_order(&ids, short), None);
        let strange = BatchGetTokensResponse { tokens: vec![token(ids[1]), token(ids[0])], not_found: vec![] };
        assert_eq!(in_order(&ids, strange), None);
    }
}
