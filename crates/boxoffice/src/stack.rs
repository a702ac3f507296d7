//! Starting and stopping the four services together.

use std::{net::SocketAddr, path::PathBuf, time::Duration};

use access::Doors;
use chassis::{
    Error,
    channel::{Channel, Target},
    clock::Clock,
    db::{DbConfig, Pooler},
    idempotency,
    in_process::InProcess,
    network::{ConnectionArgs, Incoming},
    program::{Listeners, listen},
    threads::Threads,
    tls::{RestTlsArgs, TlsArgs},
};
use edge::Upstreams;
use tokio::{
    net::TcpListener,
    task::JoinHandle,
    time::{self, Instant},
};
use tokio_util::sync::CancellationToken;
use tonic_health::pb::{
    HealthCheckRequest, health_check_response::ServingStatus, health_client::HealthClient,
};

/// How long the services may take until they say that they serve.
const READY_WITHIN: Duration = Duration::from_secs(30);
/// How often their health is asked for.
const ASK_EVERY: Duration = Duration::from_millis(10);

/// Where the services listen. Port 0 is any free one.
#[derive(clap::Args, Clone, Copy, Debug)]
pub struct Addresses {
    /// REST, the API page, probes and metrics
    #[arg(long, env, default_value = "127.0.0.1:24000")]
    pub rest_addr: SocketAddr,
    /// Probes and metrics alone. /metrics is at --rest-addr too where nobody is asked who they are, and
    /// otherwise here alone
    #[arg(long, env)]
    pub metrics_addr: Option<SocketAddr>,
    /// gRPC of the edge: CheckoutService
    #[arg(long, env, default_value = "127.0.0.1:24051")]
    pub grpc_addr: SocketAddr,
    /// gRPC of the waiting room: QueueService
    #[arg(long, env, default_value = "127.0.0.1:24031")]
    pub queue_addr: SocketAddr,
    /// gRPC of booking: BookingService
    #[arg(long, env, default_value = "127.0.0.1:24071")]
    pub booking_addr: SocketAddr,
    /// gRPC of the wallet: WalletService
    #[arg(long, env, default_value = "127.0.0.1:24081")]
    pub wallet_addr: SocketAddr,
}

/// Where the services keep their databases.
#[derive(Clone, Debug)]
pub enum Databases {
    /// A SQLite file a service, in this folder.
    Folder(PathBuf),
    /// One PostgreSQL server; a schema a service.
    Postgres {
        /// The URL of the server.
        url: String,
        /// How the pooler before it, if there is one, lends its sessions.
        pooler: Pooler,
    },
}

impl Addresses {
    /// The addresses that somebody could call, each with its flag.
    #[must_use]
    pub fn bound(&self) -> Vec<(&'static str, SocketAddr)> {
        let always = [
            ("--rest-addr", self.rest_addr),
            ("--grpc-addr", self.grpc_addr),
            ("--queue-addr", self.queue_addr),
            ("--booking-addr", self.booking_addr),
            ("--wallet-addr", self.wallet_addr),
        ];
        always.into_iter().chain(self.metrics_addr.map(|addr| ("--metrics-addr", addr))).collect()
    }
}

impl Databases {
    fn of(&self, service: &str) -> DbConfig {
        match self {
            Self::Folder(folder) => {
                DbConfig::at(format!("sqlite:{}", folder.join(format!("{service}.db")).display()))
            }
            Self::Postgres { url, pooler } => {
                DbConfig { url: url.clone(), schema: Some(service.to_owned()), pooler: *pooler }
            }
        }
    }
}

/// Everything that can be set.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Where to listen.
    pub addresses: Addresses,
    /// How many connections, over all addresses.
    pub connections: ConnectionArgs,
    /// The TLS of gRPC, on all its addresses.
    pub tls: TlsArgs,
    /// The TLS of REST.
    pub rest_tls: RestTlsArgs,
    /// Where the databases are.
    pub databases: Databases,
    /// The knobs of queue-svc.
    pub queue: queue_svc::Policy,
    /// The beacon of draws.
    pub beacon: queue_svc::BeaconArgs,
    /// The knobs of booking-svc.
    pub booking: booking_svc::Policy,
    /// The knobs of wallet-svc.
    pub wallet: wallet_svc::Policy,
    /// The knobs of the edge.
    pub edge: edge::Policy,
    /// How long rows are kept.
    pub retention: StackRetention,
    /// The doors decide who may call.
    pub doors: Doors,
}

/// What each service is told of them.
impl Settings {
    fn queue(&self) -> Result<queue_svc::Config, Error> {
        Ok(queue_svc::Config {
            database: self.databases.of("queue"),
            policy: self.queue.clone(),
            relay: self.beacon.relay()?,
            requests: self.retention.requests,
            retention: self.retention.queue,
            doors: self.doors.clone(),
        })
    }

