#!/usr/bin/env bash
# @azure/core-sse 2.4.0 (npm): a block without data gives its name to the next event; and empty lines at the beginning of data are lost.
#
# The HTML standard, 9.2.6: at a blank line whose block has no data nothing is dispatched, and the event's name is forgotten ("set the data buffer and the
# event type buffer to the empty string and return"). Servers send such blocks, `event: ping` for one, to keep the connection open. createSseStream only
# begins anew after a block that had data, so that the next event, which has no name, is told as a "ping", and whoever passes over pings passes
# over a seat. Data begins anew, too, as long as it is empty: of `data:`, `data:`, `data: Row A` the two empty lines are gone, which are kept
# when they stand further down. (A line `data` without a colon, which is the same by 9.2.5, is passed over in any place.)
#
# (eventsource-parser 4.1.3 is there to compare.)
# Seen: "ping" as the name of the second block, and "Row A" without its two lines.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"

npm install --silent --no-audit --no-fund --prefix . node@24.21.0 @azure/core-sse@2.4.0 eventsource-parser@4.1.3 >/dev/null
cat >name.mjs <<'JS'
import { createSseStream } from "@azure/core-sse";
import { createParser } from "eventsource-parser";

const streams = {
  "a ping and a seat": "event: ping\n\ndata: seat 7 is free\n\n",
  "empty lines first": "data:\ndata:\ndata: Row A\n\n",
  "empty lines last": "data: Row A\ndata:\ndata:\n\n",
};
for (const [what, text] of Object.entries(streams)) {
  const told = (event, data) => JSON.stringify([event || "message", data]);
  const first = [], second = [];
  for await (const { event, data } of createSseStream(new Response(text).body)) first.push(told(event, data));
  createParser({ onEvent: ({ event, data }) => second.push(told(event, data)) }).feed(text);
  console.log(`${what}: ${first} (${second})`);
}
JS
node_modules/.bin/node name.mjs | tee seen
diff seen - <<'SEEN' || { echo "the behaviour has changed"; exit 1; }
a ping and a seat: ["ping","seat 7 is free"] (["message","seat 7 is free"])
empty lines first: ["message","Row A"] (["message","\n\nRow A"])
empty lines last: ["message","Row A\n\n"] (["message","Row A\n\n"])
SEEN
echo "as described: @azure/core-sse 2.4.0 names an event after the one before"
