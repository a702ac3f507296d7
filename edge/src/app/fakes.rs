//! The three services in one small server that does as it is told: for tests of the saga's runner, where
//! replies get lost and runners die. The real services are tested where they live, and together in `tests/`.

#![expect(clippy::wildcard_enum_match_arm, reason = "a fake knows few states and refuses in all others")]

use std::{collections::HashMap, pin::Pin, sync::Arc, time::Duration};

use boxoffice_proto::{
    Fault, Reason,
    booking::{booking_service_server::*, *},
    queue::{queue_service_server::*, *},
    time::timestamp,
    wallet::{wallet_service_server::*, *},
};
use futures::{Stream, StreamExt};
use hyper::body::Bytes;
use parking_lot::Mutex;
use tokio::net::TcpListener;
use tokio_stream::wrappers::TcpListenerStream;
use tonic::{Request, Response, Status, transport::Server};

use crate::config::Upstreams;

/// What happens to the next call of a method.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Mishap {
    /// It never arrives.
    Lost,
    /// It takes effect, and the reply gets lost.
    ReplyLost,
    /// It takes effect, and the reply stays out.
    Hangs,
    /// It never arrives, and the caller waits.
    Swallowed,
    /// It is refused for no reason that the saga knows; and so is every later one.
    Refused,
    /// It arrives only when the token is no longer ACTIVE.
    Late,
}

/// One reservation, one wallet, one token, and what was asked of them.
#[derive(Debug)]
pub(super) struct World {
    pub(super) hold: ReservationStatus,
    pub(super) expires_at: i64,
    pub(super) balance: i64,
    pub(super) payments: HashMap<String, PaymentStatus>,
    pub(super) token: TokenStatus,
    /// The version and the position of every token in a batch.
    pub(super) place: (i64, i64),
    /// What is said to everybody in the queue.
    pub(super) said: &'static str,
    /// The version of what can be had of every show, and the bitmap of what cannot.
    pub(super) hall: (i64, Bytes),
    /// What is added to the number of a batch in the answers of PollTokens; `None`: there is no such method.
    pub(super) lanes: Option<i64>,
    /// The next mishap of each method.
    pub(super) mishaps: HashMap<&'static str, Mishap>,
    /// The hold lapses right after the debit.
    pub(super) lapses_after_debit: bool,
    /// Events that wait to be taken.
    pub(super) events: Vec<ReservationEvent>,
    pub(super) moves: Vec<ShowEvent>,
    pub(super) calls: HashMap<&'static str, usize>,
}

#[derive(Clone)]
pub(super) struct Fakes(pub(super) Arc<Mutex<World>>);

pub(super) const USER: &str = "ann";
pub(super) const PRICE: i64 = 150_000;

impl Fakes {
    /// Serves on a port of its own.
    pub(super) async fn start(balance: i64, expires_at: i64) -> (Self, Upstreams) {
        let fakes = Self(Arc::new(Mutex::new(World {
            hold: ReservationStatus::Held,
            expires_at,
            balance,
            payments: HashMap::new(),
            token: TokenStatus::Active,
            place: (1, 0),
            said: "",
            hall: (1, Bytes::from_static(&[0, 0])),
            lanes: None,
            mishaps: HashMap::new(),
            lapses_after_debit: false,
            events: Vec::new(),
            moves: Vec::new(),
            calls: HashMap::new(),
        })));
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let server = Server::builder()
            .add_service(QueueServiceServer::new(fakes.clone()))
            .add_service(BookingServiceServer::new(fakes.clone()))
            .add_service(WalletServiceServer::new(fakes.clone()));
        tokio::spawn(server.serve_with_incoming(TcpListenerStream::new(listener)));
        let target = || url.parse().unwrap();
        (fakes, Upstreams { queue_url: target(), booking_url: target(), wallet_url: target() })
    }

