//! The errors of a use case, and what the caller is told of each.

use boxoffice_proto::Fault;
use chassis::db::{self, Contended};

/// Why a use case did not succeed.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    /// A refusal, which the caller is told as it is.
    #[error(transparent)]
    Fault(#[from] Fault),
    /// The journal failed. Its error is logged and not told.
    #[error("the journal: {0}")]
    Db(#[from] db::Error),
}

impl Contended for Error {
    fn is_contended(&self) -> bool {
        matches!(self, Self::Db(cause) if cause.is_contended())
    }
}

impl From<Error> for Fault {
    fn from(error: Error) -> Self {
        match error {
            Error::Fault(fault) => fault,
            Error::Db(cause) => Self::database("The journal of payments", cause.is_passing(), cause),
        }
    }
}
