//! A wallet and its four kinds of movements: charge, use, payment and refund.
//!
//! A movement is computed from the wallet as it is under its row's lock, so that its `balance_after` is
//! right. The rules ensure: the balance is the sum of all movements (I-LEDGER-SUM) and never negative
//! (I-LEDGER-POSITIVE); sequence numbers have no gap (I-LEDGER-NO-GAP). A movement becomes a new entry and
//! never changes an older one (I-LEDGER-APPEND-ONLY).

use std::ops::RangeInclusive;

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::Refusal;

/// The amounts that one movement may have, in the currency's minor unit.
pub(crate) const AMOUNT: RangeInclusive<i64> = 1..=1_000_000_000_000;
/// The highest balance that a charge may lead to. It is far below `i64::MAX`, so that no sum of allowed
/// amounts overflows. A refund may lead beyond it, because money that was debited is always given back.
pub(crate) const BALANCE_LIMIT: i64 = 1_000_000_000_000_000;

/// The kind of a movement.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub(crate) enum Kind {
    /// Money was put into the wallet.
    Charge,
    /// Money was spent without a payment.
    Use,
    /// A payment was debited.
    Payment,
    /// A payment was given back.
    Refund,
}

impl Kind {
    /// Every kind that an entry may have.
    pub(crate) const ALL: [Self; 4] = [Self::Charge, Self::Use, Self::Payment, Self::Refund];

    /// The word in the ledger's `kind` column.
    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::Charge => "CHARGE",
            Self::Use => "USE",
            Self::Payment => "PAYMENT",
            Self::Refund => "REFUND",
        }
    }
}

/// A user's wallet. One without entries is empty.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Wallet {
    /// The sum of all entries in the currency's minor unit, never negative.
    pub(crate) balance: i64,
    /// The number of entries, which is the sequence of the newest.
    pub(crate) entries: i64,
}

/// A decided change of one wallet, not yet written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Movement {
    /// What kind of movement it is.
    pub(crate) kind: Kind,
    /// The amount in the currency's minor unit: positive into the wallet, negative out of it.
    pub(crate) amount: i64,
    /// The number of its entry in the wallet, from 1 and without a gap.
    pub(crate) sequence: i64,
    /// The wallet's balance after it.
    pub(crate) balance_after: i64,
}

/// A movement as the ledger has it. An entry never changes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Entry {
    /// The entry's id.
    pub(crate) entry_id: Uuid,
    /// The user whose wallet it belongs to.
    pub(crate) user_id: String,
    /// Its number in the wallet, from 1 and without a gap.
    pub(crate) sequence: i64,
    /// What kind of movement it is.
    pub(crate) kind: Kind,
    /// The amount in the currency's minor unit: positive into the wallet, negative out of it.
    pub(crate) amount: i64,
    /// The wallet's balance after it.
    pub(crate) balance_after: i64,
    /// The payment that was debited or refunded; `None` for a charge or a use.
    pub(crate) payment_id: Option<Uuid>,
    /// When it was written, in microseconds since 1970 UTC.
    pub(crate) created_at: i64,
}

impl Wallet {
    /// Puts an amount into the wallet.
    ///
    /// # Errors
    /// `AmountOutOfRange`, or `BalanceLimit`.
    pub(crate) fn charge(&self, amount: i64) -> Result<Movement, Refusal> {
        let movement = self.moved(Kind::Charge, in_range(amount)?);
        if movement.balance_after > BALANCE_LIMIT { Err(Refusal::BalanceLimit) } else { Ok(movement) }
    }

    /// Spends an amount without a payment.
    ///
    /// # Errors
    /// `AmountOutOfRange`, or `InsufficientFunds`.
    pub(crate) fn spend(&self, amount: i64) -> Result<Movement, Refusal> {
        self.taken(Kind::Use, amount, None)
    }

    /// Debits a payment's amount.
    ///
    /// # Errors
    /// `AmountOutOfRange`, or `InsufficientFunds` with the payment's id.
    pub(crate) fn pay(&self, amount: i64, payment_id: Uuid) -> Result<Movement, Refusal> {
        self.taken(Kind::Payment, amount, Some(payment_id))
    }

    /// Gives a payment's amount back. A full wallet does not refuse it, because the money came from this
    /// wallet.
    ///
    /// # Errors
    /// `AmountOutOfRange`.
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
    /// The wallet after this movement.
    #[cfg(test)]
    pub(crate) const fn wallet_after(&self) -> Wallet {
        Wallet { balance: self.balance_after, entries: self.sequence }
    }

    /// The ledger's entry for this movement, under this id and written at this time.
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
