//! An issuer's public keys: a JWK set (RFC 7517) with Ed25519 (RFC 8037), P-256 and RSA keys.

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD as BASE64};
use ring::signature::{
    ECDSA_P256_SHA256_FIXED, ED25519, RSA_PKCS1_2048_8192_SHA256, RSA_PSS_2048_8192_SHA256,
    RsaPublicKeyComponents, UnparsedPublicKey,
};
use serde::Deserialize;
use serde_json::Value;

use crate::{
    Why,
    token::{Algorithm, Jws},
};

/// Bytes of the shortest modulus that ring verifies with, and that RFC 7518 (3.3) allows: 2048 bits.
const SHORTEST_MODULUS: usize = 256;

/// Keys that can verify something, in an order of our own: the same keys in another order are the same set.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct KeySet(Vec<Key>);

#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Key {
    kid: Option<String>,
    /// The one algorithm that it may be used with, where its issuer names one.
    algorithm: Option<Algorithm>,
    public: Public,
}

#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Public {
    Ed25519(Vec<u8>),
    /// An uncompressed point.
    P256(Vec<u8>),
    Rsa {
        modulus: Vec<u8>,
        exponent: Vec<u8>,
    },
}

impl KeySet {
    /// Reads a JWK set. Keys of other kinds, for other purposes or of a form that is not understood are
    /// passed over: an issuer may publish them for other readers (RFC 7517, section 5).
    pub(crate) fn read(json: &[u8]) -> Result<Self, String> {
        #[derive(Deserialize)]
        struct Set {
            keys: Vec<Value>,
        }
        let Set { keys: told } =
            serde_json::from_slice(json).map_err(|error| format!("no JWK set: {error}"))?;
        let count = told.len();
        let mut keys: Vec<Key> = told.into_iter().filter_map(Key::read).collect();
        if keys.is_empty() {
            return Err(format!("none of its {count} keys can verify EdDSA, ES256, RS256 or PS256"));
        }
        keys.sort_unstable();
        keys.dedup();
        Ok(Self(keys))
    }

    /// Passes a token that one of the keys has signed. A token that names no key may be of the only one that
    /// fits its algorithm; if it is not, the key that it is of may be newer than this set.
    pub(crate) fn verify(&self, token: &Jws<'_>) -> Result<(), Why> {
        let fits = |key: &&Key| key.fits(token.algorithm);
        let Some(kid) = token.kid.as_deref() else {
            let mut fitting = self.0.iter().filter(fits);
            return match (fitting.next(), fitting.next()) {
                (Some(only), None) if only.has_signed(token) => Ok(()),
                (None | Some(_), _) => Err(Why::UnknownKey),
            };
        };
        // Keys of different types may share a name (RFC 7517, 4.5).
        let named = || self.0.iter().filter(|key| key.kid.as_deref() == Some(kid));
        if named().next().is_none() {
            Err(Why::UnknownKey)
        } else if named().find(fits).is_none() {
            Err(Why::WrongKey)
        } else if named().filter(fits).any(|key| key.has_signed(token)) {
            Ok(())
        } else {
            Err(Why::Signature)
        }
    }
}

impl Key {
    fn read(told: Value) -> Option<Self> {
        #[derive(Deserialize)]
        struct Jwk {
            kty: String,
            kid: Option<String>,
            alg: Option<String>,
            #[serde(rename = "use")]
            purpose: Option<String>,
            key_ops: Option<Vec<String>>,
            crv: Option<String>,
            x: Option<String>,
            y: Option<String>,
            n: Option<String>,
            e: Option<String>,
        }
        let jwk: Jwk = serde_json::from_value(told).ok()?;
        let is_for_signatures = jwk.purpose.is_none_or(|purpose| purpose == "sig")
            && jwk.key_ops.is_none_or(|operations| operations.iter().any(|operation| operation == "verify"));
        let number = |text: Option<String>| BASE64.decode(text?).ok();
        let coordinate = |text| number(text).filter(|bytes| bytes.len() == 32);
        let public = match (jwk.kty.as_str(), jwk.crv.as_deref()) {
            ("OKP", Some("Ed25519")) => Public::Ed25519(coordinate(jwk.x)?),
            ("EC", Some("P-256")) => Public::P256([vec![4], coordinate(jwk.x)?, coordinate(jwk.y)?].concat()),
            ("RSA", None) => {
                let significant = |bytes: Vec<u8>| bytes.into_iter().skip_while(|byte| *byte == 0).collect();
                let (modulus, exponent): (Vec<u8>, _) =
                    (significant(number(jwk.n)?), significant(number(jwk.e)?));
                let is_long = modulus.len() > SHORTEST_MODULUS
                    || modulus.len() == SHORTEST_MODULUS
                        && modulus.first().is_some_and(|first| *first >= 0x80);
                if !is_long {
                    return None;
                }
                Public::Rsa { modulus, exponent }
            }
            _ => return None,
        };
        let algorithm = match jwk.alg {
            None => None,
            Some(name) => Some(Algorithm::named(&name)?),
        };
        is_for_signatures.then_some(Self { kid: jwk.kid, algorithm, public })
    }

    fn fits(&self, algorithm: Algorithm) -> bool {
        let can = match self.public {
            Public::Ed25519(_) => algorithm == Algorithm::EdDsa,
            Public::P256(_) => algorithm == Algorithm::Es256,
            Public::Rsa { .. } => matches!(algorithm, Algorithm::Rs256 | Algorithm::Ps256),
        };
        can && self.algorithm.is_none_or(|only| only == algorithm)
    }

    fn has_signed(&self, token: &Jws<'_>) -> bool {
        let (signed, signature) = (token.signed, &token.signature);
        let verified = match &self.public {
            Public::Ed25519(key) => UnparsedPublicKey::new(&ED25519, key).verify(signed, signature),
            Public::P256(key) => {
                UnparsedPublicKey::new(&ECDSA_P256_SHA256_FIXED, key).verify(signed, signature)
            }
            Public::Rsa { modulus, exponent } => {
                let scheme = match token.algorithm {
                    Algorithm::Ps256 => &RSA_PSS_2048_8192_SHA256,
                    Algorithm::Rs256 | Algorithm::EdDsa | Algorithm::Es256 => &RSA_PKCS1_2048_8192_SHA256,
                };
                RsaPublicKeyComponents { n: modulus, e: exponent }.verify(scheme, signed, signature)
            }
        };
        verified.is_ok()
    }
}

#[cfg(test)]
#[path = "set_tests.rs"]
mod tests;
