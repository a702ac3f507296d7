//! The use cases of tokens: join, complete, leave, read and verify.

use std::{sync::Arc, time::Duration};

use chassis::idempotency::Key;
use uuid::Uuid;

use super::{
    Queues,
    queue::{Queue, Reply, ended},
};
use crate::{
    domain::{Command, TokenStatus, TokenView, queue_tag, tag_of, tagged},
    error::Error,
};

/// How long a batch of polls waits for the tokens that are not in memory before the others are answered
/// alone.
const PATIENCE: Duration = Duration::from_millis(500);

/// The answer for one token of a batch of polls.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Lookup {
    /// The token as it is now.
    Found(TokenView),
    /// There is no such token.
    Unknown,
    /// Memory does not have the token, and the database could not be asked.
    Unavailable,
}

/// What a caller of VerifyToken claims about a token.
#[derive(Clone, Debug)]
pub struct Claim {
    /// The token that the user has shown.
    pub token: Uuid,
    /// The queue to which the token must admit; `None` accepts any.
    pub queue_id: Option<String>,
    /// The user to whom the token must have been issued; `None` accepts any.
    pub user: Option<String>,
    /// Whether to read what other replicas have committed before answering.
    pub fresh: bool,
}

impl Queues {
    /// Lets a user join a queue, or finds the user's live token. The answer tells whether the token is new.
    ///
    /// # Errors
    /// [`Error::QueueNotFound`], [`Error::QueueFull`], [`Error::Busy`], [`Error::RequestIdReused`], or the
    /// batch failed.
    pub async fn join(
        &self,
        queue_id: &str,
        user: &str,
        priority: u8,
        key: Option<Key>,
    ) -> Result<(TokenView, bool), Error> {
        let queue = self.find_queue(queue_id).await?;
        let id = tagged(Uuid::new_v4(), queue_tag(queue_id));
        let may_be_replay = key.is_some();
        match queue.ask(Command::Join { token: id, user: user.into(), priority }, key).await {
            // A user who has a live token is not refused, since memory knows the token.
            Err(Error::Busy(after)) => {
                queue.ask_about_user(user).map(|view| (view, false)).ok_or(Error::Busy(after))
            }
            answered => {
                let (view, created) = token(answered?)?;
                // A user who repeats the request is heard of as well.
                if may_be_replay {
                    queue.ask_about(&view.token);
                }
                Ok((view, created))
            }
        }
    }

    /// Ends an ACTIVE token after a payment.
    ///
    /// # Errors
    /// [`Error::TokenNotFound`], [`Error::TokenNotActive`], [`Error::RequestIdReused`], or the batch failed.
    pub async fn complete(&self, id: Uuid, key: Option<Key>) -> Result<TokenView, Error> {
        let queue = self.queue_of(&id).await?;
        Ok(token(queue.ask(Command::Complete(id), key).await?)?.0)
    }

    /// Ends a token because its user leaves the queue; where `user` is named, only a token of that user.
    ///
    /// # Errors
    /// [`Error::TokenNotFound`], [`Error::NotOwner`] where a user is named, [`Error::RequestIdReused`], or
    /// the batch failed.
    pub async fn leave(&self, id: Uuid, user: Option<&str>, key: Option<Key>) -> Result<TokenView, Error> {
        // Whose a token is never changes.
        if let Some(user) = user {
            match self.token(id).await {
                Ok(token) if *token.user == *user => {}
                // Nobody learns which tokens others have.
                Ok(_) | Err(Error::TokenNotFound) => return Err(Error::NotOwner),
                Err(error) => return Err(error),
            }
        }
        let queue = self.queue_of(&id).await?;
        Ok(token(queue.ask(Command::Leave(id), key).await?)?.0)
    }

