//! Fresh private databases for tests: a SQLite file, and a database of the throwaway PostgreSQL cluster that
//! the test command starts. [`patience`] says how long tests wait.

pub mod patience;

use std::{env, fs, path::PathBuf};

use sqlx::{Connection, postgres::PgConnection};
use uuid::Uuid;

use crate::db::{DbConfig, Pooler};

/// Names the environment variable with the cluster's superuser URL.
pub const POSTGRES_VARIABLE: &str = "TEST_POSTGRES_URL";

/// Names the environment variable with the URL of a PgBouncer before it, which pools by transaction.
pub const POOLER_VARIABLE: &str = "TEST_PGBOUNCER_URL";

/// A database of a test's own.
#[derive(Debug)]
pub struct TestDatabase {
    /// `sqlite`, `postgres` or `pgbouncer`, for messages.
    pub name: &'static str,
    /// How to open it.
    pub config: DbConfig,
    folder: Option<PathBuf>,
}

impl Drop for TestDatabase {
    fn drop(&mut self) {
        if let Some(folder) = &self.folder {
            let _gone = fs::remove_dir_all(folder);
        }
    }
}

/// One fresh database of each dialect, and one behind a pooler where there is one.
///
/// # Panics
/// When the PostgreSQL cluster is not there: a test that skipped it would pass without having looked.
pub async fn databases() -> Vec<TestDatabase> {
    let folder = env::temp_dir().join(format!("boxoffice-test-{}", Uuid::new_v4().simple()));
    let url = format!("sqlite:{}", folder.join("test.db").display());
    let sqlite = TestDatabase { name: "sqlite", config: DbConfig::at(url), folder: Some(folder) };
    let url = postgres_url().await;
    let postgres = TestDatabase { name: "postgres", config: DbConfig::at(url), folder: None };
    let mut all = vec![sqlite, postgres];
    if let Ok(pooler) = env::var(POOLER_VARIABLE) {
        let url = in_place_of(&pooler, &postgres_url().await);
        let config = DbConfig { pooler: Pooler::Transaction, ..DbConfig::at(url) };
        all.push(TestDatabase { name: "pgbouncer", config, folder: None });
    }
    all
}

/// The URL of the same database at another address.
fn in_place_of(address: &str, url: &str) -> String {
    let (server, _) = address.rsplit_once('/').unwrap_or((address, ""));
    format!("{server}/{}", url.rsplit('/').next().unwrap_or_default())
}

/// The URL of a fresh PostgreSQL database. It goes when its cluster goes.
///
/// # Panics
/// As [`databases`].
pub async fn postgres_url() -> String {
    let cluster = env::var(POSTGRES_VARIABLE).unwrap_or_else(|_| {
        panic!("{POSTGRES_VARIABLE} is not set: run tests through tests/run, which starts a PostgreSQL")
    });
    let name = format!("t_{}", Uuid::new_v4().simple());
    let create = async {
        let mut link = PgConnection::connect(&cluster).await?;
        sqlx::query(sqlx::AssertSqlSafe(format!("CREATE DATABASE {name}"))).execute(&mut link).await?;
        link.close().await
    };
    create.await.unwrap_or_else(|error| panic!("no database could be made on the test cluster: {error}"));
    in_place_of(&cluster, &name)
}
