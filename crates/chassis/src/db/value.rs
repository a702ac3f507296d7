//! Arguments and rows that mean the same in both dialects.
//!
//! Integers are 64 bits wide (`BIGINT`), ids `UUID` (a 16-byte BLOB on SQLite), bytes `BYTEA` (`BLOB` there),
//! and a list is one argument: a native array on PostgreSQL, a JSON text for `json_each` on SQLite (where a
//! uuid is written as hex for `unhex`).

use serde_json::{Value as Json, json};
use sqlx::{
    Decode, Postgres, Row as _, Sqlite, Type,
    postgres::{PgArguments, PgRow},
    query::Query,
    sqlite::{SqliteArguments, SqliteRow},
};
use uuid::Uuid;

use super::{Dialect, Error};

/// One argument of a statement.
#[derive(Clone, Debug)]
pub enum Value {
    /// A whole number of 64 bits.
    I64(Option<i64>),
    /// A truth value.
    Bool(Option<bool>),
    /// A text of any length.
    Text(Option<String>),
    /// An id, which is a UUID.
    Uuid(Option<Uuid>),
    /// Bytes of any number.
    Bytes(Option<Vec<u8>>),
    /// A list of numbers.
    I64s(Vec<Option<i64>>),
    /// A list of texts.
    Texts(Vec<Option<String>>),
    /// A list of ids.
    Uuids(Vec<Option<Uuid>>),
}

macro_rules! from {
    ($($type:ty => |$value:ident| $make:expr;)+) => {
        $(impl From<$type> for Value { fn from($value: $type) -> Self { $make } })+
    };
}

from! {
    i64 => |value| Self::I64(Some(value));
    Option<i64> => |value| Self::I64(value);
    i32 => |value| Self::I64(Some(value.into()));
    Option<i32> => |value| Self::I64(value.map(Into::into));
    bool => |value| Self::Bool(Some(value));
    Option<bool> => |value| Self::Bool(value);
    &str => |value| Self::Text(Some(value.to_owned()));
    &String => |value| Self::Text(Some(value.clone()));
    String => |value| Self::Text(Some(value));
    Option<&str> => |value| Self::Text(value.map(str::to_owned));
    Option<String> => |value| Self::Text(value);
    Uuid => |value| Self::Uuid(Some(value));
    Option<Uuid> => |value| Self::Uuid(value);
    Vec<u8> => |value| Self::Bytes(Some(value));
    Option<Vec<u8>> => |value| Self::Bytes(value);
    Vec<i64> => |value| Self::I64s(value.into_iter().map(Some).collect());
    Vec<Option<i64>> => |value| Self::I64s(value);
    Vec<String> => |value| Self::Texts(value.into_iter().map(Some).collect());
    Vec<Option<String>> => |value| Self::Texts(value);
    Vec<Uuid> => |value| Self::Uuids(value.into_iter().map(Some).collect());
    Vec<Option<Uuid>> => |value| Self::Uuids(value);
}

impl Value {
    pub(super) fn bind_postgres(
        self,
        query: Query<'_, Postgres, PgArguments>,
    ) -> Query<'_, Postgres, PgArguments> {
        match self {
            Self::I64(value) => query.bind(value),
            Self::Bool(value) => query.bind(value),
            Self::Text(value) => query.bind(value),
            Self::Uuid(value) => query.bind(value),
            Self::Bytes(value) => query.bind(value),
            Self::I64s(list) => query.bind(list),
            Self::Texts(list) => query.bind(list),
            Self::Uuids(list) => query.bind(list),
        }
    }

    pub(super) fn bind_sqlite(
        self,
        query: Query<'_, Sqlite, SqliteArguments>,
    ) -> Query<'_, Sqlite, SqliteArguments> {
        match self {
            Self::I64(value) => query.bind(value),
            Self::Bool(value) => query.bind(value),
            Self::Text(value) => query.bind(value),
            Self::Uuid(value) => query.bind(value),
            Self::Bytes(value) => query.bind(value),
            Self::I64s(list) => query.bind(json!(list).to_string()),
            Self::Texts(list) => query.bind(json!(list).to_string()),
            Self::Uuids(list) => {
                query.bind(Json::from_iter(list.into_iter().map(|id| id.map(hex))).to_string())
            }
        }
    }
}

