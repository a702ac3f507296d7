//! `boxoffice keys`: a private authority, and a certificate of it for each service.

use std::{
    fs::{self, DirBuilder, File, OpenOptions},
    io::{self, Write as _},
    net::{IpAddr, Ipv4Addr, Ipv6Addr},
    os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _},
    path::{Path, PathBuf},
    process::ExitCode,
};

use chassis::{clock::Clock, lifecycle};
use chrono::{DateTime, Datelike as _, NaiveDate, TimeDelta};
use clap::Args;
use rcgen::{
    BasicConstraints, CertificateParams, DistinguishedName, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer,
    KeyPair, KeyUsagePurpose, SanType, date_time_ymd,
};

/// Where to write them.
#[derive(Args)]
#[command(long_about = ABOUT, after_help = AFTER, after_long_help = AFTER)]
pub(crate) struct Keys {
    /// The folder to make (nobody else may enter it); one that has something in it stays as it is
    #[arg(long, value_name = "DIR")]
    out: PathBuf,
}

const ABOUT: &str = "\
Make a private authority and the certificates of the services, for TLS between them

Writes ca.crt, ca.key, and a pair such as edge.crt, edge.key for each of edge, queue, booking and wallet. Each certificate says who its
service is (spiffe://boxoffice/edge) and has the names under which it is called by default, in compose, in Kubernetes and on this machine.
They are valid for a year. For a test, for compose and for first steps: in production an authority such as cert-manager or SPIRE makes and
replaces them.";

const AFTER: &str = "\
Exit codes: 0 they are written · 1 they cannot be written, or DIR has something in it · 2 a wrong flag

Example, from --out keys:
  queue-svc --tls-cert keys/queue.crt --tls-key keys/queue.key --tls-client-ca keys/ca.crt
  edge --tls-cert keys/edge.crt --tls-key keys/edge.key --tls-client-ca keys/ca.crt --mesh-ca keys/ca.crt \\
    --queue-url https://127.0.0.1:24031 --queue-identity spiffe://boxoffice/queue …
  grpcurl -cacert keys/ca.crt -cert keys/edge.crt -key keys/edge.key 127.0.0.1:24031 list";

/// Each service, and the host names under which it is called: those of Kubernetes, and of compose's replicas.
const SERVICES: &[(&str, &[&str])] = &[
    ("edge", &["edge", "edge-1", "edge-2"]),
    ("queue", &["queue-svc", "queue", "queue-1", "queue-2"]),
    ("booking", &["booking-svc", "booking", "booking-1", "booking-2"]),
    ("wallet", &["wallet-svc", "wallet", "wallet-1", "wallet-2"]),
];
/// What may stand behind a name where Kubernetes looks it up.
const DOMAINS: [&str; 3] = ["boxoffice", "boxoffice.svc", "boxoffice.svc.cluster.local"];
/// How long all of them are valid.
const VALID: TimeDelta = TimeDelta::days(365);

/// Some file, with what is to be in it.
type Pem = (String, String);

impl Keys {
    pub(crate) fn run(self) -> ExitCode {
        lifecycle::keep_files_private();
        let today = DateTime::from_timestamp_micros(Clock::system().now()).unwrap_or_default().date_naive();
        let written = made(today).map_err(io::Error::other).and_then(|files| write(&self.out, &files));
        match written {
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
    let mut files = pair("ca", &params.self_signed(&key)?.pem(), &key);
    let authority = Issuer::new(params, key);
    for (service, hosts) in SERVICES {
        let mut params = named(service, today);
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        params.extended_key_usages =
            vec![ExtendedKeyUsagePurpose::ServerAuth, ExtendedKeyUsagePurpose::ClientAuth];
        params.use_authority_key_identifier_extension = true;
        params.subject_alt_names = names(service, hosts)?;
        let key = KeyPair::generate()?;
        files.extend(pair(service, &params.signed_by(&key, &authority)?.pem(), &key));
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

fn pair(name: &str, certificate: &str, key: &KeyPair) -> Vec<Pem> {
    vec![(format!("{name}.crt"), certificate.to_owned()), (format!("{name}.key"), key.serialize_pem())]
}

/// Writes all of the files or none, into a folder of another name that takes its own when it is complete.
fn write(folder: &Path, files: &[Pem]) -> io::Result<()> {
    let mut partial = folder.as_os_str().to_owned();
    partial.push(format!(".{}", std::process::id()));
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
    for (name, content) in files {
        let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(folder.join(name))?;
        file.write_all(content.as_bytes())?;
        file.sync_all()?;
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
        assert_eq!(mode(&folder), 0o700);
        for (name, content) in &files {
            assert_eq!(
                (mode(&folder.join(name)), &fs::read_to_string(folder.join(name)).unwrap()),
                (0o600, content)
            );
        }
        for (service, _) in SERVICES {
            let file = |end: &str| Some(folder.join(format!("{service}.{end}")));
            let ca = Some(folder.join("ca.crt"));
            let tls = TlsArgs { tls_cert: file("crt"), tls_key: file("key"), tls_client_ca: ca.clone() };
            assert!(
                tls.server(None).unwrap().is_some()
                    && tls.client(&MeshArgs { mesh_ca: ca }).unwrap().is_some()
            );
        }
        assert!(write(&folder, &made(today).unwrap()).is_err());
        assert_eq!(fs::read_to_string(folder.join("ca.crt")).unwrap(), files[0].1);
        assert_eq!(fs::read_dir(folder.parent().unwrap()).unwrap().count(), 1, "and nothing is left");
    }
}
