//! A program of release 0.1: its statements, word for word, and as much of its decisions as is needed to send
//! them.

use chassis::{
    args,
    clock::Clock,
    db::{self, Db, DbConfig, Error, Row, Session, Sql, Value},
    hex,
};
use queue_svc::domain::{queue_tag, tagged};
use sha2::{Digest, Sha256};
use uuid::Uuid;

use crate::harness::SECOND;

pub(super) const QUEUE: &str = "default";
pub(super) const MINUTE: i64 = 60 * SECOND;
pub(super) const HOUR: i64 = 60 * MINUTE;
/// How statuses are written.
const WAITS: i64 = 1;
const IS_IN: i64 = 2;
const IS_DONE: i64 = 3;

/// A token's row as release 0.1 knows it, in the lane in which everybody is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Place {
    pub(super) token: Uuid,
    user: String,
    status: i64,
    pub(super) ticket: i64,
    entered_at: i64,
    active_until: Option<i64>,
    valid_until: i64,
    admitted_at: Option<i64>,
    heard_at: i64,
}

impl Place {
    fn read(row: &Row) -> Result<Self, Error> {
        Ok(Self {
            token: row.get("token")?,
            user: row.get("user_id")?,
            status: row.get("status")?,
            ticket: row.get("ticket")?,
            entered_at: row.get("entered_at")?,
            active_until: row.get("active_until")?,
            valid_until: row.get("valid_until")?,
            admitted_at: row.get("admitted_at")?,
            heard_at: row.get("heard_at")?,
        })
    }

    fn values(&self) -> Vec<Value> {
        let Self { token, user, status, ticket, entered_at, .. } = self.clone();
        let Self { active_until, valid_until, admitted_at, heard_at, .. } = *self;
        args![
            token,
            user,
            status,
            5_i64,
            ticket,
            entered_at,
            active_until,
            valid_until,
            admitted_at,
            heard_at,
            0_i64
        ]
    }
}

/// A queue's row as release 0.1 knows it.
pub(super) struct Head {
    /// The numbers of its policy, in the order of [`COUNTS`].
    pub(super) policy: [i64; 8],
    paused: bool,
    version: i64,
    last_ticket: i64,
    serving_ticket: i64,
    decided_at: i64,
    admissions: serde_json::Value,
}

const COUNTS: [&str; 8] = [
    "max_active",
    "max_waiting",
    "active_ttl",
    "waiting_ttl",
    "admit_per_minute",
    "on_expiry",
    "waiting_grace",
    "show_up_within",
];
pub(super) const MAX_ACTIVE: usize = 0;
const ACTIVE_TTL: usize = 2;
const WAITING_TTL: usize = 3;
pub(super) const WAITING_GRACE: usize = 6;

impl Head {
    fn read(row: &Row) -> Result<Self, Error> {
        let mut policy = [0; 8];
        for (number, name) in policy.iter_mut().zip(COUNTS) {
            *number = row.get(name)?;
        }
        Ok(Self {
            policy,
            paused: row.get("paused")?,
            version: row.get("version")?,
            last_ticket: row.get("last_ticket")?,
            serving_ticket: row.get("serving_ticket")?,
            decided_at: row.get("decided_at")?,
            admissions: serde_json::from_str(&row.get::<String>("admissions")?)?,
        })
    }

    /// Lets in whoever is first in line while there is room.
    fn admit(&mut self, places: &mut [Place]) {
        places.sort_by_key(|place| place.ticket);
        if self.paused {
            return;
        }
        let inside = places.iter().filter(|place| place.status == IS_IN).count();
        let room = usize::try_from(self.policy[MAX_ACTIVE]).unwrap().saturating_sub(inside);
        for place in places.iter_mut().filter(|place| place.status == WAITS).take(room) {
            place.status = IS_IN;
            place.admitted_at = Some(self.decided_at);
            place.active_until = Some(self.decided_at + self.policy[ACTIVE_TTL]);
            self.serving_ticket = self.serving_ticket.max(place.ticket);
            // The permit is back in a minute.
            let permits = &mut self.admissions["p"];
            if permits.is_null() {
                *permits = serde_json::json!([]);
            }
            permits.as_array_mut().unwrap().push(serde_json::json!([self.decided_at + MINUTE, 1, 10_000]));
        }
    }
}

/// A program of release 0.1. It remembers nothing: each time it reads what its memory would have.
#[derive(Clone)]
pub(super) struct Earlier {
    db: Db,
    clock: Clock,
}

impl Earlier {
    pub(super) async fn beside(database: &DbConfig, clock: &Clock) -> Self {
        let db = Db::open(database, &queue_svc::store::migrations()).await.unwrap();
        Self { db, clock: clock.clone() }
    }

