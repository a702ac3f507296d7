//! One conversation with the database: a reading connection or a transaction.

use futures::future::BoxFuture;
use sqlx::{Sqlite, Transaction, pool::PoolConnection};

use super::{
    Dialect, Error, Row, Value, postgres,
    simulated::{Lent, at_once, said},
    spans,
};

/// A statement: the same text for both dialects, or one for each.
#[derive(Clone, Copy, Debug)]
pub struct Sql {
    /// The text for PostgreSQL.
    pub postgres: &'static str,
    /// The text for SQLite.
    pub sqlite: &'static str,
}

impl Sql {
    const fn of(self, dialect: Dialect) -> &'static str {
        match dialect {
            Dialect::Postgres => self.postgres,
            Dialect::Sqlite => self.sqlite,
        }
    }
}

impl From<&'static str> for Sql {
    fn from(both: &'static str) -> Self {
        Self { postgres: both, sqlite: both }
    }
}

/// A connection, or a transaction that is undone unless it is committed.
#[derive(Debug)]
pub struct Session(pub(super) Link);

#[derive(Debug)]
pub(super) enum Link {
    Postgres(postgres::Held),
    SqliteRead(PoolConnection<Sqlite>),
    SqliteWrite(Transaction<'static, Sqlite>),
    Simulated(Lent),
}

macro_rules! run {
    ($session:ident, $sql:ident, $args:ident, $method:ident, |$answer:ident| $wrap_postgres:expr, $wrap_sqlite:expr) => {{
        let sql: Sql = $sql.into();
        let span = spans::begin($session.dialect(), sql.of($session.dialect()));
        let result = async {
            match &mut $session.0 {
                Link::Postgres(held) => {
                    let query = sqlx::query(sql.postgres).persistent(held.keeps_statements());
                    let answer = bind(query, $args, Value::bind_postgres).$method(held.link()).await;
                    let $answer = held.heard(answer)?;
                    Ok($wrap_postgres)
                }
                Link::SqliteRead(link) => {
                    let $answer =
                        bind(sqlx::query(sql.sqlite), $args, Value::bind_sqlite).$method(&mut **link).await?;
                    Ok($wrap_sqlite)
                }
                Link::SqliteWrite(link) => {
                    let $answer =
                        bind(sqlx::query(sql.sqlite), $args, Value::bind_sqlite).$method(&mut **link).await?;
                    Ok($wrap_sqlite)
                }
                Link::Simulated(link) => {
                    let $answer = at_once(
                        bind(sqlx::query(said(sql.sqlite)), $args, Value::bind_sqlite).$method(link.link()?),
                    )?;
                    Ok($wrap_sqlite)
                }
            }
        }
        .await;
        spans::end(span, &result);
        result
    }};
}

fn bind<Q>(query: Q, args: Vec<Value>, one: fn(Value, Q) -> Q) -> Q {
    args.into_iter().fold(query, |query, value| one(value, query))
}

// The futures are boxed: four bodies a call would otherwise make every caller's future many times as large.
impl Session {
    /// Every row of the answer.
    pub fn all(&mut self, sql: impl Into<Sql>, args: Vec<Value>) -> BoxFuture<'_, Result<Vec<Row>, Error>> {
        let sql = sql.into();
        Box::pin(async move {
            run!(
                self,
                sql,
                args,
                fetch_all,
                |rows| rows.into_iter().map(Row::Postgres).collect(),
                rows.into_iter().map(Row::Sqlite).collect()
            )
        })
    }

    /// The first row, if there is one.
    pub fn optional(
        &mut self,
        sql: impl Into<Sql>,
        args: Vec<Value>,
    ) -> BoxFuture<'_, Result<Option<Row>, Error>> {
        let sql = sql.into();
        Box::pin(async move {
            run!(self, sql, args, fetch_optional, |row| row.map(Row::Postgres), row.map(Row::Sqlite))
        })
    }

    /// The one row that must be there.
    pub fn one(&mut self, sql: impl Into<Sql>, args: Vec<Value>) -> BoxFuture<'_, Result<Row, Error>> {
        let sql = sql.into();
        Box::pin(async move { run!(self, sql, args, fetch_one, |row| Row::Postgres(row), Row::Sqlite(row)) })
    }

    /// How many rows were written.
    pub fn execute(&mut self, sql: impl Into<Sql>, args: Vec<Value>) -> BoxFuture<'_, Result<u64, Error>> {
        let sql = sql.into();
        Box::pin(
            async move { run!(self, sql, args, execute, |done| done.rows_affected(), done.rows_affected()) },
        )
    }

    /// Makes the transaction's work durable. When this fails, whether it did is unknown.
    ///
    /// # Errors
    /// The database failed.
    pub async fn commit(self) -> Result<(), Error> {
        let span = spans::begin(self.dialect(), "COMMIT");
        let result = async {
            match self.0 {
                Link::Postgres(held) => held.commit().await?,
                Link::SqliteWrite(transaction) => transaction.commit().await?,
                Link::Simulated(link) => link.commit()?,
                Link::SqliteRead(_) => {}
            }
            Ok(())
        }
        .await;
        spans::end(span, &result);
        result
    }

    /// Undoes the transaction now rather than when it is dropped.
    pub async fn rollback(self) {
        let undone = match self.0 {
            Link::Postgres(held) => held.rollback().await,
            Link::SqliteWrite(transaction) => transaction.rollback().await,
            // Undone as it is dropped.
            Link::Simulated(_) | Link::SqliteRead(_) => Ok(()),
        };
        if let Err(error) = undone {
            tracing::debug!(%error, "rollback failed; the connection is dropped with it");
        }
    }

    /// Which dialect it speaks.
    #[must_use]
    pub const fn dialect(&self) -> Dialect {
        match self.0 {
            Link::Postgres(_) => Dialect::Postgres,
            Link::SqliteRead(_) | Link::SqliteWrite(_) | Link::Simulated(_) => Dialect::Sqlite,
        }
    }
}
