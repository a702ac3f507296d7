#!/usr/bin/env bash
# tonic-types 0.14.9 (crates.io) read by protobuf 7.36.2 and googleapis-common-protos 1.76.0 (PyPI).
#
# tonic-types hands out the descriptors of google.rpc's messages as FILE_DESCRIPTOR_SET, which is what a server gives to gRPC
# reflection. The files in it are called `error_details.proto` and `status.proto`, where every other distribution of the same messages
# calls them `google/rpc/error_details.proto` and `google/rpc/status.proto`. A client that already knows google.rpc (most do: it is
# how they read error details) and adds what reflection told it to the same pool is refused, because one symbol would come from two files.
#
# Seen: the two short names, and "TypeError" on adding the file to Python's default pool once google.rpc is loaded.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"

mkdir -p dump/src
cat >dump/Cargo.toml <<'TOML'
[package]
name = "dump"
version = "0.0.0"
edition = "2021"
[workspace]
[dependencies]
tonic-types = "=0.14.9"
TOML
cat >dump/src/main.rs <<'RUST'
fn main() {
    std::io::Write::write_all(&mut std::io::stdout(), tonic_types::pb::FILE_DESCRIPTOR_SET).unwrap();
}
RUST
CARGO_TARGET_DIR="$work/target" cargo run --quiet --manifest-path dump/Cargo.toml >set.binpb

python3 -m venv venv
venv/bin/pip install --quiet --disable-pip-version-check protobuf==7.36.2 googleapis-common-protos==1.76.0
cat >read.py <<'PYTHON'
from google.protobuf import descriptor_pb2, descriptor_pool
from google.rpc import error_details_pb2

print("known as:", error_details_pb2.DESCRIPTOR.name)
files = descriptor_pb2.FileDescriptorSet.FromString(open("set.binpb", "rb").read()).file
for file in files:
    if file.package == "google.rpc":
        print("told as:", file.name)
told = next(file for file in files if file.name.endswith("error_details.proto"))
try:
    descriptor_pool.Default().AddSerializedFile(told.SerializeToString())
    print("added")
except Exception as error:
    print("adding it:", type(error).__name__, "duplicate symbol" in str(error).lower())
PYTHON
venv/bin/python read.py | tee seen
diff <(sort seen) - <<'SEEN' || { echo "the behaviour has changed"; exit 1; }
adding it: TypeError True
known as: google/rpc/error_details.proto
told as: error_details.proto
told as: status.proto
SEEN
echo "as described"
