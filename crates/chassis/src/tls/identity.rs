//! Who is at the other end of a connection, and who is expected there.

use std::{
    fmt,
    net::IpAddr,
    str::FromStr,
    sync::{Arc, OnceLock},
};

use rustls::{CertificateError, OtherError, pki_types::CertificateDer};
use x509_parser::{certificate::X509Certificate, extensions::GeneralName, prelude::FromDer as _};

/// Those whom a peer may be, separated by commas: URIs such as `spiffe://shop/till`, or DNS names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Identities(Arc<[String]>);

impl Identities {
    /// Whether one of these names is among them.
    fn have(&self, names: &[String]) -> bool {
        names.iter().any(|name| self.0.contains(name))
    }

    /// Looks whether a certificate, which was found to be valid, is one of theirs.
    pub(super) fn check(&self, certificate: &CertificateDer<'_>) -> Result<(), CertificateError> {
        let names = names_of(certificate);
        if self.have(&names) {
            return Ok(());
        }
        Err(CertificateError::Other(OtherError(Arc::new(AnotherIdentity { names, expected: self.clone() }))))
    }
}

impl FromStr for Identities {
    type Err = &'static str;

    fn from_str(list: &str) -> Result<Self, Self::Err> {
        let all = list.split(',').map(str::trim).filter(|one| !one.is_empty());
        let all: Option<Arc<[String]>> = all.map(name).collect();
        let all = all.filter(|all| !all.is_empty());
        all.map(Self).ok_or("write URIs such as spiffe://shop/till, or DNS names, separated by commas")
    }
}

/// A valid certificate is that of somebody else.
#[derive(Debug, thiserror::Error)]
#[error("it is of {names:?}, and not of {expected}")]
pub(super) struct AnotherIdentity {
    names: Vec<String>,
    expected: Identities,
}

/// A URI as it is, or a DNS name in lower case.
fn name(one: &str) -> Option<String> {
    let is_plain = |b: u8| b.is_ascii_alphanumeric() || b"-._".contains(&b);
    match one.split_once("://") {
        Some((scheme, rest)) => {
            let is_uri = !scheme.is_empty() && !rest.is_empty() && one.bytes().all(|b| b.is_ascii_graphic());
            is_uri.then(|| one.to_owned())
        }
        None => one.bytes().all(is_plain).then(|| one.to_ascii_lowercase()),
    }
}

impl fmt::Display for Identities {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.join(","))
    }
}

/// Who is at the other end of an incoming connection: its address, and who it is as far as a certificate
/// proves it. A gRPC server puts it into the extensions of every request that came over a connection (those
/// from within the process have none).
#[derive(Clone, Debug, Default)]
pub struct Peer {
    names: Option<Arc<OnceLock<Vec<String>>>>,
    address: Option<IpAddr>,
}

impl Peer {
    /// A peer at this address, who shows no certificate.
    pub(crate) const fn at(address: IpAddr) -> Self {
        Self { names: None, address: Some(address) }
    }

    /// The same peer, whose names are known when the handshake has been made.
    pub(crate) fn unknown_yet(self) -> Self {
        Self { names: Some(Arc::default()), ..self }
    }

    /// The address that the connection comes from; none where it is not of this machine's network.
    #[must_use]
    pub const fn address(&self) -> Option<IpAddr> {
        self.address
    }

    /// Notes the certificate that the peer has shown.
    pub(super) fn showed(&self, certificate: &CertificateDer<'_>) {
        if let Some(names) = &self.names {
            let _known = names.set(names_of(certificate));
        }
    }

    /// The names of its certificate: its URIs, or its DNS names when it has no URI; none without a
    /// certificate.
    #[must_use]
    pub fn names(&self) -> &[String] {
        self.names.as_deref().and_then(OnceLock::get).map_or(&[], Vec::as_slice)
    }

    /// Whether it is one of these.
    #[must_use]
    pub fn is_one_of(&self, identities: &Identities) -> bool {
        identities.have(self.names())
    }
}

/// The names of a certificate: its URIs, or its DNS names when it has no URI.
fn names_of(certificate: &CertificateDer<'_>) -> Vec<String> {
    let Ok((_, parsed)) = X509Certificate::from_der(certificate) else { return Vec::new() };
    let Ok(Some(names)) = parsed.subject_alternative_name() else { return Vec::new() };
    let (mut uris, mut hosts) = (Vec::new(), Vec::new());
    for name in &names.value.general_names {
        if let GeneralName::URI(uri) = name {
            uris.push((*uri).to_owned());
        } else if let GeneralName::DNSName(host) = name {
            hosts.push(host.to_ascii_lowercase());
        }
    }
    if uris.is_empty() { hosts } else { uris }
}

/// When a certificate expires, in seconds since 1970.
pub(super) fn expires(certificate: &CertificateDer<'_>) -> Option<i64> {
    let (_, parsed) = X509Certificate::from_der(certificate).ok()?;
    Some(parsed.validity().not_after.timestamp())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use rcgen::{CertificateParams, KeyPair, SanType};

    use super::*;

    fn peer(names: &[SanType]) -> Peer {
        let mut params = CertificateParams::default();
        params.subject_alt_names = names.to_vec();
        let certificate = params.self_signed(&KeyPair::generate().unwrap()).unwrap();
        let peer = Peer::default().unknown_yet();
        peer.showed(certificate.der());
        peer
    }

    #[test]
    fn a_peer_is_who_its_uris_say_or_else_its_dns_names() {
        let uri = SanType::URI("spiffe://shop/till".try_into().unwrap());
        let [host, other] =
            ["till", "Till.Shop.Example"].map(|name| SanType::DnsName(name.try_into().unwrap()));
        let at = SanType::IpAddress([127, 0, 0, 1].into());
        assert_eq!(peer(&[host.clone(), uri, at.clone()]).names(), ["spiffe://shop/till"]);
        assert_eq!(peer(&[host, other, at.clone()]).names(), ["till", "till.shop.example"]);
        for nobody in [peer(&[at]), Peer::default().unknown_yet(), Peer::default()] {
            assert!(nobody.names().is_empty());
        }
    }

    #[test]
    fn identities_are_a_list_and_a_name_must_be_in_it_whole() {
        let both: Identities = " spiffe://shop/till , Till ".parse().unwrap();
        assert_eq!(both.to_string(), "spiffe://shop/till,till");
        let is = |name: &str| both.have(&[name.to_owned()]);
        assert!(is("spiffe://shop/till") && is("till"));
        assert!(
            !is("spiffe://shop/till/2") && !is("spiffe://shop/Till") && !is("till.shop") && !both.have(&[])
        );
        for none in ["", " , ", "?!", "till,the till", "://till", "spiffe://"] {
            assert!(none.parse::<Identities>().is_err());
        }
    }
}
