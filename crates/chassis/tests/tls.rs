//! Programs that prove to each other who they are: who is let in, who is refused on either side, and
//! certificates that are replaced while calls are made.
#![allow(clippy::unwrap_used, reason = "tests")]

mod toy;

use std::{fs, net::SocketAddr, path::Path, sync::Arc, time::Duration};

use chassis::{
    channel::{Channel, Target},
    health::Health,
    network::{Connections, FIRST_WORD, Incoming},
    server::{GrpcServer, Guard},
    testing::patience::timeout,
    tls::{ClientTls, Identities, MeshArgs, Peer, RestTlsArgs, ServerTls, TlsArgs},
};
use rcgen::{
    BasicConstraints, CertificateParams, DistinguishedName, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair,
    SanType, date_time_ymd,
};
use rustls::pki_types::{CertificateDer, pem::PemObject as _};
use tempfile::TempDir;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
};
use tokio_rustls::TlsConnector;
use tokio_util::sync::CancellationToken;
use tonic::{Code, Status};

use crate::toy::{Toy, call, until};

const SOON: Duration = Duration::from_secs(20);
const TILL: &str = "spiffe://shop/till";

/// A folder with an authority, and certificates that it made.
struct Keys {
    folder: TempDir,
    issuer: Issuer<'static, KeyPair>,
}

/// What is special about a certificate.
#[derive(Clone, Copy, PartialEq)]
enum Is {
    Valid,
    Expired,
}

impl Keys {
    fn new() -> Self {
        let folder = TempDir::new().unwrap();
        let mut params = CertificateParams::default();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.distinguished_name = DistinguishedName::new();
        let key = KeyPair::generate().unwrap();
        let authority = params.self_signed(&key).unwrap();
        fs::write(folder.path().join("ca.crt"), authority.pem()).unwrap();
        Self { folder, issuer: Issuer::new(params, key) }
    }

    /// Writes a certificate and its key, in place of what had this name.
    fn issue(&self, name: &str, names: &[&str], is: Is) {
        let mut params = CertificateParams::default();
        let named = |name: &&str| match name.parse() {
            Ok(ip) => SanType::IpAddress(ip),
            Err(_) if name.contains("://") => SanType::URI((*name).try_into().unwrap()),
            Err(_) => SanType::DnsName((*name).try_into().unwrap()),
        };
        params.subject_alt_names = names.iter().map(named).collect();
        params.extended_key_usages =
            vec![ExtendedKeyUsagePurpose::ServerAuth, ExtendedKeyUsagePurpose::ClientAuth];
        if is == Is::Expired {
            params.not_after = date_time_ymd(2020, 1, 1);
        }
        let key = KeyPair::generate().unwrap();
        let certificate = params.signed_by(&key, &self.issuer).unwrap();
        fs::write(self.path(&format!("{name}.crt")), certificate.pem()).unwrap();
        fs::write(self.path(&format!("{name}.key")), key.serialize_pem()).unwrap();
    }

    fn with(self, name: &str, names: &[&str]) -> Self {
        self.issue(name, names, Is::Valid);
        self
    }

    fn path(&self, file: &str) -> std::path::PathBuf {
        self.folder.path().join(file)
    }

    /// The flags of a program of this name, whose peers an authority vouches for.
    fn flags(&self, name: &str, authorities: &Path) -> (TlsArgs, MeshArgs) {
        let (cert, key) = (self.path(&format!("{name}.crt")), self.path(&format!("{name}.key")));
        let tls_client_ca = Some(authorities.to_owned());
        let tls = TlsArgs { tls_cert: Some(cert), tls_key: Some(key), tls_client_ca };
        (tls, MeshArgs { mesh_ca: Some(authorities.to_owned()) })
    }

    fn client(&self, name: &str, authorities: &Path) -> ClientTls {
        let (tls, mesh) = self.flags(name, authorities);
        tls.client(&mesh).unwrap().unwrap()
    }
}

fn identities(list: &str) -> Option<Identities> {
    Some(list.parse().unwrap())
}

/// A server that answers every call with who makes it.
async fn serve(keys: &Keys, name: &str, callers: Option<Identities>) -> SocketAddr {
    let (tls, _) = keys.flags(name, &keys.path("ca.crt"));
    let tls = tls.server(callers).unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let addr = listener.local_addr().unwrap();
    let guard: Guard = Arc::new(|head, _| {
        Box::pin(async move {
            let peer = head.extensions.get::<Peer>().cloned().unwrap_or_default();
            assert_eq!(peer.is_one_of(&TILL.parse().unwrap()), peer.names() == [TILL]);
            if head.uri.path().ends_with("/Who") {
                Err(Status::not_found(peer.names().join(" ")))
            } else {
                Ok(head)
            }
        })
    });
    let server = GrpcServer::new("toy", &[], Health::new()).add_service(Toy::default()).guarded(Some(guard));
    let incoming = Incoming::secured(listener, &Connections::new(64), tls.as_ref());
    tokio::spawn(server.serve(incoming, CancellationToken::new()));
    addr
}

