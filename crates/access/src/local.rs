//! An issuer for one's own machine: a key in a file, and tokens that are signed with it. No mesh need run.
//! Whoever can read the file can make a token for anybody.

use std::{
    fmt,
    fs::{self, DirBuilder, File, OpenOptions},
    io::{self, Write as _},
    os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _, PermissionsExt as _},
    path::Path,
    time::Duration,
};

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD as BASE64};
use chassis::clock::SECOND;
use ring::{
    digest::{SHA256, digest},
    rand::{SecureRandom as _, SystemRandom},
    signature::{Ed25519KeyPair, KeyPair as _},
};
use serde::Deserialize;
use serde_json::{Value, json};
use uuid::Uuid;

use crate::{Roles, Why, identity, settings::Trusted};

/// The private key, as a JWK (RFC 8037).
const FILE: &str = "issuer.jwk";

/// Signs tokens that `--auth-issuer local` accepts.
pub struct Issuer {
    key: Ed25519KeyPair,
    /// The key's thumbprint (RFC 7638), so that another key has another name.
    kid: String,
}

impl fmt::Debug for Issuer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Issuer").field("kid", &self.kid).finish_non_exhaustive()
    }
}

impl Issuer {
    /// The issuer whose key is in a folder. Folder (0700) and key (0600) are made if they are missing; of
    /// programs that start together one makes the key, and all have it.
    ///
    /// # Errors
    /// The file cannot be read or made, or holds no Ed25519 key. The error names the file.
    pub fn open(folder: &Path) -> io::Result<Self> {
        let path = folder.join(FILE);
        let named = |error: io::Error| io::Error::new(error.kind(), format!("{}: {error}", path.display()));
        let read = match fs::read(&path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                make(folder, &path).and_then(|()| fs::read(&path))
            }
            read => read,
        };
        let key = read.and_then(|json| {
            make_private(&path)?;
            parse(&json)
        });
        let key = key.map_err(named)?;
        let kid = thumbprint(key.public_key().as_ref());
        Ok(Self { key, kid })
    }

    /// Its public key as a JWK set.
    #[must_use]
    pub fn jwks(&self) -> String {
        let x = BASE64.encode(self.key.public_key());
        json!({"keys": [{"kty": "OKP", "crv": "Ed25519", "alg": "EdDSA", "use": "sig", "kid": self.kid, "x": x}]})
            .to_string()
    }

    /// An access token (RFC 9068) for this user with these roles, valid from `now` on for the lifetime.
    ///
    /// # Errors
    /// The user's id is not 1 to 64 visible characters.
    pub fn issue(
        &self,
        audience: &str,
        user: &str,
        roles: Roles,
        lifetime: Duration,
        now: i64,
    ) -> Result<String, Why> {
        let user = identity::user(user).ok_or(Why::User)?;
        let from = now / SECOND;
        let roles: Vec<_> = roles.iter().map(|role| role.as_str()).collect();
        let claims = json!({
            "iss": Trusted::Local.name(), "aud": audience, "sub": &*user, "client_id": "boxoffice token",
            "iat": from, "exp": from.saturating_add_unsigned(lifetime.as_secs()), "jti": Uuid::new_v4(), "roles": roles,
        });
        Ok(self.sign(&json!({"alg": "EdDSA", "typ": "at+jwt", "kid": self.kid}), &claims))
    }

    fn sign(&self, header: &Value, claims: &Value) -> String {
        let [header, claims] = [header, claims].map(|part| BASE64.encode(part.to_string()));
        let signed = format!("{header}.{claims}");
        let signature = BASE64.encode(self.key.sign(signed.as_bytes()));
        format!("{signed}.{signature}")
    }
}

/// RFC 7638 and RFC 8037 (appendix A.3): the hash of the members that make the key what it is, in their
/// order.
fn thumbprint(public: &[u8]) -> String {
    let members = format!(r#"{{"crv":"Ed25519","kty":"OKP","x":"{}"}}"#, BASE64.encode(public));
    BASE64.encode(digest(&SHA256, members.as_bytes()))
}

fn parse(json: &[u8]) -> io::Result<Ed25519KeyPair> {
    #[derive(Deserialize)]
    struct Jwk {
        kty: String,
        crv: String,
        d: String,
        x: String,
    }
    // What serde or ring say of it might repeat some of it.
    let is_none = || io::Error::new(io::ErrorKind::InvalidData, "holds no Ed25519 key as a JWK");
    let jwk: Jwk = serde_json::from_slice(json).map_err(|_| is_none())?;
    if jwk.kty != "OKP" || jwk.crv != "Ed25519" {
        return Err(is_none());
    }
    let (Ok(seed), Ok(public)) = (BASE64.decode(jwk.d), BASE64.decode(jwk.x)) else { return Err(is_none()) };
    Ed25519KeyPair::from_seed_and_public_key(&seed, &public).map_err(|_| is_none())
}

/// Makes a key. It is written under another name first and then linked, which fails where another program was
/// faster: then that program's key is the one.
fn make(folder: &Path, path: &Path) -> io::Result<()> {
    DirBuilder::new().recursive(true).mode(0o700).create(folder)?;
    let partial = folder.join(format!("{FILE}.{}", Uuid::new_v4()));
    let made = write(&partial).and_then(|()| fs::hard_link(&partial, path));
    let _gone = fs::remove_file(&partial);
    match made {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(()),
        made => made.and_then(|()| File::open(folder)?.sync_all()),
    }
}

fn write(path: &Path) -> io::Result<()> {
    let mut seed = [0; 32];
    SystemRandom::new().fill(&mut seed).map_err(|_| io::Error::other("no randomness"))?;
    let key = Ed25519KeyPair::from_seed_unchecked(&seed).map_err(|_| io::Error::other("no key"))?;
    let (d, x) = (BASE64.encode(seed), BASE64.encode(key.public_key()));
    let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)?;
    writeln!(file, "{}", json!({"kty": "OKP", "crv": "Ed25519", "d": d, "x": x}))?;
    file.sync_all()
}

/// A key that others may read (a copy, a restored backup) is closed to them.
fn make_private(path: &Path) -> io::Result<()> {
    let permissions = fs::metadata(path)?.permissions();
    if permissions.mode() & 0o077 != 0 {
        fs::set_permissions(path, fs::Permissions::from_mode(0o600))?;
    }
    Ok(())
}

#[cfg(test)]
#[path = "local_tests.rs"]
mod tests;
