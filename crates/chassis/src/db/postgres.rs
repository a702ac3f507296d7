//! PostgreSQL: a pool of connections whose statements and transactions are bounded.

use std::str::FromStr;

use sqlx::{
    Connection, PgPool,
    migrate::Migrator,
    postgres::{PgConnectOptions, PgConnection},
};
use tokio::time::timeout;

use super::{
    DbConfig, Error, Pools,
    open::{ACQUIRE_TIMEOUT, pool},
};

/// Connections a service keeps to PostgreSQL at most: eight processes of ten fit the server's default of one hundred.
const CONNECTIONS: u32 = 10;

pub(super) async fn open(config: &DbConfig, migrations: &Migrator) -> Result<Pools, Error> {
    let mut options = PgConnectOptions::from_str(&config.url)?;
    if let Some(schema) = &config.schema {
        make_schema(schema, &options).await?;
        options = options.options([("search_path", schema)]);
    }
    // Without the bounds below: a migration of a large table may take its time, and others wait for it.
    let migrating: PgPool = match pool(1).connect_with(options.clone()).await {
        Err(sqlx::Error::PoolTimedOut) => return Err(why_not(&options).await.into()),
        connected => connected?,
    };
    let migrated = migrations.run(&migrating).await;
    migrating.close().await;
    migrated.map_err(|error| Error::Other(Box::new(error)))?;
    // A session that stalls in the middle of a transaction (a stopped process, a cut line) must not keep its row locks: nothing but
    // statements happens between BEGIN and COMMIT, so one that is silent for this long is not coming back soon.
    let bounded = options.options([("statement_timeout", "10s"), ("idle_in_transaction_session_timeout", "2s")]);
    Ok(Pools::Postgres(pool(CONNECTIONS).connect_with(bounded).await?))
}

/// Why no connection could be made. The pool tells only that it waited in vain.
async fn why_not(options: &PgConnectOptions) -> sqlx::Error {
    match timeout(ACQUIRE_TIMEOUT, PgConnection::connect_with(options)).await {
        Ok(Err(error)) => error,
        Ok(Ok(_)) | Err(_) => sqlx::Error::PoolTimedOut,
    }
}

async fn make_schema(schema: &str, options: &PgConnectOptions) -> Result<(), Error> {
    let plain = schema.bytes().all(|b| b.is_ascii_lowercase() || b == b'_');
    if !plain {
        return Err(Error::Other("a schema's name is lower-case letters and '_'".into()));
    }
    let mut link = PgConnection::connect_with(options).await?;
    let create = sqlx::AssertSqlSafe(format!("CREATE SCHEMA IF NOT EXISTS {schema}"));
    // Two replicas that start together may race to make it; the loser finds it made.
    if let Err(error) = sqlx::query(create).execute(&mut link).await.map_err(Error::from)
        && !error.is_unique()
    {
        return Err(error);
    }
    Ok(link.close().await?)
}
