//! Events in the one order in which they are told, and how far each subscriber was told.
//!
//! The transaction of a fact writes its events into the outbox, a row with a list of them. From there they
//! are moved to the table `event`, a row each, and get their positions, under the lock of one row: a position
//! is visible exactly if all before it are. What another service hands over gets its positions at once, each
//! event the first time that it comes.

use chassis::{
    args,
    db::{self, Db, Error, Row, Session, Sql},
};
use serde_json::Value;
use uuid::Uuid;

/// Rows of the outbox that get their positions at a time.
const ORDERED: i64 = 512;

/// An event with its place in the order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Event {
    /// Its place. Positions rise; some may be missing.
    pub(crate) position: i64,
    /// The CloudEvent's id, the same however often it is sent.
    pub(crate) id: String,
    /// The type of the CloudEvent, such as `boxoffice.payment.completed`.
    pub(crate) kind: String,
    /// What it is about.
    pub(crate) subject: String,
    /// The CloudEvent as JSON.
    pub(crate) body: String,
}

/// A subscriber, and how far it was told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Subscription {
    /// Its name, in which nothing of its address is secret.
    pub(crate) name: String,
    /// It has taken all events up to this position.
    pub(crate) position: i64,
    /// The newest position there is.
    pub(crate) newest: i64,
    /// When it may be tried again.
    pub(crate) due_at: i64,
    /// How it failed the last time, if it did.
    pub(crate) failing: Option<Failing>,
    /// Since when it wants no events any more, by its own word.
    pub(crate) gone_at: Option<i64>,
    /// The edge that tells it, and until when the others leave it alone.
    pub(crate) runner: Uuid,
    /// When that lease lapses.
    pub(crate) lease_until: i64,
}

/// How a subscriber keeps failing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Failing {
    /// How often in a row.
    pub(crate) attempts: i64,
    /// Since when it does.
    pub(crate) since: i64,
    /// Why, the last time.
    pub(crate) why: String,
}

/// What a round with a subscriber has come to.
#[derive(Clone, Debug)]
pub(crate) struct Progress {
    /// What the subscriber has taken all events up to.
    pub(crate) position: i64,
    /// When it may be tried again.
    pub(crate) due_at: i64,
    /// How it failed, if it did.
    pub(crate) failing: Option<Failing>,
    /// Since when it wants no events any more.
    pub(crate) gone_at: Option<i64>,
}

/// The events of this database. Cheap to clone.
#[derive(Clone, Debug)]
pub(crate) struct Events {
    db: Db,
}

const INSERT: Sql = Sql {
    postgres: "INSERT INTO event (position, event_id, kind, subject, body, recorded_at) \
               SELECT * FROM UNNEST($1::bigint[], $2::text[], $3::text[], $4::text[], $5::text[], $6::bigint[]) \
               ON CONFLICT DO NOTHING",
    sqlite: "INSERT INTO event (position, event_id, kind, subject, body, recorded_at) SELECT value ->> 0, value ->> 1, \
             value ->> 2, value ->> 3, value ->> 4, value ->> 5 FROM json_each($1) WHERE true ON CONFLICT DO NOTHING",
};

macro_rules! subscriptions {
    ($which:literal) => {
        concat!(
            "SELECT s.name, s.position, s.due_at, s.attempts, s.failing_since, s.failure, s.gone_at, s.runner, s.lease_until, \
             h.position AS newest FROM subscriber s CROSS JOIN event_head h",
            $which
        )
    };
}

impl Events {
    /// The events in this database.
    pub(crate) const fn new(db: Db) -> Self {
        Self { db }
    }

    /// Gives positions to the events that wait for theirs, some of them at a time. Answers the newest
    /// position; `None` when none waited.
    pub(crate) async fn order(&self, now: i64) -> Result<Option<i64>, Error> {
        // Nearly always there is nothing, and a read is cheaper than a transaction.
        const WAITING: &str = "SELECT 1 AS one FROM outbox LIMIT 1";
        if self.db.read().await?.optional(WAITING, args![]).await?.is_none() {
            return Ok(None);
        }
        self.db.transact("order_events", async || self.order_some(now).await).await.map(Some)
    }

    async fn order_some(&self, now: i64) -> Result<i64, Error> {
        const TAKE: Sql = Sql {
            postgres: "DELETE FROM outbox WHERE sequence = ANY(ARRAY(SELECT sequence FROM outbox \
                       ORDER BY sequence LIMIT $1)) RETURNING sequence, events, told, published_at",
            sqlite: "DELETE FROM outbox WHERE sequence IN (SELECT sequence FROM outbox \
                     ORDER BY sequence LIMIT $1) RETURNING sequence, events, told, published_at",
        };
        let mut session = self.db.begin().await?;
        let head = lock_head(&mut session).await?;
        let mut lists = Vec::new();
        for row in session.all(TAKE, args![ORDERED]).await? {
            let mut events: Vec<Value> = serde_json::from_str(&row.get::<String>("events")?)?;
            // An edge of before, which sends rows of the outbox, may have sent some of this one.
            let is_told = row.get::<Option<i64>>("published_at")?.is_some();
            let told = usize::try_from(row.get::<i64>("told")?).unwrap_or(0).min(events.len());
            events.drain(..if is_told { events.len() } else { told });
            lists.push((row.get::<i64>("sequence")?, events));
        }
        lists.sort_unstable_by_key(|(sequence, _)| *sequence);
        let position =
            place(&mut session, head, lists.into_iter().flat_map(|(_, events)| events), now).await?;
        session.commit().await?;
        Ok(position)
    }

