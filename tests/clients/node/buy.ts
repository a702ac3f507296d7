import { createClient } from "@connectrpc/connect";
import { createGrpcTransport } from "@connectrpc/connect-node";
import { BookingService } from "./gen/boxoffice/booking/v1/booking_pb.js";
import { CheckoutService, CheckoutStatus } from "./gen/boxoffice/checkout/v1/checkout_pb.js";
import { QueueService, TokenStatus } from "./gen/boxoffice/queue/v1/queue_pb.js";

const edge = createGrpcTransport({ baseUrl: "http://127.0.0.1:24051" });
const [line, seats, till] = [createClient(QueueService, edge), createClient(BookingService, edge), createClient(CheckoutService, edge)];

const token = (await line.issueToken({ userId: "tim" })).token!.token;
const enough = new AbortController();
for await (const { token: told } of line.watchToken({ token }, { signal: enough.signal })) {
  console.log(`place ${told!.position}, in about ${told!.estimatedWait!.seconds} s`);
  if (told!.status === TokenStatus.ACTIVE) break;
}
enough.abort();
const hold = (await seats.holdSeats({ userId: "tim", showId: 1n, seatNumbers: [3, 4] }, { headers: { "x-queue-token": token } })).reservation!;
const paid = (await till.pay({ userId: "tim", reservationId: hold.reservationId, token })).checkout!;
console.log(CheckoutStatus[paid.status], paid.amount);
