//! `boxoffice token`: what it prints is a token that the local issuer's mesh accepts, and nothing else.

use std::{fs, os::unix::fs::PermissionsExt as _, path::Path};

use access::{Access, AccessArgs, Error, Role, Switch, Trusted, Way, Why};
use chassis::clock::{Clock, SECOND};

use crate::{Ended, Run, binary};

/// A command in a folder that outlives it.
fn run(folder: &Path, words: &[&str]) -> Ended {
    let mut run = Run::of(binary("boxoffice")).args(&[&["token"], words].concat());
    run.command.current_dir(folder).env("USER", "whoever-is-logged-in");
    run.end()
}

/// What the mesh on that folder would say to it.
async fn accepted(data: &Path, token: &str, later: i64) -> Result<(String, Vec<Role>), Error> {
    let args = AccessArgs {
        self_charge: Switch(true),
        docs: None,
        auth_issuer: Some(Trusted::Local),
        auth_audience: "boxoffice".to_owned(),
        auth_jwks: None,
        auth_user_claim: "sub".to_owned(),
        auth_roles_claim: "roles".to_owned(),
        insecure_open: false,
    };
    let Way::Secured(secured) = args.way(&[]).unwrap() else { panic!("an issuer is named") };
    let access = Access::open(secured, data, Clock::system()).await.unwrap();
    let now = Clock::system().now() + later;
    let identity = access.authenticate(Some(&format!("Bearer {token}")), now).await?;
    Ok((identity.user.to_string(), identity.roles.iter().collect()))
}

#[tokio::test]
async fn a_token_is_printed_alone_and_the_mesh_need_not_run() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data");
    let token = |words: &[&str]| {
        let Ended { code, out, err } = run(folder.path(), words);
        assert_eq!((code, err.as_str()), (Some(0), ""), "{words:?}");
        let token = out.strip_suffix('\n').unwrap_or_else(|| panic!("{out:?}")).to_owned();
        assert!(!token.contains(char::is_whitespace) && token.split('.').count() == 3, "{token:?}");
        token
    };
    let ann = token(&["--user", "ann"]);
    assert_eq!(accepted(&data, &ann, 0).await, Ok(("ann".to_owned(), Vec::new())));
    assert_eq!(accepted(&data, &ann, 3_700 * SECOND).await, Err(Why::Expired.into()));
    let root = token(&["--user", "root", "--role", "operator,support", "--role", "cashier", "--for", "2h"]);
    assert_eq!(accepted(&data, &root, 3_700 * SECOND).await, Ok(("root".to_owned(), Role::ALL.to_vec())));
    let elsewhere = token(&["--user", "ann", "--data-dir", "elsewhere"]);
    assert_eq!(accepted(&data, &elsewhere, 0).await, Err(Why::UnknownKey.into()));
    let for_others = token(&["--user", "ann", "--auth-audience", "others"]);
    assert_eq!(accepted(&data, &for_others, 0).await, Err(Why::Audience.into()));
    let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!((mode(&data), mode(&data.join("issuer.jwk"))), (0o700, 0o600));
}

#[test]
fn a_token_that_cannot_be_made_is_told() {
    let folder = tempfile::tempdir().unwrap();
    for (words, told) in [
        // Nobody gets a token for who happens to be logged in.
        (&[][..], "--user"),
        (&["--user", "ann lee"], "--user"),
        (&["--user", ""], "--user"),
        (&["--user", "ann", "--role", "admin"], "operator, cashier, support"),
        (&["--user", "ann", "--for", "soon"], "--for"),
        (&["--user", "ann", "--auth-audience", ""], "--auth-audience"),
    ] {
        let Ended { code, out, err } = run(folder.path(), words);
        assert_eq!((code, out.as_str()), (Some(2), ""), "{words:?}");
        assert!(err.contains(told), "{words:?}: {err}");
    }
    fs::create_dir_all(folder.path().join("data")).unwrap();
    fs::write(folder.path().join("data/issuer.jwk"), "hunter2").unwrap();
    let Ended { code, out, err } = run(folder.path(), &["--user", "ann"]);
    assert_eq!((code, out.as_str()), (Some(1), ""));
    assert!(err.contains("issuer.jwk") && !err.contains("hunter2"), "{err}");
    let help = run(folder.path(), &["--help"]);
    assert!(
        help.code == Some(0) && help.out.contains("Exit codes:") && help.out.contains("Examples:"),
        "{help:?}"
    );
}
