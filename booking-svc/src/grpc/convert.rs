//! Conversion of seats and holds into protobuf messages.

use std::ops::RangeInclusive;

use boxoffice_proto::{
    Currency,
    booking::{
        Availability, GetSeatPlanResponse, ReleaseReason, Reservation, ReservationEvent, ReservationStatus,
        ReservedSeat, Row, Seat, SeatMap, SeatPrice, SeatStatus, Section, SectionAvailability, ShowEvent,
        WatchAvailabilityResponse, watch_availability_response::Message,
    },
    seats::changes,
    time::timestamp,
};

use super::catalog;
use crate::domain::{
    self, Hall, HallView, Release, State, Status, WaitingEvent, WaitingMove, dates, hall, occupancy,
};

/// The most bytes that one seat takes in a seat map's message: its tag and length, its number (up to 100,000)
/// and its status, with their tags.
const SEAT: usize = 8;
/// The most bytes that a show takes in its seat map's message, without the bytes of its texts.
const SHOW: usize = 234;
/// The most bytes that the price of a section takes in a seat map's message.
const SECTION: usize = 16;

/// The most bytes that the message with a show's seat map takes.
pub(super) fn weigh_map(show: &domain::Show) -> usize {
    let seats = SEAT * usize::try_from(show.seat_count).unwrap_or(0);
    SHOW + show.title.len() + show.description.len() + SECTION * show.section_prices().len() + seats
}

pub(super) fn seat_map(map: &domain::SeatMap, now: i64, currency: Currency) -> SeatMap {
    let seat = |(seat_number, look)| {
        let status = match look {
            occupancy::Availability::Available => SeatStatus::Available,
            occupancy::Availability::Held => SeatStatus::Held,
            occupancy::Availability::Sold => SeatStatus::Sold,
        };
        Seat { seat_number, status: status.into() }
    };
    let price = |((_, numbers), price): ((_, RangeInclusive<i32>), &i64)| SeatPrice {
        first_seat: *numbers.start(),
        last_seat: *numbers.end(),
        price: *price,
    };
    SeatMap {
        show: Some(catalog::show(&map.show, currency)),
        seats: map.seen_at(now).map(seat).collect(),
        prices: map.hall.sections().zip(map.show.section_prices()).map(price).collect(),
    }
}

pub(super) fn availability(view: &HallView) -> Availability {
    let section = |(name, available): (&str, i32)| SectionAvailability { name: name.to_owned(), available };
    Availability {
        show_id: view.show_id,
        version: view.version,
        seat_count: view.taken.seats(),
        available: view.available(),
        sections: view.sections().map(section).collect(),
        taken: view.taken.to_bytes().into(),
    }
}

/// The message of a stream that has told one view and goes on to another; the first one is told whole.
pub(super) fn watched(told: Option<&HallView>, view: &HallView) -> WatchAvailabilityResponse {
    let message = match told {
        None => Message::Snapshot(availability(view)),
        Some(told) => Message::Changes(changes(&told.taken.to_bytes(), &view.taken.to_bytes(), view.version)),
    };
    WatchAvailabilityResponse { message: Some(message) }
}

pub(super) fn seat_plan(show: &domain::Show, hall: &Hall) -> GetSeatPlanResponse {
    let row = |(row, numbers): (&hall::HallRow, RangeInclusive<i32>)| Row {
        name: row.name.clone(),
        first_seat: *numbers.start(),
        last_seat: *numbers.end(),
        first_label: row.first_label,
    };
    let section = |((section, numbers), price): ((&hall::Section, RangeInclusive<i32>), &i64)| Section {
        name: section.name.clone(),
        price: *price,
        standing: section.rows.is_empty(),
        first_seat: *numbers.start(),
        last_seat: *numbers.end(),
        rows: hall::rows(section, *numbers.start()).map(row).collect(),
    };
    let sections = hall.sections().zip(show.section_prices()).map(section).collect();
    GetSeatPlanResponse { show_id: show.show_id, sections }
}

pub(super) fn reservation(reservation: &domain::Reservation) -> Reservation {
    let hold = &reservation.hold;
    let status = match reservation.status {
        Status::Held => ReservationStatus::Held,
        Status::Confirmed => ReservationStatus::Confirmed,
        Status::Expired => ReservationStatus::Expired,
        Status::Cancelled => ReservationStatus::Cancelled,
        Status::Refunded => ReservationStatus::Refunded,
    };
    let (confirmed_at, refunded_at, payment_id) = match hold.state {
        State::Confirmed { payment_id, at } => (Some(at), None, payment_id.to_string()),
        State::Refunded { payment_id, sold_at, at } => (Some(sold_at), Some(at), payment_id.to_string()),
        State::Held | State::Expired | State::Cancelled => (None, None, String::new()),
    };
    let seat = |(seat_number, place): (i32, domain::Place)| ReservedSeat {
        seat_number,
        section: place.section,
        row: place.row,
        label: place.label,
        price: place.price,
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
        confirmed_at: confirmed_at.map(timestamp),
        refunded_at: refunded_at.map(timestamp),
        payment_id,
        queue_id: hold.queue_id.clone(),
        seats: hold.tickets().map(seat).collect(),
    }
}

