//! An opening by lot as its callers see it: at two replicas, over restarts, and what it refuses.

use boxoffice_proto::{Reason, queue as pb, time::timestamp};
use chassis::{clock::Clock, testing::databases};
use pb::TokenStatus::{Active, Registered, Waiting};
use queue_svc::Policy;
use tonic::Status;

use crate::harness::{
    Client, Replica, SECOND, START, events, eventually, get, join, join_as, leave, policy, queue, reason,
    update,
};

pub(crate) const OPENS: i64 = START + 3_600 * SECOND;

pub(crate) fn by_lot(at: i64) -> pb::QueuePolicy {
    pb::QueuePolicy {
        opens_at: Some(timestamp(at)),
        opening: pb::Opening::Draw.into(),
        ..pb::QueuePolicy::default()
    }
}

pub(crate) async fn draw(client: &Client) -> Result<pb::Draw, Status> {
    let request = pb::GetDrawRequest::default();
    Ok(client.clone().get_draw(request).await?.into_inner().draw.unwrap())
}

pub(crate) async fn drawn(client: &Client, token: &str) -> Result<pb::TokenDraw, Status> {
    let request = pb::GetTokenDrawRequest { token: token.to_owned() };
    Ok(client.clone().get_token_draw(request).await?.into_inner().token_draw.unwrap())
}

/// What a replica tells of a token: its number, place and ticket.
async fn told(client: &Client, token: &str) -> (i64, i64, i64) {
    let (drawn, token) = (drawn(client, token).await.unwrap(), get(client, token).await.unwrap());
    (drawn.number, token.position, token.ticket)
}

