//! The service as a server: real gRPC, each reason with its code and particulars.

use std::net::SocketAddr;

use booking_svc::{Config, Listeners, Policy, serve};
use boxoffice_proto::{
    Fault, Reason, Violation,
    booking::{
        CancelReservationRequest, ConfirmReservationRequest, CreateConcertRequest, CreateShowRequest,
        ExtendHoldRequest, GetConcertRequest, GetReservationRequest, GetShowRequest, HoldSeatsRequest,
        ListAvailableDatesRequest, ListConcertsRequest, ListReservationsRequest, ListSeatsRequest,
        ListShowsRequest, Reservation, ReservationStatus, SeatStatus, Show,
        booking_service_client::BookingServiceClient,
    },
    time::{duration, timestamp},
};
use chassis::{channel::Channel, clock::Clock, testing::databases};
use tokio::{net::TcpListener, task::JoinHandle};
use tokio_util::sync::CancellationToken;
use tonic::Status;
use uuid::Uuid;

use crate::world::{DAY, SECOND, START, TTL};

type Client = BookingServiceClient<Channel>;

struct Server {
    client: Client,
    clock: Clock,
    shutdown: CancellationToken,
    serving: JoinHandle<Result<(), chassis::Error>>,
    _database: chassis::testing::TestDatabase,
}

impl Server {
    async fn all() -> Vec<Self> {
        let mut servers = Vec::new();
        for database in databases().await {
            let listener = TcpListener::bind(SocketAddr::from(([127, 0, 0, 1], 0))).await.unwrap();
            let target = format!("http://{}", listener.local_addr().unwrap()).parse().unwrap();
            let (clock, shutdown) = (Clock::manual(START), CancellationToken::new());
            let policy = Policy { max_held_seats: 3, ..Policy::default() };
            let (requests, retention) = Default::default();
            let currency = "EUR".parse().unwrap();
            let config = Config {
                database: database.config.clone(),
                policy,
                currency,
                requests,
                retention,
                doors: access::Doors::open(),
            };
            let listeners = Listeners { grpc: listener.into(), http: None };
            let serving = tokio::spawn(serve(config, listeners, clock.clone(), shutdown.clone()));
            let client = BookingServiceClient::new(Channel::new(&target));
            servers.push(Self { client, clock, shutdown, serving, _database: database });
        }
        servers
    }

    async fn stop(self) {
        self.shutdown.cancel();
        self.serving.await.unwrap().unwrap();
    }

    async fn show(&self, starts_at: i64) -> Show {
        let mut client = self.client.clone();
        let request = CreateConcertRequest { title: "Night".to_owned(), ..CreateConcertRequest::default() };
        let concert = client.create_concert(request).await.unwrap().into_inner().concert.unwrap();
        assert_eq!(concert.queue_id, "default");
        let request = new_show(concert.concert_id, starts_at);
        client.create_show(request).await.unwrap().into_inner().show.unwrap()
    }

    async fn hold(&self, user: &str, show_id: i64, seats: &[i32]) -> Result<Reservation, Fault> {
        let request = hold_request(user, show_id, seats, "");
        let answer = self.client.clone().hold_seats(request).await.map_err(|status| Fault::from(&status))?;
        Ok(answer.into_inner().reservation.unwrap())
    }

    async fn confirm(&self, held: &Reservation, user: &str, payment: Uuid) -> Result<Reservation, Fault> {
        let request = ConfirmReservationRequest {
            reservation_id: held.reservation_id.clone(),
            user_id: user.to_owned(),
            payment_id: payment.to_string(),
            request_id: String::new(),
        };
        let answer =
            self.client.clone().confirm_reservation(request).await.map_err(|status| Fault::from(&status))?;
        Ok(answer.into_inner().reservation.unwrap())
    }

    async fn cancel(&self, held: &Reservation, user: &str) -> Result<Reservation, Fault> {
        let request = CancelReservationRequest {
            reservation_id: held.reservation_id.clone(),
            user_id: user.to_owned(),
            request_id: String::new(),
        };
        let answer =
            self.client.clone().cancel_reservation(request).await.map_err(|status| Fault::from(&status))?;
        Ok(answer.into_inner().reservation.unwrap())
    }
}

fn new_show(concert_id: i64, starts_at: i64) -> CreateShowRequest {
    CreateShowRequest {
        concert_id,
        starts_at: Some(timestamp(starts_at)),
        duration_minutes: 90,
        title: "Late".to_owned(),
        price: 500,
        ..CreateShowRequest::default()
    }
}

fn hold_request(user: &str, show_id: i64, seats: &[i32], request_id: &str) -> HoldSeatsRequest {
    HoldSeatsRequest {
        user_id: user.to_owned(),
        show_id,
        seat_numbers: seats.to_vec(),
        request_id: request_id.to_owned(),
        best_available: None,
        replay_only: false,
    }
}

#[track_caller]
fn refused<T: std::fmt::Debug>(result: Result<T, Fault>, reason: Reason) -> Fault {
    let fault = result.unwrap_err();
    assert_eq!(fault.reason, reason, "{fault}");
    fault
}

