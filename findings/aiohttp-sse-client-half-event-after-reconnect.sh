#!/usr/bin/env bash
# aiohttp-sse-client 0.2.1 and aiohttp-sse-client2 0.3.0 (PyPI): half an event is kept over a reconnect and becomes part of the next one.
#
# A server or a proxy that restarts may end a response in the middle of an event. By the HTML standard (Server-sent events, Interpreting an
# event stream) what came of an event whose empty line did not come is thrown away when the response ends, and nothing of it is dispatched.
# Both libraries connect again by themselves, as they should, but go on with what the first connection had left: the first event of the
# second connection, which is whole, gets the lines of the half before its own. What was JSON is no JSON any more, and the half's `event:`
# names an event that has no name.
#
# Seen, of each: first ('seats', '{"free": 3}'), second ('seats', '{"free": 2}\n{"place": 1}').
# Expected as the second: the data {"place": 1} alone, and no name.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"

python3 -m venv venv
venv/bin/pip install --quiet --disable-pip-version-check aiohttp==3.14.5 aiohttp-sse-client==0.2.1 aiohttp-sse-client2==0.3.0

cat >halves.py <<'PYTHON'
import asyncio
import importlib
import sys
from datetime import timedelta

# Two responses, one after the other. The first ends inside of its second event.
RESPONSES = [
    b'event: seats\nid: 1\ndata: {"free": 3}\n\nevent: seats\nid: 2\ndata: {"free": 2}\n',
    b'data: {"place": 1}\n\n',
]


async def main(name):
    left = list(RESPONSES)

    async def serve(reader, writer):
        await reader.readuntil(b"\r\n\r\n")
        if left:
            head = b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\nconnection: close\r\n\r\n"
            writer.write(head + left.pop(0))
        else:
            writer.write(b"HTTP/1.1 204 No Content\r\nconnection: close\r\n\r\n")
        await writer.drain()
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/"
    client = importlib.import_module(f"{name}.client")
    async with client.EventSource(url, reconnection_time=timedelta(milliseconds=20)) as events:
        first = await anext(events)
        second = await anext(events)
    print(f"{name}: first: {first.type, first.data}")
    print(f"{name}: second: {second.type, second.data}")
    server.close()


asyncio.run(asyncio.wait_for(main(sys.argv[1]), 20))
PYTHON
for name in aiohttp_sse_client aiohttp_sse_client2; do venv/bin/python halves.py "$name"; done | tee seen
diff seen - <<'SEEN' || { echo "the behaviour has changed"; exit 1; }
aiohttp_sse_client: first: ('seats', '{"free": 3}')
aiohttp_sse_client: second: ('seats', '{"free": 2}\n{"place": 1}')
aiohttp_sse_client2: first: ('seats', '{"free": 3}')
aiohttp_sse_client2: second: ('seats', '{"free": 2}\n{"place": 1}')
SEEN
echo "as described"
