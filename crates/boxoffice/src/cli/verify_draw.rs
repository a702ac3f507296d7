//! `boxoffice verify-draw`: checks the draw of a queue that opened by lot, by what everybody may read.

use std::{path::PathBuf, process::ExitCode, time::Duration};

use audit::draw::{Hash, leads, root, sha256};
use chassis::web::{Web, WebBounds, client_tls};
use clap::Args;
use http::Request;
use serde::Deserialize;
use uuid::Uuid;

use super::drawn_beacon::{self, BeaconAnswer, Noted, hash};

/// What to check.
#[derive(Args)]
#[command(long_about = ABOUT, after_help = AFTER, after_long_help = AFTER)]
pub(crate) struct VerifyDraw {
    /// What /v1/queues/{queueId}/draw answered: a file, or its address
    draw: String,
    /// What /v1/tokens/{token}/draw answered: a file, or its address
    token_draw: Option<String>,
    /// The commitment that was told before the opening, in hex; without it nothing binds the secret
    #[arg(long, value_name = "HEX", value_parser = hash)]
    commitment: Option<Hash>,
    /// A file with the hash of each token that took part, a line each, by their numbers
    #[arg(long, value_name = "FILE")]
    list: Option<PathBuf>,
    #[command(flatten)]
    noted: Noted,
}

const ABOUT: &str = "\
Check the draw of a queue that opened by lot

It recomputes what docs/draw.md says: that the secret is the one of the commitment, that the seed follows from the secret and the root,
that the token took part, and that its number is where its lot stands among so many. Of a draw with a beacon it also checks that it is
the round that follows from the opening, and its signature; that needs no network, since the hash of the chain commits to its key. With
--list it also recomputes the root from everybody's hash, and looks up the token's number there.";

const AFTER: &str = "\
Exit codes: 0 it holds · 1 it does not · 2 something cannot be read

Examples:
  boxoffice verify-draw http://127.0.0.1:24000/v1/queues/fair/draw http://127.0.0.1:24000/v1/tokens/$TOKEN/draw
  boxoffice verify-draw draw.json mine.json --commitment $NOTED --list hashes.txt
  boxoffice verify-draw draw.json --commitment $NOTED --root $NOTED_TOO \
    --beacon-chain 52db9ba70e0cc0f6eaf7803dd07447a1f5477735fd3f661792ba94600c84e971";

/// The draw does not hold.
const FORGED: u8 = 1;
/// Something cannot be read.
const UNREADABLE: u8 = 2;
/// What is read of an address has some kilobytes at most.
const BOUNDS: WebBounds =
    WebBounds { within: Duration::from_secs(20), largest: 64 * 1024, idle: Duration::ZERO };
/// How many standard deviations a number may be away from where its lot stands: one honest number in
/// 500,000,000 is further away.
const DEVIATIONS: f64 = 6.0;

/// The answer about a queue's draw.
#[derive(Deserialize)]
struct DrawAnswer {
    algorithm: String,
    commitment: String,
    registered: u64,
    secret: Option<String>,
    root: Option<String>,
    beacon: Option<String>,
    seed: Option<String>,
    #[serde(flatten)]
    announced: BeaconAnswer,
}

/// The answer about a token.
#[derive(Deserialize)]
struct TokenDraw {
    token: Uuid,
    number: u64,
    of: u64,
    hash: String,
    proof: Proof,
}

#[derive(Deserialize)]
struct Proof {
    index: u64,
    size: u64,
    path: Vec<String>,
}

/// A draw as bytes.
struct Held {
    registered: u64,
    root: Hash,
    beacon: Vec<u8>,
    seed: Hash,
}

/// Why the check ends: it does not hold, or cannot be made.
type Failure = (u8, String);

impl VerifyDraw {
    pub(crate) fn run(self) -> ExitCode {
        match self.verify() {
            Ok(told) => {
                super::print(&told);
                ExitCode::SUCCESS
            }
            Err((code, why)) => super::failed("verify-draw", &why, code),
        }
    }

    fn verify(&self) -> Result<String, Failure> {
        let draw: DrawAnswer = read(&self.draw)?;
        let held = held(&draw, self.commitment)?;
        let mine = self.token_draw.as_ref().map(|from| read::<TokenDraw>(from)).transpose()?;
        let mut told =
            format!("{} took part, and the seed follows from the secret and the root\n", held.registered);
        told += &drawn_beacon::verify(&draw.announced, &held.root, &held.beacon, &self.noted)
            .map_err(|why| (FORGED, why))?;
        if self.commitment.is_none() {
            told += "no --commitment was given, so this does not show that the secret was fixed before\n";
        }
        if let Some(mine) = &mine {
            told += &took_part(&held, mine)?;
        }
        if let Some(file) = &self.list {
            let text = std::fs::read_to_string(file).map_err(|error| unreadable(&file.display(), &error))?;
            told += &listed(&held, &text, mine.as_ref()).map_err(|why| (FORGED, why))?;
        }
        Ok(told)
    }
}

