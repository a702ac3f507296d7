//! The audit, over the databases of a mesh of the tests. What is judged, and how, is the crate of that
//! name's.

use audit::{Options, Report, Sources};

use crate::databases::Databases;

/// Where the services of this mesh keep their rows.
///
/// # Panics
/// When there are neither one nor four databases.
#[must_use]
pub fn sources(databases: &Databases) -> Sources {
    match databases {
        Databases::Sqlite(folder) => Sources::in_folder(folder),
        Databases::Postgres(urls) => of_urls(urls),
    }
}

/// One database with a schema a service, or one a service.
///
/// # Panics
/// As [`sources`].
#[must_use]
pub fn of_urls(urls: &[String]) -> Sources {
    let place = |url: &String| Some(url.parse().expect("an address"));
    match urls {
        [all] => Sources::in_schemas(all).expect("an address"),
        [queue, booking, wallet, edge] => {
            Sources { queue: place(queue), booking: place(booking), wallet: place(wallet), edge: place(edge) }
        }
        _ => panic!("a mesh has one database or four"),
    }
}

/// Judges a mesh, at work or at rest as the options say.
///
/// # Panics
/// When a database cannot be read.
pub async fn report(sources: &Sources, options: &Options) -> Report {
    audit::audit(sources, options).await.unwrap_or_else(|error| panic!("the audit could not look: {error}"))
}

/// Everything that is wrong with a mesh that was stopped; empty when all is well. Scenarios may also pay and
/// confirm past the edge.
pub async fn findings(databases: &Databases) -> Vec<String> {
    let report = report(&sources(databases), &Options { direct_calls: true, ..Options::at_rest() }).await;
    report.differences.iter().map(ToString::to_string).collect()
}
