//! Log lines about what may happen thousands of times a second.

use std::time::Duration;

use tokio::time::Instant;

/// The least time between two log lines about the same thing.
const EVERY: Duration = Duration::from_secs(60);

/// Lets a log line pass once a minute.
#[derive(Debug, Default)]
pub(crate) struct Seldom(Option<Instant>);

impl Seldom {
    /// Whether the line may be written now. It is taken as written then.
    pub(crate) fn may_tell(&mut self) -> bool {
        let may = self.0.is_none_or(|told| told.elapsed() >= EVERY);
        if may {
            self.0 = Some(Instant::now());
        }
        may
    }
}
