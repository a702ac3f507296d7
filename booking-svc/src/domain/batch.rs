//! What becomes of the requests of a batch: they are decided one after the other, in the order in which they
//! came, on the rows that their transaction has locked. What one request is granted the next one finds, and
//! the refusal of one changes nothing for the others. The [`Changes`] are what the transaction writes.

use std::{
    collections::{BTreeSet, HashMap},
    sync::Arc,
};

use serde::Serialize;
use uuid::Uuid;

use super::{
    Best, Hall, Hold, HoldEvent, Occupancy, Refusal, Release, Reservation, Selection, Show, State, Status,
    cooldown,
    hold::{self, Change, Command, Verdict},
    occupancy::NEVER,
};

/// A seat by its show and number. Every transaction locks seats in this order.
pub type SeatKey = (i64, i32);

/// A user and a show: what a user holds is limited for each show.
pub type HolderKey = (String, i64);

/// Who has a seat, as its row says. A seat without a row, or whose row names no hold, is free.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SeatRow {
    /// The hold that has the seat, or had it until it expired.
    pub hold_id: Uuid,
    /// When the seat is free again unless it is sold, in microseconds since 1970 UTC.
    pub held_until: i64,
    /// Whether the hold is confirmed.
    pub sold: bool,
}

/// The rules that an operator sets.
#[derive(Clone, Copy, Debug)]
pub struct Rules {
    /// How long a new hold lives, in microseconds.
    pub hold_ttl: i64,
    /// How many seats of one show a user may hold unpaid.
    pub max_held_seats: i64,
    /// The shortest pause of a user whose holds end unpaid, in microseconds; `None`: there is none.
    pub cooldown: Option<i64>,
}

/// What a user has, or had, of a show.
#[derive(Clone, Debug, Default)]
pub struct Holder {
    /// How many seats are in live holds.
    pub held: i64,
    /// How many seats are sold to the user or in holds that are not closed. Nobody needs it where the show
    /// does not limit how many seats one user may have.
    pub kept: i64,
    /// When holds ended unpaid, in microseconds since 1970 UTC, as far back as [`cooldown::MEMORY`]. Nobody
    /// needs it where there is no cooldown.
    pub ended: Vec<i64>,
}

/// Which seats a request is for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(untagged)]
pub enum Wanted {
    /// All of these.
    These(Selection),
    /// The best that are free.
    Best(Best),
}

/// A request to hold seats.
#[derive(Clone, Debug)]
pub struct NewHold {
    /// The id that the hold gets when it is granted.
    pub reservation_id: Uuid,
    /// The user who asks.
    pub user_id: String,
    /// The show whose seats they are.
    pub show: Arc<Show>,
    /// The hall in which the seats are.
    pub hall: Arc<Hall>,
    /// The id of the queue that admits users to the show's concert.
    pub queue_id: String,
    /// The seats, all of which are wanted or none.
    pub seats: Wanted,
}

/// What was chosen for the requests of a batch that leave the choice to us, by the ids of their holds.
pub type Choices = HashMap<Uuid, Result<Selection, Refusal>>;

/// One request of a batch.
#[derive(Clone, Debug)]
pub enum Request {
    /// Takes seats that are free for a user.
    Hold(NewHold),
    /// Does something with a hold that is there.
    Settle {
        /// The id of the hold.
        reservation_id: Uuid,
        /// The user who asks.
        user_id: String,
        /// What is to become of the hold.
        command: Command,
    },
}

/// The rows that a batch has locked, as the requests that were decided so far have changed them.
#[derive(Clone, Debug, Default)]
pub struct Locked {
    holds: HashMap<Uuid, Hold>,
    seats: HashMap<SeatKey, SeatRow>,
    holders: HashMap<HolderKey, Holder>,
    choices: Choices,
    called_off: BTreeSet<i64>,
    changed_holds: BTreeSet<Uuid>,
    changed_seats: BTreeSet<SeatKey>,
    freed: BTreeSet<(SeatKey, Uuid)>,
    events: Vec<HoldEvent>,
}

