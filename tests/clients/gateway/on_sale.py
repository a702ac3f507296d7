"""The steps of the README's tour over HTTP and JSON through a gateway that knows nothing but the protos, in front of an edge that asks who
calls: everything goes through the addresses of google.api.http.

    python on_sale.py GATEWAY ROOT ANN BOB     host:port, and three bearer tokens; root's has the roles operator and cashier
"""

import http.client
import json
import sys
from urllib.parse import quote

WITHIN = 60  # seconds, for every answer
gateway, *tokens = sys.argv[1:]
bearers = dict(zip(("root", "ann", "bob"), tokens, strict=True))


def same(seen, expected, what):
    if seen != expected:
        raise SystemExit(f"{what}: {seen!r}, not {expected!r}")


def open_request(method, path, body, who, queue_token):
    connection = http.client.HTTPConnection(gateway, timeout=WITHIN)
    headers = {"Authorization": f"Bearer {bearers[who]}"} if who else {}
    if queue_token:
        headers["X-Queue-Token"] = queue_token
    if body is not None:
        headers["Content-Type"] = "application/json"
    connection.request(method, path, None if body is None else json.dumps(body), headers)
    return connection, connection.getresponse()


def call(method, path, body=None, who=None, token=None, status=200):
    """The JSON of an answer that must have this status."""
    connection, answer = open_request(method, path, body, who, token)
    text = answer.read().decode()
    connection.close()
    if answer.status != status:
        raise SystemExit(f"{method} {path}: {answer.status} {text}, not {status}")
    return json.loads(text) if answer.getheader("Content-Type") == "application/json" else text


def refused(status, reason, *request, **more):
    """The details of a refusal by their types. Its body is a google.rpc.Status."""
    told = call(*request, status=status, **more)
    details = {detail["@type"].rsplit(".", 1)[1]: detail for detail in told["details"]}
    same((details["ErrorInfo"]["domain"], details["ErrorInfo"]["reason"]), ("boxoffice", reason), f"refusal ({told['message']})")
    return details


def first_event(path):
    """What a stream tells first."""
    connection, answer = open_request("GET", path, None, None, None)
    same((answer.status, answer.getheader("Content-Type")), (200, "text/event-stream"), "a stream")
    line = answer.readline().decode()
    connection.close()
    name, _, data = line.partition(": ")
    same(name, "data", "an event")
    return json.loads(data)


def open_sale():
    """A line of one place, a concert and its show."""
    refused(401, "CREDENTIALS_MISSING", "PUT", "/v1/queues/default", {"maxActive": 1})
    refused(403, "NOT_ALLOWED", "PUT", "/v1/queues/default", {"maxActive": 1}, who="ann")
    refused(404, "QUEUE_NOT_FOUND", "PUT", "/v1/queues/brass", {"maxActive": 1}, who="root")  # REST would create it
    call("PUT", "/v1/queues/default", {"maxActive": 1}, who="root")
    line = call("GET", "/v1/queues/default")["queue"]
    # A number of 64 bits is a text, and a span of time has its unit.
    same((line["waiting"], line["policy"]["maxActive"], line["policy"]["activeTtl"]), ("0", "1", "300s"), "the line")
    concert = call("POST", "/v1/concerts", {"title": "Night of Strings"}, who="root")["concert"]["concertId"]
    same(call("GET", f"/v1/concerts/{concert}")["concert"]["title"], "Night of Strings", "the concert")
    show = {"startsAt": "2030-12-24T19:00:00Z", "durationMinutes": 120, "title": "Christmas Eve", "price": 50_000, "seatCount": 6}
    made = call("POST", f"/v1/concerts/{concert}/shows", show, who="root")["show"]
    same(call("GET", f"/v1/shows/{made['showId']}")["show"], made, "the show")
    same(call("GET", f"/v1/concerts/{concert}/shows?pageSize=1")["shows"], [made], "a page of shows")
    same((made["price"], made["seatCount"], made["startsAt"]), ("50000", 6, "2030-12-24T19:00:00Z"), "the show's price")
    same(call("GET", "/v1/concerts?pageSize=1")["concerts"][0]["concertId"], concert, "a page of concerts")
    wrong = refused(400, "INVALID_ARGUMENT", "POST", f"/v1/concerts/{concert}/shows", {"title": "", "price": -1}, who="root")
    fields = sorted(violation["field"] for violation in wrong["BadRequest"]["fieldViolations"])
    same(fields, ["duration_minutes", "price", "starts_at", "title"], "every wrong field")
    return concert, made["showId"]


def join():
    """Ann is admitted, bob waits, and each has a wallet."""
    for user, amount in (("ann", 150_000), ("bob", 20_000)):
        for _ in range(2):  # the same request id is the same charge
            charge = {"amount": amount, "requestId": f"{user}-1"}
            charged = call("POST", f"/v1/wallets/{user}/charges", charge, who=user)["wallet"]
            same(charged["balance"], str(amount), f"the balance of {user}")
    zoe = quote("Zoë")
    same(call("POST", f"/v1/wallets/{zoe}/charges", {"amount": "1"}, who="root")["wallet"]["userId"], "Zoë", "a name in a path")
    hers, his, again = (call("POST", "/v1/queues/default/tokens", {}, who=user) for user in ("ann", "bob", "bob"))
    same([answer["created"] for answer in (hers, his, again)], [True, True, False], "who joins again has the same place")
    hers, his = hers["token"]["token"], his["token"]["token"]
    same(call("GET", f"/v1/tokens/{hers}")["token"]["status"], "TOKEN_STATUS_ACTIVE", "ann's place")
    for told in (call("GET", f"/v1/tokens/{his}"), first_event(f"/v1/tokens/{his}/events")):
        same((told["token"]["status"], told["token"]["position"]), ("TOKEN_STATUS_WAITING", "1"), "bob's place")
    refused(404, "TOKEN_NOT_FOUND", "GET", "/v1/tokens/00000000-0000-4000-8000-000000000000")
    return hers, his


