//! Faults, one at a time, in a copy of what a mesh has written, and what the audit says of each.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::{Path, PathBuf},
};

use audit::{Options, Sources};
use serde_json::json;
use sqlx::{
    AssertSqlSafe, ConnectOptions, Connection, PgConnection, SqliteConnection, sqlite::SqliteConnectOptions,
};
use tempfile::TempDir;
use tests::{
    audit::{of_urls, report, sources},
    databases::Databases,
    mesh::Shape,
    world::{World, text, unique},
};
use uuid::Uuid;

use super::{faults::FAULTS, seat_faults::SEAT_FAULTS};

/// What the faults are planted into: names for the rows of the story below.
pub(super) type Names = BTreeMap<&'static str, String>;

/// Options of a mesh that was stopped, with a bound, and without mercy for what came past the edge.
pub(crate) fn strict() -> Options {
    Options { recheck_after: None, ..Options::running() }
}

/// A small sale with something of everything. Answers what its rows are called.
pub(super) async fn story(world: &World) -> Names {
    let mut names = Names::new();
    let sale = world.sale(4_000, 10).await;
    names.insert("show", sale.show.to_string());
    for (name, seats) in [("ann", &[1, 2][..]), ("bob", &[3])] {
        let buyer = world.buyer_with(&sale, 10_000).await;
        world.charge(&buyer.user, 5_000).await;
        let reservation = world.hold(&buyer, sale.show, seats).await;
        let payment = world.paying(&buyer, &reservation).expect(201).await;
        names.insert(if name == "ann" { "ann_pay" } else { "bob_pay" }, text(&payment["paymentId"]));
        names.insert(if name == "ann" { "ann_user" } else { "bob_user" }, buyer.user);
        names.insert(name, reservation);
    }
    // Paid, and refunded.
    let eve = world.buyer_with(&sale, 10_000).await;
    world.charge(&eve.user, 5_000).await;
    let reservation = world.hold(&eve, sale.show, &[7]).await;
    let payment = text(&world.paying(&eve, &reservation).expect(201).await["paymentId"]);
    world.rest.post(&format!("/v1/payments/{payment}/refund"), json!({})).expect(200).await;
    names.extend([("eve", reservation), ("eve_pay", payment), ("eve_user", eve.user)]);
    // Sold, and its show was called off.
    let off = world.sale(4_000, 2).await;
    let fay = world.buyer_with(&off, 10_000).await;
    let reservation = world.hold(&fay, off.show, &[1]).await;
    let payment = text(&world.paying(&fay, &reservation).expect(201).await["paymentId"]);
    world.call_off(off.show).await;
    names.extend([("fay_pay", payment), ("off", off.show.to_string())]);
    // Sold in two sections of a hall.
    let sections = json!([
        {"name": "Stalls", "price": 3_000, "rows": [{"name": "A", "seats": 3}]},
        {"name": "Floor", "price": 2_000, "capacity": 2},
    ]);
    let hall = world.show_in(sale.concert, sections).await;
    let gia = world.buyer_with(&sale, 10_000).await;
    let reservation = world.hold(&gia, hall, &[3, 4]).await;
    world.paying(&gia, &reservation).expect(201).await;
    names.extend([("gia", reservation), ("hall", hall.to_string())]);
    for (name, seat) in [("cid", 4), ("dan", 5)] {
        let buyer = world.buyer(&sale).await;
        names.insert(name, world.hold(&buyer, sale.show, &[seat]).await);
    }
    // Not enough money: FAILED, and the seat is free again.
    let poor = world.buyer_with(&sale, 1_000).await;
    let reservation = world.hold(&poor, sale.show, &[6]).await;
    let _ = world.paying(&poor, &reservation).send().await.problem(402, "INSUFFICIENT_FUNDS");
    let saver = unique("saver");
    world.charge(&saver, 700).await;
    world.charge(&saver, 300).await;
    names.insert("saver", saver);
    let line = world.queue(json!({"maxActive": 2})).await;
    for name in ["first", "second", "third", "fourth"] {
        let user = unique("user");
        names.insert(name, text(&world.join(&line, &user).await["token"]));
        names.insert(if name == "third" { "third_user" } else { "another_user" }, user);
    }
    names.insert("line", line);
    names.insert("ghost", Uuid::new_v4().to_string());
    let pair = |names: &Names, one: &str, other: &str| {
        let mut pair = [names[one].clone(), names[other].clone()];
        pair.sort();
        pair
    };
    let listed = |what: &str, [low, high]: [String; 2]| format!("{what}={low} {what}={high}");
    names.insert("ann_and_bob", listed("reservation", pair(&names, "ann", "bob")));
    names.insert("cid_and_dan", listed("reservation", pair(&names, "cid", "dan")));
    names.insert("third_and_fourth", listed("token", pair(&names, "third", "fourth")));
    names.insert("both_pays", listed("checkout", pair(&names, "ann_pay", "bob_pay")));
    names
}

