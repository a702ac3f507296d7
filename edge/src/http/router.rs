//! The table of routes and the layers around it.

use std::{collections::HashSet, sync::Arc, time::Duration};

use axum::{
    Router,
    http::{HeaderName, HeaderValue, Method, StatusCode, header},
    response::{IntoResponse, Redirect, Response},
    routing::get,
};
use tower::ServiceBuilder;
use tower_http::{
    compression::{
        CompressionLayer,
        predicate::{NotForContentType, Predicate, SizeAbove},
    },
    cors::{AllowOrigin, Any, CorsLayer},
};
use utoipa_axum::{router::OpenApiRouter, routes};
use utoipa_swagger_ui::{Config, SwaggerUi};

use super::{
    Api, Deps, STREAMS, concerts, json,
    middleware::{Bounds, observe},
    openapi, original, payments,
    problem::Problem,
    queues, reservations, seats, streams, tokens, wallets,
};

/// Bodies below this are sent as they are: they fit one packet, and the work would cost more than it saves.
const COMPRESS_ABOVE: u64 = 1_024;

/// The whole REST side.
pub(crate) fn router(deps: Deps) -> Router {
    let cors = cors(&deps.policy.cors_origins);
    let probes = chassis::probes::router(deps.health);
    let api = Arc::new(Api {
        clients: deps.clients,
        gate: deps.gate,
        polls: deps.polls,
        checkouts: deps.checkouts,
        browse: deps.policy.browse,
        clock: deps.clock,
        shutdown: deps.shutdown,
        streams: Arc::new(tokio::sync::Semaphore::new(STREAMS)),
    });
    let (routes, document) = table().split_for_parts();
    let document: &'static [u8] = Vec::leak(openapi::complete(document));
    let layers = ServiceBuilder::new()
        .option_layer(cors)
        .layer(CompressionLayer::new().gzip(true).compress_when(SizeAbove::new(COMPRESS_ABOVE).and(NotForContentType::SSE)))
        .layer(axum::middleware::from_fn_with_state(Bounds::new(), observe));
    routes
        .with_state(api)
        .merge(probes)
        .route("/", get(|| async { Redirect::to("/docs/") }))
        .route("/openapi.json", get(move || async move { json::raw(StatusCode::OK, document.to_vec()) }))
        // Without `vendored` and a config of our own it would fetch its parts from elsewhere and loop on the slash.
        .merge(SwaggerUi::new("/docs").config(Config::from("/openapi.json").try_it_out_enabled(true).display_operation_id(true)))
        .fallback(nothing_here)
        .layer(layers)
}

async fn nothing_here() -> Response {
    Problem::http(StatusCode::NOT_FOUND, "There is nothing at this address; /docs shows what there is.").into_response()
}

/// Every documented route.
pub(super) fn table() -> OpenApiRouter<Arc<Api>> {
    OpenApiRouter::with_openapi(openapi::head())
        .routes(routes!(tokens::issue_token))
        .routes(routes!(tokens::get_token, tokens::leave_queue))
        .routes(routes!(streams::token_events))
        .routes(routes!(streams::token_socket))
        .routes(routes!(queues::get_queue, queues::put_queue))
        .routes(routes!(concerts::create_concert, concerts::list_concerts))
        .routes(routes!(concerts::get_concert))
        .routes(routes!(concerts::create_show, concerts::list_shows))
        .routes(routes!(concerts::get_show))
        .routes(routes!(seats::list_dates))
        .routes(routes!(seats::list_seats_of_date))
        .routes(routes!(seats::list_seats_of_show))
        .routes(routes!(reservations::hold_seats))
        .routes(routes!(reservations::get_reservation, reservations::cancel_reservation))
        .routes(routes!(reservations::list_reservations))
        .routes(routes!(wallets::charge_wallet))
        .routes(routes!(wallets::get_wallet))
        .routes(routes!(wallets::list_entries))
        .routes(routes!(payments::pay))
        .routes(routes!(payments::get_payment))
        .routes(routes!(payments::list_payments))
        .routes(routes!(original::token::original_issue_token))
        .routes(routes!(original::token::original_get_token))
        .routes(routes!(original::seats::original_list_dates))
        .routes(routes!(original::seats::original_list_seats))
        .routes(routes!(original::seats::original_reserve_seat))
        .routes(routes!(original::money::original_charge))
        .routes(routes!(original::money::original_get_balance))
        .routes(routes!(original::money::original_pay))
}

/// Which web pages may call: the configured origins, all with `*`, none by default.
fn cors(origins: &[String]) -> Option<CorsLayer> {
    let origins: HashSet<&str> = origins.iter().map(|origin| origin.trim()).filter(|origin| !origin.is_empty()).collect();
    if origins.is_empty() {
        return None;
    }
    let layer = CorsLayer::new()
        .allow_methods([Method::GET, Method::POST, Method::PUT, Method::DELETE])
        .allow_headers(
            ["content-type", "idempotency-key", "x-queue-token", "if-none-match", "last-event-id", "traceparent"]
                .map(HeaderName::from_static),
        )
        .expose_headers([header::ETAG, header::LOCATION, header::RETRY_AFTER, HeaderName::from_static("traceparent")])
        .max_age(Duration::from_secs(3_600));
    if origins.contains("*") {
        return Some(layer.allow_origin(Any));
    }
    let origins: Vec<HeaderValue> = origins.into_iter().filter_map(|origin| HeaderValue::from_str(origin).ok()).collect();
    Some(layer.allow_origin(AllowOrigin::list(origins)))
}
