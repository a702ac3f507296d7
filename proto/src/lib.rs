//! The contract: protobuf services, the Rust generated from them, and the errors that cross the wire.
//!
//! `boxoffice/<area>/v1/*.proto` is the manual of the API. [`fault`] is the one place where a refusal becomes
//! a gRPC status and is read back from one, and where each reason has its gRPC code and its HTTP status side
//! by side; it is a crate of its own, because domains speak of refusals and know no wire.

pub mod access;
pub mod bounds;
pub mod currency;
pub mod json;
pub mod knobs;
pub mod seats;
pub mod time;
pub mod validate;

pub use ::fault::{self, Fault, Reason, Violation};
pub use currency::Currency;

/// The compiled descriptors of every file, for server reflection.
pub const DESCRIPTORS: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/descriptor.bin"));

macro_rules! generated {
    ($area:ident, $package:literal) => {
        #[doc = concat!("`", $package, "`")]
        #[allow(
            missing_docs,
            unreachable_pub,
            clippy::all,
            clippy::pedantic,
            reason = "generated from the proto, where the comments are"
        )]
        pub mod $area {
            tonic::include_proto!($package);
        }
    };
}

generated!(queue, "boxoffice.queue.v1");
generated!(booking, "boxoffice.booking.v1");
generated!(wallet, "boxoffice.wallet.v1");
generated!(checkout, "boxoffice.checkout.v1");
generated!(alerts, "boxoffice.alerts.v1");
