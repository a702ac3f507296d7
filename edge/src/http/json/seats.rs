//! Seats and reservations.

use boxoffice_proto::{booking as proto, bounds};
use serde::Serialize;
use utoipa::ToSchema;

use super::{Hollow, Instant, ReservedSeat, UserIdText, price_of, whole, words};
use crate::http::fields::{Fields, FromFields};

words! {
    /// What a reservation is.
    ReservationStatus of proto::ReservationStatus { Held, Confirmed, Expired, Cancelled, Refunded }
}

words! {
    /// What a seat is at this moment: SOLD when it is paid for, and once the sale of its show has closed.
    SeatStatus of proto::SeatStatus { Available, Held, Sold }
}

/// The dates on which a seat is free.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Dates {
    /// The number of the concert.
    #[schema(example = 1)]
    pub(crate) concert_id: i64,
    /// The dates by the clock of the venue, in rising order.
    #[schema(value_type = Vec<chrono::NaiveDate>, example = json!(["2026-12-24", "2026-12-25"]))]
    pub(crate) available_dates: Vec<String>,
}

/// The free seats of a concert on a date.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct FreeSeats {
    /// The number of the concert.
    #[schema(example = 1)]
    pub(crate) concert_id: i64,
    /// The date by the clock of the venue.
    #[schema(format = Date, example = "2026-12-24")]
    pub(crate) date: String,
    // The last member: shows are written into it one after the other.
    /// Its shows on that date, in order of their beginning.
    pub(crate) shows: Vec<FreeSeatsOfShow>,
}

/// The free seats of a show.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct FreeSeatsOfShow {
    /// The number of the show.
    #[schema(example = 1)]
    show_id: i64,
    /// Its free seats, rising.
    available_seats: Vec<FreeSeat>,
}

/// A seat that is free.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct FreeSeat {
    /// The number of the seat in its show.
    #[schema(minimum = 1, example = 7)]
    seat_number: i32,
    /// What it costs, in minor units.
    #[schema(minimum = 0, example = 50_000)]
    price: i64,
}

impl TryFrom<proto::SeatMap> for FreeSeatsOfShow {
    type Error = Hollow;

    fn try_from(map: proto::SeatMap) -> Result<Self, Hollow> {
        let show = whole(map.show)?;
        let free = map.seats.into_iter().filter(|seat| seat.status() == proto::SeatStatus::Available);
        let seats = free.map(|seat| FreeSeat {
            seat_number: seat.seat_number,
            price: price_of(seat.seat_number, &map.prices, show.price),
        });
        Ok(Self { show_id: show.show_id, available_seats: seats.collect() })
    }
}

/// The seats of a show.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Seats {
    /// The number of the show.
    #[schema(example = 1)]
    show_id: i64,
    /// The seats of the show, rising.
    seats: Vec<Seat>,
}

/// A seat of a show.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Seat {
    /// The number of the seat in its show.
    #[schema(minimum = 1, example = 7)]
    seat_number: i32,
    /// The status of the seat.
    status: SeatStatus,
    /// What it costs, in minor units.
    #[schema(minimum = 0, example = 50_000)]
    price: i64,
}

impl TryFrom<proto::SeatMap> for Seats {
    type Error = Hollow;

    fn try_from(map: proto::SeatMap) -> Result<Self, Hollow> {
        let show = whole(map.show)?;
        let read = |seat: proto::Seat| {
            let status = SeatStatus::read(seat.status)?;
            let price = price_of(seat.seat_number, &map.prices, show.price);
            Ok(Seat { seat_number: seat.seat_number, status, price })
        };
        let seats = map.seats.into_iter().map(read).collect::<Result<_, _>>()?;
        Ok(Self { show_id: show.show_id, seats })
    }
}

/// A hold, or what became of it.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Reservation {
    /// The id of the reservation; whoever knows it may read it.
    #[schema(format = Uuid, example = "0190b6b2-3c1e-7c3a-9a55-6d1a1cbe0d11")]
    pub(crate) reservation_id: String,
    /// The user for whom the seats are held.
    #[schema(example = "ann")]
    user_id: String,
    /// The number of the show's concert.
    #[schema(example = 1)]
    concert_id: i64,
    /// The number of the show.
    #[schema(example = 1)]
    show_id: i64,
    /// The seats, rising.
    #[schema(example = json!([7, 8]))]
    seat_numbers: Vec<i32>,
    /// The same seats, each with what stands on its ticket and what it cost.
    seats: Vec<ReservedSeat>,
    /// What they cost together, fixed when they were held.
    #[schema(minimum = 0, example = 100_000)]
    amount: i64,
    /// What it is now.
    status: ReservationStatus,
    /// When the seats were taken.
    held_at: Instant,
    /// When the hold lapses, or lapsed.
    expires_at: Instant,
    /// When it was paid for; null unless CONFIRMED or REFUNDED.
    #[schema(required)]
    confirmed_at: Option<Instant>,
    /// The payment that confirmed it; null unless CONFIRMED or REFUNDED.
    #[schema(required)]
    payment_id: Option<String>,
    /// When its seats were taken back because the sale was undone; null unless REFUNDED.
    #[schema(required)]
    refunded_at: Option<Instant>,
}

