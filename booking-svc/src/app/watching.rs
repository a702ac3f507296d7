//! Following what can be had of a show as a stream. The stream looks only when the reader asks for a message,
//! so a slow reader holds no backlog: its next message is what has changed in all that time.

use std::{sync::Arc, time::Duration};

use futures::{Stream, stream};
use tokio::time::{Instant, sleep};
use tokio_util::sync::CancellationToken;

use super::App;
use crate::{domain::HallView, error::Error};

/// The shortest time between two messages.
const STEP: Duration = Duration::from_millis(250);
/// The longest silence. Together with a step it stays within the 15 s that the contract promises.
const QUIET: Duration = Duration::from_secs(13);

/// What was told last, and what is told now.
pub type ViewStep = (Option<Arc<HallView>>, Arc<HallView>);

impl App {
    /// A stream of what can be had of a show: as it is now, then whenever that has changed, and again after
    /// [`QUIET`]; each beside what the stream told before it, or the caller knew. Whoever knows the present
    /// state already, by its version, waits for the first change. The stream ends when this replica shuts
    /// down, or after the first failure.
    ///
    /// # Errors
    /// `ShowNotFound`, or a failure of the database.
    pub async fn watch_availability(
        self: &Arc<Self>,
        show_id: i64,
        known: Option<i64>,
        shutdown: &CancellationToken,
    ) -> Result<impl Stream<Item = Result<ViewStep, Error>> + use<>, Error> {
        let first = self.availability(show_id, known).await?;
        let is_known = known == Some(first.version);
        let watching = Watching {
            app: Arc::clone(self),
            told: is_known.then(|| Arc::clone(&first)),
            told_at: Instant::now(),
            first,
            stop: shutdown.clone(),
        };
        Ok(stream::unfold(Some(watching), async |watching| {
            let mut watching = watching?;
            let next = watching.next().await?;
            let goes_on = next.is_ok();
            Some((next, goes_on.then_some(watching)))
        }))
    }
}

struct Watching {
    app: Arc<App>,
    first: Arc<HallView>,
    told: Option<Arc<HallView>>,
    told_at: Instant,
    stop: CancellationToken,
}

impl Watching {
    /// Waits for the next view worth telling; `None` at the shutdown.
    async fn next(&mut self) -> Option<Result<ViewStep, Error>> {
        let (show_id, mut view) = (self.first.show_id, Arc::clone(&self.first));
        while let Some(told) = &self.told {
            self.stop.run_until_cancelled(sleep(STEP)).await?;
            view = match self.app.availability(show_id, Some(told.version)).await {
                Ok(view) => view,
                Err(error) => return Some(Err(error)),
            };
            if view.version != told.version || self.told_at.elapsed() >= QUIET {
                break;
            }
        }
        self.told_at = Instant::now();
        Some(Ok((self.told.replace(Arc::clone(&view)), view)))
    }
}
