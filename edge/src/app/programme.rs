//! The programme: concerts and their shows. Everyone may read it; operators write it.

use boxoffice_proto::{
    Fault, Reason,
    booking::{
        CancelShowRequest, CancelShowResponse, Concert, CreateConcertRequest, CreateShowRequest,
        GetConcertRequest, GetSeatPlanRequest, GetSeatPlanResponse, GetShowRequest, GetShowSalesRequest,
        GetShowSalesResponse, ListConcertsRequest, ListConcertsResponse, ListShowReservationsRequest,
        ListShowReservationsResponse, ListShowsRequest, ListShowsResponse, Show, UpdateConcertRequest,
        UpdateShowRequest,
    },
    json,
};
use serde_json::Value;

use super::{acting::before, caller::Caller, edge::Edge};
use crate::clients::ask;

/// Creates a concert.
pub(crate) async fn create_concert(
    edge: &Edge,
    caller: &Caller,
    request: CreateConcertRequest,
) -> Result<Concert, Fault> {
    let request = caller.allow(request)?;
    let request_id = edge.request_id::<CreateConcertRequest>(caller, "", request.request_id);
    let request = CreateConcertRequest { request_id, ..request };
    let booking = edge.clients.booking.clone();
    let create = async move { ask!(booking, create_concert(request).concert) };
    edge.acting.act::<CreateConcertRequest, _>(caller, "", None, tell_concert, create).await
}

/// Changes a concert. With `tags` it must have one of these states, in place of the request's `etag`.
pub(crate) async fn update_concert(
    edge: &Edge,
    caller: &Caller,
    request: UpdateConcertRequest,
    tags: &[String],
) -> Result<Concert, Fault> {
    let request = caller.allow(request)?;
    let request_id = edge.request_id::<UpdateConcertRequest>(caller, "", request.request_id);
    let concert_id = request.concert_id;
    let now = concert(edge, concert_id).await;
    let etag = meant(request.etag, tags);
    let was = before(tell_concert, now, Reason::ConcertNotFound)?;
    let request = UpdateConcertRequest { request_id, etag, ..request };
    let (booking, target) = (edge.clients.booking.clone(), concert_id.to_string());
    let update = async move { ask!(booking, update_concert(request).concert) };
    let changed =
        edge.acting.act::<UpdateConcertRequest, _>(caller, &target, was, tell_concert, update).await;
    edge.gate.forget(concert_id).await;
    edge.coming.forget().await;
    changed
}

/// Changes a show. With `tags` it must have one of these states, in place of the request's `etag`.
pub(crate) async fn update_show(
    edge: &Edge,
    caller: &Caller,
    request: UpdateShowRequest,
    tags: &[String],
) -> Result<Show, Fault> {
    let request = caller.allow(request)?;
    let request_id = edge.request_id::<UpdateShowRequest>(caller, "", request.request_id);
    let now = show(edge, request.show_id).await;
    let etag = meant(request.etag, tags);
    let was = before(tell_show, now, Reason::ShowNotFound)?;
    let request = UpdateShowRequest { request_id, etag, ..request };
    let (booking, target) = (edge.clients.booking.clone(), request.show_id.to_string());
    let update = async move { ask!(booking, update_show(request).show) };
    let changed = edge.acting.act::<UpdateShowRequest, _>(caller, &target, was, tell_show, update).await;
    edge.coming.forget().await;
    changed
}

/// Calls a show off. Its sales are refunded by themselves from then on.
pub(crate) async fn cancel_show(
    edge: &Edge,
    caller: &Caller,
    request: CancelShowRequest,
) -> Result<Show, Fault> {
    let CancelShowRequest { show_id } = caller.allow(request)?;
    let was = before(tell_show, show(edge, show_id).await, Reason::ShowNotFound)?;
    let (call_offs, is_there) = (edge.call_offs.clone(), was.is_some());
    let cancel = async move {
        if !is_there {
            return Err(Fault::new(Reason::ShowNotFound, Reason::ShowNotFound.title()));
        }
        call_offs.begin(show_id).await
    };
    let target = show_id.to_string();
    let changed = edge.acting.act::<CancelShowRequest, _>(caller, &target, was, tell_show, cancel).await;
    edge.coming.forget().await;
    changed
}

