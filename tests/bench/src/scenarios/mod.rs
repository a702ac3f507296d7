//! The measurements. Each starts its mesh, fills it, measures, tells, and stops the mesh, which audits its
//! databases.

pub(crate) mod access;
pub(crate) mod against;
pub(crate) mod attacks;
pub(crate) mod availability;
pub(crate) mod checkouts;
pub(crate) mod funnel;
pub(crate) mod halls;
pub(crate) mod holds;
pub(crate) mod joins;
pub(crate) mod opening;
pub(crate) mod planned;
pub(crate) mod polls;
pub(crate) mod prune;
pub(crate) mod refunds;
mod side_by_side;
pub(crate) mod streams;
pub(crate) mod traces;
pub(crate) mod waiting;

use std::{net::SocketAddr, sync::Arc, time::Instant};

use tests::{
    mesh::{Direct, Mesh, Role, Shape, Wiring},
    world::World,
};

use crate::report;

/// Flags of a line that admits nobody and takes everybody.
const NOBODY_ENTERS: &[&str] = &["--max-active", "0", "--max-waiting", "10000000"];
/// Flags of a line that admits everybody at once, of holds that outlast the set-up, and of users who may hold
/// all they like.
const EVERYBODY_ENTERS: &[&str] = &[
    "--max-active",
    "1000000",
    "--max-waiting",
    "10000000",
    "--admit-per-minute",
    "10000000",
    "--active-ttl",
    "6h",
    "--hold-ttl",
    "1h",
    "--max-held-seats",
    "100000",
];

/// A mesh under measurement.
struct Stage {
    world: World,
    /// Where its (first) edge takes REST.
    rest: SocketAddr,
}

impl Stage {
    async fn start(shape: Shape, flags: &[&str]) -> Self {
        Self::start_wired(shape, flags, &Direct).await
    }

    /// The same, with something between the programs.
    async fn start_wired(shape: Shape, flags: &[&str], wiring: &dyn Wiring) -> Self {
        let mesh = Arc::new(Mesh::start_wired(shape, flags, None, wiring).await);
        let edge = mesh.nodes.iter().find(|node| matches!(node.role, Role::Edge | Role::Launcher));
        let rest = edge.expect("every mesh has an edge").http;
        Self { world: World::new(mesh), rest }
    }

    fn mesh(&self) -> &Mesh {
        &self.world.mesh
    }

    /// Where a replica of queue-svc takes gRPC.
    fn queue(&self, replica: usize) -> String {
        self.mesh().grpc(Role::Queue)[replica].clone()
    }

    /// Stops the mesh and removes what it leaves.
    async fn discard(self) {
        self.world.discard().await;
    }

    /// Stops the mesh and audits what it leaves.
    async fn finish(self) {
        let began = Instant::now();
        self.world.finish().await;
        report::fact(
            "stopped cleanly, and the audit of its databases found nothing",
            &format!("{:.1?}", began.elapsed()),
        );
    }
}
