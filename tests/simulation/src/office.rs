//! Who opens the sale before anything goes wrong, and reads everybody's affairs when all is over.

use std::{cell::RefCell, rc::Rc, time::Duration};

use chassis::rfc3339::Rfc3339;
use serde_json::json;
use tokio::time::sleep;

use crate::{
    history::{self, count, violated},
    mending::BEGINS,
    mesh::START,
    model::{Affairs, Model},
    person::{LINE, SETTLES_WITHIN, name},
    plan::{EDGES, OFFICE, Plan},
    rest::{Answer, Request, list, text},
};

/// How long an answer is waited for.
const PATIENCE: Duration = Duration::from_secs(10);
/// How soon it is asked again.
const AGAIN: Duration = Duration::from_millis(200);

/// Opens the sale; its show.
pub async fn open(plan: &Plan) -> i64 {
    let rules = &plan.sale;
    let mut line = json!({
        "maxActive": rules.max_active, "activeTtlSeconds": rules.active_seconds, "admitPerMinute": 6_000,
        "onExpiry": if rules.requeue { "REQUEUE" } else { "EXPIRE" },
        "waitingGraceSeconds": rules.grace_seconds, "showUpWithinSeconds": rules.show_up_seconds,
    });
    if plan.draw.is_some() {
        line["opening"] = json!("DRAW");
    }
    if let Some(opens) = plan.draw.or(plan.fifo) {
        line["opensAt"] = json!(instant(opens));
    }
    until_done(&Request::put(format!("/v1/queues/{LINE}"), line).key("line")).await;
    let concert = json!({"title": "Gala", "queueId": LINE});
    let concert =
        until_done(&Request::post("/v1/concerts", concert).key("concert")).await.number("concertId");
    let begins = Rfc3339::of(BEGINS);
    let mut show = json!({"startsAt": begins.as_str(), "durationMinutes": 120, "title": "Evening"});
    if let (Some(members), Some(hall)) = (show.as_object_mut(), plan.hall.body().as_object()) {
        members.extend(hall.clone());
    }
    for (name, at) in [("opensAt", plan.hall.opens), ("closesAt", plan.hall.closes)] {
        if let Some(at) = at {
            show[name] = json!(instant(at));
        }
    }
    if let Some(most) = plan.hall.most {
        show["maxSeatsPerUser"] = json!(most);
    }
    until_done(&Request::post(format!("/v1/concerts/{concert}/shows"), show).key("show"))
        .await
        .number("showId")
}

/// A time of the run, as it is written in a request.
fn instant(at: Duration) -> String {
    Rfc3339::of(START + i64::try_from(at.as_micros()).unwrap_or_default()).as_str().to_owned()
}

/// Says something to all who wait, at each of its times: in one language, in two, and nothing any more.
pub async fn say(plan: Rc<Plan>, model: Rc<RefCell<Model>>) {
    for (nth, at) in plan.said.iter().enumerate() {
        sleep(at.saturating_sub(history::now())).await;
        let en = format!("Doors are late: {nth}");
        let message = match nth % 3 {
            0 => json!({"ko": null, "en": en}),
            1 => json!({"ko": "늦어집니다", "en": en}),
            _ => serde_json::Value::Null,
        };
        model.borrow_mut().line.said.saying(&message);
        let request = Request::put(format!("/v1/queues/{LINE}"), json!({"message": message}));
        for edge in EDGES.into_iter().cycle() {
            let answer = request.send(OFFICE, edge, PATIENCE).await;
            model.borrow_mut().line.said.heard(answer.as_ref());
            if answer.is_some_and(|answer| answer.stands()) {
                break;
            }
            sleep(AGAIN).await;
        }
    }
}

/// Calls the show off: nobody gets its seats any more when this is over.
pub async fn call_off(show: i64) {
    until_done(&Request::post(format!("/v1/shows/{show}/cancel"), json!({}))).await;
    count("shows called off");
}

/// Looks at the draw, if an edge tells it. Whether it waits for its beacon.
pub async fn watch_the_draw(model: &Rc<RefCell<Model>>) -> bool {
    let request = Request::get(format!("/v1/queues/{LINE}/draw"));
    let answer = request.send(OFFICE, EDGES[0], PATIENCE).await.filter(Answer::is_done);
    let Some(answer) = answer else { return false };
    model.borrow_mut().line.told_of_the_draw(&answer);
    answer.body["root"].is_string() && answer.body["secret"].is_null()
}

