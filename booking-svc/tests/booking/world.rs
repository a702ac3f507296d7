//! The harness: a service on a private database with a clock that the test moves, and what tests read of it.

use std::{collections::BTreeSet, sync::Arc, time::Duration};

use booking_svc::{
    Policy,
    app::{App, HoldSeats},
    domain::{
        Availability, NewConcert, NewShow, Refusal, Reservation, Selection, Show, Status, Wanted, show::Sale,
    },
    error::Error,
    store,
};
use chassis::{
    args,
    clock::Clock,
    db::Db,
    testing::{TestDatabase, databases},
};
use chrono_tz::Tz;
use uuid::Uuid;

/// 2027-01-15T08:00:00Z.
pub(crate) const START: i64 = 1_800_000_000_000_000;
pub(crate) const SECOND: i64 = 1_000_000;
pub(crate) const MINUTE: i64 = 60 * SECOND;
pub(crate) const DAY: i64 = 86_400 * SECOND;
/// The default `--hold-ttl`.
pub(crate) const TTL: i64 = 5 * MINUTE;
pub(crate) const PRICE: i64 = 77_000;

pub(crate) struct World {
    pub(crate) app: Arc<App>,
    pub(crate) clock: Clock,
    pub(crate) db: Db,
    pub(crate) database: TestDatabase,
}

/// One world a database.
pub(crate) async fn worlds() -> Vec<World> {
    worlds_with(Policy::default()).await
}

pub(crate) async fn worlds_with(policy: Policy) -> Vec<World> {
    let mut worlds = Vec::new();
    for database in databases().await {
        let db = Db::open(&database.config, &store::migrations()).await.unwrap();
        let clock = Clock::manual(START);
        let app = Arc::new(App::new(db.clone(), clock.clone(), policy.rules(false), policy.time_zone));
        worlds.push(World { app, clock, db, database });
    }
    worlds
}

pub(crate) fn limited(max_held_seats: i64) -> Policy {
    Policy { max_held_seats, ..Policy::default() }
}

pub(crate) async fn new_show(app: &App, seat_count: i32, starts_at: i64) -> Show {
    let concert = app
        .create_concert(
            NewConcert { title: "Night".to_owned(), queue_id: "vip".to_owned(), time_zone: None },
            None,
        )
        .await
        .unwrap();
    another_show(app, concert.concert_id, seat_count, starts_at).await
}

pub(crate) async fn another_show(app: &App, concert_id: i64, seat_count: i32, starts_at: i64) -> Show {
    app.create_show(NewShow { starts_at, seat_count, ..evening(concert_id) }, None).await.unwrap()
}

/// A show to create: one seat, tomorrow.
pub(crate) fn evening(concert_id: i64) -> NewShow {
    NewShow {
        concert_id,
        starts_at: START + DAY,
        duration_minutes: 120,
        title: "Evening".to_owned(),
        description: String::new(),
        price: PRICE,
        seat_count: 1,
        sections: Vec::new(),
        prices: Vec::new(),
        sale: Sale::default(),
    }
}

pub(crate) async fn hold(app: &App, user: &str, show_id: i64, seats: &[i32]) -> Result<Reservation, Error> {
    hold_with_id(app, user, show_id, seats, None).await
}

pub(crate) async fn hold_with_id(
    app: &App,
    user: &str,
    show_id: i64,
    seats: &[i32],
    id: Option<&str>,
) -> Result<Reservation, Error> {
    let command =
        HoldSeats { user_id: user.to_owned(), show_id, seats: Wanted::These(Selection::new(seats).unwrap()) };
    app.hold_seats(command, id.map(str::to_owned)).await
}

/// The refusal in a result that must be one.
#[track_caller]
pub(crate) fn refusal<T: std::fmt::Debug>(result: Result<T, Error>) -> Refusal {
    match result {
        Err(Error::Refused(refusal)) => refusal,
        other => panic!("not a refusal: {other:?}"),
    }
}

pub(crate) fn taken(seats: &[i32]) -> Refusal {
    Refusal::SeatTaken(BTreeSet::from_iter(seats.iter().copied()))
}

pub(crate) fn id(reservation: &Reservation) -> Uuid {
    reservation.hold.reservation_id
}

impl World {
    pub(crate) async fn show(&self, seat_count: i32) -> Show {
        new_show(&self.app, seat_count, START + 30 * DAY).await
    }

    pub(crate) async fn hold(&self, user: &str, show: &Show, seats: &[i32]) -> Result<Reservation, Error> {
        hold(&self.app, user, show.show_id, seats).await
    }

    pub(crate) async fn map(&self, show: &Show) -> Vec<Availability> {
        let map = self.app.seat_map(Arc::new(show.clone())).await.unwrap();
        map.seen_at(self.clock.now()).map(|(_, seat)| seat).collect()
    }

