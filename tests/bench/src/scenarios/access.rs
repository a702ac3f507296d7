//! What access costs: the same requests at an open house and at a secured one by turns, and polls of four
//! programs that know each other by certificates, by turns with plaintext.

use std::time::Duration;

use access::{Issuer, Roles};
use serde_json::json;
use tempfile::TempDir;
use tests::{
    keys::Keys,
    mesh::{Direct, Shape},
};

use super::{
    EVERYBODY_ENTERS, NOBODY_ENTERS,
    side_by_side::{Compared, House, ROUNDS, bearer, begin, buyers, finish, in_the_hall},
};
use crate::{Size, crowd, load::Tally, meter::Used};

/// Joins of one turn.
const JOINS: usize = 20_000;
/// People who wait where certificates are compared.
const WAITING: usize = 110_000;
/// Where callers are asked who they are there are limits, which would be measured instead.
const UNLIMITED: [&str; 8] =
    ["--limit-joins", "off", "--limit-holds", "off", "--limit-requests", "off", "--limit-refused", "off"];

/// A house in which this many users have bearer tokens.
async fn secured(flags: &[&str], users: usize) -> House {
    let folder = TempDir::new().expect("a temporary folder can be made");
    let issuer = Issuer::open(folder.path()).expect("a folder of one's own");
    let keys = folder.path().join("jwks.json");
    std::fs::write(&keys, issuer.jwks()).expect("a folder of one's own");
    let keys = keys.display().to_string();
    let flags = [&["--auth-issuer", "local", "--auth-jwks", &keys] as &[_], &UNLIMITED, flags].concat();
    let house = House::open("secured", Shape::SingleSqlite, &flags, &Direct).await;
    let bearers = (0..users).map(|user| bearer(&issuer, &crowd::name(user), Roles::default())).collect();
    house.secured_by(issuer, bearers)
}

/// An open house, and a secured one.
async fn both(flags: &[&str], users: usize) -> [House; 2] {
    let open = House::open("open", Shape::SingleSqlite, flags, &Direct).await;
    [open, secured(flags, users).await]
}

/// Makes the line `other`, which lets nobody in either.
async fn make_other(house: &House) {
    let put =
        house.stage.world.rest.put("/v1/queues/other", json!({"maxActive": 0, "maxWaiting": 10_000_000}));
    let put = match house.operator() {
        Some(operator) => put.header("authorization", &operator),
        None => put,
    };
    let _made = put.expect(201).await;
}

/// The last who joined also join the line `other`, with the bearer tokens that they have shown before.
async fn join_other(house: &House, count: usize) -> (Tally, Used) {
    house.enter("other", house.people.len() - count, count).await.1
}

/// Joins with bearer tokens that were never seen before, joins with those that were, and polls of those who
/// joined.
async fn in_line(size: Size) {
    let (each, lasting) = (size.of(JOINS), Duration::from_secs(size.seconds(4)));
    let mut houses = both(NOBODY_ENTERS, each * ROUNDS).await;
    for house in &houses {
        make_other(house).await;
    }
    let (mut joins, mut known, mut polls) = <(Compared, Compared, Compared)>::default();
    for round in 1..=ROUNDS {
        begin(round, &houses);
        let [open, secured] = &mut houses;
        joins.add([open.join(each).await, secured.join(each).await]);
        known.add([join_other(open, each).await, join_other(secured, each).await]);
        polls.add([open.poll(lasting).await, secured.poll(lasting).await]);
    }
    joins.tell("joins", &houses);
    known.tell("joins by bearer tokens seen before", &houses);
    polls.tell("polls", &houses);
    finish(houses).await;
}

/// Polls of four programs, which call each other in plaintext and by mutual TLS.
async fn between_programs(size: Size) {
    let keys = Keys::new();
    let lasting = Duration::from_secs(size.seconds(4));
    let mut houses = [
        House::open("plaintext", Shape::ApartSqlite, NOBODY_ENTERS, &Direct).await,
        House::open("mutual TLS", Shape::ApartSqlite, NOBODY_ENTERS, &keys).await,
    ];
    for house in &mut houses {
        house.join(size.of(WAITING)).await.0.flawless();
    }
    let mut polls = Compared::default();
    for round in 1..=ROUNDS {
        begin(round, &houses);
        polls.add([houses[0].poll(lasting).await, houses[1].poll(lasting).await]);
    }
    polls.tell("polls, four programs", &houses);
    finish(houses).await;
}

pub(crate) async fn measure(size: Size) {
    in_line(size).await;
    in_the_hall(size, both(EVERYBODY_ENTERS, buyers(size)).await).await;
    between_programs(size).await;
}
