//! Tokens and queues.

use std::sync::Arc;

use boxoffice_proto::{
    bounds::{self, PRIORITY},
    queue as proto, time,
};
use serde::{Serialize, Serializer};
use utoipa::ToSchema;

use super::{Hollow, Instant, advice, seconds, whole, words};
use crate::{
    app::{Notice, SeenPlace},
    http::fields::{Fields, FromFields},
};

words! {
    /// Where a token stands. WAITING, ACTIVE and REGISTERED (the queue is not open yet) are live, the others
    /// final.
    TokenStatus of proto::TokenStatus { Waiting, Active, Completed, Expired, Left, Registered }
}

words! {
    /// Why an estimate is longer than it was: the queue is paused, every place is taken and none becomes
    /// free, or it moves more slowly.
    DelayReason of proto::DelayReason { Paused, Full, Slower }
}

words! {
    /// What becomes of an ACTIVE token whose time is over.
    OnExpiry of proto::OnExpiry { Requeue, Expire }
}

words! {
    /// In which order those who registered wait once the queue opens: that of their coming, or by lot.
    Opening of proto::Opening { Fifo, Draw }
}

/// A user's place in a queue. Whoever knows the token may read it.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Token {
    /// The token itself: send it as `X-Queue-Token`.
    #[schema(format = Uuid, example = "3fa85f64-5717-4562-b3fc-2c963f66afa6")]
    pub(crate) token: String,
    /// The queue that it is in.
    #[schema(example = "default")]
    pub(crate) queue_id: String,
    /// Whose place this is.
    #[schema(example = "ann")]
    pub(crate) user_id: String,
    /// Where it stands.
    pub(crate) status: TokenStatus,
    /// The lane: 0 is served first, 9 last.
    #[schema(minimum = 0, maximum = 9, example = 5)]
    pub(crate) priority: i32,
    /// Its number, rising in arrival order.
    #[schema(example = 1042)]
    pub(crate) ticket: i64,
    /// Its position in the queue, 1 = next; 0 when it does not wait.
    #[schema(minimum = 0, example = 17)]
    pub(crate) position: i64,
    /// How many wait behind it.
    #[schema(minimum = 0, example = 230)]
    pub(crate) waiting_behind: i64,
    /// The estimated time until it is admitted, in seconds.
    #[schema(minimum = 0, example = 12)]
    pub(crate) estimated_wait_seconds: i64,
    /// The lower end of the range in which to read that: the token is hardly admitted sooner.
    #[schema(minimum = 0, example = 9)]
    pub(crate) estimated_wait_seconds_low: i64,
    /// The upper end of that range: the token is hardly admitted later.
    #[schema(minimum = 0, example = 18)]
    pub(crate) estimated_wait_seconds_high: i64,
    /// Why the estimate is longer than it was; null when all is as usual.
    #[schema(required)]
    pub(crate) delay_reason: Option<DelayReason>,
    /// When it joined.
    pub(crate) entered_at: Instant,
    /// When the admission ends; null unless ACTIVE.
    #[schema(required)]
    pub(crate) active_until: Option<Instant>,
    /// When the token ends if nothing happens.
    pub(crate) valid_until: Instant,
    /// When the queue opens, by the server's clock (the header `Date` tells it); null unless REGISTERED.
    #[schema(required)]
    pub(crate) opens_at: Option<Instant>,
    /// What the seller says to everybody in the queue; null while nothing is said, and once final.
    #[schema(required, value_type = Option<Message>)]
    #[serde(serialize_with = "said")]
    pub(crate) message: Option<Arc<Notice>>,
    /// When to ask again; 0 once final.
    #[schema(minimum = 0, example = 1)]
    pub(crate) poll_after_seconds: i64,
    /// How often it was admitted, not used, and sent back to the tail.
    #[schema(minimum = 0, example = 0)]
    pub(crate) requeues: i32,
}

impl TryFrom<proto::Token> for Token {
    type Error = Hollow;

    fn try_from(token: proto::Token) -> Result<Self, Hollow> {
        SeenPlace::from(token).try_into()
    }
}

impl TryFrom<SeenPlace> for Token {
    type Error = Hollow;

