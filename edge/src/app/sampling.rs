//! The edge writes down every ten seconds what it has counted, and one of all edges how the lines and the
//! sales stand: the last hour of the box office's charts, for whoever asks whichever edge.
//!
//! It is read of what `/metrics` would tell and of what the services tell anybody, so no request costs
//! more for it. A sample that cannot be taken is left out, and its place in the charts stays empty.

use std::time::Duration;

use boxoffice_proto::{
    Fault,
    booking::{GetShowSalesRequest, ListConcertsRequest, ListShowsRequest, Show},
    queue::{ListQueuesRequest, Queue},
    time::{micros, timestamp},
};
use chassis::{
    clock::{self, Clock, SECOND},
    context::{Context, TraceParent},
    db::Error,
    telemetry, threads,
    ticks::every,
    warn_or_alert,
};
use futures::future::join;
use tokio_util::sync::CancellationToken;

use super::series::series;
use crate::{
    clients::{Clients, ask},
    domain::history::{EdgeFigures, Figures, LineFigures, SaleFigures, Sample, ShowFigures},
    store::{Journal, SampleBook},
};

/// How often samples are taken.
pub(super) const PERIOD: Duration = Duration::from_secs(10);
/// How long a look at the services may take, with all its calls.
const PATIENCE: Duration = Duration::from_secs(5);
/// Every how many samples the books of shows are read: that is more work for the database the more is sold.
const SELDOM: i64 = 6;
/// Of how many lines, concerts and shows a concert samples are taken at most.
const LINES: i32 = 50;
const CONCERTS: i32 = 10;
const SHOWS: usize = 3;
/// How long after its beginning a show is still one of those that come next, in microseconds.
const TONIGHT: i64 = 12 * 3_600 * SECOND;
/// The source of samples that are of no edge.
const OF_ALL: &str = "";

/// What this edge has counted, and what it asks the services for, to write it down.
pub(crate) struct Sampler {
    book: SampleBook,
    journal: Journal,
    clients: Clients,
    clock: Clock,
    /// The name of this edge, which no other process has or had.
    name: String,
}

impl Sampler {
    pub(crate) fn new(book: SampleBook, journal: Journal, clients: Clients, clock: Clock) -> Self {
        let name = format!("{}-{:06x}", telemetry::host(), rand::random::<u32>() >> 8);
        Self { book, journal, clients, clock, name }
    }

    /// Takes them until `shutdown`, in a process whose metrics are kept.
    pub(crate) async fn run_until(self, shutdown: CancellationToken) {
        if telemetry::has_metrics() {
            every(PERIOD, &shutdown, || self.sample()).await;
        }
    }

    async fn sample(&self) {
        let at = beginning(self.clock.now());
        // What services answer, or do not, holds up nothing of what this edge has counted.
        self.keep(self.count(at).await).await;
        let looking = Context::of(TraceParent::not_sampled(), PATIENCE).scope(self.look(at));
        self.keep(looking.await).await;
    }

    async fn keep(&self, sample: Option<Sample>) {
        let Some(sample) = sample else { return };
        if let Err(error) = self.book.add(&[sample]).await {
            warn_or_alert!(error.is_passing(), %error, "what this edge has counted could not be written down");
        }
    }

    /// What this edge has counted.
    async fn count(&self, at: i64) -> Option<Sample> {
        // Writing all metrics takes a while.
        let text = threads::compute(telemetry::metrics_text).await.ok()?;
        Some(Sample { source: self.name.clone(), at, figures: Figures::Edge(counted(&text)) })
    }

    /// How lines and sales stand, unless another edge has written that down. Where the lines cannot be read,
    /// another edge may find them within the same ten seconds.
    async fn look(&self, at: i64) -> Option<Sample> {
        match self.book.has(OF_ALL, at).await {
            Ok(false) => {}
            Ok(true) => return None,
            Err(error) => {
                warn_or_alert!(error.is_passing(), %error, "samples could not be read");
                return None;
            }
        }
        let is_time_for_books = (at / clock::micros(PERIOD)) % SELDOM == 0;
        let shows = async { if is_time_for_books { self.shows(at).await } else { Ok(Vec::new()) } };
        let (lines, shows) = join(self.lines(), shows).await;
        let sale = SaleFigures {
            lines: told("lines", lines)?,
            shows: told("shows", shows).unwrap_or_default(),
            parked: self.parked().await.ok(),
        };
        Some(Sample { source: OF_ALL.to_owned(), at, figures: Figures::Sale(sale) })
    }

    async fn parked(&self) -> Result<i64, Error> {
        self.journal.parked().await
    }

    async fn lines(&self) -> Result<Vec<LineFigures>, Fault> {
        let request = ListQueuesRequest { page_size: LINES, page_token: String::new() };
        let queues = ask!(self.clients.queue, list_queues(request))?.queues;
        Ok(queues.into_iter().map(line).collect())
    }

