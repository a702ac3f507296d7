//! The five programs as somebody meets them in a terminal: help, versions, completions, colours, wrong
//! settings and exit codes.
#![allow(clippy::unwrap_used, reason = "tests")]

mod addresses;
mod files;
mod pipes;
mod terminals;
mod token;

use std::{
    collections::BTreeSet,
    ffi::OsStr,
    fs,
    io::{BufRead, BufReader},
    iter,
    os::unix::ffi::OsStrExt,
    path::Path,
    process::{Child, Command, Stdio},
    sync::mpsc::{self, RecvTimeoutError},
    time::Duration,
};

use tempfile::TempDir;
use tests::{mesh::SERVICES, patience::Patience, process::binary};

/// The commands of the launcher besides the one that starts the mesh. `token` is told what it does each time
/// anew, and not by variables: see there.
const COMMANDS: [&str; 3] = ["audit", "backup", "demo"];
/// What is said by being there.
const SWITCHES: [&str; 2] = ["--migrate-only", "--direct-calls"];
/// What any text may be: a folder, or a word that an issuer of tokens uses.
const TEXTS: [&str; 5] =
    ["--data-dir", "--out", "--auth-audience", "--auth-user-claim", "--auth-roles-claim"];
const WITHIN: Duration = Duration::from_secs(30);
/// How long to listen before asking whether to give up.
const LISTEN: Duration = Duration::from_millis(50);

/// All programs: the launcher and the services.
fn programs() -> impl Iterator<Item = &'static str> {
    iter::once("boxoffice").chain(SERVICES)
}

/// What can be told something: the programs, and the launcher's commands.
fn commands() -> impl Iterator<Item = Vec<&'static str>> {
    let launcher = COMMANDS.map(|command| vec!["boxoffice", command]);
    programs().map(|program| vec![program]).chain(launcher)
}

/// How a program ended, and what it said.
#[derive(Debug)]
struct Ended {
    code: Option<i32>,
    out: String,
    err: String,
}

/// A command in an empty environment and folder; its addresses are free ones.
struct Run {
    command: Command,
    folder: TempDir,
}

impl Run {
    fn of(program: impl AsRef<OsStr>) -> Self {
        let folder = TempDir::with_prefix("command-").unwrap();
        let mut command = Command::new(program);
        command
            .env_clear()
            .env("PATH", std::env::var_os("PATH").unwrap_or_default())
            .current_dir(folder.path());
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        for address in
            ["ADDR", "HTTP_ADDR", "REST_ADDR", "GRPC_ADDR", "QUEUE_ADDR", "BOOKING_ADDR", "WALLET_ADDR"]
        {
            command.env(address, "127.0.0.1:0");
        }
        Self { command, folder }
    }

    fn args(mut self, args: &[&str]) -> Self {
        self.command.args(args);
        self
    }

    fn env(mut self, name: &str, value: &str) -> Self {
        self.command.env(name, value);
        self
    }

    fn start(mut self) -> (Child, TempDir) {
        (self.command.spawn().unwrap(), self.folder)
    }

    fn end(self) -> Ended {
        let (child, _folder) = self.start();
        ended(child)
    }
}

/// Waits for its end; one that does not end is killed, and has no exit code.
fn ended(child: Child) -> Ended {
    let id = child.id().to_string();
    let (tell, told) = mpsc::channel::<()>();
    std::thread::spawn(move || {
        let patience = Patience::new(WITHIN);
        while told.recv_timeout(LISTEN) == Err(RecvTimeoutError::Timeout) {
            if !patience.is_over() {
                continue;
            }
            let _gone = Command::new("sh").args(["-c", &format!("kill -s KILL {id}")]).status();
        }
    });
    let output = child.wait_with_output().unwrap();
    drop(tell);
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    Ended { code: output.status.code(), out: text(&output.stdout), err: text(&output.stderr) }
}

/// Asks it to finish.
fn terminate(child: &Child) {
    let _asked = Command::new("sh").args(["-c", &format!("kill -s TERM {}", child.id())]).status();
}

fn program(name: &str, args: &[&str]) -> Ended {
    Run::of(binary(name)).args(args).end()
}

/// Long flags and their variables, as `--help` tells them.
fn settings(command: &[&str]) -> Vec<(String, Option<String>)> {
    let help = program(command[0], &[&command[1..], &["--help"]].concat()).out;
    let mut found: Vec<(String, Option<String>)> = Vec::new();
    // Examples may begin a line with a flag.
    let (flags, _) = help.split_once("Exit codes:").unwrap_or_else(|| panic!("{command:?}: {help}"));
    for line in flags.lines().map(str::trim) {
        if let Some(flag) =
            line.split([' ', ',']).find(|word| word.starts_with("--")).filter(|_| line.starts_with('-'))
        {
            found.push((flag.to_owned(), None));
        }
        if let (Some((_, variable)), Some(last)) = (line.split_once("[env: "), found.last_mut()) {
            last.1 = Some(variable.split(['=', ']']).next().unwrap_or_default().to_owned());
        }
    }
    found
}

