//! Concerts and shows as protobuf has them: a request for a new one is read here, beside the message in which
//! it is told later.

use std::collections::HashSet;

use boxoffice_proto::{
    Currency,
    booking::{Concert, CreateConcertRequest, CreateShowRequest, NewRow, NewSection, Show, ShowStatus},
    bounds,
    time::{micros, timestamp},
    validate::Checks,
};

use chrono_tz::Tz;
use prost_types::Timestamp;

use super::read::WithId;
use crate::domain::{self, HallRow, NewConcert, NewShow, Section, Standing, dates, show::Sale};

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
pub(super) fn time_zone(checks: &mut Checks, name: &str) -> Option<Tz> {
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
        etag: concert.etag(),
    }
}

pub(super) fn new_show(request: &CreateShowRequest) -> WithId<NewShow> {
    let mut checks = Checks::default();
    let starts_at = checks.present("starts_at", request.starts_at.as_ref());
    let starts_at = starts_at.map_or(0, |at| instant(&mut checks, "starts_at", at));
    let duration_minutes = checks.range("duration_minutes", request.duration_minutes, bounds::MINUTES);
    let title = checks.text("title", &request.title, bounds::TITLE);
    let description = checks.text("description", &request.description, bounds::DESCRIPTION);
    let (sections, prices) = sections(&mut checks, request);
    let (price, seat_count) = if request.sections.is_empty() {
        let price = checks.range("price", request.price, bounds::PRICE);
        let seat_count = request.seat_count.unwrap_or(DEFAULT_SEATS);
        (price, checks.range("seat_count", seat_count, bounds::SEATS))
    } else {
        let seats = sections.iter().fold(0_i32, |sum, section| sum.saturating_add(section.size()));
        (prices.iter().copied().min().unwrap_or(0), seats)
    };
    let sale = sale(&mut checks, request);
    let concert_id = request.concert_id;
    let new = NewShow {
        concert_id,
        starts_at,
        duration_minutes,
        title,
        description,
        price,
        seat_count,
        sections,
        prices,
        sale,
    };
    let request_id = checks.request_id(&request.request_id);
    checks.finish()?;
    Ok((new, request_id))
}

pub(super) fn instant(checks: &mut Checks, field: &str, at: &Timestamp) -> i64 {
    micros(at).unwrap_or_else(|| {
        checks.refuse(field, "must be an instant of the years 1 to 9999");
        0
    })
}

fn sale(checks: &mut Checks, request: &CreateShowRequest) -> Sale {
    let opens_at = request.opens_at.as_ref().map(|at| instant(checks, "opens_at", at));
    let closes_at = request.closes_at.as_ref().map(|at| instant(checks, "closes_at", at));
    let limit = |limit| checks.range("max_seats_per_user", limit, bounds::SEATS);
    Sale { opens_at, closes_at, max_seats_per_user: request.max_seats_per_user.map(limit) }
}

/// The sections of a new show's hall, and the price of a seat in each of them. Both are empty when the
/// request has no sections.
fn sections(checks: &mut Checks, request: &CreateShowRequest) -> (Vec<Section>, Vec<i64>) {
    if request.sections.is_empty() {
        return (Vec::new(), Vec::new());
    }
    if request.price != 0 {
        checks.refuse("price", "must not be given beside sections, each of which has its price");
    }
    if request.seat_count.is_some() {
        checks.refuse("seat_count", "must not be given beside sections, which have their seats");
    }
    let rows = request.sections.iter().map(|section| section.rows.len()).sum::<usize>();
    if !bounds::SECTIONS.contains(&request.sections.len()) || rows > bounds::ROWS {
        let (most, rows) = (bounds::SECTIONS.end(), bounds::ROWS);
        checks.refuse("sections", format!("must be 1 to {most} sections of at most {rows} rows in all"));
        return (Vec::new(), Vec::new());
    }
    let (mut sections, mut prices, mut names) = (Vec::new(), Vec::new(), HashSet::new());
    for (nth, new) in request.sections.iter().enumerate() {
        let mut inside = Checks::default();
        let section = section(&mut inside, new);
        if !names.insert(section.name.clone()) {
            inside.refuse("name", "must be another one than those of the other sections");
        }
        prices.push(inside.range("price", new.price, bounds::PRICE));
        checks.within(&format!("sections[{nth}]"), inside);
        sections.push(section);
    }
    let seats = sections.iter().fold(0_i32, |sum, section| sum.saturating_add(section.size()));
    if seats > *bounds::SEATS.end() {
        checks.refuse("sections", format!("must have {} seats at most, in all", bounds::SEATS.end()));
    }
    (sections, prices)
}

