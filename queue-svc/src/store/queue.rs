//! The queues' rows, and the lock under which a queue changes.

use std::sync::{Arc, LazyLock};

use chassis::{
    args,
    db::{Error, Row, Session, Sql, Value},
};

use super::strange;
use crate::domain::{
    Beacon, Chain, DrawSecret, Drawn, Entrants, Hash, Message, OnExpiry, Opening, QueuePolicy, QueueRow,
    Texts,
};

const LOCK: Sql = Sql {
    postgres: "SELECT * FROM queue WHERE queue_id = $1 FOR UPDATE",
    sqlite: "SELECT * FROM queue WHERE queue_id = $1",
};

/// Locks a queue's row until the transaction ends, and reads it. No other replica can commit to this queue
/// while the lock is held. SQLite has one writer and needs no row lock.
///
/// # Errors
/// The database failed.
pub async fn lock(session: &mut Session, queue_id: &str) -> Result<Option<QueueRow>, Error> {
    session.optional(LOCK, args![queue_id]).await?.as_ref().map(head).transpose()
}

/// Reads a queue's row as it is committed.
///
/// # Errors
/// The database failed.
pub async fn read(session: &mut Session, queue_id: &str) -> Result<Option<QueueRow>, Error> {
    session.optional(LOCK.sqlite, args![queue_id]).await?.as_ref().map(head).transpose()
}

/// The id and the version of every queue. Each replica reads them twenty times a second to see which queues
/// another replica has changed.
///
/// # Errors
/// The database failed.
pub async fn versions(session: &mut Session) -> Result<Vec<(String, i64)>, Error> {
    let rows = session.all("SELECT queue_id, version FROM queue", args![]).await?;
    rows.iter().map(|row| Ok((row.get("queue_id")?, row.get("version")?))).collect()
}

/// Makes the one list of a policy's columns: their names, the values that are written into them, and how they
/// are read. A number's column has the name of its knob.
macro_rules! policy_columns {
    ($($number:ident)+) => {
        /// The columns of a policy, each with its type.
        const POLICY: &[(&str, &str)] =
            &[
            $((stringify!($number), "BIGINT"),)+
            ("on_expiry", "BIGINT"),
            ("paused", "BOOLEAN"),
            ("opening", "BIGINT"),
            ("message_ko", "TEXT"),
            ("message_en", "TEXT"),
            ("without_beacon", "BOOLEAN"),
        ];

        /// The values of the columns [`POLICY`], in that order.
        fn policy_values(policy: &QueuePolicy) -> Vec<Value> {
            let text = |of: fn(&Texts) -> &String| {
                policy.message.as_ref().map(|message| of(message.texts()).clone()).filter(|text| !text.is_empty())
            };
            args![
                $(policy.$number,)+
                policy.on_expiry.code(),
                policy.paused,
                policy.opening.code(),
                text(|texts| &texts.ko),
                text(|texts| &texts.en),
                policy.without_beacon
            ]
        }

        fn read_policy(row: &Row) -> Result<QueuePolicy, Error> {
            let on_expiry = row.get("on_expiry")?;
            let opening = row.get("opening")?;
            let text = |name: &str| row.get::<Option<String>>(name).map(Option::unwrap_or_default);
            Ok(QueuePolicy {
                $($number: row.get(stringify!($number))?,)+
                on_expiry: OnExpiry::from_code(on_expiry).ok_or_else(|| strange("on_expiry", on_expiry))?,
                paused: row.get("paused")?,
                opening: Opening::from_code(opening).ok_or_else(|| strange("opening", opening))?,
                message: Message::of(Texts { ko: text("message_ko")?, en: text("message_en")? }),
                without_beacon: row.get("without_beacon")?,
            })
        }
    };
}

policy_columns! {
    max_active max_waiting active_ttl waiting_ttl admit_per_minute waiting_grace show_up_within opens_at
}

/// The other columns of a queue that change, each with its type.
const COUNTERS: &[(&str, &str)] = &[
    ("version", "BIGINT"),
    ("last_ticket", "BIGINT"),
    ("serving_ticket", "BIGINT"),
    ("decided_at", "BIGINT"),
    ("admissions", "TEXT"),
    ("draw_secret", "BYTEA"),
    ("token_key", "BYTEA"),
    ("drawn_after", "BIGINT"),
    ("drawn", "BIGINT"),
    ("beacon_chain", "TEXT"),
    ("entrants_after", "BIGINT"),
    ("entrants", "BIGINT"),
    ("entrants_root", "BYTEA"),
    ("entrants_at", "BIGINT"),
    ("beacon_signature", "BYTEA"),
];

/// The columns that a write changes, in the order of [`values`]. The parameter $1 is `queue_id`, and these
/// begin at $2.
pub(super) fn columns() -> impl Iterator<Item = &'static (&'static str, &'static str)> {
    POLICY.iter().chain(COUNTERS)
}

