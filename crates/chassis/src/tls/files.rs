//! Certificates and keys in PEM files, which are replaced while the program runs.
//!
//! They are read every few seconds and compared: a watch of the file system would miss what the mounts of
//! orchestrators do (a link to a folder is exchanged) and what happens on a network's disk. New contents are
//! used when they are whole, which a certificate beside the key of another is not; until then what was read
//! before stays in use.

use std::{
    fs,
    path::PathBuf,
    sync::{Arc, Weak},
    time::Duration,
};

use parking_lot::RwLock;
use rustls::{
    RootCertStore,
    pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject as _},
    sign::CertifiedKey,
};
use tokio::{task, time};

use super::{identity, provider};
use crate::{Error, flags, telemetry::seldom::Seldom};

/// How often files are read: a change is in use twice as soon as operators are promised.
const READ_EVERY: Duration = Duration::from_secs(5);

/// One file, and the flag that names it.
#[derive(Clone, Debug)]
pub(super) struct PemFile {
    pub(super) flag: &'static str,
    pub(super) path: PathBuf,
}

/// The files that belong together.
#[derive(Clone, Debug)]
pub(super) struct PemFiles {
    pub(super) cert: PemFile,
    pub(super) key: PemFile,
    /// The authorities whose certificates peers must have; `None` where they need none.
    pub(super) authorities: Option<PemFile>,
}

/// What stands in the files, as bytes.
#[derive(PartialEq, Eq)]
struct Contents {
    cert: Vec<u8>,
    key: Vec<u8>,
    authorities: Option<Vec<u8>>,
}

/// What stands in the files, as it is used.
#[derive(Clone)]
pub(super) struct Credentials {
    pub(super) key: Arc<CertifiedKey>,
    /// `None` where peers need no certificate.
    pub(super) authorities: Option<Arc<RootCertStore>>,
    /// When each certificate file is of no use any more, in seconds since 1970.
    expiry: Vec<(String, i64)>,
}

impl PemFile {
    /// The file, named with its flag and variable before what is wrong with it.
    fn wrong(&self, why: impl std::fmt::Display) -> String {
        format!("{} ({}): {}: {why}", self.flag, flags::variable(self.flag), self.path.display())
    }

    fn read(&self) -> Result<Vec<u8>, String> {
        fs::read(&self.path).map_err(|error| self.wrong(error))
    }

    /// The certificates in a PEM text, one at least. What a parser says of a text is not repeated, because it
    /// may quote it, and the text may be a key's.
    fn certificates(&self, pem: &[u8]) -> Result<Vec<CertificateDer<'static>>, String> {
        let found: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(pem).collect();
        found.ok().filter(|all| !all.is_empty()).ok_or_else(|| self.wrong("holds no certificate in PEM"))
    }

    fn gauge(&self, expires: Option<i64>) -> Option<(String, i64)> {
        expires.map(|at| (self.path.display().to_string(), at))
    }
}

impl PemFiles {
    fn read(&self) -> Result<Contents, String> {
        let authorities = self.authorities.as_ref().map(PemFile::read).transpose()?;
        Ok(Contents { cert: self.cert.read()?, key: self.key.read()?, authorities })
    }

