//! Judges a mesh by what its services have written down: is money conserved, is every paid seat somebody's
//! and nobody else's, has every checkout one outcome, did everybody enter in turn?
//!
//! It reads tables with SQL and shares no type with the services: a judge that shares code with what it
//! judges shares its mistakes. It only reads, through one snapshot a service (PostgreSQL: a REPEATABLE READ,
//! READ ONLY transaction; SQLite: a read transaction of a read-only connection), so it may run while the mesh
//! works. Rows are streamed in key order and compared as they pass, so its memory does not grow with them: it
//! keeps one small record a queue, a show and a section, what the log says of one show's seats, and of the
//! differences at most [`report::KEPT`] a law.
//!
//! # Why work in flight is no false alarm
//!
//! *Inside a service* a snapshot is one instant between transactions, and every invariant holds at every
//! commit: what differs there is a fault. Two judgements use the clock as well. A hold about to lapse (within
//! [`seats::SLACK`]) may be taken for lapsed by its service, whose clock is another: it is not judged. And a
//! checkout may be PENDING for as long as [`Options::unsettled_after`].
//!
//! *Across services* the snapshots are of different instants, so their order is chosen, and follows from the
//! saga's: the journal's row is written before any money moves, and settled after the last step.
//!
//! 1. First the journal. A checkout that is settled there had its payment and its reservation in their final
//!    states before this instant.
//! 2. Then wallet and booking. Final states stay, so both snapshots show them: whatever disagrees with a
//!    settled checkout is a fault. A checkout that was PENDING is in flight: whatever its payment and
//!    reservation are, it is not judged but by its age. One that was sold may have been refunded since: if
//!    the snapshots say so, the journal is asked again whether that was begun.
//! 3. A payment or a reservation that the first look at the journal does not know is looked up in the journal
//!    again. If its checkout is there now, it was begun in between, and is in flight. If not, it never had
//!    one: its row would be older than both.
//!
//! The books of a show are sums over its sales, and are judged of those that are settled in this sense: both
//! snapshots have them in their final states. One that is in flight is in neither sum.
//!
//! *Lastly*, a difference counts only if a second look, [`Options::recheck_after`] later, finds it again. By
//! the reasoning above the first look is right already as long as each address is the database that its
//! service writes to; the second covers addresses of replicas that lag behind.
//!
//! A limit of a queue that is exceeded may have been lowered since: users who are in stay in. It is a
//! difference when somebody entered although the queue was over it (the newest admission is the last thing
//! that happened there, or happened between the two looks), and otherwise a note. A wallet is a note, too,
//! when no request can reach its name any more, because an older version wrote it in another Unicode form
//! than C.
//!
//! # What may be gone
//!
//! Services forget tokens that ended long ago, holds that ended unpaid, request ids and their answers, told
//! events, what changed of seats some minutes ago, and the story and refusal of settled checkouts. So nothing
//! here needs any of these to be there: an ended token's ticket is a gap like one that a requeued token left,
//! the seats of a hold that ended are free, and a checkout is judged by its status. What must never be gone
//! (live tokens, confirmed holds and their reservations, checkouts, payments, entries, operators' actions) is
//! missed.
//!
//! Programs of before the log of seats change rows without it. Beside newer ones, while both serve, the log
//! lacks what they do until the map of the show was read for some seconds, and is told as a difference.
//!
//! # What it costs
//!
//! A scan of every table, sorted by its keys. While a snapshot is open PostgreSQL keeps old row versions and
//! SQLite's write-ahead log grows; both are cleared away afterwards. A SQLite file that nobody has open is
//! read without creating anything beside it.

mod actions;
pub mod beacon;
mod books;
mod called_off;
mod checkouts;
pub mod draw;
mod draws;
mod error;
mod law;
mod lines;
mod money;
mod outcomes;
pub mod render;
pub mod report;
pub mod sales;
mod seat_log;
pub mod seats;
mod snapshot;
mod sources;

use std::{sync::Arc, time::Duration};

pub use error::Error;
pub use report::{Checked, Difference, Law, Report};
pub use sources::{Source, Sources};

use report::Look;
use snapshot::Snapshot;

/// Called now and then during a look, with what is being read and how many rows of it have been.
pub type Progress = Arc<dyn Fn(&str, u64) + Send + Sync>;

