//! Why an audit has no result.

/// The audit could not look at the databases.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// An address that is not that of a database.
    #[error("{0}: write sqlite:path/to/file.db or postgres://user@host/database")]
    Address(String),
    /// There is no such file.
    #[error("{service}: there is no file {path}; --data-dir is the folder that the mesh was started with")]
    NoFile {
        /// The service that was to be judged.
        service: &'static str,
        /// Where it was looked for.
        path: String,
    },
    /// The command needs a database that it was not told of.
    #[error("{service}: its database is needed for this; give its address too")]
    NotGiven {
        /// The service whose database it is.
        service: &'static str,
    },
    /// The database is not that of this service.
    #[error(
        "{service}: {place} has no table {table}: another database, another schema, or the service has never run"
    )]
    NoTable {
        /// The service that was to be judged.
        service: &'static str,
        /// The database that was read, without its password.
        place: String,
        /// The missing table.
        table: &'static str,
    },
    /// A file that nobody had open when it was opened here, and that a service has opened since.
    #[error("{service}: {place} was at rest and has been opened by a service meanwhile; look again")]
    Woken {
        /// The service that was to be judged.
        service: &'static str,
        /// The path of the file.
        place: String,
    },
    /// The database refused or broke off.
    #[error("{service}: {place}: {cause}")]
    Database {
        /// The service that was to be judged.
        service: &'static str,
        /// The database, without its password.
        place: String,
        /// What the database said.
        cause: sqlx::Error,
    },
    /// A row does not have the types that its table promises.
    #[error("a row cannot be read: {0}")]
    Unreadable(sqlx::Error),
}
