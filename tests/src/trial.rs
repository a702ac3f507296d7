//! One checkout put on trial: the real saga against the real services, with mishaps on the way, and a verdict
//! on what became of it.
//!
//! Whatever happens, it must be settled in the end (usually within [`BOUND`]), as one of: paid and mine, not
//! mine and nothing taken, not mine and money back; what the client was told must be what is; and asked again
//! with its key, by any face and replica, the answer must be the same.

use std::{
    net::SocketAddr,
    sync::{
        Arc, Mutex,
        atomic::{AtomicI32, Ordering},
    },
    time::Duration,
};

use boxoffice_proto::{
    Fault, Reason,
    booking::{
        CancelReservationRequest, GetReservationRequest, HoldSeatsRequest, HoldSeatsResponse,
        ReservationStatus,
    },
    checkout::PayRequest,
    queue::{GetTokenRequest, IssueTokenRequest, TokenStatus},
    wallet::{ChargeWalletRequest, EntryKind, ListEntriesRequest},
};
use serde_json::{Value, json};
use tokio::{
    task::JoinHandle,
    time::{Instant, sleep},
};
use tonic::{Response, Status};
use uuid::Uuid;

use crate::{
    client::{Answer, Rest},
    faults::{Case, Faults, Meeting, Mishap, Moment, Rule, Then},
    grpc::patiently,
    mesh::{Mesh, Role, Shape, Wiring},
    patience::Patience,
    proxy,
    requests::hold_message,
    wire::Wire,
    world::{Buyer, Sale, World, unique},
};

/// A checkout is usually settled within this, whatever single thing goes wrong: a lease of 3 s, a look every
/// 0.5 s, an attempt of 3 s, pauses of at most 2 s, and as much again.
pub const BOUND: Duration = Duration::from_secs(20);
/// Less than what a checkout wants to be left before money moves, so that each begins by extending its hold;
/// and what a click has to reach the edge. On a machine that takes longer a hold lapses, and that is then
/// what the client must be told.
const HOLD: Duration = Duration::from_secs(45);
const PRICE: i64 = 1_000;
const MONEY: i64 = 1_500;

/// What would become of the checkout if nothing went wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Course {
    /// It is paid.
    Paid,
    /// The wallet refuses; the hold is given back.
    Poor,
    /// The reservation is cancelled after the debit: the money goes back.
    Cancelled,
    /// It is cancelled before the debit: a payment that never was is barred.
    CancelledEarly,
    /// The hold lapses after the debit, and somebody else takes the seat.
    Lapsed,
}

/// How it must end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ending {
    /// Paid and mine.
    Paid,
    /// Not mine; nothing was taken.
    Nothing,
    /// Not mine; taken and given back.
    MoneyBack,
}

/// A checkout to be tried.
#[derive(Clone, Debug)]
pub struct Plan {
    /// Its course.
    pub course: Course,
    /// What goes wrong.
    pub rules: Vec<Rule>,
    /// How it must end all the same.
    pub ending: Ending,
}

impl Course {
    /// How it ends when nothing goes wrong.
    #[must_use]
    pub const fn ending(self) -> Ending {
        match self {
            Self::Paid => Ending::Paid,
            Self::Poor | Self::CancelledEarly => Ending::Nothing,
            Self::Cancelled | Self::Lapsed => Ending::MoneyBack,
        }
    }

    /// With this mishap, and the ending that it should have all the same.
    #[must_use]
    pub fn with(self, rule: Rule) -> Plan {
        Plan { course: self, rules: vec![rule], ending: self.ending() }
    }

    /// The call at which the course is turned.
    const fn turn(self) -> Option<(&'static str, Moment)> {
        match self {
            Self::Paid | Self::Poor => None,
            Self::Cancelled | Self::Lapsed => Some(("CreatePayment", Moment::After)),
            Self::CancelledEarly => Some(("ExtendHold", Moment::Before)),
        }
    }
}

/// A mesh in which calls between the edge and the services, and on PostgreSQL commits of the journal, meet
/// [`Faults`]. Holds are short enough that every payment begins by extending its own.
#[derive(Clone, Debug)]
pub struct Court {
    /// The mesh.
    pub world: World,
    /// What goes wrong.
    pub faults: Faults,
    sale: Sale,
    seat: Arc<AtomicI32>,
}

struct Between(Faults, Mutex<Vec<Wire>>);

impl Wiring for Between {
    fn service(&self, _: Role, at: SocketAddr) -> SocketAddr {
        proxy::before(at, self.0.clone())
    }