/// A show that was called off, as the contract's answer has it.
pub(crate) fn cancelled(show: Show) -> CancelShowResponse {
    let sales_left = show.refunds.map_or(0, |refunds| refunds.total - refunds.done);
    CancelShowResponse { show: Some(show), sales_left }
}

/// The states that a change is meant for. The service compares them with the one that it changes: what is
/// read here may be an older one.
fn meant(etag: String, tags: &[String]) -> String {
    if tags.is_empty() { etag } else { tags.join(",") }
}

/// What the operators' journal keeps of a concert.
fn tell_concert(concert: &Concert) -> Value {
    json::of("boxoffice.booking.v1.Concert", concert)
}

/// What the operators' journal keeps of a show.
fn tell_show(show: &Show) -> Value {
    json::of("boxoffice.booking.v1.Show", show)
}

/// Reads one concert.
pub(crate) async fn concert(edge: &Edge, concert_id: i64) -> Result<Concert, Fault> {
    ask!(edge.clients.booking, get_concert(GetConcertRequest { concert_id }).concert)
}

/// A page of concerts, newest first, or by date from an instant on.
pub(crate) async fn concerts(
    edge: &Edge,
    request: ListConcertsRequest,
) -> Result<ListConcertsResponse, Fault> {
    ask!(edge.clients.booking, list_concerts(request))
}

/// Creates a show, with its seats.
pub(crate) async fn create_show(
    edge: &Edge,
    caller: &Caller,
    request: CreateShowRequest,
) -> Result<Show, Fault> {
    let request = caller.allow(request)?;
    let request_id = edge.request_id::<CreateShowRequest>(caller, "", request.request_id);
    let request = CreateShowRequest { request_id, ..request };
    let (booking, target) = (edge.clients.booking.clone(), request.concert_id.to_string());
    let create = async move { ask!(booking, create_show(request).show) };
    let created = edge.acting.act::<CreateShowRequest, _>(caller, &target, None, tell_show, create).await;
    edge.coming.forget().await;
    created
}

/// Reads one show, with how far its refunds are if it is called off.
pub(crate) async fn show(edge: &Edge, show_id: i64) -> Result<Show, Fault> {
    let mut shows = [ask!(edge.clients.booking, get_show(GetShowRequest { show_id }).show)?];
    edge.call_offs.tell_refunds(&mut shows).await?;
    let [show] = shows;
    Ok(show)
}

/// What a show has sold.
pub(crate) async fn sales(edge: &Edge, caller: &Caller, show_id: i64) -> Result<GetShowSalesResponse, Fault> {
    let request = caller.allow(GetShowSalesRequest { show_id })?;
    ask!(edge.clients.booking, get_show_sales(request))
}

/// A page of those who have the seats of a show, by seat.
pub(crate) async fn reservations(
    edge: &Edge,
    caller: &Caller,
    request: ListShowReservationsRequest,
) -> Result<ListShowReservationsResponse, Fault> {
    ask!(edge.clients.booking, list_show_reservations(caller.allow(request)?))
}

/// The plan of a show's hall.
pub(crate) async fn plan(edge: &Edge, show_id: i64) -> Result<GetSeatPlanResponse, Fault> {
    ask!(edge.clients.booking, get_seat_plan(GetSeatPlanRequest { show_id }))
}

/// A page of a concert's shows, newest first or by date.
pub(crate) async fn shows(edge: &Edge, request: ListShowsRequest) -> Result<ListShowsResponse, Fault> {
    let mut page = ask!(edge.clients.booking, list_shows(request))?;
    edge.call_offs.tell_refunds(&mut page.shows).await?;
    Ok(page)
}
