//! The steps of an on-sale, as a scenario tells them: make a sale, let a user in, hold, pay, and look at what
//! became of it.
//!
//! Each step asserts its success; where a refusal is the point, scenarios make the call themselves.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use boxoffice_proto::{
    checkout::ListCheckoutsRequest,
    queue::{ListQueuesRequest, queue_service_client::QueueServiceClient},
};
use futures::future::join_all;
use serde_json::{Value, json};
use tonic::transport::Channel;

use crate::{
    client::{Answer, Call, Rest},
    eventually::{eventually, holds},
    grpc::Grpc,
    mesh::{Mesh, Shape},
    requests::{hold_body, show_body},
};

/// A mesh and its clients. Cheap to clone.
#[derive(Clone, Debug)]
pub struct World {
    /// The processes.
    pub mesh: Arc<Mesh>,
    /// REST clients.
    pub rest: Rest,
    /// gRPC clients.
    pub grpc: Grpc,
}

/// A concert with one show, behind a line of its own.
#[derive(Clone, Debug)]
pub struct Sale {
    /// The line that guards it.
    pub queue: String,
    /// The concert.
    pub concert: i64,
    /// Its show.
    pub show: i64,
    /// The price of a seat.
    pub price: i64,
}

/// Somebody who was let in.
#[derive(Clone, Debug)]
pub struct Buyer {
    /// Their id.
    pub user: String,
    /// Their ACTIVE token.
    pub token: String,
}

/// When every show of the tests begins, and its date.
pub const STARTS_AT: &str = "2031-05-01T19:00:00Z";
/// The date of [`STARTS_AT`].
pub const DATE: &str = "2031-05-01";

/// A name that nothing else in this mesh has.
#[must_use]
pub fn unique(name: &str) -> String {
    static NEXT: AtomicU64 = AtomicU64::new(1);
    format!("{name}-{}", NEXT.fetch_add(1, Ordering::Relaxed))
}

/// A number of a JSON answer.
///
/// # Panics
/// When it is none.
#[must_use]
pub fn int(value: &Value) -> i64 {
    value.as_i64().unwrap_or_else(|| panic!("{value} should be a whole number"))
}

/// A text of a JSON answer.
///
/// # Panics
/// When it is none.
#[must_use]
pub fn text(value: &Value) -> String {
    value.as_str().unwrap_or_else(|| panic!("{value} should be a text")).to_owned()
}

/// Sends all of these at once and waits for every answer.
pub async fn all_at_once(calls: impl IntoIterator<Item = Call>) -> Vec<Answer> {
    join_all(calls.into_iter().map(|call| tokio::spawn(call.send())))
        .await
        .into_iter()
        .map(|answer| answer.expect("an answer"))
        .collect()
}

impl World {
    /// Clients for a mesh.
    #[must_use]
    pub fn new(mesh: Arc<Mesh>) -> Self {
        Self { rest: Rest::new(mesh.rest()), grpc: Grpc::new(&mesh), mesh }
    }

    /// A mesh of one's own.
    pub async fn start(shape: Shape, flags: &[&str]) -> Self {
        Self::new(Arc::new(Mesh::start(shape, flags).await))
    }

    /// Ends a mesh of one's own: stopped, audited, removed.
    ///
    /// # Panics
    /// When it does not end cleanly, or the audit finds something.
    pub async fn finish(self) {
        if let Err(why) = self.into_mesh().finish().await {
            panic!("{why}");
        }
    }

    /// Ends a mesh of programs of another build: stopped and removed.
    ///
    /// # Panics
    /// When it does not end cleanly.
    pub async fn discard(self) {
        if let Err(why) = self.into_mesh().discard().await {
            panic!("{why}");
        }
    }

    fn into_mesh(self) -> Mesh {
        let Self { mesh, rest, grpc } = self;
        drop((rest, grpc));
        Arc::try_unwrap(mesh).expect("nobody else uses the mesh any more")
    }

    /// A new line with this policy.
    pub async fn queue(&self, policy: Value) -> String {
        let queue = unique("line");
        self.rest.put(&format!("/v1/queues/{queue}"), policy).expect(201).await;
        queue
    }

