//! Asking for seats: what was asked for and how it was answered. A group that wishes to be together is, no
//! seat is left alone where that could be had, a price is that of its time, and whoever is refused is refused
//! for something that is so.
//!
//! In the end everybody's reservations are known. Of each seat and moment they say that somebody certainly
//! had it, that somebody may have had it, or that nobody had it; only what is certain is held against an
//! answer.

use std::{collections::BTreeMap, rc::Rc, time::Duration};

use serde_json::Value;

use super::{instant, seat_numbers};
use crate::{
    hall::Block,
    history::{count, now, violated},
    mesh::START,
    plan::Plan,
    rest::{Answer, list, number, text},
};

/// How long a request of which nothing was heard any more may still do something.
const LINGERS: Duration = Duration::from_secs(30);
/// How late a hold that has lapsed may be closed, until when its seats count as its user's.
const SWEPT_WITHIN: Duration = Duration::from_secs(20);
/// How long it takes from the instant that a refund is told to have taken seats back until they are free.
const TAKEN_BACK_WITHIN: Duration = Duration::from_millis(100);
/// How old the price may be that a replica goes by.
const PRICE_KNOWN_WITHIN: Duration = Duration::from_millis(500);

/// Which seats somebody asks for.
#[derive(Clone, Debug)]
pub enum Wanted {
    /// These.
    These(Vec<i64>),
    /// The best.
    Best {
        /// How many.
        count: i64,
        /// In which section; anywhere.
        section: Option<String>,
        /// Side by side.
        together: bool,
    },
}

/// What was asked, and how it was answered.
#[derive(Debug)]
struct Ask {
    user: String,
    wanted: Wanted,
    from: Duration,
    /// When the answer was there; until then anything may become of it.
    until: Option<Duration>,
    /// Nobody else asked for seats meanwhile.
    alone: bool,
    answer: Option<Told>,
}

#[derive(Debug)]
enum Told {
    Held { reservation: String, seats: Vec<i64> },
    Taken(Vec<i64>),
    TooFew,
    Limit,
}

/// What was asked for of the hall.
#[derive(Debug)]
pub struct Asks {
    plan: Rc<Plan>,
    asks: Vec<Ask>,
    /// Until when something of which nothing was heard may still happen.
    unheard_until: Duration,
    /// When it was told that a hold was given back.
    given_back: BTreeMap<String, Duration>,
    /// Since when prices may have risen, and since when it was told that they have.
    dearer: (Option<Duration>, Option<Duration>),
}

/// When a reservation's seats were somebody's, by the time of the run.
struct Had {
    user: String,
    reservation: String,
    seats: Vec<i64>,
    from: Duration,
    /// Certainly until then; not after `from` where it may have ended at once.
    at_least: Duration,
    /// Until then at most.
    at_most: Duration,
}

impl Asks {
    pub(super) fn new(plan: &Rc<Plan>) -> Self {
        Self {
            plan: Rc::clone(plan),
            asks: Vec::new(),
            unheard_until: Duration::ZERO,
            given_back: BTreeMap::new(),
            dearer: (None, None),
        }
    }

    /// Somebody begins to ask for seats; by which number that is known.
    pub fn begun(&mut self, user: &str, wanted: &Wanted) -> usize {
        let others = self.asks.iter_mut().filter(|ask| ask.until.is_none());
        let mut alone = self.unheard_until < now();
        for other in others {
            (other.alone, alone) = (false, false);
        }
        let (user, wanted) = (user.to_owned(), wanted.clone());
        self.asks.push(Ask { user, wanted, from: now(), until: None, alone, answer: None });
        self.asks.len() - 1
    }

    /// It was answered, or given up.
    pub fn ended(&mut self, nth: usize, answer: Option<&Answer>) {
        let Some(ask) = self.asks.get_mut(nth) else { return };
        ask.until = Some(now());
        let Some(answer) = answer else {
            self.unheard_until = now() + LINGERS;
            return;
        };
        let (body, from) = (&answer.body, ask.from);
        ask.answer = match (answer.status, answer.code()) {
            (201, _) => Some(Told::Held {
                reservation: text(body, "reservationId").to_owned(),
                seats: seat_numbers(body),
            }),
            (409, "SEAT_TAKEN") => Some(Told::Taken(seat_numbers(body))),
            (409, "SEATS_UNAVAILABLE") => Some(Told::TooFew),
            (409, "HOLD_LIMIT") => Some(Told::Limit),
            _ => None,
        };
        self.judge_now(nth, from, answer);
    }

