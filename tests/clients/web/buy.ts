import { ConnectError, createClient } from "@connectrpc/connect";
import { createGrpcWebTransport } from "@connectrpc/connect-web";
import { BookingService } from "./gen/boxoffice/booking/v1/booking_pb.js";
import { CheckoutService, CheckoutStatus } from "./gen/boxoffice/checkout/v1/checkout_pb.js";
import { QueueService, TokenStatus } from "./gen/boxoffice/queue/v1/queue_pb.js";
import { ErrorInfoSchema } from "./gen/google/rpc/error_details_pb.js";

const edge = createGrpcWebTransport({ baseUrl: "http://127.0.0.1:24051" });
const [line, seats, till] = [createClient(QueueService, edge), createClient(BookingService, edge), createClient(CheckoutService, edge)];

const token = (await line.issueToken({ userId: "kim" })).token!.token;
for await (const { token: told } of line.watchToken({ token })) {
  console.log(`place ${told!.position}, in about ${told!.estimatedWait!.seconds} s`);
  if (told!.status === TokenStatus.ACTIVE) break;
}
const admitted = { headers: { "x-queue-token": token } };
const hold = (await seats.holdSeats({ userId: "kim", showId: 1n, seatNumbers: [5, 6] }, admitted)).reservation!;
await seats.holdSeats({ userId: "kim", showId: 1n, seatNumbers: [6] }, admitted).catch((error) => {
  const [info] = ConnectError.from(error).findDetails(ErrorInfoSchema);
  console.log(info?.reason, info?.metadata["seat_numbers"]);
});
const paid = (await till.pay({ userId: "kim", reservationId: hold.reservationId, token })).checkout!;
console.log(CheckoutStatus[paid.status], paid.amount);
