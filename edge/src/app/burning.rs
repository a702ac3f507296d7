//! The edge watches its own answers: when too many of them are errors of ours, people are alerted.
//!
//! It reads what `/metrics` would tell, so a request costs nothing more for it.

use std::{collections::VecDeque, time::Duration};

use chassis::{telemetry, threads, ticks::every};
use parking_lot::Mutex;
use tokio_util::sync::CancellationToken;

use super::series::series;

/// How often the counts are looked at.
const LOOK: Duration = Duration::from_secs(30);
/// Looks that are compared: those of five minutes.
const WINDOW: usize = 10;
/// Fewer errors than these are no cause for alarm.
const LEAST: u64 = 20;
/// One in so many answers.
const SHARE: u64 = 20;

/// What answers are counted together: those that an on-sale is measured by each alone, since few of one kind
/// that all fail are nothing among the many of another, and the rest.
const KINDS: [(&str, &[&str]); 4] = [
    ("polls", &["method=\"GET\",route=\"/v1/tokens/{token}\","]),
    (
        "holds",
        &[
            "method=\"POST\",route=\"/v1/reservations\",",
            "method=\"POST\",route=\"/api-orchestration/api/reservations/reserve-seat\",",
        ],
    ),
    (
        "checkouts",
        &[
            "method=\"POST\",route=\"/v1/payments\",",
            "method=\"POST\",route=\"/api-orchestration/api/balance/payment\",",
        ],
    ),
    ("other requests", &[]),
];

/// How many answers there were since the start, and how many of them were errors of ours.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct AnswerCounts {
    all: u64,
    failed: u64,
}

/// The looks of the last five minutes, at answers of one kind.
#[derive(Default)]
struct Watch {
    seen: VecDeque<AnswerCounts>,
    /// For how many looks nothing is said any more, since it has been.
    quiet: usize,
}

/// Watches until `shutdown`, in a process whose metrics are kept.
pub(crate) async fn watch_until(shutdown: CancellationToken) {
    if !telemetry::has_metrics() {
        return;
    }
    let watches = Mutex::new(KINDS.map(|_| Watch::default()));
    every(LOOK, &shutdown, || async {
        // Writing all metrics takes a while.
        let Ok(text) = threads::compute(telemetry::metrics_text).await else { return };
        for ((watch, now), (kind, _)) in watches.lock().iter_mut().zip(answers(&text)).zip(KINDS) {
            if let Some(AnswerCounts { all, failed }) = watch.look(now) {
                tracing::error!(
                    alert = true,
                    all,
                    failed,
                    "too many {kind} end in errors of ours: more than one in {SHARE} within five minutes"
                );
            }
        }
    })
    .await;
}

impl Watch {
    /// Adds a look. Answers what is too much in the window, once in as long a time.
    fn look(&mut self, now: AnswerCounts) -> Option<AnswerCounts> {
        let first = self.seen.front().copied().unwrap_or_default();
        let (all, failed) = (now.all.saturating_sub(first.all), now.failed.saturating_sub(first.failed));
        self.seen.push_back(now);
        if self.seen.len() > WINDOW {
            self.seen.pop_front();
        }
        self.quiet = self.quiet.saturating_sub(1);
        if self.quiet > 0 || failed < LEAST || failed.saturating_mul(SHARE) <= all {
            return None;
        }
        self.quiet = WINDOW;
        Some(AnswerCounts { all, failed })
    }
}

/// The answers of each kind that the text of the metrics tells of.
fn answers(metrics: &str) -> [AnswerCounts; KINDS.len()] {
    let mut counts = [AnswerCounts::default(); KINDS.len()];
    for (labels, count) in series(metrics, "http_requests_total") {
        let count = count.parse().unwrap_or(0);
        let is_of = |(_, starts): &(&str, &[&str])| starts.iter().any(|start| labels.starts_with(start));
        let kind = KINDS.iter().position(is_of).unwrap_or(KINDS.len() - 1);
        if let Some(sum) = counts.get_mut(kind) {
            sum.all += count;
            sum.failed += if labels.contains("status=\"5") { count } else { 0 };
        }
    }
    counts
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers_of_each_kind_are_added_up_from_what_metrics_tells() {
        let text = "# TYPE http_requests_total counter\n\
                    http_requests_total{method=\"GET\",route=\"/v1/tokens/{token}\",status=\"200\"} 70000\n\
                    http_requests_total{method=\"GET\",route=\"/v1/tokens/{token}/draw\",status=\"200\"} 4\n\
                    http_requests_total{method=\"POST\",route=\"/v1/payments\",status=\"201\"} 30\n\
                    http_requests_total{method=\"POST\",route=\"/v1/payments\",status=\"503\"} 5\n\
                    http_requests_total{method=\"POST\",route=\"/v1/payments/{paymentId}/refund\",status=\"500\"} 1\n\
                    http_requests_total{method=\"POST\",route=\"/v1/reservations\",status=\"409\"} 8\n\
                    http_requests_total{method=\"PUT\",route=\"/500\",status=\"404\"} 2\n\
                    http_requests_totally 9\nhttp_request_seconds_count 77\n";
        let told = answers(text).map(|AnswerCounts { all, failed }| (all, failed));
        assert_eq!(told, [(70_000, 0), (8, 0), (35, 5), (7, 1)]);
    }

    #[test]
    fn one_in_twenty_within_five_minutes_is_too_much_and_told_once_in_as_long() {
        let (mut watch, mut now, mut told) = (Watch::default(), AnswerCounts::default(), Vec::new());
        for look in 0..60 {
            now.all += 100;
            // Nothing, then much fails for a while, then nothing again.
            if (12..24).contains(&look) {
                now.failed += 60;
            }
            if watch.look(now).is_some() {
                told.push(look);
            }
        }
        assert_eq!(told, [12, 22, 32]);
        // A few are no cause, whatever share they are; nor are many of very many.
        assert_eq!(Watch::default().look(AnswerCounts { all: 19, failed: 19 }), None);
        assert_eq!(Watch::default().look(AnswerCounts { all: 100_000, failed: 4_000 }), None);
    }
}
