//! The table of routes and the layers around it.

use std::sync::{Arc, LazyLock};

use axum::{
    Router,
    extract::{Request, State},
    http::{HeaderName, HeaderValue, Method, StatusCode, header},
    middleware::Next,
    response::{IntoResponse, Redirect, Response},
    routing::get,
};
use chassis::health::Health;
use tower::ServiceBuilder;
use tower_http::{
    compression::{CompressionLayer, predicate::SizeAbove},
    cors::CorsLayer,
};
use utoipa_axum::{router::OpenApiRouter, routes};

use super::{
    availability, books, concerts, docs, draws, journal, json,
    limited::{self, Rules, limited},
    mending,
    middleware::{Bounds, observe},
    openapi, original, pages, payments,
    problem::Problem,
    queues, reservations, seats, stories, streams, tokens, wallets,
};
use crate::{
    app::Edge,
    config::{Origins, Policy},
};

/// Where the keys of the mesh's own issuer are (RFC 8615).
const JWKS: &str = "/.well-known/jwks.json";
/// Bodies of fewer bytes are not compressed: they fit one packet, and compressing costs more than it saves.
const COMPRESS_ABOVE: u64 = 1_024;

/// What our pages may load, and where their forms may lead: to nobody else, and no script is written into a
/// page. The styles that are (the sheet of the on-sale, and the colours of Swagger UI's logo) are named by
/// what they are.
static CONTENTS: LazyLock<HeaderValue> = LazyLock::new(|| {
    let policy = format!(
        "default-src 'none'; script-src 'self'; \
         style-src 'self' {} 'sha256-RL3ie0nH+Lzz2YNqQN83mnU0J1ot4QL7b99vMdIX99w='; \
         img-src 'self' data:; font-src 'self'; connect-src 'self'; \
         base-uri 'none'; form-action 'self'; frame-ancestors 'none'",
        *pages::STYLE_HASH
    );
    HeaderValue::try_from(policy).unwrap_or(HeaderValue::from_static("default-src 'none'"))
});

/// Every route with the layers around it.
pub(super) fn router(edge: Arc<Edge>, policy: Policy, health: Health, bounds: Bounds) -> Router {
    let cors = cors(&edge.origins);
    let probes = if edge.doors.are_secured() {
        chassis::probes::health(health)
    } else {
        chassis::probes::router(health)
    };
    let (routes, document) = table().split_for_parts();
    let rules = openapi::rules(&document);
    let around = Around { bounds, edge: Arc::clone(&edge), rules: Arc::new(rules) };
    let layers =
        ServiceBuilder::new().option_layer(cors).layer(axum::middleware::from_fn_with_state(around, each));
    let doors = &edge.doors;
    let mut pages = probes;
    if policy.pages.0 {
        pages = pages.merge(pages::router().with_state(Arc::clone(&edge)));
    } else if doors.docs {
        pages = pages.route("/", get(|| async { Redirect::to("/docs/") }));
    }
    if doors.docs {
        let document: &'static [u8] =
            Vec::leak(openapi::complete(document, policy.browse, doors.are_secured().then_some(doors.house)));
        pages = pages
            .route("/openapi.json", get(move || async move { json::raw(StatusCode::OK, document.to_vec()) }))
            .merge(docs::router());
    }
    if let Some(keys) = doors.jwks().map(str::to_owned) {
        pages = pages.route(JWKS, get(move || async move { json::raw(StatusCode::OK, keys.into_bytes()) }));
    }
    let pages = pages.layer(axum::middleware::map_response(guarded)).layer(compression());
    routes.with_state(edge).merge(pages).fallback(nothing_here).layer(layers)
}

/// What the layers around every route need.
#[derive(Clone)]
struct Around {
    bounds: Bounds,
    edge: Arc<Edge>,
    rules: Arc<Rules>,
}

/// What is around every route.
async fn each(State(around): State<Around>, request: Request, next: Next) -> Response {
    let Around { bounds, edge, rules } = around;
    observe(bounds, request, |request| limited(edge, rules, request, next)).await
}

/// Adds the headers that say what our pages may load and who may show them: nothing from elsewhere, and no
/// frame.
async fn guarded(mut response: Response) -> Response {
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_SECURITY_POLICY, CONTENTS.clone());
    headers.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    headers.insert(header::X_FRAME_OPTIONS, HeaderValue::from_static("DENY"));
    headers.entry(header::REFERRER_POLICY).or_insert(HeaderValue::from_static("no-referrer"));
    response
}

fn compression() -> CompressionLayer<SizeAbove> {
    CompressionLayer::new().br(true).gzip(true).compress_when(SizeAbove::new(COMPRESS_ABOVE))
}

