//! Starting replicas of the service on a private database, and asking them.

use std::{future::Future, time::Duration};

use boxoffice_proto::{
    Fault, Reason,
    queue::{self as pb, queue_service_client::QueueServiceClient},
};
use chassis::{
    clock::Clock,
    db::DbConfig,
    testing::patience::{Patience, timeout},
};
use queue_svc::{Config, Listeners, Policy, Relay, serve};
use tokio::{net::TcpListener, task::JoinHandle};
use tokio_util::sync::CancellationToken;
use tonic::{Status, transport::Channel};

pub(crate) type Client = QueueServiceClient<Channel>;

/// 2025-11-24, at a whole second.
pub(crate) const START: i64 = 1_764_000_000_000_000;
pub(crate) const SECOND: i64 = 1_000_000;

/// A running service; the connection is shared by clones of the client.
pub(crate) struct Replica {
    pub(crate) client: Client,
    shutdown: CancellationToken,
    task: JoinHandle<Result<(), chassis::Error>>,
}

pub(crate) fn policy() -> Policy {
    Policy { max_active: 2, max_waiting: 1_000, ..Policy::default() }
}

impl Replica {
    pub(crate) async fn start(database: &DbConfig, policy: Policy, clock: &Clock) -> Self {
        Self::with_relay(database, policy, clock, None).await
    }

    /// One whose draws have the beacon of this relay.
    pub(crate) async fn with_relay(
        database: &DbConfig,
        policy: Policy,
        clock: &Clock,
        relay: Option<Relay>,
    ) -> Self {
        let grpc = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = grpc.local_addr().unwrap();
        let shutdown = CancellationToken::new();
        let config = Config {
            database: database.clone(),
            policy,
            relay,
            requests: Default::default(),
            retention: Default::default(),
            doors: access::Doors::open(),
        };
        let task = tokio::spawn(serve(
            config,
            Listeners { grpc: grpc.into(), http: None },
            clock.clone(),
            shutdown.clone(),
        ));
        let client = eventually("the service answers", || async move {
            let mut client = QueueServiceClient::connect(format!("http://{address}")).await.ok()?;
            let request = pb::GetQueueRequest::default();
            client.get_queue(request).await.ok()?;
            Some(client)
        });
        Self { client: client.await, shutdown, task }
    }

    /// Ends it as a signal does; fails when the service failed.
    pub(crate) async fn stop(self) {
        drop(self.client);
        self.shutdown.cancel();
        timeout(Duration::from_secs(10), self.task).await.unwrap().unwrap().unwrap();
    }
}

/// Asks until there is an answer, which usually takes ten seconds at most.
pub(crate) async fn eventually<T, F: Future<Output = Option<T>>>(
    what: &str,
    mut ask: impl FnMut() -> F,
) -> T {
    let patience = Patience::new(Duration::from_secs(10));
    loop {
        if let Some(answer) = ask().await {
            return answer;
        }
        assert!(!patience.is_over(), "not {patience}: {what}");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

pub(crate) async fn join(client: &Client, user: &str) -> Result<pb::Token, Status> {
    join_as(client, user, None, "").await.map(|response| response.token.unwrap())
}

pub(crate) async fn join_as(
    client: &Client,
    user: &str,
    priority: Option<i32>,
    request_id: &str,
) -> Result<pb::IssueTokenResponse, Status> {
    let request = pb::IssueTokenRequest {
        queue_id: String::new(),
        user_id: user.to_owned(),
        priority,
        request_id: request_id.to_owned(),
    };
    client.clone().issue_token(request).await.map(tonic::Response::into_inner)
}

pub(crate) async fn get(client: &Client, token: &str) -> Result<pb::Token, Status> {
    let request = pb::GetTokenRequest { token: token.to_owned(), ..pb::GetTokenRequest::default() };
    Ok(client.clone().get_token(request).await?.into_inner().token.unwrap())
}

pub(crate) async fn complete(client: &Client, token: &str, request_id: &str) -> Result<pb::Token, Status> {
    let request = pb::CompleteTokenRequest { token: token.to_owned(), request_id: request_id.to_owned() };
    Ok(client.clone().complete_token(request).await?.into_inner().token.unwrap())
}

pub(crate) async fn leave(client: &Client, token: &str, request_id: &str) -> Result<pb::Token, Status> {
    let request = pb::LeaveQueueRequest {
        token: token.to_owned(),
        request_id: request_id.to_owned(),
        ..Default::default()
    };
    Ok(client.clone().leave_queue(request).await?.into_inner().token.unwrap())
}

pub(crate) async fn verify(
    client: &Client,
    token: &str,
    queue: &str,
    user: &str,
    fresh: bool,
) -> Result<pb::Token, Status> {
    let request = pb::VerifyTokenRequest {
        token: token.to_owned(),
        queue_id: queue.to_owned(),
        user_id: user.to_owned(),
        fresh,
    };
    Ok(client.clone().verify_token(request).await?.into_inner().token.unwrap())
}

pub(crate) async fn update(client: &Client, policy: pb::QueuePolicy) -> pb::Queue {
    let request = pb::UpdateQueueRequest {
        queue_id: "default".to_owned(),
        policy: Some(policy),
        request_id: String::new(),
    };
    client.clone().update_queue(request).await.unwrap().into_inner().queue.unwrap()
}

pub(crate) async fn queue(client: &Client) -> pb::Queue {
    client.clone().get_queue(pb::GetQueueRequest::default()).await.unwrap().into_inner().queue.unwrap()
}

/// Names events as taken, and takes those that wait.
pub(crate) async fn events(client: &Client, taken: &[i64]) -> Vec<pb::QueueEvent> {
    let request = pb::TakeQueueEventsRequest { taken: taken.to_vec() };
    client.clone().take_queue_events(request).await.unwrap().into_inner().events
}

/// The reason of a refusal, once its code was found to be the contract's.
pub(crate) fn reason<T: std::fmt::Debug>(result: Result<T, Status>) -> Reason {
    let status = result.unwrap_err();
    let fault = Fault::from(&status);
    assert_eq!(status.code(), fault.reason.grpc());
    fault.reason
}