    fn database(&self, role: Role, url: &str) -> String {
        if role != Role::Edge || url.starts_with("sqlite:") {
            return url.to_owned();
        }
        let (wire, url) = Wire::before_postgres(url, self.0.clone());
        self.1.lock().expect("nobody panics with it").push(wire);
        url
    }
}

/// A checkout that was begun.
#[derive(Debug)]
pub struct Trial {
    court: Court,
    plan: Plan,
    /// Where the call stands at which the course is turned.
    turn: Option<Arc<Meeting>>,
    case: Case,
    buyer: Buyer,
    reservation: String,
    /// Runs from before the hold was made.
    held: Instant,
    key: String,
}

impl Court {
    /// Opens it.
    pub async fn open(shape: Shape) -> Self {
        let faults = Faults::default();
        let between = Between(faults.clone(), Mutex::default());
        let mesh =
            Mesh::start_wired(shape, &["--hold-ttl", &format!("{}s", HOLD.as_secs())], None, &between).await;
        let world = World::new(Arc::new(mesh));
        let queue = world.queue(json!({"maxActive": 100_000, "admitPerMinute": 1_000_000})).await;
        let sale = world.sale_behind(queue, PRICE, 5_000).await;
        Self { world, faults, sale, seat: Arc::default() }
    }

    /// The show whose seats are on trial.
    #[must_use]
    pub const fn show(&self) -> i64 {
        self.sale.show
    }

    /// Closes it: everything stops cleanly, and the audit finds nothing.
    pub async fn close(self) {
        let Self { world, .. } = self;
        world.finish().await;
    }

    /// Somebody with a token, money and a hold. The services are asked directly: nothing has gone wrong yet.
    pub async fn begin(&self, mut plan: Plan) -> Trial {
        let user_id = Uuid::new_v4().to_string();
        let grpc = &self.world.grpc;
        let join = IssueTokenRequest {
            queue_id: self.sale.queue.clone(),
            user_id: user_id.clone(),
            request_id: unique("join"),
            ..Default::default()
        };
        let joined = patiently(join, |join| async move { grpc.queue().issue_token(join).await });
        let token = joined.await.unwrap().into_inner().token.unwrap().token;
        let amount = if plan.course == Course::Poor { PRICE - 1 } else { MONEY };
        let charge = ChargeWalletRequest { user_id: user_id.clone(), amount, request_id: unique("charge") };
        patiently(charge, |charge| async move { grpc.wallet().charge_wallet(charge).await }).await.unwrap();
        let held = Instant::now();
        let reservation = self.hold(&user_id, self.seat.fetch_add(1, Ordering::Relaxed) + 1).await.unwrap();
        let turn = plan.course.turn().map(|(method, moment)| {
            let meeting = Arc::<Meeting>::default();
            // However often it is asked meanwhile.
            plan.rules.insert(
                0,
                Rule::first(method, 1_000, Mishap::Stands(moment, Then::Goes, Arc::clone(&meeting))),
            );
            meeting
        });
        let case = self.faults.case(&[&user_id, &token, &reservation], plan.rules.clone());
        let buyer = Buyer { user: user_id, token };
        Trial { court: self.clone(), plan, turn, case, buyer, reservation, held, key: unique("pay") }
    }

    async fn hold(&self, user: &str, seat: i32) -> Result<String, String> {
        let request_id = unique("hold");
        let hold = HoldSeatsRequest { request_id, ..hold_message(user, self.sale.show, &[seat]) };
        let held = patiently(hold, |hold| self.hold_once(hold))
            .await
            .map_err(|status| format!("seat {seat}: {status:?}"))?;
        Ok(held.reservation.unwrap().reservation_id)
    }

    async fn hold_once(&self, hold: HoldSeatsRequest) -> Result<HoldSeatsResponse, Status> {
        self.world.grpc.booking().hold_seats(hold).await.map(Response::into_inner)
    }

    /// Tries it from the first click to the verdict.
    ///
    /// # Errors
    /// What is wrong with it.
    pub async fn judge(&self, plan: Plan) -> Result<(), String> {
        let trial = self.begin(plan).await;
        let turning = trial.turning();
        let told = trial.told(&self.world.rest).await;
        let turned = turning.await.unwrap_or_else(|lost| Err(lost.to_string()));
        let told = told?;
        if !trial.has_lapsed(&told) {
            turned.map_err(|why| trial.explain(&format!("its course was not turned: {why}")))?;
        }
        trial.verdict(&told).await
    }
}

impl Trial {
    /// Who is on trial.
    #[must_use]
    pub const fn buyer(&self) -> &Buyer {
        &self.buyer
    }

