//! The spans of statements: what a trace shows of the database. The text of a statement has placeholders
//! where its values are, so nothing of anybody is told by it.

use super::{Dialect, Error};
use crate::{
    context::Context,
    trace::{Span, SpanKind},
};

/// Begins the span of a statement, of the request that this task works for.
pub(super) fn begin(dialect: Dialect, text: &'static str) -> Span {
    // Most requests are in no trace: they pay for this look, not for reading the text or drawing an id.
    let sampled = Context::current().filter(|context| context.trace.is_sampled());
    let Some(context) = sampled else { return Span::default() };
    let (operation, table) = summary(text);
    let mut span = Span::begin(context.trace.child(), SpanKind::Client, || match table {
        Some(table) => format!("{operation} {table}").into(),
        None => operation.into(),
    });
    span.set("db.system.name", || match dialect {
        Dialect::Postgres => "postgresql",
        Dialect::Sqlite => "sqlite",
    });
    span.set("db.operation.name", || operation);
    if let Some(table) = table {
        span.set("db.collection.name", || table);
    }
    span.set("db.query.text", || text);
    span
}

/// Ends it, with what the statement ended with.
pub(super) fn end<T>(mut span: Span, result: &Result<T, Error>) {
    if let Err(error) = result {
        span.fail(|| match error {
            Error::Unavailable(_) => "unavailable",
            Error::Contended(_) => "contended",
            Error::Unique { .. } => "unique_violation",
            Error::Check { .. } => "check_violation",
            Error::Other(_) => "_OTHER",
        });
    }
}

/// What a statement does, and to which table. In one that begins with WITH the change is what it is for.
fn summary(text: &'static str) -> (&'static str, Option<&'static str>) {
    let mut words =
        text.split(|c: char| c.is_whitespace() || matches!(c, '(' | ')')).filter(|word| !word.is_empty());
    let first = words.clone().next().unwrap_or_default();
    let operation = if first == "WITH" {
        let change = |word: &&str| matches!(*word, "INSERT" | "UPDATE" | "DELETE");
        words.clone().find(change).unwrap_or("SELECT")
    } else {
        first
    };
    let before = match operation {
        "INSERT" => "INTO",
        "UPDATE" => "UPDATE",
        _ => "FROM",
    };
    let table = words.by_ref().skip_while(|word| *word != before).nth(1);
    let plain = |table: &&str| table.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_');
    (operation, table.map(|table| table.trim_end_matches(',')).filter(plain))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_statement_is_told_in_two_words() {
        for (text, operation, table) in [
            ("SELECT a FROM seat WHERE b = $1", "SELECT", Some("seat")),
            ("INSERT INTO hold (a, b) VALUES ($1, $2)", "INSERT", Some("hold")),
            ("UPDATE wallet SET a = $1", "UPDATE", Some("wallet")),
            ("DELETE FROM request WHERE a < $1", "DELETE", Some("request")),
            ("WITH old AS (SELECT a FROM x) UPDATE checkout SET b = 1", "UPDATE", Some("checkout")),
            ("WITH old AS (SELECT a FROM x) SELECT b FROM old", "SELECT", Some("x")),
            ("COMMIT", "COMMIT", None),
            ("SELECT a FROM unnest($1)", "SELECT", Some("unnest")),
            ("SELECT 1", "SELECT", None),
        ] {
            assert_eq!(summary(text), (operation, table), "{text}");
        }
    }
}
