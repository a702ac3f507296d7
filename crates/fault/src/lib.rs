//! Refusals: a [`Fault`] is what a caller is told, and its [`Reason`] is the word that clients branch on.
//!
//! The table in [`Reason`] is exhaustive: a new reason does not compile until it has its gRPC code and HTTP
//! status. Nothing in here knows a transport, so a domain may speak of refusals. The feature `wire`, which
//! the contract asks for, adds the two columns and how a fault travels as a gRPC status.

#[cfg(feature = "wire")]
mod wire;

use std::{collections::HashMap, fmt, str::FromStr, time::Duration};

#[cfg(feature = "wire")]
pub use wire::{Answer, refuse};

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
            #[cfg(feature = "wire")]
            #[must_use]
            pub const fn grpc(self) -> tonic::Code { match self { $(Self::$variant => tonic::Code::$code),+ } }
            /// The HTTP status that goes with the reason.
            #[cfg(feature = "wire")]
            #[must_use]
            pub const fn http(self) -> http::StatusCode {
                match self { $(Self::$variant => http::StatusCode::$status),+ }
            }
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
    CredentialsMissing "CREDENTIALS_MISSING" Unauthenticated UNAUTHORIZED "A bearer token is needed here.";
    CredentialsInvalid "CREDENTIALS_INVALID" Unauthenticated UNAUTHORIZED "The bearer token is not accepted.";
    NotAllowed "NOT_ALLOWED" PermissionDenied FORBIDDEN "This is not for the caller to do.";
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
    SeatsUnavailable "SEATS_UNAVAILABLE" FailedPrecondition CONFLICT "So many seats cannot be had like that.";
    HoldExpired "HOLD_EXPIRED" FailedPrecondition CONFLICT "The hold has lapsed.";
    AlreadyPaid "ALREADY_PAID" FailedPrecondition CONFLICT "The reservation is paid for already.";
    ReservationCancelled "RESERVATION_CANCELLED" FailedPrecondition CONFLICT "The reservation was cancelled.";
    SalesNotOpen "SALES_NOT_OPEN" FailedPrecondition CONFLICT "The show is not on sale yet.";
    SalesClosed "SALES_CLOSED" FailedPrecondition CONFLICT "The show is no longer on sale.";
    ShowCancelled "SHOW_CANCELLED" FailedPrecondition CONFLICT "The show is called off.";
    HoldLimit "HOLD_LIMIT" FailedPrecondition CONFLICT "This user holds as many seats as one may.";
    RefundNotPossible "REFUND_NOT_POSSIBLE" FailedPrecondition CONFLICT "There is no sale that could be undone.";
    PreconditionFailed "PRECONDITION_FAILED" Aborted PRECONDITION_FAILED "Somebody else has changed this meanwhile.";
    FailedPrecondition "FAILED_PRECONDITION" FailedPrecondition CONFLICT "This is not possible as things stand.";
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

    /// The refusal for a database that failed, by the name that callers may know it by. A passing failure
    /// asks them to come back; any other is a mistake of ours.
    #[must_use]
    pub fn database(name: &str, is_passing: bool, cause: impl fmt::Display) -> Self {
        if !is_passing {
            return Self::internal(format_args!("{name}: {cause}"));
        }
        tracing::warn!(%cause, "{name} cannot be reached or is contended");
        Self::new(Reason::Unavailable, format!("{name} cannot be reached at this moment."))
            .retry_after(Duration::from_secs(1))
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
