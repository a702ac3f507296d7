//! A fault as a gRPC status with details, and back.

use std::time::Duration;

use tonic::{Code, Response, Status};
use tonic_types::{ErrorDetails, PreconditionViolation, StatusExt};

use crate::{DOMAIN, Fault, Reason, Violation};

/// What a method of a gRPC service returns.
pub type Answer<T> = Result<Response<T>, Status>;

/// The status that tells a caller why its request was refused.
pub fn refuse(error: impl Into<Fault>) -> Status {
    error.into().into()
}

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
