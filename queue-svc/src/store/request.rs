//! Requests with an id, for a whole batch: one query finds those answered before, one statement records the new ones.

use std::collections::HashMap;

use chassis::{
    args,
    db::{Error, Session, Sql},
    idempotency::Key,
};

const RECALL: Sql = Sql {
    postgres: "SELECT request_id, fingerprint, answer FROM request WHERE request_id = ANY($1)",
    sqlite: "SELECT request_id, fingerprint, answer FROM request WHERE request_id IN (SELECT value FROM json_each($1))",
};

const RECORD: Sql = Sql {
    postgres: "INSERT INTO request (request_id, fingerprint, answer, created_at) \
               SELECT r.id, r.fingerprint, r.answer, $4 FROM UNNEST($1::text[], $2::text[], $3::text[]) AS r (id, fingerprint, answer) \
               ON CONFLICT DO NOTHING",
    sqlite: "INSERT INTO request (request_id, fingerprint, answer, created_at) \
             SELECT value ->> 0, value ->> 1, value ->> 2, $2 FROM json_each($1) WHERE true ON CONFLICT DO NOTHING",
};

/// What was recorded under these ids: fingerprint and answer.
///
/// # Errors
/// The database's.
pub async fn recall(session: &mut Session, ids: Vec<String>) -> Result<HashMap<String, (String, String)>, Error> {
    if ids.is_empty() {
        return Ok(HashMap::new());
    }
    let rows = session.all(RECALL, args![ids]).await?;
    rows.iter().map(|row| Ok((row.get("request_id")?, (row.get("fingerprint")?, row.get("answer")?)))).collect()
}

/// Records answers in the transaction that did the work.
///
/// # Errors
/// Contended when another transaction recorded one of these ids first.
pub async fn record(session: &mut Session, answers: &[(&Key, String)], now: i64) -> Result<(), Error> {
    if answers.is_empty() {
        return Ok(());
    }
    let args = match session.dialect() {
        chassis::db::Dialect::Postgres => args![
            answers.iter().map(|(key, _)| key.request_id().to_owned()).collect::<Vec<_>>(),
            answers.iter().map(|(key, _)| key.fingerprint().to_owned()).collect::<Vec<_>>(),
            answers.iter().map(|(_, answer)| answer.clone()).collect::<Vec<_>>(),
            now
        ],
        chassis::db::Dialect::Sqlite => {
            let rows = answers.iter().map(|(key, answer)| serde_json::json!([key.request_id(), key.fingerprint(), answer]));
            args![serde_json::Value::from_iter(rows).to_string(), now]
        }
    };
    let written = session.execute(RECORD, args).await?;
    if usize::try_from(written).is_ok_and(|written| written == answers.len()) {
        Ok(())
    } else {
        Err(Error::lost_race("a request id"))
    }
}
