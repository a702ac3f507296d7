//! The first request, which every connection must send whole, and soon, to be kept.
//!
//! The head of a request in HTTP/1, up to its empty line, or the preface of HTTP/2 with its SETTINGS is a
//! whole request here. Bytes are inspected until then and never again. The timeouts of hyper would not do:
//! they begin only once it knows which HTTP is spoken, and not on every port.

use std::{
    io,
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    task::{Context, Poll},
    time::Duration,
};

use futures::task::AtomicWaker;
use tokio::time::{Instant, Sleep, sleep_until};

/// How long a client may take to send its first request.
pub const FIRST_WORD: Duration = Duration::from_secs(10);

const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
/// The header of a frame of HTTP/2: a length of three bytes, then six more.
const FRAME_HEAD: usize = 9;

/// The state of a connection that has not sent a whole request yet.
pub(super) struct Opening {
    heard: Heard,
    until: Instant,
    late: Option<Pin<Box<Sleep>>>,
    /// Rung when a newcomer takes the place.
    bell: Option<Arc<Bell>>,
    /// Whether the connection ends at `until` even if it has sent a request.
    brief: bool,
}

impl Opening {
    /// A connection that has just come, and must send a request within `patience`.
    pub(super) fn new(patience: Duration, bell: Option<Arc<Bell>>, brief: bool) -> Box<Self> {
        let until = Instant::now() + patience;
        Box::new(Self { heard: Heard::Preface(0), until, late: None, bell, brief })
    }

    /// Inspects bytes that have come; true when the first request is whole.
    pub(super) fn hear(&mut self, bytes: &[u8]) -> bool {
        self.heard.take(bytes)
    }

    /// Whether the connection ends soon even if it has sent a request.
    pub(super) const fn is_brief(&self) -> bool {
        self.brief
    }

    /// Ready when nothing has come and the time is over, or the place was given away.
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

/// Wakes a silent connection whose place is given to a newcomer.
#[derive(Default)]
pub(super) struct Bell {
    rung: AtomicBool,
    waker: AtomicWaker,
}

impl Bell {
    pub(super) fn ring(&self) {
        self.rung.store(true, Ordering::Release);
        self.waker.wake();
    }

    /// Whether it was rung; if not, the task is woken when it is.
    fn has_rung(&self, cx: &Context<'_>) -> bool {
        self.waker.register(cx.waker());
        self.rung.load(Ordering::Acquire)
    }
}

/// How much of the first request has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Heard {
    /// This many bytes, which so far are those of the preface of HTTP/2.
    Preface(usize),
    /// This many bytes of the frame behind the preface, and the length of its body as far as it is known.
    Frame(usize, usize),
    /// A part of an HTTP/1 head; `begun` when there is more than empty lines, `empty` when the last line is
    /// empty so far.
    Head { begun: bool, empty: bool },
    /// The whole request.
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
