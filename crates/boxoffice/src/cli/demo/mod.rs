//! `boxoffice demo`: a season in a running mesh, made over its public REST API as anybody could make it.
//!
//! Run again it changes nothing: every request carries an idempotency key of its own, so that it gets the
//! answer of the first run, even if that was cut off. Only what has ended since (a hold that lapsed, an
//! admission) is done anew.

mod api;
mod season;

use std::{process::ExitCode, time::Duration};

use api::{Api, Failure, With, number, text};
use chrono::{DateTime, NaiveDate, SecondsFormat, TimeDelta, Utc};
use chrono_tz::Tz;
use clap::Args;
use reqwest::Url;
use season::{BUSY, BUSY_ACTIVE, DEFAULT, FANS, OPENING, OPENS_AFTER, VISITORS, Visitor};
use serde_json::{Value, json};

use super::{block_on, failed, print};

/// How often a visit is begun again whose hold or admission has ended.
const ATTEMPTS: u32 = 1_000;
/// The exit code when the season is not all there.
const FAILED: u8 = 1;
/// How long a visitor waits to be admitted, in seconds.
const PATIENCE: u32 = 30;

/// Where the mesh is.
#[derive(Args)]
#[command(
    long_about = "Fill a running mesh with a season: concerts, shows, wallets, a line, an opening by lot, and a few tickets bought\n\n\
                  Everything goes through the public REST API, the tickets through line, hold and payment. Run again it changes \
                  nothing. Start it against a fresh mesh: what it makes stays.",
    after_help = "Exit codes: 0 done · 1 the mesh does not answer, or refused something · 2 a wrong flag or variable"
)]
pub(crate) struct Demo {
    /// The edge's REST address: host:port as it was told to serve there, or a URL such as
    /// http://tickets.example/season
    #[arg(long, env, alias = "rest-url", default_value = "127.0.0.1:24000", value_parser = address)]
    rest_addr: String,
}

/// Reads the address of an edge as a URL. There is no TLS in this program, as there is none at the edge.
fn address(text: &str) -> Result<String, String> {
    let text = &if text.contains("://") { text.to_owned() } else { format!("http://{text}") };
    let can_be = |url: &Url| {
        url.scheme() == "http" && url.has_host() && url.query().is_none() && url.fragment().is_none()
    };
    match Url::parse(text) {
        Ok(url) if can_be(&url) => Ok(text.clone()),
        Ok(_) | Err(_) => {
            Err("must be host:port or http://host[:port] (flag --rest-addr, variable REST_ADDR)".to_owned())
        }
    }
}

/// A show that is on sale.
struct OnSale {
    concert: i64,
    id: i64,
    title: String,
    seats: i64,
}

/// How a visit ended.
struct Visit {
    token: String,
    reservation: String,
    told: String,
}

impl Demo {
    pub(crate) fn run(self) -> ExitCode {
        match block_on(self.fill()) {
            Ok(()) => ExitCode::SUCCESS,
            Err(why) => failed("demo", &why, FAILED),
        }
    }

    /// Tells of each thing when it is done.
    async fn fill(&self) -> Result<(), Failure> {
        let api = Api::new(&self.rest_addr)?;
        let message = json!({"en": "There are two nights. Your place waits for you if you close this page.",
            "ko": "공연은 이틀 동안 열립니다. 이 페이지를 닫아도 순서는 유지됩니다."});
        let busy = json!({"maxActive": BUSY_ACTIVE, "message": message});
        let line = api.put(&format!("/v1/queues/{BUSY}"), busy).await?;
        let opens_at = opening(&api).await?;
        print(&format!("The season at {}:\n\n", self.rest_addr));
        let first = season::first_day(now());
        let known = api.get("/v1/concerts?pageSize=100").await?;
        let mut shows = Vec::new();
        for concert in season::concerts() {
            shows.push(stage(&api, concert, &known["concerts"], first).await?);
        }
        print("\nThe visitors:\n\n");
        let mut ann = None;
        for visitor in VISITORS {
            let (concert, show, _) = visitor.wants;
            let visit = visit(&api, visitor, &shows[concert][show]).await?;
            print(&format!("  {}\n", visit.told));
            ann = ann.or(Some(visit));
        }
        let mut last = Value::Null;
        for fan in 1..=FANS {
            let body = json!({"userId": format!("demo-fan-{fan}")});
            api.post(&format!("/v1/queues/{OPENING}/tokens"), body.clone(), With::default()).await?;
            last = api.post(&format!("/v1/queues/{BUSY}/tokens"), body, With::default()).await?;
        }
        print(&format!(
            "\nThe line: {FANS} fans at {BUSY}, which lets {} in at once; the last is number {} in line.\n",
            number(&line, "maxActive")?,
            number(&last, "position")?
        ));
        let at = opens_at.get(11..19).unwrap_or_default();
        print(&format!(
            "An opening: {FANS} fans registered at {OPENING}, which opens by lot at {at} UTC; register, too.\n"
        ));
        if let Some(ann) = ann {
            print(&what_to_try(&self.rest_addr, &ann, &text(&last, "token")?, &shows[1][1]));
        }
        Ok(())
    }
}

