//! What handlers take from a request. Every refusal is a [`Problem`] that names the field as the client wrote
//! it. Two headers or parameters of one name are refused, since it is unclear which one is meant.

use std::{str::FromStr, sync::Arc};

use axum::{
    body::to_bytes,
    extract::{FromRequest, FromRequestParts, RawPathParams, Request},
    http::{HeaderMap, HeaderValue, StatusCode, header, request::Parts},
};
use boxoffice_proto::{Fault, Reason, time, validate::Checks};
use chassis::{arrival, idempotency::BRIEF};
use chrono::{DateTime, NaiveDate};
use prost_types::Timestamp;
use serde_json::Map;
use utoipa::IntoParams;
use uuid::Uuid;

use super::{
    fields::{Fields, FromFields},
    middleware::Bounds,
    object::{self, Read},
    problem::Problem,
};
use crate::app::{Caller, Edge};

/// The value of the one variable segment of a path.
pub(super) struct Segment<T>(pub(super) T);

/// A value that may stand in a path or a query.
pub(super) trait Word: Sized {
    /// Reads it. `checks` collects what is wrong, under the parameter's name.
    fn read(checks: &mut Checks, name: &str, raw: &str) -> Self;
}

impl Word for i64 {
    fn read(checks: &mut Checks, name: &str, raw: &str) -> Self {
        whole(raw).unwrap_or_else(|| {
            checks.refuse(name, "must be a whole number of at most 64 bits, in plain digits");
            0
        })
    }
}

/// A whole number in plain digits: each thing has one address, so `+1` and `01` are refused.
fn whole<T: FromStr + ToString>(raw: &str) -> Option<T> {
    raw.parse().ok().filter(|number: &T| number.to_string() == raw)
}

impl Word for Uuid {
    fn read(checks: &mut Checks, name: &str, raw: &str) -> Self {
        checks.uuid(name, raw)
    }
}

/// A user's id in a path, 1 to 64 visible characters.
pub(super) struct UserId(pub(super) String);

impl Word for UserId {
    fn read(checks: &mut Checks, name: &str, raw: &str) -> Self {
        Self(checks.user_id(name, raw))
    }
}

/// A queue's id in a path, 1 to 64 ASCII characters.
pub(super) struct QueueId(pub(super) String);

impl Word for QueueId {
    fn read(checks: &mut Checks, name: &str, raw: &str) -> Self {
        Self(checks.queue_id(name, raw))
    }
}

impl<S: Send + Sync, T: Word> FromRequestParts<S> for Segment<T> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        let params = RawPathParams::from_request_parts(parts, state)
            .await
            .map_err(|_| Problem::field("path", "must be percent-encoded UTF-8"))?;
        let (name, raw) = params
            .iter()
            .next()
            .ok_or_else(|| Problem::internal("a route without the parameter that its handler reads"))?;
        word(name, raw).map(Self)
    }
}

fn word<T: Word>(name: &str, raw: &str) -> Result<T, Problem> {
    let mut checks = Checks::default();
    let word = T::read(&mut checks, name, raw);
    checks.finish()?;
    Ok(word)
}

/// A header that is sent once at most.
pub(super) fn single<'a>(headers: &'a HeaderMap, name: &str) -> Result<Option<&'a HeaderValue>, Problem> {
    let mut all = headers.get_all(name).iter();
    let first = all.next();
    if all.next().is_some() { Err(Problem::field(name, "must be sent once at most")) } else { Ok(first) }
}

/// A JSON object, of at most as many bytes as [`FromFields::LIMIT`] says.
pub(super) struct Body<T>(pub(super) T);

impl<T: FromFields> FromRequest<Arc<Edge>> for Body<T> {
    type Rejection = Problem;

