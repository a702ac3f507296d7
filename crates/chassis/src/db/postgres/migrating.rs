//! Migrations on PostgreSQL: sqlx's files, and its table of those that were applied, but not its session
//! lock.
//!
//! The library holds a lock of the session and names its statements; behind a pooler that pools by
//! transaction, both end up in the sessions of others. Here each migration is a transaction of its own: it
//! takes a lock that ends with it, reads what was applied, and applies the next one. So programs that start
//! together apply each migration once.

use std::collections::HashMap;

use sqlx::{
    AssertSqlSafe, Connection,
    migrate::{MigrateError, Migration, Migrator},
    postgres::PgConnection,
    query, query_as, raw_sql,
};
use tokio::time::Instant;

use super::Error;

/// The advisory lock for migrating any schema of the database.
const LOCK: &str = "SELECT pg_advisory_xact_lock(7205759403792794)";
/// The table as sqlx itself creates it, to the letter.
const TABLE: &str = "CREATE TABLE IF NOT EXISTS _sqlx_migrations (
    version BIGINT PRIMARY KEY,
    description TEXT NOT NULL,
    installed_on TIMESTAMPTZ NOT NULL DEFAULT now(),
    success BOOLEAN NOT NULL,
    checksum BYTEA NOT NULL,
    execution_time BIGINT NOT NULL
)";
const MADE: &str = "SELECT version, checksum FROM _sqlx_migrations";
const NOTE: &str = "INSERT INTO _sqlx_migrations (version, description, success, checksum, execution_time)
    VALUES ($1, $2, TRUE, $3, $4)";

/// Applies what is missing, each migration in a transaction that begins with the statement `begin`.
pub(super) async fn migrate(
    link: &mut PgConnection,
    begin: &str,
    schema: Option<&str>,
    migrations: &Migrator,
) -> Result<(), Error> {
    let plain = schema.unwrap_or_default().bytes().all(|b| b.is_ascii_lowercase() || b == b'_');
    if !plain {
        return Err(Error::Other("a schema's name is lower-case letters and '_'".into()));
    }
    while next(link, begin, schema, migrations).await? {}
    Ok(())
}

/// Applies the next migration in one transaction. `false`: none was missing; `true`: look again.
async fn next(
    link: &mut PgConnection,
    begin: &str,
    schema: Option<&str>,
    migrations: &Migrator,
) -> Result<bool, Error> {
    let mut transaction = link.begin_with(AssertSqlSafe(begin.to_owned())).await?;
    raw_sql(LOCK).execute(&mut *transaction).await?;
    if let Some(schema) = schema {
        let create = raw_sql(AssertSqlSafe(format!("CREATE SCHEMA IF NOT EXISTS {schema}")));
        match create.execute(&mut *transaction).await {
            Ok(_) => {}
            // This session looked for the schema when its search_path was set, and remembers that it was not
            // there. Waiting for the lock does not make it look again; a new transaction does. (PostgreSQL
            // 15: a session that has created a schema before opens no catalog table on the way here.)
            Err(sqlx::Error::Database(error)) if error.is_unique_violation() => {
                transaction.rollback().await?;
                return Ok(true);
            }
            Err(error) => return Err(error.into()),
        }
    }
    raw_sql(TABLE).execute(&mut *transaction).await?;
    let made: Vec<(i64, Vec<u8>)> = query_as(MADE).persistent(false).fetch_all(&mut *transaction).await?;
    let missing =
        missing(migrations, &made.into_iter().collect()).map_err(|error| Error::Other(Box::new(error)))?;
    if let Some(migration) = missing {
        let began = Instant::now();
        raw_sql(migration.sql.clone())
            .execute(&mut *transaction)
            .await
            .map_err(|error| failed(migration, error))?;
        let took = i64::try_from(began.elapsed().as_nanos()).unwrap_or(i64::MAX);
        let note = query(NOTE)
            .bind(migration.version)
            .bind(&*migration.description)
            .bind(&*migration.checksum)
            .bind(took);
        note.persistent(false).execute(&mut *transaction).await?;
    }
    transaction.commit().await?;
    Ok(missing.is_some())
}

fn failed(migration: &Migration, error: sqlx::Error) -> Error {
    Error::Other(Box::new(MigrateError::ExecuteMigration(error, migration.version)))
}

/// The first migration that was not applied yet. Applied ones that are unknown here are those of a newer
/// program.
fn missing<'a>(
    migrations: &'a Migrator,
    made: &HashMap<i64, Vec<u8>>,
) -> Result<Option<&'a Migration>, MigrateError> {
    for migration in migrations.iter().filter(|migration| !migration.migration_type.is_down_migration()) {
        match made.get(&migration.version) {
            Some(checksum) if **checksum == *migration.checksum => {}
            Some(_) => return Err(MigrateError::VersionMismatch(migration.version)),
            None => return Ok(Some(migration)),
        }
    }
    Ok(None)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use std::time::Duration;

    use sqlx::query_scalar;

    use super::*;
    use crate::testing::postgres_url;

    /// A session that a pooler hands on has created schemas before.
    async fn used(url: &str) -> PgConnection {
        let mut session = PgConnection::connect(url).await.unwrap();
        for sql in
            ["CREATE SCHEMA IF NOT EXISTS used", "SET search_path = used", "SELECT count(*) FROM pg_locks"]
        {
            raw_sql(sql).execute(&mut session).await.unwrap();
        }
        session
    }

    #[tokio::test]
    async fn whoever_waited_while_another_made_the_schema_makes_what_is_missing() {
        let url = postgres_url().await;
        let (mut other, mut waits) = (used(&url).await, used(&url).await);
        let waiter: i32 = query_scalar("SELECT pg_backend_pid()").fetch_one(&mut waits).await.unwrap();
        raw_sql("SELECT pg_advisory_lock(7205759403792794)").execute(&mut other).await.unwrap();
        let waiting = tokio::spawn(async move {
            let begin = "BEGIN; SET LOCAL search_path = north";
            migrate(&mut waits, begin, Some("north"), &Migrator::DEFAULT).await
        });
        let is_waiting = "SELECT EXISTS (SELECT 1 FROM pg_locks WHERE pid = $1 AND NOT granted)";
        while !query_scalar::<_, bool>(is_waiting).bind(waiter).fetch_one(&mut other).await.unwrap() {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        raw_sql("CREATE SCHEMA north").execute(&mut other).await.unwrap();
        raw_sql("SELECT pg_advisory_unlock(7205759403792794)").execute(&mut other).await.unwrap();
        waiting.await.unwrap().unwrap();
    }
}
