//! A token as it is written: a JWS in compact form (RFC 7515, section 7.1) around JSON objects. Nothing in
//! here is believed yet.

use std::fmt;

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD as BASE64};
use serde::{
    Deserialize, Deserializer,
    de::{self, MapAccess, Visitor},
};
use serde_json::{Map, Value};

use crate::Why;

/// The algorithms that are accepted, and no others: what a token asks for is an attacker's word (RFC 8725,
/// 3.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Algorithm {
    EdDsa,
    Es256,
    Rs256,
    Ps256,
}

impl Algorithm {
    pub(crate) fn named(name: &str) -> Option<Self> {
        match name {
            // Of EdDSA's keys those of Ed25519 are read alone, and RFC 9864 has another name for just these.
            "EdDSA" | "Ed25519" => Some(Self::EdDsa),
            "ES256" => Some(Self::Es256),
            "RS256" => Some(Self::Rs256),
            "PS256" => Some(Self::Ps256),
            _ => None,
        }
    }
}

/// A token's parts.
pub(crate) struct Jws<'a> {
    pub(crate) algorithm: Algorithm,
    pub(crate) kid: Option<String>,
    /// What is signed: header and claims as they were written.
    pub(crate) signed: &'a [u8],
    pub(crate) signature: Vec<u8>,
    claims: &'a str,
}

impl<'a> Jws<'a> {
    /// Takes a text apart, and refuses what its header alone rules out.
    pub(crate) fn read(text: &'a str) -> Result<Self, Why> {
        let (signed, signature) = text.rsplit_once('.').ok_or(Why::Malformed)?;
        let (header, claims) = signed.split_once('.').ok_or(Why::Malformed)?;
        if claims.contains('.') {
            return Err(Why::Malformed);
        }
        let header = object(header)?;
        let word = |name: &str| match header.get(name) {
            None => Ok(None),
            Some(Value::String(word)) => Ok(Some(word.as_str())),
            Some(_) => Err(Why::Malformed),
        };
        let algorithm = Algorithm::named(word("alg")?.ok_or(Why::Malformed)?).ok_or(Why::Algorithm)?;
        if header.contains_key("crit") {
            return Err(Why::Extension);
        }
        if !word("typ")?.is_none_or(is_access_token) {
            return Err(Why::Type);
        }
        let kid = word("kid")?.map(str::to_owned);
        let signature = BASE64.decode(signature).map_err(|_| Why::Malformed)?;
        Ok(Self { algorithm, kid, signed: signed.as_bytes(), signature, claims })
    }

    /// What it says; to be asked for only once its signature was found right.
    pub(crate) fn claims(&self) -> Result<Map<String, Value>, Why> {
        object(self.claims)
    }
}

/// RFC 7515 (4.1.9) lets `application/` be left out, and media types have no case.
fn is_access_token(typ: &str) -> bool {
    ["at+jwt", "application/at+jwt", "jwt", "application/jwt"]
        .iter()
        .any(|known| typ.eq_ignore_ascii_case(known))
}

fn object(encoded: &str) -> Result<Map<String, Value>, Why> {
    let text = BASE64.decode(encoded).map_err(|_| Why::Malformed)?;
    serde_json::from_slice::<Object>(&text).map(|object| object.0).map_err(|_| Why::Malformed)
}

/// A JSON object in which no name stands twice (RFC 7515, section 4; RFC 7519, section 4): of two values
/// nobody knows which one the issuer's other readers take.
struct Object(Map<String, Value>);

impl<'de> Deserialize<'de> for Object {
    fn deserialize<D: Deserializer<'de>>(json: D) -> Result<Self, D::Error> {
        struct Once;

        impl<'de> Visitor<'de> for Once {
            type Value = Object;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<Object, A::Error> {
                let mut object = Map::new();
                while let Some((name, value)) = members.next_entry::<String, Value>()? {
                    if object.insert(name, value).is_some() {
                        return Err(de::Error::custom("a name stands twice"));
                    }
                }
                Ok(Object(object))
            }
        }

        json.deserialize_map(Once)
    }
}
