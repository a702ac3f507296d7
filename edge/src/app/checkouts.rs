//! Paying: from the click to an answer.
//!
//! A replay is answered before any other check but whose token it shows; a click while another one of the
//! same user is under way gets the other's answer; only then are token and reservation looked at, and the
//! checkout is written and run (see [`super::runner`]). The caller waits a bounded time; the checkout goes on
//! without it.

use std::time::Duration;

use boxoffice_proto::{
    Fault, Reason,
    booking::{GetReservationRequest, Reservation, ReservationStatus},
    validate::Checks,
};
use chassis::{
    clock::Clock,
    context::{Context, TraceParent},
    idempotency::Key,
    page::{List, PageRequest},
};
use tokio::{sync::oneshot, time::Instant};
use uuid::Uuid;

use super::{
    gate::{Gate, hollow},
    relay::Bell,
    runner::{LEASE, Runner},
    steps::hold_until,
};
use crate::{
    clients::{Clients, call},
    config::OnPaymentFailure,
    domain::{
        checkout::{Checkout, Entry, Status},
        saga::Saga,
    },
    error::Error,
    store::{Journal, Narrowed},
};

/// How long a caller waits for the outcome before the answer is "still settling".
const PATIENCE: Duration = Duration::from_secs(5);
/// What is left of the caller's own deadline for the answer to travel.
const WAY_BACK: Duration = Duration::from_millis(300);
/// How often the journal is asked about a checkout that another replica runs: at first, and at most.
const LOOK_FIRST: Duration = Duration::from_millis(50);
const LOOK_LATER: Duration = Duration::from_millis(500);

/// The command of a click on "pay".
#[derive(Clone, Debug)]
pub(crate) struct Pay {
    /// Who pays: 1 to 64 visible characters, checked by who made this.
    pub(crate) user_id: String,
    /// Which hold.
    pub(crate) reservation_id: Uuid,
    /// The queue token as it came; `None` or empty is TOKEN_MISSING. For a replay it need not be ACTIVE any
    /// more.
    pub(crate) token: Option<String>,
    /// Makes it idempotent.
    pub(crate) request_id: Option<String>,
    /// What the caller takes for the price; `None`: whatever it is.
    pub(crate) price: Option<i64>,
}

impl Pay {
    fn key(&self) -> Option<Key> {
        self.request_id.clone().map(|id| Key::new(id, "Pay", &self.user_id, &self.reservation_id))
    }
}

/// What a list of checkouts is narrowed by.
#[derive(Clone, Debug, Default)]
pub(crate) struct Filter {
    /// Whose; `None`: everybody's.
    pub(crate) user_id: Option<String>,
    /// Only these; `None`: any.
    pub(crate) status: Option<Status>,
    /// Only those that wait for a person.
    pub(crate) parked: bool,
}

/// Where a page of checkouts starts: after (that is, before) the one of this time and id; `None`: at the
/// newest.
pub(crate) type Before = Option<(i64, Uuid)>;

/// Where a checkout stands in a list.
pub(crate) const fn place(checkout: &Checkout) -> Before {
    Some((checkout.created_at, checkout.checkout_id))
}

impl Filter {
    /// Reads which page of these is asked for; what is wrong is told to `checks`.
    pub(crate) fn page(&self, page_size: i32, page_token: &str, checks: &mut Checks) -> PageRequest<Before> {
        let list =
            List::of("checkouts", format_args!("{:?} {:?} {}", self.user_id, self.status, self.parked));
        list.read(page_size, page_token, None, |field, wrong| checks.refuse(field, wrong))
    }
}

/// Checkouts. Cheap to clone.
#[derive(Clone)]
pub(crate) struct Checkouts {
    journal: Journal,
    clients: Clients,
    gate: Gate,
    clock: Clock,
    pub(super) runner: Runner,
}

impl Checkouts {
    pub(crate) fn new(
        journal: Journal,
        clients: Clients,
        gate: Gate,
        bell: Bell,
        clock: Clock,
        on_payment_failure: OnPaymentFailure,
    ) -> Self {
        let release = on_payment_failure == OnPaymentFailure::Release;
        let runner = Runner::new(journal.clone(), clients.clone(), bell, clock.clone(), release);
        Self { journal, clients, gate, clock, runner }
    }

    /// Pays: COMPLETED, or PENDING when it still settles after the bounded wait (it goes on by itself).
    ///
    /// # Errors
    /// A refused one, with metadata `payment_id` and `payment_status` (FAILED, CANCELLED) when a checkout was
    /// begun; a replay gets the same again.
    pub(crate) async fn pay(&self, command: Pay) -> Result<Checkout, Fault> {
        let until = Instant::now() + PATIENCE;
        let until = Context::current()
            .map_or(until, |context| until.min(context.deadline.checked_sub(WAY_BACK).unwrap_or(until)));
        let arrived = self.clock.now();

        let entry = self.attach_or_begin(&command, arrived).await?;
        let entry = self.outcome(entry, until).await?;
        match entry.refusal {
            Some(refusal) => Err(refusal),
            None => Ok(entry.checkout),
        }
    }

