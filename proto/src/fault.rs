//! Refusals on the wire: a [`Fault`] is what a caller is told, as a gRPC status with details or (at the edge)
//! as a problem document.
//!
//! The table in [`Reason`] is exhaustive: a new reason does not compile until it has its gRPC code and HTTP
//! status.

use std::{collections::HashMap, fmt, str::FromStr, time::Duration};

use http::StatusCode;
use tonic::{Code, Status};
use tonic_types::{ErrorDetails, PreconditionViolation, StatusExt};

/// How many violations of one request are listed; further ones are only counted. They travel in a header, and
/// clients accept headers of 8 KiB.
const MAX_VIOLATIONS: usize = 20;

/// The `domain` of every `ErrorInfo` of this system.
pub const DOMAIN: &str = "boxoffice";

macro_rules! reasons {
    ($($variant:ident $name:literal $code:ident $status:ident $doc:literal;)+) => {
        /// Why a request was refused: stable words that clients may branch on.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        pub enum Reason { $(#[doc = $doc] $variant,)+ }

        impl Reason {
            /// Every reason, in the order of the contract.
            pub const ALL: &[Self] = &[$(Self::$variant),+];

            /// The word on the wire: `ErrorInfo.reason`, and `code` in a problem document.
            #[must_use]
            pub const fn as_str(self) -> &'static str { match self { $(Self::$variant => $name),+ } }
            /// What the reason means, in one sentence.
            #[must_use]
            pub const fn title(self) -> &'static str { match self { $(Self::$variant => $doc),+ } }
            /// The gRPC code that goes with the reason.
            #[must_use]
            pub const fn grpc(self) -> Code { match self { $(Self::$variant => Code::$code),+ } }
            /// The HTTP status that goes with the reason.
            #[must_use]
            pub const fn http(self) -> StatusCode { match self { $(Self::$variant => StatusCode::$status),+ } }
        }

        impl FromStr for Reason {
            type Err = UnknownReason;
            fn from_str(word: &str) -> Result<Self, UnknownReason> {
                match word { $($name => Ok(Self::$variant),)+ _ => Err(UnknownReason) }
            }
        }
    };
}

reasons! {
    InvalidArgument "INVALID_ARGUMENT" InvalidArgument BAD_REQUEST "The request is malformed or out of range.";
    TokenMissing "TOKEN_MISSING" Unauthenticated UNAUTHORIZED "A queue token is needed here.";
    TokenNotActive "TOKEN_NOT_ACTIVE" PermissionDenied FORBIDDEN "The queue token is not admitted at this moment.";
    TokenWrongUser "TOKEN_WRONG_USER" PermissionDenied FORBIDDEN "The queue token belongs to another user.";
    TokenWrongQueue "TOKEN_WRONG_QUEUE" PermissionDenied FORBIDDEN "The queue token is of another queue.";
    NotOwner "NOT_OWNER" PermissionDenied FORBIDDEN "This belongs to another user.";
    QueueNotFound "QUEUE_NOT_FOUND" NotFound NOT_FOUND "There is no such queue.";
    TokenNotFound "TOKEN_NOT_FOUND" NotFound NOT_FOUND "There is no such token.";
    ConcertNotFound "CONCERT_NOT_FOUND" NotFound NOT_FOUND "There is no such concert.";
    ShowNotFound "SHOW_NOT_FOUND" NotFound NOT_FOUND "There is no such show.";
    SeatNotFound "SEAT_NOT_FOUND" NotFound NOT_FOUND "The show has no such seat.";
    ReservationNotFound "RESERVATION_NOT_FOUND" NotFound NOT_FOUND "There is no such reservation.";
    WalletNotFound "WALLET_NOT_FOUND" NotFound NOT_FOUND "This user has no wallet yet.";
    PaymentNotFound "PAYMENT_NOT_FOUND" NotFound NOT_FOUND "There is no such payment.";
    NotFound "NOT_FOUND" NotFound NOT_FOUND "There is nothing here.";
    InsufficientFunds "INSUFFICIENT_FUNDS" FailedPrecondition PAYMENT_REQUIRED "The balance does not cover this.";
    SeatTaken "SEAT_TAKEN" Aborted CONFLICT "Somebody else has one of these seats.";
    HoldExpired "HOLD_EXPIRED" FailedPrecondition CONFLICT "The hold has lapsed.";
    AlreadyPaid "ALREADY_PAID" FailedPrecondition CONFLICT "The reservation is paid for already.";
    ReservationCancelled "RESERVATION_CANCELLED" FailedPrecondition CONFLICT "The reservation was cancelled.";
    SalesClosed "SALES_CLOSED" FailedPrecondition CONFLICT "The show is no longer on sale.";
    HoldLimit "HOLD_LIMIT" FailedPrecondition CONFLICT "This user holds as many seats as one may.";
    RequestIdReused "REQUEST_ID_REUSED" AlreadyExists UNPROCESSABLE_ENTITY "The request id was used for another request.";
    QueueFull "QUEUE_FULL" ResourceExhausted TOO_MANY_REQUESTS "The line is full at this moment.";
    RateLimited "RATE_LIMITED" ResourceExhausted TOO_MANY_REQUESTS "Too many requests at this moment.";
    Unavailable "UNAVAILABLE" Unavailable SERVICE_UNAVAILABLE "A part of the system cannot be reached at this moment.";
    DeadlineExceeded "DEADLINE_EXCEEDED" DeadlineExceeded GATEWAY_TIMEOUT "The answer took longer than the caller would wait.";
    Unimplemented "UNIMPLEMENTED" Unimplemented NOT_IMPLEMENTED "This server does not have that method.";
    Internal "INTERNAL" Internal INTERNAL_SERVER_ERROR "Something went wrong that should not.";
}

