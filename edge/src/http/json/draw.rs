//! Draws, and what was drawn for one token. Hashes are lower-case hex.

use boxoffice_proto::queue as proto;
use serde::Serialize;
use utoipa::ToSchema;

use super::{Hollow, Instant, whole};

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
    /// The root of the Merkle tree over the hashes of the tokens that took part; null until then.
    #[schema(required, example = json!(HASH), pattern = "^[0-9a-f]{64}$")]
    root: Option<String>,
    /// The part of the seed that comes from outside: empty, since there is none; null until the draw was
    /// held.
    #[schema(required, example = "", pattern = "^([0-9a-f]{2})*$")]
    beacon: Option<String>,
    /// The hash of secret, root and beacon; null until the draw was held.
    #[schema(required, example = json!(HASH), pattern = "^[0-9a-f]{64}$")]
    seed: Option<String>,
}

impl TryFrom<proto::Draw> for Draw {
    type Error = Hollow;

    fn try_from(draw: proto::Draw) -> Result<Self, Hollow> {
        let held = !draw.secret.is_empty();
        let told = |bytes: &[u8]| held.then(|| hex(bytes));
        Ok(Self {
            opens_at: Instant::read(draw.opens_at.as_ref())?,
            commitment: hex(&draw.commitment),
            registered: draw.registered,
            secret: told(&draw.secret),
            root: told(&draw.root),
            beacon: told(&draw.beacon),
            seed: told(&draw.seed),
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
            hash: hex(&drawn.hash),
            proof: DrawProof { index, size, path: path.iter().map(|hash| hex(hash)).collect() },
        })
    }
}

fn hex(bytes: &[u8]) -> String {
    let mut digits = vec![0; bytes.len() * 2];
    chassis::hex::write(&mut digits, bytes);
    String::from_utf8(digits).unwrap_or_default()
}
