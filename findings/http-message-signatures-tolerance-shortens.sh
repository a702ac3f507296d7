#!/usr/bin/env bash
# http-message-signatures 1.0.6 (npm): the more tolerance, the sooner a signature is too old; and three kinds of components that others sign are not verified.
#
# Its own documentation of `tolerance` is "a clock tolerance when verifying created/expires times". The tolerance is taken from `created` before that is compared
# with `maxAge` and with now: a clock that is behind is allowed for, as it should be, but the age gets larger by it. With `maxAge: 60` and `tolerance: 30` a
# signature of 40 seconds is "too old", which without a tolerance is good, and one of 70 seconds, for which the tolerance is there, is as well. With
# a tolerance above `maxAge` none is ever good.
# RFC 9421, 2.2.8: the value of `@query-param` is encoded as a form is ("percent-encode after encoding", 5.2 of the URL standard), where only letters, digits
# and *-._ stay as they are. The library uses encodeURIComponent, which leaves !'()~ too: "Row (A)" is another signature base than everybody else's.
# RFC 9421, 2.1.2: `key` selects a member of a dictionary field. By RFC 9651, 3.2, a member that is true is written as its key alone, and a dictionary may
# consist of such members, like `priority: i` (RFC 9218, 4.2). The library takes what may be a list for a list, and then throws that it is no dictionary.
#
# The signatures are made by http-message-signatures 3.0.0 for Python (PyPI), which verifies each of them (it is another project, of the same name).
# Seen: "too old" at 40 seconds with a tolerance only; false for "Row (A)"; "Unable to parse header as dictionary" for "i".
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"

npm install --silent --no-audit --no-fund --prefix . http-message-signatures@1.0.6
python3 -m venv venv
venv/bin/pip install --quiet --disable-pip-version-check http-message-signatures==3.0.0
cat >sign.py <<'PYTHON'
import json
from datetime import datetime, timedelta, timezone
from types import SimpleNamespace
from http_message_signatures import HTTPMessageSigner, HTTPMessageVerifier, MappingKeyResolver, algorithms

secret = b"0123456789abcdef0123456789abcdef"
keys = MappingKeyResolver(public_keys={"key": secret}, private_keys={"key": secret})
signer = HTTPMessageSigner(signature_algorithm=algorithms.HMAC_SHA256, key_resolver=keys)
verifier = HTTPMessageVerifier(signature_algorithm=algorithms.HMAC_SHA256, key_resolver=keys)
signed = []


def sign(told, component, url="https://tickets.example/seats", headers=(), age=0):
    request = SimpleNamespace(method="GET", url=url, headers=dict(headers))
    created = datetime.now(timezone.utc) - timedelta(seconds=age)
    signer.sign(request, key_id="key", covered_component_ids=[component], created=created)
    verifier.verify(request)
    signed.append({"told": told, "method": "GET", "url": request.url, "headers": request.headers})


for age in 20, 40, 70:
    sign(f"{age} seconds", "@method", age=age)
for value in "Row-A", "Row%20A", "Row%20(A)", "~O'Hara!":
    sign(value, '"@query-param";name="row"', url=f"https://tickets.example/seats?row={value}")
for value in "u=1, i", "i":
    sign(f"priority: {value}", '"priority";key="i"', headers={"priority": value})
print(json.dumps(signed))
PYTHON
cat >verify.mjs <<'JS'
import { readFileSync } from "node:fs";
import { createVerifier, httpbis } from "http-message-signatures";

const key = { id: "key", algs: ["hmac-sha256"], verify: createVerifier("0123456789abcdef0123456789abcdef", "hmac-sha256") };
for (const { told, ...request } of JSON.parse(readFileSync("signed"))) {
  for (const tolerance of told.includes("seconds") ? [0, 15, 30] : [0]) {
    const verified = await httpbis.verifyMessage({ keyLookup: async () => key, maxAge: 60, tolerance }, request).catch(({ message }) => message);
    console.log(`${told}, tolerance ${tolerance}: ${verified}`);
  }
}
JS
timeout 30 venv/bin/python sign.py >signed
timeout 30 node verify.mjs | tee seen
diff seen - <<'SEEN' || { echo "the behaviour has changed"; exit 1; }
20 seconds, tolerance 0: true
20 seconds, tolerance 15: true
20 seconds, tolerance 30: true
40 seconds, tolerance 0: true
40 seconds, tolerance 15: true
40 seconds, tolerance 30: Signature is too old
70 seconds, tolerance 0: Signature is too old
70 seconds, tolerance 15: Signature is too old
70 seconds, tolerance 30: Signature is too old
Row-A, tolerance 0: true
Row%20A, tolerance 0: true
Row%20(A), tolerance 0: false
~O'Hara!, tolerance 0: false
priority: u=1, i, tolerance 0: true
priority: i, tolerance 0: Unable to parse header as dictionary
SEEN
echo "as described: a tolerance takes from the age that a signature may have"
