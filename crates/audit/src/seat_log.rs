//! The log of the seats: version by version it leads to what the rows of the seats say (I-SEAT-FOLLOWED).
//!
//! The log reaches back some minutes. What is older is forgotten, oldest first by its time, and two versions
//! that follow each other may have been written by clocks that differ. So a version may be missing at the old
//! end of the log, and nowhere else. A row that somebody took since the log reaches back is in the log.

use std::collections::BTreeMap;

use futures::TryStreamExt;

use crate::{
    Error,
    report::{Law, Look},
    seats::SLACK,
    snapshot::{Row, Snapshot, Sql},
};

/// How long the log is kept at least, in microseconds.
const KEPT: i64 = 600_000_000;
/// When a seat is free that nobody has.
const AT_ONCE: i64 = 0;

/// A row if the changes of seats are logged.
const IS_KEPT: Sql = Sql {
    postgres: "SELECT 1 WHERE to_regclass('seat_change') IS NOT NULL",
    sqlite: "SELECT 1 FROM sqlite_master WHERE type = 'table' AND name = 'seat_change'",
};
const OLDEST: &str = "SELECT MIN(changed_at) FROM seat_change";
/// Show by show: its version (0), the log (1) by version, and the rows (2) by seat, each with the instant
/// from which it is free and when its hold was made.
const LOGGED: &str = "SELECT show_id, CAST(0 AS BIGINT), version, CAST(NULL AS TEXT), CAST(NULL AS BIGINT), CAST(NULL AS BIGINT) \
     FROM seat_version \
     UNION ALL SELECT show_id, 1, version, seats, changed_at, NULL FROM seat_change \
     UNION ALL SELECT s.show_id, 2, s.seat_number, NULL, \
     CASE WHEN s.hold_id IS NULL THEN 0 WHEN s.sold THEN 9223372036854775807 ELSE s.held_until END, h.held_at \
     FROM seat s LEFT JOIN hold h ON h.reservation_id = s.hold_id ORDER BY 1, 2, 3";

/// The progress through one show.
#[derive(Debug)]
struct ShowLog {
    show: i64,
    version: i64,
    /// The newest change so far: its version, and when it was written.
    newest: Option<(i64, i64)>,
    /// From when on each seat is free that the log names; `None` where that may have changed since, in a
    /// version that is forgotten.
    told: BTreeMap<i64, Option<i64>>,
    is_read: bool,
}

/// How far the log reaches back.
#[derive(Clone, Copy, Debug)]
struct Reach {
    /// When the oldest change of all that are kept was written.
    oldest: i64,
    /// Whether older ones may be forgotten.
    is_cut: bool,
}

pub(crate) async fn judge(look: &mut Look, booking: &mut Snapshot, now: i64) -> Result<(), Error> {
    if !booking.has(IS_KEPT).await? {
        return Ok(());
    }
    // Where nothing was ever logged, no program that knows the log has changed a seat lately.
    let Some(oldest) = booking.one(OLDEST).await?.get::<Option<i64>>(0)? else { return Ok(()) };
    let reach = Reach { oldest, is_cut: oldest < now.saturating_sub(KEPT).saturating_add(SLACK) };
    let mut rows = booking.rows(LOGGED);
    let mut log: Option<ShowLog> = None;
    while let Some(row) = rows.try_next().await? {
        let show: i64 = row.get(0)?;
        if log.as_ref().is_none_or(|log| log.show != show) {
            log.take().into_iter().for_each(|log| log.close(look, reach));
            log = Some(ShowLog::new(show));
        }
        if let Some(log) = &mut log {
            log.add(look, reach, &row)?;
        }
    }
    log.into_iter().for_each(|log| log.close(look, reach));
    Ok(())
}

impl ShowLog {
    const fn new(show: i64) -> Self {
        Self { show, version: 0, newest: None, told: BTreeMap::new(), is_read: false }
    }

