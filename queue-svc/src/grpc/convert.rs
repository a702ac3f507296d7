//! Protobuf ↔ domain.

use std::ops::RangeInclusive;

use boxoffice_proto::{
    queue as pb,
    time::{duration, span_micros, timestamp},
    validate::Checks,
};
use uuid::Uuid;

use crate::domain::{
    Delay, LaneView, OnExpiry, PolicyPatch, QueuePolicy, QueueView, SECOND, Status, TokenView,
};

/// In seconds.
const DAY: i64 = 24 * 3_600;

/// A policy as sent: what is left out stays `None`.
pub(super) fn patch(checks: &mut Checks, policy: Option<pb::QueuePolicy>) -> PolicyPatch {
    let Some(policy) = policy else { return PolicyPatch::default() };
    let on_expiry = match pb::OnExpiry::try_from(policy.on_expiry) {
        Ok(pb::OnExpiry::Unspecified) => None,
        Ok(pb::OnExpiry::Requeue) => Some(OnExpiry::Requeue),
        Ok(pb::OnExpiry::Expire) => Some(OnExpiry::Expire),
        Err(_) => {
            checks.refuse("policy.on_expiry", "must be ON_EXPIRY_REQUEUE or ON_EXPIRY_EXPIRE");
            None
        }
    };
    let mut number = |field: &str, value: Option<i64>, least: i64, most: i64| {
        value.map(|value| checks.range(field, value, least..=most))
    };
    PolicyPatch {
        max_active: number("policy.max_active", policy.max_active, 0, 1_000_000),
        max_waiting: number("policy.max_waiting", policy.max_waiting, 0, 10_000_000),
        admit_per_minute: number("policy.admit_per_minute", policy.admit_per_minute, 1, 10_000_000),
        active_ttl: span(checks, "policy.active_ttl", policy.active_ttl, 1..=DAY),
        waiting_ttl: span(checks, "policy.waiting_ttl", policy.waiting_ttl, 1..=7 * DAY),
        on_expiry,
        paused: policy.paused,
        waiting_grace: span(checks, "policy.waiting_grace", policy.waiting_grace, 0..=7 * DAY),
        show_up_within: span(checks, "policy.show_up_within", policy.show_up_within, 0..=DAY),
    }
}

/// A span of whole seconds.
fn span(
    checks: &mut Checks,
    field: &str,
    span: Option<prost_types::Duration>,
    bounds: RangeInclusive<i64>,
) -> Option<i64> {
    let micros =
        span_micros(&span?).filter(|micros| micros % SECOND == 0 && bounds.contains(&(micros / SECOND)));
    if micros.is_none() {
        checks.refuse(field, format!("must be whole seconds, {} to {}", bounds.start(), bounds.end()));
    }
    micros
}

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

fn policy(policy: &QueuePolicy) -> pb::QueuePolicy {
    pb::QueuePolicy {
        max_active: Some(policy.max_active),
        max_waiting: Some(policy.max_waiting),
        active_ttl: Some(duration(policy.active_ttl)),
        waiting_ttl: Some(duration(policy.waiting_ttl)),
        admit_per_minute: Some(policy.admit_per_minute),
        on_expiry: match policy.on_expiry {
            OnExpiry::Requeue => pb::OnExpiry::Requeue,
            OnExpiry::Expire => pb::OnExpiry::Expire,
        }
        .into(),
        paused: Some(policy.paused),
        waiting_grace: Some(duration(policy.waiting_grace)),
        show_up_within: Some(duration(policy.show_up_within)),
    }
}

pub(super) fn token(view: TokenView) -> pb::Token {
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
    }
}

const fn status(status: Status) -> pb::TokenStatus {
    match status {
        Status::Waiting => pb::TokenStatus::Waiting,
        Status::Active => pb::TokenStatus::Active,
        Status::Completed => pb::TokenStatus::Completed,
        Status::Expired => pb::TokenStatus::Expired,
        Status::Left => pb::TokenStatus::Left,
    }
}
