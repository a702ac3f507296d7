//! Changes that may move a show, from before booking is asked until it is told whether it moved.

use chassis::{
    args,
    db::{Error, Row, Sql},
};
use serde_json::Value;
use uuid::Uuid;

use super::{events::queue_of_show, journal::Journal};

/// A change that may move a show.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Move {
    /// Its id, which becomes that of the event.
    pub(crate) move_id: Uuid,
    /// The number of the show.
    pub(crate) show_id: i64,
    /// When the show was to begin before, in microseconds.
    pub(crate) starts_at: i64,
}

impl Journal {
    /// Writes a change down before it is made. From `due_at` on any replica may finish it.
    pub(crate) async fn watch_move(&self, watched: &Move, due_at: i64) -> Result<(), Error> {
        const SQL: &str =
            "INSERT INTO show_move (move_id, show_id, starts_at, due_at) VALUES ($1, $2, $3, $4)";
        let Move { move_id, show_id, starts_at } = *watched;
        self.db.write(SQL, args![move_id, show_id, starts_at, due_at]).await.map(drop)
    }

    /// Removes a change, once, with the event that tells it, where there is one to tell.
    pub(crate) async fn finish_move(
        &self,
        watched: &Move,
        event: Option<&Value>,
        now: i64,
    ) -> Result<(), Error> {
        const SQL: &str = "DELETE FROM show_move WHERE move_id = $1";
        let finish = async || {
            let mut session = self.db.begin().await?;
            let is_ours = session.execute(SQL, args![watched.move_id]).await? > 0;
            if let Some(event) = event.filter(|_| is_ours) {
                queue_of_show(&mut session, watched.show_id, event, now).await?;
            }
            session.commit().await
        };
        self.db.transact("finish_move", finish).await
    }

    /// Changes that nobody finished in time; they are due again at `due_at`.
    pub(crate) async fn take_over_moves(
        &self,
        now: i64,
        due_at: i64,
        limit: i64,
    ) -> Result<Vec<Move>, Error> {
        const DUE: &str = "SELECT 1 AS one FROM show_move WHERE due_at < $1 LIMIT 1";
        const TAKE: Sql = Sql {
            postgres: "UPDATE show_move SET due_at = $2 WHERE move_id = ANY(ARRAY(SELECT move_id FROM show_move \
                       WHERE due_at < $1 ORDER BY due_at LIMIT $3 FOR UPDATE SKIP LOCKED)) \
                       RETURNING move_id, show_id, starts_at",
            sqlite: "UPDATE show_move SET due_at = $2 WHERE move_id IN (SELECT move_id FROM show_move \
                     WHERE due_at < $1 ORDER BY due_at LIMIT $3) RETURNING move_id, show_id, starts_at",
        };
        if self.db.read().await?.optional(DUE, args![now]).await?.is_none() {
            return Ok(Vec::new());
        }
        let mut session = self.db.begin().await?;
        let taken = session.all(TAKE, args![now, due_at, limit]).await?;
        session.commit().await?;
        taken.iter().map(read).collect()
    }
}

fn read(row: &Row) -> Result<Move, Error> {
    Ok(Move { move_id: row.get("move_id")?, show_id: row.get("show_id")?, starts_at: row.get("starts_at")? })
}
