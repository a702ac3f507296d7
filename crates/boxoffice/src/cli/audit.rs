//! `boxoffice audit`: judges the databases, from a terminal or as a scheduled job.

use std::{
    io::{self, IsTerminal, Write},
    process::ExitCode,
    sync::Arc,
    time::Duration,
};

use audit::{Options, Progress, Report, render};
use clap::{Args, ValueEnum};

use super::{backup, places::Places};

/// The flags of the audit: which databases, and how strictly.
#[derive(Args)]
#[command(long_about = ABOUT, after_help = AFTER, after_long_help = AFTER)]
pub(crate) struct Audit {
    #[command(flatten)]
    places: Places,
    /// How long a checkout may take until it counts as left lying
    #[arg(long, env, default_value = "5m", value_parser = humantime::parse_duration)]
    unsettled_after: Duration,
    /// What seems wrong is looked at again after so long, and counts only if it still is; 0s: one look
    #[arg(long, env, default_value = "3s", value_parser = humantime::parse_duration)]
    recheck_after: Duration,
    /// Count, instead of judge, payments and reservations that were made past the edge, over the services'
    /// own gRPC
    #[arg(long, env)]
    direct_calls: bool,
    /// What the result looks like
    #[arg(long, env, value_enum, default_value_t = Format::Text)]
    format: Format,
}

/// What the result looks like.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Format {
    /// A summary, and each difference with its ids
    Text,
    /// One JSON object
    Json,
}

const ABOUT: &str = "\
Check that no money, seat or place is lost or given twice, while the mesh runs or at rest

It reads the services' own databases and compares what they say:
  money      each wallet's balance is the sum of its entries, entry by entry, numbered without a gap; a payment that completed was
             debited once, one that was cancelled was refunded once
  seats      no seat in two hands; the sold ones are exactly those of the confirmed reservations
  checkouts  a payment is completed if and only if its reservation is confirmed; none is unsettled beyond --unsettled-after
  operators  an action of an operator was written before its outcome; one that was cut off is told
  lines      tickets in order, nobody overtaken, draws as their secrets make them, no live token twice, no more inside than
             --max-active, no more a minute than may be

It only reads, one consistent snapshot a service, and never writes or locks: run it against the live mesh as often as you like. Payments
in flight are told apart from faults by the order in which it looks; what still seems wrong is looked at twice.";

const AFTER: &str = "\
Exit codes: 0 nothing is wrong · 1 differences, printed with their ids · 2 could not look (a wrong flag or address, no such table)

Examples:
  boxoffice audit                                                     the launcher's files under ./data
  boxoffice audit --database-url postgres://me@localhost/boxoffice    the launcher's schemas
  boxoffice audit --edge-database-url postgres://…/edge --wallet-database-url postgres://…/wallet \\
                  --booking-database-url postgres://…/booking --queue-database-url postgres://…/queue
  boxoffice audit --format json | jq '.differences[].what'";

/// The exit code when differences were found.
const DIFFERENCES: u8 = 1;
/// The exit code when the databases could not be looked at.
const COULD_NOT_LOOK: u8 = 2;

impl Audit {
    pub(crate) fn run(self) -> ExitCode {
        let asked = self.places.sources().and_then(|sources| Ok((sources, self.options()?)));
        match asked.and_then(|(sources, options)| super::block_on(audit::audit(&sources, &options))) {
            Ok(report) => self.tell(&report),
            Err(error) => super::failed("audit", &error, COULD_NOT_LOOK),
        }
    }

    fn tell(&self, report: &Report) -> ExitCode {
        super::print(&match self.format {
            Format::Text => render::text(report),
            Format::Json => format!("{:#}\n", render::json(report)),
        });
        if report.is_clean() { ExitCode::SUCCESS } else { ExitCode::from(DIFFERENCES) }
    }

    fn options(&self) -> Result<Options, String> {
        let copied_at = self.places.folder().map(backup::taken_at).transpose()?.flatten();
        Ok(Options {
            copied_at,
            unsettled_after: self.unsettled_after,
            recheck_after: Some(self.recheck_after).filter(|pause| !pause.is_zero()),
            direct_calls: self.direct_calls,
            progress: io::stderr().is_terminal().then(|| Arc::new(tell_progress) as Progress),
        })
    }
}

/// Writes the progress on one line of a terminal, each time over the last one; the spaces cover what was
/// longer.
fn tell_progress(what: &str, rows: u64) {
    let _unread = write!(io::stderr(), "\r{rows} {what} read        \r");
}
