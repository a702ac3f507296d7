//! How often a place is polled, against the advice that its answers give: three times the advised pace is
//! free.
//!
//! Polls are by far the most requests, so this costs a poll some nanoseconds: a table of fixed size, in which
//! a token has eight slots to be in (one line of the processor's cache), and each slot is one number that is
//! read and written without a lock. A slot has a part of the token, the advice, and the time at which the
//! token's bucket is full again (as in `chassis::limits`). Only tokens that were answered get into the table,
//! so nobody can fill it with invented ones. A token whose slots are all taken displaces the one that has not
//! been polled for longest; who is displaced is free until its next answer.

use std::{
    sync::atomic::{AtomicU64, Ordering},
    time::Duration,
};

use uuid::Uuid;

/// Polls that are free within the advised time.
const FREE: u64 = 3;
/// Slots: twice as many as the tokens of 110,000 users who wait, in 2 MiB.
const SLOTS: usize = 1 << 18;
/// Slots in which a token may be.
const WAYS: usize = 8;
/// Time is counted in 1/256 s, in 30 bits: it begins again after 48 days.
const SECOND: u64 = 256;
const TIME_BITS: u32 = 30;
/// Advice is kept in quarters of a second, in 10 bits: at most 255 s.
const QUARTER: u64 = SECOND / 4;
const ADVICE_BITS: u32 = 10;

/// The pace of every token that was answered lately.
pub(crate) struct PollPace(Box<[Set]>);

/// The slots in which a token may be: one line of the processor's cache.
#[derive(Default)]
#[repr(align(64))]
struct Set([AtomicU64; WAYS]);

/// A slot's content; an advice of nothing is an empty slot.
#[derive(Clone, Copy)]
struct Pacing {
    tag: u64,
    /// The advised pause, in quarters of a second.
    advice: u64,
    full_at: u64,
}

impl Pacing {
    const fn read(word: u64) -> Self {
        let advice = (word >> TIME_BITS) & ((1 << ADVICE_BITS) - 1);
        Self { tag: word >> (TIME_BITS + ADVICE_BITS), advice, full_at: word & ((1 << TIME_BITS) - 1) }
    }

    const fn write(self) -> u64 {
        (self.tag << ADVICE_BITS | self.advice) << TIME_BITS | self.full_at & ((1 << TIME_BITS) - 1)
    }

    /// The time in which [`FREE`] polls are free.
    const fn window(self) -> u64 {
        self.advice * QUARTER
    }

    /// How far the bucket is from full. More than a whole bucket is what an older advice, or the clock's new
    /// beginning, left behind: it counts as full.
    const fn missing(self, now: u64) -> u64 {
        let missing = self.full_at.wrapping_sub(now) & ((1 << TIME_BITS) - 1);
        if missing > self.window() { 0 } else { missing }
    }

    /// The slot after a poll, or how long until one is free again.
    fn polled(self, now: u64) -> Result<Self, u64> {
        let missing = self.missing(now) + self.window() / FREE;
        match missing.checked_sub(self.window()).filter(|over| *over > 0) {
            Some(over) => Err(over),
            None => Ok(Self { full_at: now + missing, ..self }),
        }
    }
}

impl PollPace {
    /// Nobody has polled yet.
    pub(crate) fn new() -> Self {
        Self(std::iter::repeat_with(Set::default).take(SLOTS / WAYS).collect())
    }

    /// The slots of a token, and what marks it there.
    fn slots(&self, token: &Uuid) -> (&[AtomicU64], u64) {
        let (_, random) = token.as_u64_pair();
        let set = usize::try_from(random & (u64::MAX >> 40)).unwrap_or_default() % self.0.len();
        let slots = self.0.get(set).map_or(&[][..], |set| &set.0);
        (slots, (random >> 24) & (u64::MAX >> (TIME_BITS + ADVICE_BITS)))
    }

    fn find(&self, token: &Uuid) -> Option<&AtomicU64> {
        let (slots, tag) = self.slots(token);
        slots.iter().find(|slot| {
            let slot = Pacing::read(slot.load(Ordering::Relaxed));
            slot.tag == tag && slot.advice > 0
        })
    }

    /// Whether the token was answered lately, so that it is one.
    pub(crate) fn knows(&self, token: &Uuid) -> bool {
        self.find(token).is_some()
    }

    /// Counts a poll.
    ///
    /// # Errors
    /// The token is polled more often than is free; how long until it may be.
    pub(crate) fn poll(&self, token: &Uuid, now: Duration) -> Result<(), Duration> {
        let (Some(slot), now) = (self.find(token), ticks(now)) else { return Ok(()) };
        let before = slot.load(Ordering::Relaxed);
        match Pacing::read(before).polled(now) {
            // Whoever changed it meanwhile has counted a poll of that moment.
            Ok(after) => {
                let _lost =
                    slot.compare_exchange(before, after.write(), Ordering::Relaxed, Ordering::Relaxed);
                Ok(())
            }
            Err(over) => Err(Duration::from_nanos(over * (1_000_000_000 / SECOND))),
        }
    }

