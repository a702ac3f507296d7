//! What systems of others have to say of a trace: the header `tracestate` of the W3C Trace Context
//! recommendation. It is passed on as it came and read by nobody here.

use std::sync::Arc;

use http::{HeaderMap, HeaderValue};

/// The name of the header, which stands beside `traceparent`.
pub(crate) const TRACESTATE: &str = "tracestate";
/// The most bytes that are passed on: as many as the recommendation asks for. What is longer is dropped.
const LONGEST: usize = 512;
/// The most members of the list.
const MEMBERS: usize = 32;

/// A list that is well formed. Clones share it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct TraceState(Arc<str>);

impl TraceState {
    /// Reads the headers of this name, which are one list; `None` when there is none, or it is malformed or
    /// too long.
    pub(crate) fn of(headers: &HeaderMap) -> Option<Self> {
        let mut lines = headers.get_all(TRACESTATE).iter().map(HeaderValue::to_str).peekable();
        lines.peek()?;
        let lines = lines.collect::<Result<Vec<_>, _>>().ok()?;
        let list = lines.join(",");
        let members =
            || list.split(',').map(|member| member.trim_matches([' ', '\t'])).filter(|one| !one.is_empty());
        let is_fine = list.len() <= LONGEST
            && (1..=MEMBERS).contains(&members().count())
            && members()
                .all(|one| one.split_once('=').is_some_and(|(key, value)| is_key(key) && is_value(value)));
        is_fine.then(|| Self(list.into()))
    }

    /// As it came.
    pub(crate) fn as_str(&self) -> &str {
        &self.0
    }

    /// As a header.
    pub(crate) fn header(&self) -> Option<HeaderValue> {
        HeaderValue::from_str(&self.0).ok()
    }
}

/// As the second level of the recommendation has it, which takes all that the first one does.
fn is_key(key: &str) -> bool {
    let may_begin = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit();
    let is_letter = |byte: u8| may_begin(byte) || b"_-*/@".contains(&byte);
    key.len() <= 256 && key.bytes().next().is_some_and(may_begin) && key.bytes().all(is_letter)
}

fn is_value(value: &str) -> bool {
    let is_letter = |byte: u8| (b' '..=b'~').contains(&byte) && !b",=".contains(&byte);
    (1..=256).contains(&value.len()) && value.bytes().all(is_letter) && !value.ends_with(' ')
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(lines: &[&str]) -> Option<String> {
        let mut headers = HeaderMap::new();
        for line in lines {
            headers.append(TRACESTATE, HeaderValue::from_bytes(line.as_bytes()).ok()?);
        }
        TraceState::of(&headers).map(|state| state.as_str().to_owned())
    }

    #[test]
    fn a_list_is_kept_as_it_came_and_several_headers_are_one() {
        let long = format!("a={}", "x".repeat(256));
        for good in ["rojo=00f067aa0ba902b7", "a=1, b@c=x y ,,d_-*/=~", "1t@sys=!", &long] {
            assert_eq!(read(&[good]).as_deref(), Some(good));
        }
        assert_eq!(read(&["a=1", "b=2"]).as_deref(), Some("a=1,b=2"));
        let most: Vec<String> = (0..32).map(|nth| format!("k{nth}=v")).collect();
        assert!(read(&[&most.join(",")]).is_some());
    }

    #[test]
    fn what_is_malformed_or_too_long_is_dropped_whole() {
        let (key, value) = (format!("{}=1", "a".repeat(257)), format!("a={}", "x".repeat(257)));
        let many: Vec<String> = (0..33).map(|nth| format!("k{nth}=v")).collect();
        let long = format!("a={},b={}", "x".repeat(255), "y".repeat(254));
        assert_eq!(long.len(), 514);
        for bad in [
            "",
            ",",
            "a",
            "a=",
            "=1",
            "A=1",
            "a=b=c",
            "a=1,b",
            "@b=1",
            "a b=1",
            "a=\t",
            "a=\u{e9}",
            &key,
            &value,
            &many.join(","),
            &long,
        ] {
            assert_eq!(read(&[bad]), None, "{bad}");
        }
        assert_eq!(read(&[]), None);
        assert_eq!(read(&["a=1", "B=2"]), None);
    }
}
