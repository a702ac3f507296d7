//! Pages of lists (AIP-158): sizes, and tokens that callers hand back without looking inside.

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use serde::{Serialize, de::DeserializeOwned};

const DEFAULT_SIZE: i64 = 50;
const MAX_SIZE: i64 = 1_000;

/// How many rows a page holds: 50 when nothing was asked for, else 1 to 1,000; `None` is a bad request.
#[must_use]
pub fn size(requested: i32) -> Option<i64> {
    match i64::from(requested) {
        0 => Some(DEFAULT_SIZE),
        size @ 1..=MAX_SIZE => Some(size),
        _ => None,
    }
}

/// Where the next page starts, as an opaque word.
#[must_use]
pub fn token<T: Serialize>(cursor: &T) -> String {
    URL_SAFE_NO_PAD.encode(serde_json::to_vec(cursor).unwrap_or_default())
}

/// Reads a word of [`token`] back; `None` when it is none of ours.
#[must_use]
pub fn cursor<T: DeserializeOwned>(token: &str) -> Option<T> {
    serde_json::from_slice(&URL_SAFE_NO_PAD.decode(token).ok()?).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_token_is_read_back_and_rubbish_is_not() {
        assert_eq!(cursor::<(i64, String)>(&token(&(7, "x"))), Some((7, "x".to_owned())));
        for rubbish in ["", "!", "abc", "AAAA"] {
            assert_eq!(cursor::<(i64, String)>(rubbish), None);
        }
    }
}
