//! A real PgBouncer before the databases, beside the shape that has one by itself (`single_pgbouncer`): by
//! session with the settings that people give it, and by transaction without being told.

use std::process::Stdio;

use tests::{
    mesh::{Mesh, Role, Shape, Wiring},
    process::binary,
    server::PgBouncer,
    solos,
    suite::Solo,
    world::World,
};
use tokio::process::Command;

pub(crate) const SOLOS: &[Solo] = solos![&[Shape::SinglePostgres];
    a_pooler_by_session_that_drops_startup_options_is_as_good_as_none,
];

/// Databases are found through it.
struct Pooled(PgBouncer);

impl Wiring for Pooled {
    fn database(&self, _: Role, url: &str) -> String {
        self.0.to(url)
    }
}

async fn run(args: &[&str]) -> (Option<i32>, String) {
    let run = Command::new(binary("boxoffice"))
        .args(args)
        .env_clear()
        .stdin(Stdio::null())
        .kill_on_drop(true)
        .output()
        .await;
    let run = run.unwrap();
    let text = [run.stdout, run.stderr].map(|bytes| String::from_utf8_lossy(&bytes).into_owned()).join("\n");
    (run.status.code(), text)
}

async fn a_pooler_by_session_that_drops_startup_options_is_as_good_as_none(shape: Shape) {
    let server = tests::databases::server_url();
    let settings = ["ignore_startup_parameters = extra_float_digits,options", "default_pool_size = 60"];
    let pooled = Pooled(PgBouncer::before(&server, "session", &settings));
    let mesh = Mesh::start_wired(shape, &[], None, &pooled).await;
    let world = World::new(std::sync::Arc::new(mesh));
    let sale = world.sale(1_000, 5).await;
    let buyer = world.buyer_with(&sale, 5_000).await;
    let reservation = world.hold(&buyer, sale.show, &[1, 2]).await;
    let paid = world.paying(&buyer, &reservation).expect(201).await;
    assert_eq!(paid["status"], "COMPLETED");
    assert_eq!(world.balance(&buyer.user).await, 3_000);

    // The judge finds the schemas through it as well, however it pools.
    let url = world.mesh.databases.urls()[0].clone();
    let by_transaction = PgBouncer::before(&server, "transaction", &settings);
    for through in [&pooled.0, &by_transaction] {
        let (code, told) = run(&["audit", "--database-url", &through.to(&url)]).await;
        assert!(code == Some(0) && told.contains("Nothing is wrong."), "{code:?}: {told}");
    }
    // Who pools by transaction and does not say so is told what to say.
    let mut up = vec!["up", "--database-url"];
    let through = by_transaction.to(&url);
    up.push(&through);
    for flag in ["--rest-addr", "--grpc-addr", "--queue-addr", "--booking-addr", "--wallet-addr"] {
        up.extend([flag, "127.0.0.1:0"]);
    }
    let (code, told) = run(&up).await;
    assert!(code == Some(1) && told.contains("--database-pooler transaction"), "{code:?}: {told}");
    world.finish().await;
}
