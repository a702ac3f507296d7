//! The gRPC service: checks the form of each request's fields, calls the use case and converts its answer. It
//! decides no rule.

mod books;
mod catalog;
mod convert;
mod mending;
mod read;

use std::{pin::Pin, sync::Arc};

use boxoffice_proto::{
    Currency, Fault, Reason, access,
    booking::{
        CancelReservationRequest, CancelReservationResponse, CancelShowRequest, CancelShowResponse,
        ConfirmReservationRequest, ConfirmReservationResponse, CreateConcertRequest, CreateConcertResponse,
        CreateShowRequest, CreateShowResponse, ExtendHoldRequest, ExtendHoldResponse,
        FinishCancellingRequest, FinishCancellingResponse, GetAvailabilityRequest, GetAvailabilityResponse,
        GetConcertRequest, GetConcertResponse, GetReservationRequest, GetReservationResponse,
        GetSeatPlanRequest, GetSeatPlanResponse, GetShowRequest, GetShowResponse, GetShowSalesRequest,
        GetShowSalesResponse, HoldSeatsRequest, HoldSeatsResponse, ListAvailableDatesRequest,
        ListAvailableDatesResponse, ListConcertsRequest, ListConcertsResponse, ListReservationsRequest,
        ListReservationsResponse, ListSeatsRequest, ListSeatsResponse, ListShowReservationsRequest,
        ListShowReservationsResponse, ListShowsRequest, ListShowsResponse, RefundReservationRequest,
        RefundReservationResponse, TakeReservationEventsRequest, TakeReservationEventsResponse,
        TakeShowEventsRequest, TakeShowEventsResponse, UpdateConcertRequest, UpdateConcertResponse,
        UpdateShowRequest, UpdateShowResponse, WatchAvailabilityRequest, WatchAvailabilityResponse,
        booking_service_server::BookingService,
    },
    fault::{Answer, refuse},
};
use futures::{Stream, StreamExt};
use tokio_util::sync::CancellationToken;
use tonic::{Request, Response, Status};

use crate::{
    app::{self, App},
    domain::Reservation,
    error::Error,
};
use read::SeatsOf;

/// The gRPC service `boxoffice.booking.v1.BookingService`, as a front of the use cases.
#[derive(Clone, Debug)]
pub struct Service {
    app: Arc<App>,
    currency: Currency,
    /// Ends the streams.
    shutdown: CancellationToken,
}

/// The messages of a WatchAvailability.
type HallMessages = Pin<Box<dyn Stream<Item = Result<WatchAvailabilityResponse, Status>> + Send>>;

impl Service {
    /// A service that calls these use cases, tells every price in this currency, and ends its streams at the
    /// shutdown.
    #[must_use]
    pub const fn new(app: Arc<App>, currency: Currency, shutdown: CancellationToken) -> Self {
        Self { app, currency, shutdown }
    }
}

#[tonic::async_trait]
impl BookingService for Service {
    type WatchAvailabilityStream = HallMessages;

    async fn create_concert(&self, request: Request<CreateConcertRequest>) -> Answer<CreateConcertResponse> {
        let (new, request_id) = catalog::new_concert(&request.into_inner())?;
        let concert = self.app.create_concert(new, request_id).await.map_err(refuse)?;
        Ok(Response::new(CreateConcertResponse { concert: Some(catalog::concert(&concert)) }))
    }

    async fn get_concert(&self, request: Request<GetConcertRequest>) -> Answer<GetConcertResponse> {
        let concert = self.app.concert(request.into_inner().concert_id).await.map_err(refuse)?;
        Ok(Response::new(GetConcertResponse { concert: Some(catalog::concert(&concert)) }))
    }

    async fn list_concerts(&self, request: Request<ListConcertsRequest>) -> Answer<ListConcertsResponse> {
        Ok(Response::new(books::concerts(&self.app, request.get_ref()).await?))
    }

    async fn create_show(&self, request: Request<CreateShowRequest>) -> Answer<CreateShowResponse> {
        let (new, request_id) = catalog::new_show(&request.into_inner())?;
        let show = self.app.create_show(new, request_id).await.map_err(refuse)?;
        Ok(Response::new(CreateShowResponse { show: Some(catalog::show(&show, self.currency)) }))
    }

    async fn get_show(&self, request: Request<GetShowRequest>) -> Answer<GetShowResponse> {
        let show = self.app.show(request.into_inner().show_id).await.map_err(refuse)?;
        Ok(Response::new(GetShowResponse { show: Some(catalog::show(&show, self.currency)) }))
    }