    /// A sale that lets 1,000 in at once.
    pub async fn sale(&self, price: i64, seats: i32) -> Sale {
        let queue = self.queue(json!({"maxActive": 1000})).await;
        self.sale_behind(queue, price, seats).await
    }

    /// A sale behind a line that exists.
    pub async fn sale_behind(&self, queue: String, price: i64, seats: i32) -> Sale {
        let concert = json!({"title": unique("Concert"), "queueId": queue});
        let concert = self.rest.post("/v1/concerts", concert).key(&unique("key")).expect(201).await;
        let concert = int(&concert["concertId"]);
        let show = self.show(concert, price, seats).await;
        Sale { queue, concert, show, price }
    }

    /// Another show of a concert.
    pub async fn show(&self, concert: i64, price: i64, seats: i32) -> i64 {
        let body = show_body(json!({"price": price, "seatCount": seats}));
        let show = self.rest.post(&format!("/v1/concerts/{concert}/shows"), body).key(&unique("key"));
        int(&show.expect(201).await["showId"])
    }

    /// Another show of a concert, in a hall of these sections.
    ///
    /// # Panics
    /// When the body of a show is no object.
    pub async fn show_in(&self, concert: i64, sections: Value) -> i64 {
        let mut body = show_body(json!({"sections": sections}));
        body.as_object_mut().expect("an object").remove("price");
        let show = self.rest.post(&format!("/v1/concerts/{concert}/shows"), body).key(&unique("key"));
        int(&show.expect(201).await["showId"])
    }

    /// Calls a show off, and waits until it is CANCELLED; its JSON.
    pub async fn call_off(&self, show: i64) -> Value {
        let path = format!("/v1/shows/{show}");
        self.rest.post(&format!("{path}/cancel"), json!({})).expect(202).await;
        eventually(Duration::from_secs(15), || async {
            holds(self.rest.get(&path).expect(200).await, |show| show["status"] == "CANCELLED")
        })
        .await
    }

    /// The call that joins a line.
    #[must_use]
    pub fn joining(&self, queue: &str, user: &str) -> Call {
        self.rest.post(&format!("/v1/queues/{queue}/tokens"), json!({"userId": user})).key(&unique("join"))
    }

    /// Joins a line; the token's JSON.
    pub async fn join(&self, queue: &str, user: &str) -> Value {
        let answer = self.joining(queue, user).send().await;
        assert!(matches!(answer.status, 200 | 201), "{}: {} {}", answer.what, answer.status, answer.text);
        answer.body
    }

    /// A new user who has been let in.
    pub async fn buyer(&self, sale: &Sale) -> Buyer {
        let user = unique("user");
        self.admitted(&sale.queue, &user).await
    }

    /// A new user who has been let in and has this much money.
    pub async fn buyer_with(&self, sale: &Sale, money: i64) -> Buyer {
        let buyer = self.buyer(sale).await;
        self.charge(&buyer.user, money).await;
        buyer
    }

    /// Lets a user in.
    pub async fn admitted(&self, queue: &str, user: &str) -> Buyer {
        let token = text(&self.join(queue, user).await["token"]);
        self.until(&token, "ACTIVE").await;
        Buyer { user: user.to_owned(), token }
    }

    /// Waits until a token has this status, whichever replica is asked from then on.
    pub async fn until(&self, token: &str, status: &str) -> Value {
        let seen = eventually(Duration::from_secs(15), || async {
            let answer = self.rest.get(&format!("/v1/tokens/{token}")).send().await;
            holds(answer.body, |body| body["status"] == status)
        })
        .await;
        self.level().await;
        seen
    }

    /// Brings every replica of queue-svc to this moment: each answers from its memory, which may be a tenth
    /// of a second behind what another one committed. What is compared with an earlier answer is read after
    /// this.
    pub async fn level(&self) {
        // Listing looks at the database; a replica that is away has nothing to catch up with.
        let ask = |replica: &Channel| QueueServiceClient::new(replica.clone());
        join_all(self.grpc.queue.all().iter().map(|replica| async {
            let _ = ask(replica)
                .list_queues(ListQueuesRequest { page_size: 1, ..ListQueuesRequest::default() })
                .await;
        }))
        .await;
    }