impl TryFrom<proto::Reservation> for Reservation {
    type Error = Hollow;

    fn try_from(hold: proto::Reservation) -> Result<Self, Hollow> {
        Ok(Self {
            status: ReservationStatus::read(hold.status)?,
            held_at: Instant::read(hold.held_at.as_ref())?,
            expires_at: Instant::read(hold.expires_at.as_ref())?,
            confirmed_at: Instant::optional(hold.confirmed_at.as_ref()),
            refunded_at: Instant::optional(hold.refunded_at.as_ref()),
            payment_id: Some(hold.payment_id).filter(|id| !id.is_empty()),
            reservation_id: hold.reservation_id,
            user_id: hold.user_id,
            concert_id: hold.concert_id,
            show_id: hold.show_id,
            seat_numbers: hold.seat_numbers,
            seats: hold.seats.into_iter().map(ReservedSeat::from).collect(),
            amount: hold.amount,
        })
    }
}

/// A page of reservations, newest first.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Reservations {
    /// The reservations of this page.
    pub(crate) reservations: Vec<Reservation>,
    /// Where the next page starts; empty on the last.
    pub(crate) next_page_token: String,
}

/// Which seats to hold, all of them or none: either `seatNumbers`, or `count` of the best that are free.
#[derive(ToSchema)]
#[schema(rename_all = "camelCase", example = json!({"userId": "ann", "showId": 1, "seatNumbers": [7, 8]}))]
pub(crate) struct NewReservation {
    /// The user for whom the seats are held.
    #[schema(value_type = UserIdText)]
    pub(crate) user_id: String,
    /// The number of the show.
    #[schema(minimum = 1)]
    pub(crate) show_id: i64,
    /// The numbers of the seats, all different. It is left out when `count` is given.
    #[schema(min_items = 1, max_items = 50, minimum = 1)]
    seat_numbers: Option<Vec<i32>>,
    /// How many seats, which are chosen then: the best that are free. It is left out when `seatNumbers` are
    /// given.
    #[schema(minimum = 1, maximum = 50)]
    count: Option<i32>,
    /// The name of the section in which they are to be; anywhere when left out. It goes with `count`.
    #[schema(max_length = 100)]
    section: Option<String>,
    /// Whether they must be side by side in one row, as they are when this is left out. It goes with `count`.
    together: Option<bool>,
}

impl NewReservation {
    /// The request to the service, under this id.
    pub(crate) fn into_request(self, request_id: String) -> proto::HoldSeatsRequest {
        let best_available = self.count.map(|count| proto::BestAvailable {
            count,
            section: self.section.unwrap_or_default(),
            together: self.together,
        });
        proto::HoldSeatsRequest {
            user_id: self.user_id,
            show_id: self.show_id,
            seat_numbers: self.seat_numbers.unwrap_or_default(),
            best_available,
            request_id,
            ..proto::HoldSeatsRequest::default()
        }
    }
}

impl FromFields for NewReservation {
    fn read(fields: &mut Fields) -> Self {
        let chooses = ["count", "section", "together"].into_iter().find(|name| fields.has(name));
        let is_named = fields.has("seatNumbers");
        if let Some(field) = chooses.filter(|_| is_named) {
            fields.checks.refuse(field, "must not be given beside seatNumbers, which say which seats");
        }
        let user_id = fields.user_id("userId");
        let show_id = fields.integer("showId", 1..=i64::MAX);
        if is_named || chooses.is_none() {
            let seat_numbers = Some(fields.smalls("seatNumbers", 1..=50, &(1..=i32::MAX)));
            return Self { user_id, show_id, seat_numbers, count: None, section: None, together: None };
        }
        Self {
            user_id,
            show_id,
            seat_numbers: None,
            count: Some(fields.small("count", bounds::SELECTION)),
            section: fields.optional_text("section", 0..=*bounds::SECTION.end()),
            together: fields.optional_bool("together"),
        }
    }
}
