//! The bitmaps of seats that [`Availability`](crate::booking::Availability) has.

use crate::booking::AvailabilityChanges;

/// What has changed from one bitmap of a show to another, which has this version.
#[must_use]
pub fn changes(before: &[u8], after: &[u8], version: i64) -> AvailabilityChanges {
    let mut changes = AvailabilityChanges { version, ..AvailabilityChanges::default() };
    for (nth, (before, after)) in (0..).zip(before.iter().zip(after)) {
        let mut different = before ^ after;
        while different != 0 {
            let bit = different.trailing_zeros();
            different &= different - 1;
            let is_taken = after >> bit & 1 == 1;
            let seats = if is_taken { &mut changes.taken } else { &mut changes.freed };
            // A bit is less than 8.
            seats.push(nth * 8 + bit.cast_signed() + 1);
        }
    }
    changes
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_differs_is_told_by_its_number() {
        let told = |before: &[u8], after: &[u8]| {
            let changes = changes(before, after, 7);
            (changes.version, changes.taken, changes.freed)
        };
        assert_eq!(told(&[0b101, 0], &[0b101, 0]), (7, vec![], vec![]));
        assert_eq!(told(&[0b101, 0], &[0b110, 0x80]), (7, vec![2, 16], vec![1]));
        assert_eq!(told(&[0xff, 0x0f], &[0, 0]).2, (1..=12).collect::<Vec<_>>());
        assert_eq!(told(&[], &[]), (7, vec![], vec![]));
    }
}
