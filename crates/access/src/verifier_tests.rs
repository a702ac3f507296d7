//! Which tokens are accepted, and a table of forgeries, each refused with its word.

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD as BASE64};
use serde_json::json;

use super::*;
use crate::{
    Role,
    testing::{ISSUER, NOW, NOW_MICROS, Signer, claims, claims_with, jwks},
};

const ALGORITHMS: [&str; 4] = ["EdDSA", "ES256", "RS256", "PS256"];

fn verifier() -> Verifier {
    Verifier {
        issuer: ISSUER.to_owned(),
        audience: "boxoffice".to_owned(),
        user_claim: "sub".to_owned(),
        roles_claim: "roles".to_owned(),
    }
}

fn set(signers: &[&Signer]) -> KeySet {
    KeySet::read(jwks(signers).as_bytes()).unwrap()
}

/// What becomes of claims in a token that is right otherwise.
fn of(other: Value) -> Result<Identity, Why> {
    by(&verifier(), &claims_with(other))
}

fn by(verifier: &Verifier, claims: &Value) -> Result<Identity, Why> {
    let signer = Signer::new("EdDSA", "k");
    verifier.verify(&signer.sign(&signer.header(), claims), &set(&[&signer]), NOW_MICROS)
}

/// What becomes of a header in a token that is right otherwise; null takes a member away.
fn with_header(other: Value) -> Result<Identity, Why> {
    let signer = Signer::new("EdDSA", "k");
    let mut header = signer.header();
    for (name, value) in other.as_object().unwrap() {
        header[name] = value.clone();
    }
    header.as_object_mut().unwrap().retain(|_, value| !value.is_null());
    verifier().verify(&signer.sign(&header, &claims()), &set(&[&signer]), NOW_MICROS)
}

#[test]
fn a_good_token_of_each_algorithm_says_who_calls() {
    for algorithm in ALGORITHMS {
        let signer = Signer::new(algorithm, "k");
        let identity = verifier().verify(&signer.good(), &set(&[&signer]), NOW_MICROS).unwrap();
        assert_eq!(&*identity.user, "ann", "{algorithm}");
        assert_eq!(identity.roles.iter().collect::<Vec<_>>(), [Role::Support]);
        assert_eq!((identity.priority, identity.expires_at), (None, (NOW + 3_600) * SECOND));
    }
}

/// RFC 9864 calls the same algorithm by another name than RFC 8037 did: issuers change to it one by one, and
/// their keys and their tokens not in one moment.
#[test]
fn the_algorithm_of_ed25519_has_two_names() {
    let signer = Signer::new("EdDSA", "k");
    for (key, token) in [("EdDSA", "Ed25519"), ("Ed25519", "Ed25519"), ("Ed25519", "EdDSA")] {
        let mut jwk = signer.jwk();
        jwk["alg"] = json!(key);
        let keys = KeySet::read(json!({ "keys": [jwk] }).to_string().as_bytes()).unwrap();
        let text = signer.sign(&json!({"alg": token, "kid": "k", "typ": "at+jwt"}), &claims());
        assert!(verifier().verify(&text, &keys, NOW_MICROS).is_ok(), "a key for {key}, a token of {token}");
    }
    assert_eq!(with_header(json!({"alg": "Ed448"})), Err(Why::Algorithm));
}

#[test]
fn the_key_says_what_it_is_for_and_the_token_does_not() {
    let all = ALGORITHMS.map(|algorithm| Signer::new(algorithm, algorithm));
    let keys = set(&all.each_ref());
    for (signer, other) in all.iter().flat_map(|signer| all.iter().map(move |other| (signer, other))) {
        let header = json!({"alg": signer.algorithm, "kid": other.kid});
        let expected = if signer.algorithm == other.algorithm { Ok(()) } else { Err(Why::WrongKey) };
        let told = verifier().verify(&signer.sign(&header, &claims()), &keys, NOW_MICROS).map(drop);
        assert_eq!(told, expected, "{} with the key of {}", signer.algorithm, other.algorithm);
    }
}

