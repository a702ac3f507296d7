//! Whose an idempotency key is where callers are known: the same key of two callers is two keys.

use chassis::idempotency::of_caller;
use reqwest::Method;
use serde_json::{Value, json};
use tests::{mesh::Shape, suite::Solo};

use super::Secured;

pub(super) const SOLOS: &[Solo] = tests::solos![&[Shape::SingleSqlite, Shape::SinglePostgres, Shape::Cluster];
    what_a_cashier_does_is_written_down_and_a_key_is_of_its_caller_alone,
];

/// Whoever acts on what is another's is named with the role; nobody meets a key of another, nor replays it.
async fn what_a_cashier_does_is_written_down_and_a_key_is_of_its_caller_alone(shape: Shape) {
    let secured = Secured::start(shape, &[]).await;
    let ann = secured.furnish().await;
    let send = |caller, path: &'static str, body: Value, token: &str| {
        let bearer = secured.bearer(caller).unwrap();
        let call = secured.rest.post(path, body).key("one-key").token(token);
        async move { call.header("authorization", bearer).once().await }
    };
    // Each key is used by both, and each is answered about their own.
    let join = |caller| send(caller, "/v1/queues/default/tokens", json!({}), "");
    let (ours, theirs) = (join("owner").await, join("user").await);
    assert_eq!((&ours.body["userId"], &theirs.body["userId"]), (&json!("ann"), &json!("bob")));
    let token = theirs.body["token"].as_str().unwrap().to_owned();
    let hold = |seat: i32| json!({"showId": ann.show_id, "seatNumbers": [seat]});
    let held = send("owner", "/v1/reservations", hold(30), &ann.token).await.expect(201);
    let theirs = send("user", "/v1/reservations", hold(31), &token).await.expect(201);
    assert_eq!((&held["userId"], &theirs["userId"]), (&json!("ann"), &json!("bob")));
    let charge = |caller, user| send(caller, user, json!({"amount": 9_000}), "");
    for user in ["/v1/wallets/ann/charges", "/v1/wallets/bob/charges"] {
        let _charged = charge(if user.contains("ann") { "owner" } else { "user" }, user).await.expect(201);
    }
    let pay = |caller, held: &Value, token: &str| {
        send(caller, "/v1/payments", json!({"reservationId": held["reservationId"]}), token)
    };
    let paid = pay("owner", &held, &ann.token).await.expect(201);
    let theirs = pay("user", &theirs, &token).await.expect(201);
    assert_ne!(paid["paymentId"], theirs["paymentId"]);
    assert_eq!(pay("owner", &held, &ann.token).await.expect(201), paid, "a replay of the same caller");
    for told in [pay("user", &held, &token).await, charge("user", "/v1/wallets/ann/charges").await] {
        assert_ne!(told.body.get("paymentId"), Some(&paid["paymentId"]), "{}", told.text);
        assert!((400..500).contains(&told.status), "{}", told.text);
    }

    // A key of the wallet's owner is another one in a cashier's hand, and so it is by the name that the edge
    // gives that one.
    let wallet = "/v1/wallets/ann/charges";
    let balance = async || {
        let told = secured.send("owner", Method::GET, "/v1/wallets/ann", &Value::Null, "").await;
        told.expect(200)["balance"].as_i64().unwrap()
    };
    let before = balance().await;
    let charged = charge("cashier", wallet).await.expect(201);
    assert_eq!(charged["balance"], json!(before + 9_000), "a charge of its own");
    assert_eq!(charge("cashier", wallet).await.expect(201), charged, "a replay of the same caller");
    let _replay = charge("owner", wallet).await.expect(201);
    assert_eq!(balance().await, before + 9_000, "replays charge nothing");
    let spelled = secured.rest.post(wallet, json!({"amount": 9_000})).key(&of_caller("carl", "one-key"));
    let _new = spelled.header("authorization", secured.bearer("owner").unwrap()).once().await.expect(201);
    assert_eq!(balance().await, before + 18_000, "the owner's own");
    let _reused = charge("cashier", "/v1/wallets/bob/charges").await.problem(422, "REQUEST_ID_REUSED");
    let journal =
        |caller| secured.send(caller, Method::GET, "/v1/operator/journal?target=ann", &Value::Null, "");
    let actions = journal("operator").await.expect(200)["actions"].clone();
    let told = |name: &str| actions[0][name].clone();
    let told_of = actions.as_array().unwrap().len();
    assert_eq!(told_of, 2, "a charge and its replay; what ann does with her own is not there: {actions}");
    assert_eq!(
        (told("who"), told("role"), told("what")),
        (json!("carl"), json!("cashier"), json!("ChargeWallet"))
    );
    let _problem = journal("owner").await.problem(403, "NOT_ALLOWED");
    secured.mesh.finish().await.unwrap();
}
