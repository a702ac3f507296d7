//! The load generator: closed loop (as fast as so many clients can) and open loop (at a given rate, whatever
//! the answers do).
//!
//! In the open loop each request has an intended time, fixed beforehand; a latency counts from there, also
//! when the client was still busy with the one before. So a server that stands still is seen by everybody who
//! would have come meanwhile (no coordinated omission). Timers of the runtime are late by up to a
//! millisecond, which is in the figures.

use std::{
    cell::{Cell, RefCell},
    net::SocketAddr,
    time::{Duration, Instant},
};

use futures::{StreamExt as _, future::LocalBoxFuture, stream::FuturesUnordered};
use tokio::time::{sleep, sleep_until, timeout};

use crate::{
    histogram::Histogram,
    http::{self, Connection},
};

/// How long after its end a run waits for answers that are still out.
const LAST_ANSWERS: Duration = Duration::from_secs(15);
/// A run by count that takes longer than this has stopped moving.
const LONGEST: Duration = Duration::from_secs(1_200);

/// How long the stretches of an open loop are that can be watched.
pub(crate) const STRETCH: Duration = Duration::from_secs(5);

/// Writes the n-th request; false: there is nothing to ask.
type Build<'a> = Box<dyn Fn(usize, &mut Vec<u8>) -> bool + 'a>;
/// Looks at the n-th answer's status and body.
type Take<'a> = Box<dyn Fn(usize, u16, &[u8]) -> Result<(), String> + 'a>;

/// A kind of request.
pub(crate) struct Operation<'a> {
    pub(crate) name: &'static str,
    build: Build<'a>,
    take: Take<'a>,
}

impl<'a> Operation<'a> {
    pub(crate) fn new(
        name: &'static str,
        build: impl Fn(usize, &mut Vec<u8>) -> bool + 'a,
        take: impl Fn(usize, u16, &[u8]) -> Result<(), String> + 'a,
    ) -> Self {
        Self { name, build: Box::new(build), take: Box::new(take) }
    }

    /// The same, with one more header in each request.
    pub(crate) fn with_header(self, line: &'static str) -> Self {
        let Self { name, build, take } = self;
        let build = Box::new(move |n: usize, out: &mut Vec<u8>| {
            let goes_on = build(n, out);
            http::add_header(out, format_args!("{line}"));
            goes_on
        });
        Self { name, build, take }
    }
}

/// What came of a run.
#[derive(Clone, Default)]
pub(crate) struct Tally {
    /// Of the answers that were as they should be.
    pub(crate) latency: Histogram,
    /// The others, and those that never came.
    pub(crate) errors: u64,
    /// One of them.
    pub(crate) example: Option<String>,
    /// From the first request to the last answer.
    pub(crate) lasted: Duration,
}

impl Tally {
    fn record(&mut self, took: Duration, outcome: Result<(), String>) {
        match outcome {
            Ok(()) => self.latency.record(took),
            Err(what) => {
                self.errors += 1;
                self.example.get_or_insert(what);
            }
        }
    }

    /// Good answers a second.
    pub(crate) fn rate(&self) -> f64 {
        self.latency.count() as f64 / self.lasted.as_secs_f64().max(1e-9)
    }

    /// Takes over what another run found, as if it had been part of this one.
    pub(crate) fn add(&mut self, other: &Self) {
        self.latency.merge(&other.latency);
        self.errors += other.errors;
        self.lasted += other.lasted;
        if self.example.is_none() {
            self.example.clone_from(&other.example);
        }
    }

    /// Panics unless every answer was good: a set-up that is half done makes no figure.
    #[track_caller]
    pub(crate) fn flawless(self) -> Self {
        let Self { errors, example, .. } = &self;
        assert!(*errors == 0, "{errors} went wrong, such as: {}", example.as_deref().unwrap_or("?"));
        self
    }
}