/// Makes the queue that opens by lot, unless it is there, and answers when it opens. Whoever registered has
/// been told the instant, so that a later run cannot move it.
async fn opening(api: &Api) -> Result<String, Failure> {
    let path = format!("/v1/queues/{OPENING}");
    let queue = match api.get(&path).await {
        Err(failure) if failure.code() == "QUEUE_NOT_FOUND" => {
            let at = now() + TimeDelta::seconds(OPENS_AFTER);
            let at = at.to_rfc3339_opts(SecondsFormat::Secs, true);
            let message = json!({"en": "Everybody who is here at the opening has the same chance.",
                "ko": "시작할 때 등록한 모든 분께 같은 기회가 주어집니다."});
            let policy =
                json!({"maxActive": BUSY_ACTIVE, "opening": "DRAW", "opensAt": at, "message": message});
            api.put(&path, policy).await
        }
        there => there,
    };
    text(&queue?, "opensAt")
}

fn now() -> DateTime<Utc> {
    DateTime::from_timestamp_micros(chassis::clock::Clock::system().now()).unwrap_or_default()
}

/// A title as a part of an idempotency key, which has no spaces.
fn slug(title: &str) -> String {
    title.replace(' ', "-")
}

/// The one of these, if there are any, that has this title.
fn titled(there: &Value, title: &str) -> Option<Value> {
    there.as_array().into_iter().flatten().find(|one| one["title"] == title).cloned()
}

/// Creates a concert and its shows, or finds those that are there, and prints them.
async fn stage(
    api: &Api,
    concert: season::DemoConcert,
    known: &Value,
    first: NaiveDate,
) -> Result<Vec<OnSale>, Failure> {
    let title = text(&concert.new, "title")?;
    let concert_there = match titled(known, &title) {
        Some(found) => found,
        None => {
            let key = format!("demo-concert/{}", slug(&title));
            api.post("/v1/concerts", concert.new, With { key: Some(&key), token: None }).await?
        }
    };
    let (id, zone) = (number(&concert_there, "concertId")?, text(&concert_there, "timeZone")?);
    let zone: Tz = zone.parse().unwrap_or_default();
    let there = api.get(&format!("/v1/concerts/{id}/shows?pageSize=100")).await?;
    print(&format!("  {id:>3}  {title} ({zone})\n"));
    let mut shows = Vec::new();
    for show in concert.shows {
        let title = show.title();
        let show = match titled(&there["shows"], title) {
            Some(found) => found,
            None => {
                let body = show.request(first, zone);
                let key = format!("demo-show/{id}/{first}/{}", slug(title));
                api.post(&format!("/v1/concerts/{id}/shows"), body, With { key: Some(&key), token: None })
                    .await?
            }
        };
        let (seats, price) = (number(&show, "seatCount")?, number(&show, "price")?);
        let (date, time) = (text(&show, "localDate")?, text(&show, "localTime")?);
        let on_sale =
            OnSale { concert: id, id: number(&show, "showId")?, title: text(&show, "title")?, seats };
        print(&format!(
            "         show {:>3}  {date} {time}  {:<16} {seats:>6} seats from {price:>7}{}\n",
            on_sale.id,
            on_sale.title,
            sale(&show, zone)
        ));
        shows.push(on_sale);
    }
    Ok(shows)
}

