//! Concerts and shows: what is read of a new one, and how one is told.

use boxoffice_proto::{booking as proto, bounds, time};
use serde::Serialize;
use serde_json::{Value, json};
use utoipa::ToSchema;

use super::{Hollow, Instant, NewSection, words};
use crate::http::fields::{Fields, FromFields};

/// An event with one or more shows.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Concert {
    /// The number of the concert.
    #[schema(example = 1)]
    pub(crate) concert_id: i64,
    /// The name of the concert.
    #[schema(example = "Winter Gala")]
    title: String,
    /// The id of the queue that guards it.
    #[schema(example = "default")]
    queue_id: String,
    /// The time zone of its venue by its IANA name: dates and times of day are those of the clock there.
    #[schema(example = "Asia/Seoul")]
    time_zone: String,
    /// When it was created.
    created_at: Instant,
}

impl TryFrom<proto::Concert> for Concert {
    type Error = Hollow;

    fn try_from(concert: proto::Concert) -> Result<Self, Hollow> {
        Ok(Self {
            created_at: Instant::read(concert.created_at.as_ref())?,
            concert_id: concert.concert_id,
            title: concert.title,
            queue_id: concert.queue_id,
            time_zone: concert.time_zone,
        })
    }
}

/// A page of concerts, newest first.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Concerts {
    /// The concerts of this page.
    pub(crate) concerts: Vec<Concert>,
    /// Where the next page starts; empty on the last.
    pub(crate) next_page_token: String,
}

/// A concert to be created.
#[derive(ToSchema)]
#[schema(rename_all = "camelCase", example = json!({"title": "Winter Gala", "timeZone": "Asia/Seoul"}))]
pub(crate) struct NewConcert {
    /// The name of the concert.
    #[schema(min_length = 1, max_length = 200)]
    title: String,
    /// The id of the queue that guards it; `default` when left out.
    #[schema(max_length = 64, pattern = "^[a-zA-Z0-9._-]*$")]
    queue_id: Option<String>,
    /// The time zone of its venue by its IANA name; that of the operator (UTC by default) when left out.
    #[schema(max_length = 64, pattern = "^[a-zA-Z0-9_+/-]*$")]
    time_zone: Option<String>,
}

impl NewConcert {
    /// The request to the service, under this id.
    pub(crate) fn into_request(self, request_id: String) -> proto::CreateConcertRequest {
        proto::CreateConcertRequest {
            title: self.title,
            queue_id: self.queue_id.unwrap_or_default(),
            time_zone: self.time_zone.unwrap_or_default(),
            request_id,
        }
    }
}

impl FromFields for NewConcert {
    fn read(fields: &mut Fields) -> Self {
        Self {
            title: fields.text("title", bounds::TITLE),
            queue_id: fields.optional_queue_id("queueId"),
            time_zone: fields.optional_text("timeZone", bounds::TIME_ZONE),
        }
    }
}

words! {
    /// Whether a show takes place: SCHEDULED, or it is called off, and its sales are being refunded
    /// (CANCELLING) or all are (CANCELLED).
    ShowStatus of proto::ShowStatus { Scheduled, Cancelling, Cancelled }
}

/// How far the refunds of a show that is called off are.
#[derive(Debug, Serialize, ToSchema)]
#[schema(example = json!({"total": 120, "done": 87, "parked": 0}))]
pub(crate) struct ShowRefunds {
    /// How many sales are to be refunded, as far as they are known.
    #[schema(minimum = 0)]
    total: i32,
    /// How many of them are.
    #[schema(minimum = 0)]
    done: i32,
    /// How many of them wait for an operator.
    #[schema(minimum = 0)]
    parked: i32,
}

