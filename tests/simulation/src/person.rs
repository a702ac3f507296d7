//! Somebody who comes to the sale: charges, joins, waits, looks, holds, pays, asks again when nothing comes
//! back, changes their mind, or is never heard of again. What they send and are told goes to the [`Model`].

use std::{cell::RefCell, rc::Rc, time::Duration};

use rand::{Rng, SeedableRng, rngs::StdRng, seq::IteratorRandom};
use serde_json::json;
use tokio::time::sleep;

use crate::{
    history::{self, count, violated},
    model::{Model, Wanted},
    plan::{EDGES, Plan},
    rest::{Answer, Request},
    weather::Weather,
};

/// The most tabs that anybody has.
pub const TABS: u8 = 2;
/// The line in front of the sale.
pub const LINE: &str = "hall";
/// How long they wait in a window that they do not look at.
const PATIENCE: Duration = Duration::from_secs(6);
/// How often something is asked for until somebody gives up.
const TRIES: u32 = 12;
/// How long people still begin something new after nothing goes wrong any more.
pub const LAST_CALL: Duration = Duration::from_secs(5);
/// How long a payment may take, once nothing goes wrong any more.
pub const SETTLES_WITHIN: Duration = Duration::from_secs(60);

/// What everybody of a run knows. Clones are the same.
#[derive(Clone, Debug)]
pub struct Scene {
    /// What the seed decided.
    pub plan: Rc<Plan>,
    /// What people are told goes here.
    pub model: Rc<RefCell<Model>>,
    /// What goes wrong.
    pub weather: Weather,
}

/// Somebody.
#[derive(Debug)]
pub struct Person {
    name: String,
    /// In which of their browser's tabs.
    tab: i64,
    rng: StdRng,
    scene: Scene,
    show: i64,
    asked: u32,
    charges: i64,
    /// The seats that they have just given back and want again.
    again: Option<Vec<i64>>,
}

/// What somebody is called.
#[must_use]
pub fn name(number: usize) -> String {
    format!("p{number:02}")
}

/// What becomes of somebody who was in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum After {
    /// They may come again.
    Again,
    /// They have gone for good.
    Gone,
}

impl Person {
    /// One of those who come; some use two tabs at once.
    #[must_use]
    pub fn new(number: usize, tab: u8, scene: &Scene, show: i64) -> Self {
        let unique = u64::try_from(number).unwrap_or_default() * u64::from(TABS) + u64::from(tab);
        Self {
            name: name(number),
            tab: i64::from(tab),
            rng: StdRng::seed_from_u64(scene.plan.seed.wrapping_mul(1_000).wrapping_add(unique)),
            scene: scene.clone(),
            show,
            asked: 0,
            charges: 0,
            again: None,
        }
    }

    /// All of it.
    pub async fn live(mut self) {
        self.charge().await;
        let latest = self.scene.plan.coming.as_secs_f64();
        self.wait(0.0, latest).await;
        for _ in 0..3 {
            if self.is_over() {
                break;
            }
            let Some(token) = self.enter().await else { break };
            if self.shop(&token).await == After::Gone || self.chance(0.4) {
                break;
            }
        }
        history::note(&self.name, "is done");
    }

    fn is_over(&self) -> bool {
        history::now() > self.scene.plan.calm + LAST_CALL
    }

    fn chance(&mut self, of: f64) -> bool {
        self.rng.random_bool(of)
    }

    async fn wait(&mut self, least: f64, most: f64) {
        sleep(Duration::from_secs_f64(self.rng.random_range(least..=most.max(least)))).await;
    }

    /// A key that nobody else has.
    fn key(&mut self) -> String {
        self.asked += 1;
        format!("{}-{}-{}", self.name, self.tab, self.asked)
    }

