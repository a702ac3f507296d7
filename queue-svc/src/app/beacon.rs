//! Waiting for the beacon of a draw: the round is read from the relay, checked, and handed to the queue's
//! writer, which holds the draw with it.
//!
//! Every replica does so for itself. There is one signature of a round, so all that find it find the same,
//! and which of them draws makes no difference. Nothing but a checked round or an operator's word ends the
//! wait.

use std::{sync::Arc, time::Duration};

use chassis::{back_off::BackOff, background::Vital, clock::micros};
use metrics::Gauge;
use tokio::time::{Instant, sleep};
use tokio_util::sync::CancellationToken;

use super::{Queues, queue::Queue};
use crate::{
    domain::{AFTER_OPENING, Awaited, Chain, PolicyRefusal},
    relay::Relay,
};

/// The pauses until a relay is asked again.
const PAUSES: BackOff =
    BackOff { base: Duration::from_millis(250), factor: 2, cap: Duration::from_secs(5), jitter: 0.5 };
/// The longest sleep until the round's time, because the machine's clock may be set meanwhile, and by a clock
/// that a test moves.
const MAX_SLEEP: Duration = Duration::from_secs(1);
const MAX_SLEEP_BY_HAND: Duration = Duration::from_millis(20);
/// How late a round is when people are told, and how often they are.
const LATE: Duration = Duration::from_secs(30);
const AGAIN: Duration = Duration::from_secs(60);
/// How often the info of a chain is asked for at the start, at least.
const INFO_PAUSES: BackOff =
    BackOff { base: Duration::from_secs(1), factor: 2, cap: Duration::from_secs(60), jitter: 0.5 };

impl Queue {
    /// What ends the wait of a draw, if it is there: the signature of its round, or nothing where an operator
    /// has it held without.
    pub(super) fn beacon_of(&self, awaited: &Awaited) -> Option<Arc<[u8]>> {
        if self.read(|state| state.head().policy.without_beacon) {
            return Some(Arc::from([]));
        }
        self.sought.found(awaited.round)
    }

    /// Whether a draw that waited can be held now.
    pub(super) fn can_draw(&self) -> bool {
        let awaited = self.read(|state| state.head().awaited());
        awaited.is_some_and(|awaited| self.beacon_of(&awaited).is_some())
    }
}

/// The seeking of one queue's writer.
#[derive(Debug, Default)]
pub(super) struct Seeking(Option<i64>);

impl Seeking {
    /// Begins to seek the round that the draw waits for, if it waits and that was not begun yet.
    pub(super) fn go_on(&mut self, queue: &Arc<Queue>, shutdown: &CancellationToken, vital: &Vital) {
        let Some(awaited) = queue.read(|state| state.head().awaited()) else {
            // Should it wait again, because what ended that was lost with a database, it is sought again.
            self.0 = None;
            return;
        };
        if self.0.replace(awaited.round) != Some(awaited.round) {
            let (queue, shutdown) = (Arc::clone(queue), shutdown.clone());
            let sought =
                async move { shutdown.run_until_cancelled(seek(&queue, &awaited)).await.unwrap_or_default() };
            tokio::spawn(vital.clone().guard("the seeking of a beacon", sought));
        }
    }
}

/// By how many seconds the beacon of a queue's draw is late, for whoever watches; 0 once nothing waits for
/// it any more, however that ended.
struct Lateness(Gauge);

impl Lateness {
    fn of(queue: &Queue) -> Self {
        Self(metrics::gauge!("queue_beacon_late_seconds", "queue" => queue.id.to_string()))
    }

    #[expect(clippy::cast_precision_loss, reason = "far fewer than 2^52 microseconds")]
    fn tell(&self, micros: i64) {
        self.0.set(micros.max(0) as f64 / 1e6);
    }
}

impl Drop for Lateness {
    fn drop(&mut self) {
        self.tell(0);
    }
}

/// Asks until the round is there, or the draw was held otherwise.
async fn seek(queue: &Queue, awaited: &Awaited) {
    let Awaited { round, ref beacon, .. } = *awaited;
    let due = beacon.chain.time_of(round);
    until(queue, due).await;
    let (mut failures, mut told, lateness) = (0, None, Lateness::of(queue));
    while queue.read(|state| state.head().awaited().is_some_and(|now| now.round == round)) {
        let relay = queue.relay.as_ref().ok_or_else(|| "this program has no --beacon-url".to_owned());
        let asked = match relay {
            Ok(relay) => relay.signature(&beacon.chain, round).await,
            Err(why) => Err(why),
        };
        match asked {
            Ok(signature) => {
                return queue.sought.tell(round, signature);
            }
            Err(why) => {
                failures += 1;
                let late = queue.clock.now().saturating_sub(due);
                lateness.tell(late);
                if late < micros(LATE) {
                    tracing::warn!(queue = %queue.id, round, why, "the beacon of a draw is not there yet");
                } else if told.is_none_or(|told: Instant| told.elapsed() >= AGAIN) {
                    told = Some(Instant::now());
                    let seconds = late / 1_000_000;
                    tracing::error!(
                        alert = true,
                        queue = %queue.id, round, seconds, why,
                        "a draw waits for its beacon, which is late; it is asked for until it comes"
                    );
                }
                sleep(PAUSES.pause(failures)).await;
            }
        }
    }
}

/// Sleeps until an instant of the queue's clock.
async fn until(queue: &Queue, due: i64) {
    let most = if queue.clock.is_moved_by_hand() { MAX_SLEEP_BY_HAND } else { MAX_SLEEP };
    while let Ok(left @ 1..) = u64::try_from(due.saturating_sub(queue.clock.now())) {
        sleep(Duration::from_micros(left).min(most)).await;
    }
}

/// Reads the info of the chain at the start, so that it is there when a draw is set, and a relay that cannot
/// be used is seen before.
pub(super) async fn introduce(relay: Relay) {
    let mut failures = 0;
    loop {
        match relay.chain().await {
            Ok(chain) => {
                let after = AFTER_OPENING / 1_000_000;
                tracing::info!(?chain, period = chain.period, after, "draws have a beacon");
                return;
            }
            Err(why) => {
                tracing::warn!(
                    why,
                    ?relay,
                    "the chain of the beacon cannot be read; draws cannot be set until it can"
                );
                failures += 1;
                sleep(INFO_PAUSES.pause(failures)).await;
            }
        }
    }
}

impl Queues {
    /// The chain of the beacon that a draw is to have that is set now; `None` where there is to be none.
    pub(super) async fn chain(&self) -> Result<Option<Arc<Chain>>, PolicyRefusal> {
        let Some(relay) = &self.0.relay else { return Ok(None) };
        match relay.chain().await {
            Ok(chain) => Ok(Some(chain)),
            Err(why) => {
                tracing::warn!(why, ?relay, "the beacon of a draw cannot be announced now");
                Err(PolicyRefusal::BeaconAway)
            }
        }
    }
}
