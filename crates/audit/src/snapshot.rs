//! The database of a service at one instant; it is only read.

use std::{path::PathBuf, time::SystemTime};

use futures::{StreamExt, TryStreamExt, stream::BoxStream};
use sqlx::Row as _;
use sqlx::{
    AssertSqlSafe, Connection, Decode, PgConnection, Postgres, Sqlite, SqliteConnection, Type,
    postgres::PgRow,
    raw_sql,
    sqlite::{SqliteConnectOptions, SqliteRow},
};
use uuid::Uuid;

use crate::{Error, Source};

/// A statement: the same text for both dialects, or one for each. In both, `{id:column}` stands for a UUID as
/// text.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Sql {
    pub(crate) postgres: &'static str,
    pub(crate) sqlite: &'static str,
}

impl Sql {
    /// The same text for both.
    pub(crate) const fn both(sql: &'static str) -> Self {
        Self { postgres: sql, sqlite: sql }
    }
}

impl From<&'static str> for Sql {
    fn from(sql: &'static str) -> Self {
        Self::both(sql)
    }
}

/// A read-only transaction whose instant is fixed.
#[derive(Debug)]
pub(crate) struct Snapshot {
    service: &'static str,
    place: Source,
    link: Link,
    /// The state of a SQLite file that nobody had open, as it was when it was opened here.
    asleep: Option<Asleep>,
}

#[derive(Debug)]
enum Link {
    Postgres(PgConnection),
    Sqlite(SqliteConnection),
}

/// A row of either dialect, its columns by number.
#[derive(Debug)]
pub(crate) enum Row {
    Postgres(PgRow),
    Sqlite(SqliteRow),
}

pub(crate) type Rows<'a> = BoxStream<'a, Result<Row, Error>>;

#[derive(Debug, PartialEq, Eq)]
struct Asleep {
    file: PathBuf,
    size: u64,
    written: Option<SystemTime>,
}

impl Asleep {
    /// `None` when somebody has the file open, or has left it without tidying: there is a write-ahead log.
    fn of(file: &PathBuf) -> Option<Self> {
        let log = PathBuf::from(format!("{}-wal", file.display()));
        if log.exists() {
            return None;
        }
        let about = std::fs::metadata(file).ok()?;
        Some(Self { file: file.clone(), size: about.len(), written: about.modified().ok() })
    }
}

