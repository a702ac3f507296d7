//! Calling a show off: booking sells nothing more of it, and each of its sales is refunded, by the runner
//! that refunds single ones.
//!
//! It is written down before booking is asked, so it goes on whatever is lost. A runner that has its lease
//! goes round until everything is back: booking is asked again, since that is harmless; what booking has
//! left as sold is refunded, a bounded number of sales at a time; and what was begun is counted. Where it
//! stands is what booking has left, so whoever takes it over begins with what is still to do.

use std::{sync::Arc, time::Duration};

use boxoffice_proto::{
    Fault, Reason,
    booking::{
        CancelShowRequest, FinishCancellingRequest, GetShowRequest, ListShowReservationsRequest,
        ReservationStatus, Show, ShowRefunds, ShowStatus,
    },
    time,
};
use chassis::{back_off::BackOff, context::TraceParent, ticks::every, warn_or_alert};
use tokio::{sync::Semaphore, time::Instant};
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use super::runner::{LEASE, LOOK, RENEWAL, Runner};
use crate::{
    clients::{Clients, ask, whole},
    domain::{
        call_off::{REASON, Step, Tally, next},
        checkout::Refund,
        event::{self, ShowFacts},
    },
    error::Error,
};

/// The most shows that are taken over at a time.
const SHOWS_AT_ONCE: i64 = 4;
/// The most sales that this process refunds at a time, of all shows: so many that a large hall is refunded
/// in minutes, and so few that those who buy of other shows meanwhile hardly notice.
const SALES_AT_ONCE: usize = 32;
/// Sales that are read, and whose refunds are asked for, at a time: half of those, so that the next begin
/// while the last ones of before end.
const PAGE: i32 = 16;
/// How often it is counted how far the refunds are.
const COUNT_EVERY: Duration = Duration::from_secs(1);
/// The pauses between two rounds, growing while nothing gets on.
const PAUSES: BackOff =
    BackOff { base: Duration::from_millis(100), factor: 2, cap: Duration::from_secs(10), jitter: 0.5 };
/// An operator is alerted after so many rounds in which nothing got on (about two minutes), and again after
/// as many more.
const ALERT_EVERY: u32 = 20;

/// Calls shows off. Cheap to clone.
#[derive(Clone)]
pub(crate) struct CallOffs {
    runner: Runner,
    clients: Clients,
    room: Arc<Semaphore>,
}

impl CallOffs {
    pub(crate) fn new(runner: Runner, clients: Clients) -> Self {
        Self { runner, clients, room: Arc::new(Semaphore::new(SALES_AT_ONCE)) }
    }

    /// Calls a show off, if nobody has. Nobody gets its seats when this is answered; its refunds go on by
    /// themselves. Also when the outcome is unknown, it goes on.
    pub(super) async fn begin(&self, show_id: i64) -> Result<Show, Fault> {
        let written = self.runner.journal().call_off(show_id, self.runner.now()).await;
        written.map_err(Error::from)?;
        let mut shows = [self.close(show_id).await?.0];
        self.tell_refunds(&mut shows).await?;
        let [show] = shows;
        Ok(show)
    }

    /// Adds to shows that are called off how far their refunds are.
    pub(super) async fn tell_refunds(&self, shows: &mut [Show]) -> Result<(), Fault> {
        let ids: Vec<i64> =
            shows.iter().filter(|show| is_called_off(show)).map(|show| show.show_id).collect();
        if ids.is_empty() {
            return Ok(());
        }
        let known = self.runner.journal().called_off(ids).await.map_err(Error::from)?;
        for show in shows {
            let known = known.iter().find(|known| known.show_id == show.show_id);
            show.refunds = known.map(|known| refunds(known.tally, show.status() == ShowStatus::Cancelled));
        }
        Ok(())
    }

