//! How the sale went within the last hour: what the edges have counted, put together.
//!
//! An edge writes down now and then what it has counted since it began. So what it counted between two of
//! its samples is their difference, whichever samples were lost, and an edge that is gone leaves its past
//! behind. Counts of several edges are added up, those of the times that answers took bucket by bucket.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// A minute in microseconds.
const MINUTE: i64 = 60_000_000;

/// Something that was written down at the beginning of some seconds.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Sample {
    /// The name of the edge that has counted; empty for [`Figures::Sale`].
    pub(crate) source: String,
    /// The instant, in microseconds.
    pub(crate) at: i64,
    /// What was written down.
    pub(crate) figures: Figures,
}

/// What a sample tells.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Figures {
    /// What one edge has counted since it began.
    Edge(EdgeFigures),
    /// How the lines and the sales stand, which every edge is told alike.
    Sale(SaleFigures),
}

/// The counts of one edge since it began.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct EdgeFigures {
    /// How many requests were answered.
    pub(crate) answers: u64,
    /// How many of them were refused, or failed.
    pub(crate) refused: u64,
    /// Of how many it was taken how long they took: not of what was no request at all.
    #[serde(default)]
    pub(crate) timed: u64,
    /// How many of them were answered within how many seconds, by rising seconds.
    pub(crate) within: Vec<(f64, u64)>,
}

/// The lines and the sales as they stand.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct SaleFigures {
    /// The lines, of which only the newest are looked at.
    pub(crate) lines: Vec<LineFigures>,
    /// The shows that come next; empty where nobody looked, since that is done less often.
    pub(crate) shows: Vec<ShowFigures>,
    /// How many checkouts are parked.
    pub(crate) parked: Option<i64>,
}

/// One line as it stands.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct LineFigures {
    /// The id of the queue.
    pub(crate) queue_id: String,
    /// How many wait.
    pub(crate) waiting: i64,
    /// How many are registered before it opens.
    pub(crate) registered: i64,
    /// How many are admitted.
    pub(crate) active: i64,
    /// By how many places it moves in a minute.
    pub(crate) places_per_minute: f64,
}

/// The books of one show as they stand.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct ShowFigures {
    /// The number of the show.
    pub(crate) show_id: i64,
    /// How many of its seats are held.
    pub(crate) held: i64,
    /// How many are sold.
    pub(crate) sold: i64,
    /// What they brought, refunds taken off, in minor units.
    pub(crate) net: i64,
}

/// What is known of some seconds.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Gathered {
    /// How many edges have counted.
    pub(crate) edges: u32,
    /// How many answers a minute they gave together.
    pub(crate) answered_per_minute: f64,
    /// How many of those were refusals and failures.
    pub(crate) refused_per_minute: f64,
    /// Within how many seconds 99 of 100 answers were given; `None` where there was none.
    pub(crate) p99_seconds: Option<f64>,
    /// How lines and sales stood; `None` where nobody has looked.
    pub(crate) sale: Option<SaleFigures>,
}

/// The counts of all edges within some seconds.
#[derive(Default)]
struct Sum {
    told: Gathered,
    timed: u64,
    within: Vec<(f64, u64)>,
}

/// Puts samples together, which come by rising instants, and tells those after an instant. A count needs the
/// sample before it, so these must begin earlier.
pub(crate) fn history(samples: Vec<Sample>, after: i64) -> BTreeMap<i64, Gathered> {
    let (mut sums, mut latest) = (BTreeMap::<i64, Sum>::new(), BTreeMap::new());
    for Sample { source, at, figures } in samples {
        match figures {
            Figures::Sale(sale) => sums.entry(at).or_default().told.sale = Some(sale),
            Figures::Edge(now) => {
                if let Some((then, before)) = latest.get(&source) {
                    sums.entry(at).or_default().add(&now, before, at - then);
                }
                latest.insert(source, (at, now));
            }
        }
    }
    let told = sums.split_off(&after.saturating_add(1)).into_iter();
    told.map(|(at, sum)| (at, Gathered { p99_seconds: sum.quantile(0.99), ..sum.told })).collect()
}

impl Sum {
    /// Adds what an edge counted since its sample before, in so many microseconds.
    fn add(&mut self, now: &EdgeFigures, before: &EdgeFigures, micros: i64) {
        let (answers, refused) =
            (now.answers.saturating_sub(before.answers), now.refused.saturating_sub(before.refused));
        #[expect(clippy::cast_precision_loss, reason = "a rate")]
        let a_minute = |count: u64| count as f64 * MINUTE as f64 / micros.max(1) as f64;
        self.told.edges += 1;
        self.told.answered_per_minute += a_minute(answers);
        self.told.refused_per_minute += a_minute(refused);
        self.timed += now.timed.saturating_sub(before.timed);
        for (bound, count) in &now.within {
            let count = count.saturating_sub(found(&before.within, *bound).copied().unwrap_or(0));
            match self.within.iter_mut().find(|(known, _)| known.total_cmp(bound).is_eq()) {
                Some((_, sum)) => *sum += count,
                None => self.within.push((*bound, count)),
            }
        }
    }

