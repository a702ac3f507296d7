//! The commands of PostgreSQL that `boxoffice backup` prints. No password is in them; the tools ask for it,
//! or take it from `PGPASSWORD` or `~/.pgpass`.

use std::path::Path;

use audit::Source;

/// The commands that back these databases up into a folder.
pub(super) fn commands(servers: &[(&str, &Source)], out: &Path) -> String {
    let mut databases: Vec<(String, String)> = Vec::new();
    for (service, place) in servers {
        if let Some(found) = address(place)
            && databases.iter().all(|(_, known)| *known != found)
        {
            databases.push(((*service).to_owned(), found));
        }
    }
    let dump = |name: &str, at: &str| {
        let file = quoted(&out.join(format!("{name}.dump")).display().to_string());
        format!("  pg_dump {at} --format=custom --file={file}\n")
    };
    let make = format!("  (umask 077; mkdir {})\n", quoted(&out.display().to_string()));
    match databases.as_slice() {
        [(_, at)] => format!(
            "One database. A dump of it is of one instant, over all schemas, while the mesh runs:

{make}{}
To restore, into a database that is made anew, with the mesh stopped:

  pg_restore --dbname=NEW --exit-on-error {}

and check what was restored with `boxoffice audit`.
",
            dump("boxoffice", at),
            quoted(&out.join("boxoffice.dump").display().to_string())
        ),
        several => {
            let dumps: String = several.iter().map(|(service, at)| dump(service, at)).collect();
            format!(
                "Several databases. Dumps of them are of different instants, and would call checkouts paid whose money is not there. On one
server, a copy of all of it is of one instant, while the mesh runs (by a role that may replicate):

  pg_basebackup --host=HOST --username=ROLE --pgdata={} --wal-method=stream --checkpoint=fast

On several servers, or to dump: end the edges first (SIGTERM; they exit with 0), so that nothing is in flight, then

{make}{dumps}
and start them again. To restore: `pg_restore --dbname=NEW --exit-on-error` for each, with the mesh stopped. Check what was restored with
`boxoffice audit`.
",
                quoted(&out.display().to_string())
            )
        }
    }
}

/// The flags that name a database to the tools of PostgreSQL; `None` for a SQLite file.
fn address(place: &Source) -> Option<String> {
    let Source::Postgres { options, .. } = place else { return None };
    let host = options
        .get_socket()
        .map_or_else(|| options.get_host().to_owned(), |socket| socket.display().to_string());
    let database = options.get_database().unwrap_or_else(|| options.get_username());
    Some(format!(
        "--host={} --port={} --username={} --dbname={}",
        quoted(&host),
        options.get_port(),
        quoted(options.get_username()),
        quoted(database)
    ))
}

/// A word, quoted for a shell where that is needed.
fn quoted(word: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_./:=@%+,".contains(c);
    if !word.is_empty() && word.chars().all(plain) {
        word.to_owned()
    } else {
        format!("'{}'", word.replace('\'', r"'\''"))
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use super::*;

    fn told(urls: &[&str]) -> String {
        let places: Vec<Source> = urls.iter().map(|url| url.parse().unwrap()).collect();
        let servers: Vec<_> = ["edge", "wallet", "booking", "queue"].into_iter().zip(&places).collect();
        commands(&servers, Path::new("/backups/o'clock"))
    }

    #[test]
    fn one_database_is_one_dump_and_no_password_is_told() {
        let url = "postgres://me:secret@db.example:5433/tickets";
        let told = told(&[url; 4]);
        assert!(!told.contains("secret"), "{told}");
        let dump = "pg_dump --host=db.example --port=5433 --username=me --dbname=tickets --format=custom \
                    --file='/backups/o'\\''clock/boxoffice.dump'";
        assert_eq!(told.matches("pg_dump").count(), 1, "{told}");
        assert!(told.contains(dump), "{told}");
    }

    #[test]
    fn several_databases_are_copied_at_one_instant_or_at_rest() {
        let told = told(&[
            "postgres://a@db/edge",
            "postgres://b@db/wallet",
            "postgres://c@db/booking",
            "postgres://d@db/queue",
        ]);
        assert_eq!(
            (told.matches("  pg_basebackup").count(), told.matches("  pg_dump").count()),
            (1, 4),
            "{told}"
        );
        assert!(told.contains("--dbname=wallet") && told.contains("end the edges first"), "{told}");
    }
}
