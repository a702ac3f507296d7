//! The checkouts that run in this process: whose leases are to be renewed, and which requests are to be woken
//! when one is settled.

use std::{
    collections::{HashMap, hash_map::Entry},
    sync::Arc,
};

use parking_lot::Mutex;
use tokio::sync::watch;
use uuid::Uuid;

use crate::domain::checkout::RecordedCheckout;

/// A checkout once it is settled; none before.
type Settled = Option<RecordedCheckout>;

/// The checkouts that run here. Cheap to clone.
#[derive(Clone, Default)]
pub(super) struct Running(Arc<Mutex<HashMap<Uuid, watch::Sender<Settled>>>>);

/// The right to run one checkout in this process. When it is dropped, also by a panic, another runner may
/// take it, and requests that wait for the outcome read the journal instead.
pub(super) struct Turn {
    checkout_id: Uuid,
    running: Running,
}

impl Running {
    /// The right to run a checkout; `None` when it runs in this process already.
    pub(super) fn take(&self, checkout_id: Uuid) -> Option<Turn> {
        let mut map = self.0.lock();
        let Entry::Vacant(slot) = map.entry(checkout_id) else { return None };
        slot.insert(watch::channel(None).0);
        gauge(map.len());
        Some(Turn { checkout_id, running: self.clone() })
    }

    /// The right to run a checkout, as soon as it does not run in this process any more.
    pub(super) async fn next(&self, checkout_id: Uuid) -> Turn {
        loop {
            if let Some(turn) = self.take(checkout_id) {
                return turn;
            }
            if let Some(mut settled) = self.follow(checkout_id) {
                // It ends when the turn that runs is over.
                while settled.changed().await.is_ok() {}
            }
        }
    }

    /// Where the settled checkout will appear, if it runs here.
    pub(super) fn follow(&self, checkout_id: Uuid) -> Option<watch::Receiver<Settled>> {
        self.0.lock().get(&checkout_id).map(watch::Sender::subscribe)
    }

    /// The ids of all that run here.
    pub(super) fn ids(&self) -> Vec<Uuid> {
        self.0.lock().keys().copied().collect()
    }
}

impl Turn {
    /// Wakes every request that waits for the outcome, and ends the turn.
    pub(super) fn settled(self, entry: RecordedCheckout) {
        if let Some(outcome) = self.running.0.lock().get(&self.checkout_id) {
            outcome.send_replace(Some(entry));
        }
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        let mut map = self.running.0.lock();
        map.remove(&self.checkout_id);
        gauge(map.len());
    }
}

fn gauge(running: usize) {
    metrics::gauge!("checkouts_pending").set(f64::from(u32::try_from(running).unwrap_or(u32::MAX)));
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::checkout::{Checkout, Status};

    fn entry(checkout_id: Uuid) -> RecordedCheckout {
        let checkout = Checkout {
            status: Status::Completed,
            settled_at: Some(1),
            ..Checkout::begun(checkout_id, "ann".into(), Uuid::from_u128(2), 1, 0)
        };
        RecordedCheckout { checkout, token: Uuid::nil(), refusal: None, trace: None }
    }

    #[tokio::test]
    async fn who_waits_is_woken_with_the_outcome_even_after_the_turn_has_ended() {
        let (running, id) = (Running::default(), Uuid::from_u128(1));
        let turn = running.take(id).unwrap();
        let mut waiter = running.follow(id).unwrap();
        turn.settled(entry(id));
        let outcome = waiter.wait_for(Option::is_some).await.unwrap().clone();
        assert_eq!(outcome, Some(entry(id)));
        assert!(running.follow(id).is_none());
    }

    #[tokio::test]
    async fn the_next_turn_begins_when_the_present_one_is_over() {
        let (running, id) = (Running::default(), Uuid::from_u128(1));
        let turn = running.take(id).unwrap();
        let next = tokio::spawn({
            let running = running.clone();
            async move { running.next(id).await }
        });
        tokio::task::yield_now().await;
        assert!(!next.is_finished());
        turn.settled(entry(id));
        drop(next.await.unwrap());
        assert!(running.follow(id).is_none());
    }

    #[test]
    fn a_checkout_runs_once_in_a_process_and_again_when_its_runner_is_lost() {
        let (running, id) = (Running::default(), Uuid::from_u128(1));
        let turn = running.take(id).unwrap();
        assert!(running.take(id).is_none());
        drop(turn);
        assert!(running.take(id).is_some());
    }
}
