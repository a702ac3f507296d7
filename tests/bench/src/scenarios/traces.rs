//! What it costs a poll that traces are told of, when it is itself not sampled.

use std::time::Duration;

use tests::mesh::{Direct, Shape};

use super::{
    NOBODY_ENTERS,
    side_by_side::{Compared, House, ROUNDS, begin, finish},
};
use crate::Size;

const WAITING: usize = 110_000;
/// A collector that nobody is. What is not sampled is not sent, so nobody is asked either.
const TOLD: [&str; 2] = ["--otlp-endpoint", "http://127.0.0.1:9"];

pub(crate) async fn measure(size: Size) {
    let lasting = Duration::from_secs(size.seconds(4));
    let told = [NOBODY_ENTERS, &TOLD].concat();
    let mut houses = [
        House::open("no collector", Shape::SingleSqlite, NOBODY_ENTERS, &Direct).await,
        House::open("a collector", Shape::SingleSqlite, &told, &Direct).await,
    ];
    for house in &mut houses {
        house.join(size.of(WAITING)).await.0.flawless();
    }
    let mut polls = Compared::default();
    for round in 1..=ROUNDS {
        begin(round, &houses);
        polls.add([houses[0].poll_unsampled(lasting).await, houses[1].poll_unsampled(lasting).await]);
    }
    polls.tell("polls that are not sampled", &houses);
    finish(houses).await;
}