fn channel(addr: SocketAddr, tls: &ClientTls, server: Option<Identities>) -> Channel {
    let target: Target = format!("https://{addr}").parse().unwrap();
    Channel::new(&target.secured("--toy-url", Some(tls), server).unwrap())
}

/// Who a new connection is taken for; `None` when it is refused.
async fn taken_for(addr: SocketAddr, tls: &ClientTls, server: Option<Identities>) -> Option<String> {
    let answer = call(&channel(addr, tls, server), "Who").await;
    if answer.code() == Code::NotFound {
        return Some(answer.message().to_owned());
    }
    assert_eq!(answer.code(), Code::Unavailable, "{}", answer.message());
    None
}

#[tokio::test]
async fn a_server_knows_who_calls_and_refuses_whom_nobody_it_trusts_vouches_for() {
    let here = &["127.0.0.1", "spiffe://shop/shelf"];
    let keys =
        Keys::new().with("shelf", here).with("till", &[TILL, "till"]).with("thief", &["thief", "Door"]);
    keys.issue("late", &[TILL], Is::Expired);
    let stranger = Keys::new().with("till", &[TILL]);
    let ca = keys.path("ca.crt");
    let (any, tills) = (
        serve(&keys, "shelf", None).await,
        serve(&keys, "shelf", identities("till,spiffe://shop/till")).await,
    );
    let (till, thief) = (keys.client("till", &ca), keys.client("thief", &ca));
    assert_eq!(taken_for(any, &till, None).await.as_deref(), Some(TILL));
    assert_eq!(taken_for(any, &thief, None).await.as_deref(), Some("thief door"));
    for refused in [stranger.client("till", &ca), keys.client("late", &ca)] {
        assert_eq!(taken_for(any, &refused, None).await, None);
    }
    assert_eq!(taken_for(tills, &till, None).await.as_deref(), Some(TILL));
    assert_eq!(taken_for(tills, &thief, None).await, None, "a right one of the wrong program");
    assert_eq!(taken_for(tills, &till, None).await.as_deref(), Some(TILL), "and it goes on");
}

/// The protocol that a client without a certificate agrees upon with a server, which it then asks by HTTP/1.1
/// if it is that, and what comes back; `None` when there is none.
async fn page(keys: &Keys, addr: SocketAddr, speaks: &[&str]) -> Option<(String, String)> {
    let mut roots = rustls::RootCertStore::empty();
    roots.add(CertificateDer::from_pem_file(keys.path("ca.crt")).unwrap()).unwrap();
    let provider = rustls::crypto::ring::default_provider().into();
    let config = rustls::ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions();
    let mut config = config.unwrap().with_root_certificates(roots).with_no_client_auth();
    config.alpn_protocols = speaks.iter().map(|name| name.as_bytes().to_vec()).collect();
    let link = TcpStream::connect(addr).await.unwrap();
    let name = addr.ip().to_string().try_into().unwrap();
    let mut link = TlsConnector::from(Arc::new(config)).connect(name, link).await.ok()?;
    let spoken = String::from_utf8(link.get_ref().1.alpn_protocol()?.to_vec()).unwrap();
    let mut answer = Vec::new();
    if spoken == "http/1.1" {
        let head = "POST /toy.Toy/Trace HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\
                    content-type: application/grpc-web\r\ncontent-length: 5\r\n\r\n\0\0\0\0\0";
        link.write_all(head.as_bytes()).await.unwrap();
        timeout(SOON, link.read_to_end(&mut answer)).await.unwrap().unwrap();
    }
    Some((spoken, String::from_utf8(answer).unwrap()))
}

