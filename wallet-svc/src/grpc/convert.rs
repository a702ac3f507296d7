//! Conversion of domain values into protobuf messages.

use boxoffice_proto::{time::timestamp, wallet as pb};
use uuid::Uuid;

use crate::domain::{Entry, Kind, Payment, PaymentStatus};

impl From<Kind> for pb::EntryKind {
    fn from(kind: Kind) -> Self {
        match kind {
            Kind::Charge => Self::Charge,
            Kind::Use => Self::Use,
            Kind::Payment => Self::Payment,
            Kind::Refund => Self::Refund,
        }
    }
}

impl From<PaymentStatus> for pb::PaymentStatus {
    fn from(status: PaymentStatus) -> Self {
        match status {
            PaymentStatus::Completed => Self::Completed,
            PaymentStatus::Failed => Self::Failed,
            PaymentStatus::Cancelled => Self::Cancelled,
        }
    }
}

impl From<Entry> for pb::Entry {
    fn from(entry: Entry) -> Self {
        Self {
            entry_id: entry.entry_id.to_string(),
            user_id: entry.user_id,
            sequence: entry.sequence,
            kind: pb::EntryKind::from(entry.kind).into(),
            amount: entry.amount,
            balance_after: entry.balance_after,
            payment_id: entry.payment_id.as_ref().map(Uuid::to_string).unwrap_or_default(),
            created_at: Some(timestamp(entry.created_at)),
        }
    }
}

impl From<Payment> for pb::Payment {
    fn from(payment: Payment) -> Self {
        let (user_id, reservation_id) = payment
            .purpose
            .map(|purpose| (purpose.user_id, purpose.reservation_id.to_string()))
            .unwrap_or_default();
        Self {
            payment_id: payment.payment_id.to_string(),
            user_id,
            reservation_id,
            amount: payment.amount,
            status: pb::PaymentStatus::from(payment.status).into(),
            reason: payment.reason,
            created_at: Some(timestamp(payment.created_at)),
            settled_at: Some(timestamp(payment.settled_at)),
        }
    }
}
