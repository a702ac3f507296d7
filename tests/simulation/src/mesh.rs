//! The services as they are, each replica a host of the simulated network: real gRPC and HTTP over it, real
//! SQLite beneath.
//!
//! Replicas of a service share its file, which is as good as a server here: a transaction takes no time, so
//! none meets another.

use std::{
    cell::RefCell,
    collections::BTreeMap,
    io,
    net::{IpAddr, Ipv4Addr, SocketAddr},
    path::PathBuf,
    rc::Rc,
    sync::Arc,
    time::Duration,
};

use access::{Doors, Switch};
use chassis::{
    channel::Target,
    clock::Clock,
    db::DbConfig,
    network::{Connection, Incoming, Network},
    threads::Threads,
};
use drand::Drand;
use edge::{Browse, OnPaymentFailure, Origins, Upstreams};
use futures::{
    future::{self, BoxFuture},
    stream,
};
use queue_svc::Relay;
use rand::Rng;
use tokio_util::sync::CancellationToken;
use turmoil::{
    Sim,
    net::{TcpListener, TcpStream},
};

use crate::{
    history,
    plan::{Plan, Rounds},
};

/// Where each server takes gRPC.
const GRPC: u16 = 1;
/// Where an edge takes REST.
pub const REST: u16 = 80;
/// When every run begins: 2026-06-01T00:00:00Z.
pub const START: i64 = 1_780_272_000_000_000;
/// How soon a program that ended with an error is started again.
const RESTART: Duration = Duration::from_millis(500);

/// What every server of a run is made of. Clones are the same mesh.
#[derive(Clone, Debug)]
pub struct Mesh {
    plan: Rc<Plan>,
    folder: PathBuf,
    stops: Rc<RefCell<BTreeMap<&'static str, CancellationToken>>>,
    /// How far the clocks of servers are off that have one of their own.
    clocks: Rc<RefCell<BTreeMap<&'static str, i64>>>,
    /// The servers that have ended as they were told.
    ended: Rc<RefCell<Vec<&'static str>>>,
}

impl Mesh {
    /// A mesh whose databases are in a folder.
    #[must_use]
    pub fn new(plan: Rc<Plan>, folder: PathBuf) -> Self {
        Self { plan, folder, stops: Rc::default(), clocks: Rc::default(), ended: Rc::default() }
    }

    /// Adds a server to the network.
    pub fn add(&self, sim: &mut Sim<'_>, name: &'static str) {
        let mesh = self.clone();
        sim.host(name, move || mesh.clone().run(name));
    }

    /// Gives a server a clock that is off by so many microseconds, whatever the plan says.
    pub fn set_clock(&self, name: &'static str, off: i64) {
        self.clocks.borrow_mut().insert(name, off);
    }

    /// Tells a server to end, as SIGTERM does.
    pub fn stop(&self, name: &str) {
        if let Some(stop) = self.stops.borrow().get(name) {
            stop.cancel();
        }
    }

