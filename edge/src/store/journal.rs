//! Checkouts in the journal: beginning, settling and finding them, and the leases of their runners.

use chassis::{
    args,
    db::{Db, Error, Group, Session, Sql},
    idempotency::Key,
};
use uuid::Uuid;

use super::{
    grouped::{self, Begin, KnownCheckouts, Look, Settlement},
    rows::{entry, entry_columns, tell},
};
use crate::domain::{
    checkout::{RecordedCheckout, Status},
    story::Story,
};

/// A checkout that is paid for. Its index is `checkout_pending`.
macro_rules! pending {
    () => {
        "status = 'PENDING'"
    };
}

/// A checkout whose sale is being undone. Its index is `checkout_refunding`.
macro_rules! refunding {
    () => {
        "refund_asked_at IS NOT NULL AND refunded_at IS NULL"
    };
}
pub(super) use refunding;

/// A checkout that is for a runner to go on with.
macro_rules! under_way {
    () => {
        concat!("(", pending!(), " OR ", refunding!(), ")")
    };
}

/// Takes over those of the oldest leases that are as told.
macro_rules! take {
    ($these:expr) => {
        Sql {
            postgres: concat!(
                "WITH lapsed AS MATERIALIZED (SELECT checkout_id AS id FROM checkout WHERE lease_until < $2 AND ",
                $these,
                " ORDER BY lease_until LIMIT $4 FOR UPDATE SKIP LOCKED) \
                 UPDATE checkout SET runner = $1, lease_until = $3, attempts = attempts + 1 \
                 WHERE checkout_id IN (SELECT id FROM lapsed) RETURNING ",
                entry_columns!()
            ),
            sqlite: concat!(
                "UPDATE checkout SET runner = $1, lease_until = $3, attempts = attempts + 1 \
                 WHERE checkout_id IN (SELECT checkout_id FROM checkout WHERE lease_until < $2 AND ",
                $these,
                " ORDER BY lease_until LIMIT $4) RETURNING ",
                entry_columns!()
            ),
        }
    };
}
const TAKE_PENDING: Sql = take!(pending!());
const TAKE_REFUNDING: Sql = take!(refunding!());

/// The journal. Cheap to clone.
#[derive(Clone)]
pub(crate) struct Journal {
    pub(super) db: Db,
    looks: Group<Look, KnownCheckouts>,
    begins: Group<Begin, bool>,
    settles: Group<Settlement, Option<RecordedCheckout>>,
}

/// Which part of the list of checkouts is read.
#[derive(Clone, Debug, Default)]
pub(crate) struct Narrowed {
    /// Only those of this user; `None`: of all users.
    pub(crate) user_id: Option<String>,
    /// Only those of this status; `None`: of any.
    pub(crate) status: Option<Status>,
    /// Only those that are parked for an operator.
    pub(crate) parked: bool,
    /// Only those that are older than the one of this time and id.
    pub(crate) before: Option<(i64, Uuid)>,
    /// The most rows.
    pub(crate) limit: i64,
}

impl Journal {
    pub(crate) fn new(db: Db) -> Self {
        let looks = Group::of_reads(db.clone(), "look_for_checkouts", grouped::look);
        let begins = Group::of_writes(db.clone(), "begin_checkouts", grouped::begin);
        let settles = Group::of_writes(db.clone(), "settle_checkouts", grouped::settle);
        Self { db, looks, begins, settles }
    }

    /// The checkouts that may answer a request to pay: the one that its request id stands for, and its
    /// reservation's pending one.
    pub(crate) async fn known(
        &self,
        key: Option<&Key>,
        user_id: &str,
        reservation_id: Uuid,
    ) -> Result<KnownCheckouts, Error> {
        let look = Look { key: key.cloned(), user_id: user_id.to_owned(), reservation_id };
        self.looks.ask(look).await
    }

    /// Writes a new checkout, leased to its runner. `false`: it was not written, because its reservation has
    /// a live one already (I-ONE-LIVE-CHECKOUT) or its request id is taken (I-SAME-ANSWER).
    pub(crate) async fn begin(
        &self,
        new: &RecordedCheckout,
        key: Option<&Key>,
        runner: Uuid,
        lease_until: i64,
    ) -> Result<bool, Error> {
        let begin = Begin { entry: new.clone(), key: key.cloned(), runner, lease_until };
        self.begins.ask(begin).await
    }

