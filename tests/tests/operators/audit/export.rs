//! `boxoffice export` as a seller runs it, beside the sale: a line a sale, which add up to the ledger and to
//! the seller's books; and a line that does not is named.

use std::time::Duration;

use serde_json::{Value, json};
use tests::{
    eventually::{eventually, holds},
    mesh::Shape,
    world::World,
};

use super::{
    command::{boxoffice, flags, owned},
    planted::{Copy, Names},
};

async fn export(show: i64, format: &str, from: &[String]) -> (i32, String, String) {
    let asked = owned(&["export", "--show", &show.to_string(), "--format", format]);
    boxoffice(&[asked, from.to_vec()].concat()).await
}

pub(super) async fn sales_are_exported_as_the_ledger_has_them(shape: Shape) {
    let world = World::start(shape, &[]).await;
    let (sale, other) = (world.sale(1_000, 20).await, world.sale(7, 20).await);
    let mut paid = Vec::new();
    for (of, seats) in [(&sale, &[1, 2][..]), (&sale, &[3]), (&sale, &[4]), (&other, &[5])] {
        let buyer = world.buyer_with(of, 5_000).await;
        let reservation = world.hold(&buyer, of.show, seats).await;
        paid.push(world.paying(&buyer, &reservation).expect(201).await);
    }
    let refunded = paid[1]["paymentId"].as_str().unwrap().to_owned();
    let refund = eventually(Duration::from_secs(15), || async {
        let asked = world.rest.post(&format!("/v1/payments/{refunded}/refund"), json!({})).send().await;
        holds(asked.status, |status| *status == 200)
    });
    refund.await;

    let from = flags(&world.mesh.databases);
    let (code, table, told) = export(sale.show, "csv", &from).await;
    let sums = "3 sales, 1 of them taken back: 4000 taken, 1000 given back, 3000 left\n";
    assert_eq!((code, told.as_str()), (0, sums));
    let columns: Vec<usize> = table.lines().map(|line| line.split(',').count()).collect();
    assert_eq!(columns, [10; 4], "{table}");

    let (code, text, _) = export(sale.show, "json", &from).await;
    let rows: Vec<Value> = text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!((code, rows.len()), (0, 3));
    for (row, payment) in rows.iter().zip(&paid) {
        for name in ["paymentId", "reservationId", "userId", "amount"] {
            assert_eq!(row[name], payment[name]);
        }
        let is_back = row["paymentId"] == refunded;
        assert_eq!((&row["debited"], row["refundedAt"].is_null()), (&row["amount"], !is_back), "{row}");
        assert_eq!(row["net"] == 0, is_back, "{row}");
    }
    assert_eq!(rows[0]["seatNumbers"], json!([1, 2]));
    let books = world.rest.get(&format!("/v1/shows/{}/sales", sale.show)).expect(200).await;
    assert_eq!(books["net"], 3_000, "{books}");

    let (code, told, why) = export(999_999, "csv", &from).await;
    assert!(code == 2 && told.is_empty() && why.contains("there is no show 999999"), "{code} {told} {why}");

    if shape != Shape::Cluster {
        world.mesh.stop().await.unwrap();
        let copy = Copy::of(&world.mesh.databases).await;
        let changed = format!(
            "UPDATE reservation SET amount = amount + 1 WHERE show_id = {} AND amount = 2000",
            sale.show
        );
        copy.plant("booking", &changed, &Names::new()).await;
        let (code, table, told) = export(sale.show, "csv", &copy.flags()).await;
        let named = format!("does not agree with payment {}", paid[0]["paymentId"].as_str().unwrap());
        assert!(code == 1 && table.lines().count() == 4 && told.contains(&named), "{code} {told}");
        assert_eq!(told.matches("does not agree").count(), 1, "{told}");
        world.mesh.restart().await;
    }
    world.finish().await;
}