    /// Sends a request until an answer stands: to either edge, sometimes to both at once, each time with the
    /// same key. `None` when they give up; what became of it is then unknown.
    async fn ask(&mut self, request: &Request, same: fn(&Answer) -> String) -> Option<Answer> {
        let tries = if self.chance(0.1) { 1 } else { TRIES };
        for _ in 0..tries {
            let patience = Duration::from_millis(self.rng.random_range(1_000..=6_000));
            let first = self.rng.random_range(0..EDGES.len());
            let (one, other) = (EDGES[first], EDGES[1 - first]);
            let both = request.known_by().is_some() && self.chance(0.15);
            let answers = if both {
                let (one, other) = futures::join!(
                    request.send(&self.name, one, patience),
                    request.send(&self.name, other, patience)
                );
                [one, other]
            } else {
                [request.send(&self.name, one, patience).await, None]
            };
            for answer in answers.iter().flatten() {
                self.scene.model.borrow_mut().heard(&self.name, request, answer, same);
            }
            let standing = || answers.iter().flatten().filter(|answer| answer.stands());
            if let Some(answer) = standing().find(|answer| answer.is_done()).or_else(|| standing().next()) {
                return Some(answer.clone());
            }
            count("asked again");
            self.wait(0.05, 0.8).await;
        }
        count("given up");
        None
    }

    /// Tops up, by an amount that tells this charge from all others.
    async fn charge(&mut self) {
        for _ in 0..self.rng.random_range(1..=3) {
            self.charges += 1;
            let unique = self.charges * i64::from(TABS) + self.tab;
            let amount = self.scene.plan.sale.price * self.rng.random_range(1..=4) + unique;
            self.scene.model.borrow_mut().money.charging(&self.name, amount);
            let path = format!("/v1/wallets/{}/charges", self.name);
            let request = Request::post(path, json!({"amount": amount})).key(self.key());
            let told = self.ask(&request, |answer| answer.body.to_string()).await;
            if let Some(answer) = told.filter(Answer::is_done) {
                self.scene.model.borrow_mut().money.charged(&self.name, amount, answer.number("balance"));
            }
        }
    }

    /// Joins the line. The answer, or nothing when it did not come.
    async fn join(&mut self) -> Option<Answer> {
        self.scene.model.borrow_mut().line.joining(&self.name, history::now());
        if self.chance(0.04) {
            self.scene.weather.aim(&mut self.rng);
        }
        let request =
            Request::post(format!("/v1/queues/{LINE}/tokens"), json!({"userId": self.name})).key(self.key());
        let answer =
            self.ask(&request, |answer| answer.text("token").to_owned()).await.filter(Answer::is_done)?;
        self.scene.model.borrow_mut().line.joined(&self.name, &answer);
        Some(answer)
    }

    /// Joins, and waits until admitted. The token, or nothing.
    async fn enter(&mut self) -> Option<String> {
        let mut place = self.join().await?;
        while !self.is_over() {
            let token = place.text("token").to_owned();
            match place.text("status") {
                "ACTIVE" => return Some(token),
                "WAITING" | "REGISTERED" => {}
                _ if self.chance(0.7) => {
                    place = self.join().await?;
                    continue;
                }
                _ => return None,
            }
            self.wait(0.2, 1.5).await;
            if self.chance(0.01) {
                count("vanished from the line");
                return None;
            }
            if self.chance(0.02) {
                self.leave(&token).await;
                return None;
            }
            if self.chance(0.04) {
                // Another tab.
                place = self.join().await?;
                continue;
            }
            place = self.look(&token).await?;
        }
        None
    }

    /// Asks where a token stands.
    async fn look(&mut self, token: &str) -> Option<Answer> {
        let answer = self.ask(&Request::get(format!("/v1/tokens/{token}")), |_| String::new()).await?;
        if answer.status == 404 {
            violated("PLACE-KEPT", &[&self.name], format!("token {token} was told and is not there"));
        }
        self.scene.model.borrow_mut().line.seen(&self.name, &answer);
        Some(answer)
    }

    async fn leave(&mut self, token: &str) {
        count("left the line");
        let request = Request::delete(format!("/v1/tokens/{token}"));
        self.ask(&request, |_| String::new()).await;
    }

