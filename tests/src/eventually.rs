//! Bounded waiting: an assertion that may take a while to hold, and that reports what it last saw if it never
//! does.

use std::time::Duration;

use tokio::time::sleep;

use crate::patience::Patience;

/// Asks until `attempt` answers `Ok`, every 25 ms; fails with its last `Err` when that takes longer than this
/// machine's patience with something that `usual`ly takes at most so long.
///
/// # Panics
/// When patience is over.
pub async fn eventually<T, Fut>(usual: Duration, mut attempt: impl FnMut() -> Fut) -> T
where
    Fut: Future<Output = Result<T, String>>,
{
    let patience = Patience::new(usual);
    loop {
        match attempt().await {
            Ok(value) => return value,
            Err(seen) if patience.is_over() => panic!("not {patience}: {seen}"),
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
