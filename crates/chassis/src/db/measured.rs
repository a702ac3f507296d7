//! What is measured of a database beside its transactions: its connections, and the room that it has.

use std::{fs, path::Path};

use rustix::fs::statvfs;

use super::{Db, DbConfig, Dialect, Pools, postgres};

impl DbConfig {
    /// The name in metrics: the file's without its ending, or that of the schema, else of the database.
    pub(super) fn name(&self) -> String {
        match self.dialect() {
            Some(Dialect::Postgres) => match (&self.schema, postgres::Address::read(&self.url)) {
                (Some(schema), _) => schema.clone(),
                (None, Ok(address)) => address.database().to_owned(),
                (None, Err(_)) => String::new(),
            },
            Some(Dialect::Sqlite) | None => {
                let path = self.url.split_once(':').map_or("", |(_, path)| path);
                let path = path.split('?').next().unwrap_or_default();
                Path::new(path).file_stem().unwrap_or_default().to_string_lossy().into_owned()
            }
        }
    }
}

impl Db {
    /// Sets the gauges. The file system answers from memory, and a pool from its own counters.
    pub(crate) fn measure(&self) {
        let (open, idle) = match &self.pools {
            Pools::Postgres(server) => {
                let (open, idle) = server.connections();
                (open, unused(open, idle))
            }
            Pools::Sqlite(file) => {
                self.measure_room(file.path());
                let pools = [&file.readers, &file.writer].map(|pool| (pool.size(), pool.num_idle()));
                let open = pools.iter().map(|(open, _)| *open).sum();
                (open, pools.iter().map(|(open, idle)| unused(*open, *idle)).sum())
            }
            Pools::Simulated(_) => return,
        };
        metrics::gauge!("db_connections_open", "database" => self.name.to_string()).set(open);
        metrics::gauge!("db_connections_idle", "database" => self.name.to_string()).set(idle);
    }

    /// Of a server's disk only the server can tell.
    #[expect(clippy::cast_precision_loss, reason = "bytes of a disk")]
    fn measure_room(&self, file: &Path) {
        let database = || self.name.to_string();
        if let Ok(about) = fs::metadata(file) {
            metrics::gauge!("db_size_bytes", "database" => database()).set(about.len() as f64);
        }
        if let Ok(disk) = statvfs(file) {
            let bytes = |blocks: u64| (blocks * disk.f_frsize) as f64;
            metrics::gauge!("db_disk_size_bytes", "database" => database()).set(bytes(disk.f_blocks));
            metrics::gauge!("db_disk_free_bytes", "database" => database()).set(bytes(disk.f_bavail));
        }
    }
}

/// How many connections of a pool nobody uses. The pool's own counter may be below zero for a moment, when a
/// connection is taken before it was counted as given back, and tells that as a huge number (sqlx 0.9.0).
fn unused(open: u32, idle: usize) -> u32 {
    u32::try_from(idle).ok().filter(|idle| *idle <= open).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_counter_that_is_below_zero_for_a_moment_counts_as_none() {
        assert_eq!([2, 5, 6, usize::MAX].map(|idle| unused(5, idle)), [2, 5, 0, 0]);
    }

    #[test]
    fn a_database_is_named_as_its_owner_names_it() {
        let name = |url: &str, schema: Option<&str>| {
            DbConfig { schema: schema.map(str::to_owned), ..DbConfig::at(url) }.name()
        };
        assert_eq!(name("sqlite:data/queue.db", None), "queue");
        assert_eq!(name("sqlite:///var/lib/edge.db?mode=rwc", None), "edge");
        assert_eq!(name("postgres://me:secret@db/sales", None), "sales");
        assert_eq!(name("postgres://me:secret@db/sales", Some("wallet")), "wallet");
    }
}
