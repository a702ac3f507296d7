//! Which connections a program accepts and keeps.
//!
//! Every connection is an open file, and a program that cannot open files serves nobody. So there are fewer
//! connections than files, and one client network gets at most a quarter of them. When the limit is reached,
//! a new connection displaces the one that has been silent for longest, because a real client sends its
//! request at once. When all have sent one, a few more are accepted for a moment ([`BRIEF`]), so that a probe
//! is answered; beyond those, connections are refused.

use std::{
    collections::{BTreeMap, HashMap},
    fmt,
    net::IpAddr,
    sync::Arc,
    time::Duration,
};

use crate::telemetry::seldom::Seldom;
use parking_lot::Mutex;

use super::{
    clients::{self, TrustedProxies},
    opening::{Bell, FIRST_WORD, Opening},
};

/// The default of --max-connections.
const MOST: u32 = 20_000;
/// The part of all connections that one client network may have: one in this many.
const SHARE: usize = 4;
/// Connections beyond the limit: those that are just being closed, and those that are accepted for a moment.
const SPARE: usize = 64;
/// How long a connection lasts that was accepted beyond the limit.
const BRIEF: Duration = Duration::from_secs(2);
/// Open files that are left for everything else: probes, databases, other services. Where few files may be
/// opened they get half.
const FILES_KEPT: usize = 512;

/// Flags about connections.
#[derive(clap::Args, Clone, Copy, Debug)]
#[group(skip)]
pub struct ConnectionArgs {
    /// How many connections may be open at once, over all addresses, 16 to 1000000 (fewer where the limit of
    /// open files is lower). One client network (an IPv4 address, an IPv6 /64) gets a quarter of them;
    /// connections from this machine itself are not counted by network. A proxy in front is one client: give
    /// four times the connections that it may need (an edge is told of its proxies by --trusted-proxies)
    #[arg(long, env, default_value_t = MOST, value_parser = clap::value_parser!(u32).range(16..=1_000_000))]
    pub max_connections: u32,
}

impl ConnectionArgs {
    /// The count of connections that these flags ask for. The limit of open files must have been raised
    /// before.
    #[must_use]
    pub fn counted(self) -> Connections {
        self.counted_behind(&TrustedProxies::default())
    }

    fn most(self) -> usize {
        let asked = usize::try_from(self.max_connections).unwrap_or(usize::MAX);
        let files = rustix::process::getrlimit(rustix::process::Resource::Nofile).current;
        let most = within(asked, files.map(|files| usize::try_from(files).unwrap_or(usize::MAX)));
        if most < asked {
            tracing::debug!(
                asked,
                most,
                "fewer connections than asked for: the limit of open files (ulimit -n) is lower"
            );
        }
        most
    }

    /// The same count, in which these proxies are not clients and may have all connections.
    #[must_use]
    pub fn counted_behind(self, proxies: &TrustedProxies) -> Connections {
        Connections::behind(self.most(), proxies.clone())
    }
}

impl Default for ConnectionArgs {
    fn default() -> Self {
        Self { max_connections: MOST }
    }
}

/// How many connections there may be: as many as were asked for, or as many as the limit of open files
/// allows.
fn within(asked: usize, files: Option<usize>) -> usize {
    files.map_or(asked, |files| asked.min(files.saturating_sub(FILES_KEPT).max(files / 2)))
}

/// Counts connections; clones count together.
#[derive(Clone)]
pub struct Connections(Arc<Counted>);

struct Counted {
    most: usize,
    proxies: TrustedProxies,
    open: Mutex<Open>,
}

#[derive(Default)]
struct Open {
    all: usize,
    /// The connections of each client network that has any.
    of: HashMap<IpAddr, usize>,
    /// Connections that have not sent a request yet, the oldest first.
    silent: BTreeMap<u64, Arc<Bell>>,
    /// The number of the newest connection.
    last: u64,
    /// When it was last logged that connections are refused.
    told: Seldom,
}

impl Connections {
    /// A count of which none are open, and at most this many may be.
    #[must_use]
    pub fn new(most: usize) -> Self {
        Self::behind(most, TrustedProxies::default())
    }

    fn behind(most: usize, proxies: TrustedProxies) -> Self {
        Self(Arc::new(Counted { most, proxies, open: Mutex::default() }))
    }

    /// Accepts a connection from an address into the count, with the wait for its first request; `None` when
    /// it must be refused.
    pub(super) fn enter(&self, peer: IpAddr) -> Option<(OpenConnection, Box<Opening>)> {
        let (most, is_proxy) = (self.0.most, self.0.proxies.have(peer));
        let network = network(peer).filter(|_| !is_proxy);
        let mut open = self.0.open.lock();
        let of_this = network.and_then(|network| open.of.get(&network).copied()).unwrap_or_default();
        if network.is_some() && of_this >= (most / SHARE).max(1) {
            return open.refuse("network");
        }
        let brief = if open.all < most {
            false
        } else if open.all >= most + SPARE {
            return open.refuse("all");
        } else if let Some((_, displaced)) = open.silent.pop_first() {
            displaced.ring();
            false
        } else {
            true
        };
        open.all += 1;
        if let Some(network) = network {
            open.of.insert(network, of_this + 1);
        }
        open.last += 1;
        let (number, bell) = (open.last, Arc::<Bell>::default());
        open.silent.insert(number, Arc::clone(&bell));
        metrics::gauge!("connections_open").increment(1.0);
        let opening = Opening::new(if brief { BRIEF } else { FIRST_WORD }, Some(bell), brief);
        Some((OpenConnection { all: self.clone(), network, number }, opening))
    }
}

