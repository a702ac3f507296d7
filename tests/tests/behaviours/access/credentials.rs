//! What a door says to a bearer token that is none, and what a secured house keeps to itself.

use std::{path::Path, time::Duration};

use access::{Issuer, Roles};
use boxoffice_proto::{
    Fault, Reason,
    queue::{GetTokenRequest, LeaveQueueRequest, queue_service_client::QueueServiceClient},
    wallet::GetWalletRequest,
};
use chassis::clock::{Clock, SECOND};
use prost::Message;
use reqwest::Method;
use serde_json::json;
use tests::{
    mesh::{Role, Shape},
    raw,
    suite::Solo,
    world::text,
};
use tonic::Code;
use uuid::Uuid;

use super::{Ann, Secured, routes, rpcs};

pub(super) const SOLOS: &[Solo] = tests::solos![&[Shape::SingleSqlite, Shape::Cluster];
    a_token_that_is_none_is_refused_at_each_door_and_told_nowhere,
    a_secured_house_explains_itself_to_nobody_unless_it_is_told_to,
    who_may_not_is_told_so_whatever_was_sent,
    of_anothers_place_nobody_learns_whether_it_is_there,
];

const LEAVE: &str = "/boxoffice.queue.v1.QueueService/LeaveQueue";
const WALLET: &str = "/boxoffice.wallet.v1.WalletService/GetWallet";

