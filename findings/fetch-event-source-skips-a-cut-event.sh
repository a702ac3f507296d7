#!/usr/bin/env bash
# @microsoft/fetch-event-source 2.0.1 (npm): the event during which a stream breaks is lost for good.
#
# The HTML standard (9.2.6) makes an event's `id` the last event id only when the event is dispatched, at the blank line after it; what is pending when a
# stream ends is discarded, so that a client comes back with the id of the last event it has seen whole. fetch-event-source takes the id for its
# `last-event-id` header as soon as it reads the line `id: …`. If the connection breaks before the blank line, the event is never given to onmessage,
# and yet the server is told that it has arrived. The server below sends event 2 in two halves and breaks between them, then continues as asked.
#
# (The package wants `window` and `document`, of which it uses the timers and "visibilitychange"; both are put in its place here.)
# Seen: "asked again after: 2" and "events: one three", where eventsource 5.1.5 asks after 1 and gets all three.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"

npm install --silent --no-audit --no-fund --prefix . @microsoft/fetch-event-source@2.0.1 eventsource@5.1.5
cat >cut.cjs <<'JS'
const http = require("node:http");
const { fetchEventSource } = require("@microsoft/fetch-event-source");
globalThis.window = globalThis;
globalThis.document = { hidden: false, addEventListener() {}, removeEventListener() {} };

const events = ["id: 1\ndata: one\n\n", "id: 2\ndata: two\n\n", "id: 3\ndata: three\n\n"];

async function play(name, listen) {
  let again;
  const server = http.createServer((asked, answer) => {
    answer.writeHead(200, { "content-type": "text/event-stream" });
    const from = asked.headers["last-event-id"];
    if (from === undefined && again === undefined && server.first === undefined) {
      server.first = true;
      answer.write("retry: 50\n" + events[0] + events[1].slice(0, 12));
      setTimeout(() => answer.socket.destroy(), 200);
    } else {
      again ??= String(from);
      answer.write(events.slice(Number(from ?? 0)).join(""));
    }
  });
  await new Promise((done) => server.listen(0, "127.0.0.1", done));
  const heard = [];
  await new Promise((done, failed) => {
    setTimeout(() => failed(new Error("nothing came")), 20_000).unref();
    listen(`http://127.0.0.1:${server.address().port}/`, (data) => {
      heard.push(data);
      if (data === "three") done();
    });
  });
  console.log(`${name}: asked again after: ${again}; events: ${heard.join(" ")}`);
  server.closeAllConnections();
  server.close();
}

(async () => {
  await play("fetch-event-source", (url, take) => fetchEventSource(url, { fetch, openWhenHidden: true, onmessage: (event) => take(event.data) }));
  const { EventSource } = await import("eventsource");
  await play("eventsource", (url, take) => (new EventSource(url).onmessage = (event) => take(event.data)));
  process.exit();
})();
JS
node cut.cjs | tee seen
diff seen - <<'SEEN' || { echo "the behaviour has changed"; exit 1; }
fetch-event-source: asked again after: 2; events: one three
eventsource: asked again after: 1; events: one two three
SEEN
echo "as described: fetch-event-source 2.0.1 confirms an event that it has not delivered"
