//! What a program does beside serving: tasks that run until the shutdown, or have nothing to do in this
//! process and end at once. One that panics ends the program, which is started again by whoever watches over
//! it: a program that no longer does half of its work and says that it is well is worse than none.

use std::panic::AssertUnwindSafe;

use futures::FutureExt as _;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use crate::Error;

/// The background tasks of a program. Those that run when it is dropped are aborted.
#[derive(Debug)]
pub struct Background {
    tasks: JoinSet<Result<(), &'static str>>,
    shutdown: CancellationToken,
}

impl Background {
    /// None yet; each that will be added ends after `shutdown` at the latest, and brings it about if it
    /// fails.
    #[must_use]
    pub fn new(shutdown: CancellationToken) -> Self {
        Self { tasks: JoinSet::new(), shutdown }
    }

    /// Runs a task, by the name that is told if it fails.
    pub fn spawn(&mut self, name: &'static str, task: impl Future<Output = ()> + Send + 'static) {
        let shutdown = self.shutdown.clone();
        self.tasks.spawn(async move {
            let Err(_panic) = AssertUnwindSafe(task).catch_unwind().await else { return Ok(()) };
            tracing::error!(
                alert = true,
                task = name,
                "a task without which the program cannot go on has failed"
            );
            shutdown.cancel();
            Err(name)
        });
    }

    /// Waits until all have ended, which they do after the shutdown.
    ///
    /// # Errors
    /// One had failed.
    pub async fn ended(mut self) -> Result<(), Error> {
        let mut all = Ok(());
        while let Some(ended) = self.tasks.join_next().await {
            match ended {
                Ok(Ok(())) => {}
                Ok(Err(name)) => all = Err(Error::Task(format!("{name} failed"))),
                Err(lost) => all = Err(Error::Task(lost.to_string())),
            }
        }
        all
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
}