#[test]
fn what_asks_for_no_signature_or_for_a_secret_one_is_refused() {
    let signer = Signer::new("RS256", "k");
    let keys = set(&[&signer]);
    let claims = BASE64.encode(claims().to_string());
    for algorithm in
        ["none", "None", "NONE", "HS256", "HS512", "ES384", "RS1", "RS384", "PS512", "eddsa", "Ed448", ""]
    {
        let header = BASE64.encode(json!({"alg": algorithm, "kid": "k"}).to_string());
        // Signed with the public key's own text, as a secret: a reader that lets the token choose takes it.
        let secret = ring::hmac::Key::new(ring::hmac::HMAC_SHA256, signer.jwk().to_string().as_bytes());
        let signature = BASE64.encode(ring::hmac::sign(&secret, format!("{header}.{claims}").as_bytes()));
        for signature in ["", &signature] {
            let token = format!("{header}.{claims}.{signature}");
            assert_eq!(verifier().verify(&token, &keys, NOW_MICROS), Err(Why::Algorithm), "{algorithm}");
        }
    }
    // The right word and no signature, or a short one.
    for (header, signature) in [(signer.header(), ""), (signer.header(), "AAAA")] {
        let token = format!("{}.{claims}.{signature}", BASE64.encode(header.to_string()));
        assert_eq!(verifier().verify(&token, &keys, NOW_MICROS), Err(Why::Signature));
    }
}

#[test]
fn a_token_is_of_a_key_of_the_set() {
    for algorithm in ALGORITHMS {
        let signer = Signer::new(algorithm, "k");
        let keys = set(&[&signer]);
        let good = signer.good();
        let (signed, signature) = good.rsplit_once('.').unwrap();
        let (header, _) = signed.split_once('.').unwrap();
        let mut bytes = BASE64.decode(signature).unwrap();
        bytes[7] ^= 1;
        let others_claims = BASE64.encode(claims_with(json!({"sub": "root"})).to_string());
        for forged in [
            format!("{signed}.{}", BASE64.encode(&bytes)),
            format!("{header}.{others_claims}.{signature}"),
            format!("{signed}.{}", BASE64.encode(&BASE64.decode(signature).unwrap()[1..])),
        ] {
            assert_eq!(verifier().verify(&forged, &keys, NOW_MICROS), Err(Why::Signature), "{algorithm}");
        }
        // The key of another issuer under the same name, and under one that is not known.
        if algorithm == "EdDSA" || algorithm == "ES256" {
            let told = verifier().verify(&Signer::new(algorithm, "k").good(), &keys, NOW_MICROS);
            assert_eq!(told, Err(Why::Signature), "{algorithm}");
        }
        let told = verifier().verify(&Signer::new(algorithm, "another").good(), &keys, NOW_MICROS);
        assert_eq!(told, Err(Why::UnknownKey), "{algorithm}");
    }
}

#[test]
fn a_token_that_names_no_key_may_be_of_the_only_one_that_fits() {
    let (one, other, rsa) = (Signer::new("EdDSA", "a"), Signer::new("EdDSA", "b"), Signer::new("RS256", "c"));
    let nameless = one.sign(&json!({"alg": "EdDSA", "typ": "JWT"}), &claims());
    let told = |signers: &[&Signer]| verifier().verify(&nameless, &set(signers), NOW_MICROS).map(drop);
    assert_eq!(told(&[&one]), Ok(()));
    assert_eq!(told(&[&one, &rsa]), Ok(()));
    // Which of two nobody knows; and one that did not sign it may have a successor by now.
    for signers in [&[&one, &other][..], &[&other], &[&rsa]] {
        assert_eq!(told(signers), Err(Why::UnknownKey));
    }
}

#[test]
fn the_header_says_that_it_is_an_access_token_and_asks_for_nothing_else() {
    for typ in
        ["at+jwt", "AT+JWT", "application/at+jwt", "Application/AT+jwt", "JWT", "jwt", "application/jwt"]
    {
        assert!(with_header(json!({"typ": typ})).is_ok(), "{typ}");
    }
    assert!(with_header(json!({"typ": null})).is_ok(), "RFC 7519 lets it be missing");
    for typ in ["", "id+jwt", "logout+jwt", "dpop+jwt", "secevent+jwt", "JOSE", "at+jwt ", "application/x"] {
        assert_eq!(with_header(json!({"typ": typ})), Err(Why::Type), "{typ}");
    }
    for critical in [json!([]), json!(["exp"]), json!(["b64"]), json!("exp")] {
        assert_eq!(with_header(json!({"crit": critical})), Err(Why::Extension));
    }
    for wrong in
        [json!({"typ": 1}), json!({"kid": 1}), json!({"kid": ["k"]}), json!({"alg": 1}), json!({"alg": null})]
    {
        assert_eq!(with_header(wrong.clone()), Err(Why::Malformed), "{wrong}");
    }
    // A key that a token brings along opens nothing, and its addresses are not asked.
    let brought = Signer::new("EdDSA", "k");
    for (name, value) in
        [("jwk", brought.jwk()), ("jku", json!("http://127.0.0.1:9/")), ("x5u", json!("http://127.0.0.1:9/"))]
    {
        let mut header = brought.header();
        header[name] = value;
        let told = verifier().verify(
            &brought.sign(&header, &claims()),
            &set(&[&Signer::new("EdDSA", "k")]),
            NOW_MICROS,
        );
        assert_eq!(told, Err(Why::Signature), "{name}");
    }
}

