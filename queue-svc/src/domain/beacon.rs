//! The beacon of a draw: a round of a public randomness network (drand), which nobody can know before its
//! time, the operator included.
//!
//! A chain of that network is known by its hash, and everything that is needed to judge its rounds follows
//! from what the hash commits to: the key, and when each round is. So whoever brings a chain's info or a
//! round is not believed, only checked. `docs/draw.md` says how.

use std::sync::Arc;

use drand_verify::{G2PubkeyRfc, Pubkey as _};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::{Hash, SECOND};

/// The one scheme whose rounds are checked: unchained, with signatures on G1 as RFC 9380 hashes to it. What
/// is signed is the number of the round and nothing else.
pub const SCHEME: &str = "bls-unchained-g1-rfc9380";
/// How much later than the opening the round is at least, in microseconds: who takes part is fixed and told
/// before anybody can know it, though clocks are a second apart and it takes a moment to fix a million.
pub const AFTER_OPENING: i64 = 5 * SECOND;
/// The last second that an instant may have: that of the year 9999.
const LAST: i64 = 253_402_300_799;
/// The longest id of a chain.
const LONGEST: usize = 64;

/// Why something is no info of a chain.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ChainRefusal {
    /// It is no such JSON.
    #[error("it is no info of a chain: {0}")]
    Unreadable(String),
    /// Its rounds cannot be checked.
    #[error("its scheme is {0}, and only {SCHEME} can be checked")]
    Scheme(String),
    /// A value that no chain has.
    #[error("its {0} is none")]
    Value(&'static str),
}

/// A chain of the network.
#[derive(Clone, PartialEq, Eq)]
pub struct Chain {
    /// The key of all its rounds, a compressed point on G2.
    pub public_key: Vec<u8>,
    /// The seconds from one round to the next.
    pub period: i64,
    /// When its first round was, in seconds since 1970 UTC.
    pub genesis: i64,
    /// The hash of the group that began it.
    pub group_hash: Vec<u8>,
    /// Its name in the network.
    pub id: String,
}

impl std::fmt::Debug for Chain {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Chain {}", chassis::hex::text(&self.hash()))
    }
}

/// A chain's info as the network tells it, and as it is kept.
#[derive(Serialize, Deserialize)]
struct Info {
    public_key: String,
    period: i64,
    genesis_time: i64,
    #[serde(rename = "groupHash")]
    group_hash: String,
    #[serde(rename = "schemeID")]
    scheme: String,
    #[serde(default)]
    metadata: Metadata,
}

#[derive(Default, Serialize, Deserialize)]
struct Metadata {
    #[serde(rename = "beaconID", default)]
    id: String,
}

impl Chain {
    /// Reads the info of a chain. Whether it is the chain that is meant, its [`Chain::hash`] tells.
    ///
    /// # Errors
    /// It is no info of a chain whose rounds can be checked.
    pub fn read(json: &[u8]) -> Result<Self, ChainRefusal> {
        let chain = Self::kept(json)?;
        match G2PubkeyRfc::from_variable(&chain.public_key) {
            Ok(_) => Ok(chain),
            Err(_) => Err(ChainRefusal::Value("public_key")),
        }
    }

    /// Reads an info that was [read](Self::read) before it was kept: its key is a key, which takes as long as
    /// all the rest of a queue's row to find out.
    ///
    /// # Errors
    /// As [`Chain::read`].
    pub fn kept(json: &[u8]) -> Result<Self, ChainRefusal> {
        let info: Info =
            serde_json::from_slice(json).map_err(|error| ChainRefusal::Unreadable(error.to_string()))?;
        if info.scheme != SCHEME {
            return Err(ChainRefusal::Scheme(info.scheme.chars().take(LONGEST).collect()));
        }
        let chain = Self {
            public_key: chassis::hex::read(&info.public_key).unwrap_or_default(),
            period: info.period,
            genesis: info.genesis_time,
            group_hash: chassis::hex::read(&info.group_hash).unwrap_or_default(),
            id: info.metadata.id,
        };
        for (what, is_one) in [
            ("period", (1..=i64::from(u32::MAX)).contains(&chain.period)),
            ("genesis_time", (0..=LAST).contains(&chain.genesis)),
            ("groupHash", chain.group_hash.len() == 32),
            ("beaconID", chain.id.len() <= LONGEST),
        ] {
            if !is_one {
                return Err(ChainRefusal::Value(what));
            }
        }
        Ok(chain)
    }

