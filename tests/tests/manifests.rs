//! What a cluster, an image builder and `docker compose` are given must fit the programs. The reading is
//! Python's, for its schemas of every Kubernetes version: `tests/manifests`, which also runs by itself.
#![allow(clippy::unwrap_used, clippy::print_stderr, reason = "tests")]

use std::{env, path::Path, process::Command};

/// What the script ends with when the machine lacks what it needs.
const CANNOT: i32 = 77;

#[test]
fn manifests_image_and_compose_file_fit_the_programs() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
    let programs = tests::process::binary("edge");
    let ended = Command::new(root.join("tests/manifests")).arg(programs.parent().unwrap()).output().unwrap();
    let said = [ended.stdout, ended.stderr].map(|said| String::from_utf8_lossy(&said).into_owned()).concat();
    if ended.status.code() == Some(CANNOT) && env::var_os("CI").is_none() {
        eprintln!("SKIPPED: {said}");
        return;
    }
    assert!(ended.status.success(), "\n{said}");
}
