//! How often one caller may ask an edge, over REST and gRPC together, in an open house and where callers are
//! asked who they are. Each replica counts for itself.

use boxoffice_proto::{
    Reason,
    booking::{HoldSeatsRequest, booking_service_client::BookingServiceClient},
    queue::{
        BatchGetTokensRequest, GetTokenRequest, IssueTokenRequest, queue_service_client::QueueServiceClient,
    },
};
use futures::future::join_all;
use reqwest::Method;
use serde_json::{Value, json};
use tests::{
    client::{Answer, Rest},
    grpc::refused,
    mesh::{Role, Shape},
    solos,
    suite::Solo,
    world::{World, text, unique},
};
use tonic::{Code, Request, Status, transport::Channel};
use uuid::Uuid;

use super::Secured;

const SHAPES: &[Shape] = &[Shape::SingleSqlite, Shape::Cluster];

pub(super) const SOLOS: &[Solo] = solos![SHAPES;
    joins_of_one_caller_are_counted_over_both_doors_and_by_each_replica,
    holds_of_one_caller_are_counted_over_both_doors,
    behind_a_trusted_proxy_its_clients_are_told_apart_at_both_doors,
    a_place_is_polled_as_often_as_advised_and_others_go_on,
    who_was_refused_too_often_is_refused_before_anything_is_done,
    users_are_told_apart_where_they_are_known_and_limits_are_on,
];

const JOIN: &str = "/v1/queues/default/tokens";

fn over(answer: &Answer) {
    let _problem = answer.clone().problem(429, "RATE_LIMITED");
    let after: u64 = answer.header("retry-after").parse().unwrap();
    assert!(after >= 1, "{}", answer.what);
}

/// A call's refusal for its caller's haste, told in both ways that clients understand.
fn over_grpc(status: &Status) {
    let _fault = refused::<()>(Err(status.clone()), Reason::RateLimited);
    let pushback = status.metadata().get("grpc-retry-pushback-ms").unwrap().to_str().unwrap();
    assert!(pushback.parse::<u64>().unwrap() > 0, "{pushback}");
}

async fn joined(channel: &Channel) -> Result<String, Status> {
    let request = IssueTokenRequest { user_id: unique("user"), ..IssueTokenRequest::default() };
    let answer = QueueServiceClient::new(channel.clone()).issue_token(request).await?;
    Ok(answer.into_inner().token.unwrap().token)
}

async fn joins_of_one_caller_are_counted_over_both_doors_and_by_each_replica(shape: Shape) {
    let world = World::start(shape, &["--limit-joins", "4/h"]).await;
    for (base, channel) in world.mesh.rest().into_iter().zip(world.grpc.checkout.all()) {
        let rest = Rest::new(vec![base]);
        for path in [JOIN, "/queue-management/api/token"] {
            let answer = rest.post(path, json!({"userId": unique("user")})).once().await;
            assert_eq!(answer.status, 201, "{}", answer.text);
            assert_eq!(answer.header("ratelimit-policy"), "\"joins\";q=4;w=3600");
        }
        for _ in 0..2 {
            joined(channel).await.unwrap();
        }
        for path in [JOIN, "/queue-management/api/token"] {
            let answer = rest.post(path, json!({"userId": unique("user")})).once().await;
            over(&answer);
            assert_eq!(answer.header("ratelimit").split(";t=").next(), Some("\"joins\";r=0"));
        }
        over_grpc(&joined(channel).await.unwrap_err());
        // Other wishes have no limit here.
        assert_eq!(rest.get("/v1/queues/default").once().await.status, 200);
    }
    world.finish().await;
}

