//! A wallet and the four ways in which money moves through it.
//!
//! A movement is computed from the wallet as it is under its lock, so that its `balance_after` is the truth.
//! It promises: the balance is the sum of all movements (I-LEDGER-SUM) and never negative
//! (I-LEDGER-POSITIVE); sequence numbers have no gap (I-LEDGER-NO-GAP). A movement becomes a new entry and
//! never changes an older one (I-LEDGER-APPEND-ONLY).

use std::ops::RangeInclusive;

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::Refusal;

/// What one movement may be.
pub(crate) const AMOUNT: RangeInclusive<i64> = 1..=1_000_000_000_000;
/// What a charge may fill a wallet to. Far below `i64::MAX`, so that no sum of what is allowed can overflow.
/// A refund may go beyond it: money that was taken is always given back.
pub(crate) const BALANCE_LIMIT: i64 = 1_000_000_000_000_000;

/// What a movement was.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub(crate) enum Kind {
    /// A top-up.
    Charge,
    /// Spent outside any payment.
    Use,
    /// Spent by a payment.
    Payment,
    /// A payment given back.
    Refund,
}

impl Kind {
    pub(crate) const ALL: [Self; 4] = [Self::Charge, Self::Use, Self::Payment, Self::Refund];

    /// The word in the ledger.
    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::Charge => "CHARGE",
            Self::Use => "USE",
            Self::Payment => "PAYMENT",
            Self::Refund => "REFUND",
        }
    }
}

/// What a user has, and how many movements led there.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Wallet {
    pub(crate) balance: i64,
    pub(crate) entries: i64,
}

/// A decided change of one wallet, not yet written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Movement {
    pub(crate) kind: Kind,
    /// Positive into the wallet, negative out of it.
    pub(crate) amount: i64,
    pub(crate) sequence: i64,
    pub(crate) balance_after: i64,
}

/// A movement in the ledger. Never changed again.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Entry {
    pub(crate) entry_id: Uuid,
    pub(crate) user_id: String,
    pub(crate) sequence: i64,
    pub(crate) kind: Kind,
    pub(crate) amount: i64,
    pub(crate) balance_after: i64,
    pub(crate) payment_id: Option<Uuid>,
    pub(crate) created_at: i64,
}

impl Wallet {
    /// Tops up.
    pub(crate) fn charge(&self, amount: i64) -> Result<Movement, Refusal> {
        let movement = self.moved(Kind::Charge, in_range(amount)?);
        if movement.balance_after > BALANCE_LIMIT { Err(Refusal::BalanceLimit) } else { Ok(movement) }
    }

    /// Spends outside any payment.
    pub(crate) fn spend(&self, amount: i64) -> Result<Movement, Refusal> {
        self.taken(Kind::Use, amount, None)
    }

    /// Spends by a payment.
    pub(crate) fn pay(&self, amount: i64, payment_id: Uuid) -> Result<Movement, Refusal> {
        self.taken(Kind::Payment, amount, Some(payment_id))
    }

    /// Gives a payment's amount back. There is no reason to refuse what was taken from this very wallet.
    pub(crate) fn refund(&self, amount: i64) -> Result<Movement, Refusal> {
        Ok(self.moved(Kind::Refund, in_range(amount)?))
    }

    fn taken(&self, kind: Kind, amount: i64, payment_id: Option<Uuid>) -> Result<Movement, Refusal> {
        let movement = self.moved(kind, -in_range(amount)?);
        if movement.balance_after < 0 { Err(Refusal::InsufficientFunds { payment_id }) } else { Ok(movement) }
    }

    const fn moved(&self, kind: Kind, amount: i64) -> Movement {
        Movement { kind, amount, sequence: self.entries + 1, balance_after: self.balance + amount }
    }
}

fn in_range(amount: i64) -> Result<i64, Refusal> {
    if AMOUNT.contains(&amount) { Ok(amount) } else { Err(Refusal::AmountOutOfRange) }
}

impl Movement {
    /// The wallet once this is written.
    #[cfg(test)]
    pub(crate) const fn wallet_after(&self) -> Wallet {
        Wallet { balance: self.balance_after, entries: self.sequence }
    }

    /// The ledger's line for it.
    pub(crate) fn entry(self, entry_id: Uuid, user_id: &str, payment_id: Option<Uuid>, now: i64) -> Entry {
        Entry {
            entry_id,
            user_id: user_id.to_owned(),
            sequence: self.sequence,
            kind: self.kind,
            amount: self.amount,
            balance_after: self.balance_after,
            payment_id,
            created_at: now,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_balance_is_spent_to_the_last_unit_and_not_beyond() {
        let wallet = Wallet { balance: 5_000, entries: 3 };
        let all = Movement { kind: Kind::Use, amount: -5_000, sequence: 4, balance_after: 0 };
        assert_eq!(wallet.spend(5_000), Ok(all));
        assert_eq!(wallet.spend(5_001), Err(Refusal::InsufficientFunds { payment_id: None }));
        let payment_id = Uuid::from_u128(7);
        assert_eq!(
            wallet.pay(5_001, payment_id),
            Err(Refusal::InsufficientFunds { payment_id: Some(payment_id) })
        );
    }

    #[test]
    fn a_charge_may_fill_a_wallet_and_not_overfill_it() {
        let wallet = Wallet { balance: BALANCE_LIMIT - 1, entries: 1 };
        assert!(wallet.charge(1).is_ok());
        assert_eq!(wallet.charge(2), Err(Refusal::BalanceLimit));
    }

    #[test]
    fn a_refund_is_never_refused_for_a_full_wallet() {
        let wallet = Wallet { balance: BALANCE_LIMIT, entries: 1 };
        assert_eq!(wallet.refund(1).map(|movement| movement.balance_after), Ok(BALANCE_LIMIT + 1));
    }

    #[test]
    fn nothing_negative_nothing_and_nothing_huge_is_moved() {
        let wallet = Wallet { balance: 100, entries: 1 };
        for amount in [0, -1, i64::MIN, i64::MAX, AMOUNT.end() + 1] {
            let refused = Err(Refusal::AmountOutOfRange);
            assert_eq!(wallet.charge(amount), refused);
            assert_eq!(wallet.spend(amount), refused);
            assert_eq!(wallet.pay(amount, Uuid::nil()), refused);
            assert_eq!(wallet.refund(amount), refused);
        }
    }
}
