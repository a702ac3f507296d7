//! A PostgreSQL server of one's own: for a scenario in which it is the server that fails.

use std::{
    path::PathBuf,
    process::Command,
    sync::atomic::{AtomicU32, Ordering},
};

/// A throwaway server. It is stopped and removed when this goes.
#[derive(Debug)]
pub struct Server {
    dir: PathBuf,
    /// Its superuser's URL.
    pub url: String,
}

const SCRIPT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/postgres");

impl Server {
    /// Starts one, as `tests/postgres` does. It takes seconds.
    ///
    /// # Panics
    /// When PostgreSQL's programs are not installed, or it does not start.
    #[must_use]
    pub fn start() -> Self {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let base = std::env::var_os("TEST_RUN_DIR").map_or_else(std::env::temp_dir, PathBuf::from);
        let dir = base.join(format!("postgres-{}-{}", std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed)));
        let started = Command::new(SCRIPT).arg("start").arg(&dir).output().expect("tests/postgres can be run");
        assert!(started.status.success(), "tests/postgres start: {}", String::from_utf8_lossy(&started.stderr));
        Self { dir, url: String::from_utf8_lossy(&started.stdout).trim().to_owned() }
    }

    /// Restarts it as after a crash; answers when it takes connections again.
    ///
    /// # Panics
    /// When it does not.
    pub async fn restart(&self) {
        let restarted = tokio::process::Command::new(SCRIPT).arg("restart").arg(&self.dir).status().await;
        assert!(restarted.is_ok_and(|status| status.success()), "tests/postgres restart {}", self.dir.display());
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = Command::new(SCRIPT).arg("stop").arg(&self.dir).status();
    }
}
