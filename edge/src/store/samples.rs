//! What the edges have counted, and how lines and sales stood, in the last hour.

use chassis::{
    args,
    db::{self, Db, Error, Session, Sql},
    prune::{self, Forgetting, Portion},
};

use crate::domain::history::Sample;

/// The samples of all edges. Cheap to clone.
#[derive(Clone)]
pub(crate) struct SampleBook {
    db: Db,
}

/// When an edge has written its first and its latest sample.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct EdgeSpan {
    /// The name of the edge.
    pub(crate) name: String,
    /// The instant of its first sample of those that were asked for, in microseconds.
    pub(crate) since: i64,
    /// The instant of its latest one.
    pub(crate) latest_at: i64,
}

impl SampleBook {
    pub(crate) const fn new(db: Db) -> Self {
        Self { db }
    }

    /// Whether a source has written down a sample of this instant.
    pub(crate) async fn has(&self, source: &str, at: i64) -> Result<bool, Error> {
        const SQL: &str = "SELECT 1 AS one FROM sample WHERE source = $1 AND at = $2";
        Ok(self.db.read().await?.optional(SQL, args![source, at]).await?.is_some())
    }

    /// Writes samples down. Of two of one source and instant the first one stays.
    pub(crate) async fn add(&self, samples: &[Sample]) -> Result<(), Error> {
        const ADD: Sql = Sql {
            postgres: "INSERT INTO sample (source, at, figures) \
                       SELECT * FROM UNNEST($1::text[], $2::bigint[], $3::text[]) \
                       ON CONFLICT (source, at) DO NOTHING",
            sqlite: "INSERT INTO sample (source, at, figures) \
                     SELECT value ->> 0, value ->> 1, value ->> 2 FROM json_each($1) WHERE true \
                     ON CONFLICT (source, at) DO NOTHING",
        };
        if samples.is_empty() {
            return Ok(());
        }
        let rows = samples.iter().map(|Sample { source, at, figures }| {
            let figures = serde_json::to_string(figures).map_err(|error| Error::Other(error.into()))?;
            Ok(args![source, *at, figures])
        });
        let rows = rows.collect::<Result<_, Error>>()?;
        self.db.write(ADD, db::table(self.db.dialect(), rows)).await.map(drop)
    }

    /// The samples from an instant to another, by rising instants. What a newer release has written and this
    /// one cannot read is left out.
    pub(crate) async fn within(&self, from: i64, to: i64) -> Result<Vec<Sample>, Error> {
        const SQL: &str =
            "SELECT source, at, figures FROM sample WHERE at >= $1 AND at <= $2 ORDER BY at, source";
        let rows = self.db.read().await?.all(SQL, args![from, to]).await?;
        let samples = rows.iter().filter_map(|row| {
            let read = || -> Result<_, Error> {
                Ok((row.get("source")?, row.get("at")?, row.get::<String>("figures")?))
            };
            match read() {
                Ok((source, at, text)) => {
                    let figures = serde_json::from_str(&text).ok()?;
                    Some(Ok(Sample { source, at, figures }))
                }
                Err(error) => Some(Err(error)),
            }
        });
        samples.collect()
    }

    /// The edges that have written samples since an instant, by their names.
    pub(crate) async fn edges(&self, from: i64) -> Result<Vec<EdgeSpan>, Error> {
        const SQL: &str = "SELECT source, MIN(at) AS since, MAX(at) AS latest_at FROM sample \
                           WHERE at >= $1 AND source <> '' GROUP BY source ORDER BY source";
        let rows = self.db.read().await?.all(SQL, args![from]).await?;
        let span = |row: &db::Row| {
            Ok(EdgeSpan {
                name: row.get("source")?,
                since: row.get("since")?,
                latest_at: row.get("latest_at")?,
            })
        };
        rows.iter().map(span).collect()
    }
}

/// Removes samples, oldest first.
pub(crate) fn forget_samples(session: &mut Session, portion: Portion) -> Forgetting<'_> {
    const SQL: Sql = Sql {
        postgres: "DELETE FROM sample WHERE (source, at) IN (SELECT source, at FROM sample \
                   WHERE at >= $1 AND at < $2 ORDER BY at LIMIT $3 FOR UPDATE SKIP LOCKED) RETURNING at",
        sqlite: "DELETE FROM sample WHERE (source, at) IN (SELECT source, at FROM sample \
                 WHERE at >= $1 AND at < $2 ORDER BY at LIMIT $3) RETURNING at",
    };
    prune::by(session, SQL, portion)
}

#[cfg(test)]
mod tests {
    use chassis::{
        clock::Clock,
        prune::{Old, round},
        testing::databases,
    };

    use super::*;
    use crate::domain::history::{EdgeFigures, Figures, SaleFigures};

    const NOW: i64 = 1_764_000_000_000_000;
    const MINUTE: i64 = 60_000_000;

    fn sample(source: &str, at: i64, answers: u64) -> Sample {
        let within = vec![(0.0005, 1), (10.0, answers)];
        let figures = Figures::Edge(EdgeFigures { timed: 0, answers, refused: 0, within });
        Sample { source: source.to_owned(), at, figures }
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn the_first_sample_of_an_instant_stays_for_an_hour_and_what_is_unknown_is_passed_over() {
        for database in databases().await {
            let db = Db::open(&database.config, &chassis::migrations!()).await.unwrap();
            let book = SampleBook::new(db.clone());
            let (old, a, b) = (
                sample("a", NOW - 90 * MINUTE, 1),
                sample("a", NOW - MINUTE, 2),
                sample("b \"'\\ é", NOW - MINUTE, 3),
            );
            let sale = Figures::Sale(SaleFigures { parked: Some(1), ..SaleFigures::default() });
            let sale = Sample { source: String::new(), at: NOW, figures: sale };
            assert!(!book.has("", NOW).await.unwrap());
            book.add(&[]).await.unwrap();
            book.add(&[old.clone(), a.clone(), sale.clone()]).await.unwrap();
            book.add(&[b.clone(), sample("a", NOW - MINUTE, 99)]).await.unwrap();
            assert!(book.has("", NOW).await.unwrap() && !book.has("b", NOW).await.unwrap());
            let newer = "INSERT INTO sample (source, at, figures) VALUES ('c', $1, '{\"moon\": {}}')";
            db.write(newer, args![NOW]).await.unwrap();

            assert_eq!(book.within(0, NOW - 1).await.unwrap(), [old, a.clone(), b.clone()]);
            assert_eq!(book.within(NOW - MINUTE, NOW).await.unwrap(), [a.clone(), b.clone(), sale.clone()]);
            let span = |name: &str, since, latest_at| EdgeSpan { name: name.to_owned(), since, latest_at };
            let at = NOW - MINUTE;
            let all = book.edges(0).await.unwrap();
            assert_eq!(all[..2], [span("a", NOW - 90 * MINUTE, at), span(&b.source, at, at)]);
            assert_eq!(book.edges(at).await.unwrap()[0], span("a", at, at));

            let kept = Old::new("sample", std::time::Duration::from_secs(3_600), forget_samples);
            round(&db, &Clock::manual(NOW), &[kept]).await;
            assert_eq!(book.within(0, NOW).await.unwrap(), [a, b, sale]);
        }
    }
}
