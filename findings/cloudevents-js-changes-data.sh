#!/usr/bin/env bash
# cloudevents 10.0.0 (npm): `data` that is a JSON scalar does not survive being read and sent on.
#
# CloudEvents JSON format 1.0.2, 3.1: with a JSON content type `data` is the JSON value itself, whatever its type. HTTP.toEvent of the structured mode leaves
# out each value that JavaScript takes for false (0, false and the empty string), so an event that said "0 seats left" says nothing, and is sent on
# without data. In the binary mode, where the body is the data, objects and lists are parsed and numbers and booleans are not: they arrive as
# strings, and sent on in the structured mode they are JSON strings for good.
#
# Seen: 0, false and "" lost in structured mode; 0, 5 and false turned into "0", "5" and "false" by binary mode; [0] as it was in both.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"

npm install --silent --no-audit --no-fund --prefix . cloudevents@10.0.0
cat >data.mjs <<'JS'
import { HTTP } from "cloudevents";

const structured = { "content-type": "application/cloudevents+json" };
const binary = { "content-type": "application/json", "ce-specversion": "1.0", "ce-id": "1", "ce-source": "/hall", "ce-type": "seat" };
const wrapped = (data) => `{"specversion": "1.0", "id": "1", "source": "/hall", "type": "seat", "datacontenttype": "application/json", "data": ${data}}`;
const on = (headers, body) => {
  const { data } = JSON.parse(HTTP.structured(HTTP.toEvent({ headers, body })).body);
  return data === undefined ? "nothing" : JSON.stringify(data);
};
for (const data of ["0", "false", '""', "5", "[0]"]) console.log(`${data}: ${on(structured, wrapped(data))} or ${on(binary, data)}`);
JS
node data.mjs | tee seen
diff seen - <<'SEEN' || { echo "the behaviour has changed"; exit 1; }
0: nothing or "0"
false: nothing or "false"
"": nothing or ""
5: 5 or "5"
[0]: [0] or [0]
SEEN
echo "as described: cloudevents 10.0.0 changes what an event says"
