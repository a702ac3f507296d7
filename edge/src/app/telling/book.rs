//! The events as an operator looks at them, in the database and beside the edges that run.

use chassis::{
    Error,
    clock::Clock,
    db::{Db, DbConfig},
};
use url::Url;

use super::webhook::name_of;
use crate::store::{Events, Subscription};

/// Events that are read at a time.
const PAGE: i64 = 500;

/// The events of one edge database.
#[derive(Debug)]
pub struct EventBook {
    db: Db,
    events: Events,
}

/// An event as it is told.
#[derive(Clone, Debug)]
pub struct ToldEvent {
    /// Its place in the order.
    pub position: i64,
    /// The CloudEvent as JSON.
    pub body: String,
}

/// How a subscriber stands.
#[derive(Clone, Debug)]
pub struct SubscriberState {
    /// Its name, which is on the metrics and in the log too.
    pub name: String,
    /// How many events it has not taken yet.
    pub behind: i64,
    /// Whether it has said that it wants no events any more.
    pub gone: bool,
    /// How often in a row it failed, and why the last time.
    pub failing: Option<(i64, String)>,
    /// Whether an edge tells it at this moment.
    pub told: bool,
}

impl EventBook {
    /// Opens the database of an edge, and brings its tables up to date.
    ///
    /// # Errors
    /// There is none, or it is out of reach.
    pub async fn open(database: &DbConfig) -> Result<Self, Error> {
        let db = Db::open(database, &crate::migrations()).await?;
        Ok(Self { events: Events::new(db.clone()), db })
    }

    /// All subscribers in the order of their names.
    ///
    /// # Errors
    /// The database failed.
    pub async fn subscribers(&self, clock: &Clock) -> Result<Vec<SubscriberState>, Error> {
        let now = clock.now();
        let state = |one: Subscription| SubscriberState {
            behind: (one.newest - one.position).max(0),
            gone: one.gone_at.is_some(),
            failing: one.failing.map(|failing| (failing.attempts, failing.why)),
            told: one.lease_until > now,
            name: one.name,
        };
        Ok(self.events.subscriptions().await?.into_iter().map(state).collect())
    }

    /// The position right before an event; before all of them for `oldest`, and without an id the newest
    /// position there is.
    ///
    /// # Errors
    /// There is no event of this id (any more), or the database failed.
    pub async fn before(&self, event_id: Option<&str>) -> Result<i64, Error> {
        let id = match event_id {
            None => return Ok(self.events.newest().await?),
            Some("oldest") => return Ok(0),
            Some(id) => id,
        };
        let position = self.events.position_of(id).await?;
        position.map(|position| position - 1).ok_or_else(|| {
            Error::Config(format!("--from: there is no event {id:?}, or it is older than --events-retention"))
        })
    }

    /// The next events after a position; none when there are none yet.
    ///
    /// # Errors
    /// The database failed.
    pub async fn after(&self, position: i64) -> Result<Vec<ToldEvent>, Error> {
        let told = self.events.after(position, PAGE).await?.into_iter();
        Ok(told.map(|event| ToldEvent { position: event.position, body: event.body }).collect())
    }

    /// Has a subscriber, by its name or its address, told all events from this one on, whatever it was told
    /// before. Answers its name.
    ///
    /// # Errors
    /// There is no such subscriber, no event of this id (any more), or the database failed.
    pub async fn replay(&self, subscriber: &str, from: &str, clock: &Clock) -> Result<String, Error> {
        let is_address = |url: &Url| url.has_host();
        let name = subscriber
            .parse()
            .ok()
            .filter(is_address)
            .map_or_else(|| subscriber.to_owned(), |url| name_of(&url));
        let position = self.before(Some(from)).await?;
        if self.events.replay(&name, position, clock.now()).await? {
            return Ok(name);
        }
        let known: Vec<_> = self.events.subscriptions().await?.into_iter().map(|one| one.name).collect();
        Err(Error::Config(format!("--subscriber: there is no {name}; there are: {}", known.join(", "))))
    }

    /// Closes the database.
    ///
    /// # Errors
    /// As [`Db::close`].
    pub async fn close(self) -> Result<(), Error> {
        Ok(self.db.close().await?)
    }
}
