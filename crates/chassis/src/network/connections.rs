//! How many connections a program keeps, and whose.
//!
//! Every connection is an open file, and a program without files to open is dead to everybody. So there are
//! fewer connections than files, a client network gets a quarter of them at most, and whoever comes when all
//! are taken displaces the one that has been silent for longest: a client that wants something says so at
//! once. Where everybody has spoken a few more are let in for a moment, so that a probe is answered; then the
//! door is shut.

use std::{
    collections::{BTreeMap, HashMap},
    fmt,
    net::{IpAddr, Ipv6Addr},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    task::Context,
    time::Duration,
};

use futures::task::AtomicWaker;
use parking_lot::Mutex;
use tokio::time::Instant;

use super::opening::{FIRST_WORD, Opening};

/// How many there may be unless told; a figure that --max-connections says.
const MOST: u32 = 20_000;
/// What one client network gets of all.
const SHARE: usize = 4;
/// Beyond the most: those that are going at this moment, and those that are let in for a moment.
const SPARE: usize = 64;
/// How long one stays that was let in beyond the most.
const BRIEF: Duration = Duration::from_secs(2);
/// Files for what is no connection of a client: probes, databases, other services. Of few files they get
/// half.
const FILES_KEPT: usize = 512;
/// How often it is logged that clients are turned away.
const TOLD_EVERY: Duration = Duration::from_secs(60);

/// Flags about connections.
#[derive(clap::Args, Clone, Copy, Debug)]
#[group(skip)]
pub struct ConnectionArgs {
    /// How many connections may be open at once, over all addresses, 16 to 1000000 (fewer where the limit of
    /// open files is lower). One client network (an IPv4 address, an IPv6 /64) gets a quarter of them;
    /// connections from this machine itself are not counted by network. A proxy in front is one client: give
    /// four times the connections that it may need
    #[arg(long, env, default_value_t = MOST, value_parser = clap::value_parser!(u32).range(16..=1_000_000))]
    pub max_connections: u32,
}

impl ConnectionArgs {
    /// What counts them. The limit of open files must have been raised before.
    #[must_use]
    pub fn counted(self) -> Connections {
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
        Connections::new(most)
    }
}

impl Default for ConnectionArgs {
    fn default() -> Self {
        Self { max_connections: MOST }
    }
}

/// So many are asked for: as many as files allow.
fn within(asked: usize, files: Option<usize>) -> usize {
    files.map_or(asked, |files| asked.min(files.saturating_sub(FILES_KEPT).max(files / 2)))
}

/// Counts connections; clones count together.
#[derive(Clone)]
pub struct Connections(Arc<Counted>);

struct Counted {
    most: usize,
    open: Mutex<Open>,
}

#[derive(Default)]
struct Open {
    all: usize,
    /// By the networks they come from, as long as there are any.
    of: HashMap<IpAddr, usize>,
    /// Those that have not asked anything yet, the oldest first.
    silent: BTreeMap<u64, Arc<Bell>>,
    last: u64,
    told: Option<Instant>,
}

impl Connections {
    /// None are open, and so many may be.
    #[must_use]
    pub fn new(most: usize) -> Self {
        Self(Arc::new(Counted { most, open: Mutex::default() }))
    }

    /// A place for a connection from there, with what it owes for it; `None` when there is no place.
    pub(super) fn enter(&self, peer: IpAddr) -> Option<(OpenConnection, Box<Opening>)> {
        let (most, network) = (self.0.most, network(peer));
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
        if self.told.is_none_or(|told| told.elapsed() >= TOLD_EVERY) {
            self.told = Some(Instant::now());
            tracing::warn!(
                open = self.all,
                why,
                "connections are turned away: as many are open as there may be"
            );
        }
        None
    }
}

/// Whom connections from an address are counted with; this machine's are nobody's.
fn network(peer: IpAddr) -> Option<IpAddr> {
    match peer.to_canonical() {
        here if here.is_loopback() => None,
        IpAddr::V4(address) => Some(address.into()),
        IpAddr::V6(address) => Some(Ipv6Addr::from(u128::from(address) >> 64 << 64).into()),
    }
}

/// One of the connections, as long as it is open.
pub(super) struct OpenConnection {
    all: Connections,
    network: Option<IpAddr>,
    number: u64,
}

impl OpenConnection {
    /// It has asked something: nobody displaces it any more.
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

/// Tells a silent connection that its place is needed.
#[derive(Default)]
pub(super) struct Bell {
    rung: AtomicBool,
    waker: AtomicWaker,
}

impl Bell {
    fn ring(&self) {
        self.rung.store(true, Ordering::Release);
        self.waker.wake();
    }

    /// Has it? If not, the task is woken when it does.
    pub(super) fn has_rung(&self, cx: &Context<'_>) -> bool {
        self.waker.register(cx.waker());
        self.rung.load(Ordering::Acquire)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
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
