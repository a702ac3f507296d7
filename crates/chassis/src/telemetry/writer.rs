//! The way of log lines to their destination: into memory at once, and from there by a thread of their own.
//!
//! The thread is woken once for all lines of some milliseconds and writes them together: under load a line
//! costs its request a copy and no system call. The memory is bounded; lines beyond it are dropped and
//! counted. All lines that were taken are written before the process ends, unless it is killed or nobody
//! reads what it writes, in which case the process does not wait for ever.

use std::{
    io::{self, Write},
    mem,
    sync::{Arc, Condvar, Mutex, PoisonError},
    thread::{Builder, JoinHandle},
    time::Duration,
};

/// The most bytes that may wait: more than a second of as many lines as two cores can make.
const ROOM: usize = 16 * 1_024 * 1_024;
/// How long the first line waits for others to be written with it.
const GATHER: Duration = Duration::from_millis(5);
/// How long the end of the process waits until the last lines are written; a pipe that nobody reads takes
/// none.
const LAST_LINES: Duration = Duration::from_secs(3);
/// The capacity in bytes that is kept; more, after a burst, is given back.
const KEEP: usize = 256 * 1_024;

/// The lines that wait to be written. Clones share them.
#[derive(Clone, Debug, Default)]
pub(super) struct Lines(Arc<Buffer>);

#[derive(Debug, Default)]
struct Buffer {
    waiting: Mutex<Waiting>,
    came: Condvar,
    /// The thread has written everything and is about to end.
    done: Condvar,
}

#[derive(Debug, Default)]
struct Waiting {
    text: Vec<u8>,
    /// The process ends: the thread writes what is left.
    ended: bool,
    /// Everything is written.
    done: bool,
}

/// The thread; dropping this writes what still waits, for at most [`LAST_LINES`].
#[derive(Debug)]
pub(super) struct Thread(Lines, Option<JoinHandle<()>>);

/// Starts a thread that writes lines to `out`. When there can be none, they are dropped.
pub(super) fn start(out: impl Write + Send + 'static) -> (Lines, Thread) {
    let lines = Lines::default();
    let shared = Arc::clone(&lines.0);
    let thread = Builder::new().name("log".to_owned()).spawn(move || run(&shared, out)).ok();
    (lines.clone(), Thread(lines, thread))
}

impl Lines {
    /// Takes whole lines. Never blocks; drops them when there is no room.
    pub(super) fn take(&self, text: &[u8]) {
        let mut waiting = self.0.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        if waiting.text.len() + text.len() > ROOM {
            drop(waiting);
            metrics::counter!("log_lines_dropped_total").increment(1);
            return;
        }
        let first = waiting.text.is_empty();
        waiting.text.extend_from_slice(text);
        drop(waiting);
        if first {
            self.0.came.notify_one();
        }
    }
}

impl Write for Lines {
    fn write(&mut self, text: &[u8]) -> io::Result<usize> {
        self.take(text);
        Ok(text.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Drop for Thread {
    fn drop(&mut self) {
        let Some(thread) = self.1.take() else { return };
        let Buffer { waiting, came, done } = &*self.0.0;
        let mut waiting = waiting.lock().unwrap_or_else(PoisonError::into_inner);
        waiting.ended = true;
        came.notify_one();
        let waited = done.wait_timeout_while(waiting, LAST_LINES, |waiting| !waiting.done);
        let (waiting, _) = waited.unwrap_or_else(PoisonError::into_inner);
        let done = waiting.done;
        drop(waiting);
        if done {
            let _ended = thread.join();
        }
    }
}

fn run(shared: &Buffer, mut out: impl Write) {
    let mut taken = Vec::new();
    loop {
        let waiting = shared.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        let nothing = |waiting: &mut Waiting| waiting.text.is_empty() && !waiting.ended;
        let waiting = shared.came.wait_while(waiting, nothing).unwrap_or_else(PoisonError::into_inner);
        // More lines may be about to come; at the end of the process they are not waited for.
        let gathered = shared.came.wait_timeout_while(waiting, GATHER, |waiting| !waiting.ended);
        let (mut waiting, _) = gathered.unwrap_or_else(PoisonError::into_inner);
        mem::swap(&mut taken, &mut waiting.text);
        let ended = waiting.ended;
        drop(waiting);
        // When the destination is gone the lines are lost.
        let _gone = out.write_all(&taken).and_then(|()| out.flush());
        taken.clear();
        taken.shrink_to(KEEP);
        if ended {
            shared.waiting.lock().unwrap_or_else(PoisonError::into_inner).done = true;
            shared.done.notify_one();
            return;
        }
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    /// Remembers what was written, and in how many pieces.
    #[derive(Clone, Default)]
    pub(in crate::telemetry) struct Out(Arc<Mutex<(Vec<u8>, usize)>>);

    impl Out {
        pub(in crate::telemetry) fn text(&self) -> String {
            String::from_utf8(self.0.lock().unwrap_or_else(PoisonError::into_inner).0.clone()).expect("text")
        }
    }

    impl Write for Out {
        fn write(&mut self, text: &[u8]) -> io::Result<usize> {
            let mut out = self.0.lock().unwrap_or_else(PoisonError::into_inner);
            out.0.extend_from_slice(text);
            out.1 += 1;
            Ok(text.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn all_lines_are_written_in_order_and_many_at_once() {
        let out = Out::default();
        let (lines, thread) = start(out.clone());
        let expected: Vec<u8> = (0..10_000).flat_map(|n| format!("line {n}\n").into_bytes()).collect();
        for n in 0..10_000 {
            lines.take(format!("line {n}\n").as_bytes());
        }
        drop(thread);
        let (text, writes) = &*out.0.lock().unwrap_or_else(PoisonError::into_inner);
        assert_eq!(*text, expected);
        assert!(*writes < 1_000, "{writes}");
    }

    #[test]
    fn a_destination_that_takes_nothing_does_not_keep_the_process() {
        struct Stuck(Arc<(Mutex<bool>, Condvar)>);

        impl Write for Stuck {
            fn write(&mut self, text: &[u8]) -> io::Result<usize> {
                let (free, freed) = &*self.0;
                let free = free.lock().unwrap_or_else(PoisonError::into_inner);
                drop(freed.wait_while(free, |free| !*free).unwrap_or_else(PoisonError::into_inner));
                Ok(text.len())
            }

            fn flush(&mut self) -> io::Result<()> {
                Ok(())
            }
        }

        let gate = Arc::default();
        let (lines, thread) = start(Stuck(Arc::clone(&gate)));
        lines.take(b"nobody reads this\n");
        // Without a bound this never ends.
        drop(thread);
        assert!(!lines.0.waiting.lock().unwrap_or_else(PoisonError::into_inner).done);
        *gate.0.lock().unwrap_or_else(PoisonError::into_inner) = true;
        gate.1.notify_all();
    }

    #[test]
    fn what_nobody_takes_is_bounded() {
        let lines = Lines::default();
        let line = [b'x'; 1_024];
        for _ in 0..ROOM / line.len() + 10 {
            lines.take(&line);
        }
        assert_eq!(lines.0.waiting.lock().unwrap_or_else(PoisonError::into_inner).text.len(), ROOM);
    }
}
