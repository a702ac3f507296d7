//! HTTP/1.1 as cheaply as it can be spoken: kept-alive connections, one request at a time, answers with a
//! Content-Length.
//!
//! It refuses what the mesh never sends (chunked answers) rather than guess. A connection that broke is
//! opened anew for the next request; the broken request is an error, never repeated: a generator that repeats
//! hides what it should count.

use std::{
    fmt::{self, Write as _},
    io::{self, BufRead as _, ErrorKind, Write as _},
    net::SocketAddr,
};

use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpSocket, TcpStream},
};
use uuid::Uuid;

/// One client's connection, opened on first use.
pub(crate) struct Connection {
    to: SocketAddr,
    from: Option<SocketAddr>,
    stream: Option<TcpStream>,
    read: Vec<u8>,
}

/// What came back.
pub(crate) struct Answer<'a> {
    /// The HTTP status.
    pub(crate) status: u16,
    /// The body.
    pub(crate) body: &'a [u8],
}

struct Head {
    status: u16,
    /// Where the body begins.
    body: usize,
    length: usize,
}

impl Connection {
    pub(crate) fn new(to: SocketAddr) -> Self {
        Self { to, from: None, stream: None, read: vec![0; 4_096] }
    }

    /// From an address of one's own: one address has some 28,000 ports, too few for every stream.
    pub(crate) fn bound(to: SocketAddr, from: SocketAddr) -> Self {
        Self { from: Some(from), ..Self::new(to) }
    }

    /// Connects, if it is not.
    pub(crate) async fn open(&mut self) -> io::Result<&mut TcpStream> {
        if self.stream.is_none() {
            let socket = TcpSocket::new_v4()?;
            if let Some(from) = self.from {
                socket.bind(from)?;
            }
            let stream = socket.connect(self.to).await?;
            stream.set_nodelay(true)?;
            self.stream = Some(stream);
        }
        self.stream.as_mut().ok_or_else(|| ErrorKind::NotConnected.into())
    }

    /// Sends a request and reads its answer whole.
    pub(crate) async fn ask(&mut self, request: &[u8]) -> io::Result<Answer<'_>> {
        match self.exchange(request).await {
            Ok(head) => {
                Ok(Answer { status: head.status, body: &self.read[head.body..head.body + head.length] })
            }
            Err(error) => {
                self.stream = None;
                Err(error)
            }
        }
    }

    async fn exchange(&mut self, request: &[u8]) -> io::Result<Head> {
        self.open().await?.write_all(request).await?;
        let Self { stream: Some(stream), read, .. } = self else {
            return Err(ErrorKind::NotConnected.into());
        };
        let mut filled = 0;
        let head = loop {
            filled += some(stream.read(&mut read[filled..]).await?)?;
            if let Some(head) = Head::of(&read[..filled])? {
                break head;
            }
            if filled == read.len() {
                read.resize(filled * 2, 0);
            }
        };
        let whole = head.body + head.length;
        if read.len() < whole {
            read.resize(whole, 0);
        }
        while filled < whole {
            filled += some(stream.read(&mut read[filled..whole]).await?)?;
        }
        if filled > whole { Err(io::Error::other("more came than was asked for")) } else { Ok(head) }
    }

    /// Hands the socket over, for an answer that does not end: what was sent so far has been read by nobody.
    pub(crate) fn into_stream(self) -> Option<TcpStream> {
        self.stream
    }
}

fn some(bytes: usize) -> io::Result<usize> {
    if bytes == 0 { Err(ErrorKind::UnexpectedEof.into()) } else { Ok(bytes) }
}

impl Head {
    /// Reads the head of an answer; `None`: it is not all there.
    fn of(read: &[u8]) -> io::Result<Option<Self>> {
        let (mut rest, mut status, mut length) = (read, None, 0);
        loop {
            let line = rest;
            let taken = rest.skip_until(b'\n')?;
            let line = &line[..taken];
            let Some(line) = line.strip_suffix(b"\r\n") else { return Ok(None) };
            if line.is_empty() {
                let status = status.ok_or_else(|| io::Error::other("an answer without a status"))?;
                return Ok(Some(Self { status, body: read.len() - rest.len(), length }));
            }
            if status.is_none() {
                status = Some(number(line.get(9..12).unwrap_or_default())?);
            } else if let Some(value) = value_of(line, b"content-length:") {
                length = number(value)?;
            } else if value_of(line, b"transfer-encoding:").is_some() {
                return Err(io::Error::other("an answer in chunks"));
            }
        }
    }
}

fn value_of<'a>(line: &'a [u8], name: &[u8]) -> Option<&'a [u8]> {
    line.get(..name.len()).filter(|start| start.eq_ignore_ascii_case(name))?;
    line.get(name.len()..).map(<[u8]>::trim_ascii)
}

fn number<T: std::str::FromStr>(digits: &[u8]) -> io::Result<T> {
    let text = std::str::from_utf8(digits).ok().and_then(|text| text.parse().ok());
    text.ok_or_else(|| io::Error::other("a number that is none"))
}

/// Writes a GET.
pub(crate) fn get(out: &mut Vec<u8>, path: fmt::Arguments<'_>, token: Option<Uuid>) {
    head(out, "GET", path, token);
    out.extend_from_slice(b"\r\n");
}