#[tokio::test]
async fn a_page_comes_in_by_either_http_and_needs_no_certificate_where_none_is_asked_for() {
    let keys = Keys::new().with("shelf", &["127.0.0.1"]);
    let (tls, _) = keys.flags("shelf", &keys.path("ca.crt"));
    let tls = TlsArgs { tls_client_ca: None, ..tls };
    let serve = async |server: GrpcServer, tls: Result<Option<ServerTls>, chassis::Error>| {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let addr = listener.local_addr().unwrap();
        let incoming = Incoming::secured(listener, &Connections::new(64), tls.unwrap().as_ref());
        tokio::spawn(server.add_service(Toy::default()).serve(incoming, CancellationToken::new()));
        addr
    };
    let toy = || GrpcServer::new("toy", &[], Health::new());
    let (pages, programs) =
        (serve(toy().for_pages(None), tls.server_for_pages()).await, serve(toy(), tls.server(None)).await);
    let (spoken, answer) = page(&keys, pages, &["http/1.1"]).await.unwrap();
    assert_eq!(spoken, "http/1.1");
    assert!(answer.starts_with("HTTP/1.1 200") && answer.contains("grpc-status: 5"), "{answer}");
    for door in [pages, programs] {
        let spoken = page(&keys, door, &["http/1.1", "h2"]).await.map(|(spoken, _)| spoken);
        assert_eq!(spoken.as_deref(), Some("h2"), "whoever can is served so");
    }
    assert_eq!(page(&keys, programs, &["http/1.1"]).await, None);
}

#[tokio::test]
async fn a_client_refuses_a_server_that_is_not_the_one_it_means() {
    let keys = Keys::new().with("till", &[TILL]).with("shelf", &["127.0.0.1", "spiffe://shop/shelf"]);
    keys.issue("away", &["shelf", "spiffe://shop/shelf"], Is::Valid);
    keys.issue("late", &["127.0.0.1"], Is::Expired);
    let stranger = Keys::new().with("shelf", &["127.0.0.1"]);
    let (ca, foreign) = (keys.path("ca.crt"), stranger.path("ca.crt"));
    let (till, trusting) = (keys.client("till", &ca), keys.client("till", &foreign));
    let shelf = serve(&keys, "shelf", None).await;
    assert!(taken_for(shelf, &till, None).await.is_some(), "by the name that is called");
    assert!(taken_for(shelf, &till, identities("spiffe://shop/other,spiffe://shop/shelf")).await.is_some());
    assert_eq!(taken_for(shelf, &till, identities("spiffe://shop/other")).await, None);
    assert_eq!(taken_for(shelf, &trusting, None).await, None, "of an authority that is not trusted");
    let away = serve(&keys, "away", None).await;
    assert_eq!(taken_for(away, &till, None).await, None, "its name is another");
    assert!(
        taken_for(away, &till, identities("spiffe://shop/shelf")).await.is_some(),
        "but its identity is right"
    );
    assert_eq!(taken_for(serve(&keys, "late", None).await, &till, None).await, None);
}

#[tokio::test]
async fn certificates_are_replaced_under_calls_and_half_a_pair_changes_nothing() {
    let keys = Keys::new().with("till", &[TILL]).with("shelf", &["127.0.0.1"]);
    let till = keys.client("till", &keys.path("ca.crt"));
    let addr = serve(&keys, "shelf", None).await;
    let long = channel(addr, &till, None);
    assert_eq!(call(&long, "Sleep").await.message(), "slept");
    let waiting = tokio::spawn({
        let long = long.clone();
        async move { call(&long, "Sleep").await }
    });
    keys.issue("till", &["spiffe://shop/till/2"], Is::Valid);
    keys.issue("shelf", &["127.0.0.1", "localhost"], Is::Valid);
    assert_eq!(waiting.await.unwrap().message(), "slept", "what is under way goes on");
    let is_new = async || taken_for(addr, &till, None).await.unwrap() == "spiffe://shop/till/2";
    until(is_new).await;
    assert_eq!(call(&long, "Who").await.message(), TILL, "a connection keeps what it was opened with");
    // A key that belongs to another certificate, no key at all, no file.
    let whole = fs::read(keys.path("till.key")).unwrap();
    fs::write(keys.path("till.key"), fs::read(keys.path("shelf.key")).unwrap()).unwrap();
    fs::write(keys.path("shelf.key"), "-----BEGIN PRIVATE KEY-----\nMC4C").unwrap();
    fs::remove_file(keys.path("shelf.crt")).unwrap();
    tokio::time::sleep(Duration::from_secs(6)).await;
    assert!(is_new().await);
    fs::write(keys.path("till.key"), whole).unwrap();
    keys.issue("shelf", &["shelf"], Is::Valid);
    until(async || taken_for(addr, &till, None).await.is_none()).await;
}

