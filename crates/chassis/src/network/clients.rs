//! Who a request comes from, where proxies stand in between: the client's address and its network.
//!
//! A proxy says whom it speaks for in `Forwarded` (RFC 7239) or `X-Forwarded-For`, behind what its own client
//! had sent there. So the list is read from its end, as long as whoever wrote an entry is trusted: what
//! stands further left a client may have made up. Where an entry is no address, or the two headers name
//! different clients (a proxy writes one of them and passes the other on as it came), the client is the last
//! proxy that is known. A client can thereby join the others behind that proxy, and can never choose whom it
//! counts as.

use std::{
    fmt,
    net::{IpAddr, Ipv6Addr, SocketAddr},
    str::FromStr,
    sync::Arc,
};

use http::{HeaderMap, HeaderName, HeaderValue, header};

const FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");

/// The network that a client is counted with: an IPv4 address, or an IPv6 /64, which one household has.
#[must_use]
pub fn network(client: IpAddr) -> IpAddr {
    match client.to_canonical() {
        IpAddr::V4(address) => address.into(),
        IpAddr::V6(address) => Ipv6Addr::from(u128::from(address) >> 64 << 64).into(),
    }
}

/// The proxies that are believed when they say whom they speak for: addresses and networks (CIDR), separated
/// by commas; empty for none.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TrustedProxies(Arc<[Network]>);

/// A network: an address in the space of IPv6, and how many of its first bits count.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Network {
    base: u128,
    bits: u32,
}

impl Network {
    fn has(self, address: IpAddr) -> bool {
        (wide(address) ^ self.base).checked_shr(128 - self.bits).unwrap_or_default() == 0
    }
}

/// An address in the space of IPv6.
fn wide(address: IpAddr) -> u128 {
    match address {
        IpAddr::V4(address) => address.to_ipv6_mapped().into(),
        IpAddr::V6(address) => address.into(),
    }
}

impl FromStr for Network {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let wrong = || format!("{text:?} is no address and no network such as 10.0.0.0/8 or 2001:db8::/32");
        let (address, bits) = text.split_once('/').map_or((text, None), |(one, bits)| (one, Some(bits)));
        let address: IpAddr = address.parse().map_err(|_| wrong())?;
        let longest = if address.is_ipv4() { 32 } else { 128 };
        let bits = match bits {
            None => longest,
            Some(bits) => bits.parse().ok().filter(|bits| *bits <= longest).ok_or_else(wrong)?,
        };
        Ok(Self { base: wide(address), bits: 128 - longest + bits })
    }
}

impl FromStr for TrustedProxies {
    type Err = String;

    fn from_str(list: &str) -> Result<Self, String> {
        let all = list.split(',').map(str::trim).filter(|one| !one.is_empty());
        all.map(str::parse).collect::<Result<_, _>>().map(Self)
    }
}

impl fmt::Display for Network {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match Ipv6Addr::from(self.base).to_ipv4_mapped() {
            Some(address) if self.bits >= 96 => write!(f, "{address}/{}", self.bits - 96),
            _ => write!(f, "{}/{}", Ipv6Addr::from(self.base), self.bits),
        }
    }
}

impl fmt::Display for TrustedProxies {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.iter().map(Network::to_string).collect::<Vec<_>>().join(","))
    }
}

impl TrustedProxies {
    /// Whether this is the address of one of them.
    #[must_use]
    pub fn have(&self, address: IpAddr) -> bool {
        self.0.iter().any(|network| network.has(address))
    }

    /// The address of the client that a request with these headers, from a peer at this address, comes from.
    #[must_use]
    pub fn client(&self, peer: IpAddr, headers: &HeaderMap) -> IpAddr {
        if !self.have(peer) {
            return peer.to_canonical();
        }
        let told = |name: &HeaderName, read| {
            headers.contains_key(name).then(|| self.told(peer, headers.get_all(name).iter().rev(), read))
        };
        let client = match (told(&header::FORWARDED, forwarded), told(&FORWARDED_FOR, forwarded_for)) {
            (Some(one), Some(other)) if one != other => peer,
            (Some(client), _) | (None, Some(client)) => client,
            (None, None) => peer,
        };
        client.to_canonical()
    }

