//! The three services as the edge calls them: balanced, with deadline and trace (that is the chassis's
//! channel), and errors read back as [`Fault`].

use boxoffice_proto::{
    Fault, booking::booking_service_client::BookingServiceClient,
    queue::queue_service_client::QueueServiceClient, wallet::wallet_service_client::WalletServiceClient,
};
use chassis::channel::{self, Channel};
use tonic::{Response, Status};

use crate::config::Upstreams;

/// One client a service. Cheap to clone, and meant to be: a call needs its own (`clients.queue.clone()`).
#[derive(Clone)]
pub(crate) struct Clients {
    /// The waiting room.
    pub(crate) queue: QueueServiceClient<Channel>,
    /// Concerts, shows, seats.
    pub(crate) booking: BookingServiceClient<Channel>,
    /// Money.
    pub(crate) wallet: WalletServiceClient<Channel>,
}

impl Clients {
    /// Clients of these services. Connects on first use.
    pub(crate) fn new(upstreams: &Upstreams) -> Self {
        Self {
            queue: QueueServiceClient::new(Channel::new(&upstreams.queue_url)),
            booking: BookingServiceClient::new(Channel::new(&upstreams.booking_url)),
            wallet: WalletServiceClient::new(Channel::new(&upstreams.wallet_url)),
        }
    }
}

/// Makes a call that may be repeated without harm (a read, or one that carries its own key): a replica that
/// is away is not felt.
///
/// ```ignore
/// let answer = call(|| {
///     let (mut queue, ask) = (clients.queue.clone(), ask.clone());
///     async move { queue.get_queue(ask).await }
/// })
/// .await?;
/// ```
pub(crate) async fn call<T, F, Fut>(attempt: F) -> Result<T, Fault>
where
    F: FnMut() -> Fut,
    Fut: Future<Output = Result<Response<T>, Status>>,
{
    channel::retry(attempt).await.map_err(|status| Fault::from(&status))
}
