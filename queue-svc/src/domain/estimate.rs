//! The estimate of when a waiting token will be admitted: a likely wait, and a range around it.
//!
//! With `a` admissions a second, and a share `d` of the waiting users giving up each second, the first `p`
//! tokens are gone after `ln(1 + d p / a) / d` seconds (`p / a` when nobody gives up). The ends of the range
//! follow from the faster and the slower of two measurements, over the last minute and over the last five.
//! The range is then widened for chance: the admissions that a place near the front still needs are few, so
//! are those that were measured, and the speed of a sale changes.

use super::{
    SECOND,
    pace::{Speed, float},
};

/// The part of the range's width that no count of admissions gives: how much the speed of a sale changes
/// during a wait.
const UNSTEADY: f64 = 0.2;
/// How many standard deviations the range extends to each side.
const WIDTH: f64 = 1.3;
/// A wait in seconds that counts as endless, about thirty years.
const NEVER: f64 = 1e9;

/// A wait in whole seconds, given in microseconds, with `low <= likely <= high`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Estimate {
    pub(super) low: i64,
    pub(super) likely: i64,
    pub(super) high: i64,
}

impl Speed {
    /// The wait of the token at this place, at most `most` microseconds.
    pub(super) fn wait(&self, place: i64, most: i64) -> Estimate {
        let place = float(place.max(1));
        let spread = (WIDTH * (1.0 / place + 1.0 / (self.evidence + 2.0) + UNSTEADY * UNSTEADY).sqrt()).exp();
        let at = |rate: f64| self.opens_in + if rate > 0.0 { self.gone_after(place, rate) } else { NEVER };
        let likely = whole(at(self.likely).ceil(), most);
        Estimate {
            low: whole((at(self.fast) / spread).floor(), most).min(likely),
            likely,
            high: whole((at(self.slow) * spread + self.halt).ceil(), most).max(likely),
        }
    }

    fn gone_after(&self, place: f64, rate: f64) -> f64 {
        let gone = self.leaving * place / rate;
        if gone > 1e-6 { gone.ln_1p() / self.leaving } else { place / rate }
    }

    /// By how many places the queue moves in a minute, to a tenth.
    pub(super) fn places_per_minute(&self, waiting: i64) -> f64 {
        if self.likely <= 0.0 {
            return 0.0;
        }
        // Users who give up move the queue as well; the middle of the queue sees half of them.
        ((self.likely + self.leaving * float(waiting) / 2.0) * 600.0).round() / 10.0
    }
}

fn whole(seconds: f64, most: i64) -> i64 {
    if seconds >= NEVER {
        return most;
    }
    #[expect(clippy::cast_possible_truncation, reason = "whole and below 10^9 by the check above")]
    let seconds = seconds as i64;
    (seconds * SECOND).clamp(0, most)
}
