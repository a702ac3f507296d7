#!/usr/bin/env bash
# protobuf-py 0.7.0 with pydantic 2.14.4 (PyPI): by the JSON Schema that a message gives, the JSON that the same message gives is not valid.
#
# A message of protobuf-py can be a pydantic type, whose JSON Schema FastAPI publishes as its OpenAPI document. A google.protobuf.Duration has
# `"format": "duration"` there. In JSON Schema (2020-12, Validation, 7.3.1) that is the duration of RFC 3339, appendix A, such as "PT2S"; ProtoJSON has
# "1.500s", protobuf-py writes that, and takes nothing else: what the schema asks for is refused by the library, and what the library sends is refused by
# a client that checks formats. The schema also has no room for two values that ProtoJSON provides for: a double that is not a number ("NaN"),
# and the number of an enum that has no name.
#
# Seen: of five values two are valid (a timestamp and a 64-bit number), and "PT2S", which is valid, cannot be read.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"

python3 -m venv venv
venv/bin/pip install --quiet --disable-pip-version-check protobuf-py==0.7.0 pydantic==2.14.4 jsonschema-rs==0.60.3

cat >schema.py <<'PYTHON'
import json

from jsonschema_rs import Draft202012Validator
from protobuf.wkt import DoubleValue, Duration, Int64Value, Timestamp
from protobuf.wkt.google.protobuf.type_pb import Field
from pydantic import TypeAdapter

for message, given in (
    (Timestamp, '"2024-01-01T00:00:00Z"'),
    (Int64Value, '"5"'),
    (Duration, '"1.5s"'),
    (DoubleValue, '"NaN"'),
    (Field, '{"kind":99}'),
    (Duration, '"PT2S"'),
):
    adapter = TypeAdapter(message)
    validator = Draft202012Validator(adapter.json_schema(mode="serialization"), validate_formats=True)
    try:
        written = adapter.dump_json(message.from_json(given)).decode()
    except ValueError:
        print(f"{message.__name__} {given}: valid {validator.is_valid(json.loads(given))}, not read")
    else:
        print(f"{message.__name__} {written}: valid {validator.is_valid(json.loads(written))}")
PYTHON
venv/bin/python schema.py | tee seen
diff seen - <<'SEEN' || { echo "the behaviour has changed"; exit 1; }
Timestamp "2024-01-01T00:00:00Z": valid True
Int64Value "5": valid True
Duration "1.500s": valid False
DoubleValue "NaN": valid False
Field {"kind":99}: valid False
Duration "PT2S": valid True, not read
SEEN
echo "as described"