    /// Lets a further request id stand for a checkout; a request id that is taken stays as it is.
    pub(crate) async fn name(&self, key: &Key, checkout_id: Uuid) -> Result<(), Error> {
        let write = async || {
            let mut session = self.db.begin().await?;
            grouped::name(&mut session, &[(key, checkout_id)]).await?;
            session.commit().await
        };
        self.db.transact("name_checkout", write).await
    }

    /// Settles a checkout, with its events, once. Answers the journal's row, with this outcome or with the
    /// one that was there already, and whether it was this call that settled it.
    pub(crate) async fn settle(
        &self,
        settlement: &Settlement,
    ) -> Result<(Option<RecordedCheckout>, bool), Error> {
        match self.settles.ask(settlement.clone()).await? {
            Some(entry) => Ok((Some(entry), true)),
            None => Ok((self.get(settlement.checkout.checkout_id).await?, false)),
        }
    }

    /// Reads one checkout; `None` when there is none with this id.
    pub(crate) async fn get(&self, checkout_id: Uuid) -> Result<Option<RecordedCheckout>, Error> {
        const SQL: &str = concat!("SELECT ", entry_columns!(), " FROM checkout WHERE checkout_id = $1");
        one(&mut self.db.read().await?, SQL, args![checkout_id]).await
    }

    /// The user's checkout of a reservation that is pending, or else the newest that was settled after
    /// `since`.
    pub(crate) async fn under_way(
        &self,
        user_id: &str,
        reservation_id: Uuid,
        since: i64,
    ) -> Result<Option<RecordedCheckout>, Error> {
        const SQL: &str = concat!(
            "SELECT ",
            entry_columns!(),
            " FROM checkout WHERE reservation_id = $1 AND user_id = $2 AND (settled_at IS NULL OR settled_at > $3) \
             ORDER BY (settled_at IS NULL) DESC, created_at DESC LIMIT 1"
        );
        one(&mut self.db.read().await?, SQL, args![reservation_id, user_id, since]).await
    }

    /// A page, newest first.
    pub(crate) async fn list(&self, narrowed: &Narrowed) -> Result<Vec<RecordedCheckout>, Error> {
        const ANYBODY: &str = concat!(
            "SELECT ",
            entry_columns!(),
            " FROM checkout WHERE ($1 = '' OR status = $1) AND (created_at, checkout_id) < ($2, $3) \
             ORDER BY created_at DESC, checkout_id DESC LIMIT $4"
        );
        const USER: &str = concat!(
            "SELECT ",
            entry_columns!(),
            " FROM checkout WHERE ($1 = '' OR status = $1) AND (created_at, checkout_id) < ($2, $3) AND user_id = $5 \
             ORDER BY created_at DESC, checkout_id DESC LIMIT $4"
        );
        let (at, id) = narrowed.before.unwrap_or((i64::MAX, Uuid::max()));
        const PARKED: &str = concat!(
            "SELECT ",
            entry_columns!(),
            " FROM checkout WHERE parked_at IS NOT NULL AND ($1 = '' OR status = $1) AND (created_at, checkout_id) < ($2, $3) \
             AND ($5 = '' OR user_id = $5) ORDER BY created_at DESC, checkout_id DESC LIMIT $4"
        );
        let mut args = args![narrowed.status.map_or("", Status::as_str), at, id, narrowed.limit];
        let sql = match (&narrowed.user_id, narrowed.parked) {
            (None, false) => ANYBODY,
            (Some(_), false) => USER,
            (_, true) => PARKED,
        };
        if sql != ANYBODY {
            args.push(narrowed.user_id.clone().unwrap_or_default().into());
        }
        self.db.read().await?.all(sql, args).await?.iter().map(entry).collect()
    }

    /// Renews this runner's leases on these checkouts; a lease that lasts longer, that of a checkout which
    /// was parked a moment ago, stays. Checkouts that another runner took over are left out, and so are rows
    /// that are locked because they are being settled: to wait for them could be a deadlock.
    pub(crate) async fn renew(
        &self,
        runner: Uuid,
        working_on: Vec<Uuid>,
        lease_until: i64,
    ) -> Result<(), Error> {
        const SQL: Sql = Sql {
            postgres: "UPDATE checkout SET lease_until = $2 WHERE checkout_id = ANY(ARRAY(SELECT c.checkout_id FROM checkout c \
                       WHERE c.runner = $1 AND c.lease_until < $2 AND (c.settled_at IS NULL OR c.refund_asked_at IS NOT NULL) \
                       AND c.checkout_id = ANY($3) FOR UPDATE SKIP LOCKED))",
            sqlite: "UPDATE checkout SET lease_until = $2 \
                     WHERE runner = $1 AND lease_until < $2 AND (settled_at IS NULL OR refund_asked_at IS NOT NULL) \
                     AND checkout_id IN (SELECT unhex(value) FROM json_each($3))",
        };
        self.db.write(SQL, args![runner, lease_until, working_on]).await.map(drop)
    }

