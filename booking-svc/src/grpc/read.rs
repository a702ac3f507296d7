//! Conversion of protobuf requests about seats and holds into domain values. A fault names every field that
//! is wrong, not only the first.

use boxoffice_proto::{
    Fault,
    booking::{
        CancelReservationRequest, ConfirmReservationRequest, ExtendHoldRequest, GetReservationRequest,
        HoldSeatsRequest, ListReservationsRequest, ListSeatsRequest, RefundReservationRequest,
    },
    bounds, time,
    validate::Checks,
};
use chassis::page::{List, PageRequest};
use chrono::NaiveDate;
use prost_types::Duration;
use serde::{Serialize, de::DeserializeOwned};
use uuid::Uuid;

use crate::{
    app::HoldSeats,
    domain::{Best, Selection, Wanted, dates, events::AT_ONCE},
};

const SECOND: i64 = 1_000_000;

/// What a request asks for, and its request id.
pub(super) type WithId<T> = Result<(T, Option<String>), Fault>;

pub(super) fn hold_seats(request: &HoldSeatsRequest) -> WithId<HoldSeats> {
    let mut checks = Checks::default();
    let user_id = checks.user_id("user_id", &request.user_id);
    let request_id = checks.request_id(&request.request_id);
    let seats = wanted(&mut checks, request);
    checks.finish()?;
    let seats = seats.ok_or_else(|| Fault::invalid_field("seat_numbers", "must name seats"))?;
    Ok((HoldSeats { user_id, show_id: request.show_id, seats }, request_id))
}

/// The seats that a request names, or wishes; `None` when something is wrong with them, which is noted.
fn wanted(checks: &mut Checks, request: &HoldSeatsRequest) -> Option<Wanted> {
    let Some(wish) = &request.best_available else {
        let seats = Selection::new(&request.seat_numbers);
        return seats
            .map_err(|error| checks.refuse("seat_numbers", error.to_string()))
            .map(Wanted::These)
            .ok();
    };
    if !request.seat_numbers.is_empty() {
        checks.refuse("seat_numbers", "must not be given beside best_available");
    }
    Some(Wanted::Best(Best {
        count: checks.range("best_available.count", wish.count, bounds::SELECTION),
        section: checks.text("best_available.section", &wish.section, 0..=*bounds::SECTION.end()),
        together: wish.together.unwrap_or(true),
    }))
}

/// The shows on a page of seats when the request gives no page size. Release 0.1 had no pages here and
/// answered at most this many shows.
const SHOWS_A_PAGE: i32 = 100;

/// Whose seats a request asks for: those of one show, or of all shows of a concert on a date.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum SeatsOf {
    Show(i64),
    Date(i64, NaiveDate),
}

/// Whose seats a request asks for, and which page of the date's shows, by their beginning and id. One show is
/// one page whatever its size.
pub(super) fn seats_of(request: &ListSeatsRequest) -> Result<(SeatsOf, PageRequest<(i64, i64)>), Fault> {
    let ListSeatsRequest { show_id, concert_id, date, page_size, page_token } = request;
    let of = match (*show_id, *concert_id, date.as_str()) {
        (0, 0, _) => Err(Fault::invalid_field("show_id", "give a show, or a concert and a date")),
        (0, concert_id, date) => match dates::parse(date) {
            Some(date) => Ok(SeatsOf::Date(concert_id, date)),
            None => Err(Fault::invalid_field("date", "must be a date such as 2026-12-24")),
        },
        (show_id, 0, "") => Ok(SeatsOf::Show(show_id)),
        _ => Err(Fault::invalid_field("show_id", "give a show, or a concert and a date, not both")),
    }?;
    let list = List::of("seats", format_args!("{show_id} {concert_id} {date}"));
    let size = if *page_size == 0 { SHOWS_A_PAGE } else { *page_size };
    Ok((of, page(list, size, page_token, (i64::MIN, 0))?))
}

/// A page of a list whose filter needs no check; the first page begins at `start`.
pub(super) fn page<C: Serialize + DeserializeOwned>(
    list: List,
    page_size: i32,
    page_token: &str,
    start: C,
) -> Result<PageRequest<C>, Fault> {
    Checks::of(|checks| list.read(page_size, page_token, start, |field, wrong| checks.refuse(field, wrong)))
}

/// Which reservation, and whose it must be; empty: anybody's.
pub(super) fn reservation_id(request: &GetReservationRequest) -> Result<(Uuid, String), Fault> {
    Checks::of(|checks| {
        let user = checks.any_user("user_id", &request.user_id);
        (checks.uuid("reservation_id", &request.reservation_id), user)
    })
}

