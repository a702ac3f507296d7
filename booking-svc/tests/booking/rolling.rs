//! Programs of release 0.1 beside this one, as while an update rolls: the statements that they send to the
//! newer tables, without the columns and the log that came since. Whoever has a seat has it for both, and
//! within some seconds every map tells it.

use std::{collections::BTreeSet, sync::Arc, time::Duration};

use booking_svc::{
    app::App,
    domain::{Show, Status},
};
use chassis::{
    args,
    db::{Dialect, Session, Sql},
    testing::patience::Patience,
};
use tokio::time::sleep;
use uuid::Uuid;

use crate::world::{DAY, PRICE, START, TTL, World, hold, id, refusal, taken, worlds};

/// How long what is known is followed by the log alone, and something for the read.
const PROVEN: Duration = Duration::from_secs(6);

/// A program of release 0.1.
struct Earlier<'a>(&'a World);

impl Earlier<'_> {
    async fn begin(&self) -> Session {
        self.0.db.begin().await.unwrap()
    }

    /// Creates a show with the rows of all its seats.
    async fn show(&self, concert_id: i64, seats: i64) -> Arc<Show> {
        let mut session = self.begin().await;
        let sql = "INSERT INTO show (concert_id, starts_at, duration_minutes, title, description, price, seat_count, created_at)
                   VALUES ($1, $2, 60, 'Evening', '', $3, $4, $5) RETURNING show_id";
        let show = session.one(sql, args![concert_id, START + DAY, PRICE, seats, START]).await.unwrap();
        let show_id: i64 = show.get("show_id").unwrap();
        let rows = Sql {
            postgres: "INSERT INTO seat (show_id, seat_number) SELECT $1, number FROM generate_series(1, $2) AS number",
            sqlite: "WITH RECURSIVE numbers(number) AS (SELECT 1 UNION ALL SELECT number + 1 FROM numbers WHERE number < $2)
                     INSERT INTO seat (show_id, seat_number) SELECT $1, number FROM numbers",
        };
        session.execute(rows, args![show_id, seats]).await.unwrap();
        session.commit().await.unwrap();
        self.0.app.show(show_id).await.unwrap()
    }

    /// Holds seats; `None`: somebody has one of them.
    async fn hold(&self, user: &str, show: &Show, seats: &[i64]) -> Option<Uuid> {
        let take = Sql {
            postgres: "UPDATE seat SET hold_id = $1, held_until = $2
                       FROM (SELECT seat_number FROM seat
                             WHERE show_id = $3 AND seat_number = ANY($4) AND NOT sold AND (hold_id IS NULL OR held_until <= $5)
                             ORDER BY seat_number FOR UPDATE) AS mine
                       WHERE seat.show_id = $3 AND seat.seat_number = ANY($4) AND seat.seat_number = mine.seat_number
                       AND NOT seat.sold AND (seat.hold_id IS NULL OR seat.held_until <= $5)",
            sqlite: "UPDATE seat SET hold_id = $1, held_until = $2
                     WHERE show_id = $3 AND seat_number IN (SELECT value FROM json_each($4))
                     AND NOT sold AND (hold_id IS NULL OR held_until <= $5)",
        };
        let place = "INSERT INTO hold (reservation_id, user_id, concert_id, show_id, queue_id, seats, seat_total, amount, status,
                         held_at, promised_until, expires_at)
                     VALUES ($1, $2, $3, $4, 'vip', $5, $6, $7, 'HELD', $8, $9, $9)";
        let (id, now) = (Uuid::new_v4(), self.0.clock.now());
        let mut session = self.begin().await;
        let numbers = args![id, now + TTL, show.show_id, seats.to_vec(), now];
        if session.execute(take, numbers).await.unwrap() < u64::try_from(seats.len()).unwrap() {
            session.rollback().await;
            return None;
        }
        let total = i64::try_from(seats.len()).unwrap();
        let listed = serde_json::to_string(seats).unwrap();
        let (amount, until) = (show.price * total, now + TTL);
        let args = args![id, user, show.concert_id, show.show_id, listed, total, amount, now, until];
        session.execute(place, args).await.unwrap();
        if session.dialect() == Dialect::Postgres {
            let holder = "INSERT INTO holder (user_id, show_id, version) VALUES ($1, $2, 1)
                          ON CONFLICT (user_id, show_id) DO UPDATE SET version = holder.version + 1";
            session.execute(holder, args![user, show.show_id]).await.unwrap();
        }
        session.commit().await.unwrap();
        Some(id)
    }

    /// Sells the seats of a hold.
    async fn confirm(&self, id: Uuid, payment: Uuid) {
        let sell = "UPDATE seat SET sold = TRUE WHERE hold_id = $1 AND NOT sold";
        let close = "UPDATE hold SET status = 'CONFIRMED', closed_at = $3, payment_id = $2 WHERE reservation_id = $1 AND status = 'HELD'";
        let insert = "INSERT INTO reservation (reservation_id, payment_id, user_id, concert_id, show_id, seats, amount, confirmed_at)
                      SELECT reservation_id, payment_id, user_id, concert_id, show_id, seats, amount, closed_at FROM hold
                      WHERE reservation_id = $1";
        let mut session = self.begin().await;
        session.execute(sell, args![id]).await.unwrap();
        session.execute(close, args![id, payment, self.0.clock.now()]).await.unwrap();
        session.execute(insert, args![id]).await.unwrap();
        session.commit().await.unwrap();
    }

    /// Closes a hold unpaid and frees its seats.
    async fn cancel(&self, id: Uuid) {
        let close = "UPDATE hold SET status = 'CANCELLED', closed_at = $2 WHERE reservation_id = $1 AND status = 'HELD'";
        let free = "UPDATE seat SET hold_id = NULL, held_until = NULL WHERE hold_id = $1 AND NOT sold";
        let mut session = self.begin().await;
        session.execute(close, args![id, self.0.clock.now()]).await.unwrap();
        session.execute(free, args![id]).await.unwrap();
        session.commit().await.unwrap();
    }

    /// The seats that nobody can have.
    async fn unfree(&self, show: &Show) -> BTreeSet<i64> {
        let sql = "SELECT seat_number FROM seat WHERE show_id = $1 AND (sold OR held_until > $2)";
        let now = self.0.clock.now();
        let rows = self.0.db.read().await.unwrap().all(sql, args![show.show_id, now]).await.unwrap();
        rows.iter().map(|row| row.get("seat_number").unwrap()).collect()
    }
}

