//! Wallets: charging and reading them. No place in a queue is needed, since users charge before the sale.

use boxoffice_proto::{
    Fault, Reason, json,
    validate::Checks,
    wallet::{
        ChargeWalletRequest, ChargeWalletResponse, GetPaymentRequest, GetPaymentResponse, GetWalletRequest,
        ListEntriesRequest, ListEntriesResponse, ListPaymentsRequest, ListPaymentsResponse, UseWalletRequest,
        UseWalletResponse, Wallet,
    },
};

use super::{acting::before, caller::Caller, edge::Edge};
use crate::clients::ask;

/// The user whose wallet a request means, in the form in which the wallet has the name.
fn named(user_id: &str) -> String {
    Checks::default().user_id("user_id", user_id)
}

/// A wallet before a cashier changes it, for the operators' journal.
async fn as_it_is(edge: &Edge, user_id: &str) -> Result<Option<String>, Fault> {
    let request = GetWalletRequest { user_id: user_id.to_owned() };
    let found = ask!(edge.clients.wallet, get_wallet(request).wallet);
    before(|wallet| json::of("boxoffice.wallet.v1.Wallet", wallet), found, Reason::WalletNotFound)
}

/// Charges a wallet; the first charge opens it. Answers the wallet after the charge, and the entry. What a
/// cashier does is written down; what users do with their own wallets is not, nor anything that is charged
/// where nobody is asked.
pub(crate) async fn charge(
    edge: &Edge,
    caller: &Caller,
    request: ChargeWalletRequest,
) -> Result<ChargeWalletResponse, Fault> {
    let request = caller.allow(request)?;
    let request_id = edge.request_id::<ChargeWalletRequest>(caller, &request.user_id, request.request_id);
    let request = ChargeWalletRequest { request_id, ..request };
    let (wallet, target) = (edge.clients.wallet.clone(), named(&request.user_id));
    if caller.role::<ChargeWalletRequest>(&target).is_none() {
        return ask!(wallet, charge_wallet(request));
    }
    let was = as_it_is(edge, &target).await?;
    let charge = async move { ask!(wallet, charge_wallet(request)) };
    let tell = |answer: &ChargeWalletResponse| json::of("boxoffice.wallet.v1.ChargeWalletResponse", answer);
    edge.acting.act::<ChargeWalletRequest, _>(caller, &target, was, tell, charge).await
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
    let request_id = edge.request_id::<UseWalletRequest>(caller, &request.user_id, request.request_id);
    let request = UseWalletRequest { request_id, ..request };
    let (wallet, target) = (edge.clients.wallet.clone(), named(&request.user_id));
    if caller.role::<UseWalletRequest>(&target).is_none() {
        return ask!(wallet, use_wallet(request));
    }
    let was = as_it_is(edge, &target).await?;
    let withdraw = async move { ask!(wallet, use_wallet(request)) };
    let tell = |answer: &UseWalletResponse| json::of("boxoffice.wallet.v1.UseWalletResponse", answer);
    edge.acting.act::<UseWalletRequest, _>(caller, &target, was, tell, withdraw).await
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
