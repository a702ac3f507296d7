//! A name is one name in whatever Unicode form it is written: a character as one code point, or as a letter
//! and its marks.

use boxoffice_proto::{Reason, booking, checkout, queue, wallet};
use serde_json::{Value, json};
use tests::{
    grpc::refused,
    requests::show_body,
    scenarios,
    suite::Scenario,
    world::{Buyer, World, int, text, unique},
};

pub(crate) const TOGETHER: &[Scenario] = scenarios![
    both_forms_of_a_name_have_one_wallet,
    both_forms_of_a_name_have_one_place,
    both_forms_of_a_name_hold_and_pay_for_one_reservation,
    a_title_is_kept_in_one_form,
    the_length_of_a_name_is_that_of_its_composed_form,
];

/// A new user: the name in form C, as every answer tells it, and in form D.
fn user() -> [String; 2] {
    let tail = unique("");
    [format!("Zo\u{eb}\u{ae40}{tail}"), format!("Zoe\u{308}\u{1100}\u{1175}\u{11b7}{tail}")]
}

async fn both_forms_of_a_name_have_one_wallet(world: World) {
    let [composed, apart] = user();
    let charge =
        |user: &str| world.rest.post(&format!("/v1/wallets/{user}/charges"), json!({"amount": 1_000}));
    let first = charge(&apart).send().await;
    assert_eq!((first.status, &first.body["userId"]), (201, &json!(composed)), "{}", first.text);
    let request =
        wallet::ChargeWalletRequest { user_id: composed.clone(), amount: 500, ..Default::default() };
    assert_eq!(
        world.grpc.wallet().charge_wallet(request).await.unwrap().into_inner().wallet.unwrap().balance,
        1_500
    );
    let original = json!({"userId": apart, "amount": 100});
    assert_eq!(
        world.rest.post("/api-orchestration/api/balance/charge", original).expect(200).await["amount"],
        1_600
    );
    // One key and one name are one request.
    let key = unique("key");
    let answers = [charge(&composed).key(&key).expect(201).await, charge(&apart).key(&key).expect(201).await];
    assert_eq!(answers[0], answers[1]);
    for form in [&composed, &apart] {
        assert_eq!(world.balance(form).await, 2_600);
        assert_eq!(
            world.rest.get(&format!("/api-orchestration/api/balance/{form}")).expect(200).await["amount"],
            2_600
        );
        let request = wallet::GetWalletRequest { user_id: form.clone() };
        let found = world.grpc.wallet().get_wallet(request).await.unwrap().into_inner().wallet.unwrap();
        assert_eq!((found.user_id.as_str(), found.balance), (composed.as_str(), 2_600));
    }
    // A page of the list of one form is followed by the next of the other's.
    let page = world.rest.get(&format!("/v1/wallets/{apart}/entries?pageSize=1")).expect(200).await;
    let next = text(&page["nextPageToken"]);
    let page = world
        .rest
        .get(&format!("/v1/wallets/{composed}/entries?pageSize=9&pageToken={next}"))
        .expect(200)
        .await;
    assert_eq!(page["entries"].as_array().unwrap().len(), 3);
    let request = wallet::ListEntriesRequest { user_id: apart, page_size: 9, page_token: next };
    assert_eq!(world.grpc.wallet().list_entries(request).await.unwrap().into_inner().entries.len(), 3);
}

async fn both_forms_of_a_name_have_one_place(world: World) {
    let line = world.queue(json!({"maxActive": 10})).await;
    let [composed, apart] = user();
    let first = world.join(&line, &apart).await;
    assert_eq!(first["userId"], json!(composed));
    let token = text(&first["token"]);
    assert_eq!(world.join(&line, &composed).await["token"], first["token"]);
    for form in [&composed, &apart] {
        let join =
            queue::IssueTokenRequest { queue_id: line.clone(), user_id: form.clone(), ..Default::default() };
        let joined = world.grpc.queue().issue_token(join).await.unwrap().into_inner();
        assert_eq!((joined.created, &joined.token.unwrap().token), (false, &token));
        let find =
            queue::GetTokenRequest { queue_id: line.clone(), user_id: form.clone(), ..Default::default() };
        assert_eq!(
            world.grpc.queue().get_token(find).await.unwrap().into_inner().token.unwrap().token,
            token
        );
        let verify = queue::VerifyTokenRequest {
            token: token.clone(),
            queue_id: line.clone(),
            user_id: form.clone(),
            fresh: true,
        };
        world.grpc.queue().verify_token(verify).await.unwrap();
    }
    let mine = world.rest.post("/queue-management/api/token", json!({"userId": composed})).expect(201).await;
    let same = world.rest.get(&format!("/queue-management/api/token/{apart}")).expect(200).await;
    assert_eq!(same["tokenValue"], mine["tokenValue"]);
}

