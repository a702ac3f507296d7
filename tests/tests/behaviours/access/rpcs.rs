//! The table of the RPCs.

use boxoffice_proto::{alerts, booking, checkout, queue, time::timestamp, wallet};
use prost::Message;
use tests::mesh::Role;
use uuid::Uuid;

use super::{ALL, Ann, READERS};

/// The stream that does not end by itself.
pub(super) const ENDLESS: &str = "WatchAvailability";

/// Each RPC of each service at its own port: the request, and who may make it there. The edge is another
/// service, and none of these.
pub(super) fn rpcs(ann: &Ann) -> Vec<(Role, &'static str, Vec<u8>, &'static str)> {
    let user_id = || "ann".to_owned();
    let none = String::new;
    let id = || Uuid::from_u128(7).to_string();
    let (queues, shows, money, desk) = (Role::Queue, Role::Booking, Role::Wallet, Role::Edge);
    let policy = || Some(queue::QueuePolicy::default());
    vec![
        (
            queues,
            "CreateQueue",
            queue::CreateQueueRequest { queue_id: "q".into(), policy: policy(), request_id: none() }
                .encode_to_vec(),
            "operator",
        ),
        (
            queues,
            "UpdateQueue",
            queue::UpdateQueueRequest { queue_id: none(), policy: policy(), request_id: none() }
                .encode_to_vec(),
            "operator",
        ),
        (queues, "GetQueue", queue::GetQueueRequest::default().encode_to_vec(), ALL),
        (queues, "GetDraw", queue::GetDrawRequest::default().encode_to_vec(), ALL),
        (
            queues,
            "GetTokenDraw",
            queue::GetTokenDrawRequest { token: ann.token.clone() }.encode_to_vec(),
            ALL,
        ),
        (queues, "ListQueues", queue::ListQueuesRequest::default().encode_to_vec(), "operator"),
        (
            queues,
            "IssueToken",
            queue::IssueTokenRequest { user_id: user_id(), ..Default::default() }.encode_to_vec(),
            "operator owner",
        ),
        (
            queues,
            "GetToken",
            queue::GetTokenRequest { user_id: user_id(), ..Default::default() }.encode_to_vec(),
            "operator owner",
        ),
        (
            queues,
            "GetToken",
            queue::GetTokenRequest { token: ann.token.clone(), ..Default::default() }.encode_to_vec(),
            ALL,
        ),
        (
            queues,
            "BatchGetTokens",
            queue::BatchGetTokensRequest { tokens: vec![ann.token.clone()] }.encode_to_vec(),
            "",
        ),
        (
            queues,
            "PollTokens",
            queue::PollTokensRequest { number: 1, tokens: vec![ann.token.clone()] }.encode_to_vec(),
            "",
        ),
        (queues, "WatchToken", queue::WatchTokenRequest { token: ann.used.clone() }.encode_to_vec(), ALL),
        (
            queues,
            "VerifyToken",
            queue::VerifyTokenRequest { token: ann.token.clone(), ..Default::default() }.encode_to_vec(),
            "",
        ),
        (
            queues,
            "CompleteToken",
            queue::CompleteTokenRequest { token: ann.token.clone(), request_id: none() }.encode_to_vec(),
            "",
        ),
        (
            queues,
            "LeaveQueue",
            queue::LeaveQueueRequest { token: ann.token.clone(), request_id: none(), user_id: user_id() }
                .encode_to_vec(),
            "operator owner",
        ),
        (queues, "TakeQueueEvents", Vec::new(), ""),
        (
            shows,
            "CreateConcert",
            booking::CreateConcertRequest { title: "x".into(), ..Default::default() }.encode_to_vec(),
            "operator",
        ),
        (shows, "GetConcert", booking::GetConcertRequest { concert_id: ann.concert_id }.encode_to_vec(), ALL),
        (shows, "ListConcerts", booking::ListConcertsRequest::default().encode_to_vec(), ALL),
        (
            shows,
            "CreateShow",
            booking::CreateShowRequest {
                concert_id: ann.concert_id,
                starts_at: Some(timestamp(4_102_444_800_000_000)),
                duration_minutes: 1,
                title: "x".into(),
                price: 1,
                seat_count: Some(1),
                ..Default::default()
            }
            .encode_to_vec(),
            "operator",
        ),
        (
            shows,
            "UpdateConcert",
            booking::UpdateConcertRequest { concert_id: ann.concert_id, ..Default::default() }
                .encode_to_vec(),
            "operator",
        ),
        (
            shows,
            "UpdateShow",
            booking::UpdateShowRequest { show_id: ann.show_id, ..Default::default() }.encode_to_vec(),
            "operator",
        ),
        // Of no show, since that of the others must take place.
        (shows, "CancelShow", booking::CancelShowRequest { show_id: 0 }.encode_to_vec(), "operator"),
        (shows, "FinishCancelling", booking::FinishCancellingRequest { show_id: 0 }.encode_to_vec(), ""),
        (shows, "TakeReservationEvents", Vec::new(), ""),
        (shows, "TakeShowEvents", Vec::new(), ""),
        (shows, "GetShow", booking::GetShowRequest { show_id: ann.show_id }.encode_to_vec(), ALL),
        (
            shows,
            "GetShowSales",
            booking::GetShowSalesRequest { show_id: ann.show_id }.encode_to_vec(),
            "operator",
        ),
        (
            shows,
            "ListShowReservations",
            booking::ListShowReservationsRequest { show_id: ann.show_id, ..Default::default() }
                .encode_to_vec(),
            "operator",
        ),
        (shows, "GetSeatPlan", booking::GetSeatPlanRequest { show_id: ann.show_id }.encode_to_vec(), ALL),
        (
            shows,
            "ListShows",
            booking::ListShowsRequest { concert_id: ann.concert_id, ..Default::default() }.encode_to_vec(),
            ALL,
        ),
        (
            shows,
            "ListAvailableDates",
            booking::ListAvailableDatesRequest { concert_id: ann.concert_id }.encode_to_vec(),
            "",
        ),
        (
            shows,
            "ListSeats",
            booking::ListSeatsRequest { show_id: ann.show_id, ..Default::default() }.encode_to_vec(),
            "",
        ),
        (
            shows,
            "GetAvailability",
            booking::GetAvailabilityRequest { show_id: ann.show_id, known_version: None }.encode_to_vec(),
            "",
        ),
        (
            shows,
            ENDLESS,
            booking::WatchAvailabilityRequest { show_id: ann.show_id, known_version: None }.encode_to_vec(),
            "",
        ),
        (
            shows,
            "HoldSeats",
            booking::HoldSeatsRequest {
                user_id: user_id(),
                show_id: ann.show_id,
                seat_numbers: vec![3],
                ..Default::default()
            }
            .encode_to_vec(),
            "",
        ),
        (
            shows,
            "ExtendHold",
            booking::ExtendHoldRequest {
                reservation_id: ann.held.clone(),
                user_id: user_id(),
                payment_id: id(),
                ..Default::default()
            }
            .encode_to_vec(),
            "",
        ),
        (
            shows,
            "GetReservation",
            booking::GetReservationRequest { reservation_id: ann.held.clone(), user_id: user_id() }
                .encode_to_vec(),
            READERS,
        ),
        (
            shows,
            "ListReservations",
            booking::ListReservationsRequest { user_id: user_id(), ..Default::default() }.encode_to_vec(),
            READERS,
        ),
        (
            shows,
            "ConfirmReservation",
            booking::ConfirmReservationRequest {
                reservation_id: ann.held.clone(),
                user_id: user_id(),
                payment_id: id(),
                request_id: none(),
            }
            .encode_to_vec(),
            "",
        ),
        (
            shows,
            "RefundReservation",
            booking::RefundReservationRequest {
                reservation_id: ann.held.clone(),
                user_id: user_id(),
                payment_id: id(),
            }
            .encode_to_vec(),
            "",
        ),
        (
            shows,
            "CancelReservation",
            booking::CancelReservationRequest {
                reservation_id: ann.held.clone(),
                user_id: user_id(),
                request_id: none(),
            }
            .encode_to_vec(),
            "support",
        ),
        (
            money,
            "ChargeWallet",
            wallet::ChargeWalletRequest { user_id: user_id(), amount: 5, request_id: none() }.encode_to_vec(),
            "cashier owner",
        ),
        (
            money,
            "UseWallet",
            wallet::UseWalletRequest { user_id: user_id(), amount: 1, request_id: none() }.encode_to_vec(),
            "cashier",
        ),
        (money, "GetWallet", wallet::GetWalletRequest { user_id: user_id() }.encode_to_vec(), READERS),
        (
            money,
            "ListEntries",
            wallet::ListEntriesRequest { user_id: user_id(), ..Default::default() }.encode_to_vec(),
            READERS,
        ),
        (
            money,
            "CreatePayment",
            wallet::CreatePaymentRequest {
                payment_id: id(),
                user_id: user_id(),
                amount: 1,
                reservation_id: ann.held.clone(),
                ..Default::default()
            }
            .encode_to_vec(),
            "",
        ),
        (
            money,
            "GetPayment",
            wallet::GetPaymentRequest { payment_id: ann.payment.clone(), user_id: user_id() }.encode_to_vec(),
            READERS,
        ),
        (
            money,
            "CancelPayment",
            wallet::CancelPaymentRequest { payment_id: ann.payment.clone(), ..Default::default() }
                .encode_to_vec(),
            "",
        ),
        (
            money,
            "ListPayments",
            wallet::ListPaymentsRequest { user_id: user_id(), ..Default::default() }.encode_to_vec(),
            READERS,
        ),
        (
            desk,
            "Pay",
            checkout::PayRequest {
                user_id: user_id(),
                reservation_id: ann.paid.clone(),
                token: ann.used.clone(),
                request_id: none(),
            }
            .encode_to_vec(),
            "owner",
        ),
        (
            desk,
            "GetCheckout",
            checkout::GetCheckoutRequest { checkout_id: ann.payment.clone(), user_id: none() }
                .encode_to_vec(),
            READERS,
        ),
        (
            desk,
            "ListCheckouts",
            checkout::ListCheckoutsRequest { user_id: user_id(), ..Default::default() }.encode_to_vec(),
            READERS,
        ),
        (
            desk,
            "ListCheckouts",
            checkout::ListCheckoutsRequest::default().encode_to_vec(),
            "user cashier operator support owner",
        ),
        (
            desk,
            "RetryCheckout",
            checkout::RetryCheckoutRequest { checkout_id: ann.payment.clone() }.encode_to_vec(),
            "operator support",
        ),
        // Of no payment, since that of the others must not be undone.
        (
            desk,
            "RefundCheckout",
            checkout::RefundCheckoutRequest { checkout_id: id(), reason: none() }.encode_to_vec(),
            "operator support",
        ),
        (
            desk,
            "ListOperatorActions",
            checkout::ListOperatorActionsRequest::default().encode_to_vec(),
            "operator",
        ),
        (desk, "GetMetrics", checkout::GetMetricsRequest {}.encode_to_vec(), "operator"),
        (desk, "GetHistory", checkout::GetHistoryRequest::default().encode_to_vec(), "operator"),
        // Every program tells its own.
        (queues, "ListAlerts", alerts::ListAlertsRequest {}.encode_to_vec(), "operator"),
        (shows, "ListAlerts", alerts::ListAlertsRequest {}.encode_to_vec(), "operator"),
        (money, "ListAlerts", alerts::ListAlertsRequest {}.encode_to_vec(), "operator"),
    ]
}

/// Who may make an RPC at the edge, with ann's ACTIVE queue token, where that differs: only the edge can tell
/// who is admitted, and a place is shown there to whoever knows its token.
pub(super) fn at_edge(name: &str) -> Option<&'static str> {
    match name {
        "BatchGetTokens" => Some(ALL),
        "ListAvailableDates" | "ListSeats" | "GetAvailability" | ENDLESS | "HoldSeats" => Some("owner"),
        "CancelReservation" => Some("support owner"),
        _ => None,
    }
}