/// The error for a word that is not a reason of this system.
#[derive(Debug, thiserror::Error)]
#[error("not a known reason")]
pub struct UnknownReason;

impl Reason {
    /// Whether the very same request may succeed if it is sent again a little later, without harm.
    /// `SeatTaken` is not among them: the seat may become free, but a person should choose.
    #[must_use]
    pub const fn retryable(self) -> bool {
        matches!(self, Self::QueueFull | Self::RateLimited | Self::Unavailable | Self::DeadlineExceeded)
    }

    /// Whether the outcome is unknown: the request may have taken effect although this error came back.
    #[must_use]
    pub const fn leaves_outcome_unknown(self) -> bool {
        matches!(
            self,
            Self::Unavailable
                | Self::DeadlineExceeded
                | Self::Internal
                | Self::Unimplemented
                | Self::RateLimited
        )
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// A field of a request that is wrong.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Violation {
    /// The field's name as in the proto (`snake_case`).
    pub field: String,
    /// What is wrong, and what would be right.
    pub description: String,
}

impl Violation {
    /// Names a field and what is wrong with it.
    pub fn new(field: impl Into<String>, description: impl Into<String>) -> Self {
        Self { field: field.into(), description: description.into() }
    }
}

/// What a caller is told when a request is refused. Carries nothing that a stranger must not see.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fault {
    /// The stable word that clients may branch on.
    pub reason: Reason,
    /// A sentence for people: what is wrong, and what to do.
    pub detail: String,
    /// Machine-readable particulars (`snake_case` keys), such as `seat_numbers`.
    pub metadata: HashMap<String, String>,
    /// What is wrong with which field.
    pub violations: Vec<Violation>,
    /// How long to wait before asking again.
    pub retry_after: Option<Duration>,
}

impl Fault {
    /// A refusal with this reason and sentence.
    pub fn new(reason: Reason, detail: impl Into<String>) -> Self {
        Self {
            reason,
            detail: detail.into(),
            metadata: HashMap::new(),
            violations: Vec::new(),
            retry_after: None,
        }
    }

    /// The refusal for a fault of ours, and the only way to an INTERNAL: the cause is logged as an alert
    /// within the trace of the request, and the caller gets nothing of it.
    #[must_use]
    pub fn internal(cause: impl fmt::Display) -> Self {
        tracing::error!(alert = true, %cause, "something went wrong that should not");
        Self::new(Reason::Internal, Reason::Internal.title())
    }

    /// A refusal of one or more fields. The detail names the first one, and how many there are.
    #[must_use]
    pub fn invalid(mut violations: Vec<Violation>) -> Self {
        let detail = match violations.as_slice() {
            [] => "The request is invalid.".to_owned(),
            [one] => format!("{}: {}", one.field, one.description),
            [first, rest @ ..] => format!("{}: {} (and {} more)", first.field, first.description, rest.len()),
        };
        violations.truncate(MAX_VIOLATIONS);
        Self { violations, ..Self::new(Reason::InvalidArgument, detail) }
    }

    /// A refusal of a single field.
    pub fn invalid_field(field: impl Into<String>, description: impl Into<String>) -> Self {
        Self::invalid(vec![Violation::new(field, description)])
    }

    /// Adds an entry to the metadata.
    #[must_use]
    pub fn with(mut self, key: &str, value: impl fmt::Display) -> Self {
        self.metadata.insert(key.to_owned(), value.to_string());
        self
    }

    /// Sets how long to wait before asking again.
    #[must_use]
    pub const fn retry_after(mut self, after: Duration) -> Self {
        self.retry_after = Some(after);
        self
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.reason, self.detail)
    }
}

impl std::error::Error for Fault {}