    /// A batch: changes the queue's row and the live tokens under the lock, and lets in who may enter.
    pub(super) async fn batch<T>(&self, change: impl Fn(&mut Head, &mut Vec<Place>) -> T) -> T {
        let attempt = async || {
            let mut session = self.db.begin().await?;
            let (mut head, before) = Self::locked(&mut session).await?;
            head.decided_at = head.decided_at.max(self.clock.now());
            head.version += 1;
            let mut places = before.clone();
            let answer = change(&mut head, &mut places);
            head.admit(&mut places);
            places.retain(|place| !before.contains(place));
            // Who ends goes before the same user's next token.
            places.sort_by_key(|place| (place.status <= IS_IN, place.ticket));
            Self::write(&mut session, &head, &places).await?;
            session.commit().await?;
            Ok::<_, Error>(answer)
        };
        self.db.transact("earlier", attempt).await.unwrap()
    }

    async fn locked(session: &mut Session) -> Result<(Head, Vec<Place>), Error> {
        const LOCK: Sql = Sql {
            postgres: "SELECT * FROM queue WHERE queue_id = $1 FOR UPDATE",
            sqlite: "SELECT * FROM queue WHERE queue_id = $1",
        };
        const LIVE: &str = "SELECT * FROM token WHERE queue_id = $1 AND ticket > $2 AND ticket <= $3 AND status + 0 IN (1, 2) ORDER BY ticket";
        let head = Head::read(&session.one(LOCK, args![QUEUE]).await?)?;
        let rows = session.all(LIVE, args![QUEUE, 0_i64, 10_000_i64]).await?;
        Ok((head, rows.iter().map(Place::read).collect::<Result<_, _>>()?))
    }

    async fn write(session: &mut Session, head: &Head, places: &[Place]) -> Result<(), Error> {
        const TOKENS: Sql = Sql {
            postgres: "INSERT INTO token (token, queue_id, user_id, status, priority, ticket, entered_at, active_until, valid_until, \
                       admitted_at, heard_at, requeues, version) \
                       SELECT t.token, $1, t.user_id, t.status, t.priority, t.ticket, t.entered_at, t.active_until, t.valid_until, \
                       t.admitted_at, t.heard_at, t.requeues, $2 \
                       FROM UNNEST($3::uuid[], $4::text[], $5::bigint[], $6::bigint[], $7::bigint[], $8::bigint[], $9::bigint[], \
                       $10::bigint[], $11::bigint[], $12::bigint[], $13::bigint[]) WITH ORDINALITY AS t (token, user_id, status, priority, \
                       ticket, entered_at, active_until, valid_until, admitted_at, heard_at, requeues, nth) ORDER BY t.nth \
                       ON CONFLICT (token) DO UPDATE SET status = excluded.status, ticket = excluded.ticket, \
                       active_until = excluded.active_until, valid_until = excluded.valid_until, admitted_at = excluded.admitted_at, \
                       heard_at = excluded.heard_at, requeues = excluded.requeues, version = excluded.version",
            sqlite: "INSERT INTO token (token, queue_id, user_id, status, priority, ticket, entered_at, active_until, valid_until, \
                     admitted_at, heard_at, requeues, version) \
                     SELECT unhex(t.value ->> 0), $1, t.value ->> 1, t.value ->> 2, t.value ->> 3, t.value ->> 4, t.value ->> 5, \
                     t.value ->> 6, t.value ->> 7, t.value ->> 8, t.value ->> 9, t.value ->> 10, $2 FROM json_each($3) AS t \
                     WHERE true ORDER BY t.key \
                     ON CONFLICT (token) DO UPDATE SET status = excluded.status, ticket = excluded.ticket, \
                     active_until = excluded.active_until, valid_until = excluded.valid_until, admitted_at = excluded.admitted_at, \
                     heard_at = excluded.heard_at, requeues = excluded.requeues, version = excluded.version",
        };
        const ROW: &str = "UPDATE queue SET max_active = $2, max_waiting = $3, active_ttl = $4, waiting_ttl = $5, admit_per_minute = $6, \
                           on_expiry = $7, paused = $8, waiting_grace = $9, show_up_within = $10, version = $11, last_ticket = $12, \
                           serving_ticket = $13, decided_at = $14, admissions = $15 WHERE queue_id = $1 AND version = $11 - 1";
        if !places.is_empty() {
            let mut args = args![QUEUE, head.version];
            args.extend(db::table(session.dialect(), places.iter().map(Place::values).collect()));
            session.execute(TOKENS, args).await?;
        }
        let [max_active, max_waiting, active_ttl, waiting_ttl, admit_per_minute, on_expiry, grace, show_up] =
            head.policy;
        let mut args = args![QUEUE, max_active, max_waiting, active_ttl, waiting_ttl, admit_per_minute];
        args.extend(args![on_expiry, head.paused, grace, show_up, head.version, head.last_ticket]);
        args.extend(args![head.serving_ticket, head.decided_at, head.admissions.to_string()]);
        assert_eq!(session.execute(ROW, args).await?, 1, "the row is locked");
        Ok(())
    }