    fn try_from(SeenPlace { token, notice }: SeenPlace) -> Result<Self, Hollow> {
        let status = TokenStatus::read(token.status)?;
        let active_until =
            Instant::optional(token.active_until.as_ref()).filter(|_| status == TokenStatus::Active);
        Ok(Self {
            status,
            priority: token.priority,
            ticket: token.ticket,
            position: token.position,
            waiting_behind: token.waiting_behind,
            estimated_wait_seconds: seconds(token.estimated_wait.as_ref()),
            estimated_wait_seconds_low: seconds(token.estimated_wait_low.as_ref()),
            estimated_wait_seconds_high: seconds(token.estimated_wait_high.as_ref()),
            delay_reason: DelayReason::read(token.delay_reason).ok(),
            entered_at: Instant::read(token.entered_at.as_ref())?,
            active_until,
            valid_until: Instant::read(token.valid_until.as_ref())?,
            opens_at: Instant::optional(token.opens_at.as_ref()),
            message: notice,
            poll_after_seconds: advice(token.poll_after.as_ref()),
            requeues: token.requeues,
            token: token.token,
            queue_id: token.queue_id,
            user_id: token.user_id,
        })
    }
}

/// A lane in which somebody waits: about `(ticket - nextTicket) * (waiting - 1) / (lastTicket - nextTicket)`
/// of it are before a ticket, and all who wait in the lanes before. Who has a ticket below `nextTicket` waits
/// no longer: ask for the token.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = Lane)]
pub(crate) struct QueueLane {
    /// The lane: 0 is served first, 9 last.
    #[schema(minimum = 0, maximum = 9, example = 5)]
    priority: i32,
    /// How many wait in it.
    #[schema(minimum = 1, example = 247)]
    waiting: i64,
    /// The ticket of the first of them.
    #[schema(example = 1026)]
    next_ticket: i64,
    /// The ticket of the last of them.
    #[schema(example = 1290)]
    last_ticket: i64,
}

impl From<proto::Lane> for QueueLane {
    fn from(lane: proto::Lane) -> Self {
        let proto::Lane { priority, waiting, next_ticket, last_ticket } = lane;
        Self { priority, waiting, next_ticket, last_ticket }
    }
}

/// A page of queues, newest first.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Queues {
    /// The queues of this page.
    pub(crate) queues: Vec<Queue>,
    /// Where the next page starts; empty on the last.
    pub(crate) next_page_token: String,
}

