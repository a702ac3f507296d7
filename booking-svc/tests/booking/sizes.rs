//! Every answer fits into the largest message that a gRPC client accepts by default, however much there is.

use std::sync::Arc;

use booking_svc::{domain::NewShow, grpc::Service};
use boxoffice_proto::{
    Fault, Reason,
    booking::{ListSeatsRequest, ListShowsRequest, booking_service_server::BookingService},
};
use prost::Message;
use tokio_util::sync::CancellationToken;
use tonic::Request;

use crate::world::{DAY, START, another_show, evening, new_show, worlds};

/// The largest message that a gRPC client accepts by default.
const LIMIT: usize = 4 * 1024 * 1024;

#[tokio::test]
async fn a_day_of_large_halls_comes_in_pages_of_whole_shows() {
    for world in worlds().await {
        let api = Service::new(Arc::clone(&world.app), "KRW".parse().unwrap(), CancellationToken::new());
        let first = new_show(&world.app, 100_000, START + DAY).await;
        let mut shows = vec![first.show_id];
        for _ in 1..6 {
            shows.push(another_show(&world.app, first.concert_id, 100_000, START + DAY).await.show_id);
        }
        // A client of release 0.1 sends no page token; it gets the first page.
        let mut request = ListSeatsRequest {
            concert_id: first.concert_id,
            date: "2027-01-16".to_owned(),
            ..ListSeatsRequest::default()
        };
        let mut seen = Vec::new();
        loop {
            let page = api.list_seats(Request::new(request.clone())).await.unwrap().into_inner();
            assert!(page.encoded_len() < LIMIT, "{} bytes", page.encoded_len());
            assert!(page.seat_maps.iter().all(|map| map.seats.len() == 100_000));
            seen.extend(page.seat_maps.into_iter().map(|map| map.show.unwrap().show_id));
            request.page_token = page.next_page_token;
            if request.page_token.is_empty() {
                break;
            }
            assert_eq!(seen.len() % 3, 0, "{}: three shows fit", world.database.name);
        }
        assert_eq!(seen, shows, "{}: each once, in order", world.database.name);

        let two = ListSeatsRequest { page_size: 2, page_token: String::new(), ..request.clone() };
        let page = api.list_seats(Request::new(two)).await.unwrap().into_inner();
        assert_eq!(page.seat_maps.len(), 2);
        let elsewhere = ListSeatsRequest {
            page_token: page.next_page_token,
            date: "2027-01-17".to_owned(),
            ..request.clone()
        };
        let refused = Fault::from(&api.list_seats(Request::new(elsewhere)).await.unwrap_err());
        assert_eq!(
            (refused.reason, refused.violations[0].field.as_str()),
            (Reason::InvalidArgument, "page_token")
        );
    }
}

#[tokio::test]
async fn shows_with_long_descriptions_come_in_more_pages_than_were_asked_for() {
    for world in worlds().await {
        let api = Service::new(Arc::clone(&world.app), "KRW".parse().unwrap(), CancellationToken::new());
        let first = new_show(&world.app, 1, START + DAY).await;
        let long = NewShow { description: "\u{1f39f}".repeat(4_000), ..evening(first.concert_id) };
        for _ in 0..250 {
            world.app.create_show(long.clone(), None).await.unwrap();
        }
        let mut request = ListShowsRequest {
            concert_id: first.concert_id,
            page_size: 1_000,
            ..ListShowsRequest::default()
        };
        let (mut seen, mut pages) = (Vec::new(), 0);
        loop {
            let page = api.list_shows(Request::new(request.clone())).await.unwrap().into_inner();
            assert!(page.encoded_len() < LIMIT, "{} bytes", page.encoded_len());
            seen.extend(page.shows.into_iter().map(|show| show.show_id));
            pages += 1;
            request.page_token = page.next_page_token;
            if request.page_token.is_empty() {
                break;
            }
        }
        assert_eq!(pages, 2, "{}", world.database.name);
        assert!(
            seen.len() == 251 && seen.windows(2).all(|pair| pair[0] > pair[1]),
            "{}: {seen:?}",
            world.database.name
        );
    }
}
