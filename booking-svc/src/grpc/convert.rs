//! Domain to protobuf.

use boxoffice_proto::{
    Currency,
    booking::{Concert, Reservation, ReservationStatus, Seat, SeatMap, SeatStatus, Show},
    time::timestamp,
};

use crate::domain::{self, Availability, State, Status};

pub(super) fn concert(concert: &domain::Concert) -> Concert {
    Concert {
        concert_id: concert.concert_id,
        title: concert.title.clone(),
        queue_id: concert.queue_id.clone(),
        created_at: Some(timestamp(concert.created_at)),
    }
}

pub(super) fn show(show: &domain::Show, currency: Currency) -> Show {
    Show {
        show_id: show.show_id,
        concert_id: show.concert_id,
        starts_at: Some(timestamp(show.starts_at)),
        duration_minutes: show.duration_minutes,
        title: show.title.clone(),
        description: show.description.clone(),
        price: show.price,
        seat_count: show.seat_count,
        created_at: Some(timestamp(show.created_at)),
        currency: currency.code().to_owned(),
        currency_exponent: currency.exponent(),
    }
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
    SeatMap { show: Some(show(&map.show, currency)), seats: map.seen_at(now).map(seat).collect() }
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
