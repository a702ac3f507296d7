//! Servers that are told. One hears events as somebody else's program would: it checks every signature with
//! the library that Standard Webhooks has for that. The other one hears alerts, as a chat does.

use std::{
    collections::HashMap,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
};

use axum::{Router, body::Bytes, http::HeaderMap, http::StatusCode, routing::post};
use serde_json::Value;
use standardwebhooks::Webhook;
use tokio::net::TcpListener;

/// The secrets that receivers share with the mesh, each with one of them.
pub const SECRETS: [&str; 2] =
    ["whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oD", "whsec_A75aWHl+gKzXM+VZTYZGJk7qgSjNFxDl"];

/// What a receiver was told.
#[derive(Clone, Debug, Default)]
pub struct Heard {
    /// What it took, in its order, each the first time.
    pub events: Vec<Value>,
    /// How often something came that it had taken before.
    pub again: usize,
    /// What was wrong with what came.
    pub wrong: Vec<String>,
    bodies: HashMap<String, Bytes>,
    requests: usize,
}

/// A receiver on a port of its own. It answers for as long as the test runs.
#[derive(Clone, Debug)]
pub struct Receiver {
    /// Its address.
    pub url: String,
    secret: &'static str,
    heard: Arc<Mutex<Heard>>,
}

impl Receiver {
    /// Starts one with this secret, that refuses the n-th request if `refuses` says so.
    ///
    /// # Panics
    /// When no port is free.
    pub async fn start(secret: &'static str, refuses: fn(usize) -> bool) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port is free");
        let url = format!("http://{}/events", listener.local_addr().expect("a bound socket has an address"));
        let receiver = Self { url, secret, heard: Arc::default() };
        let answering = receiver.clone();
        let take = move |headers: HeaderMap, body: Bytes| {
            let answer = answering.take(&headers, body, refuses);
            async move { answer }
        };
        let router = Router::new().route("/events", post(take));
        tokio::spawn(async move { axum::serve(listener, router).await });
        receiver
    }

    fn take(&self, headers: &HeaderMap, body: Bytes, refuses: fn(usize) -> bool) -> StatusCode {
        let mut heard = self.heard.lock().unwrap_or_else(PoisonError::into_inner);
        heard.requests += 1;
        let webhook = Webhook::new(self.secret).expect("a secret");
        if let Err(error) = webhook.verify(&body, headers) {
            heard.wrong.push(format!("{error}: {headers:?}"));
            return StatusCode::UNAUTHORIZED;
        }
        if refuses(heard.requests) {
            return StatusCode::SERVICE_UNAVAILABLE;
        }
        let event: Value = serde_json::from_slice(&body).unwrap_or_default();
        let id = event["id"].as_str().unwrap_or_default().to_owned();
        if headers["webhook-id"] != id.as_str() {
            heard.wrong.push(format!("{id} came as {:?}", headers["webhook-id"]));
        }
        match heard.bodies.insert(id, body.clone()) {
            None => heard.events.push(event),
            Some(before) if before == body => heard.again += 1,
            Some(before) => heard.wrong.push(format!("{before:?} came again as {body:?}")),
        }
        StatusCode::NO_CONTENT
    }

    /// What it was told so far.
    #[must_use]
    pub fn heard(&self) -> Heard {
        self.heard.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

/// A chat that is told of alerts.
#[derive(Clone, Debug)]
pub struct Chat {
    /// Its address.
    pub url: String,
    parts: Arc<ChatParts>,
}

#[derive(Debug, Default)]
struct ChatParts {
    away: AtomicBool,
    missed: AtomicUsize,
    texts: Mutex<Vec<String>>,
}

impl Chat {
    /// Starts one that is away.
    ///
    /// # Panics
    /// When no port is free.
    pub async fn away() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port is free");
        let url = format!("http://{}/hook", listener.local_addr().expect("a bound socket has an address"));
        let parts = Arc::new(ChatParts { away: AtomicBool::new(true), ..ChatParts::default() });
        let chat = Self { url, parts: Arc::clone(&parts) };
        let take = move |body: Bytes| {
            let is_away = parts.away.load(Ordering::SeqCst);
            if is_away {
                parts.missed.fetch_add(1, Ordering::SeqCst);
            } else {
                let body: Value = serde_json::from_slice(&body).unwrap_or_default();
                let text = body["text"].as_str().unwrap_or_default().to_owned();
                parts.texts.lock().unwrap_or_else(PoisonError::into_inner).push(text);
            }
            async move { if is_away { StatusCode::BAD_GATEWAY } else { StatusCode::OK } }
        };
        let router = Router::new().route("/hook", post(take));
        tokio::spawn(async move { axum::serve(listener, router).await });
        chat
    }

    /// It is there from now on.
    pub fn come_back(&self) {
        self.parts.away.store(false, Ordering::SeqCst);
    }

    /// How many messages it did not take.
    #[must_use]
    pub fn missed(&self) -> usize {
        self.parts.missed.load(Ordering::SeqCst)
    }

    /// What it was told.
    #[must_use]
    pub fn texts(&self) -> Vec<String> {
        self.parts.texts.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}
