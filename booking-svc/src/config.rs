//! The settings of this service.

use std::{ops::RangeInclusive, time::Duration};

use boxoffice_proto::Currency;
use chassis::{
    clock::micros,
    db::DbConfig,
    idempotency,
    prune::{self, Old},
};
use chrono_tz::Tz;

use crate::{
    domain::{Rules, events::KEPT},
    store::{changes, events, holds, show_events},
};

/// The rules about holds that an operator may set.
#[derive(clap::Args, Clone, Debug)]
#[group(skip)]
pub struct Policy {
    /// How long held seats are kept for somebody who has not paid yet, 1s to 1h
    #[arg(long, env, default_value = "5m", value_parser = hold_ttl)]
    pub hold_ttl: Duration,
    /// How many seats of one show a user may hold unpaid at once, 1 to 100000
    #[arg(long, env, default_value_t = 50, value_parser = clap::value_parser!(i64).range(1..=100_000))]
    pub max_held_seats: i64,
    /// The time zone of venues whose concerts name none, by its IANA name such as Asia/Seoul
    #[arg(long, env, default_value = "UTC", value_parser = time_zone)]
    pub time_zone: Tz,
    /// How long a user waits who let three holds of a show end unpaid within ten minutes, 1s to 10m or off
    ///
    /// Each further one doubles it, up to ten minutes. Off in an open house unless it is set, and 1m where
    /// callers are known
    #[arg(long, env, value_parser = hold_cooldown)]
    pub hold_cooldown: Option<Cooldown>,
}

/// The shortest pause of a user whose holds end unpaid; `None`: there is none.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Cooldown(pub Option<Duration>);

impl Policy {
    /// The rules that these settings are, in a house that knows its callers or not.
    #[must_use]
    pub fn rules(&self, callers_are_known: bool) -> Rules {
        Rules {
            hold_ttl: micros(self.hold_ttl),
            max_held_seats: self.max_held_seats,
            cooldown: self.cooldown(callers_are_known).map(micros),
        }
    }

    /// The cooldown that was set, or else that of the house.
    fn cooldown(&self, callers_are_known: bool) -> Option<Duration> {
        let default = callers_are_known.then_some(Duration::from_secs(60));
        self.hold_cooldown.map_or(default, |Cooldown(set)| set)
    }
}

impl Default for Policy {
    fn default() -> Self {
        Self {
            hold_ttl: Duration::from_secs(300),
            max_held_seats: 50,
            hold_cooldown: None,
            time_zone: Tz::UTC,
        }
    }
}

/// All settings of the service.
#[derive(Clone, Debug)]
pub struct Config {
    /// The database of this service.
    pub database: DbConfig,
    /// The rules about holds.
    pub policy: Policy,
    /// The currency of all prices, which must be that of the wallets that pay them.
    pub currency: Currency,
    /// How long the recorded answers to requests are kept.
    pub requests: idempotency::RequestRetention,
    /// How long holds that ended unpaid are kept.
    pub retention: Retention,
    /// The doors decide who may call the service.
    pub doors: access::Doors,
}

/// How long rows are kept that are not kept for ever.
#[derive(clap::Args, Clone, Copy, Debug)]
#[group(skip)]
pub struct Retention {
    /// How long a hold is kept that lapsed or was given back, 1h to 3650d; what was confirmed is kept for
    /// good
    #[arg(long, env, default_value = "30d", value_parser = prune::retention)]
    pub hold_retention: Duration,
}

impl Default for Retention {
    fn default() -> Self {
        Self { hold_retention: Duration::from_secs(30 * 24 * 3_600) }
    }
}

impl Config {
    /// The kinds of rows that are removed after a while, for [`prune::until`].
    #[must_use]
    pub fn old(&self) -> Vec<Old> {
        let mut old = self.requests.old().to_vec();
        old.push(Old::new("hold", self.retention.hold_retention, holds::forget));
        old.push(Old::new("holder", self.retention.hold_retention, holds::forget_holders));
        old.push(Old::new("seat_change", LOG, changes::forget));
        // What is told of a hold is read of its row.
        let events = KEPT.min(self.retention.hold_retention);
        old.push(Old::new("reservation_event", events, events::forget));
        old.push(Old::new("show_event", KEPT, show_events::forget));
        old
    }
}

/// How long the log of the seats reaches back. Replicas follow it within a second; one that was suspended for
/// longer reads the rows.
const LOG: Duration = Duration::from_secs(600);

const HOLD_TTL: RangeInclusive<Duration> = Duration::from_secs(1)..=Duration::from_secs(3600);

fn hold_ttl(text: &str) -> Result<Duration, String> {
    let ttl = humantime::parse_duration(text).map_err(|error| error.to_string())?;
    if HOLD_TTL.contains(&ttl) { Ok(ttl) } else { Err("must be 1s to 1h".to_owned()) }
}

fn time_zone(name: &str) -> Result<Tz, String> {
    name.parse().map_err(|_| "must be the IANA name of a time zone, such as Asia/Seoul".to_owned())
}

const HOLD_COOLDOWN: RangeInclusive<Duration> = Duration::from_secs(1)..=Duration::from_secs(600);

fn hold_cooldown(text: &str) -> Result<Cooldown, String> {
    if text == "off" {
        return Ok(Cooldown(None));
    }
    let pause = humantime::parse_duration(text).map_err(|error| error.to_string())?;
    let is_fine = HOLD_COOLDOWN.contains(&pause);
    if is_fine { Ok(Cooldown(Some(pause))) } else { Err("must be 1s to 10m, or off".to_owned()) }
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[derive(Parser)]
    struct Line {
        #[command(flatten)]
        policy: Policy,
    }

    #[test]
    fn the_defaults_are_those_of_the_command_line() {
        let knobs = |policy: Policy| (policy.hold_ttl, policy.max_held_seats, policy.time_zone);
        let line = Line::try_parse_from(["x"]).map(|line| knobs(line.policy));
        assert_eq!(line.ok(), Some(knobs(Policy::default())));
    }

    #[test]
    fn nonsense_is_refused_before_anything_starts() {
        for bad in [
            "--hold-cooldown=0s",
            "--hold-cooldown=11m",
            "--hold-cooldown=no",
            "--hold-ttl=0s",
            "--hold-ttl=2h",
            "--hold-ttl=5",
            "--max-held-seats=0",
            "--max-held-seats=x",
            "--time-zone=",
            "--time-zone=Seoul",
            "--time-zone=+09:00",
        ] {
            assert!(Line::try_parse_from(["x", bad]).is_err(), "{bad}");
        }
        assert!(
            Line::try_parse_from(["x", "--hold-ttl=2s", "--max-held-seats=4", "--time-zone=Asia/Seoul"])
                .is_ok()
        );
    }

    #[test]
    fn a_cooldown_is_that_of_the_house_unless_it_is_set() {
        let cooldown = |line: &[&str], known| {
            Line::try_parse_from(line)
                .map(|line| line.policy.cooldown(known).map(|pause| pause.as_secs()))
                .ok()
        };
        assert_eq!((cooldown(&["x"], false), cooldown(&["x"], true)), (Some(None), Some(Some(60))));
        assert_eq!(cooldown(&["x", "--hold-cooldown=5s"], false), Some(Some(5)));
        assert_eq!(cooldown(&["x", "--hold-cooldown=off"], true), Some(None));
    }
}