    /// How long the slowest of a part of the answers took at most, read between the bounds of its bucket;
    /// beyond the last bound, that bound.
    #[expect(clippy::cast_precision_loss, reason = "counts of answers")]
    fn quantile(&self, part: f64) -> Option<f64> {
        if self.timed == 0 {
            return None;
        }
        let wanted = self.timed as f64 * part;
        let (mut lower, mut below) = (0.0, 0.0);
        let mut buckets = self.within.clone();
        buckets.sort_by(|(one, _), (other, _)| one.total_cmp(other));
        for (bound, count) in buckets {
            let count = count as f64;
            if count >= wanted && count > below {
                return Some(lower + (bound - lower) * (wanted - below) / (count - below));
            }
            (lower, below) = (bound, count);
        }
        Some(lower)
    }
}

fn found(within: &[(f64, u64)], bound: f64) -> Option<&u64> {
    within.iter().find(|(known, _)| known.total_cmp(&bound).is_eq()).map(|(_, count)| count)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn edge(source: &str, at: i64, answers: u64, refused: u64, fast: u64) -> Sample {
        let within = vec![(0.1, fast), (1.0, answers)];
        let figures = Figures::Edge(EdgeFigures { answers, refused, timed: answers, within });
        Sample { source: source.to_owned(), at, figures }
    }

    const TEN: i64 = 10_000_000;

    #[test]
    fn what_edges_have_counted_between_their_samples_is_added_up() {
        let samples = vec![
            edge("a", 0, 1_000, 10, 1_000),
            edge("b", 0, 50, 0, 50),
            edge("a", TEN, 1_100, 12, 1_100),
            edge("b", TEN, 150, 5, 51),
            edge("a", 3 * TEN, 1_200, 12, 1_200),
        ];
        let told = history(samples.clone(), -1);
        assert_eq!(
            told.keys().copied().collect::<Vec<_>>(),
            [TEN, 3 * TEN],
            "the first ones are compared with nothing"
        );
        let both = &told[&TEN];
        assert_eq!((both.edges, both.answered_per_minute, both.refused_per_minute), (2, 1_200.0, 42.0));
        // 200 answers, of which 101 took no longer than 0.1 s and all others no longer than 1 s.
        let p99 = both.p99_seconds.unwrap();
        assert!((p99 - (0.1 + 0.9 * (198.0 - 101.0) / 99.0)).abs() < 1e-9, "{p99}");
        // One is gone, and the other missed a sample: its hundred answers took twenty seconds.
        let one = &told[&(3 * TEN)];
        assert_eq!((one.edges, one.answered_per_minute, one.refused_per_minute), (1, 300.0, 0.0));
        assert_eq!(history(samples, TEN).keys().copied().collect::<Vec<_>>(), [3 * TEN]);
    }

    #[test]
    fn what_is_slower_than_the_last_bound_is_told_as_that_and_no_answer_takes_no_time() {
        let mut late = edge("a", TEN, 10, 0, 0);
        let Figures::Edge(figures) = &mut late.figures else { panic!() };
        figures.within = vec![(0.1, 0), (1.0, 5)];
        let told = history(vec![edge("a", 0, 0, 0, 0), late.clone(), Sample { at: 2 * TEN, ..late }], 0);
        assert_eq!([TEN, 2 * TEN].map(|at| told[&at].p99_seconds), [Some(1.0), None]);
    }

    #[test]
    fn what_was_no_request_takes_no_time() {
        let mut noisy = edge("a", TEN, 100, 40, 100);
        let Figures::Edge(figures) = &mut noisy.figures else { panic!() };
        (figures.timed, figures.within) = (60, vec![(0.1, 60), (1.0, 60)]);
        let p99 = history(vec![edge("a", 0, 0, 0, 0), noisy], 0)[&TEN].p99_seconds.unwrap();
        assert!(p99 < 0.1, "{p99}");
    }

    #[test]
    fn lines_and_sales_stand_beside_the_counts_and_are_written_as_they_are_read() {
        let line = LineFigures {
            queue_id: "default".to_owned(),
            waiting: 7,
            registered: 0,
            active: 2,
            places_per_minute: 90.5,
        };
        let show = ShowFigures { show_id: 3, held: 1, sold: 2, net: 180_000 };
        let sale = SaleFigures { lines: vec![line], shows: vec![show], parked: Some(1) };
        let figures = Figures::Sale(sale.clone());
        let written = serde_json::to_string(&figures).unwrap();
        assert_eq!(serde_json::from_str::<Figures>(&written).unwrap(), figures, "{written}");
        let told = history(vec![Sample { source: String::new(), at: TEN, figures }], 0);
        assert_eq!(told[&TEN], Gathered { sale: Some(sale), ..Gathered::default() });
    }
}
