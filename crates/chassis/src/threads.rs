//! Threads beside the runtime, each with a runtime of its own, for work that comes in small pieces.
//!
//! A runtime of several workers gives a task to whichever is free. That is right for work that lasts; where a
//! task does some microseconds of work between two waits, to wake it on another core than the one that has
//! its data costs more than the work.

use std::{io, sync::Arc, thread};

use tokio::runtime::{Builder, Handle, RuntimeFlavor};
use tokio_util::sync::{CancellationToken, DropGuard};

/// The threads; they end, with all that still runs on them, soon after the last clone of this is dropped.
#[derive(Clone, Debug)]
pub struct Threads {
    runtimes: Vec<Handle>,
    _end: Arc<DropGuard>,
}

impl Threads {
    /// As many as this runtime has workers. A runtime that is one thread (a test's, a simulation's) is the
    /// only one itself.
    ///
    /// # Errors
    /// The system's, where it has no room for another thread.
    pub fn beside_this_runtime(name: &str) -> io::Result<Self> {
        let (here, end) = (Handle::current(), CancellationToken::new());
        let guard = end.clone().drop_guard();
        let runtimes = if here.runtime_flavor() == RuntimeFlavor::CurrentThread {
            vec![here]
        } else {
            let start = |number| start(format!("{name}-{number}"), end.clone());
            (0..here.metrics().num_workers()).map(start).collect::<io::Result<_>>()?
        };
        Ok(Self { runtimes, _end: Arc::new(guard) })
    }

    /// Where to spawn.
    #[must_use]
    pub fn runtimes(&self) -> &[Handle] {
        &self.runtimes
    }
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
    }
}
