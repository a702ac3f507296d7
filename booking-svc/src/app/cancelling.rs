//! Calling a show off: the mark, the holds that end with it, and the end when its sales are refunded
//! (I-CALLED-OFF). The edge refunds them, and asks here for each step as often as it takes.

use super::{App, coalesced::FRESH};
use crate::{
    domain::{Hold, HoldEvent, Refusal, Release, Show, Standing, hold::Change},
    error::Error,
    store::{cancelling, changes, events, holds, mending, seats},
};

/// The most holds that one transaction ends, so few that requests hardly wait for their rows.
const BATCH: i64 = 500;

impl App {
    /// Calls a show off, if nobody has, and ends its holds. Answers the show as it is then, and how many
    /// sales of it are left.
    ///
    /// # Errors
    /// `ShowNotFound`, or a failure of the database; then some of it may be done, and asking again does the
    /// rest.
    #[tracing::instrument(level = "debug", skip_all, fields(show_id))]
    pub async fn cancel_show(&self, show_id: i64) -> Result<(Show, i64), Error> {
        let concert_id = self.show(show_id).await?.concert_id;
        let _touches = (self.memory.shows.touch(show_id), self.memory.touch(show_id, concert_id));
        let mark = async || {
            let mut session = self.db.begin().await?;
            let found = mending::lock_show(&mut session, show_id).await?;
            let before = found.ok_or(Refusal::ShowNotFound)?;
            if before.is_called_off() {
                session.rollback().await;
                return Ok(before);
            }
            cancelling::call_off(&mut session, show_id, self.clock.now()).await?;
            session.commit().await?;
            Ok::<_, Error>(Show { standing: Standing::Cancelling, ..before })
        };
        let show = self.db.transact("call_off", mark).await?;
        if show.standing == Standing::Cancelling {
            // Until every replica has forgotten the show as it was, no seat of it comes free: a map that
            // knew of the seat and not of the mark would offer it.
            tokio::time::sleep(FRESH).await;
        }
        // The holds are locked after the commit, so that whoever sells one of them meets the mark, or is
        // found among the sales.
        while cancelling::any_open(&mut self.db.read().await?, show_id).await? {
            self.db.transact("end_holds", || self.end_holds(show_id)).await?;
        }
        let left = cancelling::sales_left(&mut self.db.read().await?, show_id).await?;
        Ok((show, left))
    }

    async fn end_holds(&self, show_id: i64) -> Result<(), Error> {
        let mut session = self.db.begin().await?;
        let open = cancelling::lock_open(&mut session, show_id, BATCH).await?;
        let now = self.clock.now();
        let seats_of = |hold: &Hold| {
            let id = hold.reservation_id;
            hold.seats.iter().map(move |seat| ((show_id, *seat), id)).collect::<Vec<_>>()
        };
        let freed: Vec<_> = open.iter().flat_map(seats_of).collect();
        let freed = seats::free(&mut session, &freed).await?;
        let ended: Vec<_> = open.into_iter().map(|hold| hold.apply(Change::Cancel, now)).collect();
        holds::write(&mut session, &ended, now).await?;
        if self.taker.is_there() {
            let released = |hold: &Hold| HoldEvent::released(hold.reservation_id, Release::ShowCancelled);
            let told: Vec<_> = ended.iter().map(released).collect();
            events::record(&mut session, &told, now).await?;
        }
        changes::record(&mut session, &changes::freed(freed), now).await?;
        session.commit().await?;
        Ok(())
    }

    /// Ends the calling off of a show whose sales are all taken back; any other show stays as it is.
    ///
    /// # Errors
    /// `ShowNotFound`, or a failure of the database.
    #[tracing::instrument(level = "debug", skip_all, fields(show_id))]
    pub async fn finish_cancelling(&self, show_id: i64) -> Result<Show, Error> {
        let _touch = self.memory.shows.touch(show_id);
        let finish = async || {
            let mut session = self.db.begin().await?;
            let found = mending::lock_show(&mut session, show_id).await?;
            let show = found.ok_or(Refusal::ShowNotFound)?;
            let is_through = cancelling::sales_left(&mut session, show_id).await? == 0
                && !cancelling::any_open(&mut session, show_id).await?;
            if show.standing != Standing::Cancelling || !is_through {
                session.rollback().await;
                return Ok(show);
            }
            cancelling::finish(&mut session, show_id, self.clock.now()).await?;
            session.commit().await?;
            Ok::<_, Error>(Show { standing: Standing::Cancelled, ..show })
        };
        self.db.transact("finish_cancelling", finish).await
    }
}
