//! The state machine against a small model of the three services, exhaustively: every interleaving of up to
//! five mishaps (a lost request, a lost reply, a request that arrives late, a crash, a second runner's view,
//! the world moving on) with every step.
//! The model is the judge: it does not know the saga, only what must be true once nothing is under way any
//! more.

use std::collections::HashSet;

use super::*;

const PRICE: i64 = 100;
/// Enough for any two to meet any third in the middle of a compensation; the walk stays below some seconds in
/// a debug build.
const MISHAPS: u8 = 5;

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Hold {
    Live,
    Lapsed,
    Cancelled,
    Ours,
    Refunded,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Payment {
    Absent,
    Completed,
    Failed,
    Refunded,
    Barred,
}

/// The three services, as the contract describes them.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct World {
    hold: Hold,
    payment: Payment,
    balance: i64,
    /// Other money movements of the user, so that the books can be checked.
    outside: i64,
    token_live: bool,
    /// Calls whose answer nobody waits for any more, still on their way.
    late: Vec<Call>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
enum Call {
    Extend,
    Debit,
    Confirm,
    Complete,
    Release,
    Refund,
    Unsell,
    Repay,
}

fn call_of(saga: &Saga) -> Call {
    match saga {
        Saga::Extend => Call::Extend,
        Saga::Debit => Call::Debit,
        Saga::Confirm => Call::Confirm,
        Saga::Complete => Call::Complete,
        Saga::Release(_) => Call::Release,
        Saga::Refund(_) => Call::Refund,
        Saga::Unsell => Call::Unsell,
        Saga::Repay => Call::Repay,
    }
}

fn no(reason: Reason) -> Fault {
    Fault::new(reason, "no")
}

fn refused(reason: Reason) -> Outcome {
    Outcome::Refused(no(reason))
}

impl World {
    fn serve(&mut self, call: Call) -> Outcome {
        match call {
            Call::Extend => self.live_or_ours(),
            Call::Confirm => {
                let outcome = self.live_or_ours();
                if outcome == Outcome::Done {
                    self.hold = Hold::Ours;
                }
                outcome
            }
            Call::Release => match self.hold {
                Hold::Ours => refused(Reason::AlreadyPaid),
                Hold::Live => {
                    self.hold = Hold::Cancelled;
                    Outcome::Done
                }
                Hold::Lapsed | Hold::Cancelled | Hold::Refunded => Outcome::Done,
            },
            Call::Debit => self.debit(),
            Call::Refund | Call::Repay => self.refund(),
            Call::Unsell => match self.hold {
                Hold::Ours | Hold::Refunded => {
                    self.hold = Hold::Refunded;
                    Outcome::Done
                }
                Hold::Live | Hold::Lapsed | Hold::Cancelled => refused(Reason::RefundNotPossible),
            },
            Call::Complete if self.token_live => Outcome::Done,
            Call::Complete => refused(Reason::TokenNotActive),
        }
    }

    fn live_or_ours(&self) -> Outcome {
        match self.hold {
            Hold::Live | Hold::Ours => Outcome::Done,
            Hold::Lapsed => refused(Reason::HoldExpired),
            Hold::Cancelled | Hold::Refunded => refused(Reason::ReservationCancelled),
        }
    }

    fn debit(&mut self) -> Outcome {
        if self.payment == Payment::Absent {
            let enough = self.balance >= PRICE;
            self.payment = if enough { Payment::Completed } else { Payment::Failed };
            self.balance -= if enough { PRICE } else { 0 };
        }
        match self.payment {
            Payment::Absent | Payment::Completed => Outcome::Done,
            Payment::Failed => refused(Reason::InsufficientFunds),
            Payment::Refunded | Payment::Barred => Outcome::Barred(no(Reason::ReservationCancelled)),
        }
    }

    fn refund(&mut self) -> Outcome {
        match self.payment {
            Payment::Absent => self.payment = Payment::Barred,
            Payment::Completed => {
                self.payment = Payment::Refunded;
                self.balance += PRICE;
            }
            Payment::Failed | Payment::Refunded | Payment::Barred => {}
        }
        let reason = (self.payment == Payment::Failed).then_some(Reason::InsufficientFunds);
        Outcome::TakenBack { refunded: self.payment == Payment::Refunded, reason }
    }

    /// Everything that may happen by itself.
    fn moved_on(&self) -> Vec<Self> {
        let mut worlds = Vec::new();
        if self.hold == Hold::Live {
            worlds.push(Self { hold: Hold::Lapsed, ..self.clone() });
            worlds.push(Self { hold: Hold::Cancelled, ..self.clone() });
        }
        if self.token_live {
            worlds.push(Self { token_live: false, ..self.clone() });
        }
        if self.balance >= PRICE {
            worlds.push(Self {
                balance: self.balance - PRICE,
                outside: self.outside - PRICE,
                ..self.clone()
            });
        }
        worlds.push(Self { balance: self.balance + PRICE, outside: self.outside + PRICE, ..self.clone() });
        worlds
    }

    fn late_arrivals(&self) -> Vec<Self> {
        let arrive = |index: usize| {
            let mut world = self.clone();
            let call = world.late.remove(index);
            world.serve(call);
            world
        };
        (0..self.late.len()).map(arrive).collect()
    }

    fn with_late(mut self, call: Call) -> Self {
        self.late.push(call);
        self.late.sort_unstable();
        self
    }
}

/// A world, and the runners that work on the one checkout in it: normally one; two when a lease lapsed under
/// a slow one.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Scene {
    world: World,
    runners: Vec<Runner>,
    settled: Option<(Status, Option<Reason>)>,
    undo: Undo,
    mishaps: u8,
}

