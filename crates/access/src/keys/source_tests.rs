//! Issuers on the network that do not answer as they should.

use std::{future::Future, net::SocketAddr};

use axum::{Router, response::Redirect, routing::get};
use serde_json::json;
use tokio::net::TcpListener;

use super::*;
use crate::testing::{Signer, jwks};

/// A server of these routes, and its address.
async fn serve<F: Future<Output = Router>>(routes: impl FnOnce(SocketAddr) -> F) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let routes = routes(address).await;
    tokio::spawn(async move { axum::serve(listener, routes).await });
    format!("http://{address}")
}

fn good() -> String {
    jwks(&[&Signer::new("EdDSA", "a")])
}

async fn at(base: &str, path: &str) -> Result<KeySet, String> {
    KeySource::Jwks(Fetcher::new().unwrap(), format!("{base}{path}").parse().unwrap()).fetch().await
}

/// What comes of a discovery document.
async fn discovered(
    issuer_path: &str,
    document: impl FnOnce(&str) -> serde_json::Value,
) -> Result<KeySet, String> {
    let path = format!("{}/.well-known/openid-configuration", issuer_path.trim_end_matches('/'));
    let base = serve(async |address| {
        let told = document(&format!("http://{address}")).to_string();
        Router::new().route(&path, get(async || told)).route("/jwks", get(async || good()))
    });
    KeySource::Discovery(Fetcher::new().unwrap(), format!("{}{issuer_path}", base.await)).fetch().await
}

#[tokio::test]
async fn only_a_small_document_from_where_it_was_asked_for_is_taken() {
    let base = serve(async |_| {
        Router::new()
            .route("/jwks", get(async || good()))
            .route("/elsewhere", get(async || Redirect::temporary("/jwks")))
            .route("/large", get(async || format!("{}{}", " ".repeat(300 * 1024), good())))
            .route("/html", get(async || "<html>"))
    })
    .await;
    assert!(at(&base, "/jwks").await.is_ok());
    for (path, why) in [
        ("/elsewhere", "answered 307"),
        ("/large", "larger than 262144 bytes"),
        ("/nothing", "answered 404"),
        ("/html", "no JWK set"),
    ] {
        let told = at(&base, path).await.unwrap_err();
        assert!(told.contains(why), "{path}: {told}");
    }
}

#[tokio::test]
async fn an_issuer_that_is_not_there_is_told() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let base = format!("http://{}", listener.local_addr().unwrap());
    drop(listener);
    let told = at(&base, "/jwks").await.unwrap_err();
    assert!(told.contains("/jwks") && told.contains("refused"), "{told}");
}

#[tokio::test(start_paused = true)]
async fn an_issuer_that_says_nothing_is_not_waited_for() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let base = format!("http://{}", listener.local_addr().unwrap());
    let told = at(&base, "/jwks").await.unwrap_err();
    assert!(told.contains("no answer within"), "{told}");
}

#[tokio::test]
async fn a_discovery_document_is_the_issuer_s_own() {
    for path in ["", "/", "/realms/shop", "/realms/shop/"] {
        let told = discovered(
            path,
            |base| json!({"issuer": format!("{base}{path}"), "jwks_uri": format!("{base}/jwks")}),
        );
        assert!(told.await.is_ok(), "{path:?}");
    }
    let other = |issuer: fn(&str) -> String| {
        discovered("", move |base| json!({"issuer": issuer(base), "jwks_uri": format!("{base}/jwks")}))
    };
    for told in [other(|_| "https://id.example".to_owned()).await, other(|base| format!("{base}/")).await] {
        assert!(told.as_ref().is_err_and(|why| why.contains("another issuer")), "{told:?}");
    }
    for keys in ["http://id.example/jwks", "file:///etc/passwd", "jwks"] {
        let told = discovered("", |base| json!({"issuer": base, "jwks_uri": keys})).await;
        assert!(told.as_ref().is_err_and(|why| why.contains("jwks_uri")), "{told:?}");
    }
    assert!(discovered("", |base| json!({"issuer": base})).await.is_err());
}
