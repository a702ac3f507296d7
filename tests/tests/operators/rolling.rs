//! A rollout as an orchestrator does it: a replica of the edge leaves the names, a moment later it is told to
//! end, and another one comes. Nobody who buys meanwhile has to ask twice, by REST behind a front as little
//! as by gRPC with a client that finds the edges by name.

use std::{
    io,
    net::SocketAddr,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    time::Duration,
};

use boxoffice_proto::checkout::{CheckoutStatus, PayRequest, checkout_service_client::CheckoutServiceClient};
use chassis::{
    channel::{Channel, Target},
    network::{Connection, Network, Tcp},
};
use futures::future::BoxFuture;
use serde_json::json;
use tests::{
    client::Rest,
    eventually::{eventually, holds},
    mesh::{Role, Shape},
    process::Signal,
    requests::hold_body,
    solos,
    suite::Solo,
    world::{Sale, World, text, unique},
};
use tokio::{task::JoinHandle, time::sleep};

pub(crate) const SOLOS: &[Solo] = solos![&[Shape::Cluster]; a_rolling_restart_of_the_edges_loses_no_request];

/// From leaving the names until SIGTERM: what is on its way to a replica gets there. (Of the five seconds
/// that a pod has.)
const HEARD: Duration = Duration::from_millis(300);
const BUYERS: usize = 6;

/// The edges that are in service: a front's list, and the only resolver that the gRPC clients have.
#[derive(Debug)]
struct Front {
    edges: Vec<(Rest, SocketAddr)>,
    serving: Mutex<Vec<bool>>,
    next: AtomicUsize,
    looked_up: AtomicUsize,
}

impl Front {
    fn of(world: &World) -> Arc<Self> {
        let edges = world
            .mesh
            .of(Role::Edge)
            .into_iter()
            .map(|node| (Rest::new(vec![format!("http://{}", node.http)]), node.grpc[0].1));
        let edges: Vec<_> = edges.collect();
        let serving = Mutex::new(vec![true; edges.len()]);
        Arc::new(Self { edges, serving, next: AtomicUsize::new(0), looked_up: AtomicUsize::new(0) })
    }

    fn set(&self, edge: usize, serves: bool) {
        self.serving.lock().unwrap()[edge] = serves;
    }

    fn in_service(&self) -> Vec<usize> {
        let serving = self.serving.lock().unwrap();
        (0..serving.len()).filter(|&edge| serving[edge]).collect()
    }

    /// Waits until a look-up has begun after this, and ended.
    async fn looked_up_again(&self) {
        let before = self.looked_up.load(Ordering::Relaxed);
        eventually(Duration::from_secs(20), || async {
            holds(self.looked_up.load(Ordering::Relaxed), |&now| now > before)
        })
        .await;
        sleep(Duration::from_millis(100)).await;
    }

    /// REST at the next edge that is in service.
    fn rest(&self) -> &Rest {
        let there = self.in_service();
        &self.edges[there[self.next.fetch_add(1, Ordering::Relaxed) % there.len()]].0
    }
}

/// The resolver that gRPC clients use: the name `edges`, and who is in service.
#[derive(Debug)]
struct Names(Arc<Front>);

impl Network for Names {
    fn resolve(&self, host: String, _: u16) -> BoxFuture<'static, io::Result<Vec<SocketAddr>>> {
        assert_eq!(host, "edges");
        self.0.looked_up.fetch_add(1, Ordering::Relaxed);
        let there = self.0.in_service().into_iter().map(|edge| self.0.edges[edge].1).collect();
        Box::pin(async move { Ok(there) })
    }

    fn connect(&self, to: SocketAddr) -> BoxFuture<'static, io::Result<Connection>> {
        Tcp.connect(to)
    }
}

