//! Buyers who keep buying, whatever happens to the mesh: each sends a request again, with the same key, while
//! there is no answer or a 503 or 504, and puts down what was acknowledged. In the end every acknowledged
//! charge, hold and payment must be there.

use std::{
    collections::{HashMap, HashSet},
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, AtomicI32, AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use serde_json::{Value, json};
use tokio::{task::JoinHandle, time::sleep};
use uuid::Uuid;

use crate::{
    client::{Call, Rest},
    patience::Patience,
    requests::hold_body,
    world::{Buyer, Sale, World, text},
};

/// The steps whose first success after a blow is waited for.
const STEPS: [&str; 4] = ["join", "charge", "hold", "pay"];
/// How long a buyer waits for an answer before asking the next edge, as a balancer in front of them would.
const PATIENCE: Duration = Duration::from_secs(3);
/// No step usually takes longer, whatever happens.
const LONGEST: Duration = Duration::from_secs(60);
const CHARGED: i64 = 1_500;
const PRICE: i64 = 1_000;

/// How many blows a scenario of this kind deals: `KILLS`, or a few.
#[must_use]
pub fn kills(otherwise: u32) -> u32 {
    std::env::var("KILLS").ok().and_then(|kills| kills.parse().ok()).unwrap_or(otherwise)
}

/// What one buyer was told.
#[derive(Clone, Debug)]
struct Purchase {
    user: String,
    reservation: String,
    /// The payment; `None` when the buyer only held the seat.
    payment: Option<String>,
}

#[derive(Debug)]
struct Book {
    rest: Rest,
    sale: Sale,
    began: Instant,
    /// When the last success of each step was asked for, in microseconds.
    pulse: [AtomicU64; STEPS.len()],
    again: AtomicU64,
    seat: AtomicI32,
    over: AtomicBool,
    purchases: Mutex<Vec<Purchase>>,
}

/// A load on a mesh.
#[derive(Debug)]
pub struct Load {
    book: Arc<Book>,
    buyers: Vec<JoinHandle<Result<(), String>>>,
}

/// The result of a load.
#[derive(Clone, Copy, Debug)]
pub struct Bought {
    /// Purchases that were acknowledged, each with all its steps.
    pub purchases: usize,
    /// How many requests had to be sent again.
    pub again: u64,
}

impl Load {
    /// Starts `buyers` buyers at a sale of `seats` seats.
    pub async fn start(world: &World, buyers: usize, seats: i32) -> Self {
        let queue = world.queue(json!({"maxActive": 100_000, "admitPerMinute": 1_000_000})).await;
        let sale = world.sale_behind(queue, PRICE, seats).await;
        let book = Arc::new(Book {
            rest: Rest::impatient(world.mesh.rest(), PATIENCE),
            sale,
            began: Instant::now(),
            pulse: Default::default(),
            again: AtomicU64::new(0),
            seat: AtomicI32::new(0),
            over: AtomicBool::new(false),
            purchases: Mutex::default(),
        });
        let buyers = (0..buyers).map(|_| tokio::spawn(Arc::clone(&book).buy())).collect();
        Self { book, buyers }
    }

    /// Waits until every step has succeeded that was asked for from now on; answers how long that took.
    ///
    /// # Errors
    /// The steps that did not succeed in time: usually they do within this.
    pub async fn recovered(&self, usual: Duration) -> Result<Duration, String> {
        let since = self.book.now();
        let patience = Patience::new(usual);
        loop {
            let late = |at: &usize| self.book.pulse[*at].load(Ordering::Relaxed) <= since;
            let missing: Vec<_> = (0..STEPS.len()).filter(late).map(|at| STEPS[at]).collect();
            if missing.is_empty() {
                return Ok(patience.spent());
            }
            if patience.is_over() {
                return Err(format!("no {} succeeded {patience}", missing.join(", no ")));
            }
            sleep(Duration::from_millis(5)).await;
        }
    }

    /// Waits until so many purchases were acknowledged, as long as there is one now and then.
    ///
    /// # Errors
    /// For how long there was none.
    pub async fn bought(&self, at_least: usize) -> Result<(), String> {
        let mut before = 0;
        let mut patience = Patience::new(LONGEST);
        loop {
            let now = self.book.purchases.lock().unwrap_or_else(PoisonError::into_inner).len();
            if now >= at_least {
                return Ok(());
            }
            if now > before {
                (before, patience) = (now, Patience::new(LONGEST));
            }
            if patience.is_over() {
                return Err(format!("no purchase after the {now} that were made, {patience}"));
            }
            sleep(Duration::from_millis(20)).await;
        }
    }

    /// Lets every buyer finish, and looks for all that was acknowledged.
    ///
    /// # Errors
    /// What was lost, or what a buyer was told that nobody should be.
    pub async fn finish(self, world: &World) -> Result<Bought, String> {
        self.book.over.store(true, Ordering::Relaxed);
        for buyer in self.buyers {
            buyer.await.map_err(|lost| lost.to_string())??;
        }
        let purchases =
            std::mem::take(&mut *self.book.purchases.lock().unwrap_or_else(PoisonError::into_inner));
        let lost = lost(world, &purchases).await;
        if lost.is_empty() {
            return Ok(Bought { purchases: purchases.len(), again: self.book.again.load(Ordering::Relaxed) });
        }
        Err(format!(
            "{} of {} purchases are not there: {}",
            lost.len(),
            purchases.len(),
            lost[..lost.len().min(5)].join("; ")
        ))
    }
}

impl Book {
    fn now(&self) -> u64 {
        u64::try_from(self.began.elapsed().as_micros()).unwrap_or(u64::MAX)
    }

    async fn buy(self: Arc<Self>) -> Result<(), String> {
        while !self.over.load(Ordering::Relaxed) {
            let purchase = self.purchase().await?;
            self.purchases.lock().unwrap_or_else(PoisonError::into_inner).push(purchase);
        }
        Ok(())
    }

    /// From the line to the seat; every fourth buyer only holds it.
    async fn purchase(&self) -> Result<Purchase, String> {
        let (user, key, seat) = (
            Uuid::new_v4().to_string(),
            Uuid::new_v4().to_string(),
            self.seat.fetch_add(1, Ordering::Relaxed) + 1,
        );
        let post = |path: &str, body: Value| self.rest.post(path, body).key(&key);
        let join = format!("/v1/queues/{}/tokens", self.sale.queue);
        let token = text(&self.insist(0, || post(&join, json!({"userId": user}))).await?["token"]);
        let charges = format!("/v1/wallets/{user}/charges");
        self.insist(1, || post(&charges, json!({"amount": CHARGED}))).await?;
        let buyer = Buyer { user: user.clone(), token };
        let hold = || post("/v1/reservations", hold_body(&user, self.sale.show, [seat])).token(&buyer.token);
        let reservation = text(&self.insist(2, hold).await?["reservationId"]);
        if seat % 4 == 0 {
            return Ok(Purchase { user, reservation, payment: None });
        }
        let pay = || {
            post("/v1/payments", json!({"userId": user, "reservationId": reservation})).token(&buyer.token)
        };
        let payment = text(&self.insist(3, pay).await?["paymentId"]);
        Ok(Purchase { user, reservation, payment: Some(payment) })
    }

    /// Sends a request until it succeeds. No refusal is expected here.
    async fn insist(&self, step: usize, call: impl Fn() -> Call) -> Result<Value, String> {
        let patience = Patience::new(LONGEST);
        loop {
            let asked = self.now();
            let seen = match call().try_send().await {
                Ok(answer) if matches!(answer.status, 200 | 201) => {
                    self.pulse[step].fetch_max(asked, Ordering::Relaxed);
                    return Ok(answer.body);
                }
                Ok(answer) if !matches!(answer.status, 202 | 503 | 504) => {
                    return Err(format!("{}: {} {}", answer.what, answer.status, answer.text));
                }
                Ok(answer) => format!("{} {}", answer.status, answer.text),
                Err(error) => error,
            };
            self.again.fetch_add(1, Ordering::Relaxed);
            if patience.is_over() {
                return Err(format!("{} was not done {patience}: {seen}", STEPS[step]));
            }
            sleep(Duration::from_millis(30)).await;
        }
    }
}

/// Those of the purchases that the records do not show as they were acknowledged.
async fn lost(world: &World, purchases: &[Purchase]) -> Vec<String> {
    let databases = &world.mesh.databases;
    let mut moved: HashMap<String, Vec<i64>> = HashMap::new();
    for row in databases
        .with_table("entry")
        .await
        .rows("SELECT user_id, CAST(amount AS TEXT) FROM entry ORDER BY sequence")
        .await
    {
        moved.entry(row[0].clone()).or_default().push(row[1].parse().unwrap_or_default());
    }
    let mut booking = databases.with_table("hold").await;
    let by_first = |rows: Vec<Vec<String>>| {
        rows.into_iter().map(|row| (row[0].clone(), row[1].clone())).collect::<HashMap<_, _>>()
    };
    let holds = by_first(booking.rows("SELECT {id:reservation_id}, status FROM hold").await);
    let sold = by_first(booking.rows("SELECT {id:reservation_id}, {id:payment_id} FROM reservation").await);
    let mut wallet = databases.with_table("payment").await;
    let payments = by_first(wallet.rows("SELECT {id:payment_id}, status FROM payment").await);
    let short = |id: &String| id.replace('-', "");
    let is_there = |purchase: &&Purchase| {
        let reservation = short(&purchase.reservation);
        let moved = moved.get(&purchase.user).map(Vec::as_slice).unwrap_or_default();
        match purchase.payment.as_ref().map(short) {
            None => moved == [CHARGED] && holds.get(&reservation).is_some_and(|status| status == "HELD"),
            Some(payment) => {
                moved == [CHARGED, -PRICE]
                    && sold.get(&reservation) == Some(&payment)
                    && payments.get(&payment).is_some_and(|status| status == "COMPLETED")
            }
        }
    };
    let ids: HashSet<_> = purchases.iter().map(|purchase| &purchase.reservation).collect();
    let twice = (ids.len() != purchases.len()).then(|| "one reservation was given to two".to_owned());
    let missing = purchases.iter().filter(|purchase| !is_there(purchase));
    missing
        .map(|purchase| format!("{purchase:?}, moved {:?}", moved.get(&purchase.user)))
        .chain(twice)
        .collect()
}
