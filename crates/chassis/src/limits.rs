//! Token buckets: so many requests in so much time for each key, with bounded memory.
//!
//! A bucket holds as many tokens as its rate names and is filled evenly: `30/m` allows thirty at once and
//! then one every two seconds. It is one number (GCRA): the time at which the bucket will be full again. It
//! can be looked at without taking from it, which the crates for this cannot do, and which a limit on
//! failures needs: a failure is known only afterwards, and the next request is refused because of it.
//!
//! A key that has not asked for as long as its bucket needs to be full again is forgotten. Where there are
//! more keys than are remembered, those that ask often keep their buckets (TinyLFU, by the `moka` crate), so
//! a flood of invented keys frees nobody who is limited.

use std::{
    fmt,
    hash::Hash,
    num::NonZeroU32,
    str::FromStr,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use moka::sync::Cache;

/// Keys that are remembered for a limit; each is some two hundred bytes, so a limit takes 20 MB at most.
const REMEMBERED: u64 = 100_000;

/// A number of requests in a span of time: `30/m`, `5/s`, `1000/h`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rate {
    many: NonZeroU32,
    per: Duration,
}

impl Rate {
    /// A rate of this many requests in a minute.
    #[must_use]
    pub const fn per_minute(many: NonZeroU32) -> Self {
        Self { many, per: Duration::from_secs(60) }
    }

    /// The number of requests.
    #[must_use]
    pub const fn many(self) -> u32 {
        self.many.get()
    }

    /// The span of time.
    #[must_use]
    pub const fn per(self) -> Duration {
        self.per
    }

    /// The nanoseconds in which one token comes back.
    fn spacing(self) -> u64 {
        (nanos(self.per) / u64::from(self.many.get())).max(1)
    }
}

impl FromStr for Rate {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        const WRONG: &str = "a rate is a number and a time, such as 30/m (s, m or h)";
        let (many, per) = text.split_once('/').ok_or(WRONG)?;
        let seconds = match per {
            "s" => 1,
            "m" => 60,
            "h" => 3_600,
            _ => return Err(WRONG),
        };
        Ok(Self { many: many.parse().map_err(|_| WRONG)?, per: Duration::from_secs(seconds) })
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

/// What is in a bucket after a token was taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Left {
    /// The tokens that can be taken at this moment.
    pub remaining: u32,
    /// How long until there is one more.
    pub next: Duration,
}

/// One limit, with the buckets of all its keys. Times are those since any moment that all calls agree on.
pub struct Limit<K> {
    rate: Rate,
    /// When each bucket is full again, in nanoseconds.
    buckets: Cache<K, Arc<AtomicU64>>,
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
        Self { rate, buckets: Cache::builder().max_capacity(keys).time_to_idle(rate.per).build() }
    }

    /// The rate at which a bucket is filled.
    #[must_use]
    pub const fn rate(&self) -> Rate {
        self.rate
    }

    /// Takes a token from the bucket of this key.
    ///
    /// # Errors
    /// There is none; how long until there is one.
    pub fn take(&self, key: &K, now: Duration) -> Result<Left, Duration> {
        let now = nanos(now);
        let bucket = match self.buckets.get(key) {
            Some(bucket) => bucket,
            None => self.buckets.get_with(key.clone(), Arc::default),
        };
        let mut full_at = bucket.load(Ordering::Relaxed);
        loop {
            let (then, left) = self.taken(full_at, now)?;
            match bucket.compare_exchange_weak(full_at, then, Ordering::Relaxed, Ordering::Relaxed) {
                Ok(_) => return Ok(left),
                Err(newer) => full_at = newer,
            }
        }
    }

    /// Looks at the bucket of this key.
    ///
    /// # Errors
    /// It is empty; how long until there is a token in it.
    pub fn look(&self, key: &K, now: Duration) -> Result<(), Duration> {
        let Some(bucket) = self.buckets.get(key) else { return Ok(()) };
        self.taken(bucket.load(Ordering::Relaxed), nanos(now)).map(|_| ())
    }

    /// When a bucket is full again after a token was taken from it, and what is left in it.
    fn taken(&self, full_at: u64, now: u64) -> Result<(u64, Left), Duration> {
        let spacing = self.rate.spacing();
        let whole = spacing.saturating_mul(self.rate.many().into());
        let then = full_at.max(now).saturating_add(spacing);
        let missing = then - now;
        match whole.checked_sub(missing) {
            None => Err(Duration::from_nanos(missing - whole)),
            Some(rest) => {
                let remaining = u32::try_from(rest / spacing).unwrap_or(u32::MAX);
                Ok((then, Left { remaining, next: Duration::from_nanos(spacing - rest % spacing) }))
            }
        }
    }
}