    /// Somebody was told that their hold is given back.
    pub fn given_back(&mut self, reservation: &str) {
        self.given_back.entry(reservation.to_owned()).or_insert_with(now);
    }

    /// The office changes the prices; and was told that they are changed.
    pub fn dearer(&mut self, is_told: bool) {
        if is_told {
            self.dearer.1.get_or_insert_with(now);
        } else {
            self.dearer.0.get_or_insert_with(now);
        }
    }

    /// The prices, as they were at first (false) or risen (true), that somebody may have met since then.
    fn prices_since(&self, from: Duration) -> Vec<bool> {
        let at_first = self.dearer.1.is_none_or(|told| from <= told + PRICE_KNOWN_WITHIN);
        let may_have_risen = self.dearer.0.is_some();
        [(false, at_first), (true, may_have_risen)].into_iter().filter(|one| one.1).map(|one| one.0).collect()
    }

    fn skew(&self) -> Duration {
        Duration::from_micros(self.plan.skew.unsigned_abs())
    }

    /// What an answer says by itself.
    fn judge_now(&self, nth: usize, from: Duration, answer: &Answer) {
        let Some(ask) = self.asks.get(nth) else { return };
        let (hall, body) = (&self.plan.hall, &answer.body);
        let wrong = |rule: &str, why: &str| {
            violated(
                rule,
                &[&ask.user],
                format!("{why}: {:?} since {from:?} was answered {body}", ask.wanted),
            );
        };
        match (answer.status, answer.code()) {
            (201, _) => {
                let seats = seat_numbers(body);
                let costs = hall.costs(&seats, self.prices_since(from));
                if !costs.contains(&number(body, "amount")) || !self.places_are_right(body) {
                    wrong("FIXED-PRICE", &format!("should cost {costs:?}"));
                }
                if !self.is_as_wished(&ask.wanted, &seats) {
                    wrong("AS-ASKED", "these are others");
                }
                let held_at = instant(body, "heldAt") - START;
                let micros = |at: Duration| i64::try_from(at.as_micros()).unwrap_or(i64::MAX);
                let is_early = hall.opens.is_some_and(|opens| held_at < micros(opens));
                if is_early || hall.closes.is_some_and(|closes| held_at >= micros(closes)) {
                    wrong("SALE", "the sale was not open");
                }
            }
            (409, "SALES_NOT_OPEN") if hall.opens.is_none_or(|opens| from > opens + self.skew()) => {
                wrong("SALE", "the sale has opened");
            }
            (409, "SALES_CLOSED") if hall.closes.is_none_or(|at| answer.received + self.skew() < at) => {
                wrong("SALE", "the sale has not closed");
            }
            (409, "SHOW_CANCELLED") if self.plan.called_off.is_none_or(|off| answer.received < off) => {
                wrong("CALLED-OFF", "the show is not called off");
            }
            (409, "SEAT_TAKEN") => {
                let Wanted::These(wanted) = &ask.wanted else {
                    return wrong("AS-ASKED", "nothing was named");
                };
                let named = seat_numbers(body);
                if named.is_empty() || !named.iter().all(|seat| wanted.contains(seat)) {
                    wrong("AS-ASKED", "these were not asked for");
                }
            }
            (409, "SEATS_UNAVAILABLE") => {
                let (free, beside) = (number(body, "available"), number(body, "together"));
                let is_so = match ask.wanted {
                    Wanted::These(_) => false,
                    Wanted::Best { count, together, .. } => {
                        beside <= free && if together { beside < count } else { free < count }
                    }
                };
                if !is_so {
                    wrong("AS-ASKED", "there are enough");
                }
            }
            (409, "HOLD_LIMIT") if hall.most.is_none() => wrong("LIMIT", "there is none"),
            _ => {}
        }
        count(format!("asked, and answered {} {}", answer.status, answer.code()));
    }

    /// Whether each seat is told with its section and its part of the price.
    fn places_are_right(&self, told: &Value) -> bool {
        let mut sum = 0;
        let hall = &self.plan.hall;
        let all = list(told, "seats").all(|seat| {
            sum += number(seat, "price");
            let section = hall.section_of(number(seat, "seatNumber"));
            section.is_some_and(|section| section.name == text(seat, "section"))
        });
        all && sum == number(told, "amount")
    }

    /// The rows and the standing room in which a wish may be granted.
    fn blocks<'a>(&'a self, section: Option<&'a str>) -> impl Iterator<Item = Block> + 'a {
        let hall = &self.plan.hall;
        let is_in = move |block: &Block| section.is_none_or(|name| hall.sections[block.section].name == name);
        hall.blocks().into_iter().filter(is_in)
    }

