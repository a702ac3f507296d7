//! The names of this crate's metrics and what they mean.

use chassis::telemetry::Described;

/// Each metric's name and its description, as `/metrics` tells them.
pub(crate) const MEASURES: &[Described] = &[
    ("wallet_movements_total", "Entries written to wallets, by kind."),
    ("wallet_payments_total", "Payments that came to a status, by status."),
];
