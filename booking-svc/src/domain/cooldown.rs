//! The pause after holds that ended unpaid: who keeps taking seats and letting them go waits longer and
//! longer before the next hold, so that the seats are there for others (I-COOLDOWN).

/// Holds that ended unpaid within this span, in microseconds, count together; it is also the longest pause.
pub const WINDOW: i64 = 10 * 60 * 1_000_000;
/// As many holds of a show may end unpaid within the window; with the next one a pause begins.
const FREE: usize = 2;

/// How far back the ends of holds matter: a pause is at most one window long, and counts the ends of the
/// window before it.
pub const MEMORY: i64 = 2 * WINDOW;

/// Until when a user may hold no further seats of a show whose holds of it ended unpaid at these times. With
/// the third end within ten minutes a pause of `cooldown` begins, and each further one doubles it.
#[must_use]
pub fn paused_until(ends: &[i64], cooldown: i64) -> Option<i64> {
    let newest = ends.iter().copied().max()?;
    let counted = ends.iter().filter(|end| **end > newest.saturating_sub(WINDOW)).count();
    let doublings = u32::try_from(counted.checked_sub(FREE + 1)?).unwrap_or(u32::MAX);
    let factor = 1_i64.checked_shl(doublings).filter(|factor| *factor > 0).unwrap_or(i64::MAX);
    Some(newest.saturating_add(cooldown.saturating_mul(factor).min(WINDOW)))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const MINUTE: i64 = 60 * 1_000_000;

    #[test]
    fn the_third_end_within_ten_minutes_begins_a_pause_and_each_further_one_doubles_it() {
        let mut ends = vec![0, 5];
        assert_eq!(paused_until(&[], MINUTE), None);
        assert_eq!(paused_until(&ends, MINUTE), None);
        for pause in [1, 2, 4, 8, 10, 10] {
            let newest = 5 + i64::try_from(ends.len()).unwrap_or_default();
            ends.push(newest);
            assert_eq!(paused_until(&ends, MINUTE), Some(newest + pause * MINUTE));
        }
        ends.extend(vec![8; 200]);
        assert_eq!(paused_until(&ends, MINUTE), Some(12 + 10 * MINUTE), "and no number overflows");
    }

    #[test]
    fn what_is_longer_ago_does_not_count() {
        assert_eq!(paused_until(&[0, 1, WINDOW], MINUTE), None);
        assert_eq!(paused_until(&[1, 2, WINDOW], MINUTE), Some(WINDOW + MINUTE));
    }

    proptest! {
        #[test]
        fn a_pause_follows_the_newest_end_and_no_older_end_than_is_remembered_changes_it(
            ends in proptest::collection::vec(0..3 * WINDOW, 0..12), cooldown in 1..WINDOW, now in 0..3 * WINDOW
        ) {
            let ends: Vec<i64> = ends.into_iter().filter(|end| *end <= now).collect();
            let until = paused_until(&ends, cooldown).filter(|until| *until > now);
            prop_assert!(until.is_none_or(|until| until <= now + WINDOW));
            let recent: Vec<i64> = ends.iter().copied().filter(|end| *end > now - MEMORY).collect();
            prop_assert_eq!(until, paused_until(&recent, cooldown).filter(|until| *until > now));
        }
    }
}