    /// Reads a token, as all replicas know it.
    pub async fn token(&self, id: &str) -> Value {
        self.level().await;
        self.rest.get(&format!("/v1/tokens/{id}")).expect(200).await
    }

    /// Reads a line, as all replicas know it.
    pub async fn line(&self, queue: &str) -> Value {
        self.level().await;
        self.rest.get(&format!("/v1/queues/{queue}")).expect(200).await
    }

    /// The call that tops up a wallet.
    #[must_use]
    pub fn charging(&self, user: &str, amount: i64) -> Call {
        self.rest
            .post(&format!("/v1/wallets/{user}/charges"), json!({"amount": amount}))
            .key(&unique("charge"))
    }

    /// Tops up a wallet.
    pub async fn charge(&self, user: &str, amount: i64) {
        self.charging(user, amount).expect(201).await;
    }

    /// Reads a balance.
    pub async fn balance(&self, user: &str) -> i64 {
        int(&self.rest.get(&format!("/v1/wallets/{user}")).expect(200).await["balance"])
    }

    /// The call that holds seats.
    #[must_use]
    pub fn holding(&self, buyer: &Buyer, show: i64, seats: &[i32]) -> Call {
        self.rest
            .post("/v1/reservations", hold_body(&buyer.user, show, seats))
            .token(&buyer.token)
            .key(&unique("hold"))
    }

    /// Holds seats; the reservation's id.
    pub async fn hold(&self, buyer: &Buyer, show: i64, seats: &[i32]) -> String {
        text(&self.holding(buyer, show, seats).expect(201).await["reservationId"])
    }

    /// The call that pays.
    #[must_use]
    pub fn paying(&self, buyer: &Buyer, reservation: &str) -> Call {
        let pay = json!({"userId": buyer.user, "reservationId": reservation});
        self.rest.post("/v1/payments", pay).token(&buyer.token).key(&unique("pay"))
    }

    /// Waits until a payment of this user's is written down, and answers its id: from then on it ends in one
    /// outcome, whoever ends it.
    pub async fn checkout_begun(&self, user: &str) -> String {
        let ask = ListCheckoutsRequest { user_id: user.to_owned(), ..ListCheckoutsRequest::default() };
        eventually(Duration::from_secs(10), || async {
            let listed = self
                .grpc
                .checkout()
                .list_checkouts(ask.clone())
                .await
                .map_err(|status| status.to_string())?;
            let begun = listed.into_inner().checkouts.pop();
            begun.map(|checkout| checkout.checkout_id).ok_or_else(|| "none has begun".to_owned())
        })
        .await
    }

    /// Reads a reservation.
    pub async fn reservation(&self, id: &str) -> Value {
        self.rest.get(&format!("/v1/reservations/{id}")).expect(200).await
    }

    /// Waits until a reservation has this status.
    pub async fn reservation_until(&self, id: &str, status: &str) -> Value {
        eventually(Duration::from_secs(10), || async {
            holds(self.reservation(id).await, |body| body["status"] == status)
        })
        .await
    }

    /// A seat's status as an admitted user sees it. Seat maps may be a quarter of a second old, so what is
    /// expected may take as long.
    pub async fn seat_until(&self, buyer: &Buyer, show: i64, seat: i64, status: &str) {
        eventually(Duration::from_secs(3), || async {
            let map = self.rest.get(&format!("/v1/shows/{show}/seats")).token(&buyer.token).expect(200).await;
            let all = map["seats"].as_array().cloned().unwrap_or_default();
            holds(all.into_iter().find(|entry| entry["seatNumber"] == seat), |entry| {
                entry.as_ref().is_some_and(|e| e["status"] == status)
            })
        })
        .await;
    }

    /// Every movement of a wallet, newest first.
    pub async fn entries(&self, user: &str) -> Vec<Value> {
        let page = self.rest.get(&format!("/v1/wallets/{user}/entries?pageSize=1000")).expect(200).await;
        page["entries"].as_array().cloned().unwrap_or_default()
    }
}
