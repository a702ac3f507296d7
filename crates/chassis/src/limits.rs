//! Token buckets: so many requests in so much time for each key, with bounded memory.
//!
//! A bucket holds as many tokens as its rate names and is filled evenly (GCRA, by the `governor` crate):
//! `30/m` allows thirty at once and then one every two seconds. A key that has not asked for as long as its
//! bucket needs to be full again is forgotten. Where there are more keys than are remembered, those that ask
//! often keep their buckets (TinyLFU, by the `moka` crate), so a flood of invented keys frees nobody who is
//! limited.

use std::{fmt, hash::Hash, num::NonZeroU32, str::FromStr, sync::Arc, time::Duration};

use governor::{
    Quota, RateLimiter,
    clock::{Clock, MonotonicClock},
    middleware::StateInformationMiddleware,
    state::{InMemoryState, NotKeyed},
};
use moka::sync::Cache;

/// Keys that are remembered; each is some two hundred bytes.
const REMEMBERED: u64 = 100_000;

/// A number of requests in a span of time: `30/m`, `5/s`, `1000/h`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rate {
    many: NonZeroU32,
    per: Duration,
}

impl Rate {
    /// The number of requests.
    #[must_use]
    pub const fn many(self) -> u32 {
        self.many.get()
    }

    /// In how much time.
    #[must_use]
    pub const fn per(self) -> Duration {
        self.per
    }

    /// Until a token has come back.
    fn spacing(self) -> Duration {
        (self.per / self.many.get()).max(Duration::from_nanos(1))
    }
}

impl FromStr for Rate {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let wrong = || "a rate is a number and a time, such as 30/m (s, m or h)".to_owned();
        let (many, per) = text.split_once('/').ok_or_else(wrong)?;
        let seconds = match per {
            "s" => 1,
            "m" => 60,
            "h" => 3_600,
            _ => return Err(wrong()),
        };
        let many = many.parse().map_err(|_| wrong())?;
        Ok(Self { many, per: Duration::from_secs(seconds) })
    }
}

impl fmt::Display for Rate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let per = match self.per.as_secs() {
            1 => "s",
            60 => "m",
            _ => "h",
        };
        write!(f, "{}/{per}", self.many)
    }
}

/// How a key stands after a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Standing {
    /// The request may pass.
    Within {
        /// How many more may come at this moment.
        remaining: u32,
    },
    /// It may not.
    Over {
        /// When the next one may come.
        retry_after: Duration,
    },
}

type Bucket = RateLimiter<NotKeyed, InMemoryState, MonotonicClock, StateInformationMiddleware>;

/// One limit, with the buckets of all its keys.
pub struct Limit<K> {
    rate: Rate,
    quota: Quota,
    clock: MonotonicClock,
    buckets: Cache<K, Arc<Bucket>>,
}

impl<K> fmt::Debug for Limit<K> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Limit").field("rate", &self.rate).finish_non_exhaustive()
    }
}

impl<K: Clone + Eq + Hash + Send + Sync + 'static> Limit<K> {
    /// Full buckets for everybody.
    #[must_use]
    pub fn new(rate: Rate) -> Self {
        Self::remembering(rate, REMEMBERED)
    }

    fn remembering(rate: Rate, keys: u64) -> Self {
        let quota = Quota::with_period(rate.spacing()).unwrap_or(Quota::per_second(rate.many));
        let buckets = Cache::builder().max_capacity(keys).time_to_idle(rate.per).build();
        Self { rate, quota: quota.allow_burst(rate.many), clock: MonotonicClock, buckets }
    }

    /// The rate at which a bucket is filled.
    #[must_use]
    pub const fn rate(&self) -> Rate {
        self.rate
    }

    /// Takes a token from the bucket of this key.
    pub fn take(&self, key: K) -> Standing {
        let full =
            || Arc::new(RateLimiter::direct_with_clock(self.quota, self.clock.clone()).with_middleware());
        match self.buckets.get_with(key, full).check() {
            Ok(snapshot) => Standing::Within { remaining: snapshot.remaining_burst_capacity() },
            Err(until) => Standing::Over { retry_after: until.wait_time_from(self.clock.now()) },
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use super::*;

    #[test]
    fn a_rate_is_read_and_told_alike() {
        for text in ["30/m", "1/s", "1000/h"] {
            assert_eq!(text.parse::<Rate>().unwrap().to_string(), text);
        }
        for wrong in ["", "30", "0/m", "-1/m", "30/d", "30/", "/m", "1.5/s", "4294967296/h"] {
            assert!(wrong.parse::<Rate>().unwrap_err().contains("30/m"), "{wrong}");
        }
    }

    #[test]
    fn a_key_has_its_burst_and_is_told_when_to_come_back() {
        let limit = Limit::new("3/h".parse().unwrap());
        let left: Vec<_> = (0..3).map(|_| limit.take("ann")).collect();
        assert_eq!(left, [2, 1, 0].map(|remaining| Standing::Within { remaining }));
        let Standing::Over { retry_after } = limit.take("ann") else { panic!("one too many") };
        assert!(retry_after <= Duration::from_secs(1_200) && retry_after > Duration::from_secs(600));
        assert_eq!(limit.take("bob"), Standing::Within { remaining: 2 }, "others are not concerned");
    }

    #[test]
    fn invented_keys_free_nobody_who_is_limited() {
        let limit = Limit::remembering("3/h".parse().unwrap(), 1_000);
        let over = |key| matches!(limit.take(key), Standing::Over { .. });
        assert!((0..100).all(|_| (0..4).filter(|_| over(7)).count() >= 1), "seven asks often");
        for invented in 1_000..11_000 {
            limit.take(invented);
            if invented % 100 == 0 {
                assert!(over(7), "after {invented}");
            }
        }
        limit.buckets.run_pending_tasks();
        assert!(limit.buckets.entry_count() <= 1_000, "{}", limit.buckets.entry_count());
    }
}
