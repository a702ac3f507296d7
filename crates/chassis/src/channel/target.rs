//! Where a service is, as an operator writes it.

use std::{
    net::{IpAddr, SocketAddr},
    str::FromStr,
    sync::Arc,
};

use http::{Uri, uri::Authority};

use crate::{
    in_process::InProcess,
    network::{Network, Tcp},
};

/// Where a service is: one or more `http://host:port`, comma separated. A host name stands for every address
/// it leads to, now and later; an IP address for itself.
#[derive(Clone, Debug)]
pub struct Target {
    pub(super) endpoints: Vec<Endpoint>,
    pub(super) network: Arc<dyn Network>,
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
        Self { network, ..self }
    }

    /// The same target, called without a connection while its server runs in this process.
    #[must_use]
    pub fn in_process(self, in_process: InProcess) -> Self {
        Self { in_process, ..self }
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
        if endpoints.is_empty() {
            return Err("at least one http://host:port is needed".to_owned());
        }
        Ok(Self { endpoints, network: Arc::new(Tcp), in_process: InProcess::default() })
    }
}

impl Endpoint {
    fn parse(one: &str) -> Result<Self, String> {
        let uri: Uri = one.parse().map_err(|error| format!("{one}: {error}"))?;
        match uri.authority() {
            Some(authority) if uri.scheme_str() == Some("http") => Ok(Self {
                authority: authority.clone(),
                host: authority.host().trim_matches(['[', ']']).to_owned(),
                port: authority.port_u16().unwrap_or(80),
            }),
            _ => Err(format!("{one}: write http://host:port")),
        }
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
        for bad in ["", ",", "a:1", "ftp://a:1", "http://"] {
            assert!(bad.parse::<Target>().is_err(), "{bad}");
        }
    }

    #[test]
    fn an_ip_address_of_either_kind_needs_no_resolver_and_a_name_does() {
        let address = |target: &str| target.parse::<Target>().expect("a target").endpoints[0].address();
        assert_eq!(address("http://10.0.0.1:7"), Some("10.0.0.1:7".parse().expect("an address")));
        assert_eq!(address("http://[fd00::1]:7"), Some("[fd00::1]:7".parse().expect("an address")));
        assert_eq!(address("http://queue-svc:7"), None);
    }
}
