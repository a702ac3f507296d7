//! The part of `boxoffice verify-draw` that is about the beacon: that it is the round that was announced,
//! that the network signed it, and what that shows.

use audit::{
    beacon::{Chain, SCHEME},
    draw::{Hash, sha256},
};
use chassis::hex;
use chrono::{DateTime, Utc};
use serde::Deserialize;

/// Chains that everybody can know by their hashes.
const KNOWN: [(&str, &str); 1] = [(
    "52db9ba70e0cc0f6eaf7803dd07447a1f5477735fd3f661792ba94600c84e971",
    "quicknet of the League of Entropy",
)];

/// What the answer about a draw tells of its beacon. Older programs tell nothing.
#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct BeaconAnswer {
    opens_at: Option<DateTime<Utc>>,
    root_at: Option<DateTime<Utc>>,
    beacon_chain: Option<String>,
    beacon_round: Option<i64>,
    beacon_signature: Option<String>,
    beacon_info: Option<InfoAnswer>,
}

/// What the hash of the chain commits to.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct InfoAnswer {
    scheme: String,
    public_key: String,
    period_seconds: u32,
    genesis_time: DateTime<Utc>,
    group_hash: String,
    id: String,
}

/// What somebody noted before, to compare.
#[derive(clap::Args)]
pub(super) struct Noted {
    /// The root that was told between the opening and the beacon, in hex; without it nothing binds who takes
    /// part
    #[arg(long, value_name = "HEX", value_parser = hash)]
    root: Option<Hash>,
    /// The chain of which the beacon must be, in hex; without it the one that the draw tells
    #[arg(long, value_name = "HEX", value_parser = hash)]
    beacon_chain: Option<Hash>,
    /// The round that was announced with the draw; without it the one that the draw tells
    #[arg(long, value_name = "ROUND")]
    beacon_round: Option<i64>,
}

/// Reads a hash of 64 hex digits.
pub(super) fn hash(digits: &str) -> Result<Hash, String> {
    let bytes = hex::read(digits).and_then(|bytes| Hash::try_from(bytes).ok());
    bytes.ok_or_else(|| format!("{digits:?} is no hash of 64 hex digits"))
}

/// What is told of the beacon of a draw that holds so far, or why it does not hold. `beacon` is what is in
/// its seed.
pub(super) fn verify(
    told: &BeaconAnswer,
    root: &Hash,
    beacon: &[u8],
    noted: &Noted,
) -> Result<String, String> {
    if noted.root.is_some_and(|noted| noted != *root) {
        return Err("the root is not the one that was told before".to_owned());
    }
    let Some(announced) = &told.beacon_chain else {
        return if noted.beacon_chain.is_some() || noted.beacon_round.is_some() {
            Err("the draw has no beacon".to_owned())
        } else if beacon.is_empty() {
            Ok(String::new())
        } else {
            Err("the seed has a beacon, and none was announced".to_owned())
        };
    };
    let (chain, round) = announced_round(told, announced)?;
    if noted.beacon_chain.is_some_and(|noted| noted != chain.hash()) {
        return Err(format!("the beacon is of another chain, {announced}"));
    }
    if noted.beacon_round.is_some_and(|noted| noted != round) {
        return Err(format!("the round is another one than was announced, {round}"));
    }
    let signature = told.beacon_signature.as_deref().unwrap_or_default();
    let signature = hex::read(signature).ok_or("the signature of the beacon is no hex")?;
    if signature.is_empty() {
        return if beacon.is_empty() {
            Ok(format!(
                "round {round} of chain {announced} was announced but not used: trust in the operator remains\n"
            ))
        } else {
            Err("the seed has a beacon without a signature".to_owned())
        };
    }
    if !chain.has_signed(round, &signature) {
        return Err(format!("the beacon is not signed as round {round} of its chain"));
    }
    if sha256(&[&signature])[..] != *beacon {
        return Err("the beacon is not that of its signature".to_owned());
    }
    let known =
        KNOWN.iter().find(|(hash, _)| hash == announced).map_or(
            "which this program does not know: whoever has its key could know it before",
            |(_, name)| name,
        );
    let mut said = format!("the beacon is round {round} of chain {announced} ({known})\n");
    let late = told.root_at.is_none_or(|at| at.timestamp_micros() >= chain.time_of(round));
    if late {
        said += "who took part was fixed when the round was known already: trust in the operator remains\n";
    } else if noted.root.is_none() {
        said += "no --root was given, so this does not show that who took part was fixed before the round\n";
    }
    Ok(said)
}