/// What is held does not matter, since a request counts before it is looked at.
async fn holds_of_one_caller_are_counted_over_both_doors(shape: Shape) {
    let world = World::start(shape, &["--limit-holds", "4/h"]).await;
    for (base, channel) in world.mesh.rest().into_iter().zip(world.grpc.checkout.all()) {
        let rest = Rest::new(vec![base]);
        let held = async || {
            let mut client = BookingServiceClient::new(channel.clone());
            client.hold_seats(HoldSeatsRequest::default()).await.unwrap_err()
        };
        let paths = ["/v1/reservations", "/api-orchestration/api/reservations/reserve-seat"];
        for path in paths {
            let answer = rest.post(path, json!({})).once().await;
            assert_ne!(answer.status, 429, "{}", answer.text);
            assert_ne!(held().await.code(), Code::ResourceExhausted);
        }
        for path in paths {
            over(&rest.post(path, json!({})).once().await);
        }
        over_grpc(&held().await);
        joined(channel).await.unwrap();
    }
    world.finish().await;
}

async fn behind_a_trusted_proxy_its_clients_are_told_apart_at_both_doors(shape: Shape) {
    let flags = ["--limit-joins", "1/h", "--trusted-proxies", "127.0.0.0/8,::1"];
    let world = World::start(shape, &flags).await;
    for (base, channel) in world.mesh.rest().into_iter().zip(world.grpc.checkout.all()) {
        let rest = Rest::new(vec![base]);
        let join = async |client: &str| {
            let join = rest.post(JOIN, json!({"userId": unique("user")}));
            join.header("x-forwarded-for", client).once().await
        };
        let call = async |client: &str| {
            let request = IssueTokenRequest { user_id: unique("user"), ..IssueTokenRequest::default() };
            let mut request = Request::new(request);
            request.metadata_mut().insert("forwarded", format!("for={client}").parse().unwrap());
            QueueServiceClient::new(channel.clone()).issue_token(request).await
        };
        assert_eq!(join("198.51.100.1").await.status, 201);
        over_grpc(&call("198.51.100.1").await.unwrap_err());
        call("198.51.100.2").await.unwrap();
        over(&join("203.0.113.9, 198.51.100.2").await);
    }
    world.finish().await;
}

async fn a_place_is_polled_as_often_as_advised_and_others_go_on(shape: Shape) {
    let world = World::start(shape, &["--limit-requests", "100000/m"]).await;
    // Those who are admitted are advised to ask seldom.
    let queue = world.queue(json!({"maxActive": 100})).await;
    let token = |joined: &Value| text(&joined["token"]);
    let mine = token(&world.join(&queue, &unique("user")).await);
    for (base, channel) in world.mesh.rest().into_iter().zip(world.grpc.checkout.all()) {
        let other = token(&world.join(&queue, &unique("user")).await);
        let rest = Rest::new(vec![base]);
        let poll = async |token: &str| rest.get(&format!("/v1/tokens/{token}")).once().await;
        assert_eq!(poll(&mine).await.status, 200, "the first one is advised");
        // More at once than come back while they are answered.
        let polls = join_all((0..30).map(|_| poll(&mine))).await;
        let (good, bad): (Vec<_>, Vec<_>) = polls.iter().partition(|answer| answer.status == 200);
        assert!(good.len() >= 2 && !bad.is_empty(), "{} were answered", good.len());
        bad.into_iter().for_each(over);
        let mut client = QueueServiceClient::new(channel.clone());
        let request = || GetTokenRequest { token: mine.clone(), ..GetTokenRequest::default() };
        let mut told = Ok(());
        for _ in 0..30 {
            told = told.and(client.get_token(request()).await.map(|_| ()));
        }
        over_grpc(&told.unwrap_err());
        // In a batch each place is a poll, however often it stands there.
        let batch = |places: &[&str]| {
            let tokens = places.iter().map(|&place| place.to_owned()).collect();
            let mut client = client.clone();
            async move { client.batch_get_tokens(BatchGetTokensRequest { tokens }).await }
        };
        over_grpc(&batch(&[&other, &mine]).await.unwrap_err());
        let third = token(&world.join(&queue, &unique("user")).await);
        let found = batch(&[&third, &third]).await.unwrap().into_inner();
        assert_eq!(found.tokens.len(), 2);
        let again = join_all((0..30).map(|_| batch(&[&third]))).await;
        over_grpc(&again.into_iter().find_map(Result::err).unwrap());
        assert_eq!(poll(&other).await.status, 200, "somebody else");
    }
    world.finish().await;
}

