//! Bearer tokens of issuers that others wrote: a certified OpenID provider, npm's jose and PyJWT
//! (`tests/access`), verified by what our doors verify with.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::print_stderr, reason = "tests")]

use std::{
    env, fs,
    path::{Path, PathBuf},
    process::Stdio,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use access::{Access, AccessArgs, Error, Jwks, Role, Switch, Trusted, Way, Why};
use chassis::clock::{Clock, SECOND};
use serde_json::Value;
use tempfile::TempDir;
use tests::patience::{Patience, timeout};
use tokio::{
    io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader, Lines},
    process::{Child, ChildStdin, ChildStdout, Command},
    task::JoinSet,
};
use tokio_util::sync::CancellationToken;

const ALGORITHMS: [&str; 4] = ["EdDSA", "ES256", "RS256", "PS256"];
/// What a script ends with when the machine lacks what it needs.
const CANNOT: i32 = 77;
/// What an issuer takes for anything; at its first start packages are fetched.
const WITHIN: Duration = Duration::from_secs(30);
/// The client's name at the provider, which its tokens have as their user.
const CLIENT: &str = "box-office-window";

fn script() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("access/run")
}

fn issuer(words: &[&str]) -> Command {
    let mut command = Command::new(script());
    command.args(words).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    command
}

/// What may be lacking here, and not where everything can be had.
fn cannot(code: Option<i32>, said: &str) -> bool {
    let is_lacking = code == Some(CANNOT) && env::var_os("CI").is_none();
    if is_lacking {
        eprintln!("SKIPPED: {said}");
    }
    is_lacking
}

async fn open(trusted: &str, jwks: Option<Jwks>, roles_claim: &str) -> Access {
    let args = AccessArgs {
        self_charge: Switch(true),
        docs: None,
        auth_issuer: Some(Trusted::Url(trusted.to_owned())),
        auth_audience: "boxoffice".to_owned(),
        auth_jwks: jwks,
        auth_user_claim: "sub".to_owned(),
        auth_roles_claim: roles_claim.to_owned(),
        insecure_open: false,
    };
    let Way::Secured(secured) = args.way(&[]).unwrap() else { panic!("an issuer is named") };
    Access::open(secured, Path::new("unused"), Clock::system()).await.unwrap()
}

async fn user(access: &Access, token: &str) -> Result<String, Error> {
    let now = Clock::system().now();
    access.authenticate(Some(&format!("Bearer {token}")), now).await.map(|identity| identity.user.to_string())
}

/// Every case of a library: accepted for its user, or refused with its word.
async fn judge(library: &str) {
    let ended =
        timeout(WITHIN, issuer(&[library]).output()).await.unwrap_or_else(|late| panic!("{late}")).unwrap();
    let said = String::from_utf8_lossy(&ended.stderr);
    if cannot(ended.status.code(), &said) {
        return;
    }
    let cases: Vec<Value> =
        serde_json::from_slice(&ended.stdout).unwrap_or_else(|error| panic!("{error}: {said}"));
    assert!(cases.len() > 30, "{library}: {}", cases.len());
    let folder = TempDir::with_prefix("issuers-").unwrap();
    for case in cases {
        let file = folder.path().join("jwks.json");
        fs::write(&file, case["keys"].to_string()).unwrap();
        let access = open("https://id.example", Some(Jwks::File(file)), "roles").await;
        let (access, _refreshing) = refreshed(access);
        let told = match user(&access, case["token"].as_str().unwrap()).await {
            Ok(user) => user,
            Err(Error::CredentialsInvalid(why)) => why.word().to_owned(),
            Err(other) => panic!("{library}: {}: {other}", case["name"]),
        };
        assert_eq!(told, case["expected"], "{library}: {}", case["name"]);
    }
}

#[tokio::test]
async fn tokens_of_jose_are_judged_as_they_should_be() {
    judge("jose").await;
}

#[tokio::test]
async fn tokens_of_pyjwt_are_judged_as_they_should_be() {
    judge("pyjwt").await;
}

/// The OpenID provider, and its keys as we have them.
struct Provider {
    child: Child,
    commands: ChildStdin,
    answers: Lines<BufReader<ChildStdout>>,
    url: String,
}

impl Provider {
    /// `None` where it cannot be had.
    async fn start() -> Option<Self> {
        Self::with(&["provider"]).await
    }