/// The arguments of a statement, in order: `args![user_id, amount, now]`.
#[macro_export]
macro_rules! args {
    ($($value:expr),* $(,)?) => { ::std::vec![$($crate::db::Value::from($value)),*] };
}

/// Many rows as the arguments of one statement: on PostgreSQL a list a column (for `UNNEST`), on SQLite one
/// text `[[…], …]` (for `json_each`, a uuid as hex). Rows are alike, and of numbers, texts and ids; anything
/// else comes as NULL.
#[must_use]
pub fn table(dialect: Dialect, rows: Vec<Vec<Value>>) -> Vec<Value> {
    match dialect {
        Dialect::Sqlite => {
            let row = |row: Vec<Value>| Json::from_iter(row.into_iter().map(Value::json));
            vec![Value::from(Json::from_iter(rows.into_iter().map(row)).to_string())]
        }
        Dialect::Postgres => {
            let mut columns: Vec<Value> =
                rows.first().map(|row| row.iter().map(Value::column).collect()).unwrap_or_default();
            for row in rows {
                columns.iter_mut().zip(row).for_each(|(column, value)| column.push(value));
            }
            columns
        }
    }
}

impl Value {
    fn json(self) -> Json {
        match self {
            Self::I64(value) => json!(value),
            Self::Text(value) => json!(value),
            Self::Uuid(value) => json!(value.map(hex)),
            Self::Bool(_) | Self::Bytes(_) | Self::I64s(_) | Self::Texts(_) | Self::Uuids(_) => Json::Null,
        }
    }

    /// An empty list of values like this one.
    const fn column(&self) -> Self {
        match self {
            Self::I64(_) => Self::I64s(Vec::new()),
            Self::Uuid(_) => Self::Uuids(Vec::new()),
            Self::Text(_)
            | Self::Bool(_)
            | Self::Bytes(_)
            | Self::I64s(_)
            | Self::Texts(_)
            | Self::Uuids(_) => Self::Texts(Vec::new()),
        }
    }

    fn push(&mut self, value: Self) {
        match (self, value) {
            (Self::I64s(list), Self::I64(value)) => list.push(value),
            (Self::Uuids(list), Self::Uuid(value)) => list.push(value),
            (Self::Texts(list), Self::Text(value)) => list.push(value),
            (Self::I64s(list), _) => list.push(None),
            (Self::Uuids(list), _) => list.push(None),
            (Self::Texts(list), _) => list.push(None),
            // A column is one of the three.
            _ => {}
        }
    }
}

fn hex(id: Uuid) -> String {
    id.simple().to_string().to_uppercase()
}

/// One row of an answer.
#[derive(Debug)]
pub enum Row {
    /// A row from PostgreSQL.
    Postgres(PgRow),
    /// A row from SQLite.
    Sqlite(SqliteRow),
}

/// What a column can be read as.
pub trait Column:
    for<'r> Decode<'r, Postgres> + Type<Postgres> + for<'r> Decode<'r, Sqlite> + Type<Sqlite> + Send + Unpin
{
}

impl<T> Column for T where
    T: for<'r> Decode<'r, Postgres>
        + Type<Postgres>
        + for<'r> Decode<'r, Sqlite>
        + Type<Sqlite>
        + Send
        + Unpin
{
}

impl Row {
    /// A column by its name; `Option` for one that may be NULL.
    ///
    /// # Errors
    /// The column is not there or of another type: a mistake in the statement.
    pub fn get<T: Column>(&self, name: &str) -> Result<T, Error> {
        Ok(match self {
            Self::Postgres(row) => row.try_get(name)?,
            Self::Sqlite(row) => row.try_get(name)?,
        })
    }
}