#[test]
fn every_program_tells_its_version_and_the_commit_that_it_is_built_from() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
    let git = |args: &[&str]| {
        let told = Command::new("git")
            .arg("-C")
            .arg(root)
            .args(args)
            .output()
            .ok()
            .filter(|told| told.status.success());
        told.map(|told| String::from_utf8_lossy(&told.stdout).trim().to_owned())
    };
    // A tarball inside of somebody else's repository has no commit of its own.
    let head = git(&["rev-parse", "--show-prefix"])
        .filter(String::is_empty)
        .and_then(|_| git(&["rev-parse", "HEAD"]));
    for name in programs() {
        let Ended { code, out, err } = program(name, &["--version"]);
        assert_eq!((code, err.as_str()), (Some(0), ""), "{name}");
        let told = out
            .trim()
            .strip_prefix(&format!("{name} {}", env!("CARGO_PKG_VERSION")))
            .unwrap_or_else(|| panic!("{out}"));
        let Some(head) = &head else { continue };
        let commit = told
            .strip_prefix(" (")
            .and_then(|told| told.strip_suffix(')'))
            .unwrap_or_else(|| panic!("{out}"));
        if std::env::var_os("BOXOFFICE_COMMIT").is_some() {
            continue;
        }
        // Somebody may commit between the build and this test; then it is a commit from before.
        let built = fs::metadata(binary(name)).and_then(|file| file.modified()).unwrap();
        let moved = fs::metadata(root.join(".git/logs/HEAD"))
            .and_then(|file| file.modified())
            .is_ok_and(|moved| moved > built);
        assert!(head.starts_with(commit) || moved, "{name} is built from {commit}, not from {head}");
        assert_eq!(git(&["cat-file", "-t", commit]).as_deref(), Some("commit"), "{name}: {commit}");
    }
}

#[test]
fn help_teaches_exit_codes_environment_and_examples_that_are_real() {
    for name in programs() {
        let (short, long) = (program(name, &["-h"]), program(name, &["--help"]));
        assert_eq!((short.code, long.code), (Some(0), Some(0)), "{name}");
        assert!(
            short.out.len() < long.out.len() && short.out.contains("Exit codes: 0 "),
            "{name}: {}",
            short.out
        );
        for words in
            ["Usage: ", "Exit codes:\n  0 ", "\n  1 ", "\n  2 ", "RUST_LOG", "NO_COLOR", "Examples:\n"]
        {
            assert!(long.out.contains(words), "{name} --help does not say {words:?}");
        }
        let known: BTreeSet<String> = settings(&[name]).into_iter().map(|(flag, _)| flag).collect();
        let (_, examples) = long.out.split_once("Examples:\n").unwrap();
        let lines: Vec<&str> = examples.lines().map(str::trim).filter(|line| !line.is_empty()).collect();
        assert!(
            lines.len() >= 3 && lines.iter().filter(|line| line.starts_with(name)).count() >= 3,
            "{name}: {examples}"
        );
        for flag in lines
            .iter()
            .filter(|line| line.starts_with(name))
            .flat_map(|line| line.split(' '))
            .filter(|word| word.starts_with("--"))
        {
            assert!(known.contains(flag), "{name} --help shows {flag}, which there is not");
        }
    }
}

#[test]
fn every_flag_is_also_a_variable() {
    for command in commands() {
        let settings = settings(&command);
        for (flag, variable) in settings.iter().filter(|(flag, _)| flag != "--help" && flag != "--version") {
            let expected = flag[2..].to_uppercase().replace('-', "_");
            assert_eq!(variable.as_deref(), Some(expected.as_str()), "{command:?} {flag}");
        }
        assert!(settings.len() > 1, "{command:?}: {settings:?}");
    }
}