#[test]
fn what_is_no_token_is_refused() {
    let signer = Signer::new("EdDSA", "k");
    let keys = set(&[&signer]);
    let good = signer.good();
    let (signed, signature) = good.rsplit_once('.').unwrap();
    let (header, claims) = signed.split_once('.').unwrap();
    let deep = format!("{{\"alg\":{}1{}}}", "[".repeat(3_000), "]".repeat(3_000));
    for wrong in [
        String::new(),
        "..".to_owned(),
        "a.b".to_owned(),
        signed.to_owned(),
        format!("{good}."),
        format!(".{good}"),
        // Five parts: encrypted.
        format!("{header}.{claims}.{claims}.{claims}.{signature}"),
        // Padding, and the other alphabet (RFC 7515, section 2).
        format!("{header}==.{claims}.{signature}"),
        format!("{header}.{claims}.{signature}="),
        format!("{header}.{claims}.++++{signature}"),
        signer.sign_text("no JSON", "{}"),
        signer.sign_text("[]", "{}"),
        signer.sign_text(r#"{"alg":"EdDSA","kid":"k","alg":"EdDSA"}"#, "{}"),
        signer.sign_text(r#"{"alg":"EdDSA","kid":"k","x":1,"x":1}"#, "{}"),
        signer.sign_text(r#"{"alg":"EdDSA","kid":"k"} {}"#, "{}"),
        signer.sign_text(&deep, "{}"),
        signer.sign_text(r#"{"alg":"EdDSA","kid":"k"}"#, "no JSON"),
        signer.sign_text(r#"{"alg":"EdDSA","kid":"k"}"#, "[]"),
        signer.sign_text(r#"{"alg":"EdDSA","kid":"k"}"#, r#"{"sub":"ann","sub":"root"}"#),
        signer.sign_text(r#"{"alg":"EdDSA","kid":"k"}"#, r#"{"boxoffice":1,"boxoffice":1}"#),
    ] {
        assert_eq!(verifier().verify(&wrong, &keys, NOW_MICROS), Err(Why::Malformed), "{wrong:.80}");
    }
}

#[test]
fn a_token_is_of_the_issuer_and_for_this_service() {
    for issuer in [
        json!("https://id.example/realms/other"),
        json!("https://id.example/realms/shop/"),
        json!("HTTPS://ID.EXAMPLE/realms/shop"),
        json!(""),
        json!([ISSUER]),
        json!(1),
        json!(null),
    ] {
        assert_eq!(of(json!({"iss": issuer})), Err(Why::Issuer), "{issuer}");
    }
    for audience in [json!("boxoffice"), json!(["boxoffice"]), json!(["account", "boxoffice"])] {
        assert!(of(json!({"aud": audience})).is_ok(), "{audience}");
    }
    for audience in [
        json!("account"),
        json!("Boxoffice"),
        json!("boxoffice account"),
        json!(""),
        json!([]),
        json!(["account"]),
        json!(["boxoffice", 1]),
        json!({"boxoffice": "boxoffice"}),
        json!(1),
        json!(true),
        json!(null),
    ] {
        assert_eq!(of(json!({"aud": audience})), Err(Why::Audience), "{audience}");
    }
}

#[test]
fn a_token_has_its_time_and_clocks_may_differ_by_a_minute() {
    for exp in [
        json!(NOW + 1),
        json!(NOW - 59),
        json!(NOW as f64 + 0.5),
        json!(i64::MAX),
        json!(u64::MAX),
        json!(1e300),
    ] {
        assert!(of(json!({"exp": exp})).is_ok(), "{exp}");
    }
    for exp in [json!(NOW - 60), json!(NOW - 3_600), json!(0), json!(-1), json!(i64::MIN), json!(-1e300)] {
        assert_eq!(of(json!({"exp": exp})), Err(Why::Expired), "{exp}");
    }
    for nbf in [json!(NOW), json!(NOW + 60), json!(0), json!(NOW as f64 - 0.5)] {
        assert!(of(json!({"nbf": nbf})).is_ok(), "{nbf}");
    }
    for nbf in [json!(NOW + 61), json!(NOW as f64 + 60.5), json!(u64::MAX)] {
        assert_eq!(of(json!({"nbf": nbf})), Err(Why::NotYetValid), "{nbf}");
    }
    assert_eq!(of(json!({"exp": null})), Err(Why::Times), "it must be there");
    for name in ["exp", "nbf", "iat"] {
        for wrong in [json!(""), json!((NOW + 3_600).to_string()), json!(true), json!([NOW]), json!({})] {
            assert_eq!(of(json!({name: wrong})), Err(Why::Times), "{name}: {wrong}");
        }
    }
    let null = claims().to_string().replace("\"iat\"", "\"nbf\":null,\"iat\"");
    assert_eq!(by(&verifier(), &serde_json::from_str(&null).unwrap()), Err(Why::Times));
}

#[test]
fn a_user_is_a_name_in_one_form() {
    let user = |name: &str| of(json!({"sub": name})).map(|identity| identity.user.to_string());
    assert_eq!(user("Zoe\u{308}").as_deref(), Ok("Zo\u{eb}"));
    assert_eq!(user("auth0|김하늘"), Ok("auth0|김하늘".to_owned()));
    assert_eq!(user(&"e\u{308}".repeat(64)), Ok("\u{eb}".repeat(64)));
    for wrong in ["", " ", "ann lee", "ann\u{200b}", "a\0", &"x".repeat(65)] {
        assert_eq!(user(wrong), Err(Why::User), "{wrong:?}");
    }
    for wrong in [json!(null), json!(7), json!(["ann"]), json!({"id": "ann"})] {
        assert_eq!(of(json!({"sub": wrong})), Err(Why::User), "{wrong}");
    }
    let verifier = Verifier { user_claim: "preferred_username".to_owned(), ..verifier() };
    assert_eq!(&*by(&verifier, &claims_with(json!({"preferred_username": "bo"}))).unwrap().user, "bo");
    assert_eq!(by(&verifier, &claims()), Err(Why::User), "and not the subject instead");
}

#[test]
fn roles_are_a_list_or_words_at_the_end_of_a_path() {
    let at = |path: &str, claims: Value| {
        let verifier = Verifier { roles_claim: path.to_owned(), ..verifier() };
        by(&verifier, &claims_with(claims)).map(|identity| identity.roles.iter().collect::<Vec<_>>())
    };
    let both = Ok(vec![Role::Operator, Role::Cashier]);
    for roles in [
        json!(["cashier", "operator", "admin", "", "Support"]),
        json!("cashier openid  operator"),
        json!("operator cashier"),
    ] {
        assert_eq!(at("roles", json!({"roles": roles})), both, "{roles}");
        assert_eq!(at("realm_access.roles", json!({"realm_access": {"roles": roles}})), both);
        assert_eq!(at("https://shop.example/roles", json!({"https://shop.example/roles": roles})), both);
    }
    for nothing in
        [json!({"roles": null}), json!({"roles": []}), json!({"roles": ""}), json!({"roles": ["operators"]})]
    {
        assert_eq!(at("roles", nothing), Ok(Vec::new()));
    }
    for (path, nothing) in [
        ("a.roles", json!({"roles": ["operator"]})),
        ("a.b.roles", json!({"a": {"roles": ["operator"]}})),
        ("a.0", json!({"a": ["operator"]})),
        ("a.b", json!({"a": "operator"})),
    ] {
        assert_eq!(at(path, nothing), Ok(Vec::new()), "{path}");
    }
    for wrong in
        [json!(1), json!(true), json!({"operator": true}), json!(["operator", 1]), json!([["operator"]])]
    {
        assert_eq!(at("roles", json!({"roles": wrong})), Err(Why::Roles), "{wrong}");
    }
}

#[test]
fn a_priority_is_a_whole_number() {
    let given =
        |priority: Value| of(json!({"boxoffice_priority": priority})).map(|identity| identity.priority);
    for number in [0, 9, -1, i32::MAX] {
        assert_eq!(given(json!(number)), Ok(Some(number)));
    }
    for wrong in [json!("0"), json!(0.5), json!(i64::MAX), json!([0]), json!(true)] {
        assert_eq!(given(wrong.clone()), Err(Why::Priority), "{wrong}");
    }
}

#[test]
fn nothing_that_is_told_repeats_a_token() {
    let signer = Signer::new("EdDSA", "k");
    let secret = signer.sign(&signer.header(), &claims_with(json!({"iss": "hunter2", "sub": "hunter2"})));
    let why = verifier().verify(&secret, &set(&[&signer]), NOW_MICROS).unwrap_err();
    let error = crate::Error::from(why);
    for told in [error.to_string(), format!("{error:?}")] {
        assert!(!told.contains("hunter2") && secret.split('.').all(|part| !told.contains(part)), "{told}");
    }
}
