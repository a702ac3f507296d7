//! The three services as the edge calls them: the chassis's channel sets balancing, deadline and trace, and
//! what a service answers with an error becomes a [`Fault`].

use boxoffice_proto::{
    Fault, alerts::alert_service_client::AlertServiceClient,
    booking::booking_service_client::BookingServiceClient, queue::queue_service_client::QueueServiceClient,
    wallet::wallet_service_client::WalletServiceClient,
};
use chassis::channel::{self, Channel};
use tonic::{Response, Status};

use crate::config::Upstreams;

/// One client a service. A call needs a client of its own, so they are cheap to clone.
#[derive(Clone)]
pub(crate) struct Clients {
    /// queue-svc: queues and tokens.
    pub(crate) queue: QueueServiceClient<Channel>,
    /// booking-svc: concerts, shows, seats and holds.
    pub(crate) booking: BookingServiceClient<Channel>,
    /// wallet-svc: wallets and payments.
    pub(crate) wallet: WalletServiceClient<Channel>,
    /// What the program of each of these services tells of its alerts.
    pub(crate) alerts: [(&'static str, AlertServiceClient<Channel>); 3],
}

impl Clients {
    /// Clients of these services. They connect on first use.
    pub(crate) fn new(upstreams: &Upstreams) -> Self {
        let Upstreams { queue_url, booking_url, wallet_url } = upstreams;
        let (queue, booking, wallet) =
            (Channel::new(queue_url), Channel::new(booking_url), Channel::new(wallet_url));
        let services = [("queue", &queue), ("booking", &booking), ("wallet", &wallet)];
        Self {
            alerts: services.map(|(service, channel)| (service, AlertServiceClient::new(channel.clone()))),
            queue: QueueServiceClient::new(queue),
            booking: BookingServiceClient::new(booking),
            wallet: WalletServiceClient::new(wallet),
        }
    }
}

/// Makes a call that may be repeated without harm (a read, or a mutation that carries its own id) on one
/// replica after another, until one answers.
pub(crate) async fn call<T, F, Fut>(attempt: F) -> Result<T, Fault>
where
    F: FnMut() -> Fut,
    Fut: Future<Output = Result<Response<T>, Status>>,
{
    channel::retry(attempt).await.map_err(|status| Fault::from(&status))
}

/// Calls a method that may be repeated without harm. `ask!(clients.booking, get_show(request))` is the
/// answer, `ask!(clients.booking, get_show(request).show)` the part of it that every answer has.
macro_rules! ask {
    ($client:expr, $method:ident($request:expr).$part:ident) => {
        $crate::clients::ask!($client, $method($request))
            .and_then(|answer| $crate::clients::whole(answer.$part, stringify!($method)))
    };
    ($client:expr, $method:ident($request:expr)) => {{
        let (client, request) = (&$client, $request);
        $crate::clients::call(|| {
            let (mut client, request) = (client.clone(), request.clone());
            async move { client.$method(request).await }
        })
        .await
    }};
}
pub(crate) use ask;

/// The part that every answer of this method has.
///
/// # Errors
/// INTERNAL when it is not there.
pub(crate) fn whole<T>(part: Option<T>, method: &str) -> Result<T, Fault> {
    part.ok_or_else(|| hollow(method))
}

/// An answer without the part that it always has: of a service that is not ours, or of a newer release.
pub(crate) fn hollow(method: &str) -> Fault {
    Fault::internal(format_args!("the answer of {method} came without its content"))
}
