//! A program that may open few files.

use std::{
    io::{BufRead, BufReader, Read, Write},
    net::TcpStream,
    time::Duration,
};

use serde_json::json;
use tests::{
    client::Rest,
    eventually::{eventually, holds},
    process::binary,
};

use crate::{Run, ended, terminate};

/// The limit of open files: enough for the databases, the threads and some two hundred connections.
const FILES: usize = 320;

/// Asks on a new connection. What is no answer is an empty text.
fn probed(address: &str) -> String {
    let Ok(mut link) = TcpStream::connect(address) else { return String::new() };
    let mut answer = String::new();
    let _cut = link.write_all(b"GET /readyz HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n");
    let _cut = link.set_read_timeout(Some(Duration::from_secs(10)));
    let _cut = link.read_to_string(&mut answer);
    answer.lines().next().unwrap_or_default().to_owned()
}

/// Half of the crowd asks something and stays, so that nobody can displace it; half is silent.
#[tokio::test]
async fn twice_as_many_connections_as_files_stop_no_poll_and_no_probe() {
    let script = format!("ulimit -n {FILES}; exec {} --log-format json", binary("boxoffice").display());
    let (mut child, _folder) = Run::of("sh").args(&["-c", &script]).start();
    let mut log = BufReader::new(child.stderr.take().unwrap()).lines().map_while(Result::ok);
    let welcome = log.find_map(|line| {
        let line: serde_json::Value = serde_json::from_str(&line).unwrap();
        (line["message"] == "boxoffice is open").then(|| line["rest_addr"].as_str().unwrap().to_owned())
    });
    let (address, log) = (welcome.unwrap(), std::thread::spawn(move || log.collect::<Vec<_>>()));
    let rest = Rest::new(vec![format!("http://{address}")]);
    let join = async |user: &str| {
        let joined = rest.post("/v1/queues/default/tokens", json!({"userId": user})).once().await;
        assert_eq!(joined.status, 201, "{user}: {}", joined.text);
        joined.body["token"].as_str().unwrap().to_owned()
    };
    let poll = format!("/v1/tokens/{}", join("ann").await);
    let mut crowd = Vec::new();
    for number in 0..2 * FILES {
        let mut link = TcpStream::connect(&address).unwrap();
        if number % 2 == 0 {
            let _refused = link.write_all(b"GET /v1/queues/default HTTP/1.1\r\nhost: x\r\n\r\n");
        }
        crowd.push(link);
        if number % 16 == 0 {
            assert_eq!(rest.get(&poll).once().await.status, 200, "a poll beside {number} connections");
        }
    }
    let probe = || async { holds(probed(&address), |told| told == "HTTP/1.1 200 OK") };
    eventually(Duration::from_secs(20), probe).await;
    // The databases have their files too.
    join("bob").await;
    assert_eq!(rest.get(&poll).once().await.status, 200);
    drop(crowd);
    terminate(&child);
    assert_eq!(ended(child).code, Some(0));
    let log = log.join().unwrap().join("\n");
    assert!(!log.contains("Too many open files"), "{log}");
}
