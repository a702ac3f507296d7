//! How the sale went within the last hour.

use boxoffice_proto::checkout as proto;
use serde::Serialize;
use utoipa::ToSchema;

use super::{Hollow, Instant};

/// What is known of the last hour.
#[derive(Serialize, ToSchema)]
#[schema(as = History)]
pub(crate) struct ToldHistory {
    /// The samples, the oldest first. Where nothing was written down there is none.
    samples: Vec<PastSeconds>,
    /// The edges that have written down samples within the last hour, by their names.
    edges: Vec<CountingEdge>,
}

/// What is known of ten seconds.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = HistorySample, example = json!({
    "at": "2026-12-24T19:30:10.000000Z", "edges": 2, "answeredPerMinute": 66012.0, "refusedPerMinute": 24.0,
    "p99Seconds": 0.0121, "parked": 0,
    "lines": [{"queueId": "default", "waiting": 247, "registered": 0, "active": 6000, "placesPerMinute": 5870.5}],
    "shows": [{"showId": 1, "held": 12, "sold": 30, "net": 1500000}]}))]
pub(crate) struct PastSeconds {
    /// The beginning of the ten seconds.
    at: Instant,
    /// How many edges have counted. The next three members are of these together, and null where there is
    /// none.
    #[schema(minimum = 0)]
    edges: i32,
    /// How many requests were answered, a minute.
    #[schema(required, minimum = 0)]
    answered_per_minute: Option<f64>,
    /// How many of these were refused or failed (4xx, 5xx), a minute.
    #[schema(required, minimum = 0)]
    refused_per_minute: Option<f64>,
    /// Within how many seconds 99 of 100 answers began; also null where nothing was answered.
    #[schema(required, minimum = 0)]
    p99_seconds: Option<f64>,
    /// How the lines stood, the newest 50; empty where nobody has looked.
    lines: Vec<PastLine>,
    /// How the books of the shows stood that came next. They are looked at once a minute, and empty in the
    /// samples between.
    shows: Vec<PastShow>,
    /// How many payments were parked; null where nobody has looked.
    #[schema(required, minimum = 0)]
    parked: Option<i64>,
}

/// A line as it stood.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = LineSample)]
pub(crate) struct PastLine {
    /// The id of the queue.
    #[schema(example = "default")]
    queue_id: String,
    /// How many tokens waited.
    #[schema(minimum = 0, example = 247)]
    waiting: i64,
    /// How many tokens were REGISTERED.
    #[schema(minimum = 0, example = 0)]
    registered: i64,
    /// How many tokens were admitted.
    #[schema(minimum = 0, example = 6000)]
    active: i64,
    /// By how many places it moved in a minute.
    #[schema(minimum = 0, example = 5870.5)]
    places_per_minute: f64,
}

/// The books of a show as they stood.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = ShowSample)]
pub(crate) struct PastShow {
    /// The number of the show.
    #[schema(example = 1)]
    show_id: i64,
    /// How many of its seats were held.
    #[schema(minimum = 0, example = 12)]
    held: i64,
    /// How many of its seats were sold.
    #[schema(minimum = 0, example = 30)]
    sold: i64,
    /// What the sold seats had brought, in minor units.
    #[schema(minimum = 0, example = 1_500_000)]
    net: i64,
}

/// An edge that has counted.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = SampledEdge)]
pub(crate) struct CountingEdge {
    /// The name of the edge: that of its machine or pod, and six letters that make it another after a
    /// restart.
    #[schema(example = "edge-6d4cf56db6-x7x2k-0f3a91")]
    name: String,
    /// When its first sample within the last hour was written.
    since: Instant,
    /// When its latest one was.
    latest_at: Instant,
}

impl From<proto::LineSample> for PastLine {
    fn from(line: proto::LineSample) -> Self {
        let proto::LineSample { queue_id, waiting, registered, active, places_per_minute } = line;
        Self { queue_id, waiting, registered, active, places_per_minute }
    }
}

impl From<proto::ShowSample> for PastShow {
    fn from(proto::ShowSample { show_id, held, sold, net }: proto::ShowSample) -> Self {
        Self { show_id, held, sold, net }
    }
}

impl TryFrom<proto::HistorySample> for PastSeconds {
    type Error = Hollow;

    fn try_from(sample: proto::HistorySample) -> Result<Self, Hollow> {
        Ok(Self {
            at: Instant::read(sample.at.as_ref())?,
            edges: sample.edges,
            answered_per_minute: sample.answered_per_minute,
            refused_per_minute: sample.refused_per_minute,
            p99_seconds: sample.p99_seconds,
            lines: sample.lines.into_iter().map(PastLine::from).collect(),
            shows: sample.shows.into_iter().map(PastShow::from).collect(),
            parked: sample.parked,
        })
    }
}

impl TryFrom<proto::SampledEdge> for CountingEdge {
    type Error = Hollow;

    fn try_from(proto::SampledEdge { name, since, latest_at }: proto::SampledEdge) -> Result<Self, Hollow> {
        Ok(Self {
            name,
            since: Instant::read(since.as_ref())?,
            latest_at: Instant::read(latest_at.as_ref())?,
        })
    }
}

impl TryFrom<proto::GetHistoryResponse> for ToldHistory {
    type Error = Hollow;

    fn try_from(told: proto::GetHistoryResponse) -> Result<Self, Hollow> {
        Ok(Self {
            samples: told.samples.into_iter().map(PastSeconds::try_from).collect::<Result<_, _>>()?,
            edges: told.edges.into_iter().map(CountingEdge::try_from).collect::<Result<_, _>>()?,
        })
    }
}
