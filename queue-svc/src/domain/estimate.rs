//! When somebody at this place will be admitted: a likely wait, and the range in which to read it.
//!
//! With `a` admissions a second, and a share `d` of those who wait giving up each second, the `p` people up
//! to and including this one are gone after `ln(1 + d p / a) / d` seconds (`p / a` where nobody gives up).
//! The range does that with the faster and the slower of what was measured over the last minute and the last
//! five, and widens it by chance: the few admissions that a place near the front still needs, and the few
//! that were seen, come when they come; and a sale does not stay as it is.

use super::{
    SECOND,
    pace::{Speed, float},
};

/// What cannot be told from counting: how much a sale's speed changes within a wait.
const UNSTEADY: f64 = 0.2;
/// How many standard deviations to each side.
const WIDTH: f64 = 1.3;
/// Beyond thirty years there is no telling.
const NEVER: f64 = 1e9;

/// A wait in whole seconds (as microseconds), `low <= likely <= high`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Estimate {
    pub(super) low: i64,
    pub(super) likely: i64,
    pub(super) high: i64,
}

impl Speed {
    /// The wait of whoever stands at this place, at most `most`.
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

    /// How many places the queue moves on in a minute, to a tenth.
    pub(super) fn places_per_minute(&self, waiting: i64) -> f64 {
        if self.likely <= 0.0 {
            return 0.0;
        }
        // Those who give up move it as well; the middle of the queue sees half of them.
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
