//! Handshakes that failed: counted by why, and logged once a minute for each reason.

use std::{collections::HashMap, io};

use parking_lot::Mutex;
use rustls::{CertificateError, Error};

use super::identity::AnotherIdentity;
use crate::telemetry::seldom::Seldom;

/// The failed handshakes of one side.
pub(super) struct Refusals {
    /// What is at the other end, as the metric says: `client` or `server`.
    peer: &'static str,
    /// When each reason was logged last.
    told: Mutex<HashMap<&'static str, Seldom>>,
}

impl Refusals {
    pub(super) fn of(peer: &'static str) -> Self {
        Self { peer, told: Mutex::default() }
    }

    /// Notes why a connection failed. One that ended without a word of TLS is no refusal: it is what a check
    /// for an open port looks like.
    pub(super) fn note(&self, error: &io::Error, with: &dyn std::fmt::Display) {
        let Some(why) = error.get_ref().and_then(|inner| inner.downcast_ref()).map(why) else { return };
        metrics::counter!("tls_refused_total", "peer" => self.peer, "why" => why).increment(1);
        if self.told.lock().entry(why).or_default().may_tell() {
            tracing::warn!(peer = self.peer, %with, why, %error, "a TLS connection was refused");
        }
    }
}

/// A reason in a word or two, one of a few.
#[expect(
    clippy::wildcard_enum_match_arm,
    reason = "the other errors are many, rare, and told in full by the log"
)]
fn why(error: &Error) -> &'static str {
    match error {
        Error::NoCertificatesPresented => "no certificate",
        Error::InvalidCertificate(error) => match error {
            CertificateError::Expired | CertificateError::ExpiredContext { .. } => "expired",
            CertificateError::NotValidYet | CertificateError::NotValidYetContext { .. } => "not valid yet",
            // The second: of one that has the name of ours, and another key.
            CertificateError::UnknownIssuer | CertificateError::BadSignature => "unknown authority",
            CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. } => {
                "another name"
            }
            CertificateError::Other(other) if other.0.is::<AnotherIdentity>() => "another identity",
            _ => "bad certificate",
        },
        // The peer refuses us.
        Error::AlertReceived(_) => "refused by the peer",
        Error::InvalidMessage(_) => "no TLS",
        Error::PeerIncompatible(_) | Error::NoApplicationProtocol => "nothing in common",
        _ => "other",
    }
}

#[cfg(test)]
mod tests {
    use rustls::AlertDescription;

    use super::*;

    #[test]
    fn what_is_no_failure_of_tls_is_no_refusal_and_each_reason_is_told_once() {
        let refusals = Refusals::of("client");
        let told = || refusals.told.lock().len();
        refusals.note(&io::ErrorKind::UnexpectedEof.into(), &"10.0.0.1");
        assert_eq!(told(), 0);
        for error in [
            Error::NoCertificatesPresented,
            Error::NoCertificatesPresented,
            Error::AlertReceived(AlertDescription::UnknownCA),
        ] {
            refusals.note(&io::Error::new(io::ErrorKind::InvalidData, error), &"10.0.0.1");
        }
        assert_eq!(told(), 2);
    }
}
