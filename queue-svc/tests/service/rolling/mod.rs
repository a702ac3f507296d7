//! Programs of release 0.1 beside this one, as while an update rolls: the statements that they send to the
//! newer tables, without the columns that came since. Everybody stands in one line, whoever let them in, and
//! what an opening has become stays.

mod earlier;

use std::collections::BTreeSet;

use boxoffice_proto::queue as pb;
use chassis::{clock::Clock, db::DbConfig, testing::databases};
use futures::future::join_all;
use pb::TokenStatus::{Active, Completed, Registered, Waiting};
use prost_types::Timestamp;
use queue_svc::Policy;

use self::earlier::{Earlier, HOUR, MAX_ACTIVE, MINUTE, QUEUE, WAITING_GRACE};
use crate::{
    drawing::{draw, drawn},
    harness::{
        Client, Replica, SECOND, START, complete, events, eventually, get, join, join_as, policy, queue,
        update, verify,
    },
};

/// Waits until a replica tells these statuses and positions.
async fn told(client: &Client, name: &str, expected: &[(&str, pb::TokenStatus, i64)]) {
    for (token, status, position) in expected {
        eventually(&format!("{name}: {token} is {status:?}, number {position}"), || async {
            let now = get(client, token).await.ok()?;
            ((now.status(), now.position) == (*status, *position)).then_some(())
        })
        .await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_joins_through_an_earlier_program_stands_in_the_one_line_with_everybody_else() {
    for database in databases().await {
        let (clock, name) = (Clock::manual(START), database.name);
        let one = Replica::start(&database.config, policy(), &clock).await;
        let other = Replica::start(&database.config, policy(), &clock).await;
        let earlier = Earlier::beside(&database.config, &clock).await;
        let ann = join(&one.client, "ann").await.unwrap();
        let bob = earlier.join("bob").await;
        let cid = join(&other.client, "cid").await.unwrap();
        let dan = earlier.join("dan").await;
        let eve = join(&one.client, "eve").await.unwrap();
        let tickets = [ann.ticket, bob.ticket, cid.ticket, dan.ticket, eve.ticket];
        assert_eq!(tickets, [1, 2, 3, 4, 5], "{name}");
        let [bob, dan] = [bob, dan].map(|place| place.token.to_string());
        let all = [ann.token.as_str(), bob.as_str(), cid.token.as_str(), dan.as_str(), eve.token.as_str()];
        let told_by_all = async |expected: [(pb::TokenStatus, i64); 5]| {
            let expected: Vec<_> =
                all.into_iter().zip(expected).map(|(token, (status, at))| (token, status, at)).collect();
            told(&one.client, name, &expected).await;
            told(&other.client, name, &expected).await;
        };
        told_by_all([(Active, 0), (Active, 0), (Waiting, 1), (Waiting, 2), (Waiting, 3)]).await;
        // Whoever comes again has their place, wherever they ask.
        assert_eq!(join(&other.client, "dan").await.unwrap().token, dan, "{name}");
        assert_eq!(earlier.join("eve").await.token.to_string(), eve.token, "{name}");
        // One ends what the other began, and the next enters in the same transaction.
        earlier.complete(&ann.token).await;
        assert!(verify(&other.client, &cid.token, QUEUE, "cid", false).await.is_ok(), "{name}");
        complete(&one.client, &bob, "").await.unwrap();
        told_by_all([(Completed, 0), (Completed, 0), (Active, 0), (Active, 0), (Waiting, 1)]).await;
        assert_eq!(earlier.follow(0).await, [(1, 3), (2, 3), (3, 2), (4, 2), (5, 1)], "{name}");
        // A knob that it turns.
        earlier.batch(|head, _| head.policy[MAX_ACTIVE] = 3).await;
        told_by_all([(Completed, 0), (Completed, 0), (Active, 0), (Active, 0), (Active, 0)]).await;
        assert_eq!(queue(&one.client).await.policy.unwrap().max_active, Some(3), "{name}");
        let third = Replica::start(&database.config, policy(), &clock).await;
        told(&third.client, name, &[(&dan, Active, 0), (&eve.token, Active, 0)]).await;
        for replica in [one, other, third] {
            replica.stop().await;
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn however_many_come_at_once_to_both_programs_each_has_one_number_and_nobody_another_one() {
    for database in databases().await {
        let (clock, name) = (Clock::manual(START), database.name);
        let one = Replica::start(&database.config, Policy { max_active: 10, ..policy() }, &clock).await;
        let other = Replica::start(&database.config, Policy { max_active: 10, ..policy() }, &clock).await;
        let earlier = Earlier::beside(&database.config, &clock).await;
        let joins = (0..90).map(|nth: usize| {
            let (earlier, clients) = (earlier.clone(), [one.client.clone(), other.client.clone()]);
            tokio::spawn(async move {
                // Some come twice, to both programs at once.
                let user = format!("user-{}", nth % 64);
                match clients.get(nth % 3) {
                    Some(client) => {
                        let token = join(client, &user).await.unwrap();
                        (user, token.token, token.ticket)
                    }
                    None => {
                        let place = earlier.join(&user).await;
                        (user, place.token.to_string(), place.ticket)
                    }
                }
            })
        });
        let all: BTreeSet<_> = join_all(joins).await.into_iter().map(Result::unwrap).collect();
        let users: BTreeSet<_> = all.iter().map(|(user, ..)| user).collect();
        assert_eq!((all.len(), users.len()), (64, 64), "{name}: one place a user");
        let tickets: BTreeSet<_> = all.iter().map(|(.., ticket)| *ticket).collect();
        assert_eq!(tickets, (1..=64).collect(), "{name}: no gap, and none twice");
        for client in [&one.client, &other.client] {
            for (_, token, ticket) in &all {
                let expected = if *ticket <= 10 { (Active, 0) } else { (Waiting, ticket - 10) };
                told(client, name, &[(token, expected.0, expected.1)]).await;
            }
        }
        for replica in [one, other] {
            replica.stop().await;
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_request_that_one_program_has_answered_the_other_answers_alike() {
    for database in databases().await {
        let (clock, name) = (Clock::manual(START), database.name);
        let replica = Replica::start(&database.config, policy(), &clock).await;
        let earlier = Earlier::beside(&database.config, &clock).await;
        let ann = earlier.join("ann").await;
        earlier.record("request-1", "ann", ann.token).await;
        earlier.complete(&ann.token.to_string()).await;
        // It is answered with the token of then, not with a new one.
        let again = join_as(&replica.client, "ann", None, "request-1").await.unwrap();
        let told = again.token.unwrap();
        assert_eq!((told.token.clone(), told.status()), (ann.token.to_string(), Completed), "{name}");
        let bob = join_as(&replica.client, "bob", None, "request-2").await.unwrap().token.unwrap();
        assert_eq!(earlier.recall("request-2", "bob").await, bob.token, "{name}");
        replica.stop().await;
    }
}

/// A line that opens an hour later. It is paused, as the manual says: an earlier program lets in whoever
/// waits.
fn opening(how: pb::Opening, at: i64) -> pb::QueuePolicy {
    let message = pb::QueueMessage { ko: "곧".to_owned(), en: "Soon".to_owned() };
    pb::QueuePolicy {
        paused: Some(true),
        opens_at: Some(Timestamp { seconds: at / SECOND, nanos: 0 }),
        opening: how.into(),
        message: Some(message),
        ..pb::QueuePolicy::default()
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_opening_is_what_it_was_whatever_an_earlier_program_writes_before_and_after_it() {
    for how in [pb::Opening::Fifo, pb::Opening::Draw] {
        for database in databases().await {
            an_opening_is_untouched(how, &database.config, database.name).await;
        }
    }
}

async fn an_opening_is_untouched(how: pb::Opening, database: &DbConfig, name: &str) {
    let clock = Clock::manual(START);
    let one = Replica::start(database, policy(), &clock).await;
    let client = &one.client;
    let by_lot = how == pb::Opening::Draw;
    let set = update(client, opening(how, START + HOUR)).await.policy.unwrap();
    let commitment = async || draw(client).await.map(|draw| draw.commitment).unwrap_or_default();
    let committed = commitment().await;
    assert_eq!(committed.len(), if by_lot { 32 } else { 0 }, "{name}");
    let earlier = Earlier::beside(database, &clock).await;
    let ann = join(client, "ann").await.unwrap().token;
    let bob = earlier.join("bob").await.token.to_string();
    let cid = join(client, "cid").await.unwrap().token;
    earlier.hear(&ann).await;
    earlier.batch(|head, _| head.policy[WAITING_GRACE] = 20 * MINUTE).await;
    for token in [&ann, &bob, &cid] {
        eventually("who came through the earlier program is registered, too", || async {
            let now = get(client, token).await.ok()?;
            (now.status() == Registered && now.opens_at == set.opens_at).then_some(())
        })
        .await;
    }
    let grace = Some(prost_types::Duration { seconds: 1_200, nanos: 0 });
    let now = eventually("the knob is turned", || async {
        let now = queue(client).await;
        (now.policy.as_ref()?.waiting_grace == grace).then_some(now)
    })
    .await;
    assert_eq!(now.registered, 3, "{name}");
    assert_eq!(now.policy.unwrap(), pb::QueuePolicy { waiting_grace: grace, ..set.clone() }, "{name}");
    assert_eq!(commitment().await, committed, "{name}");

    clock.advance(HOUR);
    let numbered = async |client: &Client| {
        let mut numbers = Vec::new();
        for token in [&ann, &bob, &cid] {
            let now = get(client, token).await.unwrap();
            assert_eq!(now.status(), Waiting, "{name}");
            if by_lot {
                let told = drawn(client, token).await.unwrap();
                assert_eq!((told.number, told.of), (now.position, 3), "{name}");
            }
            numbers.push((now.position, now.ticket));
        }
        numbers
    };
    eventually("it is open", || async { (queue(client).await.registered == 0).then_some(()) }).await;
    let numbers = numbered(client).await;
    let places: BTreeSet<_> = numbers.iter().map(|(place, _)| *place).collect();
    assert_eq!(places, BTreeSet::from([1, 2, 3]), "{name}");
    assert!(by_lot || numbers.is_sorted(), "{name}: in the order of coming, to whichever program");
    let opened = events(client, &[]).await;
    let announced: Vec<_> = opened.iter().map(|event| (event.opening(), event.registered)).collect();
    assert_eq!(announced, [(how, 3)], "{name}");

    // It goes on writing rows. Those of who took part in a draw it knows by the tickets of their coming, so
    // it must not be there while they wait: see "Updating to openings" in the README.
    let was = draw(client).await.ok();
    let dan = earlier.join("dan").await;
    assert!(numbers.iter().all(|(_, ticket)| *ticket < dan.ticket), "{name}: {dan:?} after {numbers:?}");
    earlier.hear(&dan.token.to_string()).await;
    if !by_lot {
        earlier.hear(&cid).await;
        earlier.hear(&bob).await;
    }
    let two = Replica::start(database, policy(), &clock).await;
    for client in [client, &two.client] {
        told(client, name, &[(&dan.token.to_string(), Waiting, 4)]).await;
        assert_eq!(numbered(client).await, numbers, "{name}");
        assert_eq!(draw(client).await.ok(), was, "{name}");
    }
    // Once the last of them has gone, people are let in, in the order that was told.
    update(client, pb::QueuePolicy { paused: Some(false), ..pb::QueuePolicy::default() }).await;
    for (token, (place, _)) in [&ann, &bob, &cid].into_iter().zip(&numbers) {
        let now = get(client, token).await.unwrap();
        assert_eq!(now.status() == Active, *place <= 2, "{name}: number {place}");
    }
    one.stop().await;
    two.stop().await;
}
