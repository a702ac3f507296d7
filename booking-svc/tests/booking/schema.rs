//! What the database itself refuses, whatever the program says.

use chassis::{args, db::Value};
use uuid::Uuid;

use crate::world::{id, worlds};

#[tokio::test]
async fn the_rows_themselves_refuse_what_must_never_be() {
    for world in worlds().await {
        let show = world.show(5).await;
        let paid = world.hold("ann", &show, &[1]).await.unwrap();
        let payment = Uuid::new_v4();
        world.app.confirm_reservation(id(&paid), "ann", payment, None).await.unwrap();
        let held = world.hold("ann", &show, &[2]).await.unwrap();
        let reservation = "INSERT INTO reservation (reservation_id, payment_id, user_id, concert_id, show_id, seats, amount, confirmed_at)
                           SELECT reservation_id, $2, user_id, concert_id, show_id, seats, amount, 1 FROM hold WHERE reservation_id = $1";
        let seat = show.show_id;
        let wrong: [(&str, &'static str, Vec<Value>); 8] = [
            ("one payment, two reservations", reservation, args![id(&held), payment]),
            ("one reservation, two payments", reservation, args![id(&paid), Uuid::new_v4()]),
            ("a seat twice", "INSERT INTO seat (show_id, seat_number) VALUES ($1, 1)", args![seat]),
            (
                "a seat sold to nobody",
                "INSERT INTO seat (show_id, seat_number, sold) VALUES ($1, 3, TRUE)",
                args![seat],
            ),
            (
                "a sold seat freed",
                "UPDATE seat SET hold_id = NULL, held_until = NULL WHERE show_id = $1 AND seat_number = 1",
                args![seat],
            ),
            (
                "a hold shortened",
                "UPDATE hold SET expires_at = 0 WHERE reservation_id = $1",
                args![id(&held)],
            ),
            (
                "confirmed without payment",
                "UPDATE hold SET status = 'CONFIRMED', closed_at = 1 WHERE reservation_id = $1",
                args![id(&held)],
            ),
            (
                "closed without its time",
                "UPDATE hold SET status = 'EXPIRED' WHERE reservation_id = $1",
                args![id(&held)],
            ),
        ];
        for (what, sql, args) in wrong {
            let mut session = world.db.begin().await.unwrap();
            let refused = session.execute(sql, args).await;
            assert!(refused.is_err(), "{}: {what}", world.database.name);
            session.rollback().await;
        }
        world.audit().await;
    }
}
