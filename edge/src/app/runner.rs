//! Running checkouts to their end: the loop around the pure [`Saga`], its leases, and taking over checkouts
//! that lost their runner.
//!
//! A runner is one start of one process. It renews the leases on its checkouts every second. A runner that
//! finds a lapsed lease takes the checkout over and begins again. That is harmless also when the first runner
//! was only slow: every step is idempotent, and the journal settles a checkout once.

use std::{future::Future, sync::Arc, time::Duration};

use chassis::{
    back_off::BackOff,
    clock::{Clock, SECOND},
    context::{Context, TraceParent},
    ticks::every,
    trace::{Span, SpanKind},
    warn_or_alert,
};
use tokio::{runtime::Handle, sync::watch};
use tokio_util::{sync::CancellationToken, task::TaskTracker};
use tracing::Instrument;
use uuid::Uuid;

use super::{
    running::{Running, Turn},
    steps,
    telling::Bell,
};
use crate::{
    clients::Clients,
    domain::{
        checkout::{Checkout, RecordedCheckout, Refund},
        event,
        saga::{Ending, Next, STUCK_AFTER, Saga},
    },
    store::{Journal, Settlement, UNDONE},
};

/// How long a lease lasts, in microseconds, after it was last renewed.
pub(super) const LEASE: i64 = 3 * SECOND;
/// The deadline that the journal's writes would give to calls, of which they make none.
const WRITE: Duration = Duration::from_secs(10);
/// How often leases are renewed: two renewals may fail.
pub(super) const RENEWAL: Duration = Duration::from_secs(1);
/// How often lapsed leases are looked for.
pub(super) const LOOK: Duration = Duration::from_millis(500);
/// The most checkouts that are taken over at a time, so that those of a replica that died with thousands are
/// shared among the others.
const TAKEN_AT_ONCE: i64 = 20;
/// The pauses after unknown outcomes.
const PAUSES: BackOff =
    BackOff { base: Duration::from_millis(50), factor: 2, cap: Duration::from_secs(2), jitter: 0.5 };
/// An operator is alerted after so many rounds without an outcome (about half a minute), and again after as
/// many more.
const ALERT_EVERY: i64 = 20;
/// How long until a parked checkout is tried again, in microseconds: the fault may have been repaired.
const PARKED: i64 = 60 * SECOND;
/// How often the parked checkouts are counted for the metric.
const COUNT: Duration = Duration::from_secs(5);
/// How long checkouts in flight may still take at shutdown.
const DRAIN: Duration = Duration::from_secs(5);

/// Runs checkouts. Cheap to clone.
#[derive(Clone)]
pub(crate) struct Runner(Arc<RunnerParts>);

struct RunnerParts {
    id: Uuid,
    journal: Journal,
    clients: Clients,
    bell: Bell,
    clock: Clock,
    release: bool,
    running: Running,
    tasks: TaskTracker,
    /// Where checkouts run, whichever thread's request began them.
    runtime: Handle,
    stopping: CancellationToken,
    drained: CancellationToken,
}

impl Runner {
    pub(super) fn new(journal: Journal, clients: Clients, bell: Bell, clock: Clock, release: bool) -> Self {
        Self(Arc::new(RunnerParts {
            id: Uuid::new_v4(),
            journal,
            clients,
            bell,
            clock,
            release,
            running: Running::default(),
            tasks: TaskTracker::new(),
            runtime: Handle::current(),
            stopping: CancellationToken::new(),
            drained: CancellationToken::new(),
        }))
    }

    /// The id of this runner: another one at each start of the process.
    pub(super) fn id(&self) -> Uuid {
        self.0.id
    }

    pub(super) fn journal(&self) -> &Journal {
        &self.0.journal
    }

    /// Says that an event was written.
    pub(super) fn ring(&self) {
        self.0.bell.notify_one();
    }

    pub(super) fn now(&self) -> i64 {
        self.0.clock.now()
    }

    /// The right to run a checkout here; `None` when it runs here already.
    pub(super) fn turn(&self, checkout_id: Uuid) -> Option<Turn> {
        self.0.running.take(checkout_id)
    }

    /// The right to run a checkout here, as soon as it does not run here any more.
    pub(super) async fn next_turn(&self, checkout_id: Uuid) -> Turn {
        self.0.running.next(checkout_id).await
    }

    /// Where a checkout will appear once it is settled, if it runs here.
    pub(super) fn follow(&self, checkout_id: Uuid) -> Option<watch::Receiver<Option<RecordedCheckout>>> {
        self.0.running.follow(checkout_id)
    }

    /// Runs a task that a shutdown waits for.
    pub(super) fn spawn(&self, task: impl Future<Output = ()> + Send + 'static) {
        drop(self.0.tasks.spawn_on(task, &self.0.runtime));
    }

