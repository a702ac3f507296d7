//! The README's tour, run as it stands there: every `$ ` line of its `console` blocks goes through one shell
//! against a fresh mesh, and what comes back must be what the README shows, but for ids, times and the like.
//!
//! `TOUR=write cargo test -p tests --test tour` writes the real output into the README instead.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "tests")]

use std::{
    env, fs,
    io::{BufRead, BufReader, Write},
    net::TcpListener,
    path::{Path, PathBuf},
    process::{Child, ChildStdin, Command, Stdio},
    sync::mpsc::{self, Receiver, RecvTimeoutError},
    time::Duration,
};

use tests::{
    patience::Patience,
    process::{Process, Program, binary},
};

const END: &str = "---end-of-answer---";
const ANSWER_WITHIN: Duration = Duration::from_secs(30);
/// How long to listen before asking whether to give up.
const LISTEN: Duration = Duration::from_millis(200);
/// The default address of each flag, as the README writes it.
const ADDRESSES: [(&str, &str); 5] = [
    ("--rest-addr", "127.0.0.1:24000"),
    ("--queue-addr", "127.0.0.1:24031"),
    ("--grpc-addr", "127.0.0.1:24051"),
    ("--booking-addr", "127.0.0.1:24071"),
    ("--wallet-addr", "127.0.0.1:24081"),
];

#[test]
fn every_line_of_the_tour_is_real_output() {
    let readme = root().join("README.md");
    let text = fs::read_to_string(&readme).unwrap();
    let mut tour = Tour::start();
    let mut written = String::new();
    let mut wrong = Vec::new();
    let mut lines = text.lines().enumerate().peekable();
    while let Some((_, line)) = lines.next() {
        written.push_str(line);
        written.push('\n');
        if let Some(flags) =
            line.strip_prefix("<!-- tour: restart ").and_then(|rest| rest.strip_suffix(" -->"))
        {
            tour.restart(flags);
        }
        if line != "```console" {
            continue;
        }
        while let Some((number, line)) = lines.next_if(|(_, line)| *line != "```") {
            let mut command =
                line.strip_prefix("$ ").expect("a console block begins with a command").to_owned();
            written.push_str(line);
            written.push('\n');
            // A command goes on in indented lines; no answer begins with one.
            while let Some((_, more)) = lines.next_if(|(_, line)| line.starts_with("  ")) {
                command.push('\n');
                command.push_str(more);
                written.push_str(more);
                written.push('\n');
            }
            let mut shown = String::new();
            while let Some((_, line)) = lines.next_if(|(_, line)| !line.starts_with("$ ") && *line != "```") {
                shown.push_str(line);
                shown.push('\n');
            }
            let real = tour.run(&command);
            if normal(&shown) != normal(&real) {
                wrong
                    .push(format!("README.md:{}: {command}\n--- shown\n{shown}--- real\n{real}", number + 1));
            }
            written.push_str(&real);
        }
    }
    assert!(
        tour.commands > 20,
        "the tour has only {} commands: are its blocks still ```console?",
        tour.commands
    );
    tour.stop();
    if env::var("TOUR").is_ok_and(|mode| mode == "write") {
        fs::write(&readme, written).unwrap();
    } else {
        assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    }
}

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().to_owned()
}

/// A mesh and a shell that talks to it.
struct Tour {
    mesh: Process,
    /// Each default address with the one that the mesh really has.
    addresses: Vec<(&'static str, &'static str, String)>,
    shell: Child,
    input: ChildStdin,
    output: Receiver<String>,
    commands: usize,
    folder: tempfile::TempDir,
}

