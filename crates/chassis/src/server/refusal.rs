//! The refusals of the server: each explains itself, also those that come from tonic or from the server
//! itself, and says when to come back in both ways that clients understand.

use std::{any::Any, collections::HashMap, time::Duration};

use http::{HeaderMap, HeaderValue, Response, StatusCode, header::CONTENT_TYPE};
use tonic::{Code, Status, body::Body};
use tonic_types::{ErrorDetails, StatusExt};

/// When to come back after a refusal of the server itself.
const RETRY_AFTER: Duration = Duration::from_secs(1);
/// What a caller is told about a fault of ours.
const SHOULD_NOT: &str = "something went wrong that should not";
/// The header that tells gRPC channels when to repeat a call; they do not read `RetryInfo`.
pub(super) const PUSHBACK: &str = "grpc-retry-pushback-ms";
/// How tonic-web begins what it says of a body that it cannot read.
const BY_WEB: &str = "tonic-web: ";

/// The answer to a request that is not gRPC, as the specification of gRPC demands; `None` when it is. A web
/// page may send `text/plain` to any address without asking first, and such a request must not be executed.
pub(super) fn no_grpc(headers: &HeaderMap) -> Option<Response<Body>> {
    let sent = headers.get(CONTENT_TYPE).map_or(&b""[..], HeaderValue::as_bytes);
    let essence = sent.split(|byte| *byte == b';').next().unwrap_or_default().trim_ascii();
    if [&b"application/grpc"[..], b"application/grpc+proto"]
        .iter()
        .any(|ours| essence.eq_ignore_ascii_case(ours))
    {
        return None;
    }
    let said = "This is gRPC: send application/grpc or application/grpc+proto.\n";
    Some(plain(StatusCode::UNSUPPORTED_MEDIA_TYPE, said))
}

/// A refusal in the words of HTTP, for who does not speak gRPC.
pub(super) fn plain(status: StatusCode, said: &'static str) -> Response<Body> {
    let mut response = Response::new(Body::new(axum::body::Body::from(said)));
    *response.status_mut() = status;
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("text/plain"));
    response
}

/// Completes an answer: a refusal without details gets them, and one with `RetryInfo` says the same in the
/// header for channels.
pub(super) fn told(mut response: Response<Body>, domain: &'static str) -> Response<Body> {
    let Some(mut status) =
        Status::from_header_map(response.headers()).filter(|status| status.code() != Code::Ok)
    else {
        return response;
    };
    if status.details().is_empty() {
        status = explained(&status, domain);
        response = status.clone().into_http();
    }
    if let Some(after) = status.get_details_retry_info().and_then(|info| info.retry_delay) {
        // Channels read a number of 32 bits, and give up on what is none.
        let millis = i32::try_from(after.as_millis()).unwrap_or(i32::MAX);
        response.headers_mut().insert(PUSHBACK, millis.into());
    }
    response
}

/// Gives a refusal that comes from the server itself (no such method, a late answer, a malformed message, a
/// panic) the `ErrorInfo` that every error carries. What else it says stays, such as which compression is
/// taken. Where it is a mistake of ours, the cause goes to the log and not to the caller.
#[expect(clippy::wildcard_enum_match_arm, reason = "every other code tells the caller what is wrong")]
fn explained(bare: &Status, domain: &'static str) -> Status {
    // What tonic answers to a message that was cut off with its connection: the caller has gone, and nobody
    // here is at fault. Over gRPC-Web the same is said inside of other words.
    let cut_off = match bare.code() {
        Code::Unknown => bare.message().starts_with("h2 protocol error: error reading a body"),
        Code::Internal => {
            bare.message().starts_with(BY_WEB) && bare.message().contains("error reading a body")
        }
        _ => false,
    };
    // tonic answers INTERNAL to a message that is missing or no protobuf of the right kind, or no Base64
    // where that was announced, and OUT_OF_RANGE to one that is too large; these are the caller's mistakes,
    // which asking again does not mend.
    let decoding =
        ["failed to decode", "protocol error", "Unexpected EOF decoding", "Missing request message", BY_WEB];
    let malformed = bare.code() == Code::Internal
        && !cut_off
        && decoding.iter().any(|words| bare.message().starts_with(words));
    let size = bare
        .message()
        .strip_prefix("Error, decoded message length too large: ")
        .filter(|_| bare.code() == Code::OutOfRange);
    let code = if malformed || size.is_some() {
        Code::InvalidArgument
    } else if cut_off {
        Code::Cancelled
    } else {
        bare.code()
    };
    let message = match code {
        // Nothing has logged the cause of such an answer yet.
        Code::Internal | Code::Unknown | Code::DataLoss => {
            tracing::error!(
                alert = true,
                ?code,
                cause = bare.message(),
                "something went wrong that should not"
            );
            SHOULD_NOT.to_owned()
        }
        _ => {
            size.map_or_else(|| bare.message().to_owned(), |size| format!("the message is too large: {size}"))
        }
    };
    let mut details = ErrorDetails::with_error_info(word(code), domain, HashMap::new());
    if code == Code::InvalidArgument {
        details.add_bad_request_violation("message", &message);
    }
    if matches!(code, Code::Unavailable | Code::DeadlineExceeded | Code::ResourceExhausted) {
        details.set_retry_info(Some(RETRY_AFTER));
    }
    Status::with_error_details_and_metadata(code, message, details, bare.metadata().clone())
}

