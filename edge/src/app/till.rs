//! The till: paying, from the click to an answer, and what became of payments.
//!
//! A replay is answered before any other check but that of the token it presents. A request whose user has
//! another checkout of the same reservation in flight gets the outcome of that one. Only then are the token
//! and the reservation checked, and the checkout is written and run (see [`super::runner`]). The request
//! waits for the outcome for a bounded time; the checkout goes on without it.

use std::time::Duration;

use boxoffice_proto::{
    Fault, Reason,
    access::for_user,
    booking::{GetReservationRequest, Reservation, ReservationStatus},
    checkout::{GetCheckoutRequest, ListCheckoutsRequest, PayRequest, RetryCheckoutRequest},
    time,
    validate::Checks,
    wallet::{GetPaymentRequest, Payment, PaymentStatus},
};
use chassis::{
    clock::Clock,
    context::Context,
    idempotency::Key,
    page::{List, PageRequest},
};
use serde_json::{Value, json};
use tokio::{sync::oneshot, time::Instant};
use uuid::Uuid;

use super::{
    acting::{Acting, before},
    call_off::or_called_off,
    caller::Caller,
    gate::Gate,
    runner::{LEASE, Runner},
    steps::hold_until,
    telling::Bell,
};
use crate::{
    clients::{Clients, ask, hollow},
    config::OnPaymentFailure,
    domain::{
        checkout::{Checkout, RecordedCheckout, Status},
        saga::Saga,
    },
    error::Error,
    store::{Journal, Narrowed},
};

/// How long a request waits for the outcome before it is answered that the payment is still being settled.
const PATIENCE: Duration = Duration::from_secs(5);
/// How much of the caller's own deadline is left for the answer to arrive.
const WAY_BACK: Duration = Duration::from_millis(300);
/// How often the journal is read for a checkout that another replica runs: the first pause, and the longest.
const LOOK_FIRST: Duration = Duration::from_millis(50);
const LOOK_LATER: Duration = Duration::from_millis(500);

/// The command to pay for a hold.
#[derive(Clone, Debug)]
pub(crate) struct Pay {
    /// The user who pays, 1 to 64 visible characters; checked by the door.
    pub(crate) user_id: String,
    /// The reservation to pay for.
    pub(crate) reservation_id: Uuid,
    /// The caller's request id, which makes the command idempotent.
    pub(crate) request_id: Option<String>,
    /// The price that the caller expects, in minor units; `None` accepts any.
    pub(crate) price: Option<i64>,
}

impl Pay {
    fn key(&self) -> Option<Key> {
        self.request_id.clone().map(|id| Key::new(id, "Pay", &self.user_id, &self.reservation_id))
    }
}

/// Which checkouts a list is narrowed to.
#[derive(Clone, Debug, Default)]
pub(crate) struct Filter {
    /// Only those of this user; `None`: of all users.
    pub(crate) user_id: Option<String>,
    /// Only those of this status; `None`: of any.
    pub(crate) status: Option<Status>,
    /// Only those that are parked for an operator.
    pub(crate) parked: bool,
}

/// Where a page of checkouts begins: with the next older one than that of this time and id; `None`: with the
/// newest.
pub(crate) type Before = Option<(i64, Uuid)>;

/// The end of a page whose last checkout is this one.
pub(crate) const fn cursor(checkout: &Checkout) -> Before {
    Some((checkout.created_at, checkout.checkout_id))
}

impl Filter {
    /// Reads which page is asked for; `checks` collects what is wrong.
    pub(crate) fn page(&self, page_size: i32, page_token: &str, checks: &mut Checks) -> PageRequest<Before> {
        let list =
            List::of("checkouts", format_args!("{:?} {:?} {}", self.user_id, self.status, self.parked));
        list.read(page_size, page_token, None, |field, wrong| checks.refuse(field, wrong))
    }
}

/// Takes payments. Cheap to clone.
#[derive(Clone)]
pub(crate) struct Till {
    journal: Journal,
    clients: Clients,
    gate: Gate,
    pub(super) clock: Clock,
    pub(super) runner: Runner,
    pub(crate) acting: Acting,
}