fn nanos(span: Duration) -> u64 {
    u64::try_from(span.as_nanos()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use super::*;

    const fn seconds(many: u64) -> Duration {
        Duration::from_secs(many)
    }

    #[test]
    fn a_rate_is_read_and_told_alike() {
        for text in ["30/m", "1/s", "1000/h"] {
            assert_eq!(text.parse::<Rate>().unwrap().to_string(), text);
        }
        for wrong in ["", "30", "0/m", "-1/m", "30/d", "30/", "/m", "1.5/s", "4294967296/h", "off"] {
            assert!(wrong.parse::<Rate>().unwrap_err().contains("30/m"), "{wrong}");
        }
    }

    #[test]
    fn a_key_has_its_burst_and_is_told_when_to_come_back() {
        let limit = Limit::new("3/m".parse().unwrap());
        let at = seconds(1_000);
        let left: Vec<_> = (0..3).map(|_| limit.take(&"ann", at).unwrap()).collect();
        assert_eq!(left, [2, 1, 0].map(|remaining| Left { remaining, next: seconds(20) }));
        assert_eq!(limit.take(&"ann", at), Err(seconds(20)));
        assert_eq!(limit.take(&"ann", at + seconds(5)), Err(seconds(15)), "to be refused costs nothing");
        assert_eq!(limit.take(&"ann", at + seconds(20)).map(|left| left.remaining), Ok(0));
        assert_eq!(
            limit.take(&"ann", at + seconds(80)).map(|left| left.remaining),
            Ok(2),
            "it is full again"
        );
        assert_eq!(limit.take(&"bob", at).map(|left| left.remaining), Ok(2), "others are not concerned");
    }

    #[test]
    fn to_look_takes_nothing() {
        let limit = Limit::new("1/m".parse().unwrap());
        assert!((0..9).all(|_| limit.look(&7, seconds(1)) == Ok(())));
        assert!(limit.take(&7, seconds(1)).is_ok());
        assert_eq!(limit.look(&7, seconds(2)), Err(seconds(59)));
        assert_eq!(limit.look(&7, seconds(61)), Ok(()));
    }

    #[test]
    fn many_at_once_get_no_more_than_there_is() {
        let limit = Limit::new("100/h".parse().unwrap());
        let got: usize = std::thread::scope(|scope| {
            let one = || scope.spawn(|| (0..100).filter(|_| limit.take(&7, seconds(1)).is_ok()).count());
            [one(), one(), one(), one()].map(|thread| thread.join().unwrap()).iter().sum()
        });
        assert_eq!(got, 100);
    }

    #[test]
    fn invented_keys_free_nobody_who_is_limited() {
        let limit = Limit::remembering("3/h".parse().unwrap(), 1_000);
        let over = |key| limit.take(&key, seconds(1)).is_err();
        assert!((0..100).all(|_| (0..4).any(|_| over(7))), "seven asks often");
        for invented in 1_000..11_000 {
            over(invented);
            if invented % 100 == 0 {
                assert!(over(7), "after {invented}");
            }
        }
        limit.buckets.run_pending_tasks();
        assert!(limit.buckets.entry_count() <= 1_000, "{}", limit.buckets.entry_count());
    }
}
