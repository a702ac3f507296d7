#!/usr/bin/env bash
# sse.js 2.8.0 and @microsoft/fetch-event-source 2.0.1 (npm): 204, by which a server says that nothing more will come, brings both back again and again.
#
# The HTML standard, 9.2: clients come back when a stream has ended, "a client can be told to stop reconnecting using the HTTP 204 No Content response
# code". A server that has told the last of a story ends the stream and answers 204 to who comes with its id. sse.js, with autoReconnect, takes the 204
# for a stream that has ended, and because a 2xx resets its count of tries, `maxRetries` never ends it either. fetch-event-source takes it for an error,
# as it has no content type, and by default tries again at the interval that the server's own `retry:` named. An EventSource asks twice in all. (That
# fetch-event-source ends at the end of a stream where an EventSource comes back is in its README; so its server below breaks the first stream off.)
#
# (For what Node lacks of a browser, xhr2 0.2.1 and two stand-ins are here. eventsource 5.1.5 is there to compare.)
# Seen: within two seconds, at `retry: 100`, more than five 204 for both, and one for eventsource.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"

npm install --silent --no-audit --no-fund --prefix . sse.js@2.8.0 @microsoft/fetch-event-source@2.0.1 xhr2@0.2.1 eventsource@5.1.5
cat >again.mjs <<'JS'
import http from "node:http";
import { createRequire } from "node:module";
import XMLHttpRequest from "xhr2";
import { EventSource } from "eventsource";
import { SSE } from "sse.js";
globalThis.XMLHttpRequest = XMLHttpRequest;
globalThis.window = globalThis;
globalThis.document = { hidden: false, addEventListener() {}, removeEventListener() {} };
const { fetchEventSource } = createRequire(import.meta.url)("@microsoft/fetch-event-source");

const asked = {};
const server = http.createServer(({ url, headers }, answer) => {
  asked[url] = (asked[url] ?? -1) + 1;
  if (headers["last-event-id"] === "7") return answer.writeHead(204).end();
  answer.writeHead(200, { "content-type": "text/event-stream" });
  answer.write("retry: 100\nid: 7\ndata: sold out\n\n");
  setTimeout(() => (url === "/fetch-event-source" ? answer.socket.destroy() : answer.end()), 100);
});
server.listen(0, "127.0.0.1", () => {
  const at = `http://127.0.0.1:${server.address().port}/`;
  new SSE(`${at}sse.js`, { autoReconnect: true, maxRetries: 3 });
  fetchEventSource(`${at}fetch-event-source`, { fetch, openWhenHidden: true });
  new EventSource(`${at}eventsource`);
  setTimeout(() => {
    for (const name of ["sse.js", "fetch-event-source", "eventsource"]) {
      const times = asked[`/${name}`];
      console.log(`${name}: answered 204 ${times > 5 ? "more than five times" : times}`);
    }
    process.exit();
  }, 2_500);
});
JS
timeout 30 node again.mjs 2>/dev/null | tee seen
diff seen - <<'SEEN' || { echo "the behaviour has changed"; exit 1; }
sse.js: answered 204 more than five times
fetch-event-source: answered 204 more than five times
eventsource: answered 204 1
SEEN
echo "as described: sse.js 2.8.0 and fetch-event-source 2.0.1 do not stay away"
