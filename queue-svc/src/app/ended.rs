//! The tokens that ended lately. Their users go on polling for a while, and are answered from here without
//! asking the database.

use std::collections::{HashMap, VecDeque};

use uuid::Uuid;

use crate::domain::TokenRow;

/// The most tokens that are kept for a queue, about 5 MB. Older ones are read from the database.
const KEPT: usize = 20_000;

/// The last tokens of a queue that ended. A token that has ended never changes, so none of these is ever out
/// of date; except that who left and registers again for a draw has the same token, which is looked for among
/// those that are live before it is looked for here.
#[derive(Debug, Default)]
pub(super) struct Ended {
    rows: HashMap<Uuid, TokenRow>,
    order: VecDeque<Uuid>,
}

impl Ended {
    pub(super) fn keep<'a>(&mut self, rows: impl Iterator<Item = &'a TokenRow>) {
        for row in rows.filter(|row| !row.status.is_live()) {
            if self.rows.insert(row.token, row.clone()).is_none() {
                self.order.push_back(row.token);
            }
        }
        while self.order.len() > KEPT {
            if let Some(oldest) = self.order.pop_front() {
                self.rows.remove(&oldest);
            }
        }
    }

    pub(super) fn get(&self, token: &Uuid) -> Option<TokenRow> {
        self.rows.get(token).cloned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::TokenStatus;

    #[test]
    fn only_the_last_that_ended_are_kept() {
        let row = |id: u128, status| TokenRow {
            token: Uuid::from_u128(id),
            user: "ann".into(),
            status,
            priority: 5,
            ticket: 1,
            entered_at: 0,
            active_until: None,
            valid_until: 1,
            admitted_at: None,
            heard_at: 0,
            requeues: 0,
            version: 1,
        };
        let mut ended = Ended::default();
        let many: Vec<_> = (0..=KEPT as u128).map(|id| row(id, TokenStatus::Left)).collect();
        ended.keep(many.iter());
        ended.keep([row(u128::MAX, TokenStatus::Waiting)].iter());
        let kept = |id| ended.get(&Uuid::from_u128(id)).is_some();
        assert_eq!([kept(0), kept(1), kept(KEPT as u128), kept(u128::MAX)], [false, true, true, false]);
    }
}
