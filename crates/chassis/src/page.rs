//! Pages of lists (AIP-158): sizes, and tokens that callers hand back without looking inside.
//!
//! A token belongs to the [`List`] that gave it: another list refuses it rather than answer with a page that means nothing.

use std::fmt::Display;

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

/// One list among all that there are: its name, and what it is narrowed to (whose, of what).
#[derive(Debug)]
pub struct List(String);

impl List {
    /// The list of this name, of this one.
    #[must_use]
    pub fn of(name: &str, narrowed_to: impl Display) -> Self {
        Self(format!("{name} {narrowed_to}"))
    }

    /// Reads which page is asked for: how many rows, and from where (`start` for the first page). What is wrong is told to `refuse`,
    /// field and description; the answer means something only when nothing was.
    pub fn read<C: DeserializeOwned>(
        &self,
        page_size: i32,
        page_token: &str,
        start: C,
        mut refuse: impl FnMut(&str, &str),
    ) -> (i64, C) {
        let size = size(page_size).unwrap_or_else(|| {
            refuse("page_size", "must be 1 to 1000, or 0 for 50");
            0
        });
        if page_token.is_empty() {
            return (size, start);
        }
        let from = self.cursor(page_token).unwrap_or_else(|| {
            refuse("page_token", "must be the token that this very list gave for its next page");
            start
        });
        (size, from)
    }

    /// Where the next page starts, as an opaque word; empty when there is none.
    #[must_use]
    pub fn token<C: Serialize>(&self, next: Option<&C>) -> String {
        next.map(|cursor| URL_SAFE_NO_PAD.encode(serde_json::to_vec(&(&self.0, cursor)).unwrap_or_default())).unwrap_or_default()
    }

    fn cursor<C: DeserializeOwned>(&self, token: &str) -> Option<C> {
        let (list, cursor): (String, C) = serde_json::from_slice(&URL_SAFE_NO_PAD.decode(token).ok()?).ok()?;
        (list == self.0).then_some(cursor)
    }
}

/// Makes a page of what was read with a limit of one more than its size; where the next one starts, if there is one.
pub fn cut<T, C>(mut found: Vec<T>, size: i64, cursor: impl FnOnce(&T) -> C) -> (Vec<T>, Option<C>) {
    let size = usize::try_from(size).unwrap_or(usize::MAX);
    let more = found.len() > size;
    found.truncate(size);
    let next = found.last().filter(|_| more).map(cursor);
    (found, next)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(list: &List, size: i32, token: &str) -> Result<(i64, (i64, String)), Vec<String>> {
        let mut wrong = Vec::new();
        let page = list.read(size, token, (0, String::new()), |field, _| wrong.push(field.to_owned()));
        if wrong.is_empty() { Ok(page) } else { Err(wrong) }
    }

    #[test]
    fn a_page_token_is_read_back_and_rubbish_is_not() {
        let list = List::of("shows", 7);
        assert_eq!(read(&list, 3, ""), Ok((3, (0, String::new()))));
        assert_eq!(read(&list, 0, &list.token(Some(&(7, "x")))), Ok((50, (7, "x".to_owned()))));
        for rubbish in ["!", "abc", "AAAA", "\u{1f39f}", &list.token(Some(&7))] {
            assert_eq!(read(&list, 1_001, rubbish), Err(vec!["page_size".to_owned(), "page_token".to_owned()]), "{rubbish}");
        }
    }

    #[test]
    fn a_page_token_of_another_list_is_refused() {
        let token = List::of("reservations", "ann").token(Some(&(7, "x")));
        for other in [List::of("reservations", "bob"), List::of("payments", "ann")] {
            assert_eq!(read(&other, 0, &token), Err(vec!["page_token".to_owned()]), "{other:?}");
        }
    }

    #[test]
    fn a_page_has_a_next_one_only_when_more_was_found() {
        assert_eq!(cut(vec![3, 2, 1], 2, |last| *last), (vec![3, 2], Some(2)));
        assert_eq!(cut(vec![3, 2], 2, |last| *last), (vec![3, 2], None));
        assert_eq!(cut(Vec::<i32>::new(), 2, |last| *last), (vec![], None));
        assert_eq!(List::of("concerts", "").token(None::<&i32>), "");
    }
}