/// What a batch has changed.
#[derive(Debug, Default)]
pub struct Changes {
    /// The seats that holds which ended have given back, each with its hold. They are freed first, because
    /// another hold may have taken them since.
    pub freed: Vec<(SeatKey, Uuid)>,
    /// The seats that were taken, kept or sold, in their order.
    pub seats: Vec<(SeatKey, SeatRow)>,
    /// The holds that are new or have changed, whole.
    pub holds: Vec<Hold>,
    /// The holds whose sale was taken back, whole.
    pub refunded: Vec<Hold>,
    /// What there is to tell of the holds, in the order in which it happened.
    pub events: Vec<HoldEvent>,
}

impl SeatRow {
    /// Whether nobody else can have the seat at this time (I-CLOCK).
    #[must_use]
    pub const fn is_taken(&self, now: i64) -> bool {
        self.free_from() > now
    }

    /// The instant from which the seat is free.
    #[must_use]
    pub const fn free_from(&self) -> i64 {
        if self.sold { NEVER } else { self.held_until }
    }
}

impl Wanted {
    /// The number of seats, 1 to [`MAX_SELECTION`](super::seats::MAX_SELECTION).
    #[must_use]
    pub fn count(&self) -> i64 {
        match self {
            Self::These(seats) => seats.count(),
            Self::Best(wish) => wish.count.into(),
        }
    }
}

impl NewHold {
    /// Refuses what nobody would be granted, whatever is free.
    ///
    /// # Errors
    /// `SeatNotFound`, `SalesNotOpen`, `SalesClosed`, `ShowCancelled`, `HoldLimit`, `SeatLimit`.
    pub fn check(&self, rules: Rules, now: i64) -> Result<(), Refusal> {
        match &self.seats {
            Wanted::These(seats) => seats.check(&self.show, now)?,
            Wanted::Best(_) => self.show.check_sale(now)?,
        }
        check_limit(&self.show, rules, &Holder::default(), self.seats.count())
    }

    /// The refusal of this request because somebody has one of its seats, where a batch that found the seats
    /// like this would refuse it for that.
    #[must_use]
    pub fn taken(&self, rules: Rules, occupancy: &Occupancy, now: i64) -> Option<Refusal> {
        let Wanted::These(seats) = &self.seats else { return None };
        let taken: BTreeSet<i32> = seats.numbers().filter(|seat| occupancy.is_taken(*seat, now)).collect();
        let is_the_reason = !taken.is_empty() && self.check(rules, now).is_ok();
        is_the_reason.then_some(Refusal::SeatTaken(taken))
    }
}

impl Changes {
    /// Whether there is nothing to write.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        // There is nothing to tell of holds that have not changed.
        let Self { freed, seats, holds, refunded, events: _ } = self;
        freed.is_empty() && seats.is_empty() && holds.is_empty() && refunded.is_empty()
    }
}

impl Locked {
    /// The holds that the requests name, and those of the seats in question that have a holder.
    #[must_use]
    pub fn new(holds: HashMap<Uuid, Hold>, seats: HashMap<SeatKey, SeatRow>) -> Self {
        Self { holds, seats, ..Self::default() }
    }

    /// Adds what was chosen. Another request may have been granted it since.
    #[must_use]
    pub fn with(self, choices: Choices) -> Self {
        Self { choices, ..self }
    }

    /// Adds those of the shows that are called off.
    #[must_use]
    pub fn without(self, called_off: BTreeSet<i64>) -> Self {
        Self { called_off, ..self }
    }

    /// Adds the users who may get a hold ([`Self::may_grant`]). Who is not named has nothing and had nothing.
    #[must_use]
    pub fn of(self, holders: HashMap<HolderKey, Holder>) -> Self {
        Self { holders, ..self }
    }

    /// Whether a request for seats may be granted, as far as the seats' rows say: each is free, or has a hold
    /// that an earlier request of the batch may end.
    #[must_use]
    pub fn may_grant(&self, new: &NewHold, now: i64) -> bool {
        seats_of(new, &self.choices).is_ok_and(|seats| {
            seats.numbers().all(|seat| {
                let row = self.seats.get(&(new.show.show_id, seat));
                row.is_none_or(|row| !row.is_taken(now) || self.holds.contains_key(&row.hold_id))
            })
        })
    }