impl Till {
    pub(crate) fn new(
        journal: Journal,
        acting: Acting,
        clients: Clients,
        gate: Gate,
        bell: Bell,
        clock: Clock,
        on_payment_failure: OnPaymentFailure,
    ) -> Self {
        let release = on_payment_failure == OnPaymentFailure::Release;
        let runner = Runner::new(journal.clone(), clients.clone(), bell, clock.clone(), release);
        Self { journal, clients, gate, clock, runner, acting }
    }

    /// Pays. The checkout is COMPLETED, or PENDING when it is not settled after the bounded wait; then it
    /// goes on by itself.
    ///
    /// # Errors
    /// Why it was refused, with metadata `payment_id` and `payment_status` (FAILED, CANCELLED) when a
    /// checkout was begun; a replay gets the same again.
    pub(crate) async fn pay(&self, caller: &Caller, command: Pay) -> Result<Checkout, Fault> {
        let until = patience();
        let arrived = self.clock.now();
        let user_id = caller.allow(PayRequest { user_id: command.user_id, ..PayRequest::default() })?.user_id;
        let command = Pay { user_id, ..command };

        let entry = self.attach_or_begin(caller, &command, arrived).await?;
        let is_open = |checkout: &Checkout| checkout.status == Status::Pending;
        let entry = self.outcome(entry, until, is_open).await?;
        match entry.refusal {
            Some(refusal) => Err(refusal),
            None => Ok(entry.checkout),
        }
    }

    /// One checkout, with its story.
    ///
    /// # Errors
    /// PAYMENT_NOT_FOUND; NOT_OWNER when the caller may read their own only, or `user_id` names another user.
    pub(crate) async fn get(
        &self,
        caller: &Caller,
        checkout_id: Uuid,
        user_id: String,
    ) -> Result<Checkout, Fault> {
        let user_id = may_read(caller, checkout_id, user_id)?;
        self.read(checkout_id, &user_id).await
    }

    /// A checkout of this user, or of anybody where none is named.
    pub(super) async fn read(&self, checkout_id: Uuid, user_id: &str) -> Result<Checkout, Fault> {
        of_user(user_id, self.find(checkout_id).await?.ok_or_else(|| not_found(checkout_id)))
    }

    pub(super) async fn find(&self, checkout_id: Uuid) -> Result<Option<Checkout>, Fault> {
        Ok(self.journal.get(checkout_id).await.map_err(Error::from)?.map(|entry| entry.checkout))
    }

    /// One payment, also one that was made in the wallet without a checkout.
    ///
    /// # Errors
    /// PAYMENT_NOT_FOUND.
    pub(crate) async fn payment(&self, caller: &Caller, payment_id: Uuid) -> Result<Checkout, Fault> {
        let user_id = may_read(caller, payment_id, String::new())?;
        if let Some(checkout) = self.find(payment_id).await? {
            return of_user(&user_id, Ok(checkout));
        }
        let request = GetPaymentRequest { payment_id: payment_id.to_string(), user_id };
        let payment = ask!(self.clients.wallet, get_payment(request).payment)?;
        let was_barred = payment.user_id.is_empty();
        let missing = || if was_barred { not_found(payment_id) } else { hollow("get_payment") };
        without_checkout(payment_id, payment).ok_or_else(missing)
    }

    /// Has a parked checkout tried again at once, by the first replica that looks (within a second). A
    /// checkout that is not parked stays as it is.
    ///
    /// # Errors
    /// PAYMENT_NOT_FOUND.
    pub(crate) async fn retry(&self, caller: &Caller, checkout_id: Uuid) -> Result<Checkout, Fault> {
        caller.allow(RetryCheckoutRequest { checkout_id: checkout_id.to_string() })?;
        let was = before(tell, self.read(checkout_id, "").await, Reason::PaymentNotFound)?;
        let till = self.clone();
        let retry = async move {
            till.journal.unpark(checkout_id).await.map_err(Error::from)?;
            till.read(checkout_id, "").await
        };
        let target = checkout_id.to_string();
        self.acting.act::<RetryCheckoutRequest, _>(caller, &target, was, tell, retry).await
    }

