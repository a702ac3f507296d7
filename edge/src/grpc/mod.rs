//! `CheckoutService`: requests become commands and checkouts become answers; nothing is decided here.

use access::Doors;
use boxoffice_proto::{
    Fault,
    checkout::{
        Attempt, AttemptOutcome, Checkout as Wire, CheckoutStatus, GetCheckoutRequest, GetCheckoutResponse,
        ListCheckoutsRequest, ListCheckoutsResponse, PayRequest, PayResponse, RetryCheckoutRequest,
        RetryCheckoutResponse, checkout_service_server::CheckoutService,
    },
    time::timestamp,
    validate::Checks,
};
use chassis::page::PageRequest;
use tonic::{Request, Response, Status};

use crate::{
    app::{Before, Caller, Filter, Pay, Till, cursor},
    domain::{
        checkout::{self, Checkout},
        story::{self, Tried},
    },
};

/// The gRPC service of the [`Till`].
pub(crate) struct Service {
    till: Till,
    doors: Doors,
}

impl Service {
    pub(crate) const fn new(till: Till, doors: Doors) -> Self {
        Self { till, doors }
    }

    /// Who makes this call, with the queue token of its message.
    fn caller<T>(&self, request: &Request<T>, queue_token: Option<&str>) -> Caller {
        Caller::new(self.doors.called(request.extensions()), self.doors.house, "token", queue_token)
    }
}

#[tonic::async_trait]
impl CheckoutService for Service {
    async fn pay(&self, request: Request<PayRequest>) -> Result<Response<PayResponse>, Status> {
        let caller = self.caller(&request, Some(&request.get_ref().token));
        let request = request.into_inner();
        let checkout = self.till.pay(&caller, command(&request, self.doors.are_secured())?).await?;
        Ok(Response::new(PayResponse { checkout: Some(wire(checkout)) }))
    }

    async fn get_checkout(
        &self,
        request: Request<GetCheckoutRequest>,
    ) -> Result<Response<GetCheckoutResponse>, Status> {
        let mut checks = Checks::default();
        let checkout_id = checks.uuid("checkout_id", &request.get_ref().checkout_id);
        let user_id = checks.any_user("user_id", &request.get_ref().user_id);
        checks.finish()?;
        let checkout = self.till.get(&self.caller(&request, None), checkout_id, user_id).await?;
        Ok(Response::new(GetCheckoutResponse { checkout: Some(wire(checkout)) }))
    }

    async fn retry_checkout(
        &self,
        request: Request<RetryCheckoutRequest>,
    ) -> Result<Response<RetryCheckoutResponse>, Status> {
        let mut checks = Checks::default();
        let checkout_id = checks.uuid("checkout_id", &request.get_ref().checkout_id);
        checks.finish()?;
        let checkout = self.till.retry(&self.caller(&request, None), checkout_id).await?;
        Ok(Response::new(RetryCheckoutResponse { checkout: Some(wire(checkout)) }))
    }

    async fn list_checkouts(
        &self,
        request: Request<ListCheckoutsRequest>,
    ) -> Result<Response<ListCheckoutsResponse>, Status> {
        let caller = self.caller(&request, None);
        let (filter, page) = filter(&request.into_inner())?;
        let found = self.till.list(&caller, filter, *page.from(), page.limit()).await?;
        let (checkouts, next_page_token) = page.answer(found, cursor, wire);
        Ok(Response::new(ListCheckoutsResponse { checkouts, next_page_token }))
    }
}

/// A user who is left out is the caller, where it is known who that is.
fn command(request: &PayRequest, knows_caller: bool) -> Result<Pay, Fault> {
    let mut checks = Checks::default();
    let user_id = if knows_caller {
        checks.any_user("user_id", &request.user_id)
    } else {
        checks.user_id("user_id", &request.user_id)
    };
    let reservation_id = checks.uuid("reservation_id", &request.reservation_id);
    let request_id = checks.request_id(&request.request_id);
    checks.finish()?;
    Ok(Pay { user_id, reservation_id, request_id, price: None })
}

fn filter(request: &ListCheckoutsRequest) -> Result<(Filter, PageRequest<Before>), Fault> {
    let mut checks = Checks::default();
    let user_id = (!request.user_id.is_empty()).then(|| checks.user_id("user_id", &request.user_id));
    let status = match CheckoutStatus::try_from(request.status) {
        Ok(CheckoutStatus::Unspecified) => None,
        Ok(CheckoutStatus::Pending) => Some(checkout::Status::Pending),
        Ok(CheckoutStatus::Completed) => Some(checkout::Status::Completed),
        Ok(CheckoutStatus::Failed) => Some(checkout::Status::Failed),
        Ok(CheckoutStatus::Compensated) => Some(checkout::Status::Compensated),
        Err(_) => {
            checks.refuse("status", "must be a CheckoutStatus");
            None
        }
    };
    let filter = Filter { user_id, status, parked: request.parked };
    let page = filter.page(request.page_size, &request.page_token, &mut checks);
    checks.finish()?;
    Ok((filter, page))
}

fn wire(checkout: Checkout) -> Wire {
    let status = match checkout.status {
        checkout::Status::Pending => CheckoutStatus::Pending,
        checkout::Status::Completed => CheckoutStatus::Completed,
        checkout::Status::Failed => CheckoutStatus::Failed,
        checkout::Status::Compensated => CheckoutStatus::Compensated,
    };
    Wire {
        checkout_id: checkout.checkout_id.to_string(),
        user_id: checkout.user_id,
        reservation_id: checkout.reservation_id.to_string(),
        amount: checkout.amount,
        status: status.into(),
        reason: checkout.reason.unwrap_or_default(),
        created_at: Some(timestamp(checkout.created_at)),
        settled_at: checkout.settled_at.map(timestamp),
        attempts: i32::try_from(checkout.attempts).unwrap_or(i32::MAX),
        parked_at: checkout.parked_at.map(timestamp),
        timeline: checkout.story.lines().iter().map(attempt).collect(),
    }
}

fn attempt(line: &story::Attempt) -> Attempt {
    let outcome = match line.outcome {
        Tried::Done => AttemptOutcome::Done,
        Tried::Refused => AttemptOutcome::Refused,
        Tried::Unknown => AttemptOutcome::Unknown,
    };
    Attempt {
        step: line.step.clone(),
        outcome: outcome.into(),
        reason: line.reason.clone().unwrap_or_default(),
        first_at: Some(timestamp(line.first_at)),
        last_at: Some(timestamp(line.last_at)),
        times: line.times,
    }
}