    /// Decides a request and answers it with the reservation as it is then. A refusal can come with a change:
    /// see [`Hold::decide`].
    ///
    /// # Errors
    /// Why it is refused.
    pub fn decide(&mut self, request: &Request, rules: Rules, now: i64) -> Result<Reservation, Refusal> {
        match request {
            Request::Hold(new) => self.hold(new, rules, now),
            Request::Settle { reservation_id, user_id, command } => {
                self.settle(*reservation_id, user_id, *command, now)
            }
        }
    }

    /// What was changed by all requests together.
    #[must_use]
    pub fn into_changes(mut self) -> Changes {
        let seats = self.changed_seats.into_iter().filter_map(|key| Some((key, *self.seats.get(&key)?)));
        let (freed, seats) = (self.freed.into_iter().collect(), seats.collect());
        let holds = self.changed_holds.iter().filter_map(|id| self.holds.remove(id));
        let (refunded, holds) = holds.partition(|hold| matches!(hold.state, State::Refunded { .. }));
        Changes { freed, seats, holds, refunded, events: self.events }
    }

    fn hold(&mut self, new: &NewHold, rules: Rules, now: i64) -> Result<Reservation, Refusal> {
        let NewHold { reservation_id, user_id, show, hall, queue_id, seats } = new;
        // I-CALLED-OFF: the show as it was remembered may not know yet.
        if self.called_off.contains(&show.show_id) {
            return Err(Refusal::ShowCancelled);
        }
        new.check(rules, now)?;
        let is_choice = matches!(seats, Wanted::Best(_));
        let seats = seats_of(new, &self.choices)?.clone();
        // I-ALL-OR-NONE and I-SEAT-ONCE: one seat that somebody has refuses all of them.
        let has_holder =
            |seat: &i32| self.seats.get(&(show.show_id, *seat)).is_some_and(|row| row.is_taken(now));
        let taken: BTreeSet<i32> = seats.numbers().filter(has_holder).collect();
        if !taken.is_empty() {
            return Err(if is_choice { Refusal::Overtaken } else { Refusal::SeatTaken(taken) });
        }
        let holder = self.holders.entry((user_id.clone(), show.show_id)).or_default();
        check_limit(show, rules, holder, seats.count())?;
        // I-COOLDOWN: asked under the same lock as the limit.
        let paused = rules.cooldown.and_then(|cooldown| cooldown::paused_until(&holder.ended, cooldown));
        if let Some(until) = paused.filter(|until| *until > now) {
            let limit = show.sale.max_seats_per_user.map_or(rules.max_held_seats, i64::from);
            return Err(Refusal::CoolingDown { wait: until - now, limit });
        }
        holder.held += seats.count();
        holder.kept += seats.count();
        let until = now.saturating_add(rules.hold_ttl);
        // I-FIXED-PRICE: what the seats cost at this moment is written down with the hold.
        let places = hall.places(seats.numbers(), show.section_prices());
        let hold = Hold {
            reservation_id: *reservation_id,
            user_id: user_id.clone(),
            concert_id: show.concert_id,
            show_id: show.show_id,
            queue_id: queue_id.clone(),
            seats: seats.numbers().collect(),
            // It cannot overflow: 50 seats at the highest price of 10^9 are 5 * 10^10.
            amount: places.iter().map(|place| place.price).sum(),
            // Without sections there is nothing to tell of a seat but its number and the one price.
            places: if show.prices.is_empty() { Vec::new() } else { places },
            held_at: now,
            promised_until: until,
            expires_at: until,
            state: State::Held,
        };
        for seat in seats.numbers() {
            let row = SeatRow { hold_id: *reservation_id, held_until: until, sold: false };
            self.seats.insert((show.show_id, seat), row);
            self.changed_seats.insert((show.show_id, seat));
        }
        self.events.push(HoldEvent::held(*reservation_id));
        self.put(hold.clone());
        Ok(hold.seen_at(now))
    }

