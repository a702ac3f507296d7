#!/usr/bin/env bash
# connectrpc 0.13.0 (PyPI): a gateway's 401 or 403 arrives as "unavailable", which clients try again.
#
# A Connect client may meet an answer that is not of its server: a gateway's, whose JSON has a `code` of its own, such as {"code": 401, "message": "Jwt is
# missing"} or {"code": "TOKEN_EXPIRED"}. The Connect protocol (Unary-Response, and Error Codes) knows 16 codes, "there are no user-defined codes", and has
# clients infer the code from the HTTP status where the body's is missing or malformed: 401 is unauthenticated, 403 permission_denied, 404 unimplemented,
# others unknown. connectrpc does so if there is no `code` at all; of one that it does not know it makes `unavailable`, whatever the status.
# It should be what 429 gives, and that is the one status for which the protocol's conformance suite has such an answer (error/unrecognized-code).
#
# @connectrpc/connect 2.2.0 (npm) is there to compare.
# Seen: unavailable for 401, 403, 404 and 500 with a code of their own; unauthenticated for a 401 without. @connectrpc/connect has the right one each time.
set -euo pipefail
work=$(mktemp -d)
server=
trap '[ -z "$server" ] || kill "$server"; rm -rf "$work"' EXIT
cd "$work"

python3 -m venv venv
venv/bin/pip install --quiet --disable-pip-version-check connectrpc==0.13.0
npm install --silent --no-audit --no-fund --prefix . @connectrpc/connect@2.2.0 @connectrpc/connect-node@2.2.0 @bufbuild/protobuf@2.17.0

# Answers by its path: the status, and the JSON after it.
cat >gateway.mjs <<'JS'
import http from "node:http";
const server = http.createServer((asked, answer) => {
  const [, status, json] = asked.url.split("/");
  asked.resume().on("end", () => answer.writeHead(Number(status), { "content-type": "application/json" }).end(decodeURIComponent(json)));
});
server.listen(0, "127.0.0.1", () => console.log(server.address().port));
JS
node gateway.mjs >port &
server=$!
while [ ! -s port ]; do sleep 0.1; done

cat >ask.py <<'PYTHON'
import sys
from urllib.parse import quote

from connectrpc.client import ConnectClientSync
from connectrpc.errors import ConnectError
from connectrpc.method import IdempotencyLevel, MethodInfo, StreamType
from protobuf.wkt import Empty

method = MethodInfo(
    name="Greet", service_name="hall.Hall", input=Empty, output=Empty, idempotency_level=IdempotencyLevel.UNKNOWN, stream_type=StreamType.UNARY
)
for status, body in (line.split(" ", 1) for line in sys.stdin.read().splitlines()):
    client = ConnectClientSync(f"http://127.0.0.1:{sys.argv[1]}/{status}/{quote(body, safe='')}")
    try:
        client.execute_unary(request=Empty(), method=method)
    except ConnectError as error:
        print(f"connectrpc: {status} {body}: {error.code.value}")
PYTHON
cat >ask.mjs <<'JS'
import { readFileSync } from "node:fs";
import { Code, createClient } from "@connectrpc/connect";
import { createConnectTransport } from "@connectrpc/connect-node";
import { create, createFileRegistry } from "@bufbuild/protobuf";
import { EmptySchema, FileDescriptorProtoSchema, FileDescriptorSetSchema, file_google_protobuf_empty } from "@bufbuild/protobuf/wkt";

const type = ".google.protobuf.Empty";
const service = { name: "Hall", method: [{ name: "Greet", inputType: type, outputType: type }] };
const hall = create(FileDescriptorProtoSchema, { name: "hall.proto", package: "hall", syntax: "proto3", dependency: ["google/protobuf/empty.proto"], service: [service] });
const registry = createFileRegistry(create(FileDescriptorSetSchema, { file: [file_google_protobuf_empty.proto, hall] }));
for (const line of readFileSync(0, "utf8").trimEnd().split("\n")) {
  const [status, body] = [line.slice(0, 3), line.slice(4)];
  const baseUrl = `http://127.0.0.1:${process.argv[2]}/${status}/${encodeURIComponent(body)}`;
  const client = createClient(registry.getService("hall.Hall"), createConnectTransport({ baseUrl, httpVersion: "1.1" }));
  await client.greet(create(EmptySchema)).catch((error) => console.log(`@connectrpc/connect: ${status} ${body}: ${Code[error.code]}`));
}
JS
cat >answers <<'ANSWERS'
401 {"message": "Jwt is missing"}
401 {"code": 401, "message": "Jwt is missing"}
401 {"code": "TOKEN_EXPIRED", "message": "log in again"}
403 {"code": "NOT_YOURS", "message": "not your seat"}
404 {"code": "NO_ROUTE", "message": "no such path"}
500 {"code": "BUG", "message": "oops"}
ANSWERS
{ venv/bin/python ask.py "$(cat port)" <answers && node ask.mjs "$(cat port)" <answers; } | tee seen
diff seen - <<'SEEN' || { echo "the behaviour has changed"; exit 1; }
connectrpc: 401 {"message": "Jwt is missing"}: unauthenticated
connectrpc: 401 {"code": 401, "message": "Jwt is missing"}: unavailable
connectrpc: 401 {"code": "TOKEN_EXPIRED", "message": "log in again"}: unavailable
connectrpc: 403 {"code": "NOT_YOURS", "message": "not your seat"}: unavailable
connectrpc: 404 {"code": "NO_ROUTE", "message": "no such path"}: unavailable
connectrpc: 500 {"code": "BUG", "message": "oops"}: unavailable
@connectrpc/connect: 401 {"message": "Jwt is missing"}: Unauthenticated
@connectrpc/connect: 401 {"code": 401, "message": "Jwt is missing"}: Unauthenticated
@connectrpc/connect: 401 {"code": "TOKEN_EXPIRED", "message": "log in again"}: Unauthenticated
@connectrpc/connect: 403 {"code": "NOT_YOURS", "message": "not your seat"}: PermissionDenied
@connectrpc/connect: 404 {"code": "NO_ROUTE", "message": "no such path"}: Unimplemented
@connectrpc/connect: 500 {"code": "BUG", "message": "oops"}: Unknown
SEEN
echo "as described"
