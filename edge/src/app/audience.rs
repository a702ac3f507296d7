//! How many streams may follow one token: the newest eight.
//!
//! That is enough for a user's tabs and devices. Each further stream ends the oldest instead of being
//! refused, so that a client whose old connection is dead without the edge knowing it (as after a change of
//! networks) can always connect again.

use std::{collections::HashMap, sync::Arc};

use parking_lot::Mutex;
use uuid::Uuid;

use super::news::{Slot, StreamEnd};

/// The most streams of one token.
const STREAMS: usize = 8;

/// The open streams of each token, the oldest first.
#[derive(Debug, Default)]
pub(super) struct Audience(Mutex<HashMap<Uuid, Vec<Arc<Slot>>>>);

/// One stream's place among those of its token, held as long as the stream is open.
#[derive(Debug)]
pub(super) struct Attendance {
    all: Arc<Audience>,
    token: Uuid,
    slot: Arc<Slot>,
}

impl Audience {
    /// Adds a stream; when its token has too many then, the oldest ends.
    pub(super) fn attend(self: &Arc<Self>, token: Uuid, slot: Arc<Slot>) -> Attendance {
        let mut all = self.0.lock();
        let streams = all.entry(token).or_default();
        streams.push(Arc::clone(&slot));
        if streams.len() > STREAMS {
            metrics::counter!("streams_displaced_total").increment(1);
            streams.remove(0).end(StreamEnd::Displaced);
        }
        Attendance { all: Arc::clone(self), token, slot }
    }
}

impl Drop for Attendance {
    fn drop(&mut self) {
        let mut all = self.all.0.lock();
        if let Some(streams) = all.get_mut(&self.token) {
            streams.retain(|slot| !Arc::ptr_eq(slot, &self.slot));
            if streams.is_empty() {
                all.remove(&self.token);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_newest_streams_of_a_token_stay() {
        let (all, token) = (Arc::<Audience>::default(), Uuid::from_u128(7));
        let seat = |token| {
            let slot = Arc::<Slot>::default();
            (Arc::clone(&slot), all.attend(token, slot))
        };
        let mut seats: Vec<_> = (0..STREAMS).map(|_| seat(token)).collect();
        let other = seat(Uuid::from_u128(8));
        assert!(seats.iter().chain([&other]).all(|(slot, _)| slot.ending().is_none()));
        seats.push(seat(token));
        let ended: Vec<_> =
            seats.iter().map(|(slot, _)| slot.ending() == Some(StreamEnd::Displaced)).collect();
        assert_eq!(ended.iter().position(|ended| *ended), Some(0));
        assert_eq!(ended.iter().filter(|ended| **ended).count(), 1);
        // A stream that ends makes room for another one.
        drop(seats.remove(5));
        seats.push(seat(token));
        assert!(seats[1].0.ending().is_none());
        drop((seats, other));
        assert!(all.0.lock().is_empty(), "nothing is kept of a token without streams");
    }
}
