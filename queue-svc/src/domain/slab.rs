//! The live tokens of a state in chunks of a fixed size. Growing moves no token, so there is no pause and no
//! copy that takes twice the memory.
//!
//! Where a token stands in line is kept apart from it ([`Spots`]), because a draw gives everybody another
//! place at one moment: it is worked out beside the old one, and then takes its place as a whole.

use std::sync::atomic::{AtomicBool, Ordering};

use uuid::Uuid;

use super::{TokenRow, TokenStatus, token::Instants};

const CHUNK: usize = 4_096;
/// A millisecond in microseconds.
const MILLI: i64 = 1_000;

/// A live token in memory: 96 bytes and the user's name.
#[derive(Debug)]
pub(super) struct Slot {
    pub(super) token: Uuid,
    pub(super) user: Box<str>,
    pub(super) entered_at: i64,
    pub(super) valid_until: i64,
    /// When the admission ends; 0 while the token waits.
    pub(super) active_until: i64,
    /// When the token was last admitted; 0 before its first admission.
    pub(super) admitted_at: i64,
    pub(super) heard_at: i64,
    pub(super) version: i64,
    pub(super) requeues: u32,
    /// How much later than `admitted_at` this replica learnt of the admission by its own clock, in
    /// milliseconds rounded up.
    learnt: i32,
    pub(super) status: TokenStatus,
    pub(super) priority: u8,
    /// Whether the token was heard of since `heard_at` and is on its way to the writer. Readers may set it.
    pub(super) reported: AtomicBool,
}

const _: () = assert!(size_of::<Slot>() <= 96);

impl Slot {
    /// The slot of a row that this replica learnt of at `now`, by its own clock.
    pub(super) fn new(row: TokenRow, now: i64) -> Self {
        let later = (now - row.admitted_at.unwrap_or(now) + MILLI - 1).div_euclid(MILLI);
        Self {
            learnt: i32::try_from(later).unwrap_or(if later > 0 { i32::MAX } else { i32::MIN }),
            token: row.token,
            user: row.user,
            entered_at: row.entered_at,
            valid_until: row.valid_until,
            active_until: row.active_until.unwrap_or(0),
            admitted_at: row.admitted_at.unwrap_or(0),
            heard_at: row.heard_at,
            version: row.version,
            requeues: row.requeues,
            status: row.status,
            priority: row.priority,
            reported: AtomicBool::new(false),
        }
    }

    /// The slot after a newer row. The time at which this replica learnt of the admission stays when the
    /// admission is the same; `ticket` is the one of the slot so far.
    pub(super) fn changed(&self, ticket: i64, row: TokenRow, now: i64) -> Self {
        let known = self.knows_admission(ticket, &row);
        let slot = Self::new(row, now);
        if known { Self { learnt: self.learnt, ..slot } } else { slot }
    }

    /// Whether the row has the same admission as this slot with its ticket. A token that waited in between
    /// has another ticket.
    pub(super) fn knows_admission(&self, ticket: i64, row: &TokenRow) -> bool {
        self.status == TokenStatus::Active && ticket == row.ticket
    }

    /// When this replica learnt of the admission, by its own clock.
    pub(super) fn learnt_at(&self) -> i64 {
        self.admitted_at.saturating_add(i64::from(self.learnt) * MILLI)
    }

    pub(super) fn row(&self, ticket: i64) -> TokenRow {
        TokenRow {
            token: self.token,
            user: self.user.clone(),
            status: self.status,
            priority: self.priority,
            ticket,
            entered_at: self.entered_at,
            active_until: (self.active_until != 0).then_some(self.active_until),
            valid_until: self.valid_until,
            admitted_at: (self.admitted_at != 0).then_some(self.admitted_at),
            heard_at: self.heard_at,
            requeues: self.requeues,
            version: self.version,
        }
    }

    pub(super) fn instants(&self) -> Instants {
        Instants {
            status: self.status,
            entered_at: self.entered_at,
            valid_until: self.valid_until,
            active_until: self.active_until,
            admitted_at: self.admitted_at,
            heard_at: self.heard_at,
        }
    }

