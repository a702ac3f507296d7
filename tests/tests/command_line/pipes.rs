//! A program whose output nobody reads.

use std::{
    io::{PipeReader, PipeWriter, Read, Write},
    net::{TcpListener, TcpStream},
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use tests::process::binary;

use crate::{Run, ended, pause, terminate};

/// A pipe that is as full as it can be, which nobody reads.
fn stuck_pipe() -> (PipeReader, PipeWriter) {
    let (reader, writer) = std::io::pipe().unwrap();
    let (mut filler, filled) = (writer.try_clone().unwrap(), Arc::new(AtomicUsize::new(0)));
    let counted = Arc::clone(&filled);
    // Its last write never returns while the reader lives.
    std::thread::spawn(move || {
        while filler.write_all(&[b'.'; 1_024]).is_ok() {
            counted.fetch_add(1, Ordering::SeqCst);
        }
    });
    let mut before = 0;
    loop {
        pause(Duration::from_millis(200));
        let now = filled.load(Ordering::SeqCst);
        if now > 0 && now == before {
            return (reader, writer);
        }
        before = now;
    }
}

#[test]
fn a_program_whose_output_nobody_reads_still_starts_serves_and_ends() {
    let free = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let (_reader, writer) = stuck_pipe();
    let mut run = Run::of(binary("boxoffice")).env("REST_ADDR", &free.to_string());
    run.command.stdout(writer.try_clone().unwrap()).stderr(writer);
    let (child, _folder) = run.start();
    let ready = (0..3_000).any(|_| {
        pause(Duration::from_millis(20));
        let Ok(mut link) = TcpStream::connect(free) else { return false };
        let _asked = link.write_all(b"GET /readyz HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n");
        let mut answer = String::new();
        link.read_to_string(&mut answer).is_ok() && answer.starts_with("HTTP/1.1 200")
    });
    assert!(ready, "it serves although its welcome is stuck");
    terminate(&child);
    assert_eq!(ended(child).code, Some(0), "it ends although its last lines are stuck");
}
