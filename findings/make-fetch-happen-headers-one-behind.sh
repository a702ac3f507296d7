#!/usr/bin/env bash
# make-fetch-happen 15.0.6 (npm): after a 304 the response has the headers of the time before.
#
# RFC 9111, 4.3.4 and 3.2: with a 304 a cache replaces the fields of what it has stored by those of the 304, and answers with that. make-fetch-happen writes them
# to its index and answers with what it had read from there before it asked. So each revalidated response has the headers of one answer ago: a
# `Link` to the page before, a `Cache-Control` that is over, a `Date` that is too old; and it has the new ones when it is asked the next time, when they are out
# of date. make-fetch-happen 16.0.1 does the same. cacheable-request 13.0.19, on the same answers, has them at once.
#
# Seen: </1> </1> </2> </3> where the server has said </1> </2> </3> </4>.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"

npm install --silent --no-audit --no-fund --prefix . make-fetch-happen@15.0.6 cacheable-request@13.0.19
cat >behind.mjs <<'JS'
import http from "node:http";
import CacheableRequest from "cacheable-request";
import fetch from "make-fetch-happen";

let answers;
const server = http.createServer(({ headers }, answer) => {
  const known = headers["if-none-match"] === '"v1"';
  answers.push(`${known ? 304 : 200} </${answers.length + 1}>`);
  answer.writeHead(known ? 304 : 200, { etag: '"v1"', "cache-control": "no-cache", link: `</${answers.length}>; rel=next` });
  answer.end(known ? undefined : "the same for ever");
});
await new Promise((done) => server.listen(0, "127.0.0.1", done));
const { port } = server.address();
const cached = fetch.defaults({ cachePath: `${process.cwd()}/cache`, retry: false });
const request = new CacheableRequest(http.request, new Map()).request();
const clients = {
  async "make-fetch-happen"() {
    const response = await cached(`http://127.0.0.1:${port}/`);
    await response.text();
    return response.headers.get("link");
  },
  "cacheable-request": () =>
    new Promise((done, failed) => {
      const asked = request({ hostname: "127.0.0.1", port, path: "/" }, (response) => response.on("end", () => done(response.headers.link)).resume());
      asked.on("request", (wire) => wire.end()).on("error", failed);
    }),
};
for (const [name, ask] of Object.entries(clients)) {
  answers = [];
  const told = [];
  for (let time = 0; time < 4; time++) {
    told.push((await ask()).split(";")[0]);
    await new Promise((done) => setTimeout(done, 200)); // what is stored in the background is stored
  }
  console.log(`${name}: ${told.join(" ")} for ${answers.join(", ")}`);
}
process.exit();
JS
timeout 30 node behind.mjs | tee seen
diff seen - <<'SEEN' || { echo "the behaviour has changed"; exit 1; }
make-fetch-happen: </1> </1> </2> </3> for 200 </1>, 304 </2>, 304 </3>, 304 </4>
cacheable-request: </1> </2> </3> </4> for 200 </1>, 304 </2>, 304 </3>, 304 </4>
SEEN
echo "as described: make-fetch-happen 15.0.6 answers with the headers of one answer ago"
