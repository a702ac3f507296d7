//! Every mutation of the contract, repeated with its id: the first answer again, on every replica, at the
//! same time, after a crash; with another request under that id a refusal. The methods are read from the
//! descriptors and the routes from the OpenAPI document, so that a new one without its case here fails.

use std::collections::HashSet;

use boxoffice_proto::{Reason, booking, checkout, queue, wallet};
use futures::future::join_all;
use prost::Message;
use prost_types::Duration;
use serde_json::{Value, json};
use tests::{
    client::Call,
    grpc::refused,
    mesh::Shape,
    raw::{self, Method},
    requests::{hold_body, hold_message, show_body, show_message},
    solos,
    suite::Solo,
    world::{Buyer, Sale, World, text, unique},
};
use tonic::transport::Channel;
use uuid::Uuid;

pub(crate) const SOLOS: &[Solo] = solos![Shape::ALL;
    every_rpc_repeated_with_its_id_gives_its_first_answer_again,
    every_post_repeated_with_its_key_gives_its_first_answer_again,
];

/// What only reads.
const READS: &[&str] = &["Get", "List", "BatchGet", "Poll", "Watch", "Verify"];
/// What changes something and takes no id, for it may be repeated by its nature.
const BY_NATURE: &[&str] = &["Retry", "Refund", "CancelShow", "FinishCancelling", "Take"];
/// What routes end with that change something and take no key, for the same reason.
const ROUTES_BY_NATURE: [&str; 3] = ["/refund", "/retry", "/cancel"];

/// A request, and another one that must not pass under its id; `None` where there is none: what shows a token
/// says nothing else, and another token has ids of its own.
struct Pair {
    one: Vec<u8>,
    other: Option<Vec<u8>>,
}

fn pair<M: Message>(request: impl Fn(usize) -> M) -> Pair {
    Pair { one: request(0).encode_to_vec(), other: Some(request(1).encode_to_vec()) }
}

fn alone(request: &impl Message) -> Pair {
    Pair { one: request.encode_to_vec(), other: None }
}

/// Things of every kind for requests to be about.
struct Stock {
    world: World,
    sale: Sale,
}

impl Stock {
    async fn of(world: &World) -> Self {
        Self { world: world.clone(), sale: world.sale(100, 400).await }
    }

    fn ids() -> [String; 2] {
        std::array::from_fn(|_| Uuid::new_v4().to_string())
    }

    /// Two holds of somebody with a token and money.
    async fn two_holds(&self, seat: i32) -> (Buyer, [String; 2]) {
        let buyer = self.world.buyer_with(&self.sale, 10_000).await;
        let holds = [
            self.world.hold(&buyer, self.sale.show, &[seat]).await,
            self.world.hold(&buyer, self.sale.show, &[seat + 1]).await,
        ];
        (buyer, holds)
    }

    /// A mutation's request about fresh things, or `None` when it is not known here.
    async fn request(&self, method: &str, seat: i32) -> Option<Pair> {
        if let Some(found) = self.of_the_line(method).await {
            return Some(found);
        }
        if let Some(found) = self.of_the_catalogue(method) {
            return Some(found);
        }
        if let Some(found) = self.of_seats(method, seat).await {
            return Some(found);
        }
        self.of_money(method, seat).await
    }

