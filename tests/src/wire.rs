//! A TCP proxy: it slows, cuts and refuses connections, and before PostgreSQL it can lose a commit on its way
//! there or its acknowledgement on the way back.

use std::{
    net::{SocketAddr, TcpListener},
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::Duration,
};

use futures::future::join_all;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    sync::watch,
    time::sleep,
};

use crate::faults::{COMMIT, Faults, Loss, Mishap, Moment, Then};

/// A proxy before one server. It ends with the runtime.
#[derive(Clone, Debug)]
pub struct Wire {
    /// Where it listens.
    pub address: SocketAddr,
    state: Arc<State>,
}

#[derive(Debug)]
struct State {
    server: Mutex<SocketAddr>,
    faults: Faults,
    /// Each change cuts every connection.
    cuts: watch::Sender<u64>,
    late_by: AtomicU64,
    closed: AtomicBool,
}

fn host(url: &str) -> &str {
    let host = url.split_once('@').and_then(|(_, rest)| rest.split_once('/')).map(|(host, _)| host);
    host.expect("postgres://user@host:port/database")
}

impl Wire {
    /// Before this server; transactions meet what `faults` says of [`COMMIT`].
    ///
    /// # Panics
    /// When there is no port left.
    #[must_use]
    pub fn before(server: SocketAddr, faults: Faults) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
        listener.set_nonblocking(true).expect("a fresh socket takes options");
        let address = listener.local_addr().expect("a bound socket has an address");
        let (cuts, late_by, closed) = (watch::Sender::new(0), AtomicU64::new(0), AtomicBool::new(false));
        let state = Arc::new(State { server: Mutex::new(server), faults, cuts, late_by, closed });
        let wire = Self { address, state: Arc::clone(&state) };
        tokio::spawn(async move {
            let listener = tokio::net::TcpListener::from_std(listener).expect("a listening socket");
            while let Ok((client, _)) = listener.accept().await {
                tokio::spawn(Arc::clone(&state).carry(client));
            }
        });
        wire
    }

    /// Before the server of a PostgreSQL URL: the proxy, and the URL that leads through it.
    ///
    /// # Panics
    /// When the URL has no address.
    #[must_use]
    pub fn before_postgres(url: &str, faults: Faults) -> (Self, String) {
        let host = host(url);
        let wire = Self::before(host.parse().expect("an address and a port"), faults);
        let through = url.replacen(host, &wire.address.to_string(), 1);
        (wire, through)
    }

    /// Leads new connections to another server; those that are open stay where they are.
    ///
    /// # Panics
    /// When the URL has no address.
    pub fn lead_to(&self, url: &str) {
        let server = host(url).parse().expect("an address and a port");
        *self.state.server.lock().unwrap_or_else(PoisonError::into_inner) = server;
    }

    /// Cuts every connection that is open now.
    pub fn cut(&self) {
        self.state.cuts.send_modify(|cuts| *cuts += 1);
    }

    /// Delays everything by this much, each way.
    pub fn slow(&self, by: Duration) {
        self.state.late_by.store(u64::try_from(by.as_millis()).unwrap_or(u64::MAX), Ordering::Relaxed);
    }

    /// Cuts every connection and takes no new one, or takes them again.
    pub fn close(&self, closed: bool) {
        self.state.closed.store(closed, Ordering::Relaxed);
        self.cut();
    }
}

impl State {
    async fn carry(self: Arc<Self>, mut client: TcpStream) {
        let mut cuts = self.cuts.subscribe();
        if self.closed.load(Ordering::Relaxed) {
            return;
        }
        let server = *self.server.lock().unwrap_or_else(PoisonError::into_inner);
        let Ok(mut server) = TcpStream::connect(server).await else { return };
        let _ = (client.set_nodelay(true), server.set_nodelay(true));
        let (mut up, mut down) = (vec![0; 64 << 10], vec![0; 64 << 10]);
        let mut said = Said::default();
        let mut deaf = false;
        loop {
            let passed = tokio::select! {
                read = client.read(&mut up) => match read {
                    Ok(length) if length > 0 => self.up(&mut said, &up[..length], &mut server, &mut deaf).await,
                    Ok(_) | Err(_) => None,
                },
                read = server.read(&mut down) => match read {
                    Ok(length) if length > 0 && !deaf => self.pass(&down[..length], &mut client).await,
                    Ok(_) | Err(_) => None,
                },
                _ = cuts.changed() => None,
            };
            if passed.is_none() {
                return;
            }
        }
    }

