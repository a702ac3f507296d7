//! `boxoffice export`: the sales of a show as a table, to settle with and to keep.

use std::{
    io::{self, Write as _},
    process::ExitCode,
};

use audit::sales::{self, Sale};
use chassis::rfc3339::Rfc3339;
use clap::{Args, ValueEnum};
use serde::Serialize;

use super::places::Places;

/// Which show, and what the table looks like.
#[derive(Args)]
#[command(long_about = ABOUT, after_help = AFTER, after_long_help = AFTER)]
pub(crate) struct Export {
    #[command(flatten)]
    places: Places,
    /// The show's id
    #[arg(long, value_parser = clap::value_parser!(i64).range(1..))]
    show: i64,
    /// What the table looks like
    #[arg(long, env = "EXPORT_FORMAT", value_enum, default_value_t = Format::Csv)]
    format: Format,
}

/// What the table looks like.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Format {
    /// A head and a line a sale, with commas (RFC 4180)
    Csv,
    /// A JSON object a line
    Json,
}

const ABOUT: &str = "\
Print every sale of a show, with what the ledger says of its money

A line a sale, the first one first: payment, reservation, buyer, seats, what it cost, when it was sold and taken back, what the ledger took
from the buyer and gave back, and what is left. Money is in minor units, instants are UTC. The sum goes to stderr. Every line is compared
with the ledger: the command fails when one does not agree.

It reads the databases of booking and wallet, as `boxoffice audit` does, and may run while tickets are sold. A refund that is on its way at
that moment does not agree yet: export again.";

const AFTER: &str = "\
In CSV an apostrophe stands before a buyer's name that begins with = + - or @, which a spreadsheet would compute.

Exit codes: 0 every sale agrees with the ledger · 1 some do not, named on stderr · 2 could not look (a wrong flag or address, no such show)

Examples:
  boxoffice export --show 1 --format csv > sales.csv
  boxoffice export --show 1 --format json | jq -s 'map(.net) | add'";

/// The exit code when a sale and the ledger do not agree.
const DISAGREE: u8 = 1;
/// The exit code when the sales could not be looked at.
const COULD_NOT_LOOK: u8 = 2;
/// The most sales that are named because they do not agree.
const NAMED: usize = 20;

/// A sale as a line.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Line<'a> {
    payment_id: &'a str,
    reservation_id: &'a str,
    user_id: String,
    seat_numbers: Seats<'a>,
    amount: i64,
    sold_at: String,
    refunded_at: Option<String>,
    debited: i64,
    refunded: i64,
    net: i64,
}

/// The seats of a sale: in a table, of which each field is a text, with spaces between them.
#[derive(Serialize)]
#[serde(untagged)]
enum Seats<'a> {
    Text(String),
    List(&'a [i64]),
}

impl Export {
    pub(crate) fn run(self) -> ExitCode {
        let asked = self.places.sources();
        let read = asked.and_then(|sources| super::block_on(sales::sales(&sources, self.show)));
        let sales = match read {
            Ok(Some(sales)) => sales,
            Ok(None) => {
                let why = format!("--show: there is no show {}", self.show);
                return super::failed("export", &why, COULD_NOT_LOOK);
            }
            Err(why) => return super::failed("export", &why, COULD_NOT_LOOK),
        };
        match self.written(&sales) {
            Ok(table) => super::print(&table),
            Err(why) => return super::failed("export", &why, COULD_NOT_LOOK),
        }
        summed(&sales)
    }

    fn written(&self, sales: &[Sale]) -> Result<String, String> {
        let lines = sales.iter().map(|sale| self.line(sale));
        let bytes = match self.format {
            Format::Csv => {
                let mut table = csv::WriterBuilder::new().has_headers(false).from_writer(Vec::new());
                table.write_record(HEAD).map_err(|error| error.to_string())?;
                for line in lines {
                    table.serialize(line).map_err(|error| error.to_string())?;
                }
                table.into_inner().map_err(|error| error.to_string())?
            }
            Format::Json => {
                let mut table = Vec::new();
                for line in lines {
                    serde_json::to_writer(&mut table, &line).map_err(|error| error.to_string())?;
                    table.push(b'\n');
                }
                table
            }
        };
        String::from_utf8(bytes).map_err(|error| error.to_string())
    }

