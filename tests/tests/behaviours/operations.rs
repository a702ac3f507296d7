//! What keeps the mesh running and seen: health, reflection, probes, metrics, documents, and logs that tell
//! but do not tell on anybody.

use std::{
    collections::BTreeSet,
    io::Write,
    process::{Command, Stdio},
    time::Duration,
};

use boxoffice_proto::wallet::ChargeWalletRequest;
use prost::Message as _;
use serde_json::Value;
use tests::{
    eventually::{eventually, holds},
    grpc::Replicas,
    mesh::Role,
    scenarios,
    suite::Scenario,
    world::{World, text, unique},
};
use tokio_stream::once;
use tonic::transport::Channel;
use tonic_health::pb::{
    HealthCheckRequest, health_check_response::ServingStatus, health_client::HealthClient,
};
use tonic_reflection::pb::{v1, v1alpha};

pub(crate) const TOGETHER: &[Scenario] = scenarios![
    every_server_says_that_it_is_serving,
    every_server_lists_its_services_by_reflection,
    what_everybody_knows_is_reflected_under_the_name_that_everybody_knows,
    every_process_answers_probes_and_metrics,
    the_api_is_described_and_browsable,
    one_trace_id_crosses_the_services,
    logs_hold_no_tokens,
];

fn services(world: &World) -> [(&'static str, &Replicas); 4] {
    [
        ("boxoffice.queue.v1.QueueService", &world.grpc.queue),
        ("boxoffice.booking.v1.BookingService", &world.grpc.booking),
        ("boxoffice.wallet.v1.WalletService", &world.grpc.wallet),
        ("boxoffice.checkout.v1.CheckoutService", &world.grpc.checkout),
    ]
}

async fn every_server_says_that_it_is_serving(world: World) {
    for (name, replicas) in services(&world) {
        for channel in replicas.all() {
            let mut health = HealthClient::new(channel.clone());
            for service in ["", name] {
                // It follows `/readyz`, which the mesh waited for, a moment later.
                eventually(Duration::from_secs(5), || async {
                    let ask = HealthCheckRequest { service: service.to_owned() };
                    let answer = health.clone().check(ask).await.unwrap().into_inner();
                    holds(answer.status(), |status| *status == ServingStatus::Serving)
                })
                .await;
            }
            let unknown =
                health.check(HealthCheckRequest { service: "no.such.Service".to_owned() }).await.unwrap_err();
            assert_eq!(unknown.code(), tonic::Code::NotFound);
        }
    }
}

async fn listed(channel: &Channel) -> BTreeSet<String> {
    use v1::{server_reflection_request::MessageRequest, server_reflection_response::MessageResponse};
    let mut client = v1::server_reflection_client::ServerReflectionClient::new(channel.clone());
    let request = v1::ServerReflectionRequest {
        host: String::new(),
        message_request: Some(MessageRequest::ListServices(String::new())),
    };
    let mut answers = client.server_reflection_info(once(request)).await.unwrap().into_inner();
    let answer = answers.message().await.unwrap().unwrap().message_response.unwrap();
    let MessageResponse::ListServicesResponse(list) = answer else { panic!("{answer:?}") };
    list.service.into_iter().map(|service| service.name).collect()
}

async fn listed_alpha(channel: &Channel) -> BTreeSet<String> {
    use v1alpha::{server_reflection_request::MessageRequest, server_reflection_response::MessageResponse};
    let mut client = v1alpha::server_reflection_client::ServerReflectionClient::new(channel.clone());
    let request = v1alpha::ServerReflectionRequest {
        host: String::new(),
        message_request: Some(MessageRequest::ListServices(String::new())),
    };
    let mut answers = client.server_reflection_info(once(request)).await.unwrap().into_inner();
    let answer = answers.message().await.unwrap().unwrap().message_response.unwrap();
    let MessageResponse::ListServicesResponse(list) = answer else { panic!("{answer:?}") };
    list.service.into_iter().map(|service| service.name).collect()
}

async fn every_server_lists_its_services_by_reflection(world: World) {
    for (name, replicas) in services(&world) {
        for channel in replicas.all() {
            for names in [listed(channel).await, listed_alpha(channel).await] {
                assert!(names.contains(name) && names.contains("grpc.health.v1.Health"), "{name}: {names:?}");
            }
        }
    }
}

/// The name of the file in which a message is described.
async fn file_of(channel: &Channel, symbol: &str) -> String {
    use v1::{server_reflection_request::MessageRequest, server_reflection_response::MessageResponse};
    let mut client = v1::server_reflection_client::ServerReflectionClient::new(channel.clone());
    let message_request = Some(MessageRequest::FileContainingSymbol(symbol.to_owned()));
    let request = v1::ServerReflectionRequest { host: String::new(), message_request };
    let mut answers = client.server_reflection_info(once(request)).await.unwrap().into_inner();
    let answer = answers.message().await.unwrap().unwrap().message_response.unwrap();
    let MessageResponse::FileDescriptorResponse(files) = answer else { panic!("{answer:?}") };
    let file = prost_types::FileDescriptorProto::decode(files.file_descriptor_proto[0].as_slice()).unwrap();
    file.name().to_owned()
}

async fn what_everybody_knows_is_reflected_under_the_name_that_everybody_knows(world: World) {
    for (_, replicas) in services(&world) {
        for (symbol, file) in [
            ("google.rpc.ErrorInfo", "google/rpc/error_details.proto"),
            ("grpc.health.v1.Health", "grpc/health/v1/health.proto"),
            ("google.protobuf.Timestamp", "google/protobuf/timestamp.proto"),
        ] {
            assert_eq!(file_of(&replicas.next(), symbol).await, file);
        }
    }
}

async fn every_process_answers_probes_and_metrics(world: World) {
    let sale = world.sale(1_000, 5).await;
    let buyer = world.buyer_with(&sale, 1_000).await;
    let reservation = world.hold(&buyer, sale.show, &[1]).await;
    let _ = world.paying(&buyer, &reservation).expect(201).await;
    let client = reqwest::Client::new();
    for node in &world.mesh.nodes {
        let name = node.process.name();
        let get = async |path: &str| {
            let answer = client.get(format!("http://{}/{path}", node.http)).send().await.unwrap();
            assert_eq!(answer.status(), 200, "{path} of {name}");
            answer.text().await.unwrap()
        };
        assert!(!get("healthz").await.is_empty() && !get("readyz").await.is_empty());
        let text = get("metrics").await;
        let told: BTreeSet<&str> = text
            .lines()
            .filter(|line| !line.starts_with('#'))
            .filter_map(|line| line.split([' ', '{']).next())
            .collect();
        for metric in [
            "boxoffice_build_info",
            "process_cpu_seconds_total",
            "process_max_fds",
            "process_open_fds",
            "process_resident_memory_bytes",
            "process_start_time_seconds",
            "process_threads",
            "process_virtual_memory_bytes",
        ] {
            assert!(told.contains(metric), "{name}: {metric} in {text}");
        }
        let version = format!("version=\"{}\"", env!("CARGO_PKG_VERSION"));
        assert!(
            text.lines().any(|line| line.starts_with("boxoffice_build_info{") && line.contains(&version)),
            "{name}: {text}"
        );
        let said = |what: &str| {
            text.lines()
                .filter_map(|line| line.strip_prefix(what)?.split(' ').next())
                .collect::<BTreeSet<_>>()
        };
        assert_eq!(said("# TYPE "), said("# HELP "), "{name} says of each metric what it means");
        // What replicas have measured can be added up.
        let summaries = text.lines().find(|line| line.starts_with("# TYPE ") && line.ends_with(" summary"));
        assert_eq!(summaries, None, "{name}");
        assert!(!text.contains("method=\"\""), "{name}: {text}");
        lint(name, &text);
    }
}

/// What Prometheus' own tool says about a page of metrics; `tests/run` brings it along.
fn lint(name: &str, text: &str) {
    let promtool = std::env::var_os("PROMTOOL").unwrap_or_else(|| "promtool".into());
    let started = Command::new(promtool)
        .args(["check", "metrics"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn();
    let Ok(mut child) = started else {
        assert!(std::env::var_os("CI").is_none(), "promtool is not there: it comes with Debian's prometheus");
        return;
    };
    child.stdin.take().unwrap().write_all(text.as_bytes()).unwrap();
    let told = child.wait_with_output().unwrap();
    let said = String::from_utf8_lossy(&[told.stdout, told.stderr].concat()).into_owned();
    assert!(told.status.success() && said.is_empty(), "{name}: {said}");
}

async fn the_api_is_described_and_browsable(world: World) {
    let api = world.rest.get("/openapi.json").expect(200).await;
    assert!(text(&api["openapi"]).starts_with("3."), "{}", api["openapi"]);
    let paths = api["paths"].as_object().unwrap();
    for (path, methods) in [
        ("/v1/queues/{queueId}/tokens", vec!["post"]),
        ("/v1/tokens/{token}", vec!["get", "delete"]),
        ("/v1/queues/{queueId}", vec!["get", "put"]),
        ("/v1/concerts", vec!["get", "post"]),
        ("/v1/concerts/{id}/shows", vec!["get", "post"]),
        ("/v1/reservations", vec!["post"]),
        ("/v1/payments", vec!["post"]),
        ("/v1/wallets/{userId}/charges", vec!["post"]),
        ("/queue-management/api/token", vec!["post"]),
        ("/api-orchestration/api/balance/payment", vec!["post"]),
    ] {
        let parameters = |path: &str| {
            path.split('/')
                .map(|part| if part.starts_with('{') { "{}" } else { part })
                .collect::<Vec<_>>()
                .join("/")
        };
        let described = paths.iter().find(|(seen, _)| parameters(seen) == parameters(path));
        let (_, described) = described
            .unwrap_or_else(|| panic!("{path} is not described: {:?}", paths.keys().collect::<Vec<_>>()));
        for method in methods {
            let operation: &Value = &described[method];
            assert!(operation["responses"].is_object(), "{method} {path}");
            if path.starts_with("/queue-management") || path.starts_with("/api-orchestration") {
                assert_eq!(operation["tags"][0], "original", "{method} {path}");
            }
        }
    }
    let page = world.rest.get("/docs").send().await;
    assert_eq!(page.status, 200, "{}", page.text);
    assert!(page.text.to_lowercase().contains("swagger"), "{}", page.text);
}

async fn one_trace_id_crosses_the_services(world: World) {
    let trace = uuid::Uuid::new_v4().simple().to_string();
    let parent = format!("00-{trace}-00f067aa0ba902b7-01");
    let path = format!("/v1/wallets/{}/charges", unique("user"));
    let _ = world
        .rest
        .post(&path, serde_json::json!({"amount": 5}))
        .header("traceparent", &parent)
        .expect(201)
        .await;
    let told = |role: Role| {
        let of = world.mesh.nodes.iter().filter(move |node| node.role == role || node.role == Role::Launcher);
        of.flat_map(|node| node.process.log().lines().map(str::to_owned).collect::<Vec<_>>())
            .filter(|line| line.contains(&trace))
            .count()
    };
    eventually(Duration::from_secs(5), || async {
        let seen = (told(Role::Edge), told(Role::Wallet));
        holds(
            seen,
            |(edge, wallet)| {
                if world.mesh.nodes.len() == 1 { *edge >= 2 } else { *edge >= 1 && *wallet >= 1 }
            },
        )
    })
    .await;
    // And for a gRPC call that brings none, each line has one of its own.
    let charge = ChargeWalletRequest { user_id: unique("user"), amount: 5, request_id: String::new() };
    world.grpc.wallet().charge_wallet(charge).await.unwrap();
}

/// Who knows a token speaks for its user: no log may hold one, nor may the path of a request in it.
async fn logs_hold_no_tokens(world: World) {
    let sale = world.sale(1_000, 5).await;
    let buyer = world.buyer_with(&sale, 1_000).await;
    let _ = world.rest.get(&format!("/v1/shows/{}/seats", sale.show)).token(&buyer.token).expect(200).await;
    let reservation = world.hold(&buyer, sale.show, &[1]).await;
    let _ = world.paying(&buyer, &reservation).expect(201).await;
    let _ = world.paying(&buyer, &reservation).send().await;
    let _ = world.rest.delete(&format!("/v1/tokens/{}", buyer.token)).send().await;
    let _ = world.rest.get("/v1/tokens/not-a-token").send().await;
    tokio::time::sleep(Duration::from_millis(500)).await; // the log is written behind
    for node in &world.mesh.nodes {
        let log = node.process.log();
        // Who knows a reservation's id may read it.
        for secret in [&buyer.token, &reservation] {
            let told = log.lines().find(|line| line.contains(secret));
            assert!(told.is_none(), "{} logged what it should not: {}", node.process.name(), told.unwrap());
        }
        assert!(log.lines().any(|line| line.starts_with('{')), "{} logs JSON", node.process.name());
    }
}