    /// A page of these checkouts, newest first.
    ///
    /// # Errors
    /// UNAVAILABLE when the journal cannot be read.
    pub(crate) async fn list(
        &self,
        caller: &Caller,
        filter: Filter,
        before: Before,
        limit: i64,
    ) -> Result<Vec<Checkout>, Fault> {
        let user_id = filter.user_id.unwrap_or_default();
        let asked = caller.allow(ListCheckoutsRequest { user_id, ..ListCheckoutsRequest::default() })?;
        let user_id = Some(asked.user_id).filter(|user_id| !user_id.is_empty());
        let narrowed = Narrowed { user_id, status: filter.status, parked: filter.parked, before, limit };
        let entries = self.journal.list(&narrowed).await.map_err(Error::from)?;
        Ok(entries.into_iter().map(|entry| entry.checkout).collect())
    }

    /// The checkout that answers a request without any check: of a replay, or the user's checkout of this
    /// reservation that is pending now. (Only a pending one: a checkout that was settled "since then" by
    /// another replica's clock may be an earlier attempt that failed.)
    async fn known(&self, caller: &Caller, command: &Pay) -> Result<Option<RecordedCheckout>, Error> {
        let known =
            self.journal.known(command.key().as_ref(), &command.user_id, command.reservation_id).await?;
        if let Some(entry) = known.named {
            self.may_learn(caller, command, &entry).await?;
            return Ok(Some(entry));
        }
        let Some(entry) = known.pending.filter(|entry| entry.checkout.user_id == command.user_id) else {
            return Ok(None);
        };
        self.attach(caller, command, &entry).await?;
        Ok(Some(entry))
    }

    /// Joins the user's checkout of this reservation that was in flight at any time since the request
    /// arrived, or begins one. The journal is read while the checks are made, and what it knows comes first.
    /// After a refusal it is read once more: another request of the user may have succeeded, and used up
    /// token and hold, while this one was being checked.
    async fn attach_or_begin(
        &self,
        caller: &Caller,
        command: &Pay,
        arrived: i64,
    ) -> Result<RecordedCheckout, Error> {
        let known = async {
            match self.known(caller, command).await {
                Ok(None) => Ok(()),
                Ok(Some(entry)) => Err(Ok(entry)),
                Err(error) => Err(Err(error)),
            }
        };
        let checked = async { Ok(self.admitted(caller, command).await) };
        let begun = match tokio::try_join!(known, checked) {
            Err(known) => return known,
            Ok(((), Ok((token, reservation)))) => self.begin(command, token, &reservation).await,
            Ok(((), Err(refusal))) => Err(refusal.into()),
        };
        match begun {
            Ok(Some(entry)) => Ok(entry),
            // Another request was the first to write the journal's unique row. Its outcome, whatever it is,
            // is the answer to this one too.
            Ok(None) => match self.known(caller, command).await? {
                Some(entry) => Ok(entry),
                None => self.under_way(caller, command, i64::MIN).await?.ok_or_else(|| contended().into()),
            },
            Err(refusal) => self.under_way(caller, command, arrived).await?.ok_or(refusal),
        }
    }

    /// The user's checkout of this reservation that is pending or was settled after `since`.
    async fn under_way(
        &self,
        caller: &Caller,
        command: &Pay,
        since: i64,
    ) -> Result<Option<RecordedCheckout>, Error> {
        let found = self.journal.under_way(&command.user_id, command.reservation_id, since).await?;
        if let Some(entry) = &found {
            self.attach(caller, command, entry).await?;
        }
        Ok(found)
    }

    /// Lets the request's id stand for this checkout from now on.
    async fn attach(&self, caller: &Caller, command: &Pay, entry: &RecordedCheckout) -> Result<(), Error> {
        self.may_learn(caller, command, entry).await?;
        match command.key() {
            Some(key) => Ok(self.journal.name(&key, entry.checkout.checkout_id).await?),
            None => Ok(()),
        }
    }

    /// The outcome of a checkout is told to a caller who presents the token that it was begun with, used up
    /// or not, or another token of the same user: names and request ids can be guessed, tokens cannot.
    async fn may_learn(&self, caller: &Caller, command: &Pay, entry: &RecordedCheckout) -> Result<(), Fault> {
        same(command, &entry.checkout)?;
        if caller.queue_token()? == entry.token {
            return Ok(());
        }
        match self.gate.admit(caller, "", Some(&entry.checkout.user_id), true).await {
            Err(refusal) if refusal.reason != Reason::TokenNotActive => Err(refusal),
            Ok(_) | Err(_) => Ok(()),
        }
    }