/// Makes what REST says of a queue and takes of a policy from the table of a policy's knobs.
macro_rules! json {
    (
        counts { $($count:ident [$count_json:tt $least:tt $most:tt $default:tt $is:tt];)+ }
        spans { $($span:ident [$span_json:tt $from:tt $to:tt $seconds:tt $_text:tt $span_is:tt];)+ }
    ) => {
        /// A queue, with the same small answer for everyone.
        #[derive(Debug, Serialize, ToSchema)]
        #[serde(rename_all = "camelCase")]
        pub(crate) struct Queue {
            /// The id of the queue.
            #[schema(example = "default")]
            queue_id: String,
            /// The highest ticket admitted so far.
            #[schema(example = 1025)]
            serving_ticket: i64,
            /// How many tokens wait; 0 until the queue opens.
            #[schema(minimum = 0, example = 247)]
            waiting: i64,
            /// How many tokens are REGISTERED; 0 once the queue is open.
            #[schema(minimum = 0, example = 0)]
            registered: i64,
            /// How many tokens are admitted.
            #[schema(minimum = 0, example = 6000)]
            active: i64,
            /// The lanes in which somebody waits, in order: what turns a ticket into a place.
            lanes: Vec<QueueLane>,
            /// By how many positions the queue moves in a minute: a position divided by this is the wait in
            /// minutes; 0 when nobody is admitted.
            #[schema(minimum = 0, example = 5870.5)]
            places_per_minute: f64,
            /// Why that is less than it was; null when all is as usual.
            #[schema(required)]
            delay_reason: Option<DelayReason>,
            $(
                #[doc = $is]
                #[serde(rename = $count_json)]
                #[schema(minimum = $least, maximum = $most, example = $default)]
                $count: i64,
            )+
            $(
                #[doc = $span_is]
                #[serde(rename = $span_json)]
                #[schema(minimum = $from, maximum = $to, example = $seconds)]
                $span: i64,
            )+
            /// What becomes of an admitted token whose time is over.
            on_expiry: OnExpiry,
            /// True: nobody is admitted.
            #[schema(example = false)]
            paused: bool,
            /// When the queue opens, or opened; null when it was open from the beginning.
            #[schema(required)]
            opens_at: Option<Instant>,
            /// In which order those who registered wait once it is open.
            opening: Opening,
            /// What the seller says to everybody in the queue; null while nothing is said.
            #[schema(required, value_type = Option<Message>)]
            #[serde(serialize_with = "said")]
            message: Option<Arc<Notice>>,
            /// True: the draw was held without the beacon that was announced with it, or is about to be.
            #[schema(example = false)]
            without_beacon: bool,
            /// When the queue was created.
            created_at: Instant,
        }

        impl TryFrom<proto::Queue> for Queue {
            type Error = Hollow;

            fn try_from(queue: proto::Queue) -> Result<Self, Hollow> {
                let policy = whole(queue.policy)?;
                Ok(Self {
                    queue_id: queue.queue_id,
                    serving_ticket: queue.serving_ticket,
                    waiting: queue.waiting,
                    registered: queue.registered,
                    active: queue.active,
                    lanes: queue.lanes.into_iter().map(QueueLane::from).collect(),
                    places_per_minute: queue.places_per_minute,
                    delay_reason: DelayReason::read(queue.delay_reason).ok(),
                    $($count: policy.$count.unwrap_or_default(),)+
                    $($span: seconds(policy.$span.as_ref()),)+
                    on_expiry: OnExpiry::read(policy.on_expiry)?,
                    paused: policy.paused.unwrap_or_default(),
                    opens_at: Instant::optional(policy.opens_at.as_ref()),
                    // A service of an older release knows one order.
                    opening: Opening::read(policy.opening).unwrap_or(Opening::Fifo),
                    message: policy.message.and_then(Notice::of),
                    without_beacon: policy.without_beacon.unwrap_or_default(),
                    created_at: Instant::read(queue.created_at.as_ref())?,
                })
            }
        }

        /// What to change; a field left out keeps its value (or, in a new queue, takes the default).
        #[derive(ToSchema)]
        #[schema(rename_all = "camelCase", example = json!({"maxActive": 100, "onExpiry": "REQUEUE"}))]
        pub(crate) struct QueuePolicy {
            $(
                #[doc = $is]
                #[schema(rename = $count_json, minimum = $least, maximum = $most)]
                $count: Option<i64>,
            )+
            $(
                #[doc = $span_is]
                #[schema(rename = $span_json, minimum = $from, maximum = $to)]
                $span: Option<i64>,
            )+
            /// What becomes of an admitted token whose time is over.
            on_expiry: Option<OnExpiry>,
            /// True: nobody is admitted until it is false again.
            paused: Option<bool>,
            /// When the queue opens. Until then nobody is admitted, and whoever joins is REGISTERED. Null,
            /// or an instant that has passed, opens it at once.
            opens_at: Option<Instant>,
            /// In which order those who registered wait once it is open: FIFO, that of their coming, or
            /// DRAW, by lot. DRAW needs `opensAt` and is set before anybody joins; afterwards neither can be
            /// changed.
            opening: Option<Opening>,
            /// What to say to everybody in the queue, in place of what was said before; null: nothing any
            /// more. It is with the next answer or event of each.
            message: Option<Message>,
            /// True: a draw that waits for its beacon is held without it, and goes on to tell so. It can be
            /// set while a draw waits, after the opening.
            without_beacon: Option<bool>,
        }

        impl FromFields for QueuePolicy {
            fn read(fields: &mut Fields) -> Self {
                Self {
                    $($count: fields.optional_integer($count_json, $least..=$most),)+
                    $($span: fields.optional_integer($span_json, $from..=$to),)+
                    on_expiry: on_expiry(fields),
                    paused: fields.optional_bool("paused"),
                    opens_at: opens_at(fields),
                    opening: opening(fields),
                    message: message(fields),
                    without_beacon: fields.optional_bool("withoutBeacon"),
                }
            }
        }

        impl From<QueuePolicy> for proto::QueuePolicy {
            fn from(policy: QueuePolicy) -> Self {
                let span = |seconds: i64| time::duration(seconds * 1_000_000);
                let on_expiry = match policy.on_expiry {
                    None => proto::OnExpiry::Unspecified,
                    Some(OnExpiry::Requeue) => proto::OnExpiry::Requeue,
                    Some(OnExpiry::Expire) => proto::OnExpiry::Expire,
                };
                Self {
                    $($count: policy.$count,)+
                    $($span: policy.$span.map(span),)+
                    on_expiry: on_expiry.into(),
                    paused: policy.paused,
                    opens_at: policy.opens_at.map(|at| time::timestamp(at.0)),
                    opening: match policy.opening {
                        None => proto::Opening::Unspecified,
                        Some(Opening::Fifo) => proto::Opening::Fifo,
                        Some(Opening::Draw) => proto::Opening::Draw,
                    }
                    .into(),
                    message: policy.message.map(|Message { ko, en }| proto::QueueMessage {
                        ko: ko.unwrap_or_default(),
                        en: en.unwrap_or_default(),
                    }),
                    without_beacon: policy.without_beacon,
                }
            }
        }
    };
}