    /// The client by one kind of header; its lines come the last one first, as does what is read of a line.
    fn told<'a>(
        &self,
        peer: IpAddr,
        lines: impl Iterator<Item = &'a HeaderValue>,
        read: fn(&str) -> Vec<Option<IpAddr>>,
    ) -> IpAddr {
        let mut last = peer;
        for hop in lines.flat_map(|line| line.to_str().map_or_else(|_| vec![None], read)) {
            match hop {
                Some(address) if self.have(address) => last = address,
                Some(address) => return address,
                None => return last,
            }
        }
        last
    }
}

/// The addresses of a line of `X-Forwarded-For`, the last one first; `None` for what is none.
fn forwarded_for(line: &str) -> Vec<Option<IpAddr>> {
    line.rsplit(',').map(|hop| address(hop.trim())).collect()
}

/// The addresses of a line of `Forwarded`, the last one first; `None` for what is none.
fn forwarded(line: &str) -> Vec<Option<IpAddr>> {
    let Some(mut hops) = split(line, b',') else { return vec![None] };
    hops.reverse();
    hops.into_iter().map(hop).collect()
}

/// The address that an element of `Forwarded` names as `for`, once.
fn hop(element: &str) -> Option<IpAddr> {
    let pairs = split(element, b';')?;
    let mut named = pairs.into_iter().filter_map(|pair| {
        let (name, value) = pair.split_once('=')?;
        name.trim().eq_ignore_ascii_case("for").then_some(value.trim())
    });
    let (node, more) = (named.next()?, named.next());
    let node = node.strip_prefix('"').and_then(|rest| rest.strip_suffix('"')).unwrap_or(node);
    if more.is_some() { None } else { address(node) }
}

/// The parts of a text between separators that are in no quoted string; `None` when such a string has no end.
fn split(text: &str, separator: u8) -> Option<Vec<&str>> {
    let (mut parts, mut begin, mut quoted, mut escaped) = (Vec::new(), 0, false, false);
    for (at, byte) in text.bytes().enumerate() {
        match byte {
            _ if escaped => escaped = false,
            b'\\' if quoted => escaped = true,
            b'"' => quoted = !quoted,
            _ if byte == separator && !quoted => {
                parts.push(text.get(begin..at)?);
                begin = at + 1;
            }
            _ => {}
        }
    }
    parts.push(text.get(begin..)?);
    (!quoted).then_some(parts)
}