    async fn with(words: &[&str]) -> Option<Self> {
        let mut child = issuer(words).spawn().unwrap();
        let commands = child.stdin.take().unwrap();
        let mut answers = BufReader::new(child.stdout.take().unwrap()).lines();
        let told =
            timeout(WITHIN, answers.next_line()).await.unwrap_or_else(|late| panic!("{late}")).unwrap();
        let Some(told) = told else {
            let ended = child.wait_with_output().await.unwrap();
            let said = String::from_utf8_lossy(&ended.stderr);
            assert!(cannot(ended.status.code(), &said), "{said}");
            return None;
        };
        // What it says besides is warnings about itself, as many as it likes.
        let mut said = child.stderr.take().unwrap();
        tokio::spawn(async move { tokio::io::copy(&mut said, &mut tokio::io::sink()).await });
        Some(Self { child, commands, answers, url: serde_json::from_str(&told).unwrap() })
    }

    async fn told(&mut self, command: &str) -> String {
        self.commands.write_all(format!("{command}\n").as_bytes()).await.unwrap();
        let answer = timeout(WITHIN, self.answers.next_line()).await.unwrap_or_else(|late| panic!("{late}"));
        serde_json::from_str(&answer.unwrap().expect("it answers")).unwrap()
    }

    async fn tokens(&mut self) -> Vec<String> {
        let mut tokens = Vec::new();
        for algorithm in ALGORITHMS {
            tokens.push(self.told(&format!("token {algorithm}")).await);
        }
        tokens
    }

    /// Ends it.
    async fn stop(mut self) {
        drop(self.commands);
        let ended = timeout(WITHIN, self.child.wait()).await.unwrap_or_else(|late| panic!("{late}"));
        assert!(ended.unwrap().success());
    }
}

/// Ends with the test.
struct Refreshing(CancellationToken);

impl Drop for Refreshing {
    fn drop(&mut self) {
        self.0.cancel();
    }
}

fn refreshed(access: Access) -> (Arc<Access>, Refreshing) {
    let (access, stop) = (Arc::new(access), CancellationToken::new());
    tokio::spawn({
        let (access, stop) = (Arc::clone(&access), stop.clone());
        async move { access.run_until(stop).await }
    });
    (access, Refreshing(stop))
}

