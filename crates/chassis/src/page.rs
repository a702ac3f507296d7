//! Pages of lists (AIP-158): how many rows, how many bytes, and tokens that callers hand back without looking
//! inside.
//!
//! A token belongs to the [`List`] that gave it: another list refuses it rather than answer with a page that
//! means nothing. A page is cut where the first of two bounds is reached: the rows that were asked for, and
//! [`MAX_BYTES`] of encoded rows. So a page may be shorter than asked for, and only an empty token says that
//! it is the last.

use std::fmt::Display;

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use prost::Message;
use serde::{Serialize, de::DeserializeOwned};

/// The rows of one page together, encoded. gRPC clients of every language refuse a message of more than 4 MiB
/// unless told otherwise; the rest is for what is around the rows.
pub const MAX_BYTES: usize = 3 * 1024 * 1024;
/// A row's tag and length in the message that holds it, at most.
const AROUND_A_ROW: usize = 8;
const DEFAULT_SIZE: i64 = 50;
const MAX_SIZE: i64 = 1_000;

/// How many rows a page holds: 50 when nothing was asked for, and 1,000 at most, whatever was; `None` is a
/// bad request.
#[must_use]
pub fn size(requested: i32) -> Option<i64> {
    match i64::from(requested) {
        ..0 => None,
        0 => Some(DEFAULT_SIZE),
        size => Some(size.min(MAX_SIZE)),
    }
}

/// The identity of a list: its name and its filter.
#[derive(Debug)]
pub struct List(String);

impl List {
    /// The list of this name with this filter.
    #[must_use]
    pub fn of(name: &str, narrowed_to: impl Display) -> Self {
        Self(format!("{name} {narrowed_to}"))
    }

    /// Reads which page is asked for: how many rows, and the cursor to start from (`start` for the first
    /// page). What is wrong is passed to `refuse` as field and description; the answer means something only
    /// when nothing was.
    pub fn read<C: Serialize + DeserializeOwned>(
        self,
        page_size: i32,
        page_token: &str,
        start: C,
        mut refuse: impl FnMut(&str, &str),
    ) -> PageRequest<C> {
        let size = size(page_size).unwrap_or_else(|| {
            refuse("page_size", "must not be negative");
            0
        });
        let from = if page_token.is_empty() {
            start
        } else {
            self.cursor(page_token).unwrap_or_else(|| {
                refuse("page_token", "must be the token that this very list gave for its next page");
                start
            })
        };
        PageRequest { list: self, size, from }
    }

    /// The token of the page behind this cursor; empty when there is none.
    fn token<C: Serialize>(&self, next: Option<&C>) -> String {
        next.map(|cursor| URL_SAFE_NO_PAD.encode(serde_json::to_vec(&(&self.0, cursor)).unwrap_or_default()))
            .unwrap_or_default()
    }

    fn cursor<C: DeserializeOwned>(&self, token: &str) -> Option<C> {
        let (list, cursor): (String, C) =
            serde_json::from_slice(&URL_SAFE_NO_PAD.decode(token).ok()?).ok()?;
        (list == self.0).then_some(cursor)
    }
}

/// The page of a list that is asked for. A cursor (`C`) names a row; a page holds the rows after it.
#[derive(Debug)]
pub struct PageRequest<C> {
    list: List,
    size: i64,
    from: C,
}

impl<C: Serialize> PageRequest<C> {
    /// The cursor to read on from.
    #[must_use]
    pub const fn from(&self) -> &C {
        &self.from
    }

    /// How many rows to read: one more than the page holds, which tells whether there is a next page.
    #[must_use]
    pub const fn limit(&self) -> i64 {
        self.size.saturating_add(1)
    }

    /// Makes the page's messages of the rows that were found with [`Self::limit`], and the token of the next
    /// page (empty when this is the last). Every row has its `cursor`.
    pub fn answer<T, M: Message>(
        &self,
        found: Vec<T>,
        cursor: impl Fn(&T) -> C,
        message: impl Fn(T) -> M,
    ) -> (Vec<M>, String) {
        self.fill(found.into_iter().map(|row| (cursor(&row), message(row))), M::encoded_len)
    }

