//! Bounded waiting: an assertion that may take a while, and says what it last saw when it never comes true.

use std::time::{Duration, Instant};

use tokio::time::sleep;

/// Asks until `attempt` answers `Ok`, every 25 ms; fails with its last `Err` when `within` is over.
///
/// # Panics
/// When the time is over.
pub async fn eventually<T, Fut>(within: Duration, mut attempt: impl FnMut() -> Fut) -> T
where
    Fut: Future<Output = Result<T, String>>,
{
    let begun = Instant::now();
    loop {
        match attempt().await {
            Ok(value) => return value,
            Err(seen) if begun.elapsed() > within => panic!("not within {within:?}: {seen}"),
            Err(_) => sleep(Duration::from_millis(25)).await,
        }
    }
}

/// Shorthand for the body of an attempt: `Ok(value)` when it holds, else the value's text as what was seen.
///
/// # Errors
/// What was seen.
pub fn holds<T: std::fmt::Debug>(value: T, is_so: impl FnOnce(&T) -> bool) -> Result<T, String> {
    if is_so(&value) { Ok(value) } else { Err(format!("{value:?}")) }
}
