//! Whose tokens are accepted, as a command line says; and which of the three ways to run that makes.

use std::{
    fmt::{self, Display},
    net::SocketAddr,
    path::{Path, PathBuf},
    str::FromStr,
    sync::Arc,
};

use chassis::{Error, clock::Clock};
use clap::{Args, builder::NonEmptyStringValueParser};
use tokio_util::sync::CancellationToken;
use url::{Host, Url};

use crate::{Access, Doors};

/// The word that names the mesh's own issuer.
const LOCAL: &str = "local";

/// Flags about who may call.
#[derive(Args, Clone, Debug)]
pub struct AccessArgs {
    /// Who says who a user is: the URL of an OpenID provider whose bearer tokens are accepted, or `local` for
    /// one of this mesh's own (`boxoffice token` gets its tokens). Without it anybody may do everything, so
    /// only this machine may call
    #[arg(long, env, value_name = "URL|local")]
    pub auth_issuer: Option<Trusted>,
    /// What tokens must be for: their `aud`
    #[arg(long, env, default_value = "boxoffice", value_parser = NonEmptyStringValueParser::new())]
    pub auth_audience: String,
    /// The issuer's keys, a JWK set: a file or a URL. Without it they are where its discovery document says
    #[arg(long, env, value_name = "FILE|URL")]
    pub auth_jwks: Option<Jwks>,
    /// The claim with the user's id (the local issuer's tokens have it in `sub`)
    #[arg(long, env, default_value = "sub", value_parser = NonEmptyStringValueParser::new())]
    pub auth_user_claim: String,
    /// The claim with the roles operator, cashier and support, or a path to it such as `realm_access.roles`:
    /// a list, or words separated by spaces (the local issuer's tokens have them in `roles`)
    #[arg(long, env, default_value = "roles", value_parser = NonEmptyStringValueParser::new())]
    pub auth_roles_claim: String,
    /// Whether users may charge their own wallets; `off` where money comes from cashiers and payment
    /// providers
    #[arg(long, env, value_name = "on|off", default_value_t = Switch(true))]
    pub self_charge: Switch,
    /// Whether anyone may read the API's page and document and ask for the protos (reflection): on where
    /// nobody is asked who they are, otherwise off
    #[arg(long, env, value_name = "on|off")]
    pub docs: Option<Switch>,
    /// Let anybody who reaches it do everything: only where something in front knows who may
    #[arg(long, env)]
    pub insecure_open: bool,
}

/// `on` or `off`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Switch(pub bool);

impl FromStr for Switch {
    type Err = &'static str;

    fn from_str(word: &str) -> Result<Self, Self::Err> {
        match word {
            "on" => Ok(Self(true)),
            "off" => Ok(Self(false)),
            _ => Err("must be on or off"),
        }
    }
}

impl Display for Switch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.0 { "on" } else { "off" })
    }
}

/// Whose tokens are accepted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Trusted {
    /// The mesh's own issuer.
    Local,
    /// The issuer of this name, which is also its address: kept as it was written, since tokens repeat it
    /// letter by letter.
    Url(String),
}

impl FromStr for Trusted {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if text == LOCAL {
            return Ok(Self::Local);
        }
        let url = web_url(text)?;
        // OpenID Connect Discovery 1.0, section 3; the documents' addresses are made by appending.
        if url.query().is_some() {
            return Err("an issuer's URL has no query".to_owned());
        }
        Ok(Self::Url(text.to_owned()))
    }
}

impl Display for Trusted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl Trusted {
    /// What its tokens have as `iss`.
    pub(crate) fn name(&self) -> &str {
        match self {
            Self::Local => LOCAL,
            Self::Url(url) => url,
        }
    }
}

/// Where keys are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Jwks {
    /// In a file.
    File(PathBuf),
    /// On the network.
    Url(Url),
}

impl FromStr for Jwks {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "" => Err("names no file".to_owned()),
            url if url.contains("://") => web_url(url).map(Self::Url),
            file => Ok(Self::File(file.into())),
        }
    }
}

/// An address of an issuer. What comes from it decides who is let in, so nobody on the way may change it:
/// https, or http on this machine.
pub(crate) fn web_url(text: &str) -> Result<Url, String> {
    let url = Url::parse(text).map_err(|error| error.to_string())?;
    let is_here = match url.host() {
        Some(Host::Domain(name)) => name == "localhost",
        Some(Host::Ipv4(ip)) => ip.is_loopback(),
        Some(Host::Ipv6(ip)) => ip.is_loopback(),
        None => false,
    };
    match url.scheme() {
        _ if !url.username().is_empty() || url.password().is_some() => {
            Err("holds a name or a password".to_owned())
        }
        _ if url.fragment().is_some() => Err("has a fragment".to_owned()),
        "https" => Ok(url),
        "http" if is_here => Ok(url),
        _ => {
            Err("must begin with https:// (http:// only on this machine: 127.0.0.1, [::1], localhost)"
                .to_owned())
        }
    }
}

/// How a program decides who may call.
#[derive(Clone, Debug)]
pub enum Way {
    /// Nobody is asked: only this machine can call, or something in front asks.
    OpenHouse,
    /// Callers show bearer tokens.
    Secured(Secured),
}

