//! Money: an acknowledged charge is in the wallet, once; what was never sent is not; a payment took what it
//! says or nothing.

use std::{
    collections::{BTreeMap, BTreeSet},
    rc::Rc,
};

use serde_json::Value;

use super::Affairs;
use crate::{
    history::{count, violated},
    plan::Plan,
    rest::{number, text},
};

/// What was sent and told of everybody's wallet.
#[derive(Debug)]
pub struct Money {
    purses: BTreeMap<String, Purse>,
    /// Whether what was paid may be given back, because the show is called off in this run.
    gives_back: bool,
    /// The payments that may be given back, because somebody asked for it.
    may_be_back: BTreeSet<String>,
    /// Who has come to pay, and the clerk has not looked at yet.
    at_the_till: Vec<String>,
}

#[derive(Debug, Default)]
struct Purse {
    /// By amount, which is another one each time: was it acknowledged?
    charges: BTreeMap<i64, bool>,
    /// What was told of each payment that ended.
    payments: BTreeMap<String, String>,
}

impl Money {
    pub(super) fn new(plan: &Rc<Plan>) -> Self {
        Self {
            purses: BTreeMap::new(),
            gives_back: plan.called_off.is_some(),
            may_be_back: BTreeSet::new(),
            at_the_till: Vec::new(),
        }
    }

    /// Whether a payment that was told to be the one may be told to be the other later.
    fn may_become(&self, payment: &str, told: &str, now: &str) -> bool {
        let gives_back = self.gives_back || self.may_be_back.contains(payment);
        told == now || gives_back && told == "COMPLETED" && now == "CANCELLED"
    }

    /// Somebody begins to pay.
    pub fn paying(&mut self, user: &str) {
        self.at_the_till.push(user.to_owned());
    }

    /// The last one who has come to pay, and the clerk has not looked at yet.
    pub fn next_at_the_till(&mut self) -> Option<String> {
        self.at_the_till.pop()
    }

    /// Somebody asks for the refund of a payment.
    pub(super) fn may_be_back(&mut self, payment: &str) {
        self.may_be_back.insert(payment.to_owned());
    }

    /// Somebody sends a charge of an amount that they never sent before.
    pub fn charging(&mut self, user: &str, amount: i64) {
        self.purses.entry(user.to_owned()).or_default().charges.insert(amount, false);
    }

    /// They were told that it is in the wallet, whose balance was told too.
    pub fn charged(&mut self, user: &str, amount: i64, balance: i64) {
        count("charges acknowledged");
        let purse = self.purses.entry(user.to_owned()).or_default();
        purse.charges.insert(amount, true);
        let most: i64 = purse.charges.keys().sum();
        if !(amount..=most).contains(&balance) {
            violated(
                "CHARGE-KEPT",
                &[user],
                format!("a balance of {balance} after a charge of {amount}, with {most} sent in all"),
            );
        }
    }

    /// Somebody was told how a payment ended.
    pub(super) fn settled(&mut self, user: &str, payment: &str, status: &str) {
        count(format!("payments told {status}"));
        let told = &mut self.purses.entry(user.to_owned()).or_default().payments;
        let first = told.entry(payment.to_owned()).or_insert_with(|| status.to_owned()).clone();
        // Of two tabs the one may be told later what was so earlier.
        if !self.may_become(payment, &first, status) && !self.may_become(payment, status, &first) {
            violated("ONE-OUTCOME", &[user], format!("payment {payment} was {first}, then {status}"));
        }
    }

    pub(super) fn judge(&self, affairs: &Affairs) {
        let user = affairs.user.as_str();
        let nothing = Purse::default();
        let purse = self.purses.get(user).unwrap_or(&nothing);
        let sum: i64 = affairs.entries.iter().map(|entry| number(entry, "amount")).sum();
        if affairs.balance.unwrap_or_default() != sum {
            violated(
                "LEDGER-SUM",
                &[user],
                format!("the balance is {:?}, the entries make {sum}", affairs.balance),
            );
        }
        let mut sequence: Vec<_> = affairs.entries.iter().map(|entry| number(entry, "sequence")).collect();
        sequence.sort_unstable();
        if !sequence.iter().copied().eq((1..).take(sequence.len())) {
            violated("LEDGER-NO-GAP", &[user], format!("entries are numbered {sequence:?}"));
        }
        purse.judge_charges(affairs);
        purse.judge_payments(affairs, |payment, told, now| self.may_become(payment, told, now));
    }
}

impl Purse {
    fn judge_charges(&self, affairs: &Affairs) {
        let user = [affairs.user.as_str()];
        let charges = affairs.entries.iter().filter(|entry| text(entry, "kind") == "CHARGE");
        let found: Vec<_> = charges.map(|entry| number(entry, "amount")).collect();
        for (amount, told) in &self.charges {
            let times = found.iter().filter(|found| *found == amount).count();
            if times > 1 || (*told && times == 0) {
                violated(
                    "CHARGE-KEPT",
                    &user,
                    format!("a charge of {amount} (acknowledged: {told}) is in the wallet {times} times"),
                );
            }
        }
        for amount in found.iter().filter(|amount| !self.charges.contains_key(amount)) {
            violated("CHARGE-KEPT", &user, format!("a charge of {amount} that nobody sent"));
        }
    }

    fn judge_payments(&self, affairs: &Affairs, may_become: impl Fn(&str, &str, &str) -> bool) {
        let user = [affairs.user.as_str()];
        let moved = |id: &str| -> i64 {
            let of_it = affairs.entries.iter().filter(|entry| text(entry, "paymentId") == id);
            of_it.map(|entry| number(entry, "amount")).sum()
        };
        for payment in &affairs.payments {
            let (id, status) = (text(payment, "paymentId"), text(payment, "status"));
            let due = if status == "COMPLETED" { -number(payment, "amount") } else { 0 };
            if moved(id) != due {
                violated("PAY-ONCE", &user, format!("{payment} moved {}", moved(id)));
            }
        }
        let known = |id: &str| affairs.payments.iter().find(|payment| text(payment, "paymentId") == id);
        for (id, told) in &self.payments {
            let now = known(id).map(|payment| text(payment, "status"));
            if !now.is_some_and(|now| may_become(id, told, now)) {
                violated("ONE-OUTCOME", &user, format!("payment {id} was told to be {told} and is {now:?}"));
            }
        }
        let stray = |entry: &&Value| {
            !text(entry, "paymentId").is_empty() && known(text(entry, "paymentId")).is_none()
        };
        for entry in affairs.entries.iter().filter(stray) {
            violated("PAID-IFF-MINE", &user, format!("money moved without a payment: {entry}"));
        }
    }
}
