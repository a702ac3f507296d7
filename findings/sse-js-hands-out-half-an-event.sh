#!/usr/bin/env bash
# sse.js 2.8.0 (npm): a stream that ends in the middle of an event yields that half as an event.
#
# sse.js calls itself a replacement of EventSource. The HTML standard, 9.2.6: when the end of the stream is reached, what is pending is discarded, and an
# event without its final blank line is not dispatched. Many servers end a stream by closing the connection (no length, no chunks), so a server that is
# stopped between two writes is a normal end to the client. sse.js then parses what it has, dispatches it, and takes its id as the last event id.
# Of a number the cut leaves a smaller number, that is, sound JSON with a wrong price.
#
# (In Node, which has no XMLHttpRequest, the one of xhr2 0.2.1 stands for the browser's. eventsource 5.1.5 is there to compare.)
# Seen: sse.js has '120000' as 1 and '12' as 2; eventsource has the first alone.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"

npm install --silent --no-audit --no-fund --prefix . sse.js@2.8.0 xhr2@0.2.1 eventsource@5.1.5
cat >half.mjs <<'JS'
import net from "node:net";
import XMLHttpRequest from "xhr2";
import { EventSource } from "eventsource";
import { SSE } from "sse.js";
globalThis.XMLHttpRequest = XMLHttpRequest;

// HTTP/1.1 with a body that ends with the connection.
const stream = "id: 1\ndata: 120000\n\nid: 2\ndata: 12";
const server = net.createServer((socket) => {
  socket.once("data", () => {
    socket.write("HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nConnection: close\r\n\r\n");
    setTimeout(() => socket.end(stream), 50);
  });
});
server.listen(0, "127.0.0.1", async () => {
  const url = `http://127.0.0.1:${server.address().port}/`;
  const over = async (source, ended) => {
    const heard = [];
    source.addEventListener("message", (event) => heard.push(`${event.lastEventId}=${event.data}`));
    await new Promise((done) => ended(source, done));
    return heard.join(" ");
  };
  const closed = (source, done) => source.addEventListener("readystatechange", (event) => event.readyState === SSE.CLOSED && done());
  console.log("sse.js:", await over(new SSE(url, { payload: null }), closed));
  console.log("eventsource:", await over(new EventSource(url), (source, done) => source.addEventListener("error", done)));
  process.exit();
});
JS
timeout 30 node half.mjs | tee seen
diff seen - <<'SEEN' || { echo "the behaviour has changed"; exit 1; }
sse.js: 1=120000 2=12
eventsource: 1=120000
SEEN
echo "as described: sse.js 2.8.0 dispatches an event that has not arrived whole"
