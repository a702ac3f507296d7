//! `AlertService` at the edge: that of all programs.

use boxoffice_proto::{
    alerts::{ListAlertsRequest, ListAlertsResponse, alert_service_server::AlertService},
    fault::Answer,
};
use tonic::Request;

use super::door::{Door, answer};
use crate::app::alerts;

#[tonic::async_trait]
impl AlertService for Door {
    async fn list_alerts(&self, request: Request<ListAlertsRequest>) -> Answer<ListAlertsResponse> {
        answer!(self, request, |edge, caller, _message| alerts(edge, &caller).await?)
    }
}
