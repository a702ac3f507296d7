//! Addresses that a program cannot or must not have.

use std::net::TcpListener;

use crate::{Ended, Run, binary, programs, settings};

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
