#!/usr/bin/env bash
# grpcio 1.84.0 (PyPI) against an HTTP/2 server built on h2 0.4.20 (crates.io).
#
# A channel for a list of addresses (`ipv4:127.0.0.1:1001,127.0.0.1:1002`, a target that gRPC's naming document describes) sends the
# whole list as `:authority`. That is no authority by RFC 3986 (a port is digits), and h2 for Rust resets each such stream with
# PROTOCOL_ERROR before the server's code sees it: the client reports INTERNAL for every call, on a server that is well. The same
# server answers as soon as the option `grpc.default_authority` names one host. A target of one address is not concerned.
#
# Seen: "list: INTERNAL", "list with an authority: OK", "one address: OK".
set -euo pipefail
work=$(mktemp -d)
server=
trap '[ -z "$server" ] || kill "$server" 2>/dev/null || true; rm -rf "$work"' EXIT
cd "$work"

python3 -m venv venv
venv/bin/pip install --quiet --disable-pip-version-check grpcio==1.84.0

mkdir -p server/src
cat >server/Cargo.toml <<'TOML'
[package]
name = "server"
version = "0.0.0"
edition = "2021"
[workspace]
[dependencies]
h2 = "=0.4.20"
http = "1"
tokio = { version = "1", features = ["net", "rt", "macros"] }
TOML
cat >server/src/main.rs <<'RUST'
#[tokio::main(flavor = "current_thread")]
async fn main() {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    println!("{}", listener.local_addr().unwrap().port());
    loop {
        let (socket, _) = listener.accept().await.unwrap();
        tokio::spawn(async move {
            let mut connection = h2::server::handshake(socket).await.unwrap();
            while let Some(Ok((_request, mut respond))) = connection.accept().await {
                let answer = http::Response::builder()
                    .header("content-type", "application/grpc")
                    .header("grpc-status", "0")
                    .body(())
                    .unwrap();
                respond.send_response(answer, true).unwrap();
            }
        });
    }
}
RUST
CARGO_TARGET_DIR="$work/target" cargo build --quiet --manifest-path server/Cargo.toml
target/debug/server >port &
server=$!
until [ -s port ]; do kill -0 "$server"; done

cat >client.py <<'PYTHON'
import sys
import grpc

port = sys.argv[1]
one, both = f"127.0.0.1:{port}", f"ipv4:127.0.0.1:{port},127.0.0.1:{port}"


def call(target, options=()):
    with grpc.insecure_channel(target, options=list(options)) as channel:
        try:
            # An empty answer without a message is OK to the transport and "too few messages" to a unary call:
            # a stream is read to its end instead.
            list(channel.unary_stream("/a.B/C")(b"", timeout=20))
            return "OK"
        except grpc.RpcError as error:
            return error.code().name


print("list:", call(both))
print("list with an authority:", call(both, [("grpc.default_authority", "localhost")]))
print("one address:", call(one))
PYTHON
venv/bin/python client.py "$(cat port)" | tee seen
diff seen - <<'SEEN' || { echo "the behaviour has changed"; exit 1; }
list: INTERNAL
list with an authority: OK
one address: OK
SEEN
echo "as described: grpcio 1.84.0 sends the list as :authority, h2 0.4.20 refuses it"