    fn parse(&self, contents: &Contents) -> Result<Credentials, String> {
        let chain = self.cert.certificates(&contents.cert)?;
        let key = PrivateKeyDer::from_pem_slice(&contents.key)
            .map_err(|_| self.key.wrong("holds no private key in PEM (without a passphrase)"))?;
        // Whichever of its certificates expires first, the chain is of no use from then on.
        let first = chain.iter().filter_map(|cert| identity::expires(cert)).min();
        let mut expiry: Vec<_> = self.cert.gauge(first).into_iter().collect();
        let key = CertifiedKey::from_der(chain, key, &provider()).map_err(|error| {
            if matches!(error, rustls::Error::InconsistentKeys(_)) {
                self.key.wrong("is not the key of the certificate")
            } else if matches!(error, rustls::Error::InvalidCertificate(_)) {
                self.cert.wrong("holds a certificate that is not whole")
            } else {
                self.key.wrong("holds a key of an unknown kind")
            }
        })?;
        let mut authorities = None;
        if let (Some(file), Some(pem)) = (&self.authorities, &contents.authorities) {
            let (certificates, mut store) = (file.certificates(pem)?, RootCertStore::empty());
            // While the last of them lasts, somebody is trusted.
            expiry.extend(file.gauge(certificates.iter().filter_map(|cert| identity::expires(cert)).max()));
            for certificate in certificates {
                store
                    .add(certificate)
                    .map_err(|error| file.wrong(format!("holds an authority of no use: {error}")))?;
            }
            authorities = Some(Arc::new(store));
        }
        Ok(Credentials { key: Arc::new(key), authorities, expiry })
    }
}

impl Credentials {
    fn measure(&self) {
        for (file, at) in &self.expiry {
            #[expect(clippy::cast_precision_loss, reason = "a time in seconds has fewer digits")]
            metrics::gauge!("tls_certificate_expires_timestamp_seconds", "file" => file.clone())
                .set(*at as f64);
        }
    }
}

/// What is made of the files, as they are now.
pub(super) struct Watched<T>(RwLock<Arc<T>>);

/// Makes something of credentials.
type Make<T> = Box<dyn Fn(&Credentials) -> Result<T, rustls::Error> + Send + Sync>;

impl<T: Send + Sync + 'static> Watched<T> {
    /// Reads the files. A task of the current runtime reads them again and again, until this is dropped.
    ///
    /// # Errors
    /// They cannot be used; names flag, variable and path.
    pub(super) fn open(files: PemFiles, make: Make<T>) -> Result<Arc<Self>, Error> {
        let contents = files.read().map_err(Error::Config)?;
        let first = made(&files, &contents, &make).map_err(Error::Config)?;
        let watched = Arc::new(Self(RwLock::new(Arc::new(first))));
        tokio::spawn(follow(Arc::downgrade(&watched), Arc::new(files), contents, make));
        Ok(watched)
    }

    pub(super) fn now(&self) -> Arc<T> {
        Arc::clone(&self.0.read())
    }
}

fn made<T>(files: &PemFiles, contents: &Contents, make: &Make<T>) -> Result<T, String> {
    let credentials = files.parse(contents)?;
    let made = make(&credentials).map_err(|error| files.cert.wrong(error))?;
    credentials.measure();
    Ok(made)
}

async fn follow<T: Send + Sync + 'static>(
    watched: Weak<Watched<T>>,
    files: Arc<PemFiles>,
    mut used: Contents,
    make: Make<T>,
) {
    let mut told = Seldom::default();
    loop {
        time::sleep(READ_EVERY).await;
        let Some(watched) = watched.upgrade() else { return };
        let reading = Arc::clone(&files);
        #[expect(clippy::disallowed_methods, reason = "no simulation reads files: this waits for a disk")]
        let Ok(read) = task::spawn_blocking(move || reading.read()).await else { return };
        let changed = match read {
            Ok(contents) if contents == used => continue,
            Ok(contents) => made(&files, &contents, &make).map(|made| (made, contents)),
            Err(why) => Err(why),
        };
        match changed {
            Ok((made, contents)) => {
                *watched.0.write() = Arc::new(made);
                used = contents;
                metrics::counter!("tls_reloads_total", "outcome" => "used").increment(1);
                tracing::info!(certificate = %files.cert.path.display(), "changed certificates are in use");
            }
            Err(why) => {
                metrics::counter!("tls_reloads_total", "outcome" => "refused").increment(1);
                if told.may_tell() {
                    tracing::warn!(%why, "changed certificates cannot be used; those before stay in use");
                }
            }
        }
    }
}