/// When a closed loop ends.
#[derive(Clone, Copy)]
pub(crate) enum Until {
    /// After this time.
    Elapsed(Duration),
    /// After so many requests.
    Count(usize),
}

/// Connects so many clients before the clock starts: how fast connections are taken is another question.
async fn connected(to: SocketAddr, count: usize) -> Vec<Connection> {
    let mut connections: Vec<_> = (0..count).map(|_| Connection::new(to)).collect();
    for connection in &mut connections {
        connection.open().await.expect("the mesh takes connections");
    }
    connections
}

/// Asks as fast as this many connections can, each one request at a time.
pub(crate) async fn closed(
    to: SocketAddr,
    connections: usize,
    until: Until,
    operation: &Operation<'_>,
) -> Tally {
    let tally = RefCell::new(Tally::default());
    let next = Cell::new(0);
    let bound = match until {
        Until::Elapsed(time) => time + LAST_ANSWERS,
        Until::Count(_) => LONGEST,
    };
    let connections = connected(to, connections).await;
    let began = Instant::now();
    let (seen, next) = (&tally, &next);
    let client = |mut connection: Connection| async move {
        let mut request = Vec::with_capacity(512);
        loop {
            let n = next.get();
            let over = match until {
                Until::Elapsed(time) => began.elapsed() >= time,
                Until::Count(count) => n >= count,
            };
            request.clear();
            if over || !(operation.build)(n, &mut request) {
                return;
            }
            next.set(n + 1);
            let sent = Instant::now();
            let outcome = ask(&mut connection, &request, operation, n).await;
            seen.borrow_mut().record(sent.elapsed(), outcome);
        }
    };
    let clients: FuturesUnordered<_> = connections.into_iter().map(client).collect();
    let ended = timeout(bound, clients.for_each(|()| async {})).await;
    finished(tally, ended.is_ok(), operation, began)
}

/// A kind of request at a rate.
pub(crate) struct Open<'a> {
    pub(crate) operation: Operation<'a>,
    pub(crate) per_second: f64,
    pub(crate) connections: usize,
}

/// Asks all of these at once, each at its rate, for so long. The n-th request of a kind is due `n / rate`
/// after the beginning. Each stretch of [`STRETCH`] is shown to `watch` when it is over: on a shared machine
/// a pause has a time, and perhaps a reason.
pub(crate) async fn open(
    to: SocketAddr,
    lasting: Duration,
    loads: &[Open<'_>],
    watch: impl Fn(&Histogram),
) -> Vec<Tally> {
    let tallies: Vec<_> = loads.iter().map(|_| RefCell::new(Tally::default())).collect();
    let mut connections = Vec::new();
    for (load, tally) in loads.iter().zip(&tallies) {
        for (client, connection) in connected(to, load.connections).await.into_iter().enumerate() {
            connections.push((load, tally, client, connection));
        }
    }
    let start = Instant::now() + Duration::from_millis(50);
    let stretch = RefCell::new(Histogram::default());
    let watching = async {
        loop {
            sleep(STRETCH).await;
            watch(&stretch.take());
        }
    };
    let stretch = &stretch;
    let clients: FuturesUnordered<LocalBoxFuture<'_, ()>> = connections
        .into_iter()
        .map(|(load, tally, client, connection)| -> LocalBoxFuture<'_, ()> {
            Box::pin(paced(Paced { load, tally, stretch, start, lasting }, client, connection))
        })
        .collect();
    let ended = tokio::select! {
        ended = timeout(lasting + LAST_ANSWERS, clients.for_each(|()| async {})) => ended.is_ok(),
        () = watching => false,
    };
    let all = loads.iter().zip(tallies);
    all.map(|(load, tally)| Tally { lasted: lasting, ..finished(tally, ended, &load.operation, start) })
        .collect()
}

/// What the clients of an open loop share.
struct Paced<'a> {
    load: &'a Open<'a>,
    tally: &'a RefCell<Tally>,
    stretch: &'a RefCell<Histogram>,
    start: Instant,
    lasting: Duration,
}