    async fn of_the_line(&self, method: &str) -> Option<Pair> {
        let request_id = unique("id");
        let id = || request_id.clone();
        Some(match method {
            "CreateQueue" => {
                let names = [unique("line"), unique("line")];
                pair(|n| queue::CreateQueueRequest {
                    queue_id: names[n].clone(),
                    policy: None,
                    request_id: id(),
                })
            }
            "UpdateQueue" => {
                let queue_id = self.world.queue(json!({})).await;
                let policy = |n: usize| queue::QueuePolicy {
                    max_active: Some(if n == 0 { 5 } else { 6 }),
                    ..Default::default()
                };
                pair(|n| queue::UpdateQueueRequest {
                    queue_id: queue_id.clone(),
                    policy: Some(policy(n)),
                    request_id: id(),
                })
            }
            "IssueToken" => {
                let (user_id, queue_id) = (unique("user"), self.world.queue(json!({})).await);
                pair(|n| queue::IssueTokenRequest {
                    queue_id: queue_id.clone(),
                    user_id: user_id.clone(),
                    priority: [None, Some(1)][n],
                    request_id: id(),
                })
            }
            "CompleteToken" => {
                let token = self.world.buyer(&self.sale).await.token;
                alone(&queue::CompleteTokenRequest { token, request_id: id() })
            }
            "LeaveQueue" => {
                let token = self.world.buyer(&self.sale).await.token;
                alone(&queue::LeaveQueueRequest { token, request_id: id(), user_id: String::new() })
            }
            _ => return None,
        })
    }

    fn of_the_catalogue(&self, method: &str) -> Option<Pair> {
        let request_id = unique("id");
        let id = || request_id.clone();
        let concert_id = self.sale.concert;
        Some(match method {
            "CreateConcert" => {
                let titles = [unique("Concert"), unique("Concert")];
                pair(|n| booking::CreateConcertRequest {
                    title: titles[n].clone(),
                    request_id: id(),
                    ..Default::default()
                })
            }
            "CreateShow" => pair(|n| booking::CreateShowRequest {
                title: ["One", "Other"][n].to_owned(),
                request_id: id(),
                ..show_message(concert_id)
            }),
            "UpdateConcert" => pair(|n| booking::UpdateConcertRequest {
                concert_id,
                title: Some(["One", "Other"][n].to_owned()),
                request_id: id(),
                ..Default::default()
            }),
            "UpdateShow" => pair(|n| booking::UpdateShowRequest {
                show_id: self.sale.show,
                title: Some(["One", "Other"][n].to_owned()),
                request_id: id(),
                ..Default::default()
            }),
            _ => return None,
        })
    }

    async fn of_seats(&self, method: &str, seat: i32) -> Option<Pair> {
        let request_id = unique("id");
        let id = || request_id.clone();
        let show_id = self.sale.show;
        Some(match method {
            "HoldSeats" => {
                let user_id = Uuid::new_v4().to_string();
                let seats = [seat, seat + 1];
                pair(|n| booking::HoldSeatsRequest {
                    request_id: id(),
                    ..hold_message(&user_id, show_id, &seats[n..=n])
                })
            }
            "ExtendHold" => {
                let ((buyer, holds), [payment_id, _]) = (self.two_holds(seat).await, Self::ids());
                pair(|n| booking::ExtendHoldRequest {
                    reservation_id: holds[n].clone(),
                    user_id: buyer.user.clone(),
                    payment_id: payment_id.clone(),
                    extend_by: Some(Duration { seconds: 300, nanos: 0 }),
                    request_id: id(),
                })
            }
            "ConfirmReservation" => {
                let ((buyer, holds), payments) = (self.two_holds(seat).await, Self::ids());
                pair(|n| booking::ConfirmReservationRequest {
                    reservation_id: holds[n].clone(),
                    user_id: buyer.user.clone(),
                    payment_id: payments[n].clone(),
                    request_id: id(),
                })
            }
            "CancelReservation" => {
                let (buyer, holds) = self.two_holds(seat).await;
                pair(|n| booking::CancelReservationRequest {
                    reservation_id: holds[n].clone(),
                    user_id: buyer.user.clone(),
                    request_id: id(),
                })
            }
            _ => return None,
        })
    }

