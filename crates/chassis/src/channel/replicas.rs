//! All replicas of a service: found by name, found again, and chosen from.
//!
//! Names are looked up every few seconds, and at once when a replica cannot be reached, so that new replicas
//! are used and removed ones are forgotten. A name that cannot be looked up, or has no address, keeps the
//! addresses it had, so that an outage of the resolver is not one of the service. An address that stays keeps
//! its connections.

use std::{
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use futures::future::join_all;
use http::uri::Authority;
use tokio::{
    sync::{Notify, watch},
    time::{self, Instant},
};

use super::{
    dial::Dial,
    replica::Replica,
    target::{Endpoint, Target},
};

/// How often names are looked up.
const LOOK_EVERY: Duration = Duration::from_secs(5);
/// The least time between two look-ups, however many calls fail.
const LOOK_AT_MOST_EVERY: Duration = Duration::from_millis(500);
/// How long a call that no known replica took waits until a look-up finds another one: the least time between
/// two look-ups and the time that one takes.
const LOOK_FOR_OTHERS: Duration = Duration::from_millis(1_000);
/// How long a look-up may take.
const LOOK_TIMEOUT: Duration = Duration::from_secs(5);
/// The most replicas that a channel connects to: more than a service that shares one database has use for.
const MAX_REPLICAS: usize = 64;

type All = Arc<[Arc<Replica>]>;

#[derive(Debug)]
pub(super) struct Replicas {
    /// The known replicas; `None` until the names have been looked up for the first time.
    all: watch::Sender<Option<All>>,
    /// Whose turn it is; begun at random, so that not all clients begin with the same replica.
    turn: AtomicUsize,
    /// Whether the names are looked up repeatedly; false when the target has IP addresses only.
    followed: bool,
    look_again: Notify,
}

impl Replicas {
    pub(super) fn new(followed: bool) -> Self {
        let turn = AtomicUsize::new(rand::random_range(0..MAX_REPLICAS));
        Self { all: watch::Sender::new(None), turn, followed, look_again: Notify::new() }
    }

    /// All known replicas. Waits for the first look-up.
    pub(super) async fn all(&self) -> All {
        if let Some(all) = &*self.all.borrow() {
            return Arc::clone(all);
        }
        let mut changes = self.all.subscribe();
        let known = changes.wait_for(Option::is_some).await;
        known.ok().and_then(|all| all.clone()).unwrap_or_default()
    }

    /// The replica for the next attempt of a call: among those that are fit and were not `tried`, the one
    /// with the fewest calls waiting, or the next in turn among equals. When none is fit, the next in turn
    /// gets one attempt, so that the call fails at once instead of hanging.
    pub(super) fn pick<'a>(&self, all: &'a [Arc<Replica>], tried: &[SocketAddr]) -> Option<&'a Replica> {
        let turn = self.turn.fetch_add(1, Ordering::Relaxed);
        let in_turn = |step: usize| &*all[turn.wrapping_add(step) % all.len()];
        let fit = |replica: &&Replica| replica.is_fit() && !tried.contains(&replica.addr);
        let best = (0..all.len()).map(in_turn).filter(fit).min_by_key(|replica| replica.waiting());
        best.or_else(|| (tried.is_empty() && !all.is_empty()).then(|| in_turn(0)))
    }

    /// Waits until a look-up finds a fit replica beside those that were `tried`, since a whole service may
    /// have moved; answers all known replicas then, and `None` when [`LOOK_FOR_OTHERS`] has passed.
    pub(super) async fn beside(&self, tried: &[SocketAddr]) -> Option<All> {
        if !self.followed || tried.is_empty() {
            return None;
        }
        let fit = |replica: &Arc<Replica>| replica.is_fit() && !tried.contains(&replica.addr);
        let mut changes = self.all.subscribe();
        let found = changes.wait_for(|all| all.as_ref().is_some_and(|all| all.iter().any(fit)));
        time::timeout(LOOK_FOR_OTHERS, found).await.ok()?.ok()?.clone()
    }

    /// Asks for a look-up as soon as possible, because a replica may have moved.
    pub(super) fn look_again(&self) {
        self.look_again.notify_one();
    }

    /// Replaces the known replicas by those at the addresses that were found. An address that stays keeps its
    /// replica, and with it its connections.
    pub(super) fn learn(&self, found: impl Iterator<Item = (SocketAddr, Authority)>, dial: &Dial) {
        let before = self.all.borrow().clone();
        let known = before.as_deref().unwrap_or_default();
        let (mut after, mut new) = (Vec::new(), Vec::new());
        for (addr, authority) in found {
            if after.iter().chain(&new).any(|replica: &Arc<Replica>| replica.addr == addr) {
                continue;
            }
            match known.iter().find(|replica| replica.addr == addr) {
                Some(replica) => after.push(Arc::clone(replica)),
                None => new.push(Arc::new(Replica::new(addr, authority, dial.clone()))),
            }
        }
        if before.is_some() && new.is_empty() && after.len() == known.len() {
            return;
        }
        after.append(&mut new);
        if after.len() > MAX_REPLICAS {
            tracing::warn!(
                found = after.len(),
                used = MAX_REPLICAS,
                "a service has more replicas than this one calls"
            );
            after.truncate(MAX_REPLICAS);
        }
        let addresses: Vec<_> = after.iter().map(|replica| replica.addr).collect();
        tracing::debug!(?addresses, "the replicas of a service");
        self.all.send_replace(Some(after.into()));
    }
}

