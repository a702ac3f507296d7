//! A public randomness network of one, for tests: a chain as drand has them, with a key of its own, which
//! signs whatever round it is asked for. It tells in drand's JSON what a relay tells, and shares no code with
//! what checks it.

use bls12_381::{
    G1Affine, G1Projective, G2Affine, Scalar,
    hash_to_curve::{ExpandMsgXmd, HashToCurve},
};
use serde_json::json;
use sha2::{Digest, Sha256};

/// What drand's scheme `bls-unchained-g1-rfc9380` hashes under.
const DOMAIN: &[u8] = b"BLS_SIG_BLS12381G1_XMD:SHA-256_SSWU_RO_NUL_";
/// The hash of the group that began the chain; there was none.
const GROUP: [u8; 32] = [7; 32];
const ID: &str = "of-one";

/// A chain and its key.
#[derive(Clone, Debug)]
pub struct Drand {
    key: Scalar,
    /// The seconds from one round to the next.
    period: i64,
    /// When the first round is, in seconds since 1970 UTC.
    genesis: i64,
}

impl Drand {
    /// A chain with the key that follows from this number.
    #[must_use]
    pub fn new(number: u64, period: i64, genesis: i64) -> Self {
        let mut wide = [0; 64];
        wide[..32].copy_from_slice(&Sha256::digest(number.to_be_bytes()));
        Self { key: Scalar::from_bytes_wide(&wide), period, genesis }
    }

    fn public_key(&self) -> [u8; 96] {
        G2Affine::from(G2Affine::generator() * self.key).to_compressed()
    }

    /// The hash of the chain, in hex.
    #[must_use]
    pub fn hash(&self) -> String {
        let mut hasher = Sha256::new();
        hasher.update(u32::try_from(self.period).unwrap_or_default().to_be_bytes());
        hasher.update(self.genesis.to_be_bytes());
        hasher.update(self.public_key());
        hasher.update(GROUP);
        hasher.update(ID);
        hex(&hasher.finalize())
    }

    /// What a relay tells of the chain.
    #[must_use]
    pub fn info(&self) -> String {
        json!({
            "public_key": hex(&self.public_key()),
            "period": self.period,
            "genesis_time": self.genesis,
            "hash": self.hash(),
            "groupHash": hex(&GROUP),
            "schemeID": "bls-unchained-g1-rfc9380",
            "metadata": {"beaconID": ID},
        })
        .to_string()
    }

    /// The round that was told last at this instant, in microseconds; 0 before the first.
    #[must_use]
    pub const fn latest(&self, now: i64) -> i64 {
        let since = now.div_euclid(1_000_000) - self.genesis;
        if since < 0 { 0 } else { since / self.period + 1 }
    }

    /// The signature of a round.
    #[must_use]
    pub fn signature(&self, round: i64) -> Vec<u8> {
        let message = Sha256::digest(round.to_be_bytes());
        let point = <G1Projective as HashToCurve<ExpandMsgXmd<sha2_of_the_curve::Sha256>>>::hash_to_curve(
            &message[..],
            DOMAIN,
        );
        G1Affine::from(point * self.key).to_compressed().to_vec()
    }

    /// What a relay tells of a round.
    #[must_use]
    pub fn round(&self, round: i64) -> String {
        let signature = self.signature(round);
        json!({
            "round": round,
            "randomness": hex(&Sha256::digest(&signature)),
            "signature": hex(&signature),
        })
        .to_string()
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
