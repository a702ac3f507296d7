//! What a connection owes before it is kept: a first whole request, soon.
//!
//! Whole is the head of a request in HTTP/1, up to its empty line, or the preface of HTTP/2 with its
//! SETTINGS. Bytes are looked at until then and never again. Time alone would not do: hyper counts it only
//! once it knows which HTTP is spoken, and then not on every port.

use std::{
    io,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
    time::Duration,
};

use tokio::time::{Instant, Sleep, sleep_until};

use super::connections::Bell;

/// How long a client may take for its first request.
pub const FIRST_WORD: Duration = Duration::from_secs(10);

const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
/// Of a frame of HTTP/2: its length in three bytes, then six more.
const FRAME_HEAD: usize = 9;

/// A connection that has yet to say what it wants.
pub(super) struct Opening {
    heard: Heard,
    until: Instant,
    late: Option<Pin<Box<Sleep>>>,
    /// Rung when somebody else needs the place.
    bell: Option<Arc<Bell>>,
    /// Does the time count even for one that has asked?
    brief: bool,
}

impl Opening {
    /// One that has just come and has so long.
    pub(super) fn new(patience: Duration, bell: Option<Arc<Bell>>, brief: bool) -> Box<Self> {
        let until = Instant::now() + patience;
        Box::new(Self { heard: Heard::Preface(0), until, late: None, bell, brief })
    }

    /// Takes note of what has come; true when the first request is whole.
    pub(super) fn hear(&mut self, bytes: &[u8]) -> bool {
        self.heard.take(bytes)
    }

    /// Is its time over all the same?
    pub(super) const fn is_brief(&self) -> bool {
        self.brief
    }

    /// Nothing has come: is it over?
    pub(super) fn wait(&mut self, cx: &mut Context<'_>) -> Poll<io::Error> {
        let why = if self.bell.as_ref().is_some_and(|bell| bell.has_rung(cx)) && self.heard != Heard::Whole {
            "displaced"
        } else if self
            .late
            .get_or_insert_with(|| Box::pin(sleep_until(self.until)))
            .as_mut()
            .poll(cx)
            .is_ready()
        {
            "silent"
        } else {
            return Poll::Pending;
        };
        metrics::counter!("connections_refused_total", "why" => why).increment(1);
        Poll::Ready(io::ErrorKind::TimedOut.into())
    }
}

/// How much of a first request has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Heard {
    /// So many bytes, and so far they are HTTP/2's preface.
    Preface(usize),
    /// Behind the preface so many bytes of a frame, and how long its body is as far as that is known.
    Frame(usize, usize),
    /// A part of an HTTP/1 head; `begun` when it is more than empty lines, `empty` when the last line is
    /// empty so far.
    Head { begun: bool, empty: bool },
    /// All of it.
    Whole,
}

impl Heard {
    fn take(&mut self, bytes: &[u8]) -> bool {
        for &byte in bytes {
            *self = self.after(byte);
            if *self == Self::Whole {
                break;
            }
        }
        *self == Self::Whole
    }

    fn after(self, byte: u8) -> Self {
        match self {
            Self::Preface(got) if PREFACE.get(got) == Some(&byte) => {
                if got + 1 == PREFACE.len() {
                    Self::Frame(0, 0)
                } else {
                    Self::Preface(got + 1)
                }
            }
            Self::Preface(got) => Self::Head { begun: got > 0, empty: false }.after(byte),
            Self::Frame(got, length) => {
                let length = if got < 3 { length << 8 | usize::from(byte) } else { length };
                if got + 1 >= FRAME_HEAD && got + 1 == FRAME_HEAD + length {
                    Self::Whole
                } else {
                    Self::Frame(got + 1, length)
                }
            }
            Self::Head { begun: true, empty: true } if byte == b'\n' => Self::Whole,
            Self::Head { begun, empty } => match byte {
                b'\n' => Self::Head { begun, empty: begun },
                b'\r' => Self::Head { begun, empty },
                _ => Self::Head { begun: true, empty: false },
            },
            Self::Whole => Self::Whole,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// How many bytes of this are needed, fed one by one; `None` when it never is a request.
    fn whole_after(bytes: &[u8]) -> Option<usize> {
        let mut heard = Heard::Preface(0);
        bytes.iter().position(|byte| heard.take(&[*byte])).map(|at| at + 1)
    }

    #[test]
    fn a_head_is_whole_with_its_empty_line() {
        for head in [
            "GET / HTTP/1.1\r\nHost: x\r\n\r\n",
            "POST / HTTP/1.1\nHost: x\n\n",
            "\r\n\r\n\n\nGET / HTTP/1.1\r\n\r\n",
            "PRI / HTTP/1.1\r\nHost: x\r\n\r\n",
        ] {
            assert_eq!(whole_after(format!("{head}{{}}").as_bytes()), Some(head.len()), "{head:?}");
        }
        for half in
            ["", "G", "\r\n\r\n\r\n\r\n", "GET / HTTP/1.1\r\nHost: x\r\n", "GET / HTTP/1.1\r\nHost: x\r\n\rX"]
        {
            assert_eq!(whole_after(half.as_bytes()), None, "{half:?}");
        }
    }

    #[test]
    fn a_preface_is_whole_with_its_settings() {
        for body in [0, 1, 18, 300_usize] {
            let [.., high, low] = body.to_be_bytes();
            let mut sent = PREFACE.to_vec();
            assert_eq!(whole_after(&sent), None);
            sent.extend([0, high, low, 4, 0, 0, 0, 0, 0]);
            sent.extend(vec![7; body]);
            assert_eq!(whole_after(&sent[..sent.len() - 1]), None, "{body}");
            assert_eq!(whole_after(&[&sent[..], b"more"].concat()), Some(sent.len()), "{body}");
        }
    }
}