    async fn of_money(&self, method: &str, seat: i32) -> Option<Pair> {
        let request_id = unique("id");
        let id = || request_id.clone();
        Some(match method {
            "ChargeWallet" => {
                let user_id = unique("user");
                pair(|n| wallet::ChargeWalletRequest {
                    user_id: user_id.clone(),
                    amount: [5, 6][n],
                    request_id: id(),
                })
            }
            "UseWallet" => {
                let user_id = unique("user");
                self.world.charge(&user_id, 100).await;
                pair(|n| wallet::UseWalletRequest {
                    user_id: user_id.clone(),
                    amount: [5, 6][n],
                    request_id: id(),
                })
            }
            "CreatePayment" => {
                let (user_id, payments, [reservation_id, _]) = (unique("user"), Self::ids(), Self::ids());
                self.world.charge(&user_id, 100).await;
                pair(|n| wallet::CreatePaymentRequest {
                    payment_id: payments[n].clone(),
                    user_id: user_id.clone(),
                    reservation_id: reservation_id.clone(),
                    amount: 5,
                    request_id: id(),
                })
            }
            "CancelPayment" => {
                let payments = Self::ids();
                pair(|n| wallet::CancelPaymentRequest {
                    payment_id: payments[n].clone(),
                    reason: "TEST".into(),
                    request_id: id(),
                })
            }
            "Pay" => {
                let (buyer, holds) = self.two_holds(seat).await;
                pair(|n| checkout::PayRequest {
                    user_id: buyer.user.clone(),
                    reservation_id: holds[n].clone(),
                    token: buyer.token.clone(),
                    request_id: id(),
                })
            }
            _ => return None,
        })
    }
}

/// What must be the same in two answers: everything, but for what a line tells of the moment. A join names
/// the same token and tells how it stands now; a queue's policy and counts are as they were, its speed as it
/// is.
fn essence(method: &str, answer: &[u8]) -> Vec<u8> {
    match method {
        "IssueToken" => queue::IssueTokenResponse::decode(answer).unwrap().token.unwrap().token.into_bytes(),
        "CreateQueue" | "UpdateQueue" => {
            let queue = queue::UpdateQueueResponse::decode(answer).unwrap().queue.unwrap();
            let told = (
                queue.queue_id,
                queue.serving_ticket,
                queue.waiting,
                queue.active,
                queue.policy,
                queue.created_at,
            );
            format!("{told:?}").into_bytes()
        }
        _ => answer.to_vec(),
    }
}

fn replicas(world: &World, method: &Method) -> Vec<Channel> {
    let grpc = &world.grpc;
    let of = [
        ("queue", &grpc.queue),
        ("booking", &grpc.booking),
        ("wallet", &grpc.wallet),
        ("checkout", &grpc.checkout),
    ];
    let (_, replicas) =
        of.into_iter().find(|(area, _)| method.path.starts_with(&format!("/boxoffice.{area}."))).unwrap();
    replicas.all().to_vec()
}