#[tokio::test]
async fn an_authority_is_replaced_by_way_of_a_file_with_both() {
    let (keys, next) =
        (Keys::new().with("shelf", &["127.0.0.1"]).with("till", &[TILL]), Keys::new().with("till", &[TILL]));
    let (ca, before) = (keys.path("ca.crt"), keys.path("before.crt"));
    fs::copy(&ca, &before).unwrap();
    let (old, new) = (keys.client("till", &before), next.client("till", &before));
    let addr = serve(&keys, "shelf", None).await;
    let let_in = async |tls: &ClientTls| taken_for(addr, tls, None).await.is_some();
    assert!(let_in(&old).await && !let_in(&new).await);
    let [first, second] = [&before, &next.path("ca.crt")].map(|file| fs::read_to_string(file).unwrap());
    fs::write(&ca, format!("{first}\n{second}")).unwrap();
    until(async || let_in(&new).await).await;
    assert!(let_in(&old).await);
    fs::write(&ca, second).unwrap();
    until(async || !let_in(&old).await).await;
    assert!(let_in(&new).await);
}

#[tokio::test]
async fn who_speaks_no_tls_or_nothing_at_all_is_let_go() {
    let keys = Keys::new().with("shelf", &["127.0.0.1"]).with("till", &[TILL]);
    let secured = serve(&keys, "shelf", None).await;
    let plain = toy::serve().await;
    for said in [&b"GET / HTTP/1.1\r\nHost: x\r\n\r\n"[..], b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"] {
        let mut link = TcpStream::connect(secured).await.unwrap();
        link.write_all(said).await.unwrap();
        let mut answer = Vec::new();
        let _reset = timeout(SOON, link.read_to_end(&mut answer)).await.unwrap();
        assert!(answer.is_empty() || answer[0] == 21, "an alert: {answer:?}");
    }
    assert_eq!(call(&toy::channel(&[secured]), "Who").await.code(), Code::Unavailable);
    let till = keys.client("till", &keys.path("ca.crt"));
    assert_eq!(call(&channel(plain.addr, &till, None), "Trace").await.code(), Code::Unavailable);
    // Nothing, and the beginning of a handshake.
    for said in [&b""[..], &[22, 3, 1, 2, 0, 1]] {
        let began = tokio::time::Instant::now();
        let mut link = TcpStream::connect(secured).await.unwrap();
        link.write_all(said).await.unwrap();
        let mut answer = Vec::new();
        let _reset = timeout(2 * FIRST_WORD, link.read_to_end(&mut answer)).await.unwrap();
        assert!(began.elapsed() >= FIRST_WORD);
    }
}

#[tokio::test]
async fn files_that_cannot_be_used_are_named_before_a_port_opens_without_what_is_in_them() {
    let keys = Keys::new().with("till", &[TILL]).with("shelf", &["shelf"]);
    let ca = keys.path("ca.crt");
    let secret = "TUlHSEFnRUFNQk1HQnlxR1NNNDlBZ0VHQ0NxR1NNNDlBd0VI";
    fs::write(keys.path("odd.pem"), format!("-----BEGIN PRIVATE KEY-----{secret}\n{secret}")).unwrap();
    let told = |cert: &str, key: &str, ca: &Path| {
        let (tls_cert, tls_key) = (Some(keys.path(cert)), Some(keys.path(key)));
        let tls = TlsArgs { tls_cert, tls_key, tls_client_ca: Some(ca.to_owned()) };
        let told = tls.server(None).unwrap_err().to_string();
        assert!(
            matches!(tls.server(None), Err(chassis::Error::Config(_))) && !told.contains(secret),
            "{told}"
        );
        told
    };
    let nowhere = keys.path("nowhere");
    for (told, about, what) in [
        (told("nowhere", "till.key", &ca), "--tls-cert (TLS_CERT)", "No such file"),
        (told("till.key", "till.key", &ca), "--tls-cert (TLS_CERT)", "no certificate"),
        (told("odd.pem", "till.key", &ca), "--tls-cert (TLS_CERT)", "no certificate"),
        (told("till.crt", "odd.pem", &ca), "--tls-key (TLS_KEY)", "no private key"),
        (told("till.crt", "shelf.key", &ca), "--tls-key (TLS_KEY)", "not the key"),
        (told("till.crt", "till.key", &nowhere), "--tls-client-ca (TLS_CLIENT_CA)", "No such file"),
        (
            told("till.crt", "till.key", &keys.path("odd.pem")),
            "--tls-client-ca (TLS_CLIENT_CA)",
            "no certificate",
        ),
    ] {
        assert!(told.contains(about) && told.contains(what), "{told}");
        assert!(told.contains(keys.folder.path().to_str().unwrap()), "{told}");
    }
    let rest = RestTlsArgs { rest_tls_cert: Some(nowhere), rest_tls_key: Some(keys.path("till.key")) };
    assert!(rest.server().unwrap_err().to_string().contains("--rest-tls-cert (REST_TLS_CERT)"));
    assert!(TlsArgs::default().server(None).unwrap().is_none());
}