    /// How many seats have rows.
    pub(crate) async fn seat_rows(&self) -> i64 {
        let sql = "SELECT COUNT(*) AS rows FROM seat";
        self.db.read().await.unwrap().one(sql, args![]).await.unwrap().get("rows").unwrap()
    }

    pub(crate) async fn status(&self, reservation: &Reservation) -> Status {
        self.app.reservation(id(reservation)).await.unwrap().status
    }

    /// Another replica on the same database, with a clock of its own.
    pub(crate) fn replica(&self, clock: Clock) -> App {
        App::new(self.db.clone(), clock, Policy::default().rules(false), Tz::UTC)
    }

    /// Checks that PostgreSQL has counted no deadlock. Answers do not tell, because transactions are retried.
    pub(crate) async fn assert_no_deadlock(&self) {
        if self.db.dialect() == chassis::db::Dialect::Postgres {
            // The server's counters are published about once a second.
            tokio::time::sleep(Duration::from_millis(1_200)).await;
            let sql = "SELECT deadlocks FROM pg_stat_database WHERE datname = current_database()";
            let row = self.db.read().await.unwrap().one(sql, args![]).await.unwrap();
            assert_eq!(row.get::<i64>("deadlocks").unwrap(), 0);
        }
    }

    /// What the audit says of the database: its differences.
    pub(crate) async fn judged(&self) -> Vec<audit::Difference> {
        let booking = Some(self.database.config.url.parse().unwrap());
        let sources = audit::Sources { booking, ..audit::Sources::default() };
        audit::audit(&sources, &audit::Options::at_rest()).await.unwrap().differences
    }

    /// Checks what the constraints cannot ensure: each seat that is held or sold is so by a hold
    /// that names it; a sold one by a confirmed hold; each reservation has its confirmed hold with its seats,
    /// all sold; nothing else is sold; no show has more seats than it should.
    pub(crate) async fn audit(&self) {
        let mut session = self.db.read().await.unwrap();
        let sql = chassis::db::Sql {
            postgres: "SELECT COUNT(*) AS wrong FROM seat LEFT JOIN hold ON hold.reservation_id = seat.hold_id
                       WHERE seat.hold_id IS NOT NULL AND (hold.reservation_id IS NULL OR hold.show_id <> seat.show_id
                       OR NOT EXISTS (SELECT 1 FROM json_array_elements_text(hold.seats::json) AS n WHERE n::bigint = seat.seat_number)
                       OR seat.sold <> (hold.status = 'CONFIRMED') OR hold.status IN ('EXPIRED', 'CANCELLED'))",
            sqlite: "SELECT COUNT(*) AS wrong FROM seat LEFT JOIN hold ON hold.reservation_id = seat.hold_id
                     WHERE seat.hold_id IS NOT NULL AND (hold.reservation_id IS NULL OR hold.show_id <> seat.show_id
                     OR NOT EXISTS (SELECT 1 FROM json_each(hold.seats) AS n WHERE n.value = seat.seat_number)
                     OR seat.sold <> (hold.status = 'CONFIRMED') OR hold.status IN ('EXPIRED', 'CANCELLED'))",
        };
        let wrong: i64 = session.one(sql, args![]).await.unwrap().get("wrong").unwrap();
        assert_eq!(wrong, 0, "{}: seats that disagree with their holds", self.database.name);
        let sql = "SELECT (SELECT COUNT(*) FROM seat WHERE sold) AS sold,
                   (SELECT CAST(COALESCE(SUM(hold.seat_total), 0) AS BIGINT) FROM reservation JOIN hold USING (reservation_id)
                    WHERE hold.status = 'CONFIRMED' AND hold.payment_id = reservation.payment_id) AS reserved,
                   (SELECT COUNT(*) FROM hold WHERE status = 'CONFIRMED') AS confirmed, (SELECT COUNT(*) FROM reservation) AS made";
        let row = session.one(sql, args![]).await.unwrap();
        let beyond = "SELECT COUNT(*) AS wrong FROM seat LEFT JOIN show ON show.show_id = seat.show_id
                      WHERE show.show_id IS NULL OR seat_number NOT BETWEEN 1 AND seat_count";
        let wrong: i64 = session.one(beyond, args![]).await.unwrap().get("wrong").unwrap();
        assert_eq!(wrong, 0, "{}: seats that no show has", self.database.name);
        let number = |name| row.get::<i64>(name).unwrap();
        assert_eq!(number("sold"), number("reserved"), "{}: seats sold and reserved", self.database.name);
        assert_eq!(
            number("confirmed"),
            number("made"),
            "{}: holds confirmed and reservations",
            self.database.name
        );
        drop(session);
        // The audit goes by the machine's clock, which is not that of the test: what it says of the log of
        // the seats depends on none.
        let found = self.judged().await.into_iter().filter(|one| one.law == audit::Law::SeatFollowed);
        let found: Vec<_> = found.collect();
        assert!(found.is_empty(), "{}: the log of the seats: {found:#?}", self.database.name);
    }
}
