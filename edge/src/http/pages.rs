//! The on-sale and the box office in a browser: one document and the modules it loads. All of it is in the
//! program, so that nothing has to be installed beside it and it works offline.
//!
//! Every page is the same document, whose modules read the address: those of buyers, or those of whoever runs
//! the sale, which buyers do not load. The address of a module has the version of all modules in it, so that
//! browsers and caches keep it for good and a new release is loaded at once.
//!
//! The first page and those of a show and of a place say what they are before any module has come, and
//! without JavaScript: they are written here. That of a show has a form that joins its line; that of a place
//! says where its user stands, and loads itself again at the pace that the queue advises. What is written
//! stands in the document as JSON, too, so that the modules ask for none of it. The sheet is a part of the
//! document: one answer is all that has to come before a page of the on-sale can be read.

use std::{
    hash::{DefaultHasher, Hash, Hasher},
    io::Write,
    sync::{Arc, LazyLock},
    time::Duration,
};

use axum::{
    Extension, Router,
    extract::{Path, State},
    http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
    routing::get,
};
use base64::{Engine, engine::general_purpose::STANDARD};
use boxoffice_proto::{Fault, Reason};
use flate2::{Compression, write::GzEncoder};
use ring::digest::{SHA256, digest};
use tokio::time::timeout;
use uuid::Uuid;

use self::{
    page::{Page, escaped},
    words::{ENGLISH, KOREAN, Words},
};
use super::{App, json, json::Token, problem::Problem};
use crate::app::{Edge, Polls, queue};

mod manual;
mod page;
mod sale;
mod show;
mod words;

/// The document of all pages; what stands in braces is filled in.
const DOCUMENT: &str = include_str!("../../pages/index.html");
/// How long a page waits for what is to be written into it. Then it is shown without, and its modules ask for
/// it again.
const PATIENCE: Duration = Duration::from_secs(2);

/// The route of what the document loads.
pub(super) const PART: &str = "/assets/{version}/{*part}";
/// The route of the page of a show, and of its form.
pub(super) const SHOW: &str = "/shows/{show}";

/// The modules of the on-sale, each below those that it stands on; the last one begins.
const BUYERS: &[(&str, &str)] = &[
    ("api.js", include_str!("../../pages/api.js")),
    ("person.js", include_str!("../../pages/person.js")),
    ("dom.js", include_str!("../../pages/dom.js")),
    ("words.js", include_str!("../../pages/words.js")),
    ("english.js", include_str!("../../pages/english.js")),
    ("korean.js", include_str!("../../pages/korean.js")),
    ("place.js", include_str!("../../pages/place.js")),
    ("waiting.js", include_str!("../../pages/waiting.js")),
    ("seats.js", include_str!("../../pages/seats.js")),
    ("signing.js", include_str!("../../pages/signing.js")),
    ("sale.js", include_str!("../../pages/sale.js")),
    ("show.js", include_str!("../../pages/show.js")),
    ("mine.js", include_str!("../../pages/mine.js")),
    ("frame.js", include_str!("../../pages/frame.js")),
    ("main.js", include_str!("../../pages/main.js")),
];
/// The modules of the on-sale that are loaded later: while one waits, or when somebody asks for what they do.
const LATER: &[(&str, &str)] = &[
    ("seating.js", include_str!("../../pages/seating.js")),
    ("states.js", include_str!("../../pages/states.js")),
    ("picture.js", include_str!("../../pages/picture.js")),
    ("hall.js", include_str!("../../pages/hall.js")),
    ("basket.js", include_str!("../../pages/basket.js")),
    ("draw.js", include_str!("../../pages/draw.js")),
];
/// The modules of the box office, in the same order.
const OPERATORS: &[(&str, &str)] = &[
    ("operator/english.js", include_str!("../../pages/operator/english.js")),
    ("operator/korean.js", include_str!("../../pages/operator/korean.js")),
    ("operator/words.js", include_str!("../../pages/operator/words.js")),
    ("operator/person.js", include_str!("../../pages/operator/person.js")),
    ("operator/table.js", include_str!("../../pages/operator/table.js")),
    ("operator/forms.js", include_str!("../../pages/operator/forms.js")),
    ("operator/paged.js", include_str!("../../pages/operator/paged.js")),
    ("operator/chart.js", include_str!("../../pages/operator/chart.js")),
    ("operator/watch.js", include_str!("../../pages/operator/watch.js")),
    ("operator/board.js", include_str!("../../pages/operator/board.js")),
    ("operator/journal.js", include_str!("../../pages/operator/journal.js")),
    ("operator/lines.js", include_str!("../../pages/operator/lines.js")),
    ("operator/shows.js", include_str!("../../pages/operator/shows.js")),
    ("operator/currency.js", include_str!("../../pages/operator/currency.js")),
    ("operator/till.js", include_str!("../../pages/operator/till.js")),
    ("operator/planner.js", include_str!("../../pages/operator/planner.js")),
    ("operator/find.js", include_str!("../../pages/operator/find.js")),
    ("operator/books.js", include_str!("../../pages/operator/books.js")),
    ("operator/audit.js", include_str!("../../pages/operator/audit.js")),
    ("operator/main.js", include_str!("../../pages/operator/main.js")),
];
/// What the box office has of the on-sale.
const SHARED: &[&str] = &[
    "api.js",
    "person.js",
    "dom.js",
    "words.js",
    "english.js",
    "korean.js",
    "signing.js",
    "seating.js",
    "picture.js",
    "frame.js",
];
/// The sheet of all pages. Those of the on-sale have it in their head.
const STYLE: &str = include_str!("../../pages/style.css");
/// The same sheet for the others, and what the box office has beyond it.
const STYLES: &[(&str, &str)] =
    &[("style.css", STYLE), ("operator/style.css", include_str!("../../pages/operator/style.css"))];