boxoffice_proto::knobs!(json);

fn on_expiry(fields: &mut Fields) -> Option<OnExpiry> {
    match fields.optional_text("onExpiry", 0..=16)?.as_str() {
        "REQUEUE" => Some(OnExpiry::Requeue),
        "EXPIRE" => Some(OnExpiry::Expire),
        _ => {
            fields.checks.refuse("onExpiry", "must be REQUEUE or EXPIRE");
            None
        }
    }
}

/// When a queue opens. A service has no word for null but the earliest instant there is.
fn opens_at(fields: &mut Fields) -> Option<Instant> {
    let is_null = fields.names("opensAt") && !fields.has("opensAt");
    if is_null { Some(Instant(0)) } else { fields.optional_instant("opensAt").map(Instant) }
}

fn opening(fields: &mut Fields) -> Option<Opening> {
    match fields.optional_text("opening", 0..=16)?.as_str() {
        "FIFO" => Some(Opening::Fifo),
        "DRAW" => Some(Opening::Draw),
        _ => {
            fields.checks.refuse("opening", "must be FIFO or DRAW");
            None
        }
    }
}

/// What the seller says to everybody in a queue, in one language or two; null where nothing is said in it.
#[derive(Default, ToSchema)]
#[schema(as = QueueMessage, rename_all = "camelCase", example = json!({"ko": "곧 시작합니다.", "en": "We begin in a moment."}))]
pub(crate) struct Message {
    /// The text in Korean, without line breaks.
    #[schema(max_length = 280, pattern = r"^[^\x00-\x1f\x7f-\x9f]*$")]
    ko: Option<String>,
    /// The text in English, without line breaks.
    #[schema(max_length = 280, pattern = r"^[^\x00-\x1f\x7f-\x9f]*$")]
    en: Option<String>,
}

impl FromFields for Message {
    fn read(fields: &mut Fields) -> Self {
        Self {
            ko: fields.optional_line("ko", bounds::MESSAGE),
            en: fields.optional_line("en", bounds::MESSAGE),
        }
    }
}

/// What is to be said from now on: null is a message without a text.
fn message(fields: &mut Fields) -> Option<Message> {
    let is_taken_away = fields.names("message") && !fields.has("message");
    let new = fields.optional_object("message");
    if is_taken_away { Some(Message::default()) } else { new }
}

/// Writes what is said as it was written once for everybody.
fn said<S: Serializer>(notice: &Option<Arc<Notice>>, serializer: S) -> Result<S::Ok, S::Error> {
    notice.as_ref().map(|notice| notice.json()).serialize(serializer)
}

/// Who joins, and in which lane.
#[derive(ToSchema)]
#[schema(rename_all = "camelCase", example = json!({"userId": "ann"}))]
pub(crate) struct NewToken {
    /// The user who joins.
    #[schema(value_type = super::UserIdText)]
    pub(crate) user_id: String,
    /// The lane, 0 (first) to 9 (last); 5 when left out.
    #[schema(minimum = 0, maximum = 9)]
    pub(crate) priority: Option<i32>,
}

impl FromFields for NewToken {
    fn read(fields: &mut Fields) -> Self {
        Self { user_id: fields.user_id("userId"), priority: fields.optional_small("priority", PRIORITY) }
    }
}
