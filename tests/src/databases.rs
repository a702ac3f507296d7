//! The databases of one mesh: made fresh, looked into with plain SQL, locked to hold a service up, removed at
//! the end.

use std::{
    collections::HashMap,
    path::{Path, PathBuf},
    sync::atomic::{AtomicU32, Ordering},
};

use sqlx::{AssertSqlSafe, Connection, PgConnection, Row, SqliteConnection};

/// The databases of a mesh.
#[derive(Debug)]
pub enum Databases {
    /// SQLite files somewhere below a folder.
    Sqlite(PathBuf),
    /// Databases of the throwaway server, by their URLs.
    Postgres(Vec<String>),
}

/// A connection to the database that has a certain table.
#[derive(Debug)]
pub enum Records {
    /// SQLite.
    Sqlite(SqliteConnection),
    /// PostgreSQL, with the table's schema first in the search path.
    Postgres(PgConnection),
}

/// The URL of the throwaway server.
///
/// # Panics
/// When there is none.
#[must_use]
pub fn server_url() -> String {
    std::env::var("TEST_POSTGRES_URL").expect(
        "TEST_POSTGRES_URL is not set. tests/run starts a throwaway PostgreSQL and sets it; by hand: \
         export TEST_POSTGRES_URL=$(tests/postgres start /tmp/some-folder)",
    )
}

/// The database that every server has, on the server of this one.
fn admin_url(url: &str) -> String {
    url.rsplit_once('/').map_or_else(server_url, |(base, _)| format!("{base}/postgres"))
}

impl Databases {
    /// Opens the PostgreSQL database of this URL.
    ///
    /// # Panics
    /// When it does not answer.
    pub async fn connect(url: &str) -> Records {
        Records::Postgres(PgConnection::connect(url).await.unwrap_or_else(|error| panic!("{url}: {error}")))
    }

    /// Makes this many fresh databases on this server.
    ///
    /// # Panics
    /// When the server does not answer.
    pub async fn create(server: &str, count: usize) -> Self {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let (base, _) = server.rsplit_once('/').expect("the URL names a database");
        let mut admin = PgConnection::connect(server).await.expect("the throwaway PostgreSQL answers");
        let mut urls = Vec::new();
        for _ in 0..count {
            let name = format!("mesh_{}_{}", std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed));
            run(&mut admin, &format!("DROP DATABASE IF EXISTS {name} WITH (FORCE)")).await;
            run(&mut admin, &format!("CREATE DATABASE {name}")).await;
            urls.push(format!("{base}/{name}"));
        }
        Self::Postgres(urls)
    }

    /// The URLs of databases on a server.
    #[must_use]
    pub fn urls(&self) -> &[String] {
        match self {
            Self::Sqlite(_) => &[],
            Self::Postgres(urls) => urls,
        }
    }

    /// Drops what was made on the server. (Files go with the mesh's folder.)
    pub async fn remove(&self) {
        let Self::Postgres(urls) = self else { return };
        let Ok(mut admin) = PgConnection::connect(&admin_url(&urls[0])).await else { return };
        for url in urls {
            let name = url.rsplit('/').next().unwrap_or_default();
            run(&mut admin, &format!("DROP DATABASE IF EXISTS {name} WITH (FORCE)")).await;
        }
    }

    /// Takes the PostgreSQL databases away, as an outage would: connections are cut and no new ones are
    /// taken.
    ///
    /// # Panics
    /// When the server does not answer.
    pub async fn take_away(&self) {
        self.each(|name| {
            [
                format!("ALTER DATABASE {name} WITH ALLOW_CONNECTIONS false"),
                format!("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = '{name}'"),
            ]
        })
        .await;
    }

    /// Ends the outage.
    ///
    /// # Panics
    /// When the server does not answer.
    pub async fn give_back(&self) {
        self.each(|name| [format!("ALTER DATABASE {name} WITH ALLOW_CONNECTIONS true")]).await;
    }

    async fn each<const N: usize>(&self, statements: impl Fn(&str) -> [String; N]) {
        let Self::Postgres(urls) = self else { panic!("only a server's databases can be away") };
        let mut admin =
            PgConnection::connect(&admin_url(&urls[0])).await.expect("the throwaway PostgreSQL answers");
        for url in urls {
            for statement in statements(url.rsplit('/').next().unwrap_or_default()) {
                run(&mut admin, &statement).await;
            }
        }
    }

    /// Opens the database that has this table.
    ///
    /// # Panics
    /// When none has.
    pub async fn with_table(&self, table: &str) -> Records {
        self.find(table).await.unwrap_or_else(|| panic!("no database of this mesh has a table {table}"))
    }

    async fn find(&self, table: &str) -> Option<Records> {
        match self {
            Self::Sqlite(dir) => {
                for file in files_below(dir) {
                    let Ok(mut db) = SqliteConnection::connect(&format!("sqlite:{}", file.display())).await
                    else {
                        continue;
                    };
                    let found = sqlx::query("SELECT 1 FROM sqlite_master WHERE type = 'table' AND name = $1")
                        .bind(table)
                        .fetch_optional(&mut db)
                        .await;
                    if matches!(found, Ok(Some(_))) {
                        return Some(Records::Sqlite(db));
                    }
                }
            }
            Self::Postgres(urls) => {
                for url in urls {
                    let mut db = PgConnection::connect(url).await.ok()?;
                    let found = sqlx::query(
                        "SELECT table_schema FROM information_schema.tables WHERE table_name = $1",
                    )
                    .bind(table)
                    .fetch_optional(&mut db)
                    .await
                    .ok()?;
                    if let Some(row) = found {
                        let schema: String = row.get(0);
                        run(&mut db, &format!("SET search_path TO \"{schema}\"")).await;
                        return Some(Records::Postgres(db));
                    }
                }
            }
        }
        None
    }

    /// Gives a table another name under the running services, as a migration that went wrong would.
    ///
    /// # Panics
    /// When there is no such table.
    pub async fn rename(&self, table: &str, name: &str) {
        let sql = format!("ALTER TABLE \"{table}\" RENAME TO \"{name}\"");
        match &mut self.with_table(table).await {
            Records::Sqlite(db) => {
                run_sqlite(db, "PRAGMA busy_timeout = 10000").await;
                run_sqlite(db, &sql).await;
            }
            Records::Postgres(db) => run(db, &sql).await,
        }
    }

    /// Keeps everybody else from writing (on PostgreSQL also from reading) this table until released: a
    /// service that needs it waits.
    ///
    /// # Panics
    /// When the lock is not to be had.
    pub async fn hold_up(&self, table: &str) -> Records {
        let mut records = self.with_table(table).await;
        match &mut records {
            Records::Sqlite(db) => {
                run_sqlite(db, "PRAGMA busy_timeout = 10000").await;
                run_sqlite(db, "BEGIN IMMEDIATE").await;
            }
            Records::Postgres(db) => {
                run(db, "BEGIN").await;
                run(db, &format!("LOCK TABLE \"{table}\" IN ACCESS EXCLUSIVE MODE")).await;
            }
        }
        records
    }
}