/// When the sale of a show opens and closes by the clock of its venue, where it says so, and how many seats
/// one may have.
fn sale(show: &Value, zone: Tz) -> String {
    let mut told = String::new();
    for (name, words) in [("opensAt", "on sale from"), ("closesAt", "on sale until")] {
        if let Some(at) = show[name].as_str().and_then(|at| at.parse::<DateTime<Utc>>().ok()) {
            told += &format!(", {words} {}", at.with_timezone(&zone).format("%Y-%m-%d %H:%M"));
        }
    }
    if let Some(most) = show["maxSeatsPerUser"].as_i64() {
        told += &format!(", {most} for one");
    }
    told
}

/// Tops up the wallet, joins the queue, holds seats, and pays if the visitor does. What has lapsed since the
/// last run is begun again.
async fn visit(api: &Api, visitor: &Visitor, show: &OnSale) -> Result<Visit, Failure> {
    let Visitor { user, charge, .. } = visitor;
    let key = format!("demo-charge/{user}");
    api.post(
        &format!("/v1/wallets/{user}/charges"),
        json!({"amount": charge}),
        With { key: Some(&key), token: None },
    )
    .await?;
    let mut outcome = attempt(api, visitor, show, 1).await;
    for number in 2..=ATTEMPTS {
        let lapsed = |failure: &Failure| {
            matches!(
                failure.code(),
                "TOKEN_NOT_ACTIVE" | "TOKEN_NOT_FOUND" | "HOLD_EXPIRED" | "RESERVATION_CANCELLED"
            )
        };
        if !outcome.as_ref().is_err_and(lapsed) {
            break;
        }
        outcome = attempt(api, visitor, show, number).await;
    }
    outcome
}

async fn attempt(api: &Api, visitor: &Visitor, show: &OnSale, attempt: u32) -> Result<Visit, Failure> {
    let Visitor { user, .. } = visitor;
    let key = |what: &str| format!("demo-{what}/{user}/{attempt}");
    let joined = key("join");
    let body = json!({"userId": user});
    let token = api
        .post(&format!("/v1/queues/{DEFAULT}/tokens"), body, With { key: Some(&joined), token: None })
        .await?;
    let token = text(&token, "token")?;
    until_admitted(api, &token).await?;
    let (reservation, seats) = hold(api, visitor, show, &token, &key("hold")).await?;
    let id = text(&reservation, "reservationId")?;
    let amount = number(&reservation, "amount")?;
    let told = |what: &str| {
        format!("{user:<9} {what} seats {seats} of show {} ({}) for {amount}", show.id, show.title)
    };
    if !visitor.pays {
        // The answer to the first run's request may be old by now.
        let now = api.get(&format!("/v1/reservations/{id}")).await?;
        let lapsed = text(&now, "status")? == "EXPIRED";
        if lapsed {
            return Err(Failure::Refused {
                code: "HOLD_EXPIRED".to_owned(),
                what: format!("the hold {id} has lapsed"),
            });
        }
        return Ok(Visit { token, reservation: id, told: told("holds") });
    }
    let paid = key("pay");
    let body = json!({"userId": user, "reservationId": id});
    match api.post("/v1/payments", body, With { key: Some(&paid), token: Some(&token) }).await {
        Ok(payment) => {
            let word = if payment["status"] == "COMPLETED" { "bought" } else { "is paying for" };
            Ok(Visit { token, reservation: id, told: told(word) })
        }
        Err(failure) if failure.code() == "INSUFFICIENT_FUNDS" => {
            Ok(Visit { token, reservation: id, told: told("had not enough money to buy") })
        }
        Err(failure) => Err(failure),
    }
}

/// Waits while the token is WAITING. One that has ended may have been used up by the first run: its requests
/// are answered as they were.
async fn until_admitted(api: &Api, token: &str) -> Result<(), Failure> {
    for _ in 0..PATIENCE {
        if api.get(&format!("/v1/tokens/{token}")).await?["status"] != "WAITING" {
            return Ok(());
        }
        tokio::time::sleep(Duration::from_secs(1)).await;
    }
    Err(Failure::NoAnswer(format!(
        "the line {DEFAULT} is too long for the demo's visitors: nobody was let in for {PATIENCE} s"
    )))
}

