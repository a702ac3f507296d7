//! The seller's books as protobuf has them, and the lists of what is to come.

use boxoffice_proto::{
    Currency, Fault,
    booking::{
        GetShowSalesResponse, ListConcertsRequest, ListConcertsResponse, ListShowReservationsRequest,
        ListShowReservationsResponse, ListShowsRequest, ListShowsResponse, Sales, SectionSales,
    },
    fault::refuse,
    validate::Checks,
};
use chassis::page::List;
use prost_types::Timestamp;
use tonic::Status;

use super::{
    catalog::{self, instant},
    convert, read,
};
use crate::{
    app::{App, Books},
    domain::{
        books,
        dates::{self, Since},
    },
};

/// Where a list by date begins: before every show.
const START: (i64, i64) = (i64::MIN, 0);

pub(super) fn sales(show_id: i64, (total, sections): &Books, currency: Currency) -> GetShowSalesResponse {
    let section = |(name, sales): &(String, books::Sales)| SectionSales {
        name: name.clone(),
        sales: Some(sums(sales)),
    };
    GetShowSalesResponse {
        show_id,
        total: Some(sums(total)),
        sections: sections.iter().map(section).collect(),
        currency: currency.code().to_owned(),
        currency_exponent: currency.exponent(),
    }
}

fn sums(sales: &books::Sales) -> Sales {
    // There are at most 100,000 seats.
    let count = |seats: i64| i32::try_from(seats).unwrap_or(i32::MAX);
    Sales {
        held: count(sales.held),
        sold: count(sales.sold),
        free: count(sales.free()),
        gross: sales.gross,
        refunded: sales.refunded,
        net: sales.net(),
    }
}

pub(super) async fn reservations(
    app: &App,
    request: &ListShowReservationsRequest,
) -> Result<ListShowReservationsResponse, Status> {
    let ListShowReservationsRequest { show_id, page_size, page_token } = request;
    let page = read::page(List::of("seats of a show", show_id), *page_size, page_token, 0)?;
    let found = app.reservations_by_seat(*show_id, *page.from(), page.limit()).await.map_err(refuse)?;
    let (reservations, next_page_token) =
        page.answer(found, |(seat, _)| *seat, |(_, seen)| convert::reservation(&seen));
    Ok(ListShowReservationsResponse { reservations, next_page_token })
}

pub(super) async fn concerts(
    app: &App,
    request: &ListConcertsRequest,
) -> Result<ListConcertsResponse, Status> {
    let ListConcertsRequest { page_size, page_token, from, from_date } = request;
    let from = since(from.as_ref(), from_date)?;
    if from == Since::Ever {
        let page = read::page(List::of("concerts", ""), *page_size, page_token, i64::MAX)?;
        let found = app.concerts(*page.from(), page.limit()).await.map_err(refuse)?;
        let (concerts, next_page_token) =
            page.answer(found, |concert| concert.concert_id, |concert| catalog::concert(&concert));
        return Ok(ListConcertsResponse { concerts, next_page_token });
    }
    let page = read::page(List::of("concerts to come", from), *page_size, page_token, START)?;
    let found = app.concerts_to_come(from, *page.from(), page.limit()).await.map_err(refuse)?;
    let (concerts, next_page_token) =
        page.answer(found, |(next, concert)| (*next, concert.concert_id), |(_, one)| catalog::concert(&one));
    Ok(ListConcertsResponse { concerts, next_page_token })
}

pub(super) async fn shows(
    app: &App,
    request: &ListShowsRequest,
    currency: Currency,
) -> Result<ListShowsResponse, Status> {
    let ListShowsRequest { concert_id, page_size, page_token, from, order, from_date } = request;
    let from = since(from.as_ref(), from_date)?;
    let (shows, next_page_token) = match order.as_str() {
        "" => {
            let of = List::of("shows", format_args!("{concert_id} {from}"));
            // A page token of before had no instant in it.
            let of = if from == Since::Ever { List::of("shows", concert_id) } else { of };
            let page = read::page(of, *page_size, page_token, i64::MAX)?;
            let found = app.shows(*concert_id, from, *page.from(), page.limit()).await.map_err(refuse)?;
            page.answer(found, |show| show.show_id, |show| catalog::show(&show, currency))
        }
        "startsAt" => {
            let of = List::of("shows by date", format_args!("{concert_id} {from}"));
            let page = read::page(of, *page_size, page_token, START)?;
            let found = app.shows_to_come(*concert_id, from, *page.from(), page.limit()).await;
            page.answer(
                found.map_err(refuse)?,
                |show| (show.starts_at, show.show_id),
                |show| catalog::show(&show, currency),
            )
        }
        _ => return Err(Fault::invalid_field("order", "must be startsAt, or left out").into()),
    };
    Ok(ListShowsResponse { shows, next_page_token })
}

fn since(from: Option<&Timestamp>, from_date: &str) -> Result<Since, Fault> {
    Checks::of(|checks| match (from, from_date) {
        (None, "") => Since::Ever,
        (Some(at), "") => Since::Instant(instant(checks, "from", at)),
        (None, date) => match dates::parse(date) {
            Some(date) => Since::Date(date),
            None => {
                checks.refuse("from_date", "must be a date, such as 2026-12-24");
                Since::Ever
            }
        },
        (Some(_), _) => {
            checks.refuse("from_date", "must not be given beside from");
            Since::Ever
        }
    })
}
