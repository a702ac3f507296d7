//! Alerts reach people: what is logged with `alert = true` is written into the program's database, shown to
//! operators from there ([`seen`]), and sent to a chat where there is one.
//!
//! ```text
//! a line of the log ─▶ bounded memory ─▶ a row of its kind: how many, the latest ─▶ a message a minute
//!                                                                                └▶ the box office
//! ```
//!
//! Whoever logs waits for nothing: what finds no room in memory is counted and stays in the log. A kind of
//! alert is one row, in which equal ones of all replicas are added up, so a receiver that is away for an hour
//! loses nothing, and a thousand alerts of a kind are one message. A kind is sent at once, and then not again
//! for a minute. Nothing in here is an alert itself, or an alert that cannot be sent would make the next one.

pub(crate) mod layer;
mod store;

use std::{ffi::OsStr, fmt, time::Duration};

use clap::{
    Arg, Command,
    builder::{StringValueParser, TypedValueParser},
    error::ErrorKind,
};
use http::{Request, StatusCode, Uri, header::CONTENT_TYPE};
use parking_lot::Mutex;
use serde_json::json;
use tokio::time::sleep;
use tokio_util::sync::CancellationToken;

pub use self::store::{SeenAlert, seen};
use self::{
    layer::{Alert, Inbox},
    store::{Folded, Manner, Store},
};
use crate::{
    back_off::BackOff,
    clock::{Clock, SECOND, micros},
    db::Db,
    rfc3339::Rfc3339,
    web::{Web, WebBounds, client_tls},
};

/// How often what was logged is written down.
const STORE_EVERY: Duration = Duration::from_millis(500);
/// The pause after they could not be.
const STORE_AGAIN: Duration = Duration::from_secs(5);
/// How often to look for what is to be sent.
const LOOK: Duration = Duration::from_secs(1);
/// How long a kind that was sent is folded until it is sent again, in microseconds.
const FOLD: i64 = 60 * SECOND;
/// How long whoever takes a kind has for sending it, in microseconds; afterwards another replica does.
const CLAIM: i64 = 30 * SECOND;
/// A chat takes no longer than this, and says no more than `ok`.
const BOUNDS: WebBounds =
    WebBounds { within: Duration::from_secs(10), largest: 64 * 1024, idle: Duration::from_secs(0) };
/// The pauses after a message was not taken.
const PAUSES: BackOff =
    BackOff { base: Duration::from_secs(2), factor: 2, cap: Duration::from_secs(300), jitter: 0.2 };

/// Flags about alerts.
#[derive(clap::Args, Clone, Default)]
#[group(skip)]
pub struct AlertArgs {
    /// A chat's webhook that is told of alerts, http:// or https://: a POST of `{"text": "…"}`, as Slack and
    /// many others take it. Alerts stand in the log in any case
    #[arg(long, env, hide_env_values = true, value_parser = ChatAddress)]
    pub alert_url: Option<Uri>,
    /// Kinds of alerts that are not sent, comma separated: the words that a message has in brackets. They are
    /// logged and shown to operators all the same
    #[arg(long, env, value_name = "KIND", value_delimiter = ',', value_parser = kind)]
    pub alert_silence: Vec<String>,
    /// Where people who read alerts in a chat find the manual: the address of an edge's /manual, such as
    /// https://tickets.example.com/manual. Each message then links to what is to be done about its kind
    #[arg(long, env, value_name = "URL", value_parser = manual)]
    pub alert_manual: Option<Uri>,
}

impl fmt::Debug for AlertArgs {
    // Whoever knows the address may write into the chat.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { alert_silence, alert_manual, .. } = self;
        write!(f, "AlertArgs {{ alert_silence: {alert_silence:?}, alert_manual: {alert_manual:?} }}")
    }
}

/// Reads a kind from a command line: words in small letters, with hyphens.
fn kind(text: &str) -> Result<String, String> {
    let is_part = |letter: char| letter == '-' || letter.is_alphanumeric() && !letter.is_uppercase();
    let text = text.trim();
    if !text.is_empty() && text.chars().all(is_part) {
        Ok(text.to_owned())
    } else {
        Err("write it as a message has it in brackets, such as a-checkout-is-parked".to_owned())
    }
}

/// Whether people can open an address in a browser.
fn is_web(address: &Uri) -> bool {
    matches!(address.scheme_str(), Some("http" | "https"))
        && address.host().is_some_and(|host| !host.is_empty())
}

/// Reads the address of the manual from a command line.
fn manual(text: &str) -> Result<Uri, String> {
    let address = text.parse().ok().filter(|address| is_web(address) && !text.contains('#'));
    address.ok_or_else(|| "must begin with http:// or https://, name a host, and have no #".to_owned())
}

/// The value parser of a chat's address. An error is told without it.
#[derive(Clone, Copy, Debug)]
struct ChatAddress;

impl TypedValueParser for ChatAddress {
    type Value = Uri;

    fn parse_ref(&self, command: &Command, arg: Option<&Arg>, value: &OsStr) -> Result<Uri, clap::Error> {
        let text = StringValueParser::new().parse_ref(command, arg, value)?;
        let address = text.parse().ok().filter(is_web);
        address.ok_or_else(|| {
            let why = "--alert-url (ALERT_URL): must begin with http:// or https:// and name a host\n";
            clap::Error::raw(ErrorKind::ValueValidation, why).with_cmd(command)
        })
    }
}

