#!/usr/bin/env bash
# hishel 2.0.0 with httpx 0.28.1 (PyPI), `rfc=True`: a header that `Cache-Control: no-cache="…"` names is taken out of the server's own answer.
#
# `max-age=60, no-cache="set-cookie"` is how a server lets a page be kept without the cookie that came with it. RFC 9111, 5.2.2.4, is about
# *later* answers: those that are made from what was stored, unasked, must do without the fields that are named. The answer that the server
# gives, to whoever asked for it, is to be passed on as it is. hishel takes the fields out of what it stores, and hands out that: the cookie of
# the first answer never reaches httpx's jar, also in a cache of one user (`shared=False`), and the next request comes without a session. The same
# server and client without the cache have it.
#
# Seen: "no cache: cookie seen=1, next request sends seen=1", "hishel: no cookie, next request sends none".
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"

python3 -m venv venv
venv/bin/pip install --quiet --disable-pip-version-check 'hishel[httpx]==2.0.0' httpx==0.28.1

cat >cookie.py <<'PYTHON'
import http.server
import threading

import httpx
from hishel import CacheOptions
from hishel.httpx import CacheClient

told = []


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self):
        told.append(self.headers.get("cookie"))
        self.send_response(200)
        self.send_header("cache-control", 'max-age=60, no-cache="set-cookie"')
        self.send_header("set-cookie", "seen=1")
        self.send_header("content-length", "0")
        self.end_headers()

    def log_message(self, *_):
        pass


server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
threading.Thread(target=server.serve_forever, daemon=True).start()
at = f"http://127.0.0.1:{server.server_port}"


def visit(client):
    with client:
        first = client.get(f"{at}/{len(told)}")
        client.get(f"{at}/{len(told)}")
    return f"cookie {first.headers.get('set-cookie')}, next request sends {told[-1]}"


print("no cache:", visit(httpx.Client()))
print("hishel, shared:", visit(CacheClient(rfc=CacheOptions(shared=True))))
print("hishel, of one user:", visit(CacheClient(rfc=CacheOptions(shared=False))))
PYTHON
venv/bin/python cookie.py | tee seen
diff seen - <<'SEEN' || { echo "the behaviour has changed"; exit 1; }
no cache: cookie seen=1, next request sends seen=1
hishel, shared: cookie None, next request sends None
hishel, of one user: cookie None, next request sends None
SEEN
echo "as described"
