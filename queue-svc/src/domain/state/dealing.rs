//! How the places of a draw are dealt to those who wait: beside the places that they have, a part at a time,
//! while readers go on. Then they take the place of the old ones in one moment ([`QueueState::take_over`]).

use std::sync::Arc;

use uuid::Uuid;

use super::{Draw, LANES, Lane, QueueState, Spot, Spots, TokenRow, TokenStatus};

/// How many places are dealt at a time, which takes a few milliseconds.
const PART: usize = 10_000;

/// The places of everybody after a draw, as they are being dealt.
#[derive(Debug)]
pub struct Dealing {
    /// The version of the state that they are dealt of.
    version: i64,
    draw: Arc<Draw>,
    /// How many numbers have their places.
    dealt: usize,
    /// Whether those who took no part have theirs too.
    is_whole: bool,
    spots: Spots,
    lanes: [Lane; LANES],
}

impl Dealing {
    /// Begins to deal the places of this draw.
    #[must_use]
    pub fn begin(state: &QueueState, draw: Arc<Draw>) -> Self {
        Self {
            version: state.version(),
            draw,
            dealt: 0,
            is_whole: false,
            spots: state.spots.clone(),
            lanes: Default::default(),
        }
    }

    /// Deals the next places; false when there is nothing left to do, or the state has changed since this was
    /// begun, and it is in vain.
    pub fn go_on(&mut self, state: &QueueState) -> bool {
        if self.is_whole || state.version() != self.version {
            return false;
        }
        let draw = Arc::clone(&self.draw);
        let (after, last) = (draw.after(), draw.after() + draw.of());
        let mut ticket = after + i64::try_from(self.dealt).unwrap_or(i64::MAX);
        let part = draw.order()[self.dealt..].iter().take(PART);
        self.dealt += part.len();
        for token in part {
            ticket += 1;
            // Who has left since took part all the same, and has no place.
            if let Some(at) = state.find(token)
                && state.slab.get(at).status == TokenStatus::Waiting
                && (state.ticket(at) <= after || state.ticket(at) == ticket)
            {
                self.put(state, at, ticket);
            }
        }
        if self.dealt == draw.order().len() {
            // Whoever else waits has come since, or was sent back, and stands behind.
            for lane in &state.lanes {
                for at in lane.tail(|at| state.ticket(at) > last) {
                    self.put(state, at, state.ticket(at));
                }
            }
            self.is_whole = true;
        }
        !self.is_whole
    }

    fn put(&mut self, state: &QueueState, at: u32, ticket: i64) {
        let place = self.lanes[state.slab.get(at).lane()].push(at, ticket);
        self.spots.set(at, Spot::new(ticket, place));
    }
}

impl QueueState {
    /// Adds the tokens that take part in a draw that is held now and are in this part of memory, which takes
    /// a fraction of a millisecond; false after the last part.
    pub fn add_registered(&self, part: usize, into: &mut Vec<Uuid>) -> bool {
        let Some(slots) = self.slab.chunk(part) else { return false };
        let waiting = slots.iter().filter(|slot| slot.status == TokenStatus::Waiting);
        into.extend(waiting.map(|slot| slot.token));
        true
    }

    /// Deals the places of a draw at once, of a state that has no readers.
    pub fn deal(&mut self, draw: Arc<Draw>) {
        let mut dealing = Dealing::begin(self, draw);
        while dealing.go_on(self) {}
        self.take_over(&mut dealing);
    }

    /// Takes over what was dealt of this state: who took part has the ticket of the number from now on.
    /// Readers wait for two exchanges; what was there before is free when the caller drops it. False when
    /// not all is dealt or the state has changed since, and nothing is taken over.
    pub fn take_over(&mut self, dealing: &mut Dealing) -> bool {
        let fits = dealing.is_whole && dealing.version == self.version() && self.draw.is_none();
        if fits {
            std::mem::swap(&mut self.spots, &mut dealing.spots);
            std::mem::swap(&mut self.lanes, &mut dealing.lanes);
            self.draw = Some(Arc::clone(&dealing.draw));
        }
        fits
    }

    /// The ticket that a row has in line. Rows that were not written since the draw still have the ticket of
    /// the coming, which is replaced here and where places are dealt, and nowhere else.
    pub(super) fn ticket_of(&self, row: &TokenRow) -> i64 {
        let drawn = self.draw.as_ref().filter(|draw| row.ticket <= draw.after());
        drawn.and_then(|draw| Some(draw.after() + draw.number(&row.token)?)).unwrap_or(row.ticket)
    }
}
