//! `boxoffice verify-draw` against a draw that was really held, and against what a forger would show.

use std::{path::Path, time::Duration};

use audit::draw::{Hash, sha256};
use chassis::{clock::Clock, rfc3339::Rfc3339};
use serde_json::{Value, json};
use tests::{
    eventually::eventually,
    mesh::Shape,
    patience::timeout,
    process::binary,
    relay::{DrandRelay, Mood},
    solos,
    suite::Solo,
    world::{World, all_at_once, int, text, unique},
};
use tokio::process::Command;
use uuid::Uuid;

pub(crate) const SOLOS: &[Solo] = solos![&[Shape::SingleSqlite]; an_honest_draw_is_verified_and_a_forged_one_is_refused,
    a_draw_with_a_beacon_is_verified_and_one_without_its_beacon_says_so];

/// What the command answers to these words: its exit code, and what it said.
async fn verify(words: &[&str]) -> (i32, String) {
    let command = Command::new(binary("boxoffice"))
        .arg("verify-draw")
        .args(words)
        .env_clear()
        .kill_on_drop(true)
        .output();
    let output = timeout(Duration::from_secs(20), command).await.unwrap().unwrap();
    let said = [output.stdout, output.stderr].concat();
    (output.status.code().unwrap(), String::from_utf8_lossy(&said).into_owned())
}

/// Writes a file, and answers its name.
fn file(folder: &Path, name: &str, content: impl AsRef<[u8]>) -> String {
    let path = folder.join(name);
    std::fs::write(&path, content).unwrap();
    path.display().to_string()
}

fn hex(hash: &Hash) -> String {
    hash.iter().map(|byte| format!("{byte:02x}")).collect()
}

async fn an_honest_draw_is_verified_and_a_forged_one_is_refused(shape: Shape) {
    let world = World::start(shape, &[]).await;
    let opens_at = Rfc3339::of(Clock::system().now() + 5_000_000).as_str().to_owned();
    let queue = world.queue(json!({"maxActive": 0, "opening": "DRAW", "opensAt": opens_at})).await;
    let draw_at = format!("{}/v1/queues/{queue}/draw", world.rest.base());
    let noted = text(&world.rest.get(&format!("/v1/queues/{queue}/draw")).expect(200).await["commitment"]);
    let users: Vec<String> = (0..40).map(|_| unique("user")).collect();
    let joined = all_at_once(users.iter().map(|user| world.joining(&queue, user))).await;
    let tokens: Vec<String> = joined.into_iter().map(|one| text(&one.expect(201)["token"])).collect();
    let (code, said) = verify(&[&draw_at]).await;
    assert!(code == 2 && said.contains("the draw was not held yet"), "{code} {said}");
    let draw: Value = eventually(Duration::from_secs(30), || async {
        let draw = world.rest.get(&format!("/v1/queues/{queue}/draw")).expect(200).await;
        if draw["secret"].is_string() { Ok(draw) } else { Err(draw.to_string()) }
    })
    .await;
    let mut drawn = Vec::new();
    for token in &tokens {
        let own = world.rest.get(&format!("/v1/tokens/{token}/draw")).expect(200).await;
        drawn.push((int(&own["number"]), token, own));
    }
    drawn.sort_by_key(|(number, ..)| *number);
    let hash_of = |token: &str| hex(&sha256(&[token.parse::<Uuid>().unwrap().as_bytes()]));
    let hashes: Vec<String> = drawn.iter().map(|(_, token, _)| hash_of(token)).collect();

    let folder = tempfile::tempdir().unwrap();
    let at = folder.path();
    let list = file(at, "list", hashes.join("\n"));
    let (_, first, own) = &drawn[0];
    let mine_at = format!("{}/v1/tokens/{first}/draw", world.rest.base());
    let (code, said) = verify(&[&draw_at, &mine_at, "--commitment", &noted, "--list", &list]).await;
    assert_eq!(code, 0, "{said}");
    for words in ["40 took part", "the token took part: number 1 of 40", "the list of 40 gives the root"] {
        assert!(said.contains(words), "{words} in {said}");
    }
    let (draw_file, mine) = (file(at, "draw", draw.to_string()), file(at, "mine", own.to_string()));
    let (code, said) = verify(&[&draw_file, &mine]).await;
    assert!(code == 0 && said.contains("no --commitment was given"), "{code} {said}");

    // Each of these is what somebody might show who has something to hide.
    let other = |of: &Value, change: &dyn Fn(&mut Value)| {
        let mut forged = of.clone();
        change(&mut forged);
        forged.to_string()
    };
    let flip = |hex: &Value| {
        let text = text(hex);
        json!(format!("{}{}", if text.starts_with('0') { '1' } else { '0' }, &text[1..]))
    };
    let secret = file(at, "secret", other(&draw, &|draw| draw["secret"] = flip(&draw["secret"])));
    let seed = file(at, "seed", other(&draw, &|draw| draw["seed"] = flip(&draw["seed"])));
    let fewer = file(at, "fewer", other(&draw, &|draw| draw["registered"] = json!(39)));
    let last = file(at, "last", other(own, &|own| own["number"] = json!(41)));
    let path = file(at, "path", other(own, &|own| own["proof"]["path"][0] = flip(&own["proof"]["path"][0])));
    let stolen = file(at, "stolen", other(own, &|own| own["token"] = json!(drawn[1].1)));
    let missing = file(at, "missing", hashes[1..].join("\n"));
    let twice = file(at, "twice", [&hashes[..1], &hashes[..39]].concat().join("\n"));
    let mut swapped = hashes.clone();
    swapped.swap(0, 1);
    let swapped = file(at, "swapped", swapped.join("\n"));
    let later = text(&flip(&json!(noted)));
    for (words, why) in [
        (vec![&secret], "the secret is not that of the commitment"),
        (vec![&seed], "the seed does not follow"),
        (vec![&draw_file, "--commitment", &later], "not the one that was told before"),
        (vec![&fewer, &mine], "do not tell the same number"),
        (vec![&draw_file, &last], "is not where its lot stands"),
        (vec![&draw_file, &path], "does not lead to the root"),
        (vec![&draw_file, &stolen], "the hash is not that of the token"),
        (vec![&draw_file, "--list", &missing], "its root is another"),
        (vec![&draw_file, "--list", &twice], "a hash twice"),
        (vec![&draw_file, &mine, "--list", &swapped], "line 1 of the list is not this token's"),
    ] as [(Vec<&str>, &str); 10]
    {
        let (code, said) = verify(&words).await;
        assert!(code == 1 && said.contains(why), "{why}: {code} {said}");
    }
    let (code, said) = verify(&[&draw_file, "/nowhere"]).await;
    assert!(code == 2 && said.contains("/nowhere"), "{code} {said}");
    world.finish().await;
}

