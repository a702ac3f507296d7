//! Conversion of protobuf requests into domain values. A fault names every field that is wrong, not only the
//! first.

use std::ops::RangeInclusive;

use boxoffice_proto::{
    Fault,
    bounds::{self, DEFAULT_PRIORITY, PRIORITY},
    queue::{
        CreateQueueRequest, GetDrawRequest, GetQueueRequest, GetTokenDrawRequest, GetTokenRequest,
        IssueTokenRequest, ListQueuesRequest, OnExpiry as WireOnExpiry, Opening as WireOpening, QueueMessage,
        QueuePolicy as WirePolicy, TakeQueueEventsRequest, UpdateQueueRequest, VerifyTokenRequest,
        WatchTokenRequest,
    },
    time::{micros, span_micros},
    validate::Checks,
};
use chassis::{
    idempotency::Key,
    page::{List, PageRequest},
};
use serde::Serialize;
use uuid::Uuid;

use crate::{
    app::{Claim, Cursor},
    domain::{Message, OnExpiry, Opening, PolicyPatch, SECOND, Texts, opened::AT_ONCE},
};

/// The most tokens that one BatchGetTokens may ask for.
pub(super) const MAX_BATCH: usize = 1_000;

/// The id of a queue, the changes of its policy, and the key of a request that has an id.
type PolicyCommand = (String, PolicyPatch, Option<Key>);

/// The numbers of events that are taken.
pub(super) fn taken(request: TakeQueueEventsRequest) -> Result<Vec<i64>, Fault> {
    let is_few = i64::try_from(request.taken.len()).is_ok_and(|taken| taken <= AT_ONCE);
    if is_few {
        Ok(request.taken)
    } else {
        Err(Fault::invalid_field("taken", format!("must be at most {AT_ONCE}")))
    }
}

fn key(request_id: Option<String>, method: &str, owner: &str, command: &impl Serialize) -> Option<Key> {
    request_id.map(|id| Key::new(id, method, owner, command))
}

pub(super) fn create_queue(request: CreateQueueRequest) -> Result<PolicyCommand, Fault> {
    let mut checks = Checks::default();
    // A new queue must have an id; in the other requests an empty id means `default`.
    if request.queue_id.is_empty() {
        checks.refuse("queue_id", "is required");
    }
    policy_command(checks, "CreateQueue", &request.queue_id, request.policy, &request.request_id)
}

pub(super) fn update_queue(request: UpdateQueueRequest) -> Result<PolicyCommand, Fault> {
    let checks = Checks::default();
    policy_command(checks, "UpdateQueue", &request.queue_id, request.policy, &request.request_id)
}

fn policy_command(
    mut checks: Checks,
    method: &str,
    queue_id: &str,
    policy: Option<WirePolicy>,
    request_id: &str,
) -> Result<PolicyCommand, Fault> {
    let queue_id = checks.queue_id("queue_id", queue_id);
    let patch = patch(&mut checks, policy);
    let request_id = checks.request_id(request_id);
    checks.finish()?;
    let key = key(request_id, method, "", &(&queue_id, &patch));
    Ok((queue_id, patch, key))
}

/// Makes the conversion of a policy from the table of its knobs.
macro_rules! patch {
    (
        counts { $($count:ident [$_json:tt $least:tt $most:tt $_default:tt $_is:tt];)+ }
        spans { $($span:ident [$_span_json:tt $from:tt $to:tt $_seconds:tt $_text:tt $_span_is:tt];)+ }
    ) => {
        /// Reads a policy; a field that is unset stays `None`.
        fn patch(checks: &mut Checks, policy: Option<WirePolicy>) -> PolicyPatch {
            let Some(policy) = policy else { return PolicyPatch::default() };
            PolicyPatch {
                $($count: policy.$count.map(|value| {
                    checks.range(concat!("policy.", stringify!($count)), value, $least..=$most)
                }),)+
                $($span: span(checks, concat!("policy.", stringify!($span)), policy.$span, $from..=$to),)+
                on_expiry: on_expiry(checks, policy.on_expiry),
                paused: policy.paused,
                opens_at: opens_at(checks, policy.opens_at.as_ref()).map(Some),
                opening: opening(checks, policy.opening),
                message: policy.message.map(|said| message(checks, &said)),
                without_beacon: policy.without_beacon,
            }
        }
    };
}

boxoffice_proto::knobs!(patch);

fn on_expiry(checks: &mut Checks, word: i32) -> Option<OnExpiry> {
    match WireOnExpiry::try_from(word) {
        Ok(WireOnExpiry::Unspecified) => None,
        Ok(WireOnExpiry::Requeue) => Some(OnExpiry::Requeue),
        Ok(WireOnExpiry::Expire) => Some(OnExpiry::Expire),
        Err(_) => {
            checks.refuse("policy.on_expiry", "must be ON_EXPIRY_REQUEUE or ON_EXPIRY_EXPIRE");
            None
        }
    }
}

fn opening(checks: &mut Checks, word: i32) -> Option<Opening> {
    match WireOpening::try_from(word) {
        Ok(WireOpening::Unspecified) => None,
        Ok(WireOpening::Fifo) => Some(Opening::Fifo),
        Ok(WireOpening::Draw) => Some(Opening::Draw),
        Err(_) => {
            checks.refuse("policy.opening", "must be OPENING_FIFO or OPENING_DRAW");
            None
        }
    }
}

