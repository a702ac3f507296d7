//! Reads typed fields of a JSON object and collects everything that is wrong with them, under the names that
//! the client used.
//!
//! Unknown fields are ignored, `null` is the same as absent, and a repeated name was refused before. Each
//! method returns a value in any case, which is valid only when [`Fields::finish`] passes.

use std::ops::RangeInclusive;

use boxoffice_proto::{Fault, validate::Checks};
use chrono::DateTime;
use serde_json::{Map, Number, Value};
use uuid::Uuid;

/// The most bytes of a body that does not say otherwise. The largest sensible one is a quarter of it.
const BODY_LIMIT: usize = 64 * 1024;

/// A JSON object that is being read.
pub(super) struct Fields {
    object: Map<String, Value>,
    /// Whether a user who is left out is the caller, because the caller says who they are.
    knows_caller: bool,
    /// For checks that go beyond one field.
    pub(super) checks: Checks,
}

/// A request body that is read field by field.
pub(super) trait FromFields: Sized {
    /// The most bytes of such a body.
    const LIMIT: usize = BODY_LIMIT;
    /// Whether no body is one without fields.
    const MAY_BE_LEFT_OUT: bool = false;

    /// Reads the fields of the body.
    fn read(fields: &mut Fields) -> Self;
}

impl Fields {
    /// Begins to read an object.
    pub(super) fn new(object: Map<String, Value>, knows_caller: bool) -> Self {
        Self { object, knows_caller, checks: Checks::default() }
    }

    /// Passes when nothing was wrong.
    pub(super) fn finish(self) -> Result<(), Fault> {
        self.checks.finish()
    }

    fn take(&mut self, name: &str) -> Option<Value> {
        self.object.remove(name).filter(|value| !value.is_null())
    }

    /// Whether a field is there.
    pub(super) fn has(&self, name: &str) -> bool {
        self.object.get(name).is_some_and(|value| !value.is_null())
    }

    /// Whether a field is named, be it null.
    pub(super) fn names(&self, name: &str) -> bool {
        self.object.contains_key(name)
    }

    /// The value of a field that must be there.
    fn need(&mut self, name: &str) -> Option<Value> {
        let value = self.take(name);
        if value.is_none() {
            self.checks.refuse(name, "is required");
        }
        value
    }

    /// Notes that a field must be there, if it is not.
    fn require(&mut self, name: &str) {
        if !self.has(name) {
            self.checks.refuse(name, "is required");
        }
    }

    /// What was read of a field; where nothing could be, what is wrong with it is noted.
    fn or_wrong<T: Default>(&mut self, name: &str, read: Option<T>, wrong: impl Into<String>) -> T {
        read.unwrap_or_else(|| {
            self.checks.refuse(name, wrong);
            T::default()
        })
    }

    /// A string; `None` when it is absent or none.
    fn optional_string(&mut self, name: &str) -> Option<String> {
        let string = self.take(name)?.as_str().map(|text| Some(text.to_owned()));
        self.or_wrong(name, string, "must be a string")
    }

    /// A text; `None` when it is absent or not a text.
    pub(super) fn optional_text(&mut self, name: &str, length: RangeInclusive<usize>) -> Option<String> {
        self.optional_string(name).map(|text| self.checks.text(name, &text, length))
    }

    /// A text of one line; `None` when it is absent or not a text.
    pub(super) fn optional_line(&mut self, name: &str, length: RangeInclusive<usize>) -> Option<String> {
        self.optional_string(name).map(|text| self.checks.line(name, &text, length))
    }

    /// A text that must be there.
    pub(super) fn text(&mut self, name: &str, length: RangeInclusive<usize>) -> String {
        self.require(name);
        self.optional_text(name, length).unwrap_or_default()
    }

