//! What the metrics of this crate mean.

use chassis::telemetry::Described;

pub(crate) const MEASURES: &[Described] = &[
    ("wallet_movements_total", "Entries written to wallets, by kind."),
    ("wallet_payments_total", "Payments that came to a status, by status."),
];