impl Snapshot {
    /// Opens a database, if it is given, checks that it has the tables of its service, and fixes the instant.
    pub(crate) async fn of(
        place: Option<&Source>,
        service: &'static str,
        tables: &'static [&'static str],
    ) -> Result<Option<Self>, Error> {
        let Some(place) = place else { return Ok(None) };
        let failed = |cause| Error::Database { service, place: place.to_string(), cause };
        let (link, asleep) = match place {
            Source::Sqlite(file) => {
                if !file.is_file() {
                    return Err(Error::NoFile { service, path: file.display().to_string() });
                }
                // A write-ahead log needs an index beside it, which even a reader would make. Without a log
                // there is nothing to index.
                let asleep = Asleep::of(file);
                let options = SqliteConnectOptions::new()
                    .filename(file)
                    .read_only(true)
                    .immutable(asleep.is_some())
                    .row_buffer_size(1_000)
                    .busy_timeout(std::time::Duration::from_secs(10));
                let mut link = SqliteConnection::connect_with(&options).await.map_err(failed)?;
                raw_sql("BEGIN").execute(&mut link).await.map_err(failed)?;
                (Link::Sqlite(link), asleep)
            }
            Source::Postgres { options, schema } => {
                // Each setting is made by statement and for this transaction: a pooler may drop what is in
                // the startup packet, and lends a session for no longer. One snapshot waits while another is
                // read, for as long as that takes.
                let begin = [
                    "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY",
                    "SET LOCAL statement_timeout = 0",
                    "SET LOCAL idle_in_transaction_session_timeout = 0",
                ];
                let search_path = schema.map(|schema| format!("SET LOCAL search_path = {schema}"));
                let begin = begin.into_iter().chain(search_path.as_deref()).collect::<Vec<_>>().join("; ");
                let options =
                    (**options).clone().application_name("boxoffice audit").extra_float_digits(None);
                let mut link = PgConnection::connect_with(&options).await.map_err(failed)?;
                raw_sql(AssertSqlSafe(begin)).execute(&mut link).await.map_err(failed)?;
                (Link::Postgres(link), None)
            }
        };
        let mut snapshot = Self { service, place: place.clone(), link, asleep };
        for &table in tables {
            snapshot.look_for(table).await?;
        }
        Ok(Some(snapshot))
    }

    /// Checks that a table is there. The first check fixes the instant in both dialects, because it reads the
    /// table.
    async fn look_for(&mut self, table: &'static str) -> Result<(), Error> {
        let sql = format!("SELECT COUNT(*) FROM (SELECT 1 AS one FROM {table} LIMIT 1) AS any_row");
        let looked = match &mut self.link {
            Link::Postgres(link) => raw_sql(AssertSqlSafe(sql)).execute(link).await.map(drop),
            Link::Sqlite(link) => raw_sql(AssertSqlSafe(sql)).execute(link).await.map(drop),
        };
        match looked {
            Ok(()) => Ok(()),
            Err(sqlx::Error::Database(said)) if is_no_such_table(&*said) => {
                Err(Error::NoTable { service: self.service, place: self.place.to_string(), table })
            }
            Err(cause) => Err(self.failed(cause)),
        }
    }

    /// The rows of a query, one after the other.
    pub(crate) fn rows(&mut self, sql: impl Into<Sql>) -> Rows<'_> {
        self.rows_with(sql, 0)
    }

    /// The rows of a query, with this number, an instant or an id, in place of `{number}`.
    pub(crate) fn rows_with(&mut self, sql: impl Into<Sql>, number: i64) -> Rows<'_> {
        let sql = sql.into();
        let (service, place) = (self.service, &self.place);
        let failed = move |cause| Error::Database { service, place: place.to_string(), cause };
        let spelled = |text: &str, id: fn(&str) -> String| {
            AssertSqlSafe(spell(text, id).replace("{number}", &number.to_string()))
        };
        match &mut self.link {
            Link::Postgres(link) => {
                let query = sqlx::query(spelled(sql.postgres, |column| format!("CAST({column} AS TEXT)")))
                    .persistent(false);
                query.fetch(link).map_ok(Row::Postgres).map_err(failed).boxed()
            }
            Link::Sqlite(link) => {
                let query = sqlx::query(spelled(sql.sqlite, hyphenated));
                query.fetch(link).map_ok(Row::Sqlite).map_err(failed).boxed()
            }
        }
    }

    /// The rows of a query that asks about one id, `$1`.
    pub(crate) fn rows_of(&mut self, sql: &'static str, id: Uuid) -> Rows<'_> {
        let (service, place) = (self.service, &self.place);
        let failed = move |cause| Error::Database { service, place: place.to_string(), cause };
        match &mut self.link {
            Link::Postgres(link) => {
                let query = sqlx::query(sql).persistent(false).bind(id);
                query.fetch(link).map_ok(Row::Postgres).map_err(failed).boxed()
            }
            Link::Sqlite(link) => {
                sqlx::query(sql).bind(id).fetch(link).map_ok(Row::Sqlite).map_err(failed).boxed()
            }
        }
    }

    /// The only row of a query that has one.
    pub(crate) async fn one(&mut self, sql: impl Into<Sql>) -> Result<Row, Error> {
        let row = self.rows(sql).try_next().await?;
        row.ok_or_else(|| self.failed(sqlx::Error::RowNotFound))
    }

    /// Whether a table has a column: a release before it may have been the last to run.
    pub(crate) async fn has(&mut self, table_and_column: Sql) -> Result<bool, Error> {
        Ok(self.rows(table_and_column).try_next().await?.is_some())
    }

    fn failed(&self, cause: sqlx::Error) -> Error {
        Error::Database { service: self.service, place: self.place.to_string(), cause }
    }

    /// Ends the transaction.
    pub(crate) async fn close(self) -> Result<(), Error> {
        let (service, place) = (self.service, self.place.to_string());
        let closed = match self.link {
            Link::Postgres(link) => link.close().await,
            Link::Sqlite(link) => link.close().await,
        };
        if let Some(asleep) = self.asleep
            && Asleep::of(&asleep.file).as_ref() != Some(&asleep)
        {
            return Err(Error::Woken { service, place });
        }
        closed.map_err(|cause| Error::Database { service, place, cause })
    }
}

/// PostgreSQL has a code for this, SQLite only a text.
fn is_no_such_table(said: &dyn sqlx::error::DatabaseError) -> bool {
    said.code().as_deref() == Some("42P01") || said.message().starts_with("no such table")
}

fn hyphenated(column: &str) -> String {
    let part = |from: u32, length: u32| format!("substr(hex({column}), {from}, {length})");
    let parts = [part(1, 8), part(9, 4), part(13, 4), part(17, 4), part(21, 12)];
    format!("CASE WHEN {column} IS NULL THEN NULL ELSE lower({}) END", parts.join(" || '-' || "))
}

fn spell(sql: &str, id: fn(&str) -> String) -> String {
    let mut spelled = String::new();
    let mut rest = sql;
    while let Some((before, (column, after))) =
        rest.split_once("{id:").and_then(|(b, tail)| Some((b, tail.split_once('}')?)))
    {
        spelled.push_str(before);
        spelled.push_str(&id(column));
        rest = after;
    }
    spelled + rest
}

impl Row {
    /// A column's value; an `Option` where it may be NULL.
    pub(crate) fn get<T>(&self, column: usize) -> Result<T, Error>
    where
        T: for<'r> Decode<'r, Postgres> + Type<Postgres> + for<'r> Decode<'r, Sqlite> + Type<Sqlite>,
    {
        match self {
            Self::Postgres(row) => row.try_get(column),
            Self::Sqlite(row) => row.try_get(column),
        }
        .map_err(Error::Unreadable)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_are_spelled_in_each_dialect() {
        assert_eq!(
            spell("SELECT {id:a.b}, {id:c} FROM t", |column| format!("<{column}>")),
            "SELECT <a.b>, <c> FROM t"
        );
        assert_eq!(spell("SELECT 1", hyphenated), "SELECT 1");
    }
}