    fn settle(
        &mut self,
        id: Uuid,
        user_id: &str,
        command: Command,
        now: i64,
    ) -> Result<Reservation, Refusal> {
        let hold = self.holds.get(&id).ok_or(Refusal::ReservationNotFound)?.clone();
        let verdict = if self.called_off.contains(&hold.show_id) {
            hold.decide_called_off(user_id, command, now)
        } else {
            hold.decide(user_id, command, now)
        };
        let verdict = match verdict {
            // By the faster clock of a replica the hold had expired, and another hold took a seat of it. It
            // is closed with the refusal (I-LATE-IS-LATE), and gives back what it still has.
            Verdict { change: Some(Change::Extend { .. } | Change::Confirm { .. }), .. }
                if !self.has_its_seats(&hold) =>
            {
                Verdict { change: Some(Change::Lapse), answer: Err(Refusal::HoldExpired) }
            }
            verdict => verdict,
        };
        let after = match verdict.change {
            Some(change) => self.apply(hold, change, now),
            None => hold,
        };
        verdict.answer?;
        Ok(after.seen_at(now))
    }

    fn apply(&mut self, hold: Hold, change: Change, now: i64) -> Hold {
        let before = hold.status(now);
        let after = hold.apply(change, now);
        let release = match change {
            Change::Cancel if self.called_off.contains(&after.show_id) => Some(Release::ShowCancelled),
            Change::Cancel => Some(Release::Cancelled),
            Change::Lapse => Some(Release::Expired),
            // What is sold and taken back is told as a refund.
            Change::Extend { .. } | Change::Confirm { .. } | Change::Refund => None,
        };
        self.events.extend(release.map(|why| HoldEvent::released(after.reservation_id, why)));
        for seat in &after.seats {
            let key = (after.show_id, *seat);
            let Some(row) = self.seats.get_mut(&key).filter(|row| row.hold_id == after.reservation_id) else {
                continue;
            };
            match change {
                Change::Extend { until } => row.held_until = until,
                Change::Confirm { .. } => row.sold = true,
                // I-SOLD-STAYS: only what exactly this hold has is freed, and of what was sold only what
                // its own payment gives back (I-BACK-IFF-FREE).
                Change::Cancel | Change::Lapse | Change::Refund => {
                    self.seats.remove(&key);
                    self.freed.insert((key, after.reservation_id));
                }
            }
            self.changed_seats.insert(key);
        }
        if let Some(holder) = self.holders.get_mut(&(after.user_id.clone(), after.show_id)) {
            let seats = i64::try_from(after.seats.len()).unwrap_or(0);
            let is_unpaid = matches!(change, Change::Cancel | Change::Lapse);
            if is_unpaid || change == Change::Refund {
                holder.kept -= seats;
            }
            if before == Status::Held && after.status(now) != Status::Held {
                holder.held -= seats;
                if is_unpaid {
                    holder.ended.push(now);
                }
            }
        }
        self.put(after.clone());
        after
    }

    fn has_its_seats(&self, hold: &Hold) -> bool {
        hold.seats.iter().all(|seat| {
            let row = self.seats.get(&(hold.show_id, *seat));
            row.is_some_and(|row| row.hold_id == hold.reservation_id && !row.sold)
        })
    }

    fn put(&mut self, hold: Hold) {
        self.changed_holds.insert(hold.reservation_id);
        self.holds.insert(hold.reservation_id, hold);
    }
}

/// The seats of a request: those that it names, or that were chosen for it.
///
/// # Errors
/// Nothing could be chosen.
pub fn seats_of<'a>(new: &'a NewHold, choices: &'a Choices) -> Result<&'a Selection, Refusal> {
    match &new.seats {
        Wanted::These(seats) => Ok(seats),
        Wanted::Best(_) => match choices.get(&new.reservation_id) {
            Some(Ok(seats)) => Ok(seats),
            Some(Err(refusal)) => Err(refusal.clone()),
            None => Err(Refusal::Overtaken),
        },
    }
}

/// Refuses a user who has this of a show and would get so many seats more than its own limit allows, or else
/// the operator's (I-LIMIT-SHOW, I-LIMIT).
fn check_limit(show: &Show, rules: Rules, has: &Holder, more: i64) -> Result<(), Refusal> {
    match show.sale.max_seats_per_user {
        Some(limit) => hold::check_show_limit(has.kept.saturating_add(more), limit.into()),
        None => hold::check_limit(has.held.saturating_add(more), rules.max_held_seats),
    }
}

#[cfg(test)]
#[path = "batch_tests.rs"]
mod tests;
