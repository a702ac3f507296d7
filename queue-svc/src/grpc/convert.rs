//! Conversion of domain values into protobuf messages.

use std::collections::HashSet;

use boxoffice_proto::{
    queue as pb,
    time::{duration, timestamp},
};
use uuid::Uuid;

use crate::app::{Announced, DrawView, HeldView, TokenDrawView};
use crate::domain::{
    Chain, Delay, LaneView, Message, OnExpiry, Opening, QueuePolicy, QueueView, SCHEME, SECOND, Texts,
    TokenStatus, TokenView, WaitingEvent,
};

pub(super) fn queue(view: QueueView) -> pb::Queue {
    pb::Queue {
        queue_id: view.queue_id,
        serving_ticket: view.serving_ticket,
        waiting: view.waiting,
        active: view.active,
        policy: Some(policy(&view.policy)),
        created_at: Some(timestamp(view.created_at)),
        lanes: view.lanes.into_iter().map(lane).collect(),
        places_per_minute: view.places_per_minute,
        delay_reason: delay(view.delay).into(),
        registered: view.registered,
    }
}

pub(super) fn event(waiting: WaitingEvent) -> pb::QueueEvent {
    let WaitingEvent { number, queue_id, version, opened } = waiting;
    pb::QueueEvent {
        number,
        opened_at: Some(timestamp(opened.at)),
        queue_id,
        version,
        opening: opening(opened.opening).into(),
        opens_at: opened.opens_at.map(timestamp),
        registered: opened.registered,
    }
}

const fn opening(opening: Opening) -> pb::Opening {
    match opening {
        Opening::Fifo => pb::Opening::Fifo,
        Opening::Draw => pb::Opening::Draw,
    }
}

fn lane(lane: LaneView) -> pb::Lane {
    let LaneView { priority, waiting, next_ticket, last_ticket } = lane;
    pb::Lane { priority: i32::from(priority), waiting, next_ticket, last_ticket }
}

const fn delay(delay: Option<Delay>) -> pb::DelayReason {
    match delay {
        None => pb::DelayReason::Unspecified,
        Some(Delay::Paused) => pb::DelayReason::Paused,
        Some(Delay::Full) => pb::DelayReason::Full,
        Some(Delay::Slower) => pb::DelayReason::Slower,
    }
}

/// Makes the conversion of a policy from the table of its knobs.
macro_rules! policy {
    (
        counts { $($count:ident $_of_count:tt;)+ }
        spans { $($span:ident $_of_span:tt;)+ }
    ) => {
        fn policy(policy: &QueuePolicy) -> pb::QueuePolicy {
            pb::QueuePolicy {
                $($count: Some(policy.$count),)+
                $($span: Some(duration(policy.$span)),)+
                on_expiry: match policy.on_expiry {
                    OnExpiry::Requeue => pb::OnExpiry::Requeue,
                    OnExpiry::Expire => pb::OnExpiry::Expire,
                }
                .into(),
                paused: Some(policy.paused),
                opens_at: policy.opens_at.map(timestamp),
                opening: opening(policy.opening).into(),
                message: policy.message.as_ref().map(message),
                without_beacon: Some(policy.without_beacon),
            }
        }
    };
}

boxoffice_proto::knobs!(policy);

fn message(message: &Message) -> pb::QueueMessage {
    let Texts { ko, en } = message.texts();
    pb::QueueMessage { ko: ko.clone(), en: en.clone() }
}

/// What is said where these tokens are live, once for each queue.
pub(super) fn notices<'a>(views: impl Iterator<Item = &'a TokenView>) -> Vec<pb::QueueNotice> {
    let mut queues: HashSet<&str> = HashSet::new();
    let mut last = "";
    let mut notices = Vec::new();
    for view in views.filter(|view| view.status.is_live()) {
        // Nearly always all tokens are in one queue.
        if last != &*view.queue_id && queues.insert(&view.queue_id) {
            let message = view.message.as_ref().map(message);
            notices.push(pb::QueueNotice { queue_id: view.queue_id.to_string(), message });
        }
        last = &view.queue_id;
    }
    notices
}

