//! How long a test waits. Tests wait for a state and assert what the system says; a limit is there only so
//! that a test ends which otherwise never would. No limit may depend on how fast this machine is, so all of
//! them are made here.
//!
//! A limit names what something usually takes, with nothing in the way. It is stretched tenfold, and by as
//! much as this machine is slower than usual. That is measured with a known piece of work whenever a limit
//! seems to be over, because other work comes and goes; the worst that was measured counts.

use std::{
    fmt,
    future::Future,
    pin::pin,
    process::{Command, Stdio},
    sync::atomic::{AtomicU64, Ordering},
    time::Duration,
};

use tokio::time::Instant;

/// The known piece of work: a shell that counts. It does not depend on how the tests were compiled.
const WORK: &str = "i=0; while [ $i -lt 50000 ]; do i=$((i+1)); done";
/// What it takes on an idle machine of two cores.
const USUAL: Duration = Duration::from_millis(70);
/// How much longer than usual something may take on an idle machine.
const GENEROUS: f64 = 10.0;
/// No machine counts as slower than this: a test that hangs must end some day.
const SLOWEST: f64 = 30.0;

/// The greatest slowness that was measured so far, in percent of the usual.
static WORST: AtomicU64 = AtomicU64::new(100);

/// Measures how many times slower than usual this machine is now.
#[must_use]
#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "between 100 and 3,000")]
pub fn slowness() -> f64 {
    let begun = Instant::now();
    // A machine without a shell is as slow as usual.
    let _ = Command::new("sh")
        .args(["-c", WORK])
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status();
    let now = (begun.elapsed().as_secs_f64() / USUAL.as_secs_f64()).clamp(1.0, SLOWEST);
    WORST.fetch_max((now * 100.0) as u64, Ordering::Relaxed);
    now
}

#[expect(clippy::cast_precision_loss, reason = "at most 3,000")]
fn worst() -> f64 {
    WORST.load(Ordering::Relaxed) as f64 / 100.0
}

fn stretched(usual: Duration) -> Duration {
    usual.mul_f64(GENEROUS * worst())
}

/// Whether something that usually takes at most `usual` was as prompt as this machine lets it be.
#[must_use]
pub fn is_prompt(took: Duration, usual: Duration) -> bool {
    took <= stretched(usual) || {
        let _ = slowness();
        took <= stretched(usual)
    }
}

/// A wait that has begun.
#[derive(Clone, Copy, Debug)]
pub struct Patience {
    begun: Instant,
    usual: Duration,
}

impl Patience {
    /// Begins to wait for something that usually takes at most `usual`.
    #[must_use]
    pub fn new(usual: Duration) -> Self {
        Self { begun: Instant::now(), usual }
    }

    /// How long the wait has lasted.
    #[must_use]
    pub fn spent(&self) -> Duration {
        self.begun.elapsed()
    }

    /// Whether to give up. Measures the machine first, which blocks the thread for a moment.
    #[must_use]
    pub fn is_over(&self) -> bool {
        !is_prompt(self.spent(), self.usual)
    }

    /// How much longer to wait before [`is_over`](Self::is_over) is asked; never zero.
    fn left(&self) -> Duration {
        stretched(self.usual).saturating_sub(self.spent()).max(Duration::from_millis(1))
    }
}

impl fmt::Display for Patience {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "within {:.1?} ({:?} is usual, and this machine was {:.1} times slower)",
            self.spent(),
            self.usual,
            worst()
        )
    }
}

/// Something did not come in time.
#[derive(Clone, Copy, Debug)]
pub struct Late(Patience);

impl fmt::Display for Late {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "not {}", self.0)
    }
}

/// As the `timeout` of tokio, for something that usually takes at most `usual`.
///
/// # Errors
/// It did not come in time.
pub async fn timeout<F: Future>(usual: Duration, future: F) -> Result<F::Output, Late> {
    let (patience, mut future) = (Patience::new(usual), pin!(future));
    loop {
        if let Ok(output) = tokio::time::timeout(patience.left(), &mut future).await {
            return Ok(output);
        }
        #[expect(
            clippy::disallowed_methods,
            reason = "it measures this machine, in tests of a runtime of one thread too"
        )]
        let over = tokio::task::spawn_blocking(move || patience.is_over()).await;
        if over.unwrap_or(true) {
            return Err(Late(patience));
        }
    }
}

/// Waits until something has happened that cannot be observed, and that usually has happened after `usual`.
/// It waits for twice as long on a slow machine, and no longer, because what is meant to be under way must
/// not end meanwhile.
pub async fn pause(usual: Duration) {
    tokio::time::sleep(usual.mul_f64(worst().min(2.0))).await;
}

/// Whether nothing comes within `span`. On a slow machine something may come later and be missed, but what
/// never comes is never seen.
pub async fn nothing_comes<F: Future>(span: Duration, future: F) -> bool {
    tokio::time::timeout(span, future).await.is_err()
}

#[cfg(test)]
mod tests {
    use super::*;

    const LITTLE: Duration = Duration::from_micros(10);

    #[tokio::test]
    async fn what_comes_late_is_waited_for_and_what_never_comes_is_not() {
        let slow = async {
            tokio::time::sleep(Duration::from_millis(30)).await;
            5
        };
        assert_eq!(timeout(Duration::from_secs(1), slow).await.ok(), Some(5));
        let late = timeout(LITTLE, std::future::pending::<()>()).await.unwrap_err();
        assert!(late.to_string().starts_with("not within "), "{late}");
        assert!(nothing_comes(LITTLE, std::future::pending::<()>()).await);
    }

    #[test]
    fn a_limit_is_ten_times_what_is_usual_and_more_on_a_slow_machine() {
        assert!(is_prompt(Duration::from_secs(10), Duration::from_secs(1)));
        assert!(!is_prompt(Duration::from_secs(3_000), Duration::from_secs(1)));
        assert!((1.0..=SLOWEST).contains(&slowness()));
        assert!(!Patience::new(Duration::from_secs(60)).is_over());
    }
}
