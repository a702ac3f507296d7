//! Group commit: what many callers want of a database at the same time becomes one transaction of a few
//! statements.
//!
//! What is asked while one transaction runs is collected for the next one ([`Collector`]). Every caller gets
//! an outcome of its own. When the database refused a batch, so that certainly nothing of it was written,
//! each of its requests is made again alone: one caller's failure is never another's. The requests of a batch
//! that only reads are repeated like this whatever it failed with. When it is unknown whether a batch was
//! committed, the outcome is unknown to each of its callers.

use std::{fmt, future::Future, sync::Arc, time::Duration};

use futures::{FutureExt, future::BoxFuture};
use tokio::sync::{mpsc, oneshot};

use super::{Db, Error};
use crate::{
    collector::Collector,
    context::{Context, TraceParent},
    trace::Span,
};

/// A batch is large enough to share the cost of a transaction and small enough to keep it short. As few run
/// at the same time as leave connections to other work.
const COLLECTOR: Collector = Collector { most: 128, lanes: 4 };
/// How many requests may wait for a batch; further callers wait until there is room (backpressure).
const MAX_PENDING: usize = 1_024;
/// The deadline that a batch would give to calls, of which it makes none.
const WITHIN: Duration = Duration::from_secs(10);

/// Collects requests of one kind into batches. Cheap to clone; the batches end with the last clone.
pub struct Group<A, B> {
    inbox: mpsc::Sender<Ask<A, B>>,
    batches: Arc<Batches<A, B>>,
}

/// A request, the trace that it belongs to, and the way to its caller.
type Ask<A, B> = ((A, Option<TraceParent>), oneshot::Sender<Reply<B>>);

enum Reply<B> {
    Outcome(B),
    /// Nothing was changed; the request is to be made again alone.
    Alone,
    Failed(Error),
}

struct Batches<A, B> {
    db: Db,
    name: &'static str,
    writes: bool,
    attempt: Box<Attempt<A, B>>,
}

type Attempt<A, B> = dyn Fn(Db, Arc<[A]>) -> BoxFuture<'static, Result<Vec<B>, Error>> + Send + Sync;

impl<A, B> Clone for Group<A, B> {
    fn clone(&self) -> Self {
        Self { inbox: self.inbox.clone(), batches: Arc::clone(&self.batches) }
    }
}

impl<A, B> fmt::Debug for Group<A, B> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Group").field(&self.batches.name).finish()
    }
}

impl<A: Clone + Send + Sync + 'static, B: Send + 'static> Group<A, B> {
    /// Starts a task that takes requests. `attempt` is one transaction: it begins and commits its own
    /// session, and is repeated while it only lost against others. It answers every request, in order, with
    /// what is true once the transaction is committed.
    #[must_use]
    pub fn of_writes<F, Fut>(db: Db, name: &'static str, attempt: F) -> Self
    where
        F: Fn(Db, Arc<[A]>) -> Fut + Send + Sync + 'static,
        Fut: Future<Output = Result<Vec<B>, Error>> + Send + 'static,
    {
        Self::new(db, name, true, attempt)
    }

    /// Starts a task that takes requests which change nothing; `attempt` is as for [`Self::of_writes`].
    #[must_use]
    pub fn of_reads<F, Fut>(db: Db, name: &'static str, attempt: F) -> Self
    where
        F: Fn(Db, Arc<[A]>) -> Fut + Send + Sync + 'static,
        Fut: Future<Output = Result<Vec<B>, Error>> + Send + 'static,
    {
        Self::new(db, name, false, attempt)
    }

    fn new<F, Fut>(db: Db, name: &'static str, writes: bool, attempt: F) -> Self
    where
        F: Fn(Db, Arc<[A]>) -> Fut + Send + Sync + 'static,
        Fut: Future<Output = Result<Vec<B>, Error>> + Send + 'static,
    {
        let (inbox, asked) = mpsc::channel(MAX_PENDING);
        let attempt = Box::new(move |db, asks| -> BoxFuture<'static, _> { Box::pin(attempt(db, asks)) });
        let batches = Arc::new(Batches { db, name, writes, attempt });
        let each = Arc::clone(&batches);
        // Each batch is a task, so that a panic ends no other batch.
        tokio::spawn(
            COLLECTOR.run(asked, move |asks| tokio::spawn(Arc::clone(&each).commit(asks)).map(drop)),
        );
        Self { inbox, batches }
    }

    /// Has a request done in the next batch, and waits for its outcome.
    ///
    /// # Errors
    /// The database's; when it is unavailable, whether this took effect is unknown.
    pub async fn ask(&self, what: A) -> Result<B, Error> {
        let (answer, told) = oneshot::channel();
        self.inbox
            .send(((what.clone(), Context::current().map(|context| context.trace)), answer))
            .await
            .map_err(|_| unknown("batches have ended".to_owned()))?;
        match told.await {
            Ok(Reply::Outcome(outcome)) => Ok(outcome),
            Ok(Reply::Alone) => {
                let alone = self.batches.attempts(Arc::from([what])).await?;
                alone.into_iter().next().ok_or_else(|| Error::Other("a batch answered too few".into()))
            }
            Ok(Reply::Failed(error)) => Err(error),
            Err(_) => Err(unknown("a batch ended without an answer".to_owned())),
        }
    }
}

impl<A, B> Batches<A, B> {
    async fn attempts(&self, asks: Arc<[A]>) -> Result<Vec<B>, Error> {
        self.db.transact(self.name, || (self.attempt)(self.db.clone(), Arc::clone(&asks))).await
    }

    async fn commit(self: Arc<Self>, asks: Vec<Ask<A, B>>) {
        let (whats, answers): (Vec<_>, Vec<_>) = asks.into_iter().unzip();
        let (whats, traces): (Vec<_>, Vec<_>) = whats.into_iter().unzip();
        let (trace, mut span) = Span::shared(traces.into_iter().flatten(), || self.name.into());
        let size = u32::try_from(answers.len()).unwrap_or(u32::MAX);
        metrics::histogram!("db_group_size", "transaction" => self.name).record(size);
        span.set("boxoffice.batch.size", || i64::from(size));
        let work = Context::of(trace, WITHIN).scope(self.attempts(whats.into()));
        match work.await {
            Ok(outcomes) => tell(answers, outcomes.into_iter().map(Reply::Outcome)),
            Err(error) if self.writes && error.is_unavailable() => {
                let why = error.to_string();
                tell(answers, std::iter::repeat_with(|| Reply::Failed(unknown(why.clone()))));
            }
            Err(error) if answers.len() == 1 => tell(answers, std::iter::once(Reply::Failed(error))),
            Err(error) => {
                tracing::debug!(transaction = self.name, %error, "a batch failed; its asks are made one by one");
                tell(answers, std::iter::repeat_with(|| Reply::Alone));
            }
        }
    }
}

fn tell<B>(answers: Vec<oneshot::Sender<Reply<B>>>, told: impl Iterator<Item = Reply<B>>) {
    for (answer, told) in answers.into_iter().zip(told) {
        let _gone = answer.send(told);
    }
}

fn unknown(why: String) -> Error {
    Error::Unavailable(sqlx::Error::Protocol(why))
}