/// A token by itself, with what is said in its queue.
pub(super) fn token(view: TokenView) -> pb::Token {
    let message = view.message.as_ref().map(message);
    pb::Token { message, ..token_of_many(view) }
}

/// A token beside others, for which [`notices`] tells what is said.
pub(super) fn token_of_many(view: TokenView) -> pb::Token {
    pb::Token {
        token: view.token.hyphenated().encode_lower(&mut Uuid::encode_buffer()).to_owned(),
        queue_id: view.queue_id.to_string(),
        user_id: view.user.into_string(),
        status: status(view.status).into(),
        priority: i32::from(view.priority),
        ticket: view.ticket,
        position: view.position,
        waiting_behind: view.waiting_behind,
        estimated_wait: Some(duration(view.estimated_wait)),
        entered_at: Some(timestamp(view.entered_at)),
        active_until: view.active_until.map(timestamp),
        valid_until: Some(timestamp(view.valid_until)),
        poll_after: Some(duration(view.poll_after)),
        requeues: i32::try_from(view.requeues).unwrap_or(i32::MAX),
        version: view.version,
        estimated_wait_low: Some(duration(view.estimated_wait_low)),
        estimated_wait_high: Some(duration(view.estimated_wait_high)),
        delay_reason: delay(view.delay).into(),
        opens_at: view.opens_at.map(timestamp),
        message: None,
    }
}

pub(super) fn draw(view: DrawView) -> pb::Draw {
    let (held, announced) = (view.held, view.announced);
    let told =
        |of: fn(&HeldView) -> &[u8]| held.as_ref().map(|held| of(held).to_vec().into()).unwrap_or_default();
    let entrants = announced.as_ref().and_then(|Announced { beacon, .. }| beacon.entrants);
    pb::Draw {
        queue_id: view.queue_id.to_string(),
        opens_at: view.opens_at.map(timestamp),
        algorithm: view.algorithm.to_owned(),
        commitment: view.commitment.to_vec().into(),
        registered: view.registered,
        secret: told(|held| &held.secret),
        root: entrants.map_or_else(|| told(|held| &held.root), |entrants| entrants.root.to_vec().into()),
        beacon: told(|held| &held.beacon),
        seed: told(|held| &held.seed),
        root_at: entrants.map(|entrants| timestamp(entrants.at)),
        beacon_chain: announced.as_ref().map(|announced| chain(&announced.beacon.chain)),
        beacon_round: announced.as_ref().map_or(0, |announced| announced.round),
        beacon_at: announced
            .as_ref()
            .map(|Announced { beacon, round }| timestamp(beacon.chain.time_of(*round))),
        beacon_signature: announced
            .and_then(|announced| announced.beacon.signature)
            .map(|signature| signature.to_vec().into())
            .unwrap_or_default(),
    }
}

fn chain(chain: &Chain) -> pb::BeaconChain {
    pb::BeaconChain {
        hash: chain.hash().to_vec().into(),
        scheme: SCHEME.to_owned(),
        public_key: chain.public_key.clone().into(),
        period: Some(duration(chain.period * SECOND)),
        genesis_time: Some(timestamp(chain.genesis * SECOND)),
        group_hash: chain.group_hash.clone().into(),
        id: chain.id.clone(),
    }
}

pub(super) fn token_draw(view: TokenDrawView) -> pb::TokenDraw {
    pb::TokenDraw {
        token: view.token.to_string(),
        queue_id: view.queue_id.to_string(),
        number: view.number,
        of: view.of,
        hash: view.hash.to_vec().into(),
        proof: Some(pb::DrawProof {
            index: view.proof.index,
            size: view.proof.size,
            path: view.proof.path.into_iter().map(|hash| hash.to_vec().into()).collect(),
        }),
    }
}

const fn status(status: TokenStatus) -> pb::TokenStatus {
    match status {
        TokenStatus::Waiting => pb::TokenStatus::Waiting,
        TokenStatus::Active => pb::TokenStatus::Active,
        TokenStatus::Completed => pb::TokenStatus::Completed,
        TokenStatus::Expired => pb::TokenStatus::Expired,
        TokenStatus::Left => pb::TokenStatus::Left,
        TokenStatus::Registered => pb::TokenStatus::Registered,
    }
}
