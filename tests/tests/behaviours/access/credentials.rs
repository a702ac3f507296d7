//! What a door says to a bearer token that is none, and what a secured house keeps to itself.

use std::{path::Path, time::Duration};

use access::{Issuer, Roles};
use boxoffice_proto::{Fault, Reason, wallet::GetWalletRequest};
use chassis::clock::{Clock, SECOND};
use prost::Message;
use reqwest::Method;
use serde_json::json;
use tests::{
    mesh::{Role, Shape},
    raw,
    suite::Solo,
};
use tonic::Code;

use super::Secured;

pub(super) const SOLOS: &[Solo] = tests::solos![&[Shape::SingleSqlite, Shape::Cluster];
    a_token_that_is_none_is_refused_at_each_door_and_told_nowhere,
    a_secured_house_explains_itself_to_nobody_unless_it_is_told_to,
];

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
