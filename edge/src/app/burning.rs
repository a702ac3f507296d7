//! The edge watches its own answers: when too many of them are errors of ours, or late, people are alerted.
//!
//! The objectives are those of `k8s/monitoring/rules.yaml`: of polls, holds and checkouts one in a thousand
//! may fail, and one in a hundred be late. Too many are 14.4 times as many within five minutes, at which pace
//! what a month may have is gone in two days.
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
/// Fewer than these are no cause for alarm.
const LEAST: u64 = 20;
/// One error in so many answers.
const FAILED: u64 = 69;
/// One that was late in so many.
const LATE: u64 = 7;

/// Answers that are counted together.
struct Objective {
    name: &'static str,
    /// How the labels of their routes begin; none: all other ones.
    routes: &'static [&'static str],
    /// After so many seconds one is late; none: nothing is said of it. It is one of the bounds in which
    /// answers are counted.
    late: Option<&'static str>,
}

/// Those that an on-sale is measured by each alone, since few of one kind that all fail are nothing among the
/// many of another, and the rest.
const KINDS: [Objective; 4] = [
    Objective { name: "polls", routes: &["method=\"GET\",route=\"/v1/tokens/{token}\""], late: Some("0.25") },
    Objective {
        name: "holds",
        routes: &[
            "method=\"POST\",route=\"/v1/reservations\"",
            "method=\"POST\",route=\"/api-orchestration/api/reservations/reserve-seat\"",
        ],
        late: Some("1"),
    },
    Objective {
        name: "checkouts",
        routes: &[
            "method=\"POST\",route=\"/v1/payments\"",
            "method=\"POST\",route=\"/api-orchestration/api/balance/payment\"",
        ],
        late: Some("2.5"),
    },
    Objective { name: "other requests", routes: &[], late: None },
];

/// How many answers there were since the start, and how many of them were wrong in some way.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Wrong {
    all: u64,
    wrong: u64,
}

/// The answers of one kind since the start.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct AnswerCounts {
    failed: Wrong,
    late: Wrong,
}

/// The looks of the last five minutes, at answers of one kind that are wrong in one way.
#[derive(Default)]
struct Watch {
    seen: VecDeque<Wrong>,
    /// For how many looks nothing is said any more, since it has been.
    quiet: usize,
}

/// Watches until `shutdown`, in a process whose metrics are kept.
pub(crate) async fn watch_until(shutdown: CancellationToken) {
    if !telemetry::has_metrics() {
        return;
    }
    let watches = Mutex::new(KINDS.map(|_| <[Watch; 2]>::default()));
    every(LOOK, &shutdown, || async {
        // Writing all metrics takes a while.
        let Ok(text) = threads::compute(telemetry::metrics_text).await else { return };
        let mut watches = watches.lock();
        for (([failing, slow], now), Objective { name, .. }) in
            watches.iter_mut().zip(answers(&text)).zip(KINDS)
        {
            if let Some(Wrong { all, wrong }) = failing.look(now.failed, FAILED) {
                tracing::error!(
                    alert = true,
                    all,
                    failed = wrong,
                    "too many {name} end in errors of ours: more than one in {FAILED} within five minutes"
                );
            }
            if let Some(Wrong { all, wrong }) = slow.look(now.late, LATE) {
                tracing::error!(
                    alert = true,
                    all,
                    late = wrong,
                    "too many {name} are late: more than one in {LATE} within five minutes"
                );
            }
        }
    })
    .await;
}

impl Watch {
    /// Adds a look. Answers what is too much in the window, more than one in `share`, once in as long a time.
    fn look(&mut self, now: Wrong, share: u64) -> Option<Wrong> {
        let first = self.seen.front().copied().unwrap_or_default();
        let (all, wrong) = (now.all.saturating_sub(first.all), now.wrong.saturating_sub(first.wrong));
        self.seen.push_back(now);
        if self.seen.len() > WINDOW {
            self.seen.pop_front();
        }
        self.quiet = self.quiet.saturating_sub(1);
        if self.quiet > 0 || wrong < LEAST || wrong.saturating_mul(share) <= all {
            return None;
        }
        self.quiet = WINDOW;
        Some(Wrong { all, wrong })
    }
}

