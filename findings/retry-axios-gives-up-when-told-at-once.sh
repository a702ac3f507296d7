#!/usr/bin/env bash
# retry-axios 4.0.3 with axios 1.21.1 (npm): a `Retry-After` of 0, or a date that is over by the client's clock, ends the trying.
#
# RFC 9110, 10.2.3: `Retry-After` is a date or a number of seconds, 1*DIGIT, which may be 0; who comes after it has waited as asked. So "Retry-After: 0" is a
# server's word that the same request may be sent again at once. retry-axios, which tries again when the header is not there, takes each delay that is
# not above zero for one that it need not keep: it fails with the first answer. The same with a date that is not in the future, so
# that a client whose clock is a few seconds ahead of the server's never tries again where one whose clock is right does; a server that says "in two
# seconds" by a date, or a gateway that writes the moment at which it will be back, cannot see why.
#
# (ky 1.14.3 is there to compare.)
# Seen: one request and an error for 0 and for a date two seconds ago; two requests and the answer for 1, and without the header.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"

npm install --silent --no-audit --no-fund --prefix . retry-axios@4.0.3 axios@1.21.1 ky@1.14.3
cat >again.mjs <<'JS'
import http from "node:http";
import axios from "axios";
import ky from "ky";
import * as rax from "retry-axios";

const waits = { none: () => undefined, 1: () => "1", 0: () => "0", past: () => new Date(Date.now() - 2000).toUTCString() };
const asked = {};
const server = http.createServer(({ url }, answer) => {
  asked[url] = (asked[url] ?? 0) + 1;
  const wait = waits[url.split("/")[2]]();
  answer.writeHead(asked[url] === 1 ? 503 : 200, wait ? { "retry-after": wait } : {});
  answer.end();
});
await new Promise((done) => server.listen(0, "127.0.0.1", done));
const client = axios.create();
rax.attach(client);
const clients = {
  "retry-axios": (url) => client.get(url, { raxConfig: { instance: client } }),
  ky: (url) => ky(url),
};
const told = Object.keys(clients).flatMap((name) =>
  Object.keys(waits).map(async (wait) => {
    const path = `/${name}/${wait}`;
    const result = await clients[name](`http://127.0.0.1:${server.address().port}${path}`).then(({ status }) => status, () => "an error");
    return `${name}, ${wait}: ${result} after ${asked[path]}`;
  }),
);
for (const line of await Promise.all(told)) console.log(line);
process.exit();
JS
timeout 30 node again.mjs | tee seen
diff seen - <<'SEEN' || { echo "the behaviour has changed"; exit 1; }
retry-axios, 0: an error after 1
retry-axios, 1: 200 after 2
retry-axios, none: 200 after 2
retry-axios, past: an error after 1
ky, 0: 200 after 2
ky, 1: 200 after 2
ky, none: 200 after 2
ky, past: 200 after 2
SEEN
echo "as described: retry-axios 4.0.3 does not come again when it may at once"