fn message(checks: &mut Checks, said: &QueueMessage) -> Option<Message> {
    let ko = checks.line("policy.message.ko", &said.ko, bounds::MESSAGE);
    Message::of(Texts { ko, en: checks.line("policy.message.en", &said.en, bounds::MESSAGE) })
}

fn opens_at(checks: &mut Checks, at: Option<&prost_types::Timestamp>) -> Option<i64> {
    let at = micros(at?);
    if at.is_none() {
        checks.refuse("policy.opens_at", "must be an instant of the years 1 to 9999");
    }
    at
}

/// Reads a span of whole seconds within these bounds, in microseconds.
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

/// The id of the queue that a request reads.
pub(super) fn queue_id(request: &GetQueueRequest) -> Result<String, Fault> {
    Checks::of(|checks| checks.queue_id("queue_id", &request.queue_id))
}

/// The id of the queue whose draw a request reads.
pub(super) fn draw(request: &GetDrawRequest) -> Result<String, Fault> {
    Checks::of(|checks| checks.queue_id("queue_id", &request.queue_id))
}

/// The token of whose lot a request asks.
pub(super) fn token_draw(request: &GetTokenDrawRequest) -> Result<Uuid, Fault> {
    Checks::of(|checks| checks.uuid("token", &request.token))
}

/// Which page of the queues to list.
pub(super) fn list_queues(request: &ListQueuesRequest) -> Result<PageRequest<Option<Cursor>>, Fault> {
    Checks::of(|checks| {
        let refuse = |field: &str, wrong: &str| checks.refuse(field, wrong);
        List::of("queues", "").read(request.page_size, &request.page_token, None, refuse)
    })
}

/// A user's request to join a queue.
pub(super) struct Join {
    pub(super) queue_id: String,
    pub(super) user: String,
    pub(super) lane: u8,
    pub(super) key: Option<Key>,
}

pub(super) fn join(request: &IssueTokenRequest) -> Result<Join, Fault> {
    let mut checks = Checks::default();
    let queue_id = checks.queue_id("queue_id", &request.queue_id);
    let user = checks.user_id("user_id", &request.user_id);
    let lane = checks.range("priority", request.priority.unwrap_or(DEFAULT_PRIORITY), PRIORITY);
    let request_id = checks.request_id(&request.request_id);
    checks.finish()?;
    let lane = u8::try_from(lane).unwrap_or_default();
    let key = key(request_id, "IssueToken", &user, &(&queue_id, &user, lane));
    Ok(Join { queue_id, user, lane, key })
}

/// What names the token of a GetToken request.
pub(super) enum TokenOf {
    /// The id of a queue and a user: the user's live token there.
    User(String, String),
    /// The token's own id.
    Token(Uuid),
}

pub(super) fn token_of(request: &GetTokenRequest) -> Result<TokenOf, Fault> {
    Checks::of(|checks| {
        if request.token.is_empty() && !request.user_id.is_empty() {
            let queue_id = checks.queue_id("queue_id", &request.queue_id);
            TokenOf::User(queue_id, checks.user_id("user_id", &request.user_id))
        } else {
            TokenOf::Token(checks.uuid("token", &request.token))
        }
    })
}

/// The ids of a BatchGetTokens request, in its order.
pub(super) fn batch(asked: &[String]) -> Result<Vec<Uuid>, Fault> {
    if asked.len() > MAX_BATCH {
        return Err(Fault::invalid_field("tokens", format!("must be at most {MAX_BATCH}")));
    }
    let mut checks = Checks::default();
    let mut ids = Vec::with_capacity(asked.len());
    for (at, token) in asked.iter().enumerate() {
        // The field's name is made only when the id is wrong: a batch has up to 1,000 ids.
        ids.push(
            Uuid::try_parse(token)
                .ok()
                .filter(|_| token.len() == 36)
                .unwrap_or_else(|| checks.uuid(&format!("tokens[{at}]"), token)),
        );
    }
    checks.finish()?;
    Ok(ids)
}

pub(super) fn watched(request: &WatchTokenRequest) -> Result<Uuid, Fault> {
    Checks::of(|checks| checks.uuid("token", &request.token))
}

pub(super) fn claim(request: &VerifyTokenRequest) -> Result<Claim, Fault> {
    Checks::of(|checks| Claim {
        token: checks.uuid("token", &request.token),
        queue_id: (!request.queue_id.is_empty()).then(|| checks.queue_id("queue_id", &request.queue_id)),
        user: (!request.user_id.is_empty()).then(|| checks.user_id("user_id", &request.user_id)),
        fresh: request.fresh,
    })
}

/// The user whose token is meant; `None`: whoever's.
pub(super) fn user(user_id: &str) -> Result<Option<String>, Fault> {
    let user = Checks::of(|checks| checks.any_user("user_id", user_id))?;
    Ok(Some(user).filter(|user| !user.is_empty()))
}

/// The token that a CompleteToken or LeaveQueue request ends. A request id counts within that token alone.
pub(super) fn ending(method: &str, token: &str, request_id: &str) -> Result<(Uuid, Option<Key>), Fault> {
    let (token, request_id) =
        Checks::of(|checks| (checks.uuid("token", token), checks.request_id(request_id)))?;
    Ok((token, key(request_id, method, &token.to_string(), &token)))
}
