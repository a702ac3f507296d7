//! What goes wrong, and when: what the seed has laid down, and what is aimed at somebody in the middle of
//! something.

use std::{
    cell::{Cell, RefCell},
    collections::BTreeMap,
    rc::Rc,
    time::Duration,
};

use rand::{Rng, rngs::StdRng};

use crate::{
    history,
    plan::{Plan, Trouble, trouble},
};

/// All troubles to come. Clones are the same weather.
#[derive(Clone, Debug)]
pub struct Weather {
    /// By their time; those of one time in the order in which they were added.
    coming: Rc<RefCell<BTreeMap<(Duration, usize), Trouble>>>,
    added: Rc<Cell<usize>>,
    calm: Duration,
}

impl Weather {
    /// The plan's.
    #[must_use]
    pub fn new(plan: &Plan) -> Self {
        let weather = Self { coming: Rc::default(), added: Rc::default(), calm: plan.calm };
        for (at, trouble) in &plan.troubles {
            weather.add(*at, *trouble);
        }
        weather
    }

    fn add(&self, at: Duration, trouble: Trouble) {
        self.coming.borrow_mut().insert((at, self.added.get()), trouble);
        self.added.set(self.added.get() + 1);
    }

    /// A trouble within the next third of a second, while somebody does what must not be interrupted.
    pub fn aim(&self, rng: &mut StdRng) {
        let from = history::now() + Duration::from_millis(rng.random_range(0..=300));
        if from >= self.calm {
            return;
        }
        history::count("aimed");
        let lasts = Duration::from_millis(rng.random_range(100..=4_000));
        for (begins, ends) in trouble(rng) {
            self.add(from, begins);
            self.add((from + lasts).min(self.calm), ends);
        }
    }

    /// What is due by now.
    #[must_use]
    pub fn due(&self, now: Duration) -> Vec<Trouble> {
        let mut coming = self.coming.borrow_mut();
        let later = coming.split_off(&(now + Duration::from_nanos(1), 0));
        std::mem::replace(&mut *coming, later).into_values().collect()
    }
}