/// Whether the sale is undone.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Undo {
    No,
    Asked,
    Done,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Runner {
    call: Call,
    why: Option<Reason>,
}

impl Runner {
    fn at(saga: &Saga) -> Self {
        let why = match saga {
            Saga::Release(why) | Saga::Refund(why) => Some(why.reason),
            Saga::Extend | Saga::Debit | Saga::Confirm | Saga::Complete | Saga::Unsell | Saga::Repay => None,
        };
        Self { call: call_of(saga), why }
    }

    fn saga(&self) -> Saga {
        let why = || Fault::new(self.why.unwrap(), "no");
        match self.call {
            Call::Extend => Saga::Extend,
            Call::Debit => Saga::Debit,
            Call::Confirm => Saga::Confirm,
            Call::Complete => Saga::Complete,
            Call::Release => Saga::Release(why()),
            Call::Refund => Saga::Refund(why()),
            Call::Unsell => Saga::Unsell,
            Call::Repay => Saga::Repay,
        }
    }
}

impl Scene {
    /// Every scene that may follow.
    fn successors(&self, release: bool) -> Vec<Self> {
        let mut scenes = Vec::new();
        for index in 0..self.runners.len() {
            self.step(index, release, &mut scenes);
        }
        for world in self.world.late_arrivals() {
            scenes.push(Self { world, ..self.clone() });
        }
        if self.mishaps > 0 {
            let mishaps = self.mishaps - 1;
            for world in self.world.moved_on() {
                scenes.push(Self { world, mishaps, ..self.clone() });
            }
            if self.settled.is_none() && self.runners.len() == 1 {
                let mut joined = self.clone();
                joined.runners.push(Runner::at(&Saga::resume()));
                scenes.push(Self { mishaps, ..joined });
            }
            // An operator asks for a refund of what the journal calls sold, or another runner of it joins.
            let is_sold = matches!(self.settled, Some((Status::Completed, _)));
            if is_sold && (self.undo == Undo::No || self.undo == Undo::Asked && self.runners.len() == 1) {
                let mut asked = Self { mishaps, undo: Undo::Asked, ..self.clone() };
                asked.runners.push(Runner::at(&Saga::undo()));
                scenes.push(asked);
            }
        }
        scenes
    }

    /// One runner makes its call: answered; or, each a mishap, lost on the way, answered into the void, or
    /// late; or it crashes before or after the call, and the checkout is taken up from nothing.
    fn step(&self, index: usize, release: bool, scenes: &mut Vec<Self>) {
        let saga = self.runners[index].saga();
        let call = call_of(&saga);
        let mut served = self.world.clone();
        let outcome = served.serve(call);
        scenes.push(self.after(index, served.clone(), saga.clone().next(outcome, release)));
        if self.mishaps == 0 {
            return;
        }
        let mishap = Self { mishaps: self.mishaps - 1, ..self.clone() };
        let unknown = || saga.clone().next(Outcome::Unknown(Reason::Unavailable), release);
        scenes.push(mishap.after(index, served.clone(), unknown()));
        scenes.push(mishap.after(index, self.world.clone(), unknown()));
        scenes.push(mishap.after(index, self.world.clone().with_late(call), unknown()));
        let taken_up = if matches!(call, Call::Unsell | Call::Repay) { Saga::undo() } else { Saga::resume() };
        scenes.push(mishap.after(index, served, Next::Run(taken_up.clone())));
        scenes.push(mishap.after(index, self.world.clone(), Next::Run(taken_up)));
        // A retry that extends first, because the hold ran low.
        scenes.push(mishap.after(index, self.world.clone().with_late(call), Next::Run(saga.again(0))));
    }