    async fn update_concert(&self, request: Request<UpdateConcertRequest>) -> Answer<UpdateConcertResponse> {
        let (change, etag, request_id) = mending::concert(request.get_ref())?;
        let concert_id = request.get_ref().concert_id;
        let concert = self.app.update_concert(concert_id, change, etag, request_id).await.map_err(refuse)?;
        Ok(Response::new(UpdateConcertResponse { concert: Some(catalog::concert(&concert)) }))
    }

    async fn update_show(&self, request: Request<UpdateShowRequest>) -> Answer<UpdateShowResponse> {
        let (change, etag, request_id) = mending::show(request.get_ref())?;
        let show_id = request.get_ref().show_id;
        let show = self.app.update_show(show_id, change, etag, request_id).await.map_err(refuse)?;
        Ok(Response::new(UpdateShowResponse { show: Some(catalog::show(&show, self.currency)) }))
    }

    async fn cancel_show(&self, request: Request<CancelShowRequest>) -> Answer<CancelShowResponse> {
        let (show, left) = self.app.cancel_show(request.into_inner().show_id).await.map_err(refuse)?;
        Ok(Response::new(CancelShowResponse {
            show: Some(catalog::show(&show, self.currency)),
            // There are at most 100,000 seats.
            sales_left: i32::try_from(left).unwrap_or(i32::MAX),
        }))
    }

    async fn finish_cancelling(
        &self,
        request: Request<FinishCancellingRequest>,
    ) -> Answer<FinishCancellingResponse> {
        let show = self.app.finish_cancelling(request.into_inner().show_id).await.map_err(refuse)?;
        Ok(Response::new(FinishCancellingResponse { show: Some(catalog::show(&show, self.currency)) }))
    }

    async fn get_seat_plan(&self, request: Request<GetSeatPlanRequest>) -> Answer<GetSeatPlanResponse> {
        let show = self.app.show(request.into_inner().show_id).await.map_err(refuse)?;
        let hall = self.app.hall(&show).await.map_err(refuse)?;
        Ok(Response::new(convert::seat_plan(&show, &hall)))
    }

    async fn list_shows(&self, request: Request<ListShowsRequest>) -> Answer<ListShowsResponse> {
        Ok(Response::new(books::shows(&self.app, request.get_ref(), self.currency).await?))
    }

    async fn get_show_sales(&self, request: Request<GetShowSalesRequest>) -> Answer<GetShowSalesResponse> {
        let show_id = request.into_inner().show_id;
        let sales = self.app.sales(show_id).await.map_err(refuse)?;
        Ok(Response::new(books::sales(show_id, &sales, self.currency)))
    }

    async fn list_show_reservations(
        &self,
        request: Request<ListShowReservationsRequest>,
    ) -> Answer<ListShowReservationsResponse> {
        Ok(Response::new(books::reservations(&self.app, request.get_ref()).await?))
    }

    async fn list_available_dates(
        &self,
        request: Request<ListAvailableDatesRequest>,
    ) -> Answer<ListAvailableDatesResponse> {
        let concert_id = request.into_inner().concert_id;
        let dates = self.app.available_dates(concert_id).await.map_err(refuse)?;
        Ok(Response::new(ListAvailableDatesResponse { concert_id, available_dates: dates.to_vec() }))
    }

    async fn list_seats(&self, request: Request<ListSeatsRequest>) -> Answer<ListSeatsResponse> {
        let (seats_of, page) = read::seats_of(&request.into_inner())?;
        let (shows, next_page_token) = match seats_of {
            SeatsOf::Show(show_id) => (vec![self.app.show(show_id).await.map_err(refuse)?], String::new()),
            SeatsOf::Date(concert_id, date) => {
                let found = self
                    .app
                    .shows_of_date(concert_id, date, *page.from(), page.limit())
                    .await
                    .map_err(refuse)?;
                // The page is cut before the seats are read, so that none are read in vain.
                let (shows, next) =
                    page.cut(found, |show| (show.starts_at, show.show_id), convert::weigh_map);
                (shows.into_iter().map(Arc::new).collect(), next)
            }
        };
        let mut seat_maps = Vec::with_capacity(shows.len());
        for show in shows {
            let map = self.app.seat_map(show).await.map_err(refuse)?;
            seat_maps.push(convert::seat_map(&map, self.app.now(), self.currency));
        }
        Ok(Response::new(ListSeatsResponse { seat_maps, next_page_token }))
    }

    async fn get_availability(
        &self,
        request: Request<GetAvailabilityRequest>,
    ) -> Answer<GetAvailabilityResponse> {
        let GetAvailabilityRequest { show_id, known_version } = request.into_inner();
        let view = self.app.availability(show_id, known_version).await.map_err(refuse)?;
        let is_news = known_version != Some(view.version);
        Ok(Response::new(GetAvailabilityResponse {
            availability: is_news.then(|| convert::availability(&view)),
        }))
    }

