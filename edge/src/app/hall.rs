//! The hall: which seats are free, and holding them. Dates and seats are read by who shows an ACTIVE token of
//! the concert's queue, or by everyone where browsing is open; seats are held by the user of such a token.

use std::{sync::Arc, time::Duration};

use boxoffice_proto::{
    Fault, Reason,
    booking::{
        CancelReservationRequest, GetAvailabilityRequest, GetReservationRequest, HoldSeatsRequest,
        ListAvailableDatesRequest, ListReservationsRequest, ListReservationsResponse, ListSeatsRequest,
        ListSeatsResponse, Reservation, ReservationStatus, SeatMap, WatchAvailabilityRequest,
    },
};
use chassis::context::Context;
use futures::{Stream, StreamExt, TryStreamExt, stream};
use tracing::{Instrument, Span};

use super::{board::HallMap, caller::Caller, edge::Edge, hall_stream::HallStream};
use crate::clients::{ask, whole};

/// How long a later page of a date's seats may take. The request's own deadline is for the beginning of its
/// answer.
const PAGE_TIMEOUT: Duration = Duration::from_secs(10);

/// The dates on which a seat of a concert is free, rising.
pub(crate) async fn dates(edge: &Edge, caller: &Caller, concert_id: i64) -> Result<Vec<String>, Fault> {
    let request = caller.allow(ListAvailableDatesRequest { concert_id })?;
    edge.admit_to_browse(caller, edge.gate.queue_of_concert(concert_id)).await?;
    Ok(ask!(edge.clients.booking, list_available_dates(request))?.available_dates)
}

/// The seats of one show.
pub(crate) async fn seats(edge: &Edge, caller: &Caller, show_id: i64) -> Result<SeatMap, Fault> {
    let request = caller.allow(ListSeatsRequest { show_id, ..ListSeatsRequest::default() })?;
    edge.admit_to_browse(caller, edge.gate.queue_of_show(show_id)).await?;
    if show_id <= 0 {
        // On the wire 0 means "by concert and date".
        return Err(Fault::new(Reason::ShowNotFound, Reason::ShowNotFound.title()));
    }
    let maps = ask!(edge.clients.booking, list_seats(request))?.seat_maps;
    whole(maps.into_iter().next(), "list_seats")
}

/// What can be had of a show, at a moment after this request came.
pub(crate) async fn availability(
    edge: &Edge,
    caller: &Caller,
    request: GetAvailabilityRequest,
) -> Result<Arc<HallMap>, Fault> {
    let GetAvailabilityRequest { show_id, .. } = caller.allow(request)?;
    edge.admit_to_browse(caller, edge.gate.queue_of_show(show_id)).await?;
    edge.halls.map(show_id).await
}

/// Follows what can be had of a show, for a client that was told the version in the request.
pub(crate) async fn watch(
    edge: &Edge,
    caller: &Caller,
    request: WatchAvailabilityRequest,
) -> Result<HallStream, Fault> {
    let WatchAvailabilityRequest { show_id, known_version } = caller.allow(request)?;
    edge.admit_to_browse(caller, edge.gate.queue_of_show(show_id)).await?;
    let token = if edge.doors.house.open_browsing { None } else { Some(caller.queue_token()?) };
    edge.halls.follow(show_id, known_version, token).await
}

/// A page of seats, of one show or of a concert's shows on a date.
pub(crate) async fn seats_page(
    edge: &Edge,
    caller: &Caller,
    request: ListSeatsRequest,
) -> Result<ListSeatsResponse, Fault> {
    let request = caller.allow(request)?;
    if request.show_id == 0 {
        edge.admit_to_browse(caller, edge.gate.queue_of_concert(request.concert_id)).await?;
    } else {
        edge.admit_to_browse(caller, edge.gate.queue_of_show(request.show_id)).await?;
    }
    ask!(edge.clients.booking, list_seats(request))
}

/// The seats of each show of a concert on a date, read from the service page by page; and whether the first
/// page, which has been read, is all. The later pages are read when they are asked for and belong to the same
/// trace.
pub(crate) async fn seats_of_date(
    edge: &Edge,
    caller: &Caller,
    concert_id: i64,
    date: String,
) -> Result<(bool, impl Stream<Item = Result<SeatMap, Fault>> + Send + use<>), Fault> {
    let request = ListSeatsRequest { concert_id, date, ..ListSeatsRequest::default() };
    let first = seats_page(edge, caller, request.clone()).await?;
    let booking = edge.clients.booking.clone();
    let is_all = first.next_page_token.is_empty();

    let (span, trace) = (Span::current(), Context::current().map(|context| context.trace));
    let later = stream::try_unfold(first.next_page_token, move |page_token| {
        let (booking, span, fresh) = (booking.clone(), span.clone(), Context::fresh(PAGE_TIMEOUT));
        let context = Context { trace: trace.clone().unwrap_or_else(|| fresh.trace.clone()), ..fresh };
        let request = ListSeatsRequest { page_token, ..request.clone() };
        async move {
            if request.page_token.is_empty() {
                return Ok::<_, Fault>(None);
            }
            let page = async { ask!(booking, list_seats(request)) };
            let page = context.scope(page).instrument(span).await?;
            Ok(Some((page.seat_maps, page.next_page_token)))
        }
    });
    let pages = stream::iter([Ok(first.seat_maps)]).chain(later);
    let maps = pages.map_ok(|maps| stream::iter(maps.into_iter().map(Ok::<_, Fault>))).try_flatten();
    Ok((is_all, maps))
}