    /// Has booking sell nothing more of a show, and tells the world once. Answers the show, and how many
    /// of its sales are left.
    async fn close(&self, show_id: i64) -> Result<(Show, i32), Fault> {
        let answer = ask!(self.clients.booking, cancel_show(CancelShowRequest { show_id }))?;
        let (show, left) = (whole(answer.show, "cancel_show")?, answer.sales_left);
        let now = self.runner.now();
        let facts = ShowFacts {
            show_id: show.show_id,
            concert_id: show.concert_id,
            title: &show.title,
            starts_at: show.starts_at.as_ref().and_then(time::micros).unwrap_or_default(),
            time_zone: &show.time_zone,
            local_date: &show.local_date,
            local_time: &show.local_time,
        };
        let event = event::show_cancelled(&facts, now);
        self.runner.journal().close_show(show_id, left.into(), &event, now).await.map_err(Error::from)?;
        self.runner.ring();
        Ok((show, left))
    }

    /// Takes over shows that nobody works on, until `shutdown`.
    pub(crate) async fn recover_until(self, shutdown: CancellationToken) {
        every(LOOK, &shutdown, || self.take_over(&shutdown)).await;
    }

    async fn take_over(&self, shutdown: &CancellationToken) {
        // Each time by another id, so that whoever was too slow to renew its lease finds out.
        let (turn, now) = (Uuid::new_v4(), self.runner.now());
        let taken = self.runner.journal().take_over_call_offs(turn, now, now + LEASE, SHOWS_AT_ONCE).await;
        let taken = match taken {
            Ok(taken) => taken,
            Err(error) if error.is_contended() => return,
            Err(error) => {
                return warn_or_alert!(error.is_passing(), %error, "shows that are called off could not be looked for");
            }
        };
        for call_off in taken {
            let (this, stopping, show_id) = (self.clone(), shutdown.clone(), call_off.show_id);
            self.runner.spawn(async move {
                let work = async {
                    tokio::select! {
                        () = this.run(show_id) => {}
                        () = this.keep(show_id, turn) => {}
                    }
                };
                if stopping.run_until_cancelled(work).await.is_none() {
                    this.release(show_id, turn).await;
                }
            });
        }
    }

    /// Renews the lease on a show until another runner has it.
    async fn keep(&self, show_id: i64, turn: Uuid) {
        loop {
            tokio::time::sleep(RENEWAL).await;
            let until = self.runner.now() + LEASE;
            match self.runner.journal().renew_call_off(show_id, turn, until).await {
                Ok(true) => {}
                Ok(false) => return,
                Err(error) => {
                    warn_or_alert!(error.is_passing(), %error, show_id, "the lease on a show that is called off could not be renewed");
                }
            }
        }
    }

    async fn release(&self, show_id: i64, turn: Uuid) {
        if let Err(error) = self.runner.journal().renew_call_off(show_id, turn, 0).await {
            warn_or_alert!(error.is_passing(), %error, show_id, "a lease could not be released; it lapses by itself");
        }
    }

    /// Goes round until everything of a show is back.
    async fn run(&self, show_id: i64) {
        let (mut last, mut idle) = (Tally::default(), 0);
        loop {
            match self.round(show_id).await {
                Ok(None) => {
                    metrics::counter!("shows_cancelled_total").increment(1);
                    return tracing::info!(show_id, "a show is cancelled: each sale of it is refunded");
                }
                Ok(Some(tally)) if tally != last => (last, idle) = (tally, 0),
                Ok(Some(_)) => idle += 1,
                Err(fault) => {
                    tracing::warn!(show_id, reason = %fault.reason, "calling a show off does not get on; again soon");
                    idle += 1;
                }
            }
            if idle > 0 && idle % ALERT_EVERY == 0 {
                metrics::counter!("call_offs_stuck_total").increment(1);
                let Tally { sales, refunded, parked } = last;
                tracing::error!(
                    parent: None, alert = true, show_id, sales, refunded, parked,
                    "calling a show off does not get on; it is tried until it does"
                );
            }
            tokio::time::sleep(PAUSES.pause(idle)).await;
        }
    }

    /// Takes the next step for a show. Answers how far its refunds are then; `None`: everything is back.
    async fn round(&self, show_id: i64) -> Result<Option<Tally>, Fault> {
        let left = self.close(show_id).await?.1;
        let begun = self.count(show_id, 0).await?;
        match next(left, begun) {
            Step::Wait => Ok(Some(begun)),
            Step::Refund => {
                let strays = self.refund_sales(show_id).await?;
                self.count(show_id, strays).await.map(Some)
            }
            Step::Finish => {
                let request = FinishCancellingRequest { show_id };
                let show = ask!(self.clients.booking, finish_cancelling(request).show)?;
                // Otherwise a sale was found that had not been counted.
                if show.status() != ShowStatus::Cancelled {
                    return Ok(Some(begun));
                }
                let finished = self.runner.journal().finish_call_off(show_id, self.runner.now()).await;
                // Otherwise a refund is under way that somebody else began.
                Ok(if finished.map_err(Error::from)? { None } else { Some(begun) })
            }
        }
    }

