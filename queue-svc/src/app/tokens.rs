//! Use cases of tokens: join, complete, leave, read, verify.

use std::{collections::HashMap, sync::Arc};

use chassis::idempotency::Key;
use uuid::Uuid;

use super::{
    WaitingRoom,
    line::{Answer, Line, ended},
};
use crate::{
    domain::{Command, Status, TokenView},
    error::Error,
};

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
    /// [`Error::QueueNotFound`], [`Error::QueueFull`], [`Error::RequestIdReused`], the writer's.
    pub async fn join(&self, queue_id: &str, user: &str, priority: u8, key: Option<Key>) -> Result<(TokenView, bool), Error> {
        let line = self.find_line(queue_id).await?;
        let command = Command::Join { token: Uuid::new_v4(), user: user.into(), priority };
        token(line.ask(command, key).await?)
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
        self.tokens(&[id]).await?.remove(&id).ok_or(Error::TokenNotFound)
    }

    /// Reads a user's live token of a line.
    ///
    /// # Errors
    /// [`Error::QueueNotFound`], [`Error::TokenNotFound`], the database's.
    pub async fn token_of(&self, queue_id: &str, user: &str) -> Result<TokenView, Error> {
        let line = self.find_line(queue_id).await?;
        if let Some(view) = view_of(&line, user) {
            return Ok(view);
        }
        line.catch_up().await?;
        view_of(&line, user).ok_or(Error::TokenNotFound)
    }

    /// Reads many tokens: live ones and those that ended lately from memory; the rest, long ended or unknown, by one query.
    ///
    /// # Errors
    /// The database's.
    pub async fn tokens(&self, ids: &[Uuid]) -> Result<HashMap<Uuid, TokenView>, Error> {
        let lines = self.lines();
        let mut found = HashMap::with_capacity(ids.len());
        let mut missing = ids.to_vec();
        remember(&lines, &mut missing, &mut found);
        if missing.is_empty() {
            return Ok(found);
        }
        let rows = {
            let mut session = self.0.db.read().await?;
            ended(&mut session, missing).await?
        };
        // Live, and not in memory: another replica wrote it a moment ago.
        let mut moved = Vec::new();
        for (id, (queue_id, row)) in rows {
            if row.status.is_live() {
                moved.push((queue_id, id));
            } else {
                found.insert(id, TokenView::of_row(row, queue_id.into()));
            }
        }
        for (queue_id, id) in moved {
            let line = self.find_line(&queue_id).await?;
            if line.view(&id).is_none() {
                line.catch_up().await?;
            }
            match line.view(&id) {
                Some(view) => found.insert(id, view),
                // It ended in between.
                None => self.ended_token(id).await?.and_then(|view| found.insert(id, view)),
            };
        }
        Ok(found)
    }

    async fn ended_token(&self, id: Uuid) -> Result<Option<TokenView>, Error> {
        let mut session = self.0.db.read().await?;
        let row = ended(&mut session, vec![id]).await?.remove(&id);
        Ok(row.map(|(queue_id, row)| TokenView::of_row(row, queue_id.into())))
    }

    /// Tells whether a token admits its bearer now. Memory may say yes; before anybody is refused for the token's status, or when
    /// the caller wants to be certain, memory is brought up to this moment first.
    ///
    /// # Errors
    /// [`Error::TokenNotFound`], [`Error::TokenWrongQueue`], [`Error::TokenWrongUser`], [`Error::TokenNotActive`], the database's.
    pub async fn verify(&self, claim: &Claim) -> Result<TokenView, Error> {
        let now = self.0.clock.now();
        let lines = self.lines();
        if let Some((line, view)) = lines.iter().find_map(|line| Some((line, line.view(&claim.token)?))) {
            let verdict = judge(claim, view, now);
            if !claim.fresh && verdict.is_ok() {
                return verdict;
            }
            // These never change.
            if matches!(verdict, Err(Error::TokenWrongQueue | Error::TokenWrongUser)) {
                return verdict;
            }
            line.catch_up().await?;
        }
        judge(claim, self.token(claim.token).await?, self.0.clock.now())
    }

    /// The line a token stands or stood in.
    async fn line_of(&self, id: &Uuid) -> Result<Arc<Line>, Error> {
        if let Some(line) = self.line_with(id) {
            return Ok(line);
        }
        let view = self.ended_token(*id).await?.ok_or(Error::TokenNotFound)?;
        self.find_line(&view.queue_id).await
    }

    /// The line in which a token is live, as far as memory knows.
    pub(super) fn line_with(&self, id: &Uuid) -> Option<Arc<Line>> {
        self.lines().into_iter().find(|line| line.read(|room| room.status(id).is_some()))
    }
}

fn token(answer: Answer) -> Result<(TokenView, bool), Error> {
    match answer {
        Answer::Token { view, created } => Ok((view, created)),
        Answer::Queue(_) => Err(Error::RequestIdReused),
    }
}

fn view_of(line: &Line, user: &str) -> Option<TokenView> {
    let now = line.clock.now();
    line.read(|room| room.view(&line.id, &room.token_of(user)?, now))
}

/// Moves those that memory has from `missing` to `found`; each room is locked once.
fn remember(lines: &[Arc<Line>], missing: &mut Vec<Uuid>, found: &mut HashMap<Uuid, TokenView>) {
    for line in lines {
        if missing.is_empty() {
            return;
        }
        let now = line.clock.now();
        line.read(|room| {
            missing.retain(|id| match room.view(&line.id, id, now).or_else(|| line.ended_view(id)) {
                Some(view) => {
                    found.insert(*id, view);
                    false
                }
                None => true,
            });
        });
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
        status @ (Status::Waiting | Status::Completed | Status::Expired | Status::Left) => Err(Error::TokenNotActive(status)),
    }
}
