//! The certificates of a mesh whose programs prove to each other who they are, and those of strangers.

use std::{
    fs,
    path::{Path, PathBuf},
    sync::atomic::{AtomicI32, Ordering},
};

use chassis::tls::{ClientTls, MeshArgs, TlsArgs};
use rcgen::{
    BasicConstraints, CertificateParams, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair, SanType,
    date_time_ymd,
};
use tempfile::TempDir;

use crate::{mesh::Wiring, shape::Role};

/// The names of the pairs of files, and who each is.
const SERVICES: [&str; 4] = ["edge", "queue", "booking", "wallet"];

/// An authority, and a folder with the certificates that it made.
#[derive(Debug)]
pub struct Keys {
    folder: TempDir,
    issuer: Issuer<'static, KeyPair>,
    /// The last year of those that are valid: each lot has another, so that the programs' metrics tell them
    /// apart.
    until: AtomicI32,
}

impl Keys {
    /// A new authority, and a certificate of each service.
    ///
    /// # Panics
    /// When they cannot be written.
    #[must_use]
    pub fn new() -> Self {
        let folder = TempDir::with_prefix("keys-").expect("a temporary folder can be made");
        let mut params = CertificateParams::default();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let key = KeyPair::generate().expect("a key can be made");
        let authority = params.self_signed(&key).expect("an authority can be made");
        fs::write(folder.path().join("ca.crt"), authority.pem()).expect("it can be written");
        let keys = Self { folder, issuer: Issuer::new(params, key), until: AtomicI32::new(2100) };
        let _until = keys.renew();
        keys
    }

    /// Replaces the certificate and the key of each service; answers the year with which they expire.
    ///
    /// # Panics
    /// When they cannot be written.
    pub fn renew(&self) -> i32 {
        let until = self.until.fetch_add(1, Ordering::Relaxed);
        for service in SERVICES {
            self.issue(service, service, until);
        }
        until
    }

    /// Writes a pair under a name, for a service, valid until a year begins.
    ///
    /// # Panics
    /// When it cannot be written.
    pub fn issue(&self, name: &str, service: &str, until: i32) {
        let mut params = CertificateParams::default();
        let identity = format!("spiffe://boxoffice/{service}");
        params.subject_alt_names = vec![
            SanType::URI(identity.try_into().expect("a URI")),
            SanType::DnsName("localhost".try_into().expect("a name")),
            SanType::IpAddress([127, 0, 0, 1].into()),
        ];
        params.extended_key_usages =
            vec![ExtendedKeyUsagePurpose::ServerAuth, ExtendedKeyUsagePurpose::ClientAuth];
        params.not_after = date_time_ymd(until, 1, 1);
        let key = KeyPair::generate().expect("a key can be made");
        let certificate = params.signed_by(&key, &self.issuer).expect("a certificate can be made");
        fs::write(self.path(&format!("{name}.crt")), certificate.pem()).expect("it can be written");
        fs::write(self.path(&format!("{name}.key")), key.serialize_pem()).expect("it can be written");
    }

    /// Where a file is.
    #[must_use]
    pub fn path(&self, file: &str) -> PathBuf {
        self.folder.path().join(file)
    }

    /// Where the certificate of a program is.
    #[must_use]
    pub fn certificate(&self, role: Role) -> PathBuf {
        self.path(&format!("{}.crt", service(role)))
    }

    /// The calls of who has this pair, and trusts this authority.
    ///
    /// # Panics
    /// When there is none.
    #[must_use]
    pub fn client(&self, name: &str, authority: &Path) -> ClientTls {
        let pair = [format!("{name}.crt"), format!("{name}.key")].map(|file| Some(self.path(&file)));
        let [tls_cert, tls_key] = pair;
        let tls = TlsArgs { tls_cert, tls_key, tls_client_ca: None };
        let mesh = MeshArgs { mesh_ca: Some(authority.to_owned()) };
        tls.client(&mesh).expect("files that we wrote").expect("all of them")
    }

    /// The flags of a program with the pair of this name.
    #[must_use]
    pub fn flags_of(&self, name: &str) -> Vec<String> {
        let file = |end: &str| self.path(&format!("{name}.{end}")).display().to_string();
        let ca = self.path("ca.crt").display().to_string();
        ["--tls-cert", &file("crt"), "--tls-key", &file("key"), "--tls-client-ca", &ca]
            .map(str::to_owned)
            .into()
    }
}

impl Default for Keys {
    fn default() -> Self {
        Self::new()
    }
}

/// Whose pair a program has.
const fn service(role: Role) -> &'static str {
    match role {
        Role::Queue => "queue",
        Role::Booking => "booking",
        Role::Wallet => "wallet",
        Role::Launcher | Role::Edge => "edge",
    }
}

impl Wiring for Keys {
    fn scheme(&self) -> &'static str {
        "https"
    }

    fn flags(&self, role: Role) -> Vec<String> {
        let ca = self.path("ca.crt").display().to_string();
        let mut flags = self.flags_of(service(role));
        if role == Role::Edge {
            flags.extend(["--mesh-ca".to_owned(), ca]);
            for service in &SERVICES[1..] {
                flags.extend([format!("--{service}-identity"), format!("spiffe://boxoffice/{service}")]);
            }
        }
        flags
    }
}
