//! Threads beside the runtime, each with a runtime of its own, for work in small pieces.
//!
//! A runtime of several workers gives a task to whichever is free. That is right for work that lasts. Where a
//! task works for some microseconds between two waits, waking it on another core than the one that has its
//! data costs more than the work; on two cores a quarter more polls are answered without that
//! (ARCHITECTURE.md).

use std::{io, sync::Arc, thread};

use tokio::{
    runtime::{Builder, Handle, RuntimeFlavor},
    task::{self, JoinError},
};
use tokio_util::sync::{CancellationToken, DropGuard};

use crate::db;

/// The threads. They end, with all tasks that still run on them, soon after the last clone of this is
/// dropped.
#[derive(Clone, Debug)]
pub struct Threads {
    runtimes: Vec<Handle>,
    _end: Arc<DropGuard>,
}

impl Threads {
    /// As many threads as this runtime has workers. A runtime of one thread (that of a test or a simulation)
    /// is used itself.
    ///
    /// # Errors
    /// The system has no resources for another thread.
    pub fn beside_this_runtime(name: &str) -> io::Result<Self> {
        let (here, end) = (Handle::current(), CancellationToken::new());
        let guard = end.clone().drop_guard();
        let runtimes = if is_alone(&here) {
            vec![here]
        } else {
            let start = |number| start(format!("{name}-{number}"), end.clone());
            (0..here.metrics().num_workers()).map(start).collect::<io::Result<_>>()?
        };
        Ok(Self { runtimes, _end: Arc::new(guard) })
    }

    /// The runtime of each thread, to spawn tasks on.
    #[must_use]
    pub fn runtimes(&self) -> &[Handle] {
        &self.runtimes
    }
}

/// Computes what takes longer than a task should keep its thread. In a simulation the task does it itself: an
/// answer of another thread would come at a moment that the machine chooses, and the simulation could not be
/// repeated.
///
/// # Errors
/// It panicked, or the runtime ends.
pub async fn compute<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> Result<T, JoinError> {
    if db::is_simulated() {
        return task::spawn(async { work() }).await;
    }
    #[expect(clippy::disallowed_methods, reason = "this is where it is decided")]
    task::spawn_blocking(work).await
}

fn is_alone(runtime: &Handle) -> bool {
    runtime.runtime_flavor() == RuntimeFlavor::CurrentThread
}

fn start(name: String, end: CancellationToken) -> io::Result<Handle> {
    let runtime = Builder::new_current_thread().enable_all().build()?;
    let handle = runtime.handle().clone();
    thread::Builder::new().name(name).spawn(move || runtime.block_on(end.cancelled()))?;
    Ok(handle)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use super::*;

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn each_runs_what_it_is_given_until_they_are_dropped() {
        let threads = Threads::beside_this_runtime("lane").unwrap();
        let name = || thread::current().name().map(str::to_owned);
        let mut names = Vec::new();
        for runtime in threads.runtimes() {
            names.push(runtime.spawn(async move { name() }).await.unwrap().unwrap());
        }
        assert_eq!(names, ["lane-0", "lane-1"]);
        let endless = threads.runtimes()[0].spawn(std::future::pending::<()>());
        drop(threads);
        assert!(endless.await.unwrap_err().is_cancelled());
    }

    #[tokio::test]
    async fn a_runtime_of_one_thread_stays_alone() {
        let threads = Threads::beside_this_runtime("lane").unwrap();
        let here = thread::current().id();
        let there = threads.runtimes()[0].spawn(async { thread::current().id() }).await.unwrap();
        assert_eq!((threads.runtimes().len(), here), (1, there));
        assert_ne!(compute(|| thread::current().id()).await.unwrap(), here, "not in the way of other tasks");
    }

    #[tokio::test]
    async fn a_simulation_computes_by_itself() {
        let here = thread::current().id();
        db::simulate(|| db::Fate::Done);
        assert_eq!(compute(|| thread::current().id()).await.unwrap(), here);
        assert!(compute(|| panic!("on purpose")).await.unwrap_err().is_panic());
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 1)]
    async fn what_is_computed_keeps_no_worker() {
        let (go, waits) = std::sync::mpsc::channel();
        let computed = tokio::spawn(compute(move || waits.recv().unwrap()));
        // The one worker is free for this.
        tokio::spawn(async move { go.send(7).unwrap() }).await.unwrap();
        assert_eq!(computed.await.unwrap().unwrap(), 7);
        assert!(compute(|| panic!("on purpose")).await.unwrap_err().is_panic());
    }
}