    /// Writes the checkout, and starts to run it. `None`: another one was written first.
    async fn begin(
        &self,
        command: &Pay,
        token: Uuid,
        reservation: &Reservation,
    ) -> Result<Option<RecordedCheckout>, Error> {
        let now = self.clock.now();
        let checkout = Checkout::begun(
            Uuid::new_v4(),
            command.user_id.clone(),
            command.reservation_id,
            reservation.amount,
            now,
        );
        let context = Context::current().unwrap_or_else(|| Context::fresh(PATIENCE));
        let trace = context.trace.clone();
        let sampled = trace.is_sampled().then(|| trace.to_string());
        let entry = RecordedCheckout { checkout, token, refusal: None, trace: sampled };
        let hold_until = hold_until(reservation).unwrap_or(now);

        // From here on the work is a task of its own: it does not end when the caller's connection does.
        let (tell, told) = oneshot::channel();
        let (runner, key) = (self.runner.clone(), command.key());
        let begun = entry.clone();
        self.runner.spawn(async move {
            let Some(turn) = runner.turn(begun.checkout.checkout_id) else { return };
            let journal = runner.journal();
            let writing = journal.begin(&begun, key.as_ref(), runner.id(), now + LEASE);
            let written = context.scope(writing).await;
            let go = matches!(written, Ok(true));
            drop(tell.send(written));
            if go {
                let first = Saga::begin(hold_until - runner.now());
                runner.run(turn, begun, first, hold_until, trace).await;
            }
        });
        let written =
            told.await.map_err(|_| Fault::new(Reason::Unavailable, Reason::Unavailable.title()))??;
        Ok(written.then_some(entry))
    }

    /// The gate, then the checks of the reservation: the token and the reservation, when both allow a payment
    /// now.
    async fn admitted(&self, caller: &Caller, command: &Pay) -> Result<(Uuid, Reservation), Fault> {
        let user_id = Some(command.user_id.as_str());
        // Whoever is known learns nothing of reservations that are not theirs, not even whether they exist.
        let request = GetReservationRequest {
            reservation_id: command.reservation_id.to_string(),
            user_id: caller.user().unwrap_or_default().to_owned(),
        };
        let reservation = match ask!(self.clients.booking, get_reservation(request).reservation) {
            Ok(reservation) => reservation,
            // Only a caller who is admitted to some queue is told what does not exist.
            Err(fault) if fault.reason == Reason::ReservationNotFound => {
                self.gate.admit(caller, "", user_id, true).await?;
                return Err(fault);
            }
            Err(fault) => return Err(fault),
        };
        let token = self.gate.admit(caller, &reservation.queue_id, user_id, true).await?;
        if let Err(refusal) = payable(&reservation, &command.user_id) {
            return Err(or_called_off(&self.clients, refusal, reservation.show_id).await);
        }
        if command.price.is_some_and(|price| price != reservation.amount) {
            return Err(Fault::invalid_field("amount", "is not the price of this reservation"));
        }
        Ok((token, reservation))
    }

    /// Waits for a checkout's outcome, as long as it `is_open`: its runner wakes the request when it is in
    /// this process, and otherwise the journal is read again and again. At `until` the checkout is
    /// answered as it is.
    pub(super) async fn outcome(
        &self,
        mut entry: RecordedCheckout,
        until: Instant,
        is_open: fn(&Checkout) -> bool,
    ) -> Result<RecordedCheckout, Error> {
        let checkout_id = entry.checkout.checkout_id;
        let mut pause = LOOK_FIRST;
        while is_open(&entry.checkout) && Instant::now() < until {
            if let Some(mut outcome) = self.runner.follow(checkout_id) {
                // Otherwise the time is up, or the runner stopped without an outcome and another one takes
                // over; then the journal is read.
                if let Ok(Ok(settled)) =
                    tokio::time::timeout_at(until, outcome.wait_for(Option::is_some)).await
                {
                    entry = settled.clone().unwrap_or(entry);
                }
            } else {
                entry = self.journal.get(checkout_id).await?.unwrap_or(entry);
                if is_open(&entry.checkout) {
                    tokio::time::sleep_until(until.min(Instant::now() + pause)).await;
                    pause = (pause * 3 / 2).min(LOOK_LATER);
                }
            }
        }
        Ok(entry)
    }

