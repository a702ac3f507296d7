//! Tells the program which commit it is built from: `BOXOFFICE_COMMIT`, else what git says of this checkout, else nothing (a tarball).

use std::{env, path::Path, process::Command};

fn main() {
    println!("cargo:rerun-if-env-changed=BOXOFFICE_COMMIT");
    let commit = env::var("BOXOFFICE_COMMIT").ok().filter(|commit| !commit.is_empty()).or_else(checked_out);
    let version = env::var("CARGO_PKG_VERSION").unwrap_or_default();
    let version = commit.map_or_else(|| version.clone(), |commit| format!("{version} ({commit})"));
    println!("cargo:rustc-env=BOXOFFICE_VERSION={version}");
}

/// The commit of this very checkout: a tarball that was unpacked inside somebody else's repository must not take theirs.
fn checked_out() -> Option<String> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).ancestors().nth(2)?;
    let head = git(root, &["rev-parse", "--path-format=absolute", "--git-path", "logs/HEAD"])?;
    if git(root, &["rev-parse", "--show-prefix"]).is_some() {
        return None;
    }
    if Path::new(&head).exists() {
        // Every commit and checkout adds a line to it. A file that is not there would mean: build again every time.
        println!("cargo:rerun-if-changed={head}");
    }
    git(root, &["rev-parse", "--short=12", "HEAD"])
}

/// What git answers; `None` where it fails or says nothing.
fn git(root: &Path, args: &[&str]) -> Option<String> {
    let answer = Command::new("git").arg("-C").arg(root).args(args).output().ok().filter(|answer| answer.status.success())?;
    let text = String::from_utf8(answer.stdout).ok()?.trim().to_owned();
    Some(text).filter(|text| !text.is_empty())
}