async fn every_rpc_repeated_with_its_id_gives_its_first_answer_again(shape: Shape) {
    let world = World::start(shape, &[]).await;
    let stock = Stock::of(&world).await;
    let mut mutations = Vec::new();
    let mut seat = 1;
    for method in raw::methods() {
        let reads = READS.iter().chain(BY_NATURE).any(|verb| method.name.starts_with(verb));
        assert_ne!(
            reads, method.takes_request_id,
            "{}: a mutation takes a request_id, a read does not",
            method.path
        );
        if !reads {
            let known = "a new mutation needs a request here, and to be idempotent";
            mutations.push((
                stock.request(&method.name, seat).await.expect(known),
                stock.request(&method.name, seat + 2).await.unwrap(),
                method,
            ));
            seat += 4;
        }
    }
    let mut answered = Vec::new();
    for (first, at_once, method) in mutations {
        let channels = replicas(&world, &method);
        let call = |replica: usize, message: Vec<u8>| {
            let (channel, path) = (channels[replica % channels.len()].clone(), method.path.clone());
            async move { raw::call(channel, &path, &message).await }
        };
        let told =
            call(0, first.one.clone()).await.unwrap_or_else(|status| panic!("{}: {status:?}", method.path));
        for replica in [1, 0] {
            let again = call(replica, first.one.clone()).await.unwrap();
            assert_eq!(
                essence(&method.name, &told),
                essence(&method.name, &again),
                "{} on replica {replica}",
                method.path
            );
        }
        if let Some(other) = first.other {
            refused(call(1, other).await.map(tonic::Response::new), Reason::RequestIdReused);
        }
        let many = join_all((0..8).map(|nth| tokio::spawn(call(nth, at_once.one.clone())))).await;
        let answers: HashSet<_> =
            many.into_iter().map(|answer| essence(&method.name, &answer.unwrap().unwrap())).collect();
        assert_eq!(answers.len(), 1, "{}: eight at once had different answers", method.path);
        answered.push((method, first.one, told));
    }
    for node in &world.mesh.nodes {
        node.process.kill();
    }
    world.mesh.restart().await;
    for (method, message, told) in &answered {
        let channel = replicas(&world, method).pop().unwrap();
        let again = raw::call(channel, &method.path, message)
            .await
            .unwrap_or_else(|status| panic!("{}: {status:?}", method.path));
        assert_eq!(
            essence(&method.name, told),
            essence(&method.name, &again),
            "{} after a crash",
            method.path
        );
    }
    drop(stock);
    world.finish().await;
}

/// Makes the same call once more.
type Again = Box<dyn Fn() -> Call + Send + Sync>;

/// A route's request and another one, about fresh things; and the field that tells answers apart (empty: all
/// of them do).
async fn post(stock: &Stock, route: &str, seat: i32) -> Option<([Value; 2], String, String, &'static str)> {
    let (buyer, holds) = stock.two_holds(seat).await;
    let (user, show, concert) = (buyer.user.clone(), stock.sale.show, stock.sale.concert);
    let line = stock.world.queue(json!({})).await;
    let two = |body: &dyn Fn(usize) -> Value| [body(0), body(1)];
    let others = Stock::ids();
    let (path, bodies, told) = match route {
        "/v1/queues/{queueId}/tokens" => (
            format!("/v1/queues/{line}/tokens"),
            two(&|n| json!({"userId": others[0], "priority": n})),
            "token",
        ),
        "/v1/concerts" => (route.to_owned(), two(&|n| json!({"title": others[n]})), ""),
        "/v1/concerts/{concertId}/shows" => {
            let show = |n: usize| show_body(json!({"title": others[n]}));
            (format!("/v1/concerts/{concert}/shows"), two(&show), "")
        }
        "/v1/reservations" => {
            (route.to_owned(), two(&|n| hold_body(&user, show, [seat + 2 + [0, 1][n]])), "")
        }
        "/v1/wallets/{userId}/charges" => {
            (format!("/v1/wallets/{user}/charges"), two(&|n| json!({"amount": 5 + n})), "")
        }
        "/v1/payments" => {
            (route.to_owned(), two(&|n| json!({"userId": user, "reservationId": holds[n]})), "")
        }
        "/v1/payments/{paymentId}/refund" | "/v1/payments/{paymentId}/retry" => {
            let payment = stock.world.paying(&buyer, &holds[0]).expect(201).await;
            let path = route.replace("{paymentId}", &text(&payment["paymentId"]));
            (path, two(&|n| json!({"reason": others[n]})), "")
        }
        "/v1/shows/{showId}/cancel" => {
            let off = &stock.world.call_off(stock.world.show(concert, 100, 5).await).await["showId"];
            (format!("/v1/shows/{off}/cancel"), two(&|_| json!({})), "")
        }
        "/queue-management/api/token" => {
            (route.to_owned(), two(&|n| json!({"userId": others[0], "priority": n})), "tokenValue")
        }
        "/api-orchestration/api/reservations/reserve-seat" => {
            let body =
                |n: usize| json!({"userId": user, "concertOptionId": show, "seatId": seat + 2 + [0, 1][n]});
            (route.to_owned(), two(&body), "")
        }
        "/api-orchestration/api/balance/charge" => {
            (route.to_owned(), two(&|n| json!({"userId": user, "amount": 5 + n})), "")
        }
        "/api-orchestration/api/balance/payment" => {
            let body = |n: usize| json!({"userId": user, "reservationId": holds[n], "amount": 100});
            (route.to_owned(), two(&body), "")
        }
        _ => return None,
    };
    Some((bodies, path, buyer.token, told))
}

