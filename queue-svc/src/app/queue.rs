//! One queue on this replica: its committed state in memory, the way to its writer, and how it keeps up with
//! other replicas.

use std::{
    collections::HashMap,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use chassis::{
    clock::Clock,
    db::{self, Db, Session},
    idempotency::Key,
};
use parking_lot::{RwLock, RwLockReadGuard};
use tokio::sync::{Mutex, mpsc, oneshot, watch};
use uuid::Uuid;

use super::{
    AllQueues,
    crowd::{Crowd, JoinPermit},
    ended::Ended,
    hearing::{Ears, News},
};
use crate::{
    domain::{Command, QueueRow, QueueState, QueueView, SECOND, TokenRow, TokenView},
    error::Error,
    store,
};

/// Behind by more commits than this, or by more new tickets than are live here (and than these), what is live
/// is read anew, page by page, rather than everything that changed since, ended tokens included.
const TOO_MANY_COMMITS: i64 = 5_000;
const TOO_MANY_TICKETS: i64 = 20_000;
/// Behind by more commits than this, a writer catches up before it takes the lock: others need not wait while
/// it reads.
const BEHIND: i64 = 100;

/// How far the beginning of listening moves on at a time: all deadlines follow.
const MOVES: i64 = 10 * SECOND;

/// A command on its way to the writer.
#[derive(Debug)]
pub(super) struct Ask {
    pub(super) command: Command,
    /// Set when the caller sent a request id.
    pub(super) key: Option<Key>,
    pub(super) answer: oneshot::Sender<Result<Reply, Error>>,
    /// A join's place among those who wait.
    _place: Option<JoinPermit>,
}

/// What a command is answered.
#[derive(Clone, Debug)]
pub(super) enum Reply {
    Token { view: TokenView, created: bool },
    Queue(QueueView),
}

/// A queue. The lock is held for memory work only, never across I/O, so a reader waits microseconds at most.
#[derive(Debug)]
pub(super) struct Queue {
    pub(super) id: Arc<str>,
    pub(super) db: Db,
    pub(super) clock: Clock,
    /// How long the row of a token that has ended is there for certain, and when it is gone for certain, in
    /// microseconds.
    kept: i64,
    past_validity: i64,
    state: RwLock<QueueState>,
    lately_ended: parking_lot::Mutex<Ended>,
    /// The version readers see; streams wake by it.
    moved: watch::Sender<i64>,
    inbox: mpsc::Sender<Ask>,
    pub(super) crowd: Crowd,
    pub(super) news: News,
    ears: Arc<Ears>,
    catching_up: Mutex<()>,
    begun: AtomicU64,
    done: AtomicU64,
}

impl Queue {
    pub(super) fn new(id: &str, all: &AllQueues, state: QueueState, inbox: mpsc::Sender<Ask>) -> Self {
        let queue = Self {
            id: id.into(),
            db: all.db.clone(),
            clock: all.clock.clone(),
            kept: micros(all.retention.token_retention),
            past_validity: micros(all.retention.past_validity()),
            moved: watch::Sender::new(state.version()),
            state: RwLock::new(state),
            lately_ended: parking_lot::Mutex::default(),
            inbox,
            crowd: Crowd::new(Arc::clone(&all.joining)),
            news: News::default(),
            ears: Arc::clone(&all.ears),
            catching_up: Mutex::new(()),
            begun: AtomicU64::new(0),
            done: AtomicU64::new(0),
        };
        queue.measure();
        queue
    }

    /// Looks into the committed state.
    pub(super) fn read<T>(&self, look: impl FnOnce(&QueueState) -> T) -> T {
        look(&self.state.read())
    }

    /// The committed state, for several looks; not to be kept across I/O.
    pub(super) fn look(&self) -> RwLockReadGuard<'_, QueueState> {
        self.state.read()
    }

    pub(super) fn version(&self) -> i64 {
        self.read(QueueState::version)
    }

    pub(super) fn changes(&self) -> watch::Receiver<i64> {
        self.moved.subscribe()
    }

    pub(super) fn queue_view(&self) -> QueueView {
        self.read(|state| state.queue_view(&self.id))
    }

    /// A live token for somebody who asks about it, and is heard of by that.
    pub(super) fn ask_about(&self, token: &Uuid) -> Option<TokenView> {
        let now = self.clock.now();
        let (view, is_news) = self.read(|state| state.ask(&self.id, token, now))?;
        self.ears.hear(now);
        if is_news {
            self.news.add([*token]);
        }
        Some(view)
    }

    /// Many of them by one look at the state; `None` for those that are not live here.
    pub(super) fn ask_about_all(&self, tokens: &[Uuid], found: &mut Vec<Option<TokenView>>) {
        let now = self.clock.now();
        let mut news = Vec::new();
        let before = found.len();
        {
            let state = self.look();
            found.extend(tokens.iter().map(|token| {
                let (view, is_news) = state.ask(&self.id, token, now)?;
                if is_news {
                    news.push(*token);
                }
                Some(view)
            }));
        }
        if found[before..].iter().any(Option::is_some) {
            self.ears.hear(now);
        }
        if !news.is_empty() {
            self.news.add(news);
        }
    }

    /// A user's live token, likewise.
    pub(super) fn ask_about_user(&self, user: &str) -> Option<TokenView> {
        let token = self.read(|state| state.token_of(user))?;
        self.ask_about(&token)
    }

    /// Sees to it that nobody is given up for a silence that may have been ours.
    pub(super) fn listen(&self) {
        let now = self.clock.now();
        let since = self.ears.listening_since(now);
        // While nobody at all is heard, `since` is now, and all deadlines are counted anew; once in a while
        // will do.
        if self
            .read(|state| since > state.listening().saturating_add(state.head().policy.patience().min(MOVES)))
        {
            self.state.write().listen_from(since);
        }
    }

    /// A token that ended lately; what the database may have forgotten is forgotten here, too.
    pub(super) fn ended_view(&self, token: &Uuid) -> Option<TokenView> {
        let row = self.lately_ended.lock().get(token)?;
        if row.valid_until < self.clock.now().saturating_sub(self.past_validity) {
            return None;
        }
        Some(TokenView::of_row(row, Arc::clone(&self.id)))
    }

    /// Hands a command to the writer and waits for its commit.
    pub(super) async fn ask(&self, command: Command, key: Option<Key>) -> Result<Reply, Error> {
        let (answer, answered) = oneshot::channel();
        let joins = matches!(command, Command::Join { .. });
        let place = joins
            .then(|| self.crowd.enter(self.clock.now()))
            .transpose()
            .map_err(|after| self.busy(after))?;
        self.inbox.try_send(Ask { command, key, answer, _place: place }).map_err(|_| self.busy(SECOND))?;
        answered.await.map_err(|_| Error::Unknown)?
    }

    fn busy(&self, after: i64) -> Error {
        metrics::counter!("queue_refused_busy_total", "queue" => self.id.to_string()).increment(1);
        Error::Busy(after)
    }

    /// Takes over a committed state that is later than ours, then looks at it. The rows are what changed
    /// after `since`: memory that is older than that (it was put in place meanwhile) stays as it is, and
    /// catches up later.
    pub(super) fn advance<T>(
        &self,
        since: i64,
        head: QueueRow,
        rows: Vec<TokenRow>,
        look: impl FnOnce(&QueueState) -> T,
    ) -> T {
        // First here, then out of the state: a token is always found in one of them.
        self.lately_ended.lock().keep(rows.iter());
        let now = self.clock.now();
        let (version, seen) = {
            let mut state = self.state.write();
            if state.version() >= since {
                state.advance(head, rows, now);
            }
            let state = parking_lot::RwLockWriteGuard::downgrade(state);
            (state.version(), look(&state))
        };
        self.tell(version);
        seen
    }

    /// Puts a freshly loaded state in place of ours.
    pub(super) fn replace(&self, state: QueueState) {
        self.replace_if(state, |_, _| true);
    }

    /// The same where it is better; looking and replacing are one step, since writer and follower both do it.
    fn replace_if(&self, mut state: QueueState, is_better: impl FnOnce(&QueueState, &QueueState) -> bool) {
        let (version, now) = (state.version(), self.clock.now());
        // Before the lock, since all deadlines follow from it; under it only what changed meanwhile.
        self.read(|ours| state.listen_for(ours, now));
        {
            let mut ours = self.state.write();
            if !is_better(&ours, &state) {
                return;
            }
            state.listen_for(&ours, now);
            std::mem::swap(&mut *ours, &mut state);
            // What was reported is on its way still.
            self.news.look(|waiting| ours.report(waiting));
        }
        drop(state);
        // The database may have lost what ended.
        *self.lately_ended.lock() = Ended::default();
        self.tell(version);
    }

    fn tell(&self, version: i64) {
        self.moved.send_if_modified(|told| std::mem::replace(told, version) != version);
        self.measure();
    }

    fn measure(&self) {
        let (waiting, active) = self.read(|state| (state.waiting(), state.active()));
        metrics::gauge!("queue_waiting", "queue" => self.id.to_string()).set(gauge(waiting));
        metrics::gauge!("queue_active", "queue" => self.id.to_string()).set(gauge(active));
    }

    /// Makes sure that memory is no older than the moment of the call. Callers who come while another one's
    /// question to the database is under way share the next one.
    pub(super) async fn catch_up(&self) -> Result<(), Error> {
        let begun_before = self.begun.load(Ordering::SeqCst);
        let _turn = self.catching_up.lock().await;
        if self.done.load(Ordering::SeqCst) > begun_before {
            return Ok(());
        }
        let number = self.begun.fetch_add(1, Ordering::SeqCst) + 1;
        let mut session = self.db.read().await?;
        let head = store::queue::read(&mut session, &self.id).await?;
        if let Some(head) = head.filter(|head| head.version > self.version()) {
            self.follow(&mut session, &head).await?;
        }
        self.done.store(number, Ordering::SeqCst);
        Ok(())
    }

    /// Is a writer that finds this head better off without the lock for a while?
    pub(super) fn is_behind(&self, head: &QueueRow) -> bool {
        head.version - self.version() > BEHIND || self.is_far_behind(head)
    }

    /// Would it cost too much to read what changed since, or may some of it be forgotten already? (A program
    /// that was suspended for weeks would otherwise never hear that a token ended whose row is gone. Half the
    /// time allows for clocks that differ.)
    fn is_far_behind(&self, head: &QueueRow) -> bool {
        let (mine, ticket, live, decided_at) = self.read(|state| {
            (
                state.version(),
                state.head().last_ticket,
                state.waiting() + state.active(),
                state.head().decided_at,
            )
        });
        let forgotten = head.version > mine && self.clock.now().saturating_sub(decided_at) > self.kept / 2;
        forgotten
            || head.version - mine > TOO_MANY_COMMITS
            || head.last_ticket - ticket > live.max(TOO_MANY_TICKETS)
    }

    async fn follow(&self, session: &mut Session, head: &QueueRow) -> Result<(), Error> {
        let mine = self.version();
        if self.is_far_behind(head) {
            let Some(state) = load(session, &self.id, &self.clock).await? else { return Ok(()) };
            self.replace_if(state, |ours, loaded| loaded.version() > ours.version());
        } else if let Some((head, rows)) = store::token::tail(session, &self.id, mine).await? {
            self.advance(mine, head, rows, |_| ());
        }
        Ok(())
    }

    /// Brings memory to exactly the locked head, in the transaction that holds the lock.
    pub(super) async fn catch_up_locked(&self, session: &mut Session, head: &QueueRow) -> Result<(), Error> {
        let mine = self.version();
        if head.version < mine {
            // The database lost commits (a failover to a lagging standby). It is the truth all the same.
            tracing::warn!(queue = %self.id, memory = mine, database = head.version, "reading the queue anew");
        }
        if head.version < mine || self.is_far_behind(head) {
            return self.reload(session).await;
        }
        if head.version > mine
            && let Some((head, rows)) = store::token::tail(session, &self.id, mine).await?
        {
            self.advance(mine, head, rows, |_| ());
        }
        Ok(())
    }

    /// Forgets memory and reads what is live anew.
    pub(super) async fn reload(&self, session: &mut Session) -> Result<(), Error> {
        if let Some(state) = load(session, &self.id, &self.clock).await? {
            self.replace(state);
        }
        Ok(())
    }
}

