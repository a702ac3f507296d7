//! Who may do what: every RPC and every route tried as everybody, against the table written here again.

mod credentials;
mod keys;
mod limits;
mod routes;
mod rpcs;

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use access::{Issuer, Role as AccessRole, Roles};
use boxoffice_proto::{
    Fault, Reason,
    queue::{self, queue_service_client::QueueServiceClient},
};
use chassis::{
    channel::{Channel, Target},
    clock::Clock,
};
use reqwest::Method;
use serde_json::{Value, json};
use tempfile::TempDir;
use tests::{
    client::Rest,
    keys::Keys,
    mesh::{Mesh, Role, Shape},
    pages::Page,
    raw,
    suite::{Scenario, Solo},
    world::{World, text},
};
use tonic::{Code, Request, Status};
use uuid::Uuid;

pub(crate) const TOGETHER: &[Scenario] =
    tests::scenarios![what_services_do_among_themselves_is_not_done_at_the_edge];

pub(crate) fn solos() -> Vec<Solo> {
    let every = tests::solos![&[Shape::SingleSqlite, Shape::SinglePostgres, Shape::Cluster];
        every_rpc_lets_in_whom_the_table_names_and_nobody_else,
        every_route_lets_in_whom_the_table_names_and_nobody_else,
        a_stranger_gets_nothing_of_a_victim,
        who_lets_holds_end_unpaid_waits_before_the_next_one,
    ];
    let cluster = tests::solos![&[Shape::Cluster]; a_service_knows_the_edge_and_asks_everybody_else];
    [every as &[Solo], cluster, credentials::SOLOS, keys::SOLOS, limits::SOLOS].concat()
}

/// Who calls: nobody known, bob, and ann whose everything is; and the roles.
const CALLERS: [&str; 6] = ["anyone", "user", "cashier", "operator", "support", "owner"];
const ALL: &str = "anyone user cashier operator support owner";
const READERS: &str = "operator support owner";

/// A mesh that asks who calls, and the issuer of its tokens.
struct Secured {
    mesh: Mesh,
    rest: Rest,
    issuer: Issuer,
    /// What the programs of a cluster know each other by.
    keys: Keys,
    _folder: TempDir,
}

/// Nobody is limited: whoever tries everything is refused often.
const UNLIMITED: [&str; 8] =
    ["--limit-joins", "off", "--limit-holds", "off", "--limit-requests", "off", "--limit-refused", "off"];

impl Secured {
    async fn start(shape: Shape, flags: &[&str]) -> Self {
        Self::limited(shape, &[&UNLIMITED, flags].concat()).await
    }

    /// The same, with the limits that there are where callers are asked who they are.
    async fn limited(shape: Shape, flags: &[&str]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let issuer = Issuer::open(folder.path()).unwrap();
        let keys = folder.path().join("jwks.json");
        std::fs::write(&keys, issuer.jwks()).unwrap();
        let keys = keys.display().to_string();
        let docs: &[&str] = if flags.contains(&"--docs") { &[] } else { &["--docs", "on"] };
        let flags = [&["--auth-issuer", "local", "--auth-jwks", &keys], docs, flags].concat();
        let keys = Keys::new();
        let mesh = if shape == Shape::Cluster {
            Mesh::start_wired(shape, &flags, None, &keys).await
        } else {
            Mesh::start(shape, &flags).await
        };
        Self { rest: Rest::new(mesh.rest()), mesh, issuer, keys, _folder: folder }
    }

    /// The bearer token of one of [`CALLERS`], or of a user without roles.
    fn bearer(&self, caller: &str) -> Option<String> {
        let (user, roles): (_, &[_]) = match caller {
            "anyone" => return None,
            "user" => ("bob", &[]),
            "owner" => ("ann", &[]),
            "cashier" => ("carl", &[AccessRole::Cashier]),
            "operator" => ("olga", &[AccessRole::Operator]),
            "support" => ("sue", &[AccessRole::Support]),
            user => (user, &[]),
        };
        let roles: Roles = roles.iter().copied().collect();
        let now = Clock::system().now();
        let token = self.issuer.issue("boxoffice", user, roles, Duration::from_secs(3_600), now).unwrap();
        Some(format!("Bearer {token}"))
    }

