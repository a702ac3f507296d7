//! A relay of a public randomness network of one: a real HTTP server in the test's process, which tells
//! rounds in their time, or is away, or lies.

use std::sync::{Arc, Mutex, PoisonError};

use axum::{
    Router,
    extract::Path,
    http::StatusCode,
    response::{IntoResponse, Response},
    routing::get,
};
use chassis::clock::Clock;
use drand::Drand;
use tokio::net::TcpListener;

/// What a relay does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mood {
    /// It tells what there is.
    Tells,
    /// It answers 503.
    IsAway,
    /// It tells rounds that somebody else has signed.
    Forges,
    /// It sends whoever asks to another address, where rounds are forged.
    SendsElsewhere,
}

/// A relay on a port of its own. It answers for as long as the test runs.
#[derive(Clone, Debug)]
pub struct DrandRelay {
    /// The address of its chain, as `--beacon-url` takes it.
    pub url: String,
    /// Its chain.
    pub drand: Drand,
    mood: Arc<Mutex<Mood>>,
    asked: Arc<Mutex<usize>>,
}

impl DrandRelay {
    /// Starts one, of a chain that has a round a second.
    ///
    /// # Panics
    /// When no port is free.
    pub async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port is free");
        let at = listener.local_addr().expect("a bound socket has an address");
        let genesis = Clock::system().now() / 1_000_000 - 1_000;
        let drand = Drand::new(1, 1, genesis);
        let url = format!("http://{at}/{}", drand.hash());
        let (mood, asked) = (Arc::new(Mutex::new(Mood::Tells)), Arc::default());
        let relay = Self { url, drand, mood, asked };
        let (informing, answering) = (relay.clone(), relay.clone());
        let forger = Drand::new(2, 1, genesis);
        let info = move || async move { informing.drand.info() };
        let round = move |Path((_, round)): Path<(String, i64)>| {
            let answer = answering.answer(round);
            async move { answer }
        };
        let forged = move |Path(round): Path<i64>| async move { forger.round(round) };
        let router = Router::new()
            .route("/{chain}/info", get(info))
            .route("/{chain}/public/{round}", get(round))
            .route("/forged/{round}", get(forged));
        tokio::spawn(async move { axum::serve(listener, router).await });
        relay
    }

    /// What it does from now on.
    pub fn is(&self, mood: Mood) {
        *self.mood.lock().unwrap_or_else(PoisonError::into_inner) = mood;
    }

    /// How often it was asked for a round that there was.
    #[must_use]
    pub fn asked(&self) -> usize {
        *self.asked.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn answer(&self, round: i64) -> Response {
        let mood = *self.mood.lock().unwrap_or_else(PoisonError::into_inner);
        if round > self.drand.latest(Clock::system().now()) {
            return StatusCode::NOT_FOUND.into_response();
        }
        *self.asked.lock().unwrap_or_else(PoisonError::into_inner) += 1;
        match mood {
            Mood::Tells => self.drand.round(round).into_response(),
            Mood::IsAway => StatusCode::SERVICE_UNAVAILABLE.into_response(),
            Mood::Forges => self
                .drand
                .round(round - 1)
                .replace(&format!("\"round\":{}", round - 1), &format!("\"round\":{round}"))
                .into_response(),
            Mood::SendsElsewhere => {
                let to = format!(
                    "{}/forged/{round}",
                    self.url.trim_end_matches(&format!("/{}", self.drand.hash()))
                );
                (StatusCode::FOUND, [("location", to)]).into_response()
            }
        }
    }
}