impl From<Fault> for Status {
    fn from(fault: Fault) -> Self {
        let code = fault.reason.grpc();
        let mut details = ErrorDetails::new();
        if code == Code::FailedPrecondition {
            details.set_precondition_failure(vec![PreconditionViolation::new(
                fault.reason.as_str(),
                "",
                &fault.detail,
            )]);
        }
        details.set_error_info(fault.reason.as_str(), DOMAIN, fault.metadata);
        for violation in fault.violations {
            details.add_bad_request_violation(violation.field, violation.description);
        }
        let after = fault.retry_after.or(fault.reason.retryable().then_some(Duration::from_secs(1)));
        if let Some(after) = after {
            details.set_retry_info(Some(after));
        }
        Self::with_error_details(code, fault.detail, details)
    }
}

impl From<&Status> for Fault {
    /// Reads a refusal back. A status without our details (from a transport or a proxy) is read by its code;
    /// its text is not passed on, because it may describe internals.
    fn from(status: &Status) -> Self {
        let details = status.get_error_details();
        let retry_after = details.retry_info().and_then(|info| info.retry_delay);
        let named = details.error_info().filter(|info| info.domain == DOMAIN);
        let Some((reason, metadata)) =
            named.and_then(|info| Some((info.reason.parse().ok()?, info.metadata.clone())))
        else {
            let reason = reason_of_bare(status.code());
            let fault = if reason == Reason::Internal {
                // A service of ours logs the cause itself; this status came from something on the way, or
                // from the client's own library.
                Self::internal(format_args!(
                    "a call was answered {:?} without details: {}",
                    status.code(),
                    status.message()
                ))
            } else {
                Self::new(reason, reason.title())
            };
            return Self { retry_after, ..fault };
        };
        let violations = details.bad_request().map(|bad| {
            bad.field_violations
                .iter()
                .map(|v| Violation::new(v.field.clone(), v.description.clone()))
                .collect()
        });
        Self {
            reason,
            detail: status.message().to_owned(),
            metadata,
            violations: violations.unwrap_or_default(),
            retry_after,
        }
    }
}

/// The reason for a status without details. tonic itself reports an expired deadline of the client and a
/// dropped connection as Cancelled, and a connection that was lost in the middle of an answer as Unknown.
const fn reason_of_bare(code: Code) -> Reason {
    match code {
        Code::DeadlineExceeded | Code::Cancelled => Reason::DeadlineExceeded,
        Code::ResourceExhausted => Reason::RateLimited,
        Code::Unavailable | Code::Aborted | Code::Unknown => Reason::Unavailable,
        Code::Unimplemented => Reason::Unimplemented,
        Code::NotFound => Reason::NotFound,
        // Also INVALID_ARGUMENT: our services name the field, so one without a field comes from something on
        // the way, and says nothing.
        Code::Ok
        | Code::InvalidArgument
        | Code::OutOfRange
        | Code::AlreadyExists
        | Code::PermissionDenied
        | Code::FailedPrecondition
        | Code::Internal
        | Code::DataLoss
        | Code::Unauthenticated => Reason::Internal,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fault_survives_the_wire_whole() {
        let fault = Fault::invalid_field("seat_numbers", "must name 1 to 50 different seats")
            .with("show_id", 7)
            .retry_after(Duration::from_secs(3));
        let status = Status::from(fault.clone());
        assert_eq!(status.code(), Code::InvalidArgument);
        assert_eq!(Fault::from(&status), fault);
    }

    #[test]
    fn every_reason_is_read_back_by_its_word() {
        for reason in Reason::ALL {
            assert_eq!(reason.as_str().parse::<Reason>().ok(), Some(*reason));
            let status = Status::from(Fault::new(*reason, "x"));
            assert_eq!(status.code(), reason.grpc());
            assert_eq!(Fault::from(&status).reason, *reason);
        }
    }

    #[test]
    fn the_text_of_a_foreign_status_is_not_passed_on() {
        let fault = Fault::from(&Status::internal("password=hunter2"));
        assert_eq!(fault.reason, Reason::Internal);
        assert!(!fault.detail.contains("hunter2"));
    }

    #[test]
    fn what_is_wrong_with_a_request_fits_into_a_header() {
        let wrong = |at| {
            Violation::new(
                format!("tokens[{at}]"),
                "must be a UUID, such as 3fa85f64-5717-4562-b3fc-2c963f66afa6",
            )
        };
        let fault = Fault::invalid((0..1_000).map(wrong).collect());
        assert!(fault.detail.ends_with("(and 999 more)"), "{fault}");
        let status = Status::from(fault);
        // Base64 makes four of three.
        let size = status.details().len() * 4 / 3 + status.message().len();
        assert!(size < 6_000, "{size}");
    }

    #[test]
    fn retryable_refusals_say_when() {
        for reason in Reason::ALL.iter().filter(|r| r.retryable()) {
            assert!(Fault::from(&Status::from(Fault::new(*reason, "x"))).retry_after.is_some());
        }
    }
}
