//! Addresses that a program cannot or must not have, and those that the launcher tells.

use std::{
    io::{BufRead, BufReader},
    net::TcpListener,
};

use crate::{Ended, Run, binary, ended, programs, settings, terminate};

#[test]
fn an_address_that_is_taken_is_one_line_with_its_names_and_exit_code_1() {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let _taken = TcpListener::bind(taken).unwrap();
    for name in programs() {
        for (flag, variable) in settings(&[name]).into_iter().filter(|(flag, _)| flag.ends_with("addr")) {
            let variable = variable.unwrap();
            let Ended { code, out, err } = Run::of(binary(name)).env(&variable, &taken.to_string()).end();
            assert_eq!(
                (code, out.as_str(), err.trim().lines().count()),
                (Some(1), "", 1),
                "{name} {flag}: {err}"
            );
            for words in [flag.as_str(), &variable, &taken.to_string(), "in use"] {
                assert!(err.contains(words), "{name} {flag}: {words} in {err}");
            }
        }
    }
}

/// Where nobody is asked who they are, nobody else's machine may reach a program, not even its metrics.
#[test]
fn an_address_for_others_without_an_issuer_is_refused_before_a_port_is_open() {
    for name in programs() {
        for (flag, variable) in settings(&[name]).into_iter().filter(|(flag, _)| flag.ends_with("addr")) {
            let Ended { code, out, err } = Run::of(binary(name)).env(&variable.unwrap(), "0.0.0.0:0").end();
            assert_eq!((code, out.as_str()), (Some(2), ""), "{name} {flag}: {err}");
            for word in [&*flag, "0.0.0.0:0", "--auth-issuer", "--insecure-open"] {
                assert!(err.contains(word), "{name} {flag}: {word} in {err}");
            }
        }
    }
}

/// The lines that the launcher begins with, up to that of the API, as the mesh is open.
async fn welcome(args: &[&str]) -> Vec<String> {
    let (mut child, _folder) = Run::of(binary("boxoffice")).args(args).start();
    let mut told = BufReader::new(child.stdout.take().unwrap()).lines().map(Result::unwrap);
    let mut lines = Vec::new();
    for line in told.by_ref() {
        let is_last = line.starts_with("  REST, API page ");
        lines.push(line);
        if is_last {
            break;
        }
    }
    // What is told first can be opened at once.
    for address in lines.iter().flat_map(|line| line.split(' ')).filter(|word| word.starts_with("http://")) {
        let answer = reqwest::get(address).await.unwrap();
        assert_eq!(answer.status(), 200, "{address}");
        assert!(answer.text().await.unwrap().starts_with("<!"), "{address} is a page");
    }
    terminate(&child);
    drop(told);
    assert_eq!(ended(child).code, Some(0));
    lines
}

#[tokio::test]
async fn the_launcher_tells_the_on_sale_and_the_box_office_before_anything_else() {
    let lines = welcome(&["up"]).await;
    let [open, blank, pages, rest] = lines.as_slice() else { panic!("four lines: {lines:#?}") };
    assert_eq!((open.as_str(), blank.as_str()), ("boxoffice is open. SQLite files in ./data.", ""));
    let at = rest.split("http://").nth(1).unwrap().strip_suffix("/docs").unwrap();
    let both = format!("  on sale          http://{at}/ · box office http://{at}/operator");
    assert_eq!(pages, &both);
    let lines = welcome(&["up", "--pages", "off"]).await;
    assert_eq!(lines.len(), 3, "without pages there are none to be told of: {lines:#?}");
}
