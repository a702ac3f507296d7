//! The story of a checkout: which steps were taken, when, and with which outcome. It is for operators;
//! nothing is decided by it.
//!
//! Equal attempts in a row are one line with a count, so that an hour of failed attempts is one line too. The
//! story is written with the journal's own writes: when the checkout settles or is parked, and before that
//! only when something goes wrong. What a runner noted since its last write is lost with it; the next runner
//! notes that it took over.

use fault::Reason;
use serde::{Deserialize, Serialize};

/// The most lines of a story. When there are more, lines in the middle are left out.
const LINES: usize = 64;

/// The outcome of an attempt.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub(crate) enum Tried {
    /// It took effect, now or earlier.
    Done,
    /// It was refused.
    Refused,
    /// It may have taken effect, or may yet.
    Unknown,
}

impl Tried {
    /// The word for it in metrics.
    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::Done => "done",
            Self::Refused => "refused",
            Self::Unknown => "unknown",
        }
    }
}

/// One or more equal attempts in a row.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Attempt {
    /// The name of the step, or [`Story::TAKEN_OVER`].
    pub(crate) step: String,
    /// The outcome of each.
    pub(crate) outcome: Tried,
    /// The reason of the refusal or failure; none when it was done.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) reason: Option<String>,
    /// When the first of them was answered, in microseconds.
    pub(crate) first_at: i64,
    /// When the last of them was answered, in microseconds.
    pub(crate) last_at: i64,
    /// How many they were, at least one.
    pub(crate) times: u32,
}

/// All attempts, in order.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Story(Vec<Attempt>);

impl Story {
    /// The step of a line that says that another runner took over.
    pub(crate) const TAKEN_OVER: &str = "taken_over";

    /// Notes an attempt at a step and its outcome.
    pub(crate) fn note(&mut self, step: &str, (outcome, reason): (Tried, Option<Reason>), at: i64) {
        let reason = reason.map(Reason::as_str);
        match self.0.last_mut() {
            Some(last)
                if last.step == step && last.outcome == outcome && last.reason.as_deref() == reason =>
            {
                last.last_at = at;
                last.times = last.times.saturating_add(1);
            }
            _ => {
                if self.0.len() == LINES {
                    self.0.remove(LINES / 2);
                }
                let (step, reason) = (step.to_owned(), reason.map(str::to_owned));
                self.0.push(Attempt { step, outcome, reason, first_at: at, last_at: at, times: 1 });
            }
        }
    }

    /// Notes that another runner took the checkout over.
    pub(crate) fn taken_over(&mut self, at: i64) {
        self.note(Self::TAKEN_OVER, (Tried::Done, None), at);
    }

    /// The attempts, the first one first.
    pub(crate) fn lines(&self) -> &[Attempt] {
        &self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn equal_attempts_in_a_row_are_one_line() {
        let mut story = Story::default();
        for at in [10, 20, 30] {
            story.note("create_payment", (Tried::Unknown, Some(Reason::Unavailable)), at);
        }
        story.note("create_payment", (Tried::Done, None), 40);
        let told: Vec<_> = story
            .lines()
            .iter()
            .map(|line| (line.outcome, line.first_at, line.last_at, line.times))
            .collect();
        assert_eq!(told, [(Tried::Unknown, 10, 30, 3), (Tried::Done, 40, 40, 1)]);
        assert_eq!(story.lines()[0].reason.as_deref(), Some("UNAVAILABLE"));
    }

    #[test]
    fn a_long_story_keeps_its_beginning_and_its_end() {
        let mut story = Story::default();
        for at in 0..1_000 {
            story.note("create_payment", (Tried::Unknown, Some(Reason::Unavailable)), at);
            story.taken_over(at);
        }
        assert_eq!(story.lines().len(), LINES);
        assert_eq!((story.lines()[0].first_at, story.lines()[LINES - 1].last_at), (0, 999));
    }
}