/// A copy of the databases of a mesh that was stopped. It goes with them.
pub(super) enum Copy {
    /// The files.
    Sqlite(TempDir),
    /// The URLs of schemas beside the launcher's (queue, booking, wallet, edge): rows without keys and
    /// constraints. To copy a whole database takes a second or, on a busy disk, five.
    Postgres(Vec<String>),
}

const SERVICES: [&str; 4] = ["queue", "booking", "wallet", "edge"];
const FORGOTTEN: [(&str, &str); 4] = [
    ("queue", "DELETE FROM token WHERE status > 2; DELETE FROM request"),
    (
        "booking",
        "DELETE FROM hold WHERE status IN ('EXPIRED', 'CANCELLED') AND refunded_payment_id IS NULL; DELETE FROM request",
    ),
    ("wallet", "DELETE FROM request"),
    (
        "edge",
        "UPDATE checkout SET story = NULL, refusal = NULL WHERE settled_at IS NOT NULL; \
         DELETE FROM checkout_request; DELETE FROM outbox",
    ),
];
const COPY_SCHEMA: &str = "DO $$ DECLARE one record; BEGIN CREATE SCHEMA {copy}; \
    FOR one IN SELECT tablename AS name FROM pg_tables WHERE schemaname = '{service}' LOOP \
    EXECUTE format('CREATE TABLE {copy}.%I AS TABLE {service}.%I', one.name, one.name); END LOOP; END $$";

impl Copy {
    pub(super) async fn of(databases: &Databases) -> Self {
        match databases {
            Databases::Sqlite(folder) => {
                let copy = TempDir::with_prefix("audit-").unwrap();
                for file in fs::read_dir(folder).unwrap().flatten().filter(|file| file.path().is_file()) {
                    fs::copy(file.path(), copy.path().join(file.file_name())).unwrap();
                }
                Self::Sqlite(copy)
            }
            Databases::Postgres(urls) => {
                let url = &urls[0];
                let mut db = PgConnection::connect(url).await.unwrap();
                let unique = Uuid::new_v4().simple();
                let mut copies = Vec::new();
                for service in SERVICES {
                    let copy = format!("{service}_{unique}");
                    let sql = COPY_SCHEMA.replace("{copy}", &copy).replace("{service}", service);
                    sqlx::raw_sql(AssertSqlSafe(sql)).execute(&mut db).await.unwrap();
                    copies.push(format!("{url}?options=-csearch_path%3D{copy}"));
                }
                db.close().await.unwrap();
                Self::Postgres(copies)
            }
        }
    }

    /// Takes away whatever the services may have forgotten of it.
    pub(super) async fn forget(&self) {
        for (service, sql) in FORGOTTEN {
            self.plant(service, sql, &Names::new()).await;
        }
    }

    pub(super) fn sources(&self) -> Sources {
        match self {
            Self::Sqlite(folder) => Sources::in_folder(folder.path()),
            Self::Postgres(urls) => of_urls(urls),
        }
    }

    /// The arguments that lead `boxoffice audit` to it.
    pub(super) fn flags(&self) -> Vec<String> {
        match self {
            Self::Sqlite(folder) => vec!["--data-dir".to_owned(), folder.path().display().to_string()],
            Self::Postgres(urls) => apart(urls),
        }
    }

    /// Runs statements in one service's database, where no rule but the table's own stands in the way.
    pub(super) async fn plant(&self, service: &str, statements: &str, names: &Names) {
        match self {
            Self::Sqlite(folder) => {
                let file: PathBuf = folder.path().join(format!("{service}.db"));
                let mut db: SqliteConnection =
                    SqliteConnectOptions::new().filename(file).foreign_keys(false).connect().await.unwrap();
                let sql = spell(statements, names, |id| format!("X'{}'", id.replace('-', "")));
                sqlx::raw_sql(AssertSqlSafe(sql.clone()))
                    .execute(&mut db)
                    .await
                    .unwrap_or_else(|error| panic!("{sql}: {error}"));
                db.close().await.unwrap();
            }
            Self::Postgres(urls) => {
                let nth = SERVICES.iter().position(|name| *name == service).unwrap();
                let mut db = PgConnection::connect(&urls[nth]).await.unwrap();
                let sql = spell(statements, names, |id| format!("CAST('{id}' AS UUID)"));
                sqlx::raw_sql(AssertSqlSafe(sql.clone()))
                    .execute(&mut db)
                    .await
                    .unwrap_or_else(|error| panic!("{sql}: {error}"));
                db.close().await.unwrap();
            }
        }
    }
}

