//! Property tests: the ledger adds up after any history. Generated histories are run through the rules and
//! through a naive model beside them, and both must agree.

use std::collections::{HashMap, HashSet};

use proptest::prelude::*;
use uuid::Uuid;

use super::{Cancellation, Kind, Movement, Order, Payment, PaymentStatus, Wallet};

#[derive(Clone, Debug)]
enum Act {
    Charge(i64),
    Spend(i64),
    Pay(u128, i64),
    Cancel(u128),
}

fn act() -> impl Strategy<Value = Act> {
    // Few ids and small amounts, so that repeats, refusals and late payments are common.
    prop_oneof![
        (1..2_000_i64).prop_map(Act::Charge),
        (1..2_000_i64).prop_map(Act::Spend),
        (0..12_u128, 0..2_000_i64).prop_map(|(id, amount)| Act::Pay(id, amount)),
        (0..12_u128).prop_map(Act::Cancel),
    ]
}

/// One wallet and its payments, driven by the rules alone.
#[derive(Default)]
struct Ledger {
    wallet: Wallet,
    movements: Vec<(Movement, Option<Uuid>)>,
    payments: HashMap<Uuid, Payment>,
}

impl Ledger {
    fn post(&mut self, movement: Movement, payment_id: Option<Uuid>) {
        self.wallet = movement.wallet_after();
        self.movements.push((movement, payment_id));
    }

    fn run(&mut self, act: &Act) {
        match *act {
            Act::Charge(amount) => drop(self.wallet.charge(amount).map(|movement| self.post(movement, None))),
            Act::Spend(amount) => drop(self.wallet.spend(amount).map(|movement| self.post(movement, None))),
            Act::Pay(id, amount) => self.pay(&order(id, amount)),
            Act::Cancel(id) => self.cancel(Uuid::from_u128(id)),
        }
    }

    fn pay(&mut self, order: &Order) {
        if self.payments.contains_key(&order.payment_id) {
            return;
        }
        let payment = if order.amount == 0 {
            Payment::completed(order, 0)
        } else if let Ok(movement) = self.wallet.pay(order.amount, order.payment_id) {
            self.post(movement, Some(order.payment_id));
            Payment::completed(order, 0)
        } else {
            Payment::failed(order, 0)
        };
        self.payments.insert(order.payment_id, payment);
    }

    fn cancel(&mut self, id: Uuid) {
        let Some(payment) = self.payments.get(&id) else {
            self.payments.insert(id, Payment::tombstone(id, "", 0));
            return;
        };
        if let Cancellation::TakenBack { payment, refund, .. } = payment.cancel("", 0) {
            self.payments.insert(id, payment);
            if let Ok(movement) = self.wallet.refund(refund) {
                self.post(movement, Some(id));
            }
        }
    }
}

fn order(id: u128, amount: i64) -> Order {
    Order {
        payment_id: Uuid::from_u128(id),
        user_id: "ann".to_owned(),
        reservation_id: Uuid::from_u128(id),
        amount,
    }
}

/// The model: a number, and which ids were paid, refunded or barred.
#[derive(Default)]
struct Naive {
    balance: i64,
    paid: HashMap<u128, i64>,
    seen: HashSet<u128>,
}

impl Naive {
    fn run(&mut self, act: &Act) {
        match *act {
            Act::Charge(amount) => self.balance += amount,
            Act::Spend(amount) if amount <= self.balance => self.balance -= amount,
            Act::Pay(id, amount) if self.seen.insert(id) && amount <= self.balance => {
                self.balance -= amount;
                self.paid.insert(id, amount);
            }
            Act::Cancel(id) => {
                self.seen.insert(id);
                self.balance += self.paid.remove(&id).unwrap_or(0);
            }
            Act::Spend(_) | Act::Pay(..) => {}
        }
    }
}

proptest! {
    #[test]
    fn the_ledger_adds_up_and_agrees_with_the_naive_model(acts in prop::collection::vec(act(), 0..120)) {
        let (mut ledger, mut naive) = (Ledger::default(), Naive::default());
        for act in &acts {
            ledger.run(act);
            naive.run(act);
            prop_assert_eq!(ledger.wallet.balance, naive.balance, "after {:?}", act);
        }
        let mut sum = 0;
        for (index, (movement, _)) in ledger.movements.iter().enumerate() {
            sum += movement.amount;
            prop_assert_eq!(movement.balance_after, sum);
            prop_assert!(sum >= 0);
            prop_assert_eq!(usize::try_from(movement.sequence), Ok(index + 1));
        }
        prop_assert_eq!(sum, ledger.wallet.balance);
    }

    #[test]
    fn a_payment_is_debited_and_refunded_at_most_once(acts in prop::collection::vec(act(), 0..120)) {
        let mut ledger = Ledger::default();
        acts.iter().for_each(|act| ledger.run(act));
        let mut once = HashSet::new();
        for (movement, payment_id) in &ledger.movements {
            if let Some(id) = payment_id {
                prop_assert!(once.insert((*id, movement.kind)), "{:?} of {} twice", movement.kind, id);
            }
        }
        for (id, payment) in &ledger.payments {
            let debited = once.contains(&(*id, Kind::Payment));
            prop_assert_eq!(once.contains(&(*id, Kind::Refund)), payment.is_refunded());
            prop_assert_eq!(debited, payment.is_refunded() || payment.status == PaymentStatus::Completed && payment.amount > 0);
        }
    }

    /// A repeat, wherever it falls behind its first, changes nothing: what a retrying caller relies on.
    #[test]
    fn repeats_of_payments_and_cancellations_change_nothing(
        acts in prop::collection::vec(act(), 1..60),
        repeats in prop::collection::vec((any::<prop::sample::Index>(), any::<prop::sample::Index>()), 0..60),
    ) {
        let mut ledger = Ledger::default();
        acts.iter().for_each(|act| ledger.run(act));

        let mut with_repeats: Vec<Vec<Act>> = acts.iter().map(|act| vec![act.clone()]).collect();
        for (first, gap) in repeats {
            let first = first.index(acts.len());
            let behind = first + gap.index(acts.len() - first);
            if matches!(acts[first], Act::Pay(..)) || matches!(acts[first], Act::Cancel(_)) {
                with_repeats[behind].push(acts[first].clone());
            }
        }
        let mut noisy = Ledger::default();
        with_repeats.iter().flatten().for_each(|act| noisy.run(act));
        prop_assert_eq!(noisy.wallet, ledger.wallet);
        prop_assert_eq!(noisy.movements, ledger.movements);
        prop_assert_eq!(noisy.payments, ledger.payments);
    }
}
