//! The waiting room as plain synchronous Rust: no I/O, no SQL, no protobuf; the time and new ids come in as
//! arguments.
//!
//! ```text
//!   commands, now ──► decide(&Room) ──► Decision { rows, head, outcomes } ──► (SQL commit) ──► Room::advance
//!                        reads only                        on this replica and, by tailing, on all others
//! ```
//!
//! A [`Room`] holds what is committed and nothing else, so a failed commit has nothing to undo. Deciding
//! happens on an overlay ([`draft`]) in which the commands of one batch see each other.

mod draft;
mod estimate;
mod head;
mod lane;
mod pace;
mod permits;
mod policy;
mod room;
mod slab;
mod token;
mod view;

#[cfg(test)]
mod batch_tests;
#[cfg(test)]
mod clocks_tests;
#[cfg(test)]
mod model_tests;
#[cfg(test)]
mod on_sale_tests;

pub use draft::{Command, Decision, MAX_ADMITTED, MAX_EXPIRED, Outcome, decide};
pub use head::{Admissions, Head};
pub use pace::Delay;
pub use policy::{OnExpiry, PolicyPatch, QueuePolicy};
pub use room::Room;
pub use token::{LANES, Status, TokenRow, line_tag, tag_of, tagged};
pub use view::{LaneView, QueueView, TokenView};

/// One second in microseconds, the unit of every instant and span here.
pub const SECOND: i64 = 1_000_000;
