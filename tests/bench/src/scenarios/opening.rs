//! A line that opens by lot, on two replicas: how soon after the instant everybody's number is written and
//! told, what polls feel of it, and the memory of somebody who took part.

use std::time::{Duration, Instant};

use boxoffice_proto::queue::{GetDrawRequest, GetTokenRequest, queue_service_client::QueueServiceClient};
use chassis::{clock::Clock, rfc3339::Rfc3339};
use serde_json::json;
use tests::mesh::{Role, Shape};
use tokio::time::sleep;
use uuid::Uuid;

use super::{NOBODY_ENTERS, Stage, polls::polling};
use crate::{
    Size, crowd,
    load::{Open, open},
    meter,
    report::{self, Goal, Rounds, millis},
};

const PEOPLE: usize = 1_000_000;
/// So many join in a second at the least; the instant is fixed before they do.
const JOIN_AT_LEAST: usize = 5_000;
/// Polls a second, and the connections that they come over, from a second before the opening on.
const RATE: f64 = 2_000.0;
const CONNECTIONS: usize = 64;
const POLLED: Duration = Duration::from_secs(10);
const BEFORE: Duration = SECOND;
const SECOND: Duration = Duration::from_secs(1);
/// How often a replica is asked whether it has opened.
const LOOK: Duration = Duration::from_millis(5);
/// So many come later at each replica.
const LATER: usize = 10_000;
/// Memory is read after such pauses, when what drawing needed for the moment is free again.
const SETTLE: Duration = Duration::from_secs(3);

pub(crate) async fn measure(size: Size) {
    let stage = Stage::start(Shape::Cluster, NOBODY_ENTERS).await;
    let resident = || -> Vec<u64> {
        let nodes = stage.mesh().of(Role::Queue);
        nodes.iter().map(|node| meter::resident(node.process.pid())).collect()
    };
    let before = resident();
    let count = size.of(PEOPLE);
    let soon = Duration::from_secs((count / JOIN_AT_LEAST) as u64 + 10);
    let (began, now) = (Instant::now(), Clock::system().now());
    let opens_at = Rfc3339::of(now + i64::try_from(soon.as_micros()).expect("minutes"));
    let draw = json!({"opening": "DRAW", "opensAt": opens_at.as_str()});
    stage.world.rest.put("/v1/queues/default", draw).expect(200).await;
    let people = crowd::join(&stage.queue(0), 0, count).await;
    report::fact(&format!("{count} people registered over gRPC"), &format!("{:.1?}", began.elapsed()));
    assert!(began.elapsed() + BEFORE < soon, "the line opened before all had come");

    // As in life: those who are registered ask now and then, so that each replica hears of somebody.
    let mut asked = people.iter();
    while began.elapsed() + BEFORE < soon {
        sleep(SECOND.min((soon - BEFORE).saturating_sub(began.elapsed()))).await;
        for (replica, person) in [0, 1].into_iter().zip(&mut asked) {
            ask(stage.queue(replica), person.token).await;
        }
    }
    let loads = [Open { operation: polling(&people), per_second: RATE, connections: CONNECTIONS }];
    let (tallies, here, there) = tokio::join!(
        open(stage.rest, POLLED, &loads, |_| ()),
        opened(stage.queue(0), began + soon),
        opened(stage.queue(1), began + soon)
    );
    let seconds: Rounds = [here, there].into_iter().map(|span| span.as_secs_f64()).collect();
    report::figure(
        "seconds from the instant until the draw is written and told",
        &seconds,
        2,
        Goal::AtMost(5.0),
    );
    report::run("polls meanwhile", &tallies[0], None);
    for (what, share) in [("p50", 0.5), ("p99", 0.99), ("longest", 1.0)] {
        let took = millis(tallies[0].latency.quantile(share));
        report::fact(&format!("a poll while the line opens: {what} ms"), &format!("{took:.2}"));
    }
    // As in life people come later, too: what drawing needed for the moment the allocator gives back when it
    // is next asked for something.
    let later = size.of(LATER);
    for replica in [0, 1] {
        sleep(SETTLE).await;
        drop(crowd::join(&stage.queue(replica), count + replica * later, later).await);
    }
    sleep(SETTLE).await;
    let all = count + 2 * later;
    let each = |(before, after): (&u64, u64)| after.saturating_sub(*before) as f64 / all as f64;
    let bytes: Rounds = before.iter().zip(resident()).map(each).collect();
    report::figure("bytes of resident memory a person, at each replica", &bytes, 0, Goal::AtMost(300.0));
    stage.finish().await;
}

/// Somebody asks this replica for a place.
async fn ask(replica: String, token: Uuid) {
    let mut queue = QueueServiceClient::connect(replica).await.expect("a replica of the mesh");
    let request = GetTokenRequest { token: token.to_string(), ..GetTokenRequest::default() };
    queue.get_token(request).await.expect("a place that was given");
}

/// How long after the instant a replica tells what was drawn.
async fn opened(replica: String, instant: Instant) -> Duration {
    let mut queue = QueueServiceClient::connect(replica).await.expect("a replica of the mesh");
    loop {
        let draw = queue.get_draw(GetDrawRequest::default()).await.expect("the line is there").into_inner();
        if draw.draw.is_some_and(|draw| !draw.secret.is_empty()) {
            return instant.elapsed();
        }
        sleep(LOOK).await;
    }
}
