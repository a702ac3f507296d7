//! The judgement of one token: a pure function of the token, the keys and the time.

use chassis::clock::SECOND;
use serde_json::{Map, Value};

use crate::{Identity, Roles, Why, identity, keys::KeySet, token::Jws};

/// How far clocks may differ: the issuer's and ours.
pub(crate) const LEEWAY: i64 = 60 * SECOND;
/// The claim with the priority that the seller gives.
const PRIORITY: &str = "boxoffice_priority";

/// Whose tokens are accepted, and where they say what.
#[derive(Clone, Debug)]
pub(crate) struct Verifier {
    pub(crate) issuer: String,
    pub(crate) audience: String,
    pub(crate) user_claim: String,
    pub(crate) roles_claim: String,
}

impl Verifier {
    /// Who a token speaks for. Claims are looked at only behind a right signature: a forger learns nothing of
    /// what would have been accepted.
    pub(crate) fn verify(&self, text: &str, keys: &KeySet, now: i64) -> Result<Identity, Why> {
        let token = Jws::read(text)?;
        keys.verify(&token)?;
        self.read(&token.claims()?, now)
    }

    fn read(&self, claims: &Map<String, Value>, now: i64) -> Result<Identity, Why> {
        if claims.get("iss").and_then(Value::as_str) != Some(&self.issuer) {
            return Err(Why::Issuer);
        }
        if !names(claims.get("aud"), &self.audience) {
            return Err(Why::Audience);
        }
        let expires_at = time(claims, "exp")?.ok_or(Why::Times)?;
        let not_before = time(claims, "nbf")?;
        // Nothing is decided by `iat`, but where it is wrong the rest cannot be relied on either.
        time(claims, "iat")?;
        if is_over(expires_at, now) {
            return Err(Why::Expired);
        }
        if not_before.is_some_and(|not_before| now.saturating_add(LEEWAY) < not_before) {
            return Err(Why::NotYetValid);
        }
        let user = find(claims, &self.user_claim).and_then(Value::as_str).and_then(identity::user);
        let priority = claims
            .get(PRIORITY)
            .map(|claim| claim.as_i64().and_then(|number| i32::try_from(number).ok()).ok_or(Why::Priority));
        Ok(Identity {
            user: user.ok_or(Why::User)?,
            roles: find(claims, &self.roles_claim).map_or(Ok(Roles::default()), roles)?,
            priority: priority.transpose()?,
            expires_at,
        })
    }
}

/// Whether a token with this `exp` has expired, with the leeway for clocks that differ.
pub(crate) const fn is_over(expires_at: i64, now: i64) -> bool {
    now >= expires_at.saturating_add(LEEWAY)
}

/// RFC 7519 (4.1.3): one audience, or a list of them.
fn names(claim: Option<&Value>, audience: &str) -> bool {
    match claim {
        Some(Value::String(one)) => one == audience,
        Some(Value::Array(several)) => {
            several.iter().all(Value::is_string) && several.iter().any(|one| one == audience)
        }
        Some(Value::Null | Value::Bool(_) | Value::Number(_) | Value::Object(_)) | None => false,
    }
}

/// A NumericDate (RFC 7519, section 2), which may have a fraction, in microseconds.
#[expect(clippy::cast_possible_truncation, reason = "a float becomes the nearest integer there is")]
fn time(claims: &Map<String, Value>, name: &str) -> Result<Option<i64>, Why> {
    match claims.get(name) {
        None => Ok(None),
        Some(Value::Number(seconds)) => Ok(Some(match (seconds.as_i64(), seconds.as_f64()) {
            (Some(whole), _) => whole.saturating_mul(SECOND),
            (None, Some(seconds)) => (seconds * 1e6) as i64,
            (None, None) => return Err(Why::Times),
        })),
        Some(_) => Err(Why::Times),
    }
}

/// The claim of a name, or of a path to it such as `realm_access.roles`. A name that has dots itself, as
/// `https://example.com/roles` has, is found first.
fn find<'a>(claims: &'a Map<String, Value>, path: &str) -> Option<&'a Value> {
    claims.get(path).or_else(|| {
        let (first, rest) = path.split_once('.')?;
        rest.split('.').try_fold(claims.get(first)?, |value, name| value.get(name))
    })
}

fn roles(claim: &Value) -> Result<Roles, Why> {
    match claim {
        Value::String(words) => Ok(Roles::among(words.split_ascii_whitespace())),
        Value::Array(words) => {
            let words: Option<Vec<&str>> = words.iter().map(Value::as_str).collect();
            words.map(Roles::among).ok_or(Why::Roles)
        }
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::Object(_) => Err(Why::Roles),
    }
}

#[cfg(test)]
#[path = "verifier_tests.rs"]
mod tests;
