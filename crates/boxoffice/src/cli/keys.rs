//! `boxoffice keys`: a private authority with a certificate for each service, and an issuer of bearer tokens.
//! Each service has a folder of its own, so that a container is given its own key and nobody else's.

use std::{
    fs::{self, DirBuilder, File, OpenOptions},
    io::{self, Write as _},
    net::{IpAddr, Ipv4Addr, Ipv6Addr},
    os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _},
    path::{Path, PathBuf},
    process::ExitCode,
};

use access::Issuer as TokenIssuer;
use chassis::{clock::Clock, lifecycle};
use chrono::{DateTime, Datelike as _, NaiveDate, TimeDelta};
use clap::Args;
use rcgen::{
    BasicConstraints, CertificateParams, DistinguishedName, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer,
    KeyPair, KeyUsagePurpose, SanType, date_time_ymd,
};
use uuid::Uuid;

/// Where to write them.
#[derive(Args)]
#[command(long_about = ABOUT, after_help = AFTER, after_long_help = AFTER)]
pub(crate) struct Keys {
    /// The folder to make (nobody else may enter it); one that has something in it stays as it is
    #[arg(long, value_name = "DIR")]
    out: PathBuf,
    /// End well when DIR has keys already, so that a container may run this at each of its starts
    #[arg(long)]
    keep: bool,
}

const ABOUT: &str = "\
Make a private authority, the certificates of the services, for TLS between them, and an issuer of bearer tokens

