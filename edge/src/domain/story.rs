//! The story of a checkout: which steps were taken, when, and what came of each. It is told to operators and
//! changes nothing.
//!
//! Equal attempts in a row are one line with a count, so that an hour of vain attempts is one line too. It is
//! kept with the journal's own writes: when the checkout settles or is parked, and beforehand only when
//! something goes wrong. What a runner did since then is lost with it; that another one took over is told.

use boxoffice_proto::Reason;
use serde::{Deserialize, Serialize};

use super::saga::{Outcome, Saga};

/// More lines than this are told by their beginning and their end.
const LINES: usize = 64;

/// What came of an attempt.
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

/// One or more equal attempts in a row.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Attempt {
    /// The step: [`Saga::name`], or [`Story::TAKEN_OVER`].
    pub(crate) step: String,
    /// What came of it.
    pub(crate) outcome: Tried,
    /// Why, unless it was done.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) reason: Option<String>,
    /// When the first of them was answered.
    pub(crate) first_at: i64,
    /// When the last of them was.
    pub(crate) last_at: i64,
    /// How many they were.
    pub(crate) times: u32,
}

/// All that was tried, in order.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Story(Vec<Attempt>);

impl Story {
    /// The line that tells of another runner.
    pub(crate) const TAKEN_OVER: &str = "taken_over";

    /// Notes what came of a step.
    pub(crate) fn note(&mut self, saga: &Saga, outcome: &Outcome, at: i64) {
        let (tried, reason) = match outcome {
            Outcome::Done | Outcome::TakenBack { .. } => (Tried::Done, None),
            Outcome::Refused(why) => (Tried::Refused, Some(why.reason)),
            Outcome::Unknown(why) => (Tried::Unknown, Some(*why)),
        };
        self.add(saga.name(), tried, reason, at);
    }

    /// Notes that another runner goes on from here.
    pub(crate) fn taken_over(&mut self, at: i64) {
        self.add(Self::TAKEN_OVER, Tried::Done, None, at);
    }

    /// The lines.
    pub(crate) fn lines(&self) -> &[Attempt] {
        &self.0
    }

    fn add(&mut self, step: &str, outcome: Tried, reason: Option<Reason>, at: i64) {
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
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn equal_attempts_in_a_row_are_one_line() {
        let mut story = Story::default();
        for at in [10, 20, 30] {
            story.note(&Saga::Debit, &Outcome::Unknown(Reason::Unavailable), at);
        }
        story.note(&Saga::Debit, &Outcome::Done, 40);
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
            story.note(&Saga::Debit, &Outcome::Unknown(Reason::Unavailable), at);
            story.taken_over(at);
        }
        assert_eq!(story.lines().len(), LINES);
        assert_eq!((story.lines()[0].first_at, story.lines()[LINES - 1].last_at), (0, 999));
    }
}
