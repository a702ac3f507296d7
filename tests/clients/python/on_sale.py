"""The whole on-sale by a client that is generated from proto/ with grpcio-tools: joining, following a place live, holding, paying, and
reading refusals (ErrorInfo, BadRequest, RetryInfo, PreconditionFailure).

    PYTHONPATH=<generated> python on_sale.py QUEUE BOOKING WALLET CHECKOUT     each as host:port
    KEYS=<the folder `edge` of `boxoffice keys`> …                                       the same by TLS, with the certificate of the edge
"""

import os
import pathlib
import sys
import threading
import uuid

import grpc
from google.protobuf.duration_pb2 import Duration
from google.protobuf.timestamp_pb2 import Timestamp
from google.rpc import error_details_pb2
from grpc_status import rpc_status

from boxoffice.booking.v1 import booking_pb2 as booking, booking_pb2_grpc as booking_grpc
from boxoffice.checkout.v1 import checkout_pb2 as checkout, checkout_pb2_grpc as checkout_grpc
from boxoffice.queue.v1 import queue_pb2 as queue, queue_pb2_grpc as queue_grpc
from boxoffice.wallet.v1 import wallet_pb2 as wallet, wallet_pb2_grpc as wallet_grpc

WITHIN = 60  # seconds: every call has a deadline
run = uuid.uuid4().hex[:8]  # names that no other run uses
ann, bob = f"ann-{run}", f"bob-{run}"


def same(seen, expected, what):
    if seen != expected:
        raise SystemExit(f"{what}: {seen!r}, not {expected!r}")


def refused(code, reason, call, request):
    """The details, by their type, of a call that must be refused so."""
    try:
        answer = call(request, timeout=WITHIN)
    except grpc.RpcError as error:
        details = {}
        for packed in rpc_status.from_call(error).details:
            for kind in ("ErrorInfo", "BadRequest", "RetryInfo", "PreconditionFailure"):
                detail = getattr(error_details_pb2, kind)()
                if packed.Unpack(detail):
                    details[kind] = detail
        info = details["ErrorInfo"]
        same((error.code(), info.domain, info.reason), (code, "boxoffice", reason), f"refusal ({error.details()})")
        return details
    raise SystemExit(f"{reason} expected, was answered {answer}")


class Follower(threading.Thread):
    """Follows a token until its stream ends, and lets others wait for a status."""

    def __init__(self, line, token):
        super().__init__(daemon=True)
        self.stream = line.WatchToken(queue.WatchTokenRequest(token=token), timeout=600)
        self.told, self.news = [], threading.Condition()
        self.start()

    def run(self):
        for message in self.stream:
            with self.news:
                self.told.append((message.token.status, message.token.position))
                self.news.notify_all()

    def until(self, status):
        with self.news:
            if not self.news.wait_for(lambda: any(status == told for told, _ in self.told), WITHIN):
                raise SystemExit(f"{queue.TokenStatus.Name(status)} was not told, but {self.told}")


def open_sale(line, seats):
    """A line of one place, and a show behind it."""
    policy = queue.QueuePolicy(max_active=1, active_ttl=Duration(seconds=120))
    made = line.CreateQueue(queue.CreateQueueRequest(queue_id=f"py-{run}", policy=policy), timeout=WITHIN).queue
    same((made.policy.max_active, made.policy.max_waiting), (1, 100_000), "a policy, and a default")
    concert = seats.CreateConcert(booking.CreateConcertRequest(title="Brass", queue_id=made.queue_id), timeout=WITHIN).concert
    begins = Timestamp()
    begins.FromJsonString("2031-05-01T19:00:00Z")
    show = booking.CreateShowRequest(
        concert_id=concert.concert_id, starts_at=begins, duration_minutes=90, title="Evening", price=30_000, seat_count=10
    )
    return made.queue_id, seats.CreateShow(show, timeout=WITHIN).show.show_id


def refusals(line, seats, purse, show):
    wrong = booking.HoldSeatsRequest(user_id="", show_id=show, seat_numbers=[1, 1])
    details = refused(grpc.StatusCode.INVALID_ARGUMENT, "INVALID_ARGUMENT", seats.HoldSeats, wrong)
    fields = sorted(violation.field for violation in details["BadRequest"].field_violations)
    same(fields, ["seat_numbers", "user_id"], "every wrong field")

    full = queue.QueuePolicy(max_active=0, max_waiting=0)
    line.CreateQueue(queue.CreateQueueRequest(queue_id=f"full-{run}", policy=full), timeout=WITHIN)
    joining = queue.IssueTokenRequest(queue_id=f"full-{run}", user_id=ann)
    details = refused(grpc.StatusCode.RESOURCE_EXHAUSTED, "QUEUE_FULL", line.IssueToken, joining)
    if details["RetryInfo"].retry_delay.ToTimedelta().total_seconds() <= 0:
        raise SystemExit(f"when to come back: {details['RetryInfo']}")

    spending = wallet.UseWalletRequest(user_id=bob, amount=50_001)
    details = refused(grpc.StatusCode.FAILED_PRECONDITION, "INSUFFICIENT_FUNDS", purse.UseWallet, spending)
    same([v.type for v in details["PreconditionFailure"].violations], ["INSUFFICIENT_FUNDS"], "the precondition")
    refused(grpc.StatusCode.NOT_FOUND, "SHOW_NOT_FOUND", seats.GetShow, booking.GetShowRequest(show_id=987_654_321))