    /// Runs a checkout to its end, or until this process stops.
    pub(super) async fn run(
        &self,
        turn: Turn,
        mut entry: RecordedCheckout,
        first: Saga,
        hold_until: i64,
        trace: TraceParent,
    ) {
        // A span of its own: a checkout may outlive the request that began it. One that was taken over is a
        // trace of its own, linked to the one in which it was begun.
        let trace = trace.child();
        let mut told_of = Span::begin(trace.clone(), SpanKind::Internal, || "checkout".into());
        told_of.set("boxoffice.checkout.id", || entry.checkout.checkout_id.to_string());
        let begun_in = entry.trace.as_deref().and_then(TraceParent::parse);
        if let Some(begun_in) = begun_in.filter(|begun_in| !begun_in.is_same_trace(&trace)) {
            told_of.link(begun_in);
        }
        let span = tracing::info_span!(
            "checkout", checkout_id = %entry.checkout.checkout_id, trace_id = trace.trace_id(), span_id = trace.span_id()
        );
        let work = async {
            let (ending, rounds) = self.drive(&mut entry, first, hold_until, &trace).await?;
            told_of.set("boxoffice.checkout.status", || ending.status().as_str());
            self.settle(&entry.checkout, ending, rounds).await
        };
        // Without an outcome the turn ends here and the lease lapses or is released. Another replica takes
        // the checkout over, or this one does when a parked checkout is due again.
        let work = Context::of(trace.clone(), WRITE).scope(work.instrument(span));
        if let Some(settled) = work.await {
            turn.settled(settled);
        }
    }

    /// Takes step after step. Answers the ending and how many rounds ended with an unknown outcome; `None`
    /// when this process stops or the checkout was parked.
    async fn drive(
        &self,
        entry: &mut RecordedCheckout,
        first: Saga,
        mut hold_until: i64,
        trace: &TraceParent,
    ) -> Option<(Ending, i64)> {
        let (mut saga, mut rounds, mut stuck) = (first, 0, 0);
        loop {
            let step = saga.name();
            let taken = steps::take(&self.0.clients, trace, entry, &saga).await;
            hold_until = taken.hold_until.unwrap_or(hold_until);
            tracing::debug!(step, outcome = ?taken.outcome, "step");
            entry.checkout.story.note(step, taken.outcome.tried(), self.now());
            let same = match saga.next(taken.outcome, self.0.release) {
                Next::Run(next) => {
                    (saga, stuck) = (next, 0);
                    continue;
                }
                Next::End(ending) => return Some((ending, rounds)),
                Next::Again(same) => {
                    stuck = 0;
                    same
                }
                Next::Stuck(same) => {
                    stuck += 1;
                    same
                }
            };
            rounds += 1;
            if stuck >= STUCK_AFTER && self.park(&entry.checkout, step).await {
                return None;
            }
            if rounds == 1 || rounds % ALERT_EVERY == 0 {
                self.note(&entry.checkout).await;
            }
            alert(entry.checkout.checkout_id, step, rounds);
            self.pause(rounds).await?;
            saga = same.again(hold_until - self.now());
        }
    }

    /// Parks a checkout and alerts an operator. `false` when that could not be written; then the checkout
    /// goes on here.
    async fn park(&self, checkout: &Checkout, step: &'static str) -> bool {
        let now = self.now();
        if let Err(error) =
            self.0.journal.park(checkout.checkout_id, self.0.id, now, now + PARKED, &checkout.story).await
        {
            warn_or_alert!(error.is_passing(), %error, "a checkout could not be parked");
            return false;
        }
        // I-SETTLED: a checkout that cannot settle is parked, and an operator is told.
        let reason = checkout.story.lines().last().and_then(|line| line.reason.as_deref());
        metrics::counter!("checkouts_parked_total", "step" => step).increment(1);
        tracing::error!(
            parent: None, alert = true, checkout_id = %checkout.checkout_id, step, reason,
            "a checkout is parked: it is tried once a minute, and at once by RetryCheckout; GetCheckout tells its story"
        );
        true
    }

    /// Writes the story so far.
    async fn note(&self, checkout: &Checkout) {
        if let Err(error) = self.0.journal.note(checkout.checkout_id, self.0.id, &checkout.story).await {
            warn_or_alert!(error.is_passing(), %error, "the story of a checkout could not be kept");
        }
    }

    /// Writes the ending, and tries until that succeeds. Answers what the journal holds then, since another
    /// runner may have been faster; `None` when this process stops.
    async fn settle(&self, begun: &Checkout, ending: Ending, rounds: i64) -> Option<RecordedCheckout> {
        let (is_refund, status) = (ending.is_refund(), ending.status());
        let checkout = ended(begun, &ending, self.now());
        let refusal = ending.refusal(begun.checkout_id);
        let settlement = Settlement { events: event::outcome(&checkout), checkout, refusal, rounds };
        let mut failures = 0;
        loop {
            let written = if is_refund {
                let Settlement { checkout, events, .. } = &settlement;
                self.0.journal.settle_refund(checkout, rounds, events).await
            } else {
                self.0.journal.settle(&settlement).await
            };
            match written {
                Ok((settled, ours)) => {
                    if ours {
                        self.ring();
                        metrics::counter!("checkouts_total", "status" => status.as_str()).increment(1);
                        tracing::info!(
                            status = status.as_str(),
                            reason = settlement.checkout.reason,
                            is_refund,
                            rounds,
                            "checkout settled"
                        );
                    }
                    return settled;
                }
                Err(error) => {
                    let is_passing = error.is_passing();
                    warn_or_alert!(is_passing, %error, "the outcome of a checkout could not be written; again soon");
                    failures += 1;
                    alert(begun.checkout_id, "settle", failures);
                    self.pause(failures).await?;
                }
            }
        }
    }