/// The name of a code, as in the specification.
const fn word(code: Code) -> &'static str {
    match code {
        Code::Ok => "OK",
        Code::Cancelled => "CANCELLED",
        Code::Unknown => "UNKNOWN",
        Code::InvalidArgument => "INVALID_ARGUMENT",
        Code::DeadlineExceeded => "DEADLINE_EXCEEDED",
        Code::NotFound => "NOT_FOUND",
        Code::AlreadyExists => "ALREADY_EXISTS",
        Code::PermissionDenied => "PERMISSION_DENIED",
        Code::ResourceExhausted => "RESOURCE_EXHAUSTED",
        Code::FailedPrecondition => "FAILED_PRECONDITION",
        Code::Aborted => "ABORTED",
        Code::OutOfRange => "OUT_OF_RANGE",
        Code::Unimplemented => "UNIMPLEMENTED",
        Code::Internal => "INTERNAL",
        Code::Unavailable => "UNAVAILABLE",
        Code::DataLoss => "DATA_LOSS",
        Code::Unauthenticated => "UNAUTHENTICATED",
    }
}

/// The message of a panic.
#[must_use]
pub fn panic_text(panic: &(dyn Any + Send)) -> &str {
    let said =
        panic.downcast_ref::<&str>().copied().or_else(|| panic.downcast_ref::<String>().map(String::as_str));
    said.unwrap_or("without a text")
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use super::*;

    #[test]
    fn what_is_no_grpc_is_told_so() {
        let sent = |content_type: Option<&'static str>| {
            let mut headers = HeaderMap::new();
            headers.extend(content_type.map(|one| (CONTENT_TYPE, HeaderValue::from_static(one))));
            no_grpc(&headers).map(|refusal| refusal.status().as_u16())
        };
        for grpc in [
            "application/grpc",
            "application/grpc+proto",
            "Application/gRPC",
            "application/grpc; charset=utf-8",
        ] {
            assert_eq!(sent(Some(grpc)), None, "{grpc}");
        }
        for other in [
            "",
            "text/plain",
            "application/json",
            "application/grpc-web+proto",
            "application/grpc-web",
            "application/grpc+json",
        ] {
            assert_eq!(sent(Some(other)), Some(415), "{other}");
        }
        assert_eq!(sent(None), Some(415));
    }

    #[test]
    fn whoever_says_when_says_it_to_channels_as_well() {
        let with = |after| ErrorDetails::with_retry_info(Some(after));
        let fault =
            Status::with_error_details(Code::ResourceExhausted, "later", with(Duration::from_millis(60_500)));
        let sale = with(Duration::from_secs(31 * 24 * 3_600));
        let far = Status::with_error_details(Code::FailedPrecondition, "next month", sale);
        for (status, pushback) in [
            (fault, Some("60500")),
            (far, Some("2147483647")),
            (Status::unavailable("bare"), Some("1000")),
            (Status::not_found("for good"), None),
        ] {
            let response = told(status.into_http(), "toy");
            assert_eq!(
                response.headers().get(PUSHBACK).map(|value| value.to_str().unwrap()),
                pushback,
                "{response:?}"
            );
        }
    }

    #[test]
    fn a_body_that_cannot_be_read_is_the_callers_mistake_or_its_end() {
        for (bare, code) in [
            (Status::internal("tonic-web: malformed base64 request"), Code::InvalidArgument),
            (Status::internal("tonic-web: Invalid symbol 33, offset 0."), Code::InvalidArgument),
            (
                Status::internal("tonic-web: code: 'Unknown error', message: \"error reading a body\""),
                Code::Cancelled,
            ),
            (Status::unknown("h2 protocol error: error reading a body from connection"), Code::Cancelled),
            (Status::internal("a handler panicked: tonic-web: no"), Code::Internal),
        ] {
            let told = told(bare.clone().into_http(), "toy");
            assert_eq!(Status::from_header_map(told.headers()).unwrap().code(), code, "{bare:?}");
        }
    }

    #[test]
    fn an_explanation_keeps_what_was_said_beside_it() {
        let mut bare = Status::unimplemented("Content is compressed with `gzip` which isn't supported");
        bare.metadata_mut().insert("grpc-accept-encoding", "identity".parse().unwrap());
        let response = told(bare.into_http(), "toy");
        assert_eq!(response.headers()["grpc-accept-encoding"], "identity");
        let info = Status::from_header_map(response.headers()).unwrap().get_details_error_info();
        assert_eq!(info.map(|info| info.reason).as_deref(), Some("UNIMPLEMENTED"));
    }
}
