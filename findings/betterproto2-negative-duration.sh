#!/usr/bin/env bash
# betterproto2 0.10.0 (PyPI): a `datetime.timedelta` below zero is sent as another span of time, and its JSON cannot be read back.
#
# A google.protobuf.Duration may be negative ("2 s late"); duration.proto says that `nanos` then is not positive either. betterproto2 gives
# such a field the type `datetime.timedelta`, which keeps -0.5 s as "one day back, 86399.5 s forward". What is written is the whole seconds of
# the sum and those parts of a second as they stand: the minus of half a second is lost without a word, -1.5 s has
# parts of different signs (which protobuf refuses to write as JSON), and neither comes back as it was. In JSON -2 s and -1.5 s are written as
# they should be, and from_json of the same library refuses both.
#
# Seen by protobuf 7.36.2 in the same bytes: -2 s as (-2, 0), -1.5 s as (-1, 500000000), -0.5 s as (0, 500000000), which is 0.5 s.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"

python3 -m venv venv
venv/bin/pip install --quiet --disable-pip-version-check betterproto2==0.10.0 betterproto2_compiler==0.10.1 grpcio-tools==1.85.1 \
  protobuf==7.36.2

cat >late.proto <<'PROTO'
syntax = "proto3";
package late;
import "google/protobuf/duration.proto";
message Train {
  google.protobuf.Duration early = 1;
}
PROTO
mkdir made
PATH=$PWD/venv/bin:$PATH venv/bin/python -m grpc_tools.protoc --proto_path=. --python_out=. --python_betterproto2_out=made late.proto 2>/dev/null

cat >late.py <<'PYTHON'
from datetime import timedelta

import late_pb2
from made import late

for seconds in (-2, -1.5, -0.5):
    train = late.Train(early=timedelta(seconds=seconds))
    sent = late_pb2.Train.FromString(bytes(train)).early
    print(f"{seconds}: sent as ({sent.seconds}, {sent.nanos})", end="")
    print(f", parsed as {late.Train.parse(bytes(train)).early.total_seconds()}", end="")
    try:
        print(f", from its JSON {late.Train.from_json(train.to_json()).early.total_seconds()}")
    except ValueError:
        print(f", from its JSON {train.to_json()}: ValueError")
PYTHON
venv/bin/python late.py | tee seen
diff seen - <<'SEEN' || { echo "the behaviour has changed"; exit 1; }
-2: sent as (-2, 0), parsed as -2.0, from its JSON {"early": "-2s"}: ValueError
-1.5: sent as (-1, 500000000), parsed as -0.5, from its JSON {"early": "-1.500s"}: ValueError
-0.5: sent as (0, 500000000), parsed as 0.5, from its JSON 0.5
SEEN
echo "as described"
