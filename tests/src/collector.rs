//! A collector of traces: it takes spans by OTLP over gRPC, as any collector does, and keeps them to be
//! looked at. Its service is the one that OpenTelemetry publishes (`opentelemetry-proto`).

use std::{
    collections::BTreeMap,
    fmt::Write as _,
    fs,
    sync::{Arc, Mutex, PoisonError},
};

use opentelemetry_proto::tonic::{
    collector::trace::v1::{
        ExportTraceServiceRequest, ExportTraceServiceResponse,
        trace_service_server::{TraceService, TraceServiceServer},
    },
    common::v1::{KeyValue, any_value::Value},
    trace::v1::{ResourceSpans, Span},
};
use tokio::net::TcpListener;
use tokio_stream::wrappers::TcpListenerStream;
use tonic::{
    Request, Response, Status,
    transport::{Identity, Server, ServerTlsConfig},
};

use crate::keys::Keys;

/// What was told of a piece of work. Ids are in hex; the parent of a trace's first span is empty.
#[derive(Clone, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "the names are those of OpenTelemetry")]
pub struct Told {
    pub service: String,
    pub name: String,
    /// 1 is internal, 2 a server's, 3 a client's.
    pub kind: i32,
    pub trace: String,
    pub id: String,
    pub parent: String,
    /// What systems of others say of the trace.
    pub state: String,
    pub links: Vec<(String, String)>,
    pub attributes: BTreeMap<String, String>,
    pub failed: bool,
}

/// A collector that runs until the runtime ends. Clones are the same one.
#[derive(Clone, Debug, Default)]
pub struct Collector(Arc<Mutex<Vec<Told>>>);

impl Collector {
    /// Starts one; answers its address as `--otlp-endpoint` takes it, too.
    ///
    /// # Panics
    /// When there is no port left.
    pub async fn start() -> (Self, String) {
        Self::served(Server::builder(), "http").await
    }

    /// The same by TLS, with a certificate of these keys.
    ///
    /// # Panics
    /// When there is no port left.
    pub async fn start_tls(keys: &Keys) -> (Self, String) {
        let read = |file| fs::read(keys.path(file)).expect("a file that we wrote");
        let identity = Identity::from_pem(read("edge.crt"), read("edge.key"));
        let server = Server::builder().tls_config(ServerTlsConfig::new().identity(identity));
        Self::served(server.expect("a pair that we made"), "https").await
    }

    async fn served(mut server: Server, scheme: &str) -> (Self, String) {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let address = listener.local_addr().expect("a bound socket has an address");
        let collector = Self::default();
        let service = TraceServiceServer::new(collector.clone());
        let serving = server.add_service(service);
        tokio::spawn(serving.serve_with_incoming(TcpListenerStream::new(listener)));
        (collector, format!("{scheme}://{address}"))
    }

    /// All spans so far.
    #[must_use]
    pub fn spans(&self) -> Vec<Told> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// The spans of one trace so far.
    #[must_use]
    pub fn of(&self, trace: &str) -> Vec<Told> {
        self.spans().into_iter().filter(|span| span.trace == trace).collect()
    }
}

#[tonic::async_trait]
impl TraceService for Collector {
    async fn export(
        &self,
        request: Request<ExportTraceServiceRequest>,
    ) -> Result<Response<ExportTraceServiceResponse>, Status> {
        let mut told = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        for ResourceSpans { resource, scope_spans, .. } in request.into_inner().resource_spans {
            let of = attributes(&resource.unwrap_or_default().attributes);
            let service = of.get("service.name").cloned().unwrap_or_default();
            let spans = scope_spans.into_iter().flat_map(|scope| scope.spans);
            told.extend(spans.map(|span| read(&service, span)));
        }
        Ok(Response::new(ExportTraceServiceResponse::default()))
    }
}

fn read(service: &str, span: Span) -> Told {
    Told {
        service: service.to_owned(),
        name: span.name,
        kind: span.kind,
        trace: hex(&span.trace_id),
        id: hex(&span.span_id),
        parent: hex(&span.parent_span_id),
        state: span.trace_state,
        links: span.links.iter().map(|link| (hex(&link.trace_id), hex(&link.span_id))).collect(),
        attributes: attributes(&span.attributes),
        failed: span.status.is_some_and(|status| status.code == 2),
    }
}

fn attributes(of: &[KeyValue]) -> BTreeMap<String, String> {
    let text = |value: &KeyValue| match value.value.as_ref().and_then(|any| any.value.as_ref()) {
        Some(Value::StringValue(text)) => text.clone(),
        Some(Value::IntValue(number)) => number.to_string(),
        other => format!("{other:?}"),
    };
    of.iter().map(|value| (value.key.clone(), text(value))).collect()
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}
