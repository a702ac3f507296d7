//! Where a service is, as an operator writes it.

use std::{
    net::{IpAddr, SocketAddr},
    str::FromStr,
    sync::Arc,
};

use http::{Uri, uri::Authority};

use super::dial::{Dial, Security};
use crate::{
    Error, flags,
    in_process::InProcess,
    network::Network,
    tls::{ClientTls, Identities},
};

/// Where a service is: one or more `http://host:port`, comma separated, or all of them `https://host:port`. A
/// host name stands for every address it leads to, now and later; an IP address for itself.
#[derive(Clone, Debug)]
pub struct Target {
    pub(super) endpoints: Vec<Endpoint>,
    pub(super) dial: Dial,
    pub(super) in_process: InProcess,
}

/// One entry of a target's list: a host and a port.
#[derive(Clone, Debug)]
pub(super) struct Endpoint {
    /// The `:authority` of its calls, whichever address they go to.
    pub(super) authority: Authority,
    pub(super) host: String,
    pub(super) port: u16,
}

impl Target {
    /// The same target, reached over another network than the machine's.
    #[must_use]
    pub fn on(self, network: Arc<dyn Network>) -> Self {
        Self { dial: Dial { network, ..self.dial }, ..self }
    }

    /// The same target, called without a connection while its server runs in this process.
    #[must_use]
    pub fn in_process(self, in_process: InProcess) -> Self {
        Self { in_process, ..self }
    }

    /// A service that runs in this process and can be called no other way: before it serves, and when it has
    /// ended, calls of it wait a little for it and are UNAVAILABLE then.
    #[must_use]
    pub fn only_in_process(in_process: InProcess) -> Self {
        Self { endpoints: Vec::new(), dial: Dial::default(), in_process }
    }

    /// The same target, called with TLS where its URLs begin with `https://`. `server` is who must be there;
    /// without it the host names of the URLs must be in the certificates. `flag` is where the URLs come from.
    ///
    /// # Errors
    /// The URLs want TLS and there is none, or the reverse: nothing is called without it by mistake.
    pub fn secured(
        mut self,
        flag: &str,
        tls: Option<&ClientTls>,
        server: Option<Identities>,
    ) -> Result<Self, Error> {
        let variable = flags::variable(flag);
        match (&self.dial.security, tls) {
            (Security::Off, None) => Ok(self),
            (Security::Off, Some(_)) => Err(Error::Config(format!(
                "{flag} ({variable}): with --mesh-ca (MESH_CA) write https://host:port"
            ))),
            (Security::Wanted | Security::On(..), Some(tls)) => {
                self.dial.security = Security::On(tls.clone(), server);
                Ok(self)
            }
            (Security::Wanted | Security::On(..), None) => Err(Error::Config(format!(
                "{flag} ({variable}): https:// needs the authorities of the service's certificate: --mesh-ca (MESH_CA)"
            ))),
        }
    }
}

impl FromStr for Target {
    type Err = String;

    fn from_str(list: &str) -> Result<Self, String> {
        let endpoints = list
            .split(',')
            .map(str::trim)
            .filter(|one| !one.is_empty())
            .map(Endpoint::parse)
            .collect::<Result<Vec<_>, _>>()?;
        let Some((_, first)) = endpoints.first() else {
            return Err("at least one http://host:port is needed".to_owned());
        };
        if endpoints.iter().any(|(_, security)| security.is_off() != first.is_off()) {
            return Err("either all begin with https:// or none".to_owned());
        }
        let dial = Dial { security: first.clone(), ..Dial::default() };
        let endpoints = endpoints.into_iter().map(|(endpoint, _)| endpoint).collect();
        Ok(Self { endpoints, dial, in_process: InProcess::default() })
    }
}

impl Endpoint {
    fn parse(one: &str) -> Result<(Self, Security), String> {
        let uri: Uri = one.parse().map_err(|error| format!("{one}: {error}"))?;
        let (security, port) = match uri.scheme_str() {
            Some("http") => (Security::Off, 80),
            Some("https") => (Security::Wanted, 443),
            _ => return Err(format!("{one}: write http://host:port")),
        };
        let authority = uri.authority().ok_or_else(|| format!("{one}: write http://host:port"))?.clone();
        let host = authority.host().trim_matches(['[', ']']).to_owned();
        let port = authority.port_u16().unwrap_or(port);
        Ok((Self { authority, host, port }, security))
    }

    /// Its address when the host is an IP address; `None` for a name, which must be looked up.
    pub(super) fn address(&self) -> Option<SocketAddr> {
        Some(SocketAddr::new(self.host.parse::<IpAddr>().ok()?, self.port))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_target_is_a_list_of_http_addresses() {
        assert_eq!("http://a:1, http://b:2".parse::<Target>().map(|t| t.endpoints.len()), Ok(2));
        assert_eq!("https://a:1,https://b:2".parse::<Target>().map(|t| t.endpoints.len()), Ok(2));
        for bad in ["", ",", "a:1", "ftp://a:1", "http://", "https://", "http://a:1,https://b:2"] {
            assert!(bad.parse::<Target>().is_err(), "{bad}");
        }
    }

    #[test]
    fn https_is_never_called_without_tls() {
        let secured = |list: &str| list.parse::<Target>().expect("a target").secured("--toy-url", None, None);
        assert!(secured("http://a:1").is_ok());
        let told = secured("https://a:1").expect_err("no authorities").to_string();
        assert!(told.contains("--toy-url (TOY_URL)") && told.contains("--mesh-ca (MESH_CA)"), "{told}");
    }

    #[test]
    fn an_ip_address_of_either_kind_needs_no_resolver_and_a_name_does() {
        let address = |target: &str| target.parse::<Target>().expect("a target").endpoints[0].address();
        assert_eq!(address("http://10.0.0.1:7"), Some("10.0.0.1:7".parse().expect("an address")));
        assert_eq!(address("http://[fd00::1]:7"), Some("[fd00::1]:7".parse().expect("an address")));
        assert_eq!(address("http://queue-svc:7"), None);
    }
}