    /// Gives positions to events that another service has handed over, in this order; those that were handed
    /// over before are left out. Answers the newest position.
    pub(crate) async fn append(&self, events: &[Value], now: i64) -> Result<i64, Error> {
        let append = async || {
            let mut session = self.db.begin().await?;
            let head = lock_head(&mut session).await?;
            let position = place(&mut session, head, events.iter().cloned(), now).await?;
            session.commit().await?;
            Ok(position)
        };
        self.db.transact("append_events", append).await
    }

    /// Takes, or keeps, the right to take what a service hands over. `false` when another edge has it.
    pub(crate) async fn lease_feed(
        &self,
        name: &str,
        runner: Uuid,
        now: i64,
        until: i64,
    ) -> Result<bool, Error> {
        const SQL: &str = "INSERT INTO feed (name, runner, lease_until) VALUES ($1, $2, $4) \
            ON CONFLICT (name) DO UPDATE SET runner = $2, lease_until = $4 WHERE feed.runner = $2 OR feed.lease_until <= $3";
        Ok(self.db.write(SQL, args![name, runner, now, until]).await? > 0)
    }

    /// The oldest events after a position.
    pub(crate) async fn after(&self, position: i64, limit: i64) -> Result<Vec<Event>, Error> {
        const SQL: &str = "SELECT position, event_id, kind, subject, body FROM event \
                           WHERE position > $1 ORDER BY position LIMIT $2";
        let rows = self.db.read().await?.all(SQL, args![position, limit]).await?;
        let event = |row: &Row| {
            Ok(Event {
                position: row.get("position")?,
                id: row.get("event_id")?,
                kind: row.get("kind")?,
                subject: row.get("subject")?,
                body: row.get("body")?,
            })
        };
        rows.iter().map(event).collect()
    }

    /// The position of an event; `None` when there is none of this id (any more).
    pub(crate) async fn position_of(&self, event_id: &str) -> Result<Option<i64>, Error> {
        const SQL: &str = "SELECT position FROM event WHERE event_id = $1";
        let row = self.db.read().await?.optional(SQL, args![event_id]).await?;
        row.map(|row| row.get("position")).transpose()
    }

    /// The newest position there is.
    pub(crate) async fn newest(&self) -> Result<i64, Error> {
        const SQL: &str = "SELECT position FROM event_head WHERE one = 1";
        self.db.read().await?.one(SQL, args![]).await?.get("position")
    }

    /// Makes a subscriber known, who is told what happens from now on. One that is known stays as it is.
    pub(crate) async fn subscribe(&self, name: &str, runner: Uuid, now: i64) -> Result<bool, Error> {
        const SQL: &str = "INSERT INTO subscriber (name, position, due_at, attempts, runner, lease_until) \
            SELECT $1, position, 0, 0, $2, $3 FROM event_head WHERE one = 1 ON CONFLICT DO NOTHING";
        Ok(self.db.write(SQL, args![name, runner, now]).await? > 0)
    }

    /// A subscriber; `None` when it is not known.
    pub(crate) async fn subscription(&self, name: &str) -> Result<Option<Subscription>, Error> {
        const SQL: &str = subscriptions!(" WHERE s.name = $1");
        let row = self.db.read().await?.optional(SQL, args![name]).await?;
        row.as_ref().map(subscription).transpose()
    }

    /// All subscribers in the order of their names.
    pub(crate) async fn subscriptions(&self) -> Result<Vec<Subscription>, Error> {
        const SQL: &str = subscriptions!(" ORDER BY s.name");
        self.db.read().await?.all(SQL, args![]).await?.iter().map(subscription).collect()
    }

    /// Takes the right to tell a subscriber from `before`, who had it when that was read, or keeps it.
    /// `false` when another one has it.
    pub(crate) async fn lease(
        &self,
        name: &str,
        before: Uuid,
        runner: Uuid,
        now: i64,
        until: i64,
    ) -> Result<bool, Error> {
        const SQL: &str = "UPDATE subscriber SET runner = $3, lease_until = $5 \
                           WHERE name = $1 AND runner = $2 AND ($2 = $3 OR lease_until <= $4)";
        Ok(self.db.write(SQL, args![name, before, runner, now, until]).await? > 0)
    }