/// What a deployment template makes of a value that is missing.
#[test]
fn a_variable_that_is_set_but_empty_counts_as_not_set() {
    for command in commands() {
        // Nothing is read, served or changed: with four files there is no runtime. Exit code and words tell
        // that it came so far.
        let run = || {
            // What a command cannot do without.
            let needed = if command[1..] == ["backup"] { " --out nowhere" } else { "" };
            let words = format!(
                "ulimit -n 4; exec {} {}{needed}",
                binary(command[0]).display(),
                command[1..].join(" ")
            );
            let mut run = Run::of("sh").args(&["-c", &words]);
            run.command.env_clear();
            run
        };
        let unset = run().end();
        let so_far = if command[1..] == ["backup"] { "there is no file" } else { "Too many open files" };
        assert!(unset.err.contains(so_far), "{command:?}: {unset:?}");
        let variables: Vec<String> =
            settings(&command).into_iter().filter_map(|(_, variable)| variable).collect();
        assert!(!variables.is_empty(), "{command:?}");
        for variable in variables.iter().map(String::as_str).chain(["RUST_LOG", "NO_COLOR"]) {
            let empty = run().env(variable, "").end();
            assert_eq!(
                (empty.code, empty.out, empty.err),
                (unset.code, unset.out.clone(), unset.err.clone()),
                "{command:?} {variable}"
            );
        }
        // And help goes on to name them.
        let help = Run::of(binary(command[0])).args(&[&command[1..], &["--help"]].concat());
        let help = variables.iter().fold(help, |help, variable| help.env(variable, "")).end();
        for variable in &variables {
            assert!(
                help.code == Some(0) && help.out.contains(&format!("[env: {variable}")),
                "{command:?} {variable}: {help:?}"
            );
        }
    }
    for name in SERVICES {
        let variables = settings(&[name])
            .into_iter()
            .filter_map(|(_, variable)| variable)
            .filter(|name| name != "MIGRATE_ONLY");
        let migrate = variables
            .chain(["RUST_LOG".to_owned()])
            .fold(Run::of(binary(name)), |run, variable| run.env(&variable, ""));
        let (child, folder) = migrate.args(&["--migrate-only"]).start();
        let told = ended(child);
        let file = folder.path().join(format!("data/{}.db", name.trim_end_matches("-svc")));
        assert!(told.code == Some(0) && file.is_file(), "{name}: {told:?}");
        assert!(
            told.err.contains("the database is up to date"),
            "{name} logs as if RUST_LOG were not set: {told:?}"
        );
    }
}

#[test]
fn json_logs_are_nothing_but_json_and_name_where_everything_is() {
    let (mut child, _folder) = Run::of(binary("boxoffice")).args(&["--log-format", "json"]).start();
    let mut told = BufReader::new(child.stderr.take().unwrap()).lines();
    let welcome = told.find_map(|line| {
        let line: serde_json::Value = serde_json::from_str(&line.unwrap()).expect("a JSON object a line");
        (line["message"] == "boxoffice is open").then_some(line)
    });
    let welcome = welcome.expect("it says that it is open");
    for name in ["rest_addr", "grpc_addr", "queue_addr", "booking_addr", "wallet_addr"] {
        assert!(
            welcome[name].as_str().is_some_and(|address| address.starts_with("127.0.0.1:")),
            "{name}: {welcome}"
        );
    }
    assert!(
        welcome["timestamp"].is_string() && welcome["level"] == "INFO" && welcome["place"].is_string(),
        "{welcome}"
    );
    terminate(&child);
    for line in told.map(Result::unwrap) {
        let _object: serde_json::Map<_, _> =
            serde_json::from_str(&line).unwrap_or_else(|error| panic!("{error}: {line}"));
    }
    let ended = ended(child);
    assert_eq!((ended.code, ended.out.as_str()), (Some(0), ""));
}

#[expect(
    clippy::disallowed_methods,
    reason = "a look at another process, and no runtime here that it would hold up"
)]
fn pause(span: Duration) {
    std::thread::sleep(span);
}

#[test]
fn a_wrong_value_is_told_with_flag_and_variable_and_exit_code_2() {
    for command in commands() {
        let run = |more: &[&str]| Run::of(binary(command[0])).args(&[&command[1..], more].concat());
        let mut tried = 0;
        for (flag, variable) in settings(&command) {
            let Some(variable) = variable.filter(|_| !TEXTS.contains(&flag.as_str())) else {
                continue;
            };
            let set = run(&[]).env(&variable, "?!").end();
            assert_eq!(set.code, Some(2), "{command:?} with {variable}: {set:?}");
            assert!(
                set.err.contains(&flag) && set.err.contains(&variable),
                "{command:?} with {variable}: {}",
                set.err
            );
            tried += 1;
            if !SWITCHES.contains(&flag.as_str()) {
                let typed = run(&[flag.as_str(), "?!"]).end();
                assert!(typed.code == Some(2) && typed.err.contains(&flag), "{command:?} {flag}: {typed:?}");
            }
        }
        let least = if command.len() == 1 { 5 } else { 1 };
        assert!(tried >= least, "{command:?}: only {tried} settings were found");
        let unknown = run(&["--hold-ttle", "5m"]).end();
        assert!(unknown.code == Some(2) && unknown.err.contains("--hold-ttle"), "{unknown:?}");
    }
}