    /// Waits before the next round. `None` when this process stops.
    async fn pause(&self, round: i64) -> Option<()> {
        let pause = PAUSES.pause(u32::try_from(round).unwrap_or(u32::MAX));
        tokio::select! {
            () = self.0.stopping.cancelled() => None,
            () = tokio::time::sleep(pause) => Some(()),
        }
    }

    /// Renews leases until all checkouts are drained, and takes over checkouts that lost their runner until
    /// `shutdown`.
    pub(super) async fn recover_until(&self, shutdown: CancellationToken) {
        tokio::join!(
            every(RENEWAL, &self.0.drained, || self.renew()),
            every(LOOK, &shutdown, || self.take_over()),
            every(COUNT, &shutdown, || self.count_parked()),
        );
    }

    async fn renew(&self) {
        let working_on = self.0.running.ids();
        if working_on.is_empty() {
            return;
        }
        if let Err(error) = self.0.journal.renew(self.0.id, working_on, self.now() + LEASE).await {
            warn_or_alert!(
                error.is_passing(), %error, "leases could not be renewed; another replica may take these checkouts over"
            );
        }
    }

    #[expect(clippy::cast_precision_loss, reason = "a count of parked checkouts")]
    async fn count_parked(&self) {
        match self.0.journal.parked().await {
            Ok(parked) => metrics::gauge!("checkouts_parked").set(parked as f64),
            Err(error) => {
                warn_or_alert!(error.is_passing(), %error, "the parked checkouts could not be counted");
            }
        }
    }

    async fn take_over(&self) {
        let now = self.now();
        let taken = match self.0.journal.take_over(self.0.id, now, now + LEASE, TAKEN_AT_ONCE).await {
            Ok(taken) => taken,
            Err(error) if error.is_contended() => return,
            Err(error) => {
                return warn_or_alert!(error.is_passing(), %error, "lapsed checkouts could not be looked for");
            }
        };
        for mut entry in taken {
            // One that runs here already only had its lease renewed late.
            let Some(turn) = self.turn(entry.checkout.checkout_id) else { continue };
            tracing::warn!(checkout_id = %entry.checkout.checkout_id, attempts = entry.checkout.attempts, "checkout taken over");
            metrics::counter!("checkouts_taken_over_total").increment(1);
            entry.checkout.story.taken_over(now);
            let runner = self.clone();
            self.spawn(async move {
                let is_refund = entry.checkout.is_being_refunded();
                let first = if is_refund { Saga::undo() } else { Saga::resume() };
                runner.run(turn, entry, first, now, TraceParent::random()).await;
            });
        }
    }

    /// Waits, for a bounded time, until no checkout runs here any more, then releases the leases of the
    /// others.
    pub(super) async fn drain(&self) {
        self.0.tasks.close();
        // A checkout between two rounds stops at once; one with a call in flight waits for its answer.
        self.0.stopping.cancel();
        if tokio::time::timeout(DRAIN, self.0.tasks.wait()).await.is_err() {
            tracing::warn!(
                running = self.0.running.ids().len(),
                "checkouts are still in flight at the end of the drain"
            );
        }
        self.0.drained.cancel();
        match self.0.journal.release_leases(self.0.id).await {
            Ok(0) => {}
            Ok(left) => tracing::info!(left, "checkouts left to another replica"),
            Err(error) => {
                warn_or_alert!(error.is_passing(), %error, "leases could not be released; they lapse by themselves");
            }
        }
    }
}

/// A checkout that has ended so at this time.
fn ended(begun: &Checkout, ending: &Ending, now: i64) -> Checkout {
    let (status, now) = (ending.status(), now.max(begun.created_at));
    if let (true, Some(asked)) = (ending.is_refund(), begun.refund.clone()) {
        let done_at = Some(now.max(asked.asked_at));
        let (reason, refund) = (Some(UNDONE.to_owned()), Some(Refund { done_at, ..asked }));
        return Checkout { status, reason, refund, ..begun.clone() };
    }
    let reason = ending.refusal_reason().map(|reason| reason.as_str().to_owned());
    Checkout { status, reason, settled_at: Some(now), ..begun.clone() }
}

/// Alerts an operator, with a log line and a metric, when a step had no outcome for many rounds. The line is
/// outside of any span, since the pretty log shows a span only when it ends.
fn alert(checkout_id: Uuid, step: &'static str, rounds: i64) {
    if rounds % ALERT_EVERY == 0 {
        metrics::counter!("checkout_stuck_total", "step" => step).increment(1);
        tracing::error!(parent: None, alert = true, %checkout_id, step, rounds, "a checkout does not get on; it is tried again until it does");
    }
}
