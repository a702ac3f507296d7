//! What polls are compared with: an axum handler that answers some 200 bytes of JSON and does nothing else;
//! and one that answers as many bytes as the map of 12,000 seats has.

use std::{
    io::{BufRead as _, BufReader},
    net::SocketAddr,
    process::{Child, Command, Stdio},
};

use axum::{Json, Router, routing::get};
use serde::Serialize;
use tokio::net::TcpListener;

/// 200 bytes, more or less, once written as JSON.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Small {
    token: &'static str,
    queue_id: &'static str,
    user_id: &'static str,
    status: &'static str,
    ticket: i64,
    position: i64,
    estimated_wait_seconds: i64,
    poll_after_seconds: i64,
}

async fn answer() -> Json<Small> {
    Json(Small {
        token: "3fa85f64-5717-4562-b3fc-2c963f66afa6",
        queue_id: "default",
        user_id: "somebody-1042",
        status: "WAITING",
        ticket: 111_042,
        position: 110_000,
        estimated_wait_seconds: 1_100,
        poll_after_seconds: 10,
    })
}

/// The bytes of a map of 12,000 seats: a bit each, in base64, and what stands around it.
const MAP: [u8; 2_120] = [b'A'; 2_120];

async fn map() -> &'static [u8] {
    &MAP
}

/// Serves until it is killed; the first line it prints is where.
pub(crate) async fn serve() {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    println!("{}", listener.local_addr().expect("a bound socket has an address"));
    axum::serve(listener, Router::new().route("/", get(answer)).route("/map", get(map)))
        .await
        .expect("it serves");
}

/// The handler in a process of its own, killed with its owner.
pub(crate) struct Bare {
    child: Child,
    pub(crate) address: SocketAddr,
}

impl Bare {
    pub(crate) fn start() -> Self {
        let this = std::env::current_exe().expect("a running program has a path");
        let mut child = Command::new(this)
            .arg("bare")
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .spawn()
            .expect("this program starts again");
        let mut line = String::new();
        let output = child.stdout.take().expect("it was asked for");
        BufReader::new(output).read_line(&mut line).expect("it says where it is");
        let address = line.trim().parse().expect("an address");
        Self { child, address }
    }

    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }
}

impl Drop for Bare {
    fn drop(&mut self) {
        let _ended = self.child.kill();
        let _reaped = self.child.wait();
    }
}
