//! One `BatchGetTokens` for many who ask.
//!
//! The tokens of its answer are handed out unread, as pieces of the one buffer they came in. Whoever waits for one reads it where it
//! waits: the reading is spread over all cores, and nothing of it is made on one core only to be thrown away on another.

use boxoffice_proto::{
    Fault,
    queue::{BatchGetTokensRequest, Token},
};
use http::uri::PathAndQuery;
use prost::{Message, bytes::Bytes};
use tonic::{Request, Response, Status, client::Grpc};
use tonic_prost::ProstCodec;
use uuid::Uuid;

use super::gate::hollow;
use crate::clients::{Clients, call};

/// The most that one call takes.
pub(super) const BATCH: usize = 1_000;

/// `BatchGetTokensResponse`, its tokens as they came: on the wire a message is a string of bytes.
#[derive(Clone, PartialEq, Message)]
struct Unread {
    #[prost(bytes = "bytes", repeated, tag = "1")]
    tokens: Vec<Bytes>,
    #[prost(string, repeated, tag = "2")]
    not_found: Vec<String>,
}

/// A token as it came.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Piece(Bytes);

impl Piece {
    /// Reads it; it must be the one that was asked for.
    ///
    /// # Errors
    /// It is another one, or none.
    pub(super) fn read(self, id: Uuid) -> Result<Token, Fault> {
        let token = Token::decode(&*self.0).ok().filter(|token| token.token == text(&id, &mut Uuid::encode_buffer()));
        token.ok_or_else(|| hollow("BatchGetTokens"))
    }
}

/// Asks for these tokens, each of which stands here once: an answer for each, in their order; `None` for an unknown one.
///
/// # Errors
/// What the call failed with.
pub(super) async fn ask(clients: &Clients, ids: &[Uuid]) -> Result<Vec<Option<Piece>>, Fault> {
    let answer = call(|| {
        let tokens = ids.iter().map(|id| text(id, &mut Uuid::encode_buffer()).to_owned()).collect();
        send(clients, BatchGetTokensRequest { tokens })
    });
    in_order(ids, answer.await?).ok_or_else(|| hollow("BatchGetTokens"))
}

/// The same, read.
///
/// # Errors
/// As [`ask`] and [`Piece::read`].
pub(super) async fn read(clients: &Clients, ids: &[Uuid]) -> Result<Vec<Option<Token>>, Fault> {
    let pieces = ask(clients, ids).await?;
    ids.iter().zip(pieces).map(|(id, piece)| piece.map(|piece| piece.read(*id)).transpose()).collect()
}

/// The call, as the generated client makes it.
async fn send(clients: &Clients, request: BatchGetTokensRequest) -> Result<Response<Unread>, Status> {
    let path = PathAndQuery::from_static("/boxoffice.queue.v1.QueueService/BatchGetTokens");
    let codec: ProstCodec<BatchGetTokensRequest, Unread> = ProstCodec::default();
    Grpc::new(clients.to_queue.clone()).unary(Request::new(request), path, codec).await
}

/// The answer comes in the order asked, with the unknown ones left out: one walk along both finds who gets what.
fn in_order(ids: &[Uuid], answer: Unread) -> Option<Vec<Option<Piece>>> {
    if answer.tokens.len() + answer.not_found.len() != ids.len() {
        return None;
    }
    let (mut pieces, mut unknown) = (answer.tokens.into_iter(), answer.not_found.iter().peekable());
    let mut buffer = Uuid::encode_buffer();
    let found = ids.iter().map(|id| {
        let is_unknown = unknown.peek().is_some() && unknown.next_if(|unknown| *unknown == text(id, &mut buffer)).is_some();
        if is_unknown { Some(None) } else { pieces.next().map(|piece| Some(Piece(piece))) }
    });
    found.collect()
}

fn text<'a>(id: &Uuid, buffer: &'a mut [u8; 45]) -> &'a str {
    id.hyphenated().encode_lower(buffer)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use boxoffice_proto::queue::BatchGetTokensResponse;

    use super::*;

    fn token(id: Uuid) -> Token {
        Token { token: id.to_string(), ticket: 7, ..Token::default() }
    }

    /// As it comes over the wire.
    fn answer(tokens: &[Uuid], not_found: &[Uuid]) -> Unread {
        let tokens = tokens.iter().map(|id| token(*id)).collect();
        let answer = BatchGetTokensResponse { tokens, not_found: not_found.iter().map(Uuid::to_string).collect() };
        Unread::decode(&*answer.encode_to_vec()).unwrap()
    }

    #[test]
    fn each_gets_its_own_and_the_unknown_nothing() {
        let ids = [1, 2, 3, 4].map(Uuid::from_u128);
        let pieces = in_order(&ids, answer(&[ids[0], ids[2]], &[ids[1], ids[3]])).unwrap();
        let read: Vec<_> = ids.iter().zip(pieces).map(|(id, piece)| piece.map(|piece| piece.read(*id).unwrap())).collect();
        assert_eq!(read, [Some(token(ids[0])), None, Some(token(ids[2])), None]);
    }

    #[test]
    fn an_answer_that_is_not_whole_is_none() {
        let ids = [1, 2].map(Uuid::from_u128);
        assert_eq!(in_order(&ids, answer(&[ids[0]], &[])), None);
        assert_eq!(in_order(&ids, answer(&[], &[ids[0], Uuid::nil()])), None);
    }

    #[test]
    fn another_s_token_is_given_to_nobody() {
        let ids = [1, 2].map(Uuid::from_u128);
        let pieces = in_order(&ids, answer(&[ids[1], ids[0]], &[])).unwrap();
        for (id, piece) in ids.iter().zip(pieces) {
            assert!(piece.unwrap().read(*id).is_err());
        }
        assert!(Piece(Bytes::from_static(b"\xff")).read(ids[0]).is_err());
    }
}