    /// Does the work, or what the next mishap makes of it.
    async fn serve<T>(
        &self,
        method: &'static str,
        work: impl FnOnce(&mut World) -> Result<T, Fault>,
    ) -> Result<Response<T>, Status> {
        let mishap = {
            let mut world = self.0.lock();
            *world.calls.entry(method).or_default() += 1;
            match world.mishaps.get(method) {
                Some(Mishap::Refused) => return Err(no(Reason::InvalidArgument).into()),
                _ => world.mishaps.remove(method),
            }
        };
        while mishap == Some(Mishap::Late) && self.0.lock().token == TokenStatus::Active {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        let mut done = None;
        if !matches!(mishap, Some(Mishap::Lost | Mishap::Swallowed)) {
            done = Some(work(&mut self.0.lock()));
        }
        if matches!(mishap, Some(Mishap::Hangs | Mishap::Swallowed)) {
            tokio::time::sleep(Duration::from_secs(60)).await;
        }
        match (mishap, done) {
            (None | Some(Mishap::Late), Some(answer)) => Ok(Response::new(answer?)),
            _ => Err(Status::internal("lost on the way")),
        }
    }

    /// Looks tokens up: there are all but those that end in zeros.
    async fn look_up(
        &self,
        method: &'static str,
        asked: Vec<String>,
    ) -> Result<Response<BatchGetTokensResponse>, Status> {
        let (not_found, found): (Vec<_>, Vec<_>) =
            asked.into_iter().partition(|token| token.ends_with("000000000000"));
        tokio::time::sleep(Duration::from_millis(20)).await;
        let read = |world: &mut World| {
            let ((version, position), status) = (world.place, world.token.into());
            let token = |token| Token {
                token,
                queue_id: "default".into(),
                status,
                version,
                position,
                ..Token::default()
            };
            let tokens = found.into_iter().map(token).collect();
            let message = QueueMessage { en: world.said.into(), ..QueueMessage::default() };
            let notices = vec![QueueNotice { queue_id: "default".into(), message: Some(message) }];
            Ok(BatchGetTokensResponse { tokens, not_found, notices, ..BatchGetTokensResponse::default() })
        };
        self.serve(method, read).await
    }
}

impl World {
    fn reservation(&self) -> Reservation {
        Reservation {
            user_id: USER.into(),
            amount: PRICE,
            status: self.hold.into(),
            expires_at: Some(timestamp(self.expires_at)),
            queue_id: "default".into(),
            ..Reservation::default()
        }
    }

    fn live_or_ours(&self) -> Result<Option<Reservation>, Fault> {
        match self.hold {
            ReservationStatus::Held | ReservationStatus::Confirmed => Ok(Some(self.reservation())),
            ReservationStatus::Expired => Err(no(Reason::HoldExpired)),
            _ => Err(no(Reason::ReservationCancelled)),
        }
    }

    fn debit(&mut self, payment_id: String) -> Result<CreatePaymentResponse, Fault> {
        let status = *self.payments.entry(payment_id).or_insert_with(|| {
            let enough = self.balance >= PRICE;
            self.balance -= if enough { PRICE } else { 0 };
            if enough { PaymentStatus::Completed } else { PaymentStatus::Failed }
        });
        if self.lapses_after_debit {
            self.hold = ReservationStatus::Expired;
        }
        match status {
            PaymentStatus::Failed => Err(no(Reason::InsufficientFunds)),
            _ => Ok(CreatePaymentResponse {
                payment: Some(Payment { status: status.into(), ..Payment::default() }),
                balance: self.balance,
            }),
        }
    }

    fn refund(&mut self, payment_id: String) -> CancelPaymentResponse {
        let status = self.payments.entry(payment_id).or_insert(PaymentStatus::Unspecified);
        if *status == PaymentStatus::Completed {
            *status = PaymentStatus::Cancelled;
            self.balance += PRICE;
        }
        let refunded = *status == PaymentStatus::Cancelled;
        CancelPaymentResponse { payment: Some(Payment::default()), balance: self.balance, refunded }
    }

    fn token(&self) -> Option<Token> {
        let token = "3fa85f64-5717-4562-b3fc-2c963f66afa6".to_owned();
        Some(Token {
            token,
            queue_id: "default".into(),
            user_id: USER.into(),
            status: self.token.into(),
            ..Token::default()
        })
    }

    fn complete(&mut self) -> Result<CompleteTokenResponse, Fault> {
        match self.token {
            TokenStatus::Active | TokenStatus::Completed => self.token = TokenStatus::Completed,
            _ => return Err(no(Reason::TokenNotActive)),
        }
        Ok(CompleteTokenResponse { token: self.token() })
    }
}

fn no(reason: Reason) -> Fault {
    Fault::new(reason, reason.title())
}

/// Methods that no test here needs, as `#[async_trait]` would write them.
macro_rules! absent {
    ($($method:ident: $request:ident => $response:ty;)+) => {$(
        fn $method<'a, 'b>(
            &'a self,
            _: Request<$request>,
        ) -> Pin<Box<dyn Future<Output = Result<Response<$response>, Status>> + Send + 'b>>
        where
            'a: 'b,
            Self: 'b,
        {
            Box::pin(async { Err(Status::unimplemented("not in this fake")) })
        }
    )+};
}

type Batches = tonic::Streaming<PollTokensRequest>;
type Polled = Pin<Box<dyn Stream<Item = Result<PollTokensResponse, Status>> + Send>>;

#[tonic::async_trait]
impl QueueService for Fakes {
    type WatchTokenStream = tokio_stream::Empty<Result<WatchTokenResponse, Status>>;
    type PollTokensStream = Polled;

