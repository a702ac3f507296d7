//! The last hour as the box office shows it: what all edges have written down, put together.

use boxoffice_proto::{
    Fault,
    checkout::{GetHistoryRequest, GetHistoryResponse, HistorySample, LineSample, SampledEdge, ShowSample},
    time::{micros, timestamp},
    validate::Checks,
};
use chassis::clock::{self, Clock, SECOND};

use super::{
    caller::Caller,
    sampling::{PERIOD, beginning},
};
use crate::{
    domain::history::{Gathered, LineFigures, ShowFigures, history},
    error::Error,
    store::{EdgeSpan, SampleBook},
};

/// How far back it goes, in microseconds.
const HOUR: i64 = 3_600 * SECOND;
/// How much earlier than what is told the counts begin with which it is compared.
const BEFORE: i64 = 60 * SECOND;
/// How long after its seconds are over a sample is told: whatever edge may write it has done so by then,
/// though clocks differ.
const LATE: i64 = 2 * SECOND;

/// Tells it. Cheap to clone.
#[derive(Clone)]
pub(crate) struct History {
    book: SampleBook,
    clock: Clock,
}

impl History {
    pub(crate) const fn new(book: SampleBook, clock: Clock) -> Self {
        Self { book, clock }
    }

    /// The samples after an instant, of the last hour at most, and the edges that have written any in it.
    pub(crate) async fn tell(
        &self,
        caller: &Caller,
        request: GetHistoryRequest,
    ) -> Result<GetHistoryResponse, Fault> {
        let GetHistoryRequest { since } = caller.allow(request)?;
        let since = Checks::of(|checks| since.map(|since| instant(checks, micros(&since))))?;
        let now = self.clock.now();
        let hour = now - HOUR;
        let after = since.unwrap_or(hour).max(hour);
        let until = beginning(now - clock::micros(PERIOD) - LATE);
        let samples = self.book.within(after.saturating_sub(BEFORE), until).await.map_err(Error::from)?;
        let edges = self.book.edges(hour).await.map_err(Error::from)?;
        Ok(GetHistoryResponse {
            samples: history(samples, after).into_iter().map(sample).collect(),
            edges: edges.into_iter().map(span).collect(),
        })
    }
}

fn instant(checks: &mut Checks, since: Option<i64>) -> i64 {
    since.unwrap_or_else(|| {
        checks.refuse("since", "must be an instant between the years 1 and 9999");
        0
    })
}

fn sample((at, told): (i64, Gathered)) -> HistorySample {
    let counted = |count: f64| (told.edges > 0).then_some(count);
    let sale = told.sale.unwrap_or_default();
    HistorySample {
        at: Some(timestamp(at)),
        edges: i32::try_from(told.edges).unwrap_or(i32::MAX),
        answered_per_minute: counted(told.answered_per_minute),
        refused_per_minute: counted(told.refused_per_minute),
        p99_seconds: told.p99_seconds,
        lines: sale.lines.into_iter().map(line).collect(),
        shows: sale.shows.into_iter().map(show).collect(),
        parked: sale.parked,
    }
}

fn line(line: LineFigures) -> LineSample {
    let LineFigures { queue_id, waiting, registered, active, places_per_minute } = line;
    LineSample { queue_id, waiting, registered, active, places_per_minute }
}

fn show(ShowFigures { show_id, held, sold, net }: ShowFigures) -> ShowSample {
    ShowSample { show_id, held, sold, net }
}

fn span(EdgeSpan { name, since, latest_at }: EdgeSpan) -> SampledEdge {
    SampledEdge { name, since: Some(timestamp(since)), latest_at: Some(timestamp(latest_at)) }
}
