//! Draws with a beacon as their callers see them: at two replicas, over restarts, with a relay that is away
//! or lies, and with a program of an older release beside.

use std::sync::{
    Arc,
    atomic::{AtomicU64, Ordering::SeqCst},
};

use boxoffice_proto::{Reason, queue as pb};
use chassis::{
    args,
    clock::Clock,
    db::Db,
    hex,
    testing::{databases, patience::pause},
};
use drand::Drand;
use parking_lot::Mutex;
use pb::TokenStatus::{Active, Registered};
use queue_svc::{Policy, Relay};
use sha2::{Digest, Sha256};
use uuid::Uuid;

use crate::{
    drawing::{OPENS, by_lot, draw, drawn, until_open},
    harness::{Client, Replica, SECOND, START, eventually, get, join, leave, policy, queue, reason, update},
};

/// What a relay does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Mood {
    Tells,
    IsAway,
    /// It tells the round before under the number that it was asked for.
    TellsAnother,
    /// It tells the info of another chain, and rounds of that.
    TellsForgeries,
}

/// A relay in this process.
#[derive(Clone)]
struct Told {
    drand: Drand,
    mood: Arc<Mutex<Mood>>,
    /// How often it was asked for a round.
    asked: Arc<AtomicU64>,
}

impl Told {
    fn new(mood: Mood) -> Self {
        let drand = Drand::new(1, 2, START / SECOND - 100);
        Self { drand, mood: Arc::new(Mutex::new(mood)), asked: Arc::default() }
    }

    fn is(&self, mood: Mood) {
        *self.mood.lock() = mood;
    }

    /// The relay as a replica with this clock asks it: no round is there before its time.
    fn relay(&self, clock: &Clock) -> Relay {
        let hash = hex::read(&self.drand.hash()).unwrap().try_into().unwrap();
        let (told, clock) = (self.clone(), clock.clone());
        Relay::new(
            hash,
            Arc::new(move |path| {
                let answer = told.answer(&path, clock.now());
                Box::pin(async { answer.map(String::into_bytes) })
            }),
        )
    }

    fn answer(&self, path: &str, now: i64) -> Result<String, String> {
        let mood = *self.mood.lock();
        let forger = Drand::new(2, 2, START / SECOND - 100);
        let drand = if mood == Mood::TellsForgeries { &forger } else { &self.drand };
        if mood == Mood::IsAway {
            return Err("it is away".to_owned());
        }
        if path == "info" {
            return Ok(drand.info());
        }
        self.asked.fetch_add(1, SeqCst);
        let round: i64 = path.strip_prefix("public/").unwrap().parse().unwrap();
        if round > drand.latest(now) {
            return Err("it answered 404 Not Found".to_owned());
        }
        Ok(match mood {
            Mood::TellsAnother => drand
                .round(round - 1)
                .replace(&format!("\"round\":{}", round - 1), &format!("\"round\":{round}")),
            Mood::Tells | Mood::IsAway | Mood::TellsForgeries => drand.round(round),
        })
    }
}

fn sha(parts: &[&[u8]]) -> Vec<u8> {
    Sha256::digest(parts.concat()).to_vec()
}

/// Who takes part, once that is fixed.
async fn entered(client: &Client) -> pb::Draw {
    eventually("it is fixed who takes part", || async {
        draw(client).await.ok().filter(|draw| !draw.root.is_empty())
    })
    .await
}

/// Checks a draw and everybody's number; `tokens` took part.
async fn checked(client: &Client, told: &Told, beacon: Option<i64>, tokens: &[String]) -> pb::Draw {
    let held = draw(client).await.unwrap();
    let signature = beacon.map(|round| told.drand.signature(round)).unwrap_or_default();
    assert_eq!(held.beacon_signature, signature);
    assert_eq!(held.beacon, if signature.is_empty() { Vec::new() } else { sha(&[&signature]) });
    assert_eq!(held.seed, sha(&[&held.secret, &held.root, &held.beacon]));
    let mut lots: Vec<(Vec<u8>, &String)> = tokens
        .iter()
        .map(|token| (sha(&[&held.seed, token.parse::<Uuid>().unwrap().as_bytes()]), token))
        .collect();
    lots.sort();
    for (number, (_, token)) in (1..).zip(lots) {
        assert_eq!(drawn(client, token).await.unwrap().number, number);
    }
    held
}

