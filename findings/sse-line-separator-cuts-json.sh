#!/usr/bin/env bash
# @server-sent-stream/parser 1.0.4 (npm) and aiosseclient 0.1.8 (PyPI): an event's JSON ends at a U+2028 in it.
#
# The HTML standard, 9.2.5: a line of an event stream ends with CR LF, LF or CR, and with nothing else. RFC 8259, 7: within a string of JSON each character but
# the quotation mark, the backslash and U+0000 to U+001F may stand as it is; and so JSON.stringify writes U+2028 and U+2029, the line and paragraph separator of
# Unicode, and U+0085 as they stand (they come with what is pasted from documents, such as a seller's description of a hall). @server-sent-stream/parser
# reads a value by /(.*)/, where the dot stops at U+2028 and U+2029; aiosseclient by str.splitlines, which ends a line at these and at U+0085 and leaves
# out the rest as "Invalid SSE line". No error is raised, and the data that is handed out is half a string. The first of them also takes a line that is
# commented out, ":data: …", for data, for it looks for the name of the field anywhere in the line.
#
# (eventsource-parser 4.1.3 is there to compare.)
# Seen, for an event with U+2028, one with U+0085, one with neither, and one after a comment: "no JSON, 3, 3, old and new" and "no JSON, no JSON, 3, new".
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"

npm install --silent --no-audit --no-fund --prefix . @server-sent-stream/parser@1.0.4 eventsource-parser@4.1.3
python3 -m venv venv
venv/bin/pip install --quiet --disable-pip-version-check aiosseclient==0.1.8 aiohttp==3.14.5

cat >write.mjs <<'JS'
import { writeFileSync } from "node:fs";
import { createParser } from "eventsource-parser";
import made from "@server-sent-stream/parser";

const halls = ["\u2028", "\u0085", " "].map((mark) => JSON.stringify({ hall: `Row A${mark}standing`, free: 3 }));
const stream = `${halls.map((hall) => `data: ${hall}\n\n`).join("")}:data: old\ndata: new\n\n`;
writeFileSync("stream", stream);
const Parser = made.default ?? made;
const told = (data) => {
  try {
    return JSON.parse(data).free;
  } catch {
    return data.includes("{") ? "no JSON" : data.replace("\n", " and ");
  }
};
const first = [], second = [];
new Parser((data) => first.push(told(data))).push(stream);
createParser({ onEvent: ({ data }) => second.push(told(data)) }).feed(stream);
console.log(`@server-sent-stream/parser: ${first.join(", ")}`);
console.log(`eventsource-parser: ${second.join(", ")}`);
JS
cat >read.py <<'PYTHON'
import asyncio
import json
import logging

from aiosseclient import aiosseclient

logging.disable()


def told(data):
    try:
        return json.loads(data)["free"]
    except ValueError:
        return "no JSON" if "{" in data else data


async def main():
    async def serve(reader, writer):
        await reader.readuntil(b"\r\n\r\n")
        head = b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\nconnection: close\r\n\r\n"
        writer.write(head + open("stream", "rb").read())
        await writer.drain()
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    url = "http://127.0.0.1:%d/" % server.sockets[0].getsockname()[1]
    print("aiosseclient:", *[told(event.data) async for event in aiosseclient(url)], sep=", ")


asyncio.run(main())
PYTHON
{
  timeout 30 node write.mjs
  timeout 30 venv/bin/python read.py | sed 's/:,/:/'
} | tee seen
diff seen - <<'SEEN' || { echo "the behaviour has changed"; exit 1; }
@server-sent-stream/parser: no JSON, 3, 3, old and new
eventsource-parser: 3, 3, 3, new
aiosseclient: no JSON, no JSON, 3, new
SEEN
echo "as described: two readers of event streams end a line where none ends"