/// Holds the seats that the visitor wants, or some further back when those are taken. Answers the reservation
/// and the list of seats.
async fn hold(
    api: &Api,
    visitor: &Visitor,
    show: &OnSale,
    token: &str,
    key: &str,
) -> Result<(Value, String), Failure> {
    let Visitor { user, wants: (_, _, first), seats, .. } = visitor;
    let mut refused = Failure::NoAnswer("no seats".to_owned());
    for row in 0..5 {
        let first = first + row * seats;
        if first + seats > show.seats + 1 {
            break;
        }
        let numbers: Vec<i64> = (first..first + seats).collect();
        let key = format!("{key}/{first}");
        let body = json!({"userId": user, "showId": show.id, "seatNumbers": numbers});
        match api.post("/v1/reservations", body, With { key: Some(&key), token: Some(token) }).await {
            Ok(reservation) => {
                let seats = numbers.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ");
                return Ok((reservation, seats));
            }
            Err(failure) if failure.code() == "SEAT_TAKEN" => refused = failure,
            Err(failure) => return Err(failure),
        }
    }
    Err(refused)
}

fn what_to_try(base: &str, ann: &Visit, fan: &str, show: &OnSale) -> String {
    let Visit { token, reservation, .. } = ann;
    let OnSale { concert, id, .. } = show;
    format!(
        "
Try next:

  {base}/docs                                   every call, from the browser
  curl -s {base}/v1/concerts/{concert}/shows    when by the clock of the venue, and the rules of each sale
  curl -s {base}/v1/reservations/{reservation}
  curl -s {base}/v1/users/demo-ann/payments
  curl -s {base}/v1/wallets/demo-ann/entries
  curl -sN {base}/v1/tokens/{fan}/events        a place in line, live
  curl -s {base}/v1/queues/{BUSY}
  curl -s {base}/v1/queues/{OPENING}/draw       a fair opening: what binds the seller before it, and who is first after it
  curl -s {base}/v1/shows/{id}/seats -H \"X-Queue-Token: $(curl -s {base}/v1/queues/{DEFAULT}/tokens \\
    -H 'Content-Type: application/json' -d '{{\"userId\":\"me\"}}' | sed 's/.*\"token\":\"\\([^\"]*\\)\".*/\\1/')\"
  boxoffice audit                               is all of it as it must be?

demo-ann's queue token was {token}; it was used up by the payment.
"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_an_address_that_can_be_asked_is_one() {
        for good in ["http://127.0.0.1:24000", "http://[::1]:24000/", "http://tickets.example/season"] {
            assert_eq!(address(good).as_deref(), Ok(good));
        }
        for (good, url) in [
            ("127.0.0.1:24000", "http://127.0.0.1:24000"),
            ("[::1]:24000", "http://[::1]:24000"),
            ("localhost:24000", "http://localhost:24000"),
        ] {
            assert_eq!(address(good).as_deref(), Ok(url));
        }
        for bad in [
            "",
            "?!",
            "https://tickets.example",
            "http://",
            "http://a/?b",
            "http://a:x",
            "a:x",
            "127.0.0.1:24000#b",
        ] {
            assert!(
                address(bad).is_err_and(|why| why.contains("--rest-addr") && why.contains("REST_ADDR")),
                "{bad}"
            );
        }
    }

    #[test]
    fn the_flag_has_the_name_that_it_has_everywhere_and_its_old_one() {
        use clap::Parser;

        #[derive(Parser)]
        struct Line {
            #[command(flatten)]
            demo: Demo,
        }

        for flag in ["--rest-addr", "--rest-url"] {
            let line = Line::try_parse_from(["demo", flag, "127.0.0.1:1"]);
            assert_eq!(
                line.ok().map(|line| line.demo.rest_addr).as_deref(),
                Some("http://127.0.0.1:1"),
                "{flag}"
            );
        }
    }
}
