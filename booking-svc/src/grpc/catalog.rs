//! Concerts and shows as protobuf has them: a request for a new one is read here, beside the message in which
//! it is told later.

use boxoffice_proto::{
    Currency,
    booking::{Concert, CreateConcertRequest, CreateShowRequest, Show},
    bounds,
    time::{micros, timestamp},
    validate::Checks,
};

use chrono_tz::Tz;

use super::read::WithId;
use crate::domain::{self, NewConcert, NewShow, dates};

/// The seats of a show whose request gives no number.
const DEFAULT_SEATS: i32 = 50;

pub(super) fn new_concert(request: &CreateConcertRequest) -> WithId<NewConcert> {
    let mut checks = Checks::default();
    let title = checks.text("title", &request.title, bounds::TITLE);
    let queue_id = checks.queue_id("queue_id", &request.queue_id);
    let time_zone = time_zone(&mut checks, &request.time_zone);
    let request_id = checks.request_id(&request.request_id);
    checks.finish()?;
    Ok((NewConcert { title, queue_id, time_zone }, request_id))
}

/// A time zone by its IANA name; `None` when it is empty.
fn time_zone(checks: &mut Checks, name: &str) -> Option<Tz> {
    if name.is_empty() {
        return None;
    }
    let zone = name.parse().ok();
    if zone.is_none() {
        checks.refuse("time_zone", "must be the IANA name of a time zone, such as Asia/Seoul");
    }
    zone
}

pub(super) fn concert(concert: &domain::Concert) -> Concert {
    Concert {
        concert_id: concert.concert_id,
        title: concert.title.clone(),
        queue_id: concert.queue_id.clone(),
        created_at: Some(timestamp(concert.created_at)),
        time_zone: concert.time_zone.name().to_owned(),
    }
}

pub(super) fn new_show(request: &CreateShowRequest) -> WithId<NewShow> {
    let mut checks = Checks::default();
    let starts_at = checks.present("starts_at", request.starts_at.as_ref()).map_or(0, |at| {
        micros(at).unwrap_or_else(|| {
            checks.refuse("starts_at", "must be an instant of the years 1 to 9999");
            0
        })
    });
    let seat_count = request.seat_count.unwrap_or(DEFAULT_SEATS);
    let new = NewShow {
        concert_id: request.concert_id,
        starts_at,
        duration_minutes: checks.range("duration_minutes", request.duration_minutes, bounds::MINUTES),
        title: checks.text("title", &request.title, bounds::TITLE),
        description: checks.text("description", &request.description, bounds::DESCRIPTION),
        price: checks.range("price", request.price, bounds::PRICE),
        seat_count: checks.range("seat_count", seat_count, bounds::SEATS),
    };
    let request_id = checks.request_id(&request.request_id);
    checks.finish()?;
    Ok((new, request_id))
}

pub(super) fn show(show: &domain::Show, currency: Currency) -> Show {
    let begins = show.begins();
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
        local_date: dates::format(begins.date()),
        local_time: dates::format_time(begins.time()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn everything_wrong_with_a_new_show_is_told_at_once() {
        let request = CreateShowRequest { price: -1, seat_count: Some(0), ..CreateShowRequest::default() };
        let fault = new_show(&request).expect_err("a fault");
        let fields: Vec<_> = fault.violations.into_iter().map(|v| v.field).collect();
        assert_eq!(fields, ["starts_at", "duration_minutes", "title", "price", "seat_count"]);
    }
}
