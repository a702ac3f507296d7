//! A token of the contract, as the rules about streams see it.

use super::notices::{SeenPlace, is_final};
use crate::domain::pace::Standing;

/// What the rules need to know of a place.
pub(crate) fn standing(SeenPlace { token, notice }: &SeenPlace) -> Standing {
    Standing {
        version: token.version,
        status: token.status,
        is_final: is_final(token),
        ticket: token.ticket,
        position: token.position,
        waiting_behind: token.waiting_behind,
        active_until: token.active_until.as_ref().map_or(0, |until| until.seconds),
        requeues: token.requeues,
        estimated_wait: token.estimated_wait.as_ref().map_or(0, |wait| wait.seconds),
        delay_reason: token.delay_reason,
        poll_after: token.poll_after.as_ref().map(|after| after.seconds),
        opens_at: token.opens_at.as_ref().map(|at| at.seconds),
        notice: notice.as_ref().map(|notice| notice.mark()),
    }
}