    /// Marks the token as on its way to the writer; false when it is already.
    pub(super) fn report(&self) -> bool {
        // The flag is read before it is written, so that a poll that changes nothing leaves the cache line to
        // the readers.
        !self.reported.load(Ordering::Relaxed) && !self.reported.swap(true, Ordering::Relaxed)
    }

    pub(super) fn lane(&self) -> usize {
        usize::from(self.priority)
    }
}

/// Where a token stands.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Spot {
    /// The ticket, as bytes: aligned to eight it would take four more.
    ticket: [u8; 8],
    /// The token's index in its lane's list while it waits.
    pub(super) place: u32,
}

const _: () = assert!(size_of::<Spot>() == 12);

impl Spot {
    pub(super) const fn new(ticket: i64, place: u32) -> Self {
        Self { ticket: ticket.to_ne_bytes(), place }
    }

    pub(super) const fn ticket(self) -> i64 {
        i64::from_ne_bytes(self.ticket)
    }
}

/// Where all tokens stand, by the numbers of their slots.
#[derive(Clone, Debug, Default)]
pub(super) struct Spots(Vec<Vec<Spot>>);

impl Spots {
    pub(super) fn get(&self, at: u32) -> Spot {
        let (chunk, index) = split(at);
        self.0[chunk][index]
    }

    pub(super) fn set(&mut self, at: u32, spot: Spot) {
        let (chunk, index) = split(at);
        while self.0.len() <= chunk {
            self.0.push(vec![Spot::default(); CHUNK]);
        }
        self.0[chunk][index] = spot;
    }

    /// The bytes that are allocated.
    pub(super) fn memory(&self) -> usize {
        self.0.len() * CHUNK * size_of::<Spot>()
    }
}

/// All slots, each by its number.
#[derive(Debug, Default)]
pub(super) struct Slab {
    chunks: Vec<Vec<Slot>>,
    free: Vec<u32>,
}

const fn split(at: u32) -> (usize, usize) {
    (at as usize / CHUNK, at as usize % CHUNK)
}

impl Slab {
    pub(super) fn insert(&mut self, slot: Slot) -> u32 {
        if let Some(at) = self.free.pop() {
            *self.get_mut(at) = slot;
            return at;
        }
        if self.chunks.last().is_none_or(|chunk| chunk.len() == CHUNK) {
            self.chunks.push(Vec::with_capacity(CHUNK));
        }
        let last = self.chunks.len() - 1;
        let at = last * CHUNK + self.chunks[last].len();
        self.chunks[last].push(slot);
        u32::try_from(at).expect("a queue's policy allows 11 million live tokens")
    }

    /// Frees a slot; when it was the last one, all memory is given back, and the answer is true.
    pub(super) fn remove(&mut self, at: u32) -> bool {
        let slot = self.get_mut(at);
        // A slot that is free is nobody who waits.
        (slot.user, slot.status) = (Box::default(), TokenStatus::Left);
        self.free.push(at);
        let is_last = self.free.len() == self.capacity();
        if is_last {
            *self = Self::default();
        }
        is_last
    }

    pub(super) fn get(&self, at: u32) -> &Slot {
        let (chunk, index) = split(at);
        &self.chunks[chunk][index]
    }

    /// The slots of the chunk with this number, with those that are free; `None` after the last one.
    pub(super) fn chunk(&self, number: usize) -> Option<&[Slot]> {
        self.chunks.get(number).map(Vec::as_slice)
    }

    pub(super) fn get_mut(&mut self, at: u32) -> &mut Slot {
        let (chunk, index) = split(at);
        &mut self.chunks[chunk][index]
    }

    fn capacity(&self) -> usize {
        self.chunks.last().map_or(0, |last| (self.chunks.len() - 1) * CHUNK + last.len())
    }

    /// The bytes that are allocated, without the users' names.
    pub(super) fn memory(&self) -> usize {
        self.chunks.len() * CHUNK * size_of::<Slot>() + self.free.capacity() * 4
    }
}
