//! What is on sale in a measurement: a concert behind the line `default`, with as many shows as are needed.

use std::time::{Duration, Instant};

use serde_json::json;
use tests::{
    requests::show_body,
    world::{World, int},
};

use crate::crowd::Seat;

/// The price of every seat.
pub(crate) const PRICE: i64 = 1_000;

/// A concert whose shows have a date each.
pub(crate) struct Sale {
    pub(crate) concert: i64,
    pub(crate) shows: Vec<i64>,
    seats_each: usize,
}

/// The date of the n-th show: no two shows share one until the calendar of 28-day months is used up.
pub(crate) fn date(show: usize) -> String {
    format!("{}-{:02}-{:02}", 2031 + show / 336, show / 28 % 12 + 1, show % 28 + 1)
}

impl Sale {
    /// Puts shows with this many seats together on sale, in shows of so many each; by an operator with this
    /// `Authorization`, where that is asked for.
    pub(crate) async fn open(
        world: &World,
        operator: Option<String>,
        seats: usize,
        seats_each: usize,
    ) -> Self {
        let post = |path: &str, body| {
            let call = world.rest.post(path, body);
            match &operator {
                Some(operator) => call.header("authorization", operator).expect(201),
                None => call.expect(201),
            }
        };
        let concert = post("/v1/concerts", json!({"title": "The measured one"})).await;
        let concert = int(&concert["concertId"]);
        let mut shows = Vec::new();
        for show in 0..seats.div_ceil(seats_each) {
            let body = show_body(json!({"startsAt": format!("{}T19:00:00Z", date(show)),
                "title": format!("Evening {show}"), "price": PRICE, "seatCount": seats_each}));
            shows.push(int(&post(&format!("/v1/concerts/{concert}/shows"), body).await["showId"]));
        }
        Self { concert, shows, seats_each }
    }

    /// Puts one show on sale in a hall of so many sections, each with rows of twenty seats; and says how long
    /// it took to make the show.
    pub(crate) async fn in_sections(world: &World, sections: usize, seats_each: usize) -> (Self, Duration) {
        const ROW: usize = 20;
        let concert = world.rest.post("/v1/concerts", json!({"title": "The measured one"})).expect(201).await;
        let concert = int(&concert["concertId"]);
        let rows: Vec<_> =
            (1..=seats_each / ROW).map(|row| json!({"name": row.to_string(), "seats": ROW})).collect();
        let section = |n| json!({"name": format!("Section {n}"), "price": PRICE, "rows": rows});
        let body = json!({"startsAt": format!("{}T19:00:00Z", date(0)), "durationMinutes": 60, "title": "Evening",
            "sections": (1..=sections).map(section).collect::<Vec<_>>()});
        let call = world.rest.post(&format!("/v1/concerts/{concert}/shows"), body);
        let began = Instant::now();
        let show = call.expect(201).await;
        let took = began.elapsed();
        assert_eq!(int(&show["seatCount"]), (sections * seats_each) as i64, "{show}");
        (Self { concert, shows: vec![int(&show["showId"])], seats_each: sections * seats_each }, took)
    }

    /// The n-th seat of all. Neighbours in this order are in different shows, as the choices of people who
    /// come together are.
    pub(crate) fn seat(&self, n: usize) -> Seat {
        let (show, number) = (n % self.shows.len(), n / self.shows.len());
        assert!(number < self.seats_each, "there are only {} seats", self.seats_each * self.shows.len());
        Seat { show: self.shows[show], number: number + 1 }
    }
}