    /// Inside: looks, holds, pays.
    async fn shop(&mut self, token: &str) -> After {
        for _ in 0..4 {
            if self.is_over() {
                return After::Gone;
            }
            let Some(wanted) = self.wish().await else { return After::Gone };
            if matches!(&wanted, Wanted::These(seats) if seats.is_empty()) {
                if self.chance(0.5) {
                    self.leave(token).await;
                    return After::Gone;
                }
                self.wait(0.5, 2.0).await;
                continue;
            }
            let Some(answer) = self.hold(token, &wanted).await else { continue };
            match (answer.status, answer.code()) {
                (201, _) => {}
                (409, "SEAT_TAKEN" | "SEATS_UNAVAILABLE") => continue,
                (409, "SALES_NOT_OPEN") => {
                    self.wait(0.3, 2.0).await;
                    continue;
                }
                (409, "SALES_CLOSED" | "HOLD_LIMIT") if self.chance(0.5) => {
                    self.leave(token).await;
                    return After::Gone;
                }
                _ => return After::Again,
            }
            self.scene.model.borrow_mut().seats.held(&self.name, &answer);
            let reservation = answer.text("reservationId").to_owned();
            let seats = answer.numbers("seatNumbers");
            if let Some(after) = self.decide(token, &reservation, seats).await {
                return after;
            }
        }
        After::Again
    }

    /// Which seats they ask for. In a hall of sections every second one leaves the choice to the seller.
    async fn wish(&mut self) -> Option<Wanted> {
        if let Some(seats) = self.again.take() {
            count("wanted again what was given back");
            return Some(Wanted::These(seats));
        }
        if self.scene.plan.hall.is_plain() || self.chance(0.5) {
            return Some(Wanted::These(self.choose().await?));
        }
        let (count, together, anywhere) = (self.rng.random_range(1..=4), self.chance(0.8), self.chance(0.7));
        let sections = &self.scene.plan.hall.sections;
        let section = sections.iter().choose(&mut self.rng).map(|section| section.name.clone());
        Some(Wanted::Best { count, section: section.filter(|_| !anywhere), together })
    }

    /// Asks for seats.
    async fn hold(&mut self, token: &str, wanted: &Wanted) -> Option<Answer> {
        let mut body = json!({"userId": self.name, "showId": self.show});
        match wanted {
            Wanted::These(seats) => body["seatNumbers"] = json!(seats),
            Wanted::Best { count, section, together } => {
                (body["count"], body["together"]) = (json!(count), json!(together));
                if let Some(section) = section {
                    body["section"] = json!(section);
                }
            }
        }
        let request = Request::post("/v1/reservations", body).key(self.key()).token(token);
        let nth = self.scene.model.borrow_mut().asks.begun(&self.name, wanted);
        let answer = self.ask(&request, |answer| answer.text("reservationId").to_owned()).await;
        self.scene.model.borrow_mut().asks.ended(nth, answer.as_ref());
        answer
    }

    /// Looks which seats are free, and chooses some; now and then without looking.
    async fn choose(&mut self) -> Option<Vec<i64>> {
        let mut free = if self.chance(0.5) {
            let path = format!("/v1/shows/{}/availability", self.show);
            let answer = self.ask(&Request::get(path), |_| String::new()).await?;
            self.scene.model.borrow_mut().seats.map_seen(&self.name, &answer)
        } else {
            let path = format!("/v1/shows/{}/seats", self.show);
            let answer = self.ask(&Request::get(path), |_| String::new()).await?;
            self.scene.model.borrow().seats.seen(&self.name, &answer)
        };
        if self.chance(0.15) {
            free = (1..=self.scene.plan.hall.seats()).collect();
        }
        let count = self.rng.random_range(1..=3);
        Some(free.into_iter().choose_multiple(&mut self.rng, count))
    }