    async fn from_request(request: Request, edge: &Arc<Edge>) -> Result<Self, Problem> {
        let (parts, body) = request.into_parts();
        let too_large = || {
            let detail = format!("The body must not be larger than {} KiB.", T::LIMIT / 1024);
            Problem::http(StatusCode::PAYLOAD_TOO_LARGE, detail)
        };
        let announced = parts
            .headers
            .get(header::CONTENT_LENGTH)
            .and_then(|length| length.to_str().ok()?.parse::<u64>().ok());
        if announced.is_some_and(|length| length > T::LIMIT as u64) {
            return Err(too_large());
        }
        let media_type = single(&parts.headers, "Content-Type")?;
        if media_type.is_some_and(|media_type| !is_json(media_type)) {
            return Err(no_json());
        }
        if single(&parts.headers, "Content-Encoding")?
            .is_some_and(|encoding| !encoding.as_bytes().eq_ignore_ascii_case(b"identity"))
        {
            return Err(compressed());
        }
        let bounds = parts
            .extensions
            .get::<Bounds>()
            .ok_or_else(|| Problem::internal("a request came past the layers that bound it"))?;
        let read = bounds.outside(tokio::time::timeout(arrival::WITHIN, to_bytes(body, T::LIMIT))).await;
        let bytes = read
            .ok_or_else(crowded)?
            .map_err(|_| {
                Problem::http(StatusCode::REQUEST_TIMEOUT, "The body did not arrive within 5 seconds.")
            })?
            .map_err(|failed| {
                if is_limit(&failed) { too_large() } else { Problem::field("body", "could not be read") }
            })?;
        let read = if !bytes.is_empty() {
            if media_type.is_none() {
                return Err(no_json());
            }
            object::read(&bytes)
        } else if T::MAY_BE_LEFT_OUT {
            Ok(Read::Object(Map::new()))
        } else {
            return Err(Problem::field("body", "is required: a JSON object"));
        };
        match read {
            Ok(Read::Object(object)) => {
                let mut fields = Fields::new(object, edge.doors.are_secured());
                let value = T::read(&mut fields);
                fields.finish()?;
                Ok(Self(value))
            }
            Ok(Read::Twice(name)) => Err(Problem::field(&name, "must be given once")),
            Ok(Read::Other) => Err(Problem::field("body", "must be a JSON object")),
            Err(malformed) => Err(Problem::field("body", format!("is not well-formed JSON: {malformed}"))),
        }
    }
}

fn crowded() -> Problem {
    Fault::new(Reason::Unavailable, "Too many requests whose body has yet to come: send it along at once.")
        .into()
}

fn no_json() -> Problem {
    Problem::http(StatusCode::UNSUPPORTED_MEDIA_TYPE, "Send the body as Content-Type: application/json.")
}

fn compressed() -> Problem {
    Problem::http(
        StatusCode::UNSUPPORTED_MEDIA_TYPE,
        "Send the body as it is: compressed ones (Content-Encoding) are not taken.",
    )
    .with_header(header::ACCEPT_ENCODING, HeaderValue::from_static("identity"))
}

fn is_json(media_type: &HeaderValue) -> bool {
    let media_type = media_type.to_str().unwrap_or_default();
    let essence = media_type.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    essence == "application/json" || (essence.starts_with("application/") && essence.ends_with("+json"))
}

fn is_limit(error: &axum::Error) -> bool {
    let mut cause: Option<&(dyn std::error::Error + 'static)> = Some(error);
    while let Some(this) = cause {
        if this.is::<http_body_util::LengthLimitError>() {
            return true;
        }
        cause = this.source();
    }
    false
}

/// Who asks: `Authorization`, where callers are asked who they are, and `X-Queue-Token` as it came.
impl FromRequestParts<Arc<Edge>> for Caller {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, edge: &Arc<Edge>) -> Result<Self, Problem> {
        const NAME: &str = "X-Queue-Token";
        let value = single(&parts.headers, NAME)?.map(|value| String::from_utf8_lossy(value.as_bytes()));
        // Found out before the limits were looked at.
        let who = parts.extensions.remove::<access::Caller>();
        let who = who.ok_or_else(|| Problem::internal("a request came past the layer of the limits"))?;
        Ok(Self::new(who, edge.doors.house, NAME, value.as_deref()))
    }
}

/// `Idempotency-Key`, when the client sent one.
pub(super) struct IdempotencyKey(pub(super) Option<String>);

impl<S: Send + Sync> FromRequestParts<S> for IdempotencyKey {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Problem> {
        const NAME: &str = "Idempotency-Key";
        let Some(value) = single(&parts.headers, NAME)? else { return Ok(Self(None)) };
        match value.to_str() {
            Ok(key) if key.starts_with(BRIEF) => {
                Err(Problem::field(NAME, format!("must not begin with {BRIEF}: such ids are the edge's own")))
            }
            Ok(key) if (1..=128).contains(&key.len()) && key.bytes().all(|b| b.is_ascii_graphic()) => {
                Ok(Self(Some(key.to_owned())))
            }
            _ => Err(Problem::field(NAME, "must be 1 to 128 visible ASCII characters")),
        }
    }
}

/// The parameters of a query string.
pub(super) struct Params(Vec<(String, String)>);

impl Params {
    /// A parameter; empty is absent.
    pub(super) fn get(&self, name: &str) -> Result<Option<&str>, Problem> {
        let mut all = self.0.iter().filter(|(key, _)| key == name).map(|(_, value)| value.as_str());
        let first = all.next();
        if all.next().is_some() {
            return Err(Problem::field(name, "must be given once at most"));
        }
        Ok(first.filter(|value| !value.is_empty()))
    }

    /// A parameter that must be there.
    pub(super) fn need<T: Word>(&self, name: &str) -> Result<T, Problem> {
        word(name, self.get(name)?.ok_or_else(|| Problem::field(name, "is required"))?)
    }
}

