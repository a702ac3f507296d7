//! Fresh private databases for tests: a SQLite file, and a database of the throwaway PostgreSQL cluster that
//! the test command starts. [`patience`] says how long tests wait.

pub mod patience;

use std::{env, fs, path::PathBuf, thread};

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
    kept_in: Place,
}

/// What goes with a [`TestDatabase`].
#[derive(Debug)]
enum Place {
    Folder(PathBuf),
    /// A database of the cluster: hundreds of tests would fill a small disk otherwise.
    Cluster(String),
}

impl Drop for TestDatabase {
    fn drop(&mut self) {
        match &self.kept_in {
            Place::Folder(folder) => drop(fs::remove_dir_all(folder)),
            Place::Cluster(url) => {
                let name = url.rsplit('/').next().unwrap_or_default();
                let drop_it = format!("DROP DATABASE IF EXISTS {name} WITH (FORCE)");
                // A test's runtime cannot be waited on from within it.
                let gone = thread::spawn(move || {
                    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
                    runtime.map(|runtime| runtime.block_on(on_cluster(drop_it)))
                });
                let _left_to_the_cluster = gone.join();
            }
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
    let sqlite = TestDatabase { name: "sqlite", config: DbConfig::at(url), kept_in: Place::Folder(folder) };
    let url = postgres_url().await;
    let postgres =
        TestDatabase { name: "postgres", config: DbConfig::at(url.clone()), kept_in: Place::Cluster(url) };
    let mut all = vec![sqlite, postgres];
    if let Ok(pooler) = env::var(POOLER_VARIABLE) {
        let direct = postgres_url().await;
        let url = in_place_of(&pooler, &direct);
        let config = DbConfig { pooler: Pooler::Transaction, ..DbConfig::at(url) };
        all.push(TestDatabase { name: "pgbouncer", config, kept_in: Place::Cluster(direct) });
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
    let name = format!("t_{}", Uuid::new_v4().simple());
    on_cluster(format!("CREATE DATABASE {name}"))
        .await
        .unwrap_or_else(|error| panic!("no database could be made on the test cluster: {error}"));
    in_place_of(&cluster(), &name)
}

fn cluster() -> String {
    env::var(POSTGRES_VARIABLE).unwrap_or_else(|_| {
        panic!("{POSTGRES_VARIABLE} is not set: run tests through tests/run, which starts a PostgreSQL")
    })
}

async fn on_cluster(statement: String) -> sqlx::Result<()> {
    let mut link = PgConnection::connect(&cluster()).await?;
    sqlx::query(sqlx::AssertSqlSafe(statement)).execute(&mut link).await?;
    link.close().await
}