    /// The servers that have ended since this was asked last: what they left open is to be closed, as a
    /// system does for a program.
    #[must_use]
    pub fn ended(&self) -> Vec<&'static str> {
        self.ended.take()
    }

    /// Serves until told to end; who fails is started again, as an orchestrator does.
    async fn run(self, name: &'static str) -> turmoil::Result {
        loop {
            let stop = CancellationToken::new();
            self.stops.borrow_mut().insert(name, stop.clone());
            match self.serve(name, stop).await {
                Ok(()) => {
                    history::note(name, "ended as it was told");
                    self.ended.borrow_mut().push(name);
                    return future::pending().await;
                }
                Err(error) => history::note(name, format!("ended: {error}")),
            }
            tokio::time::sleep(RESTART).await;
        }
    }

    async fn serve(
        &self,
        name: &'static str,
        stop: CancellationToken,
    ) -> Result<(), Box<dyn std::error::Error>> {
        let off = self.plan.skew;
        let any = rand::rng().random_range(-off..=off);
        let skew = self.clocks.borrow().get(name).copied().unwrap_or(any);
        let now = i64::try_from(history::now().as_micros())?;
        let clock = Clock::simulated(START + now + skew);
        history::note(name, format!("starts with its clock {skew} µs off"));
        let grpc = listen(GRPC).await?;
        let service = name.split('-').next().unwrap_or_default();
        let database =
            DbConfig::at(format!("sqlite:{}", self.folder.join(format!("{service}.db")).display()));
        match service {
            "queue" => {
                queue_svc::serve(self.queue(database), queue_svc::Listeners { grpc, http: None }, clock, stop)
                    .await?
            }
            "booking" => {
                let policy =
                    booking_svc::Policy { hold_ttl: self.plan.sale.hold, ..booking_svc::Policy::default() };
                let (requests, retention) = Default::default();
                let config = booking_svc::Config {
                    database,
                    policy,
                    currency: "KRW".parse()?,
                    requests,
                    retention,
                    doors: Doors::open(),
                };
                booking_svc::serve(config, booking_svc::Listeners { grpc, http: None }, clock, stop).await?;
            }
            "wallet" => {
                let policy = wallet_svc::Policy { currency: "KRW".parse()? };
                let config = wallet_svc::Config {
                    database,
                    policy,
                    requests: Default::default(),
                    doors: Doors::open(),
                };
                wallet_svc::serve(config, wallet_svc::Listeners { grpc, http: None }, clock, stop).await?;
            }
            _ => {
                let rest = listen(REST).await?;
                edge::serve(
                    self.edge(database)?,
                    edge::Listeners {
                        rest,
                        grpc,
                        metrics: None,
                        threads: Threads::beside_this_runtime("rest")?,
                    },
                    clock,
                    stop,
                )
                .await?;
            }
        }
        Ok(())
    }

    fn queue(&self, database: DbConfig) -> queue_svc::Config {
        let policy = queue_svc::Policy {
            max_active: 100,
            max_waiting: 1_000,
            waiting_ttl: Duration::from_secs(3_600),
            ..queue_svc::Policy::default()
        };
        let (requests, retention) = Default::default();
        let relay = self.plan.beacon.map(relay);
        queue_svc::Config { database, policy, relay, requests, retention, doors: Doors::open() }
    }

    fn edge(&self, database: DbConfig) -> Result<edge::Config, String> {
        let target = |service: &str| {
            Ok::<_, String>(format!("http://{service}:{GRPC}").parse::<Target>()?.on(Arc::new(Wire)))
        };
        let policy = edge::Policy {
            browse: Browse::Open,
            on_payment_failure: if self.plan.sale.keep {
                OnPaymentFailure::Keep
            } else {
                OnPaymentFailure::Release
            },
            telling: Default::default(),
            cors_origins: Origins::None,
            pages: Switch(false),
            limits: edge::LimitArgs::default(),
        };
        let upstreams = Upstreams {
            queue_url: target("queue")?,
            booking_url: target("booking")?,
            wallet_url: target("wallet")?,
        };
        Ok(edge::Config { database, policy, retention: Default::default(), upstreams, doors: Doors::open() })
    }
}

/// The network whose rounds are the beacons of draws: one a second.
pub(crate) fn network() -> Drand {
    Drand::new(1, 1, START / 1_000_000 - 100)
}

/// A relay of it. It is no host of the simulated network, and tells at once what it tells.
fn relay(rounds: Rounds) -> Relay {
    let (drand, forger) = (network(), Drand::new(2, 1, START / 1_000_000 - 100));
    let hash = chassis::hex::read(&drand.hash()).and_then(|hash| hash.try_into().ok()).unwrap_or_default();
    let answer = move |path: String| -> Result<String, String> {
        let Some(round) = path.strip_prefix("public/").and_then(|round| round.parse().ok()) else {
            return Ok(drand.info());
        };
        let now = START + i64::try_from(history::now().as_micros()).map_err(|error| error.to_string())?;
        let late = rounds.late.map(|late| i64::try_from(late.as_micros()).unwrap_or(i64::MAX));
        if late.is_some_and(|late| round <= drand.latest(now.saturating_sub(late))) {
            Ok(drand.round(round))
        } else if rounds.lies && round <= drand.latest(now) {
            Ok(forger.round(round))
        } else {
            Err("it answered 404 Not Found".to_owned())
        }
    };
    Relay::new(hash, Arc::new(move |path| Box::pin(future::ready(answer(path).map(String::into_bytes)))))
}

async fn listen(port: u16) -> io::Result<Incoming> {
    let listener = TcpListener::bind((IpAddr::from(Ipv4Addr::UNSPECIFIED), port)).await?;
    Ok(Incoming::new(stream::unfold(listener, async |listener| {
        let (connection, _) = listener.accept().await.ok()?;
        Some((connection, listener))
    })))
}

/// The simulated network, as channels see it: a service's name leads to both of its replicas.
#[derive(Debug)]
struct Wire;

impl Network for Wire {
    fn resolve(&self, host: String, port: u16) -> BoxFuture<'static, io::Result<Vec<SocketAddr>>> {
        let replica = |number| SocketAddr::new(turmoil::lookup(format!("{host}-{number}")), port);
        let found = vec![replica(1), replica(2)];
        Box::pin(async move { Ok(found) })
    }

    fn connect(&self, to: SocketAddr) -> BoxFuture<'static, io::Result<Connection>> {
        Box::pin(async move { Ok(Connection::new(TcpStream::connect(to).await?)) })
    }
}