def channel(address):
    if "KEYS" not in os.environ:
        return grpc.insecure_channel(address)
    authority, key, certificate = ((pathlib.Path(os.environ["KEYS"]) / file).read_bytes() for file in ("ca.crt", "tls.key", "tls.crt"))
    return grpc.secure_channel(address, grpc.ssl_channel_credentials(authority, key, certificate))


def main(addresses):
    channels = [channel(address) for address in addresses]
    line, seats = queue_grpc.QueueServiceStub(channels[0]), booking_grpc.BookingServiceStub(channels[1])
    purse, till = wallet_grpc.WalletServiceStub(channels[2]), checkout_grpc.CheckoutServiceStub(channels[3])
    line_id, show = open_sale(line, seats)

    for user in (ann, bob):
        for _ in range(2):  # the same request id is the same charge
            charge = wallet.ChargeWalletRequest(user_id=user, amount=50_000, request_id=f"{user}-1")
            same(purse.ChargeWallet(charge, timeout=WITHIN).wallet.balance, 50_000, f"the balance of {user}")
    joined = [line.IssueToken(queue.IssueTokenRequest(queue_id=line_id, user_id=user), timeout=WITHIN) for user in (ann, bob, bob)]
    same([answer.created for answer in joined], [True, True, False], "who joins again has the same place")
    hers, his = joined[0].token.token, joined[1].token.token
    same(joined[2].token.token, his, "the place that he had")
    followers = [Follower(line, token) for token in (hers, his)]
    followers[0].until(queue.TOKEN_STATUS_ACTIVE)
    followers[1].until(queue.TOKEN_STATUS_WAITING)
    same(followers[1].told, [(queue.TOKEN_STATUS_WAITING, 1)], "bob's place")
    early = queue.VerifyTokenRequest(token=his, queue_id=line_id, user_id=bob)
    refused(grpc.StatusCode.PERMISSION_DENIED, "TOKEN_NOT_ACTIVE", line.VerifyToken, early)

    hold = seats.HoldSeats(booking.HoldSeatsRequest(user_id=ann, show_id=show, seat_numbers=[4]), timeout=WITHIN).reservation
    late = booking.HoldSeatsRequest(user_id=bob, show_id=show, seat_numbers=[4, 5])
    details = refused(grpc.StatusCode.ABORTED, "SEAT_TAKEN", seats.HoldSeats, late)
    same(dict(details["ErrorInfo"].metadata), {"seat_numbers": "4"}, "which seat is taken")

    pay = checkout.PayRequest(user_id=ann, reservation_id=hold.reservation_id, token=hers, request_id=f"{ann}-pays")
    paid = [till.Pay(pay, timeout=WITHIN).checkout for _ in range(2)]  # clicked twice
    same((paid[0].status, paid[0].amount), (checkout.CHECKOUT_STATUS_COMPLETED, 30_000), "the checkout")
    same(paid[1].checkout_id, paid[0].checkout_id, "the same checkout")
    same(purse.GetWallet(wallet.GetWalletRequest(user_id=ann), timeout=WITHIN).wallet.balance, 20_000, "paid once")
    sold = seats.GetReservation(booking.GetReservationRequest(reservation_id=hold.reservation_id), timeout=WITHIN).reservation
    same((sold.status, sold.payment_id), (booking.RESERVATION_STATUS_CONFIRMED, paid[0].checkout_id), "the reservation")

    followers[0].join(WITHIN)  # a stream ends after a final status
    same(followers[0].told[-1], (queue.TOKEN_STATUS_COMPLETED, 0), "the end of ann's stream")
    followers[1].until(queue.TOKEN_STATUS_ACTIVE)  # her place is his
    line.LeaveQueue(queue.LeaveQueueRequest(token=his), timeout=WITHIN)
    followers[1].join(WITHIN)
    same(followers[1].told[-1], (queue.TOKEN_STATUS_LEFT, 0), "the end of bob's stream")
    refusals(line, seats, purse, show)
    print(f"sold to a Python client: {paid[0].checkout_id}, after {len(followers[1].told)} messages of a stream")


main(sys.argv[1:5])