/// Reads a queue's live tokens page by page, then what changed meanwhile. Whoever is admitted is awaited from
/// now on, for of those that are read here nobody knows how long ago they were.
pub(super) async fn load(
    session: &mut Session,
    queue_id: &str,
    clock: &Clock,
) -> Result<Option<QueueState>, Error> {
    let Some(head) = store::queue::read(session, queue_id).await? else { return Ok(None) };
    let last = head.last_ticket;
    let mut state = QueueState::new(head);
    let mut above = store::token::first_live(session, queue_id).await?.map_or(last, |first| first - 1);
    while above < last {
        state.load(store::token::live_page(session, queue_id, above).await?, clock.now());
        above += store::token::PAGE;
    }
    // Tickets only rise, so whoever changed behind our back is among those changed since the head was read.
    if let Some((head, rows)) = store::token::tail(session, queue_id, state.version()).await? {
        state.advance(head, rows, clock.now());
    }
    Ok(Some(state))
}

/// Every ended or strange token of a batch that memory does not know, by one query.
pub(super) async fn ended(
    session: &mut Session,
    tokens: Vec<Uuid>,
) -> Result<HashMap<Uuid, (String, TokenRow)>, db::Error> {
    if tokens.is_empty() {
        return Ok(HashMap::new());
    }
    let found = store::token::by_id(session, tokens).await?;
    Ok(found.into_iter().map(|(queue_id, row)| (row.token, (queue_id, row))).collect())
}

fn micros(span: Duration) -> i64 {
    i64::try_from(span.as_micros()).unwrap_or(i64::MAX)
}

#[expect(clippy::cast_precision_loss, reason = "a gauge")]
const fn gauge(number: i64) -> f64 {
    number as f64
}