    async fn send(
        &self,
        caller: &str,
        method: Method,
        path: &str,
        body: &Value,
        token: &str,
    ) -> tests::client::Answer {
        let mut call = self.rest.call(method, path).token(token).unkeyed();
        if let Some(bearer) = self.bearer(caller) {
            call = call.header("authorization", bearer);
        }
        if !body.is_null() {
            call = call.json(body.clone());
        }
        call.begun().await
    }

    /// Whether the programs know each other by certificates.
    fn is_apart(&self) -> bool {
        !self.mesh.of(Role::Queue).is_empty()
    }

    /// Calls a program; where programs have certificates, with the one of this name.
    fn channel(&self, program: Role, name: &str) -> Channel {
        let at = self.mesh.grpc(program).remove(0);
        let target: Target = if self.is_apart() {
            let tls = self.keys.client(name, &self.keys.path("ca.crt"));
            let target: Target = at.replace("http://", "https://").parse().unwrap();
            target.secured("--url", Some(&tls), None).unwrap()
        } else {
            at.parse().unwrap()
        };
        Channel::new(&target)
    }

    /// Ann's things: a wallet, a paid and a held reservation, and an ACTIVE token.
    async fn furnish(&self) -> Ann {
        self.furnish_charged_by("owner").await
    }

    async fn furnish_charged_by(&self, cashier: &str) -> Ann {
        let ask = |caller, method, path: &str, body, token: &str| {
            let (path, token) = (path.to_owned(), token.to_owned());
            async move { self.send(caller, method, &path, &body, &token).await.expect(201) }
        };
        let concert = ask("operator", Method::POST, "/v1/concerts", json!({"title": "Gala"}), "").await;
        let concert_id = concert["concertId"].as_i64().unwrap();
        let show = json!({"title": "Night", "startsAt": "2099-12-24T19:30:00Z", "durationMinutes": 90, "price": 1_000,
            "seatCount": 50});
        let show = ask("operator", Method::POST, &format!("/v1/concerts/{concert_id}/shows"), show, "").await;
        let show_id = show["showId"].as_i64().unwrap();
        ask(cashier, Method::POST, "/v1/wallets/ann/charges", json!({"amount": 50_000}), "").await;
        let join = || ask("owner", Method::POST, "/v1/queues/default/tokens", json!({}), "");
        let hold = |seat: i32, token: String| async move {
            let seats = json!({"showId": show_id, "seatNumbers": [seat]});
            let held = ask("owner", Method::POST, "/v1/reservations", seats, &token).await;
            held["reservationId"].as_str().unwrap().to_owned()
        };
        let used = join().await["token"].as_str().unwrap().to_owned();
        let paid = hold(1, used.clone()).await;
        let payment = ask("owner", Method::POST, "/v1/payments", json!({"reservationId": paid}), &used).await;
        let token = join().await["token"].as_str().unwrap().to_owned();
        let held = hold(2, token.clone()).await;
        let payment = payment["paymentId"].as_str().unwrap().to_owned();
        Ann { concert_id, show_id, used, token, paid, held, payment }
    }
}

#[derive(Default)]
struct Ann {
    concert_id: i64,
    show_id: i64,
    used: String,
    token: String,
    paid: String,
    held: String,
    payment: String,
}

const REFUSALS: [Reason; 5] = [
    Reason::CredentialsMissing,
    Reason::CredentialsInvalid,
    Reason::NotOwner,
    Reason::NotAllowed,
    Reason::TokenWrongUser,
];

/// What a caller should be told who is not let in.
fn right(caller: &str, told: Option<Reason>) -> bool {
    match (caller, told) {
        ("anyone", told) => told == Some(Reason::CredentialsMissing),
        (_, told) => matches!(told, Some(Reason::NotOwner | Reason::NotAllowed | Reason::TokenWrongUser)),
    }
}

