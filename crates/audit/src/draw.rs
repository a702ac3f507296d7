//! The rules of a draw, as `docs/draw.md` has them, for whoever checks one: the audit, and `boxoffice
//! verify-draw`. The service that draws has code of its own.

use sha2::{Digest, Sha256};

/// A hash is a SHA-256 of 32 bytes.
pub type Hash = [u8; 32];

/// The hash of these parts, one after the other.
#[must_use]
pub fn sha256(parts: &[&[u8]]) -> Hash {
    let mut hasher = Sha256::new();
    parts.iter().for_each(|part| hasher.update(part));
    hasher.finalize().into()
}

/// The root of the Merkle tree of RFC 6962 over these tokens' hashes, in any order.
#[must_use]
pub fn root(mut hashes: Vec<Hash>) -> Hash {
    hashes.sort_unstable();
    let leaves: Vec<Hash> = hashes.iter().map(|hash| sha256(&[&[0], hash])).collect();
    subtree(&leaves)
}

fn subtree(nodes: &[Hash]) -> Hash {
    match nodes {
        [] => sha256(&[]),
        [one] => *one,
        many => {
            // The largest power of two that is less than their number.
            let (left, right) = many.split_at(many.len().next_power_of_two() / 2);
            sha256(&[&[1], &subtree(left), &subtree(right)])
        }
    }
}

/// Whether this audit path leads from a token's hash, which is the leaf with this index of so many, to the
/// root.
#[must_use]
pub fn leads(root: &Hash, token_hash: &Hash, index: u64, size: u64, path: &[Hash]) -> bool {
    if index >= size {
        return false;
    }
    let (mut at, mut last) = (index, size - 1);
    let mut hash = sha256(&[&[0], token_hash]);
    for beside in path {
        if last == 0 {
            return false;
        }
        if at % 2 == 1 || at == last {
            hash = sha256(&[&[1], beside, &hash]);
            // A last node without a neighbour moved up as it was.
            while at % 2 == 0 && at != 0 {
                (at, last) = (at / 2, last / 2);
            }
        } else {
            hash = sha256(&[&[1], &hash, beside]);
        }
        (at, last) = (at / 2, last / 2);
    }
    last == 0 && hash == *root
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The path to a leaf by recursion, as RFC 6962 defines it.
    fn path(nodes: &[Hash], index: usize) -> Vec<Hash> {
        if nodes.len() < 2 {
            return Vec::new();
        }
        let at = nodes.len().next_power_of_two() / 2;
        let (left, right) = nodes.split_at(at);
        let (mut below, beside) = if index < at {
            (path(left, index), subtree(right))
        } else {
            (path(right, index - at), subtree(left))
        };
        below.push(beside);
        below
    }

    #[test]
    fn a_path_leads_to_the_root_from_its_own_leaf_alone() {
        for size in 1..70_u64 {
            let mut hashes: Vec<Hash> = (0..size).map(|number| sha256(&[&number.to_be_bytes()])).collect();
            hashes.sort_unstable();
            let top = root(hashes.clone());
            let leaves: Vec<Hash> = hashes.iter().map(|hash| sha256(&[&[0], hash])).collect();
            for (index, hash) in (0_u64..).zip(&hashes) {
                let steps = path(&leaves, usize::try_from(index).expect("small"));
                assert!(leads(&top, hash, index, size, &steps));
                assert!(!leads(&top, hash, index + 1, size, &steps));
                assert!(!leads(&top, hash, size, size, &steps));
                let other = hashes[usize::try_from((index + 1) % size).expect("small")];
                assert!(size == 1 || !leads(&top, &other, index, size, &steps));
            }
        }
    }

    #[test]
    fn the_empty_tree_has_the_root_of_rfc_6962() {
        let first = [0xe3, 0xb0, 0xc4, 0x42];
        assert_eq!(root(Vec::new())[..4], first);
    }
}
