//! The rules, as plain synchronous Rust: what a hold may become, which seats may be asked for, which day a
//! show is on. No I/O, no SQL, no protobuf; the time and the ids come in as arguments.

pub mod batch;
pub mod best;
pub mod books;
pub mod cooldown;
pub mod dates;
pub mod events;
pub mod hall;
pub mod hold;
pub mod mending;
pub mod occupancy;
pub mod refusal;
pub mod seat_set;
pub mod seats;
pub mod show;

pub use batch::{
    Changes, Choices, Holder, HolderKey, Locked, NewHold, Request, Rules, SeatKey, SeatRow, Wanted,
};
pub use best::Best;
pub use events::{HoldEvent, Release, ShowMove, WaitingEvent, WaitingMove};
pub use hall::{Hall, HallRow, Place, Section};
pub use hold::{Hold, Reservation, State, Status};
pub use mending::{ConcertChange, ShowChange};
pub use occupancy::{Availability, HallView, Occupancy};
pub use refusal::Refusal;
pub use seat_set::SeatSet;
pub use seats::{SeatMap, Selection};
pub use show::{Concert, NewConcert, NewShow, Show, Standing};
