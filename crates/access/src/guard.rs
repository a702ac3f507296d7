//! The guard of a gRPC server: who calls, and whether the rules let them.

use std::sync::Arc;

use boxoffice_proto::{Fault, Reason, access::rule};
use chassis::{
    clock::Clock,
    server::Guard,
    tls::{Identities, Peer},
};
use http::{HeaderMap, header::AUTHORIZATION, request::Parts};
use tonic::Status;

use crate::{Access, Caller, Error, House, Why};

/// Health checks: for anyone.
const HEALTH: &str = "/grpc.health.v1.Health/";
/// The protos, for tools.
const REFLECTION: &str = "/grpc.reflection.";

/// Who may enter a program's doors. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Doors {
    /// Who says who callers are; `None`: nobody is asked.
    access: Option<(Arc<Access>, Clock)>,
    /// Who the edge is, by its certificate; `None` where no edge calls over the network.
    edge: Option<Identities>,
    /// Whether tools may read the protos and the API's pages.
    pub docs: bool,
    /// What the rules depend on besides.
    pub house: House,
}

impl Doors {
    /// Of an open house: nobody is asked.
    #[must_use]
    pub fn open() -> Self {
        Self { access: None, edge: None, docs: true, house: House::default() }
    }

    /// Of a program that accepts these tokens.
    #[must_use]
    pub fn secured(access: Arc<Access>, clock: Clock) -> Self {
        Self { access: Some((access, clock)), edge: None, docs: false, house: House::default() }
    }

    /// The doors of a service that knows the edge by its certificate.
    #[must_use]
    pub fn with_edge(self, edge: Identities) -> Self {
        Self { edge: Some(edge), ..self }
    }

    /// Whether a call comes from the edge.
    fn is_from_edge(&self, extensions: &http::Extensions) -> bool {
        let peer = extensions.get::<Peer>();
        self.edge.as_ref().zip(peer).is_some_and(|(edge, peer)| peer.is_one_of(edge))
    }

    /// Whether callers are asked who they are.
    #[must_use]
    pub const fn are_secured(&self) -> bool {
        self.access.is_some()
    }

    /// Whether every caller is known: by a token, or because only the edge is let in, which asks them.
    #[must_use]
    pub const fn know_callers(&self) -> bool {
        self.access.is_some() || self.edge.is_some()
    }

    /// The public keys of the mesh's own issuer, where it has one.
    #[must_use]
    pub fn jwks(&self) -> Option<&str> {
        self.access.as_ref().and_then(|(access, _)| access.jwks())
    }

    /// The claim, or the path to it, that tells in a bearer token who its user is; `None` where nobody is
    /// asked.
    #[must_use]
    pub fn user_claim(&self) -> Option<&str> {
        self.access.as_ref().map(|(access, _)| access.user_claim())
    }

    /// The claim, or the path to it, that tells in a bearer token which roles its user has; `None` where
    /// nobody is asked.
    #[must_use]
    pub fn roles_claim(&self) -> Option<&str> {
        self.access.as_ref().map(|(access, _)| access.roles_claim())
    }

    /// Tells whether tokens can be judged, which a secured program cannot do without.
    pub fn readiness(&self) -> impl Fn() -> bool + Send + 'static {
        let access = self.access.clone();
        move || access.as_ref().is_none_or(|(access, _)| access.is_ready())
    }

    /// Who makes a call over gRPC: whom the [guard](Self::guard) found out.
    #[must_use]
    pub fn called(&self, extensions: &http::Extensions) -> Caller {
        match &self.access {
            None => Caller::Unasked,
            Some(_) => extensions.get().cloned().unwrap_or(Caller::Unknown(Error::CredentialsMissing)),
        }
    }

    /// Who calls with these headers.
    pub async fn caller(&self, headers: &HeaderMap) -> Caller {
        let Some((access, clock)) = &self.access else { return Caller::Unasked };
        let mut all = headers.get_all(AUTHORIZATION).iter();
        let header = match (all.next().map(|value| value.to_str()), all.next()) {
            (None, _) => None,
            (Some(Ok(header)), None) => Some(header),
            // Two, or no text: not the header of one token.
            (Some(_), _) => return Caller::Unknown(Why::Malformed.into()),
        };
        match access.authenticate(header, clock.now()).await {
            Ok(identity) => Caller::User(identity),
            Err(why) => Caller::Unknown(why),
        }
    }

    /// What a gRPC server asks of every call; `None` where there is nothing to ask. The caller is in the
    /// call's extensions for its handler. At the edge the handlers' use cases decide, elsewhere the guard
    /// does.
    #[must_use]
    pub fn guard(&self) -> Option<Guard> {
        if !self.are_secured() && self.docs {
            return None;
        }
        let doors = Arc::new(self.clone());
        Some(Arc::new(move |head, message| {
            let doors = Arc::clone(&doors);
            Box::pin(async move { doors.admit(head, &message).await })
        }))
    }

    async fn admit(&self, mut head: Parts, message: &[u8]) -> Result<Parts, Status> {
        let path = head.uri.path();
        let is_reflection = path.starts_with(REFLECTION);
        if path.starts_with(HEALTH) || is_reflection && self.docs {
            return Ok(head);
        }
        let Some(rule) = rule(path) else { return Err(unknown(is_reflection)) };
        // It has asked its own caller.
        if self.is_from_edge(&head.extensions) {
            return Ok(head);
        }
        let caller = self.caller(&head.headers).await;
        if !self.house.is_edge {
            self.house.decide(rule, &caller, &rule.subject(message).unwrap_or_default())?;
        }
        head.extensions.insert(caller);
        Ok(head)
    }
}

/// There is no such method, or not for anyone.
fn unknown(is_reflection: bool) -> Status {
    let detail = if is_reflection {
        "Reflection is off here (--docs on): use the published protos."
    } else {
        Reason::Unimplemented.title()
    };
    Fault::new(Reason::Unimplemented, detail).into()
}

impl From<Error> for Caller {
    fn from(why: Error) -> Self {
        Self::Unknown(why)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use tonic::Code;

    use super::*;

    async fn told(doors: &Doors, path: &str) -> Option<Code> {
        let (head, ()) = http::Request::builder().uri(path).body(()).unwrap().into_parts();
        let guard = doors.guard()?;
        guard(head, Default::default()).await.err().map(|status| status.code())
    }

    #[tokio::test]
    async fn an_open_house_without_documents_shows_no_protos_and_asks_nobody() {
        let open = Doors::open();
        assert!(open.guard().is_none(), "nothing is asked, so nothing is spent on it");
        let doors = Doors { docs: false, ..open };
        let reflection = "/grpc.reflection.v1.ServerReflection/ServerReflectionInfo";
        assert_eq!(told(&doors, reflection).await, Some(Code::Unimplemented));
        for path in ["/boxoffice.wallet.v1.WalletService/UseWallet", "/grpc.health.v1.Health/Check"] {
            assert_eq!(told(&doors, path).await, None, "{path}");
        }
    }
}