impl Tour {
    fn start() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let free: Vec<TcpListener> =
            ADDRESSES.iter().map(|_| TcpListener::bind("127.0.0.1:0").unwrap()).collect();
        let addresses: Vec<_> = ADDRESSES
            .iter()
            .zip(&free)
            .map(|((flag, shown), socket)| (*flag, *shown, socket.local_addr().unwrap().to_string()))
            .collect();
        drop(free);
        let mesh = Process::start(Self::program(folder.path(), &addresses, ""));
        let mut shell = Command::new("bash")
            .current_dir(root())
            .env(
                "PATH",
                format!(
                    "{}:{}:{}",
                    root().join(".tools/node_modules/.bin").display(),
                    binary("boxoffice").parent().unwrap().display(),
                    env::var("PATH").unwrap()
                ),
            )
            // Where `boxoffice token` looks, as if the mesh had been started in this folder.
            .env("DATA_DIR", folder.path().join("data"))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::inherit())
            .spawn()
            .unwrap();
        let mut input = shell.stdin.take().unwrap();
        writeln!(input, "exec 2>&1").unwrap();
        let answers = BufReader::new(shell.stdout.take().unwrap());
        let (lines, output) = mpsc::channel();
        std::thread::spawn(move || {
            answers.lines().map_while(Result::ok).try_for_each(|line| lines.send(line))
        });
        let mut tour = Self { mesh, addresses, shell, input, output, commands: 0, folder };
        tour.ready();
        tour
    }

    fn program(folder: &Path, addresses: &[(&str, &str, String)], flags: &str) -> Program {
        let mut args = vec!["--data-dir".to_owned(), folder.join("data").display().to_string()];
        args.extend(addresses.iter().flat_map(|(flag, _, real)| [(*flag).to_owned(), real.clone()]));
        args.extend(flags.split_whitespace().map(str::to_owned));
        Program { name: "tour".to_owned(), path: binary("boxoffice"), args, dir: folder.to_owned() }
    }

    fn restart(&mut self, flags: &str) {
        let stopping = tokio::runtime::Runtime::new().unwrap();
        stopping.block_on(self.mesh.terminate()).unwrap();
        self.mesh = Process::start(Self::program(self.folder.path(), &self.addresses, flags));
        self.ready();
    }

    #[expect(clippy::disallowed_methods, reason = "there is no runtime here")]
    fn ready(&mut self) {
        let patience = Patience::new(ANSWER_WITHIN);
        while !self.run("curl -s http://127.0.0.1:24000/readyz").contains("ready") {
            assert!(!patience.is_over(), "the mesh is not ready:\n{}", self.mesh.log());
            std::thread::sleep(Duration::from_millis(50));
        }
        self.commands -= 1;
    }

    fn run(&mut self, command: &str) -> String {
        self.commands += 1;
        let real = self
            .addresses
            .iter()
            .fold(command.to_owned(), |text, (_, shown, real)| text.replace(shown, real));
        // The echo on a line of its own tells the end, also behind an answer without a line break.
        writeln!(self.input, "{real}\necho; echo {END}").unwrap();
        let (mut lines, patience) = (Vec::new(), Patience::new(ANSWER_WITHIN));
        loop {
            match self.output.recv_timeout(LISTEN) {
                Ok(line) if line == END => break,
                Ok(line) => lines.push(line),
                Err(RecvTimeoutError::Timeout) if !patience.is_over() => {}
                Err(_) => {
                    panic!("no end of the answer to: {command}\n{}\n{}", lines.join("\n"), self.mesh.log())
                }
            }
        }
        while lines.last().is_some_and(|line| line.trim().is_empty()) {
            lines.pop();
        }
        let text = lines.iter().map(|line| format!("{}\n", line.trim_end())).collect::<String>();
        self.addresses.iter().fold(text, |text, (_, shown, real)| text.replace(real, shown))
    }

    fn stop(mut self) {
        let stopping = tokio::runtime::Runtime::new().unwrap();
        stopping.block_on(self.mesh.terminate()).unwrap();
        drop(self.input);
        let _ended = self.shell.wait();
    }
}

/// The text without what differs from run to run: ids, instants, traces, and the jitter of when to ask again.
fn normal(text: &str) -> String {
    let text: String = text.split_inclusive("\"pollAfterSeconds\":").map(without_number).collect();
    let mut words = String::with_capacity(text.len());
    let mut word = String::new();
    for c in text.chars().chain(['\n']) {
        if c.is_ascii_alphanumeric() || "-:.+".contains(c) {
            word.push(c);
        } else {
            words.push_str(kind(&word));
            word.clear();
            words.push(c);
        }
    }
    words
}

fn without_number(after_name: &str) -> &str {
    after_name.trim_start_matches(|c: char| c.is_ascii_digit())
}

fn kind(word: &str) -> &str {
    let hex = |part: &str| part.bytes().all(|b| b.is_ascii_hexdigit());
    let shape: Vec<usize> = word.split('-').map(str::len).collect();
    let is_uuid = shape == [8, 4, 4, 4, 12] && word.split('-').all(hex);
    let is_time = word.len() >= 20 && word.as_bytes()[4] == b'-' && word.contains('T') && word.ends_with('Z');
    let is_trace = (word.len() == 32 || word.len() == 16) && hex(word)
        || (shape == [2, 32, 16, 2] && word.split('-').all(hex));
    match () {
        () if is_uuid => "<uuid>",
        () if is_time => "<time>",
        () if is_trace => "<trace>",
        () => word,
    }
}
