//! What was drawn: that the order follows from the secret that was fixed before, from who took part, and from
//! the beacon that was announced, and which ticket each of them has since.

use std::collections::HashMap;

use futures::TryStreamExt;
use uuid::Uuid;

use crate::{
    Error,
    beacon::Chain,
    draw::{self, Hash},
    report::{Law, Look},
    snapshot::{Row, Snapshot, Sql},
};

/// A row if draws may have a beacon.
const HAS_BEACONS: Sql = Sql {
    postgres: "SELECT 1 WHERE to_regclass('draw_entry') IS NOT NULL",
    sqlite: "SELECT 1 FROM sqlite_master WHERE type = 'table' AND name = 'draw_entry'",
};
/// The draws of a database that knows no beacons yet.
const WITHOUT_BEACONS: &str = "SELECT queue.queue_id, drawn_after, drawn, draw_secret, root, seed, draw.tokens, opens_at, CAST(NULL AS TEXT), \
                     CAST(NULL AS BYTEA), CAST(NULL AS BIGINT), CAST(NULL AS BIGINT), CAST(NULL AS BYTEA), FALSE, CAST(NULL AS BYTEA) \
                     FROM queue LEFT JOIN draw ON draw.queue_id = queue.queue_id WHERE opening = 2";
const DRAWS: &str = "SELECT queue.queue_id, drawn_after, drawn, draw_secret, root, seed, draw.tokens, opens_at, beacon_chain, \
                     beacon_signature, entrants_after, entrants, entrants_root, without_beacon, draw_entry.tokens \
                     FROM queue LEFT JOIN draw ON draw.queue_id = queue.queue_id \
                     LEFT JOIN draw_entry ON draw_entry.queue_id = queue.queue_id WHERE opening = 2";