    /// One checkout.
    ///
    /// # Errors
    /// PAYMENT_NOT_FOUND.
    pub(crate) async fn get(&self, checkout_id: Uuid) -> Result<Checkout, Fault> {
        let found = self.journal.get(checkout_id).await.map_err(Error::from)?;
        found.map(|entry| entry.checkout).ok_or_else(|| {
            Fault::new(Reason::PaymentNotFound, Reason::PaymentNotFound.title())
                .with("payment_id", checkout_id)
        })
    }

    /// Has a parked checkout tried again at once, by whichever replica looks first (within a second). Any
    /// other is left as it is.
    ///
    /// # Errors
    /// PAYMENT_NOT_FOUND.
    pub(crate) async fn retry(&self, checkout_id: Uuid) -> Result<Checkout, Fault> {
        self.journal.unpark(checkout_id).await.map_err(Error::from)?;
        self.get(checkout_id).await
    }

    /// What there is of these after a place, newest first.
    ///
    /// # Errors
    /// The journal's.
    pub(crate) async fn list(
        &self,
        filter: Filter,
        before: Before,
        limit: i64,
    ) -> Result<Vec<Checkout>, Fault> {
        let narrowed =
            Narrowed { user_id: filter.user_id, status: filter.status, parked: filter.parked, before, limit };
        let entries = self.journal.list(&narrowed).await.map_err(Error::from)?;
        Ok(entries.into_iter().map(|entry| entry.checkout).collect())
    }

    /// What a click is answered without any check: a replay, or the user's checkout of this reservation that
    /// is pending now. (Only a pending one: what was settled "since" by another replica's clock may be an
    /// earlier attempt that failed.)
    async fn known(&self, command: &Pay) -> Result<Option<Entry>, Error> {
        let seen =
            self.journal.seen(command.key().as_ref(), &command.user_id, command.reservation_id).await?;
        if let Some(entry) = seen.named {
            self.shown(command, &entry).await?;
            return Ok(Some(entry));
        }
        let Some(entry) = seen.pending.filter(|entry| entry.checkout.user_id == command.user_id) else {
            return Ok(None);
        };
        self.attach(command, &entry).await?;
        Ok(Some(entry))
    }

    /// Joins the user's checkout of this reservation that was under way at any time since the click, or
    /// begins one. The journal is asked while the checks are made, and what it knows goes before what they
    /// say. A refusal is looked at once more: the other click may have gone through (and used up token and
    /// hold) while ours was being checked.
    async fn attach_or_begin(&self, command: &Pay, arrived: i64) -> Result<Entry, Error> {
        let known = async {
            match self.known(command).await {
                Ok(None) => Ok(()),
                Ok(Some(entry)) => Err(Ok(entry)),
                Err(error) => Err(Err(error)),
            }
        };
        let checked = async { Ok(self.admitted(command).await) };
        let begun = match tokio::try_join!(known, checked) {
            Err(known) => return known,
            Ok(((), Ok((token, reservation)))) => self.begin(command, token, &reservation).await,
            Ok(((), Err(refusal))) => Err(refusal.into()),
        };
        match begun {
            Ok(Some(entry)) => Ok(entry),
            // Lost the race for the journal's unique row: whoever won it, however it ended, is this click's
            // answer too.
            Ok(None) => match self.known(command).await? {
                Some(entry) => Ok(entry),
                None => self.under_way(command, i64::MIN).await?.ok_or_else(|| contended().into()),
            },
            Err(refusal) => self.under_way(command, arrived).await?.ok_or(refusal),
        }
    }

    async fn under_way(&self, command: &Pay, since: i64) -> Result<Option<Entry>, Error> {
        let found = self.journal.under_way(&command.user_id, command.reservation_id, since).await?;
        if let Some(entry) = &found {
            self.attach(command, entry).await?;
        }
        Ok(found)
    }

    /// Lets the request's id stand for this checkout from now on.
    async fn attach(&self, command: &Pay, entry: &Entry) -> Result<(), Error> {
        self.shown(command, entry).await?;
        match command.key() {
            Some(key) => Ok(self.journal.name(&key, entry.checkout.checkout_id).await?),
            None => Ok(()),
        }
    }

    /// What became of a checkout is told to whoever shows the token that it was begun with, used up or not,
    /// or another one of the same user: names and keys can be guessed, tokens cannot.
    async fn shown(&self, command: &Pay, entry: &Entry) -> Result<(), Fault> {
        same(command, &entry.checkout)?;
        let token = command.token.as_deref().map(str::trim);
        if token.and_then(|token| Uuid::try_parse(token).ok()) == Some(entry.token) {
            return Ok(());
        }
        match self.gate.admit(token, "", Some(&entry.checkout.user_id), true).await {
            Err(refusal) if refusal.reason != Reason::TokenNotActive => Err(refusal),
            Ok(_) | Err(_) => Ok(()),
        }
    }

