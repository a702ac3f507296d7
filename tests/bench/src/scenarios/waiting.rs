//! A million people in one line, on two replicas of every program: memory each, ready after a restart, how
//! soon a place that somebody leaves is somebody else's, seen at the replica where it was left and at the
//! other one, and how soon all know what the seller says.

use std::{
    net::SocketAddr,
    rc::Rc,
    time::{Duration, Instant},
};

use boxoffice_proto::queue::{
    GetTokenRequest, LeaveQueueRequest, TokenStatus, queue_service_client::QueueServiceClient,
};
use serde_json::json;
use tests::mesh::{Role, Shape};
use tokio::{task::LocalSet, time::sleep};
use tonic::transport::{Channel, Endpoint};

use super::{
    NOBODY_ENTERS, Stage,
    streams::{Heard, open_files, open_until},
};
use crate::{
    Size,
    crowd::{self, Person},
    histogram::Histogram,
    http::{self, Connection},
    meter,
    report::{self, Goal, Rounds, millis},
};

const PEOPLE: usize = 1_000_000;
/// How many are let in at once, so that there is always somebody who can leave.
const ACTIVE: usize = 10;
/// Places that are left, one after the other.
const LEAVING: usize = 500;
/// Memory is read after this pause, when what joining needed for the moment is free again.
const SETTLE: Duration = Duration::from_secs(3);
/// A place that is not taken within this time is lost.
const LOST: Duration = Duration::from_secs(5);
/// Messages of the seller, one after the other.
const MESSAGES: usize = 20;
/// Streams that are told of them.
const STREAMS: usize = 10_000;
/// What is said is known to all within this time.
const KNOWN: f64 = 3_000.0;

type Queue = QueueServiceClient<Channel>;

pub(crate) async fn measure(size: Size) {
    let stage = Stage::start(Shape::Cluster, NOBODY_ENTERS).await;
    let resident = || {
        stage
            .mesh()
            .of(Role::Queue)
            .iter()
            .map(|node| meter::resident(node.process.pid()))
            .collect::<Vec<_>>()
    };
    let before = resident();
    let began = Instant::now();
    let people = crowd::join(&stage.queue(0), 0, size.of(PEOPLE)).await;
    let took = began.elapsed();
    report::fact(&format!("{} people joined over gRPC, two replicas", people.len()), &format!("{took:.1?}"));
    sleep(SETTLE).await;
    let each = |(before, after): (&u64, u64)| after.saturating_sub(*before) as f64 / people.len() as f64;
    let bytes: Rounds = before.iter().zip(resident()).map(each).collect();
    report::figure("bytes of resident memory a person, at each replica", &bytes, 0, Goal::AtMost(300.0));
    restart(&stage).await;
    admissions(&stage, &people).await;
    LocalSet::new().run_until(messages(&stage, &people, size.of(STREAMS))).await;
    stage.finish().await;
}

/// Stops the first replica and starts it again, with everybody waiting.
async fn restart(stage: &Stage) {
    let nodes = stage.mesh().of(Role::Queue);
    let node = nodes.first().expect("a mesh has a queue-svc");
    node.process.terminate().await.expect("it ends when asked");
    let began = Instant::now();
    node.process.restart();
    node.ready(Duration::from_secs(120)).await.expect("it comes back");
    report::fact("ready again after a restart, the whole line loaded", &format!("{:.2?}", began.elapsed()));
    let bytes = meter::resident(node.process.pid());
    report::fact("resident memory after the restart", &format!("{} MiB", bytes >> 20));
}

async fn status(queue: &mut Queue, person: &Person) -> TokenStatus {
    let ask = GetTokenRequest { token: person.token.to_string(), ..GetTokenRequest::default() };
    queue
        .get_token(ask)
        .await
        .expect("the line answers")
        .into_inner()
        .token
        .expect("an answer has its token")
        .status()
}

/// Waits until somebody is let in, asking again and again.
async fn until_active(queue: &mut Queue, person: &Person) {
    let began = Instant::now();
    while status(queue, person).await != TokenStatus::Active {
        assert!(began.elapsed() < LOST, "a free place was not taken within {LOST:?}");
        sleep(Duration::from_millis(1)).await;
    }
}