    /// Lets go of all that this edge tells and takes, so that another one goes on at once.
    pub(crate) async fn release(&self, runner: Uuid, now: i64) -> Result<(), Error> {
        const TOLD: &str = "UPDATE subscriber SET lease_until = $2 WHERE runner = $1 AND lease_until > $2";
        const TAKEN: &str = "UPDATE feed SET lease_until = $2 WHERE runner = $1 AND lease_until > $2";
        let mut session = self.db.begin().await?;
        session.execute(TOLD, args![runner, now]).await?;
        session.execute(TAKEN, args![runner, now]).await?;
        session.commit().await
    }

    /// Writes what a round that began at a position has come to. `false` when another edge has taken over, or
    /// an operator has moved the subscriber meanwhile.
    pub(crate) async fn advance(
        &self,
        name: &str,
        runner: Uuid,
        from: i64,
        to: &Progress,
    ) -> Result<bool, Error> {
        const SQL: &str = "UPDATE subscriber SET position = $4, due_at = $5, attempts = $6, failing_since = $7, failure = $8, \
             gone_at = $9 WHERE name = $1 AND runner = $2 AND position = $3";
        let (attempts, since, why) = match &to.failing {
            None => (0, None, None),
            Some(Failing { attempts, since, why }) => (*attempts, Some(*since), Some(why.as_str())),
        };
        let args = args![name, runner, from, to.position, to.due_at, attempts, since, why, to.gone_at];
        Ok(self.db.write(SQL, args).await? > 0)
    }

    /// Has a subscriber told what is after a position, whatever it was told before; at once, and also if it
    /// was gone. It is taken from the edge that tells it, whose round is void then, and which forgets what
    /// was taken. `false` when it is not known.
    pub(crate) async fn replay(&self, name: &str, position: i64, now: i64) -> Result<bool, Error> {
        const SQL: &str = "UPDATE subscriber SET position = $2, due_at = 0, attempts = 0, failing_since = NULL, \
                           failure = NULL, gone_at = NULL, runner = $3, \
                           lease_until = CASE WHEN lease_until < $4 THEN lease_until ELSE $4 END WHERE name = $1";
        Ok(self.db.write(SQL, args![name, position, Uuid::nil(), now]).await? > 0)
    }
}

/// Locks the order of events, and answers its newest position.
async fn lock_head(session: &mut Session) -> Result<i64, Error> {
    const LOCK: Sql = Sql {
        postgres: "SELECT position FROM event_head WHERE one = 1 FOR UPDATE",
        sqlite: "SELECT position FROM event_head WHERE one = 1",
    };
    session.one(LOCK, args![]).await?.get("position")
}

/// Gives events the positions that follow, and answers the last one.
async fn place(
    session: &mut Session,
    mut position: i64,
    events: impl Iterator<Item = Value>,
    now: i64,
) -> Result<i64, Error> {
    const HEAD: &str = "UPDATE event_head SET position = $1 WHERE one = 1";
    let mut rows = Vec::new();
    for event in events {
        position += 1;
        let word = |name: &str| event[name].as_str().unwrap_or_default();
        rows.push(args![position, word("id"), word("type"), word("subject"), event.to_string(), now]);
    }
    if !rows.is_empty() {
        session.execute(INSERT, db::table(session.dialect(), rows)).await?;
        session.execute(HEAD, args![position]).await?;
    }
    Ok(position)
}

/// Writes an event of a show into the outbox. The row says by an id whom it is about, and that of a show is
/// its number.
pub(super) async fn queue_of_show(
    session: &mut Session,
    show_id: i64,
    event: &Value,
    now: i64,
) -> Result<(), Error> {
    const SQL: &str = "INSERT INTO outbox (checkout_id, events, due_at, attempts) VALUES ($1, $2, $3, 0)";
    let about = Uuid::from_u128(u128::from(show_id.unsigned_abs()));
    let events = Value::from_iter([event.clone()]).to_string();
    session.execute(SQL, args![about, events, now]).await.map(drop)
}

chassis::forget! {
    /// Deletes old events, whoever was told them.
    pub(crate) fn forget_events("event", "position", "recorded_at", "position > 0")
}

chassis::forget! {
    /// Deletes subscribers that no edge tells any more.
    pub(crate) fn forget_subscribers("subscriber", "name", "lease_until", "lease_until > 0")
}

fn subscription(row: &Row) -> Result<Subscription, Error> {
    let failing = match row.get::<Option<i64>>("failing_since")? {
        None => None,
        Some(since) => Some(Failing {
            since,
            attempts: row.get("attempts")?,
            why: row.get::<Option<String>>("failure")?.unwrap_or_default(),
        }),
    };
    Ok(Subscription {
        name: row.get("name")?,
        position: row.get("position")?,
        newest: row.get("newest")?,
        due_at: row.get("due_at")?,
        failing,
        gone_at: row.get("gone_at")?,
        runner: row.get("runner")?,
        lease_until: row.get("lease_until")?,
    })
}