    /// The info, as it is kept.
    ///
    /// # Errors
    /// None, but that JSON could not be made.
    pub fn to_json(&self) -> Result<String, serde_json::Error> {
        serde_json::to_string(&Info {
            public_key: chassis::hex::text(&self.public_key),
            period: self.period,
            genesis_time: self.genesis,
            group_hash: chassis::hex::text(&self.group_hash),
            scheme: SCHEME.to_owned(),
            metadata: Metadata { id: self.id.clone() },
        })
    }

    /// The hash by which the chain is known. The name of the chain that was the first is not part of it.
    #[must_use]
    pub fn hash(&self) -> Hash {
        let mut hasher = Sha256::new();
        hasher.update(u32::try_from(self.period).unwrap_or_default().to_be_bytes());
        hasher.update(self.genesis.to_be_bytes());
        hasher.update(&self.public_key);
        hasher.update(&self.group_hash);
        if self.id != "default" {
            hasher.update(&self.id);
        }
        hasher.finalize().into()
    }

    /// The first round that is no sooner than this instant, in microseconds.
    #[must_use]
    pub fn round_from(&self, at: i64) -> i64 {
        let since = at.div_euclid(SECOND) + i64::from(at.rem_euclid(SECOND) > 0) - self.genesis;
        if since <= 0 { 1 } else { (since - 1) / self.period + 2 }
    }

    /// When a round is told, in microseconds.
    #[must_use]
    pub fn time_of(&self, round: i64) -> i64 {
        self.period.saturating_mul(round - 1).saturating_add(self.genesis).saturating_mul(SECOND)
    }

    /// Whether this is the signature of that round, of which there is only one. It takes some milliseconds.
    #[must_use]
    pub fn has_signed(&self, round: i64, signature: &[u8]) -> bool {
        let (Ok(key), Ok(round)) = (G2PubkeyRfc::from_variable(&self.public_key), u64::try_from(round))
        else {
            return false;
        };
        key.verify(round, &[], signature).unwrap_or(false)
    }
}

/// The beacon that was announced with a draw, and how far it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Beacon {
    /// The chain; it is fixed with the draw.
    pub chain: Arc<Chain>,
    /// Who takes part; set from the opening on.
    pub entrants: Option<Entrants>,
    /// The signature of the round that the draw was held with, once it was held; empty where it was held
    /// without one.
    pub signature: Option<Arc<[u8]>>,
}

impl Beacon {
    /// The beacon of a draw that is set now.
    #[must_use]
    pub const fn new(chain: Arc<Chain>) -> Self {
        Self { chain, entrants: None, signature: None }
    }

    /// The round that a draw with this opening waits for.
    #[must_use]
    pub fn round(&self, opens_at: i64) -> i64 {
        self.chain.round_from(opens_at.saturating_add(AFTER_OPENING))
    }
}

/// Who takes part in a draw that waits for its beacon.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Entrants {
    /// The last ticket that was given before. The tickets after it, as many as take part, are kept for them.
    pub after: i64,
    /// How many take part.
    pub count: i64,
    /// The root of the tree over their tokens.
    pub root: Hash,
    /// When that was fixed, by the queue's time, in microseconds.
    pub at: i64,
}

/// What a round puts into the seed: the hash of its signature, or nothing where there is none.
#[must_use]
pub fn randomness(signature: &[u8]) -> Vec<u8> {
    if signature.is_empty() { Vec::new() } else { Sha256::digest(signature).to_vec() }
}
