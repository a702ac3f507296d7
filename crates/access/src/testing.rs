//! Keys of every kind and tokens that they sign, as an issuer would and as a forger would.

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD as BASE64};
use chassis::clock::SECOND;
use ring::{
    rand::SystemRandom,
    rsa::{KeyPairComponents, PublicKeyComponents},
    signature::{
        ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, Ed25519KeyPair, KeyPair as _, RSA_PKCS1_SHA256,
        RSA_PSS_SHA256, RsaKeyPair,
    },
};
use serde_json::{Value, json};

/// When the tests take place, in seconds.
pub(crate) const NOW: i64 = 1_798_140_600;
/// The test's time in microseconds.
pub(crate) const NOW_MICROS: i64 = NOW * SECOND;
pub(crate) const ISSUER: &str = "https://id.example/realms/shop";
/// Made for these tests; ring makes no RSA keys.
const RSA: &str = include_str!("testing/rsa.jwk");

/// A key that signs with one algorithm.
pub(crate) struct Signer {
    pub(crate) kid: &'static str,
    pub(crate) algorithm: &'static str,
    pair: Pair,
}

enum Pair {
    Ed25519(Ed25519KeyPair),
    P256(EcdsaKeyPair),
    Rsa(Box<RsaKeyPair>),
}

impl Signer {
    /// A new key; RSA's is always the same.
    pub(crate) fn new(algorithm: &'static str, kid: &'static str) -> Self {
        let random = SystemRandom::new();
        let pair = match algorithm {
            "EdDSA" => {
                let pkcs8 = Ed25519KeyPair::generate_pkcs8(&random).unwrap();
                Pair::Ed25519(Ed25519KeyPair::from_pkcs8(pkcs8.as_ref()).unwrap())
            }
            "ES256" => {
                let scheme = &ECDSA_P256_SHA256_FIXED_SIGNING;
                let pkcs8 = EcdsaKeyPair::generate_pkcs8(scheme, &random).unwrap();
                Pair::P256(EcdsaKeyPair::from_pkcs8(scheme, pkcs8.as_ref(), &random).unwrap())
            }
            "RS256" | "PS256" => Pair::Rsa(Box::new(rsa())),
            other => panic!("{other}"),
        };
        Self { kid, algorithm, pair }
    }

    /// The public half of the key.
    pub(crate) fn jwk(&self) -> Value {
        let (kid, alg) = (self.kid, self.algorithm);
        match &self.pair {
            Pair::Ed25519(pair) => {
                json!({"kty": "OKP", "crv": "Ed25519", "kid": kid, "alg": alg, "x": BASE64.encode(pair.public_key())})
            }
            Pair::P256(pair) => {
                let (x, y) = pair.public_key().as_ref()[1..].split_at(32);
                let (x, y) = (BASE64.encode(x), BASE64.encode(y));
                json!({"kty": "EC", "crv": "P-256", "kid": kid, "alg": alg, "x": x, "y": y})
            }
            Pair::Rsa(_) => {
                let told: Value = serde_json::from_str(RSA).unwrap();
                json!({"kty": "RSA", "kid": kid, "alg": alg, "n": told["n"], "e": told["e"]})
            }
        }
    }

    pub(crate) fn header(&self) -> Value {
        json!({"alg": self.algorithm, "kid": self.kid, "typ": "at+jwt"})
    }

    /// A token with any header and claims.
    pub(crate) fn sign(&self, header: &Value, claims: &Value) -> String {
        self.sign_text(&header.to_string(), &claims.to_string())
    }

    /// Signs texts that need be no JSON.
    pub(crate) fn sign_text(&self, header: &str, claims: &str) -> String {
        let signed = format!("{}.{}", BASE64.encode(header), BASE64.encode(claims));
        let (message, random) = (signed.as_bytes(), SystemRandom::new());
        let signature = match &self.pair {
            Pair::Ed25519(pair) => pair.sign(message).as_ref().to_vec(),
            Pair::P256(pair) => pair.sign(&random, message).unwrap().as_ref().to_vec(),
            Pair::Rsa(pair) => {
                let mut signature = vec![0; pair.public().modulus_len()];
                let signed = match self.algorithm {
                    "PS256" => pair.sign(&RSA_PSS_SHA256, &random, message, &mut signature),
                    _ => pair.sign(&RSA_PKCS1_SHA256, &random, message, &mut signature),
                };
                signed.unwrap();
                signature
            }
        };
        format!("{signed}.{}", BASE64.encode(signature))
    }

    /// A good token.
    pub(crate) fn good(&self) -> String {
        self.sign(&self.header(), &claims())
    }
}

/// The JWK set of these.
pub(crate) fn jwks(signers: &[&Signer]) -> String {
    let keys: Vec<Value> = signers.iter().map(|signer| signer.jwk()).collect();
    json!({ "keys": keys }).to_string()
}

/// What a good token says.
pub(crate) fn claims() -> Value {
    json!({"iss": ISSUER, "aud": "boxoffice", "sub": "ann", "iat": NOW, "exp": NOW + 3_600, "roles": ["support"]})
}

/// What a good token says, but for these claims; null takes one away.
pub(crate) fn claims_with(other: Value) -> Value {
    let mut claims = claims();
    for (name, value) in other.as_object().unwrap() {
        if value.is_null() {
            claims.as_object_mut().unwrap().remove(name);
        } else {
            claims[name] = value.clone();
        }
    }
    claims
}

fn rsa() -> RsaKeyPair {
    let told: Value = serde_json::from_str(RSA).unwrap();
    let part = |name: &str| BASE64.decode(told[name].as_str().unwrap()).unwrap();
    let public_key = PublicKeyComponents { n: part("n"), e: part("e") };
    let [d, p, q, dp, dq, qi] = ["d", "p", "q", "dp", "dq", "qi"].map(part);
    RsaKeyPair::from_components(&KeyPairComponents { public_key, d, p, q, dP: dp, dQ: dq, qInv: qi }).unwrap()
}
