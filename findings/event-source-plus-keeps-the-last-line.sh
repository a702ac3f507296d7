#!/usr/bin/env bash
# event-source-plus 0.1.15 (npm): of an event of several lines the last line alone arrives; and how long to wait, as the server says, counts for nothing.
#
# The HTML standard, 9.2.5 and 9.2.6: each line `data:` is added to the data, with line feeds between them; that is how a text of several lines is sent, and how
# a server writes JSON that has line breaks. event-source-plus keeps the last such line of an event and drops the others without a word: of an address
# the city stays, of JSON a "}". `retry:` is how long a client waits before it comes back after the stream has ended. event-source-plus hands its
# value to whoever has set onMessage (if the block has data, too), and comes back after two milliseconds each time, as a stream that ended well is no error
# to its backoff. A server that ends its streams to shed load, and asks for patience in them, is asked hundreds of times a second instead.
#
# (eventsource 5.1.5 is there to compare.)
# Seen, with `retry: 500`: the data "Seoul" and "}", and more than 20 requests within 1.2 s (hundreds); eventsource has all lines and asks three times.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"

npm install --silent --no-audit --no-fund --prefix . event-source-plus@0.1.15 eventsource@5.1.5
cat >lines.mjs <<'JS'
import http from "node:http";
import { EventSourcePlus } from "event-source-plus";
import { EventSource } from "eventsource";

const stream = 'retry: 500\ndata: Olympic Park\ndata: Seoul\n\ndata: {\ndata:   "free": 3\ndata: }\n\n';
const asked = {}, heard = {};
const server = http.createServer(({ url }, answer) => {
  asked[url] = (asked[url] ?? 0) + 1;
  answer.writeHead(200, { "content-type": "text/event-stream" });
  answer.end(stream);
});
server.listen(0, "127.0.0.1", () => {
  const at = `http://127.0.0.1:${server.address().port}`;
  const hear = (name) => ({ data }) => (heard[name] ??= []).push(JSON.stringify(data));
  new EventSourcePlus(`${at}/event-source-plus`).listen({ onMessage: hear("event-source-plus") });
  new EventSource(`${at}/eventsource`).onmessage = hear("eventsource");
  setTimeout(() => {
    for (const name of ["event-source-plus", "eventsource"]) {
      const times = asked[`/${name}`];
      console.log(`${name}: ${heard[name].slice(0, 2).join(" and ")}, asked ${times > 20 ? "more than 20" : times < 5 ? "fewer than 5" : times} times`);
    }
    process.exit();
  }, 1200);
});
JS
timeout 30 node lines.mjs | tee seen
diff seen - <<'SEEN' || { echo "the behaviour has changed"; exit 1; }
event-source-plus: "Seoul" and "}", asked more than 20 times
eventsource: "Olympic Park\nSeoul" and "{\n  \"free\": 3\n}", asked fewer than 5 times
SEEN
echo "as described: event-source-plus 0.1.15 keeps the last line of an event, and does not wait"