/// The draw of a line, once it has this member.
async fn once(world: &World, queue: &str, member: &str) -> Value {
    eventually(Duration::from_secs(40), || async {
        let draw = world.rest.get(&format!("/v1/queues/{queue}/draw")).expect(200).await;
        if draw[member].is_string() { Ok(draw) } else { Err(draw.to_string()) }
    })
    .await
}

async fn a_draw_with_a_beacon_is_verified_and_one_without_its_beacon_says_so(shape: Shape) {
    let relay = DrandRelay::start().await;
    let world = World::start(shape, &["--beacon-url", &relay.url]).await;
    let folder = tempfile::tempdir().unwrap();
    for mood in [Mood::Tells, Mood::IsAway] {
        relay.is(mood);
        let opens_at = Rfc3339::of(Clock::system().now() + 4_000_000).as_str().to_owned();
        let queue = world.queue(json!({"maxActive": 0, "opening": "DRAW", "opensAt": opens_at})).await;
        let token = text(&world.join(&queue, &unique("user")).await["token"]);
        let at = |path: String| format!("{}{path}", world.rest.base());
        let (draw_at, mine_at) =
            (at(format!("/v1/queues/{queue}/draw")), at(format!("/v1/tokens/{token}/draw")));
        let fixed = once(&world, &queue, "root").await;
        if mood == Mood::IsAway {
            let without = json!({"withoutBeacon": true});
            world.rest.put(&format!("/v1/queues/{queue}"), without).expect(200).await;
        }
        let held = once(&world, &queue, "secret").await;
        let (root, chain) = (text(&fixed["root"]), relay.drand.hash());
        let (code, said) = verify(&[&draw_at, &mine_at, "--root", &root, "--beacon-chain", &chain]).await;
        assert_eq!(code, 0, "{said}");
        let says = if mood == Mood::Tells {
            "which this program does not know"
        } else {
            "was announced but not used: trust in the operator remains"
        };
        assert!(said.contains(says) && said.contains(&chain), "{said}");
        assert!(!said.contains("--root"), "{said}");
        let other = "0".repeat(64);
        for (words, why) in [
            ([&draw_at[..], "--root", &other], "the root is not the one"),
            ([&draw_at, "--beacon-chain", &other], "of another chain"),
        ] {
            let (code, said) = verify(&words).await;
            assert!(code == 1 && said.contains(why), "{why}: {code} {said}");
        }
        let mut forged = held.clone();
        forged["beaconRound"] = json!(int(&held["beaconRound"]) + 1);
        let (code, said) = verify(&[&file(folder.path(), "round", forged.to_string())]).await;
        assert!(code == 1 && said.contains("is not the one that follows from the opening"), "{code} {said}");
    }
    world.finish().await;
}
