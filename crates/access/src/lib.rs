//! Who calls: bearer tokens verified offline, the keys for that, and an issuer for one's own machine.
//!
//! ```text
//!   Authorization: Bearer eyJ…
//!        │
//!   bearer.rs    one token, of at most 8 KiB                        CREDENTIALS_MISSING
//!        │
//!   access.rs    verified before, by a key that still counts? ───▶  Identity
//!        │ no
//!   verifier.rs  token.rs   the header: algorithm, type, kid  ┐
//!                keys/set   the key, and the signature        ├───▶ CREDENTIALS_INVALID and a word
//!                           the claims                        ┘
//!        │ no key of that kid
//!   keys/        the issuer is asked once more, then again          NotReady while it never answered
//! ```
//!
//! **Promised.** A token is accepted only if
//! - it is a JWS in compact form of at most 8 KiB (RFC 7515), its header and claims are JSON objects in which
//!   no name stands twice (RFC 7519, section 4), and it asks for no extension (`crit`, RFC 7515, 4.1.11);
//! - its `alg` is EdDSA (Ed25519), ES256, RS256 or PS256. The key decides what it may be used for: its type,
//!   curve, `alg`, `use` and `key_ops` must fit the token's `alg` (RFC 8725, 3.1), so neither `none` nor an
//!   HMAC with the public key as its secret has a way in. RSA keys have 2048 bits or more;
//! - its `typ`, where there is one, is `at+jwt` (RFC 9068, 2.1) or `JWT`, in any case. RFC 7519 (5.1) lets it
//!   be missing, and well-known issuers do leave it out; the kinds of token that must not be taken for access
//!   tokens (`logout+jwt`, `dpop+jwt`, …) name themselves, and ID tokens have another audience;
//! - `iss` is the issuer, letter by letter, `aud` is or holds the audience (RFC 8725, 3.8 and 3.9), and it is
//!   before `exp` and not before `nbf`, with 60 seconds for clocks that differ; `iss`, `aud` and `exp` must
//!   be there, and a claim of the wrong type counts as wrong, not as missing;
//! - its user is a name: 1 to 64 visible characters, kept in Unicode's form C.
//!
//! Nothing that a token's header brings along (`jku`, `jwk`, `x5u`, `x5c`) is looked at (RFC 8725, 3.10). No
//! error repeats any part of a token.
//!
//! **Keys.** They are fetched at the start and every ten minutes, and at once when a token names one that
//! is not there: the request waits for that, five seconds at most, and all who wait share one fetch. A fetch
//! that was asked for so and changed nothing is not repeated for 30 seconds, so that invented names cost the
//! issuer hardly anything. While the issuer is away the keys that are known stay in use; before it was ever
//! reached, [`Error::NotReady`]. Over the network they come by HTTPS, or from this machine; redirects are not
//! followed.
//!
//! **Memory.** A verified token is remembered by its SHA-256 until it expires or the set of keys changes, so
//! a signature costs once a token and not once a request.
//!
//! **No JWT library, on purpose.** What is left of one here, besides ring's signatures, is splitting at two
//! dots. Those at hand bring RSA code with an open advisory (RUSTSEC-2023-0071) or a second cryptographic
//! library, ask the machine for the time, pass over `crit`, and let claims of the wrong type count as
//! missing.

mod access;
mod bearer;
mod decide;
mod error;
mod guard;
mod identity;
mod keys;
mod local;
mod measures;
mod service;
mod settings;
#[cfg(test)]
mod testing;
mod token;
mod verifier;

pub use access::Access;
pub use decide::{Caller, House};
pub use error::{Error, Why};
pub use guard::Doors;
pub use identity::{Identity, Role, Roles};
pub use local::Issuer;
pub use service::ServiceArgs;
pub use settings::{AccessArgs, Jwks, Secured, Switch, Trusted, Way};
