//! What is no request at all: hyper refuses it below the router, and the client is told in the words of a
//! problem document all the same.

use chassis::{network::Incoming, testing::patience::timeout};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
};

use super::*;
use crate::http::serve;

/// The REST side on a port of its own.
async fn listening() -> (std::net::SocketAddr, tempfile::TempDir) {
    let (front, folder) = alone(Browse::Token, "").await;
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(serve(Incoming::from(listener), vec![(Handle::current(), front)], CancellationToken::new()));
    (address, folder)
}

/// Everything that comes back until the server closes.
async fn answered(address: std::net::SocketAddr, sent: &[u8]) -> Vec<u8> {
    let mut stream = TcpStream::connect(address).await.unwrap();
    stream.write_all(sent).await.unwrap();
    let mut answer = Vec::new();
    timeout(std::time::Duration::from_secs(10), stream.read_to_end(&mut answer)).await.unwrap().unwrap();
    answer
}

/// The last answer of these bytes: status line, head, document.
fn last(answer: &[u8]) -> (String, String, Value) {
    let text = std::str::from_utf8(answer).unwrap();
    let start = text.rfind("HTTP/1.1 ").unwrap();
    let (head, body) = text[start..].split_once("\r\n\r\n").unwrap();
    let (status, headers) = head.split_once("\r\n").unwrap();
    assert!(headers.contains(&format!("content-length: {}", body.len())), "{head}");
    (status.to_owned(), headers.to_owned(), serde_json::from_str(body).unwrap())
}

#[tokio::test]
async fn what_is_no_request_is_refused_with_a_problem_document() {
    let (address, _folder) = listening().await;
    let get = |rest: &str| format!("GET {rest}\r\n\r\n").into_bytes();
    let head = |header: &[u8]| [b"GET /v1/concerts HTTP/1.1\r\nhost: x\r\n", header, b"\r\n\r\n"].concat();
    let many: String = (0..150).map(|n| format!("x-{n}: y\r\n")).collect();
    let cases: Vec<(u16, &str, Vec<u8>)> = vec![
        (400, "INVALID_ARGUMENT", b"nonsense\r\n\r\n".to_vec()),
        (400, "INVALID_ARGUMENT", get("/v1/con\0certs HTTP/1.1")),
        (400, "INVALID_ARGUMENT", b"GET /v1/wallets/\xc3\xa9\xff HTTP/1.1\r\n\r\n".to_vec()),
        (400, "INVALID_ARGUMENT", get("/v1/con certs HTTP/1.1")),
        (400, "INVALID_ARGUMENT", get("/v1/concerts HTTP/9.9")),
        (400, "INVALID_ARGUMENT", head(b"x y: z")),
        (400, "INVALID_ARGUMENT", head(b"x: a\0b")),
        (400, "INVALID_ARGUMENT", head(b"content-length: ten")),
        (400, "INVALID_ARGUMENT", head(b"content-length: 1\r\ncontent-length: 2")),
        (400, "INVALID_ARGUMENT", head(b"transfer-encoding: gzip")),
        (414, "URI_TOO_LONG", get(&format!("/{} HTTP/1.1", "x".repeat(70_000)))),
        (431, "REQUEST_HEADER_FIELDS_TOO_LARGE", head(many.as_bytes())),
        (431, "REQUEST_HEADER_FIELDS_TOO_LARGE", head(format!("x: {}", "y".repeat(3_000_000)).as_bytes())),
    ];
    for (status, code, sent) in cases {
        let what = String::from_utf8_lossy(&sent[..sent.len().min(60)]).into_owned();
        let (line, headers, body) = last(&answered(address, &sent).await);
        assert!(line.starts_with(&format!("HTTP/1.1 {status} ")), "{what}: {line}");
        assert!(headers.contains("content-type: application/problem+json"), "{what}: {headers}");
        assert!(
            headers.contains("traceparent: 00-") && headers.contains("connection: close"),
            "{what}: {headers}"
        );
        assert_eq!(
            (&body["status"], &body["code"], &body["instance"]),
            (&status.into(), &code.into(), &"*".into()),
            "{what}"
        );
        assert_eq!(body["violations"].is_array(), status == 400, "{what}: {body}");
    }
}

#[tokio::test]
async fn an_answer_of_ours_is_passed_on_as_it_is() {
    let (address, _folder) = listening().await;
    // A refusal of the router, one without a body for HEAD, and then something malformed on the same
    // connection.
    let sent = b"GET /v1/nothing HTTP/1.1\r\nhost: x\r\n\r\nHEAD /v1/nothing HTTP/1.1\r\nhost: x\r\n\r\nrubbish\r\n\r\n";
    let answer = answered(address, sent).await;
    let text = String::from_utf8_lossy(&answer);
    assert_eq!(
        (text.matches("HTTP/1.1 404").count(), text.matches("HTTP/1.1 400").count()),
        (2, 1),
        "{text}"
    );
    assert!(text.contains("\"instance\":\"/v1/nothing\""), "{text}");
    assert_eq!(last(&answer).2["code"], "INVALID_ARGUMENT");
}

#[tokio::test]
async fn who_is_still_sending_hears_why_it_is_refused() {
    let (address, _folder) = listening().await;
    let mut sent =
        b"POST /v1/concerts HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\ncontent-length: 4000000\r\n\r\n".to_vec();
    sent.resize(sent.len() + 4_000_000, b' ');
    for _ in 0..5 {
        let (line, _, body) = last(&answered(address, &sent).await);
        assert_eq!(
            (line.as_str(), &body["code"]),
            ("HTTP/1.1 413 Payload Too Large", &"PAYLOAD_TOO_LARGE".into())
        );
    }
}