pub(crate) async fn until_open(client: &Client) {
    eventually("it is open", || async {
        (queue(client).await.registered == 0 && !draw(client).await.unwrap().secret.is_empty()).then_some(())
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn who_registers_again_is_in_the_lane_that_was_asked_for_then_at_every_replica() {
    for database in databases().await {
        let clock = Clock::manual(START);
        let one = Replica::start(&database.config, policy(), &clock).await;
        let other = Replica::start(&database.config, policy(), &clock).await;
        update(&one.client, by_lot(OPENS)).await;
        let first = join_as(&one.client, "ann", Some(0), "").await.unwrap().token.unwrap();
        leave(&one.client, &first.token, "").await.unwrap();
        let again = join_as(&one.client, "ann", Some(7), "").await.unwrap().token.unwrap();
        assert_eq!((&again.token, again.priority), (&first.token, 7), "{}", database.name);
        eventually("the other replica has heard of it", || async {
            let token = get(&other.client, &again.token).await.ok()?;
            (token.status() == Registered && token.priority == 7).then_some(())
        })
        .await;
        let third = Replica::start(&database.config, policy(), &clock).await;
        assert_eq!(get(&third.client, &again.token).await.unwrap().priority, 7, "{}", database.name);
        for replica in [one, other, third] {
            replica.stop().await;
        }
    }
}

/// Tags are short. These two names have the same.
#[tokio::test(flavor = "multi_thread")]
async fn who_registers_again_is_found_live_where_two_queues_share_a_tag() {
    const NAMES: [&str; 2] = ["show-5", "show-172"];
    for database in databases().await {
        let replica = Replica::start(&database.config, policy(), &Clock::manual(START)).await;
        for queue_id in NAMES {
            let queue_id = queue_id.to_owned();
            let request =
                pb::CreateQueueRequest { queue_id, policy: Some(by_lot(OPENS)), ..Default::default() };
            replica.client.clone().create_queue(request).await.unwrap();
        }
        for queue_id in NAMES {
            let join = async || {
                let request = pb::IssueTokenRequest {
                    queue_id: queue_id.to_owned(),
                    user_id: "ann".to_owned(),
                    ..Default::default()
                };
                replica.client.clone().issue_token(request).await.unwrap().into_inner().token.unwrap()
            };
            let first = join().await;
            leave(&replica.client, &first.token, "").await.unwrap();
            assert_eq!(join().await.token, first.token);
            let told = get(&replica.client, &first.token).await.unwrap();
            assert_eq!((told.status(), told.queue_id.as_str()), (Registered, queue_id), "{}", database.name);
        }
        replica.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn two_replicas_and_one_that_starts_later_tell_the_same_numbers() {
    for database in databases().await {
        let (clock, slower) = (Clock::manual(START), Clock::manual(START - SECOND));
        let policy = Policy { max_active: 0, ..policy() };
        let one = Replica::start(&database.config, policy.clone(), &clock).await;
        let other = Replica::start(&database.config, policy.clone(), &slower).await;
        update(&one.client, by_lot(OPENS)).await;
        eventually("the other replica has heard of it", || async {
            draw(&other.client).await.ok().filter(|draw| draw.registered == 0).map(drop)
        })
        .await;
        let before = draw(&one.client).await.unwrap();
        assert_eq!((before.commitment.len(), before.algorithm.as_str()), (32, "boxoffice-draw-1"));
        assert!(before.secret.is_empty() && before.root.is_empty() && before.seed.is_empty());
        let mut tokens = Vec::new();
        for number in 0..40 {
            let at = if number % 2 == 0 { &one.client } else { &other.client };
            let token = join(at, &format!("user-{number}")).await.unwrap();
            assert_eq!((token.status(), token.position), (Registered, 0), "{}", database.name);
            assert_eq!(reason(drawn(at, &token.token).await), Reason::FailedPrecondition);
            tokens.push(token.token);
        }
        // Leaving and registering again changes nothing, at either replica.
        leave(&other.client, &tokens[3], "").await.unwrap();
        assert_eq!(join(&one.client, "user-3").await.unwrap().token, tokens[3]);

        clock.advance(3_600 * SECOND);
        slower.advance(3_600 * SECOND);
        until_open(&one.client).await;
        until_open(&other.client).await;
        let held = draw(&one.client).await.unwrap();
        assert_eq!((held.registered, &held.commitment), (40, &before.commitment), "{}", database.name);
        assert_eq!(held, draw(&other.client).await.unwrap());
        let opened = events(&other.client, &[]).await;
        assert_eq!(
            opened.iter().map(|one| (one.opening(), one.registered)).collect::<Vec<_>>(),
            [(pb::Opening::Draw, 40)]
        );
        let late = join(&other.client, "late").await.unwrap();
        assert_eq!((late.status(), late.position), (Waiting, 41), "{}", database.name);
        assert_eq!(reason(drawn(&one.client, &late.token).await), Reason::NotFound);
        let third = Replica::start(&database.config, policy, &clock).await;
        assert_eq!(draw(&third.client).await.unwrap(), held, "{}", database.name);
        let mut numbers = Vec::new();
        for token in &tokens {
            let here = told(&one.client, token).await;
            assert_eq!((here.0, here.2), (here.1, late.ticket - 41 + here.0), "{}", database.name);
            assert_eq!(told(&other.client, token).await, here, "{}", database.name);
            assert_eq!(told(&third.client, token).await, here, "{}", database.name);
            numbers.push(here.0);
        }
        assert!(!numbers.is_sorted(), "not the order of coming");
        numbers.sort_unstable();
        assert_eq!(numbers, (1..=40).collect::<Vec<_>>(), "each number once");
        // Who is admitted, and who has ended, keeps the number that was told.
        update(&third.client, pb::QueuePolicy { max_active: Some(5), ..pb::QueuePolicy::default() }).await;
        for token in &tokens {
            // In the very transaction that changed the policy.
            let number = drawn(&third.client, token).await.unwrap().number;
            let now = get(&third.client, token).await.unwrap();
            assert_eq!(now.status() == Active, number <= 5, "{}: number {number}", database.name);
        }
        leave(&third.client, &tokens[0], "").await.unwrap();
        let number = drawn(&third.client, &tokens[0]).await.unwrap().number;
        eventually("the others have heard of it", || async {
            (get(&one.client, &tokens[0]).await.unwrap().status() == pb::TokenStatus::Left).then_some(())
        })
        .await;
        assert_eq!(drawn(&one.client, &tokens[0]).await.unwrap().number, number);
        for replica in [one, other, third] {
            replica.stop().await;
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_draw_that_was_due_while_nobody_ran_is_held_at_the_start() {
    for database in databases().await {
        let clock = Clock::manual(START);
        let replica = Replica::start(&database.config, policy(), &clock).await;
        update(&replica.client, by_lot(OPENS)).await;
        let commitment = draw(&replica.client).await.unwrap().commitment;
        let token = join(&replica.client, "a").await.unwrap().token;
        replica.stop().await;
        clock.advance(7_200 * SECOND);
        let replica = Replica::start(&database.config, policy(), &clock).await;
        until_open(&replica.client).await;
        assert_eq!(draw(&replica.client).await.unwrap().commitment, commitment, "{}", database.name);
        assert_eq!(drawn(&replica.client, &token).await.unwrap().number, 1, "{}", database.name);
        eventually("they are admitted", || async {
            (get(&replica.client, &token).await.unwrap().status() == Active).then_some(())
        })
        .await;
        replica.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_draw_refuses() {
    for database in databases().await {
        let clock = Clock::manual(START);
        let replica = Replica::start(&database.config, policy(), &clock).await;
        let client = &replica.client;
        let change = |policy: pb::QueuePolicy| {
            let request =
                pb::UpdateQueueRequest { policy: Some(policy), ..pb::UpdateQueueRequest::default() };
            let mut client = client.clone();
            async move { client.update_queue(request).await.map(drop) }
        };
        assert_eq!(reason(draw(client).await), Reason::NotFound, "{}", database.name);
        let no_instant = pb::QueuePolicy { opens_at: None, ..by_lot(0) };
        assert_eq!(reason(change(no_instant.clone()).await), Reason::InvalidArgument);
        let request = pb::CreateQueueRequest {
            queue_id: "new".to_owned(),
            policy: Some(no_instant),
            ..pb::CreateQueueRequest::default()
        };
        assert_eq!(reason(client.clone().create_queue(request).await), Reason::InvalidArgument);
        let unknown = pb::QueuePolicy { opening: 9, ..by_lot(OPENS) };
        assert_eq!(reason(change(unknown).await), Reason::InvalidArgument);
        change(by_lot(OPENS)).await.unwrap();
        change(by_lot(OPENS + SECOND)).await.unwrap();
        join(client, "a").await.unwrap();
        let fifo = pb::QueuePolicy { opening: pb::Opening::Fifo.into(), ..pb::QueuePolicy::default() };
        assert_eq!(reason(change(fifo).await), Reason::FailedPrecondition, "{}", database.name);
        assert_eq!(reason(change(by_lot(OPENS)).await), Reason::FailedPrecondition);
        change(by_lot(OPENS + SECOND)).await.unwrap();
        let stranger = "00000000-0000-4000-8000-000000000000";
        assert_eq!(reason(drawn(client, stranger).await), Reason::TokenNotFound);
        replica.stop().await;
    }
}
