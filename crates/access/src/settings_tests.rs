//! What a command line may say, and which way to run that makes.

use clap::Parser;

use super::*;

#[derive(Debug, Parser)]
struct Line {
    #[command(flatten)]
    access: AccessArgs,
}

fn args(words: &[&str]) -> Result<AccessArgs, String> {
    let line = Line::try_parse_from([&["toy"], words].concat());
    line.map(|line| line.access).map_err(|error| error.to_string())
}

fn way(words: &[&str], addresses: &[&str]) -> Result<Way, String> {
    let flags = ["--rest-addr", "--grpc-addr"];
    let bound: Vec<_> = flags.into_iter().zip(addresses.iter().map(|addr| addr.parse().unwrap())).collect();
    args(words).unwrap().way(&bound).map_err(|error| error.to_string())
}

#[test]
fn without_an_issuer_only_this_machine_may_call() {
    let here = ["127.0.0.1:24000", "[::1]:24051", "127.8.0.1:1", "[::ffff:127.0.0.1]:1"];
    for addresses in [&here[..2], &here[2..], &[]] {
        assert!(matches!(way(&[], addresses), Ok(Way::OpenHouse)), "{addresses:?}");
    }
    for open in ["0.0.0.0:24051", "[::]:24051", "10.0.0.1:1", "[2001:db8::1]:1", "[::ffff:10.0.0.1]:1"] {
        let refused = way(&[], &["127.0.0.1:24000", open]).unwrap_err();
        for word in ["--grpc-addr", open, "--auth-issuer", "AUTH_ISSUER", "--insecure-open"] {
            assert!(refused.contains(word), "{refused}");
        }
        assert!(matches!(way(&["--insecure-open"], &[open]), Ok(Way::OpenHouse)));
        for issuer in ["local", "https://id.example"] {
            assert!(matches!(way(&["--auth-issuer", issuer], &[open, "127.0.0.1:1"]), Ok(Way::Secured(_))));
        }
    }
}

/// Programs that are apart and ask who calls must know each other, or a stranger is the edge.
#[test]
fn programs_apart_ask_callers_only_where_they_know_each_other() {
    let apart = |words: &[&str], is_known: bool| {
        let way = args(words).unwrap().way_apart(&[], is_known, "--mesh-ca (MESH_CA)");
        way.map_err(|error| error.to_string())
    };
    let provider = ["--auth-issuer", "https://id.example"];
    assert!(matches!(apart(&provider, true), Ok(Way::Secured(_))));
    let refused = apart(&provider, false).unwrap_err();
    for word in ["--auth-issuer", "--mesh-ca (MESH_CA)", "boxoffice keys", "--insecure-open"] {
        assert!(refused.contains(word), "{refused}");
    }
    let trusting = [&provider[..], &["--insecure-open"]].concat();
    assert!(matches!(apart(&trusting, false), Ok(Way::Secured(_))));
    // The launcher's own issuer is in its folder, and that is not here.
    let refused = apart(&["--auth-issuer", "local"], true).unwrap_err();
    assert!(refused.contains("--auth-jwks (AUTH_JWKS)"), "{refused}");
    let by_file = ["--auth-issuer", "local", "--auth-jwks", "keys/jwks.json"];
    assert!(matches!(apart(&by_file, true), Ok(Way::Secured(_))));
}

#[test]
fn an_issuer_is_a_safe_address_and_keeps_its_letters() {
    for good in [
        "https://id.example",
        "https://id.example/",
        "https://ID.example/realms/Shop",
        "https://id.example:8443/a",
        "http://127.0.0.1:3000",
        "http://localhost:3000/x",
        "http://[::1]:3000",
    ] {
        assert_eq!(args(&["--auth-issuer", good]).unwrap().auth_issuer, Some(Trusted::Url(good.to_owned())));
        assert!(args(&["--auth-issuer", "local", "--auth-jwks", good]).is_ok(), "{good}");
    }
    for bad in [
        "",
        "id.example",
        "http://id.example",
        "http://localhost.example",
        "http://10.0.0.1",
        "http://127.0.0.1.example",
        "ftp://127.0.0.1",
        "https://me:secret@id.example",
        "https://id.example/#x",
        "https://id.example/?x=1",
        "Local",
    ] {
        let told = args(&["--auth-issuer", bad]).unwrap_err();
        assert!(told.contains("--auth-issuer"), "{bad}: {told}");
    }
    assert!(args(&["--auth-jwks", "http://id.example/jwks"]).is_err());
    assert!(args(&["--auth-jwks", ""]).is_err());
    for empty in ["--auth-audience", "--auth-user-claim", "--auth-roles-claim"] {
        assert!(args(&[empty, ""]).is_err(), "{empty}");
    }
}

#[test]
fn keys_are_somebody_s() {
    let refused = way(&["--auth-jwks", "keys.json"], &["127.0.0.1:1"]).unwrap_err();
    assert!(refused.contains("--auth-jwks (AUTH_JWKS)") && refused.contains("--auth-issuer"), "{refused}");
    let words = ["--auth-issuer", "https://id.example", "--auth-jwks", "keys.json"];
    let Ok(Way::Secured(secured)) = way(&words, &[]) else { panic!() };
    assert_eq!(secured.jwks, Some(Jwks::File("keys.json".into())));
}

#[test]
fn the_local_issuer_s_claims_are_its_own() {
    let claims = ["--auth-user-claim", "email", "--auth-roles-claim", "realm_access.roles"];
    let of = |issuer: &'static str| {
        let Ok(Way::Secured(secured)) = way(&[&["--auth-issuer", issuer][..], &claims].concat(), &[]) else {
            panic!()
        };
        [secured.user_claim, secured.roles_claim]
    };
    assert_eq!(of("local"), ["sub", "roles"]);
    assert_eq!(of("https://id.example"), ["email", "realm_access.roles"]);
}
