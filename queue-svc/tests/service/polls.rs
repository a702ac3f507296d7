//! Batches of polls over one stream.

use std::time::Duration;

use boxoffice_proto::{Reason, queue as pb};
use chassis::{
    clock::Clock,
    testing::{databases, patience::timeout},
};
use futures::channel::mpsc;

use crate::harness::{Client, Replica, join, policy, reason};

type Caller = mpsc::UnboundedSender<pb::PollTokensRequest>;
type Answers = tonic::Streaming<pb::PollTokensResponse>;

/// Opens a stream with an empty batch, which is answered.
async fn open(client: &Client) -> (Caller, Answers) {
    let (caller, sent) = mpsc::unbounded();
    caller.unbounded_send(pb::PollTokensRequest::default()).unwrap();
    let answers = client.clone().poll_tokens(sent).await.unwrap();
    let mut answers = answers.into_inner();
    let empty = pb::PollTokensResponse { number: 0, batch: Some(pb::BatchGetTokensResponse::default()) };
    assert_eq!(next(&mut answers).await, Some(empty));
    (caller, answers)
}

async fn next(answers: &mut Answers) -> Option<pb::PollTokensResponse> {
    timeout(Duration::from_secs(5), answers.message()).await.expect("an answer").unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn each_batch_of_a_stream_is_answered_as_a_call_would_be() {
    for database in databases().await {
        let replica = Replica::start(&database.config, policy(), &Clock::system()).await;
        let mut tokens = Vec::new();
        for user in ["a", "b", "c", "d"] {
            tokens.push(join(&replica.client, user).await.unwrap().token);
        }
        tokens.push("00000000-0000-4000-8000-000000000000".to_owned());
        let (caller, mut answers) = open(&replica.client).await;
        for (number, tokens) in [(7, tokens[..2].to_vec()), (3, tokens[1..].to_vec()), (8, tokens.clone())] {
            caller.unbounded_send(pb::PollTokensRequest { number, tokens: tokens.clone() }).unwrap();
            let answer = next(&mut answers).await.unwrap();
            let request = pb::BatchGetTokensRequest { tokens };
            let called = replica.client.clone().batch_get_tokens(request).await.unwrap().into_inner();
            assert_eq!((answer.number, answer.batch), (number, Some(called)), "{}", database.name);
        }
        drop(caller);
        assert_eq!(next(&mut answers).await, None, "it ends with its caller");
        replica.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_batch_that_is_none_ends_its_stream_and_says_why() {
    for database in databases().await {
        let replica = Replica::start(&database.config, policy(), &Clock::system()).await;
        for tokens in [vec!["x".to_owned()], vec!["00000000-0000-4000-8000-000000000000".to_owned(); 1_001]] {
            let (caller, mut answers) = open(&replica.client).await;
            caller.unbounded_send(pb::PollTokensRequest { number: 1, tokens }).unwrap();
            let refused = timeout(Duration::from_secs(5), answers.message()).await.expect("an answer");
            assert_eq!(reason(refused), Reason::InvalidArgument, "{}", database.name);
        }
        replica.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stream_of_polls_does_not_hold_up_the_shutdown() {
    for database in databases().await {
        let replica = Replica::start(&database.config, policy(), &Clock::system()).await;
        let (_caller, mut answers) = open(&replica.client).await;
        timeout(Duration::from_secs(3), replica.stop()).await.expect(database.name);
        assert_eq!(next(&mut answers).await, None, "it ends in good order");
    }
}