    /// The rows of the page, and the token of the next page, for rows that do not become one message each:
    /// `weigh` says how many bytes a row takes, at most.
    pub fn cut<T>(
        &self,
        found: Vec<T>,
        cursor: impl Fn(&T) -> C,
        weigh: impl Fn(&T) -> usize,
    ) -> (Vec<T>, String) {
        self.fill(found.into_iter().map(|row| (cursor(&row), row)), weigh)
    }

    /// Takes rows up to the first bound; the first row always, so that no list ends before its end.
    fn fill<M>(&self, rows: impl Iterator<Item = (C, M)>, weigh: impl Fn(&M) -> usize) -> (Vec<M>, String) {
        let size = usize::try_from(self.size).unwrap_or(usize::MAX);
        let (mut page, mut last, mut bytes) = (Vec::new(), None, 0_usize);
        for (cursor, row) in rows {
            bytes = bytes.saturating_add(weigh(&row)).saturating_add(AROUND_A_ROW);
            if page.len() >= size || (bytes > MAX_BYTES && !page.is_empty()) {
                return (page, self.list.token(last.as_ref()));
            }
            page.push(row);
            last = Some(cursor);
        }
        (page, String::new())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(list: List, size: i32, token: &str) -> Result<(i64, (i64, String)), Vec<String>> {
        let mut wrong = Vec::new();
        let page = list.read(size, token, (0, String::new()), |field, _| wrong.push(field.to_owned()));
        if wrong.is_empty() { Ok((page.size, page.from)) } else { Err(wrong) }
    }

    fn page(size: i64) -> PageRequest<usize> {
        PageRequest { list: List::of("toys", 7), size, from: 0 }
    }

    #[test]
    fn a_page_token_is_read_back_and_rubbish_is_not() {
        let list = || List::of("toys", 7);
        assert_eq!(read(list(), 3, ""), Ok((3, (0, String::new()))));
        assert_eq!(read(list(), i32::MAX, ""), Ok((1_000, (0, String::new()))), "never more");
        assert_eq!(read(list(), 0, &list().token(Some(&(7, "x")))), Ok((50, (7, "x".to_owned()))));
        for rubbish in ["!", "abc", "AAAA", "\u{1f39f}", &list().token(Some(&7))] {
            assert_eq!(
                read(list(), -1, rubbish),
                Err(vec!["page_size".to_owned(), "page_token".to_owned()]),
                "{rubbish}"
            );
        }
    }

    #[test]
    fn a_page_token_of_another_list_is_refused() {
        let token = List::of("letters", "ann").token(Some(&(7, "x")));
        for other in [List::of("letters", "bob"), List::of("parcels", "ann")] {
            let named = format!("{other:?}");
            assert_eq!(read(other, 0, &token), Err(vec!["page_token".to_owned()]), "{named}");
        }
    }

    #[test]
    fn a_page_has_a_next_one_only_when_more_was_found() {
        let token = |last: usize| List::of("toys", 7).token(Some(&last));
        let cut = |found: &[usize]| page(2).cut(found.to_vec(), |row| *row, |_| 0);
        assert_eq!(cut(&[3, 2, 1]), (vec![3, 2], token(2)));
        assert_eq!(cut(&[3, 2]), (vec![3, 2], String::new()));
        assert_eq!(cut(&[]), (vec![], String::new()));
    }

    #[test]
    fn a_page_ends_before_it_is_too_large_for_a_message_and_never_empty() {
        let rows: Vec<usize> = (1..=100).collect();
        let weight = MAX_BYTES / 10;
        let (first, next) = page(1_000).cut(rows.clone(), |row| *row, |_| weight);
        assert_eq!(
            (first.len(), next),
            (9, List::of("toys", 7).token(Some(&9))),
            "ten would be too much by what is around them"
        );
        let (one, next) = page(1_000).cut(rows, |row| *row, |_| MAX_BYTES + 1);
        assert_eq!((one.len(), next.is_empty()), (1, false));
    }

    #[test]
    fn a_page_of_messages_weighs_what_is_sent() {
        let text = "x".repeat(10_000);
        let (texts, next) = page(1_000).answer((1..=1_000).collect(), |row| *row, |_: usize| text.clone());
        let sent: usize = texts.iter().map(|text| text.encoded_len() + 4).sum();
        assert!(
            !next.is_empty() && sent <= MAX_BYTES && sent + 10_020 > MAX_BYTES,
            "{} texts of {sent} bytes",
            texts.len()
        );
    }
}
