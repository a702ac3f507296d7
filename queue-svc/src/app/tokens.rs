//! Use cases of tokens: join, complete, leave, read, verify.

use std::{sync::Arc, time::Duration};

use chassis::idempotency::Key;
use uuid::Uuid;

use super::{
    WaitingRoom,
    line::{Answer, Line, ended},
};
use crate::{
    domain::{Command, Status, TokenView, line_tag, tag_of, tagged},
    error::Error,
};

/// How long those who are in memory wait, in a batch, for word of those who are not.
const PATIENCE: Duration = Duration::from_millis(500);

/// What became of one of many tokens asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Seen {
    /// It is this.
    Token(TokenView),
    /// There is no such token.
    Unknown,
    /// Memory does not know it, and the database could not be asked.
    NotNow,
}

/// What a caller of verify claims.
#[derive(Clone, Debug)]
pub struct Claim {
    /// The token shown.
    pub token: Uuid,
    /// The line that guards what is asked for; `None`: any.
    pub queue_id: Option<String>,
    /// Who asks; `None`: whoever holds the token.
    pub user: Option<String>,
    /// Be certain, also about what other replicas committed a moment ago.
    pub fresh: bool,
}

impl WaitingRoom {
    /// Joins a line, or finds the place already held; tells whether the token is new.
    ///
    /// # Errors
    /// [`Error::QueueNotFound`], [`Error::QueueFull`], [`Error::Busy`], [`Error::RequestIdReused`], the
    /// writer's.
    pub async fn join(
        &self,
        queue_id: &str,
        user: &str,
        priority: u8,
        key: Option<Key>,
    ) -> Result<(TokenView, bool), Error> {
        let line = self.find_line(queue_id).await?;
        let id = tagged(Uuid::new_v4(), line_tag(queue_id));
        let may_be_replay = key.is_some();
        match line.ask(Command::Join { token: id, user: user.into(), priority }, key).await {
            // Whoever has a place already is not sent away: memory knows it.
            Err(Error::Busy(after)) => {
                line.ask_about_user(user).map(|view| (view, false)).ok_or(Error::Busy(after))
            }
            answered => {
                let (view, created) = token(answered?)?;
                // Whoever repeats the request is there, too.
                if may_be_replay {
                    line.ask_about(&view.token);
                }
                Ok((view, created))
            }
        }
    }

    /// Ends an ACTIVE token after a payment.
    ///
    /// # Errors
    /// [`Error::TokenNotFound`], [`Error::TokenNotActive`], [`Error::RequestIdReused`], the writer's.
    pub async fn complete(&self, id: Uuid, key: Option<Key>) -> Result<TokenView, Error> {
        let line = self.line_of(&id).await?;
        Ok(token(line.ask(Command::Complete(id), key).await?)?.0)
    }

    /// Gives a place up.
    ///
    /// # Errors
    /// [`Error::TokenNotFound`], [`Error::RequestIdReused`], the writer's.
    pub async fn leave(&self, id: Uuid, key: Option<Key>) -> Result<TokenView, Error> {
        let line = self.line_of(&id).await?;
        Ok(token(line.ask(Command::Leave(id), key).await?)?.0)
    }

    /// Reads a token.
    ///
    /// # Errors
    /// [`Error::TokenNotFound`], the database's.
    pub async fn token(&self, id: Uuid) -> Result<TokenView, Error> {
        let mut found = self.remembered(&[id]);
        if found.iter().any(Option::is_none) {
            Box::pin(self.look_up(&[id], &mut found)).await?;
        }
        found.pop().flatten().ok_or(Error::TokenNotFound)
    }

    /// Reads a user's live token of a line.
    ///
    /// # Errors
    /// [`Error::QueueNotFound`], [`Error::TokenNotFound`], the database's.
    pub async fn token_of(&self, queue_id: &str, user: &str) -> Result<TokenView, Error> {
        let line = self.find_line(queue_id).await?;
        if let Some(view) = line.ask_about_user(user) {
            return Ok(view);
        }
        Box::pin(line.catch_up()).await?;
        line.ask_about_user(user).ok_or(Error::TokenNotFound)
    }

    /// Reads many tokens, in the order asked for: live ones and those that ended lately from memory; the
    /// rest, long ended or unknown, by one query. What memory knows is answered whatever becomes of that.
    pub async fn tokens(&self, ids: &[Uuid]) -> Vec<Seen> {
        let mut found = self.remembered(ids);
        let mut rest = Seen::Unknown;
        if found.iter().any(Option::is_none) {
            match tokio::time::timeout(PATIENCE, Box::pin(self.look_up(ids, &mut found))).await {
                Ok(Ok(())) => {}
                Ok(Err(error)) => {
                    tracing::debug!(%error, "tokens could not be looked up");
                    rest = Seen::NotNow;
                }
                Err(_late) => rest = Seen::NotNow,
            }
        }
        found.into_iter().map(|view| view.map_or_else(|| rest.clone(), Seen::Token)).collect()
    }

