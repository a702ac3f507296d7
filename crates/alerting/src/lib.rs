//! `boxoffice.alerts.v1.AlertService`, as every program serves it: what stands in its own database. The edge
//! adds what the others tell.

use boxoffice_proto::{
    Fault,
    alerts::{
        Alert, ListAlertsRequest, ListAlertsResponse,
        alert_service_server::{AlertService, AlertServiceServer},
    },
    fault::Answer,
    time::timestamp,
};
use chassis::{
    alerts::{self, SeenAlert},
    clock::Clock,
    db::Db,
};
use tonic::{Request, Response};

/// The alerts in one database, which all replicas of a program share.
#[derive(Clone)]
pub struct AlertBook {
    db: Db,
    clock: Clock,
}

/// The service of a program with this database.
#[must_use]
pub fn service(db: &Db, clock: &Clock) -> AlertServiceServer<AlertBook> {
    AlertServiceServer::new(AlertBook::new(db.clone(), clock.clone()))
}

impl AlertBook {
    /// The alerts in this database.
    #[must_use]
    pub const fn new(db: Db, clock: Clock) -> Self {
        Self { db, clock }
    }

    /// Those of the last 24 hours, the latest first.
    ///
    /// # Errors
    /// The database failed.
    pub async fn list(&self) -> Result<Vec<Alert>, Fault> {
        let seen = alerts::seen(&self.db, self.clock.now()).await;
        let seen = seen.map_err(|error| Fault::database("The alerts", error.is_passing(), error))?;
        Ok(seen.into_iter().map(told).collect())
    }
}

fn told(SeenAlert { program, kind, text, times, since, latest_at, is_silenced }: SeenAlert) -> Alert {
    Alert {
        program,
        kind,
        text,
        times,
        since: Some(timestamp(since)),
        latest_at: Some(timestamp(latest_at)),
        silenced: is_silenced,
    }
}

#[tonic::async_trait]
impl AlertService for AlertBook {
    async fn list_alerts(&self, _: Request<ListAlertsRequest>) -> Answer<ListAlertsResponse> {
        Ok(Response::new(ListAlertsResponse { alerts: self.list().await?, unread: Vec::new() }))
    }
}
