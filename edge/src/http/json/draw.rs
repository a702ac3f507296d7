//! Draws, and what was drawn for one token. Hashes are lower-case hex.

use boxoffice_proto::queue as proto;
use chassis::hex;
use serde::Serialize;
use utoipa::ToSchema;

use super::{Hollow, Instant, seconds, whole};

/// An example of a hash.
const HASH: &str = "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08";

/// The draw of a queue that opens by lot. `docs/draw.md` says how to check it. Hashes are SHA-256 in
/// lower-case hex.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Draw {
    /// The id of the queue.
    #[schema(example = "fair")]
    queue_id: String,
    /// When the draw is held and the queue opens.
    opens_at: Instant,
    /// The rules of the draw.
    #[schema(example = "boxoffice-draw-1")]
    algorithm: String,
    /// The hash of the secret, told before anybody registers.
    #[schema(example = json!(HASH), pattern = "^[0-9a-f]{64}$")]
    commitment: String,
    /// How many are registered; once the draw was held, how many took part.
    #[schema(minimum = 0, example = 1000)]
    registered: i64,
    /// The secret; null until the draw was held.
    #[schema(required, example = json!(HASH), pattern = "^[0-9a-f]{64}$")]
    secret: Option<String>,
    /// The root of the Merkle tree over the hashes of the tokens that take part; null until that is fixed at
    /// the opening, which is before the round of the beacon where there is one.
    #[schema(required, example = json!(HASH), pattern = "^[0-9a-f]{64}$")]
    root: Option<String>,
    /// The part of the seed that comes from outside, the hash of `beaconSignature`; empty where there is
    /// none, null until the draw was held.
    #[schema(required, example = json!(HASH), pattern = "^([0-9a-f]{64})?$")]
    beacon: Option<String>,
    /// The hash of secret, root and beacon; null until the draw was held.
    #[schema(required, example = json!(HASH), pattern = "^[0-9a-f]{64}$")]
    seed: Option<String>,
    /// When it was fixed who takes part; null until then, and in a draw without a beacon. Not before
    /// `beaconAt` means that the round was known by then.
    #[schema(required)]
    root_at: Option<Instant>,
    /// The hash of the chain whose round is the beacon, announced with the draw; null where it has none.
    #[schema(required, example = json!("52db9ba70e0cc0f6eaf7803dd07447a1f5477735fd3f661792ba94600c84e971"),
        pattern = "^[0-9a-f]{64}$")]
    beacon_chain: Option<String>,
    /// The round: the first of the chain that is at least 5 s after `opensAt`.
    #[schema(required, minimum = 1, example = 35218744)]
    beacon_round: Option<i64>,
    /// When the round is.
    #[schema(required)]
    beacon_at: Option<Instant>,
    /// The signature of the round, by the key of the chain; null until the draw was held, and where it was
    /// held without the beacon that was announced.
    #[schema(required, pattern = "^[0-9a-f]{96}$", example = json!("b44679b9a59af2ec876b1a6b1ad52ea9b1615fc3982b19576350f93447cb1125e342b73a8dd2bacbe47e4b6b63ed5e39"))]
    beacon_signature: Option<String>,
    /// What the hash of the chain commits to.
    #[schema(required)]
    beacon_info: Option<BeaconInfo>,
}

/// What the hash of a chain of drand commits to: `docs/draw.md` says how.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct BeaconInfo {
    /// How its rounds are signed.
    #[schema(example = "bls-unchained-g1-rfc9380")]
    scheme: String,
    /// The key of all its rounds, a compressed point on G2 of BLS12-381.
    #[schema(pattern = "^[0-9a-f]{192}$", example = json!("83cf0f2896adee7eb8b5f01fcad3912212c437e0073e911fb90022d3e760183c8c4b450b6a0a6c3ac6a5776a2d1064510d1fec758c921cc22b0e17e63aaf4bcb5ed66304de9cf809bd274ca73bab4af5a6e9c76a4bc09e76eae8991ef5ece45a"))]
    public_key: String,
    /// The seconds from one round to the next.
    #[schema(minimum = 1, example = 3)]
    period_seconds: i64,
    /// When round 1 was.
    genesis_time: Instant,
    /// The hash of the group that began the chain.
    #[schema(example = json!(HASH), pattern = "^[0-9a-f]{64}$")]
    group_hash: String,
    /// The name of the chain in its network.
    #[schema(example = "quicknet")]
    id: String,
}

