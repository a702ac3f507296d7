//! `BookingService` at the edge.

use std::pin::Pin;

use boxoffice_proto::{
    booking::{
        AvailabilityChanges, CancelReservationRequest, CancelReservationResponse, CancelShowRequest,
        CancelShowResponse, ConfirmReservationRequest, ConfirmReservationResponse, CreateConcertRequest,
        CreateConcertResponse, CreateShowRequest, CreateShowResponse, ExtendHoldRequest, ExtendHoldResponse,
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
        booking_service_server::BookingService, watch_availability_response::Message,
    },
    fault::Answer,
};
use futures::{Stream, stream};
use tonic::{Request, Response, Status};

use super::{
    door::{Door, answer},
    queue::ended,
};
use crate::app::{HallNews, HallStream, StreamEnd, hall, programme};

/// The messages of a WatchAvailability.
type HallMessages = Pin<Box<dyn Stream<Item = Result<WatchAvailabilityResponse, Status>> + Send>>;

#[tonic::async_trait]
impl BookingService for Door {
    type WatchAvailabilityStream = HallMessages;

    async fn get_concert(&self, request: Request<GetConcertRequest>) -> Answer<GetConcertResponse> {
        let concert = programme::concert(&self.edge, request.get_ref().concert_id).await?;
        Ok(Response::new(GetConcertResponse { concert: Some(concert) }))
    }

    async fn get_show(&self, request: Request<GetShowRequest>) -> Answer<GetShowResponse> {
        let show = programme::show(&self.edge, request.get_ref().show_id).await?;
        Ok(Response::new(GetShowResponse { show: Some(show) }))
    }

    async fn get_seat_plan(&self, request: Request<GetSeatPlanRequest>) -> Answer<GetSeatPlanResponse> {
        Ok(Response::new(programme::plan(&self.edge, request.get_ref().show_id).await?))
    }

    async fn list_available_dates(
        &self,
        request: Request<ListAvailableDatesRequest>,
    ) -> Answer<ListAvailableDatesResponse> {
        let (caller, concert_id) = (self.caller(&request), request.get_ref().concert_id);
        let available_dates = hall::dates(&self.edge, &caller, concert_id).await?;
        Ok(Response::new(ListAvailableDatesResponse { concert_id, available_dates }))
    }

    async fn create_concert(&self, request: Request<CreateConcertRequest>) -> Answer<CreateConcertResponse> {
        answer!(self, request, |edge, caller, message| CreateConcertResponse {
            concert: Some(programme::create_concert(edge, &caller, message).await?)
        })
    }

    async fn list_concerts(&self, request: Request<ListConcertsRequest>) -> Answer<ListConcertsResponse> {
        Ok(Response::new(programme::concerts(&self.edge, request.into_inner()).await?))
    }

    async fn create_show(&self, request: Request<CreateShowRequest>) -> Answer<CreateShowResponse> {
        answer!(self, request, |edge, caller, message| CreateShowResponse {
            show: Some(programme::create_show(edge, &caller, message).await?)
        })
    }

    async fn get_show_sales(&self, request: Request<GetShowSalesRequest>) -> Answer<GetShowSalesResponse> {
        answer!(self, request, |edge, caller, message| programme::sales(edge, &caller, message.show_id)
            .await?)
    }

    async fn list_show_reservations(
        &self,
        request: Request<ListShowReservationsRequest>,
    ) -> Answer<ListShowReservationsResponse> {
        answer!(self, request, |edge, caller, message| programme::reservations(edge, &caller, message)
            .await?)
    }

    async fn update_concert(&self, request: Request<UpdateConcertRequest>) -> Answer<UpdateConcertResponse> {
        answer!(self, request, |edge, caller, message| UpdateConcertResponse {
            concert: Some(programme::update_concert(edge, &caller, message, &[]).await?)
        })
    }

    async fn update_show(&self, request: Request<UpdateShowRequest>) -> Answer<UpdateShowResponse> {
        answer!(self, request, |edge, caller, message| UpdateShowResponse {
            show: Some(programme::update_show(edge, &caller, message, &[]).await?)
        })
    }

    async fn cancel_show(&self, request: Request<CancelShowRequest>) -> Answer<CancelShowResponse> {
        answer!(self, request, |edge, caller, message| programme::cancelled(
            programme::cancel_show(edge, &caller, message).await?
        ))
    }

