//! How figures are told: each round, then the median with its lowest and highest, beside the goal.

use std::time::Duration;

use crate::{load::Tally, meter::Used};

/// Values of several rounds.
#[derive(Clone, Debug, Default)]
pub(crate) struct Rounds(Vec<f64>);

impl Rounds {
    pub(crate) fn push(&mut self, value: f64) {
        self.0.push(value);
    }

    fn sorted(&self) -> Vec<f64> {
        let mut sorted = self.0.clone();
        sorted.sort_by(f64::total_cmp);
        sorted
    }

    pub(crate) fn median(&self) -> f64 {
        let sorted = self.sorted();
        match sorted.len() {
            0 => 0.0,
            n if n % 2 == 1 => sorted[n / 2],
            n => f64::midpoint(sorted[n / 2 - 1], sorted[n / 2]),
        }
    }

    /// Median, and in parentheses lowest to highest.
    pub(crate) fn told(&self, digits: usize) -> String {
        let sorted = self.sorted();
        let (low, high) = (sorted.first().copied().unwrap_or(0.0), sorted.last().copied().unwrap_or(0.0));
        format!("{} ({} to {})", number(self.median(), digits), number(low, digits), number(high, digits))
    }
}

impl FromIterator<f64> for Rounds {
    fn from_iter<I: IntoIterator<Item = f64>>(values: I) -> Self {
        Self(values.into_iter().collect())
    }
}

/// A number with its thousands apart.
pub(crate) fn number(value: f64, digits: usize) -> String {
    let text = format!("{:.digits$}", value.abs());
    let (whole, fraction) = text.split_at(text.find('.').unwrap_or(text.len()));
    let mut out = String::new();
    for (at, digit) in whole.chars().enumerate() {
        if at > 0 && (whole.len() - at) % 3 == 0 {
            out.push(',');
        }
        out.push(digit);
    }
    let sign = if value < 0.0 { "-" } else { "" };
    format!("{sign}{out}{fraction}")
}

/// A span in milliseconds.
pub(crate) fn millis(span: Duration) -> f64 {
    span.as_secs_f64() * 1e3
}

/// What a figure has to be.
#[derive(Clone, Copy)]
pub(crate) enum Goal {
    /// So much or more.
    AtLeast(f64),
    /// So much or less.
    AtMost(f64),
}

/// The line that counts: what, the figure, the goal, and whether it is reached.
pub(crate) fn figure(what: &str, rounds: &Rounds, digits: usize, goal: Goal) {
    let (sign, goal, reached) = match goal {
        Goal::AtLeast(goal) => ("at least", goal, rounds.median() >= goal),
        Goal::AtMost(goal) => ("at most", goal, rounds.median() <= goal),
    };
    let verdict = if reached { "reached" } else { "MISSED" };
    println!("  {what:<58} {:>32}   {sign} {}: {verdict}", rounds.told(digits), number(goal, digits));
}

/// A figure without a goal.
pub(crate) fn fact(what: &str, told: &str) {
    println!("  {what:<58} {told:>32}");
}

/// One run: rate, latencies, errors, CPU.
pub(crate) fn run(what: &str, tally: &Tally, used: Option<&Used>) {
    let at = |share: f64| millis(tally.latency.quantile(share));
    let mut line = format!(
        "  {what:<26} {:>9}/s   p50 {:>8.2}  p99 {:>8.2}  max {:>8.2} ms",
        number(tally.rate(), 0),
        at(0.5),
        at(0.99),
        millis(tally.latency.max())
    );
    if let Some(used) = used {
        let count = tally.latency.count();
        line += &format!(
            "   CPU {:.1} µs each ({}); cores: {}",
            used.micros_each(count),
            used.by_part(count),
            used.cores()
        );
    }
    println!("{line}");
    if tally.errors > 0 {
        println!("      {} ERRORS, such as: {}", tally.errors, tally.example.as_deref().unwrap_or("?"));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_median_is_told_with_its_extremes() {
        let rounds: Rounds = [3.0, 1_234_567.0, 1.0].into_iter().collect();
        assert_eq!(rounds.told(0), "3 (1 to 1,234,567)");
        assert_eq!([1.0, 2.0].into_iter().collect::<Rounds>().told(1), "1.5 (1.0 to 2.0)");
        assert_eq!((number(999.0, 0).as_str(), number(-1_000.26, 1).as_str()), ("999", "-1,000.3"));
    }
}
