//! The ways in which the mesh is deployed, the parts that a process plays in it, and the one list of
//! services.

/// How the mesh is deployed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Shape {
    /// The launcher: one process, embedded SQLite.
    SingleSqlite,
    /// The launcher on a PostgreSQL database.
    SinglePostgres,
    /// The launcher on a PostgreSQL database behind a PgBouncer that pools by transaction.
    SinglePgBouncer,
    /// The four programs, two replicas each, each service on its own PostgreSQL database.
    Cluster,
    /// The four programs, one of each, on SQLite files: as the launcher, but something can stand between
    /// them.
    ApartSqlite,
}

impl Shape {
    /// Those that people run, which every scenario must pass.
    pub const ALL: &[Self] =
        &[Self::SingleSqlite, Self::SinglePostgres, Self::SinglePgBouncer, Self::Cluster];

    /// The word for it in the names of tests, such as `single_sqlite`.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::SingleSqlite => "single_sqlite",
            Self::SinglePostgres => "single_postgres",
            Self::SinglePgBouncer => "single_pgbouncer",
            Self::Cluster => "cluster",
            Self::ApartSqlite => "apart_sqlite",
        }
    }
}

/// What a process is in the mesh.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Role {
    /// All services in one.
    Launcher,
    /// queue-svc.
    Queue,
    /// booking-svc.
    Booking,
    /// wallet-svc.
    Wallet,
    /// edge.
    Edge,
}

/// The services: each is a program, and a folder at the root that has its name. Who needs the list reads it
/// here; what cannot (manifests, the image, the workspace) a test of `tidy` compares with it.
pub const SERVICES: [&str; 4] =
    [Role::Queue.program(), Role::Booking.program(), Role::Wallet.program(), Role::Edge.program()];

impl Role {
    /// The services that the edge calls.
    pub(crate) const BEHIND_THE_EDGE: [Self; 3] = [Self::Queue, Self::Booking, Self::Wallet];

    /// The name of the program.
    pub(crate) const fn program(self) -> &'static str {
        match self {
            Self::Launcher => "boxoffice",
            Self::Queue => "queue-svc",
            Self::Booking => "booking-svc",
            Self::Wallet => "wallet-svc",
            Self::Edge => "edge",
        }
    }

    /// Whether a separate program of this role understands a policy flag.
    pub(crate) fn takes(self, flag: &str) -> bool {
        match self {
            _ if ["--auth-", "--alert-", "--otlp-"].iter().any(|known| flag.starts_with(known)) => true,
            _ if matches!(flag, "--max-connections" | "--insecure-open" | "--docs" | "--self-charge") => true,
            Self::Launcher => true,
            Self::Booking => flag.starts_with("--hold") || matches!(flag, "--max-held-seats" | "--currency"),
            Self::Edge => {
                ["--limit-", "--events-", "--nats-"].iter().any(|known| flag.starts_with(known))
                    || matches!(flag, "--browse" | "--on-payment-failure" | "--trusted-proxies")
            }
            Self::Wallet => flag == "--currency",
            Self::Queue => !(Self::Booking.takes(flag) || Self::Edge.takes(flag) || Self::Wallet.takes(flag)),
        }
    }
}