/// Whose tokens are accepted, and where they say what.
#[derive(Clone, Debug)]
pub struct Secured {
    pub(crate) trusted: Trusted,
    pub(crate) audience: String,
    pub(crate) jwks: Option<Jwks>,
    pub(crate) user_claim: String,
    pub(crate) roles_claim: String,
}

impl AccessArgs {
    /// The doors of a program that binds these addresses, each with its flag. `folder` is where the mesh's
    /// own issuer has its key. The issuer's keys are fetched, and kept fresh until the shutdown.
    ///
    /// # Errors
    /// As [`way`](Self::way), and when keys in a file or the issuer's own cannot be read.
    pub async fn doors(
        &self,
        bound: &[(&str, SocketAddr)],
        folder: &Path,
        clock: Clock,
        shutdown: CancellationToken,
    ) -> Result<Doors, Error> {
        self.doors_of(self.way(bound)?, folder, clock, shutdown).await
    }

    /// The doors of the edge as a program of its own. `is_known` says whether the services know it by its
    /// certificate.
    ///
    /// # Errors
    /// As [`doors`](Self::doors); and there is no way to the issuer's keys, or the services could not know
    /// the edge.
    pub async fn doors_of_edge(
        &self,
        bound: &[(&str, SocketAddr)],
        is_known: bool,
        clock: Clock,
        shutdown: CancellationToken,
    ) -> Result<Doors, Error> {
        let way = self.way_apart(bound, is_known, "--mesh-ca (MESH_CA)")?;
        self.doors_of(way, Path::new("."), clock, shutdown).await
    }

    /// The way of a program that is one of several; `missing` is the flag without which they do not know each
    /// other.
    pub(crate) fn way_apart(
        &self,
        bound: &[(&str, SocketAddr)],
        is_known: bool,
        missing: &str,
    ) -> Result<Way, Error> {
        let way = self.way(bound)?;
        let Way::Secured(secured) = &way else { return Ok(way) };
        if secured.trusted == Trusted::Local && secured.jwks.is_none() {
            return Err(Error::Config(
                "--auth-issuer local (AUTH_ISSUER) is the issuer of `boxoffice up`: name a file with its public keys, as \
                 /.well-known/jwks.json has them, with --auth-jwks (AUTH_JWKS)"
                    .to_owned(),
            ));
        }
        if !is_known && !self.insecure_open {
            return Err(Error::Config(format!(
                "--auth-issuer (AUTH_ISSUER) without {missing}: callers are asked who they are, but the programs of the mesh do \
                 not know each other; give them certificates (`boxoffice keys` makes some), or say --insecure-open \
                 (INSECURE_OPEN) if only the mesh reaches the services' ports"
            )));
        }
        Ok(way)
    }

    /// The doors of this way to run.
    ///
    /// # Errors
    /// Keys in a file, or those of the issuer of the mesh, cannot be read.
    pub(crate) async fn doors_of(
        &self,
        way: Way,
        folder: &Path,
        clock: Clock,
        shutdown: CancellationToken,
    ) -> Result<Doors, Error> {
        let mut doors = match way {
            Way::OpenHouse => Doors::open(),
            Way::Secured(secured) => {
                let access = Arc::new(Access::open(secured, folder, clock.clone()).await?);
                let fresh = Arc::clone(&access);
                tokio::spawn(async move { fresh.run_until(shutdown).await });
                Doors::secured(access, clock)
            }
        };
        doors.docs = self.docs.map_or(doors.docs, |docs| docs.0);
        doors.house.self_charge = self.self_charge.0;
        Ok(doors)
    }

    /// Which of the ways to run holds for a program that binds these addresses, each with its flag.
    ///
    /// # Errors
    /// Without an issuer an address would be open to others, or keys mean nothing.
    pub fn way(&self, bound: &[(&str, SocketAddr)]) -> Result<Way, Error> {
        if let Some(trusted) = self.auth_issuer.clone() {
            return Ok(Way::Secured(self.secured(trusted)));
        }
        if self.auth_jwks.is_some() {
            return Err(Error::Config(
                "--auth-jwks (AUTH_JWKS) names the keys of an issuer: which one says --auth-issuer (AUTH_ISSUER)".to_owned(),
            ));
        }
        let is_open = |(_, addr): &&(&str, SocketAddr)| !addr.ip().to_canonical().is_loopback();
        match bound.iter().find(is_open).filter(|_| !self.insecure_open) {
            None => Ok(Way::OpenHouse),
            Some((flag, addr)) => Err(Error::Config(format!(
                "{flag} {addr} can be reached from other machines, and nobody would be asked who they are: name who \
                 issues bearer tokens with --auth-issuer (AUTH_ISSUER), or say --insecure-open (INSECURE_OPEN) if \
                 something in front asks"
            ))),
        }
    }

    fn secured(&self, trusted: Trusted) -> Secured {
        let (user_claim, roles_claim) = match &trusted {
            Trusted::Local => ("sub".to_owned(), "roles".to_owned()),
            Trusted::Url(_) => (self.auth_user_claim.clone(), self.auth_roles_claim.clone()),
        };
        let (audience, jwks) = (self.auth_audience.clone(), self.auth_jwks.clone());
        Secured { trusted, audience, jwks, user_claim, roles_claim }
    }
}

#[cfg(test)]
#[path = "settings_tests.rs"]
mod tests;