    async fn watch_availability(
        &self,
        request: Request<WatchAvailabilityRequest>,
    ) -> Answer<Self::WatchAvailabilityStream> {
        let WatchAvailabilityRequest { show_id, known_version } = request.into_inner();
        let views = self.app.watch_availability(show_id, known_version, &self.shutdown).await;
        let views = views.map_err(refuse)?;
        let message = |(told, view): app::ViewStep| convert::watched(told.as_deref(), &view);
        let messages = views.map(move |views| views.map(message).map_err(refuse));
        Ok(Response::new(Box::pin(messages)))
    }

    async fn hold_seats(&self, request: Request<HoldSeatsRequest>) -> Answer<HoldSeatsResponse> {
        let request = request.into_inner();
        let (command, request_id) = read::hold_seats(&request)?;
        let reservation = if request.replay_only {
            self.app.held_before(&command, request_id).await
        } else {
            self.app.hold_seats(command, request_id).await
        };
        Ok(Response::new(HoldSeatsResponse { reservation: answer(reservation)? }))
    }

    async fn extend_hold(&self, request: Request<ExtendHoldRequest>) -> Answer<ExtendHoldResponse> {
        let ((id, user, request_id), payment, by) = read::extend_hold(&request.into_inner())?;
        let reservation = self.app.extend_hold(id, &user, payment, by, request_id).await;
        Ok(Response::new(ExtendHoldResponse { reservation: answer(reservation)? }))
    }

    async fn get_reservation(
        &self,
        request: Request<GetReservationRequest>,
    ) -> Answer<GetReservationResponse> {
        let (id, user) = read::reservation_id(&request.into_inner())?;
        let found = self.app.reservation(id).await.map_err(Fault::from);
        let reservation =
            access::for_user(&user, found, |found| &found.hold.user_id, Reason::ReservationNotFound)?;
        Ok(Response::new(GetReservationResponse { reservation: Some(convert::reservation(&reservation)) }))
    }

    async fn list_reservations(
        &self,
        request: Request<ListReservationsRequest>,
    ) -> Answer<ListReservationsResponse> {
        let (user, page) = read::list_reservations(&request.into_inner())?;
        let found = self.app.reservations(&user, *page.from(), page.limit()).await.map_err(refuse)?;
        let place = |seen: &Reservation| (seen.hold.held_at, seen.hold.reservation_id);
        let (reservations, next_page_token) = page.answer(found, place, |seen| convert::reservation(&seen));
        Ok(Response::new(ListReservationsResponse { reservations, next_page_token }))
    }

    async fn confirm_reservation(
        &self,
        request: Request<ConfirmReservationRequest>,
    ) -> Answer<ConfirmReservationResponse> {
        let ((id, user, request_id), payment) = read::confirm_reservation(&request.into_inner())?;
        let reservation = self.app.confirm_reservation(id, &user, payment, request_id).await;
        Ok(Response::new(ConfirmReservationResponse { reservation: answer(reservation)? }))
    }

    async fn refund_reservation(
        &self,
        request: Request<RefundReservationRequest>,
    ) -> Answer<RefundReservationResponse> {
        let (id, user, payment) = read::refund_reservation(&request.into_inner())?;
        let reservation = self.app.refund_reservation(id, &user, payment).await;
        Ok(Response::new(RefundReservationResponse { reservation: answer(reservation)? }))
    }

    async fn cancel_reservation(
        &self,
        request: Request<CancelReservationRequest>,
    ) -> Answer<CancelReservationResponse> {
        let (id, user, request_id) = read::cancel_reservation(&request.into_inner())?;
        let reservation = self.app.cancel_reservation(id, &user, request_id).await;
        Ok(Response::new(CancelReservationResponse { reservation: answer(reservation)? }))
    }

    async fn take_reservation_events(
        &self,
        request: Request<TakeReservationEventsRequest>,
    ) -> Answer<TakeReservationEventsResponse> {
        let taken = read::taken(request.into_inner().taken)?;
        let waiting = self.app.take_events(taken).await.map_err(Error::Db).map_err(refuse)?;
        let events = waiting.into_iter().map(convert::event).collect();
        Ok(Response::new(TakeReservationEventsResponse { events }))
    }

    async fn take_show_events(
        &self,
        request: Request<TakeShowEventsRequest>,
    ) -> Answer<TakeShowEventsResponse> {
        let taken = read::taken(request.into_inner().taken)?;
        let waiting = self.app.take_moves(taken).await.map_err(refuse)?;
        Ok(Response::new(TakeShowEventsResponse {
            events: waiting.into_iter().map(convert::moved).collect(),
        }))
    }
}

fn answer(
    result: Result<Reservation, Error>,
) -> Result<Option<boxoffice_proto::booking::Reservation>, Status> {
    result.map(|reservation| Some(convert::reservation(&reservation))).map_err(refuse)
}
