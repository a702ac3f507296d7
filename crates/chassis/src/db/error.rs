//! The failures of a database that the layers above tell apart.

use sqlx::error::{DatabaseError, ErrorKind};

/// Advice for an operator whose pooler lends a session for one transaction only.
pub(super) const SAY_SO: &str =
    "if that is a pooler which pools by transaction, say --database-pooler transaction (DATABASE_POOLER)";

/// A failure of the database.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The database cannot be reached, or is overloaded. Whether a commit took effect is unknown.
    #[error("unavailable: {0}")]
    Unavailable(#[source] sqlx::Error),
    /// The transaction lost against another one and may be tried again from its start.
    #[error("contended: {0}")]
    Contended(#[source] ContendedBy),
    /// A unique key refused the row: there is one with this key already.
    #[error("not unique: {source}")]
    Unique {
        /// The constraint's or index's name, where the database tells.
        constraint: Option<String>,
        /// What the database said.
        source: sqlx::Error,
    },
    /// A constraint refused the row.
    #[error("check failed: {source}")]
    Check {
        /// The constraint's name, where the database tells.
        constraint: Option<String>,
        /// What the database said.
        source: sqlx::Error,
    },
    /// Anything else: a mistake of ours.
    #[error("{0}")]
    Other(#[source] Box<dyn std::error::Error + Send + Sync>),
}

/// What a transaction lost against.
#[derive(Debug, thiserror::Error)]
pub enum ContendedBy {
    /// A deadlock, a serialization failure or a busy file, as the database says.
    #[error(transparent)]
    Database(#[from] sqlx::Error),
    /// A concurrent request that wrote the same thing first.
    #[error("another request wrote {0} first")]
    Race(&'static str),
}

impl Error {
    /// The error for an attempt that another request has overtaken; the next attempt finds what that one
    /// wrote.
    #[must_use]
    pub const fn lost_race(what: &'static str) -> Self {
        Self::Contended(ContendedBy::Race(what))
    }

    /// Whether the transaction may be tried again from its start.
    #[must_use]
    pub const fn is_contended(&self) -> bool {
        matches!(self, Self::Contended(_))
    }

    /// Whether a unique key refused the row.
    #[must_use]
    pub const fn is_unique(&self) -> bool {
        matches!(self, Self::Unique { .. })
    }

    /// Whether it may be over by itself: the database is out of reach, or another transaction was first. Any
    /// other failure is a mistake of ours, which an operator must hear of.
    #[must_use]
    pub const fn is_passing(&self) -> bool {
        self.is_unavailable() || self.is_contended()
    }

    /// Whether the database is out of reach at this moment.
    #[must_use]
    pub const fn is_unavailable(&self) -> bool {
        matches!(self, Self::Unavailable(_))
    }
}

impl From<sqlx::Error> for Error {
    #[expect(
        clippy::wildcard_enum_match_arm,
        reason = "sqlx may add errors; one that we do not know is not a passing one"
    )]
    fn from(error: sqlx::Error) -> Self {
        match &error {
            sqlx::Error::Database(said) => classify(said.as_ref())(error),
            sqlx::Error::Io(_)
            | sqlx::Error::Tls(_)
            | sqlx::Error::Protocol(_)
            | sqlx::Error::PoolTimedOut
            | sqlx::Error::PoolClosed
            | sqlx::Error::WorkerCrashed => Self::Unavailable(error),
            _ => Self::Other(Box::new(error)),
        }
    }
}

/// A column with JSON that cannot be written or read: a mistake of ours.
impl From<serde_json::Error> for Error {
    fn from(error: serde_json::Error) -> Self {
        Self::Other(Box::new(error))
    }
}

#[expect(clippy::wildcard_enum_match_arm, reason = "the other kinds are told apart by their codes")]
fn classify(said: &dyn DatabaseError) -> fn(sqlx::Error) -> Error {
    match said.kind() {
        ErrorKind::UniqueViolation => |error| Error::Unique { constraint: constraint(&error), source: error },
        ErrorKind::CheckViolation => |error| Error::Check { constraint: constraint(&error), source: error },
        _ => match said.code().as_deref() {
            // PostgreSQL: serialization_failure, deadlock_detected, lock_not_available. SQLite: BUSY, LOCKED,
            // BUSY_SNAPSHOT.
            Some("40001" | "40P01" | "55P03" | "5" | "6" | "517") => |error| Error::Contended(error.into()),
            // PostgreSQL: connection exceptions, shutting down, starting up, too many connections, cancelled
            // by a timeout, read-only (a demoted primary). SQLite: I/O error, disk full.
            Some(code)
                if code.starts_with("08")
                    || code.starts_with("57")
                    || code.starts_with("53")
                    || matches!(code, "25006" | "25P03" | "10" | "13") =>
            {
                Error::Unavailable
            }
            // PostgreSQL: no such prepared statement, or one of that name too many.
            Some("26000" | "42P05") => |error| {
                let why = "statements are lost or shared between here and PostgreSQL";
                Error::Other(format!("{error}: {why}; {SAY_SO}").into())
            },
            _ => |error| Error::Other(Box::new(error)),
        },
    }
}

/// Whether the error means that the server behind this connection has gone, is going, or no longer takes
/// writes. Then the same holds for every connection that was made before.
#[expect(clippy::wildcard_enum_match_arm, reason = "whatever else sqlx may say, it says of a statement")]
pub(super) fn is_forsaken(error: &sqlx::Error) -> bool {
    match error {
        sqlx::Error::Io(_) | sqlx::Error::Tls(_) | sqlx::Error::Protocol(_) => true,
        // Connection exceptions; shut down by somebody, crashed, starting up; a read-only transaction.
        sqlx::Error::Database(said) => said.code().is_some_and(|code| {
            code.starts_with("08") || matches!(&*code, "57P01" | "57P02" | "57P03" | "25006")
        }),
        _ => false,
    }
}

fn constraint(error: &sqlx::Error) -> Option<String> {
    error.as_database_error().and_then(|said| said.constraint()).map(str::to_owned)
}