/// Holds seats for the user of an ACTIVE token of the show's queue. A caller whom the gate refuses may be
/// repeating a request whose token was used up since; such a request is given its first answer again.
pub(crate) async fn hold(
    edge: &Edge,
    caller: &Caller,
    request: HoldSeatsRequest,
) -> Result<Reservation, Fault> {
    hold_if(async { Ok(()) }, edge, caller, request).await
}

/// As [`hold`], for a caller who says more of the show than its number: whether that `fits` is asked when it
/// is known who asks, and holds up no repetition either.
pub(crate) async fn hold_if(
    fits: impl Future<Output = Result<(), Fault>>,
    edge: &Edge,
    caller: &Caller,
    request: HoldSeatsRequest,
) -> Result<Reservation, Fault> {
    let request = caller.allow(request)?;
    let may_be_repeated = !request.request_id.is_empty();
    let request_id = edge.request_id::<HoldSeatsRequest>(caller, &request.user_id, request.request_id);
    let request = HoldSeatsRequest { request_id, ..request };
    let admitted = async {
        caller.queue_token()?;
        let queue_id = edge.gate.queue_of_show(request.show_id).await?;
        edge.gate.admit(caller, &queue_id, Some(&request.user_id), false).await?;
        fits.await
    };
    let Err(refusal) = admitted.await else {
        return ask!(edge.clients.booking, hold_seats(request).reservation);
    };
    if !may_be_repeated {
        return Err(refusal);
    }
    let replay = HoldSeatsRequest { replay_only: true, ..request };
    match ask!(edge.clients.booking, hold_seats(replay).reservation) {
        Err(fault) if fault.reason != Reason::RequestIdReused => Err(refusal),
        answered => answered,
    }
}

/// One reservation. Where nobody is asked who they are, who knows its unguessable id may read it.
pub(crate) async fn reservation(
    edge: &Edge,
    caller: &Caller,
    request: GetReservationRequest,
) -> Result<Reservation, Fault> {
    ask!(edge.clients.booking, get_reservation(caller.allow(request)?).reservation)
}

/// A page of a user's reservations, newest first.
pub(crate) async fn reservations(
    edge: &Edge,
    caller: &Caller,
    request: ListReservationsRequest,
) -> Result<ListReservationsResponse, Fault> {
    let request = caller.allow(request)?;
    ask!(edge.clients.booking, list_reservations(request))
}

/// Gives a hold back; its seats are free at once. A reservation that is paid for is not given back, and one
/// that has ended already stays as it is. Users need their ACTIVE token for it, support does not. Answers the
/// reservation as it is then.
pub(crate) async fn release(
    edge: &Edge,
    caller: &Caller,
    request: CancelReservationRequest,
) -> Result<Reservation, Fault> {
    let cancel = caller.allow(request)?;
    let request_id = edge.request_id::<CancelReservationRequest>(caller, &cancel.user_id, cancel.request_id);
    let cancel = CancelReservationRequest { request_id, ..cancel };
    let is_for_anybody = caller.role::<CancelReservationRequest>(&cancel.user_id).is_some();
    if !is_for_anybody {
        caller.queue_token()?;
    }
    let (reservation_id, user_id) = (cancel.reservation_id.clone(), cancel.user_id.clone());
    let request = GetReservationRequest { reservation_id, user_id };
    let reservation = ask!(edge.clients.booking, get_reservation(request).reservation)?;
    if !is_for_anybody {
        admit_to_release(edge, caller, &reservation).await?;
    }
    let cancel = CancelReservationRequest { user_id: reservation.user_id, ..cancel };
    ask!(edge.clients.booking, cancel_reservation(cancel).reservation)
}

async fn admit_to_release(edge: &Edge, caller: &Caller, reservation: &Reservation) -> Result<(), Fault> {
    let user_id = Some(reservation.user_id.as_str());
    let Err(refusal) = edge.gate.admit(caller, &reservation.queue_id, user_id, false).await else {
        return Ok(());
    };
    // Paying has used the token up. The user is told of the payment, not of the token.
    let is_paid = reservation.status() == ReservationStatus::Confirmed;
    if is_paid && refusal.reason == Reason::TokenNotActive {
        return Err(Fault::new(Reason::AlreadyPaid, "A reservation that is paid for is not given back."));
    }
    Err(refusal)
}
