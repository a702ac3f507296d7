//! A subscriber that is told by NATS JetStream: one message an event, which counts when the server has
//! written it down.

use std::time::Duration;

use async_nats::{
    Client, ConnectOptions, ServerAddr,
    connection::State,
    jetstream::{
        self, Context,
        context::PublishErrorKind,
        message::PublishMessage,
        stream::{Config, StorageType},
    },
};
use rustls::ClientConfig;
use tokio::{sync::OnceCell, time::timeout};
use url::Url;

use super::Missed;
use crate::store::Event;

/// The name of NATS among the subscribers, whichever servers it is made of.
pub(super) const NAME: &str = "nats";
/// What is before the type of an event in its subject.
const SUBJECT: &str = "boxoffice.events";
/// The stream that is made where no other one takes these subjects.
const STREAM: &str = "BOXOFFICE";
/// How long a message is kept in a stream that is made here.
const KEPT: Duration = Duration::from_secs(7 * 24 * 3_600);
/// For how long a stream that is made here knows an id again: an event whose acknowledgement was lost is
/// published again when an edge runs again, and edges may all be away for a night. An id costs the server
/// some hundred bytes meanwhile.
const DUPLICATES: Duration = Duration::from_secs(24 * 3_600);
/// How long an event may take until it is written down.
const WITHIN: Duration = Duration::from_secs(5);

/// JetStream, on any server of a cluster.
pub(super) struct Nats {
    servers: Vec<ServerAddr>,
    credentials: Option<(String, Option<String>)>,
    tls: ClientConfig,
    connected: OnceCell<(Client, Context)>,
}

impl Nats {
    /// The servers of one cluster, whose credentials are in the first address that has any. An error does not
    /// repeat an address.
    pub(super) fn new<'a>(
        addresses: impl Iterator<Item = &'a str>,
        tls: ClientConfig,
    ) -> Result<Self, String> {
        let (mut servers, mut credentials) = (Vec::new(), None);
        for text in addresses {
            let mut url: Url = text.parse().map_err(|error| format!("{error}"))?;
            if !matches!(url.scheme(), "nats" | "tls") || !url.has_host() {
                return Err("must begin with nats:// or tls:// and name a host".to_owned());
            }
            if !url.username().is_empty() {
                let decoded =
                    |text: &str| percent_encoding::percent_decode_str(text).decode_utf8_lossy().into_owned();
                let pair = (decoded(url.username()), url.password().map(decoded));
                credentials = credentials.or(Some(pair));
                // An address with a host takes both away.
                let _ = url.set_password(None).and_then(|()| url.set_username(""));
            }
            servers.push(ServerAddr::from_url(url).map_err(|error| error.to_string())?);
        }
        Ok(Self { servers, credentials, tls, connected: OnceCell::new() })
    }

    /// Publishes one event, and waits until it is written down. One that was published before is passed over
    /// by the server, which knows its id again.
    pub(super) async fn tell(&self, event: &Event) -> Result<(), Missed> {
        let told = timeout(WITHIN, self.publish(event)).await;
        let told = told.unwrap_or_else(|_| Err(format!("no acknowledgement within {WITHIN:?}")));
        told.map_err(|why| Missed { why, after: None, gone: false })
    }

    async fn publish(&self, event: &Event) -> Result<(), String> {
        let (client, context) = self.connected.get_or_try_init(|| self.connect()).await?;
        // What is published now would wait in memory, and be sent after we have given up on it.
        if client.connection_state() != State::Connected {
            return Err("it is not connected".to_owned());
        }
        match send(context, event).await {
            Err((PublishErrorKind::StreamNotFound, _)) => {
                make_stream(context).await?;
                send(context, event).await.map_err(|(_, why)| why)
            }
            sent => sent.map_err(|(_, why)| why),
        }
    }

    /// Begins to connect, which goes on in the background and begins again whenever the connection is lost.
    async fn connect(&self) -> Result<(Client, Context), String> {
        let options = ConnectOptions::new()
            .name("boxoffice edge")
            .retry_on_initial_connect()
            .tls_client_config(self.tls.clone());
        let options = match self.credentials.clone() {
            None => options,
            Some((user, Some(password))) => options.user_and_password(user, password),
            Some((token, None)) => options.token(token),
        };
        let client = options.connect(&self.servers).await.map_err(|error| error.to_string())?;
        Ok((client.clone(), jetstream::new(client)))
    }
}

async fn send(context: &Context, event: &Event) -> Result<(), (PublishErrorKind, String)> {
    let message = PublishMessage::build()
        .message_id(&event.id)
        .header("content-type", "application/cloudevents+json")
        .payload(event.body.clone().into());
    let refused = |error: jetstream::context::PublishError| (error.kind(), error.to_string());
    let published = context.send_publish(format!("{SUBJECT}.{}", event.kind), message).await;
    published.map_err(refused)?.await.map(drop).map_err(refused)
}

/// Makes the stream. Where another edge was faster it is there.
async fn make_stream(context: &Context) -> Result<(), String> {
    let config = Config {
        name: STREAM.to_owned(),
        description: Some("What has happened at the box office".to_owned()),
        subjects: vec![format!("{SUBJECT}.>")],
        storage: StorageType::File,
        max_age: KEPT,
        duplicate_window: DUPLICATES,
        ..Config::default()
    };
    tracing::info!(stream = STREAM, "no stream of NATS takes events: it is made");
    context.get_or_create_stream(config).await.map(drop).map_err(|error| error.to_string())
}