    /// Something about this trial, with its whole story.
    #[must_use]
    pub fn explain(&self, what: &str) -> String {
        let Plan { course, rules, .. } = &self.plan;
        let rules: Vec<_> =
            rules.iter().map(|r| format!("{}[{}+{}] {:?}", r.method, r.first, r.times, r.mishap)).collect();
        format!(
            "{course:?} with {}: {what}\n      {}",
            rules.join(" and "),
            self.court.faults.story(self.case)
        )
    }

    /// Turns the course when its moment comes.
    pub fn turning(&self) -> JoinHandle<Result<(), String>> {
        let (court, course) = (self.court.clone(), self.plan.course);
        let (user, reservation) = (self.buyer.user.clone(), self.reservation.clone());
        let turn = self.turn.clone();
        tokio::spawn(async move {
            let Some(meeting) = turn else { return Ok(()) };
            meeting.of(1, BOUND).await.map_err(|_| "its turn was never reached")?;
            match course {
                Course::Paid | Course::Poor => {}
                Course::Cancelled | Course::CancelledEarly => court.cancel(&user, &reservation).await?,
                Course::Lapsed => court.lapse(&user, &reservation).await?,
            }
            meeting.end();
            Ok(())
        })
    }

    /// One click.
    ///
    /// # Errors
    /// When there is no answer.
    pub async fn click(&self, rest: &Rest) -> Result<Answer, String> {
        let body = json!({"userId": self.buyer.user, "reservationId": self.reservation});
        rest.post("/v1/payments", body).token(&self.buyer.token).key(&self.key).try_send().await
    }

    /// Clicks, with the same key, until the answer is final: paid, or refused with what became of the
    /// payment.
    ///
    /// # Errors
    /// When it is not settled in time.
    pub async fn told(&self, rest: &Rest) -> Result<Answer, String> {
        let (mut seen, patience) = (Vec::new(), Patience::new(BOUND));
        loop {
            match self.click(rest).await {
                Ok(answer) if self.is_final(&answer) => return Ok(answer),
                Ok(answer) => seen.push(format!("{} {}", answer.status, answer.code())),
                Err(error) => seen.push(error),
            }
            if patience.is_over() {
                return Err(self.explain(&format!("not settled {patience}; told {seen:?}")));
            }
            sleep(Duration::from_millis(100)).await;
        }
    }

    /// Is what the client was told what is, and is it told so again?
    ///
    /// # Errors
    /// What is wrong.
    pub async fn verdict(&self, told: &Answer) -> Result<(), String> {
        let wrong = |what: String| Err(self.explain(&what));
        let lapsed = self.has_lapsed(told);
        if self.court.faults.met(self.case) == 0 && !lapsed {
            return wrong("no mishap was met: the trial proves nothing".to_owned());
        }
        let ending = match (told.status, told.body["status"].as_str(), told.body["paymentStatus"].as_str()) {
            (201, Some("COMPLETED"), _) => Ending::Paid,
            (400.., _, Some("FAILED")) => Ending::Nothing,
            (400.., _, Some("CANCELLED")) => Ending::MoneyBack,
            // Before the checkout was begun.
            (409, _, None) if lapsed => Ending::Nothing,
            _ => return wrong(format!("told {} {}", told.status, told.text)),
        };
        if ending != self.plan.ending && !lapsed {
            return wrong(format!(
                "should end as {:?}, told {} {}",
                self.plan.ending, told.status, told.text
            ));
        }
        let truth = self.truth().await;
        if truth != Ok(ending) {
            return wrong(format!("told {ending:?}, but {truth:?}"));
        }
        for _ in 0..2 {
            let again = self.told(&self.court.world.rest).await?;
            self.agree(told, &again)?;
        }
        let pay = PayRequest {
            user_id: self.buyer.user.clone(),
            reservation_id: self.reservation.clone(),
            token: self.buyer.token.clone(),
            request_id: self.key.clone(),
        };
        let grpc = &self.court.world.grpc;
        let paid = patiently(pay, |pay| async move { grpc.checkout().pay(pay).await });
        let by_grpc = paid.await.map_err(|status| Fault::from(&status));
        let same = match &by_grpc {
            Ok(answer) => answer
                .get_ref()
                .checkout
                .as_ref()
                .is_some_and(|c| told.body["paymentId"] == c.checkout_id.as_str()),
            Err(fault) => told.code() == fault.reason.as_str(),
        };
        if same { Ok(()) } else { wrong(format!("told {}, by gRPC {by_grpc:?}", told.text)) }
    }

    /// Paid, or refused with what became of the payment, or with its having come too late.
    #[must_use]
    pub fn is_final(&self, answer: &Answer) -> bool {
        answer.status == 201 || answer.body["paymentStatus"].is_string() || self.has_lapsed(answer)
    }