async fn every_post_repeated_with_its_key_gives_its_first_answer_again(shape: Shape) {
    let world = World::start(shape, &[]).await;
    let stock = Stock::of(&world).await;
    let document = world.rest.get("/openapi.json").expect(200).await;
    let routes =
        document["paths"].as_object().unwrap().iter().filter(|(_, methods)| methods["post"].is_object());
    let mut seat = 1;
    let mut answered: Vec<(Again, &'static str, Value)> = Vec::new();
    for (route, _) in routes {
        let Some(([one, other], path, token, told)) = post(&stock, route, seat).await else {
            panic!("POST {route} is new: it needs a request here, and to be idempotent");
        };
        seat += 4;
        let (key, rest) = (unique("key"), world.rest.clone());
        let call = move |body: &Value| rest.post(&path, body.clone()).token(&token).key(&key);
        // All at once the first time, so that every one of them may be the first.
        let answers = tests::world::all_at_once((0..4).map(|_| call(&one))).await;
        let seen: HashSet<_> = answers.iter().map(|one| essence_of(&one.body, told).to_string()).collect();
        assert!(
            seen.len() == 1 && answers.iter().all(|answer| matches!(answer.status, 200..=202)),
            "POST {route}: {answers:?}"
        );
        if ROUTES_BY_NATURE.iter().any(|end| route.ends_with(end)) {
            let same = call(&other).send().await.body;
            assert_eq!(essence_of(&same, told), essence_of(&answers[0].body, told), "POST {route}");
        } else {
            let _ = call(&other).send().await.problem(422, "REQUEST_ID_REUSED");
        }
        answered.push((Box::new(move || call(&one)), told, answers[0].body.clone()));
    }
    for node in &world.mesh.nodes {
        node.process.kill();
    }
    world.mesh.restart().await;
    for (call, told, first) in answered {
        let again = call().send().await;
        assert_eq!(essence_of(&first, told), essence_of(&again.body, told), "{} after a crash", again.what);
    }
    a_key_of_rest_stands_for_the_same_by_grpc(&world, &stock).await;
    drop(stock);
    world.finish().await;
}

fn essence_of(body: &Value, field: &str) -> Value {
    if field.is_empty() { body.clone() } else { body[field].clone() }
}

/// Charging, holding and paying are asked both ways in `idempotency`; here is the rest.
async fn a_key_of_rest_stands_for_the_same_by_grpc(world: &World, stock: &Stock) {
    let (key, title) = (unique("key"), unique("Concert"));
    let made = world.rest.post("/v1/concerts", json!({"title": title})).key(&key).expect(201).await;
    let same = booking::CreateConcertRequest { title, request_id: key, ..Default::default() };
    let again = world.grpc.booking().create_concert(same).await.unwrap().into_inner().concert.unwrap();
    assert_eq!(made["concertId"], again.concert_id);

    let (key, user) = (unique("key"), unique("user"));
    let path = format!("/v1/queues/{}/tokens", stock.sale.queue);
    let joined = world.rest.post(&path, json!({"userId": user})).key(&key).expect(201).await;
    let same = queue::IssueTokenRequest {
        queue_id: stock.sale.queue.clone(),
        user_id: user,
        priority: None,
        request_id: key,
    };
    let again = world.grpc.queue().issue_token(same).await.unwrap().into_inner().token.unwrap();
    assert_eq!(text(&joined["token"]), again.token);
}