    /// From the client to the server. `None`: the connection ends here. `deaf`: it ends when the server
    /// answers.
    ///
    /// A transaction may be several cases': what happens to one of them happens to all, and where they differ
    /// the worst does.
    async fn up(&self, said: &mut Said, bytes: &[u8], server: &mut TcpStream, deaf: &mut bool) -> Option<()> {
        let mishaps = said
            .commits(bytes)
            .map(|transaction| self.faults.on_all(COMMIT, &transaction))
            .unwrap_or_default();
        let stands = |at: Moment| {
            let meetings = mishaps.iter().filter_map(move |mishap| {
                let Mishap::Stands(moment, then, meeting) = mishap else { return None };
                (*moment == at).then(|| (*then, Arc::clone(meeting)))
            });
            meetings.collect::<Vec<_>>()
        };
        let lost = |at: Moment| {
            mishaps.iter().any(|mishap| matches!(mishap, Mishap::Lost(moment, _) if *moment == at))
        };
        if mishaps.iter().any(|mishap| matches!(mishap, Mishap::Lost(Moment::Before, Loss::Silence))) {
            std::future::pending().await
        }
        for mishap in &mishaps {
            if let Mishap::Slow(by) = mishap {
                sleep(*by).await;
            }
        }
        let before = stands(Moment::Before);
        join_all(before.iter().map(|(_, meeting)| meeting.stand())).await;
        if lost(Moment::Before) || before.iter().any(|(then, _)| *then == Then::Vanishes) {
            return None;
        }
        let after = stands(Moment::After);
        if !after.is_empty() {
            self.pass(bytes, server).await?;
            server.readable().await.ok()?;
            join_all(after.iter().map(|(_, meeting)| meeting.stand())).await;
            return None;
        }
        *deaf = lost(Moment::After);
        self.pass(bytes, server).await
    }

    async fn pass(&self, bytes: &[u8], to: &mut TcpStream) -> Option<()> {
        let late_by = self.late_by.load(Ordering::Relaxed);
        if late_by > 0 {
            sleep(Duration::from_millis(late_by)).await;
        }
        to.write_all(bytes).await.ok()
    }
}

/// The bytes that a client has sent since its transaction began.
#[derive(Debug, Default)]
struct Said {
    open: bool,
    bytes: Vec<u8>,
}

/// PostgreSQL's simple query messages: a letter, the length, the text, a zero.
const BEGINS: &[u8] = b"Q\0\0\0\x0aBEGIN\0";
const COMMITS: &[u8] = b"Q\0\0\0\x0bCOMMIT\0";

impl Said {
    /// The whole transaction, if these bytes commit it.
    fn commits(&mut self, bytes: &[u8]) -> Option<Vec<u8>> {
        self.bytes.extend_from_slice(bytes);
        if let Some(at) = find_last(&self.bytes, BEGINS) {
            self.bytes.drain(..at + BEGINS.len());
            self.open = true;
        }
        if self.open && find_last(&self.bytes, COMMITS).is_some() {
            self.open = false;
            return Some(std::mem::take(&mut self.bytes));
        }
        if !self.open {
            // Enough to recognise a beginning that came in two pieces.
            self.bytes.drain(..self.bytes.len().saturating_sub(BEGINS.len()));
        }
        None
    }
}

fn find_last(bytes: &[u8], part: &[u8]) -> Option<usize> {
    bytes.windows(part.len()).rposition(|window| window == part)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_transaction_is_what_was_said_between_its_beginning_and_its_commit() {
        let mut said = Said::default();
        assert_eq!(said.commits(b"SELECT 1"), None);
        assert_eq!(said.commits(&BEGINS[..4]), None);
        assert_eq!(said.commits(&BEGINS[4..]), None);
        assert_eq!(said.commits(b"INSERT"), None);
        let whole = said.commits(COMMITS).unwrap();
        assert!(whole.starts_with(b"INSERT") && whole.ends_with(COMMITS));
        assert_eq!(said.commits(COMMITS), None, "nothing was begun");
    }
}