/// The tickets of a draw.
#[derive(Debug)]
pub(crate) struct Drawn {
    /// The last ticket before the draw.
    pub(crate) after: i64,
    /// The tokens by their numbers.
    pub(crate) order: Vec<Uuid>,
    /// Whether it waited for a beacon after it was fixed who takes part.
    pub(crate) waited: bool,
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
    let draws = if snapshot.has(HAS_BEACONS).await? { DRAWS } else { WITHOUT_BEACONS };
    let mut rows = snapshot.rows(draws);
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

const UNREADABLE: &str = "cannot be read";

/// A draw, and what is wrong with it; `None` when none was held yet.
fn read(row: &Row) -> Result<Option<(Drawn, Option<&'static str>)>, &'static str> {
    let number = |column| row.get::<Option<i64>>(column).map_err(|_| UNREADABLE);
    let bytes = |column| row.get::<Option<Vec<u8>>>(column).map_err(|_| UNREADABLE);
    let announced = Announced::read(row)?;
    let (after, count) = (number(1)?, number(2)?);
    let (secret, root, seed, tokens) = (bytes(3)?, bytes(4)?, bytes(5)?, bytes(6)?);
    let (Some(after), Some(count)) = (after, count) else {
        return match announced {
            _ if tokens.is_some() => Err("was held, and the line is not open"),
            Some(announced) => announced.waits(bytes(14)?.as_deref()).map(|()| None),
            None => Ok(None),
        };
    };
    let (Some(secret), Some(root), Some(seed), Some(tokens)) = (secret, root, seed, tokens) else {
        return Err("was held, and is not there");
    };
    let order = uuids(&tokens);
    let tickets: HashMap<Uuid, i64> = order.iter().copied().zip(after + 1..).collect();
    let lots: Vec<Hash> = order.iter().map(|token| draw::sha256(&[&seed, token.as_bytes()])).collect();
    let beacon = announced.as_ref().map_or(Ok(Vec::new()), Announced::randomness);
    let (beacon, other) = match beacon {
        Ok(beacon) => (beacon, None),
        Err(wrong) => (Vec::new(), Some(wrong)),
    };
    let fixed = announced.as_ref().map(|announced| announced.entered.clone());
    let wrong = if i64::try_from(order.len()) != Ok(count) || tickets.len() != order.len() {
        Some("has more or fewer numbers than took part, or one twice")
    } else if root_of(&order)[..] != root {
        Some("has a root that is not that of who took part")
    } else if fixed.is_some_and(|fixed| fixed != Some((after, count, root.clone()))) {
        Some("is not among those whose root was told at the opening")
    } else if other.is_some() {
        other
    } else if draw::sha256(&[&secret, &root, &beacon])[..] != seed {
        Some("has a seed that does not follow from its secret, its root and its beacon")
    } else if !lots.is_sorted() {
        Some("has another order than its seed gives")
    } else {
        None
    };
    Ok(Some((Drawn { after, order, waited: announced.is_some(), tickets }, wrong)))
}

fn uuids(tokens: &[u8]) -> Vec<Uuid> {
    tokens.as_chunks::<16>().0.iter().map(|bytes| Uuid::from_bytes(*bytes)).collect()
}

fn root_of(tokens: &[Uuid]) -> Hash {
    draw::root(tokens.iter().map(|token| draw::sha256(&[token.as_bytes()])).collect())
}

/// The beacon that was announced with a draw, and what became of it.
struct Announced {
    chain: Chain,
    opens_at: i64,
    /// The signature that the draw was held with.
    signature: Option<Vec<u8>>,
    /// The last ticket before those who take part, how many they are, and their root.
    entered: Option<(i64, i64, Vec<u8>)>,
    /// Whether an operator had it held without.
    without: bool,
}

impl Announced {
    fn read(row: &Row) -> Result<Option<Self>, &'static str> {
        let number = |column| row.get::<Option<i64>>(column).map_err(|_| UNREADABLE);
        let bytes = |column| row.get::<Option<Vec<u8>>>(column).map_err(|_| UNREADABLE);
        let Some(info) = row.get::<Option<String>>(8).map_err(|_| UNREADABLE)? else { return Ok(None) };
        let counts = number(10)?.zip(number(11)?).zip(bytes(12)?);
        Ok(Some(Self {
            chain: chain(&info).ok_or("has a beacon of no chain")?,
            opens_at: number(7)?.ok_or("has a beacon and no instant")?,
            signature: bytes(9)?,
            entered: counts.map(|((after, count), root)| (after, count, root)),
            without: row.get(13).map_err(|_| UNREADABLE)?,
        }))
    }

    /// What the beacon put into the seed of a draw that was held.
    fn randomness(&self) -> Result<Vec<u8>, &'static str> {
        let signature = self.signature.as_deref().ok_or("was held before its beacon")?;
        if signature.is_empty() {
            return if self.without {
                Ok(Vec::new())
            } else {
                Err("was held without the beacon that was announced")
            };
        }
        let round = self.chain.round_of(self.opens_at);
        if self.chain.has_signed(round, signature) {
            Ok(draw::sha256(&[signature]).to_vec())
        } else {
            Err("has a beacon that is not of the round that was announced")
        }
    }

    /// Judges a draw that was not held yet.
    fn waits(&self, tokens: Option<&[u8]>) -> Result<(), &'static str> {
        match (&self.entered, tokens) {
            (None, None) => Ok(()),
            (Some((_, count, root)), Some(tokens))
                if root_of(&uuids(tokens))[..] == root[..]
                    && i64::try_from(tokens.len() / 16) == Ok(*count) =>
            {
                Ok(())
            }
            _ => Err("waits, and is not among those whose root was told at the opening"),
        }
    }
}

/// Reads a chain's info as it is kept.
fn chain(info: &str) -> Option<Chain> {
    let info: serde_json::Value = serde_json::from_str(info).ok()?;
    let bytes = |name: &str| {
        let hex = info[name].as_str()?.as_bytes();
        let pairs = hex.chunks(2).map(|pair| u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok());
        pairs.collect::<Option<Vec<u8>>>()
    };
    Some(Chain {
        public_key: bytes("public_key")?,
        period: u32::try_from(info["period"].as_u64().filter(|period| *period > 0)?).ok()?,
        genesis: info["genesis_time"].as_i64()?,
        group_hash: bytes("groupHash")?,
        id: info["metadata"]["beaconID"].as_str()?.to_owned(),
    })
}
