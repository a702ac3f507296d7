//! What the connection pools of both dialects have in common.

use std::time::Duration;

use sqlx::pool::PoolOptions;

/// How long a request waits for a connection before it is refused as unavailable.
pub(super) const ACQUIRE_TIMEOUT: Duration = Duration::from_secs(2);

/// The options of a pool with at most this many connections.
pub(super) fn pool<DB: sqlx::Database>(connections: u32) -> PoolOptions<DB> {
    PoolOptions::new()
        .max_connections(connections)
        .acquire_timeout(ACQUIRE_TIMEOUT)
        .test_before_acquire(false)
}