impl TryFrom<proto::BeaconChain> for BeaconInfo {
    type Error = Hollow;

    fn try_from(chain: proto::BeaconChain) -> Result<Self, Hollow> {
        Ok(Self {
            public_key: hex::text(&chain.public_key),
            period_seconds: seconds(chain.period.as_ref()),
            genesis_time: Instant::read(chain.genesis_time.as_ref())?,
            group_hash: hex::text(&chain.group_hash),
            scheme: chain.scheme,
            id: chain.id,
        })
    }
}

impl TryFrom<proto::Draw> for Draw {
    type Error = Hollow;

    fn try_from(draw: proto::Draw) -> Result<Self, Hollow> {
        let held = !draw.secret.is_empty();
        let told = |bytes: &[u8]| (!bytes.is_empty()).then(|| hex::text(bytes));
        let announced = draw.beacon_chain.as_ref();
        Ok(Self {
            opens_at: Instant::read(draw.opens_at.as_ref())?,
            commitment: hex::text(&draw.commitment),
            registered: draw.registered,
            secret: told(&draw.secret),
            root: told(&draw.root),
            beacon: held.then(|| hex::text(&draw.beacon)),
            seed: told(&draw.seed),
            root_at: Instant::optional(draw.root_at.as_ref()),
            beacon_chain: announced.map(|chain| hex::text(&chain.hash)),
            beacon_round: announced.map(|_| draw.beacon_round),
            beacon_at: Instant::optional(draw.beacon_at.as_ref()),
            beacon_signature: told(&draw.beacon_signature),
            beacon_info: draw.beacon_chain.map(BeaconInfo::try_from).transpose()?,
            queue_id: draw.queue_id,
            algorithm: draw.algorithm,
        })
    }
}

/// What was drawn for a token.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct TokenDraw {
    /// The token that was asked for.
    #[schema(format = Uuid, example = "3fa85f64-5717-4562-b3fc-2c963f66afa6")]
    token: String,
    /// The id of the queue.
    #[schema(example = "fair")]
    queue_id: String,
    /// The number that was drawn: 1 is first.
    #[schema(minimum = 1, example = 17)]
    number: i64,
    /// How many took part.
    #[schema(minimum = 1, example = 1000)]
    of: i64,
    /// The hash of the token's 16 bytes, which is the token's leaf in the tree.
    #[schema(example = json!(HASH), pattern = "^[0-9a-f]{64}$")]
    hash: String,
    /// That the leaf is in the tree.
    proof: DrawProof,
}

/// That a leaf is in the tree of a draw: an inclusion proof of RFC 9162.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct DrawProof {
    /// The index of the leaf, from 0.
    #[schema(minimum = 0, example = 411)]
    index: i64,
    /// How many leaves the tree has.
    #[schema(minimum = 1, example = 1000)]
    size: i64,
    /// The hashes beside the way from the leaf to the root, lowest first.
    #[schema(example = json!([HASH]))]
    path: Vec<String>,
}

impl TryFrom<proto::TokenDraw> for TokenDraw {
    type Error = Hollow;

    fn try_from(drawn: proto::TokenDraw) -> Result<Self, Hollow> {
        let proto::DrawProof { index, size, path } = whole(drawn.proof)?;
        Ok(Self {
            token: drawn.token,
            queue_id: drawn.queue_id,
            number: drawn.number,
            of: drawn.of,
            hash: hex::text(&drawn.hash),
            proof: DrawProof { index, size, path: path.iter().map(|hash| hex::text(hash)).collect() },
        })
    }
}
