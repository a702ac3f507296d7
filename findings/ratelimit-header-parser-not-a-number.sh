#!/usr/bin/env bash
# ratelimit-header-parser 0.1.0 (npm) on the header of express-rate-limit 8.7.5 (npm), which is of the same makers.
#
# The `RateLimit` field has had structured values since draft 8 (`"5-in-1min"; r=4; t=60`), and express-rate-limit sends them with
# `standardHeaders: "draft-8"`. The parser, which says "undefined if it fails to find any ratelimit headers" and knows draft 7, does find the field, does
# not know its members, and answers an object of NaN and an Invalid Date instead of undefined; `remaining > 0` is false, so a client that waits while
# nothing remains waits although four requests remain. `new Date(NaN).toISOString()` throws. And with X-RateLimit-Remaining beside Retry-After it takes the seconds to wait
# (RFC 9110, 10.2.3) for seconds since 1970: the limit was reset half a century ago.
#
# Seen: draft 7 read well; for draft 8 NaN and Invalid Date; and 1970-01-01T00:00:30.000Z for "Retry-After: 30".
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"

npm install --silent --no-audit --no-fund --prefix . ratelimit-header-parser@0.1.0 express-rate-limit@8.7.5 express@5.3.0
cat >limits.mjs <<'JS'
import express from "express";
import { rateLimit } from "express-rate-limit";
import { parseRateLimit } from "ratelimit-header-parser";

for (const standardHeaders of ["draft-7", "draft-8"]) {
  const app = express();
  app.use(rateLimit({ windowMs: 60_000, limit: 5, standardHeaders, legacyHeaders: false }));
  app.get("/", (_, answer) => answer.end());
  const server = app.listen(0, "127.0.0.1");
  await new Promise((done) => server.once("listening", done));
  const { headers } = await fetch(`http://127.0.0.1:${server.address().port}/`);
  const { limit, remaining, reset } = parseRateLimit(headers);
  const field = headers.get("ratelimit").replace(/(partition|pk)=[^;]*;? ?/, "");
  console.log(`${standardHeaders}: ${field} is ${limit} ${remaining} ${Number.isNaN(+reset) ? reset : "a date"}`);
  server.close();
}
const { reset } = parseRateLimit({ "x-ratelimit-limit": "5", "x-ratelimit-remaining": "0", "retry-after": "30" });
console.log(`retry-after 30: ${reset.toISOString()}`);
process.exit();
JS
node limits.mjs | tee seen
diff seen - <<'SEEN' || { echo "the behaviour has changed"; exit 1; }
draft-7: limit=5, remaining=4, reset=60 is 5 4 a date
draft-8: "5-in-1min"; r=4; t=60 is NaN NaN Invalid Date
retry-after 30: 1970-01-01T00:00:30.000Z
SEEN
echo "as described: ratelimit-header-parser 0.1.0 answers what is no number"
