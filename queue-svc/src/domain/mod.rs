//! The rules of a queue as plain synchronous Rust: no I/O, no SQL, no protobuf; the time and new ids come in
//! as arguments.
//!
//! ```text
//!   commands, now ──► decide(&QueueState) ──► Decision { rows, head, outcomes } ──► (SQL commit)
//!                        reads only                          ──► QueueState::advance, on this replica
//!                                                                and, by tailing, on all others
//! ```
//!
//! A [`QueueState`] holds what is committed and nothing else, so a failed commit has nothing to undo.
//! Deciding happens on an overlay ([`draft`]) in which the commands of one batch see each other.

mod beacon;
mod draft;
mod draw;
mod estimate;
mod lane;
pub mod opened;
mod pace;
mod permits;
mod policy;
mod queue;
mod slab;
mod state;
mod token;
mod view;

#[cfg(test)]
mod batch_tests;
#[cfg(test)]
mod beacon_tests;
#[cfg(test)]
mod clocks_tests;
#[cfg(test)]
mod dealing_tests;
#[cfg(test)]
mod draw_tests;
#[cfg(test)]
mod model_tests;
#[cfg(test)]
mod on_sale_tests;
#[cfg(test)]
mod opening_tests;
#[cfg(test)]
mod state_tests;

pub use beacon::{AFTER_OPENING, Beacon, Chain, ChainRefusal, Entrants, SCHEME, randomness};
pub use draft::{Command, CommandOutcome, Decision, MAX_ADMITTED, MAX_EXPIRED, decide};
pub use draw::{ALGORITHM, Draw, DrawSecret, Hash, Proof, root_of, token_hash};
pub use opened::{Opened, WaitingEvent};
pub use pace::Delay;
pub use policy::{Message, OnExpiry, Opening, PolicyPatch, QueuePolicy, Texts};
pub use queue::{Admissions, Awaited, DrawSetting, Drawn, PolicyRefusal, QueueRow};
pub use state::{Dealing, QueueState};
pub use token::{LANES, TokenRow, TokenStatus, queue_tag, tag_of, tagged};
pub use view::{LaneView, QueueView, TokenView};

/// One second in microseconds, which are the unit of every time and span here.
pub const SECOND: i64 = 1_000_000;