    fn add(&mut self, look: &mut Look, reach: Reach, row: &Row) -> Result<(), Error> {
        let (kind, number): (i64, i64) = (row.get(1)?, row.get(2)?);
        match kind {
            0 => self.version = number,
            1 => {
                let (seats, at): (String, i64) = (row.get(3)?, row.get(4)?);
                self.changed(look, reach, number, &seats, at);
            }
            _ => {
                self.end(look, reach);
                let (free_from, held_at): (i64, Option<i64>) = (row.get(4)?, row.get(5)?);
                self.stands(look, reach, number, free_from, held_at);
            }
        }
        Ok(())
    }

    /// The next change of the log.
    fn changed(&mut self, look: &mut Look, reach: Reach, version: i64, seats: &str, at: i64) {
        if let Some((before, before_at)) = self.newest {
            if before == version {
                let what = format!("version {version} of the seats of show {} was written twice", self.show);
                self.differs(look, version, what);
            } else if before + 1 != version {
                self.misses(look, reach, before, before_at);
            }
        }
        match serde_json::from_str::<Vec<(i64, i64)>>(seats) {
            Ok(seats) => self.told.extend(seats.into_iter().map(|(seat, from)| (seat, Some(from)))),
            Err(_) => {
                let what = format!("version {version} of the seats of show {} tells {seats}", self.show);
                self.differs(look, version, what);
            }
        }
        self.newest = Some((version, at));
    }

    /// The version that follows this one is not there. What it has changed is not known.
    fn misses(&mut self, look: &mut Look, reach: Reach, before: i64, at: i64) {
        let may_be_forgotten = reach.is_cut && at <= reach.oldest.saturating_add(SLACK);
        if !may_be_forgotten {
            let missing = before + 1;
            let what = format!("version {missing} of the seats of show {} was never written down", self.show);
            self.differs(look, missing, what);
        }
        self.told.values_mut().for_each(|told| *told = None);
    }

    /// The log of the show is read.
    fn end(&mut self, look: &mut Look, reach: Reach) {
        if std::mem::replace(&mut self.is_read, true) {
            return;
        }
        match self.newest {
            Some((newest, at)) if newest < self.version => self.misses(look, reach, newest, at),
            Some((newest, _)) if newest > self.version => {
                let what = format!(
                    "the seats of show {} are at {}, and their log at {newest}",
                    self.show, self.version
                );
                self.differs(look, self.version, what);
            }
            Some(_) | None => {}
        }
    }

    /// The row of a seat.
    fn stands(&mut self, look: &mut Look, reach: Reach, seat: i64, free_from: i64, held_at: Option<i64>) {
        match self.told.remove(&seat) {
            Some(Some(told)) if told != free_from => self.disagrees(look, seat, told, free_from),
            None if free_from != AT_ONCE && held_at.is_some_and(|held_at| held_at >= reach.oldest) => {
                let what = format!(
                    "seat {seat} of show {} is {}, and the log does not know",
                    self.show,
                    spelled(free_from)
                );
                look.differs(Law::SeatFollowed, what, self.ids("seat", seat));
            }
            Some(_) | None => {}
        }
    }

    /// What is told of seats that have no row: they are free.
    fn close(mut self, look: &mut Look, reach: Reach) {
        self.end(look, reach);
        for (seat, told) in std::mem::take(&mut self.told) {
            if let Some(told) = told.filter(|told| *told != AT_ONCE) {
                self.disagrees(look, seat, told, AT_ONCE);
            }
        }
    }

    fn disagrees(&self, look: &mut Look, seat: i64, told: i64, free_from: i64) {
        let what = format!(
            "seat {seat} of show {} is {}, and {} by the log",
            self.show,
            spelled(free_from),
            spelled(told)
        );
        look.differs(Law::SeatFollowed, what, self.ids("seat", seat));
    }

    fn differs(&self, look: &mut Look, version: i64, what: String) {
        look.differs(Law::SeatFollowed, what, self.ids("version", version));
    }

    fn ids(&self, name: &'static str, number: i64) -> Vec<(&'static str, String)> {
        vec![("show", self.show.to_string()), (name, number.to_string())]
    }
}

