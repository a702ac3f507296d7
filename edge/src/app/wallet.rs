//! Wallets: charging and reading them. No place in a queue is needed, since users charge before the sale.

use boxoffice_proto::{
    Fault,
    wallet::{
        ChargeWalletRequest, ChargeWalletResponse, GetPaymentRequest, GetPaymentResponse, GetWalletRequest,
        ListEntriesRequest, ListEntriesResponse, ListPaymentsRequest, ListPaymentsResponse, UseWalletRequest,
        UseWalletResponse, Wallet,
    },
};

use super::{caller::Caller, edge::Edge};
use crate::clients::ask;

/// Charges a wallet; the first charge opens it. Answers the wallet after the charge, and the entry.
pub(crate) async fn charge(
    edge: &Edge,
    caller: &Caller,
    request: ChargeWalletRequest,
) -> Result<ChargeWalletResponse, Fault> {
    let request = caller.allow(request)?;
    let request = ChargeWalletRequest { request_id: edge.request_id(request.request_id), ..request };
    ask!(edge.clients.wallet, charge_wallet(request))
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

/// Takes money out of a wallet, for a cashier or another service of the mesh.
pub(crate) async fn use_wallet(
    edge: &Edge,
    caller: &Caller,
    request: UseWalletRequest,
) -> Result<UseWalletResponse, Fault> {
    let request = caller.allow(request)?;
    let request = UseWalletRequest { request_id: edge.request_id(request.request_id), ..request };
    ask!(edge.clients.wallet, use_wallet(request))
}

/// The record of a payment in the wallet.
pub(crate) async fn get_payment(
    edge: &Edge,
    caller: &Caller,
    request: GetPaymentRequest,
) -> Result<GetPaymentResponse, Fault> {
    ask!(edge.clients.wallet, get_payment(caller.allow(request)?))
}

/// A page of the payments of a user in the wallet, newest first.
pub(crate) async fn list_payments(
    edge: &Edge,
    caller: &Caller,
    request: ListPaymentsRequest,
) -> Result<ListPaymentsResponse, Fault> {
    ask!(edge.clients.wallet, list_payments(caller.allow(request)?))
}
