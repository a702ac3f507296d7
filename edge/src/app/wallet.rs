//! Wallets: charging and reading them. No place in a queue is needed, since users charge before the sale.

use boxoffice_proto::{
    Fault,
    wallet::{ChargeWalletRequest, GetWalletRequest, ListEntriesRequest, ListEntriesResponse, Wallet},
};

use super::{caller::Caller, edge::Edge};
use crate::clients::ask;

/// Charges a wallet; the first charge opens it. Answers the wallet after the charge.
pub(crate) async fn charge(
    edge: &Edge,
    caller: &Caller,
    request: ChargeWalletRequest,
) -> Result<Wallet, Fault> {
    let request = caller.allow(request)?;
    let request = ChargeWalletRequest { request_id: edge.request_id(request.request_id), ..request };
    ask!(edge.clients.wallet, charge_wallet(request).wallet)
}

/// A user's wallet.
pub(crate) async fn get(edge: &Edge, caller: &Caller, user_id: String) -> Result<Wallet, Fault> {
    let request = caller.allow(GetWalletRequest { user_id })?;
    ask!(edge.clients.wallet, get_wallet(request).wallet)
}

/// A page of a wallet's entries, newest first.
pub(crate) async fn entries(
    edge: &Edge,
    caller: &Caller,
    request: ListEntriesRequest,
) -> Result<ListEntriesResponse, Fault> {
    let request = caller.allow(request)?;
    ask!(edge.clients.wallet, list_entries(request))
}