async fn who_was_refused_too_often_is_refused_before_anything_is_done(shape: Shape) {
    let world = World::start(shape, &["--limit-refused", "4/h", "--limit-requests", "100000/m"]).await;
    let waiting = text(&world.join("default", &unique("user")).await["token"]);
    for (base, channel) in world.mesh.rest().into_iter().zip(world.grpc.checkout.all()) {
        let rest = Rest::new(vec![base]);
        let get = async |path: String| rest.get(&path).once().await;
        assert_eq!(get(format!("/v1/tokens/{waiting}")).await.status, 200);
        let invented = || format!("/v1/tokens/{}", Uuid::new_v4());
        assert_eq!(get(invented()).await.status, 404);
        assert_eq!(get(format!("/v1/payments/{}", Uuid::new_v4())).await.status, 404);
        let invented_call = async || {
            let token = Uuid::new_v4().to_string();
            let request = GetTokenRequest { token, ..GetTokenRequest::default() };
            QueueServiceClient::new(channel.clone()).get_token(request).await.unwrap_err()
        };
        let invented_batch = async || {
            let request = BatchGetTokensRequest { tokens: vec![Uuid::new_v4().to_string()] };
            QueueServiceClient::new(channel.clone()).batch_get_tokens(request).await
        };
        assert_eq!(invented_call().await.code(), Code::NotFound);
        assert_eq!(invented_batch().await.unwrap().into_inner().not_found.len(), 1);
        over_grpc(&invented_call().await);
        over_grpc(&invented_batch().await.unwrap_err());
        for path in [invented(), "/v1/queues/default".to_owned(), "/v1/nowhere".to_owned()] {
            over(&get(path).await);
        }
        over_grpc(&joined(channel).await.unwrap_err());
        assert_eq!(get(format!("/v1/tokens/{waiting}")).await.status, 200, "a place is its token's");
        assert_eq!(get("/healthz".to_owned()).await.status, 200);
    }
    world.finish().await;
}

async fn users_are_told_apart_where_they_are_known_and_limits_are_on(shape: Shape) {
    let secured = Secured::limited(shape, &["--limit-joins", "2/h", "--limit-refused", "3/h"]).await;
    let rest = Rest::new(vec![secured.mesh.rest().remove(0)]);
    let join = async |user: &str| {
        let bearer = secured.bearer(user).unwrap();
        rest.post(JOIN, json!({})).header("authorization", bearer).once().await
    };
    let first = join("ann").await;
    assert_eq!(first.status, 201, "{}", first.text);
    let told = first.header("ratelimit-policy");
    assert_eq!(told, "\"requests\";q=1200;w=60, \"joins\";q=2;w=3600", "limits are on by themselves");
    assert_eq!(join("ann").await.status, 200);
    over(&join("ann").await);
    let mut call = Request::new(IssueTokenRequest::default());
    call.metadata_mut().insert("authorization", secured.bearer("ann").unwrap().parse().unwrap());
    // In a cluster a program of the mesh passes ann's call on.
    let mut client = QueueServiceClient::new(secured.channel(Role::Edge, "queue"));
    over_grpc(&client.issue_token(call).await.unwrap_err());
    assert_eq!(join("bob").await.status, 201, "another user of the same network");
    // Nobody known is refused often; who is known goes on beside them.
    let nobody = async || rest.call(Method::GET, "/v1/wallets/ann").once().await;
    for _ in 0..3 {
        assert_eq!(nobody().await.status, 401);
    }
    over(&nobody().await);
    assert_eq!(join("carl").await.status, 201);
    secured.mesh.finish().await.unwrap();
}