/// The alerts of this process, until one of its services takes care of them.
struct Untold {
    manner: Manner,
    address: Option<Uri>,
    manual: Option<Uri>,
    inbox: Inbox,
}

/// Like the log, alerts are something that a process has once.
static UNTOLD: Mutex<Option<Untold>> = Mutex::new(None);

/// Begins to pick up the alerts of this process.
pub(crate) fn begin(program: &'static str, args: &AlertArgs) {
    if let Some(inbox) = layer::take() {
        let (address, manual) = (args.alert_url.clone(), args.alert_manual.clone());
        let manner = Manner { program, is_told: address.is_some(), silenced: args.alert_silence.clone() };
        *UNTOLD.lock() = Some(Untold { manner, address, manual, inbox });
    }
}

/// Stores the alerts of this process until `shutdown` in this database, which has a table `alert`, and sends
/// them from there where there is a chat; what is in memory then is still stored. Does nothing where another
/// service of this process does it.
pub async fn until(db: Db, clock: Clock, shutdown: CancellationToken) {
    let Some(Untold { manner, address, manual, mut inbox }) = UNTOLD.lock().take() else { return };
    let program = manner.program;
    let store = Store::new(db, manner);
    let sending = shutdown.run_until_cancelled(async {
        let Some(chat) = address.and_then(|address| Chat::at(address, manual)) else { return };
        loop {
            match send_one(program, &store, &clock, &chat).await {
                Ok(true) => {}
                Ok(false) => sleep(LOOK).await,
                Err(error) => {
                    tracing::warn!(%error, "alerts cannot be read from the database or marked in it");
                    sleep(LOOK).await;
                }
            }
        }
    });
    let storing = async {
        let mut unwritten: Vec<Alert> = Vec::new();
        loop {
            let pause = if unwritten.is_empty() { STORE_EVERY } else { STORE_AGAIN };
            let is_over = shutdown.run_until_cancelled(sleep(pause)).await.is_none();
            unwritten.extend(inbox.drain());
            unwritten = match store.add(&unwritten, clock.now()).await {
                Ok(()) => Vec::new(),
                Err(error) => {
                    tracing::warn!(%error, "alerts cannot be written down; again soon");
                    fold(unwritten)
                }
            };
            if is_over {
                return;
            }
        }
    };
    tokio::join!(sending, storing);
}

/// Where alerts go.
struct Chat {
    web: Web,
    address: Uri,
    /// Where those who read there find the manual.
    manual: Option<Uri>,
}

/// Adds up alerts of a kind, so that memory holds one of each however long the database is away.
fn fold(alerts: Vec<Alert>) -> Vec<Alert> {
    let mut folded: Vec<Alert> = Vec::new();
    for alert in alerts {
        match folded.iter_mut().find(|known| known.kind == alert.kind) {
            Some(known) => {
                known.times += alert.times;
                known.text = alert.text;
            }
            None => folded.push(alert),
        }
    }
    folded
}

/// Sends a kind of alert that is due. `false` when none is.
async fn send_one(
    program: &str,
    store: &Store,
    clock: &Clock,
    chat: &Chat,
) -> Result<bool, crate::db::Error> {
    let now = clock.now();
    let Some(folded) = store.claim(now, now + CLAIM).await? else { return Ok(false) };
    match chat.post(&message(program, &folded, chat.manual.as_ref())).await {
        Ok(()) => {
            count("sent");
            store.sent(&folded, clock.now() + FOLD).await?;
        }
        Err(why) => {
            count("missed");
            let (kind, attempts) = (folded.kind.as_str(), folded.attempts);
            tracing::warn!(kind, attempts, why, "an alert could not be sent; again later");
            let pause = PAUSES.pause(u32::try_from(attempts).unwrap_or(u32::MAX));
            store.postpone(&folded, clock.now() + micros(pause)).await?;
        }
    }
    Ok(true)
}

impl Chat {
    /// The chat at this address; `None` where there is no TLS.
    fn at(address: Uri, manual: Option<Uri>) -> Option<Self> {
        match client_tls(None) {
            Ok(tls) => Some(Self { web: Web::new(BOUNDS, tls), address, manual }),
            Err(error) => {
                tracing::error!(error, "alerts cannot be sent: no TLS");
                None
            }
        }
    }

    async fn post(&self, text: &str) -> Result<(), String> {
        let body = json!({ "text": text }).to_string();
        let request = Request::post(self.address.clone()).header(CONTENT_TYPE, "application/json");
        let request = request.body(body.into()).map_err(|error| error.to_string())?;
        let status: StatusCode = self.web.send(request).await?.status();
        if status.is_success() { Ok(()) } else { Err(format!("it answered {status}")) }
    }
}

/// What people read, and where they read what to do: each kind has a section of the manual by its name. In
/// Slack's texts three characters must be written otherwise; an address becomes a link by itself there and in
/// other chats.
fn message(program: &str, folded: &Folded, manual: Option<&Uri>) -> String {
    let times = match folded.times {
        1 => String::new(),
        times => format!(", {times} times since {}", Rfc3339::of(folded.since).as_str()),
    };
    let Folded { kind, text, .. } = folded;
    let link = manual.map(|manual| format!("\nWhat to do: {manual}#{kind}")).unwrap_or_default();
    let text = format!("{program} [{kind}]{times}: {text}{link}");
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}

fn count(outcome: &'static str) {
    metrics::counter!("alerts_total", "outcome" => outcome).increment(1);
}

#[cfg(test)]
mod tests;