    /// A user's id: a string, or a whole number that is read as its decimal text.
    pub(super) fn user_id(&mut self, name: &str) -> String {
        let value = if self.knows_caller { self.take(name) } else { self.need(name) };
        let Some(value) = value else { return String::new() };
        if let Some(id) = value.as_str() {
            return self.checks.user_id(name, id);
        }
        // Beyond 64 bits a number has lost digits by the time that it is read, and would be another user.
        let number = value.as_number().and_then(|number| {
            number.as_u64().map(|number| number.to_string()).or_else(|| Some(whole(number)?.to_string()))
        });
        self.or_wrong(
            name,
            number,
            "must be a string, or a whole number of at most 64 bits: send a longer one as a string",
        )
    }

    /// A queue's id; `None` when it is absent or wrong.
    pub(super) fn optional_queue_id(&mut self, name: &str) -> Option<String> {
        self.optional_string(name).map(|id| self.checks.queue_id(name, &id))
    }

    /// A whole number within bounds; `None` when it is absent or wrong.
    pub(super) fn optional_integer(&mut self, name: &str, bounds: RangeInclusive<i64>) -> Option<i64> {
        let value = self.take(name)?;
        let number = value.as_number().and_then(whole).filter(|number| bounds.contains(number)).map(Some);
        self.or_wrong(name, number, format!("must be a whole number, {} to {}", bounds.start(), bounds.end()))
    }

    /// A whole number that must be there.
    pub(super) fn integer(&mut self, name: &str, bounds: RangeInclusive<i64>) -> i64 {
        self.require(name);
        self.optional_integer(name, bounds).unwrap_or_default()
    }

    /// A whole number within bounds of 32 bits; `None` when it is absent or wrong.
    pub(super) fn optional_small(&mut self, name: &str, bounds: RangeInclusive<i32>) -> Option<i32> {
        let number = self.optional_integer(name, i64::from(*bounds.start())..=i64::from(*bounds.end()))?;
        i32::try_from(number).ok()
    }

    /// A whole number of 32 bits that must be there.
    pub(super) fn small(&mut self, name: &str, bounds: RangeInclusive<i32>) -> i32 {
        self.require(name);
        self.optional_small(name, bounds).unwrap_or_default()
    }

    /// A list of different whole numbers that must be there.
    pub(super) fn smalls(
        &mut self,
        name: &str,
        length: RangeInclusive<usize>,
        bounds: &RangeInclusive<i32>,
    ) -> Vec<i32> {
        let wrong = format!(
            "must be a list of {} to {} different whole numbers, each {} to {}",
            length.start(),
            length.end(),
            bounds.start(),
            bounds.end()
        );
        let Some(value) = self.need(name) else { return Vec::new() };
        let items = value.as_array().filter(|items| length.contains(&items.len()));
        let numbers: Option<Vec<i32>> = items.and_then(|items| {
            let small = |item: &Value| item.as_number().and_then(whole).and_then(|n| i32::try_from(n).ok());
            items.iter().map(|item| small(item).filter(|n| bounds.contains(n))).collect()
        });
        let different = |numbers: &Vec<i32>| {
            let mut sorted = numbers.clone();
            sorted.sort_unstable();
            sorted.windows(2).all(|pair| matches!(pair, [a, b] if a != b))
        };
        self.or_wrong(name, numbers.filter(different), wrong)
    }

    /// An object that is read by itself; `None` when it is absent or none. What is wrong inside is noted
    /// under names such as `message.en`.
    pub(super) fn optional_object<T: FromFields>(&mut self, name: &str) -> Option<T> {
        let Value::Object(object) = self.take(name)? else {
            self.checks.refuse(name, "must be an object");
            return None;
        };
        let mut inside = Self::new(object, self.knows_caller);
        let read = T::read(&mut inside);
        self.checks.within(name, inside.checks);
        Some(read)
    }

