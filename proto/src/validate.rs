//! The rules of the contract about single fields, collected so that a caller learns everything that is wrong
//! at once.
//!
//! ```
//! # use boxoffice_proto::validate::Checks;
//! let mut checks = Checks::default();
//! let user = checks.user_id("user_id", "ann");
//! let amount = checks.range("amount", -5, 1..=1_000);
//! let fault = checks.finish().unwrap_err();
//! assert_eq!(fault.violations[0].field, "amount");
//! # let _ = (user, amount);
//! ```
//! A check returns a value in any case; it means something only once [`Checks::finish`] has passed.
//!
//! Names and texts leave here in Unicode's normalization form C, whatever form they came in: `é` as one code
//! point and `e` with a mark are the same name, and must not be two people. REST and gRPC both read through
//! these checks, so nothing behind them has to know.

use std::{borrow::Cow, fmt::Display, ops::RangeInclusive};

use unicode_normalization::{IsNormalized, UnicodeNormalization, is_nfc_quick};
use uuid::Uuid;

use crate::{Fault, Violation};

/// [`Checks::user_id`] as a pattern for API documents. Code points beyond the basic plane are refused by the
/// check only. U+2028 and U+2029 are of `\s` (ECMA-262), and not written out: generators of code that
/// unescape patterns (`@hey-api/openapi-ts` 0.99) would end a line in the middle of one.
pub const USER_ID: &str = concat!(
    r"^[^\s\u0000-\u001f\u007f-\u00a0\u00ad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180b-\u180f\u200b-\u200f\u202a-\u202f",
    r"\u205f-\u206f\u2800\u3000\u3164\ufdd0-\ufdef\ufe00-\ufe0f\ufeff\uffa0\ufff0-\ufffb\ufffe\uffff]{1,64}$",
);

/// The most characters of a user's id.
pub const USER_ID_LENGTH: RangeInclusive<usize> = 1..=64;
/// Bytes of the longest way to write one character of form C: four code points of at most four bytes.
const LONGEST_SPELLING: usize = 16;

/// The violations found so far.
#[derive(Debug, Default)]
pub struct Checks {
    violations: Vec<Violation>,
}

impl Checks {
    /// Notes that a field is wrong.
    pub fn refuse(&mut self, field: &str, description: impl Into<String>) {
        self.violations.push(Violation::new(field, description));
    }

    /// A user's id: 1 to 64 visible characters of any script, counted and handed back in form C.
    pub fn user_id(&mut self, field: &str, value: &str) -> String {
        let id = visible(value, *USER_ID_LENGTH.end());
        if id.is_none() {
            self.refuse(field, "must be 1 to 64 visible characters, without spaces");
        }
        id.map(Cow::into_owned).unwrap_or_default()
    }

    /// The user whose things are asked for, as [`user_id`](Self::user_id); empty: anybody's.
    pub fn any_user(&mut self, field: &str, value: &str) -> String {
        if value.is_empty() { String::new() } else { self.user_id(field, value) }
    }

    /// A queue's name: 1 to 64 of `a-z A-Z 0-9 - _ .`, which have one form only; empty means `default`.
    pub fn queue_id(&mut self, field: &str, value: &str) -> String {
        if value.is_empty() {
            return "default".to_owned();
        }
        let plain = value.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_.".contains(&b));
        if !plain || value.len() > 64 {
            self.refuse(field, "must be 1 to 64 characters of a-z, A-Z, 0-9, '-', '_' and '.'");
        }
        value.to_owned()
    }

    /// A UUID in its usual text form: 36 characters, without braces or prefix. Nil when it is not one.
    pub fn uuid(&mut self, field: &str, value: &str) -> Uuid {
        if value.len() == 36
            && let Ok(id) = Uuid::try_parse(value)
        {
            return id;
        }
        self.refuse(field, "must be a UUID, such as 3fa85f64-5717-4562-b3fc-2c963f66afa6");
        Uuid::nil()
    }