    /// Writes the story so far, for an operator who asks why a checkout takes long.
    pub(crate) async fn note(&self, checkout_id: Uuid, runner: Uuid, story: &Story) -> Result<(), Error> {
        const SQL: &str = concat!(
            "UPDATE checkout SET story = $3 WHERE checkout_id = $1 AND runner = $2 AND ",
            under_way!()
        );
        self.db.write(SQL, args![checkout_id, runner, tell(story)?]).await.map(drop)
    }

    /// Parks a checkout that does not settle: it is listed as parked, and not tried again before `until`.
    pub(crate) async fn park(
        &self,
        checkout_id: Uuid,
        runner: Uuid,
        now: i64,
        until: i64,
        story: &Story,
    ) -> Result<(), Error> {
        const SQL: &str = concat!(
            "UPDATE checkout SET parked_at = COALESCE(parked_at, $3), lease_until = $4, story = $5 \
             WHERE checkout_id = $1 AND runner = $2 AND ",
            under_way!()
        );
        self.db.write(SQL, args![checkout_id, runner, now, until, tell(story)?]).await.map(drop)
    }

    /// Lets a parked checkout be taken over at once, by the first replica that looks. A checkout that is not
    /// parked stays as it is.
    pub(crate) async fn unpark(&self, checkout_id: Uuid) -> Result<(), Error> {
        const SQL: &str = "UPDATE checkout SET parked_at = NULL, lease_until = 0 \
                           WHERE checkout_id = $1 AND parked_at IS NOT NULL";
        let unpark = async || self.db.write(SQL, args![checkout_id]).await;
        self.db.transact("unpark_checkout", unpark).await.map(drop)
    }

    /// How many checkouts are parked.
    pub(crate) async fn parked(&self) -> Result<i64, Error> {
        let sql = "SELECT COUNT(*) AS parked FROM checkout WHERE parked_at IS NOT NULL";
        self.db.read().await?.one(sql, Vec::new()).await?.get("parked")
    }

    /// Takes over checkouts whose lease has lapsed. Several replicas share them out without waiting for each
    /// other. Those that are paid for come first: somebody waits for them.
    pub(crate) async fn take_over(
        &self,
        runner: Uuid,
        now: i64,
        lease_until: i64,
        limit: i64,
    ) -> Result<Vec<RecordedCheckout>, Error> {
        const LAPSED: &str = concat!(
            "SELECT 1 AS one FROM checkout WHERE lease_until < $1 AND ",
            pending!(),
            " UNION ALL SELECT 1 FROM checkout WHERE lease_until < $1 AND ",
            refunding!(),
            " LIMIT 1"
        );
        // Nearly always there is nothing, and a read is cheaper than a transaction.
        if self.db.read().await?.optional(LAPSED, args![now]).await?.is_none() {
            return Ok(Vec::new());
        }
        let mut session = self.db.begin().await?;
        let mut taken = session.all(TAKE_PENDING, args![runner, now, lease_until, limit]).await?;
        let more = limit - i64::try_from(taken.len()).unwrap_or(limit);
        taken.extend(session.all(TAKE_REFUNDING, args![runner, now, lease_until, more]).await?);
        session.commit().await?;
        taken.iter().map(entry).collect()
    }

    /// Releases the leases that this runner still has, so that another one takes the checkouts over at once.
    /// Answers how many they were.
    pub(crate) async fn release_leases(&self, runner: Uuid) -> Result<u64, Error> {
        const PENDING: &str =
            concat!("UPDATE checkout SET lease_until = 0 WHERE runner = $1 AND ", pending!());
        const REFUNDING: &str =
            concat!("UPDATE checkout SET lease_until = 0 WHERE runner = $1 AND ", refunding!());
        Ok(self.db.write(PENDING, args![runner]).await? + self.db.write(REFUNDING, args![runner]).await?)
    }
}

async fn one(
    session: &mut Session,
    sql: &'static str,
    args: Vec<chassis::db::Value>,
) -> Result<Option<RecordedCheckout>, Error> {
    session.optional(sql, args).await?.as_ref().map(entry).transpose()
}