#[test]
fn the_pages_are_on_or_off() {
    for name in ["boxoffice", "edge"] {
        let refused = Run::of(binary(name)).args(&["--pages", "maybe"]).end();
        assert_eq!(refused.code, Some(2), "{name}: {refused:?}");
        assert!(
            refused.err.contains("--pages") && refused.err.contains("on or off"),
            "{name}: {}",
            refused.err
        );
    }
}

#[test]
fn only_a_currency_of_the_list_that_has_a_minor_unit_is_taken() {
    for name in ["boxoffice", "booking-svc", "wallet-svc"] {
        for wrong in ["KRX", "ZZZ", "XAU", "eur"] {
            let refused = Run::of(binary(name)).args(&["--currency", wrong]).end();
            assert_eq!(refused.code, Some(2), "{name} {wrong}: {refused:?}");
            assert!(
                refused.err.contains("ISO 4217") && refused.err.contains("--currency"),
                "{name}: {}",
                refused.err
            );
        }
    }
}

#[test]
fn an_address_that_a_command_cannot_use_is_told_with_flag_and_variable_and_without_its_password() {
    let apart =
        ["--queue-database-url", "--booking-database-url", "--wallet-database-url", "--edge-database-url"];
    let audited = apart.into_iter().chain(["--database-url"]);
    let databases = audited.flat_map(|flag| {
        ["mysql://me:secret@db/x", "postgres://me:secret@db:port/x"].map(|url| ("audit", flag, url))
    });
    let asked = ["no address", "https://tickets.example", "http://"].map(|url| ("demo", "--rest-addr", url));
    for (command, flag, url) in databases.chain(asked) {
        let variable = flag[2..].to_uppercase().replace('-', "_");
        let typed = program("boxoffice", &[command, flag, url]);
        let set = Run::of(binary("boxoffice")).args(&[command]).env(&variable, url).end();
        for Ended { code, out, err } in [typed, set] {
            assert_eq!((code, out.as_str()), (Some(2), ""), "{command} {flag} {url}: {err}");
            assert!(err.contains(flag) && err.contains(&variable), "{command} {flag} {url}: {err}");
            assert!(!err.contains("secret"), "{command} {flag}: {err}");
        }
    }
}

#[test]
fn words_that_are_no_utf_8_are_refused_like_other_wrong_ones() {
    for name in programs() {
        for word in [&b"--no-such-\xff"[..], b"\xff"] {
            let mut run = Run::of(binary(name));
            run.command.arg(OsStr::from_bytes(word));
            let told = run.end();
            assert!(told.code == Some(2) && told.err.contains("error: "), "{name}: {told:?}");
        }
    }
}

#[test]
fn a_password_is_not_told_with_a_wrong_url() {
    for name in programs() {
        let Ended { code, out, err } =
            Run::of(binary(name)).env("DATABASE_URL", "postgress://me:secret@db/x").end();
        assert!(
            code == Some(2) && err.contains("DATABASE_URL") && !format!("{out}{err}").contains("secret"),
            "{name}: {err}"
        );
        let away = Run::of(binary(name)).env("DATABASE_URL", "postgres://me:secret@127.0.0.1:1/x").end();
        assert!(
            away.code == Some(1) && away.err.contains("127.0.0.1:1/x") && !away.err.contains("secret"),
            "{name}: {away:?}"
        );
        assert!(away.err.contains("refused"), "{name} says why: {}", away.err);
    }
}

#[test]
fn commands_that_are_not_there_are_refused() {
    let refused = |name: &str, args: &[&str]| {
        let told = program(name, args);
        assert!(
            told.code == Some(2) && told.err.contains("error: ") && told.err.contains("--help"),
            "{name} {args:?}: {told:?}"
        );
    };
    for args in [&["dmeo"][..], &["audit", "--no-such-flag"], &["demo", "--rest-addr"]] {
        refused("boxoffice", args);
    }
    for name in programs() {
        refused(name, &["completions", "tcsh"]);
        refused(name, &["completions"]);
    }
    assert!(program("boxoffice", &["dmeo"]).err.contains("demo"), "a slip is guessed");
}

#[test]
fn programs_that_start_together_on_one_fresh_file_all_come_up() {
    for name in SERVICES {
        let folder = TempDir::with_prefix("together-").unwrap();
        let url = format!("sqlite:{}", folder.path().join("rows.db").display());
        let run = || Run::of(binary(name)).args(&["--migrate-only", "--database-url", &url]);
        let started: Vec<_> = (0..5).map(|_| run().start()).collect();
        for (child, _folder) in started {
            let ended = ended(child);
            assert_eq!(ended.code, Some(0), "{name}: {}", ended.err);
        }
    }
}
