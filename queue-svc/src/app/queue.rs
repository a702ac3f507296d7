//! One queue on this replica: its committed state in memory, the channel to its writer, and how it follows
//! other replicas.

use std::{
    collections::HashMap,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};

use chassis::{
    clock::{Clock, micros},
    context::{Context, TraceParent},
    db::{self, Db, Session},
    idempotency::Key,
    threads,
};
use parking_lot::{RwLock, RwLockReadGuard};
use tokio::sync::{Mutex, mpsc, mpsc::error::TrySendError, oneshot, watch};
use uuid::Uuid;

use super::{
    AllQueues,
    crowd::{Crowd, JoinPermit},
    draws::{self, Prepared, Sought},
    ended::Ended,
    hearing::{Ears, News},
};
use crate::{
    domain::{Command, Dealing, Draw, QueueRow, QueueState, QueueView, SECOND, TokenRow, TokenView},
    error::Error,
    relay::Relay,
    store,
};

/// A replica that is behind by more commits than this reads all live tokens page by page. So does one that is
/// behind by more than `TOO_MANY_TICKETS` and by more tickets than it has live tokens. Reading every change
/// since would also read the tokens that have ended.
const TOO_MANY_COMMITS: i64 = 5_000;
const TOO_MANY_TICKETS: i64 = 20_000;
/// A writer that is behind by more commits than this catches up before it locks the queue's row, so that
/// other replicas need not wait meanwhile.
const BEHIND: i64 = 100;

/// The least step, in microseconds, by which the time since when this replica listens moves on, because every
/// deadline is computed anew with it.
const MOVES: i64 = 10 * SECOND;

/// A command on its way to the writer.
#[derive(Debug)]
pub(super) struct Ask {
    pub(super) command: Command,
    /// The key of the request, when it has an id.
    pub(super) key: Option<Key>,
    pub(super) answer: oneshot::Sender<Result<Reply, Error>>,
    /// The trace that the request belongs to.
    pub(super) trace: Option<TraceParent>,
    /// The permit of a join; it is freed when the command is answered.
    _place: Option<JoinPermit>,
}

/// The answer to a command.
#[derive(Clone, Debug)]
pub(super) enum Reply {
    Token { view: TokenView, created: bool },
    Queue(QueueView),
}