    /// A list of objects, each of which is read by itself; `None` when it is absent or no such list. What is
    /// wrong inside is noted under names such as `rows[2].seats`.
    pub(super) fn optional_objects<T: FromFields>(
        &mut self,
        name: &str,
        length: RangeInclusive<usize>,
    ) -> Option<Vec<T>> {
        let mut value = self.take(name)?;
        let items = value.as_array_mut().map(std::mem::take).filter(|items| length.contains(&items.len()));
        let Some(items) = items else {
            let (least, most) = (length.start(), length.end());
            self.checks.refuse(name, format!("must be a list of {least} to {most} objects"));
            return None;
        };
        let mut all = Vec::with_capacity(items.len());
        for (nth, item) in items.into_iter().enumerate() {
            let part = format!("{name}[{nth}]");
            let Value::Object(object) = item else {
                self.checks.refuse(&part, "must be an object");
                continue;
            };
            let mut inside = Self::new(object, self.knows_caller);
            all.push(T::read(&mut inside));
            self.checks.within(&part, inside.checks);
        }
        Some(all)
    }

    /// `true` or `false`; `None` when it is absent or wrong.
    pub(super) fn optional_bool(&mut self, name: &str) -> Option<bool> {
        let truth = self.take(name)?.as_bool().map(Some);
        self.or_wrong(name, truth, "must be true or false")
    }

    /// A UUID that must be there.
    pub(super) fn uuid(&mut self, name: &str) -> Uuid {
        let Some(value) = self.need(name) else { return Uuid::nil() };
        self.checks.uuid(name, value.as_str().unwrap_or_default())
    }

    /// An instant (RFC 3339, any offset) in microseconds that must be there.
    pub(super) fn instant(&mut self, name: &str) -> i64 {
        self.require(name);
        self.optional_instant(name).unwrap_or_default()
    }

    /// An instant (RFC 3339, any offset) in microseconds; `None` when it is absent or wrong.
    pub(super) fn optional_instant(&mut self, name: &str) -> Option<i64> {
        let value = self.take(name)?;
        let instant = value.as_str().and_then(|text| DateTime::parse_from_rfc3339(text).ok());
        let micros = instant.map(|instant| instant.timestamp_micros()).filter(|micros| {
            boxoffice_proto::time::micros(&boxoffice_proto::time::timestamp(*micros)).is_some()
        });
        self.or_wrong(
            name,
            micros.map(Some),
            "must be an instant as in RFC 3339, such as 2026-12-24T19:30:00Z",
        )
    }

    /// Money as the original API writes it: a whole number, or a text such as `100`, `100.00`.
    pub(super) fn money(&mut self, name: &str, bounds: RangeInclusive<i64>) -> i64 {
        let Some(value) = self.need(name) else { return 0 };
        let amount = value.as_str().map_or_else(|| value.as_number().and_then(whole), money);
        let wrong = format!("must be an amount without a fraction, {} to {}", bounds.start(), bounds.end());
        self.or_wrong(name, amount.filter(|amount| bounds.contains(amount)), wrong)
    }
}

/// A JSON number without a fraction. `100.0` is one as well, since JSON does not distinguish them, as long as
/// a double is exact.
fn whole(number: &Number) -> Option<i64> {
    const EXACT: f64 = 9_007_199_254_740_992.0;
    #[expect(clippy::cast_possible_truncation, reason = "no fraction, and within 2^53")]
    let exact = |double: f64| (double.fract() == 0.0 && double.abs() <= EXACT).then_some(double as i64);
    number.as_i64().or_else(|| number.as_f64().filter(|_| number.is_f64()).and_then(exact))
}

