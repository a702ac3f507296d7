//! The key's file, and the tokens that it signs.

use std::{path::PathBuf, thread};

use tempfile::TempDir;

use super::*;
use crate::{
    Role,
    keys::KeySet,
    testing::{NOW, NOW_MICROS},
    verifier::Verifier,
};

fn folder() -> (TempDir, PathBuf) {
    let outer = TempDir::with_prefix("issuer-").unwrap();
    let folder = outer.path().join("made/here");
    (outer, folder)
}

fn mode(path: &Path) -> u32 {
    fs::metadata(path).unwrap().permissions().mode() & 0o777
}

#[test]
fn a_token_says_what_it_was_asked_to() {
    let (_outer, folder) = folder();
    let issuer = Issuer::open(&folder).unwrap();
    let roles = [Role::Operator, Role::Support].into_iter().collect();
    let token = issuer.issue("boxoffice", "Zoe\u{308}", roles, Duration::from_secs(600), NOW_MICROS).unwrap();
    let verifier = Verifier {
        issuer: "local".to_owned(),
        audience: "boxoffice".to_owned(),
        user_claim: "sub".to_owned(),
        roles_claim: "roles".to_owned(),
    };
    let keys = KeySet::read(issuer.jwks().as_bytes()).unwrap();
    let identity = verifier.verify(&token, &keys, NOW_MICROS).unwrap();
    assert_eq!((&*identity.user, identity.roles), ("Zo\u{eb}", roles));
    assert_eq!(identity.expires_at, (NOW + 600) * SECOND);
    assert_eq!(verifier.verify(&token, &keys, NOW_MICROS + 660 * SECOND), Err(Why::Expired));
    let again = issuer.issue("boxoffice", "Zoe\u{308}", roles, Duration::from_secs(600), NOW_MICROS).unwrap();
    assert_ne!(again, token, "each has an id of its own");
    for (audience, lifetime) in [("other", Duration::from_secs(600)), ("boxoffice", Duration::MAX)] {
        let other = issuer.issue(audience, "ann", Roles::default(), lifetime, NOW_MICROS).unwrap();
        assert_eq!(verifier.verify(&other, &keys, NOW_MICROS).is_ok(), audience == "boxoffice");
    }
    assert_eq!(issuer.issue("boxoffice", "ann lee", roles, Duration::ZERO, NOW_MICROS), Err(Why::User));
}

#[test]
fn the_key_is_its_owner_s_alone_and_lasts() {
    let (_outer, folder) = folder();
    let issuer = Issuer::open(&folder).unwrap();
    let file = folder.join(FILE);
    assert_eq!((mode(&folder), mode(folder.parent().unwrap()), mode(&file)), (0o700, 0o700, 0o600));
    assert_eq!(fs::read_dir(&folder).unwrap().count(), 1, "nothing is left beside it");
    // As a copy may be.
    fs::set_permissions(&file, fs::Permissions::from_mode(0o644)).unwrap();
    assert_eq!(Issuer::open(&folder).unwrap().jwks(), issuer.jwks());
    assert_eq!(mode(&file), 0o600);
    assert!(!issuer.jwks().contains("\"d\""));
}

#[test]
fn programs_that_start_together_have_one_key() {
    for _ in 0..20 {
        let (_outer, folder) = folder();
        let start = std::sync::Barrier::new(8);
        let keys: Vec<String> = thread::scope(|scope| {
            let one = || {
                start.wait();
                Issuer::open(&folder).unwrap().jwks()
            };
            let all: Vec<_> = (0..8).map(|_| scope.spawn(one)).collect();
            all.into_iter().map(|one| one.join().unwrap()).collect()
        });
        assert!(keys.iter().all(|key| *key == keys[0]), "{keys:?}");
        assert_eq!(fs::read_dir(&folder).unwrap().count(), 1);
    }
}

#[test]
fn a_file_that_holds_no_key_is_named_and_left_alone() {
    let (_outer, folder) = folder();
    Issuer::open(&folder).unwrap();
    let file = folder.join(FILE);
    let whole = fs::read_to_string(&file).unwrap();
    let other = BASE64.encode([7; 32]);
    let x = whole.split("\"x\":\"").nth(1).unwrap().split('"').next().unwrap().to_owned();
    for wrong in ["", "hunter2", "{}", &whole[..40], &whole.replace(&x, &other), &whole.replace("OKP", "EC")]
    {
        fs::write(&file, wrong).unwrap();
        let error = Issuer::open(&folder).unwrap_err().to_string();
        assert!(error.contains(FILE) && error.ends_with("holds no Ed25519 key as a JWK"), "{error}");
        assert_eq!(fs::read_to_string(&file).unwrap(), wrong);
    }
    let error = Issuer::open(&file).unwrap_err().to_string();
    assert!(error.contains(FILE), "{error}");
}

/// RFC 8037, appendix A.3.
#[test]
fn a_key_s_name_is_its_thumbprint() {
    let public = BASE64.decode("11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo").unwrap();
    assert_eq!(thumbprint(&public), "kPrK_qmxVWaYVA9wwBF6Iuo3vVzz7TxHCTwXBygrS4k");
}