/// The chain and the round that were announced, as they must be.
fn announced_round(told: &BeaconAnswer, announced: &str) -> Result<(Chain, i64), String> {
    let (Some(info), Some(round), Some(opens_at)) = (&told.beacon_info, told.beacon_round, told.opens_at)
    else {
        return Err("of the beacon that was announced not all is told".to_owned());
    };
    if info.scheme != SCHEME {
        return Err(format!("a round of the scheme {} cannot be checked", info.scheme));
    }
    let bytes = |text: &str| hex::read(text).ok_or("the info of the beacon's chain is no hex");
    let chain = Chain {
        public_key: bytes(&info.public_key)?,
        period: info.period_seconds,
        genesis: info.genesis_time.timestamp(),
        group_hash: bytes(&info.group_hash)?,
        id: info.id.clone(),
    };
    if hex::text(&chain.hash()) != *announced {
        return Err("the info of the beacon's chain is not what its hash commits to".to_owned());
    }
    if chain.round_of(opens_at.timestamp_micros()) != round {
        return Err(format!("round {round} is not the one that follows from the opening"));
    }
    Ok((chain, round))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use serde_json::{Value, json};

    use super::*;

    /// A draw with round 1,000 of a chain that everybody knows.
    fn quicknet() -> Value {
        json!({
            "opensAt": "2023-08-23T15:59:18Z", "rootAt": "2023-08-23T15:59:18.250Z",
            "beaconChain": KNOWN[0].0, "beaconRound": 1_000, "beaconAt": "2023-08-23T15:59:24Z",
            "beaconSignature": "b44679b9a59af2ec876b1a6b1ad52ea9b1615fc3982b19576350f93447cb1125e342b73a8dd2bacbe47e4b6b63ed5e39",
            "beaconInfo": {
                "scheme": SCHEME,
                "publicKey": "83cf0f2896adee7eb8b5f01fcad3912212c437e0073e911fb90022d3e760183c8c4b450b6a0a6c3ac6a5776a2d1064510d1fec758c921cc22b0e17e63aaf4bcb5ed66304de9cf809bd274ca73bab4af5a6e9c76a4bc09e76eae8991ef5ece45a",
                "periodSeconds": 3, "genesisTime": "2023-08-23T15:09:27Z",
                "groupHash": "f477d5c89f21a17c863a7f937c6a6d15859414d2be09cd448d4279af331c5d3e",
                "id": "quicknet",
            },
        })
    }

    fn judged(change: impl Fn(&mut Value), noted: &Noted) -> Result<String, String> {
        let beacon = hex::read("fe290beca10872ef2fb164d2aa4442de4566183ec51c56ff3cd603d930e54fdd").unwrap();
        let mut told = quicknet();
        change(&mut told);
        verify(&serde_json::from_value(told).unwrap(), &[1; 32], &beacon, noted)
    }

    const NOTHING: Noted = Noted { root: None, beacon_chain: None, beacon_round: None };

    #[test]
    fn a_round_of_the_public_network_holds() {
        let said = judged(|_| {}, &NOTHING).unwrap();
        assert!(said.contains("round 1000 of chain 52db") && said.contains("quicknet"), "{said}");
        assert!(said.contains("no --root was given"), "{said}");
        let noted =
            Noted { root: Some([1; 32]), beacon_chain: hash_of(KNOWN[0].0), beacon_round: Some(1_000) };
        let said = judged(|_| {}, &noted).unwrap();
        assert_eq!(said.lines().count(), 1, "{said}");
        let late = judged(|told| told["rootAt"] = json!("2023-08-23T15:59:24Z"), &NOTHING).unwrap();
        assert!(late.contains("trust in the operator remains"), "{late}");
    }

    fn hash_of(text: &str) -> Option<Hash> {
        hex::read(text)?.try_into().ok()
    }

    #[test]
    fn what_an_operator_might_show_instead_is_refused() {
        for (change, why) in [
            (
                &(|told: &mut Value| told["beaconRound"] = json!(999)) as &dyn Fn(&mut Value),
                "not the one that follows",
            ),
            (&|told| told["opensAt"] = json!("2023-08-23T15:59:10Z"), "not the one that follows"),
            (&|told| told["beaconInfo"]["periodSeconds"] = json!(4), "not what its hash commits to"),
            (&|told| told["beaconInfo"]["id"] = json!("default"), "not what its hash commits to"),
            (&|told| told["beaconInfo"]["scheme"] = json!("mine"), "cannot be checked"),
            (&|told| told["beaconInfo"] = json!(null), "not all is told"),
            (&|told| told["beaconSignature"] = json!("00"), "is not signed"),
            (&|told| told["beaconSignature"] = json!(null), "without a signature"),
            (&|told| told["beaconChain"] = json!(null), "none was announced"),
        ] {
            let refused = judged(change, &NOTHING).unwrap_err();
            assert!(refused.contains(why), "{why}: {refused}");
        }
        let other = Noted { beacon_chain: Some([1; 32]), ..NOTHING };
        assert!(judged(|_| {}, &other).unwrap_err().contains("another chain"));
        let other = Noted { beacon_round: Some(1_001), ..NOTHING };
        assert!(judged(|_| {}, &other).unwrap_err().contains("another one than"));
        let other = Noted { root: Some([2; 32]), ..NOTHING };
        assert!(judged(|_| {}, &other).unwrap_err().contains("told before"));
    }

    #[test]
    fn a_beacon_that_was_not_used_is_told_plainly() {
        let mut told = quicknet();
        told["beaconSignature"] = json!(null);
        let told: BeaconAnswer = serde_json::from_value(told).unwrap();
        let said = verify(&told, &[1; 32], &[], &NOTHING).unwrap();
        assert!(said.contains("announced but not used: trust in the operator remains"), "{said}");
        assert_eq!(verify(&BeaconAnswer::default(), &[1; 32], &[], &NOTHING), Ok(String::new()));
    }
}