    /// Reads a token.
    ///
    /// # Errors
    /// [`Error::TokenNotFound`], or the database failed.
    pub async fn token(&self, id: Uuid) -> Result<TokenView, Error> {
        let mut found = self.remembered(&[id]);
        if found.iter().any(Option::is_none) {
            Box::pin(self.look_up(&[id], &mut found)).await?;
        }
        found.pop().flatten().ok_or(Error::TokenNotFound)
    }

    /// Reads a user's live token of a queue.
    ///
    /// # Errors
    /// [`Error::QueueNotFound`], [`Error::TokenNotFound`], or the database failed.
    pub async fn token_of(&self, queue_id: &str, user: &str) -> Result<TokenView, Error> {
        let queue = self.find_queue(queue_id).await?;
        if let Some(view) = queue.ask_about_user(user) {
            return Ok(view);
        }
        Box::pin(queue.catch_up()).await?;
        queue.ask_about_user(user).ok_or(Error::TokenNotFound)
    }

    /// Reads many tokens and answers in the order of the request. Live tokens and those that ended lately
    /// come from memory, the others from one query. A query that fails does not change the answers from
    /// memory.
    pub async fn tokens(&self, ids: &[Uuid]) -> Vec<Lookup> {
        let mut found = self.remembered(ids);
        let mut rest = Lookup::Unknown;
        if found.iter().any(Option::is_none) {
            match tokio::time::timeout(PATIENCE, Box::pin(self.look_up(ids, &mut found))).await {
                Ok(Ok(())) => {}
                Ok(Err(error)) => {
                    tracing::debug!(%error, "tokens could not be looked up");
                    rest = Lookup::Unavailable;
                }
                Err(_late) => rest = Lookup::Unavailable,
            }
        }
        found.into_iter().map(|view| view.map_or_else(|| rest.clone(), Lookup::Found)).collect()
    }

    /// Adds to `found` the tokens that memory does not have and the database has.
    async fn look_up(&self, ids: &[Uuid], found: &mut [Option<TokenView>]) -> Result<(), Error> {
        let missing: Vec<_> =
            ids.iter().zip(&*found).filter(|(_, view)| view.is_none()).map(|(id, _)| *id).collect();
        let rows = {
            let mut session = self.0.db.read().await?;
            ended(&mut session, missing).await?
        };
        for (id, view) in ids.iter().zip(found).filter(|(_, view)| view.is_none()) {
            let Some((queue_id, row)) = rows.get(id) else { continue };
            *view = if row.status.is_live() {
                // The token is live but not in memory, because another replica wrote it a moment ago.
                let queue = self.find_queue(queue_id).await?;
                if queue.ask_about(id).is_none() {
                    queue.catch_up().await?;
                }
                match queue.ask_about(id) {
                    Some(view) => Some(view),
                    // The token has ended meanwhile.
                    None => self.ended_token(*id).await?,
                }
            } else {
                Some(TokenView::of_row(row.clone(), queue_id.as_str().into()))
            };
        }
        Ok(())
    }

    /// What memory has of these tokens. Neighbours that one queue issued are read under one lock of its
    /// state.
    fn remembered(&self, ids: &[Uuid]) -> Vec<Option<TokenView>> {
        let queues = self.0.open.read();
        let mut found = Vec::with_capacity(ids.len());
        for together in ids.chunk_by(|one, other| tag_of(one) == tag_of(other)) {
            match queues.tagged(&together[0]) {
                [queue] => queue.ask_about_all(together, &mut found),
                _ => found.extend(together.iter().map(|_| None)),
            }
        }
        for (id, view) in ids.iter().zip(&mut found).filter(|(_, view)| view.is_none()) {
            *view = queues.remembered(id);
        }
        found
    }

    async fn ended_token(&self, id: Uuid) -> Result<Option<TokenView>, Error> {
        let mut session = self.0.db.read().await?;
        let row = ended(&mut session, vec![id]).await?.remove(&id);
        Ok(row.map(|(queue_id, row)| TokenView::of_row(row, queue_id.into())))
    }