/// What a policy for contents names the sheet by that stands in pages of the on-sale.
pub(super) static STYLE_HASH: LazyLock<String> =
    LazyLock::new(|| format!("'sha256-{}'", STANDARD.encode(digest(&SHA256, STYLE.as_bytes()))));

/// The parts as they are sent, made at the first request for any.
static PARTS: LazyLock<Parts> = LazyLock::new(Parts::new);

/// What the document loads.
struct Parts {
    /// The hash of all contents.
    version: String,
    parts: Vec<Part>,
    /// The documents of the on-sale and of the box office, which lack only what each request adds.
    on_sale: String,
    box_office: String,
    /// The links to the sheets of the box office.
    sheets: String,
}

/// One file, as it is and compressed.
struct Part {
    name: &'static str,
    kind: &'static str,
    plain: Vec<u8>,
    zipped: Vec<u8>,
}

impl Parts {
    fn new() -> Self {
        let mut hasher = DefaultHasher::new();
        (BUYERS, LATER, OPERATORS, STYLES).hash(&mut hasher);
        let version = format!("{:016x}", hasher.finish());
        let modules = BUYERS.iter().chain(LATER).chain(OPERATORS);
        let modules =
            modules.map(|(name, text)| Part::new(name, "text/javascript; charset=utf-8", bare(text)));
        let styles =
            STYLES.iter().map(|(name, text)| Part::new(name, "text/css; charset=utf-8", (*text).to_owned()));
        let shared = BUYERS.iter().chain(LATER).filter(|(name, _)| SHARED.contains(name));
        Self {
            parts: modules.chain(styles).collect(),
            on_sale: document(&version, format!("<style>{STYLE}</style>\n  "), BUYERS.iter(), "main.js"),
            box_office: document(
                &version,
                sheets(&version, STYLES),
                shared.chain(OPERATORS),
                "operator/main.js",
            ),
            sheets: sheets(&version, STYLES),
            version,
        }
    }
}

/// A link to a part.
fn link(version: &str, kind: &str, name: &str) -> String {
    format!("<link rel=\"{kind}\" href=\"/assets/{version}/{name}\">\n  ")
}

/// The links to sheets.
fn sheets(version: &str, styles: &[(&str, &str)]) -> String {
    styles.iter().map(|(name, _)| link(version, "stylesheet", name)).collect()
}

/// The document with this style that loads these modules, and begins with one of them.
fn document<'a>(
    version: &str,
    style: String,
    modules: impl Iterator<Item = &'a (&'static str, &'static str)>,
    main: &str,
) -> String {
    // Without these hints a module would be asked for only when the one that needs it has been read.
    let modules = modules.map(|(name, _)| link(version, "modulepreload", name));
    let links: String = std::iter::once(style).chain(modules).collect();
    let document = DOCUMENT.replace("{links}", links.trim_end()).replace("{begin}", main);
    document.replace("{version}", version)
}

/// A module without its comments: they are for who reads the source, and a quarter of what would be sent. Its
/// lines keep their numbers.
fn bare(text: &str) -> String {
    let mut is_within = false;
    let mut sent = String::with_capacity(text.len());
    for line in text.lines() {
        let words = line.trim();
        let begins = !is_within && words.starts_with("/**");
        let end = words.find("*/");
        // What stands behind a comment of the same line is code.
        let is_comment = is_within || begins && end.is_none_or(|end| end + 2 == words.len());
        is_within = is_comment && end.is_none();
        if !is_comment && !words.starts_with("//") {
            sent.push_str(line);
        }
        sent.push('\n');
    }
    sent
}

impl Part {
    fn new(name: &'static str, kind: &'static str, text: String) -> Self {
        let mut zip = GzEncoder::new(Vec::new(), Compression::best());
        // Writing into memory does not fail; if it did, the part would be sent as it is.
        let zipped = zip.write_all(text.as_bytes()).and_then(|()| zip.finish()).unwrap_or_default();
        Self { name, kind, plain: text.into_bytes(), zipped }
    }
}

/// The routes of the pages and of what they load.
pub(super) fn router() -> Router<Arc<Edge>> {
    Router::new()
        .route("/", get(sale::first))
        .route("/me", get(page))
        .route(SHOW, get(show::show).post(show::join))
        .route("/line/{token}", get(place))
        .route("/operator", get(box_office))
        .route("/operator/{*page}", get(box_office))
        .route("/manual", get(|| async { document_of(manual::night) }))
        .route("/manual/draw", get(|| async { document_of(manual::draw) }))
        .route(PART, get(part))
}

