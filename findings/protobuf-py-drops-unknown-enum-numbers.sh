#!/usr/bin/env bash
# protobuf-py 0.7.0 and connectrpc 0.13.0 (PyPI): a state that a newer program knows is lost in JSON, and in a list the others move up.
#
# An enum of proto3 is open: a value without a name is a value, kept as its number by who does not know it (Protocol Buffers' guide on enum behaviour), in
# JSON a number too, and "parsers accept both enum names and integer values" (ProtoJSON). What may be dropped, if unknown fields are ignored, is
# a *name* that nobody can turn into a number. protobuf-py, with ignore_unknown_fields=True, drops numbers as well: also those that it has just written
# itself. connectrpc reads all JSON in that way unless told otherwise. So the same call tells a server the state 7 in the binary format and no
# state (0, "unspecified") as JSON; of a list of three seats two arrive, and what the third one is, the second seems to be.
#
# Seen: 7, [1, 7, 2] and {"a": 7} in binary and by protobuf 7.36.2; 0, [1, 2] and {} by protobuf-py and connectrpc.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"

python3 -m venv venv
venv/bin/pip install --quiet --disable-pip-version-check protobuf-py==0.7.0 protoc-gen-py==0.7.0 connectrpc==0.13.0 grpcio-tools==1.85.1 protobuf==7.36.2

cat >hall.proto <<'PROTO'
syntax = "proto3";
package hall;
enum State {
  STATE_UNSPECIFIED = 0;
  STATE_FREE = 1;
  STATE_SOLD = 2;
}
message Row {
  State state = 1;
  repeated State seats = 2;
  map<string, State> boxes = 3;
}
PROTO
PATH=$PWD/venv/bin:$PATH venv/bin/python -m grpc_tools.protoc --proto_path=. --python_out=. --py_out=. hall.proto

cat >row.py <<'PYTHON'
import hall_pb
import hall_pb2
from connectrpc.codec import proto_json_codec
from google.protobuf import json_format


def told(name, row):
    print(f"{name}: {int(row.state)} {[int(seat) for seat in row.seats]} { {box: int(state) for box, state in row.boxes.items()} }")


row = hall_pb2.Row(state=7, seats=[1, 7, 2], boxes={"a": 7})
binary = hall_pb.Row.from_binary(row.SerializeToString())
told("protobuf-py, binary", binary)
text = binary.to_json()
print(text)
told("protobuf-py, JSON", hall_pb.Row.from_json(text))
told("protobuf-py, JSON, unknown fields ignored", hall_pb.Row.from_json(text, ignore_unknown_fields=True))
told("connectrpc, JSON", proto_json_codec().decode(text.encode(), hall_pb.Row))
told("protobuf, JSON, unknown fields ignored", json_format.Parse(text, hall_pb2.Row(), ignore_unknown_fields=True))
PYTHON
venv/bin/python row.py | tee seen
diff seen - <<'SEEN' || { echo "the behaviour has changed"; exit 1; }
protobuf-py, binary: 7 [1, 7, 2] {'a': 7}
{"state":7,"seats":["STATE_FREE",7,"STATE_SOLD"],"boxes":{"a":7}}
protobuf-py, JSON: 7 [1, 7, 2] {'a': 7}
protobuf-py, JSON, unknown fields ignored: 0 [1, 2] {}
connectrpc, JSON: 0 [1, 2] {}
protobuf, JSON, unknown fields ignored: 7 [1, 7, 2] {'a': 7}
SEEN
echo "as described"
