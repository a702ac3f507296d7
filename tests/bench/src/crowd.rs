//! Filling a line quickly: IssueToken over gRPC, straight at queue-svc, many calls in flight. What is
//! measured comes afterwards.

use std::{
    cell::{Cell, RefCell},
    net::SocketAddr,
    time::{Duration, Instant},
};

use boxoffice_proto::queue::{IssueTokenRequest, queue_service_client::QueueServiceClient};
use futures::{StreamExt as _, stream::FuturesUnordered};
use tonic::{Code, transport::Endpoint};
use uuid::Uuid;

use crate::{
    http,
    load::{Operation, Tally, Until, closed},
};

/// One connection takes 200 calls at once; so many fill a batch of the writer.
const CHANNELS: usize = 8;
const CALLS_EACH: usize = 128;
/// A crowd that takes longer is not coming.
const LONGEST: Duration = Duration::from_secs(900);
/// How often somebody is told "later" before it counts as failed.
const PATIENCE: u32 = 200;
/// Set-up calls in flight.
const SETTING_UP: usize = 64;

/// Somebody in the line.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Person {
    /// What the user is called: see [`name`].
    pub(crate) number: usize,
    pub(crate) token: Uuid,
    pub(crate) ticket: i64,
}

/// A user's name.
pub(crate) fn name(number: usize) -> String {
    format!("user-{number:07}")
}

/// Users `first..first + count` join the line `default` at this queue-svc; in the order of their tickets.
///
/// # Panics
/// When one of them cannot.
pub(crate) async fn join(url: &str, first: usize, count: usize) -> Vec<Person> {
    let began = Instant::now();
    let next = Cell::new(first);
    let people = RefCell::new(Vec::with_capacity(count));
    let endpoint = Endpoint::from_shared(url.to_owned()).expect("an address of the mesh");
    let channels: Vec<_> = (0..CHANNELS).map(|_| endpoint.connect_lazy()).collect();
    let caller = |at: usize| {
        let mut queue = QueueServiceClient::new(channels[at % CHANNELS].clone());
        let (next, people) = (&next, &people);
        async move {
            while next.get() < first + count {
                assert!(began.elapsed() < LONGEST, "the line fills too slowly");
                let number = next.replace(next.get() + 1);
                let person = issue(&mut queue, number).await;
                people.borrow_mut().push(person);
            }
        }
    };
    let callers: FuturesUnordered<_> = (0..CHANNELS * CALLS_EACH).map(caller).collect();
    callers.for_each(|()| async {}).await;
    let mut people = people.into_inner();
    people.sort_unstable_by_key(|person: &Person| person.ticket);
    people
}

async fn issue(queue: &mut QueueServiceClient<tonic::transport::Channel>, number: usize) -> Person {
    let request = IssueTokenRequest {
        queue_id: "default".to_owned(),
        user_id: name(number),
        ..IssueTokenRequest::default()
    };
    for _ in 0..PATIENCE {
        match queue.issue_token(request.clone()).await {
            Ok(answer) => {
                let token = answer.into_inner().token.expect("an answer has its token");
                let id = Uuid::try_parse(&token.token).expect("a token is a UUID");
                return Person { number, token: id, ticket: token.ticket };
            }
            Err(status) if status.code() == Code::Unavailable => {
                tokio::time::sleep(Duration::from_millis(50)).await
            }
            Err(status) => panic!("nobody can join: {status}"),
        }
    }
    panic!("{} was told to come later {PATIENCE} times", name(number))
}

/// Tops up the wallets of these users.
pub(crate) async fn charge(to: SocketAddr, users: &[usize], amount: i64) -> Tally {
    let build = |n: usize, out: &mut Vec<u8>| {
        http::post(
            out,
            format_args!("/v1/wallets/{}/charges", name(users[n])),
            None,
            format_args!(r#"{{"amount":{amount}}}"#),
        );
        true
    };
    let operation = Operation::new("charges", build, |_, status, body| http::expect(201, status, body));
    closed(to, SETTING_UP, Until::Count(users.len()), &operation).await.flawless()
}

/// A seat that somebody is to hold.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Seat {
    pub(crate) show: i64,
    pub(crate) number: usize,
}

/// Writes the request by which a person holds a seat.
pub(crate) fn hold_request(out: &mut Vec<u8>, person: &Person, seat: Seat) {
    let Seat { show, number } = seat;
    let user = name(person.number);
    let body = format_args!(r#"{{"userId":"{user}","showId":{show},"seatNumbers":[{number}]}}"#);
    http::post(out, format_args!("/v1/reservations"), Some(person.token), body);
}

/// Writes the request by which a person pays for a reservation.
pub(crate) fn pay_request(out: &mut Vec<u8>, person: &Person, reservation: Uuid) {
    let user = name(person.number);
    let body = format_args!(r#"{{"userId":"{user}","reservationId":"{reservation}"}}"#);
    http::post(out, format_args!("/v1/payments"), Some(person.token), body);
}

/// Everybody holds their seat; the reservations, in the same order.
pub(crate) async fn hold(to: SocketAddr, holders: &[(Person, Seat)]) -> (Vec<Uuid>, Tally) {
    let held = RefCell::new(vec![Uuid::nil(); holders.len()]);
    let build = |n: usize, out: &mut Vec<u8>| {
        hold_request(out, &holders[n].0, holders[n].1);
        true
    };
    let take = |n: usize, status, body: &[u8]| {
        http::expect(201, status, body)?;
        held.borrow_mut()[n] = http::id_field(body, "reservationId").ok_or("a hold without an id")?;
        Ok(())
    };
    let tally = closed(to, SETTING_UP, Until::Count(holders.len()), &Operation::new("holds", build, take))
        .await
        .flawless();
    (held.into_inner(), tally)
}
