//! A chain of the public network, its hash and one of its rounds, as they are told there.
#![allow(clippy::unwrap_used, reason = "tests")]

use std::sync::Arc;

use chassis::hex::{read, text};

use super::*;

/// What <https://api.drand.sh/v2/beacons/quicknet/info> and its older address by the hash tell.
const QUICKNET: &str = r#"{"public_key":"83cf0f2896adee7eb8b5f01fcad3912212c437e0073e911fb90022d3e760183c8c4b450b6a0a6c3ac6a5776a2d1064510d1fec758c921cc22b0e17e63aaf4bcb5ed66304de9cf809bd274ca73bab4af5a6e9c76a4bc09e76eae8991ef5ece45a","period":3,"genesis_time":1692803367,"hash":"52db9ba70e0cc0f6eaf7803dd07447a1f5477735fd3f661792ba94600c84e971","groupHash":"f477d5c89f21a17c863a7f937c6a6d15859414d2be09cd448d4279af331c5d3e","schemeID":"bls-unchained-g1-rfc9380","metadata":{"beaconID":"quicknet"}}"#;
const HASH: &str = "52db9ba70e0cc0f6eaf7803dd07447a1f5477735fd3f661792ba94600c84e971";
/// The round 1,000 of it.
const SIGNATURE: &str =
    "b44679b9a59af2ec876b1a6b1ad52ea9b1615fc3982b19576350f93447cb1125e342b73a8dd2bacbe47e4b6b63ed5e39";
const RANDOMNESS: &str = "fe290beca10872ef2fb164d2aa4442de4566183ec51c56ff3cd603d930e54fdd";

fn quicknet() -> Chain {
    Chain::read(QUICKNET.as_bytes()).unwrap()
}

#[test]
fn a_chain_of_the_public_network_has_its_hash_and_its_rounds() {
    let chain = quicknet();
    assert_eq!(text(&chain.hash()), HASH);
    assert_eq!(Chain::read(chain.to_json().unwrap().as_bytes()).unwrap(), chain, "as it is kept");
    let signature = read(SIGNATURE).unwrap();
    assert!(chain.has_signed(1_000, &signature));
    assert_eq!(text(&randomness(&signature)), RANDOMNESS);
    assert!(randomness(&[]).is_empty());
    assert!(!chain.has_signed(1_001, &signature), "another round");
    let mut forged = signature.clone();
    forged[20] ^= 1;
    assert!(!chain.has_signed(1_000, &forged));
    for short in [&signature[..47], &[], &[0xc0; 48]] {
        assert!(!chain.has_signed(1_000, short));
    }
}

#[test]
fn every_value_of_a_chain_is_part_of_its_hash() {
    let chain = quicknet();
    let mut others = vec![chain.clone(); 5];
    others[0].public_key[7] ^= 1;
    others[1].period += 1;
    others[2].genesis += 1;
    others[3].group_hash[3] ^= 1;
    others[4].id.push('2');
    assert!(others.iter().all(|other| other.hash() != chain.hash()));
    // The first chain had no name, and its hash has none.
    let named = |id: &str| Chain { id: id.to_owned(), ..chain.clone() }.hash();
    assert_eq!(named("default"), named(""));
}

#[test]
fn what_is_no_chain_or_cannot_be_checked_is_refused() {
    let other = |from: &str, to: &str| Chain::read(QUICKNET.replacen(from, to, 1).as_bytes());
    assert_eq!(
        other("bls-unchained-g1-rfc9380", "pedersen-bls-chained"),
        Err(ChainRefusal::Scheme("pedersen-bls-chained".to_owned()))
    );
    for (from, to, what) in [
        ("83cf", "03cf", "public_key"),
        ("83cf", "zzcf", "public_key"),
        (":3,", ":0,", "period"),
        (":3,", ":4294967296,", "period"),
        ("1692803367", "-1", "genesis_time"),
        ("f477", "f4", "groupHash"),
        ("quicknet", &"q".repeat(65), "beaconID"),
    ] {
        assert_eq!(other(from, to), Err(ChainRefusal::Value(what)), "{from} {to}");
    }
    assert!(matches!(Chain::read(b"<html>"), Err(ChainRefusal::Unreadable(_))));
}

#[test]
fn the_round_of_an_instant_is_the_first_that_is_no_sooner() {
    let chain = quicknet();
    let genesis = chain.genesis * SECOND;
    assert_eq!(chain.time_of(1), genesis);
    for (at, round) in [(0, 1), (genesis, 1), (genesis + 1, 2), (genesis + 3 * SECOND, 2)] {
        assert_eq!(chain.round_from(at), round, "{at}");
    }
    for at in (genesis..genesis + 20 * SECOND).step_by(777_777) {
        let round = chain.round_from(at);
        assert!(chain.time_of(round) >= at && (round == 1 || chain.time_of(round - 1) < at), "{at}: {round}");
    }
    let beacon = Beacon::new(Arc::new(chain.clone()));
    assert_eq!(beacon.round(genesis), 3, "the first that is five seconds after the opening");
    assert_eq!(beacon.round(i64::MAX), chain.round_from(i64::MAX), "no number overflows");
}