/// How strictly to judge.
#[derive(Clone)]
pub struct Options {
    /// When the databases are copies: when they were made, in microseconds since 1970. What was in flight
    /// then is as old as it was then.
    pub copied_at: Option<i64>,
    /// How long a checkout may be unsettled.
    pub unsettled_after: Duration,
    /// How long after the first look to look again at what seems wrong; `None` when the first look counts.
    pub recheck_after: Option<Duration>,
    /// Whether money and seats may also be moved past the edge, over the gRPC of the services. A payment or
    /// reservation without a checkout is then counted instead of judged.
    pub direct_calls: bool,
    /// The callback for progress, if there is one.
    pub progress: Option<Progress>,
}

impl std::fmt::Debug for Options {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { copied_at, unsettled_after, recheck_after, direct_calls, progress: _ } = self;
        f.debug_struct("Options")
            .field("copied_at", copied_at)
            .field("unsettled_after", unsettled_after)
            .field("recheck_after", recheck_after)
            .field("direct_calls", direct_calls)
            .finish_non_exhaustive()
    }
}

impl Options {
    /// The options for a running mesh.
    #[must_use]
    pub const fn running() -> Self {
        Self {
            copied_at: None,
            unsettled_after: Duration::from_secs(300),
            recheck_after: Some(Duration::from_secs(3)),
            direct_calls: false,
            progress: None,
        }
    }

    /// The options for a mesh that was stopped: nothing may be in flight any more.
    #[must_use]
    pub fn at_rest() -> Self {
        Self { unsettled_after: Duration::ZERO, recheck_after: None, ..Self::running() }
    }
}

/// Audits the databases.
///
/// # Errors
/// A database cannot be opened or read, or is not that of a service: then nothing is known.
pub async fn audit(sources: &Sources, options: &Options) -> Result<Report, Error> {
    let first = look(sources, options).await?;
    match options.recheck_after {
        Some(pause) if !first.is_quiet() => {
            tokio::time::sleep(pause).await;
            Ok(look(sources, options).await?.confirming(&first))
        }
        Some(_) | None => Ok(first.conclude()),
    }
}

/// One look at everything. Every snapshot that is compared with another is taken before the first is read:
/// journal first.
async fn look(sources: &Sources, options: &Options) -> Result<Look, Error> {
    let mut look = Look::new(options.progress.clone());
    let mut edge = Snapshot::of(sources.edge.as_ref(), "edge", &["checkout"]).await?;
    let mut wallet = Snapshot::of(sources.wallet.as_ref(), "wallet", &["wallet", "entry", "payment"]).await?;
    let mut booking =
        Snapshot::of(sources.booking.as_ref(), "booking", &["show", "seat", "hold", "reservation"]).await?;
    let mut queue = Snapshot::of(sources.queue.as_ref(), "queue", &["queue", "token", "draw"]).await?;
    // After the snapshots: a hold that lapsed before this instant may or may not have been tidied up in them,
    // and is judged as lapsed.
    let now = now();
    if let (Some(edge), Some(wallet), Some(booking)) = (&mut edge, &mut wallet, &mut booking) {
        outcomes::judge(&mut look, edge, wallet, booking, sources.edge.as_ref(), options.direct_calls)
            .await?;
    } else {
        look.skip("payments against reservations: that takes the databases of edge, wallet and booking");
    }
    if let Some(edge) = &mut edge {
        let age = checkouts::Age::new(options, now);
        checkouts::judge(&mut look, edge, &age).await?;
        actions::judge(&mut look, edge, &age).await?;
        called_off::judge(&mut look, edge, booking.as_mut(), &age).await?;
    }
    if let Some(wallet) = &mut wallet {
        money::judge(&mut look, wallet).await?;
    }
    if let Some(booking) = &mut booking {
        seats::judge(&mut look, booking, now).await?;
        seat_log::judge(&mut look, booking, now).await?;
        books::judge_places(&mut look, booking).await?;
        called_off::judge_shows(&mut look, booking).await?;
    }
    if let Some(queue) = &mut queue {
        lines::judge(&mut look, queue).await?;
    }
    for (name, snapshot) in [("edge", edge), ("wallet", wallet), ("booking", booking), ("queue", queue)] {
        match snapshot {
            Some(snapshot) => snapshot.close().await?,
            None => look.skip(&format!("the data of {name}: no address given")),
        }
    }
    Ok(look)
}

/// The machine's time, in microseconds since 1970.
#[expect(clippy::disallowed_methods, reason = "a judge has a clock of its own")]
fn now() -> i64 {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_micros()).unwrap_or(i64::MAX)
}
