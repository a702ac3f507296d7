"""The OpenAPI document against itself and against the edge: valid 3.1, complete with an example of everything, and nothing that the
edge answers to generated requests, sound or broken, is a 5xx or outside of it.

    python check.py http://HOST:PORT FOLDER
"""

import json
import pathlib
import re
import subprocess
import sys
import urllib.request

from openapi_schema_validator import OAS31Validator
from openapi_spec_validator import validate

# What an event of a stream has as its data.
EVENTS = {"token": "Token", "snapshot": "Availability", "changes": "AvailabilityChanges"}
SEED, EXAMPLES = "20261122", "8"
# What there is for ever; more may come. (`{}` is any parameter.)
CONTRACT = """
POST /v1/queues/{}/tokens, GET /v1/queues/{}, PUT /v1/queues/{},
GET /v1/tokens/{}, DELETE /v1/tokens/{}, GET /v1/tokens/{}/events, GET /v1/tokens/{}/ws,
POST /v1/concerts, GET /v1/concerts, GET /v1/concerts/{}, POST /v1/concerts/{}/shows, GET /v1/concerts/{}/shows,
GET /v1/concerts/{}/dates, GET /v1/concerts/{}/seats, GET /v1/shows/{}/seats, GET /v1/shows/{}/plan,
POST /v1/reservations, GET /v1/reservations/{}, DELETE /v1/reservations/{}, GET /v1/users/{}/reservations,
POST /v1/wallets/{}/charges, GET /v1/wallets/{}, GET /v1/wallets/{}/entries,
POST /v1/payments, GET /v1/payments/{}, GET /v1/users/{}/payments, GET /v1/operator/journal,
GET /v1/operator/metrics, GET /v1/operator/alerts, GET /v1/operator/history, GET /v1/queues, GET /v1/payments, GET /v1/payments/{}/story, POST /v1/payments/{}/retry,
POST /queue-management/api/token, GET /queue-management/api/token/{},
GET /api-orchestration/api/reservations/available-dates/{}, GET /api-orchestration/api/reservations/available-seats,
POST /api-orchestration/api/reservations/reserve-seat, POST /api-orchestration/api/balance/charge,
GET /api-orchestration/api/balance/{}, POST /api-orchestration/api/balance/payment,
GET /healthz, GET /readyz, GET /metrics, GET /openapi.json, GET /docs/
"""


def led_to(document, part):
    """A part of the document, or the one that it stands for."""
    if "$ref" not in part:
        return part
    _, components, kind, name = part["$ref"].split("/")
    return document[components][kind][name]


def taken(document, operation):
    """The parameters of an operation."""
    return [led_to(document, parameter) for parameter in operation.get("parameters", [])]


def problems(document):
    """What the document lacks, or has wrong."""
    parts = {"components": document["components"]}
    described = {f"{method.upper()} {re.sub('{[^}]*}', '{}', path)}" for path, item in document["paths"].items() for method in item}
    yield from (f"{route} is not described" for route in re.split(r",\s*", CONTRACT.strip()) if route not in described)

    def fits(what, schema, value):
        for error in OAS31Validator({**schema, **parts}, format_checker=OAS31Validator.FORMAT_CHECKER).iter_errors(value):
            yield f"{what}: {value!r} does not fit its schema: {error.message}"

    def samples(schema, given):
        schema = led_to(document, schema)
        named = [example["value"] for example in given.get("examples", {}).values()]
        return named + [given[key] for key in ["example"] if key in given] or schema.get("examples") or [schema[key] for key in ["example"] if key in schema]

    def sampled(what, holder):
        found = samples(holder["schema"], holder)
        if not found:
            yield f"{what} has no example"
        for value in found:
            yield from fits(what, holder["schema"], value)

    ids = set()
    for path, item in document["paths"].items():
        for method, operation in item.items():
            name = f"{method} {path}"
            if operation["operationId"] in ids or not operation.get("summary") or not operation.get("tags"):
                yield f"{name} lacks an id of its own, a summary or a tag"
            ids.add(operation["operationId"])
            original = path.startswith(("/queue-management/", "/api-orchestration/"))
            if original != (operation["tags"] == ["original"]):
                yield f"{name}: tag {operation['tags']}"
            in_path = {part[1:-1] for part in path.split("/") if part.startswith("{")}
            parameters = taken(document, operation)
            if in_path != {p["name"] for p in parameters if p["in"] == "path"}:
                yield f"{name}: parameters of the path"
            if ("traceparent", "header") not in {(p["name"], p["in"]) for p in parameters}:
                yield f"{name} takes no trace context"
            for parameter in parameters:
                if not parameter.get("description"):
                    yield f"{name}: {parameter['name']} has no description"
                yield from sampled(f"{name}: {parameter['name']}", parameter)
            for content in operation.get("requestBody", {}).get("content", {}).values():
                yield from sampled(f"{name}: body", content)
            for status, response in operation["responses"].items():
                if status >= "400" and status != "503" and "application/problem+json" not in response.get("content", {}):
                    yield f"{name}: {status} is no problem document"
                for header, described in response.get("headers", {}).items():
                    yield from sampled(f"{name}: {status}: {header}", led_to(document, described))
                for media_type, content in response.get("content", {}).items():
                    yield from sampled(f"{name}: {status}", content)
                    if media_type == "text/event-stream":
                        if content["schema"]["type"] != "string":
                            yield f"{name}: a stream is a text to who reads it"
                        for event, data in re.findall(r"event: (\w+)\n(?:\w+: .*\n)*?data: (.*)", content["example"]):
                            schema = {"$ref": f"#/components/schemas/{EVENTS[event]}"}
                            yield from fits(f"{name}: {event}", schema, json.loads(data))


