//! What a request costs does not grow with what is there.

use std::time::Duration;

use booking_svc::{Policy, app::App, store};
use chassis::{
    args,
    db::{Db, Dialect},
    testing::patience::timeout,
};

use crate::world::{World, hold, worlds};

const HOLDS: i32 = 800;

/// How many rows of holds were written and read in this database, as far as its sessions have told.
async fn written_and_read(world: &World) -> (i64, i64) {
    let sql = "SELECT n_tup_ins AS written, CAST(seq_tup_read + idx_tup_fetch AS BIGINT) AS read
               FROM pg_stat_user_tables WHERE relname = 'hold'";
    let row = world.db.read().await.unwrap().one(sql, args![]).await.unwrap();
    (row.get("written").unwrap(), row.get("read").unwrap())
}

/// PostgreSQL keeps the plan of a statement that it made while the table was small until it has statistics,
/// which is not before a minute. A sale is over then.
#[tokio::test]
async fn a_hold_reads_the_holds_of_its_user_and_no_others_though_there_are_no_statistics() {
    for world in worlds().await {
        if world.db.dialect() != Dialect::Postgres {
            continue;
        }
        let show = world.show(HOLDS).await;
        // A replica that comes when there are three hundred finds the index of when holds end in one page
        // still, and the one of the users no longer.
        let db = Db::open(&world.database.config, &store::migrations()).await.unwrap();
        let policy = Policy::default();
        let later = App::new(db, world.clock.clone(), policy.rules(false), policy.time_zone);
        for seat in 1..=HOLDS {
            let app = if seat <= 300 { &*world.app } else { &later };
            hold(app, &format!("user-{seat}"), show.show_id, &[seat]).await.unwrap();
        }
        // A session tells its figures after at most a second of work, or when it has rested.
        let told = async {
            loop {
                let (written, read) = written_and_read(&world).await;
                if written >= i64::from(HOLDS) {
                    return read;
                }
                tokio::time::sleep(Duration::from_millis(500)).await;
            }
        };
        let read = timeout(Duration::from_secs(30), told).await.unwrap();
        assert!(read <= 10 * i64::from(HOLDS), "{read} rows were read for {HOLDS} holds");
    }
}
