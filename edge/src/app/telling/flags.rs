//! Who is told, as the flags say it.

use chassis::{
    clock::Clock,
    web::{Web, client_tls},
};
use rustls::ClientConfig;
use url::Url;

use super::{
    Receiver,
    nats::{self, Nats},
    signature::SigningSecret,
    webhook::{BOUNDS, Webhook, name_of},
};
use crate::config::TellingArgs;

impl TellingArgs {
    /// The receivers, each with its name.
    pub(super) fn receivers(&self, clock: &Clock) -> Result<Vec<(String, Receiver)>, chassis::Error> {
        let tls = client_tls(self.events_ca.as_deref()).map_err(|why| wrong("--events-ca", &why))?;
        let mut receivers = self.webhooks(clock, &tls)?;
        let servers = self.nats_url.as_slice();
        if words(servers).next().is_some() {
            let nats = Nats::new(words(servers), tls).map_err(|why| wrong("--nats-url", &why))?;
            receivers.push((nats::NAME.to_owned(), Receiver::Nats(Box::new(nats))));
        }
        Ok(receivers)
    }

    fn webhooks(&self, clock: &Clock, tls: &ClientConfig) -> Result<Vec<(String, Receiver)>, chassis::Error> {
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
        let web = Web::new(BOUNDS, tls.clone());
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