async fn admissions(stage: &Stage, people: &[Person]) {
    let client = |replica: usize| {
        QueueServiceClient::new(
            Endpoint::from_shared(stage.queue(replica)).expect("an address of the mesh").connect_lazy(),
        )
    };
    let (mut here, mut there) = (client(0), client(1));
    stage.world.rest.put("/v1/queues/default", json!({"maxActive": ACTIVE})).expect(200).await;
    until_active(&mut here, &people[ACTIVE - 1]).await;
    let (mut answered, mut seen_here, mut seen_there) =
        (Histogram::default(), Histogram::default(), Histogram::default());
    let mut leaver = here.clone();
    for pair in people.windows(ACTIVE + 1).take(LEAVING) {
        let (leaving, next) = (&pair[0], &pair[ACTIVE]);
        assert_ne!(status(&mut here, next).await, TokenStatus::Active, "more are let in than may be");
        let began = Instant::now();
        let leave = async {
            let ask = LeaveQueueRequest { token: leaving.token.to_string(), ..LeaveQueueRequest::default() };
            leaver.leave_queue(ask).await.expect("who is in may leave");
            answered.record(began.elapsed());
        };
        let at_here = async {
            until_active(&mut here, next).await;
            seen_here.record(began.elapsed());
        };
        let at_there = async {
            until_active(&mut there, next).await;
            seen_there.record(began.elapsed());
        };
        tokio::join!(leave, at_here, at_there);
    }
    report::fact("places left, each taken by the next", &answered.count().to_string());
    for (what, histogram) in [
        ("leaving is answered", answered),
        ("the next is ACTIVE, seen here", seen_here),
        ("seen at the other replica", seen_there),
    ] {
        let ms = |share| millis(histogram.quantile(share));
        report::fact(&format!("{what}: p50, p99 ms"), &format!("{:.2}, {:.2}", ms(0.5), ms(0.99)));
        let longest: Rounds = [millis(histogram.max())].into_iter().collect();
        report::figure(&format!("{what}: longest ms"), &longest, 2, Goal::AtMost(100.0));
    }
}

/// Says something to everybody who waits, again and again.
async fn messages(stage: &Stage, people: &[Person], streams: usize) {
    // Who is at the back hears of nothing else.
    let far = &people[people.len() / 2..];
    let edges: Vec<SocketAddr> = stage.mesh().of(Role::Edge).iter().map(|edge| edge.http).collect();
    let (heard, streams) = (Rc::new(Heard::default()), streams.min(open_files()).min(far.len()));
    open_until(stage.rest, |n| format!("/v1/tokens/{}/events", far[n].token), streams, &heard).await;
    let (mut polled, mut streamed) = (Histogram::default(), Histogram::default());
    for nth in 0..MESSAGES {
        sleep(SETTLE).await;
        let (events, words) = (heard.events.get(), format!("Doors at 7, and {nth}"));
        let said = json!({"message": {"en": words}});
        stage.world.rest.put("/v1/queues/default", said).expect(200).await;
        let began = Instant::now();
        let in_polls = async {
            for edge in &edges {
                until_said(*edge, far, &words).await;
            }
            polled.record(began.elapsed());
        };
        let in_streams = async {
            while heard.events.get() < events + streams as u64 {
                assert!(began.elapsed() < LOST, "{} streams of {streams}", heard.events.get() - events);
                sleep(Duration::from_millis(5)).await;
            }
            streamed.record(began.elapsed());
        };
        tokio::join!(in_polls, in_streams);
    }
    for (what, histogram) in [
        ("what is said is in every poll at both edges", polled),
        (&*format!("what is said was told to {streams} streams"), streamed),
    ] {
        let ms = |share| millis(histogram.quantile(share));
        report::fact(&format!("{what}: p50 ms"), &format!("{:.0}", ms(0.5)));
        let longest: Rounds = [millis(histogram.max())].into_iter().collect();
        report::figure(&format!("{what}: longest ms"), &longest, 0, Goal::AtMost(KNOWN));
    }
}

/// Polls for one after the other at an edge until what is said is in an answer.
async fn until_said(edge: SocketAddr, people: &[Person], words: &str) {
    let (mut connection, mut request, began) = (Connection::new(edge), Vec::new(), Instant::now());
    for person in people.iter().cycle().step_by(997) {
        request.clear();
        http::get(&mut request, format_args!("/v1/tokens/{}", person.token), None);
        let answer = connection.ask(&request).await.expect("the edge answers");
        if http::text_field(answer.body, "en") == Some(words) {
            return;
        }
        assert!(began.elapsed() < LOST, "{words:?} was not said");
        sleep(Duration::from_millis(1)).await;
    }
}
