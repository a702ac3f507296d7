//! What is forgotten of the queue, and what never is.

use boxoffice_proto::Reason;
use boxoffice_proto::queue as pb;
use chassis::{clock::Clock, db::Db, prune, testing::databases};
use pb::TokenStatus::{Active, Left};
use queue_svc::{Config, Policy};

use crate::harness::{Replica, SECOND, START, get, join, join_as, leave, policy, queue, reason};

const DAY: i64 = 24 * 3_600 * SECOND;

#[tokio::test(flavor = "multi_thread")]
async fn tokens_that_ended_long_ago_are_forgotten_by_every_replica_and_the_line_goes_on() {
    for database in databases().await {
        let clock = Clock::manual(START);
        // Nobody leaves for a silence, so that the long time between does nothing else.
        let policy = Policy {
            waiting_grace: std::time::Duration::ZERO,
            show_up_within: std::time::Duration::ZERO,
            ..policy()
        };
        let [one, other] = [
            Replica::start(&database.config, policy.clone(), &clock).await,
            Replica::start(&database.config, policy.clone(), &clock).await,
        ];
        let (requests, retention) = Default::default();
        let old = Config {
            database: database.config.clone(),
            policy: policy.clone(),
            relay: None,
            requests,
            retention,
            doors: access::Doors::open(),
        }
        .old();
        let db = Db::open(&database.config, &queue_svc::store::migrations()).await.unwrap();
        let rows = async |sql: &'static str| -> i64 {
            db.read().await.unwrap().one(sql, vec![]).await.unwrap().get("n").unwrap()
        };

        let ended = join_as(&one.client, "ann", None, "ann-joins").await.unwrap().token.unwrap();
        leave(&one.client, &ended.token, "").await.unwrap();
        // Valid for a day, perhaps admitted at its last moment, and thirty days from then on.
        clock.advance(32 * DAY);
        let young = join(&one.client, "bob").await.unwrap();
        leave(&one.client, &young.token, "").await.unwrap();
        let live = join(&one.client, "cid").await.unwrap();
        prune::round(&db, &clock, &old).await;
        assert_eq!(
            rows("SELECT count(*) AS n FROM request").await,
            0,
            "a request is remembered for a week ({})",
            database.name
        );
        for replica in [&one, &other] {
            assert_eq!(get(&replica.client, &ended.token).await.unwrap().status(), Left);
        }
        clock.advance(1);
        prune::round(&db, &clock, &old).await;
        assert_eq!(rows("SELECT count(*) AS n FROM token").await, 2);
        for replica in [&one, &other] {
            assert_eq!(
                reason(get(&replica.client, &ended.token).await),
                Reason::TokenNotFound,
                "in memory too"
            );
            assert_eq!(reason(leave(&replica.client, &ended.token, "").await), Reason::TokenNotFound);
            assert_eq!(get(&replica.client, &young.token).await.unwrap().status(), Left);
            assert_eq!(get(&replica.client, &live.token).await.unwrap().status(), Active);
        }
        let anew = join_as(&other.client, "ann", None, "ann-joins").await.unwrap();
        assert!(anew.created, "the id is free again");
        assert_eq!(anew.token.unwrap().ticket, 4, "no ticket is given twice");
        other.stop().await;
        one.stop().await;
        let again = Replica::start(&database.config, policy, &clock).await;
        assert_eq!(queue(&again.client).await.active, 2);
        assert_eq!(get(&again.client, &live.token).await.unwrap().ticket, live.ticket);
        again.stop().await;
    }
}
