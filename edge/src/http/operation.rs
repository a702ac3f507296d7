//! What is to be known of an operation beyond its handler's annotation: the refusals that it may be answered
//! with and the headers that it takes. Each handler's module lists its own; `openapi` reads the lists.

use access::House;
use axum::http::Uri;
use boxoffice_proto::{
    Reason,
    access::{Asks, Rule},
};
use uuid::Uuid;

use crate::config::Browse;

/// The route of a poll, as the router, the metrics and the document write it.
pub(super) const POLL: &str = "/v1/tokens/{token}";

/// The token of the address of a poll; none for any other address.
pub(super) fn polled(uri: &Uri) -> Option<Uuid> {
    let token = uri.path().strip_prefix("/v1/tokens/").filter(|token| token.len() == 36)?;
    Uuid::try_parse(token).ok()
}

/// What the gate may refuse with.
const GATE: &[Reason] =
    &[Reason::TokenMissing, Reason::TokenNotFound, Reason::TokenNotActive, Reason::TokenWrongQueue];
/// What the gate may refuse with where the token must be of a certain user.
pub(super) const GATE_OF_USER: &[Reason] = &[
    Reason::TokenMissing,
    Reason::TokenNotFound,
    Reason::TokenNotActive,
    Reason::TokenWrongQueue,
    Reason::TokenWrongUser,
];

/// What an operation takes, and what it may be refused with besides what any operation may be.
pub(super) struct Operation {
    /// Who may, as the method that it stands for says.
    pub(super) rule: &'static Rule,
    /// The name of its handler, which is the document's `operationId`.
    pub(super) id: &'static str,
    /// The refusals of the operation itself.
    pub(super) reasons: &'static [Reason],
    /// The refusals of the gate before it; empty when it does not pass the gate.
    gate: &'static [Reason],
    /// Whether it reads dates or seats, which need no token where browsing is open.
    pub(super) browses: bool,
    /// What becomes of an `Idempotency-Key`.
    pub(super) key: KeyUse,
    /// Whether its body may be left out.
    pub(super) body_is_optional: bool,
}

/// What becomes of an `Idempotency-Key`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum KeyUse {
    /// It is not looked at.
    Ignored,
    /// The same key and request get the first answer again.
    Recorded,
    /// It must be one, and changes nothing: the operation may be repeated as it is.
    NotNeeded,
}

impl Operation {
    /// An operation by its id, with its own refusals. It makes requests of this kind.
    pub(super) const fn of<R: Asks>(id: &'static str, reasons: &'static [Reason]) -> Self {
        let (gate, key) = (&[], KeyUse::Ignored);
        Self { rule: R::RULE, id, reasons, gate, browses: false, key, body_is_optional: false }
    }

    /// It reads dates or seats: it passes the gate, unless browsing is open.
    pub(super) const fn browses(self) -> Self {
        Self { gate: GATE, browses: true, ..self }
    }

    /// It passes the gate, with the header `X-Queue-Token`.
    pub(super) const fn takes_token(self, gate: &'static [Reason]) -> Self {
        Self { gate, ..self }
    }

    /// It takes an `Idempotency-Key`.
    pub(super) const fn takes_key(self) -> Self {
        Self { key: KeyUse::Recorded, ..self }
    }

    /// It may be repeated by its nature, with or without an `Idempotency-Key`.
    pub(super) const fn needs_no_key(self) -> Self {
        Self { key: KeyUse::NotNeeded, ..self }
    }

    /// Its body may be left out.
    pub(super) const fn body_is_optional(self) -> Self {
        Self { body_is_optional: true, ..self }
    }

    /// Whether a caller needs a bearer token, on an edge of this house that asks who calls.
    pub(super) fn needs_bearer(&self, house: House) -> bool {
        // A route names a token or a user, never both.
        let names_token = self.rule.token.is_some() && self.rule.user_id.is_none();
        !house.lets_in_anyone(self.rule, names_token)
    }

    /// Whether it is one of those that every caller may use because browsing is open.
    pub(super) fn is_open(&self, browse: Browse) -> bool {
        self.browses && browse == Browse::Open
    }

    /// The refusals of the gate, on an edge that lets browse so.
    pub(super) fn gate(&self, browse: Browse) -> &'static [Reason] {
        if self.is_open(browse) { &[] } else { self.gate }
    }
}