    /// Adds those to `found` that memory does not know and the database does.
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
                // Live, and not in memory: another replica wrote it a moment ago.
                let line = self.find_line(queue_id).await?;
                if line.ask_about(id).is_none() {
                    line.catch_up().await?;
                }
                match line.ask_about(id) {
                    Some(view) => Some(view),
                    // It ended in between.
                    None => self.ended_token(*id).await?,
                }
            } else {
                Some(TokenView::of_row(row.clone(), queue_id.as_str().into()))
            };
        }
        Ok(())
    }

    /// What memory knows of these. Tokens of one line that come one after the other share one look at its
    /// room.
    fn remembered(&self, ids: &[Uuid]) -> Vec<Option<TokenView>> {
        let lines = self.0.lines.read();
        let mut found = Vec::with_capacity(ids.len());
        for together in ids.chunk_by(|one, other| tag_of(one) == tag_of(other)) {
            match lines.tagged(&together[0]) {
                [line] => line.ask_about_all(together, &mut found),
                _ => found.extend(together.iter().map(|_| None)),
            }
        }
        for (id, view) in ids.iter().zip(&mut found).filter(|(_, view)| view.is_none()) {
            *view = lines.remembered(id);
        }
        found
    }

    async fn ended_token(&self, id: Uuid) -> Result<Option<TokenView>, Error> {
        let mut session = self.0.db.read().await?;
        let row = ended(&mut session, vec![id]).await?.remove(&id);
        Ok(row.map(|(queue_id, row)| TokenView::of_row(row, queue_id.into())))
    }

    /// Tells whether a token admits its bearer now. Memory may say yes; before anybody is refused for the
    /// token's status, or when the caller wants to be certain, memory is brought up to this moment first.
    ///
    /// # Errors
    /// [`Error::TokenNotFound`], [`Error::TokenWrongQueue`], [`Error::TokenWrongUser`],
    /// [`Error::TokenNotActive`], the database's.
    pub async fn verify(&self, claim: &Claim) -> Result<TokenView, Error> {
        let now = self.0.clock.now();
        let line = self.0.lines.read().with(&claim.token).cloned();
        if let Some(line) = line
            && let Some(view) = line.ask_about(&claim.token)
        {
            let verdict = judge(claim, view, now);
            if !claim.fresh && verdict.is_ok() {
                return verdict;
            }
            // These never change.
            if matches!(verdict, Err(Error::TokenWrongQueue | Error::TokenWrongUser)) {
                return verdict;
            }
            Box::pin(line.catch_up()).await?;
        }
        judge(claim, self.token(claim.token).await?, self.0.clock.now())
    }

    /// The line a token stands or stood in.
    async fn line_of(&self, id: &Uuid) -> Result<Arc<Line>, Error> {
        if let Some(line) = self.0.lines.read().with(id) {
            return Ok(Arc::clone(line));
        }
        let view = Box::pin(self.ended_token(*id)).await?.ok_or(Error::TokenNotFound)?;
        self.find_line(&view.queue_id).await
    }
}

fn token(answer: Answer) -> Result<(TokenView, bool), Error> {
    match answer {
        Answer::Token { view, created } => Ok((view, created)),
        Answer::Queue(_) => Err(Error::RequestIdReused),
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
        // The clock decides, not whether the timer has already been there.
        Status::Active if view.active_until.is_some_and(|until| until > now) => Ok(view),
        Status::Active => Err(Error::TokenNotActive(Status::Expired)),
        status @ (Status::Waiting | Status::Completed | Status::Expired | Status::Left) => {
            Err(Error::TokenNotActive(status))
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use chassis::{
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
        let room = WaitingRoom::open(db, Clock::system(), Retention::default()).await.unwrap();
        let claim = Claim { token: Uuid::nil(), queue_id: None, user: None, fresh: false };
        let sizes = [
            size_of_val(&room.join("default", "ann", 5, None)),
            size_of_val(&room.complete(Uuid::nil(), None)),
            size_of_val(&room.leave(Uuid::nil(), None)),
            size_of_val(&room.tokens(&[])),
            size_of_val(&room.token_of("default", "ann")),
            size_of_val(&room.verify(&claim)),
        ];
        assert!(sizes.iter().all(|size| *size < 2_048), "{sizes:?}");
        room.close().await;
        std::fs::remove_dir_all(folder).unwrap();
    }
}
