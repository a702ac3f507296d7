//! The draw of a queue that opens by lot: everybody who registered gets a number that nobody could foresee or
//! choose, and that anybody can check.
//!
//! `docs/draw.md` is the specification. In short: the secret is fixed, and its hash told, before anybody
//! registers. At the opening a Merkle tree over the registered tokens' hashes gives the root, the secret, the
//! root and the beacon (of a draw that has one) give the seed, and who has the least hash of seed and token
//! is first.
//!
//! A [`Draw`] follows from these and the tokens alone, in whatever order the tokens come. So a replica that
//! reads the tokens from the database has the same draw as the one that held it.

use sha2::{Digest, Sha256};
use uuid::Uuid;

use super::token::{tag_of, tagged};

/// The name of the rules by which this program draws.
pub const ALGORITHM: &str = "boxoffice-draw-1";

/// A hash is a SHA-256 of 32 bytes.
pub type Hash = [u8; 32];

/// Of the tree's lowest levels nothing is kept; those above `2^LOW` leaves are, which costs a byte a token.
const LOW: u32 = 6;
const BLOCK: usize = 1 << LOW;

/// What a queue that opens by lot keeps to itself. It is made of random bytes when the draw is set.
#[derive(Clone, PartialEq, Eq)]
pub struct DrawSecret {
    /// Its hash is told at once, and it at the opening.
    pub secret: Hash,
    /// It is never told. The ids of registered tokens are made of it, so that a user who leaves and registers
    /// again finds the same token and has no second lot.
    pub token_key: Hash,
}

impl std::fmt::Debug for DrawSecret {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("DrawSecret")
    }
}

impl DrawSecret {
    /// What is told of the secret before the opening.
    #[must_use]
    pub fn commitment(&self) -> Hash {
        hash([&self.secret[..]])
    }

    /// The token of a user who registers, with the tag of the token that any other user would get.
    pub(super) fn token_of(&self, user: &str, otherwise: &Uuid) -> Uuid {
        let bits = hash([&self.token_key[..], user.as_bytes()]);
        let [first, ..] = *bits.as_chunks::<16>().0 else { return *otherwise };
        tagged(uuid::Builder::from_random_bytes(first).into_uuid(), tag_of(otherwise))
    }
}

/// A draw that was held.
pub struct Draw {
    secret: Hash,
    root: Hash,
    beacon: Vec<u8>,
    seed: Hash,
    /// The last ticket that was given before the draw. Number 1 has the next one.
    after: i64,
    /// The tokens by their numbers.
    order: Vec<Uuid>,
    /// The leaves of the tree, each as an index into `order`.
    leaves: Vec<u32>,
    /// The levels of the tree from the roots of the blocks of leaves upwards; the last is the root alone.
    levels: Vec<Vec<Hash>>,
}

impl std::fmt::Debug for Draw {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Draw").field("after", &self.after).field("drawn", &self.order.len()).finish()
    }
}

/// That a token took part: its place among the leaves of the tree, and the hashes from there to the root.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Proof {
    /// The index of the leaf, from 0.
    pub index: i64,
    /// How many leaves the tree has.
    pub size: i64,
    /// The audit path of RFC 6962, from the leaf upwards.
    pub path: Vec<Hash>,
}

impl Draw {
    /// Holds the draw among these tokens, of a queue that gave tickets up to `after`. The beacon is empty
    /// where there is none. For a million tokens it takes about a second, so it is nothing for a thread that
    /// has anything else to do.
    #[must_use]
    pub fn hold(secret: &Hash, beacon: &[u8], tokens: &[Uuid], after: i64) -> Self {
        let mut leaves = in_order(tokens, token_hash);
        let levels = levels(tokens, &leaves);
        let root = top(&levels);
        let seed = hash([&secret[..], &root, beacon]);
        let lots = in_order(tokens, |token| lot(&seed, token));
        let mut numbers = vec![0; tokens.len()];
        for (number, at) in (0_u32..).zip(&lots) {
            numbers[*at as usize] = number;
        }
        for leaf in &mut leaves {
            *leaf = numbers[*leaf as usize];
        }
        let order = lots.iter().map(|at| tokens[*at as usize]).collect();
        Self { secret: *secret, root, beacon: beacon.to_vec(), seed, after, order, leaves, levels }
    }

    /// The secret, now that all may know it.
    #[must_use]
    pub const fn secret(&self) -> &Hash {
        &self.secret
    }

    /// The root of the tree over the tokens that took part.
    #[must_use]
    pub const fn root(&self) -> &Hash {
        &self.root
    }

    /// The part of the seed that comes from outside the house; empty where there is none.
    #[must_use]
    pub fn beacon(&self) -> &[u8] {
        &self.beacon
    }

    /// What the lots are made of.
    #[must_use]
    pub const fn seed(&self) -> &Hash {
        &self.seed
    }

    /// The last ticket before the draw.
    #[must_use]
    pub const fn after(&self) -> i64 {
        self.after
    }

    /// The tokens that took part, by their numbers.
    #[must_use]
    pub fn order(&self) -> &[Uuid] {
        &self.order
    }

    /// How many took part.
    #[must_use]
    pub fn of(&self) -> i64 {
        i64::try_from(self.order.len()).unwrap_or(i64::MAX)
    }

    /// The number of a token; 1 is first. `None` when the token took no part.
    #[must_use]
    pub fn number(&self, token: &Uuid) -> Option<i64> {
        self.place(token).and_then(|at| i64::try_from(at + 1).ok())
    }