fn section(checks: &mut Checks, new: &NewSection) -> Section {
    let name = checks.text("name", &new.name, bounds::SECTION);
    let mut capacity = 0;
    if new.rows.is_empty() == (new.capacity == 0) {
        checks.refuse("rows", "must be given, or a capacity where people stand, and not both");
    } else if new.rows.is_empty() {
        capacity = checks.range("capacity", new.capacity, bounds::SEATS);
    }
    let row = |(nth, row): (usize, &NewRow)| {
        let mut inside = Checks::default();
        let name = inside.text("name", &row.name, bounds::ROW);
        let seats = inside.range("seats", row.seats, bounds::SEATS);
        let first_label = inside.range("first_seat", row.first_seat.unwrap_or(1), bounds::LABEL);
        checks.within(&format!("rows[{nth}]"), inside);
        HallRow { name, seats, first_label }
    };
    let rows = new.rows.iter().enumerate().map(row).collect();
    let section = Section { name, rows, capacity };
    if section.has_twins() {
        checks.refuse("rows", "must not give two seats the same row and number");
    }
    section
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
        time_zone: show.time_zone.name().to_owned(),
        opens_at: show.sale.opens_at.map(timestamp),
        closes_at: show.sale.closes_at.map(timestamp),
        max_seats_per_user: show.sale.max_seats_per_user,
        etag: show.etag(),
        status: match show.standing {
            Standing::Scheduled => ShowStatus::Scheduled,
            Standing::Cancelling => ShowStatus::Cancelling,
            Standing::Cancelled => ShowStatus::Cancelled,
        }
        .into(),
        refunds: None,
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

    fn row(seats: i32) -> NewRow {
        NewRow { name: "A".to_owned(), seats, first_seat: None }
    }

    fn with_sections(sections: Vec<NewSection>) -> CreateShowRequest {
        CreateShowRequest {
            starts_at: Some(timestamp(1)),
            duration_minutes: 1,
            title: "t".to_owned(),
            sections,
            ..CreateShowRequest::default()
        }
    }

    fn of_rows(name: &str, price: i64, rows: Vec<NewRow>) -> NewSection {
        NewSection { name: name.to_owned(), price, rows, capacity: 0 }
    }

    #[test]
    fn a_show_with_sections_has_their_seats_and_the_lowest_of_their_prices() {
        let standing =
            NewSection { name: "Floor".to_owned(), price: 5, capacity: 7, ..NewSection::default() };
        let request = with_sections(vec![
            of_rows("Stalls", 9, vec![row(3), NewRow { first_seat: Some(4), ..row(2) }]),
            standing,
        ]);
        let (new, _) = new_show(&request).expect("a show");
        assert_eq!((new.seat_count, new.price, new.prices), (12, 5, vec![9, 5]));
        assert_eq!(new.sections[0].rows[1], HallRow { name: "A".to_owned(), seats: 2, first_label: 4 });
        let twice = of_rows("Stalls", 9, vec![row(3), NewRow { first_seat: Some(3), ..row(2) }]);
        let fault = new_show(&with_sections(vec![twice])).expect_err("two seats with one name");
        assert_eq!(fault.violations[0].field, "sections[0].rows");
    }

    #[test]
    fn everything_wrong_with_sections_is_told_by_where_it_stands() {
        let nameless = NewRow { first_seat: Some(0), ..NewRow::default() };
        let request = CreateShowRequest {
            price: 1,
            seat_count: Some(5),
            opens_at: Some(Timestamp { seconds: i64::MAX, nanos: 0 }),
            max_seats_per_user: Some(0),
            ..with_sections(vec![
                of_rows("Stalls", -1, vec![row(1), nameless]),
                of_rows("Stalls", 0, Vec::new()),
                NewSection { name: "Floor".to_owned(), capacity: -2, ..NewSection::default() },
            ])
        };
        let fields = |request: &CreateShowRequest| {
            let fault = new_show(request).expect_err("a fault");
            fault.violations.into_iter().map(|v| v.field).collect::<Vec<_>>()
        };
        let expected = [
            "price",
            "seat_count",
            "sections[0].rows[1].name",
            "sections[0].rows[1].seats",
            "sections[0].rows[1].first_seat",
            "sections[0].price",
            "sections[1].rows",
            "sections[1].name",
            "sections[2].capacity",
            "opens_at",
            "max_seats_per_user",
        ];
        assert_eq!(fields(&request), expected);
        let large = of_rows("Stalls", 0, vec![row(100_000), NewRow { name: "B".to_owned(), ..row(1) }]);
        assert_eq!(fields(&with_sections(vec![large])), ["sections"]);
        let many = (0..501).map(|n| of_rows(&n.to_string(), 0, vec![row(1)])).collect();
        assert_eq!(fields(&with_sections(many)), ["sections"]);
    }
}
