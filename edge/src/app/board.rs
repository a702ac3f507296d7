//! The board of a show: what can be had of it and the latest changes, for all streams that follow it. A
//! stream knows how far it has read.

use std::sync::Arc;

use boxoffice_proto::{
    booking::{Availability, AvailabilityChanges},
    seats::changes,
};

use super::shared::SharedMessage;

/// How many changes a board has: those of ten seconds, so that whoever was cut off and comes back after the
/// pause of `retry:` goes on where they were.
const RECENT: usize = 40;

/// What can be had of a show, at one version.
pub(crate) type HallMap = SharedMessage<Availability>;
/// What has changed from one version to the next one that was told.
pub(crate) type HallChange = SharedMessage<AvailabilityChanges>;

/// What the streams of a show read.
pub(super) struct Board {
    /// How many changes there were.
    pub(super) number: u64,
    /// The map after the latest one.
    pub(super) map: Arc<HallMap>,
    /// The latest changes, the oldest first.
    recent: Vec<Arc<HallChange>>,
    /// How many heartbeats there were.
    pub(super) beats: u64,
    /// Whether this edge shuts down.
    pub(super) is_closed: bool,
}

impl Board {
    pub(super) const fn of(map: Arc<HallMap>) -> Self {
        Self { number: 0, map, recent: Vec::new(), beats: 0, is_closed: false }
    }

    /// The change that comes after so many, if the board reaches back to it.
    pub(super) fn change(&self, after: u64) -> Option<&Arc<HallChange>> {
        let behind = usize::try_from(self.number.checked_sub(after)?).ok()?;
        self.recent.get(self.recent.len().checked_sub(behind)?)
    }

    /// After how many changes a reader is who knows this version; `None` when the board does not know.
    /// Equal versions are equal maps, however often a show was at one.
    pub(super) fn place_of(&self, version: i64) -> Option<u64> {
        if self.map.message.version == version {
            return Some(self.number);
        }
        let newer = self.recent.iter().rev().position(|change| change.message.version == version)?;
        self.number.checked_sub(u64::try_from(newer).ok()?)
    }

    /// The board after another look.
    pub(super) fn after(&self, map: Arc<HallMap>) -> Self {
        let change = changes(&self.map.message.taken, &map.message.taken, map.message.version);
        let mut recent: Vec<_> = self.recent.iter().rev().take(RECENT - 1).rev().cloned().collect();
        recent.push(Arc::new(SharedMessage::new(change)));
        Self { number: self.number + 1, map, recent, beats: self.beats, is_closed: false }
    }

    /// The board after a heartbeat.
    pub(super) fn beaten(&self) -> Self {
        Self { beats: self.beats + 1, ..self.same() }
    }

    /// The board when this edge shuts down.
    pub(super) fn closed(&self) -> Self {
        Self { is_closed: true, ..self.same() }
    }

    fn same(&self) -> Self {
        let Self { number, map, recent, beats, is_closed } = self;
        let (map, recent) = (Arc::clone(map), recent.clone());
        Self { number: *number, map, recent, beats: *beats, is_closed: *is_closed }
    }
}
