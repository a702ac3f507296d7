//! The API page at `/docs/`: Swagger UI, whose files are part of the program, so that it works offline.

use std::sync::Arc;

use axum::{
    Router,
    extract::Path,
    http::{StatusCode, header},
    response::{IntoResponse, Redirect, Response},
    routing::get,
};
use utoipa_swagger_ui::Config;

use super::problem::Problem;

/// The file of the page.
const INDEX: &str = "index.html";
/// Makes a phone show the page at its own width, and not as on a screen of 981 pixels.
const VIEWPORT: &str = "<head>\n    <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">";
/// Comes after the sheets of the page, and so wins over them.
const SHEET_LINK: &str = "<link rel=\"stylesheet\" type=\"text/css\" href=\"./boxoffice.css\">\n  </head>";
/// Our sheet for the page, whose own colours many cannot read.
const SHEET: (&str, &str) = ("boxoffice.css", include_str!("../../pages/docs.css"));

/// The routes of the page and of the files that it loads.
pub(super) fn router<S: Clone + Send + Sync + 'static>() -> Router<S> {
    // Without the bar at the top, which offers to show other documents: the page may load none.
    let config = Config::from("/openapi.json").use_base_layout();
    let config = Arc::new(config.try_it_out_enabled(true).display_operation_id(true));
    let page = Arc::clone(&config);
    Router::new()
        .route("/docs", get(|| async { Redirect::to("/docs/") }))
        .route("/docs/", get(move || async move { file(INDEX, page) }))
        .route("/docs/{*file}", get(move |Path(name): Path<String>| async move { file(&name, config) }))
}

fn file(name: &str, config: Arc<Config<'static>>) -> Response {
    if name == SHEET.0 {
        return ([(header::CONTENT_TYPE, "text/css; charset=utf-8")], SHEET.1).into_response();
    }
    match utoipa_swagger_ui::serve(name, config) {
        Ok(Some(file)) => {
            let body = match std::str::from_utf8(&file.bytes) {
                Ok(page) if name == INDEX => {
                    page.replacen("<head>", VIEWPORT, 1).replacen("</head>", SHEET_LINK, 1).into_bytes()
                }
                Ok(_) | Err(_) => file.bytes.into_owned(),
            };
            ([(header::CONTENT_TYPE, file.content_type)], body).into_response()
        }
        Ok(None) => Problem::http(StatusCode::NOT_FOUND, "The API page has no such part.").into_response(),
        Err(error) => Problem::internal(format_args!("{name} of the API page: {error}")).into_response(),
    }
}
