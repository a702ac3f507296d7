//! A channel follows its service: replicas that drain, come and go, found through a resolver of the test's
//! own.
#![allow(clippy::unwrap_used, reason = "tests")]

mod toy;

use std::{
    io,
    net::SocketAddr,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, AtomicU32, Ordering},
    },
    time::Duration,
};

use chassis::{
    channel::{Channel, Target},
    network::{Connection, Network, Tcp},
    testing::patience::is_prompt,
};
use futures::future::{BoxFuture, join_all};
use tokio::time::{Instant, sleep};
use tonic::Code;

use crate::toy::{call, serve, serve_at, until};

/// A resolver that knows one name, and counts what it is asked.
#[derive(Debug, Default)]
struct Names {
    known: Mutex<Option<Vec<SocketAddr>>>,
    asked: AtomicU32,
    connected: Mutex<Vec<SocketAddr>>,
    /// Connecting to it never ends.
    silent: Mutex<Option<SocketAddr>>,
}

impl Names {
    fn of(addrs: &[SocketAddr]) -> Arc<Self> {
        let names = Arc::new(Self::default());
        names.now(addrs);
        names
    }

    fn now(&self, addrs: &[SocketAddr]) {
        *self.known.lock().unwrap() = Some(addrs.to_vec());
    }

    fn channel(self: &Arc<Self>) -> Channel {
        let target: Target = "http://toy:1".parse().unwrap();
        Channel::new(&target.on(Arc::clone(self) as Arc<dyn Network>))
    }

    /// Waits until a look-up has begun after this, and ended.
    async fn looked_up_again(&self) {
        let before = self.asked.load(Ordering::SeqCst);
        until(async || self.asked.load(Ordering::SeqCst) > before).await;
        sleep(Duration::from_millis(50)).await;
    }
}

impl Network for Names {
    fn resolve(&self, host: String, port: u16) -> BoxFuture<'static, io::Result<Vec<SocketAddr>>> {
        assert_eq!((host.as_str(), port), ("toy", 1));
        self.asked.fetch_add(1, Ordering::SeqCst);
        let known = self.known.lock().unwrap().clone();
        Box::pin(async move { known.ok_or_else(|| io::Error::other("no resolver")) })
    }

    fn connect(&self, to: SocketAddr) -> BoxFuture<'static, io::Result<Connection>> {
        self.connected.lock().unwrap().push(to);
        if *self.silent.lock().unwrap() == Some(to) {
            return Box::pin(std::future::pending());
        }
        Tcp.connect(to)
    }
}

#[tokio::test]
async fn a_rolling_restart_under_load_loses_no_call_although_none_is_repeated() {
    let (one, two, three) = (serve().await, serve().await, serve().await);
    let names = Names::of(&[one.addr, two.addr]);
    let (channel, over) = (names.channel(), Arc::new(AtomicBool::new(false)));
    let callers: Vec<_> = (0..16)
        .map(|caller| {
            let (channel, over) = (channel.clone(), Arc::clone(&over));
            // Long calls keep the connections of a draining replica open, while the others find that these
            // take no more.
            let method = if caller < 4 { "Sleep" } else { "Nap" };
            tokio::spawn(async move {
                let mut answered = 0_u32;
                while !over.load(Ordering::SeqCst) {
                    assert_eq!(call(&channel, method).await.message(), "slept");
                    answered += 1;
                }
                answered
            })
        })
        .collect();
    until(async || one.calls() > 100 && two.calls() > 100).await;
    // As Kubernetes does it: the names change, then the replica is told to go. The clients have not looked
    // yet.
    names.now(&[two.addr, three.addr]);
    one.shutdown.cancel();
    one.task.await.unwrap().unwrap();
    until(async || three.calls() > 100).await;
    two.shutdown.cancel();
    two.task.await.unwrap().unwrap();
    let served = three.calls();
    until(async || three.calls() > served + 100).await;
    over.store(true, Ordering::SeqCst);
    let answered: u32 = join_all(callers).await.into_iter().map(Result::unwrap).sum();
    let served: u32 =
        [&one.toy, &two.toy, &three.toy].iter().map(|toy| toy.calls.load(Ordering::SeqCst)).sum();
    assert_eq!(answered, served, "each call was sent to exactly one replica");
}

