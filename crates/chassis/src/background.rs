//! What a program does beside serving: tasks that run until the shutdown, or have nothing to do in this
//! process and end at once. One that panics ends the program, which is started again by whoever watches over
//! it: a program that no longer does half of its work and says that it is well is worse than none.

use std::{
    panic::AssertUnwindSafe,
    sync::{Arc, OnceLock},
};

use futures::FutureExt as _;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use crate::Error;

/// The background tasks of a program. Those that run when it is dropped are aborted.
#[derive(Debug)]
pub struct Background {
    tasks: JoinSet<()>,
    vital: Vital,
}

impl Background {
    /// None yet; each that will be added ends after `shutdown` at the latest, and brings it about if it
    /// fails.
    #[must_use]
    pub fn new(shutdown: CancellationToken) -> Self {
        Self { tasks: JoinSet::new(), vital: Vital::new(shutdown) }
    }

    /// For what begins such tasks itself, and waits for them itself.
    #[must_use]
    pub fn vital(&self) -> Vital {
        self.vital.clone()
    }

    /// Runs a task, by the name that is told if it fails.
    pub fn spawn(&mut self, name: &'static str, task: impl Future<Output = ()> + Send + 'static) {
        self.tasks.spawn(self.vital.clone().guard(name, task));
    }

    /// Waits until all have ended, which they do after the shutdown.
    ///
    /// # Errors
    /// One had failed, or one of those that others began.
    pub async fn ended(mut self) -> Result<(), Error> {
        let mut all = Ok(());
        while let Some(ended) = self.tasks.join_next().await {
            all = all.and(ended.map_err(|lost| Error::Task(lost.to_string())));
        }
        all.and(self.vital.failed.get().map_or(Ok(()), |name| Err(Error::Task(format!("{name} failed")))))
    }
}

/// What a program cannot go on without. Clones are of the same program.
#[derive(Clone, Debug, Default)]
pub struct Vital {
    shutdown: CancellationToken,
    failed: Arc<OnceLock<&'static str>>,
}

impl Vital {
    /// Of a program that ends with this shutdown.
    #[must_use]
    pub fn new(shutdown: CancellationToken) -> Self {
        Self { shutdown, failed: Arc::default() }
    }

    /// The program's shutdown.
    #[must_use]
    pub const fn shutdown(&self) -> &CancellationToken {
        &self.shutdown
    }

    /// Runs a task without which the program cannot go on: if it panics, the program ends.
    pub async fn guard(self, name: &'static str, task: impl Future<Output = ()>) {
        let Err(_panic) = AssertUnwindSafe(task).catch_unwind().await else { return };
        tracing::error!(
            alert = true,
            task = name,
            "a task without which the program cannot go on has failed"
        );
        // The first one is told: others may have failed because it did.
        let _first = self.failed.set(name);
        self.shutdown.cancel();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn tasks_end_with_the_program() {
        let shutdown = CancellationToken::new();
        let mut background = Background::new(shutdown.clone());
        background.spawn("waiting", shutdown.clone().cancelled_owned());
        background.spawn("waiting too", shutdown.clone().cancelled_owned());
        shutdown.cancel();
        assert!(background.ended().await.is_ok());
    }

    #[tokio::test]
    async fn a_task_that_fails_ends_the_program_and_one_with_nothing_to_do_does_not() {
        let shutdown = CancellationToken::new();
        let mut background = Background::new(shutdown.clone());
        background.spawn("waiting", shutdown.clone().cancelled_owned());
        background.spawn("alerts", async {});
        tokio::task::yield_now().await;
        assert!(!shutdown.is_cancelled());
        background.spawn("pruning", async { panic!("hunter2") });
        shutdown.cancelled().await;
        let told = background.ended().await.err().map(|error| error.to_string());
        assert!(told.is_some_and(|told| told.contains("pruning failed")));
    }

    #[tokio::test]
    async fn what_another_part_has_begun_ends_the_program_too() {
        let background = Background::new(CancellationToken::new());
        let vital = background.vital();
        vital.clone().guard("a line", async {}).await;
        assert!(!vital.shutdown().is_cancelled());
        tokio::spawn(vital.clone().guard("a line", async { panic!("hunter2") }));
        vital.shutdown().cancelled().await;
        let told = background.ended().await.err().map(|error| error.to_string());
        assert!(told.is_some_and(|told| told.contains("a line failed")));
    }
}