impl<S: Send + Sync> FromRequestParts<S> for Params {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        let query = axum::extract::Query::<Vec<(String, String)>>::from_request_parts(parts, state);
        query
            .await
            .map(|query| Self(query.0))
            .map_err(|_| Problem::field("query", "must be a well-formed query string"))
    }
}

/// Which page of a list.
#[derive(IntoParams)]
#[into_params(parameter_in = Query, rename_all = "camelCase")]
pub(super) struct Page {
    /// How many at most; 50 when left out or 0, and 1,000 where more are asked for.
    #[param(minimum = 0, example = 50, required = false)]
    pub(super) page_size: i32,
    /// `nextPageToken` of the page before; left out for the first.
    #[param(required = false, pattern = "^[A-Za-z0-9_-]*$")]
    pub(super) page_token: String,
}

/// From when on, and in which order.
#[derive(IntoParams)]
#[into_params(parameter_in = Query, rename_all = "camelCase")]
pub(super) struct ToCome {
    /// Only what begins then or later: an instant, or a date, YYYY-MM-DD, by the clock of the venue.
    #[param(required = false, example = "2026-12-24T00:00:00Z")]
    pub(super) from: Option<String>,
}

impl ToCome {
    /// From when on, for the service: from an instant, or from a date, of which one is left out.
    pub(super) fn read(self) -> Result<(Option<Timestamp>, String), Problem> {
        let Some(text) = self.from else { return Ok((None, String::new())) };
        if is_date(&text) {
            return Ok((None, text));
        }
        let at = DateTime::parse_from_rfc3339(&text).ok().map(|at| time::timestamp(at.timestamp_micros()));
        let at = at.filter(|at| time::micros(at).is_some());
        let wrong = || Problem::field("from", "must be an instant or a date, such as 2026-12-24");
        Ok((Some(at.ok_or_else(wrong)?), String::new()))
    }
}

/// Whether this is a date of the calendar, written as `YYYY-MM-DD`.
pub(super) fn is_date(text: &str) -> bool {
    let shaped = text.len() == 10
        && text
            .bytes()
            .enumerate()
            .all(|(i, b)| if matches!(i, 4 | 7) { b == b'-' } else { b.is_ascii_digit() });
    shaped && !text.starts_with("0000") && NaiveDate::parse_from_str(text, "%Y-%m-%d").is_ok()
}

impl<S: Send + Sync> FromRequestParts<S> for ToCome {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        let params = Params::from_request_parts(parts, state).await?;
        Ok(Self { from: params.get("from")?.map(str::to_owned) })
    }
}

/// From when on something is told.
#[derive(IntoParams)]
#[into_params(parameter_in = Query, rename_all = "camelCase")]
pub(super) struct Since {
    /// Only what came after this instant.
    #[param(required = false, example = "2026-12-24T19:30:00Z")]
    pub(super) since: Option<String>,
}

impl Since {
    /// The instant that is named, if one is.
    pub(super) fn timestamp(&self) -> Result<Option<Timestamp>, Problem> {
        let Some(text) = &self.since else { return Ok(None) };
        let at = DateTime::parse_from_rfc3339(text).ok().map(|at| time::timestamp(at.timestamp_micros()));
        let at = at.filter(|at| time::micros(at).is_some());
        at.map(Some)
            .ok_or_else(|| Problem::field("since", "must be an instant, such as 2026-12-24T19:30:00Z"))
    }
}

impl<S: Send + Sync> FromRequestParts<S> for Since {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        let params = Params::from_request_parts(parts, state).await?;
        Ok(Self { since: params.get("since")?.map(str::to_owned) })
    }
}

/// In which order shows are listed.
#[derive(IntoParams)]
#[into_params(parameter_in = Query, rename_all = "camelCase")]
pub(super) struct Order {
    /// `startsAt` lists shows in the order in which they begin; newest first when left out.
    #[param(required = false, pattern = "^(startsAt)?$", example = "startsAt")]
    pub(super) order: String,
}

impl<S: Send + Sync> FromRequestParts<S> for Order {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        let params = Params::from_request_parts(parts, state).await?;
        Ok(Self { order: params.get("order")?.unwrap_or_default().to_owned() })
    }
}

impl<S: Send + Sync> FromRequestParts<S> for Page {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        let params = Params::from_request_parts(parts, state).await?;
        let raw = params.get("pageSize")?.unwrap_or("0");
        // However many are asked for, a page is as large as it may be.
        let is_plain = raw.bytes().all(|byte| byte.is_ascii_digit()) && (raw == "0" || !raw.starts_with('0'));
        let page_size = raw.parse().ok().filter(|_| is_plain).ok_or_else(|| {
            Problem::field("pageSize", "must be a whole number, 0 to 2147483647; a page has 1000 at most")
        })?;
        Ok(Self { page_size, page_token: params.get("pageToken")?.unwrap_or_default().to_owned() })
    }
}
