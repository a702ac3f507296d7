#!/usr/bin/env bash
# axios-etag-cache 1.4.0 with axios 1.21.1 (npm): a 304 brings the body of another page or another language.
#
# RFC 9110, 8.8.3: an entity tag tells apart the representations "of the same resource", and nothing more; two resources may have the same one, and many servers
# number versions ("v7" is the seventh of each). RFC 9111, 2 and 4.1: what is stored is found by the whole target URI, and by the fields of the request that `Vary` names.
# axios-etag-cache finds it by `config.url` as the caller wrote it, which is without `params` and without `baseURL`, in one store for all instances of
# axios. So the second page is asked for with the entity tag of the first. If the tags are equal the server says, as it must, 304, and the caller gets
# the first page as a 200; the same for another base, and for another `Accept-Language` on a resource that varies by it.
#
# Seen: "page 1" for page 2, "show 1" for show 2, "ko" for who asked for English.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"

npm install --silent --no-audit --no-fund --prefix . axios-etag-cache@1.4.0 axios@1.21.1
cat >pages.cjs <<'JS'
const http = require("node:http");
const axios = require("axios");
const { axiosETAGCache } = require("axios-etag-cache");

const server = http.createServer(({ url, headers }, answer) => {
  const known = headers["if-none-match"] === '"v7"';
  answer.writeHead(known ? 304 : 200, { etag: '"v7"', "cache-control": "no-cache", vary: "accept-language" });
  answer.end(known ? undefined : `${url} ${headers["accept-language"]}`);
});
server.listen(0, "127.0.0.1", async () => {
  const base = `http://127.0.0.1:${server.address().port}`;
  const ask = async (client, path, config) => {
    const { status, data } = await client.get(path, config);
    return `${status} ${data}`;
  };
  for (const [name, wrap] of [["axios", (client) => client], ["axios-etag-cache", axiosETAGCache]]) {
    const [first, second] = [1, 2].map((show) => wrap(axios.create({ baseURL: `${base}/shows/${show}`, headers: { "accept-language": "ko" } })));
    console.log(`${name}:`);
    for (const page of [1, 2]) console.log(`  page ${page}: ${await ask(first, "/seats", { params: { page } })}`);
    console.log(`  show 1: ${await ask(first, "/hall")}`);
    console.log(`  show 2: ${await ask(second, "/hall")}`);
    console.log(`  in English: ${await ask(first, "/hall", { headers: { "accept-language": "en" } })}`);
  }
  process.exit();
});
JS
timeout 30 node pages.cjs | tee seen
diff seen - <<'SEEN' || { echo "the behaviour has changed"; exit 1; }
axios:
  page 1: 200 /shows/1/seats?page=1 ko
  page 2: 200 /shows/1/seats?page=2 ko
  show 1: 200 /shows/1/hall ko
  show 2: 200 /shows/2/hall ko
  in English: 200 /shows/1/hall en
axios-etag-cache:
  page 1: 200 /shows/1/seats?page=1 ko
  page 2: 200 /shows/1/seats?page=1 ko
  show 1: 200 /shows/1/hall ko
  show 2: 200 /shows/1/hall ko
  in English: 200 /shows/1/hall ko
SEEN
echo "as described: axios-etag-cache 1.4.0 takes one page for all that have its path"