/// Reads `100`, `100.00`, `+100` or `-100`: digits, and perhaps a point with zeros.
pub(super) fn money(text: &str) -> Option<i64> {
    let (whole, fraction) = text.split_once('.').unwrap_or((text, "0"));
    let digits = !fraction.is_empty() && fraction.bytes().all(|b| b == b'0');
    digits.then(|| whole.parse().ok()).flatten()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use serde_json::json;

    use super::*;

    fn fields(value: Value) -> Fields {
        Fields::new(value.as_object().unwrap().clone(), false)
    }

    fn wrong(read: impl FnOnce(&mut Fields), value: Value) -> Vec<String> {
        let mut fields = fields(value);
        read(&mut fields);
        fields
            .finish()
            .map_or_else(|fault| fault.violations.into_iter().map(|v| v.field).collect(), |()| Vec::new())
    }

    #[test]
    fn money_may_be_written_with_zeros_behind_the_point_and_nothing_else() {
        for good in ["100", "100.0", "100.00"] {
            assert_eq!(money(good), Some(100), "{good}");
        }
        for bad in
            ["", ".", ".00", "100.", "100.50", "100.00.00", "1e2", "100,00", " 100", "9223372036854775808"]
        {
            assert_eq!(money(bad), None, "{bad}");
        }
        assert_eq!(fields(json!({"a": 100})).money("a", 1..=1_000), 100);
        assert_eq!(fields(json!({"a": 100.0})).money("a", 1..=1_000), 100);
        for bad in [
            json!({"a": 100.5}),
            json!({"a": "100.50"}),
            json!({"a": 0}),
            json!({"a": []}),
            json!({}),
            json!({"a": 1e300}),
        ] {
            assert_eq!(
                wrong(
                    |f| {
                        f.money("a", 1..=1_000);
                    },
                    bad.clone()
                ),
                ["a"],
                "{bad}"
            );
        }
    }

    #[test]
    fn a_user_is_named_by_a_text_or_a_whole_number() {
        assert_eq!(fields(json!({"u": "ann"})).user_id("u"), "ann");
        assert_eq!(fields(json!({"u": 42})).user_id("u"), "42");
        assert_eq!(fields(json!({"u": -42.0})).user_id("u"), "-42");
        assert_eq!(fields(json!({"u": u64::MAX})).user_id("u"), "18446744073709551615", "no digit is lost");
        for bad in [
            json!({}),
            json!({"u": null}),
            json!({"u": ""}),
            json!({"u": 1.5}),
            json!({"u": true}),
            // The next one, of which a double knows no more.
            json!({"u": 18_446_744_073_709_551_616.0}),
            json!({"u": 9_007_199_254_740_994.0}),
        ] {
            assert_eq!(wrong(|f| drop(f.user_id("u")), bad.clone()), ["u"], "{bad}");
        }
    }

    #[test]
    fn seats_are_different_whole_numbers() {
        let read = |f: &mut Fields| drop(f.smalls("s", 1..=3, &(1..=100)));
        assert!(wrong(read, json!({"s": [1, 2, 3]})).is_empty());
        for bad in [
            json!([]),
            json!([1, 1]),
            json!([0]),
            json!([1, "2"]),
            json!([1.5]),
            json!([1, 2, 3, 4]),
            json!(1),
            json!([99_999_999_999_i64]),
        ] {
            assert_eq!(wrong(read, json!({"s": bad.clone()})), ["s"], "{bad}");
        }
    }

    #[test]
    fn what_is_wrong_inside_a_list_is_told_by_where_it_stands() {
        struct One;
        impl FromFields for One {
            fn read(fields: &mut Fields) -> Self {
                fields.text("name", 1..=5);
                Self
            }
        }
        let read = |f: &mut Fields| drop(f.optional_objects::<One>("list", 1..=3));
        assert!(wrong(read, json!({"list": [{"name": "a"}, {"name": "b", "else": 1}]})).is_empty());
        assert!(wrong(read, json!({"list": null})).is_empty());
        assert_eq!(
            wrong(read, json!({"list": [{"name": "a"}, 7, {"name": 7}]})),
            ["list[1]", "list[2].name"]
        );
        for bad in [json!([]), json!({}), json!("a"), json!([{}, {}, {}, {}])] {
            assert_eq!(wrong(read, json!({"list": bad.clone()})), ["list"], "{bad}");
        }
    }

    #[test]
    fn everything_that_is_wrong_is_told_at_once_in_the_order_of_reading() {
        let read = |f: &mut Fields| {
            f.text("title", 1..=5);
            f.instant("startsAt");
            f.integer("price", 0..=10);
            f.uuid("id");
            f.optional_bool("paused");
        };
        let bad =
            json!({"title": 7, "startsAt": "yesterday", "price": 11, "id": 3, "paused": "no", "else": 1});
        assert_eq!(wrong(read, bad), ["title", "startsAt", "price", "id", "paused"]);
    }
}