def sell(concert, show, hers, his):
    """Ann holds two seats and pays for them; bob is told what is taken, and that he has not enough."""
    dates = call("GET", f"/v1/concerts/{concert}/dates", who="ann", token=hers)
    same(dates["availableDates"], ["2030-12-24"], "the dates")
    refused(403, "TOKEN_NOT_ACTIVE", "GET", f"/v1/concerts/{concert}/dates", who="bob", token=his)
    refused(401, "TOKEN_MISSING", "POST", "/v1/reservations", {"showId": show, "seatNumbers": [3]}, who="ann")
    hold = call("POST", "/v1/reservations", {"showId": show, "seatNumbers": [3, 4]}, who="ann", token=hers)["reservation"]
    same((hold["userId"], hold["amount"], hold["status"]), ("ann", "100000", "RESERVATION_STATUS_HELD"), "the hold")
    call("PUT", "/v1/queues/default", {"maxActive": 10}, who="root")
    taken = refused(409, "SEAT_TAKEN", "POST", "/v1/reservations", {"showId": show, "seatNumbers": [4, 5]}, who="bob", token=his)
    same(taken["ErrorInfo"]["metadata"], {"seat_numbers": "4"}, "which seat is taken")

    pay = {"reservationId": hold["reservationId"], "token": hers, "requestId": "ann-pays"}
    paid = [call("POST", "/v1/payments", pay, who="ann")["checkout"] for _ in range(2)]  # clicked twice
    same((paid[0]["status"], paid[0]["amount"]), ("CHECKOUT_STATUS_COMPLETED", "100000"), "the payment")
    same(paid[1]["checkoutId"], paid[0]["checkoutId"], "the same payment")
    told = call("GET", f"/v1/payments/{paid[0]['checkoutId']}", who="ann")["checkout"]
    same((told["status"], told["reservationId"]), ("CHECKOUT_STATUS_COMPLETED", hold["reservationId"]), "the payment, read")
    refused(403, "NOT_OWNER", "GET", f"/v1/payments/{paid[0]['checkoutId']}", who="bob")
    listed = call("GET", "/v1/users/ann/payments", who="ann")["checkouts"]
    same([one["checkoutId"] for one in listed], [paid[0]["checkoutId"]], "her payments")
    sold = call("GET", f"/v1/reservations/{hold['reservationId']}", who="ann")["reservation"]
    same((sold["status"], sold["seatNumbers"]), ("RESERVATION_STATUS_CONFIRMED", [3, 4]), "the reservation")
    same(call("GET", "/v1/users/ann/reservations", who="ann")["reservations"], [sold], "her reservations")
    same(call("GET", "/v1/wallets/ann", who="ann")["wallet"]["balance"], "50000", "paid once")
    entries = call("GET", "/v1/wallets/ann/entries", who="ann")["entries"]
    same([(one["kind"], one["amount"]) for one in entries], [("ENTRY_KIND_PAYMENT", "-100000"), ("ENTRY_KIND_CHARGE", "150000")], "the ledger")

    poor = call("POST", "/v1/reservations", {"showId": show, "seatNumbers": [5]}, who="bob", token=his)["reservation"]
    pay = {"reservationId": poor["reservationId"], "token": his}
    # The status is the one of the gRPC code: REST says 402.
    refused(400, "INSUFFICIENT_FUNDS", "POST", "/v1/payments", pay, who="bob")
    return paid[0]["checkoutId"]


def leave(concert, show, his):
    back = call("POST", "/v1/reservations", {"showId": show, "seatNumbers": [6]}, who="bob", token=his)["reservation"]["reservationId"]
    given = call("DELETE", f"/v1/reservations/{back}", who="bob", token=his)["reservation"]
    same(given["status"], "RESERVATION_STATUS_CANCELLED", "a hold that was given back")
    by_show = call("GET", f"/v1/shows/{show}/seats", who="bob", token=his)["seatMaps"]
    by_date = call("GET", f"/v1/concerts/{concert}/seats?date=2030-12-24", who="bob", token=his)["seatMaps"]
    same(by_date, by_show, "the seats by show and by date")
    free = [seat["seatNumber"] for seat in by_show[0]["seats"] if seat["status"] == "SEAT_STATUS_AVAILABLE"]
    same(free, [1, 2, 5, 6], "the free seats")
    same(call("DELETE", f"/v1/tokens/{his}", who="bob")["token"]["status"], "TOKEN_STATUS_LEFT", "a place that was left")


def main():
    concert, show = open_sale()
    hers, his = join()
    sold = sell(concert, show, hers, his)
    leave(concert, show, his)
    acts = call("GET", "/v1/operator/journal?what=UpdateQueue&target=default", who="root")["actions"]
    same([(act["who"], act["outcome"]) for act in acts], [("root", "OPERATOR_ACTION_OUTCOME_DONE")] * 2, "what was written down")
    # An address that the protos do not name is none here.
    call("GET", "/v1/wallets", who="root", status=404)
    print(f"sold through a gateway: {sold}")


main()
