//! Charging and reading a wallet.

use axum::{extract::State, http::StatusCode, response::Response};
use boxoffice_proto::{
    Reason,
    wallet::{ChargeWalletRequest, ListEntriesRequest},
};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, PercentEncode, utf8_percent_encode};

use super::{
    App,
    extract::{Body, IdempotencyKey, Page, Segment, UserId},
    json::{self, Entries, NewCharge, Wallet, WalletEntry},
    operation::Operation,
    problem::Problem,
};
use crate::app::{Caller, wallet};

/// What each operation may be refused with.
pub(super) const OPERATIONS: &[Operation] = &[
    Operation::of::<boxoffice_proto::wallet::ChargeWalletRequest>(
        "charge_wallet",
        &[Reason::RequestIdReused],
    )
    .takes_key(),
    Operation::of::<boxoffice_proto::wallet::GetWalletRequest>("get_wallet", &[Reason::WalletNotFound]),
    Operation::of::<boxoffice_proto::wallet::ListEntriesRequest>("list_entries", &[Reason::WalletNotFound]),
];

/// Top up a wallet
///
/// The first charge opens it. Without an `Idempotency-Key` every call is a new charge.
#[utoipa::path(post, path = "/v1/wallets/{userId}/charges", tag = "wallet", request_body = NewCharge,
    params(("userId" = String, Path, description = "The id of the user.", example = "ann")),
    responses((status = 201, description = "The wallet was charged: this is its state afterwards.", body = Wallet,
        headers(("Location" = String, description = "The address of the wallet.")))))]
pub(super) async fn charge_wallet(
    State(edge): App,
    Segment(UserId(user_id)): Segment<UserId>,
    caller: Caller,
    IdempotencyKey(key): IdempotencyKey,
    Body(new): Body<NewCharge>,
) -> Result<Response, Problem> {
    let request = ChargeWalletRequest { user_id, amount: new.amount, request_id: key.unwrap_or_default() };
    let wallet = Wallet::from(json::whole(wallet::charge(&edge, &caller, request).await?.wallet)?);
    json::created(&format!("/v1/wallets/{}", segment(&wallet.user_id)), &wallet)
}

/// Read a balance
#[utoipa::path(get, path = "/v1/wallets/{userId}", tag = "wallet",
    params(("userId" = String, Path, description = "The id of the user.", example = "ann")),
    responses((status = 200, description = "The wallet as it is now.", body = Wallet)))]
pub(super) async fn get_wallet(
    State(edge): App,
    Segment(UserId(user_id)): Segment<UserId>,
    caller: Caller,
) -> Result<Response, Problem> {
    json::answer(StatusCode::OK, &Wallet::from(wallet::get(&edge, &caller, user_id).await?))
}

/// List every movement of a wallet, newest first
#[utoipa::path(get, path = "/v1/wallets/{userId}/entries", tag = "wallet",
    params(("userId" = String, Path, description = "The id of the user.", example = "ann"), Page),
    responses((status = 200, description = "One page of entries.", body = Entries)))]
pub(super) async fn list_entries(
    State(edge): App,
    Segment(UserId(user_id)): Segment<UserId>,
    caller: Caller,
    page: Page,
) -> Result<Response, Problem> {
    let request = ListEntriesRequest { user_id, page_size: page.page_size, page_token: page.page_token };
    let answer = wallet::entries(&edge, &caller, request).await?;
    let entries = answer.entries.into_iter().map(WalletEntry::try_from).collect::<Result<_, _>>()?;
    json::answer(StatusCode::OK, &Entries { entries, next_page_token: answer.next_page_token })
}

/// All but the unreserved characters (RFC 3986).
const RESERVED: AsciiSet = NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

/// A text as a path segment.
fn segment(text: &str) -> PercentEncode<'_> {
    utf8_percent_encode(text, &RESERVED)
}

#[cfg(test)]
mod tests {
    #[test]
    fn an_address_is_encoded() {
        assert_eq!(super::segment("Zoë/1").to_string(), "Zo%C3%AB%2F1");
    }
}
