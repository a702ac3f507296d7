//! An opening in the order of coming, while those who registered ask and ask, from before it over it, at
//! every edge: nobody is in before the instant, everybody learns of it, and everybody keeps their place.

use std::time::Duration;

use chassis::{clock::Clock, rfc3339::Rfc3339};
use futures::future::{join, join_all};
use serde_json::json;
use tests::{
    client::Rest,
    patience::timeout,
    scenarios,
    suite::Scenario,
    world::{World, int, text, unique},
};
use tokio::time::sleep;

pub(crate) const TOGETHER: &[Scenario] =
    scenarios![who_asks_from_before_the_opening_over_it_enters_in_the_order_of_coming];

/// How many register, and how many of them may be in at once.
const PEOPLE: usize = 12;
const IN_AT_ONCE: usize = 3;

/// What was told of somebody's place, and the time when the answer was there.
struct Told {
    at: i64,
    person: usize,
    status: String,
    ticket: i64,
    position: i64,
}

/// Asks an edge for every place again and again, until it has told each of them that the line is open.
async fn asked(edge: Rest, tokens: &[String]) -> Vec<Told> {
    let mut all = Vec::new();
    loop {
        let mut registered = 0;
        for (person, token) in tokens.iter().enumerate() {
            let told = edge.get(&format!("/v1/tokens/{token}")).expect(200).await;
            let (at, status) = (Clock::system().now(), text(&told["status"]));
            registered += usize::from(status == "REGISTERED");
            let (ticket, position) = (int(&told["ticket"]), int(&told["position"]));
            all.push(Told { at, person, status, ticket, position });
        }
        if registered == 0 {
            return all;
        }
        sleep(Duration::from_millis(20)).await;
    }
}

async fn who_asks_from_before_the_opening_over_it_enters_in_the_order_of_coming(world: World) {
    let queue = world.queue(json!({"maxActive": IN_AT_ONCE, "opensAt": "2099-12-24T11:00:00Z"})).await;
    let (mut tokens, mut tickets) = (Vec::new(), Vec::new());
    for _ in 0..PEOPLE {
        let place = world.join(&queue, &unique("user")).await;
        assert_eq!((&place["status"], int(&place["position"])), (&json!("REGISTERED"), 0), "{place}");
        tokens.push(text(&place["token"]));
        tickets.push(int(&place["ticket"]));
    }
    assert!(tickets.is_sorted_by(|one, next| one < next), "{tickets:?}");

    let edges = world.mesh.rest().into_iter().map(|edge| asked(Rest::new(vec![edge]), &tokens));
    let asking = timeout(Duration::from_secs(30), join_all(edges));
    let opening = async {
        sleep(Duration::from_millis(300)).await;
        let opens = Clock::system().now() + 2_000_000;
        let instant = json!({"opensAt": Rfc3339::of(opens).as_str()});
        let _ = world.rest.put(&format!("/v1/queues/{queue}"), instant).expect(200).await;
        opens
    };
    let (told, opens) = join(asking, opening).await;
    for told in told.expect("every edge tells that the line is open") {
        assert!(told.iter().any(|told| told.at < opens), "it was asked before the instant");
        for Told { at, person, status, ticket, position } in told {
            let is_open = status != "REGISTERED";
            assert!(
                at >= opens || !is_open,
                "person {person} is {status} at {at}, and {opens} is the instant"
            );
            assert_eq!(ticket, tickets[person], "person {person} keeps their ticket");
            let place = i64::try_from(person).unwrap() + 1 - i64::try_from(IN_AT_ONCE).unwrap();
            let expected = if !is_open || place <= 0 { 0 } else { place };
            assert_eq!(position, expected, "person {person} is {status}");
            assert_eq!(is_open && place <= 0, status == "ACTIVE", "person {person} is {status}");
        }
    }
}