    async fn verify_token(
        &self,
        request: Request<VerifyTokenRequest>,
    ) -> Result<Response<VerifyTokenResponse>, Status> {
        let asked = request.into_inner();
        let verify = |world: &mut World| match world.token {
            _ if asked.user_id != USER => Err(no(Reason::TokenWrongUser)),
            TokenStatus::Active => Ok(VerifyTokenResponse { token: world.token() }),
            _ => Err(no(Reason::TokenNotActive)),
        };
        self.serve("verify_token", verify).await
    }

    async fn complete_token(
        &self,
        _: Request<CompleteTokenRequest>,
    ) -> Result<Response<CompleteTokenResponse>, Status> {
        self.serve("complete_token", World::complete).await
    }

    async fn batch_get_tokens(
        &self,
        request: Request<BatchGetTokensRequest>,
    ) -> Result<Response<BatchGetTokensResponse>, Status> {
        self.look_up("batch_get_tokens", request.into_inner().tokens).await
    }

    async fn poll_tokens(&self, request: Request<Batches>) -> Result<Response<Polled>, Status> {
        self.serve("open_lane", |_| Ok(())).await?;
        let miscount = self.0.lock().lanes.ok_or_else(|| Status::unimplemented("of an older release"))?;
        let fakes = self.clone();
        let answers = request.into_inner().then(move |asked| {
            let fakes = fakes.clone();
            async move {
                let PollTokensRequest { number, tokens } = asked?;
                if tokens.is_empty() {
                    let batch = Some(BatchGetTokensResponse::default());
                    return Ok(PollTokensResponse { number, batch });
                }
                let batch = fakes.look_up("poll_tokens", tokens).await?.into_inner();
                Ok(PollTokensResponse { number: number + miscount, batch: Some(batch) })
            }
        });
        Ok(Response::new(Box::pin(answers)))
    }

    absent! {
        create_queue: CreateQueueRequest => CreateQueueResponse;
        update_queue: UpdateQueueRequest => UpdateQueueResponse;
        get_draw: GetDrawRequest => GetDrawResponse;
        get_token_draw: GetTokenDrawRequest => GetTokenDrawResponse;
        get_queue: GetQueueRequest => GetQueueResponse;
        list_queues: ListQueuesRequest => ListQueuesResponse;
        issue_token: IssueTokenRequest => IssueTokenResponse;
        get_token: GetTokenRequest => GetTokenResponse;
        leave_queue: LeaveQueueRequest => LeaveQueueResponse;
        watch_token: WatchTokenRequest => Self::WatchTokenStream;
        take_queue_events: TakeQueueEventsRequest => TakeQueueEventsResponse;
    }
}

#[tonic::async_trait]
impl BookingService for Fakes {
    type WatchAvailabilityStream = tokio_stream::Empty<Result<WatchAvailabilityResponse, Status>>;

    async fn get_availability(
        &self,
        request: Request<GetAvailabilityRequest>,
    ) -> Result<Response<GetAvailabilityResponse>, Status> {
        let GetAvailabilityRequest { show_id, known_version } = request.into_inner();
        tokio::time::sleep(Duration::from_millis(20)).await;
        let read = |world: &mut World| {
            let (version, taken) = world.hall.clone();
            let availability = Availability { show_id, version, taken, ..Availability::default() };
            let is_news = known_version != Some(version);
            Ok(GetAvailabilityResponse { availability: is_news.then_some(availability) })
        };
        self.serve("get_availability", read).await
    }

    async fn take_reservation_events(
        &self,
        request: Request<TakeReservationEventsRequest>,
    ) -> Result<Response<TakeReservationEventsResponse>, Status> {
        let taken = request.into_inner().taken;
        let take = |world: &mut World| {
            world.events.retain(|event| !taken.contains(&event.number));
            Ok(TakeReservationEventsResponse { events: world.events.iter().take(2).cloned().collect() })
        };
        self.serve("take_reservation_events", take).await
    }

    async fn take_show_events(
        &self,
        request: Request<TakeShowEventsRequest>,
    ) -> Result<Response<TakeShowEventsResponse>, Status> {
        let taken = request.into_inner().taken;
        let take = |world: &mut World| {
            world.moves.retain(|event| !taken.contains(&event.number));
            Ok(TakeShowEventsResponse { events: world.moves.clone() })
        };
        self.serve("take_show_events", take).await
    }