#[tokio::test(flavor = "multi_thread")]
async fn a_draw_waits_for_its_round_and_is_the_same_on_every_replica() {
    for database in databases().await {
        let (clock, slower) = (Clock::manual(START), Clock::manual(START - SECOND));
        let told = Told::new(Mood::Tells);
        let policy = Policy { max_active: 0, ..policy() };
        let start = async |clock: &Clock| {
            Replica::with_relay(&database.config, policy.clone(), clock, Some(told.relay(clock))).await
        };
        let (one, other) = (start(&clock).await, start(&slower).await);
        update(&one.client, by_lot(OPENS)).await;
        let before = draw(&one.client).await.unwrap();
        let chain = before.beacon_chain.clone().unwrap();
        assert_eq!(hex::text(&chain.hash), told.drand.hash(), "{}", database.name);
        // A round every two seconds from a hundred seconds before the start on: the first five after it.
        let round = (3_600 + 100 + 6) / 2 + 1;
        assert_eq!((before.beacon_round, before.root.len(), before.root_at), (round, 0, None));
        let mut tokens = Vec::new();
        for number in 0..20 {
            let at = if number % 2 == 0 { &one.client } else { &other.client };
            tokens.push(join(at, &format!("user-{number}")).await.unwrap().token);
        }

        clock.advance(3_600 * SECOND);
        slower.advance(3_600 * SECOND);
        let fixed = entered(&one.client).await;
        assert_eq!((fixed.registered, fixed.beacon_round), (20, round), "{}", database.name);
        assert_eq!(fixed.beacon_chain, before.beacon_chain);
        assert!(fixed.secret.is_empty() && fixed.seed.is_empty() && fixed.beacon_signature.is_empty());
        eventually("the other replica tells it too", || async {
            (draw(&other.client).await.unwrap() == fixed).then_some(())
        })
        .await;
        let late = join(&other.client, "late").await.unwrap();
        assert_eq!((late.status(), late.position), (Registered, 0), "{}", database.name);
        leave(&one.client, &tokens[0], "").await.unwrap();
        leave(&one.client, &tokens[1], "").await.unwrap();
        let again = join(&one.client, "user-1").await.unwrap();
        assert_ne!(again.token, tokens[1], "who has left has lost the lot");
        assert_eq!(reason(drawn(&one.client, &tokens[2]).await), Reason::FailedPrecondition);
        // One ends between the two, and one begins.
        one.stop().await;
        let third = start(&clock).await;
        assert_eq!(draw(&third.client).await.unwrap(), fixed, "{}", database.name);
        assert_eq!(get(&third.client, &tokens[2]).await.unwrap().status(), Registered);

        clock.advance(7 * SECOND);
        slower.advance(7 * SECOND);
        until_open(&third.client).await;
        let held = checked(&third.client, &told, Some(round), &tokens).await;
        assert_eq!((held.registered, &held.root, held.root_at), (20, &fixed.root, fixed.root_at));
        assert_eq!(held.secret.len(), 32);
        until_open(&other.client).await;
        assert_eq!(draw(&other.client).await.unwrap(), held, "{}", database.name);
        let last = start(&clock).await;
        for client in [&other.client, &third.client, &last.client] {
            checked(client, &told, Some(round), &tokens).await;
            let place = async |token: &str| get(client, token).await.unwrap().position;
            assert_eq!((place(&late.token).await, place(&again.token).await), (19, 20));
        }
        for replica in [other, third, last] {
            replica.stop().await;
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_relay_that_is_away_or_lies_only_delays_the_draw() {
    for database in databases().await {
        let clock = Clock::manual(START);
        let told = Told::new(Mood::IsAway);
        let start =
            async || Replica::with_relay(&database.config, policy(), &clock, Some(told.relay(&clock))).await;
        let replica = start().await;
        let set = async |policy: pb::QueuePolicy| {
            let request =
                pb::UpdateQueueRequest { policy: Some(policy), ..pb::UpdateQueueRequest::default() };
            replica.client.clone().update_queue(request).await.map(drop)
        };
        // Without the chain no draw is announced, nor one with the chain of somebody else.
        assert_eq!(reason(set(by_lot(OPENS)).await), Reason::Unavailable, "{}", database.name);
        told.is(Mood::TellsForgeries);
        assert_eq!(reason(set(by_lot(OPENS)).await), Reason::Unavailable, "{}", database.name);
        assert_eq!(reason(draw(&replica.client).await), Reason::NotFound);
        told.is(Mood::Tells);
        set(by_lot(OPENS)).await.unwrap();
        let round = draw(&replica.client).await.unwrap().beacon_round;
        let token = join(&replica.client, "a").await.unwrap().token;
        for mood in [Mood::TellsAnother, Mood::TellsForgeries, Mood::IsAway] {
            told.is(mood);
            if mood == Mood::TellsAnother {
                clock.advance(3_700 * SECOND);
                entered(&replica.client).await;
            }
            let before = told.asked.load(SeqCst);
            eventually("it is asked", || async {
                (mood == Mood::IsAway || told.asked.load(SeqCst) > before + 1).then_some(())
            })
            .await;
            assert_eq!(get(&replica.client, &token).await.unwrap().status(), Registered, "{mood:?}");
            assert!(draw(&replica.client).await.unwrap().secret.is_empty(), "{mood:?}");
        }
        // A program that ends while the draw waits leaves it to the next.
        replica.stop().await;
        let replica = start().await;
        pause(std::time::Duration::from_millis(200)).await;
        assert_eq!(queue(&replica.client).await.registered, 1, "{}", database.name);
        told.is(Mood::Tells);
        until_open(&replica.client).await;
        checked(&replica.client, &told, Some(round), std::slice::from_ref(&token)).await;
        eventually("they are admitted", || async {
            (get(&replica.client, &token).await.unwrap().status() == Active).then_some(())
        })
        .await;
        replica.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_operator_ends_the_wait_and_everybody_sees_it() {
    for database in databases().await {
        let clock = Clock::manual(START);
        let told = Told::new(Mood::Tells);
        let replica = Replica::with_relay(&database.config, policy(), &clock, Some(told.relay(&clock))).await;
        let client = &replica.client;
        let without = || pb::QueuePolicy { without_beacon: Some(true), ..pb::QueuePolicy::default() };
        let set = async |policy: pb::QueuePolicy| {
            let request =
                pb::UpdateQueueRequest { policy: Some(policy), ..pb::UpdateQueueRequest::default() };
            client.clone().update_queue(request).await.map(drop)
        };
        update(client, by_lot(OPENS)).await;
        let announced = draw(client).await.unwrap();
        let token = join(client, "a").await.unwrap().token;
        assert_eq!(reason(set(without()).await), Reason::FailedPrecondition, "{}", database.name);
        told.is(Mood::IsAway);
        clock.advance(3_700 * SECOND);
        entered(client).await;
        set(without()).await.unwrap();
        until_open(client).await;
        let held = checked(client, &told, None, &[token]).await;
        assert_eq!(held.beacon_chain, announced.beacon_chain, "{}", database.name);
        assert_eq!(held.beacon_round, announced.beacon_round, "{}", database.name);
        // Nobody is told otherwise when the round comes after all.
        told.is(Mood::Tells);
        pause(std::time::Duration::from_millis(300)).await;
        assert_eq!(draw(client).await.unwrap(), held, "{}", database.name);
        replica.stop().await;
    }
}

/// A replica without the address waits for the others, and one whose address is of another chain too.
#[tokio::test(flavor = "multi_thread")]
async fn a_replica_without_a_relay_of_the_chain_draws_nothing() {
    for database in databases().await {
        let clock = Clock::manual(START);
        let told = Told::new(Mood::Tells);
        let other = Told { drand: Drand::new(3, 2, 0), ..told.clone() };
        let first = Replica::with_relay(&database.config, policy(), &clock, Some(told.relay(&clock))).await;
        update(&first.client, by_lot(OPENS)).await;
        let round = draw(&first.client).await.unwrap().beacon_round;
        let token = join(&first.client, "a").await.unwrap().token;
        first.stop().await;
        let without = Replica::start(&database.config, policy(), &clock).await;
        let another =
            Replica::with_relay(&database.config, policy(), &clock, Some(other.relay(&clock))).await;
        clock.advance(3_700 * SECOND);
        entered(&without.client).await;
        pause(std::time::Duration::from_millis(300)).await;
        for client in [&without.client, &another.client] {
            assert!(draw(client).await.unwrap().secret.is_empty(), "{}", database.name);
        }
        let last = Replica::with_relay(&database.config, policy(), &clock, Some(told.relay(&clock))).await;
        until_open(&without.client).await;
        checked(&without.client, &told, Some(round), &[token]).await;
        for replica in [without, another, last] {
            replica.stop().await;
        }
    }
}

/// An older program knows no beacons and would draw without at the instant. It writes these columns then.
#[tokio::test(flavor = "multi_thread")]
async fn the_database_refuses_the_draw_of_a_program_that_knows_no_beacons() {
    for database in databases().await {
        let clock = Clock::manual(START);
        let told = Told::new(Mood::Tells);
        let replica = Replica::with_relay(&database.config, policy(), &clock, Some(told.relay(&clock))).await;
        update(&replica.client, by_lot(OPENS)).await;
        replica.stop().await;
        let db = Db::open(&database.config, &queue_svc::store::migrations()).await.unwrap();
        let write = async || {
            let mut session = db.begin().await.unwrap();
            let held = "UPDATE queue SET drawn_after = 0, drawn = 1, last_ticket = 1, version = version + 1";
            session.execute(held, args![]).await.map(drop)
        };
        let refused = write().await.unwrap_err().to_string();
        assert!(refused.contains("queue_beacon_not_ignored"), "{}: {refused}", database.name);
        // It may take the draw back before anybody registers, and then nothing of the beacon is left.
        let mut session = db.begin().await.unwrap();
        let back =
            "UPDATE queue SET opening = 1, draw_secret = NULL, token_key = NULL, version = version + 1";
        session.execute(back, args![]).await.unwrap();
        session.commit().await.unwrap();
        write().await.unwrap();
        db.close().await.unwrap();
    }
}