    /// Whether this machine was so slow that the hold lapsed on the way, and the client was told so.
    fn has_lapsed(&self, told: &Answer) -> bool {
        self.held.elapsed() >= HOLD && told.code() == Reason::HoldExpired.as_str()
    }

    /// Do two final answers say the same?
    ///
    /// # Errors
    /// How they differ.
    pub fn agree(&self, one: &Answer, other: &Answer) -> Result<(), String> {
        if (one.status, essence(&one.body)) == (other.status, essence(&other.body)) {
            return Ok(());
        }
        Err(self.explain(&format!("told {} {}, and {} {}", one.status, one.text, other.status, other.text)))
    }

    /// Cancels its reservation behind the edge's back.
    pub async fn cancel(&self) {
        self.court.cancel(&self.buyer.user, &self.reservation).await.unwrap();
    }

    /// What is, as the services say.
    async fn truth(&self) -> Result<Ending, String> {
        let grpc = &self.court.world.grpc;
        let entries = ListEntriesRequest { user_id: self.buyer.user.clone(), ..Default::default() };
        let entries = patiently(entries, |ask| async move { grpc.wallet().list_entries(ask).await });
        let entries = entries.await.map_err(|status| status.to_string())?.into_inner().entries;
        let kinds: Vec<_> = entries.iter().rev().map(|entry| entry.kind()).collect();
        let balance: i64 = entries.iter().map(|entry| entry.amount).sum();
        let reservation =
            GetReservationRequest { reservation_id: self.reservation.clone(), user_id: String::new() };
        let reservation =
            patiently(reservation, |ask| async move { grpc.booking().get_reservation(ask).await });
        let reservation = reservation.await.map_err(|status| status.to_string())?;
        let status = reservation.get_ref().reservation.as_ref().map(|reservation| reservation.status());
        let mine = status == Some(ReservationStatus::Confirmed);
        self.court.world.level().await;
        let token = GetTokenRequest { token: self.buyer.token.clone(), ..Default::default() };
        let token = patiently(token, |ask| async move { grpc.queue().get_token(ask).await });
        let token = token.await.map_err(|status| status.to_string())?.into_inner().token.unwrap().status();
        // A token that the waiting room itself was heard to refuse is left as it is.
        let spared = self
            .plan
            .rules
            .iter()
            .any(|r| r.method == "CompleteToken" && matches!(r.mishap, Mishap::Refused(_)));
        match (kinds.as_slice(), mine) {
            ([EntryKind::Charge, EntryKind::Payment], true)
                if (token == TokenStatus::Completed) != spared =>
            {
                Ok(Ending::Paid)
            }
            ([EntryKind::Charge], false) => Ok(Ending::Nothing),
            ([EntryKind::Charge, EntryKind::Payment, EntryKind::Refund], false) if balance == MONEY => {
                Ok(Ending::MoneyBack)
            }
            _ => {
                Err(format!("entries {kinds:?}, balance {balance}, reservation {status:?}, token {token:?}"))
            }
        }
    }
}

impl Court {
    async fn cancel(&self, user: &str, reservation: &str) -> Result<(), String> {
        let (user_id, reservation_id) = (user.to_owned(), reservation.to_owned());
        let cancel = CancelReservationRequest { reservation_id, user_id, request_id: String::new() };
        let grpc = &self.world.grpc;
        let cancelled =
            patiently(cancel, |cancel| async move { grpc.booking().cancel_reservation(cancel).await });
        cancelled.await.map(drop).map_err(|status| status.to_string())
    }

    /// Lets a hold lapse, as time would, and somebody else take its seat.
    async fn lapse(&self, user: &str, reservation: &str) -> Result<(), String> {
        let get = GetReservationRequest { reservation_id: reservation.to_owned(), user_id: String::new() };
        let held =
            self.world.grpc.booking().get_reservation(get).await.unwrap().into_inner().reservation.unwrap();
        let mut booking = self.world.mesh.databases.with_table("hold").await;
        let id = reservation.replace('-', "");
        booking
            .rows(&format!("UPDATE hold SET promised_until = 1, expires_at = 1 WHERE user_id = '{user}'"))
            .await;
        booking.rows(&format!("UPDATE seat SET held_until = 1 WHERE {{id:hold_id}} = '{id}'")).await;
        self.hold(&Uuid::new_v4().to_string(), held.seat_numbers[0]).await.map(drop)
    }
}

/// An answer without what is this request's alone.
fn essence(body: &Value) -> Value {
    let mut body = body.clone();
    for own in ["traceId", "instance"] {
        body.as_object_mut().map(|object| object.remove(own));
    }
    body
}