#[tokio::test]
async fn replicas_that_come_and_go_are_noticed_without_a_failure() {
    let (one, two) = (serve().await, serve().await);
    let names = Names::of(&[one.addr]);
    let channel = names.channel();
    call(&channel, "Trace").await;
    names.now(&[two.addr]);
    names.looked_up_again().await;
    let before = one.calls();
    for _ in 0..10 {
        call(&channel, "Trace").await;
    }
    assert_eq!((one.calls(), two.calls()), (before, 10), "it answers as ever, but is not named any more");
}

#[tokio::test]
async fn a_service_that_has_moved_as_a_whole_is_found_by_the_very_call_that_missed_it() {
    let (one, two) = (serve().await, serve().await);
    let names = Names::of(&[one.addr]);
    let channel = names.channel();
    call(&channel, "Trace").await;
    names.now(&[two.addr]);
    one.shutdown.cancel();
    one.task.await.unwrap().unwrap();
    assert_eq!(call(&channel, "Nap").await.message(), "slept");
    assert_eq!(two.calls(), 1);
}

#[tokio::test]
async fn a_resolver_that_fails_or_knows_nothing_takes_no_address_away() {
    let (one, two) = (serve().await, serve().await);
    let dead = serve().await;
    dead.shutdown.cancel();
    dead.task.await.unwrap().unwrap();
    let names = Names::of(&[dead.addr, one.addr]);
    let channel = names.channel();
    for gone in [None, Some(Vec::new())] {
        // Connecting to the dead one fails, so the name is looked up again at once.
        call(&channel, "Trace").await;
        call(&channel, "Trace").await;
        *names.known.lock().unwrap() = gone;
        names.looked_up_again().await;
        assert_eq!(call(&channel, "Trace").await.code(), Code::NotFound);
    }
    assert_eq!(one.calls(), 6);
    names.now(&[two.addr]);
    names.looked_up_again().await;
    call(&channel, "Trace").await;
    assert_eq!((one.calls(), two.calls()), (6, 1));
}

#[tokio::test]
async fn without_any_address_a_call_is_unavailable_at_once_and_not_for_long() {
    let names = Arc::new(Names::default());
    let channel = names.channel();
    let began = Instant::now();
    assert_eq!(call(&channel, "Trace").await.code(), Code::Unavailable);
    assert!(is_prompt(began.elapsed(), Duration::from_secs(1)));
    let one = serve().await;
    names.now(&[one.addr]);
    names.looked_up_again().await;
    assert_eq!(call(&channel, "Trace").await.code(), Code::NotFound);
    assert!(is_prompt(began.elapsed(), Duration::from_secs(4)), "the failure had the name looked up at once");
}

#[tokio::test]
async fn calls_share_one_connection_an_address_and_go_where_fewest_wait() {
    let (one, two) = (serve().await, serve().await);
    let names = Names::of(&[one.addr, two.addr]);
    let channel = names.channel();
    let all_there = async {
        until(async || one.calls() + two.calls() == 100).await;
        for replica in [&one, &two] {
            replica.toy.gate.cancel();
        }
    };
    tokio::join!(join_all((0..100).map(|_| call(&channel, "Stand"))), all_there);
    assert_eq!((one.calls(), two.calls()), (50, 50));
    let mut connected = names.connected.lock().unwrap().clone();
    connected.sort();
    let mut both = vec![one.addr, two.addr];
    both.sort();
    assert_eq!(connected, both);
}

#[tokio::test]
async fn an_address_that_never_answers_costs_a_moment_and_no_error() {
    let (one, hole) = (serve().await, SocketAddr::from(([127, 0, 0, 1], 9)));
    let names = Names::of(&[hole, one.addr]);
    *names.silent.lock().unwrap() = Some(hole);
    let (channel, began) = (names.channel(), Instant::now());
    let answers = join_all((0..20).map(|_| call(&channel, "Trace"))).await;
    assert!(answers.iter().all(|status| status.code() == Code::NotFound), "{answers:?}");
    assert!(is_prompt(began.elapsed(), Duration::from_millis(2_500)), "{:?}", began.elapsed());
    let began = Instant::now();
    assert_eq!(call(&channel, "Trace").await.code(), Code::NotFound);
    assert!(is_prompt(began.elapsed(), Duration::from_millis(400)), "it is left out now");
}

#[tokio::test]
async fn an_ipv6_address_is_as_good() {
    let six = serve_at("[::1]:0").await;
    let literal = Channel::new(&format!("http://{}", six.addr).parse().unwrap());
    assert_eq!(call(&literal, "Trace").await.code(), Code::NotFound);
    assert_eq!(call(&Names::of(&[six.addr]).channel(), "Trace").await.code(), Code::NotFound);
}
