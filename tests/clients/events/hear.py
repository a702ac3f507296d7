"""Hears events as a program of somebody else's does: the signature checked by the library of Standard Webhooks, the body by
its JSON Schema in docs/events, and when a show begins at its venue by Python's own time zones. Usage: hear.py SCHEMAS; the
secret is in WEBHOOK_SECRET. Prints its port, then a line for each event: its type, or WRONG and why."""
import json
import os
import pathlib
import sys
from datetime import datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from zoneinfo import ZoneInfo

from jsonschema import Draft202012Validator, FormatChecker
from standardwebhooks.webhooks import Webhook

webhook = Webhook(os.environ["WEBHOOK_SECRET"])
schemas = {path.stem: json.loads(path.read_text()) for path in pathlib.Path(sys.argv[1]).glob("*.json")}


def checked(headers, body):
    event = webhook.verify(body, headers)
    Draft202012Validator(schemas[event["type"]], format_checker=FormatChecker()).validate(event)
    if headers["webhook-id"] != event["id"]:
        raise ValueError("webhook-id is not the event's id")
    if event["type"].startswith("boxoffice.show."):
        data = event["data"]
        begins = datetime.fromisoformat(data["startsAt"]).astimezone(ZoneInfo("Asia/Seoul"))
        there = f"{data['timeZone']} {data['localDate']} {data['localTime']}"
        if there != f"Asia/Seoul {begins:%Y-%m-%d %H:%M}":
            raise ValueError(f"not when it begins at its venue: {data}")
    return event["type"]


class Receiver(BaseHTTPRequestHandler):
    def do_POST(self):
        body = self.rfile.read(int(self.headers["content-length"]))
        try:
            told, status = checked({name.lower(): value for name, value in self.headers.items()}, body), 204
        except Exception as error:
            told, status = f"WRONG {type(error).__name__} {str(error).splitlines()[0]} {body[:80]}", 400
        # In one piece, since two events may be heard at the same moment.
        os.write(sys.stdout.fileno(), f"{told}\n".encode())
        self.send_response(status)
        self.end_headers()

    def log_message(self, *_):
        pass


server = ThreadingHTTPServer(("127.0.0.1", 0), Receiver)
print(server.server_port, flush=True)
server.serve_forever()
