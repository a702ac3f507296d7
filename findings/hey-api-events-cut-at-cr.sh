#!/usr/bin/env bash
# @hey-api/openapi-ts 0.99.0 (npm), the client that it generates for text/event-stream: an event with CR LF may fall into two.
#
# The HTML standard, 9.2.5: a line of an event stream ends with CR LF, LF or CR, and where the bytes are cut on their way means nothing. The generated client
# turns each CR LF and each lone CR into LF whenever bytes arrive. If they were cut between CR and LF, the CR is a line end already when the LF comes and is
# another: an empty line, which ends the event. The first half (here its name and id) is told as an event without data, the second as one without a
# name. eventsource-parser 4.1.3 reads the same chunks as one event.
#
# Seen: one event for "…\r\ndata…" in one piece; for the same bytes cut behind the CR two, of which the second has no name.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"

npm install --silent --no-audit --no-fund --prefix . node@24.21.0 @hey-api/openapi-ts@0.99.0 typescript@5.9.3 esbuild@0.28.2 eventsource-parser@4.1.3 >/dev/null
PATH=$work/node_modules/.bin:$PATH
cat >openapi.json <<'JSON'
{"openapi": "3.1.0", "info": {"title": "Hall", "version": "1"}, "paths": {"/seats": {"get": {"operationId": "seats",
 "responses": {"200": {"description": "What happens.", "content": {"text/event-stream": {"schema": {"type": "string"}}}}}}}}}
JSON
openapi-ts --input ./openapi.json --output ./made --client @hey-api/client-fetch >/dev/null
cat >listen.ts <<'TS'
import http from "node:http";
import { createParser } from "eventsource-parser";
import { client } from "./made/client.gen";
import { seats } from "./made/sdk.gen";

const stream = "event: taken\r\nid: 7\r\ndata: A5\r\n\r\n";
const server = http.createServer(({ headers }, answer) => {
  const at = Number(headers["x-cut"]);
  answer.writeHead(200, { "content-type": "text/event-stream" });
  answer.write(stream.slice(0, at));
  setTimeout(() => answer.end(stream.slice(at)), 200);
});
server.listen(0, "127.0.0.1", async () => {
  client.setConfig({ baseUrl: `http://127.0.0.1:${(server.address() as any).port}` });
  for (const cut of [stream.indexOf("id:"), stream.indexOf("\ndata")]) {
    const told: string[] = [], parsed: string[] = [];
    const show = ({ event, data }: { event?: string; data?: unknown }) => `${event ?? "(no name)"}: ${data ?? "(no data)"}`;
    const { stream: events } = await seats({ headers: { "x-cut": String(cut) }, onSseEvent: (event: any) => told.push(show(event)) });
    for await (const _ of events);
    const parser = createParser({ onEvent: (event) => parsed.push(show(event)) });
    parser.feed(stream.slice(0, cut));
    parser.feed(stream.slice(cut));
    console.log(`cut ${stream[cut - 1] === "\r" ? "between CR and LF" : "between lines"}: ${told.join(", ")}; eventsource-parser: ${parsed.join(", ")}`);
  }
  process.exit();
});
TS
esbuild listen.ts --bundle --platform=node --format=esm --outfile=listen.mjs --log-level=error
timeout 30 node listen.mjs | tee seen
diff seen - <<'SEEN' || { echo "the behaviour has changed"; exit 1; }
cut between lines: taken: A5; eventsource-parser: taken: A5
cut between CR and LF: taken: (no data), (no name): A5; eventsource-parser: taken: A5
SEEN
echo "as described: the client of @hey-api/openapi-ts 0.99.0 sees an empty line between CR and LF"
