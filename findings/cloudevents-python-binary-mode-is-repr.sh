#!/usr/bin/env bash
# cloudevents 2.2.0 (PyPI), `cloudevents.core`: an event that came in structured mode goes out in binary mode with Python's words instead of JSON.
#
# An event with `datacontenttype` application/json may have any JSON value as its data. In HTTP's structured mode that is the member `data`; in the binary
# mode it is the body, of which the content-type says what it is (CloudEvents HTTP binding 1.0.2, 3.1). A program that takes events in the one mode and passes
# them on in the other (from_http_event, then to_binary_event) sends objects and numbers as JSON and everything else through `str`: of the list [1, "a"] the
# body is `[1, 'a']`, of false it is `False`, of a text it is the text without quotes, each as `content-type: application/json`. A receiver cannot
# parse it; from_http_event of the same library has a text then where the list was. A boolean attribute fares alike: CloudEvents' type system (1.0.2, 3.1) knows
# `true` and `false`, the header says `ce-paid: True`. Passed on in structured mode everything stays as it was.
#
# Seen: the bodies and the header as above. Expected: `[1, "a"]`, `false`, `"front row"`, and `ce-paid: true`.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"

python3 -m venv venv
venv/bin/pip install --quiet --disable-pip-version-check cloudevents==2.2.0

cat >modes.py <<'PYTHON'
import json

from cloudevents.core.bindings.http import HTTPMessage, from_http_event, to_binary_event, to_structured_event

for data in {"seats": [1, 2]}, 7, [1, "a"], False, "front row":
    told = {
        "specversion": "1.0",
        "id": "1",
        "source": "/hall",
        "type": "seats.held",
        "time": "2026-12-24T19:00:00Z",
        "datacontenttype": "application/json",
        "paid": True,
        "data": data,
    }
    message = HTTPMessage(headers={"content-type": "application/cloudevents+json"}, body=json.dumps(told).encode())
    event = from_http_event(message)
    same = json.loads(to_structured_event(event).body) == told
    binary = to_binary_event(event)
    try:
        json.loads(binary.body)
        body = "JSON"
    except ValueError:
        body = "no JSON"
    print(f"{json.dumps(data)}: structured {'the same' if same else 'another'}; binary {binary.body.decode()}, {body},", end=" ")
    print(f"read as {json.dumps(from_http_event(binary).get_data())}; ce-paid: {binary.headers['ce-paid']}")
PYTHON
venv/bin/python modes.py | tee seen
diff seen - <<'SEEN' || { echo "the behaviour has changed"; exit 1; }
{"seats": [1, 2]}: structured the same; binary {"seats": [1, 2]}, JSON, read as {"seats": [1, 2]}; ce-paid: True
7: structured the same; binary 7, JSON, read as 7; ce-paid: True
[1, "a"]: structured the same; binary [1, 'a'], no JSON, read as "[1, 'a']"; ce-paid: True
false: structured the same; binary False, no JSON, read as "False"; ce-paid: True
"front row": structured the same; binary front row, no JSON, read as "front row"; ce-paid: True
SEEN
echo "as described"