/// One client of an open loop: every `connections`-th request of its kind.
async fn paced(shared: Paced<'_>, client: usize, mut connection: Connection) {
    let Paced { load, tally, stretch, start, lasting } = shared;
    let mut request = Vec::with_capacity(512);
    let mut n = client;
    loop {
        let due = Duration::from_secs_f64(n as f64 / load.per_second);
        if due >= lasting {
            return;
        }
        let intended = start + due;
        if Instant::now() < intended {
            sleep_until(intended.into()).await;
        }
        request.clear();
        let outcome = if (load.operation.build)(n, &mut request) {
            ask(&mut connection, &request, &load.operation, n).await
        } else {
            Err("it had nothing to ask for: the load is not what it should be".to_owned())
        };
        let took = intended.elapsed();
        stretch.borrow_mut().record(took);
        tally.borrow_mut().record(took, outcome);
        n += load.connections;
    }
}

async fn ask(
    connection: &mut Connection,
    request: &[u8],
    operation: &Operation<'_>,
    n: usize,
) -> Result<(), String> {
    let answer = connection.ask(request).await.map_err(|error| error.to_string())?;
    (operation.take)(n, answer.status, answer.body)
}

fn finished(tally: RefCell<Tally>, ended: bool, operation: &Operation<'_>, began: Instant) -> Tally {
    let mut tally = tally.into_inner();
    tally.lasted = began.elapsed();
    if !ended {
        tally.record(Duration::ZERO, Err(format!("{}: answers stayed out until the end", operation.name)));
    }
    tally
}

#[cfg(test)]
mod tests {
    use tokio::{
        io::{AsyncReadExt as _, AsyncWriteExt as _},
        net::TcpListener,
    };

    use super::*;
    use crate::http;

    /// Answers everything, and stands still once for so long.
    async fn server(pause: Duration) -> SocketAddr {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        tokio::spawn(async move {
            let (mut peer, _) = listener.accept().await.unwrap();
            let mut asked = [0; 1_024];
            for turn in 0.. {
                if peer.read(&mut asked).await.unwrap_or(0) == 0 {
                    return;
                }
                if turn == 10 {
                    tokio::time::sleep(pause).await;
                }
                peer.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n").await.unwrap();
            }
        });
        address
    }

    fn probe<'a>() -> Operation<'a> {
        let build = |_, out: &mut Vec<u8>| {
            http::get(out, format_args!("/"), None);
            true
        };
        Operation::new("probe", build, |_, status, body| http::expect(200, status, body))
    }

    #[tokio::test]
    async fn who_would_have_come_during_a_pause_is_counted_as_waiting() {
        let to = server(Duration::from_millis(400)).await;
        let loads = [Open { operation: probe(), per_second: 100.0, connections: 1 }];
        let tally = open(to, Duration::from_secs(1), &loads, |_| ()).await.remove(0).flawless();
        assert_eq!(tally.latency.count(), 100);
        // Some 40 of 100 were due in the pause: a median over those who came later alone would show none of
        // it.
        assert!(
            tally.latency.quantile(0.75) > Duration::from_millis(50),
            "{:?}",
            tally.latency.quantile(0.75)
        );
        assert!(tally.latency.max() >= Duration::from_millis(390));
    }

    #[tokio::test]
    async fn a_closed_loop_ends_by_count_and_tells_what_went_wrong() {
        let to = server(Duration::ZERO).await;
        let mut operation = probe();
        operation.take = Box::new(|n, _, _| if n == 3 { Err("the third".to_owned()) } else { Ok(()) });
        let tally = closed(to, 1, Until::Count(20), &operation).await;
        assert_eq!(
            (tally.latency.count(), tally.errors, tally.example.as_deref()),
            (19, 1, Some("the third"))
        );
    }
}
