//! The people of the office who change the show while it is on sale: two at a time, who have read the same
//! state of it and change something each, one at either edge. One of them is told that somebody was faster,
//! reads again, and changes what there is then.

use std::time::Duration;

use chassis::rfc3339::Rfc3339;
use rand::{Rng, SeedableRng, rngs::StdRng};
use serde_json::{Value, json};
use tokio::time::sleep;

use crate::{
    history::{self, count},
    office::until_done,
    person::{LAST_CALL, Scene},
    plan::{EDGES, OFFICE},
    rest::Request,
};

/// When the show begins as it was planned at first: 2031-05-01T19:00:00Z.
pub const BEGINS: i64 = 1_935_428_400_000_000;
/// How far it is moved each time.
const DAY: i64 = 24 * 3_600 * 1_000_000;
/// How long an answer is waited for.
const PATIENCE: Duration = Duration::from_secs(10);
/// How soon it is tried again.
const AGAIN: Duration = Duration::from_millis(200);

/// Those who change the show.
#[derive(Debug)]
pub struct Menders {
    scene: Scene,
    show: i64,
    rng: StdRng,
}

impl Menders {
    /// The menders of a run.
    #[must_use]
    pub fn new(scene: &Scene, show: i64) -> Self {
        let rng = StdRng::seed_from_u64(scene.plan.seed ^ 0x3E2D);
        Self { scene: scene.clone(), show, rng }
    }

    /// Makes all changes at their times.
    pub async fn work(mut self) {
        let plan = self.scene.plan.clone();
        for (nth, at) in (1..).zip(&plan.mended) {
            sleep(at.saturating_sub(history::now())).await;
            let tag = self.read(0).await;
            if self.rng.random_bool(0.4) {
                self.scene.weather.aim(&mut self.rng);
            }
            let moved = json!({"startsAt": Rfc3339::of(BEGINS + nth * DAY).as_str()});
            let other = if plan.hall.dearer == Some(*at) {
                json!({"prices": plan.hall.dearer_prices()})
            } else {
                json!({"title": format!("Evening {nth}")})
            };
            futures::join!(self.change(0, tag.clone(), moved), self.change(1, tag, other));
        }
    }

    fn path(&self) -> String {
        format!("/v1/shows/{}", self.show)
    }

    /// The tag of the show as it is told.
    async fn read(&self, edge: usize) -> String {
        let answer = until_done(&Request::get(self.path()).first_at(EDGES[edge])).await;
        self.scene.model.borrow_mut().show.read(&answer);
        answer.tag
    }

    /// Changes the show, from the state of this tag on, until it is done, or cannot be any more.
    async fn change(&self, edge: usize, mut tag: String, change: Value) {
        let is_dearer = change["prices"].is_array();
        let told = |is_told| {
            if is_dearer {
                self.scene.model.borrow_mut().asks.dearer(is_told);
            }
        };
        while history::now() < self.scene.plan.calm + LAST_CALL {
            if self.scene.model.borrow().show.has(&tag, &change) {
                return told(true);
            }
            told(false);
            let nth = self.scene.model.borrow_mut().show.changing(&tag, &change);
            let request = Request::patch(self.path(), change.clone()).if_match(&tag);
            let answer = request.send(OFFICE, EDGES[edge], PATIENCE).await;
            self.scene.model.borrow_mut().show.changed(nth, answer.as_ref());
            match answer.as_ref().map(|answer| (answer.status, answer.code())) {
                Some((200, _)) => {
                    count("changes made");
                    return told(true);
                }
                Some((409, _)) => return,
                Some((412, _)) => count("changes that were slower"),
                _ => count("changes not answered"),
            }
            sleep(AGAIN).await;
            tag = self.read(edge).await;
        }
    }
}
