#!/usr/bin/env bash
# fetch-event-stream 0.1.6 (npm): blanks at the beginning of an event's data are lost.
#
# The HTML standard, 9.2.6: of the blanks after the colon of `data:` exactly one is removed, if there is one. fetch-event-stream removes all of them, and
# tabs too. What is told line by line loses its indentation (a program, YAML, an aligned table of seats), and a text that is told in pieces its
# spaces between the words where a piece begins with one. A line `data` without a colon, an empty line of data by the standard, is left out.
# And the `id`, a string to the standard, is a number if it looks like one.
#
# Seen: "Row A", "1 2", "5", where eventsource-parser 4.1.3 has the blanks and the empty line as they were sent.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"

npm install --silent --no-audit --no-fund --prefix . fetch-event-stream@0.1.6 eventsource-parser@4.1.3
cat >blanks.mjs <<'JS'
import { events } from "fetch-event-stream";
import { createParser } from "eventsource-parser";

const stream = "id: 7\ndata: Row A\ndata:   1 2\ndata\ndata: \t5\n\n";
for await (const { id, data } of events(new Response(stream))) console.log("fetch-event-stream:", JSON.stringify({ id, data }));
createParser({ onEvent: ({ id, data }) => console.log("eventsource-parser:", JSON.stringify({ id, data })) }).feed(stream);
JS
node blanks.mjs | tee seen
diff seen - <<'SEEN' || { echo "the behaviour has changed"; exit 1; }
fetch-event-stream: {"id":7,"data":"Row A\n1 2\n5"}
eventsource-parser: {"id":"7","data":"Row A\n  1 2\n\n\t5"}
SEEN
echo "as described: fetch-event-stream 0.1.6 trims what it should hand out"
