//! How much one caller may ask this replica for. Both doors ask here before anything is done, and tell it
//! what they have refused.
//!
//! A caller is the user who is proved, or else the client's network. Polls are counted by their token
//! instead, against the advice that its answers give: a place is a capability, its polls show no credentials,
//! and a thousand people may share a network. Only a token that was never answered, or not lately, is asked
//! for like anything that may be made up: not after too many refusals.

use std::{collections::HashSet, net::IpAddr, sync::Arc, time::Duration};

use boxoffice_proto::{Fault, Reason, access::Asks, booking::HoldSeatsRequest, queue::IssueTokenRequest};
use chassis::{
    limits::{Left, Limit, Rate},
    network::{TrustedProxies, network},
};
use http::HeaderMap;
use tokio::time::Instant;
use uuid::Uuid;

use crate::{
    config::{Allowance, LimitArgs},
    domain::poll_pace::PollPace,
};

/// The caller whose requests are counted together.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Asker {
    /// A user with a verified bearer token.
    User(Arc<str>),
    /// Whoever else asks from this network.
    Network(IpAddr),
}

/// What is asked for, as far as there are limits on it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Wish {
    /// The request joins a queue.
    Join,
    /// The request holds seats.
    Hold,
    /// The request does something else.
    Other,
}

impl Wish {
    /// What a call of this method asks for.
    pub(crate) fn of(method: &str) -> Self {
        match method {
            _ if method == IssueTokenRequest::RULE.path => Self::Join,
            _ if method == HoldSeatsRequest::RULE.path => Self::Hold,
            _ => Self::Other,
        }
    }
}

/// How a caller stands with one limit.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Allowed {
    /// The name of the limit.
    pub(crate) limit: &'static str,
    /// The rate that the limit allows.
    pub(crate) rate: Rate,
    /// What is left of it.
    pub(crate) left: Left,
}

/// A limit that a caller is over, and the refusal.
type Unwelcome = Box<(Allowed, Fault)>;

/// Whether a request may be answered.
#[derive(Debug)]
pub(crate) struct Judged {
    /// How its caller stands with each limit that was looked at.
    pub(crate) allowed: Vec<Allowed>,
    /// Why it is refused.
    pub(crate) refused: Option<Fault>,
}

/// All limits of this replica.
pub(crate) struct Limits {
    began: Instant,
    joins: Option<Limit<Asker>>,
    holds: Option<Limit<Asker>>,
    requests: Option<Limit<Asker>>,
    refused: Option<Limit<Asker>>,
    /// The places that were answered lately, where it matters which they are.
    polls: Option<PollPace>,
    proxies: TrustedProxies,
}

impl Limits {
    /// The limits that the flags set, in a house that asks who calls or does not.
    pub(crate) fn new(args: LimitArgs, is_secured: bool) -> Self {
        let rate = |flag, default| Allowance::rate(flag, default, is_secured);
        let requests = rate(args.limit_requests, 1_200).map(Limit::new);
        let refused = rate(args.limit_refused, 60).map(Limit::new);
        Self {
            began: Instant::now(),
            joins: rate(args.limit_joins, 30).map(Limit::new),
            holds: rate(args.limit_holds, 60).map(Limit::new),
            polls: (requests.is_some() || refused.is_some()).then(PollPace::new),
            requests,
            refused,
            proxies: args.trusted_proxies,
        }
    }

    /// Whether nobody is limited in anything. (Where requests or refusals are, there are polls.)
    pub(crate) const fn are_off(&self) -> bool {
        self.joins.is_none() && self.holds.is_none() && self.polls.is_none()
    }

    fn now(&self) -> Duration {
        self.began.elapsed()
    }

    /// Who asks, over a connection from this address.
    pub(crate) fn asker(&self, who: &access::Caller, peer: IpAddr, headers: &HeaderMap) -> Asker {
        match who.user() {
            Some(user) => Asker::User(Arc::clone(&user.user)),
            None => self.network(peer, headers),
        }
    }

    fn network(&self, peer: IpAddr, headers: &HeaderMap) -> Asker {
        Asker::Network(network(self.proxies.client(peer, headers)))
    }

