//! Where the services keep their rows.

use std::{
    fmt,
    path::{Path, PathBuf},
    str::FromStr,
};

use sqlx::postgres::PgConnectOptions;

use crate::Error;

/// One service's database.
#[derive(Clone)]
pub enum Source {
    /// A SQLite file.
    Sqlite(PathBuf),
    /// A PostgreSQL database.
    Postgres {
        /// How to reach it.
        options: Box<PgConnectOptions>,
        /// The schema that the tables live in, when it is not the connection's own.
        schema: Option<&'static str>,
    },
}

/// The databases of the services; one that is `None` is not judged.
#[derive(Clone, Debug, Default)]
pub struct Sources {
    /// The database of queue-svc.
    pub queue: Option<Source>,
    /// The database of booking-svc.
    pub booking: Option<Source>,
    /// The database of wallet-svc.
    pub wallet: Option<Source>,
    /// The database of the edge: the journal of checkouts.
    pub edge: Option<Source>,
}

impl Sources {
    /// The SQLite files of the launcher, in its folder.
    #[must_use]
    pub fn in_folder(folder: &Path) -> Self {
        let file = |service: &str| Some(Source::Sqlite(folder.join(format!("{service}.db"))));
        Self { queue: file("queue"), booking: file("booking"), wallet: file("wallet"), edge: file("edge") }
    }

    /// The schemas of the launcher in one PostgreSQL database.
    ///
    /// # Errors
    /// The URL is not that of a PostgreSQL database.
    pub fn in_schemas(url: &str) -> Result<Self, Error> {
        let Source::Postgres { options, .. } = url.parse()? else {
            return Err(Error::Address("a postgres:// address".into()));
        };
        let schema = |schema| Some(Source::Postgres { options: options.clone(), schema: Some(schema) });
        Ok(Self {
            queue: schema("queue"),
            booking: schema("booking"),
            wallet: schema("wallet"),
            edge: schema("edge"),
        })
    }
}

impl FromStr for Source {
    type Err = Error;

    /// Reads `sqlite:path` or `postgres://…`. What is refused is not repeated: it may hold a password.
    fn from_str(url: &str) -> Result<Self, Error> {
        if let Some(path) = url.strip_prefix("sqlite:") {
            let path = path.strip_prefix("//").unwrap_or(path);
            return Ok(Self::Sqlite(PathBuf::from(path.split('?').next().unwrap_or_default())));
        }
        if url.starts_with("postgres:") || url.starts_with("postgresql:") {
            let options = url.parse().map_err(|_| Error::Address("not an address of PostgreSQL".into()))?;
            return Ok(Self::Postgres { options: Box::new(options), schema: None });
        }
        Err(Error::Address("not a database's address".into()))
    }
}

impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Sqlite(path) => write!(f, "{}", path.display()),
            Self::Postgres { options, schema } => {
                let database = options.get_database().unwrap_or_default();
                write!(f, "postgres://{}:{}/{database}", options.get_host(), options.get_port())?;
                schema.map_or(Ok(()), |schema| write!(f, ", schema {schema}"))
            }
        }
    }
}

/// As it is displayed: without the password.
impl fmt::Debug for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_read_and_its_password_is_never_told() {
        let place: Source = "postgres://me:s3cret@db.example:5433/tickets".parse().expect("an address");
        assert_eq!(place.to_string(), "postgres://db.example:5433/tickets");
        assert!(!format!("{place:?}").contains("s3cret"));
        let file: Source = "sqlite:data/wallet.db".parse().expect("an address");
        assert_eq!(file.to_string(), "data/wallet.db");
        let refused = "mysql://me:s3cret@x/y".parse::<Source>().expect_err("no such dialect").to_string();
        assert!(!refused.contains("s3cret"), "{refused}");
    }
}