/// One performance of a concert.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Show {
    /// The number of the show.
    #[schema(example = 1)]
    pub(crate) show_id: i64,
    /// The concert it belongs to.
    #[schema(example = 1)]
    concert_id: i64,
    /// When it begins.
    starts_at: Instant,
    /// The time zone of its venue by its IANA name, as its concert has it.
    #[schema(example = "Asia/Seoul")]
    time_zone: String,
    /// The date on which it begins by the clock of its venue.
    #[schema(format = Date, example = "2026-12-25")]
    local_date: String,
    /// The time of day at which it begins by the clock of its venue.
    #[schema(pattern = "^[0-9]{2}:[0-9]{2}$", example = "04:30")]
    local_time: String,
    /// How long it lasts.
    #[schema(example = 120)]
    duration_minutes: i32,
    /// The name of the show.
    #[schema(example = "Opening night")]
    title: String,
    /// Anything else that is to be known about it.
    #[schema(example = "")]
    description: String,
    /// The price of one seat, in minor units; the lowest one where sections have prices of their own.
    #[schema(minimum = 0, example = 50_000)]
    price: i64,
    /// The currency of the price: ISO 4217.
    #[schema(pattern = "^[A-Z]{3}$", example = "KRW")]
    currency: String,
    /// How many decimal digits its minor unit is: 0 for KRW, 2 for EUR.
    #[schema(minimum = 0, maximum = 4, example = 0)]
    currency_exponent: i32,
    /// How many seats it has: 1..seatCount.
    #[schema(minimum = 1, example = 50)]
    seat_count: i32,
    /// When its sale opens; null when it is open from the beginning. Servers go by their own clocks, which
    /// are within a second of each other: so it opens, and closes, everywhere within a second.
    #[schema(required)]
    opens_at: Option<Instant>,
    /// When its sale closes; null when it closes as the show begins.
    #[schema(required)]
    closes_at: Option<Instant>,
    /// How many of its seats one user may have, held and bought together; null when the operator's limit of
    /// held seats counts instead.
    #[schema(required, minimum = 1, example = 4)]
    max_seats_per_user: Option<i32>,
    /// Whether it takes place.
    status: ShowStatus,
    /// How far the refunds of its sales are when it is called off; null otherwise.
    #[schema(required)]
    refunds: Option<ShowRefunds>,
}

impl TryFrom<proto::Show> for Show {
    type Error = Hollow;

    fn try_from(show: proto::Show) -> Result<Self, Hollow> {
        Ok(Self {
            starts_at: Instant::read(show.starts_at.as_ref())?,
            time_zone: show.time_zone,
            local_date: show.local_date,
            local_time: show.local_time,
            show_id: show.show_id,
            concert_id: show.concert_id,
            duration_minutes: show.duration_minutes,
            title: show.title,
            description: show.description,
            price: show.price,
            currency: show.currency,
            currency_exponent: show.currency_exponent,
            seat_count: show.seat_count,
            opens_at: Instant::optional(show.opens_at.as_ref()),
            closes_at: Instant::optional(show.closes_at.as_ref()),
            max_seats_per_user: show.max_seats_per_user,
            // A release of before knows no status: every show takes place.
            status: if show.status == 0 { ShowStatus::Scheduled } else { ShowStatus::read(show.status)? },
            refunds: show.refunds.map(|proto::ShowRefunds { total, done, parked }| ShowRefunds {
                total,
                done,
                parked,
            }),
        })
    }
}

/// An example of a show that has just been called off.
pub(crate) fn called_off_show() -> Value {
    json!({
        "showId": 1, "concertId": 1, "startsAt": "2026-12-24T19:30:00.000000Z", "timeZone": "Asia/Seoul",
        "localDate": "2026-12-25", "localTime": "04:30", "durationMinutes": 120, "title": "Opening night", "description": "", "price": 50_000, "currency": "KRW",
        "currencyExponent": 0, "seatCount": 50, "opensAt": null, "closesAt": null, "maxSeatsPerUser": null,
        "status": "CANCELLING", "refunds": {"total": 12, "done": 0, "parked": 0},
    })
}