/// Everybody's outcome against who is to be let in.
fn compare(what: &str, may: &str, caller: &str, told: Option<Reason>, wrong: &mut Vec<String>) {
    let may = may.split(' ').any(|one| one == caller);
    let fits = if may { told.is_none() } else { right(caller, told) };
    if !fits {
        wrong.push(format!(
            "{what} as {caller}: {told:?}, and {} be let in",
            if may { "must" } else { "must not" }
        ));
    }
}

async fn every_rpc_lets_in_whom_the_table_names_and_nobody_else(shape: Shape) {
    let secured = Secured::start(shape, &[]).await;
    secured.keys.issue("olga", "olga", 2100);
    let ann = secured.furnish().await;
    let table = rpcs::rpcs(&ann);
    // The same requests about nothing that is there: what the edge asks for is done.
    let of_nobody = rpcs::rpcs(&Ann::default());
    let named: BTreeSet<_> = table.iter().map(|(_, name, ..)| (*name).to_owned()).collect();
    let all: BTreeSet<_> = raw::methods().into_iter().map(|method| method.name).collect();
    assert_eq!(named, all, "the table names every method");
    let mut wrong = Vec::new();
    for ((service, name, request, may), (.., of_nobody, _)) in table.iter().zip(&of_nobody) {
        // The edge is the one door for the public: it serves what the services serve.
        for door in BTreeMap::from([(*service as u8, *service), (Role::Edge as u8, Role::Edge)]).into_values()
        {
            let may = if door == *service { may } else { rpcs::at_edge(name).unwrap_or(may) };
            let channel = secured.channel(door, "olga");
            let page = Page::new(secured.mesh.grpc(door).remove(0), false, false);
            let path = raw::methods().into_iter().find(|method| method.name == *name).unwrap().path;
            for caller in CALLERS {
                let bearer = secured.bearer(caller).map(|bearer| ("authorization", bearer));
                // Support helps without a place in the line.
                let place = ((caller, *name) != ("support", "CancelReservation"))
                    .then(|| ("x-queue-token", ann.token.clone()));
                let metadata: Vec<_> = bearer.into_iter().chain(place).collect();
                let over_grpc = raw::call_with(channel.clone(), &path, request, &metadata).await.err();
                let mut answers = vec![("gRPC", over_grpc)];
                // Pages in browsers call the edge too, without a certificate; answers are read to their end.
                if door == Role::Edge && !secured.is_apart() && *name != rpcs::ENDLESS {
                    let headers: Vec<_> = metadata.iter().map(|(name, value)| (*name, &**value)).collect();
                    answers.push(("gRPC-Web", page.call(&path, request, &headers).await.err()));
                }
                for (by, told) in answers {
                    let code = told.as_ref().map(Status::code);
                    assert!(
                        !matches!(code, Some(Code::Unimplemented | Code::Internal)),
                        "{path} at {door:?} by {by}: {told:?}"
                    );
                    let reason =
                        told.map(|status| Fault::from(&status).reason).filter(|told| REFUSALS.contains(told));
                    compare(&format!("{name} at {door:?} by {by}"), may, caller, reason, &mut wrong);
                }
            }
            // The edge has asked, so a service asks it nothing.
            if secured.is_apart() && door != Role::Edge {
                let told = raw::call(secured.channel(door, "edge"), &path, of_nobody).await.err();
                let reason = told.map(|status| Fault::from(&status).reason);
                if reason
                    .is_some_and(|reason| REFUSALS[..2].contains(&reason) || reason == Reason::NotAllowed)
                {
                    wrong.push(format!("{name} at {door:?} as the edge: {reason:?}"));
                }
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    secured.mesh.finish().await.unwrap();
}

async fn every_route_lets_in_whom_the_table_names_and_nobody_else(shape: Shape) {
    let secured = Secured::start(shape, &[]).await;
    let ann = secured.furnish().await;
    let document = secured.rest.get("/openapi.json").expect(200).await;
    let table = routes::routes(&ann);
    let mut wrong = Vec::new();
    let mut named = BTreeSet::new();
    for (method, path, template, body, may) in &table {
        let verb = method.as_str().to_ascii_lowercase();
        let says_open = document["paths"][template][&verb]["security"].is_null();
        if says_open != may.contains("anyone") {
            wrong.push(format!("the document about {verb} {template}"));
        }
        named.insert(format!("{verb} {template}"));
        for caller in CALLERS {
            let answer = secured.send(caller, method.clone(), path, body, &ann.token).await;
            let reason = answer.code().parse().ok().filter(|told| REFUSALS.contains(told));
            assert!(!(500..600).contains(&answer.status), "{verb} {path} as {caller}: {}", answer.text);
            if matches!(reason, Some(Reason::CredentialsMissing | Reason::NotAllowed))
                && !answer.header("www-authenticate").starts_with("Bearer")
            {
                wrong.push(format!("{verb} {path}: no challenge"));
            }
            compare(&format!("{verb} {path}"), may, caller, reason, &mut wrong);
        }
    }
    let paths = document["paths"].as_object().unwrap();
    let all: BTreeSet<_> = paths
        .iter()
        .flat_map(|(path, item)| item.as_object().unwrap().iter().map(move |(verb, it)| (path, verb, it)))
        .filter(|(.., operation)| operation["tags"][0] != "operations")
        .map(|(path, verb, _)| format!("{verb} {path}"))
        .collect();
    assert_eq!(named, all, "the table names every route");
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    secured.mesh.finish().await.unwrap();
}

/// Services do these among themselves. A hold that is confirmed with an invented payment is a free ticket.
async fn what_services_do_among_themselves_is_not_done_at_the_edge(world: World) {
    let table = rpcs::rpcs(&Ann::default());
    let theirs = table.iter().filter(|(.., name, _, may)| may.is_empty() && rpcs::at_edge(name).is_none());
    let mut tried = 0;
    for (_, name, request, _) in theirs {
        let path = raw::methods().into_iter().find(|method| method.name == *name).unwrap().path;
        let told = raw::call(world.grpc.checkout.next(), &path, request).await.unwrap_err();
        let fault = Fault::from(&told);
        assert_eq!(
            (fault.reason, fault.metadata["role"].as_str()),
            (Reason::NotAllowed, "service"),
            "{name}"
        );
        tried += 1;
    }
    assert_eq!(tried, 12);
}

/// What a stranger did to a victim on a mesh that asked nobody.
async fn a_stranger_gets_nothing_of_a_victim(shape: Shape) {
    let secured = Secured::start(shape, &["--self-charge", "off"]).await;
    let (post, get) = (Method::POST, Method::GET);
    let none = json!(null);
    let mallory = |method: &Method, path: &'static str, body: Value| {
        let method = method.clone();
        let secured = &secured;
        async move { secured.send("mallory", method, path, &body, "").await }
    };
    let join = json!({"userId": "ann"});
    let _problem = mallory(&post, "/v1/queues/default/tokens", join).await.problem(403, "NOT_OWNER");
    // Whether it exists or not.
    for user in ["/v1/wallets/ann", "/v1/wallets/nobody"] {
        let _problem = mallory(&get, user, none.clone()).await.problem(403, "NOT_OWNER");
    }
    // So it is where something would be done with it.
    let ann = secured.furnish_charged_by("cashier").await;
    let place = mallory(&post, "/v1/queues/default/tokens", json!({})).await.expect(201);
    let place = place["token"].as_str().unwrap();
    for reservation in [&*ann.held, "00000000-0000-0000-0000-000000000007"] {
        let pay = json!({"reservationId": reservation});
        let told = secured.send("mallory", post.clone(), "/v1/payments", &pay, place).await;
        let _problem = told.problem(403, "NOT_OWNER");
        let path = format!("/v1/reservations/{reservation}");
        let told = secured.send("mallory", Method::DELETE, &path, &none, place).await;
        let _problem = told.problem(403, "NOT_OWNER");
    }
    for payment in [
        "/v1/payments/00000000-0000-0000-0000-000000000007",
        "/v1/reservations/00000000-0000-0000-0000-000000000007",
    ] {
        let _problem = mallory(&get, payment, none.clone()).await.problem(403, "NOT_OWNER");
    }
    let lane =
        mallory(&post, "/v1/queues/default/tokens", json!({"priority": 0})).await.problem(403, "NOT_ALLOWED");
    assert_eq!(lane["role"], "operator");
    let _problem =
        mallory(&post, "/v1/wallets/mallory/charges", json!({"amount": 5})).await.problem(403, "NOT_ALLOWED");
    // Two tokens are not the header of one caller.
    let two =
        secured.rest.get("/v1/wallets/mallory").header("authorization", secured.bearer("mallory").unwrap());
    let _problem = two
        .header("authorization", secured.bearer("ann").unwrap())
        .once()
        .await
        .problem(401, "CREDENTIALS_INVALID");
    secured.mesh.finish().await.unwrap();
}

/// Where callers are known, seats cannot be kept from others by holding them again and again.
async fn who_lets_holds_end_unpaid_waits_before_the_next_one(shape: Shape) {
    let secured = Secured::start(shape, &[]).await;
    let ann = secured.furnish().await;
    let hold = async |caller: &str, seat: i32, token: &str| {
        let seats = json!({"showId": ann.show_id, "seatNumbers": [seat]});
        secured.send(caller, Method::POST, "/v1/reservations", &seats, token).await
    };
    let give_back = async |reservation: &str| {
        let path = format!("/v1/reservations/{reservation}");
        secured.send("owner", Method::DELETE, &path, &Value::Null, &ann.token).await.expect(204)
    };
    let mut held = ann.held.clone();
    for seat in 3..5 {
        give_back(&held).await;
        held = text(&hold("owner", seat, &ann.token).await.expect(201)["reservationId"]);
    }
    give_back(&held).await;
    let paused = hold("owner", 5, &ann.token).await;
    let wait: u64 = paused.header("retry-after").parse().unwrap();
    assert!((1..=60).contains(&wait), "{wait}");
    let _problem = paused.problem(409, "HOLD_LIMIT");
    let joined =
        secured.send("user", Method::POST, "/v1/queues/default/tokens", &json!({}), "").await.expect(201);
    let _held = hold("user", 5, &text(&joined["token"])).await.expect(201);
    secured.mesh.finish().await.unwrap();
}

/// Between programs of their own a certificate says who the edge is; others with a certificate of the mesh
/// need a bearer token besides.
async fn a_service_knows_the_edge_and_asks_everybody_else(shape: Shape) {
    let secured = Secured::start(shape, &[]).await;
    secured.keys.issue("olga", "olga", 2100);
    let client = |name: &str| QueueServiceClient::new(secured.channel(Role::Queue, name));
    let unknown = || queue::VerifyTokenRequest { token: Uuid::nil().to_string(), ..Default::default() };
    let reason = |status: Status| Fault::from(&status).reason;
    let told = client("edge").verify_token(unknown()).await.map_err(reason);
    assert_eq!(told.unwrap_err(), Reason::TokenNotFound, "the edge is asked nothing");
    let told = client("olga").verify_token(unknown()).await.map_err(reason);
    assert_eq!(told.unwrap_err(), Reason::CredentialsMissing);
    let as_operator = |queue_id: &str| {
        let policy = Some(queue::QueuePolicy::default());
        let create = queue::CreateQueueRequest { queue_id: queue_id.into(), policy, ..Default::default() };
        let mut request = Request::new(create);
        let bearer = secured.bearer("operator").unwrap().parse().unwrap();
        request.metadata_mut().insert("authorization", bearer);
        request
    };
    let _created = client("olga").create_queue(as_operator("by-olga")).await.unwrap();
    secured.mesh.finish().await.unwrap();
}
