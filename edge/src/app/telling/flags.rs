//! The flags that say who is told.

use std::fmt;

use chassis::{clock::Clock, web::Web};
use url::Url;

use super::{
    Receiver,
    signature::SigningSecret,
    webhook::{BOUNDS, Webhook, name_of},
};

/// Where events go.
#[derive(clap::Args, Clone, Default)]
#[group(skip)]
pub struct TellingArgs {
    /// Where events are sent as CloudEvents (HTTP POST), http:// or https://; several: comma separated, or
    /// the flag again. Each is told by itself. Without any, each event is one log line (target
    /// `boxoffice::events`)
    #[arg(long, env, hide_env_values = true)]
    pub events_url: Vec<String>,
    /// What events are signed with (Standard Webhooks): `whsec_…`; one for all, or one for each of
    /// --events-url in the same order
    #[arg(long, env, hide_env_values = true)]
    pub events_secret: Vec<String>,
}

impl fmt::Debug for TellingArgs {
    // Both may be secret.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("TellingArgs")
    }
}

impl TellingArgs {
    /// The receivers, each with its name.
    pub(super) fn receivers(&self, clock: &Clock) -> Result<Vec<(String, Receiver)>, chassis::Error> {
        let urls = self.urls()?;
        let secrets = words(&self.events_secret)
            .map(|text| SigningSecret::read(text).map_err(|why| wrong("--events-secret", &why)))
            .collect::<Result<Vec<_>, _>>()?;
        if secrets.len() > 1 && secrets.len() != urls.len() {
            let why = format!(
                "are {} for {} of --events-url: give one for all, or one for each",
                secrets.len(),
                urls.len()
            );
            return Err(wrong("--events-secret", &why));
        }
        if urls.is_empty() {
            return if secrets.is_empty() {
                Ok(Vec::new())
            } else {
                Err(wrong("--events-secret", "is of no use without --events-url"))
            };
        }
        let web = Web::new(BOUNDS).map_err(|error| chassis::Error::Task(format!("no TLS: {error}")))?;
        let receiver = |(at, url): (usize, &Url)| {
            let secret = secrets.get(if secrets.len() == 1 { 0 } else { at }).cloned();
            let webhook = Webhook::new(web.clone(), url, secret, clock.clone())
                .map_err(|why| wrong("--events-url", &why))?;
            Ok((name_of(url), Receiver::Webhook(Box::new(webhook))))
        };
        urls.iter().enumerate().map(receiver).collect()
    }

    fn urls(&self) -> Result<Vec<Url>, chassis::Error> {
        let mut urls: Vec<Url> = Vec::new();
        for text in words(&self.events_url) {
            let url: Url = text.parse().map_err(|error| wrong("--events-url", &format!("{error}")))?;
            if urls.contains(&url) {
                return Err(wrong("--events-url", "has the same address twice"));
            }
            urls.push(url);
        }
        Ok(urls)
    }
}

/// The values of a list, whether they were given one by one, with commas, or as the lines of a file.
fn words(lists: &[String]) -> impl Iterator<Item = &str> {
    lists.iter().flat_map(move |list| list.split([',', '\n']).map(str::trim)).filter(|word| !word.is_empty())
}

fn wrong(flag: &str, why: &str) -> chassis::Error {
    chassis::Error::Config(format!("{flag} ({}): {why}", chassis::flags::variable(flag)))
}