    /// Checks that a token admits its holder now. A token that memory has as ACTIVE is accepted. Before a
    /// caller is refused for the token's status, or when the claim says `fresh`, memory catches up with the
    /// other replicas.
    ///
    /// # Errors
    /// [`Error::TokenNotFound`], [`Error::TokenWrongQueue`], [`Error::TokenWrongUser`],
    /// [`Error::TokenNotActive`], or the database failed.
    pub async fn verify(&self, claim: &Claim) -> Result<TokenView, Error> {
        let now = self.0.clock.now();
        let queue = self.0.open.read().with(&claim.token).cloned();
        if let Some(queue) = queue
            && let Some(view) = queue.ask_about(&claim.token)
        {
            let verdict = judge(claim, view, now);
            if !claim.fresh && verdict.is_ok() {
                return verdict;
            }
            // The queue and the user of a token never change.
            if matches!(verdict, Err(Error::TokenWrongQueue | Error::TokenWrongUser)) {
                return verdict;
            }
            Box::pin(queue.catch_up()).await?;
        }
        judge(claim, self.token(claim.token).await?, self.0.clock.now())
    }

    /// The queue that issued a token, live or ended.
    pub(super) async fn queue_of(&self, id: &Uuid) -> Result<Arc<Queue>, Error> {
        if let Some(queue) = self.0.open.read().with(id) {
            return Ok(Arc::clone(queue));
        }
        let view = Box::pin(self.ended_token(*id)).await?.ok_or(Error::TokenNotFound)?;
        self.find_queue(&view.queue_id).await
    }
}

fn token(answer: Reply) -> Result<(TokenView, bool), Error> {
    match answer {
        Reply::Token { view, created } => Ok((view, created)),
        Reply::Queue(_) => Err(Error::RequestIdReused),
    }
}

fn judge(claim: &Claim, view: TokenView, now: i64) -> Result<TokenView, Error> {
    if claim.queue_id.as_ref().is_some_and(|queue| **queue != *view.queue_id) {
        return Err(Error::TokenWrongQueue);
    }
    if claim.user.as_ref().is_some_and(|user| **user != *view.user) {
        return Err(Error::TokenWrongUser);
    }
    match view.status {
        // An admission ends by the clock, whether or not the token's row says so yet.
        TokenStatus::Active if view.active_until.is_some_and(|until| until > now) => Ok(view),
        TokenStatus::Active => Err(Error::TokenNotActive(TokenStatus::Expired)),
        status @ (TokenStatus::Waiting
        | TokenStatus::Registered
        | TokenStatus::Completed
        | TokenStatus::Expired
        | TokenStatus::Left) => Err(Error::TokenNotActive(status)),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use chassis::{
        background::Vital,
        clock::Clock,
        db::{Db, DbConfig},
    };

    use super::*;
    use crate::{Retention, store};

    #[tokio::test]
    async fn what_memory_answers_carries_nothing_of_the_database_about() {
        let folder = std::env::temp_dir().join(format!("queue-{}", Uuid::new_v4()));
        let config = DbConfig::at(format!("sqlite:{}", folder.join("queue.db").display()));
        let db = Db::open(&config, &store::migrations()).await.unwrap();
        let queues =
            Queues::open(db, Clock::system(), Retention::default(), None, Vital::default()).await.unwrap();
        let claim = Claim { token: Uuid::nil(), queue_id: None, user: None, fresh: false };
        let sizes = [
            size_of_val(&queues.join("default", "ann", 5, None)),
            size_of_val(&queues.complete(Uuid::nil(), None)),
            size_of_val(&queues.leave(Uuid::nil(), None, None)),
            size_of_val(&queues.tokens(&[])),
            size_of_val(&queues.token_of("default", "ann")),
            size_of_val(&queues.verify(&claim)),
        ];
        assert!(sizes.iter().all(|size| *size < 2_048), "{sizes:?}");
        queues.close().await;
        std::fs::remove_dir_all(folder).unwrap();
    }
}