async fn run(db: &mut PgConnection, sql: &str) {
    sqlx::raw_sql(AssertSqlSafe(sql.to_owned()))
        .execute(db)
        .await
        .unwrap_or_else(|error| panic!("{sql}: {error}"));
}

async fn run_sqlite(db: &mut SqliteConnection, sql: &str) {
    sqlx::raw_sql(AssertSqlSafe(sql.to_owned()))
        .execute(db)
        .await
        .unwrap_or_else(|error| panic!("{sql}: {error}"));
}

/// The files, by their names: opening and closing one would release every lock that SQLite holds on it for
/// this process.
fn files_below(dir: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(dir).into_iter().flatten().flatten() {
        let path = entry.path();
        if path.is_dir() {
            found.extend(files_below(&path));
        } else if path.extension().is_some_and(|extension| extension == "db") {
            found.push(path);
        }
    }
    found
}

impl Records {
    /// Releases the lock of [`Databases::hold_up`].
    pub async fn release(mut self) {
        match &mut self {
            Self::Sqlite(db) => run_sqlite(db, "ROLLBACK").await,
            Self::Postgres(db) => run(db, "ROLLBACK").await,
        }
    }

    /// Runs a statement.
    ///
    /// # Panics
    /// When it is refused.
    pub async fn run(&mut self, sql: &str) {
        match self {
            Self::Sqlite(db) => run_sqlite(db, sql).await,
            Self::Postgres(db) => run(db, sql).await,
        }
    }

    /// Every row of a query whose columns are all text; a NULL is an empty text. `{id:column}` in the SQL
    /// stands for a UUID column as 32 hex digits, in either dialect.
    ///
    /// # Panics
    /// When the query is refused.
    pub async fn rows(&mut self, sql: &str) -> Vec<Vec<String>> {
        let sql = self.spell(sql);
        let refused = |error: sqlx::Error| -> ! { panic!("{sql}: {error}") };
        match self {
            Self::Sqlite(db) => {
                let rows = sqlx::query(AssertSqlSafe(sql.clone()))
                    .fetch_all(db)
                    .await
                    .unwrap_or_else(|e| refused(e));
                rows.iter()
                    .map(|row| {
                        (0..row.len()).map(|i| row.get::<Option<String>, _>(i).unwrap_or_default()).collect()
                    })
                    .collect()
            }
            Self::Postgres(db) => {
                let rows = sqlx::query(AssertSqlSafe(sql.clone()))
                    .fetch_all(db)
                    .await
                    .unwrap_or_else(|e| refused(e));
                rows.iter()
                    .map(|row| {
                        (0..row.len()).map(|i| row.get::<Option<String>, _>(i).unwrap_or_default()).collect()
                    })
                    .collect()
            }
        }
    }

    /// The first column by the second, of a query as for [`Self::rows`].
    pub async fn map(&mut self, sql: &str) -> HashMap<String, String> {
        self.rows(sql).await.into_iter().map(|row| (row[0].clone(), row[1].clone())).collect()
    }

    fn spell(&self, sql: &str) -> String {
        let mut spelled = String::new();
        let mut rest = sql;
        while let Some((before, after)) = rest.split_once("{id:") {
            let (column, tail) = after.split_once('}').expect("{id:…} is closed");
            spelled.push_str(before);
            spelled.push_str(&match self {
                Self::Sqlite(_) => format!("lower(hex({column}))"),
                Self::Postgres(_) => format!("replace(CAST({column} AS TEXT), '-', '')"),
            });
            rest = tail;
        }
        spelled + rest
    }
}