/// Whose reservations, and which page of them, by when each was held and its id; the newest is the first.
pub(super) fn list_reservations(
    request: &ListReservationsRequest,
) -> Result<(String, PageRequest<(i64, Uuid)>), Fault> {
    Checks::of(|checks| {
        let user = checks.user_id("user_id", &request.user_id);
        let (list, newest) = (List::of("reservations", &user), (i64::MAX, Uuid::max()));
        let refuse = |field: &str, wrong: &str| checks.refuse(field, wrong);
        let page = list.read(request.page_size, &request.page_token, newest, refuse);
        (user, page)
    })
}

/// The reservation, its user and the request id of a command on a hold.
type Whose = (Uuid, String, Option<String>);

pub(super) fn extend_hold(request: &ExtendHoldRequest) -> Result<(Whose, Uuid, i64), Fault> {
    Checks::of(|checks| {
        let whose = whose(checks, &request.reservation_id, &request.user_id, &request.request_id);
        let payment = checks.uuid("payment_id", &request.payment_id);
        (whose, payment, extend_by(checks, request.extend_by.as_ref()))
    })
}

pub(super) fn confirm_reservation(request: &ConfirmReservationRequest) -> Result<(Whose, Uuid), Fault> {
    Checks::of(|checks| {
        let whose = whose(checks, &request.reservation_id, &request.user_id, &request.request_id);
        (whose, checks.uuid("payment_id", &request.payment_id))
    })
}

pub(super) fn refund_reservation(request: &RefundReservationRequest) -> Result<(Uuid, String, Uuid), Fault> {
    Checks::of(|checks| {
        let id = checks.uuid("reservation_id", &request.reservation_id);
        let user = checks.user_id("user_id", &request.user_id);
        (id, user, checks.uuid("payment_id", &request.payment_id))
    })
}

pub(super) fn cancel_reservation(request: &CancelReservationRequest) -> Result<Whose, Fault> {
    Checks::of(|checks| whose(checks, &request.reservation_id, &request.user_id, &request.request_id))
}

/// The numbers of events that are taken.
pub(super) fn taken(taken: Vec<i64>) -> Result<Vec<i64>, Fault> {
    let is_few = i64::try_from(taken.len()).is_ok_and(|taken| taken <= AT_ONCE);
    if is_few { Ok(taken) } else { Err(Fault::invalid_field("taken", format!("must be at most {AT_ONCE}"))) }
}

fn whose(checks: &mut Checks, reservation_id: &str, user_id: &str, request_id: &str) -> Whose {
    let request_id = checks.request_id(request_id);
    (checks.uuid("reservation_id", reservation_id), checks.user_id("user_id", user_id), request_id)
}

/// How long a hold is to live from now on, in microseconds: 1 second to 5 minutes.
fn extend_by(checks: &mut Checks, span: Option<&Duration>) -> i64 {
    let span = span.and_then(time::span_micros).filter(|span| (SECOND..=300 * SECOND).contains(span));
    span.unwrap_or_else(|| {
        checks.refuse("extend_by", "must be 1 s to 5 min");
        0
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seats(show_id: i64, concert_id: i64, date: &str) -> Option<SeatsOf> {
        let request =
            ListSeatsRequest { show_id, concert_id, date: date.to_owned(), ..ListSeatsRequest::default() };
        seats_of(&request).ok().map(|(of, _)| of)
    }

    #[test]
    fn seats_are_of_a_show_or_of_a_concerts_date_and_not_of_both() {
        assert_eq!(seats(7, 0, ""), Some(SeatsOf::Show(7)));
        assert!(matches!(seats(0, 7, "2026-12-24"), Some(SeatsOf::Date(7, _))));
        for nothing in [
            seats(0, 0, "2026-12-24"),
            seats(0, 7, ""),
            seats(0, 7, "24.12."),
            seats(7, 7, ""),
            seats(7, 0, "x"),
        ] {
            assert_eq!(nothing, None);
        }
    }

    #[test]
    fn everything_wrong_with_a_request_is_told_at_once() {
        let hold = HoldSeatsRequest {
            seat_numbers: vec![1, 1],
            request_id: " ".to_owned(),
            ..HoldSeatsRequest::default()
        };
        let fault = hold_seats(&hold).expect_err("a fault");
        let fields: Vec<_> = fault.violations.into_iter().map(|v| v.field).collect();
        assert_eq!(fields, ["user_id", "request_id", "seat_numbers"]);
    }
}
