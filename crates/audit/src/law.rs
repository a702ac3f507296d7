//! Laws that one query can judge: every row of its answer is a difference.

use futures::TryStreamExt;

use crate::{
    Error,
    report::{Law, Look},
    snapshot::{Snapshot, Sql},
};

/// A query that must find nothing.
pub(crate) struct Breaches {
    pub(crate) law: Law,
    /// The query. Its columns are texts: first the ids, in the order of `ids`, then what `what` mentions
    /// besides.
    pub(crate) sql: Sql,
    pub(crate) ids: &'static [&'static str],
    /// The sentence about a difference; `{0}`, `{1}` … stand for the columns.
    pub(crate) what: &'static str,
}

impl Breaches {
    /// Reports every row of the answer as a difference.
    pub(crate) async fn judge(&self, look: &mut Look, snapshot: &mut Snapshot) -> Result<(), Error> {
        let mut rows = snapshot.rows(self.sql);
        while let Some(row) = rows.try_next().await? {
            let mut what = self.what.to_owned();
            let mut ids = Vec::with_capacity(self.ids.len());
            for (column, name) in self.ids.iter().enumerate() {
                ids.push((*name, row.get::<Option<String>>(column)?.unwrap_or_default()));
            }
            // As many columns as the sentence names.
            for column in 0.. {
                let place = format!("{{{column}}}");
                if column >= self.ids.len() && !what.contains(&place) {
                    break;
                }
                what =
                    what.replace(&place, row.get::<Option<String>>(column)?.as_deref().unwrap_or("nothing"));
            }
            look.differs(self.law, what, ids);
        }
        Ok(())
    }
}