/// Checks the draw by itself.
fn held(draw: &DrawAnswer, noted: Option<Hash>) -> Result<Held, Failure> {
    if draw.algorithm != "boxoffice-draw-1" {
        return Err((UNREADABLE, format!("the rules {} are not known", draw.algorithm)));
    }
    let (Some(secret), Some(root), Some(beacon), Some(seed)) =
        (&draw.secret, &draw.root, &draw.beacon, &draw.seed)
    else {
        return Err((UNREADABLE, "the draw was not held yet".to_owned()));
    };
    let commitment = digits(&draw.commitment)?;
    let (secret, beacon) = (bytes(secret)?, bytes(beacon)?);
    let (root, seed) = (digits(root)?, digits(seed)?);
    let forged = |why: &str| Err((FORGED, why.to_owned()));
    if sha256(&[&secret]) != commitment {
        return forged("the secret is not that of the commitment");
    }
    if noted.is_some_and(|noted| noted != commitment) {
        return forged("the commitment is not the one that was told before");
    }
    if sha256(&[&secret, &root, &beacon]) != seed {
        return forged("the seed does not follow from the secret, the root and the beacon");
    }
    Ok(Held { registered: draw.registered, root, beacon, seed })
}

/// Checks that a token took part, and that its number fits its lot.
fn took_part(held: &Held, mine: &TokenDraw) -> Result<String, Failure> {
    let (own, path) = (digits(&mine.hash)?, mine.proof.path.iter().map(|hash| digits(hash)));
    let path = path.collect::<Result<Vec<_>, _>>()?;
    let forged = |why: String| Err((FORGED, why));
    if sha256(&[mine.token.as_bytes()]) != own {
        return forged("the hash is not that of the token".to_owned());
    }
    if mine.of != held.registered || mine.proof.size != held.registered {
        return forged(
            "the draw and the token do not tell the same number of those who took part".to_owned(),
        );
    }
    if !leads(&held.root, &own, mine.proof.index, mine.proof.size, &path) {
        return forged("the proof does not lead to the root: the token took no part".to_owned());
    }
    let lot = sha256(&[&held.seed, mine.token.as_bytes()]);
    let (likely, deviation) = stands(&lot, mine.of);
    #[expect(clippy::cast_precision_loss, reason = "numbers of people")]
    let away = (mine.number as f64 - likely).abs();
    if mine.number == 0 || mine.number > mine.of || away > DEVIATIONS * deviation + 1.0 {
        return forged(format!("number {} is not where its lot stands: about {likely:.0}", mine.number));
    }
    Ok(format!("the token took part: number {} of {}, as its lot makes likely\n", mine.number, mine.of))
}

/// The number that a lot has among so many in the mean, and the standard deviation from it.
#[expect(clippy::cast_precision_loss, reason = "53 bits of a lot say enough")]
fn stands(lot: &Hash, of: u64) -> (f64, f64) {
    let first = lot.first_chunk().copied().map_or(0, u64::from_be_bytes);
    let share = (first >> 11) as f64 / (1_u64 << 53) as f64;
    let others = of.saturating_sub(1) as f64;
    (1.0 + others * share, (others * share * (1.0 - share)).sqrt())
}

/// Checks the whole list, and the token's line in it.
fn listed(held: &Held, text: &str, mine: Option<&TokenDraw>) -> Result<String, String> {
    let hashes: Vec<Hash> = text.lines().map(|line| hash(line.trim())).collect::<Result<_, _>>()?;
    let mut apart = hashes.clone();
    apart.sort_unstable();
    apart.dedup();
    if apart.len() != hashes.len() {
        return Err("the list has a hash twice".to_owned());
    }
    if u64::try_from(hashes.len()) != Ok(held.registered) || root(apart) != held.root {
        return Err("the list is not that of who took part: its root is another".to_owned());
    }
    let own = mine.map(|mine| Ok::<_, String>((hash(&mine.hash)?, mine.number))).transpose()?;
    if let Some((own, number)) = own {
        let line = usize::try_from(number).ok().and_then(|number| hashes.get(number.checked_sub(1)?));
        if line != Some(&own) {
            return Err(format!("line {number} of the list is not this token's"));
        }
    }
    Ok(format!("the list of {} gives the root\n", hashes.len()))
}

/// Reads JSON from a file or an address.
fn read<T: for<'a> Deserialize<'a>>(from: &str) -> Result<T, Failure> {
    let text = if ["http://", "https://"].iter().any(|scheme| from.starts_with(scheme)) {
        super::block_on(fetch(from)).map_err(|error| unreadable(&from, &error))?
    } else {
        std::fs::read(from).map_err(|error| unreadable(&from, &error))?
    };
    serde_json::from_slice(&text).map_err(|error| unreadable(&from, &error))
}