/// A queue. Its locks are held for work in memory only and never during I/O, so a reader waits for
/// microseconds at most.
#[derive(Debug)]
pub(super) struct Queue {
    pub(super) id: Arc<str>,
    pub(super) db: Db,
    pub(super) clock: Clock,
    /// For how long after its end a token's row is certainly there (`kept`), and for how long after its
    /// validity it may still be there (`past_validity`), in microseconds.
    kept: i64,
    past_validity: i64,
    state: RwLock<QueueState>,
    lately_ended: parking_lot::Mutex<Ended>,
    /// Sends the version that readers see, which wakes the open streams.
    moved: watch::Sender<i64>,
    inbox: mpsc::Sender<Ask>,
    pub(super) crowd: Crowd,
    pub(super) news: News,
    ears: Arc<Ears>,
    /// The draw that is about to be held.
    pub(super) prepared: Prepared,
    /// Where the beacon of a draw is read, and what was read.
    pub(super) relay: Option<Relay>,
    pub(super) sought: Sought,
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
            prepared: Prepared::default(),
            relay: all.relay.clone(),
            sought: Sought::default(),
            catching_up: Mutex::new(()),
            begun: AtomicU64::new(0),
            done: AtomicU64::new(0),
        };
        queue.measure();
        queue
    }

    /// Calls a function with the committed state.
    pub(super) fn read<T>(&self, look: impl FnOnce(&QueueState) -> T) -> T {
        look(&self.state.read())
    }

    /// The committed state under a read lock, for several reads. It must not be held during I/O.
    pub(super) fn look(&self) -> RwLockReadGuard<'_, QueueState> {
        self.state.read()
    }

    /// The places by the draw that belongs to a row, where memory does not have it yet.
    async fn read_draw(&self, session: &mut Session, head: &QueueRow) -> Result<Option<Dealing>, Error> {
        if self.read(|state| state.draw().is_some()) {
            return Ok(None);
        }
        match draws::read(session, &self.id, head, self.prepared.draw()).await? {
            Some(draw) => Ok(Some(self.deal(draw).await)),
            None => Ok(None),
        }
    }

    /// Deals the places of a draw, a part at a time, since readers and other tasks are not to wait.
    pub(super) async fn deal(&self, draw: Arc<Draw>) -> Dealing {
        let mut dealing = self.read(|state| Dealing::begin(state, draw));
        while self.read(|state| dealing.go_on(state)) {
            tokio::task::yield_now().await;
        }
        dealing
    }

    /// The tokens that take part in a draw that is held now, read a part at a time as well. If the state
    /// changes meanwhile they are of no use.
    pub(super) async fn registered(&self) -> Vec<Uuid> {
        let count = self.read(QueueState::waiting);
        let mut tokens = Vec::with_capacity(usize::try_from(count).unwrap_or(0));
        let mut part = 0;
        while self.read(|state| state.add_registered(part, &mut tokens)) {
            part += 1;
            tokio::task::yield_now().await;
        }
        tokens
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

    /// A live token for a user who asks for it, who is thereby heard of.
    pub(super) fn ask_about(&self, token: &Uuid) -> Option<TokenView> {
        let now = self.clock.now();
        let (view, is_news) = self.read(|state| state.ask(&self.id, token, now))?;
        self.ears.hear(now);
        if is_news {
            self.news.add([*token]);
        }
        Some(view)
    }

    /// Adds many of them to `found` under one read lock; `None` for each that is not live here.
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

    /// A user's live token; the user is heard of by asking.
    pub(super) fn ask_about_user(&self, user: &str) -> Option<TokenView> {
        let token = self.read(|state| state.token_of(user))?;
        self.ask_about(&token)
    }

    /// Makes sure that no token expires for a silence during which this replica may have heard nothing.
    pub(super) fn listen(&self) {
        let now = self.clock.now();
        let since = self.ears.listening_since(now);
        // While no user at all is heard of, `since` is the present, and every step computes all deadlines
        // anew. A step now and then is enough.
        if self
            .read(|state| since > state.listening().saturating_add(state.head().policy.patience().min(MOVES)))
        {
            self.state.write().listen_from(since);
        }
    }

    /// A token that ended lately. One whose row may be removed from the database already is not shown any
    /// more.
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
        let now = self.clock.now();
        if joins {
            // Whoever has no token yet can be heard all the same.
            self.ears.hear(now);
        }
        let place = joins.then(|| self.crowd.enter(now)).transpose().map_err(|after| self.busy(after))?;
        let trace = Context::current().map(|context| context.trace);
        let ask = Ask { command, key, answer, trace, _place: place };
        self.inbox.try_send(ask).map_err(|refused| match refused {
            TrySendError::Full(_) => self.busy(SECOND),
            // The writer has ended, and with it whatever could be said of this queue.
            TrySendError::Closed(_) => Error::Unknown,
        })?;
        answered.await.map_err(|_| Error::Unknown)?
    }

    fn busy(&self, after: i64) -> Error {
        metrics::counter!("queue_refused_busy_total", "queue" => self.id.to_string()).increment(1);
        Error::Busy(after)
    }

    /// Brings memory to a later committed state and calls a function with it. The rows are those that changed
    /// after the version `since`, and the places of the draw are there where memory may not have it yet. When
    /// memory is older than that, because it was replaced meanwhile, or no longer what the places were dealt
    /// of, it stays as it is and catches up later.
    pub(super) fn advance<T>(
        &self,
        since: i64,
        head: QueueRow,
        rows: Vec<TokenRow>,
        mut dealing: Option<Dealing>,
        look: impl FnOnce(&QueueState) -> T,
    ) -> T {
        // The rows are kept here before they leave the state, so that a token is always found in one of them.
        self.lately_ended.lock().keep(rows.iter());
        let now = self.clock.now();
        let (version, seen) = {
            let mut state = self.state.write();
            // Before the rows: of some one hears together with the draw, and they stand among the others.
            let lacks_draw = head.drawn.is_some() && state.draw().is_none();
            if state.version() >= since
                && (!lacks_draw || dealing.as_mut().is_some_and(|dealing| state.take_over(dealing)))
            {
                state.advance(head, rows, now);
            }
            let state = parking_lot::RwLockWriteGuard::downgrade(state);
            (state.version(), look(&state))
        };
        self.tell(version);
        seen
    }

    /// Replaces the state by one that was just loaded.
    pub(super) fn replace(&self, state: QueueState) {
        self.replace_if(state, |_, _| true);
    }

    /// Replaces the state if the loaded one is better. Comparing and replacing happen under one lock, since
    /// the writer and the follower both do it.
    fn replace_if(&self, mut state: QueueState, is_better: impl FnOnce(&QueueState, &QueueState) -> bool) {
        let (version, now) = (state.version(), self.clock.now());
        // This computes all deadlines, so it is done before the lock is taken. Under the lock only what has
        // changed meanwhile is left.
        self.read(|ours| state.listen_for(ours, now));
        {
            let mut ours = self.state.write();
            if !is_better(&ours, &state) {
                return;
            }
            state.listen_for(&ours, now);
            std::mem::swap(&mut *ours, &mut state);
            // These tokens are still on their way to the writer.
            self.news.look(|waiting| ours.report(waiting));
        }
        drop(state);
        // The database may have lost the commits in which these tokens ended.
        *self.lately_ended.lock() = Ended::default();
        self.tell(version);
    }

    fn tell(&self, version: i64) {
        self.moved.send_if_modified(|told| std::mem::replace(told, version) != version);
        self.measure();
    }

    fn measure(&self) {
        let ((waiting, registered), active) =
            self.read(|state| (state.head().told_apart(state.waiting()), state.active()));
        metrics::gauge!("queue_waiting", "queue" => self.id.to_string()).set(gauge(waiting));
        metrics::gauge!("queue_registered", "queue" => self.id.to_string()).set(gauge(registered));
        metrics::gauge!("queue_active", "queue" => self.id.to_string()).set(gauge(active));
    }

    /// Makes sure that memory is no older than the moment of the call. Callers that come while another one's
    /// query is under way share the next query.
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

    /// Whether a writer that finds this row is so far behind that it should catch up without the lock.
    pub(super) fn is_behind(&self, head: &QueueRow) -> bool {
        head.version - self.version() > BEHIND || self.is_far_behind(head)
    }

    /// Whether it would cost too much to read every change, or whether rows of tokens that have ended
    /// meanwhile may be removed already. A program that was suspended for weeks would otherwise never learn
    /// that such a token has ended. Half the time is taken because clocks differ.
    fn is_far_behind(&self, head: &QueueRow) -> bool {
        let state = self.look();
        let (commits, live) = (head.version - state.version(), state.waiting() + state.active());
        // The tickets of a draw are not read: they follow from it.
        let given = head.given() - state.head().given();
        let age = self.clock.now().saturating_sub(state.head().decided_at);
        (commits > 0 && age > self.kept / 2)
            || commits > TOO_MANY_COMMITS
            || given > live.max(TOO_MANY_TICKETS)
    }

    async fn follow(&self, session: &mut Session, head: &QueueRow) -> Result<(), Error> {
        if !self.is_far_behind(head) {
            return self.read_on(session, head).await;
        }
        if let Some(state) = load(session, &self.id, &self.clock).await? {
            self.replace_if(state, |ours, loaded| loaded.version() > ours.version());
        }
        Ok(())
    }

    /// Brings memory to exactly the locked row, in the transaction that holds the lock.
    pub(super) async fn catch_up_locked(&self, session: &mut Session, head: &QueueRow) -> Result<(), Error> {
        let mine = self.version();
        if head.version < mine {
            // The database has lost commits, as after a failover to a standby that lagged behind. What it has
            // now is the truth all the same.
            tracing::warn!(queue = %self.id, memory = mine, database = head.version, "reading the queue anew");
        }
        if head.version < mine || self.is_far_behind(head) {
            return self.reload(session).await;
        }
        self.read_on(session, head).await
    }

    /// Reads what has changed, up to this row at least; again where the writer or the follower has brought
    /// memory on while the other one dealt the places of a draw.
    async fn read_on(&self, session: &mut Session, head: &QueueRow) -> Result<(), Error> {
        while head.version > self.version() {
            let mine = self.version();
            let tail = store::token::tail(session, &self.id, mine).await?;
            let Some((head, rows)) = tail.filter(|(head, _)| head.version > mine) else { break };
            let dealing = self.read_draw(session, &head).await?;
            self.advance(mine, head, rows, dealing, |_| ());
        }
        Ok(())
    }

    /// Reads all live tokens anew and replaces the state by them.
    pub(super) async fn reload(&self, session: &mut Session) -> Result<(), Error> {
        if let Some(state) = load(session, &self.id, &self.clock).await? {
            self.replace(state);
        }
        Ok(())
    }
}

/// Reads a queue's live tokens page by page, and then what has changed meanwhile. The time to show up of an
/// admitted token counts from now, because nobody knows when its user was last heard of here.
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
    // Tickets only rise, so a token that changed while the pages were read is among those that changed since
    // the queue's row was read.
    if let Some((head, rows)) = store::token::tail(session, queue_id, state.version()).await? {
        state.advance(head, rows, clock.now());
    }
    // After the rows, since most of them still have the tickets of the coming.
    let Some(draw) = draws::read(session, queue_id, state.head(), None).await? else {
        return Ok(Some(state));
    };
    let dealt = threads::compute(move || {
        state.deal(draw);
        state
    });
    dealt.await.map(Some).map_err(|error| Error::Internal(error.to_string()))
}

/// Reads the tokens that memory does not know with one query, each with the id of its queue.
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

#[expect(clippy::cast_precision_loss, reason = "a gauge")]
const fn gauge(number: i64) -> f64 {
    number as f64
}