/// A page of shows, newest first.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Shows {
    /// The shows of this page.
    pub(crate) shows: Vec<Show>,
    /// Where the next page starts; empty on the last.
    pub(crate) next_page_token: String,
}

/// A new show; its seats are created with it.
#[derive(ToSchema)]
#[schema(rename_all = "camelCase", example = json!({
    "startsAt": "2030-12-24T19:30:00Z", "durationMinutes": 120, "title": "Opening night", "price": 50_000, "seatCount": 50}))]
pub(crate) struct NewShow {
    /// When it begins, with any offset; not in the past.
    #[schema(value_type = Instant)]
    starts_at: i64,
    /// How long it lasts.
    #[schema(minimum = 1, maximum = 1440)]
    duration_minutes: i32,
    /// The name of the show.
    #[schema(min_length = 1, max_length = 200)]
    title: String,
    /// Anything else that is to be known about it.
    #[schema(max_length = 4000)]
    description: Option<String>,
    /// The price of one seat, in minor units. It is required without `sections`, and left out with them.
    #[schema(minimum = 0, maximum = 1_000_000_000)]
    price: Option<i64>,
    /// How many seats; 50 when left out. It is left out with `sections`.
    #[schema(minimum = 1, maximum = 100_000)]
    seat_count: Option<i32>,
    /// The sections of the hall, instead of `price` and `seatCount`: at most 100,000 seats and 20,000 rows in
    /// all. Seats are numbered on through the sections and their rows.
    #[schema(min_items = 1, max_items = 500)]
    sections: Option<Vec<NewSection>>,
    /// When its sale opens (everywhere within a second), with any offset; at once when left out.
    #[schema(value_type = Option<Instant>)]
    opens_at: Option<i64>,
    /// When its sale closes, with any offset: after it opens, and not after the end of the show. When left
    /// out it closes as the show begins.
    #[schema(value_type = Option<Instant>)]
    closes_at: Option<i64>,
    /// How many seats one user may have, held and bought together. When left out, the operator's limit of
    /// held seats counts instead.
    #[schema(minimum = 1, maximum = 100_000)]
    max_seats_per_user: Option<i32>,
}

impl NewShow {
    /// The request to the service for a show of this concert, under this id.
    pub(crate) fn into_request(self, concert_id: i64, request_id: String) -> proto::CreateShowRequest {
        proto::CreateShowRequest {
            concert_id,
            starts_at: Some(time::timestamp(self.starts_at)),
            duration_minutes: self.duration_minutes,
            title: self.title,
            description: self.description.unwrap_or_default(),
            price: self.price.unwrap_or_default(),
            seat_count: self.seat_count,
            sections: self.sections.into_iter().flatten().map(NewSection::into_message).collect(),
            opens_at: self.opens_at.map(time::timestamp),
            closes_at: self.closes_at.map(time::timestamp),
            max_seats_per_user: self.max_seats_per_user,
            request_id,
        }
    }
}

impl FromFields for NewShow {
    // A hall of 100,000 seats in rows of ten, with their names and first seats, fits.
    const LIMIT: usize = 1_024 * 1_024;

    fn read(fields: &mut Fields) -> Self {
        let has_sections = fields.has("sections");
        Self {
            starts_at: fields.instant("startsAt"),
            duration_minutes: fields.small("durationMinutes", bounds::MINUTES),
            title: fields.text("title", bounds::TITLE),
            description: fields.optional_text("description", bounds::DESCRIPTION),
            price: if has_sections {
                fields.optional_integer("price", bounds::PRICE)
            } else {
                Some(fields.integer("price", bounds::PRICE))
            },
            seat_count: fields.optional_small("seatCount", bounds::SEATS),
            sections: fields.optional_objects("sections", bounds::SECTIONS),
            opens_at: fields.optional_instant("opensAt"),
            closes_at: fields.optional_instant("closesAt"),
            max_seats_per_user: fields.optional_small("maxSeatsPerUser", bounds::SEATS),
        }
    }
}