/// From the line to the paid seat. Every call is made once, and answered.
async fn purchase(front: &Front, grpc: Option<&Channel>, sale: &Sale, seat: usize) {
    let user = unique("user");
    let joined = front
        .rest()
        .post(&format!("/v1/queues/{}/tokens", sale.queue), json!({"userId": user}))
        .expect(201)
        .await;
    let token = text(&joined["token"]);
    let _ =
        front.rest().post(&format!("/v1/wallets/{user}/charges"), json!({"amount": 1_500})).expect(201).await;
    let hold = hold_body(&user, sale.show, [seat]);
    let held = front.rest().post("/v1/reservations", hold).token(&token).expect(201).await;
    let reservation = text(&held["reservationId"]);
    let Some(channel) = grpc else {
        let pay = json!({"userId": user, "reservationId": reservation});
        let paid = front.rest().post("/v1/payments", pay).token(&token).send().await;
        // A payment whose edge is told to end may settle elsewhere.
        assert!(matches!(paid.status, 201 | 202), "{} {}", paid.status, paid.text);
        return;
    };
    let pay = PayRequest { user_id: user, reservation_id: reservation, token, ..Default::default() };
    let paid =
        CheckoutServiceClient::new(channel.clone()).pay(pay).await.unwrap().into_inner().checkout.unwrap();
    assert!(matches!(paid.status(), CheckoutStatus::Completed | CheckoutStatus::Pending), "{paid:?}");
}

async fn a_rolling_restart_of_the_edges_loses_no_request(shape: Shape) {
    let world = World::start(shape, &[]).await;
    let queue = world.queue(json!({"maxActive": 1_000, "admitPerMinute": 1_000_000})).await;
    let sale = world.sale_behind(queue, 1_000, 5_000).await;
    let (front, over, sold) =
        (Front::of(&world), Arc::new(AtomicBool::new(false)), Arc::new(AtomicUsize::new(0)));
    let target: Target = "http://edges:1".parse().unwrap();
    let channel = Channel::new(&target.on(Arc::new(Names(Arc::clone(&front)))));
    let buyers: Vec<JoinHandle<()>> = (0..BUYERS)
        .map(|buyer| {
            let (front, over, sold, sale) =
                (Arc::clone(&front), Arc::clone(&over), Arc::clone(&sold), sale.clone());
            let grpc = (buyer % 2 == 0).then(|| channel.clone());
            tokio::spawn(async move {
                while !over.load(Ordering::Relaxed) {
                    purchase(&front, grpc.as_ref(), &sale, sold.fetch_add(1, Ordering::Relaxed) + 1).await;
                }
            })
        })
        .collect();
    for (edge, node) in world.mesh.of(Role::Edge).into_iter().enumerate() {
        sleep(Duration::from_secs(1)).await;
        let before = sold.load(Ordering::Relaxed);
        front.set(edge, false);
        sleep(HEARD).await;
        node.process.signal(Signal::Term);
        let ended = node.process.wait(Duration::from_secs(20)).await.unwrap();
        assert!(ended.success(), "{ended}");
        node.process.restart();
        world.mesh.ready().await;
        front.set(edge, true);
        assert!(sold.load(Ordering::Relaxed) > before, "the others go on selling");
        // As a rollout does (`minReadySeconds`): the next one does not go before everybody has heard of the
        // new one.
        front.looked_up_again().await;
    }
    sleep(Duration::from_secs(1)).await;
    over.store(true, Ordering::Relaxed);
    for buyer in buyers {
        buyer.await.unwrap();
    }
    let (sold, looked_up) = (sold.load(Ordering::Relaxed), front.looked_up.load(Ordering::Relaxed));
    assert!(sold >= 30 && looked_up >= 2, "{sold} purchases, {looked_up} look-ups");
    let paid: Vec<usize> = world
        .mesh
        .of(Role::Edge)
        .iter()
        .map(|node| node.process.log().matches("\"method\":\"Pay\"").count())
        .collect();
    assert!(paid.iter().all(|&paid| paid > 0), "calls of Pay by edge: {paid:?}");
    world.finish().await;
}