def main(base, folder):
    with urllib.request.urlopen(f"{base}/openapi.json", timeout=200) as answer:
        document = json.load(answer)
    if not document["openapi"].startswith("3.1."):
        raise SystemExit(f"not OpenAPI 3.1: {document['openapi']}")
    validate(document)
    found = list(problems(document))
    if found:
        raise SystemExit("\n".join(found))
    operations = sum(len(item) for item in document["paths"].values())
    print(f"openapi.json: valid 3.1, {operations} operations, all with examples that fit")

    explore(base, folder)
    # Again with somebody's place in the line (as it was before, whatever became of it), who may do what strangers are refused.
    policy = {"maxActive": 6000, "maxWaiting": 100_000, "admitPerMinute": 6000, "activeTtlSeconds": 300, "paused": False}
    send(base, "PUT", "/v1/queues/default", {**policy, "showUpWithinSeconds": 0, "opensAt": "2026-01-01T00:00:00Z"})
    place = send(base, "POST", "/v1/queues/default/tokens", {"userId": "ann"})
    if place["status"] != "ACTIVE":
        raise SystemExit(f"nobody is let in: {place}")
    token = place["token"]
    guarded = [
        operation["operationId"]
        for item in document["paths"].values()
        for operation in item.values()
        if any(parameter["name"] == "X-Queue-Token" for parameter in taken(document, operation))
    ]
    only = [argument for each in guarded for argument in ("--include-operation-id", each)]
    explore(base, folder, "--header", f"X-Queue-Token: {token}", "--mode", "positive", "--phases", "examples,fuzzing", *only)


def send(base, method, path, body):
    """What a call with a JSON body answers."""
    request = urllib.request.Request(base + path, json.dumps(body).encode(), {"Content-Type": "application/json"}, method=method)
    with urllib.request.urlopen(request, timeout=200) as answer:
        return json.load(answer)


def explore(base, folder, *more):
    """Sends generated requests to every operation and judges every answer by the document."""
    config = pathlib.Path(__file__).with_name("schemathesis.toml")
    command = [sys.executable, "-m", "schemathesis.cli", "--config-file", str(config), "run", f"{base}/openapi.json", "--checks", "all"]
    # DELETE ends what it is about and takes nothing away: a place that was left, a hold that was given back can still be read, as such.
    command += ["--exclude-checks", "use_after_free"]
    command += ["--seed", SEED, "--max-examples", EXAMPLES, "--no-shrink", "--continue-on-failure", "--request-timeout", "60", "--no-color"]
    ended = subprocess.run([*command, *more], cwd=folder, capture_output=True, text=True, timeout=2_200)
    if ended.returncode != 0:
        raise SystemExit(ended.stdout[-12_000:] + ended.stderr)
    print("\n".join(line.strip() for line in ended.stdout.splitlines() if "selected /" in line or "generated," in line))


main(*sys.argv[1:3])