    /// Joins, or finds the place that the user has.
    pub(super) async fn join(&self, user: &str) -> Place {
        let token = tagged(Uuid::new_v4(), queue_tag(QUEUE));
        self.batch(|head, places| {
            if let Some(place) = places.iter().find(|place| place.user == user) {
                return place.clone();
            }
            head.last_ticket += 1;
            let now = head.decided_at;
            let place = Place {
                token,
                user: user.to_owned(),
                status: WAITS,
                ticket: head.last_ticket,
                entered_at: now,
                active_until: None,
                valid_until: now + head.policy[WAITING_TTL],
                admitted_at: None,
                heard_at: now,
            };
            places.push(place.clone());
            place
        })
        .await
    }

    /// Uses a token up.
    pub(super) async fn complete(&self, token: &str) {
        let token: Uuid = token.parse().unwrap();
        self.batch(|_, places| {
            let place = places.iter_mut().find(|place| place.token == token).unwrap();
            assert_eq!(place.status, IS_IN);
            (place.status, place.active_until) = (IS_DONE, None);
        })
        .await;
    }

    /// Writes down that somebody was heard of, as late as the clock says.
    pub(super) async fn hear(&self, token: &str) {
        let token: Uuid = token.parse().unwrap();
        self.batch(|head, places| {
            let place = places.iter_mut().find(|place| place.token == token).unwrap();
            place.heard_at = head.decided_at + 1;
        })
        .await;
    }

    /// What a replica that follows reads of each token: its ticket and status.
    pub(super) async fn follow(&self, since: i64) -> Vec<(i64, i64)> {
        const TAIL: &str = "SELECT token, user_id, status, priority, ticket, entered_at, active_until, valid_until, admitted_at, heard_at, \
            requeues, version, CAST(NULL AS BIGINT) AS max_active, CAST(NULL AS BIGINT) AS max_waiting, CAST(NULL AS BIGINT) AS active_ttl, \
            CAST(NULL AS BIGINT) AS waiting_ttl, CAST(NULL AS BIGINT) AS admit_per_minute, CAST(NULL AS BIGINT) AS on_expiry, \
            CAST(NULL AS BOOLEAN) AS paused, CAST(NULL AS BIGINT) AS waiting_grace, CAST(NULL AS BIGINT) AS show_up_within, \
            CAST(NULL AS BIGINT) AS last_ticket, CAST(NULL AS BIGINT) AS serving_ticket, \
            CAST(NULL AS BIGINT) AS decided_at, CAST(NULL AS TEXT) AS admissions, CAST(NULL AS BIGINT) AS created_at \
            FROM token WHERE queue_id = $1 AND version > $2 \
            UNION ALL SELECT NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, version, max_active, max_waiting, active_ttl, \
            waiting_ttl, admit_per_minute, on_expiry, paused, waiting_grace, show_up_within, last_ticket, serving_ticket, decided_at, admissions, \
            created_at FROM queue WHERE queue_id = $1";
        let rows = self.db.read().await.unwrap().all(TAIL, args![QUEUE, since]).await.unwrap();
        let (heads, tokens): (Vec<_>, Vec<_>) =
            rows.iter().partition(|row| row.get::<Option<Uuid>>("token").unwrap().is_none());
        Head::read(heads[0]).unwrap();
        let mut read: Vec<_> = tokens
            .into_iter()
            .map(|row| Place::read(row).unwrap())
            .map(|place| (place.ticket, place.status))
            .collect();
        read.sort_unstable();
        read
    }

    /// Records the answer to a request to join that has an id.
    pub(super) async fn record(&self, request_id: &str, user: &str, token: Uuid) {
        const SQL: &str =
            "INSERT INTO request (request_id, fingerprint, answer, created_at) VALUES ($1, $2, $3, $4)";
        let answer = serde_json::json!({"Token": {"token": token, "created": true}}).to_string();
        let args = args![request_id, asked(user), answer, self.clock.now()];
        self.db.write(SQL, args).await.unwrap();
    }

    /// The token that was answered to a request to join that has an id.
    pub(super) async fn recall(&self, request_id: &str, user: &str) -> String {
        const SQL: &str = "SELECT request_id, fingerprint, answer FROM request WHERE request_id = $1";
        let row = self.db.read().await.unwrap().one(SQL, args![request_id]).await.unwrap();
        assert_eq!(row.get::<String>("fingerprint").unwrap(), asked(user), "else it were another request");
        let answer: serde_json::Value = serde_json::from_str(&row.get::<String>("answer").unwrap()).unwrap();
        answer["Token"]["token"].as_str().unwrap().to_owned()
    }
}

/// The fingerprint of a request to join.
fn asked(user: &str) -> String {
    let mut hash = Sha256::new();
    hash.update("IssueToken");
    hash.update([0]);
    hash.update(serde_json::json!([QUEUE, user, 5]).to_string());
    let mut text = [0; 64];
    hex::write(&mut text, &hash.finalize());
    String::from_utf8(text.to_vec()).unwrap()
}
