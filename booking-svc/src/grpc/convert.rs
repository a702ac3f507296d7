//! Conversion of seats and holds into protobuf messages.

use boxoffice_proto::{
    Currency,
    booking::{Reservation, ReservationStatus, Seat, SeatMap, SeatStatus},
    time::timestamp,
};

use super::catalog;
use crate::domain::{self, Availability, State, Status};

/// The most bytes that one seat takes in a seat map's message: its tag and length, its number (up to 100,000)
/// and its status, with their tags.
const SEAT: usize = 8;
/// The most bytes that a show takes in its seat map's message, without the bytes of its texts.
const SHOW: usize = 128;

/// The most bytes that the message with a show's seat map takes.
pub(super) fn weigh_map(show: &domain::Show) -> usize {
    SHOW + show.title.len() + show.description.len() + SEAT * usize::try_from(show.seat_count).unwrap_or(0)
}

pub(super) fn seat_map(map: &domain::SeatMap, now: i64, currency: Currency) -> SeatMap {
    let seat = |(seat_number, look)| {
        let status = match look {
            Availability::Available => SeatStatus::Available,
            Availability::Held => SeatStatus::Held,
            Availability::Sold => SeatStatus::Sold,
        };
        Seat { seat_number, status: status.into() }
    };
    SeatMap { show: Some(catalog::show(&map.show, currency)), seats: map.seen_at(now).map(seat).collect() }
}

pub(super) fn reservation(reservation: &domain::Reservation) -> Reservation {
    let hold = &reservation.hold;
    let status = match reservation.status {
        Status::Held => ReservationStatus::Held,
        Status::Confirmed => ReservationStatus::Confirmed,
        Status::Expired => ReservationStatus::Expired,
        Status::Cancelled => ReservationStatus::Cancelled,
    };
    let (confirmed_at, payment_id) = match hold.state {
        State::Confirmed { payment_id, at } => (Some(timestamp(at)), payment_id.to_string()),
        State::Held | State::Expired | State::Cancelled => (None, String::new()),
    };
    Reservation {
        reservation_id: hold.reservation_id.to_string(),
        user_id: hold.user_id.clone(),
        concert_id: hold.concert_id,
        show_id: hold.show_id,
        seat_numbers: hold.seats.clone(),
        amount: hold.amount,
        status: status.into(),
        held_at: Some(timestamp(hold.held_at)),
        expires_at: Some(timestamp(hold.expires_at)),
        confirmed_at,
        payment_id,
        queue_id: hold.queue_id.clone(),
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use chassis::page;
    use prost::Message;

    use super::*;
    use crate::domain::seats::lay_out;

    /// The map of a show of so many seats that is as large as it can be.
    fn largest(seat_count: i32) -> domain::SeatMap {
        let show = domain::Show {
            show_id: i64::MAX,
            concert_id: i64::MAX,
            starts_at: 253_402_300_799_999_999,
            time_zone: chrono_tz::Tz::Etc__GMTPlus12,
            duration_minutes: 1_440,
            title: "\u{1f39f}".repeat(200),
            description: "\u{1f39f}".repeat(4_000),
            price: 1_000_000_000,
            seat_count,
            created_at: 253_402_300_799_999_999,
        };
        domain::SeatMap { show: Arc::new(show), seats: lay_out(seat_count, &[1], &[2]) }
    }

    #[test]
    fn no_map_is_larger_than_it_was_taken_for_and_the_largest_leaves_room_in_a_page() {
        for seat_count in [1, 50, 127, 128, 16_384, 100_000] {
            let currency = "KRW".parse().expect("a currency");
            let map = largest(seat_count);
            let (sent, weight) = (seat_map(&map, 0, currency).encoded_len(), weigh_map(&map.show));
            assert!(
                sent <= weight && weight <= page::MAX_BYTES / 3,
                "{seat_count} seats: {sent} bytes, taken for {weight}"
            );
        }
    }
}
