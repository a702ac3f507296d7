//! Every reason of the service, with its gRPC code, through the wire.

use std::collections::BTreeSet;

use boxoffice_proto::{Fault, Reason, queue as pb};
use chassis::{clock::Clock, db::Db, testing::databases};

use crate::harness::{Replica, complete, get, join, join_as, leave, policy, queue, reason, verify};

const NOBODY: &str = "00000000-0000-4000-8000-000000000000";

#[tokio::test(flavor = "multi_thread")]
async fn a_full_line_says_when_to_come_again() {
    for database in databases().await {
        let small = queue_svc::Policy { max_active: 1, max_waiting: 2, ..policy() };
        let replica = Replica::start(&database.config, small, &Clock::system()).await;
        for user in ["a", "b", "c"] {
            join(&replica.client, user).await.unwrap();
        }
        let refused = join(&replica.client, "d").await.unwrap_err();
        let fault = Fault::from(&refused);
        assert_eq!(
            (fault.reason, refused.code()),
            (Reason::QueueFull, tonic::Code::ResourceExhausted),
            "{}",
            database.name
        );
        let after = fault.retry_after.unwrap().as_secs();
        assert!((1..=60).contains(&after), "{after}");
        assert!(join(&replica.client, "b").await.is_ok(), "who is in line already is not refused");
        assert_eq!(queue(&replica.client).await.waiting, 2);
        replica.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_that_does_not_admit_says_why() {
    for database in databases().await {
        let replica = Replica::start(
            &database.config,
            queue_svc::Policy { max_active: 1, ..policy() },
            &Clock::system(),
        )
        .await;
        let client = &replica.client;
        let active = join(client, "a").await.unwrap().token;
        let waiting = join(client, "b").await.unwrap().token;
        assert_eq!(
            reason(verify(client, NOBODY, "", "", false).await),
            Reason::TokenNotFound,
            "{}",
            database.name
        );
        assert_eq!(reason(verify(client, &waiting, "", "", false).await), Reason::TokenNotActive);
        assert_eq!(reason(verify(client, &active, "default", "b", false).await), Reason::TokenWrongUser);
        assert_eq!(reason(verify(client, &active, "rock", "a", false).await), Reason::TokenWrongQueue);
        assert_eq!(reason(complete(client, &waiting, "").await), Reason::TokenNotActive);
        assert_eq!(reason(complete(client, NOBODY, "").await), Reason::TokenNotFound);
        assert_eq!(reason(leave(client, NOBODY, "").await), Reason::TokenNotFound);
        assert_eq!(reason(get(client, NOBODY).await), Reason::TokenNotFound);
        for fresh in [false, true] {
            assert!(verify(client, &active, "default", "a", fresh).await.is_ok());
        }
        leave(client, &active, "").await.unwrap();
        let told = Fault::from(&complete(client, &active, "").await.unwrap_err());
        assert_eq!((told.reason, told.metadata["status"].as_str()), (Reason::TokenNotActive, "LEFT"));
        assert_eq!(reason(verify(client, &active, "default", "a", false).await), Reason::TokenNotActive);
        assert_eq!(reason(verify(client, &active, "default", "b", false).await), Reason::TokenWrongUser);
        replica.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_request_id_belongs_to_one_request_of_one_user() {
    for database in databases().await {
        let replica = Replica::start(&database.config, policy(), &Clock::system()).await;
        let client = &replica.client;
        let ann = join_as(client, "ann", None, "r-1").await.unwrap().token.unwrap().token;
        assert_eq!(
            reason(join_as(client, "ann", Some(1), "r-1").await),
            Reason::RequestIdReused,
            "{}",
            database.name
        );
        assert_eq!(get(client, &ann).await.unwrap().status(), pb::TokenStatus::Active, "nothing was changed");

        // Everybody else's, and every other method's, is another one: also of those who come at the same
        // moment.
        let users = ["bob", "cid", "dan"];
        let joined = futures::future::join_all(users.map(|user| join_as(client, user, None, "r-1"))).await;
        let tokens: Vec<_> = joined.into_iter().map(|joined| joined.unwrap().token.unwrap().token).collect();
        for (user, token) in users.into_iter().zip(&tokens) {
            assert_eq!(join_as(client, user, None, "r-1").await.unwrap().token.unwrap().token, *token);
        }
        let create = |max_active| pb::CreateQueueRequest {
            queue_id: "rock".to_owned(),
            policy: Some(pb::QueuePolicy { max_active: Some(max_active), ..Default::default() }),
            request_id: "r-1".to_owned(),
        };
        client.clone().create_queue(create(1)).await.unwrap();
        assert_eq!(reason(client.clone().create_queue(create(2)).await), Reason::RequestIdReused);
        for token in [&ann, &tokens[0]] {
            assert_eq!(leave(client, token, "r-1").await.unwrap().status(), pb::TokenStatus::Left);
        }
        replica.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn nonsense_is_refused_field_by_field() {
    for database in databases().await {
        let replica = Replica::start(&database.config, policy(), &Clock::system()).await;
        let mut client = replica.client.clone();
        let request = pb::IssueTokenRequest {
            queue_id: "a b".to_owned(),
            user_id: String::new(),
            priority: Some(10),
            request_id: "\u{7f}".to_owned(),
        };
        let fault = Fault::from(&client.issue_token(request).await.unwrap_err());
        let fields: Vec<_> = fault.violations.iter().map(|violation| violation.field.as_str()).collect();
        assert_eq!(fields, ["queue_id", "user_id", "priority", "request_id"], "{}", database.name);
        let nope = pb::IssueTokenRequest {
            queue_id: "nope".to_owned(),
            user_id: "ann".to_owned(),
            ..Default::default()
        };
        assert_eq!(reason(client.issue_token(nope).await), Reason::QueueNotFound);
        let patch = pb::QueuePolicy {
            max_active: Some(-1),
            active_ttl: Some(prost_types::Duration { seconds: 0, nanos: 5 }),
            on_expiry: 9,
            ..Default::default()
        };
        let update = pb::UpdateQueueRequest { policy: Some(patch), ..Default::default() };
        let fault = Fault::from(&client.update_queue(update).await.unwrap_err());
        let fields: BTreeSet<_> = fault.violations.iter().map(|violation| violation.field.as_str()).collect();
        assert_eq!(fields, BTreeSet::from(["policy.max_active", "policy.active_ttl", "policy.on_expiry"]));
        let nope = pb::UpdateQueueRequest { queue_id: "nope".to_owned(), ..Default::default() };
        assert_eq!(reason(client.update_queue(nope).await), Reason::QueueNotFound);
        assert_eq!(
            reason(client.get_queue(pb::GetQueueRequest { queue_id: "nope".to_owned() }).await),
            Reason::QueueNotFound
        );
        assert_eq!(
            reason(client.create_queue(pb::CreateQueueRequest::default()).await),
            Reason::InvalidArgument
        );
        let other = pb::CreateQueueRequest { queue_id: "default".to_owned(), ..Default::default() };
        assert_eq!(reason(client.create_queue(other).await), Reason::InvalidArgument);
        assert_eq!(reason(get(&client, "").await), Reason::InvalidArgument);
        let many = |tokens: Vec<&str>| pb::BatchGetTokensRequest {
            tokens: tokens.into_iter().map(str::to_owned).collect(),
        };
        assert_eq!(reason(client.batch_get_tokens(many(vec![NOBODY; 1_001])).await), Reason::InvalidArgument);
        let fault = Fault::from(&client.batch_get_tokens(many(vec![NOBODY, "x"])).await.unwrap_err());
        assert_eq!(fault.violations[0].field, "tokens[1]");
        for (page_size, page_token) in [(-1, ""), (1, "rubbish")] {
            let request = pb::ListQueuesRequest { page_size, page_token: page_token.to_owned() };
            assert_eq!(reason(client.list_queues(request).await), Reason::InvalidArgument);
        }
        replica.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_write_that_fails_leaves_memory_as_the_database_is() {
    for database in databases().await {
        let replica = Replica::start(&database.config, policy(), &Clock::system()).await;
        let client = &replica.client;
        let first = join(client, "a").await.unwrap();
        let db = Db::open(&database.config, &queue_svc::store::migrations()).await.unwrap();
        let execute = async |statement: &'static str| {
            let mut session = db.begin().await.unwrap();
            session.execute(statement, vec![]).await.unwrap();
            session.commit().await.unwrap();
        };
        execute("ALTER TABLE token RENAME TO token_away").await;
        assert_eq!(reason(join(client, "b").await), Reason::Internal, "{}", database.name);
        assert_eq!(reason(complete(client, &first.token, "").await), Reason::Internal);
        assert_eq!((queue(client).await.active, queue(client).await.waiting), (1, 0));
        execute("ALTER TABLE token_away RENAME TO token").await;
        assert_eq!(
            get(client, &first.token).await.unwrap(),
            pb::Token { poll_after: get(client, &first.token).await.unwrap().poll_after, ..first }
        );
        assert_eq!(join(client, "b").await.unwrap().ticket, 2, "the failed attempt used no ticket");
        replica.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_database_that_disagrees_with_memory_is_right() {
    for database in databases().await {
        let replica = Replica::start(&database.config, policy(), &Clock::system()).await;
        let client = &replica.client;
        let db = Db::open(&database.config, &queue_svc::store::migrations()).await.unwrap();
        let execute = async |statement: &'static str| {
            let mut session = db.begin().await.unwrap();
            session.execute(statement, vec![]).await.unwrap();
            session.commit().await.unwrap();
        };
        let [first, second] = [join(client, "a").await.unwrap(), join(client, "b").await.unwrap()];
        // A standby took over that had not yet heard of the last commit.
        execute("DELETE FROM token WHERE ticket = 2").await;
        execute("UPDATE queue SET version = version - 1, last_ticket = 1, serving_ticket = 1").await;
        let third = join(client, "c").await.unwrap();
        assert_eq!((third.ticket, third.status()), (2, pb::TokenStatus::Active), "{}", database.name);
        assert_eq!(reason(get(client, &second.token).await), Reason::TokenNotFound);
        assert_eq!(get(client, &first.token).await.unwrap().status(), pb::TokenStatus::Active);
        // Somebody wrote a row past the queue's version: the unique index tells, and memory is read anew.
        execute("UPDATE token SET user_id = 'd' WHERE ticket = 2").await;
        let fourth = join_as(client, "d", None, "").await.unwrap();
        assert!(!fourth.created);
        assert_eq!(fourth.token.unwrap().token, third.token);
        replica.stop().await;
    }
}