#[tokio::test]
async fn an_openid_provider_is_found_by_its_name_and_its_tokens_say_who_calls() {
    let Some(mut provider) = Provider::start().await else { return };
    for (path, role) in [("realm_access.roles", Role::Operator), ("scope", Role::Support)] {
        let access = open(&provider.url, None, path).await;
        assert!(access.is_ready());
        for token in provider.tokens().await {
            let now = Clock::system().now();
            let identity = access.authenticate(Some(&format!("Bearer {token}")), now).await.unwrap();
            assert_eq!(identity.roles.iter().collect::<Vec<_>>(), [role]);
            assert_eq!((&*identity.user, identity.priority), (CLIENT, Some(2)));
            assert!(identity.expires_at > now + 2 * 3_600 * SECOND);
        }
    }
    // Its keys under the name of another issuer are nobody's.
    let jwks = Jwks::Url(format!("{}/jwks", provider.url).parse().unwrap());
    let other = open("https://id.example", Some(jwks), "roles").await;
    let token = provider.told("token ES256").await;
    assert_eq!(user(&other, &token).await, Err(Why::Issuer.into()));
    provider.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn keys_change_without_one_good_token_refused() {
    let Some(mut provider) = Provider::start().await else { return };
    let (access, _refreshing) = refreshed(open(&provider.url, None, "roles").await);
    let first = provider.tokens().await;
    let (stop, count) = (CancellationToken::new(), Arc::new(AtomicUsize::new(0)));
    let mut callers = JoinSet::new();
    for token in first.clone() {
        let (access, stop, count) = (Arc::clone(&access), stop.clone(), Arc::clone(&count));
        callers.spawn(async move {
            while !stop.is_cancelled() {
                assert_eq!(user(&access, &token).await.as_deref(), Ok(CLIENT));
                count.fetch_add(1, Ordering::Relaxed);
                tokio::task::yield_now().await;
            }
        });
    }
    for _ in 0..5 {
        assert_eq!(provider.told("rotate").await, "done");
        // Each by many at once, the very first callers with keys that nobody here has seen.
        for token in provider.tokens().await {
            let mut crowd = JoinSet::new();
            for _ in 0..20 {
                let (access, token) = (Arc::clone(&access), token.clone());
                crowd.spawn(async move { user(&access, &token).await });
            }
            while let Some(told) = crowd.join_next().await {
                assert_eq!(told.unwrap().as_deref(), Ok(CLIENT));
            }
        }
    }
    stop.cancel();
    while let Some(ended) = callers.join_next().await {
        ended.unwrap();
    }
    assert!(count.load(Ordering::Relaxed) > 100);
    // What was taken back counts no more as soon as that is known.
    assert_eq!(provider.told("rotate").await, "done");
    assert_eq!(provider.told("retire").await, "done");
    for token in provider.tokens().await {
        assert_eq!(user(&access, &token).await.as_deref(), Ok(CLIENT));
    }
    for token in first {
        assert_eq!(user(&access, &token).await, Err(Why::UnknownKey.into()));
    }
    provider.stop().await;
}

#[tokio::test]
async fn a_provider_that_is_away_is_not_felt_and_one_that_was_never_there_is_waited_for() {
    let Some(mut provider) = Provider::start().await else { return };
    let (access, _refreshing) = refreshed(open(&provider.url, None, "roles").await);
    let (seen, unseen) = (provider.tokens().await, provider.tokens().await);
    for token in &seen {
        assert_eq!(user(&access, token).await.as_deref(), Ok(CLIENT));
    }
    assert_eq!(provider.told("away").await, "done");
    let later = Clock::system().now() + 3_600 * SECOND;
    for token in seen.iter().chain(&unseen) {
        let identity = access.authenticate(Some(&format!("Bearer {token}")), later).await.unwrap();
        assert_eq!(&*identity.user, CLIENT);
    }
    let (newcomer, _newcomer_refreshing) = refreshed(open(&provider.url, None, "roles").await);
    assert!(!newcomer.is_ready());
    assert_eq!(user(&newcomer, &seen[0]).await, Err(Error::NotReady));
    assert_eq!(provider.told("back").await, "done");
    let patience = Patience::new(WITHIN);
    while !newcomer.is_ready() {
        assert!(!patience.is_over(), "not ready {patience}");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    assert_eq!(user(&newcomer, &seen[0]).await.as_deref(), Ok(CLIENT));
    provider.stop().await;
}

/// Names the provider to this very test as a process that trusts other authorities.
const TLS_ISSUER: &str = "TEST_TLS_ISSUER";

/// Whom a process trusts it learns from its environment, so each case is a process: this test once more.
#[tokio::test]
async fn a_provider_by_tls_is_one_whose_authority_is_trusted() {
    if let Ok(url) = env::var(TLS_ISSUER) {
        assert!(open(&url, None, "roles").await.is_ready());
        return;
    }
    let folders = [(); 2].map(|()| TempDir::with_prefix("issuers-").unwrap());
    let [trusted, other] = folders.each_ref().map(|folder| folder.path().to_str().unwrap());
    for folder in [trusted, other] {
        let made = timeout(WITHIN, issuer(&["certificates", folder]).output()).await;
        let made = made.unwrap_or_else(|late| panic!("{late}")).unwrap();
        let said = String::from_utf8_lossy(&made.stderr);
        if cannot(made.status.code(), &said) {
            return;
        }
        assert!(made.status.success(), "{said}");
    }
    let Some(provider) = Provider::with(&["provider", &format!("{trusted}/server.pem")]).await else {
        return;
    };
    assert!(provider.url.starts_with("https://"));
    for (authority, is_trusted) in [(trusted, true), (other, false)] {
        let mut once_more = Command::new(env::current_exe().unwrap());
        once_more.args(["--exact", "a_provider_by_tls_is_one_whose_authority_is_trusted"]);
        once_more.env("SSL_CERT_FILE", format!("{authority}/authority.pem")).env(TLS_ISSUER, &provider.url);
        let ended =
            timeout(WITHIN, once_more.output()).await.unwrap_or_else(|late| panic!("{late}")).unwrap();
        let said = [ended.stdout, ended.stderr].concat();
        assert_eq!(ended.status.success(), is_trusted, "{}", String::from_utf8_lossy(&said));
        assert!(String::from_utf8_lossy(&said).contains("running 1 test"));
    }
    provider.stop().await;
}