    /// Writes the checkout, and sets it going. `None`: another one was written first.
    async fn begin(
        &self,
        command: &Pay,
        token: Uuid,
        reservation: &Reservation,
    ) -> Result<Option<Entry>, Error> {
        let now = self.clock.now();
        let checkout = Checkout::begun(
            Uuid::new_v4(),
            command.user_id.clone(),
            command.reservation_id,
            reservation.amount,
            now,
        );
        let entry = Entry { checkout, token, refusal: None };
        let hold_until = hold_until(reservation).unwrap_or(now);

        // On a task of its own from here on: whether the row is written and its saga run is not the caller's
        // connection's to decide.
        let (tell, told) = oneshot::channel();
        let (runner, key) = (self.runner.clone(), command.key());
        let trace = Context::current().map_or_else(TraceParent::random, |context| context.trace);
        let begun = entry.clone();
        self.runner.spawn(async move {
            let Some(turn) = runner.turn(begun.checkout.checkout_id) else { return };
            let written = runner.journal().begin(&begun, key.as_ref(), runner.id(), now + LEASE).await;
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

    /// The queue check, then the reservation's own: the token (as its id) and the reservation, when both
    /// allow a payment now.
    async fn admitted(&self, command: &Pay) -> Result<(Uuid, Reservation), Fault> {
        let token = command.token.as_deref();
        let user_id = Some(command.user_id.as_str());
        let ask = GetReservationRequest { reservation_id: command.reservation_id.to_string() };
        let answer = call(|| {
            let (mut booking, ask) = (self.clients.booking.clone(), ask.clone());
            async move { booking.get_reservation(ask).await }
        });
        let reservation = match answer.await {
            Ok(answer) => answer.reservation.ok_or_else(|| hollow("GetReservation"))?,
            // Only somebody who is admitted somewhere is told what does not exist.
            Err(fault) if fault.reason == Reason::ReservationNotFound => {
                self.gate.admit(token, "", user_id, true).await?;
                return Err(fault);
            }
            Err(fault) => return Err(fault),
        };
        let token = self.gate.admit(token, &reservation.queue_id, user_id, true).await?;
        payable(&reservation, &command.user_id)?;
        if command.price.is_some_and(|price| price != reservation.amount) {
            return Err(Fault::invalid_field("amount", "is not the price of this reservation"));
        }
        let token = Uuid::try_parse(&token.token).map_err(|_| hollow("VerifyToken"))?;
        Ok((token, reservation))
    }

    /// Waits for a checkout's outcome: woken by its runner when that is in this process, else by looking into
    /// the journal. At `until` it is what it is.
    async fn outcome(&self, mut entry: Entry, until: Instant) -> Result<Entry, Error> {
        let checkout_id = entry.checkout.checkout_id;
        let mut pause = LOOK_FIRST;
        while entry.checkout.status == Status::Pending && Instant::now() < until {
            if let Some(mut outcome) = self.runner.follow(checkout_id) {
                // Else the runner stopped without an outcome, and another takes over; or time is up. The
                // journal knows.
                if let Ok(Ok(settled)) =
                    tokio::time::timeout_at(until, outcome.wait_for(Option::is_some)).await
                {
                    entry = settled.clone().unwrap_or(entry);
                }
            } else {
                entry = self.journal.get(checkout_id).await?.unwrap_or(entry);
                if entry.checkout.status == Status::Pending {
                    tokio::time::sleep_until(until.min(Instant::now() + pause)).await;
                    pause = (pause * 3 / 2).min(LOOK_LATER);
                }
            }
        }
        Ok(entry)
    }

    /// Renews leases and takes up what lost its runner, until `shutdown` (leases: until all is drained).
    pub(crate) async fn recover_until(self, shutdown: tokio_util::sync::CancellationToken) {
        self.runner.recover_until(shutdown).await;
    }

    /// Finishes what is in flight, for a bounded time, and lets go of the rest, so that another replica takes
    /// it up at once.
    pub(crate) async fn drain(&self) {
        self.runner.drain().await;
    }
}

/// Is this the very request that the checkout was begun with?
fn same(command: &Pay, checkout: &Checkout) -> Result<(), Fault> {
    let same = checkout.user_id == command.user_id
        && checkout.reservation_id == command.reservation_id
        && command.price.is_none_or(|price| price == checkout.amount);
    if same { Ok(()) } else { Err(Fault::new(Reason::RequestIdReused, Reason::RequestIdReused.title())) }
}

/// May this user pay for this reservation now?
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
        ReservationStatus::Cancelled => refuse(Reason::ReservationCancelled),
        ReservationStatus::Unspecified => Err(hollow("GetReservation")),
    }
}

fn contended() -> Fault {
    Fault::new(Reason::Unavailable, "Another payment of this reservation has just ended.")
        .retry_after(Duration::from_secs(1))
}