/// An address with or without a port; an IPv6 address may be in brackets.
fn address(text: &str) -> Option<IpAddr> {
    let bare = text.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')).unwrap_or(text);
    let address = bare.parse().ok().or_else(|| text.parse::<SocketAddr>().ok().map(|address| address.ip()));
    address.map(|address: IpAddr| address.to_canonical())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use super::*;

    /// The client of a request from 10.0.0.1 with these lines of headers.
    fn client(lines: &[(&'static str, &str)]) -> String {
        let proxies: TrustedProxies = "10.0.0.0/8, 2001:db8:1::/48".parse().unwrap();
        let mut headers = HeaderMap::new();
        for (name, value) in lines {
            headers.append(*name, HeaderValue::from_bytes(value.as_bytes()).unwrap());
        }
        proxies.client("10.0.0.1".parse().unwrap(), &headers).to_string()
    }

    const FOR: &str = "x-forwarded-for";

    #[test]
    fn the_client_is_the_last_one_that_is_no_proxy_of_ours() {
        for (told, expected) in [
            ("192.0.2.7", "192.0.2.7"),
            ("192.0.2.7:4711", "192.0.2.7"),
            ("::ffff:192.0.2.7", "192.0.2.7"),
            ("2001:db8::7", "2001:db8::7"),
            ("[2001:db8::7]:4711", "2001:db8::7"),
            ("[2001:db8::7]", "2001:db8::7"),
            ("198.51.100.1, 192.0.2.7, 10.1.2.3", "192.0.2.7"),
            ("198.51.100.1,192.0.2.7 ,2001:db8:1::9", "192.0.2.7"),
            ("10.9.9.9", "10.9.9.9"),
        ] {
            assert_eq!(client(&[(FOR, told)]), expected, "{told}");
        }
        assert_eq!(client(&[(FOR, "198.51.100.1"), (FOR, "192.0.2.7"), (FOR, "10.0.0.2")]), "192.0.2.7");
        for (told, expected) in [
            ("for=192.0.2.7", "192.0.2.7"),
            ("For=\"192.0.2.7:80\";proto=https;by=10.0.0.1", "192.0.2.7"),
            ("proto=https; for = \"[2001:db8::7]:80\"", "2001:db8::7"),
            ("for=198.51.100.1, for=192.0.2.7, for=10.0.0.3", "192.0.2.7"),
            ("for=192.0.2.7;host=\"a,for=198.51.100.1;b=\"", "192.0.2.7"),
            ("for=192.0.2.7;host=\"a\\\",for=198.51.100.1;b=\"", "192.0.2.7"),
        ] {
            assert_eq!(client(&[("forwarded", told)]), expected, "{told}");
        }
        assert_eq!(client(&[]), "10.0.0.1");
    }

    #[test]
    fn what_is_malformed_is_the_proxy_s_and_nobody_chooses_a_client() {
        for told in [
            "",
            ",",
            "unknown",
            "192.0.2.7, nonsense",
            "192.0.2.7,",
            "192.0.2.7:99999",
            "[192.0.2.7",
            "\u{e9}",
            "1.2.3.4.5",
            "192.0.2.7;",
            "192.0.2.7 198.51.100.1",
        ] {
            assert_eq!(client(&[(FOR, told)]), "10.0.0.1", "{told:?}");
        }
        for told in [
            "",
            "for=",
            "for=unknown",
            "for=_hidden",
            "for=\"",
            "by=10.0.0.1",
            "for=192.0.2.7;for=198.51.100.1",
            "for=\", for=192.0.2.7",
            "x=\"\\, for=192.0.2.7",
            "for==192.0.2.7",
            "for=192.0.2.7;x=\"\\\"",
        ] {
            assert_eq!(client(&[("forwarded", told)]), "10.0.0.1", "{told:?}");
        }
        assert_eq!(client(&[(FOR, "192.0.2.7, unknown, 10.0.0.2")]), "10.0.0.2", "the last that is known");
        let (mine, made_up) = ((FOR, "192.0.2.7"), ("forwarded", "for=198.51.100.1"));
        assert_eq!(client(&[mine, made_up]), "10.0.0.1", "one of the two was passed on as it came");
        assert_eq!(client(&[mine, ("forwarded", "for=192.0.2.7")]), "192.0.2.7");
    }

    #[test]
    fn who_is_not_trusted_is_the_client() {
        let mut headers = HeaderMap::new();
        headers.insert(FOR, HeaderValue::from_static("198.51.100.1"));
        let of = |proxies: &str, peer: &str| {
            let proxies: TrustedProxies = proxies.parse().unwrap();
            proxies.client(peer.parse().unwrap(), &headers).to_string()
        };
        assert_eq!(of("", "192.0.2.7"), "192.0.2.7");
        assert_eq!(of("10.0.0.0/8", "11.0.0.1"), "11.0.0.1");
        assert_eq!(of("10.0.0.0/8", "::ffff:10.0.0.1"), "198.51.100.1", "however an address is written");
        assert_eq!(of("::ffff:10.0.0.0/104", "10.0.0.1"), "198.51.100.1");
        assert_eq!(of("0.0.0.0/0", "2001:db8::1"), "2001:db8::1");
        assert_eq!(of("::/0", "2001:db8::1"), "198.51.100.1");
    }

    #[test]
    fn networks_are_read_and_told() {
        let all: TrustedProxies = "10.0.0.0/8, 192.0.2.7,2001:db8::/32".parse().unwrap();
        assert_eq!(all.to_string(), "10.0.0.0/8,192.0.2.7/32,2001:db8::/32");
        for wrong in ["10.0.0.0/33", "::/129", "10.0.0", "proxy", "10.0.0.0/", "10.0.0.0/-1", "10.0.0.0/8/8"]
        {
            assert!(wrong.parse::<TrustedProxies>().unwrap_err().contains(wrong), "{wrong}");
        }
        assert_eq!(network("2001:db8::1:2:3:4".parse().unwrap()).to_string(), "2001:db8::");
        assert_eq!(network("::ffff:192.0.2.7".parse().unwrap()).to_string(), "192.0.2.7");
    }
}