    /// Notes what the answer to a poll advises, in quarters of a second, of which it is one at least.
    pub(crate) fn advise(&self, token: &Uuid, after: Duration, now: Duration) {
        let quarters = u64::try_from(after.as_millis() / 250).unwrap_or(u64::MAX);
        let (advice, now) = (quarters.clamp(1, (1 << ADVICE_BITS) - 1), ticks(now));
        let (slots, tag) = self.slots(token);
        if let Some(slot) = self.find(token) {
            let before = Pacing::read(slot.load(Ordering::Relaxed));
            if before.advice != advice {
                slot.store(Pacing { advice, ..before }.write(), Ordering::Relaxed);
            }
            return;
        }
        let Ok(new) = (Pacing { tag, advice, full_at: now }).polled(now) else { return };
        let age = |slot: &&AtomicU64| {
            let slot = Pacing::read(slot.load(Ordering::Relaxed));
            let since = now.wrapping_sub(slot.full_at) & ((1 << TIME_BITS) - 1);
            if slot.advice == 0 {
                u64::MAX
            } else if slot.missing(now) > 0 {
                0
            } else {
                since
            }
        };
        if let Some(oldest) = slots.iter().max_by_key(age) {
            oldest.store(new.write(), Ordering::Relaxed);
        }
    }
}

fn ticks(time: Duration) -> u64 {
    time.as_secs() * SECOND + u64::from(time.subsec_nanos()) * SECOND / 1_000_000_000
}

#[cfg(test)]
mod tests {
    use super::*;

    const ANN: Uuid = Uuid::from_u128(0x3fa8_5f64_5717_4562_b3fc_2c96_3f66_afa6);

    fn at(millis: u64) -> Duration {
        Duration::from_millis(millis)
    }

    /// How many polls of so many at one moment are let through.
    fn passed(pace: &PollPace, token: &Uuid, polls: usize, now: Duration) -> usize {
        (0..polls).filter(|_| pace.poll(token, now).is_ok()).count()
    }

    #[test]
    fn three_times_the_advised_pace_is_free() {
        for advice in [1, 5, 255] {
            let pace = PollPace::new();
            assert_eq!(passed(&pace, &ANN, 9, at(0)), 9, "nothing was advised yet");
            pace.advise(&ANN, at(advice * 1_000), at(0));
            // Those of the first poll, which was answered with the advice, are two more.
            assert_eq!(passed(&pace, &ANN, 9, at(0)), 2, "{advice}");
            let over = pace.poll(&ANN, at(0)).map_err(|over| over.as_millis());
            let third = u128::from(advice * 1_000 / 3);
            assert!(over.is_err_and(|over| over <= third + 4 && over + 12 >= third), "{over:?}");
            // At exactly three times the pace, for ever.
            for poll in 1..100 {
                assert_eq!(
                    passed(&pace, &ANN, 1, at(poll * (advice * 1_000 / 3 + 1))),
                    1,
                    "{poll} of {advice}"
                );
            }
            assert_eq!(passed(&pace, &ANN, 9, at(1_000_000)), 3, "who waited may ask three times");
        }
    }

    #[test]
    fn the_newest_advice_counts_and_there_always_is_one() {
        let pace = PollPace::new();
        pace.advise(&ANN, at(60_000), at(0));
        assert_eq!(passed(&pace, &ANN, 9, at(0)), 2);
        pace.advise(&ANN, at(1_000), at(0));
        assert_eq!(passed(&pace, &ANN, 9, at(0)), 3);
        assert!(pace.knows(&ANN));
        pace.advise(&ANN, at(0), at(0));
        assert!(pace.knows(&ANN));
        assert_eq!(passed(&pace, &ANN, 9, at(10_000)), 3);
    }

    #[test]
    fn others_are_not_concerned_and_110_000_are_remembered() {
        let pace = PollPace::new();
        let mut seed = 7_u128;
        let mut next = || {
            seed = seed
                .wrapping_mul(0xda94_2042_e4dd_58b5_9e37_79b9_7f4a_7c15)
                .wrapping_add(0x1234_5678_9abc_def1);
            Uuid::from_u128(seed ^ seed >> 64)
        };
        let tokens: Vec<_> = (0..110_000).map(|_| next()).collect();
        for (nth, token) in (0..).zip(&tokens) {
            assert!(pace.poll(token, at(nth / 11)).is_ok());
            pace.advise(token, at(10_000), at(nth / 11));
        }
        let known = tokens.iter().filter(|token| pace.knows(token)).count();
        assert!(known > 108_000, "{known}");
        assert!(tokens.iter().rev().take(1_000).all(|token| passed(&pace, token, 9, at(10_000)) <= 3));
        assert!(!pace.knows(&next()));
    }

    #[test]
    fn the_clock_may_begin_again() {
        let pace = PollPace::new();
        let end = Duration::from_secs((1 << TIME_BITS) / SECOND);
        pace.advise(&ANN, at(10_000), end - at(1_000));
        assert_eq!(passed(&pace, &ANN, 9, end - at(1_000)), 2);
        assert_eq!(passed(&pace, &ANN, 9, end + at(1_000)), 0);
        assert_eq!(passed(&pace, &ANN, 9, end + at(60_000)), 3);
    }
}