    async fn get_reservation(
        &self,
        _: Request<GetReservationRequest>,
    ) -> Result<Response<GetReservationResponse>, Status> {
        self.serve("get_reservation", |world| {
            Ok(GetReservationResponse { reservation: Some(world.reservation()) })
        })
        .await
    }

    async fn extend_hold(
        &self,
        _: Request<ExtendHoldRequest>,
    ) -> Result<Response<ExtendHoldResponse>, Status> {
        self.serve("extend_hold", |world| Ok(ExtendHoldResponse { reservation: world.live_or_ours()? })).await
    }

    async fn confirm_reservation(
        &self,
        _: Request<ConfirmReservationRequest>,
    ) -> Result<Response<ConfirmReservationResponse>, Status> {
        let confirm = |world: &mut World| {
            let reservation = world.live_or_ours()?;
            world.hold = ReservationStatus::Confirmed;
            Ok(ConfirmReservationResponse { reservation })
        };
        self.serve("confirm_reservation", confirm).await
    }

    async fn cancel_reservation(
        &self,
        _: Request<CancelReservationRequest>,
    ) -> Result<Response<CancelReservationResponse>, Status> {
        let cancel = |world: &mut World| {
            if world.hold == ReservationStatus::Held {
                world.hold = ReservationStatus::Cancelled;
            }
            Ok(CancelReservationResponse { reservation: Some(world.reservation()) })
        };
        self.serve("cancel_reservation", cancel).await
    }

    async fn refund_reservation(
        &self,
        _: Request<RefundReservationRequest>,
    ) -> Result<Response<RefundReservationResponse>, Status> {
        let refund = |world: &mut World| {
            if !matches!(world.hold, ReservationStatus::Confirmed | ReservationStatus::Refunded) {
                return Err(no(Reason::RefundNotPossible));
            }
            world.hold = ReservationStatus::Refunded;
            Ok(RefundReservationResponse { reservation: Some(world.reservation()) })
        };
        self.serve("refund_reservation", refund).await
    }

    absent! {
        create_concert: CreateConcertRequest => CreateConcertResponse;
        get_concert: GetConcertRequest => GetConcertResponse;
        list_concerts: ListConcertsRequest => ListConcertsResponse;
        create_show: CreateShowRequest => CreateShowResponse;
        get_show: GetShowRequest => GetShowResponse;
        cancel_show: CancelShowRequest => CancelShowResponse;
        finish_cancelling: FinishCancellingRequest => FinishCancellingResponse;
        get_seat_plan: GetSeatPlanRequest => GetSeatPlanResponse;
        get_show_sales: GetShowSalesRequest => GetShowSalesResponse;
        list_show_reservations: ListShowReservationsRequest => ListShowReservationsResponse;
        update_concert: UpdateConcertRequest => UpdateConcertResponse;
        update_show: UpdateShowRequest => UpdateShowResponse;
        list_shows: ListShowsRequest => ListShowsResponse;
        list_available_dates: ListAvailableDatesRequest => ListAvailableDatesResponse;
        list_seats: ListSeatsRequest => ListSeatsResponse;
        watch_availability: WatchAvailabilityRequest => Self::WatchAvailabilityStream;
        hold_seats: HoldSeatsRequest => HoldSeatsResponse;
        list_reservations: ListReservationsRequest => ListReservationsResponse;
    }
}

#[tonic::async_trait]
impl WalletService for Fakes {
    async fn create_payment(
        &self,
        request: Request<CreatePaymentRequest>,
    ) -> Result<Response<CreatePaymentResponse>, Status> {
        self.serve("create_payment", |world| world.debit(request.into_inner().payment_id)).await
    }

    async fn cancel_payment(
        &self,
        request: Request<CancelPaymentRequest>,
    ) -> Result<Response<CancelPaymentResponse>, Status> {
        self.serve("cancel_payment", |world| Ok(world.refund(request.into_inner().payment_id))).await
    }

    absent! {
        charge_wallet: ChargeWalletRequest => ChargeWalletResponse;
        use_wallet: UseWalletRequest => UseWalletResponse;
        get_wallet: GetWalletRequest => GetWalletResponse;
        list_entries: ListEntriesRequest => ListEntriesResponse;
        get_payment: GetPaymentRequest => GetPaymentResponse;
        list_payments: ListPaymentsRequest => ListPaymentsResponse;
    }
}