async fn fetch(from: &str) -> Result<Vec<u8>, String> {
    let request = Request::get(from).body(Default::default()).map_err(|error| error.to_string())?;
    let answer = Web::new(BOUNDS, client_tls(None)?).send(request).await?;
    if answer.status().is_success() {
        Ok(answer.into_body().into())
    } else {
        Err(format!("the answer is {}", answer.status()))
    }
}

fn unreadable(what: &impl std::fmt::Display, why: &impl std::fmt::Display) -> Failure {
    (UNREADABLE, format!("{what}: {why}"))
}

fn digits(hex: &str) -> Result<Hash, Failure> {
    hash(hex).map_err(|why| (UNREADABLE, why))
}

fn bytes(hex: &str) -> Result<Vec<u8>, Failure> {
    chassis::hex::read(hex).ok_or_else(|| (UNREADABLE, format!("{hex:?} is no hex")))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use chassis::hex::text as hex;

    use super::*;

    /// A draw of three, and what it tells of the one who is second.
    fn three() -> (DrawAnswer, TokenDraw, String) {
        let secret = [5; 32];
        let mut tokens = [1, 2, 3].map(Uuid::from_u128);
        let hash_of = |token: &Uuid| sha256(&[token.as_bytes()]);
        let top = root(tokens.iter().map(hash_of).collect());
        let seed = sha256(&[&secret, &top]);
        tokens.sort_by_key(|token| sha256(&[&seed, token.as_bytes()]));
        let mut leaves: Vec<Hash> = tokens.iter().map(hash_of).collect();
        leaves.sort_unstable();
        let index = leaves.iter().position(|leaf| *leaf == hash_of(&tokens[1])).unwrap();
        let leaf = |at: usize| sha256(&[&[0], &leaves[at]]);
        let path = match index {
            0 => vec![leaf(1), leaf(2)],
            1 => vec![leaf(0), leaf(2)],
            _ => vec![sha256(&[&[1], &leaf(0), &leaf(1)])],
        };
        let draw = DrawAnswer {
            algorithm: "boxoffice-draw-1".to_owned(),
            commitment: hex(&sha256(&[&secret])),
            registered: 3,
            secret: Some(hex(&secret)),
            root: Some(hex(&top)),
            beacon: Some(String::new()),
            seed: Some(hex(&seed)),
            announced: BeaconAnswer::default(),
        };
        let proof = Proof { index: index as u64, size: 3, path: path.iter().map(|hash| hex(hash)).collect() };
        let mine = TokenDraw { token: tokens[1], number: 2, of: 3, hash: hex(&hash_of(&tokens[1])), proof };
        let list = tokens.iter().map(|token| hex(&hash_of(token)) + "\n").collect();
        (draw, mine, list)
    }

    #[test]
    fn an_honest_draw_holds_and_one_that_was_forged_does_not() {
        let (draw, mine, list) = three();
        let noted = hash(&draw.commitment).unwrap();
        let good = held(&draw, Some(noted)).unwrap();
        took_part(&good, &mine).unwrap();
        listed(&good, &list, Some(&mine)).unwrap();

        let code = |result: Result<Held, Failure>| result.err().map(|(code, _)| code);
        assert_eq!(code(held(&draw, Some([0; 32]))), Some(FORGED));
        let other = DrawAnswer { secret: Some(hex(&[6; 32])), ..three().0 };
        assert_eq!(code(held(&other, None)), Some(FORGED));
        let other = DrawAnswer { root: Some(hex(&[6; 32])), ..three().0 };
        assert_eq!(code(held(&other, None)), Some(FORGED));
        assert_eq!(code(held(&DrawAnswer { secret: None, ..three().0 }, None)), Some(UNREADABLE));

        for forge in [
            |mine: &mut TokenDraw| mine.token = Uuid::from_u128(9),
            |mine: &mut TokenDraw| mine.of = 4,
            |mine: &mut TokenDraw| mine.number = 4,
            |mine: &mut TokenDraw| mine.proof.path[0] = hex(&[0; 32]),
        ] {
            let mut forged = three().1;
            forge(&mut forged);
            assert_eq!(took_part(&good, &forged).err().map(|(code, _)| code), Some(FORGED));
        }
        assert!(listed(&good, &list[65..], None).is_err(), "somebody is missing");
        assert!(
            listed(&good, &list.replace(&list[..64], &list[65..129]), None).is_err(),
            "one is there twice"
        );
        let moved = TokenDraw { number: 3, ..three().1 };
        assert!(listed(&good, &list, Some(&moved)).is_err(), "another's line");
    }

    #[test]
    fn a_number_far_from_its_lot_is_refused() {
        let (likely, deviation) = stands(&[0x80; 32], 1_000_001);
        assert!((501_000.0..503_000.0).contains(&likely), "{likely}");
        assert!((499.0..501.0).contains(&deviation), "{deviation}");
    }
}