    fn is_as_wished(&self, wanted: &Wanted, seats: &[i64]) -> bool {
        match wanted {
            Wanted::These(wanted) => {
                let mut wanted = wanted.clone();
                wanted.sort_unstable();
                wanted == seats
            }
            Wanted::Best { count, section, together } => {
                let within =
                    |block: &Block| seats.iter().all(|seat| (block.first..=block.last).contains(seat));
                let are_beside =
                    |block: &Block| block.is_standing || seats.windows(2).all(|pair| pair[0] + 1 == pair[1]);
                let section = section.as_deref();
                let is_there =
                    |seat: &i64| self.blocks(section).any(|block| (block.first..=block.last).contains(seat));
                i64::try_from(seats.len()) == Ok(*count)
                    && if *together {
                        self.blocks(section).any(|block| within(&block) && are_beside(&block))
                    } else {
                        seats.iter().all(is_there)
                    }
            }
        }
    }

    /// Judges everything, when everybody's reservations are known. `touched` are those that somebody asked to
    /// end or to pay for.
    pub(super) fn judge<'a>(
        &self,
        reservations: impl Iterator<Item = &'a Value>,
        touched: impl Fn(&str) -> bool,
    ) {
        let had: Vec<Had> = reservations.map(|one| self.had(one, &touched)).collect();
        self.judge_limit(&had);
        for ask in &self.asks {
            let (Some(until), Some(answer)) = (ask.until, &ask.answer) else { continue };
            let who = [ask.user.as_str()];
            let span = (ask.from, until);
            match (answer, &ask.wanted) {
                (Told::Taken(seats), _) => {
                    count("refusals for taken seats judged");
                    for seat in seats.iter().filter(|seat| !may_be_had(&had, **seat, span, "")) {
                        let what = format!("seat {seat} was nobody's, and refused as taken within {span:?}");
                        violated("TAKEN-NOW", &who, what);
                    }
                }
                (Told::Limit, wanted) => self.judge_refused_for_limit(&had, ask, span, wanted),
                (Told::TooFew, Wanted::Best { count, section, together }) if ask.alone => {
                    let can = if *together {
                        self.windows(&had, section.as_deref(), *count, span, "").next().is_some()
                    } else {
                        let blocks = self.blocks(section.as_deref());
                        let seats = blocks.flat_map(|block| block.first..=block.last);
                        let free = seats.filter(|seat| !may_be_had(&had, *seat, span, "")).count();
                        i64::try_from(free).is_ok_and(|free| free >= *count)
                    };
                    if can {
                        violated("AS-ASKED", &who, format!("{:?} could be had within {span:?}", ask.wanted));
                    }
                }
                (Told::Held { reservation, seats }, Wanted::Best { count, section, together: true })
                    if ask.alone =>
                {
                    super::count("wishes judged");
                    let strands = self.strands(&had, seats, span, reservation, true);
                    let better = self
                        .windows(&had, section.as_deref(), *count, span, reservation)
                        .find(|other| !self.strands(&had, other, span, reservation, false));
                    if let Some(better) = better.filter(|_| strands) {
                        let what =
                            format!("{seats:?} leave a seat alone, and {better:?} would not: {span:?}");
                        violated("STRANDED", &who, what);
                    }
                }
                _ => {}
            }
        }
    }

    fn had(&self, reservation: &Value, touched: &impl Fn(&str) -> bool) -> Had {
        let id = text(reservation, "reservationId");
        let at = |micros: i64| Duration::from_micros(u64::try_from(micros).unwrap_or_default());
        let from = at(instant(reservation, "heldAt") - START);
        let (ends, skew) = (from + self.plan.sale.hold, 2 * self.skew());
        let (at_least, at_most) = match text(reservation, "status") {
            "CONFIRMED" => (Duration::MAX, Duration::MAX),
            "REFUNDED" => {
                let back = at(instant(reservation, "refundedAt") - START);
                (back.saturating_sub(skew), back + skew + TAKEN_BACK_WITHIN)
            }
            _ if self.given_back.contains_key(id) => (from, self.given_back[id]),
            _ if touched(id) => (from, Duration::MAX),
            _ if self.plan.called_off.is_some() => (from, ends + skew),
            _ => (ends.saturating_sub(skew), ends + skew),
        };
        let (user, reservation, seats) =
            (text(reservation, "userId").to_owned(), id.to_owned(), seat_numbers(reservation));
        Had { user, reservation, seats, from, at_least, at_most }
    }

    /// Nobody certainly had more seats at a time than one may.
    fn judge_limit(&self, had: &[Had]) {
        let Some(most) = self.plan.hall.most else { return };
        for one in had {
            let then = |other: &&Had| {
                other.user == one.user
                    && (other.reservation == one.reservation
                        || other.from < one.from && one.from < other.at_least)
            };
            let seats: usize = had.iter().filter(then).map(|other| other.seats.len()).sum();
            if i64::try_from(seats).is_ok_and(|seats| seats > most) {
                let what =
                    format!("{seats} seats at {:?} with {}, and {most} allowed", one.from, one.reservation);
                violated("LIMIT", &[&one.user], what);
            }
        }
    }

    /// Whoever is refused for the limit may have had so many that it would be exceeded.
    fn judge_refused_for_limit(&self, had: &[Had], ask: &Ask, span: (Duration, Duration), wanted: &Wanted) {
        let Some(most) = self.plan.hall.most else { return };
        let more = match wanted {
            Wanted::These(seats) => i64::try_from(seats.len()).unwrap_or(i64::MAX),
            Wanted::Best { count, .. } => *count,
        };
        // A hold counts until it is closed, and whoever closes lapsed ones may be away for a while.
        let mine = had.iter().filter(|one| {
            let until = one.at_most.saturating_add(SWEPT_WITHIN);
            one.user == ask.user && one.from <= span.1 + self.skew() && span.0 <= until
        });
        let seats: usize = mine.map(|one| one.seats.len()).sum();
        if i64::try_from(seats).is_ok_and(|seats| seats + more <= most) {
            let what =
                format!("{wanted:?} was refused for the limit of {most} with {seats} at most: {span:?}");
            violated("LIMIT", &[&ask.user], what);
        }
    }

    /// All places side by side of which nobody else had a seat meanwhile.
    fn windows<'a>(
        &'a self,
        had: &'a [Had],
        section: Option<&'a str>,
        count: i64,
        span: (Duration, Duration),
        own: &'a str,
    ) -> impl Iterator<Item = Vec<i64>> + 'a {
        let free = move |seat: &i64| !may_be_had(had, *seat, span, own);
        self.blocks(section).flat_map(move |block| {
            let places: Vec<Vec<i64>> = if block.is_standing {
                let all: Vec<i64> = (block.first..=block.last).filter(free).collect();
                let count = usize::try_from(count).unwrap_or(usize::MAX);
                all.get(..count).map(<[i64]>::to_vec).into_iter().collect()
            } else {
                let places = (block.first..=block.last - count + 1).map(|at| (at..at + count).collect());
                places.filter(|place: &Vec<i64>| place.iter().all(free)).collect()
            };
            places
        })
    }

    /// Whether taking these seats, side by side, leaves a free seat alone that was not: certainly, or
    /// possibly.
    fn strands(
        &self,
        had: &[Had],
        seats: &[i64],
        span: (Duration, Duration),
        own: &str,
        certainly: bool,
    ) -> bool {
        let (Some(first), Some(last)) = (seats.first(), seats.last()) else { return false };
        let blocks = self.plan.hall.blocks();
        let row = blocks.iter().find(|block| (block.first..=block.last).contains(first));
        let Some(row) = row.filter(|row| !row.is_standing) else { return false };
        let is_in = |seat: i64| (row.first..=row.last).contains(&seat);
        let may_be_free = |seat| is_in(seat) && !certainly_had(had, seat, span, own);
        let is_free = |seat| is_in(seat) && !may_be_had(had, seat, span, own);
        [(first - 1, first - 2), (last + 1, last + 2)].into_iter().any(|(beside, beyond)| {
            if certainly {
                is_free(beside) && !may_be_free(beyond)
            } else {
                may_be_free(beside) && !is_free(beyond)
            }
        })
    }
}

/// Whether somebody may have had a seat at some moment of a span, with another reservation than this.
fn may_be_had(had: &[Had], seat: i64, (from, until): (Duration, Duration), own: &str) -> bool {
    // When it was taken is told by a clock that may be ahead.
    let ahead = Duration::from_secs(1);
    had.iter().any(|one| {
        let meets = one.from <= until + ahead && from <= one.at_most;
        meets && one.reservation != own && one.seats.contains(&seat)
    })
}

/// Whether somebody certainly had a seat all the time of a span, with another reservation than this.
fn certainly_had(had: &[Had], seat: i64, (from, until): (Duration, Duration), own: &str) -> bool {
    let behind = Duration::from_secs(1);
    had.iter().any(|one| {
        let covers = one.from + behind <= from && until < one.at_least;
        covers && one.reservation != own && one.seats.contains(&seat)
    })
}

#[cfg(test)]
#[path = "asks_tests.rs"]
mod tests;
