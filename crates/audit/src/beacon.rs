//! The rules of a draw's beacon, as `docs/draw.md` has them, for whoever checks one.

use drand_verify::{G2PubkeyRfc, Pubkey as _};

use crate::draw::{Hash, sha256};

/// How the rounds are signed that can be checked.
pub const SCHEME: &str = "bls-unchained-g1-rfc9380";
/// How much later than the opening the round is at least, in microseconds.
pub const AFTER_OPENING: i64 = 5_000_000;
/// A second in microseconds.
const SECOND: i64 = 1_000_000;

/// What the hash of a chain commits to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Chain {
    /// The key of all rounds.
    pub public_key: Vec<u8>,
    /// The seconds from one to the next.
    pub period: u32,
    /// When the first was, in seconds since 1970 UTC.
    pub genesis: i64,
    /// The hash of the group that began the chain.
    pub group_hash: Vec<u8>,
    /// The name of the chain in its network.
    pub id: String,
}

impl Chain {
    /// The hash by which the chain is known.
    #[must_use]
    pub fn hash(&self) -> Hash {
        let id = if self.id == "default" { "" } else { &self.id };
        let (period, genesis) = (self.period.to_be_bytes(), self.genesis.to_be_bytes());
        sha256(&[&period, &genesis, &self.public_key, &self.group_hash, id.as_bytes()])
    }

    /// When a round is, in microseconds.
    #[must_use]
    pub fn time_of(&self, round: i64) -> i64 {
        let since = round.saturating_sub(1).saturating_mul(self.period.into());
        self.genesis.saturating_add(since).saturating_mul(SECOND)
    }

    /// The round that a draw with this opening, in microseconds, waits for: the first that is late enough.
    #[must_use]
    pub fn round_of(&self, opens_at: i64) -> i64 {
        let from = opens_at.saturating_add(AFTER_OPENING).saturating_sub(self.genesis.saturating_mul(SECOND));
        let period = i64::from(self.period.max(1)) * SECOND;
        if from <= 0 { 1 } else { (from - 1) / period + 2 }
    }

    /// Whether this is the signature of the round.
    #[must_use]
    pub fn has_signed(&self, round: i64, signature: &[u8]) -> bool {
        let (Ok(key), Ok(round)) = (G2PubkeyRfc::from_variable(&self.public_key), u64::try_from(round))
        else {
            return false;
        };
        key.verify(round, &[], signature).unwrap_or(false)
    }
}