async fn told(app: &App, show: &Show) -> Vec<i32> {
    let view = app.availability(show.show_id, None).await.unwrap();
    (1..=view.taken.seats()).filter(|seat| view.taken.has(*seat)).collect()
}

/// Waits until both replicas tell these seats as taken.
async fn told_by_both(apps: [&App; 2], show: &Show, expected: &[i32], name: &str) {
    let patience = Patience::new(PROVEN);
    loop {
        let both = [told(apps[0], show).await, told(apps[1], show).await];
        if both.iter().all(|one| one == expected) {
            return;
        }
        assert!(!patience.is_over(), "{name}: {both:?}, not {expected:?} {patience}");
        sleep(Duration::from_millis(100)).await;
    }
}

#[tokio::test]
async fn what_earlier_programs_hold_sell_and_free_beside_this_one_is_told_by_every_replica() {
    for world in worlds().await {
        let (earlier, name) = (Earlier(&world), world.database.name);
        let show = earlier.show(world.show(1).await.concert_id, 12).await;
        let (app, other) = (&*world.app, &world.replica(world.clock.clone()));
        told_by_both([app, other], &show, &[], name).await;
        let newer = hold(app, "new", show.show_id, &[9, 10]).await.unwrap();

        let ann = earlier.hold("ann", &show, &[1, 2]).await.unwrap();
        let bob = earlier.hold("bob", &show, &[3]).await.unwrap();
        let cid = earlier.hold("cid", &show, &[4, 5]).await.unwrap();
        earlier.confirm(bob, Uuid::new_v4()).await;
        earlier.cancel(cid).await;
        assert_eq!(earlier.hold("dan", &show, &[8, 9]).await, None, "{name}: the newer one has it");
        // The rows decide, for both, whatever maps may say.
        assert_eq!(refusal(hold(app, "dan", show.show_id, &[2, 3]).await), taken(&[2, 3]));
        hold(other, "dan", show.show_id, &[4]).await.unwrap();
        assert_eq!(earlier.hold("eve", &show, &[4]).await, None, "{name}");
        assert_eq!(app.reservation(cid).await.unwrap().status, Status::Cancelled);
        // One ends what the other began.
        app.confirm_reservation(ann, "ann", Uuid::new_v4(), None).await.unwrap();
        earlier.cancel(id(&newer)).await;

        told_by_both([app, other], &show, &[1, 2, 3, 4], name).await;
        assert_eq!(earlier.unfree(&show).await, BTreeSet::from([1, 2, 3, 4]));
        let again = hold(app, "fay", show.show_id, &[5, 9]).await.unwrap();
        assert_eq!(again.hold.amount, 2 * PRICE, "{name}: what was given back can be had");
        world.audit().await;
        let found = world.judged().await;
        assert!(found.is_empty(), "{name}: {found:#?}");
    }
}
