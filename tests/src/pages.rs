//! A client of gRPC-Web, as web pages are: by HTTP/1.1 or HTTP/2, in binary or in Base64.

use std::{collections::HashMap, time::Duration};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use prost::bytes::{Buf as _, Bytes};
use reqwest::{Client, Response, header::HeaderMap};
use tonic::{Code, Status};

/// Far beyond what any call takes.
const PATIENCE: Duration = Duration::from_secs(60);

/// A page's client of one server.
#[derive(Debug)]
pub struct Page {
    /// What it asks with.
    pub client: Client,
    /// The server, `http://address`.
    pub base: String,
    /// Base64 in both directions.
    text: bool,
}

impl Page {
    /// A client of the server at this address.
    ///
    /// # Panics
    /// When there is no HTTP client to be had.
    #[must_use]
    pub fn new(base: String, http2: bool, text: bool) -> Self {
        let client =
            if http2 { Client::builder().http2_prior_knowledge() } else { Client::builder().http1_only() };
        Self { client: client.no_proxy().timeout(PATIENCE).build().unwrap(), base, text }
    }

    /// Calls `/package.Service/Method` and returns as soon as the answer begins.
    ///
    /// # Panics
    /// When the answer is not gRPC-Web of the kind that was sent.
    pub async fn send(&self, path: &str, message: &[u8], headers: &[(&str, &str)]) -> Response {
        let length = u32::try_from(message.len()).unwrap().to_be_bytes();
        let framed = [&[0][..], &length, message].concat();
        let (kind, body) = match self.text {
            false => ("application/grpc-web+proto", framed),
            true => ("application/grpc-web-text+proto", STANDARD.encode(framed).into_bytes()),
        };
        let call = self.client.post(format!("{}{path}", self.base));
        let call = call.header("content-type", kind).header("accept", kind);
        let call = headers.iter().fold(call, |call, (name, value)| call.header(*name, *value));
        let answer = call.header("x-grpc-web", "1").body(body).send().await.unwrap();
        let told = answer.headers()["content-type"].to_str().unwrap();
        assert_eq!((answer.status().as_u16(), told), (200, kind));
        answer
    }

    /// Calls `/package.Service/Method` and waits for the end of the answer. Of a stream the first message is
    /// returned.
    ///
    /// # Errors
    /// The call's status.
    ///
    /// # Panics
    /// When the answer is not gRPC-Web.
    pub async fn call(&self, path: &str, message: &[u8], headers: &[(&str, &str)]) -> Result<Bytes, Status> {
        let answer = self.send(path, message, headers).await;
        let headers = answer.headers().clone();
        let mut body = answer.bytes().await.unwrap();
        if self.text {
            body = from_text(&body);
        }
        let (messages, trailers) = frames(&mut body);
        assert!(body.is_empty());
        // Without a message the status is in the head.
        let status = Status::from_header_map(&trailers.unwrap_or(headers)).expect("a status");
        if status.code() != Code::Ok {
            return Err(status);
        }
        Ok(messages.into_iter().next().unwrap_or_default())
    }
}

/// What a body of Base64 stands for. Each part of it is Base64 by itself, and may end in padding.
fn from_text(body: &[u8]) -> Bytes {
    let mut parts: Vec<Vec<u8>> = Vec::new();
    for part in body.split_inclusive(|byte| *byte == b'=') {
        match parts.last_mut() {
            Some(before) if part == b"=" => before.extend(part),
            _ => parts.push(part.to_vec()),
        }
    }
    parts.iter().flat_map(|part| STANDARD.decode(part).unwrap()).collect()
}

/// Takes the whole messages from the beginning of a body, and the trailers that close it.
///
/// # Panics
/// When this is no gRPC-Web.
pub fn frames(body: &mut Bytes) -> (Vec<Bytes>, Option<HeaderMap>) {
    let (mut messages, mut trailers) = (Vec::new(), None);
    while let [flag, a, b, c, d, rest @ ..] = &body[..] {
        let (flag, length) = (*flag, u32::from_be_bytes([*a, *b, *c, *d]) as usize);
        if rest.len() < length {
            break;
        }
        body.advance(5);
        let content = body.split_to(length);
        if flag == 0 {
            messages.push(content);
            continue;
        }
        assert_eq!(flag, 0x80, "trailers, and last");
        let text = String::from_utf8(content.to_vec()).unwrap();
        let lines = text.lines().map(|line| line.split_once(':').unwrap());
        let named: HashMap<String, String> =
            lines.map(|(name, value)| (name.trim().to_owned(), value.trim().to_owned())).collect();
        trailers = Some(HeaderMap::try_from(&named).unwrap());
    }
    (messages, trailers)
}