async fn page(State(edge): App, headers: HeaderMap) -> Response {
    Page::new(&edge, &headers).render()
}

async fn box_office(State(edge): App, headers: HeaderMap) -> Response {
    Page::of_operators(&edge, &headers).render()
}

/// A page of the manual, which is of no person and no place.
fn document_of(page: fn(&str) -> String) -> Response {
    let kind = [(header::CONTENT_TYPE, "text/html; charset=utf-8"), (header::CACHE_CONTROL, "no-cache")];
    (kind, page(&PARTS.sheets)).into_response()
}

/// The page of a place, whose modules cope with a token that nobody has and with a queue that is away.
async fn place(
    State(edge): App,
    Extension(polls): Extension<Polls>,
    Path(token): Path<String>,
    headers: HeaderMap,
) -> Response {
    let mut page = Page::new(&edge, &headers);
    if let Ok(token) = token.parse::<Uuid>() {
        match timeout(PATIENCE, queue::place(&edge, &polls, token)).await {
            Ok(Ok(found)) => {
                if let Ok(token) = Token::try_from(found) {
                    page.tell(&token);
                }
            }
            Ok(Err(fault)) if fault.reason == Reason::TokenNotFound => {}
            Ok(Err(Fault { retry_after, .. })) => page.tell_later(retry_after),
            Err(_late) => page.tell_later(None),
        }
    }
    page.render()
}

/// A part. The version says for how long it may be kept: one of another release, which a replica may be asked
/// for while a new one is rolled out, is answered with what there is, for this once.
async fn part(Path((version, name)): Path<(String, String)>, headers: HeaderMap) -> Response {
    let Some(part) = PARTS.parts.iter().find(|part| part.name == name) else {
        return Problem::http(StatusCode::NOT_FOUND, "The pages have no such part.").into_response();
    };
    let is_this = version == PARTS.version;
    let kept = if is_this { "public, max-age=31536000, immutable" } else { "no-store" };
    let kind = [(header::CONTENT_TYPE, part.kind), (header::CACHE_CONTROL, kept)];
    let likes_gzip = weight(&headers, &header::ACCEPT_ENCODING, |name| name.eq_ignore_ascii_case("gzip")) > 0;
    if likes_gzip && !part.zipped.is_empty() {
        let coding = [(header::CONTENT_ENCODING, "gzip"), (header::VARY, "accept-encoding")];
        return (kind, coding, part.zipped.as_slice()).into_response();
    }
    (kind, part.plain.as_slice()).into_response()
}

/// Whether a client asks for JSON rather than for a page.
fn wants_json(headers: &HeaderMap) -> bool {
    let weight = |of: &str| weight(headers, &header::ACCEPT, |name| name.eq_ignore_ascii_case(of));
    weight("application/json") > weight("text/html")
}

/// How much a client likes what its header names so, in thousandths: the most that it says of any such entry,
/// and 0 where it names none.
fn weight(headers: &HeaderMap, header: &HeaderName, is_it: impl Fn(&str) -> bool) -> u32 {
    let entries = headers.get_all(header).iter().filter_map(|value| value.to_str().ok());
    let weights = entries.flat_map(|text| text.split(',')).filter_map(|entry| {
        let mut parts = entry.split(';').map(str::trim);
        parts.next().filter(|name| is_it(name))?;
        Some(parts.find_map(|part| part.strip_prefix("q=")).map_or(1_000, thousandths))
    });
    weights.max().unwrap_or(0)
}

/// A weight such as `0.8` in thousandths (RFC 9110, section 12.4.2); what is none weighs nothing.
fn thousandths(weight: &str) -> u32 {
    let (whole, rest) = weight.split_once('.').unwrap_or((weight, ""));
    format!("{whole}{rest:0<3}").parse().unwrap_or(0)
}

/// The language that the browser's user likes best of those that the pages speak.
fn language(headers: &HeaderMap) -> &'static Words {
    let weight = |of: &str| {
        let speaks = |tag: &str| tag.split('-').next().is_some_and(|tag| tag.eq_ignore_ascii_case(of));
        weight(headers, &header::ACCEPT_LANGUAGE, speaks)
    };
    if weight("ko") > weight("en") { &KOREAN } else { &ENGLISH }
}

/// Where a program finds what there is.
fn index(docs: bool) -> Response {
    let mut links = serde_json::json!({
        "concerts": "/v1/concerts", "queue": "/v1/queues/default", "health": "/healthz", "ready": "/readyz",
    });
    if docs {
        links["openapi"] = "/openapi.json".into();
        links["docs"] = "/docs/".into();
    }
    let mut response = json::raw(StatusCode::OK, links.to_string().into_bytes());
    response.headers_mut().insert(header::VARY, HeaderValue::from_static("accept"));
    response
}

#[cfg(test)]
mod tests;
