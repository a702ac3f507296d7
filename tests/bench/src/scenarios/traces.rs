//! What it costs a poll that traces are told of, when it is itself not sampled: a mesh that has a collector
//! beside one that has none. Two that have none are compared first, which tells what such a comparison is
//! worth.

use std::time::Duration;

use tests::mesh::{Direct, Shape};

use super::{
    NOBODY_ENTERS,
    side_by_side::{Compared, House, finish},
};
use crate::Size;

const WAITING: usize = 110_000;
/// Many short turns: what is looked for is less than what a machine differs from one minute to the next.
const TURNS: usize = 20;
/// A collector that nobody is. What is not sampled is not sent, so nobody is asked either.
const TOLD: [&str; 2] = ["--otlp-endpoint", "http://127.0.0.1:9"];

/// Polls of a mesh without a collector and of one with these flags more.
async fn beside(name: &'static str, flags: &[&str], size: Size) {
    let lasting = Duration::from_secs(size.seconds(2));
    let flags = [NOBODY_ENTERS, flags].concat();
    let mut houses = [
        House::open("no collector", Shape::SingleSqlite, NOBODY_ENTERS, &Direct).await,
        House::open(name, Shape::SingleSqlite, &flags, &Direct).await,
    ];
    for house in &mut houses {
        house.join(size.of(WAITING)).await.0.flawless();
    }
    let mut polls = Compared::default();
    for turn in 1..=TURNS {
        // Each is the first to be asked in its turn: the second finds the machine warm.
        let [one, other] = &houses;
        polls.add(if turn % 2 == 1 {
            [one.poll_unsampled(lasting).await, other.poll_unsampled(lasting).await]
        } else {
            let second = other.poll_unsampled(lasting).await;
            [one.poll_unsampled(lasting).await, second]
        });
    }
    polls.tell("polls that are not sampled", &houses);
    finish(houses).await;
}

pub(crate) async fn measure(size: Size) {
    beside("no collector either", &[], size).await;
    beside("a collector", &TOLD, size).await;
}