    fn booking(&self) -> booking_svc::Config {
        booking_svc::Config {
            database: self.databases.of("booking"),
            policy: self.booking.clone(),
            currency: self.wallet.currency,
            requests: self.retention.requests,
            retention: self.retention.booking,
            doors: self.doors.clone(),
        }
    }

    fn wallet(&self) -> wallet_svc::Config {
        wallet_svc::Config {
            database: self.databases.of("wallet"),
            policy: self.wallet.clone(),
            requests: self.retention.requests,
            doors: self.doors.clone(),
        }
    }

    fn edge(&self, upstreams: Upstreams) -> edge::Config {
        edge::Config {
            database: self.databases.of("edge"),
            policy: self.edge.clone(),
            retention: self.retention.edge,
            upstreams,
            doors: self.doors.clone(),
        }
    }
}

/// How long rows are kept that are not kept for good.
#[derive(clap::Args, Clone, Copy, Debug, Default)]
pub struct StackRetention {
    /// Answers to requests.
    #[command(flatten)]
    pub requests: idempotency::RequestRetention,
    /// The retention of queue-svc.
    #[command(flatten)]
    pub queue: queue_svc::Retention,
    /// The retention of booking-svc.
    #[command(flatten)]
    pub booking: booking_svc::Retention,
    /// The retention of the edge.
    #[command(flatten)]
    pub edge: edge::Retention,
}

/// A running mesh.
#[derive(Debug)]
pub struct Stack {
    addresses: Addresses,
    edge: Service,
    inner: [Service; 3],
    /// The threads of the edge, on which its calls of the other services run as well: what was begun there
    /// goes on after the edge has ended.
    _threads: Threads,
}

/// A service that runs until its token is cancelled.
#[derive(Debug)]
struct Service {
    task: JoinHandle<Result<(), Error>>,
    stop: CancellationToken,
}

impl Service {
    fn start<F>(serve: impl FnOnce(CancellationToken) -> F) -> Self
    where
        F: Future<Output = Result<(), Error>> + Send + 'static,
    {
        let stop = CancellationToken::new();
        Self { task: tokio::spawn(serve(stop.clone())), stop }
    }

    async fn ended(&mut self) -> Result<(), Error> {
        (&mut self.task).await.unwrap_or_else(|lost| Err(Error::Task(lost.to_string())))
    }

    /// Stops the service and waits for it. One that had ended already has reported its result.
    async fn stop(mut self) -> Result<(), Error> {
        self.stop.cancel();
        if self.task.is_finished() { Ok(()) } else { self.ended().await }
    }
}

impl Stack {
    /// Binds, starts, and waits until every service says that it serves.
    ///
    /// # Errors
    /// An address cannot be bound, a database cannot be opened, or a service is not ready in time.
    pub async fn start(settings: Settings, clock: Clock) -> Result<Self, Error> {
        let (tls, rest_tls) = (settings.tls.server(None)?, settings.rest_tls.server()?);
        let grpc_tls = settings.tls.server_for_pages()?;
        let (wanted, connections) = (settings.addresses, settings.connections);
        let connections = connections.counted_behind(&settings.edge.limits.trusted_proxies);
        let (rest, rest_addr) = bind("--rest-addr", wanted.rest_addr)?;
        let metrics = wanted.metrics_addr.map(|addr| bind("--metrics-addr", addr)).transpose()?;
        let (metrics, metrics_addr) = metrics.unzip();
        let (grpc, grpc_addr) = bind("--grpc-addr", wanted.grpc_addr)?;
        let (queue_grpc, queue_addr) = bind("--queue-addr", wanted.queue_addr)?;
        let (booking_grpc, booking_addr) = bind("--booking-addr", wanted.booking_addr)?;
        let (wallet_grpc, wallet_addr) = bind("--wallet-addr", wanted.wallet_addr)?;
        let addresses =
            Addresses { rest_addr, metrics_addr, grpc_addr, queue_addr, booking_addr, wallet_addr };
        let calls: [InProcess; 4] = Default::default();
        let secured = tls.is_some() || settings.doors.are_secured();
        let targets = targets(&addresses, &calls, secured)?;
        let [queue_url, booking_url, wallet_url, _] = targets.clone();
        let upstreams = Upstreams { queue_url, booking_url, wallet_url };
        let [queue_calls, booking_calls, wallet_calls, edge_calls] = calls;
        let threads = Threads::beside_this_runtime("rest")?;
        let within = |listener, calls| Listeners {
            grpc: Incoming::secured(listener, &connections, tls.as_ref()).in_process(calls),
            http: None,
        };

        let config = settings.queue()?;
        let queue = Service::start(|stop| {
            queue_svc::serve(config, within(queue_grpc, queue_calls), clock.clone(), stop)
        });
        let booking = Service::start(|stop| {
            booking_svc::serve(settings.booking(), within(booking_grpc, booking_calls), clock.clone(), stop)
        });
        let wallet = Service::start(|stop| {
            wallet_svc::serve(settings.wallet(), within(wallet_grpc, wallet_calls), clock.clone(), stop)
        });
        let edge = Service::start(|stop| {
            let rest = Incoming::secured(rest, &connections, rest_tls.as_ref());
            let grpc = Incoming::secured(grpc, &connections, grpc_tls.as_ref()).in_process(edge_calls);
            let listeners = edge::Listeners { rest, grpc, metrics, threads: threads.clone() };
            edge::serve(settings.edge(upstreams), listeners, clock.clone(), stop)
        });

        let mut stack = Self { addresses, edge, inner: [queue, booking, wallet], _threads: threads };
        match stack.ready(targets).await {
            Ok(()) => Ok(stack),
            Err(error) => {
                let _already_failed = stack.stop().await;
                Err(error)
            }
        }
    }