    /// Whether this caller may ask for this now; it counts as asked.
    pub(crate) fn judge(&self, asker: &Asker, wish: Wish) -> Judged {
        if let Err((limit, fault)) = self.is_welcome(asker).map_err(|unwelcome| *unwelcome) {
            return Judged { allowed: vec![limit], refused: Some(fault) };
        }
        let mut allowed = Vec::new();
        let own = match wish {
            Wish::Join => self.joins.as_ref(),
            Wish::Hold => self.holds.as_ref(),
            Wish::Other => None,
        };
        let own_name = if wish == Wish::Join { "joins" } else { "holds" };
        for (limit, name) in [(self.requests.as_ref(), "requests"), (own, own_name)] {
            let Some(limit) = limit else { continue };
            let (rate, taken) = (limit.rate(), limit.take(asker, self.now()));
            let left = taken.unwrap_or_else(|next| Left { remaining: 0, next });
            allowed.push(Allowed { limit: name, rate, left });
            if taken.is_err() {
                let detail = format!("More {name} of one caller than {rate}.");
                return Judged { allowed, refused: Some(over(name, detail, left.next)) };
            }
        }
        Judged { allowed, refused: None }
    }

    /// Lets pass who was not refused too often.
    fn is_welcome(&self, asker: &Asker) -> Result<(), Unwelcome> {
        let Some(limit) = &self.refused else { return Ok(()) };
        limit.look(asker, self.now()).map_err(|next| {
            let rate = limit.rate();
            let detail = format!("More refusals (401, 403, 404) of one caller than {rate}.");
            let allowed = Allowed { limit: "refused", rate, left: Left { remaining: 0, next } };
            Box::new((allowed, over("refused", detail, next)))
        })
    }

    /// Lets pass a poll whose token was answered lately, or whose network was not refused too often.
    pub(crate) fn admit_poll(&self, token: &Uuid, asker: impl FnOnce() -> Asker) -> Result<(), Unwelcome> {
        match &self.polls {
            Some(polls) if self.refused.is_some() && !polls.knows(token) => self.is_welcome(&asker()),
            _ => Ok(()),
        }
    }

    /// As [`admit_poll`](Self::admit_poll), of a request that shows nothing but its token.
    pub(crate) fn admit_plain_poll(
        &self,
        token: &Uuid,
        peer: IpAddr,
        headers: &HeaderMap,
    ) -> Result<(), Unwelcome> {
        self.admit_poll(token, || self.network(peer, headers))
    }

    /// Counts an answer that refused something with this status.
    pub(crate) fn count_refusal(&self, asker: &Asker, status: u16) {
        if let (Some(limit), 401 | 403 | 404) = (&self.refused, status) {
            let _empty = limit.take(asker, self.now());
        }
    }

    /// Counts the refusal of a plain poll.
    pub(crate) fn count_plain_refusal(&self, peer: IpAddr, headers: &HeaderMap, status: u16) {
        if self.refused.is_some() && status == 404 {
            self.count_refusal(&self.network(peer, headers), status);
        }
    }

    /// Counts a poll of a place.
    pub(super) fn poll(&self, token: &Uuid) -> Result<(), Fault> {
        let Some(polls) = self.polls.as_ref().filter(|_| self.requests.is_some()) else { return Ok(()) };
        polls.poll(token, self.now()).map_err(|after| {
            over("polls", "This place is asked for more than three times as often as was advised.", after)
        })
    }

    /// Counts a poll of each place of a batch, once however often it stands there.
    pub(super) fn poll_each(&self, tokens: &[String]) -> Result<(), Fault> {
        if self.polls.is_none() || self.requests.is_none() {
            return Ok(());
        }
        let places: HashSet<Uuid> = tokens.iter().filter_map(|token| Uuid::try_parse(token).ok()).collect();
        places.iter().try_for_each(|place| self.poll(place))
    }

    /// Notes when a place may be asked for again.
    pub(super) fn advise(&self, token: &Uuid, after: Duration) {
        if let Some(polls) = &self.polls {
            polls.advise(token, after, self.now());
        }
    }
}

fn over(limit: &'static str, detail: impl Into<String>, after: Duration) -> Fault {
    metrics::counter!("limits_refused_total", "limit" => limit).increment(1);
    Fault::new(Reason::RateLimited, detail).retry_after(after)
}
