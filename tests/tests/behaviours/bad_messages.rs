//! Whatever a gRPC client sends, it is told what is wrong, and nothing is INTERNAL.

use boxoffice_proto::{Reason, booking, checkout, queue, wallet};
use tests::{
    grpc::refused,
    requests::hold_message,
    scenarios,
    suite::Scenario,
    world::{World, unique},
};
use uuid::Uuid;

pub(crate) const TOGETHER: &[Scenario] =
    scenarios![wrong_fields_by_grpc_are_named, broken_messages_by_grpc_are_refused];

async fn wrong_fields_by_grpc_are_named(world: World) {
    let sale = world.sale(1_000, 5).await;
    let fields = |fault: boxoffice_proto::Fault| {
        fault.violations.into_iter().map(|violation| violation.field).collect::<Vec<_>>()
    };
    let charge = wallet::ChargeWalletRequest { user_id: "a b".into(), amount: -1, request_id: "é".into() };
    let named = fields(refused(world.grpc.wallet().charge_wallet(charge).await, Reason::InvalidArgument));
    assert_eq!(named.len(), 3, "all at once: {named:?}");
    let hold = hold_message("", sale.show, &[]);
    let named = fields(refused(world.grpc.booking().hold_seats(hold).await, Reason::InvalidArgument));
    assert!(named.contains(&"user_id".to_owned()) && named.contains(&"seat_numbers".to_owned()), "{named:?}");
    let show = booking::CreateShowRequest {
        concert_id: sale.concert,
        starts_at: Some(prost_types::Timestamp { seconds: i64::MAX, nanos: -1 }),
        duration_minutes: i32::MIN,
        price: i64::MIN,
        seat_count: Some(0),
        ..Default::default()
    };
    let named = fields(refused(world.grpc.booking().create_show(show).await, Reason::InvalidArgument));
    assert_eq!(named.len(), 5, "starts_at, duration_minutes, title, price, seat_count: {named:?}");
    let policy = queue::QueuePolicy {
        max_active: Some(i64::MAX),
        active_ttl: Some(prost_types::Duration { seconds: -1, nanos: 0 }),
        on_expiry: 77,
        ..Default::default()
    };
    let create = queue::CreateQueueRequest {
        queue_id: "no spaces".into(),
        policy: Some(policy),
        request_id: String::new(),
    };
    let named = fields(refused(world.grpc.queue().create_queue(create).await, Reason::InvalidArgument));
    assert_eq!(named.len(), 4, "{named:?}");
    let many = queue::BatchGetTokensRequest { tokens: vec![Uuid::nil().to_string(); 1_001] };
    refused(world.grpc.queue().batch_get_tokens(many).await, Reason::InvalidArgument);
    let pay = checkout::PayRequest {
        user_id: String::new(),
        reservation_id: "x".into(),
        token: "y".into(),
        request_id: String::new(),
    };
    refused(world.grpc.checkout().pay(pay).await, Reason::InvalidArgument);
    let list = wallet::ListPaymentsRequest { user_id: "ann".into(), page_size: -1, page_token: "?".into() };
    let named = fields(refused(world.grpc.wallet().list_payments(list).await, Reason::InvalidArgument));
    assert_eq!(named.len(), 2, "{named:?}");
    let status = checkout::ListCheckoutsRequest { status: 99, page_size: -5_000, ..Default::default() };
    refused(world.grpc.checkout().list_checkouts(status).await, Reason::InvalidArgument);
    let extend =
        booking::ExtendHoldRequest { reservation_id: "x".into(), extend_by: None, ..Default::default() };
    refused(world.grpc.booking().extend_hold(extend).await, Reason::InvalidArgument);
    let payment = wallet::CreatePaymentRequest { amount: -1, ..Default::default() };
    refused(world.grpc.wallet().create_payment(payment).await, Reason::InvalidArgument);
    let cancel = wallet::CancelPaymentRequest { payment_id: "1".into(), ..Default::default() };
    refused(world.grpc.wallet().cancel_payment(cancel).await, Reason::InvalidArgument);
}

/// Bytes that are no such message, sent as any HTTP/2 client can.
async fn broken_messages_by_grpc_are_refused(world: World) {
    let client = reqwest::Client::builder().http2_prior_knowledge().build().unwrap();
    let base = &world.mesh.grpc(tests::mesh::Role::Wallet)[0];
    let mut huge = vec![0, 0, 0x60, 0, 0];
    huge.resize(5 + 0x60_0000, b'x');
    for body in [
        vec![0, 0, 0, 0, 3, 0xff, 0xff, 0xff],
        vec![0, 0xff, 0xff, 0xff, 0xff],
        vec![9, 9, 9],
        vec![1, 0, 0, 0, 1, 7],
        huge,
    ] {
        let url = format!("{base}/boxoffice.wallet.v1.WalletService/GetWallet");
        let sent = client
            .post(url)
            .header("content-type", "application/grpc")
            .header("te", "trailers")
            .body(body)
            .send()
            .await;
        if let Ok(answer) = sent {
            let status = answer.headers().get("grpc-status").map(|value| value.to_str().unwrap().to_owned());
            // Neither OK, nor UNKNOWN or INTERNAL: it is the client's fault, and said to be.
            assert!(
                status.as_deref().is_none_or(|code| !matches!(code, "0" | "2" | "13")),
                "{status:?} {:?}",
                answer.headers()
            );
        }
    }
    let user = unique("user");
    world.charge(&user, 5).await; // still serving
    assert_eq!(world.balance(&user).await, 5);
}