    /// What they do with a hold. `None`: they look for other seats.
    async fn decide(&mut self, token: &str, reservation: &str, seats: Vec<i64>) -> Option<After> {
        let hold = self.scene.plan.sale.hold.as_secs_f64();
        let dice = self.rng.random_range(0..100);
        match dice {
            0..8 => {
                self.scene.model.borrow_mut().seats.touch(reservation);
                let request = Request::delete(format!("/v1/reservations/{reservation}")).token(token);
                if self.ask(&request, |_| String::new()).await.is_some_and(|answer| answer.is_done()) {
                    self.scene.model.borrow_mut().asks.given_back(reservation);
                    self.again = (!self.scene.plan.hall.is_plain() && self.chance(0.7)).then_some(seats);
                }
                return None;
            }
            8..14 => {
                count("vanished with a hold");
                return Some(After::Gone);
            }
            14..18 => self.leave(token).await,
            18..40 => self.wait(0.7 * hold, 1.2 * hold).await,
            _ => self.wait(0.0, 0.5).await,
        }
        let regret = self.chance(0.15).then(|| self.regret(token, reservation));
        let after = match regret {
            Some(regret) => futures::join!(self.pay(token, reservation), regret).0,
            None => self.pay(token, reservation).await,
        };
        if after.is_some() && self.chance(0.15) {
            // They are not sure that it worked, and pay again.
            self.pay(token, reservation).await;
        }
        after
    }

    /// Gives a hold back in another window, while it is being paid for.
    fn regret(&mut self, token: &str, reservation: &str) -> impl Future<Output = ()> + 'static {
        let pause = Duration::from_millis(self.rng.random_range(0..=400));
        let (name, edge) = (self.name.clone(), EDGES[self.rng.random_range(0..EDGES.len())]);
        let request = Request::delete(format!("/v1/reservations/{reservation}")).token(token);
        async move {
            sleep(pause).await;
            count("regretted");
            request.send(&name, edge, PATIENCE).await;
        }
    }

    /// Pays, and hears how it ended. `None`: it was refused, and they may look for something else.
    async fn pay(&mut self, token: &str, reservation: &str) -> Option<After> {
        self.scene.model.borrow_mut().seats.touch(reservation);
        self.scene.model.borrow_mut().money.paying(&self.name);
        if self.chance(0.3) {
            self.scene.weather.aim(&mut self.rng);
        }
        let body = json!({"userId": self.name, "reservationId": reservation});
        let request = Request::post("/v1/payments", body).key(self.key()).token(token);
        let Some(answer) = self.ask(&request, |answer| answer.text("paymentId").to_owned()).await else {
            return Some(After::Gone);
        };
        if !answer.is_done() {
            if !answer.text("paymentId").is_empty() {
                self.settled(reservation, &answer, answer.text("paymentStatus"));
            }
            return match answer.code() {
                "INSUFFICIENT_FUNDS" if self.chance(0.5) => {
                    self.charge().await;
                    None
                }
                "SEAT_TAKEN" | "INSUFFICIENT_FUNDS" | "HOLD_EXPIRED" | "RESERVATION_CANCELLED" => None,
                _ => Some(After::Again),
            };
        }
        match answer.text("status") {
            "PENDING" => self.follow(reservation, answer.text("paymentId")).await,
            status => self.settled(reservation, &answer, status),
        }
        Some(After::Again)
    }

    /// Asks after a payment until it has ended.
    async fn follow(&mut self, reservation: &str, payment: &str) {
        count("payments told PENDING");
        let until = self.scene.plan.calm.max(history::now()) + SETTLES_WITHIN;
        while history::now() < until {
            self.wait(0.5, 1.5).await;
            let Some(answer) =
                self.ask(&Request::get(format!("/v1/payments/{payment}")), |_| String::new()).await
            else {
                return;
            };
            if answer.status == 404 {
                return violated(
                    "PAYMENT-KEPT",
                    &[&self.name],
                    format!("payment {payment} was told and is not there"),
                );
            }
            if answer.text("status") != "PENDING" {
                return self.settled(reservation, &answer, answer.text("status"));
            }
        }
        violated(
            "SETTLED",
            &[&self.name],
            format!("payment {payment} did not settle within {SETTLES_WITHIN:?}"),
        );
    }

    /// They were told how a payment ended.
    fn settled(&self, reservation: &str, answer: &Answer, status: &str) {
        self.scene.model.borrow_mut().settled(&self.name, reservation, status, answer);
    }
}