async fn both_forms_of_a_name_hold_and_pay_for_one_reservation(world: World) {
    let sale = world.sale(1_000, 9).await;
    let [composed, apart] = user();
    world.charge(&apart, 10_000).await;
    let mine = world.admitted(&sale.queue, &composed).await;
    let other = Buyer { user: apart.clone(), token: mine.token.clone() };
    let key = unique("hold");
    let held = world.holding(&other, sale.show, &[1, 2]).key(&key).expect(201).await;
    assert_eq!(world.holding(&mine, sale.show, &[1, 2]).key(&key).expect(201).await, held);
    assert_eq!(held["userId"], json!(composed));
    let another = world.hold(&mine, sale.show, &[3]).await;
    let list =
        |form: &str, more: &str| world.rest.get(&format!("/v1/users/{form}/reservations?pageSize=1{more}"));
    let page = list(&apart, "").expect(200).await;
    assert_eq!(page["reservations"][0]["reservationId"], json!(another));
    let next = list(&composed, &format!("&pageToken={}", text(&page["nextPageToken"]))).expect(200).await;
    assert_eq!(next["reservations"][0]["reservationId"], held["reservationId"]);
    let request = booking::ListReservationsRequest { user_id: apart.clone(), ..Default::default() };
    assert_eq!(
        world.grpc.booking().list_reservations(request).await.unwrap().into_inner().reservations.len(),
        2
    );

    let (key, id) = (unique("pay"), text(&held["reservationId"]));
    let paid = world.paying(&other, &id).key(&key).expect(201).await;
    assert_eq!((&paid["status"], &paid["userId"]), (&json!("COMPLETED"), &json!(composed)));
    assert_eq!(world.paying(&mine, &id).key(&key).expect(201).await, paid);
    let again = checkout::PayRequest {
        user_id: apart.clone(),
        reservation_id: id,
        token: mine.token,
        request_id: key,
    };
    let again = world.grpc.checkout().pay(again).await.unwrap().into_inner().checkout.unwrap();
    assert_eq!(json!(again.checkout_id), paid["paymentId"]);
    for form in [&composed, &apart] {
        assert_eq!(world.balance(form).await, 8_000);
        let listed = world.rest.get(&format!("/v1/users/{form}/payments")).expect(200).await;
        assert_eq!(listed["payments"], json!([paid]));
        let request = checkout::ListCheckoutsRequest { user_id: form.clone(), ..Default::default() };
        assert_eq!(
            world.grpc.checkout().list_checkouts(request).await.unwrap().into_inner().checkouts.len(),
            1
        );
        let request = wallet::ListPaymentsRequest { user_id: form.clone(), ..Default::default() };
        assert_eq!(world.grpc.wallet().list_payments(request).await.unwrap().into_inner().payments.len(), 1);
    }
}

async fn a_title_is_kept_in_one_form(world: World) {
    let (composed, apart) = ("Die Gr\u{f6}\u{df}te Show", "Die Gro\u{308}\u{df}te Show");
    let key = unique("concert");
    let create = |title: &str| world.rest.post("/v1/concerts", json!({"title": title})).key(&key);
    let concert = create(apart).expect(201).await;
    assert_eq!(concert["title"], composed);
    assert_eq!(create(composed).expect(201).await, concert);
    let request = booking::CreateConcertRequest { title: apart.to_owned(), ..Default::default() };
    assert_eq!(
        world.grpc.booking().create_concert(request).await.unwrap().into_inner().concert.unwrap().title,
        composed
    );
    let show = show_body(json!({"title": "o\u{308}".repeat(200), "description": apart}));
    let show = world
        .rest
        .post(&format!("/v1/concerts/{}/shows", int(&concert["concertId"])), show)
        .expect(201)
        .await;
    assert_eq!((&show["title"], &show["description"]), (&json!("\u{f6}".repeat(200)), &json!(composed)));
}

async fn the_length_of_a_name_is_that_of_its_composed_form(world: World) {
    let tail = unique("-");
    let long = |length: usize| format!("{}{tail}", "e\u{308}".repeat(length - tail.len()));
    world.charge(&long(64), 1).await;
    let charge =
        |user: String| wallet::ChargeWalletRequest { user_id: user, amount: 1, ..Default::default() };
    let charged =
        world.grpc.wallet().charge_wallet(charge(long(64))).await.unwrap().into_inner().wallet.unwrap();
    assert_eq!((charged.user_id.chars().count(), charged.balance), (64, 2));
    for too_long in [long(65), long(9_000)] {
        refused(world.grpc.wallet().charge_wallet(charge(too_long)).await, Reason::InvalidArgument);
    }
    let body: Value = json!({"userId": long(9_000)});
    let _ = world.rest.post("/v1/queues/default/tokens", body).send().await.problem(400, "INVALID_ARGUMENT");
}
