//! The flags about how much one caller may ask for.

use std::{num::NonZeroU32, str::FromStr};

use chassis::{limits::Rate, network::TrustedProxies};

/// What one caller may ask for. A caller is the user who is proved, or else the client's network.
#[derive(clap::Args, Clone, Debug, Default)]
#[group(skip)]
pub struct LimitArgs {
    /// How often a caller may join queues at this edge, such as 30/m (s, m or h), or off; 30/m where callers
    /// are asked who they are, off in an open house
    #[arg(long, env)]
    pub limit_joins: Option<Allowance>,
    /// How often a caller may hold seats, likewise; 60/m
    #[arg(long, env)]
    pub limit_holds: Option<Allowance>,
    /// How often a caller may ask for anything, likewise; 1200/m. Polls of a place are counted apart, by
    /// their token: it may be polled three times as often as its answers advise (off: as often as one likes)
    #[arg(long, env)]
    pub limit_requests: Option<Allowance>,
    /// How often a caller may be answered 401, 403 or 404 before nothing more is done for them, likewise;
    /// 60/m
    #[arg(long, env)]
    pub limit_refused: Option<Allowance>,
    /// Addresses and networks, comma separated, of proxies that write Forwarded or X-Forwarded-For: a request
    /// from one is its client's, and a quarter of the connections does not bind them. None by default
    #[arg(long, env, default_value_t, hide_default_value = true)]
    pub trusted_proxies: TrustedProxies,
}

/// What a flag allows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Allowance {
    /// There is no limit.
    Off,
    /// The limit is this rate.
    At(Rate),
}

impl FromStr for Allowance {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if text == "off" {
            return Ok(Self::Off);
        }
        text.parse().map(Self::At).map_err(|_| "write a number and a time, such as 30/m (s, m or h), or off")
    }
}

impl Allowance {
    /// The rate that a flag sets, or where it is not given `default` a minute in a house that asks who calls.
    pub(crate) fn rate(flag: Option<Self>, default: u32, is_secured: bool) -> Option<Rate> {
        match flag {
            Some(Self::At(rate)) => Some(rate),
            Some(Self::Off) => None,
            None => NonZeroU32::new(default).filter(|_| is_secured).map(Rate::per_minute),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_house_that_asks_who_calls_has_limits_unless_told_otherwise() {
        let rate = |flag: Option<&str>, is_secured| {
            let flag = flag.map(|text| text.parse().expect(text));
            Allowance::rate(flag, 30, is_secured).map(|rate| rate.to_string())
        };
        assert_eq!((rate(None, false), rate(None, true).as_deref()), (None, Some("30/m")));
        for is_secured in [false, true] {
            assert_eq!(rate(Some("5/s"), is_secured).as_deref(), Some("5/s"));
            assert_eq!(rate(Some("off"), is_secured), None);
        }
        assert!("on".parse::<Allowance>().is_err_and(|why| why.contains("30/m") && why.contains("off")));
    }
}
