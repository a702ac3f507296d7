//! Topping up and reading a wallet: no place in the line is needed, users charge before the sale.

use axum::{extract::State, http::StatusCode, response::Response};
use boxoffice_proto::{
    Reason,
    wallet::{ChargeWalletRequest, GetWalletRequest, ListEntriesRequest},
};

use super::{
    Api, App, ask,
    extract::{Body, Page, RequestId, Segment, UserId},
    json::{self, Entries, Entry, NewCharge, Wallet, whole},
    openapi::Operation,
    problem::Problem,
};

/// What each operation may be refused with.
pub(super) const OPERATIONS: &[Operation] = &[
    Operation::new("charge_wallet", &[Reason::RequestIdReused]).takes_key(),
    Operation::new("get_wallet", &[Reason::WalletNotFound]),
    Operation::new("list_entries", &[Reason::WalletNotFound]),
];

/// Top up a wallet
///
/// The first charge opens it. Without an `Idempotency-Key` every call is a new charge.
#[utoipa::path(post, path = "/v1/wallets/{userId}/charges", tag = "wallet", request_body = NewCharge,
    params(("userId" = String, Path, description = "The user", example = "ann")),
    responses((status = 201, description = "Charged: the wallet after it", body = Wallet,
        headers(("Location" = String, description = "The wallet's address")))))]
pub(super) async fn charge_wallet(
    State(api): App,
    Segment(UserId(user_id)): Segment<UserId>,
    RequestId(request_id): RequestId,
    Body(new): Body<NewCharge>,
) -> Result<Response, Problem> {
    let wallet = charge(&api, user_id, new.amount, request_id).await?;
    json::created(&format!("/v1/wallets/{}", segment(&wallet.user_id)), &wallet)
}

/// Charges; the wallet after it.
pub(super) async fn charge(
    api: &Api,
    user_id: String,
    amount: i64,
    request_id: String,
) -> Result<Wallet, Problem> {
    let answer =
        ask!(api.clients.wallet, charge_wallet, ChargeWalletRequest { user_id, amount, request_id })?;
    Ok(Wallet::from(whole(answer.wallet)?))
}

/// Read a balance
#[utoipa::path(get, path = "/v1/wallets/{userId}", tag = "wallet",
    params(("userId" = String, Path, description = "The user", example = "ann")),
    responses((status = 200, description = "The wallet", body = Wallet)))]
pub(super) async fn get_wallet(
    State(api): App,
    Segment(UserId(user_id)): Segment<UserId>,
) -> Result<Response, Problem> {
    json::answer(StatusCode::OK, &find(&api, user_id).await?)
}

/// Reads a wallet.
pub(super) async fn find(api: &Api, user_id: String) -> Result<Wallet, Problem> {
    let answer = ask!(api.clients.wallet, get_wallet, GetWalletRequest { user_id })?;
    Ok(Wallet::from(whole(answer.wallet)?))
}

/// List every movement of a wallet, newest first
#[utoipa::path(get, path = "/v1/wallets/{userId}/entries", tag = "wallet",
    params(("userId" = String, Path, description = "The user", example = "ann"), Page),
    responses((status = 200, description = "A page", body = Entries)))]
pub(super) async fn list_entries(
    State(api): App,
    Segment(UserId(user_id)): Segment<UserId>,
    page: Page,
) -> Result<Response, Problem> {
    let request = ListEntriesRequest { user_id, page_size: page.page_size, page_token: page.page_token };
    let answer = ask!(api.clients.wallet, list_entries, request)?;
    let entries = answer.entries.into_iter().map(Entry::try_from).collect::<Result<_, _>>()?;
    json::answer(StatusCode::OK, &Entries { entries, next_page_token: answer.next_page_token })
}

/// A text as a path segment (RFC 3986): all but the unreserved characters percent-encoded.
fn segment(text: &str) -> String {
    use std::fmt::Write as _;
    let mut encoded = String::with_capacity(text.len());
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            encoded.push(char::from(byte));
        } else {
            // Writing to a String cannot fail.
            let _ = write!(encoded, "%{byte:02X}");
        }
    }
    encoded
}

#[cfg(test)]
mod tests {
    #[test]
    fn an_address_is_encoded() {
        assert_eq!(super::segment("Zoë/1"), "Zo%C3%AB%2F1");
    }
}