    fn line<'a>(&self, sale: &'a Sale) -> Line<'a> {
        let computed = self.format == Format::Csv && sale.user_id.starts_with(['=', '+', '-', '@']);
        let apostrophe = if computed { "'" } else { "" };
        let seats: Vec<String> = sale.seats.iter().map(i64::to_string).collect();
        let at = |instant: i64| Rfc3339::of(instant).to_string();
        Line {
            payment_id: &sale.payment_id,
            reservation_id: &sale.reservation_id,
            user_id: format!("{apostrophe}{}", sale.user_id),
            seat_numbers: match self.format {
                Format::Csv => Seats::Text(seats.join(" ")),
                Format::Json => Seats::List(&sale.seats),
            },
            amount: sale.amount,
            sold_at: at(sale.sold_at),
            refunded_at: sale.refunded_at.map(at),
            debited: sale.debited,
            refunded: sale.refunded,
            net: sale.net(),
        }
    }
}

/// The names of the columns, also when there is no sale.
const HEAD: [&str; 10] = [
    "paymentId",
    "reservationId",
    "userId",
    "seatNumbers",
    "amount",
    "soldAt",
    "refundedAt",
    "debited",
    "refunded",
    "net",
];

/// Says the sums, and which sales the ledger does not agree with.
fn summed(sales: &[Sale]) -> ExitCode {
    let sum = |of: fn(&Sale) -> i64| sales.iter().map(of).sum::<i64>();
    let back = sales.iter().filter(|sale| sale.refunded_at.is_some()).count();
    let (gross, refunded, net) = (sum(|sale| sale.debited), sum(|sale| sale.refunded), sum(Sale::net));
    let mut told = format!(
        "{} sales, {back} of them taken back: {gross} taken, {refunded} given back, {net} left\n",
        sales.len()
    );
    let wrong: Vec<&Sale> = sales.iter().filter(|sale| !sale.agrees()).collect();
    for sale in wrong.iter().take(NAMED) {
        told += &format!("the ledger does not agree with payment {}\n", sale.payment_id);
    }
    if wrong.len() > NAMED {
        told += &format!("and {} more\n", wrong.len() - NAMED);
    }
    let _unread = io::stderr().write_all(told.as_bytes());
    if wrong.is_empty() { ExitCode::SUCCESS } else { ExitCode::from(DISAGREE) }
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[derive(Parser)]
    struct Alone {
        #[command(flatten)]
        export: Export,
    }

    fn sale(user: &str, refunded_at: Option<i64>) -> Sale {
        Sale {
            payment_id: "p".to_owned(),
            reservation_id: "r".to_owned(),
            user_id: user.to_owned(),
            seats: vec![1, 2],
            amount: 50,
            sold_at: 0,
            refunded_at,
            debited: 50,
            refunded: 0,
        }
    }

    #[test]
    fn a_table_has_a_head_and_no_cell_that_a_spreadsheet_computes() {
        let export = |format: &str| Alone::parse_from(["x", "--show", "1", "--format", format]).export;
        let head = HEAD.join(",");
        assert_eq!(export("csv").written(&[]), Ok(format!("{head}\n")));
        let row = "p,r,\"'=1,\"\"a\",1 2,50,1970-01-01T00:00:00.000000Z,,50,0,50";
        assert_eq!(export("csv").written(&[sale("=1,\"a", None)]), Ok(format!("{head}\n{row}\n")));
        let json = export("json").written(&[sale("=1", None)]).unwrap();
        let line: serde_json::Value = serde_json::from_str(&json).unwrap();
        assert_eq!((&line["userId"], &line["refundedAt"]), (&"=1".into(), &serde_json::Value::Null));
        for name in HEAD {
            assert!(line.get(name).is_some(), "{name}");
        }
    }

    #[test]
    fn a_sale_that_was_taken_back_agrees_once_its_money_is_back() {
        assert!(sale("ann", None).agrees());
        assert!(!sale("ann", Some(1)).agrees());
        assert!(Sale { refunded: 50, ..sale("ann", Some(1)) }.agrees());
        assert!(!Sale { refunded: 50, ..sale("ann", None) }.agrees());
    }
}