/// Ends the wait for a beacon that does not come.
pub async fn draw_without_a_beacon() {
    let without = json!({"withoutBeacon": true});
    until_done(&Request::put(format!("/v1/queues/{LINE}"), without).key("without")).await;
    count("draws without their beacon");
}

/// Reads everybody's affairs once nothing is in flight any more, and has the model judge them.
pub async fn close(plan: &Plan, show: i64, model: &Rc<RefCell<Model>>) {
    let until = history::now().max(plan.calm) + SETTLES_WITHIN;
    while plan.called_off.is_some() {
        let told = until_done(&Request::get(format!("/v1/shows/{show}"))).await;
        if told.text("status") == "CANCELLED" {
            break;
        }
        if history::now() > until {
            return violated("SETTLED", &[OFFICE], format!("still being called off: {}", told.body));
        }
        sleep(AGAIN).await;
    }
    let mut all = Vec::new();
    for number in 0..plan.people {
        let user = name(number);
        loop {
            let affairs = affairs(&user).await;
            let is_in_flight = |payment: &&serde_json::Value| match text(payment, "status") {
                "PENDING" => true,
                status => status == "COMPLETED" && payment["refundAskedAt"].is_string(),
            };
            let pending = affairs.payments.iter().find(is_in_flight);
            let Some(pending) = pending else {
                all.push(affairs);
                break;
            };
            if history::now() > until {
                violated("SETTLED", &[&user], format!("still in flight: {pending}"));
                return;
            }
            sleep(AGAIN).await;
        }
    }
    if plan.draw.is_some() {
        let draw = loop {
            let draw = until_done(&Request::get(format!("/v1/queues/{LINE}/draw"))).await;
            model.borrow_mut().line.told_of_the_draw(&draw);
            if draw.body["secret"].is_string() {
                if draw.body["beaconSignature"].is_string() {
                    count("draws with their beacon");
                }
                break draw;
            }
            if history::now() > until {
                return violated("DRAW", &[OFFICE], format!("it was not held: {}", draw.body));
            }
            sleep(AGAIN).await;
        };
        let tokens = model.borrow().line.registered();
        for token in tokens {
            let drawn = until_known(&Request::get(format!("/v1/tokens/{token}/draw"))).await;
            model.borrow_mut().line.drawn(&token, &draw, &drawn);
        }
    }
    // Books and seats are told as they were a quarter of a second ago.
    sleep(AGAIN + AGAIN).await;
    let books = until_done(&Request::get(format!("/v1/shows/{show}/sales"))).await.body;
    let told = until_done(&Request::get(format!("/v1/shows/{show}"))).await;
    if !plan.mended.is_empty() && plan.called_off.is_none() {
        model.borrow_mut().show.read(&told);
    }
    let map = until_done(&Request::get(format!("/v1/shows/{show}/seats"))).await.body;
    model.borrow().judge(&all, &books, &map);
}

/// Everything that can be read of somebody.
async fn affairs(user: &str) -> Affairs {
    let read = async |path: String| until_done(&Request::get(path)).await.body;
    let all = |json: &serde_json::Value, field: &str| list(json, field).cloned().collect::<Vec<_>>();
    let payments = all(&read(format!("/v1/users/{user}/payments?pageSize=1000")).await, "payments");
    let reservations =
        all(&read(format!("/v1/users/{user}/reservations?pageSize=1000")).await, "reservations");
    let wallet = until_known(&Request::get(format!("/v1/wallets/{user}"))).await;
    let (balance, entries) = if wallet.status == 404 {
        (None, Vec::new())
    } else {
        let entries = read(format!("/v1/wallets/{user}/entries?pageSize=1000")).await;
        (Some(wallet.number("balance")), all(&entries, "entries"))
    };
    Affairs { user: user.to_owned(), balance, entries, payments, reservations }
}

pub(crate) async fn until_done(request: &Request) -> Answer {
    loop {
        let answer = until_known(request).await;
        if answer.is_done() {
            return answer;
        }
        violated("OFFICE", &[OFFICE], format!("{request} was refused: {}", answer.body));
        sleep(PATIENCE).await;
    }
}

/// Asks either edge in turn until an answer stands.
async fn until_known(request: &Request) -> Answer {
    for edge in request.edges().into_iter().cycle() {
        if let Some(answer) = request.send(OFFICE, edge, PATIENCE).await
            && answer.stands()
        {
            return answer;
        }
        sleep(AGAIN).await;
    }
    unreachable!("a cycle does not end")
}
