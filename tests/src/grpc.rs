//! gRPC as a generated client sees it, replica by replica.

use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use boxoffice_proto::{
    Fault, Reason, booking::booking_service_client::BookingServiceClient,
    checkout::checkout_service_client::CheckoutServiceClient,
    queue::queue_service_client::QueueServiceClient, wallet::wallet_service_client::WalletServiceClient,
};
use tokio::time::sleep;
use tonic::{
    Code, Response, Status,
    transport::{Channel, Endpoint},
};

use crate::{
    mesh::{Mesh, Role},
    patience::Patience,
};

/// The replicas of one service, taken in turn.
#[derive(Clone, Debug)]
pub struct Replicas {
    channels: Arc<[Channel]>,
    next: Arc<AtomicUsize>,
}

impl Replicas {
    fn new(addresses: &[String]) -> Self {
        let channel = |address: &String| {
            Endpoint::from_shared(address.clone()).expect("an address we made").connect_lazy()
        };
        Self { channels: addresses.iter().map(channel).collect(), next: Arc::default() }
    }

    /// A channel to the next replica.
    #[must_use]
    pub fn next(&self) -> Channel {
        self.channels[self.next.fetch_add(1, Ordering::Relaxed) % self.channels.len()].clone()
    }

    /// A channel to each replica.
    #[must_use]
    pub fn all(&self) -> &[Channel] {
        &self.channels
    }
}

/// Clients of every service of a mesh.
#[derive(Clone, Debug)]
pub struct Grpc {
    /// queue-svc.
    pub queue: Replicas,
    /// booking-svc.
    pub booking: Replicas,
    /// wallet-svc.
    pub wallet: Replicas,
    /// The edge.
    pub checkout: Replicas,
}

impl Grpc {
    /// Clients of this mesh; must be made within the runtime that uses them.
    #[must_use]
    pub fn new(mesh: &Mesh) -> Self {
        let of = |role| Replicas::new(&mesh.grpc(role));
        Self {
            queue: of(Role::Queue),
            booking: of(Role::Booking),
            wallet: of(Role::Wallet),
            checkout: of(Role::Edge),
        }
    }

    /// The queue service, at its next replica.
    #[must_use]
    pub fn queue(&self) -> QueueServiceClient<Channel> {
        QueueServiceClient::new(self.queue.next())
    }

    /// The booking service, at its next replica.
    #[must_use]
    pub fn booking(&self) -> BookingServiceClient<Channel> {
        BookingServiceClient::new(self.booking.next())
    }

    /// The wallet service, at its next replica.
    #[must_use]
    pub fn wallet(&self) -> WalletServiceClient<Channel> {
        WalletServiceClient::new(self.wallet.next())
    }

    /// The checkout service, at the next edge.
    #[must_use]
    pub fn checkout(&self) -> CheckoutServiceClient<Channel> {
        CheckoutServiceClient::new(self.checkout.next())
    }
}

/// The longest time for which the mesh is usually too busy.
const BUSY: Duration = Duration::from_secs(15);

/// Makes a call as a client is asked to: the same again, its request id included, while it is told to come
/// back.
///
/// # Errors
/// Any other refusal, and in the end these.
pub async fn patiently<R: Clone, T, F>(request: R, call: impl Fn(R) -> F) -> Result<T, Status>
where
    F: Future<Output = Result<T, Status>>,
{
    let patience = Patience::new(BUSY);
    loop {
        let answer = call(request.clone()).await;
        let come_back = |status: &Status| matches!(status.code(), Code::Unavailable | Code::DeadlineExceeded);
        if !answer.as_ref().is_err_and(come_back) || patience.is_over() {
            return answer;
        }
        sleep(Duration::from_millis(200)).await;
    }
}

/// The refusal that a call must have met, read from the status details: the reason, and the gRPC code the
/// contract gives it.
///
/// # Panics
/// When the call succeeded, or was refused otherwise.
pub fn refused<T: std::fmt::Debug>(result: Result<Response<T>, Status>, reason: Reason) -> Fault {
    let status = match result {
        Ok(answer) => panic!("should be refused with {reason}, was answered {:?}", answer.into_inner()),
        Err(status) => status,
    };
    let fault = Fault::from(&status);
    assert_eq!(fault.reason, reason, "{status:?}");
    assert_eq!(status.code(), reason.grpc(), "{status:?}");
    assert!(!fault.detail.is_empty(), "{status:?}");
    if reason == Reason::InvalidArgument {
        assert!(!fault.violations.is_empty(), "no violations: {status:?}");
    }
    fault
}
