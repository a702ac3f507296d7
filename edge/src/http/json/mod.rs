//! The JSON of the contract, and its conversions from and to messages of the services.

mod alerts;
mod availability;
mod booking;
mod books;
mod draw;
mod history;
mod journal;
mod mending;
mod plan;
mod queue;
mod seats;
mod story;
mod wallet;

use axum::{
    body::Body,
    http::{HeaderValue, StatusCode, header},
    response::Response,
};
use boxoffice_proto::time;
use chassis::rfc3339::Rfc3339;
use serde::{Serialize, Serializer};
use utoipa::ToSchema;

pub(super) use self::{
    alerts::*, availability::*, booking::*, books::*, draw::*, history::*, journal::*, mending::*, plan::*,
    queue::*, seats::*, story::*, wallet::*,
};
use super::problem::Problem;

/// An answer of a service lacks a part that it always has: the service is not ours, or of a newer release.
#[derive(Debug)]
pub(crate) struct Hollow;

impl From<Hollow> for Problem {
    fn from(_: Hollow) -> Self {
        Self::internal("a service's answer lacks its content")
    }
}

/// The part that every answer of this kind has.
pub(crate) fn whole<T>(part: Option<T>) -> Result<T, Hollow> {
    part.ok_or(Hollow)
}

/// An instant, as RFC 3339 in UTC with microseconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ToSchema)]
#[schema(value_type = String, format = DateTime, example = "2026-12-24T19:30:00.000000Z")]
pub(crate) struct Instant(pub(crate) i64);

impl Instant {
    /// The instant as text.
    pub(crate) fn text(self) -> Rfc3339 {
        Rfc3339::of(self.0)
    }

    /// Reads an instant that may be absent.
    fn optional(at: Option<&prost_types::Timestamp>) -> Option<Self> {
        at.and_then(time::micros).map(Self)
    }

    /// Reads an instant that is always there.
    fn read(at: Option<&prost_types::Timestamp>) -> Result<Self, Hollow> {
        whole(Self::optional(at))
    }
}

impl Serialize for Instant {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.text().as_str())
    }
}

/// A span in whole seconds, rounded up; 0 when it is absent.
fn seconds(span: Option<&prost_types::Duration>) -> i64 {
    span.and_then(time::span_micros)
        .map_or(0, |micros| micros.div_euclid(1_000_000) + i64::from(micros.rem_euclid(1_000_000) > 0))
}

/// When to poll again, in whole seconds. It is rounded to the nearest second, so that about as many users
/// poll in a second as the service intended.
fn advice(span: Option<&prost_types::Duration>) -> i64 {
    let micros = span.and_then(time::span_micros).filter(|micros| *micros > 0);
    micros.map_or(0, |micros| ((micros + 500_000) / 1_000_000).max(1))
}

/// An enum whose words are those of the contract without their prefix, read from its number.
macro_rules! words {
    ($(#[$doc:meta])* $name:ident of $proto:path { $($variant:ident),+ }) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, utoipa::ToSchema)]
        #[serde(rename_all = "SCREAMING_SNAKE_CASE")]
        pub(crate) enum $name { $($variant),+ }

        impl $name {
            /// Reads the number of the contract.
            pub(crate) fn read(number: i32) -> Result<Self, $crate::http::json::Hollow> {
                use $proto as Proto;
                match Proto::try_from(number) {
                    $(Ok(Proto::$variant) => Ok(Self::$variant),)+
                    Ok(Proto::Unspecified) | Err(_) => Err($crate::http::json::Hollow),
                }
            }
        }
    };
}
use words;

/// A JSON answer.
pub(super) fn answer<T: Serialize>(status: StatusCode, value: &T) -> Result<Response, Problem> {
    let body = serde_json::to_vec(value).map_err(Problem::internal)?;
    Ok(raw(status, body))
}

/// A JSON answer about something that was created at this address.
pub(super) fn created<T: Serialize>(location: &str, value: &T) -> Result<Response, Problem> {
    let mut response = answer(StatusCode::CREATED, value)?;
    locate(&mut response, location);
    Ok(response)
}

/// Adds the address of what the answer is about.
pub(super) fn locate(response: &mut Response, location: &str) {
    if let Ok(location) = HeaderValue::from_str(location) {
        response.headers_mut().insert(header::LOCATION, location);
    }
}

/// An answer with JSON that was serialised before.
pub(super) fn raw(status: StatusCode, body: Vec<u8>) -> Response {
    let mut response = Response::new(Body::from(body));
    *response.status_mut() = status;
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    response
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spans_are_rounded_up() {
        let of = |micros| seconds(Some(&time::duration(micros)));
        assert_eq!((of(0), of(1), of(1_000_000), of(1_000_001)), (0, 1, 1, 2));
    }

    #[test]
    fn advice_is_the_nearest_second_and_never_at_once() {
        let of = |micros| advice(Some(&time::duration(micros)));
        assert_eq!((of(0), of(1), of(800_000), of(4_499_999), of(4_500_000)), (0, 1, 1, 4, 5));
    }
}
