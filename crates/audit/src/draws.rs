//! What was drawn: that the order follows from the secret that was fixed before and from who took part, and
//! which ticket each of them has since.

use std::collections::HashMap;

use futures::TryStreamExt;
use uuid::Uuid;

use crate::{
    Error,
    draw::{self, Hash},
    report::{Law, Look},
    snapshot::{Row, Snapshot},
};

const DRAWS: &str = "SELECT queue.queue_id, drawn_after, drawn, draw_secret, root, seed, tokens \
                     FROM queue LEFT JOIN draw ON draw.queue_id = queue.queue_id WHERE opening = 2";

/// The tickets of a draw.
#[derive(Debug)]
pub(crate) struct Drawn {
    /// The last ticket before the draw.
    pub(crate) after: i64,
    /// The tokens by their numbers.
    pub(crate) order: Vec<Uuid>,
    tickets: HashMap<Uuid, i64>,
}

impl Drawn {
    /// The ticket that a token has since the draw.
    pub(crate) fn ticket(&self, token: &Uuid) -> Option<i64> {
        self.tickets.get(token).copied()
    }

    /// The token that has this ticket since the draw.
    pub(crate) fn token(&self, ticket: i64) -> Option<&Uuid> {
        self.order.get(usize::try_from(ticket - self.after - 1).ok()?)
    }
}

/// Judges every draw that was held; answers them by the id of the queue.
pub(crate) async fn judge(look: &mut Look, snapshot: &mut Snapshot) -> Result<HashMap<String, Drawn>, Error> {
    let mut rows = snapshot.rows(DRAWS);
    let mut all = HashMap::new();
    while let Some(row) = rows.try_next().await? {
        let name: String = row.get(0)?;
        match read(&row) {
            Ok(Some((drawn, wrong))) => {
                if let Some(wrong) = wrong {
                    differs(look, &name, wrong);
                }
                all.insert(name, drawn);
            }
            Ok(None) => {}
            Err(wrong) => differs(look, &name, wrong),
        }
    }
    Ok(all)
}

fn differs(look: &mut Look, name: &str, wrong: &str) {
    look.differs(Law::Draw, format!("the draw of {name} {wrong}"), vec![("line", name.to_owned())]);
}

/// A draw, and what is wrong with it; `None` when none was held yet.
fn read(row: &Row) -> Result<Option<(Drawn, Option<&'static str>)>, &'static str> {
    const UNREADABLE: &str = "cannot be read";
    let number = |column| row.get::<Option<i64>>(column).map_err(|_| UNREADABLE);
    let bytes = |column| row.get::<Option<Vec<u8>>>(column).map_err(|_| UNREADABLE);
    let (after, count) = (number(1)?, number(2)?);
    let (secret, root, seed, tokens) = (bytes(3)?, bytes(4)?, bytes(5)?, bytes(6)?);
    let (Some(after), Some(count)) = (after, count) else {
        return if tokens.is_some() { Err("was held, and the line is not open") } else { Ok(None) };
    };
    let (Some(secret), Some(root), Some(seed), Some(tokens)) = (secret, root, seed, tokens) else {
        return Err("was held, and is not there");
    };
    let order: Vec<Uuid> = tokens.as_chunks::<16>().0.iter().map(|bytes| Uuid::from_bytes(*bytes)).collect();
    let tickets: HashMap<Uuid, i64> = order.iter().copied().zip(after + 1..).collect();
    let lots: Vec<Hash> = order.iter().map(|token| draw::sha256(&[&seed, token.as_bytes()])).collect();
    let wrong = if i64::try_from(order.len()) != Ok(count) || tickets.len() != order.len() {
        Some("has more or fewer numbers than took part, or one twice")
    } else if draw::root(order.iter().map(|token| draw::sha256(&[token.as_bytes()])).collect())[..] != root {
        Some("has a root that is not that of who took part")
    } else if draw::sha256(&[&secret, &root])[..] != seed {
        Some("has a seed that does not follow from its secret and its root")
    } else if !lots.is_sorted() {
        Some("has another order than its seed gives")
    } else {
        None
    };
    Ok(Some((Drawn { after, order, tickets }, wrong)))
}