    /// A request id (AIP-155): empty, or 1 to 128 visible ASCII characters.
    pub fn request_id(&mut self, value: &str) -> Option<String> {
        if value.len() > 128 || !value.bytes().all(|b| b.is_ascii_graphic()) {
            self.refuse("request_id", "must be 1 to 128 visible ASCII characters");
        }
        (!value.is_empty()).then(|| value.to_owned())
    }

    /// A number within bounds; the nearest of them when it is not, so that what is reckoned from it is no
    /// second fault.
    pub fn range<T: PartialOrd + Display + Copy>(
        &mut self,
        field: &str,
        value: T,
        bounds: RangeInclusive<T>,
    ) -> T {
        let (least, most) = bounds.into_inner();
        if value >= least && value <= most {
            return value;
        }
        self.refuse(field, format!("must be {least} to {most}"));
        if value > most { most } else { least }
    }

    /// A text of so many characters, counted and handed back in form C, without control characters other than
    /// line breaks and tabs; surrounding space is cut off.
    pub fn text(&mut self, field: &str, value: &str, length: RangeInclusive<usize>) -> String {
        let value = value.trim();
        let text = composed(value, *length.end());
        if value.chars().any(|c| c.is_control() && !matches!(c, '\n' | '\r' | '\t')) {
            self.refuse(field, "must not hold control characters");
        } else if !text.as_deref().is_some_and(|text| length.contains(&text.chars().count())) {
            self.refuse(field, format!("must be {} to {} characters", length.start(), length.end()));
        }
        text.map(Cow::into_owned).unwrap_or_default()
    }

    /// A text as [`text`](Self::text), on one line and without any control character.
    pub fn line(&mut self, field: &str, value: &str, length: RangeInclusive<usize>) -> String {
        if value.chars().any(char::is_control) {
            self.refuse(field, "must be one line without control characters");
            return String::new();
        }
        self.text(field, value, length)
    }

    /// A field that must be set.
    pub fn present<T>(&mut self, field: &str, value: Option<T>) -> Option<T> {
        if value.is_none() {
            self.refuse(field, "is required");
        }
        value
    }

    /// Takes over what was found in a part of the request, such as `sections[2]`, with the names of fields
    /// below that of the part.
    pub fn within(&mut self, part: &str, found: Self) {
        let inside = |one: Violation| Violation { field: format!("{part}.{}", one.field), ..one };
        self.violations.extend(found.violations.into_iter().map(inside));
    }

    /// Passes when nothing was wrong.
    ///
    /// # Errors
    /// INVALID_ARGUMENT with every violation.
    pub fn finish(self) -> Result<(), Fault> {
        if self.violations.is_empty() { Ok(()) } else { Err(Fault::invalid(self.violations)) }
    }

    /// Reads with checks, and answers what was read when nothing was wrong.
    ///
    /// # Errors
    /// Everything that was wrong.
    pub fn of<T>(read: impl FnOnce(&mut Self) -> T) -> Result<T, Fault> {
        let mut checks = Self::default();
        let value = read(&mut checks);
        checks.finish()?;
        Ok(value)
    }
}

/// A name of at least one and at most so many visible characters of any script, counted and handed back in
/// form C; `None` when it is no such name.
#[must_use]
pub fn visible(name: &str, most: usize) -> Option<Cow<'_, str>> {
    composed(name, most)
        .filter(|name| (1..=most).contains(&name.chars().count()) && name.chars().all(is_visible))
}

/// A text in normalization form C; `None` when it has more than `most` characters there. A text that is
/// longer than any spelling of that many characters is not looked at further. ASCII and most of what people
/// type is in form C already, and is not copied.
fn composed(text: &str, most: usize) -> Option<Cow<'_, str>> {
    if text.len() > most.saturating_mul(LONGEST_SPELLING) {
        return None;
    }
    Some(match is_nfc_quick(text.chars()) {
        IsNormalized::Yes => Cow::Borrowed(text),
        IsNormalized::No | IsNormalized::Maybe => Cow::Owned(text.nfc().collect()),
    })
}