pub(super) fn event(waiting: WaitingEvent) -> ReservationEvent {
    let released = match waiting.event.released {
        None => ReleaseReason::Unspecified,
        Some(Release::Cancelled) => ReleaseReason::Cancelled,
        Some(Release::Expired) => ReleaseReason::Expired,
        Some(Release::ShowCancelled) => ReleaseReason::ShowCancelled,
    };
    ReservationEvent {
        number: waiting.number,
        happened_at: Some(timestamp(waiting.happened_at)),
        released: released.into(),
        reservation_id: waiting.event.reservation_id.to_string(),
        user_id: waiting.user_id,
        concert_id: waiting.concert_id,
        show_id: waiting.show_id,
        seat_numbers: waiting.seats,
        amount: waiting.amount,
        promised_until: Some(timestamp(waiting.promised_until)),
    }
}

pub(super) fn moved(waiting: WaitingMove) -> ShowEvent {
    let WaitingMove { number, concert_id, moved } = waiting;
    let begins = dates::begins(moved.starts_at, moved.time_zone);
    ShowEvent {
        number,
        event_id: moved.event_id.to_string(),
        happened_at: Some(timestamp(moved.happened_at)),
        show_id: moved.show_id,
        concert_id,
        title: moved.title,
        starts_at: Some(timestamp(moved.starts_at)),
        previous_starts_at: Some(timestamp(moved.previous_starts_at)),
        time_zone: moved.time_zone.name().to_owned(),
        local_date: dates::format(begins.date()),
        local_time: dates::format_time(begins.time()),
    }
}

#[cfg(test)]
mod tests {
    use std::{iter, sync::Arc};

    use boxoffice_proto::booking::TakeReservationEventsResponse;
    use chassis::page;
    use prost::Message;

    use super::*;
    use crate::domain::{Occupancy, show::Sale};

    /// A hall of so many seats, in as many sections as there may be, with so many rows in all. All names are
    /// as long as they may be.
    fn largest_hall(seat_count: i32, rows: i32) -> Hall {
        let sections = seat_count.min(500);
        let parts = |whole: i32, parts: i32| {
            (0..parts).map(move |part| whole / parts + i32::from(part < whole % parts))
        };
        let row = |seats| hall::HallRow { name: "\u{1f39f}".repeat(20), seats, first_label: 100_000 };
        let section = |(seats, rows)| hall::Section {
            name: "\u{1f39f}".repeat(100),
            rows: parts(seats, rows).map(row).collect(),
            capacity: 0,
        };
        Hall::new(parts(seat_count, sections).zip(parts(rows, sections)).map(section).collect())
    }

    /// The map of a show of so many seats that is as large as it can be.
    fn largest(seat_count: i32) -> domain::SeatMap {
        let hall = largest_hall(seat_count, seat_count.min(500));
        let show = domain::Show {
            show_id: i64::MAX,
            concert_id: i64::MAX,
            starts_at: 253_402_300_799_999_999,
            // None has a longer name.
            time_zone: chrono_tz::Tz::America__Argentina__ComodRivadavia,
            duration_minutes: 1_440,
            title: "\u{1f39f}".repeat(200),
            description: "\u{1f39f}".repeat(4_000),
            price: 1_000_000_000,
            seat_count,
            prices: iter::repeat_n(1_000_000_000, hall.sections().count()).collect(),
            sale: Sale {
                opens_at: Some(253_402_300_799_999_999),
                closes_at: Some(253_402_300_799_999_999),
                max_seats_per_user: Some(100_000),
            },
            created_at: 253_402_300_799_999_999,
            standing: domain::Standing::Cancelled,
        };
        let seats = Occupancy::new(0, seat_count, [(1, 1), (2, i64::MAX)]);
        domain::SeatMap { show: Arc::new(show), hall: Arc::new(hall), seats: Arc::new(seats) }
    }

    #[test]
    fn as_many_events_as_are_handed_over_at_once_fit_into_a_message() {
        let at = 253_402_300_799_999_999;
        let largest = event(WaitingEvent {
            number: i64::MAX,
            happened_at: at,
            event: domain::HoldEvent::released(uuid::Uuid::max(), Release::ShowCancelled),
            user_id: "\u{1f39f}".repeat(255),
            concert_id: i64::MAX,
            show_id: i64::MAX,
            seats: vec![100_000; 50],
            amount: i64::MAX,
            promised_until: at,
        });
        let events = vec![largest; usize::try_from(domain::events::AT_ONCE).expect("it is a small number")];
        let sent = TakeReservationEventsResponse { events }.encoded_len();
        assert!(sent <= page::MAX_BYTES, "{sent} bytes");
    }

    #[test]
    fn the_largest_plan_fits_into_a_message() {
        let (map, hall) = (largest(100_000), largest_hall(100_000, 20_000));
        assert_eq!(hall.rows(), boxoffice_proto::bounds::ROWS);
        let sent = seat_plan(&map.show, &hall).encoded_len();
        assert!(sent <= page::MAX_BYTES, "{sent} bytes");
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