    /// Takes over checkouts that lost their runner until `shutdown`, and renews leases until all are drained.
    pub(crate) async fn recover_until(self, shutdown: tokio_util::sync::CancellationToken) {
        self.runner.recover_until(shutdown).await;
    }

    /// Finishes the checkouts and changes in flight, for a bounded time, and releases the leases of the other
    /// checkouts, so that another replica takes them over at once.
    pub(crate) async fn drain(&self) {
        tokio::join!(self.runner.drain(), self.acting.drain());
    }
}

/// Until when a request waits for its outcome.
pub(super) fn patience() -> Instant {
    let until = Instant::now() + PATIENCE;
    Context::current()
        .map_or(until, |context| until.min(context.deadline.checked_sub(WAY_BACK).unwrap_or(until)))
}

/// What the operators' journal keeps of a checkout that is tried again, or refunded.
pub(super) fn tell(checkout: &Checkout) -> Value {
    json!({"checkout_id": checkout.checkout_id, "user_id": checkout.user_id, "amount": checkout.amount,
        "status": checkout.status.as_str(), "attempts": checkout.attempts, "is_parked": checkout.parked_at.is_some(),
        "refund_reason": checkout.refund.as_ref().map(|refund| &refund.reason)})
}

fn of_user(user_id: &str, found: Result<Checkout, Fault>) -> Result<Checkout, Fault> {
    for_user(user_id, found, |checkout| &checkout.user_id, Reason::PaymentNotFound)
}

/// The user whose checkout it must be for this caller to read it; empty: anybody's.
fn may_read(caller: &Caller, checkout_id: Uuid, user_id: String) -> Result<String, Fault> {
    let request = GetCheckoutRequest { checkout_id: checkout_id.to_string(), user_id };
    Ok(caller.allow(request)?.user_id)
}

/// Passes when this is the same request as the one that began the checkout.
fn same(command: &Pay, checkout: &Checkout) -> Result<(), Fault> {
    let same = checkout.user_id == command.user_id
        && checkout.reservation_id == command.reservation_id
        && command.price.is_none_or(|price| price == checkout.amount);
    if same { Ok(()) } else { Err(Fault::new(Reason::RequestIdReused, Reason::RequestIdReused.title())) }
}

/// Passes when this user may pay for this reservation now.
fn payable(reservation: &Reservation, user_id: &str) -> Result<(), Fault> {
    let refuse = |reason: Reason| {
        Err(Fault::new(reason, reason.title()).with("reservation_id", &reservation.reservation_id))
    };
    if reservation.user_id != user_id {
        return refuse(Reason::NotOwner);
    }
    match reservation.status() {
        ReservationStatus::Held => Ok(()),
        ReservationStatus::Confirmed => refuse(Reason::AlreadyPaid),
        ReservationStatus::Expired => refuse(Reason::HoldExpired),
        ReservationStatus::Cancelled | ReservationStatus::Refunded => refuse(Reason::ReservationCancelled),
        ReservationStatus::Unspecified => Err(hollow("get_reservation")),
    }
}

fn not_found(checkout_id: Uuid) -> Fault {
    Fault::new(Reason::PaymentNotFound, Reason::PaymentNotFound.title()).with("payment_id", checkout_id)
}

fn contended() -> Fault {
    Fault::new(Reason::Unavailable, "Another payment of this reservation has just ended.")
        .retry_after(Duration::from_secs(1))
}

/// A payment that was made in the wallet without a checkout, told as a checkout is.
fn without_checkout(checkout_id: Uuid, payment: Payment) -> Option<Checkout> {
    let status = match payment.status() {
        PaymentStatus::Completed => Status::Completed,
        PaymentStatus::Failed => Status::Failed,
        PaymentStatus::Cancelled => Status::Compensated,
        PaymentStatus::Unspecified => return None,
    };
    let reservation_id = Uuid::try_parse(&payment.reservation_id).ok()?;
    let created_at = payment.created_at.as_ref().and_then(time::micros)?;
    let settled_at = payment.settled_at.as_ref().and_then(time::micros);
    let reason = Some(payment.reason).filter(|reason| !reason.is_empty());
    let begun = Checkout::begun(checkout_id, payment.user_id, reservation_id, payment.amount, created_at);
    Some(Checkout { status, reason, settled_at, ..begun })
}