    async fn finish_cancelling(
        &self,
        request: Request<FinishCancellingRequest>,
    ) -> Answer<FinishCancellingResponse> {
        Err(self.caller(&request).refusal(request.into_inner()).into())
    }

    async fn take_reservation_events(
        &self,
        request: Request<TakeReservationEventsRequest>,
    ) -> Answer<TakeReservationEventsResponse> {
        Err(self.caller(&request).refusal(request.into_inner()).into())
    }

    async fn take_show_events(
        &self,
        request: Request<TakeShowEventsRequest>,
    ) -> Answer<TakeShowEventsResponse> {
        Err(self.caller(&request).refusal(request.into_inner()).into())
    }

    async fn list_shows(&self, request: Request<ListShowsRequest>) -> Answer<ListShowsResponse> {
        Ok(Response::new(programme::shows(&self.edge, request.into_inner()).await?))
    }

    async fn list_seats(&self, request: Request<ListSeatsRequest>) -> Answer<ListSeatsResponse> {
        answer!(self, request, |edge, caller, message| hall::seats_page(edge, &caller, message).await?)
    }

    async fn get_availability(
        &self,
        request: Request<GetAvailabilityRequest>,
    ) -> Answer<GetAvailabilityResponse> {
        let (caller, message) = (self.caller(&request), request.into_inner());
        let known = message.known_version;
        let map = hall::availability(&self.edge, &caller, message).await?;
        let is_news = known != Some(map.message.version);
        Ok(Response::new(GetAvailabilityResponse { availability: is_news.then(|| map.message.clone()) }))
    }

    async fn watch_availability(&self, request: Request<WatchAvailabilityRequest>) -> Answer<HallMessages> {
        let caller = self.caller(&request);
        let following = hall::watch(&self.edge, &caller, request.into_inner()).await?;
        Ok(Response::new(Box::pin(messages(following))))
    }

    async fn hold_seats(&self, request: Request<HoldSeatsRequest>) -> Answer<HoldSeatsResponse> {
        answer!(self, request, |edge, caller, message| HoldSeatsResponse {
            reservation: Some(hall::hold(edge, &caller, message).await?)
        })
    }

    async fn extend_hold(&self, request: Request<ExtendHoldRequest>) -> Answer<ExtendHoldResponse> {
        Err(self.caller(&request).refusal(request.into_inner()).into())
    }

    async fn get_reservation(
        &self,
        request: Request<GetReservationRequest>,
    ) -> Answer<GetReservationResponse> {
        answer!(self, request, |edge, caller, message| GetReservationResponse {
            reservation: Some(hall::reservation(edge, &caller, message).await?)
        })
    }

    async fn list_reservations(
        &self,
        request: Request<ListReservationsRequest>,
    ) -> Answer<ListReservationsResponse> {
        answer!(self, request, |edge, caller, message| hall::reservations(edge, &caller, message).await?)
    }

    async fn confirm_reservation(
        &self,
        request: Request<ConfirmReservationRequest>,
    ) -> Answer<ConfirmReservationResponse> {
        Err(self.caller(&request).refusal(request.into_inner()).into())
    }

    async fn refund_reservation(
        &self,
        request: Request<RefundReservationRequest>,
    ) -> Answer<RefundReservationResponse> {
        Err(self.caller(&request).refusal(request.into_inner()).into())
    }

    async fn cancel_reservation(
        &self,
        request: Request<CancelReservationRequest>,
    ) -> Answer<CancelReservationResponse> {
        answer!(self, request, |edge, caller, message| CancelReservationResponse {
            reservation: Some(hall::release(edge, &caller, message).await?)
        })
    }
}

/// What a stream tells, as messages: a heartbeat is a change of no seat.
fn messages(following: HallStream) -> impl Stream<Item = Result<WatchAvailabilityResponse, Status>> {
    stream::unfold(following, async |mut following| {
        let message = match following.next().await? {
            HallNews::Map(map) => Message::Snapshot(map.message.clone()),
            HallNews::Change(change) => Message::Changes(change.message.clone()),
            HallNews::Heartbeat(version) => {
                Message::Changes(AvailabilityChanges { version, ..AvailabilityChanges::default() })
            }
            HallNews::End(StreamEnd::Final | StreamEnd::Unknown) => return None,
            HallNews::End(end) => return Some((Err(ended(end)), following)),
        };
        Some((Ok(WatchAvailabilityResponse { message: Some(message) }), following))
    })
}