/// Tokens that are none, each with the word for what is wrong with it.
fn wrong(issuer: &Issuer, elsewhere: &Path) -> [(String, &'static str); 5] {
    let now = Clock::system().now();
    let hour = Duration::from_secs(3_600);
    let of =
        |issuer: &Issuer, audience, now| issuer.issue(audience, "ann", Roles::default(), hour, now).unwrap();
    let stranger = Issuer::open(elsewhere).unwrap();
    [
        (of(issuer, "boxoffice", now - 7_200 * SECOND), "expired"),
        (of(issuer, "another", now), "audience"),
        (of(&stranger, "boxoffice", now), "unknown_key"),
        ("not.a.token".to_owned(), "malformed"),
        ("a".repeat(9_000), "too_long"),
    ]
}

async fn who_may_not_is_told_so_whatever_was_sent(shape: Shape) {
    let secured = Secured::start(shape, &[]).await;
    secured.keys.issue("olga", "olga", 2100);
    let nothing = Ann::default();
    let mut wrong = Vec::new();
    let refused = |may: &str| {
        let stranger = (!may.contains("anyone")).then_some(("anyone", Reason::CredentialsMissing));
        let user = (may == "operator").then_some(("user", Reason::NotAllowed));
        stranger.into_iter().chain(user)
    };
    for (method, _, template, _, may) in routes::routes(&nothing) {
        // In the path stands what is no number and no UUID, in the body what is no object.
        let path = template.split('/').map(|part| if part.starts_with('{') { "~" } else { part });
        let path = path.collect::<Vec<_>>().join("/");
        for (caller, reason) in refused(may) {
            let told = secured.send(caller, method.clone(), &path, &json!("no object"), "").await;
            if told.code() != reason.as_str() {
                wrong.push(format!("{method} {path} as {caller}: {} {}", told.status, told.text));
            }
        }
    }
    // A place is shown to whoever knows its token, and that is in the message.
    let rpcs = rpcs::rpcs(&nothing).into_iter().filter(|(_, name, ..)| *name != "GetToken");
    for (_, name, _, may) in rpcs {
        let path = raw::methods().into_iter().find(|method| method.name == name).unwrap().path;
        for (caller, reason) in refused(rpcs::at_edge(name).unwrap_or(may)) {
            let bearer = secured.bearer(caller).map(|bearer| ("authorization", bearer));
            let bearer: Vec<_> = bearer.into_iter().collect();
            // A message that says nothing.
            let told = raw::call_with(secured.channel(Role::Edge, "olga"), &path, &[], &bearer).await;
            let told = told.map_err(|status| Fault::from(&status).reason);
            if told.as_ref().err() != Some(&reason) {
                wrong.push(format!("{name} as {caller}: {:?}", told.err()));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    secured.mesh.finish().await.unwrap();
}

async fn of_anothers_place_nobody_learns_whether_it_is_there(shape: Shape) {
    let secured = Secured::start(shape, &[]).await;
    secured.keys.issue("olga", "olga", 2100);
    let join = secured.send("owner", Method::POST, "/v1/queues/default/tokens", &json!({}), "").await;
    let anns = text(&join.expect(201)["token"]).to_owned();
    let none = Uuid::from_u128(7).to_string();
    for token in [&anns, &none] {
        let path = format!("/v1/tokens/{token}");
        let left = secured.send("user", Method::DELETE, &path, &json!(null), "").await;
        let _ = left.problem(403, "NOT_OWNER");
        let request = LeaveQueueRequest { token: token.clone(), ..LeaveQueueRequest::default() };
        let bearer = [("authorization", secured.bearer("user").unwrap())];
        let (channel, message) = (secured.channel(Role::Edge, "olga"), request.encode_to_vec());
        let told = raw::call_with(channel, LEAVE, &message, &bearer).await.unwrap_err();
        assert_eq!(Fault::from(&told).reason, Reason::NotOwner);
    }
    // Nobody has to say who they are twice.
    let mut client = QueueServiceClient::new(secured.channel(Role::Edge, "olga"));
    let mut asked =
        tonic::Request::new(GetTokenRequest { queue_id: "default".into(), ..GetTokenRequest::default() });
    asked.metadata_mut().insert("authorization", secured.bearer("owner").unwrap().parse().unwrap());
    let place = client.get_token(asked).await.unwrap().into_inner().token.unwrap();
    assert_eq!((place.token, place.user_id), (anns.clone(), "ann".to_owned()));
    let gone = secured.send("owner", Method::DELETE, &format!("/v1/tokens/{anns}"), &json!(null), "").await;
    assert_eq!(gone.status, 204);
    secured.mesh.finish().await.unwrap();
}

async fn a_token_that_is_none_is_refused_at_each_door_and_told_nowhere(shape: Shape) {
    let secured = Secured::start(shape, &[]).await;
    secured.keys.issue("olga", "olga", 2100);
    let elsewhere = tempfile::tempdir().unwrap();
    let wrong = wrong(&secured.issuer, elsewhere.path());
    let request = GetWalletRequest { user_id: "ann".into() }.encode_to_vec();
    for (token, why) in &wrong {
        let bearer = format!("Bearer {token}");
        let call = secured.rest.get("/v1/wallets/ann").header("authorization", &bearer);
        let told = call.once().await;
        let challenge = told.header("www-authenticate").to_owned();
        assert_eq!(told.problem(401, "CREDENTIALS_INVALID")["why"], *why);
        assert_eq!(challenge, "Bearer realm=\"boxoffice\", error=\"invalid_token\"", "{why}");
        for door in [Role::Wallet, Role::Edge] {
            let metadata = [("authorization", bearer.clone())];
            let told = raw::call_with(secured.channel(door, "olga"), WALLET, &request, &metadata).await;
            let status = told.unwrap_err();
            let fault = Fault::from(&status);
            assert_eq!(
                (status.code(), fault.reason, fault.metadata["why"].as_str()),
                (Code::Unauthenticated, Reason::CredentialsInvalid, *why),
                "{door:?}"
            );
        }
    }
    // What no client has a reason to send is not even read as a token.
    let vast = format!("Bearer {}", "a".repeat(100_000));
    let told = secured.rest.get("/v1/wallets/ann").header("authorization", &vast).once().await;
    assert!(matches!(told.status, 401 | 431), "{}: {}", told.status, told.text);
    for door in [Role::Wallet, Role::Edge] {
        let metadata = [("authorization", vast.clone())];
        let told = raw::call_with(secured.channel(door, "olga"), WALLET, &request, &metadata).await;
        assert!(told.is_err(), "{door:?}");
    }
    let good = secured.bearer("owner").unwrap();
    let charge = json!({"amount": 1_000});
    let _charged =
        secured.send("owner", Method::POST, "/v1/wallets/ann/charges", &charge, "").await.expect(201);
    tokio::time::sleep(Duration::from_millis(500)).await; // the log is written behind
    let good = good.trim_start_matches("Bearer ");
    for token in wrong.iter().map(|(token, _)| &**token).chain([good]).filter(|token| token.len() > 20) {
        // Its last part is what nobody else can make.
        let secret = &token[token.len() - 20..];
        for node in &secured.mesh.nodes {
            let log = node.process.log();
            let told = log.lines().find(|line| line.contains(secret));
            assert!(told.is_none(), "{} logged a token: {}", node.process.name(), told.unwrap());
        }
    }
    secured.mesh.finish().await.unwrap();
}

async fn a_secured_house_explains_itself_to_nobody_unless_it_is_told_to(shape: Shape) {
    const REFLECTION: &str = "/grpc.reflection.v1.ServerReflection/ServerReflectionInfo";
    let told = Secured::start(shape, &["--docs", "on"]).await;
    let quiet = Secured::start(shape, &["--docs", "off"]).await;
    for secured in [&told, &quiet] {
        secured.keys.issue("olga", "olga", 2100);
    }
    for (path, with_docs) in [("/docs", 200), ("/openapi.json", 200), ("/metrics", 404)] {
        assert_eq!(told.rest.get(path).once().await.status, with_docs, "{path}");
        assert_eq!(quiet.rest.get(path).once().await.status, 404, "{path}");
    }
    let operator = quiet.bearer("operator").unwrap();
    for door in [Role::Queue, Role::Booking, Role::Wallet, Role::Edge] {
        let metadata = [("authorization", operator.clone())];
        let answer = raw::call_with(quiet.channel(door, "olga"), REFLECTION, &[], &metadata).await;
        assert_eq!(answer.unwrap_err().code(), Code::Unimplemented, "{door:?}");
    }
    for secured in [told, quiet] {
        secured.mesh.finish().await.unwrap();
    }
}