    fn after(&self, index: usize, world: World, next: Next) -> Self {
        let mut scene = Self { world, ..self.clone() };
        match next {
            Next::Run(saga) | Next::Again(saga) | Next::Stuck(saga) => {
                scene.runners[index] = Runner::at(&saga)
            }
            Next::End(Ending::Refunded) => {
                scene.runners.remove(index);
                scene.undo = Undo::Done;
            }
            Next::End(ending) => {
                scene.runners.remove(index);
                let status = ending.status();
                let reason = ending.refusal(Uuid::nil()).map(|fault| fault.reason);
                // The journal keeps the first ending; a second runner's must say the same about money and
                // seat.
                match scene.settled {
                    None => scene.settled = Some((status, reason)),
                    // A slow one that meets what the refund has taken back already takes back the rest.
                    Some(_) if scene.undo != Undo::No => {}
                    Some((first, _)) => assert_eq!(first, status, "two runners disagree: {self:?}"),
                }
            }
        }
        scene
    }

    /// What must be true when nothing is under way any more.
    fn judge(&self, start: &World) {
        let (status, reason) =
            self.settled.unwrap_or_else(|| panic!("nothing to do, and not settled: {self:?}"));
        let world = &self.world;
        let paid = world.payment == Payment::Completed;
        let debit = if paid { PRICE } else { 0 };
        assert_eq!(world.balance, start.balance + world.outside - debit, "I-PAID-IFF-MINE, money: {self:?}");
        assert_eq!(paid, world.hold == Hold::Ours, "I-PAID-IFF-MINE: {self:?}");
        let allowed = match status {
            Status::Pending => false,
            Status::Completed if self.undo == Undo::No => paid && reason.is_none(),
            // I-BACK-IFF-FREE
            Status::Completed => {
                let is_back = world.payment == Payment::Refunded && world.hold == Hold::Refunded;
                self.undo == Undo::Done && is_back
            }
            Status::Failed => {
                matches!(world.payment, Payment::Absent | Payment::Failed | Payment::Barred)
                    && reason.is_some()
            }
            Status::Compensated => world.payment == Payment::Refunded && reason.is_some(),
        };
        assert!(allowed, "I-ONE-OUTCOME: {status:?} {reason:?} in {world:?}");
        if world.payment == Payment::Failed {
            assert_eq!(
                reason,
                Some(Reason::InsufficientFunds),
                "the cause is told, not its consequence: {self:?}"
            );
        }
    }
}

/// Walks every scene that can be reached, and judges each in which nothing is left to do. Returns (scenes,
/// endings seen).
fn explore(start: World, first: Saga, release: bool) -> (usize, HashSet<Status>) {
    let origin = Scene {
        world: start.clone(),
        runners: vec![Runner::at(&first)],
        settled: None,
        undo: Undo::No,
        mishaps: MISHAPS,
    };
    let (mut seen, mut stack, mut endings) = (HashSet::from([origin.clone()]), vec![origin], HashSet::new());
    while let Some(scene) = stack.pop() {
        if scene.runners.is_empty() && scene.world.late.is_empty() {
            scene.judge(&start);
            endings.extend(scene.settled.map(|(status, _)| status));
        }
        for next in scene.successors(release) {
            if seen.insert(next.clone()) {
                stack.push(next);
            }
        }
    }
    (seen.len(), endings)
}

fn world(balance: i64) -> World {
    World {
        hold: Hold::Live,
        payment: Payment::Absent,
        balance,
        outside: 0,
        token_live: true,
        late: Vec::new(),
    }
}

