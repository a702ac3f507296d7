//! The `Authorization` header: exactly one bearer token (RFC 6750, section 2.1; RFC 9110, section 11).

use crate::{Error, Why};

/// What a token may weigh. Tokens with many roles have some KiB; beyond this nobody sends one in good faith,
/// and whoever does makes us compute no hash of it.
pub(crate) const LONGEST: usize = 8 * 1024;

/// The token of a header's value. A scheme that is not ours counts as no credentials (RFC 6750, section 3.1).
pub(crate) fn token(authorization: Option<&str>) -> Result<&str, Error> {
    let value = authorization.unwrap_or_default().trim_matches([' ', '\t']);
    let (scheme, rest) = value.split_once(' ').unwrap_or((value, ""));
    if !scheme.eq_ignore_ascii_case("bearer") {
        return Err(Error::CredentialsMissing);
    }
    let token = rest.trim_start_matches(' ');
    if token.len() > LONGEST {
        return Err(Why::TooLong.into());
    }
    // The characters of `b64token`; what separates two tokens is none of them.
    let is_token =
        |token: &str| token.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-._~+/=".contains(&byte));
    if token.is_empty() || !is_token(token) { Err(Why::Malformed.into()) } else { Ok(token) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn there_is_exactly_one_bearer_token() {
        for good in ["Bearer a.b.c", "bearer a.b.c", "BEARER   a.b.c", " Bearer a.b.c\t"] {
            assert_eq!(token(Some(good)), Ok("a.b.c"), "{good:?}");
        }
        for missing in [
            None,
            Some(""),
            Some("  "),
            Some("Basic YTpi"),
            Some("a.b.c"),
            Some("Bearera.b.c"),
            Some("DPoP a.b.c"),
        ] {
            assert_eq!(token(missing), Err(Error::CredentialsMissing), "{missing:?}");
        }
        for malformed in [
            "Bearer",
            "Bearer ",
            "Bearer a.b.c, Bearer d.e.f",
            "Bearer a.b.c d.e.f",
            "Bearer a\tb",
            "Bearer é",
        ] {
            assert_eq!(token(Some(malformed)), Err(Why::Malformed.into()), "{malformed:?}");
        }
    }

    #[test]
    fn a_huge_one_is_refused_for_its_length_alone() {
        let of = |length: usize| format!("Bearer {}", "a".repeat(length));
        assert!(token(Some(&of(LONGEST))).is_ok());
        for length in [LONGEST + 1, 100 * 1024] {
            assert_eq!(token(Some(&of(length))), Err(Why::TooLong.into()));
        }
    }
}
