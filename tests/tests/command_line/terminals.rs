//! What a terminal makes of the programs: colours, and completions.

use tests::{mesh::SERVICES, process::binary};

use crate::{Ended, Run, commands, program, programs, settings};

/// What a command writes to a terminal, which `script` gives it.
fn in_a_terminal(words: &str, environment: &[(&str, &str)]) -> String {
    let mut run = Run::of("script").args(&["-qec", words, "/dev/null"]).env("TERM", "xterm-256color");
    for (name, value) in environment {
        run = run.env(name, value);
    }
    run.end().out
}

#[test]
fn terminals_get_colours_unless_no_color_and_logs_never() {
    const ESCAPE: char = '\u{1b}';
    for name in programs() {
        let path = binary(name).display().to_string();
        for words in [format!("{path} --help"), format!("{path} --no-such-flag")] {
            assert!(in_a_terminal(&words, &[]).contains(ESCAPE), "{words}");
            let plain = in_a_terminal(&words, &[("NO_COLOR", "1")]);
            assert!(!plain.is_empty() && !plain.contains(ESCAPE), "{words}: {plain}");
        }
        assert!(!program(name, &["--help"]).out.contains(ESCAPE), "{name} into a pipe");
    }
    for name in SERVICES {
        for format in ["pretty", "json"] {
            let words = format!("{} --migrate-only --log-format {format}", binary(name).display());
            let log = in_a_terminal(&words, &[("DATABASE_URL", "sqlite:rows.db")]);
            assert!(log.contains("the database is up to date") && !log.contains(ESCAPE), "{words}: {log:?}");
        }
    }
}

#[test]
fn completions_know_every_command_and_flag_and_bash_completes_with_them() {
    for name in programs() {
        let of = commands().filter(|command| command[0] == name);
        let flags: Vec<String> =
            of.flat_map(|command| settings(&command)).map(|(flag, _)| flag[2..].to_owned()).collect();
        assert!(flags.len() > 5, "{name}: {flags:?}");
        let commands: &[&str] = if name == "boxoffice" {
            &["up", "audit", "backup", "demo", "token", "completions"]
        } else {
            &["completions"]
        };
        for shell in ["bash", "zsh", "fish", "elvish", "powershell"] {
            let Ended { code, out, err } = program(name, &["completions", shell]);
            assert_eq!((code, err.as_str()), (Some(0), ""), "{name}, {shell}");
            for word in flags.iter().map(String::as_str).chain(commands.iter().copied()) {
                assert!(out.contains(word), "{name}, {shell}: {word}");
            }
        }
    }
    let complete = "source <(\"$0\" completions bash)
        how='-F ([^ ]+)'; [[ $(complete -p \"$1\") =~ $how ]]
        COMP_WORDS=(\"$1\" \"$2\"); COMP_CWORD=1; \"${BASH_REMATCH[1]}\" \"$1\" \"$2\" \"$1\"; echo \"${COMPREPLY[@]}\"";
    for (name, begun, expected) in [
        ("boxoffice", "--hold-t", "--hold-ttl"),
        ("boxoffice", "dem", "demo"),
        ("boxoffice", "--max-a", "--max-active"),
        ("queue-svc", "--max-a", "--max-active"),
        ("booking-svc", "--hold-t", "--hold-ttl"),
        ("booking-svc", "--hold-r", "--hold-retention"),
        ("wallet-svc", "--migr", "--migrate-only"),
        ("edge", "--brow", "--browse"),
    ] {
        let path = binary(name).display().to_string();
        let Ended { code, out, err } = Run::of("bash").args(&["-euc", complete, &path, name, begun]).end();
        assert_eq!((code, out.trim()), (Some(0), expected), "{name} {begun}: {err}");
    }
}
