#!/usr/bin/env bash
# CacheControl 0.14.4 with requests 2.34.2 (PyPI): what has lain in another cache is as new as on its first day, and a request for something young gets something old.
#
# RFC 9111, 4.2.3: a response's age is at least what its `Age` says, the seconds for which it has been kept on its way (5.1). So `max-age=60` with `Age: 59` has one
# second left, and with `Age: 300` it is stale when it arrives. CacheControl counts from `Date` alone. Where a shared cache on the way writes `Date` anew, as
# some content networks do, it gives the response another whole lifetime, in which nobody asks the server. And by 5.2.1.1 a client says with `max-age` that
# it would rather have nothing older, on top of what the response says of itself; only `max-stale` asks for more (5.2.1.2). CacheControl takes the
# request's number in place of the response's, so that who asks for "not older than an hour" gets what was good for one second.
#
# (undici 7.30.2, interceptors.cache, is there to compare. hishel 2.0.0 does not count `Age` either, which its source says.)
# Seen: how often the server was asked by two requests: once in each case by CacheControl, twice by undici in all but the first.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"

npm install --silent --no-audit --no-fund --prefix . undici@7.30.2
python3 -m venv venv
venv/bin/pip install --quiet --disable-pip-version-check CacheControl==0.14.4 requests==2.34.2

cat >ask.mjs <<'JS'
import { Agent, interceptors, request } from "undici";

const [url, wait, wish] = process.argv.slice(2);
const dispatcher = new Agent().compose(interceptors.cache({ type: "private" }));
await request(url, { dispatcher }).then(({ body }) => body.text());
await new Promise((done) => setTimeout(done, wait * 1000));
await request(url, { dispatcher, headers: wish ? { "cache-control": wish } : {} }).then(({ body }) => body.text());
process.exit();
JS
cat >age.py <<'PYTHON'
import http.server
import subprocess
import threading
import time

import requests
from cachecontrol import CacheControl

asked = []


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self):
        asked.append(self.path)
        age, lifetime = self.path.split("/")[2:]
        self.send_response(200)
        self.send_header("cache-control", f"max-age={lifetime}")
        self.send_header("age", age)
        self.send_header("content-length", "4")
        self.end_headers()
        self.wfile.write(b"seat")

    def log_message(self, *_):
        pass


server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
threading.Thread(target=server.serve_forever, daemon=True).start()
session = CacheControl(requests.Session())
for age, lifetime, wait, wish in (0, 60, 0, ""), (60, 60, 0, ""), (300, 60, 0, ""), (0, 1, 2.5, "max-age=3600"):
    paths = [f"/{name}/{age}/{lifetime}" for name in ("CacheControl", "undici")]
    urls = [f"http://127.0.0.1:{server.server_port}{path}" for path in paths]
    session.get(urls[0])
    time.sleep(wait)
    session.get(urls[0], headers={"cache-control": wish} if wish else {})
    subprocess.run(["node", "ask.mjs", urls[1], str(wait), wish], check=True)
    times = ", ".join(f"{path.split('/')[1]} {asked.count(path)}" for path in paths)
    print(f"max-age={lifetime}, Age: {age}, wait {wait} s, ask for '{wish}': {times}")
PYTHON
timeout 50 venv/bin/python age.py | tee seen
diff seen - <<'SEEN' || { echo "the behaviour has changed"; exit 1; }
max-age=60, Age: 0, wait 0 s, ask for '': CacheControl 1, undici 1
max-age=60, Age: 60, wait 0 s, ask for '': CacheControl 1, undici 2
max-age=60, Age: 300, wait 0 s, ask for '': CacheControl 1, undici 2
max-age=1, Age: 0, wait 2.5 s, ask for 'max-age=3600': CacheControl 1, undici 2
SEEN
echo "as described: CacheControl 0.14.4 counts neither Age nor the response's own lifetime"