#[test]
fn whatever_happens_a_checkout_ends_paid_and_mine_or_not_mine_and_money_back() {
    for (balance, release) in [(PRICE, true), (PRICE, false), (0, true), (0, false)] {
        for first in [Saga::begin(ENOUGH_HOLD), Saga::begin(0)] {
            let (scenes, endings) = explore(world(balance), first, release);
            assert!(scenes > 1_000, "the model explored next to nothing: {scenes}");
            assert_eq!(endings.len(), 3, "each ending is reachable by some mishap: {endings:?}");
        }
    }
}

/// Every scene without a mishap left must come to an end by itself: no cycle.
#[test]
fn without_mishaps_a_checkout_settles_within_six_calls_from_anywhere() {
    let holds = [Hold::Live, Hold::Lapsed, Hold::Cancelled, Hold::Ours];
    let payments = [Payment::Absent, Payment::Completed, Payment::Failed, Payment::Refunded, Payment::Barred];
    let why = || Fault::new(Reason::HoldExpired, "no");
    let sagas =
        [Saga::Extend, Saga::Debit, Saga::Confirm, Saga::Complete, Saga::Release(why()), Saga::Refund(why())];
    for hold in holds {
        for payment in payments {
            for saga in &sagas {
                let mut world = World { hold, payment, ..world(PRICE) };
                let mut next = Next::Run(saga.clone());
                for _ in 0..6 {
                    if let Next::Run(saga) | Next::Again(saga) | Next::Stuck(saga) = next.clone() {
                        let outcome = world.serve(call_of(&saga));
                        next = saga.next(outcome, true);
                    }
                }
                assert!(
                    matches!(next, Next::End(_)),
                    "{saga:?} with {hold:?}, {payment:?} stopped at {next:?}"
                );
            }
        }
    }
}

#[test]
fn an_unknown_outcome_never_leads_anywhere_but_to_the_same_question() {
    let why = || Fault::new(Reason::HoldExpired, "no");
    for saga in [
        Saga::Extend,
        Saga::Debit,
        Saga::Confirm,
        Saga::Complete,
        Saga::Release(why()),
        Saga::Refund(why()),
        Saga::Unsell,
        Saga::Repay,
    ] {
        for reason in Reason::ALL {
            assert_eq!(saga.clone().next(Outcome::Unknown(*reason), true), Next::Again(saga.clone()));
            assert_eq!(saga.clone().next(Outcome::Broken(*reason), true), Next::Stuck(saga.clone()));
        }
    }
}

#[test]
fn what_is_decided_does_not_depend_on_the_reason_that_the_user_is_told() {
    let kind = |next: &Next| match next {
        Next::Run(saga) => ("run", saga.name()),
        Next::Again(saga) => ("again", saga.name()),
        Next::Stuck(saga) => ("stuck", saga.name()),
        Next::End(ending) => ("end", ending.status().as_str()),
    };
    for release in [true, false] {
        for reason in Reason::ALL {
            for saga in [
                Saga::Extend,
                Saga::Debit,
                Saga::Confirm,
                Saga::Complete,
                Saga::Refund(no(*reason)),
                Saga::Unsell,
                Saga::Repay,
            ] {
                for outcome in [Outcome::Refused as fn(Fault) -> Outcome, Outcome::Barred] {
                    let (this, other) = (outcome(no(*reason)), outcome(no(Reason::Internal)));
                    let (this, other) = (saga.clone().next(this, release), saga.clone().next(other, release));
                    assert_eq!(kind(&this), kind(&other), "{saga:?}: {reason}");
                }
            }
        }
    }
}

#[test]
fn a_token_that_ran_out_does_not_undo_a_sale() {
    assert_eq!(Saga::Complete.next(refused(Reason::TokenNotActive), true), Next::End(Ending::Completed));
}

#[test]
fn a_refund_that_is_refused_is_asked_for_again() {
    let saga = Saga::Refund(Fault::new(Reason::HoldExpired, "no"));
    assert_eq!(saga.clone().next(refused(Reason::InvalidArgument), true), Next::Stuck(saga));
}

#[test]
fn a_compensated_refusal_says_that_the_money_is_back() {
    let fault = Ending::Compensated(Fault::new(Reason::HoldExpired, "The hold has lapsed."))
        .refusal(Uuid::nil())
        .unwrap();
    assert_eq!(fault.detail, "The hold has lapsed. The money is back in the wallet.");
    assert_eq!(fault.metadata.get("payment_status").map(String::as_str), Some("CANCELLED"));
    assert_eq!(fault.metadata.get("payment_id"), Some(&Uuid::nil().to_string()));
}