/// Looks the target's names up for ever, and keeps `replicas` up to date.
pub(super) async fn follow(target: Target, replicas: Arc<Replicas>) {
    let Target { endpoints, dial, .. } = target;
    let mut last: Vec<Vec<SocketAddr>> = vec![Vec::new(); endpoints.len()];
    loop {
        let began = Instant::now();
        let found = join_all(endpoints.iter().map(|endpoint| look_up(endpoint, &dial))).await;
        for (last, found) in last.iter_mut().zip(found) {
            if !found.is_empty() {
                *last = found;
            }
        }
        let authorities = endpoints.iter().map(|endpoint| &endpoint.authority);
        let all = authorities
            .zip(&last)
            .flat_map(|(authority, found)| found.iter().map(|addr| (*addr, authority.clone())));
        replicas.learn(all, &dial);
        time::sleep_until(began + LOOK_AT_MOST_EVERY).await;
        let _nobody_asked = time::timeout_at(began + LOOK_EVERY, replicas.look_again.notified()).await;
    }
}

/// The addresses of an endpoint; none when its name cannot be looked up.
async fn look_up(endpoint: &Endpoint, dial: &Dial) -> Vec<SocketAddr> {
    if let Some(address) = endpoint.address() {
        return vec![address];
    }
    let looking = time::timeout(LOOK_TIMEOUT, dial.network.resolve(endpoint.host.clone(), endpoint.port));
    let found = looking.await.unwrap_or_else(|late| Err(late.into()));
    found.unwrap_or_else(|error| {
        tracing::debug!(host = %endpoint.host, %error, "a name could not be looked up");
        Vec::new()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn knowing(ports: impl IntoIterator<Item = u16>) -> Replicas {
        let replicas = Replicas::new(false);
        learn(&replicas, ports);
        replicas
    }

    fn learn(replicas: &Replicas, ports: impl IntoIterator<Item = u16>) {
        let found = ports
            .into_iter()
            .map(|port| (SocketAddr::from(([127, 0, 0, 1], port)), Authority::from_static("toy")));
        replicas.learn(found, &Dial::default());
    }

    fn picked(replicas: &Replicas, all: &All, tried: &[SocketAddr]) -> Option<u16> {
        replicas.pick(all, tried).map(|replica| replica.addr.port())
    }

    #[tokio::test]
    async fn replicas_are_taken_in_turn_and_one_that_failed_is_left_out_for_a_moment() {
        let replicas = knowing([1, 2]);
        let all = replicas.all().await;
        let mut both = [picked(&replicas, &all, &[]), picked(&replicas, &all, &[])];
        both.sort_unstable();
        assert_eq!(both, [Some(1), Some(2)]);
        all[0].leave_out();
        for _ in 0..4 {
            assert_eq!(picked(&replicas, &all, &[]), Some(2));
        }
        all[1].leave_out();
        assert!(picked(&replicas, &all, &[]).is_some(), "when all are out, one is tried all the same");
        assert_eq!(picked(&replicas, &all, &[all[0].addr]), None, "but only one");
        all[1].praise();
        assert_eq!(picked(&replicas, &all, &[all[0].addr]), Some(2));
    }

    #[tokio::test]
    async fn an_address_that_stays_is_the_same_replica_and_one_that_goes_is_forgotten() {
        let replicas = knowing([1, 2]);
        let before = replicas.all().await;
        learn(&replicas, [3, 2, 2]);
        let after = replicas.all().await;
        assert_eq!(after.iter().map(|replica| replica.addr.port()).collect::<Vec<_>>(), [2, 3]);
        assert!(Arc::ptr_eq(&before[1], &after[0]));
    }

    #[tokio::test]
    async fn connections_are_bounded_and_those_that_are_known_come_first() {
        let replicas = knowing([9_999]);
        learn(&replicas, (1..=100).chain([9_999]));
        let all = replicas.all().await;
        assert_eq!((all.len(), all[0].addr.port()), (MAX_REPLICAS, 9_999));
    }
}
