//! HTTP/2 written by hand, for clients that no library would be, such as one that begins calls without end
//! and never sends their messages.

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};

/// The types of frames that tests look for.
pub mod kind {
    /// DATA.
    pub const DATA: u8 = 0;
    /// HEADERS.
    pub const HEADERS: u8 = 1;
    /// RST_STREAM.
    pub const RESET: u8 = 3;
    /// PING.
    pub const PING: u8 = 6;
    /// SETTINGS.
    pub const SETTINGS: u8 = 4;
    /// GOAWAY.
    pub const GOAWAY: u8 = 7;
}

/// The preface of a client of HTTP/2.
pub const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
/// SETTINGS that set nothing: with the preface it makes a whole beginning.
pub const SETTINGS: &[u8] = &[0, 0, 0, kind::SETTINGS, 0, 0, 0, 0, 0];
/// Nothing follows on the stream.
const END_STREAM: u8 = 1;
/// The headers are whole; (without the flag that nothing follows).
const END_HEADERS: u8 = 4;

/// A frame that came.
#[derive(Clone, Debug)]
pub struct Frame {
    /// Its type.
    pub kind: u8,
    /// Its stream.
    pub stream: u32,
    /// What is in it.
    pub body: Vec<u8>,
}

/// A connection on which the preface and SETTINGS were sent, and nothing more.
///
/// # Panics
/// When it cannot be made.
pub async fn greeted(address: &str) -> TcpStream {
    let mut link = TcpStream::connect(address).await.expect("a connection");
    link.write_all(&[PREFACE, SETTINGS].concat()).await.expect("a greeting");
    link
}

/// The beginning of a call, and no word of its message.
#[must_use]
pub fn half_a_call(stream: u32, path: &str) -> Vec<u8> {
    // Of HPACK only: a name of the static table by its number, and a value as it is.
    let literal = |name: &[u8], value: &str| {
        let length = u8::try_from(value.len()).ok().filter(|length| *length < 127).expect("a short value");
        [name, &[length], value.as_bytes()].concat()
    };
    let (post, http, authority, path_, content_type) =
        (0x83, 0x86, &[0x01][..], &[0x04][..], &[0x0f, 0x10][..]);
    let headers = [
        vec![post, http],
        literal(authority, "x"),
        literal(path_, path),
        literal(content_type, "application/grpc"),
        [&[0x00, 2][..], b"te", &[8], b"trailers"].concat(),
    ]
    .concat();
    let length = u8::try_from(headers.len()).expect("few headers");
    let [a, b, c, d] = stream.to_be_bytes();
    [&[0, 0, length, kind::HEADERS, END_HEADERS, a, b, c, d][..], &headers].concat()
}

/// Sends a PING and reads up to its answer: what was sent before has been taken.
///
/// # Panics
/// When the connection ends.
pub async fn taken(link: &mut TcpStream) {
    link.write_all(&[0, 0, 8, kind::PING, 0, 0, 0, 0, 0, 1, 2, 3, 4, 5, 6, 7, 8]).await.expect("a ping");
    while frame(link).await.expect("an answer").kind != kind::PING {}
}

/// What such a call is still waited for: a message, which is empty, and its end.
#[must_use]
pub fn empty_message(stream: u32) -> Vec<u8> {
    let [a, b, c, d] = stream.to_be_bytes();
    vec![0, 0, 5, kind::DATA, END_STREAM, a, b, c, d, 0, 0, 0, 0, 0]
}

/// The next frame; `None` at the end of the connection.
pub async fn frame(link: &mut (impl AsyncReadExt + Unpin)) -> Option<Frame> {
    let mut head = [0; 9];
    link.read_exact(&mut head).await.ok()?;
    let [x, y, z, kind, _flags, a, b, c, d] = head;
    let mut body = vec![0; usize::try_from(u32::from_be_bytes([0, x, y, z])).ok()?];
    link.read_exact(&mut body).await.ok()?;
    Some(Frame { kind, stream: u32::from_be_bytes([a, b, c, d]) & 0x7fff_ffff, body })
}
