//! JWK sets as issuers have them, and the examples of the RFCs.

use serde_json::json;

use super::*;
use crate::testing::Signer;

fn read(keys: Value) -> Result<usize, String> {
    KeySet::read(json!({ "keys": keys }).to_string().as_bytes()).map(|set| set.0.len())
}

fn with(signer: &Signer, other: Value) -> Value {
    let mut jwk = signer.jwk();
    for (name, value) in other.as_object().unwrap() {
        jwk[name] = value.clone();
    }
    jwk
}

/// RFC 7515, appendices A.2 and A.3; RFC 8037, appendix A.4.
#[test]
fn the_examples_of_the_rfcs_verify() {
    let joe =
        "eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9leGFtcGxlLmNvbS9pc19yb290Ijp0cnVlfQ";
    let n = concat!(
        "ofgWCuLjybRlzo0tZWJjNiuSfb4p4fAkd_wWJcyQoTbji9k0l8W26mPddxHmfHQp-Vaw-4qPCJrcS2mJPMEzP1Pt0Bm4d4QlL-yRT-SFd2lZS-pC",
        "gNMsD1W_YpRPEwOWvG6b32690r2jZ47soMZo9wGzjb_7OMg0LOL-bSf63kpaSHSXndS5z5rexMdbBYUsLA9e-KXBdQOS-UTo7WTBEMa2R2CapHg6",
        "65xsmtdVMTBQY4uDZlxvb3qCo5ZwKh9kG4LT6_I5IhlJH7aGhyxXFvUK-DWNmoudF8NAco9_h9iaGNj8q2ethFkMLs91kzk2PAcDTW9gb54h4FRW",
        "yuXpoQ",
    );
    let rs256 = concat!(
        "cC4hiUPoj9Eetdgtv3hF80EGrhuB__dzERat0XF9g2VtQgr9PJbu3XOiZj5RZmh7AAuHIm4Bh-0Qc_lF5YKt_O8W2Fp5jujGbds9uJdbF9CUAr7t",
        "1dnZcAcQjbKBYNX4BAynRFdiuB--f_nZLgrnbyTyWzO75vRK5h6xBArLIARNPvkSjtQBMHlb1L07Qe7K0GarZRmB_eSN9383LcOLn6_dO--xi12j",
        "zDwusC-eOkHWEsqtFZESc6BfI7noOPqvhJ1phCnvWh6IeYI2w9QOYEUipUTI8np6LbgGY9Fs98rqVt5AXLIhWkWywlVmtVrBp0igcN_IoypGlUPQ",
        "Ge77Rw",
    );
    let es256 = "DtEhU3ljbEg8L38VWAfUAqOyKAM6-Xx-F4GawxaepmXFCgfTjDxw5djxLa8ISlSApmWQxfKTUJqPP3-Kg6NU1Q";
    let ed25519 = "hgyY0il_MGCjP0JzlnLWG1PPOt7-09PGcvMg3AIbQR6dWbhijcNR4ki4iylGjg5BhVsPt9g7sVvpAr_MuM0KAg";
    let (x, y) =
        ("f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU", "x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0");
    for (jwk, token) in [
        (json!({"kty": "RSA", "n": n, "e": "AQAB"}), format!("eyJhbGciOiJSUzI1NiJ9.{joe}.{rs256}")),
        (json!({"kty": "EC", "crv": "P-256", "x": x, "y": y}), format!("eyJhbGciOiJFUzI1NiJ9.{joe}.{es256}")),
        (
            json!({"kty": "OKP", "crv": "Ed25519", "x": "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"}),
            format!("eyJhbGciOiJFZERTQSJ9.RXhhbXBsZSBvZiBFZDI1NTE5IHNpZ25pbmc.{ed25519}"),
        ),
    ] {
        let set = KeySet::read(json!({"keys": [jwk]}).to_string().as_bytes()).unwrap();
        assert_eq!(set.verify(&Jws::read(&token).unwrap()), Ok(()), "{jwk}");
    }
}

#[test]
fn keys_that_are_for_something_else_are_passed_over() {
    let (ed, ec, rsa) = (Signer::new("EdDSA", "a"), Signer::new("ES256", "b"), Signer::new("RS256", "c"));
    let odd = [
        json!({"kty": "oct", "k": "c2VjcmV0", "kid": "a", "alg": "HS256"}),
        json!({"kty": "OKP", "crv": "X25519", "x": ed.jwk()["x"]}),
        json!({"kty": "OKP", "crv": "Ed448", "x": ed.jwk()["x"]}),
        json!({"kty": "EC", "crv": "P-384", "x": ec.jwk()["x"], "y": ec.jwk()["y"]}),
        json!({"kty": "EC", "crv": "secp256k1", "x": ec.jwk()["x"], "y": ec.jwk()["y"]}),
        json!({"kty": "AKP", "alg": "ML-DSA-44", "pub": "AAAA"}),
        with(&rsa, json!({"use": "enc"})),
        with(&rsa, json!({"key_ops": ["encrypt"]})),
        with(&rsa, json!({"alg": "RSA-OAEP"})),
        with(&rsa, json!({"alg": "RS512"})),
        with(&rsa, json!({"n": BASE64.encode([0xff; 128])})),
        with(&rsa, json!({"n": BASE64.encode([vec![0; 200], vec![0xff; 100]].concat())})),
        with(&ed, json!({"x": "AAAA"})),
        with(&ed, json!({"x": "?"})),
        with(&ec, json!({"y": null})),
        with(&ec, json!({"kid": 1})),
        json!({}),
        json!("key"),
        json!(null),
    ];
    let mut keys = odd.to_vec();
    assert!(
        read(json!(keys)).unwrap_err().starts_with("none of its 19 keys can verify"),
        "alone they are no set"
    );
    keys.extend([
        ed.jwk(),
        ec.jwk(),
        with(&rsa, json!({"use": "sig", "key_ops": ["verify"], "x5c": ["…"], "x5t": "…", "d": "…"})),
        // Without a name, without an algorithm.
        json!({"kty": "RSA", "n": rsa.jwk()["n"], "e": "AQAB"}),
    ]);
    assert_eq!(read(json!(keys)), Ok(4));
}

#[test]
fn what_is_no_set_is_told() {
    for wrong in
        ["", "{}", "[]", "<html>", r#"{"keys": {}}"#, r#"{"keys": []}"#, r#"{"keys": [], "keys": []}"#]
    {
        assert!(KeySet::read(wrong.as_bytes()).is_err(), "{wrong}");
    }
}

#[test]
fn a_set_has_no_order() {
    let all = ["EdDSA", "ES256", "RS256"].map(|algorithm| Signer::new(algorithm, algorithm));
    let [a, b, c] = all.each_ref();
    let read = |signers: &[&Signer]| KeySet::read(crate::testing::jwks(signers).as_bytes()).unwrap();
    assert_eq!(read(&[a, b, c]), read(&[c, a, b, a]));
    assert_ne!(read(&[a, b, c]), read(&[a, b]));
}

#[test]
fn keys_of_different_kinds_may_share_a_name() {
    let (ed, ec) = (Signer::new("EdDSA", "k"), Signer::new("ES256", "k"));
    let set = KeySet::read(crate::testing::jwks(&[&ed, &ec]).as_bytes()).unwrap();
    for signer in [ed, ec] {
        assert_eq!(set.verify(&Jws::read(&signer.good()).unwrap()), Ok(()), "{}", signer.algorithm);
    }
}
