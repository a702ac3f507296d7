//! The use cases of queues: create, update, read and list.

use chassis::idempotency::{self, Key};
use rand::{TryRngCore as _, rngs::OsRng};

use super::{Queues, batch::Recorded, queue::Reply};
use crate::{
    domain::{Command, DrawSecret, DrawSetting, Opening, PolicyPatch, QueuePolicy, QueueRow, QueueView},
    error::Error,
    store,
};

/// The last queue of a page: when it was created, and its id.
pub type Cursor = (i64, String);

/// The cursor after which the page that follows this queue begins.
#[must_use]
pub fn place(queue: &QueueView) -> Cursor {
    (queue.created_at, queue.queue_id.clone())
}

/// The secret of a draw, from the operating system, so that nobody can have guessed it.
fn secret() -> Result<DrawSecret, Error> {
    let mut secret = DrawSecret { secret: [0; 32], token_key: [0; 32] };
    for bytes in [&mut secret.secret, &mut secret.token_key] {
        OsRng.try_fill_bytes(bytes).map_err(|error| Error::Internal(error.to_string()))?;
    }
    Ok(secret)
}

impl Queues {
    /// Creates a queue, or finds the one that exists with this very policy.
    ///
    /// # Errors
    /// [`Error::PolicyDiffers`], [`Error::Policy`], [`Error::RequestIdReused`], or the database failed.
    pub async fn create_queue(
        &self,
        queue_id: &str,
        policy: QueuePolicy,
        key: Option<Key>,
    ) -> Result<QueueView, Error> {
        let (policy, key) = (&policy, key.as_ref());
        let setting = &self.setting(policy.opening).await?;
        let db = &self.0.db;
        let recalled =
            db.transact("create_queue", || self.try_create(queue_id, policy, setting, key)).await?;
        // A replay needs this too, since another replica may have created the queue.
        let queue = self.find_queue(queue_id).await?;
        match recalled {
            Some(view) => Ok(view.at_present(queue.queue_view())),
            None => Ok(queue.queue_view()),
        }
    }

    async fn try_create(
        &self,
        queue_id: &str,
        policy: &QueuePolicy,
        setting: &DrawSetting,
        key: Option<&Key>,
    ) -> Result<Option<QueueView>, Error> {
        let mut session = self.0.db.begin().await?;
        if let Some(key) = key
            && let Some(Recorded::Queue(view)) = idempotency::recall(&mut session, key).await?
        {
            return Ok(Some(view));
        }
        let now = self.0.clock.now();
        let mut head = QueueRow::new(QueuePolicy::default(), now);
        head.set_policy(policy.clone(), setting).map_err(Error::Policy)?;
        if !store::queue::insert(&mut session, queue_id, &head).await? {
            let there = store::queue::read(&mut session, queue_id).await?;
            // As it is kept, which may be otherwise than it was sent.
            if there.is_some_and(|there| there.policy != head.policy) {
                return Err(Error::PolicyDiffers);
            }
        }
        if let Some(key) = key {
            let view = crate::domain::QueueState::new(head).queue_view(queue_id);
            idempotency::record(&mut session, key, &Recorded::Queue(view), now).await?;
        }
        session.commit().await?;
        Ok(None)
    }

    /// What a draw begins with that is set now.
    async fn setting(&self, opening: Opening) -> Result<DrawSetting, Error> {
        let chain = match opening {
            Opening::Draw => self.chain().await,
            Opening::Fifo => Ok(None),
        };
        Ok(DrawSetting { secret: secret()?, chain })
    }

    /// Creates the queue that always exists, with this policy; one that exists is left as it is.
    ///
    /// # Errors
    /// The database failed.
    pub async fn ensure_queue(&self, queue_id: &str, policy: QueuePolicy) -> Result<(), Error> {
        match self.create_queue(queue_id, policy, None).await {
            Ok(_) | Err(Error::PolicyDiffers) => self.find_queue(queue_id).await.map(drop),
            Err(error) => Err(error),
        }
    }

    /// Changes a queue's policy. Tokens that the new policy admits are admitted in the same transaction.
    ///
    /// # Errors
    /// [`Error::QueueNotFound`], [`Error::Policy`], [`Error::RequestIdReused`], or the batch failed.
    pub async fn update_queue(
        &self,
        queue_id: &str,
        patch: PolicyPatch,
        key: Option<Key>,
    ) -> Result<QueueView, Error> {
        let setting = self.setting(patch.opening.unwrap_or_default()).await?;
        let command = Command::SetPolicy(patch, setting);
        match self.find_queue(queue_id).await?.ask(command, key).await? {
            Reply::Queue(view) => Ok(view),
            Reply::Token { .. } => Err(Error::RequestIdReused),
        }
    }

    /// Reads a queue.
    ///
    /// # Errors
    /// [`Error::QueueNotFound`], or the database failed.
    pub async fn queue(&self, queue_id: &str) -> Result<QueueView, Error> {
        Ok(self.find_queue(queue_id).await?.queue_view())
    }

    /// At most `limit` queues after a cursor, newest first.
    ///
    /// # Errors
    /// The database failed.
    pub async fn list_queues(&self, after: Option<&Cursor>, limit: usize) -> Result<Vec<QueueView>, Error> {
        self.sync().await?;
        let mut views: Vec<_> = self.0.open.read().all().map(|queue| queue.queue_view()).collect();
        if let Some(after) = after {
            views.retain(|view| place(view) < *after);
        }
        views.sort_unstable_by_key(|view| std::cmp::Reverse(place(view)));
        views.truncate(limit);
        Ok(views)
    }
}