/// Whether a character is visible, by itself or as a mark on the one before it. Controls and spaces are not,
/// nor code points that Unicode ignores in display (joiners, directions, variations, fillers, tags: two ids
/// that differ in one would look alike), nor the blank Braille cell, annotation marks and code points that
/// are no characters.
fn is_visible(c: char) -> bool {
    let ignorable = matches!(
        c,
        '\u{ad}'
            | '\u{34f}'
            | '\u{61c}'
            | '\u{115f}'..='\u{1160}'
            | '\u{17b4}'..='\u{17b5}'
            | '\u{180b}'..='\u{180f}'
            | '\u{200b}'..='\u{200f}'
            | '\u{202a}'..='\u{202e}'
            | '\u{2060}'..='\u{206f}'
            | '\u{3164}'
            | '\u{fe00}'..='\u{fe0f}'
            | '\u{feff}'
            | '\u{ffa0}'
            | '\u{fff0}'..='\u{fff8}'
            | '\u{1bca0}'..='\u{1bca3}'
            | '\u{1d173}'..='\u{1d17a}'
            | '\u{e0000}'..='\u{e0fff}'
    );
    let blank = matches!(c, '\u{2800}' | '\u{fff9}'..='\u{fffb}' | '\u{fdd0}'..='\u{fdef}')
        || u32::from(c) & 0xfffe == 0xfffe;
    !c.is_control() && !c.is_whitespace() && !ignorable && !blank
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(check: impl FnOnce(&mut Checks)) -> bool {
        let mut checks = Checks::default();
        check(&mut checks);
        checks.finish().is_err()
    }

    #[test]
    fn user_ids_are_one_to_sixty_four_visible_characters() {
        for good in [
            "a",
            "42",
            "Zoë-🎟",
            "Zoe\u{308}",
            "김하늘",
            "한글",
            "สมชาย",
            "हिन्दी",
            "محمد",
            "李雷#7",
            &"x".repeat(64),
            &"하".repeat(64),
        ] {
            assert!(!refused(|c| drop(c.user_id("u", good))), "{good}");
        }
        for bad in ["", " ", "a b", "a\0", "a\u{7f}", "a\u{a0}", "a\u{3000}", &"x".repeat(65)] {
            assert!(refused(|c| drop(c.user_id("u", bad))), "{bad:?}");
        }
    }

    #[test]
    fn a_user_id_holds_nothing_that_does_not_show() {
        let soft_hyphen_and_on = [
            '\u{ad}',
            '\u{61c}',
            '\u{115f}',
            '\u{200b}',
            '\u{200d}',
            '\u{202e}',
            '\u{2028}',
            '\u{2066}',
            '\u{2800}',
            '\u{3164}',
            '\u{fe0f}',
            '\u{feff}',
            '\u{fff9}',
            '\u{ffff}',
            '\u{e0041}',
            '\u{e0100}',
        ];
        for hidden in soft_hyphen_and_on {
            assert!(refused(|c| drop(c.user_id("u", &format!("ann{hidden}")))), "{hidden:?}");
        }
    }

    /// What a check makes of a value, if it passes.
    fn kept(check: impl FnOnce(&mut Checks) -> String) -> Option<String> {
        let mut checks = Checks::default();
        let kept = check(&mut checks);
        checks.finish().ok().map(|()| kept)
    }

    #[test]
    fn a_name_is_one_name_in_whatever_form_it_is_written() {
        for (composed, apart) in [
            ("Zo\u{eb}", "Zoe\u{308}"),
            ("\u{ae40}\u{d558}\u{b298}", "\u{1100}\u{1175}\u{11b7}\u{1112}\u{1161}\u{1102}\u{1173}\u{11af}"),
            ("\u{1ed3}ng", "o\u{302}\u{300}ng"),
            ("\u{3a9}", "\u{2126}"),
            ("K", "\u{212a}"),
            ("\u{1f82}", "\u{3b1}\u{345}\u{313}\u{300}"),
        ] {
            for form in [composed, apart] {
                assert_eq!(kept(|c| c.user_id("u", form)).as_deref(), Some(composed), "{form:?}");
                assert_eq!(
                    kept(|c| c.text("t", &format!(" {form} "), 1..=9)).as_deref(),
                    Some(composed),
                    "{form:?}"
                );
            }
        }
    }

    #[test]
    fn a_line_is_a_text_without_line_breaks() {
        assert_eq!(kept(|c| c.line("m", " Zoe\u{308} \"&<b> ", 0..=9)).as_deref(), Some("Zo\u{eb} \"&<b>"));
        assert_eq!(kept(|c| c.line("m", "", 0..=9)).as_deref(), Some(""));
        for bad in ["a\nb", "a\t", "\r", "a\0b", "\u{85}", &"x".repeat(10)] {
            assert_eq!(kept(|c| c.line("m", bad, 0..=9)), None, "{bad:?}");
        }
    }

    #[test]
    fn length_is_counted_in_form_c() {
        let long = |times: usize| "e\u{308}".repeat(times);
        assert_eq!(kept(|c| c.user_id("u", &long(64))), Some("\u{eb}".repeat(64)));
        assert_eq!(kept(|c| c.user_id("u", &long(65))), None);
        assert_eq!(kept(|c| c.text("t", &long(200), 1..=200)), Some("\u{eb}".repeat(200)));
        assert_eq!(kept(|c| c.text("t", &long(201), 1..=200)), None);
        // The longest way to write 64 characters is taken, and of what is longer nothing is kept.
        let widest = "\u{3b1}\u{345}\u{313}\u{300}";
        assert_eq!(kept(|c| c.user_id("u", &widest.repeat(64))), Some("\u{1f82}".repeat(64)));
        let mut checks = Checks::default();
        assert_eq!(checks.user_id("u", &"e\u{308}".repeat(1_000_000)), "");
        // Some characters have no form of one code point any more: they count as what they are.
        assert_eq!(kept(|c| c.user_id("u", &"\u{958}".repeat(32))), Some("\u{915}\u{93c}".repeat(32)));
        assert_eq!(kept(|c| c.user_id("u", &"\u{958}".repeat(33))), None);
    }

    #[test]
    fn a_queue_s_name_has_one_form() {
        for other in ["Zoe\u{308}", "\u{212a}"] {
            assert_eq!(kept(|c| c.queue_id("q", other)), None);
        }
    }

    fn refused_uuid(text: &str) -> bool {
        refused(|checks| {
            checks.uuid("t", text);
        })
    }

    #[test]
    fn a_uuid_is_written_in_its_usual_form() {
        assert!(!refused_uuid("3FA85F64-5717-4562-b3fc-2c963f66afa6"));
        for bad in [
            "",
            "3fa85f6457174562b3fc2c963f66afa6",
            "{3fa85f64-5717-4562-b3fc-2c963f66afa6}",
            "3fa85f64-5717-4562-b3fc-2c963f66afag",
        ] {
            assert!(refused_uuid(bad), "{bad}");
        }
        assert!(refused_uuid("urn:uuid:3fa85f64-5717-4562-b3fc-2c963f66afa6"));
    }

    #[test]
    fn every_violation_is_told_at_once() {
        let mut checks = Checks::default();
        checks.user_id("user_id", "");
        checks.uuid("token", "nope");
        checks.request_id("a b");
        checks.text("title", "", 1..=3);
        checks.range("n", 0, 1..=2);
        let fields: Vec<_> = checks.finish().unwrap_err().violations.into_iter().map(|v| v.field).collect();
        assert_eq!(fields, ["user_id", "token", "request_id", "title", "n"]);
    }
}
