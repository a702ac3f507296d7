//! The text of `--version`: the version of the package and the commit that it is built from.
//!
//! This is a macro because a build script that follows the commit has its whole package, and whatever depends
//! on it, built again after every commit. The expansion of [`version!`] is tracked by the crate that uses it,
//! so only the `main.rs` of the programs are compiled again.

use std::{env, path::Path, process::Command};

use proc_macro::TokenStream;

/// The package's version as a string literal, such as `"0.1.0 (5a5522887139)"`. The commit is
/// `BOXOFFICE_COMMIT` of the build's environment (an image is built without its repository), else what git
/// says of this checkout, else left out (a tarball).
#[proc_macro]
pub fn version(_nothing: TokenStream) -> TokenStream {
    let version = env::var("CARGO_PKG_VERSION").unwrap_or_default();
    let given = env::var("BOXOFFICE_COMMIT").ok().filter(|commit| !commit.is_empty());
    let checkout = given.is_none().then(GitCheckout::of_this_crate).flatten();
    // Cargo compiles a crate again when a file has changed that the compiler read.
    let watched = checkout
        .as_ref()
        .map(|checkout| format!("const _: &[u8] = include_bytes!({:?});", checkout.moves_with));
    let told = match given.or(checkout.map(|checkout| checkout.commit)) {
        Some(commit) => format!("{version} ({commit})"),
        None => version,
    };
    let code = format!(
        "{{ const _: Option<&str> = option_env!(\"BOXOFFICE_COMMIT\"); {} {told:?} }}",
        watched.unwrap_or_default()
    );
    code.parse().unwrap_or_default()
}

struct GitCheckout {
    commit: String,
    /// A file that changes with every commit and checkout.
    moves_with: String,
}

impl GitCheckout {
    /// The checkout of this very source; `None` for a tarball that was unpacked inside somebody else's
    /// repository.
    fn of_this_crate() -> Option<Self> {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).ancestors().nth(2)?;
        if git(root, &["rev-parse", "--show-prefix"]).is_some() {
            return None;
        }
        let commit = git(root, &["rev-parse", "--short=12", "HEAD"])?;
        let path = |name| {
            git(root, &["rev-parse", "--path-format=absolute", "--git-path", name])
                .filter(|path| Path::new(path).is_file())
        };
        Some(Self { commit, moves_with: path("logs/HEAD").or_else(|| path("HEAD"))? })
    }
}

/// What git answers; `None` where it fails or says nothing.
fn git(root: &Path, args: &[&str]) -> Option<String> {
    let answer = Command::new("git")
        .arg("-C")
        .arg(root)
        .args(args)
        .output()
        .ok()
        .filter(|answer| answer.status.success())?;
    let text = String::from_utf8(answer.stdout).ok()?.trim().to_owned();
    Some(text).filter(|text| !text.is_empty())
}
