//! The primary changes while tickets are sold: the old one lives on and takes no writes, its address leads to
//! the new one.

use std::{sync::Arc, time::Duration};

use tests::{
    databases::Databases,
    eventually::{eventually, holds},
    faults::Faults,
    load::Load,
    mesh::{Direct, Mesh, Shape},
    server::Server,
    solos,
    suite::Solo,
    wire::Wire,
    world::World,
};

pub(crate) const SOLOS: &[Solo] = solos![&[Shape::SinglePostgres];
    after_a_switchover_writes_go_on_at_the_new_primary_and_nothing_that_was_answered_is_lost,
];

const BUYERS: usize = 8;
const SEATS: i32 = 100_000;
/// Far more than it takes, and far less than connections live by themselves.
const AT_MOST: Duration = Duration::from_secs(60);

async fn ask(server: &str, sql: &str) -> String {
    let mut server = Databases::connect(server).await;
    server.rows(sql).await.into_iter().next().map(|row| row[0].clone()).unwrap_or_default()
}

async fn ready(world: &World, status: u16) {
    eventually(AT_MOST, || async {
        holds(world.rest.get("/readyz").once().await.status, |seen| *seen == status)
    })
    .await;
}

/// The old primary takes no writes from now on, and the new one has all that it took.
async fn close_for_writes(old: &str, new: &str) {
    Databases::connect(old).await.run("ALTER SYSTEM SET default_transaction_read_only = on").await;
    Databases::connect(old).await.run("SELECT pg_reload_conf()").await;
    let writing = "SELECT count(*)::text FROM pg_stat_activity WHERE backend_xid IS NOT NULL";
    eventually(AT_MOST, || async { holds(ask(old, writing).await, |count| count == "0") }).await;
    let end = ask(old, "SELECT pg_current_wal_lsn()::text").await;
    let there = format!("SELECT (pg_last_wal_replay_lsn() >= '{end}')::text");
    eventually(AT_MOST, || async { holds(ask(new, &there).await, |there| there == "true") }).await;
}

#[expect(clippy::print_stdout, reason = "how long it took is worth knowing")]
async fn after_a_switchover_writes_go_on_at_the_new_primary_and_nothing_that_was_answered_is_lost(
    shape: Shape,
) {
    let old = Server::start();
    let new = old.replica();
    let (wire, url) = Wire::before_postgres(&old.url, Faults::default());
    let mesh = Mesh::start_wired(shape, &["--hold-ttl", "1h"], Some(&url), &Direct).await;
    let world = World::new(Arc::new(mesh));
    let load = Load::start(&world, BUYERS, SEATS).await;
    load.recovered(AT_MOST).await.unwrap_or_else(|why| panic!("before anything happened: {why}"));

    close_for_writes(&old.url, &new.url).await;
    ready(&world, 503).await;
    new.promote().await;
    wire.lead_to(&new.url);
    match load.recovered(AT_MOST).await {
        Ok(after) => println!("    work went on {after:.1?} after the address had moved"),
        Err(why) => panic!("{why}\n{}", world.mesh.logs(15)),
    }
    ready(&world, 200).await;
    let bought = load.finish(&world).await.unwrap_or_else(|why| panic!("{why}"));
    println!("    {bought:?}");
    world.finish().await;
}