async fn nothing_here() -> Response {
    let detail =
        "There is nothing at this address; GET /docs shows what there is, unless it is switched off.";
    Problem::http(StatusCode::NOT_FOUND, detail).into_response()
}

/// Every documented route.
pub(super) fn table() -> OpenApiRouter<Arc<Edge>> {
    OpenApiRouter::with_openapi(openapi::head())
        .merge(places())
        .merge(sales().layer(compression()).layer(axum::middleware::map_response(as_if_compressed)))
}

/// What the layer that compresses leaves out. An answer without content varies by what the client takes
/// where the one with content does (RFC 9110, section 15.4.5); and a refusal of every encoding is not the
/// thing that was asked for.
async fn as_if_compressed(mut response: Response) -> Response {
    let status = response.status();
    let headers = response.headers_mut();
    if status == StatusCode::NOT_MODIFIED {
        headers.append(header::VARY, HeaderValue::from_static("accept-encoding"));
    } else if status == StatusCode::NOT_ACCEPTABLE {
        headers.remove(header::ETAG);
        headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    }
    response
}

/// The routes of users who wait or look at seats: small answers, and streams. They are never compressed, and
/// the layer that could is left out: the state of its encoders, some 7 KB, would be a part of every poll and
/// of every open stream.
fn places() -> OpenApiRouter<Arc<Edge>> {
    OpenApiRouter::new()
        .routes(routes!(tokens::issue_token))
        .routes(routes!(tokens::get_token, tokens::leave_queue))
        .routes(routes!(streams::token_events))
        .routes(routes!(streams::token_socket))
        .routes(routes!(availability::get_availability))
        .routes(routes!(availability::availability_events))
}

/// All other documented routes.
fn sales() -> OpenApiRouter<Arc<Edge>> {
    OpenApiRouter::new()
        .routes(routes!(queues::list_queues))
        .routes(routes!(queues::get_queue, queues::put_queue))
        .routes(routes!(draws::get_draw))
        .routes(routes!(draws::get_token_draw))
        .routes(routes!(concerts::create_concert, concerts::list_concerts))
        .routes(routes!(concerts::get_concert, mending::update_concert))
        .routes(routes!(concerts::create_show, concerts::list_shows))
        .routes(routes!(concerts::get_show, mending::update_show))
        .routes(routes!(mending::cancel_show))
        .routes(routes!(concerts::get_seat_plan))
        .routes(routes!(books::get_show_sales))
        .routes(routes!(books::list_show_reservations))
        .routes(routes!(seats::list_dates))
        .routes(routes!(seats::list_seats_of_date))
        .routes(routes!(seats::list_seats_of_show))
        .routes(routes!(reservations::hold_seats))
        .routes(routes!(reservations::get_reservation, reservations::cancel_reservation))
        .routes(routes!(reservations::list_reservations))
        .routes(routes!(wallets::charge_wallet))
        .routes(routes!(wallets::get_wallet))
        .routes(routes!(wallets::list_entries))
        .routes(routes!(payments::pay, stories::list_all_payments))
        .routes(routes!(payments::get_payment))
        .routes(routes!(stories::get_payment_story))
        .routes(routes!(stories::retry_payment))
        .routes(routes!(payments::refund_payment))
        .routes(routes!(payments::list_payments))
        .routes(routes!(journal::list_operator_actions))
        .routes(routes!(journal::get_metrics))
        .routes(routes!(journal::get_history))
        .routes(routes!(journal::list_alerts))
        .routes(routes!(original::token::original_issue_token))
        .routes(routes!(original::token::original_get_token))
        .routes(routes!(original::seats::original_list_dates))
        .routes(routes!(original::seats::original_list_seats))
        .routes(routes!(original::seats::original_reserve_seat))
        .routes(routes!(original::money::original_charge))
        .routes(routes!(original::money::original_get_balance))
        .routes(routes!(original::money::original_pay))
}

/// The rules for web pages of these origins; none without any.
fn cors(origins: &Origins) -> Option<CorsLayer> {
    let sent = [
        "authorization",
        "baggage",
        "content-type",
        "idempotency-key",
        "if-match",
        "if-none-match",
        "last-event-id",
        "traceparent",
        "tracestate",
        "x-queue-token",
    ];
    let told = [
        header::ETAG,
        header::LOCATION,
        header::RETRY_AFTER,
        limited::LEFT,
        limited::POLICY,
        HeaderName::from_static("traceparent"),
    ];
    let cors = origins.cors()?;
    let cors = cors.allow_methods([Method::GET, Method::POST, Method::PUT, Method::PATCH, Method::DELETE]);
    Some(cors.allow_headers(sent.map(HeaderName::from_static)).expose_headers(told))
}