/// Writes a DELETE.
pub(crate) fn delete(out: &mut Vec<u8>, path: fmt::Arguments<'_>) {
    head(out, "DELETE", path, None);
    out.extend_from_slice(b"\r\n");
}

/// Writes a POST of JSON.
pub(crate) fn post(
    out: &mut Vec<u8>,
    path: fmt::Arguments<'_>,
    token: Option<Uuid>,
    body: fmt::Arguments<'_>,
) {
    let mut json = String::new();
    write!(json, "{body}").expect("a string takes everything");
    head(out, "POST", path, token);
    let length = json.len();
    write!(out, "content-type: application/json\r\ncontent-length: {length}\r\n\r\n{json}")
        .expect("memory takes everything");
}

fn head(out: &mut Vec<u8>, method: &str, path: fmt::Arguments<'_>, token: Option<Uuid>) {
    write!(out, "{method} {path} HTTP/1.1\r\nhost: bench\r\n").expect("memory takes everything");
    if let Some(token) = token {
        write!(out, "x-queue-token: {token}\r\n").expect("memory takes everything");
    }
}

/// Adds a header to the request that was written last, which is the only one there.
pub(crate) fn add_header(out: &mut Vec<u8>, line: fmt::Arguments<'_>) {
    let first = out.iter().position(|byte| *byte == b'\n').map_or(0, |end| end + 1);
    out.splice(first..first, format!("{line}\r\n").into_bytes());
}

/// The text of a field of a flat JSON object, without reading the rest.
pub(crate) fn text_field<'a>(body: &'a [u8], name: &str) -> Option<&'a str> {
    after(body, name)?.strip_prefix('"')?.split('"').next()
}

/// The whole number of a field, likewise.
pub(crate) fn number_field(body: &[u8], name: &str) -> Option<i64> {
    let value = after(body, name)?;
    value[..value.find([',', '}'])?].parse().ok()
}

fn after<'a>(body: &'a [u8], name: &str) -> Option<&'a str> {
    let body = std::str::from_utf8(body).ok()?;
    body.match_indices(name).find_map(|(at, _)| {
        let quoted = body[..at].ends_with('"');
        body[at + name.len()..].strip_prefix("\":").filter(|_| quoted)
    })
}

/// The id in a field.
pub(crate) fn id_field(body: &[u8], name: &str) -> Option<Uuid> {
    Uuid::try_parse(text_field(body, name)?).ok()
}

/// An outcome for the tally: this status, or what came instead.
pub(crate) fn expect(wanted: u16, status: u16, body: &[u8]) -> Result<(), String> {
    if status == wanted {
        return Ok(());
    }
    Err(format!("{status} {}", String::from_utf8_lossy(&body[..body.len().min(300)])))
}

#[cfg(test)]
mod tests {
    use super::*;

    const OK: &[u8] = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\ncontent-length: 2\r\n\r\n{}";

    #[test]
    fn a_head_is_read_once_it_is_whole() {
        for cut in 0..OK.len() - 2 {
            assert!(matches!(Head::of(&OK[..cut]), Ok(None)), "cut at {cut}");
        }
        let head = Head::of(OK).unwrap().unwrap();
        assert_eq!((head.status, head.body, head.length), (200, OK.len() - 2, 2));
    }

    #[test]
    fn what_is_not_understood_is_refused() {
        for bad in ["HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n", "HTTP/1.1 abc\r\n\r\n", "\r\n"] {
            assert!(Head::of(bad.as_bytes()).is_err(), "{bad:?}");
        }
        let none = Head::of(b"HTTP/1.1 204 No Content\r\n\r\n").unwrap().unwrap();
        assert_eq!((none.status, none.length), (204, 0));
    }

    #[test]
    fn a_header_is_added_before_the_others() {
        let mut request = Vec::new();
        get(&mut request, format_args!("/x"), None);
        add_header(&mut request, format_args!("a: b"));
        assert_eq!(request, b"GET /x HTTP/1.1\r\na: b\r\nhost: bench\r\n\r\n");
    }

    #[test]
    fn fields_are_found_by_their_whole_name() {
        let body = br#"{"ticketId":"x","ticket":42,"token":"3fa85f64-5717-4562-b3fc-2c963f66afa6","last":7}"#;
        assert_eq!((number_field(body, "ticket"), number_field(body, "last")), (Some(42), Some(7)));
        assert_eq!(text_field(body, "ticketId"), Some("x"));
        assert!(
            id_field(body, "token").is_some()
                && id_field(body, "ticketId").is_none()
                && number_field(body, "none").is_none()
        );
    }

    #[tokio::test]
    async fn answers_are_read_however_they_arrive() {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let mut connection = Connection::new(listener.local_addr().unwrap());
        let server = tokio::spawn(async move {
            let (mut peer, _) = listener.accept().await.unwrap();
            let mut asked = [0; 100];
            assert!(peer.read(&mut asked).await.unwrap() > 0);
            peer.set_nodelay(true).unwrap();
            for byte in OK {
                peer.write_all(&[*byte]).await.unwrap();
                tokio::task::yield_now().await;
            }
        });
        let mut request = Vec::new();
        get(&mut request, format_args!("/x"), None);
        let answer = connection.ask(&request).await.unwrap();
        assert_eq!((answer.status, answer.body), (200, &b"{}"[..]));
        server.await.unwrap();
        assert!(connection.ask(&request).await.is_err(), "nobody answers any more");
    }
}