    /// The books of the shows that come next: of each concert that has some, the last that has begun tonight
    /// and those after it.
    async fn shows(&self, now: i64) -> Result<Vec<ShowFigures>, Fault> {
        let from = Some(timestamp(now.saturating_sub(TONIGHT)));
        let concerts = ListConcertsRequest { page_size: CONCERTS, from, ..Default::default() };
        let mut books = Vec::new();
        for concert in ask!(self.clients.booking, list_concerts(concerts))?.concerts {
            let request = ListShowsRequest {
                concert_id: concert.concert_id,
                from,
                order: "startsAt".to_owned(),
                ..Default::default()
            };
            for show in next(ask!(self.clients.booking, list_shows(request))?.shows, now) {
                let request = GetShowSalesRequest { show_id: show.show_id };
                let total = ask!(self.clients.booking, get_show_sales(request).total)?;
                books.push(ShowFigures {
                    show_id: show.show_id,
                    held: total.held.into(),
                    sold: total.sold.into(),
                    net: total.net,
                });
            }
        }
        Ok(books)
    }
}

/// The beginning of the ten seconds that an instant is in.
pub(super) fn beginning(now: i64) -> i64 {
    now - now.rem_euclid(clock::micros(PERIOD))
}

/// What a service has told, or nothing.
fn told<T>(what: &str, answer: Result<Vec<T>, Fault>) -> Option<Vec<T>> {
    let gap = |fault: &Fault| {
        tracing::debug!(what, reason = fault.reason.as_str(), "the charts have a gap");
    };
    answer.inspect_err(gap).ok()
}

fn line(Queue { queue_id, waiting, registered, active, places_per_minute, .. }: Queue) -> LineFigures {
    LineFigures { queue_id, waiting, registered, active, places_per_minute }
}

/// Of shows in the order in which they begin, the last that has begun and those after it.
fn next(shows: Vec<Show>, now: i64) -> impl Iterator<Item = Show> {
    let has_begun =
        |show: &&Show| show.starts_at.as_ref().and_then(micros).is_some_and(|starts_at| starts_at <= now);
    let begun = shows.iter().filter(has_begun).count();
    shows.into_iter().skip(begun.saturating_sub(1)).take(SHOWS)
}

/// The counts in the text of the metrics.
fn counted(text: &str) -> EdgeFigures {
    let mut figures = EdgeFigures::default();
    for (labels, count) in series(text, "http_requests_total") {
        let count = count.parse().unwrap_or(0);
        figures.answers += count;
        if ["status=\"4", "status=\"5"].iter().any(|status| labels.contains(status)) {
            figures.refused += count;
        }
    }
    for (_, count) in series(text, "http_request_seconds_count") {
        figures.timed += count.parse::<u64>().unwrap_or(0);
    }
    for (labels, count) in series(text, "http_request_seconds_bucket") {
        let bound = labels.split_once("le=\"").and_then(|(_, rest)| rest.split('"').next()?.parse().ok());
        let Some(bound) = bound.filter(|bound: &f64| bound.is_finite()) else { continue };
        let count = count.parse().unwrap_or(0);
        match figures.within.iter_mut().find(|(known, _)| known.total_cmp(&bound).is_eq()) {
            Some((_, sum)) => *sum += count,
            None => figures.within.push((bound, count)),
        }
    }
    figures
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_counted_is_read_from_what_metrics_tells() {
        let text = "# TYPE http_requests_total counter\n\
                    http_requests_total{method=\"GET\",route=\"/v1/tokens/{token}\",status=\"200\"} 70\n\
                    http_requests_total{method=\"POST\",route=\"/v1/reservations\",status=\"409\"} 8\n\
                    http_requests_total{method=\"POST\",route=\"/v1/payments\",status=\"503\"} 2\n\
                    http_requests_totally{status=\"500\"} 9\n\
                    http_request_seconds_bucket{method=\"GET\",route=\"/a\",le=\"0.0005\"} 60\n\
                    http_request_seconds_bucket{method=\"GET\",route=\"/a\",le=\"1\"} 70\n\
                    http_request_seconds_bucket{method=\"GET\",route=\"/a\",le=\"+Inf\"} 70\n\
                    http_request_seconds_bucket{method=\"POST\",route=\"/b\",le=\"0.0005\"} 0\n\
                    http_request_seconds_bucket{method=\"POST\",route=\"/b\",le=\"1\"} 9\n\
                    http_request_seconds_sum{method=\"GET\",route=\"/a\"} 0.7\n\
                    http_request_seconds_count{method=\"GET\",route=\"/a\"} 70\n\
                    http_request_seconds_count{method=\"POST\",route=\"/b\"} 9\n";
        let within = vec![(0.0005, 60), (1.0, 79)];
        assert_eq!(counted(text), EdgeFigures { answers: 80, refused: 10, timed: 79, within });
    }

    #[test]
    fn the_shows_that_come_next_begin_with_the_last_that_has_begun() {
        let show = |show_id| Show { show_id, starts_at: Some(timestamp(show_id)), ..Show::default() };
        let chosen =
            |now| next((1..=6).map(show).collect(), now).map(|show| show.show_id).collect::<Vec<_>>();
        assert_eq!(chosen(0), [1, 2, 3], "none has begun");
        assert_eq!(chosen(1), [1, 2, 3]);
        assert_eq!(chosen(3), [3, 4, 5]);
        assert_eq!(chosen(9), [6]);
    }

    #[test]
    fn samples_of_all_edges_are_of_the_same_instants() {
        assert_eq!([0, 9_999_999, 10_000_000, 29_000_001].map(beginning), [0, 0, 10_000_000, 20_000_000]);
    }
}