    /// The index of a token in `order`.
    fn place(&self, token: &Uuid) -> Option<usize> {
        let own = lot(&self.seed, token);
        let at = self.order.partition_point(|other| lot(&self.seed, other) < own);
        self.order.get(at).is_some_and(|found| found == token).then_some(at)
    }

    /// That a token took part. `None` when it did not.
    #[must_use]
    pub fn prove(&self, token: &Uuid) -> Option<Proof> {
        self.place(token)?;
        let own = token_hash(token);
        let hash_at = |leaf: &u32| token_hash(&self.order[*leaf as usize]);
        let index = self.leaves.partition_point(|leaf| hash_at(leaf) < own);
        let (block, mut at) = (index / BLOCK, index % BLOCK);
        let last = self.leaves.len().min((block + 1) * BLOCK);
        let mut level: Vec<Hash> =
            self.leaves[block * BLOCK..last].iter().map(|at| leaf(&hash_at(at))).collect();
        let mut path = Vec::new();
        for _ in 0..LOW {
            path.extend(level.get(at ^ 1));
            (level, at) = (above(&level), at / 2);
        }
        let mut at = block;
        for level in &self.levels {
            path.extend(level.get(at ^ 1));
            at /= 2;
        }
        Some(Proof { index: i64::try_from(index).ok()?, size: self.of(), path })
    }

    /// The bytes that it takes.
    pub(super) fn memory(&self) -> usize {
        self.order.capacity() * 16
            + self.leaves.capacity() * 4
            + self.levels.iter().map(|level| level.capacity() * 32).sum::<usize>()
    }
}

fn hash<'a>(parts: impl IntoIterator<Item = &'a [u8]>) -> Hash {
    let mut hasher = Sha256::new();
    parts.into_iter().for_each(|part| hasher.update(part));
    hasher.finalize().into()
}

/// The hash by which a token is known to others than its holder.
#[must_use]
pub fn token_hash(token: &Uuid) -> Hash {
    hash([&token.as_bytes()[..]])
}

/// A token's lot.
fn lot(seed: &Hash, token: &Uuid) -> Hash {
    hash([&seed[..], token.as_bytes()])
}

/// A leaf of the tree; this and a node are hashed as RFC 6962 says.
fn leaf(token_hash: &Hash) -> Hash {
    hash([&[0][..], token_hash])
}

fn node(left: &Hash, right: &Hash) -> Hash {
    hash([&[1][..], left, right])
}

/// The root of the tree over these tokens, in whatever order they come.
#[must_use]
pub fn root_of(tokens: &[Uuid]) -> Hash {
    top(&levels(tokens, &in_order(tokens, token_hash)))
}

/// The indexes of these tokens in the order of their hashes. The first eight bytes are kept while they are
/// sorted, since a million whole hashes would be 32 MB; the others are asked for where those are equal.
fn in_order(tokens: &[Uuid], hash: impl Fn(&Uuid) -> Hash) -> Vec<u32> {
    let first = |hash: Hash| u64::from_be_bytes(std::array::from_fn(|at| hash[at]));
    let mut keys: Vec<(u64, u32)> = tokens.iter().map(|token| first(hash(token))).zip(0..).collect();
    let whole = |at: u32| hash(&tokens[at as usize]);
    keys.sort_unstable_by(|(a, at), (b, other)| a.cmp(b).then_with(|| whole(*at).cmp(&whole(*other))));
    let mut order = Vec::with_capacity(keys.len());
    order.extend(keys.iter().map(|(_, at)| *at));
    order
}

/// The root of a tree with these levels; that of no leaves is the hash of nothing.
fn top(levels: &[Vec<Hash>]) -> Hash {
    levels.last().and_then(|top| top.first().copied()).unwrap_or_else(|| hash([]))
}

/// The level above one. A last node without a neighbour moves up as it is, which is the same as to divide
/// the leaves at the largest power of two.
fn above(level: &[Hash]) -> Vec<Hash> {
    let join = |pair: &[Hash]| match pair {
        [left, right] => node(left, right),
        _ => pair[0],
    };
    level.chunks(2).map(join).collect()
}

/// The levels of the tree that are kept, over these tokens with the leaves in this order. Blocks of leaves
/// become their roots one by one, so not all leaves are there at once.
fn levels(tokens: &[Uuid], leaves: &[u32]) -> Vec<Vec<Hash>> {
    let root = |block: &[u32]| {
        let leaves = block.iter().map(|at| leaf(&token_hash(&tokens[*at as usize]))).collect();
        (0..LOW).fold(leaves, |level: Vec<Hash>, _| above(&level))
    };
    let mut level: Vec<Hash> = leaves.chunks(BLOCK).flat_map(root).collect();
    let mut levels = Vec::new();
    while level.len() > 1 {
        let next = above(&level);
        levels.push(std::mem::replace(&mut level, next));
    }
    levels.push(level);
    levels
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hashes_that_begin_alike_are_told_apart_by_the_rest() {
        let tokens: Vec<Uuid> = [3, 1, 2].map(Uuid::from_u128).to_vec();
        let alike = |token: &Uuid| {
            let mut hash = [7; 32];
            hash[16..].copy_from_slice(token.as_bytes());
            hash
        };
        assert_eq!(in_order(&tokens, alike), [1, 2, 0]);
    }
}
