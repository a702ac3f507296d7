//! Why nothing can be said.

/// The audit could not look.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// An address that is none.
    #[error("{0}: write sqlite:path/to/file.db or postgres://user@host/database")]
    Address(String),
    /// There is no such file.
    #[error("{service}: there is no file {path}; --data-dir is the folder that the mesh was started with")]
    NoFile {
        /// Whose.
        service: &'static str,
        /// Where it was looked for.
        path: String,
    },
    /// A database that is not this service's.
    #[error(
        "{service}: {place} has no table {table}: another database, another schema, or the service has never run"
    )]
    NoTable {
        /// Whose.
        service: &'static str,
        /// Which database.
        place: String,
        /// What is missing.
        table: &'static str,
    },
    /// A file that was at rest when it was opened, and is not any more.
    #[error("{service}: {place} was at rest and has been opened by a service meanwhile; look again")]
    Woken {
        /// Whose.
        service: &'static str,
        /// Which file.
        place: String,
    },
    /// The database refused or broke off.
    #[error("{service}: {place}: {cause}")]
    Database {
        /// Whose.
        service: &'static str,
        /// Which database, without its password.
        place: String,
        /// What it said.
        cause: sqlx::Error,
    },
    /// A row is not as its table's definition promises.
    #[error("a row cannot be read: {0}")]
    Unreadable(sqlx::Error),
}
