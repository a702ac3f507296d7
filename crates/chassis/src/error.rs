//! Why a service could not start or had to end.

use std::io;

/// A failure of a whole service, as opposed to one of its requests.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The database could not be opened or migrated.
    #[error("database: {0}")]
    Db(#[from] crate::db::Error),
    /// A socket or a file failed.
    #[error("{0}")]
    Io(#[from] io::Error),
    /// A setting makes no sense; names the flag and its environment variable.
    #[error("configuration: {0}")]
    Config(String),
    /// A part that should run as long as the service ended early.
    #[error("task ended: {0}")]
    Task(String),
}