Writes ca.crt and ca.key, the authority; and a folder for each of edge, queue, booking and wallet with tls.crt and tls.key (its own pair),
ca.crt and jwks.json (the issuer's public key). Each certificate says who its service is (spiffe://boxoffice/edge) and has the names under
which it is called by default, in compose, in Kubernetes and on this machine. They are valid for a year. The folder `issuer` is for
`boxoffice token --data-dir`. For a test, for compose and for first steps: in production an authority such as cert-manager or SPIRE makes and
replaces certificates, and an OpenID provider issues tokens.";

const AFTER: &str = "\
Exit codes: 0 they are written, or kept · 1 they cannot be written, or DIR has something in it · 2 a wrong flag

Example, from --out keys:
  queue-svc --tls-cert keys/queue/tls.crt --tls-key keys/queue/tls.key --tls-client-ca keys/queue/ca.crt
  edge --tls-cert keys/edge/tls.crt --tls-key keys/edge/tls.key --mesh-ca keys/edge/ca.crt \\
    --auth-issuer local --auth-jwks keys/edge/jwks.json \\
    --queue-url https://127.0.0.1:24031 --queue-identity spiffe://boxoffice/queue …
  boxoffice token --data-dir keys/issuer --user root --role operator
  grpcurl -cacert keys/ca.crt -cert keys/edge/tls.crt -key keys/edge/tls.key 127.0.0.1:24031 list";

/// Each service, and the host names under which it is called: those of Kubernetes, and of compose's replicas.
const SERVICES: &[(&str, &[&str])] = &[
    ("edge", &["edge", "edge-grpc", "edge-1", "edge-2"]),
    ("queue", &["queue-svc", "queue", "queue-1", "queue-2"]),
    ("booking", &["booking-svc", "booking", "booking-1", "booking-2"]),
    ("wallet", &["wallet-svc", "wallet", "wallet-1", "wallet-2"]),
];
/// What may stand behind a name where Kubernetes looks it up.
const DOMAINS: [&str; 3] = ["boxoffice", "boxoffice.svc", "boxoffice.svc.cluster.local"];
/// The authority's certificate.
const CA: &str = "ca.crt";
/// The folder of the issuer's key.
const ISSUER: &str = "issuer";
/// How long all of them are valid.
const VALID: TimeDelta = TimeDelta::days(365);

/// Some file below the folder, with what is to be in it.
type Pem = (String, String);

impl Keys {
    pub(crate) fn run(self) -> ExitCode {
        lifecycle::keep_files_private();
        let today = DateTime::from_timestamp_micros(Clock::system().now()).unwrap_or_default().date_naive();
        let written = made(today).map_err(io::Error::other).and_then(|files| write(&self.out, &files));
        match written {
            // Whoever was first has written all of it: the folder appears as a whole.
            Err(_) if self.keep && self.out.join(CA).is_file() => {
                super::print(&format!("the keys in {} are kept\n", self.out.display()));
                ExitCode::SUCCESS
            }
            Ok(()) => {
                let until = today + VALID;
                super::print(&format!("certificates until {until} are in {}\n", self.out.display()));
                ExitCode::SUCCESS
            }
            Err(error) => {
                let _unread = writeln!(io::stderr(), "boxoffice keys: {}: {error}", self.out.display());
                ExitCode::FAILURE
            }
        }
    }
}

/// The authority and the certificates, valid from yesterday on, since clocks differ.
fn made(today: NaiveDate) -> Result<Vec<Pem>, rcgen::Error> {
    let mut params = named("boxoffice: a private authority", today);
    params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    let key = KeyPair::generate()?;
    let authority = params.self_signed(&key)?.pem();
    let mut files = vec![(CA.to_owned(), authority.clone()), ("ca.key".to_owned(), key.serialize_pem())];
    let issuer = Issuer::new(params, key);
    for (service, hosts) in SERVICES {
        let mut params = named(service, today);
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        params.extended_key_usages =
            vec![ExtendedKeyUsagePurpose::ServerAuth, ExtendedKeyUsagePurpose::ClientAuth];
        params.use_authority_key_identifier_extension = true;
        params.subject_alt_names = names(service, hosts)?;
        let key = KeyPair::generate()?;
        let certificate = params.signed_by(&key, &issuer)?.pem();
        // The names that a Secret of Kubernetes has, so that the same flags do for both.
        let own = [("tls.crt", certificate), ("tls.key", key.serialize_pem()), (CA, authority.clone())];
        files.extend(own.map(|(name, content)| (format!("{service}/{name}"), content)));
    }
    Ok(files)
}

fn named(name: &str, today: NaiveDate) -> CertificateParams {
    let mut params = CertificateParams::default();
    params.distinguished_name = DistinguishedName::new();
    params.distinguished_name.push(DnType::CommonName, name);
    let [from, until] = [today - TimeDelta::days(1), today + VALID].map(|date| {
        let [month, day] = [date.month(), date.day()].map(|part| u8::try_from(part).unwrap_or(1));
        date_time_ymd(date.year(), month, day)
    });
    (params.not_before, params.not_after) = (from, until);
    params
}

fn names(service: &str, hosts: &[&str]) -> Result<Vec<SanType>, rcgen::Error> {
    let mut names = vec![SanType::URI(format!("spiffe://boxoffice/{service}").try_into()?)];
    let first = hosts.first().copied().unwrap_or(service);
    let in_cluster = DOMAINS.map(|domain| format!("{first}.{domain}"));
    for host in hosts.iter().map(|&host| host.to_owned()).chain(in_cluster).chain(["localhost".to_owned()]) {
        names.push(SanType::DnsName(host.try_into()?));
    }
    let here = [IpAddr::V4(Ipv4Addr::LOCALHOST), IpAddr::V6(Ipv6Addr::LOCALHOST)];
    names.extend(here.map(SanType::IpAddress));
    Ok(names)
}

/// Writes all of the files or none, into a folder of another name that takes its own when it is complete.
fn write(folder: &Path, files: &[Pem]) -> io::Result<()> {
    let mut partial = folder.as_os_str().to_owned();
    // By chance and not by process: in containers that share the folder these have the same numbers.
    partial.push(format!(".{}", Uuid::new_v4().simple()));
    let partial = PathBuf::from(partial);
    if let Some(parent) = folder.parent() {
        fs::create_dir_all(parent)?;
    }
    DirBuilder::new().mode(0o700).create(&partial)?;
    let written = write_all(&partial, files).and_then(|()| fs::rename(&partial, folder));
    if written.is_err() {
        let _gone = fs::remove_dir_all(&partial);
    }
    written
}

fn write_all(folder: &Path, files: &[Pem]) -> io::Result<()> {
    let jwks = TokenIssuer::open(&folder.join(ISSUER))?.jwks();
    let public = SERVICES.iter().map(|(service, _)| (format!("{service}/jwks.json"), jwks.as_str()));
    let files = files.iter().map(|(name, content)| (name.clone(), content.as_str()));
    for (service, _) in SERVICES {
        DirBuilder::new().mode(0o700).create(folder.join(service))?;
    }
    for (name, content) in files.chain(public) {
        let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(folder.join(name))?;
        file.write_all(content.as_bytes())?;
        file.sync_all()?;
    }
    for (service, _) in SERVICES {
        File::open(folder.join(service))?.sync_all()?;
    }
    File::open(folder)?.sync_all()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use std::os::unix::fs::PermissionsExt as _;

    use chassis::tls::{MeshArgs, TlsArgs};

    use super::*;

    #[tokio::test]
    async fn programs_can_use_what_is_written_and_nothing_is_overwritten() {
        let parent = tempfile::tempdir().unwrap();
        let folder = parent.path().join("some/keys");
        let today = DateTime::from_timestamp_micros(Clock::system().now()).unwrap().date_naive();
        let files = made(today).unwrap();
        write(&folder, &files).unwrap();
        let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
        let read = |name: &str| fs::read_to_string(folder.join(name)).unwrap();
        assert_eq!(mode(&folder), 0o700);
        for (name, content) in &files {
            assert_eq!((mode(&folder.join(name)), content), (0o600, &read(name)), "{name}");
        }
        let jwks = TokenIssuer::open(&folder.join(ISSUER)).unwrap().jwks();
        for (service, _) in SERVICES {
            assert_eq!(mode(&folder.join(service)), 0o700);
            assert_eq!(read(&format!("{service}/jwks.json")), jwks);
            let file = |name: &str| Some(folder.join(service).join(name));
            let tls =
                TlsArgs { tls_cert: file("tls.crt"), tls_key: file("tls.key"), tls_client_ca: file(CA) };
            let mesh = MeshArgs { mesh_ca: file(CA) };
            assert!(tls.server(None).unwrap().is_some() && tls.client(&mesh).unwrap().is_some());
        }
        assert!(write(&folder, &made(today).unwrap()).is_err());
        assert_eq!(read(CA), files[0].1);
        assert_eq!(fs::read_dir(folder.parent().unwrap()).unwrap().count(), 1, "and nothing is left");
    }
}
