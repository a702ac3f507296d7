import grpc
from boxoffice.booking.v1 import booking_pb2 as booking, booking_pb2_grpc as booking_grpc
from boxoffice.checkout.v1 import checkout_pb2 as checkout, checkout_pb2_grpc as checkout_grpc
from boxoffice.queue.v1 import queue_pb2 as queue, queue_pb2_grpc as queue_grpc

edge = grpc.insecure_channel("127.0.0.1:24051")
line, seats = queue_grpc.QueueServiceStub(edge), booking_grpc.BookingServiceStub(edge)
till = checkout_grpc.CheckoutServiceStub(edge)

token = line.IssueToken(queue.IssueTokenRequest(user_id="pia")).token.token
for told in line.WatchToken(queue.WatchTokenRequest(token=token)):
    print(f"place {told.token.position}, in about {told.token.estimated_wait.seconds} s")
    if told.token.status == queue.TOKEN_STATUS_ACTIVE:
        break
asked = booking.HoldSeatsRequest(user_id="pia", show_id=1, seat_numbers=[1, 2])
hold = seats.HoldSeats(asked, metadata=[("x-queue-token", token)]).reservation
paid = till.Pay(checkout.PayRequest(user_id="pia", reservation_id=hold.reservation_id, token=token)).checkout
print(checkout.CheckoutStatus.Name(paid.status), paid.amount)