static INSERT: LazyLock<String> = LazyLock::new(|| {
    let names: Vec<_> = columns().map(|(name, _)| *name).collect();
    let places: Vec<_> = (1..=names.len() + 2).map(|place| format!("${place}")).collect();
    format!(
        "INSERT INTO queue (queue_id, {}, created_at) VALUES ({}) ON CONFLICT DO NOTHING",
        names.join(", "),
        places.join(", ")
    )
});

static UPDATE: LazyLock<String> = LazyLock::new(|| {
    let set: Vec<_> = columns().zip(2..).map(|((name, _), place)| format!("{name} = ${place}")).collect();
    let version = POLICY.len() + 2;
    format!("UPDATE queue SET {} WHERE queue_id = $1 AND version = ${version} - 1", set.join(", "))
});

/// Writes a new queue's row; false when the queue exists already.
///
/// # Errors
/// The database failed.
pub async fn insert(session: &mut Session, queue_id: &str, head: &QueueRow) -> Result<bool, Error> {
    let mut args = values(queue_id, head)?;
    args.push(head.created_at.into());
    Ok(session.execute(INSERT.as_str(), args).await? == 1)
}

/// Writes the changed row of a queue that this transaction has locked.
///
/// # Errors
/// The database failed, or another transaction has changed the row all the same.
pub async fn write(session: &mut Session, queue_id: &str, head: &QueueRow) -> Result<(), Error> {
    match session.execute(UPDATE.as_str(), values(queue_id, head)?).await? {
        1 => Ok(()),
        _ => Err(Error::lost_race("the queue's row")),
    }
}

fn values(queue_id: &str, head: &QueueRow) -> Result<Vec<Value>, Error> {
    let admissions = serde_json::to_string(&head.admissions)?;
    let mut values = args![queue_id];
    values.extend(policy_values(&head.policy));
    values.extend(args![head.version, head.last_ticket, head.serving_ticket, head.decided_at, admissions]);
    values.extend(args![
        head.secret.as_ref().map(|secret| secret.secret.to_vec()),
        head.secret.as_ref().map(|secret| secret.token_key.to_vec()),
        head.drawn.map(|drawn| drawn.after),
        head.drawn.map(|drawn| drawn.count)
    ]);
    let beacon = head.beacon.as_ref();
    let entrants = beacon.and_then(|beacon| beacon.entrants);
    values.extend(args![
        beacon.map(|beacon| beacon.chain.to_json()).transpose()?,
        entrants.map(|entrants| entrants.after),
        entrants.map(|entrants| entrants.count),
        entrants.map(|entrants| entrants.root.to_vec()),
        entrants.map(|entrants| entrants.at),
        beacon.and_then(|beacon| beacon.signature.as_deref()).map(<[u8]>::to_vec)
    ]);
    Ok(values)
}

/// Reads a queue from a row that has its columns.
pub(super) fn head(row: &Row) -> Result<QueueRow, Error> {
    let admissions: String = row.get("admissions")?;
    let secret = hash(row, "draw_secret")?
        .zip(hash(row, "token_key")?)
        .map(|(secret, token_key)| DrawSecret { secret, token_key });
    Ok(QueueRow {
        policy: read_policy(row)?,
        version: row.get("version")?,
        last_ticket: row.get("last_ticket")?,
        serving_ticket: row.get("serving_ticket")?,
        decided_at: row.get("decided_at")?,
        admissions: serde_json::from_str(&admissions)?,
        created_at: row.get("created_at")?,
        // A program that knows no beacons takes a draw back and leaves what it announced.
        beacon: if secret.is_some() { beacon(row)? } else { None },
        secret,
        drawn: row
            .get::<Option<i64>>("drawn_after")?
            .zip(row.get("drawn")?)
            .map(|(after, count)| Drawn { after, count }),
    })
}

/// The beacon of a draw, if it has one.
fn beacon(row: &Row) -> Result<Option<Beacon>, Error> {
    let Some(chain) = row.get::<Option<String>>("beacon_chain")? else { return Ok(None) };
    let chain = Chain::kept(chain.as_bytes()).map_err(|error| Error::Other(error.into()))?;
    let number = |name: &str| row.get::<Option<i64>>(name);
    let counts = number("entrants_after")?.zip(number("entrants")?).zip(number("entrants_at")?);
    let entrants = counts.zip(hash(row, "entrants_root")?);
    Ok(Some(Beacon {
        chain: Arc::new(chain),
        entrants: entrants.map(|(((after, count), at), root)| Entrants { after, count, root, at }),
        signature: row.get::<Option<Vec<u8>>>("beacon_signature")?.map(Arc::from),
    }))
}

fn hash(row: &Row, name: &str) -> Result<Option<Hash>, Error> {
    let bytes: Option<Vec<u8>> = row.get(name)?;
    let read = |bytes: Vec<u8>| {
        let long = i64::try_from(bytes.len()).unwrap_or(i64::MAX);
        Hash::try_from(bytes).map_err(|_| strange(name, long))
    };
    bytes.map(read).transpose()
}
