//! The pooler that may stand between a program and PostgreSQL, and the checks that find one that was
//! configured wrongly.

use sqlx::{Connection, PgPool, Row as _, pool::PoolConnection, postgres::PgConnection, raw_sql};
use tokio::time::timeout;

use super::{super::error::SAY_SO, ACQUIRE_TIMEOUT, Error};

/// How a pooler in front of PostgreSQL pools connections.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
pub enum Pooler {
    /// By session, or there is no pooler: a connection keeps its session as long as it lives
    #[default]
    #[value(alias = "none")]
    Session,
    /// By transaction: the next one on a connection may have another session
    Transaction,
}

/// How often the check is repeated. Once is enough where nobody else uses the pooler.
const ROUNDS: usize = 4;

/// Refuses a pooler that lends a session for one transaction only, where connections are taken for sessions:
/// settings would land in the sessions of others, and the schema could by chance be another service's. A
/// pooler that pools by session, or a server, passes for certain. A busy pooler may by chance lend the same
/// session each time, so the check is made a few times.
pub(super) async fn refuse_lent_sessions(pool: &PgPool) -> Result<(), Error> {
    let asked = async {
        let (mut ours, mut other) = (pool.acquire().await?, pool.acquire().await?);
        let mut lent = false;
        for _ in 0..ROUNDS {
            lent = lent || is_lent(&mut ours, &mut other).await?;
        }
        Ok::<_, sqlx::Error>(lent)
    };
    if timeout(ACQUIRE_TIMEOUT, asked).await.unwrap_or(Err(sqlx::Error::PoolTimedOut))? {
        let why = format!("between here and PostgreSQL a session is lent for one transaction only; {SAY_SO}");
        return Err(Error::Other(why.into()));
    }
    Ok(())
}

/// Whether another connection gets our session, or ours gets another one, while the other one has a
/// transaction open.
async fn is_lent(
    ours: &mut PoolConnection<sqlx::Postgres>,
    other: &mut PoolConnection<sqlx::Postgres>,
) -> sqlx::Result<bool> {
    let before = session_of(ours).await?;
    let mut open = other.begin().await?;
    // Our connection is asked again only when the other one does not have its session: that might be the only
    // one, and the answer would never come.
    let lent = session_of(&mut open).await? == before || session_of(ours).await? != before;
    open.rollback().await?;
    Ok(lent)
}

async fn session_of(link: &mut PgConnection) -> sqlx::Result<String> {
    raw_sql("SELECT pg_backend_pid()::text").fetch_one(link).await?.try_get(0)
}

/// The error for a setting that was made and is not in force.
pub(super) fn dropped(setting: &str, is: &str) -> Error {
    Error::Other(
        format!("{setting} is {is}, which is not what was set: something between here and PostgreSQL drops settings; {SAY_SO}")
            .into(),
    )
}