/// The arguments that lead `boxoffice audit` to the databases of separate programs: queue, booking, wallet,
/// edge.
pub(crate) fn apart(urls: &[String]) -> Vec<String> {
    let flags = SERVICES.iter().map(|service| format!("--{service}-database-url"));
    flags.zip(urls).flat_map(|(flag, url)| [flag, url.clone()]).collect()
}

/// `{name}` is the name's text, `{id:name}` its UUID as the dialect writes one.
fn spell(template: &str, names: &Names, id: impl Fn(&str) -> String) -> String {
    names.iter().fold(template.to_owned(), |text, (name, value)| {
        text.replace(&format!("{{id:{name}}}"), &id(value)).replace(&format!("{{{name}}}"), value)
    })
}

pub(super) async fn every_planted_fault_is_found_and_nothing_else(shape: Shape) {
    let world = World::start(shape, &["--hold-ttl", "1h"]).await;
    let names = story(&world).await;
    world.mesh.stop().await.unwrap();
    let databases = &world.mesh.databases;
    let clean = report(&sources(databases), &strict()).await;
    assert!(clean.is_clean() && clean.notes.is_empty(), "{clean:?}");
    let checked = clean.checked;
    assert_eq!(
        (checked.completed, checked.failed, checked.refunds, checked.sold, checked.held, checked.waiting),
        (3, 1, 2, 5, 2, 2),
        "{checked:?}"
    );
    assert_eq!(
        (checked.charged, checked.paid, checked.refunded, checked.balances),
        (67_000, 25_000, 8_000, 50_000)
    );

    // What services may have forgotten is no difference, and hides none.
    let old = Copy::of(databases).await;
    old.forget().await;
    let clean = report(&old.sources(), &strict()).await;
    assert!(clean.is_clean() && clean.notes.is_empty(), "{clean:?}");
    nothing_is_wrong_where_no_edge_has_kept_an_operators_journal(databases).await;
    let mut wrong = Vec::new();
    for fault in FAULTS.iter().chain(SEAT_FAULTS) {
        let copy = Copy::of(databases).await;
        copy.forget().await;
        let rule = if shape == Shape::SingleSqlite { fault.rule } else { "" };
        copy.plant(fault.service, &format!("{rule}{}", fault.sql), &names).await;
        let report = report(&copy.sources(), &strict()).await;
        // Law and ids, in any order.
        let found: BTreeSet<String> = report
            .differences
            .iter()
            .map(|difference| {
                let ids = difference.ids.iter().map(|(name, value)| format!(" {name}={value}"));
                format!("{}{}", difference.law.id(), ids.collect::<String>())
            })
            .collect();
        let expected: BTreeSet<String> =
            fault.found.iter().map(|found| spell(found, &names, str::to_owned)).collect();
        if found != expected || report.notes.len() != fault.notes {
            wrong.push(format!(
                "{}:\n  found    {found:#?}\n  expected {expected:#?}\n  notes {:?}",
                fault.name, report.notes
            ));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    world.mesh.restart().await;
    world.finish().await;
}

/// What an edge of an earlier release has written is judged, save what it did not write.
async fn nothing_is_wrong_where_no_edge_has_kept_an_operators_journal(databases: &Databases) {
    let copy = Copy::of(databases).await;
    copy.plant("edge", "DROP TABLE operator_outcome; DROP TABLE operator_action", &Names::new()).await;
    let report = report(&copy.sources(), &strict()).await;
    assert!(report.is_clean() && report.checked.completed == 3, "{report:?}");
    assert!(report.skipped.len() == 1 && report.skipped[0].starts_with("operators' actions"), "{report:?}");
}

/// The files of a folder with what is in them.
pub(super) fn files(folder: &Path) -> BTreeMap<String, Vec<u8>> {
    let files = fs::read_dir(folder).unwrap().flatten().filter(|file| file.path().is_file());
    files
        .map(|file| (file.file_name().to_string_lossy().into_owned(), fs::read(file.path()).unwrap()))
        .collect()
}