#[track_caller]
fn status<T: std::fmt::Debug>(result: Result<T, Status>, reason: Reason) -> Fault {
    let status = result.unwrap_err();
    assert_eq!(status.code(), reason.grpc(), "{status}");
    refused::<T>(Err(Fault::from(&status)), reason)
}

#[tokio::test]
async fn a_show_begins_now_or_later_and_its_price_has_a_currency() {
    for server in Server::all().await {
        let (mut client, show) = (server.client.clone(), server.show(START).await);
        assert_eq!((show.currency.as_str(), show.currency_exponent), ("EUR", 2), "now is not the past");
        let repeated =
            CreateShowRequest { request_id: "r".to_owned(), ..new_show(show.concert_id, START + 1) };
        let first = client.create_show(repeated.clone()).await.unwrap().into_inner();
        server.clock.advance(3_600_000_000);
        let past =
            status(client.create_show(new_show(show.concert_id, START)).await, Reason::InvalidArgument);
        assert_eq!(past.violations, [Violation::new("starts_at", "must not be in the past")]);
        assert_eq!(
            client.create_show(repeated).await.unwrap().into_inner(),
            first,
            "what was answered is answered again"
        );
        server.stop().await;
    }
}

#[tokio::test]
async fn a_sale_from_concert_to_confirmation_over_grpc() {
    for server in Server::all().await {
        let mut client = server.client.clone();
        let show = server.show(START + DAY).await;
        assert_eq!(show.seat_count, 50, "the default");
        let dates = client
            .list_available_dates(ListAvailableDatesRequest { concert_id: show.concert_id })
            .await
            .unwrap();
        assert_eq!(dates.into_inner().available_dates, ["2027-01-16"]);
        let held = server.hold("ann", show.show_id, &[2, 1]).await.unwrap();
        assert_eq!((held.amount, held.seat_numbers.as_slice()), (1_000, [1, 2].as_slice()));
        assert_eq!(
            (held.status(), &held.expires_at),
            (ReservationStatus::Held, &Some(timestamp(START + TTL)))
        );
        let extend = ExtendHoldRequest {
            reservation_id: held.reservation_id.clone(),
            user_id: "ann".to_owned(),
            payment_id: Uuid::nil().to_string(),
            extend_by: Some(duration(30 * SECOND)),
            request_id: String::new(),
        };
        let extended = client.extend_hold(extend).await.unwrap().into_inner().reservation.unwrap();
        assert_eq!(extended, held, "never shorter");
        let payment = Uuid::new_v4();
        let confirmed = server.confirm(&held, "ann", payment).await.unwrap();
        assert_eq!(
            (confirmed.status(), &confirmed.payment_id),
            (ReservationStatus::Confirmed, &payment.to_string())
        );
        assert_eq!(confirmed.confirmed_at, Some(timestamp(START)));
        let read = client
            .get_reservation(GetReservationRequest {
                reservation_id: held.reservation_id.clone(),
                ..Default::default()
            })
            .await
            .unwrap();
        assert_eq!(read.into_inner().reservation, Some(confirmed.clone()));
        let list =
            ListReservationsRequest { user_id: "ann".to_owned(), ..ListReservationsRequest::default() };
        assert_eq!(client.list_reservations(list).await.unwrap().into_inner().reservations, [confirmed]);
        let seats = ListSeatsRequest {
            concert_id: show.concert_id,
            date: "2027-01-16".to_owned(),
            ..ListSeatsRequest::default()
        };
        let maps = client.list_seats(seats).await.unwrap().into_inner().seat_maps;
        assert_eq!(maps[0].show.as_ref(), Some(&show));
        let look: Vec<_> =
            maps[0].seats.iter().take(3).map(|seat| (seat.seat_number, seat.status())).collect();
        assert_eq!(look, [(1, SeatStatus::Sold), (2, SeatStatus::Sold), (3, SeatStatus::Available)]);
        let shows = ListShowsRequest { concert_id: show.concert_id, ..ListShowsRequest::default() };
        assert_eq!(client.list_shows(shows).await.unwrap().into_inner().shows, [show]);
        server.stop().await;
    }
}

#[tokio::test]
async fn what_is_not_there_is_told_by_name() {
    for server in Server::all().await {
        let mut client = server.client.clone();
        let nowhere = i64::MIN;
        status(client.get_concert(GetConcertRequest { concert_id: 9 }).await, Reason::ConcertNotFound);
        status(client.create_show(new_show(9, START)).await, Reason::ConcertNotFound);
        status(
            client.list_shows(ListShowsRequest { concert_id: 9, ..ListShowsRequest::default() }).await,
            Reason::ConcertNotFound,
        );
        status(
            client.list_available_dates(ListAvailableDatesRequest { concert_id: 9 }).await,
            Reason::ConcertNotFound,
        );
        let seats = ListSeatsRequest {
            concert_id: nowhere,
            date: "2027-01-16".to_owned(),
            ..ListSeatsRequest::default()
        };
        status(client.list_seats(seats).await, Reason::ConcertNotFound);
        status(client.get_show(GetShowRequest { show_id: nowhere }).await, Reason::ShowNotFound);
        status(
            client.list_seats(ListSeatsRequest { show_id: 9, ..ListSeatsRequest::default() }).await,
            Reason::ShowNotFound,
        );
        refused(server.hold("ann", 9, &[1]).await, Reason::ShowNotFound);
        let nobody = GetReservationRequest { reservation_id: Uuid::nil().to_string(), ..Default::default() };
        status(client.get_reservation(nobody).await, Reason::ReservationNotFound);
        server.stop().await;
    }
}

