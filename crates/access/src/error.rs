//! Why a caller is refused. No text in here holds any part of a token: it goes to callers and into logs.

use std::fmt;

/// A request whose caller is not known.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// It carries no bearer token.
    #[error("A bearer token is needed: send it in the header `Authorization: Bearer …`.")]
    CredentialsMissing,
    /// It carries one that is not accepted.
    #[error("{}", .0.sentence())]
    CredentialsInvalid(Why),
    /// The issuer's keys were never fetched so far, so nothing can be said about any token.
    #[error("the keys of the tokens' issuer could not be fetched yet")]
    NotReady,
}

impl From<Why> for Error {
    fn from(why: Why) -> Self {
        Self::CredentialsInvalid(why)
    }
}

impl Error {}

macro_rules! whys {
    ($($variant:ident $word:literal $sentence:literal;)+) => {
        /// What is wrong with a token.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        pub enum Why { $(#[doc = $sentence] $variant,)+ }

        impl Why {
            /// Everything that can be wrong.
            pub const ALL: &[Self] = &[$(Self::$variant),+];

            /// A stable word for machines.
            #[must_use]
            pub const fn word(self) -> &'static str { match self { $(Self::$variant => $word),+ } }
            /// A sentence for people.
            #[must_use]
            pub const fn sentence(self) -> &'static str { match self { $(Self::$variant => $sentence),+ } }
        }
    };
}

whys! {
    TooLong "too_long" "The token is longer than 8 KiB.";
    Malformed "malformed" "This is not one JSON Web Token in compact form (RFC 7519).";
    Algorithm "algorithm" "The token's alg is none of EdDSA, ES256, RS256 and PS256.";
    Extension "extension" "The token asks for an extension (crit), and none is understood.";
    Type "type" "The token's typ is neither at+jwt nor JWT.";
    UnknownKey "unknown_key" "The issuer has no key that the token names (kid).";
    WrongKey "wrong_key" "The key that the token names (kid) is not for its algorithm (alg).";
    Signature "signature" "The token's signature is wrong.";
    Issuer "issuer" "The token's iss is not the issuer that is trusted here.";
    Audience "audience" "The token's aud does not name this service.";
    Times "times" "The token's exp is missing, or its exp, nbf or iat is not a number of seconds.";
    Expired "expired" "The token has expired; get a new one.";
    NotYetValid "not_yet_valid" "The token is not valid yet (nbf).";
    User "user" "The token's claim of the user is missing, or not 1 to 64 visible characters.";
    Roles "roles" "The token's claim of roles is neither a list of words nor words separated by spaces.";
    Priority "priority" "The token's claim boxoffice_priority is not a whole number.";
}

impl fmt::Display for Why {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.word())
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn every_word_means_one_thing() {
        let words: BTreeSet<_> = Why::ALL.iter().map(|why| why.word()).collect();
        assert_eq!(words.len(), Why::ALL.len());
    }
}