    async fn count(&self, show_id: i64, strays: usize) -> Result<Tally, Fault> {
        let strays = i64::try_from(strays).unwrap_or(i64::MAX);
        Ok(self.runner.journal().tally(show_id, strays).await.map_err(Error::from)?)
    }

    /// Begins the refund of each sale that booking has left and nobody has begun, as soon as there is room
    /// for it. Answers how many sales no checkout knows: they were made past the edge, and are for an
    /// operator.
    async fn refund_sales(&self, show_id: i64) -> Result<usize, Fault> {
        let (mut page_token, mut strays, mut counted) = (String::new(), 0, Instant::now());
        loop {
            let request = ListShowReservationsRequest { show_id, page_size: PAGE, page_token };
            let page = ask!(self.clients.booking, list_show_reservations(request))?;
            let sold = page.reservations.iter().filter(|one| one.status() == ReservationStatus::Confirmed);
            let ids: Vec<Uuid> = sold.filter_map(|one| Uuid::try_parse(&one.payment_id).ok()).collect();
            if !ids.is_empty() {
                strays += self.refund_these(show_id, ids).await?;
            }
            if page.next_page_token.is_empty() {
                return Ok(strays);
            }
            page_token = page.next_page_token;
            if counted.elapsed() >= COUNT_EVERY {
                self.count(show_id, strays).await?;
                counted = Instant::now();
            }
        }
    }

    async fn refund_these(&self, show_id: i64, ids: Vec<Uuid>) -> Result<usize, Fault> {
        // There must be room for them before they are ours: a lease is renewed while somebody works on it.
        let count = u32::try_from(ids.len()).unwrap_or(u32::MAX);
        let room = Arc::clone(&self.room).acquire_many_owned(count).await;
        // It is never closed.
        let Ok(mut room) = room else { return Ok(0) };
        let asked_at = self.runner.now();
        let refund = Refund { asked_at, reason: REASON.to_owned(), done_at: None };
        let journal = self.runner.journal();
        let asked = journal.undo_sales(show_id, ids, &refund, self.runner.id(), asked_at + LEASE).await;
        let (asked, strays) = asked.map_err(Error::from)?;
        for entry in asked {
            let place = room.split(1);
            let runner = self.runner.clone();
            self.runner.spawn(async move {
                runner.undo(entry, asked_at, TraceParent::random()).await;
                drop(place);
            });
        }
        Ok(strays)
    }
}

/// Whether a show does not take place. A release of before knows no status, and every show takes place.
pub(super) fn is_called_off(show: &Show) -> bool {
    matches!(show.status(), ShowStatus::Cancelling | ShowStatus::Cancelled)
}

/// Why a reservation cannot be paid for that was cancelled: perhaps because its show is called off.
pub(super) async fn or_called_off(clients: &Clients, refusal: Fault, show_id: i64) -> Fault {
    if refusal.reason != Reason::ReservationCancelled {
        return refusal;
    }
    match ask!(clients.booking, get_show(GetShowRequest { show_id }).show) {
        Ok(show) if is_called_off(&show) => {
            let reason = Reason::ShowCancelled;
            Fault { reason, detail: reason.title().to_owned(), ..refusal }
        }
        Ok(_) | Err(_) => refusal,
    }
}

/// What is told of a count. That of a show which is CANCELLED is whole, though it may be some moments
/// older.
fn refunds(tally: Tally, is_whole: bool) -> ShowRefunds {
    // There are at most 100,000 seats.
    let small = |count: i64| i32::try_from(count).unwrap_or(i32::MAX);
    let done = small(tally.refunded);
    if is_whole {
        return ShowRefunds { total: done, done, parked: 0 };
    }
    ShowRefunds { total: small(tally.sales), done, parked: small(tally.parked) }
}