    /// Waits until every service serves, or one has failed.
    async fn ready(&mut self, targets: [Target; 4]) -> Result<(), Error> {
        tokio::select! {
            failed = self.ended() => failed,
            ready = all_serving(targets) => ready,
        }
    }

    /// The addresses on which the services listen.
    #[must_use]
    pub const fn addresses(&self) -> Addresses {
        self.addresses
    }

    /// Runs until `shutdown`, or until a service fails; then stops the others.
    ///
    /// # Errors
    /// The first service's that failed.
    pub async fn run(mut self, shutdown: CancellationToken) -> Result<(), Error> {
        let ended = tokio::select! {
            () = shutdown.cancelled() => Ok(()),
            failed = self.ended() => failed,
        };
        let stopped = self.stop().await;
        ended.and(stopped)
    }

    /// Waits until any service ends, which none should.
    async fn ended(&mut self) -> Result<(), Error> {
        let [queue, booking, wallet] = &mut self.inner;
        tokio::select! {
            ended = self.edge.ended() => ended,
            ended = queue.ended() => ended,
            ended = booking.ended() => ended,
            ended = wallet.ended() => ended,
        }?;
        Err(Error::Task("a service ended by itself".to_owned()))
    }

    async fn stop(self) -> Result<(), Error> {
        let edge = self.edge.stop().await;
        let [queue, booking, wallet] = self.inner;
        let (queue, booking, wallet) = tokio::join!(queue.stop(), booking.stop(), wallet.stop());
        edge.and(queue).and(booking).and(wallet)
    }
}

fn bind(flag: &str, addr: SocketAddr) -> Result<(TcpListener, SocketAddr), Error> {
    let listener = listen(flag, addr)?;
    let addr = listener.local_addr()?;
    Ok((listener, addr))
}

/// Where the services are for each other: queue, booking, wallet, and the edge. Where the ports speak TLS or
/// ask who calls, the services do not call each other by these: within a process nobody needs a certificate
/// or a token, and a call that came by a port, because it was too early or too late, would be a stranger's.
fn targets(at: &Addresses, calls: &[InProcess; 4], secured: bool) -> Result<[Target; 4], Error> {
    let target = |addr: SocketAddr, calls: &InProcess| -> Result<Target, Error> {
        if secured {
            return Ok(Target::only_in_process(calls.clone()));
        }
        let target: Target = format!("http://{addr}").parse().map_err(Error::Config)?;
        Ok(target.in_process(calls.clone()))
    };
    let [queue, booking, wallet, edge] = calls;
    Ok([
        target(at.queue_addr, queue)?,
        target(at.booking_addr, booking)?,
        target(at.wallet_addr, wallet)?,
        target(at.grpc_addr, edge)?,
    ])
}

async fn all_serving(targets: [Target; 4]) -> Result<(), Error> {
    for (name, target) in ["queue-svc", "booking-svc", "wallet-svc", "edge"].into_iter().zip(&targets) {
        let mut health = HealthClient::new(Channel::new(target));
        let began = Instant::now();
        while !serving(&mut health).await {
            if began.elapsed() > READY_WITHIN {
                return Err(Error::Task(format!("{name} was not ready within {READY_WITHIN:?}")));
            }
            time::sleep(ASK_EVERY).await;
        }
    }
    Ok(())
}

async fn serving(health: &mut HealthClient<Channel>) -> bool {
    let answer = health.check(HealthCheckRequest::default()).await;
    answer.is_ok_and(|answer| answer.get_ref().status() == ServingStatus::Serving)
}