/// The answers of each kind that the text of the metrics tells of.
fn answers(metrics: &str) -> [AnswerCounts; KINDS.len()] {
    let mut counts = [AnswerCounts::default(); KINDS.len()];
    let mut add = |metric, add: fn(&mut AnswerCounts, &Objective, &str, u64)| {
        for (labels, count) in series(metrics, metric) {
            let is_of = |kind: &Objective| kind.routes.iter().any(|route| labels.starts_with(route));
            let at = KINDS.iter().position(is_of).unwrap_or(KINDS.len() - 1);
            if let (Some(sum), Some(kind)) = (counts.get_mut(at), KINDS.get(at)) {
                add(sum, kind, labels, count.parse().unwrap_or(0));
            }
        }
    };
    add("http_requests_total", |sum, _, labels, count| {
        sum.failed.all += count;
        sum.failed.wrong += if labels.contains("status=\"5") { count } else { 0 };
    });
    add("http_request_seconds_count", |sum, kind, _, count| {
        if kind.late.is_some() {
            sum.late.all += count;
            sum.late.wrong += count;
        }
    });
    add("http_request_seconds_bucket", |sum, kind, labels, count| {
        let bound = labels.rsplit_once("le=\"").map(|(_, rest)| rest.trim_end_matches(['"', '}']));
        if bound.is_some() && bound == kind.late {
            sum.late.wrong = sum.late.wrong.saturating_sub(count);
        }
    });
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
                    http_request_seconds_bucket{method=\"POST\",route=\"/v1/payments\",le=\"1\"} 20\n\
                    http_request_seconds_bucket{method=\"POST\",route=\"/v1/payments\",le=\"2.5\"} 31\n\
                    http_request_seconds_bucket{method=\"POST\",route=\"/v1/payments\",le=\"+Inf\"} 35\n\
                    http_request_seconds_bucket{method=\"PUT\",route=\"/500\",le=\"1\"} 1\n\
                    http_request_seconds_count{method=\"POST\",route=\"/v1/payments\"} 35\n\
                    http_request_seconds_count{method=\"PUT\",route=\"/500\"} 2\n\
                    http_requests_totally 9\nhttp_request_seconds_count 77\n";
        let told = answers(text)
            .map(|AnswerCounts { failed, late }| [(failed.all, failed.wrong), (late.all, late.wrong)]);
        let none = (0, 0);
        assert_eq!(told, [[(70_000, 0), none], [(8, 0), none], [(35, 5), (35, 4)], [(7, 1), none]]);
    }

    #[test]
    fn what_is_late_after_is_a_bound_in_which_answers_are_counted() {
        let seconds = telemetry::SECONDS.map(|bound| bound.to_string());
        for late in KINDS.iter().filter_map(|kind| kind.late) {
            assert!(seconds.iter().any(|bound| bound == late), "{late}");
        }
    }

    #[test]
    fn one_in_sixty_nine_within_five_minutes_is_too_much_and_told_once_in_as_long() {
        let (mut watch, mut now, mut told) = (Watch::default(), Wrong::default(), Vec::new());
        for look in 0..60 {
            now.all += 100;
            // Nothing, then much fails for a while, then nothing again.
            if (12..24).contains(&look) {
                now.wrong += 60;
            }
            if watch.look(now, FAILED).is_some() {
                told.push(look);
            }
        }
        assert_eq!(told, [12, 22, 32]);
        // A few are no cause, whatever share they are; nor are many of very many.
        assert_eq!(Watch::default().look(Wrong { all: 19, wrong: 19 }, FAILED), None);
        assert_eq!(Watch::default().look(Wrong { all: 100_000, wrong: 1_400 }, FAILED), None);
        assert!(Watch::default().look(Wrong { all: 100_000, wrong: 1_500 }, FAILED).is_some());
    }
}