#[tokio::test]
async fn every_refusal_of_a_hold_has_its_reason_code_and_particulars() {
    for server in Server::all().await {
        let mut client = server.client.clone();
        let show = server.show(START + DAY).await.show_id;
        let held = server.hold("ann", show, &[1, 2]).await.unwrap();
        let fault = refused(server.hold("bob", show, &[3, 2, 1]).await, Reason::SeatTaken);
        assert_eq!(fault.metadata["seat_numbers"], "1,2");
        let fault = refused(server.hold("bob", show, &[60, 51, 1]).await, Reason::SeatNotFound);
        assert_eq!(fault.metadata["seat_numbers"], "51,60");
        refused(server.hold("ann", show, &[3, 4]).await, Reason::HoldLimit);
        let begun = server.show(START).await.show_id;
        refused(server.hold("ann", begun, &[1]).await, Reason::SalesClosed);
        client.hold_seats(hold_request("bob", show, &[5], "id")).await.unwrap();
        status(client.hold_seats(hold_request("bob", show, &[6], "id")).await, Reason::RequestIdReused);

        refused(server.confirm(&held, "bob", Uuid::nil()).await, Reason::NotOwner);
        refused(server.cancel(&held, "bob").await, Reason::NotOwner);
        let cancelled = server.hold("cid", show, &[7]).await.unwrap();
        assert_eq!(server.cancel(&cancelled, "cid").await.unwrap().status(), ReservationStatus::Cancelled);
        refused(server.confirm(&cancelled, "cid", Uuid::nil()).await, Reason::ReservationCancelled);
        let payment = Uuid::new_v4();
        server.confirm(&held, "ann", payment).await.unwrap();
        refused(server.confirm(&held, "ann", Uuid::new_v4()).await, Reason::AlreadyPaid);
        refused(server.cancel(&held, "ann").await, Reason::AlreadyPaid);
        let late = server.hold("dan", show, &[8]).await.unwrap();
        let fault = refused(server.confirm(&late, "dan", payment).await, Reason::InvalidArgument);
        assert_eq!(fault.violations[0].field, "payment_id");
        server.clock.advance(TTL);
        refused(server.confirm(&late, "dan", Uuid::new_v4()).await, Reason::HoldExpired);
        let stranger = Reservation { reservation_id: Uuid::nil().to_string(), ..Reservation::default() };
        refused(server.confirm(&stranger, "ann", payment).await, Reason::ReservationNotFound);
        server.stop().await;
    }
}

#[tokio::test]
async fn malformed_requests_name_the_fields_and_change_nothing() {
    for server in Server::all().await {
        let mut client = server.client.clone();
        let show = server.show(START + DAY).await.show_id;
        let field = |fault: Fault| {
            fault.violations.first().map(|violation| violation.field.clone()).unwrap_or_default()
        };
        let many: Vec<i32> = (1..=51).collect();
        for seats in [&[][..], &[1, 1], &many] {
            assert_eq!(
                field(refused(server.hold("ann", show, seats).await, Reason::InvalidArgument)),
                "seat_numbers"
            );
        }
        let fault = refused(server.hold("a b", show, &[1]).await, Reason::InvalidArgument);
        assert_eq!(field(fault), "user_id");
        let bad = Reservation { reservation_id: "x".to_owned(), ..Reservation::default() };
        let fault = refused(server.cancel(&bad, "").await, Reason::InvalidArgument);
        assert_eq!(fault.violations.len(), 2);
        status(client.create_concert(CreateConcertRequest::default()).await, Reason::InvalidArgument);
        status(client.create_show(CreateShowRequest::default()).await, Reason::InvalidArgument);
        status(client.list_seats(ListSeatsRequest::default()).await, Reason::InvalidArgument);
        let size = ListConcertsRequest { page_size: -1, ..ListConcertsRequest::default() };
        assert_eq!(field(status(client.list_concerts(size).await, Reason::InvalidArgument)), "page_size");
        let token = ListConcertsRequest { page_token: "no".to_owned(), ..ListConcertsRequest::default() };
        assert_eq!(field(status(client.list_concerts(token).await, Reason::InvalidArgument)), "page_token");
        status(client.list_reservations(ListReservationsRequest::default()).await, Reason::InvalidArgument);
        let extend =
            ExtendHoldRequest { extend_by: Some(duration(301 * SECOND)), ..ExtendHoldRequest::default() };
        let fault = status(client.extend_hold(extend).await, Reason::InvalidArgument);
        assert_eq!(fault.violations.len(), 4);
        server.stop().await;
    }
}