fn spelled(free_from: i64) -> String {
    match free_from {
        AT_ONCE => "free".to_owned(),
        i64::MAX => "sold".to_owned(),
        until => format!("held until {until}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::Difference;

    const WHOLE: Reach = Reach { oldest: 0, is_cut: false };
    const SOLD: i64 = i64::MAX;

    /// What is found in a show at a version, with this log and these rows.
    fn found(
        reach: Reach,
        version: i64,
        log: &[(i64, &str, i64)],
        rows: &[(i64, i64, Option<i64>)],
    ) -> Vec<String> {
        let (mut look, mut show) = (Look::new(None), ShowLog { version, ..ShowLog::new(7) });
        for (version, seats, at) in log {
            show.changed(&mut look, reach, *version, seats, *at);
        }
        show.end(&mut look, reach);
        for (seat, free_from, held_at) in rows {
            show.stands(&mut look, reach, *seat, *free_from, *held_at);
        }
        show.close(&mut look, reach);
        let ids =
            |one: Difference| one.ids.iter().map(|(name, id)| format!("{name}={id}")).collect::<Vec<_>>();
        look.conclude().differences.into_iter().map(|one| ids(one).join(" ")).collect()
    }

    #[test]
    fn the_last_that_the_log_says_of_a_seat_is_what_its_row_says() {
        let log = [(1, "[[1,50],[2,50]]", 5), (2, "[[1,9223372036854775807]]", 6), (3, "[[2,0]]", 7)];
        assert_eq!(found(WHOLE, 3, &log, &[(1, SOLD, Some(5)), (2, 0, None)]), [] as [&str; 0]);
        assert_eq!(found(WHOLE, 3, &log, &[(1, SOLD, Some(5))]), [] as [&str; 0], "a free seat needs no row");
        assert_eq!(found(WHOLE, 3, &log, &[(1, 50, Some(5)), (2, 0, None)]), ["show=7 seat=1"]);
        assert_eq!(found(WHOLE, 3, &log, &[(2, 0, None)]), ["show=7 seat=1"]);
        let more = [(1, SOLD, Some(5)), (4, 60, Some(8))];
        assert_eq!(found(WHOLE, 3, &log, &more), ["show=7 seat=4"], "taken, and not written down");
        let older = [(1, SOLD, Some(5)), (4, 60, Some(-1)), (5, SOLD, None)];
        assert_eq!(found(WHOLE, 3, &log, &older), [] as [&str; 0], "taken before there was a log");
        assert_eq!(found(WHOLE, 1, &[(1, "nonsense", 5)], &[]), ["show=7 version=1"]);
    }

    #[test]
    fn versions_follow_each_other_to_the_newest_and_each_is_there_once() {
        let log = |versions: &[i64]| versions.iter().map(|one| (*one, "[[1,0]]", 5)).collect::<Vec<_>>();
        assert_eq!(found(WHOLE, 4, &log(&[3, 4]), &[]), [] as [&str; 0], "the first ones may be forgotten");
        assert_eq!(found(WHOLE, 4, &log(&[2, 4]), &[]), ["show=7 version=3"]);
        assert_eq!(found(WHOLE, 4, &log(&[3]), &[]), ["show=7 version=4"]);
        assert_eq!(found(WHOLE, 3, &log(&[3, 4]), &[]), ["show=7 version=3"]);
        assert_eq!(found(WHOLE, 3, &log(&[2, 3, 3]), &[]), ["show=7 version=3"]);
        assert_eq!(found(WHOLE, 9, &[], &[]), [] as [&str; 0]);
    }

    /// What the pruner has taken of two versions whose clocks differed is no fault, and says nothing of rows.
    #[test]
    fn at_its_old_end_a_version_may_be_missing() {
        let cut = Reach { oldest: 5, is_cut: true };
        let log = [(3, "[[1,50]]", 6), (5, "[[2,50]]", SLACK + 6), (6, "[[3,50]]", SLACK + 6)];
        let rows = [(1, SOLD, Some(6)), (2, 50, Some(SLACK + 6)), (3, 50, Some(SLACK + 6))];
        assert_eq!(found(cut, 6, &log, &rows), [] as [&str; 0]);
        assert_eq!(found(cut, 7, &log, &rows), ["show=7 version=7"], "it is too young to be forgotten");
        assert_eq!(found(Reach { is_cut: false, ..cut }, 6, &log, &rows), ["show=7 version=4"]);
    }
}