impl Default for Connections {
    fn default() -> Self {
        ConnectionArgs::default().counted()
    }
}

impl fmt::Debug for Connections {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Connections")
    }
}

impl Open {
    fn refuse<T>(&mut self, why: &'static str) -> Option<T> {
        metrics::counter!("connections_refused_total", "why" => why).increment(1);
        if self.told.may_tell() {
            tracing::warn!(
                open = self.all,
                why,
                "connections are turned away: as many are open as there may be"
            );
        }
        None
    }
}

/// The client network that an address is counted with: an IPv4 address or an IPv6 /64; `None` for this
/// machine's own addresses.
fn network(peer: IpAddr) -> Option<IpAddr> {
    (!peer.to_canonical().is_loopback()).then(|| clients::network(peer))
}

/// An open connection in the count, until it is dropped.
pub(super) struct OpenConnection {
    all: Connections,
    network: Option<IpAddr>,
    number: u64,
}

impl OpenConnection {
    /// Notes its first request: from then on no newcomer displaces it.
    pub(super) fn spoke(&self) {
        self.all.0.open.lock().silent.remove(&self.number);
    }
}

impl Drop for OpenConnection {
    fn drop(&mut self) {
        let mut open = self.all.0.open.lock();
        open.all -= 1;
        open.silent.remove(&self.number);
        if let Some(network) = self.network
            && let Some(count) = open.of.get_mut(&network)
        {
            *count -= 1;
            if *count == 0 {
                open.of.remove(&network);
            }
        }
        metrics::gauge!("connections_open").decrement(1.0);
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use std::task::Context;

    use futures::task::noop_waker;

    use super::*;

    const HERE: &str = "127.0.0.1";

    fn enter(all: &Connections, from: &str) -> Option<(OpenConnection, Box<Opening>)> {
        all.enter(from.parse().unwrap())
    }

    fn is_over(opening: &mut Opening) -> bool {
        opening.wait(&mut Context::from_waker(&noop_waker())).is_ready()
    }

    #[test]
    fn a_network_gets_a_quarter_and_this_machine_is_not_counted_by_it() {
        let all = Connections::new(16);
        let of = |from: &str, times: usize| (0..times).map_while(|_| enter(&all, from)).collect::<Vec<_>>();
        let (four, mapped) = (of("192.0.2.7", 5), of("::ffff:192.0.2.7", 1));
        assert_eq!((four.len(), mapped.len()), (4, 0), "an address is the same however it is written");
        let (one, same, other) = (of("2001:db8::1", 3), of("2001:db8::ffff:2", 3), of("2001:db8:0:1::1", 1));
        assert_eq!((one.len(), same.len(), other.len()), (3, 1, 1), "an IPv6 network is a /64");
        assert_eq!(of(HERE, 7).len(), 7);
        drop(four);
        assert_eq!(of("192.0.2.7", 1).len(), 1, "who leaves makes room");
    }

    #[test]
    fn a_trusted_proxy_is_no_client() {
        let all = Connections::behind(16, "192.0.2.0/24".parse().unwrap());
        let of = |from: &str| (0..16).map_while(|_| enter(&all, from)).collect::<Vec<_>>();
        let (proxy, client) = (of("192.0.2.7"), of("198.51.100.1"));
        assert_eq!(proxy.len(), 16);
        drop((proxy, client));
        assert_eq!(of("198.51.100.1").len(), 4, "others have their quarter");
    }

    #[tokio::test]
    async fn who_comes_when_all_are_taken_displaces_the_one_that_has_been_silent_for_longest() {
        let all = Connections::new(3);
        let mut first: Vec<_> = (0..3).map(|_| enter(&all, HERE).unwrap()).collect();
        first[0].0.spoke();
        let (_place, mut new) = enter(&all, HERE).unwrap();
        let over: Vec<_> = first.iter_mut().map(|(_, opening)| is_over(opening)).collect();
        assert_eq!((over, is_over(&mut new)), (vec![false, true, false], false));
    }

    #[tokio::test]
    async fn where_all_have_spoken_a_few_are_let_in_for_a_moment_and_no_more() {
        let all = Connections::new(2);
        let spoke = || {
            let entered = enter(&all, HERE).unwrap();
            entered.0.spoke();
            entered
        };
        let mut kept = [spoke(), spoke()];
        let mut more: Vec<_> = (0..SPARE).map(|_| spoke()).collect();
        assert!(enter(&all, HERE).is_none());
        assert!(kept.iter_mut().chain(&mut more).all(|(_, opening)| opening.hear(b"GET / HTTP/1.1\r\n\r\n")));
        assert!(kept.iter().all(|(_, opening)| !opening.is_brief()));
        tokio::time::sleep(BRIEF).await;
        assert!(more.iter_mut().all(|(_, opening)| is_over(opening)), "also one that has asked");
        drop(more);
        assert!(enter(&all, HERE).is_some());
    }

    #[test]
    fn files_are_left_for_what_is_no_connection() {
        assert_eq!(within(20_000, None), 20_000);
        assert_eq!(within(20_000, Some(1_048_576)), 20_000);
        assert_eq!(within(20_000, Some(20_000)), 19_488);
        assert_eq!(within(20_000, Some(1_024)), 512);
        assert_eq!(within(20_000, Some(256)), 128);
        assert_eq!(within(100, Some(1_024)), 100);
    }
}
