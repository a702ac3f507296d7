//! The last hour of the box office: what one edge has counted every edge tells, also when it is gone.

use std::time::Duration;

use serde_json::{Value, json};
use tests::{
    client::Rest,
    eventually::{eventually, holds},
    mesh::{Role, Shape},
    solos,
    suite::Solo,
    world::{World, text},
};

pub(crate) const SOLOS: &[Solo] = solos![&[Shape::ApartSqlite, Shape::Cluster];
    what_an_edge_refused_is_told_by_all_and_outlives_it,
];

/// Requests that are refused.
const REFUSED: usize = 30;
/// Ten seconds of counting, and what it takes until they are told.
const TOLD: Duration = Duration::from_secs(60);

async fn history(edge: &Rest, query: &str) -> Value {
    edge.get(&format!("/v1/operator/history{query}")).expect(200).await
}

/// How many refusals the samples are of, within a tenth: they are told as rates of ten seconds.
fn refusals(told: &Value) -> f64 {
    let samples = told["samples"].as_array().unwrap();
    samples.iter().filter_map(|sample| sample["refusedPerMinute"].as_f64()).sum::<f64>() / 6.0
}

async fn what_an_edge_refused_is_told_by_all_and_outlives_it(shape: Shape) {
    let world = World::start(shape, &[]).await;
    let sale = world.sale(3, 1_500).await;
    let each: Vec<Rest> = world.mesh.rest().into_iter().map(|base| Rest::new(vec![base])).collect();
    let (first, last) = (&each[0], each.last().unwrap());
    // Every edge has written down where it begins.
    let edges = eventually(TOLD, || async {
        let told = history(last, "").await;
        let names: Vec<String> =
            told["edges"].as_array().unwrap().iter().map(|edge| text(&edge["name"])).collect();
        holds(names, |names| names.len() == each.len())
    })
    .await;
    for _ in 0..REFUSED {
        let _ = first.get("/v1/shows/999999999").send().await.problem(404, "SHOW_NOT_FOUND");
    }
    let told = eventually(TOLD, || async {
        holds(history(last, "").await, |told| refusals(told) >= REFUSED as f64 * 0.9)
    })
    .await;
    let samples = told["samples"].as_array().unwrap();
    let counted = samples.iter().filter(|sample| sample["refusedPerMinute"].as_f64() > Some(0.0));
    assert!(counted.clone().all(|sample| sample["p99Seconds"].as_f64() > Some(0.0)), "{told}");
    // How the line stands was looked at once, whichever edge did it.
    let line = eventually(TOLD, || async {
        let told = history(first, "").await;
        let lines = told["samples"].as_array().unwrap().iter().flat_map(|sample| {
            sample["lines"]
                .as_array()
                .unwrap()
                .iter()
                .filter(|line| line["queueId"] == json!(sale.queue))
                .cloned()
        });
        holds(lines.last().unwrap_or_default(), |line| line.is_object())
    })
    .await;
    assert_eq!((&line["waiting"], &line["active"]), (&json!(0), &json!(0)), "{line}");

    // The edge is killed, and what it counted stays; the one that comes in its place is another.
    for node in world.mesh.of(Role::Edge).into_iter().take(1) {
        node.process.restart();
    }
    world.mesh.ready().await;
    let after = eventually(TOLD, || async {
        holds(history(last, "").await, |told| told["edges"].as_array().unwrap().len() == each.len() + 1)
    })
    .await;
    assert!(refusals(&after) >= refusals(&told) - 0.5, "{after}");
    for name in edges {
        assert!(after["edges"].as_array().unwrap().iter().any(|edge| edge["name"] == json!(name)), "{after}");
    }
    // Only what is newer is asked for by whoever knows the rest.
    let latest = text(&after["samples"].as_array().unwrap().last().unwrap()["at"]);
    let newer = history(first, &format!("?since={latest}")).await;
    let is_newer = |sample: &Value| text(&sample["at"]) > latest;
    assert!(newer["samples"].as_array().unwrap().iter().all(is_newer), "{newer}");
    for wrong in ["yesterday", "2026-12-24"] {
        let asked = first.get(&format!("/v1/operator/history?since={wrong}"));
        let _ = asked.send().await.problem(400, "INVALID_ARGUMENT");
    }
    world.finish().await;
}
